//! Windows by example. That order changes nothing is held against a model in `properties`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Correlator, Entry, Plan};
use crate::detect::engine::{Engine, EngineSettings};
use crate::detect::key::ValueKey;
use crate::detect::matcher::Matcher;
use crate::detect::rule::{Body, Comparison, Condition, CorrelationKind, Rule, RuleSet};
use crate::detect::sample::{TEN, correlation, event, of_act, simple};
use crate::detect::watermark::Watermarks;
use crate::detect::witness::Witnesses;
use crate::model::{AlertId, Duration, Event, FieldRef, Finding, Timestamp};

/// An event in short: seconds after 10:00, the rules it matches (bits), its act and a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Short {
    at: i64,
    rules: u8,
    act: u8,
    value: u8,
}

const SPAN: i64 = 60;
const BUCKET: i64 = 100;
const SECOND: i64 = 1_000_000_000;

fn build(short: Short, number: usize) -> Event {
    let json =
        format!(r#"{{"r0":{},"r1":{},"r2":{},"u":"alice","v":"{}"}}"#, short.rules & 1, short.rules >> 1 & 1, short.rules >> 2 & 1, short.value);
    of_act(event(&format!("e{number}"), short.at * SECOND, &json), short.act)
}

/// A correlation of r0, r1 and r2, or of the first so many.
fn rules(kind: CorrelationKind, referred: &[usize], bounds: &[(Comparison, f64)]) -> Arc<RuleSet> {
    over(correlation("c", kind, referred, &["u"], SPAN, bounds))
}

fn over(mut rule: Rule) -> Arc<RuleSet> {
    let mut rules: Vec<Rule> = ["r0: 1", "r1: 1", "r2: 1"].iter().enumerate().map(|(at, spec)| simple(&format!("r{at}"), &[spec])).collect();
    rule.extras.group_window = Some(Duration::seconds(BUCKET));
    if let Body::Correlation(body) = &mut rule.body {
        body.count_fields = vec![FieldRef::parse("v").unwrap()];
    }
    rules.iter_mut().for_each(|rule| rule.is_silent = true);
    rules.push(rule);
    Arc::new(RuleSet { rules })
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
    let set = rules(CorrelationKind::EventCount, &[0], &[(Comparison::Gte, 2.0)]);
    let mut engine = Engine::new(set, EngineSettings::default());
    // 10:00:00 is 00:00 of a bucket of 100 s. 190 and 210: the end lies in bucket 200. Then 150 comes: the end 190 lies in bucket 100.
    let out = feed(&mut engine, &[190, 210, 150]);
    assert_eq!(told(&out), ["150 x3", "190 x2 superseded"]);
    let gone = out.iter().find(|finding| finding.superseded_by.is_some()).unwrap();
    assert_eq!(gone.superseded_by, Some(out[out.len() - 2].id));
}

/// Later still, windows may move back to where they were: that alert is told to be new, so that it stands again.
#[test]
fn an_alert_that_was_superseded_may_stand_again() {
    let set = rules(CorrelationKind::EventCount, &[0], &[(Comparison::Gte, 2.0)]);
    let mut engine = Engine::new(set, EngineSettings::default());
    // 205 ends in bucket 200. With 150, bucket 100 takes it in. With 95, bucket 0 takes 150, and 203 begins anew in bucket 200.
    let out = feed(&mut engine, &[203, 205, 140, 150, 60, 95]);
    assert_eq!(told(&out), ["140 x4 superseded", "150 x3", "60 x4"]);
    let again: Vec<(bool, bool)> =
        out.iter().filter(|finding| finding.id == out[0].id).map(|finding| (finding.is_new, finding.superseded_by.is_some())).collect();
    assert_eq!(again, [(true, false), (false, true), (true, false)]);
}

#[test]
fn windows_are_half_open() {
    let check = |times: &[i64], expected: &[&str]| {
        let set = rules(CorrelationKind::EventCount, &[0], &[(Comparison::Gte, 3.0)]);
        assert_eq!(told(&feed(&mut Engine::new(set, EngineSettings::default()), times)), expected, "{times:?}");
    };
    check(&[0, 30, 59], &["0 x3"]);
    check(&[0, 30, 60], &[]);
    check(&[80, 40, 0], &[]);
}

#[test]
fn fewer_than_fires_once_the_window_has_passed() {
    let check = |bounds: &[(Comparison, f64)], times: &[i64], watermark: i64, expected: &[&str]| {
        let set = rules(CorrelationKind::EventCount, &[0], bounds);
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
    let set = rules(CorrelationKind::EventCount, &[0], &[(Comparison::Gte, 2.0)]);
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
    let set = rules(CorrelationKind::EventCount, &[0], &[(Comparison::Gte, 3.0)]);
    let mut engine = Engine::new(set, EngineSettings::default());
    let mut out = Vec::new();
    let json = r#"{"r0":1,"u":"busy","v":"1"}"#;
    let events: Vec<Event> = (0..20_000).map(|number| event(&format!("e{number}"), i64::from(number) * 1_000_000, json)).collect();
    for batch in events.chunks(1000) {
        engine.process(batch, &mut out);
    }
    assert_eq!(out.last().map(|finding| (finding.count, finding.events.len(), finding.steps.len())), Some((20_000, 100, 20)));
}

/// Events by time in seconds, rules (bits) and value. The watermark comes to `watermark`, lateness being 10 s.
fn run(set: &Arc<RuleSet>, events: &[(i64, u8, u8)], watermark: i64) -> Vec<Finding> {
    let mut engine = Engine::new(Arc::clone(set), EngineSettings::default());
    assert_eq!(engine.refused(), []);
    let mut out = Vec::new();
    for (number, (at, rules, value)) in events.iter().enumerate() {
        let short = Short { at: *at, rules: *rules, act: u8::try_from(number).unwrap(), value: *value };
        engine.process(&[build(short, number)], &mut out);
    }
    engine.advance(&Watermarks::everywhere(Timestamp::from_nanos(TEN + watermark * SECOND), Duration::seconds(10)), &mut out);
    out
}

#[test]
fn numbers_are_summed_at_once_and_averaged_when_the_window_has_closed() {
    let check = |kind, bounds: &[(Comparison, f64)], values: &[(i64, u8)], watermark: i64, expected: &[&str]| {
        let events: Vec<(i64, u8, u8)> = values.iter().map(|(at, value)| (*at, 1, *value)).collect();
        assert_eq!(told(&run(&rules(kind, &[0], bounds), &events, watermark)), expected, "{kind:?} {bounds:?} {values:?} at {watermark}");
    };
    let ten = [(Comparison::Gt, 10.0)];
    check(CorrelationKind::ValueSum, &ten, &[(0, 4), (30, 6)], 30, &[]);
    check(CorrelationKind::ValueSum, &ten, &[(0, 4), (30, 7)], 30, &["0 x2"]);
    check(CorrelationKind::ValueSum, &ten, &[(0, 4), (60, 7)], 60, &[]);
    check(CorrelationKind::ValueAvg, &ten, &[(0, 20), (30, 1)], 69, &[]);
    check(CorrelationKind::ValueAvg, &ten, &[(0, 20), (30, 1)], 70, &["0 x2"]);
    check(CorrelationKind::ValueAvg, &ten, &[(0, 20), (30, 1), (40, 1)], 70, &[]);
    check(CorrelationKind::ValueMedian, &ten, &[(0, 1), (30, 11), (40, 200)], 70, &["0 x3"]);
    check(CorrelationKind::ValuePercentile, &[(Comparison::Lte, 6.0)], &[(0, 1), (30, 11)], 70, &["0 x2"]);
    check(CorrelationKind::ValuePercentile, &[(Comparison::Lt, 6.0)], &[(0, 1), (30, 11)], 70, &[]);
}

#[test]
fn a_number_below_nothing_that_comes_late_takes_back_what_stood_on_the_sum() {
    let set = rules(CorrelationKind::ValueSum, &[0], &[(Comparison::Gte, 10.0)]);
    let mut engine = Engine::new(set, EngineSettings::default());
    let mut out = Vec::new();
    let paid = |name: &str, at: i64, value: &str| event(name, at * SECOND, &format!(r#"{{"r0":1,"u":"alice","v":{value}}}"#));
    engine.process(&[paid("a", 0, "6"), paid("b", 20, "[3, \"1.5\"]")], &mut out);
    assert_eq!(told(&out), ["0 x2"]);
    engine.process(&[paid("c", 10, "-1.25"), paid("d", 20, "\"none\"")], &mut out);
    assert_eq!(told(&out), ["0 x2 superseded"]);
    engine.process(&[paid("e", 30, "0.75")], &mut out);
    assert_eq!(told(&out), ["0 x4"]);
}

#[test]
fn what_is_ruled_out_is_waited_for() {
    let check = |kind, wanted: usize, unwanted: usize, events: &[(i64, u8, u8)], watermark: i64, expected: &[&str]| {
        let mut rule = correlation("c", kind, &[0, 1], &["u"], SPAN, &[]);
        if let Body::Correlation(body) = &mut rule.body {
            let not = Condition::Not(Box::new(Condition::Selection(unwanted)));
            body.condition = Some(Condition::And(vec![Condition::Selection(wanted), not]));
        }
        assert_eq!(told(&run(&over(rule), events, watermark)), expected, "{kind:?} {wanted} and not {unwanted}: {events:?} at {watermark}");
    };
    let (exec, shell) = (1, 2);
    let either = CorrelationKind::Temporal;
    check(either, 0, 1, &[(0, exec, 0)], 69, &[]);
    check(either, 0, 1, &[(0, exec, 0)], 70, &["0 x1"]);
    check(either, 0, 1, &[(0, exec, 0), (30, shell, 0)], 500, &[]);
    check(either, 0, 1, &[(0, exec, 0), (60, shell, 0)], 500, &["0 x1"]);
    check(either, 0, 1, &[(30, shell, 0), (0, exec, 0)], 500, &[]);
    check(either, 0, 1, &[(0, shell, 0), (30, exec, 0)], 500, &[]);
    check(either, 0, 1, &[(0, shell, 0), (30, exec, 0), (70, exec, 0)], 500, &["30 x2"]);
    let ordered = CorrelationKind::TemporalOrdered;
    // No shell after the exec; then, no exec before the shell.
    check(ordered, 0, 1, &[(0, shell, 0), (30, exec, 0)], 500, &["0 x2"]);
    check(ordered, 0, 1, &[(0, exec, 0), (30, shell, 0)], 500, &[]);
    check(ordered, 1, 0, &[(0, exec, 0), (30, shell, 0)], 500, &[]);
    check(ordered, 1, 0, &[(30, shell, 0), (40, exec, 0)], 500, &["30 x1"]);
}

#[test]
fn an_entry_that_comes_before_one_that_went_counts_with_those_before_it() {
    // The alert below at 100 goes; then another appears at 50, which shares a window with the one at 0.
    let mut rules: Vec<Rule> = vec![simple("r0", &["r0: 1"])];
    rules.push(correlation("sum", CorrelationKind::ValueSum, &[0], &["u"], SPAN, &[(Comparison::Gte, 10.0)]));
    rules.push(correlation("users", CorrelationKind::EventCount, &[1], &[], 60, &[(Comparison::Gte, 2.0)]));
    rules.iter_mut().take(2).for_each(|rule| rule.is_silent = true);
    if let Body::Correlation(body) = &mut rules[1].body {
        body.count_fields = vec![FieldRef::parse("v").unwrap()];
    }
    let mut engine = Engine::new(Arc::new(RuleSet { rules }), EngineSettings::default());
    let mut out = Vec::new();
    let paid =
        |user: &str, at: i64, value: i64| event(&format!("{user}{at}{value}"), at * SECOND, &format!(r#"{{"r0":1,"u":"{user}","v":{value}}}"#));
    for event in [paid("alice", 0, 10), paid("bob", 100, 10), paid("bob", 99, -10), paid("carol", 50, 10)] {
        engine.process(&[event], &mut out);
    }
    assert_eq!(told(&out), ["0 x2"]);
}

#[test]
fn a_condition_over_rules_is_explained() {
    let mut rule = correlation("c", CorrelationKind::Temporal, &[0, 1, 2], &["u"], SPAN, &[]);
    if let Body::Correlation(body) = &mut rule.body {
        let any = Condition::Or(vec![Condition::Selection(0), Condition::Selection(2)]);
        body.condition = Some(Condition::And(vec![any, Condition::Not(Box::new(Condition::Selection(1)))]));
    }
    let told = Engine::new(over(rule), EngineSettings::default()).explain(3).unwrap().to_string();
    assert!(told.contains(": (`title of r0` or `title of r2`) and not `title of r1`\n"), "{told}");
}
/// One payload of very many acts of one user must not cost the square of them.
#[test]
fn acts_are_looked_up_in_a_table_within_a_batch() {
    let set = rules(CorrelationKind::EventCount, &[0], &[(Comparison::Gte, 1e6)]);
    let plan = Plan::new(&set.rules[3], &ValueKey::default()).unwrap();
    let (mut correlator, (mut matcher, _), mut witnesses) = (Correlator::new(plan, 3, 0), Matcher::new(&set), Witnesses::default());
    for number in 0..100_i64 {
        let event = event(&format!("e{number}"), number, r#"{"r0":1,"u":"alice"}"#);
        let (name, values) = correlator.counts(&event, 0).unwrap();
        matcher.find(&event, &mut Vec::new());
        let witness = witnesses.of_event((0, &set.rules[0].header), &event, &mut matcher, &[]);
        let (time, id, act) = (event.time.nanos(), event.id, ValueKey::default().act(&event.act));
        correlator.arrive(name, 0, 0, Entry { time, id, act, rule: 0, is_late: false, is_clamped: false, is_end: false, values, witness });
        correlator.take_in(&[event], &mut |_, _| {});
    }
    let group = correlator.groups[0].as_ref().unwrap();
    assert!(group.len() == 100 && group.acts_bytes() > 0, "{} entries and no table", group.len());
}
