//! Windows against a naive model: whatever the order, the batches and the repetitions, the alerts are the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use crate::detect::engine::{Engine, EngineSettings};
use crate::detect::rule::{Body, Comparison, CorrelationKind, Rule, RuleSet};
use crate::detect::sample::{TEN, correlation, event, of_act, set, simple};
use crate::detect::watermark::Watermarks;
use crate::model::{AlertId, Duration, Event, EventId, FieldRef, Finding, Timestamp};

/// An event in short: seconds after 10:00, the rules it matches (bits), its act and a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Short {
    at: i64,
    rules: u8,
    act: u8,
    value: u8,
}

const SPAN: i64 = 60;
const LONG: i64 = 150;
const BUCKET: i64 = 100;
const SECOND: i64 = 1_000_000_000;

fn build(short: Short, number: usize) -> Event {
    let json =
        format!(r#"{{"r0":{},"r1":{},"r2":{},"u":"alice","v":"{}"}}"#, short.rules & 1, short.rules >> 1 & 1, short.rules >> 2 & 1, short.value);
    of_act(event(&format!("e{number}"), short.at * SECOND, &json), short.act)
}

/// `None`: the single rule r0.
fn rules(kind: Option<CorrelationKind>, referred: &[usize], bounds: &[(Comparison, f64)]) -> Arc<RuleSet> {
    spanning(SPAN, kind, referred, bounds)
}

fn spanning(span: i64, kind: Option<CorrelationKind>, referred: &[usize], bounds: &[(Comparison, f64)]) -> Arc<RuleSet> {
    let mut rules: Vec<Rule> = ["r0: 1", "r1: 1", "r2: 1"].iter().enumerate().map(|(at, spec)| simple(&format!("r{at}"), &[spec])).collect();
    match kind {
        None => {
            rules.truncate(1);
            rules[0].extras.group_by = Some(vec![FieldRef::parse("u").unwrap()]);
            rules[0].extras.group_window = Some(Duration::seconds(BUCKET));
        }
        Some(kind) => {
            let mut rule = correlation("c", kind, referred, &["u"], span, bounds);
            rule.extras.group_window = Some(Duration::seconds(BUCKET));
            if let Body::Correlation(body) = &mut rule.body {
                body.count_fields = vec![FieldRef::parse("v").unwrap()];
            }
            rules.push(rule);
        }
    }
    let keep = rules.len() - 1;
    let set = set(rules);
    let mut set = Arc::unwrap_or_clone(set);
    (0..keep).for_each(|at| set.rules[at].is_silent = true);
    Arc::new(set)
}

/// What counts of an alert: bucket, first, last, count, events.
type Content = (i64, i64, i64, u64, Vec<EventId>);

fn content(finding: &Finding, bucket: i64) -> Content {
    (bucket, finding.first.nanos(), finding.last.nanos(), finding.count, finding.events.clone())
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    time: i64,
    id: EventId,
    rule: u16,
    act: u8,
    value: u8,
}

/// The same by brute force over the whole set.
fn naive(span: i64, events: &[(Short, Event)], kind: Option<CorrelationKind>, referred: &[usize], least: usize) -> Vec<Content> {
    let is_temporal = matches!(kind, Some(CorrelationKind::Temporal | CorrelationKind::TemporalOrdered));
    let mut rows: Vec<Row> = Vec::new();
    for (short, event) in events {
        for (position, rule) in referred.iter().enumerate() {
            if short.rules >> rule & 1 == 1 {
                let rule = u16::try_from(position).unwrap();
                rows.push(Row { time: event.time.nanos(), id: event.id, rule, act: short.act, value: short.value });
            }
        }
    }
    rows.sort_by_key(|row| (row.time, row.id, row.rule));
    let mut kept: Vec<Row> = Vec::new();
    for row in rows {
        if !kept.iter().any(|known| known.act == row.act && (!is_temporal || known.rule == row.rule)) {
            kept.push(row);
        }
    }
    let span = if kind.is_some() { span * SECOND } else { 0 };
    let window = |end: &Row| -> Vec<Row> {
        if kind.is_none() {
            vec![end.clone()]
        } else {
            kept.iter().filter(|row| row.time > end.time - span && row.time <= end.time).cloned().collect()
        }
    };
    let distinct = |mut of: Vec<u16>| {
        of.sort_unstable();
        of.dedup();
        of.len()
    };
    let qualifies = |end: &&Row| {
        let rows = window(end);
        match kind {
            None => true,
            Some(CorrelationKind::EventCount) => rows.len() >= least,
            Some(CorrelationKind::ValueCount) => distinct(rows.iter().map(|row| u16::from(row.value)).collect()) >= least,
            Some(CorrelationKind::Temporal) => distinct(rows.iter().map(|row| row.rule).collect()) >= least,
            Some(CorrelationKind::TemporalOrdered) => chain(&rows, 0, i64::MIN, &mut Vec::new(), referred.len(), end.time),
        }
    };
    let ends: Vec<&Row> = kept.iter().filter(qualifies).collect();
    let mut alerts: Vec<(i64, Vec<Row>)> = Vec::new();
    for end in ends {
        let absorbs = alerts.last().is_some_and(|(bucket, _)| end.time - span < bucket + BUCKET * SECOND);
        if !absorbs {
            alerts.push((Timestamp::from_nanos(end.time).bucket(Duration::seconds(BUCKET)).nanos(), Vec::new()));
        }
        let (_, rows) = alerts.last_mut().unwrap();
        for row in window(end) {
            if !rows.contains(&row) {
                rows.push(row);
            }
        }
    }
    alerts
        .into_iter()
        .map(|(bucket, mut rows)| {
            rows.sort_by_key(|row| (row.time, row.id, row.rule));
            let count = distinct(rows.iter().map(|row| u16::from(row.act)).collect()) as u64;
            let mut ids: Vec<EventId> = rows.iter().map(|row| row.id).collect();
            ids.dedup();
            (bucket, rows[0].time, rows[rows.len() - 1].time, count, ids)
        })
        .collect()
}

/// Whether the rest of the rules can follow in order, the last at `last`, each by an event of its own.
fn chain(rows: &[Row], rule: usize, after: i64, used: &mut Vec<EventId>, rules: usize, last: i64) -> bool {
    if rule == rules {
        return after == last;
    }
    rows.iter().any(|row| {
        if usize::from(row.rule) != rule || row.time < after || used.contains(&row.id) {
            return false;
        }
        used.push(row.id);
        let found = chain(rows, rule + 1, row.time, used, rules, last);
        used.pop();
        found
    })
}

/// Runs batches and keeps the last word on each alert that is not superseded.
fn run(set: &Arc<RuleSet>, events: &[Event], batch: usize, is_finite: bool) -> BTreeMap<AlertId, Finding> {
    let mut engine = Engine::new(Arc::clone(set), EngineSettings { is_finite, ..EngineSettings::default() });
    assert_eq!(engine.refused(), []);
    let mut out = Vec::new();
    for batch in events.chunks(batch) {
        engine.process(batch, &mut out);
        engine.advance(&Watermarks::everywhere(batch[0].time, Duration::hours(1000)), &mut out);
    }
    if is_finite {
        assert!(out.is_empty());
        engine.finish(&mut out);
    }
    let mut last = BTreeMap::new();
    for finding in out {
        last.insert(finding.id, finding);
    }
    last.retain(|_, finding| finding.superseded_by.is_none());
    last
}

fn bucket_of(finding: &Finding, set: &RuleSet) -> i64 {
    // The id tells the bucket: it is the hash of it.
    let id = &set.rules.last().unwrap().header.id;
    (-20..80)
        .map(|at| Timestamp::from_nanos(TEN + at * BUCKET * SECOND).bucket(Duration::seconds(BUCKET)))
        .find(|start| super::alert_id(&finding.tenant, &finding.cluster, id, &finding.group, &start.nanos().to_le_bytes()) == finding.id)
        .unwrap()
        .nanos()
}

/// What is checked of one rule.
#[derive(Debug)]
struct Case<'a> {
    shorts: &'a [Short],
    /// The order they first come in; they come again afterwards.
    order: &'a [usize],
    batch: usize,
    span: i64,
    least: usize,
}

fn check(case: &Case<'_>, kind: Option<CorrelationKind>, referred: &[usize]) -> Result<(), TestCaseError> {
    let is_temporal = matches!(kind, Some(CorrelationKind::Temporal | CorrelationKind::TemporalOrdered));
    let bounds = [(Comparison::Gte, case.least as f64)];
    let set = spanning(case.span, kind, referred, if is_temporal { &[] } else { &bounds });
    let known: Vec<(Short, Event)> = case.shorts.iter().enumerate().map(|(number, short)| (*short, build(*short, number))).collect();
    let expected = naive(case.span, &known, kind, referred, if is_temporal { referred.len() } else { case.least });
    let mixed = case.order.iter().map(|at| known[at % known.len()].1.clone());
    let given: Vec<Event> = mixed.chain(known.iter().map(|(_, event)| event.clone())).collect();
    for is_finite in [false, true] {
        let found = run(&set, &given, case.batch, is_finite);
        let mut shown: Vec<Content> = found.values().map(|finding| content(finding, bucket_of(finding, &set))).collect();
        shown.sort();
        prop_assert_eq!(&shown, &expected, "{:?} finite {}", kind, is_finite);
    }
    let mut sorted: Vec<Event> = known.iter().map(|(_, event)| event.clone()).collect();
    sorted.sort_by_key(|event| (event.time, event.id));
    let told = |found: BTreeMap<AlertId, Finding>| found.into_values().map(|finding| format!("{finding:?}")).collect::<Vec<String>>();
    prop_assert_eq!(told(run(&set, &given, case.batch, false)), told(run(&set, &sorted, 1, false)));
    Ok(())
}

fn shorts() -> impl Strategy<Value = Vec<Short>> {
    let short = (0_i64..45, 1_u8..8, 0_u8..60, 0_u8..5).prop_map(|(at, rules, act, value)| Short { at: at * 20 - 100, rules, act, value });
    prop::collection::vec(short, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn order_delay_and_repetition_change_nothing(
        shorts in shorts(),
        order in prop::collection::vec(0_usize..1000, 0..40),
        (batch, least, is_long) in (1_usize..9, 1_usize..5, any::<bool>()),
    ) {
        let case = Case { shorts: &shorts, order: &order, batch, span: if is_long { LONG } else { SPAN }, least };
        check(&case, None, &[0])?;
        check(&case, Some(CorrelationKind::EventCount), &[0])?;
        check(&case, Some(CorrelationKind::EventCount), &[0, 1])?;
        check(&case, Some(CorrelationKind::ValueCount), &[0])?;
        check(&case, Some(CorrelationKind::Temporal), &[0, 1, 2])?;
        check(&case, Some(CorrelationKind::TemporalOrdered), &[0, 1, 2])?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// State that expires behind the watermark is never missed by what comes within the lateness.
    #[test]
    fn expiry_changes_nothing(
        times in prop::collection::vec((0_i64..150, 1_u8..8, 0_u8..5, 0_i64..120), 1..60),
        (batch, least, is_long) in (1_usize..9, 1_usize..5, any::<bool>()),
    ) {
        let span = if is_long { LONG } else { SPAN };
        let mut known: Vec<(i64, Short, Event)> = times
            .iter()
            .enumerate()
            .map(|(number, (at, rules, value, delay))| {
                let short = Short { at: at * 20, rules: *rules, act: u8::try_from(number).unwrap(), value: *value };
                (short.at + delay, short, build(short, number))
            })
            .collect();
        known.sort_by_key(|(arrival, short, _)| (*arrival, short.act));
        let rows: Vec<(Short, Event)> = known.iter().map(|(_, short, event)| (*short, event.clone())).collect();
        for (kind, referred) in [
            (None, vec![0]),
            (Some(CorrelationKind::EventCount), vec![0, 1]),
            (Some(CorrelationKind::ValueCount), vec![0]),
            (Some(CorrelationKind::Temporal), vec![0, 1, 2]),
            (Some(CorrelationKind::TemporalOrdered), vec![0, 1, 2]),
        ] {
            let is_temporal = matches!(kind, Some(CorrelationKind::Temporal | CorrelationKind::TemporalOrdered));
            let bounds = [(Comparison::Gte, least as f64)];
            let set = spanning(span, kind, &referred, if is_temporal { &[] } else { &bounds });
            let mut engine = Engine::new(Arc::clone(&set), EngineSettings::default());
            let mut out = Vec::new();
            let mut watermark = i64::MIN;
            for batch in rows.chunks(batch) {
                let events: Vec<Event> = batch.iter().map(|(_, event)| event.clone()).collect();
                engine.process(&events, &mut out);
                watermark = batch.iter().map(|(_, event)| event.time.nanos()).fold(watermark, i64::max);
                engine.advance(&Watermarks::everywhere(Timestamp::from_nanos(watermark), Duration::seconds(120)), &mut out);
            }
            let mut last: BTreeMap<AlertId, Finding> = BTreeMap::new();
            for finding in out {
                prop_assert!(!finding.late);
                last.insert(finding.id, finding);
            }
            last.retain(|_, finding| finding.superseded_by.is_none());
            let mut shown: Vec<Content> = last.values().map(|finding| content(finding, bucket_of(finding, &set))).collect();
            shown.sort();
            let least = if is_temporal { referred.len() } else { least };
            prop_assert_eq!(&shown, &naive(span, &rows, kind, &referred, least), "{:?}", kind);
        }
    }
}

/// The last word on each alert, in short: time of the first event in seconds after 10:00, count, and `late` or `superseded`.
fn told(out: &[Finding]) -> Vec<String> {
    let mut last: BTreeMap<AlertId, &Finding> = BTreeMap::new();
    out.iter().for_each(|finding| {
        last.insert(finding.id, finding);
    });
    let mut told: Vec<String> = last
        .values()
        .map(|finding| {
            let late = if finding.late { " late" } else { "" };
            let gone = if finding.superseded_by.is_some() { " superseded" } else { "" };
            format!("{} x{}{late}{gone}", (finding.first.nanos() - TEN) / SECOND, finding.count)
        })
        .collect();
    told.sort();
    told
}

fn feed(engine: &mut Engine, times: &[i64]) -> Vec<Finding> {
    let mut out = Vec::new();
    for (number, at) in times.iter().enumerate() {
        let short = Short { at: *at, rules: 1, act: u8::try_from(number).unwrap(), value: 0 };
        engine.process(&[build(short, number)], &mut out);
    }
    out
}

#[test]
fn a_late_event_moves_an_alert_and_the_old_points_to_the_new() {
    let set = rules(Some(CorrelationKind::EventCount), &[0], &[(Comparison::Gte, 2.0)]);
    let mut engine = Engine::new(set, EngineSettings::default());
    // 10:00:00 is 00:00 of a bucket of 100 s. 190 and 210: the end lies in bucket 200. Then 150 comes: the end 190 lies in bucket 100.
    let out = feed(&mut engine, &[190, 210, 150]);
    assert_eq!(told(&out), ["150 x3", "190 x2 superseded"]);
    let gone = out.iter().find(|finding| finding.superseded_by.is_some()).unwrap();
    assert_eq!(gone.superseded_by, Some(out[out.len() - 2].id));
}

#[test]
fn windows_are_half_open() {
    let check = |times: &[i64], expected: &[&str]| {
        let set = rules(Some(CorrelationKind::EventCount), &[0], &[(Comparison::Gte, 3.0)]);
        assert_eq!(told(&feed(&mut Engine::new(set, EngineSettings::default()), times)), expected, "{times:?}");
    };
    check(&[0, 30, 59], &["0 x3"]);
    check(&[0, 30, 60], &[]);
    check(&[80, 40, 0], &[]);
}

#[test]
fn fewer_than_fires_once_the_window_has_passed() {
    let check = |bounds: &[(Comparison, f64)], times: &[i64], watermark: i64, expected: &[&str]| {
        let set = rules(Some(CorrelationKind::EventCount), &[0], bounds);
        let mut engine = Engine::new(Arc::clone(&set), EngineSettings::default());
        let mut out = feed(&mut engine, times);
        assert_eq!(told(&out), [] as [&str; 0]);
        engine.advance(&Watermarks::everywhere(Timestamp::from_nanos(TEN + watermark * SECOND), Duration::seconds(10)), &mut out);
        assert_eq!(told(&out), expected, "{times:?} at {watermark}");
        let mut replay = Engine::new(set, EngineSettings { is_finite: true, ..EngineSettings::default() });
        let mut out = feed(&mut replay, times);
        replay.finish(&mut out);
        if watermark > 1000 {
            assert_eq!(told(&out), expected, "{times:?} in a replay");
        }
    };
    check(&[(Comparison::Lt, 3.0)], &[0, 10], 69, &[]);
    check(&[(Comparison::Lt, 3.0)], &[0, 10], 70, &["0 x2"]);
    check(&[(Comparison::Lt, 3.0)], &[10, 20, 0], 2000, &[]);
    check(&[(Comparison::Eq, 2.0)], &[0, 10, 300, 310, 320], 2000, &["0 x2"]);
    check(&[(Comparison::Gte, 2.0), (Comparison::Lte, 3.0)], &[0, 100, 101, 300, 301, 302, 303], 2000, &["100 x2"]);
    check(&[(Comparison::Neq, 1.0)], &[0, 500, 501], 2000, &["500 x2"]);
}

#[test]
fn state_is_bounded_and_expires() {
    let set = rules(Some(CorrelationKind::EventCount), &[0], &[(Comparison::Gte, 2.0)]);
    let mut settings = EngineSettings::default();
    settings.limits.groups_max = 10;
    settings.limits.entries_per_group_max = 16;
    let mut engine = Engine::new(set, settings);
    let mut out = Vec::new();
    for number in 0..100 {
        let json = format!(r#"{{"r0":1,"u":"user{number}"}}"#);
        engine.process(&[event(&format!("e{number}"), number * SECOND, &json)], &mut out);
    }
    let stats = engine.stats();
    assert_eq!((stats.groups_live, stats.groups_evicted, out.len()), (10, 90, 0));
    for number in 0..100 {
        engine.process(&[event(&format!("f{number}"), (200 + number) * SECOND, r#"{"r0":1,"u":"one"}"#)], &mut out);
    }
    assert!(engine.stats().entries_dropped > 80);
    let last = out.last().unwrap();
    assert!(last.count <= 100 && last.count >= 15, "{}", last.count);
    // What was dropped for the limit does not count again.
    let before = out.len();
    engine.process(&[event("f0", 200 * SECOND, r#"{"r0":1,"u":"one"}"#)], &mut out);
    assert_eq!(out.len(), before);
    engine.advance(&Watermarks::everywhere(Timestamp::from_nanos(TEN + 2 * 3600 * SECOND), Duration::minutes(10)), &mut out);
    assert_eq!(engine.stats().groups_live, 0);
}

#[test]
fn a_busy_group_costs_the_same_for_each_event() {
    let set = rules(Some(CorrelationKind::EventCount), &[0], &[(Comparison::Gte, 3.0)]);
    let mut engine = Engine::new(set, EngineSettings::default());
    let mut out = Vec::new();
    let json = r#"{"r0":1,"u":"busy","v":"1"}"#;
    let events: Vec<Event> = (0..20_000).map(|number| event(&format!("e{number}"), i64::from(number) * 1_000_000, json)).collect();
    for batch in events.chunks(1000) {
        engine.process(batch, &mut out);
    }
    assert_eq!(out.last().map(|finding| (finding.count, finding.events.len(), finding.steps.len())), Some((20_000, 100, 20)));
}
