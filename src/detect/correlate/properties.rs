//! Every type against the model: whatever the order, the batches, the repetitions and the watermarks, the alerts are the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::model::{Row, SECOND, Spec, Told, Ways, alerts};
use crate::detect::engine::{Engine, EngineSettings};
use crate::detect::rule::{Body, Comparison, Condition, CorrelationKind, Rule, RuleSet};
use crate::detect::sample::{TEN, correlation, event, of_act, simple};
use crate::detect::watermark::Watermarks;
use crate::model::{AlertId, ClusterId, Duration, Event, EventId, FieldRef, Finding, GroupKey, TenantId, Timestamp};

const BUCKET: i64 = 100;
/// Seconds that an event may come late.
const LATENESS: i64 = 120;
/// Single rules, before the correlations.
const SINGLES: usize = 3;

/// What `v` may be: as JSON, as texts, and the numbers among these in tenths.
const VALUES: [(&str, &[&str], &[i64]); 7] = [
    ("1", &["1"], &[10]),
    ("\"2.5\"", &["2.5"], &[25]),
    ("[3,-1]", &["3", "-1"], &[30, -10]),
    ("-4", &["-4"], &[-40]),
    ("\"x\"", &["x"], &[]),
    ("0.1", &["0.1"], &[1]),
    ("[\"1\",\"y\"]", &["1", "y"], &[10]),
];

/// An event in short: seconds after 10:00, the rules it matches (bits), its act, a user, a value, and for how long it is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Short {
    at: i64,
    rules: u8,
    act: u8,
    user: u8,
    value: usize,
    delay: i64,
}

fn user(short: Short) -> &'static str {
    ["alice", "bob", ""][usize::from(short.user) % 3]
}

fn build(short: Short, number: usize) -> Event {
    let user = Some(user(short)).filter(|user| !user.is_empty()).map_or_else(String::new, |user| format!(r#","u":"{user}""#));
    let rule = |at: u8| short.rules >> at & 1;
    let json = format!(r#"{{"r0":{},"r1":{},"r2":{}{user},"v":{}}}"#, rule(0), rule(1), rule(2), VALUES[short.value].0);
    of_act(event(&format!("e{number}"), short.at * SECOND, &json), short.act)
}

/// The conditions of the ways below are written out here, so that nothing is held against itself.
fn conditions() -> Vec<(Condition, Ways)> {
    use Condition::{And, AtLeast, Or, Selection as S};
    let not = |at: usize| Condition::Not(Box::new(S(at)));
    vec![
        (And(vec![Or(vec![S(0), S(1)]), S(2)]), vec![(vec![0, 2], vec![]), (vec![1, 2], vec![])]),
        (AtLeast(2, vec![S(0), S(1), S(2)]), vec![(vec![0, 1], vec![]), (vec![0, 2], vec![]), (vec![1, 2], vec![])]),
        (And(vec![S(0), S(2), not(1)]), vec![(vec![0, 2], vec![1])]),
        (And(vec![S(0), not(1), not(2)]), vec![(vec![0], vec![1, 2])]),
        (And(vec![S(2), not(0)]), vec![(vec![2], vec![0])]),
        (Or(vec![S(1), And(vec![S(0), not(2)])]), vec![(vec![1], vec![]), (vec![0], vec![2])]),
    ]
}

fn spec(kind: CorrelationKind, rules: &[usize], bounds: &[(Comparison, f64)], span: i64) -> Spec {
    Spec { name: "", kind: Some(kind), rules: rules.to_vec(), by: vec!["u"], span, bounds: bounds.to_vec(), percentile: 50, ways: Vec::new() }
}

/// Every type, then chains over them. `least` and `span` are what most of them ask for.
fn specs(least: i64, span: i64) -> Vec<(Spec, Option<Condition>)> {
    use Comparison::{Eq, Gt, Gte, Lt, Lte, Neq};
    use CorrelationKind as K;
    let n = least as f64;
    let mut specs: Vec<(Spec, Option<Condition>)> = Vec::new();
    let mut add = |name: &'static str, kind, rules: &[usize], bounds: &[(Comparison, f64)]| {
        specs.push((Spec { name, ..spec(kind, rules, bounds, span) }, None));
        specs.len() - 1 + SINGLES
    };
    let count = add("count", K::EventCount, &[0, 1], &[(Gte, n)]);
    let fewer = add("fewer", K::EventCount, &[0], &[(Lt, n)]);
    add("count range", K::EventCount, &[0, 2], &[(Gte, 2.0), (Lte, n)]);
    add("count equal", K::EventCount, &[1], &[(Eq, n)]);
    add("count unlike", K::EventCount, &[1], &[(Neq, n)]);
    add("values", K::ValueCount, &[0, 1], &[(Gte, n)]);
    add("values range", K::ValueCount, &[0, 1, 2], &[(Gt, 1.0), (Lt, n + 2.0)]);
    let sum = add("sum", K::ValueSum, &[0, 1], &[(Gte, n * 1.5)]);
    add("sum range", K::ValueSum, &[0], &[(Gt, -2.5), (Lt, n)]);
    add("sum below", K::ValueSum, &[0], &[(Lt, -0.5)]);
    add("average", K::ValueAvg, &[0, 1], &[(Gt, 1.0)]);
    add("average range", K::ValueAvg, &[0, 2], &[(Gte, -1.0), (Lte, n / 2.0)]);
    add("percentile", K::ValuePercentile, &[0, 1], &[(Gte, 2.0)]);
    add("median", K::ValueMedian, &[0, 1], &[(Lte, 1.0)]);
    let all = add("temporal", K::Temporal, &[0, 1, 2], &[]);
    add("temporal two", K::Temporal, &[0, 1, 2], &[(Gte, 2.0)]);
    add("temporal range", K::Temporal, &[0, 1, 2], &[(Gte, 2.0), (Lt, 3.0)]);
    let ordered = add("ordered", K::TemporalOrdered, &[0, 1, 2], &[]);
    add("ordered two", K::TemporalOrdered, &[0, 1, 2], &[(Gte, 2.0)]);
    add("ordered fewer", K::TemporalOrdered, &[0, 1, 2], &[(Lt, 3.0)]);
    let mut absent = Vec::new();
    for (condition, ways) in conditions() {
        for kind in [K::Temporal, K::TemporalOrdered] {
            let name = if kind == K::Temporal { "condition" } else { "ordered condition" };
            let is_absence = ways.iter().any(|(_, unwanted)| !unwanted.is_empty());
            absent.extend(is_absence.then_some(specs.len() + SINGLES));
            specs.push((Spec { name, ways: ways.clone(), ..spec(kind, &[0, 1, 2], &[], span) }, Some(condition.clone())));
        }
    }
    let mut over = |name: &'static str, kind, rules: &[usize], bounds: &[(Comparison, f64)], by: &[&'static str]| {
        specs.push((Spec { name, by: by.to_vec(), ..spec(kind, rules, bounds, span * 2) }, None));
        specs.len() - 1 + SINGLES
    };
    over("counts over", K::EventCount, &[count], &[(Gte, 2.0)], &[]);
    let high = over("then", K::TemporalOrdered, &[count, 2], &[], &["u"]);
    over("users over", K::ValueCount, &[sum, absent[0]], &[(Gte, 2.0)], &[]);
    over("fewer over", K::EventCount, &[absent[1], 0], &[(Lt, 3.0)], &["u"]);
    over("mixed over", K::Temporal, &[fewer, all, ordered], &[(Gte, 2.0)], &["u"]);
    over("high over", K::EventCount, &[high, fewer], &[(Gte, 2.0)], &[]);
    let ways = vec![(vec![0], vec![1])];
    let quiet = Condition::And(vec![Condition::Selection(0), Condition::Not(Box::new(Condition::Selection(1)))]);
    specs.push((Spec { name: "quiet over", ways, ..spec(K::Temporal, &[sum, all], &[], span) }, Some(quiet)));
    specs
}

fn rule_set(specs: &[(Spec, Option<Condition>)]) -> Arc<RuleSet> {
    let mut rules: Vec<Rule> = ["r0: 1", "r1: 1", "r2: 1"].iter().enumerate().map(|(at, spec)| simple(&format!("r{at}"), &[spec])).collect();
    rules.iter_mut().skip(1).for_each(|rule| rule.is_silent = true);
    rules[0].extras.group_by = Some(vec![FieldRef::parse("u").unwrap()]);
    for (at, (spec, condition)) in specs.iter().enumerate() {
        let mut rule = correlation(&format!("c{at} {}", spec.name), spec.kind.unwrap(), &spec.rules, &spec.by, spec.span, &spec.bounds);
        if let Body::Correlation(body) = &mut rule.body {
            body.condition.clone_from(condition);
            body.percentile = spec.percentile as f64;
            // Alerts have no values but those of their group.
            let counted = if spec.rules.iter().any(|rule| *rule >= SINGLES) { "u" } else { "v" };
            body.count_fields = vec![FieldRef::parse(counted).unwrap()];
        }
        rules.push(rule);
    }
    rules.iter_mut().for_each(|rule| rule.extras.group_window = Some(Duration::seconds(BUCKET)));
    Arc::new(RuleSet { rules })
}

/// What matched a rule, or the alerts of one, as rows for a rule above it.
fn rows_of(short: Short, event: &Event, rule: u16) -> Row {
    let mut values = BTreeMap::new();
    if !user(short).is_empty() {
        values.insert("u", user(short).to_owned());
    }
    let time = event.time.nanos();
    let (_, texts, tenths) = VALUES[short.value];
    Row {
        time,
        id: event.id,
        act: event.act,
        rule,
        values,
        texts: texts.to_vec(),
        tenths: tenths.to_vec(),
        first: time,
        last: time,
        events: vec![(time, event.id)],
    }
}

fn key_of(told: &Told) -> GroupKey {
    told.group.iter().map(|(name, value)| (Arc::from(*name), value.as_deref().map(Arc::from))).collect()
}

fn id_of(rule: &str, told: &Told) -> AlertId {
    super::alert_id(&TenantId::default(), &ClusterId::default(), rule, &key_of(told), &told.bucket.to_le_bytes())
}

/// By rule id and alert id: first, last, count, events.
type Content = (i64, i64, u64, Vec<EventId>);

fn expected(specs: &[(Spec, Option<Condition>)], set: &RuleSet, events: &[(Short, Event)]) -> BTreeMap<(String, AlertId), Content> {
    let mut all: Vec<Vec<Told>> = Vec::new();
    let mut expected = BTreeMap::new();
    let single = Spec { name: "", kind: None, rules: vec![0], by: vec!["u"], span: 0, bounds: Vec::new(), percentile: 0, ways: Vec::new() };
    let rows: Vec<Row> = events.iter().filter(|(short, _)| short.rules & 1 == 1).map(|(short, event)| rows_of(*short, event, 0)).collect();
    for told in alerts(&single, &rows, BUCKET) {
        expected.insert(("r0".to_owned(), id_of("r0", &told)), content(&told));
    }
    for (at, (spec, _)) in specs.iter().enumerate() {
        let mut rows: Vec<Row> = Vec::new();
        for (position, below) in (0_u16..).zip(&spec.rules) {
            if let Some(inner) = below.checked_sub(SINGLES) {
                rows.extend(all[inner].iter().map(|told| row_of_alert(&set.rules[*below].header.id, told, position)));
            } else {
                let matching = events.iter().filter(|(short, _)| short.rules >> below & 1 == 1);
                rows.extend(matching.map(|(short, event)| rows_of(*short, event, position)));
            }
        }
        let told = alerts(spec, &rows, BUCKET);
        for told in &told {
            let id = &set.rules[SINGLES + at].header.id;
            expected.insert((id.clone(), id_of(id, told)), content(told));
        }
        all.push(told);
    }
    expected
}

fn content(told: &Told) -> Content {
    (told.first, told.last, told.count as u64, told.events.iter().map(|(_, id)| *id).take(super::EVENTS_MAX).collect())
}

fn row_of_alert(rule: &str, told: &Told, position: u16) -> Row {
    let id = id_of(rule, told);
    Row {
        time: told.anchor,
        id: EventId(id.0),
        act: crate::model::ActId(id.0),
        rule: position,
        values: told.group.iter().filter_map(|(name, user)| Some((*name, user.clone()?))).collect(),
        // Of alerts only users are counted here.
        texts: told.group.iter().map(|(_, user)| if user.as_deref() == Some("alice") { "alice" } else { "bob" }).collect(),
        tenths: Vec::new(),
        first: told.first,
        last: told.last,
        events: told.events.clone(),
    }
}

type Findings = BTreeMap<(String, AlertId), Finding>;

/// The last word on each alert that is not superseded.
fn last_words(out: Vec<Finding>) -> Findings {
    let mut last = Findings::new();
    for finding in out {
        assert!(!finding.late, "{finding:?}");
        last.insert((finding.rule.id.clone(), finding.id), finding);
    }
    last.retain(|_, finding| finding.superseded_by.is_none());
    last
}

/// How events come in.
#[derive(Debug)]
struct Way {
    batch: usize,
    /// How far the watermark stays behind the newest event, in seconds, batch by batch.
    behind: Vec<i64>,
    is_finite: bool,
}

fn run(set: &Arc<RuleSet>, events: &[Event], way: &Way) -> Findings {
    let lateness = Duration::seconds(LATENESS);
    let everywhere = |nanos: i64| Watermarks::everywhere(Timestamp::from_nanos(nanos), lateness);
    let mut engine = Engine::new(Arc::clone(set), EngineSettings { is_finite: way.is_finite, ..EngineSettings::default() });
    assert_eq!(engine.refused(), []);
    let mut out = Vec::new();
    let mut newest = i64::MIN;
    for (number, batch) in events.chunks(way.batch).enumerate() {
        engine.process(batch, &mut out);
        newest = batch.iter().map(|event| event.time.nanos()).fold(newest, i64::max);
        let behind = way.behind.get(number % way.behind.len().max(1)).copied().unwrap_or_default();
        engine.advance(&everywhere(newest - behind * SECOND), &mut out);
    }
    if way.is_finite {
        assert!(out.is_empty());
        engine.finish(&mut out);
    } else {
        engine.advance(&everywhere(TEN + 1_000_000 * SECOND), &mut out);
    }
    last_words(out)
}

fn check(shorts: &[Short], again: &[(usize, i64)], way: &Way, least: i64, span: i64) -> Result<(), TestCaseError> {
    let specs = specs(least, span);
    let set = rule_set(&specs);
    let known: Vec<(Short, Event)> = shorts.iter().enumerate().map(|(number, short)| (*short, build(*short, number))).collect();
    // In the order they arrive, some of them twice.
    let mut given: Vec<(i64, usize)> = known.iter().enumerate().map(|(number, (short, _))| (short.at + short.delay, number)).collect();
    given.extend(again.iter().map(|(number, delay)| (known[number % known.len()].0.at + delay, number % known.len())));
    given.sort_unstable();
    let events: Vec<Event> = given.iter().map(|(_, number)| known[*number].1.clone()).collect();
    let expected = expected(&specs, &set, &known);
    let mut sorted: Vec<Event> = known.iter().map(|(_, event)| event.clone()).collect();
    sorted.sort_by_key(|event| (event.time, event.id));
    let plain = run(&set, &sorted, &Way { batch: sorted.len(), behind: Vec::new(), is_finite: true });
    for is_finite in [false, true] {
        let way = Way { is_finite, behind: way.behind.clone(), batch: way.batch };
        let found = run(&set, &events, &way);
        for (id, content) in &expected {
            let told = found.get(id).map(|finding| (finding.first.nanos(), finding.last.nanos(), finding.count, finding.events.clone()));
            prop_assert_eq!(told.as_ref(), Some(content), "{:?} is missing or differs (finite {})", id, is_finite);
        }
        for (id, finding) in &found {
            prop_assert!(expected.contains_key(id), "{:?} should not be (finite {})", id, is_finite);
            // Steps, entities and all the rest too.
            prop_assert_eq!(format!("{finding:?}"), format!("{:?}", plain[id]), "{:?} (finite {})", id, is_finite);
        }
    }
    Ok(())
}

/// The stages of an act lie within a few seconds.
fn shorts() -> impl Strategy<Value = Vec<Short>> {
    let short = (0_i64..80, 1_u8..8, 0_u8..2, 0_u8..7, 0..VALUES.len(), 0..LATENESS).prop_map(|(at, rules, stage, user, value, delay)| Short {
        at: at * 10 - 100 + i64::from(stage) * 3,
        rules,
        act: u8::try_from(at).unwrap(),
        user,
        value,
        delay,
    });
    prop::collection::vec(short, 1..40)
}

fn cases(usual: u32) -> ProptestConfig {
    let mut config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    // What PROPTEST_CASES says has been read, if it is there.
    if config.cases == 256 {
        config.cases = usual;
    }
    config
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn every_type_is_what_the_model_says(
        shorts in shorts(),
        again in prop::collection::vec((0_usize..1000, 0..LATENESS), 0..20),
        (batch, behind) in (1_usize..9, prop::collection::vec(0_i64..200, 1..6)),
        (least, is_long) in (1_i64..5, any::<bool>()),
    ) {
        let way = Way { batch, behind, is_finite: false };
        check(&shorts, &again, &way, least, if is_long { 150 } else { 60 })?;
    }
}
