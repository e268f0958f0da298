//! The engine beside the model: events in short, given to both.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Row, SECOND, Spec, Told, alerts};
use crate::detect::correlate::{EVENTS_MAX, alert_id};
use crate::detect::draw::{nothing, rule};
use crate::detect::engine::{Engine, EngineSettings};
use crate::detect::rule::{Body, Condition, Correlation, Detection, GroupField, Item, Part, Pattern, Place, Rule, RuleSet, Selection, Test};
use crate::detect::watermark::Watermarks;
use crate::model::{ActId, AlertId, ClusterId, Duration, Event, EventId, FieldRef, Finding, GroupKey, Limits, Parser, RuleType, TenantId, Timestamp};

/// Seconds that an event may come late.
pub(in crate::detect::correlate) const LATENESS: i64 = 120;
/// Single rules, before the correlations.
pub(in crate::detect::correlate) const SINGLES: usize = 3;

/// Nanoseconds of 2026-01-01T10:00:00Z.
const TEN: i64 = 1_767_261_600 * SECOND;
/// Seconds after it when all has long been judged.
const END: i64 = 1_000_000;

/// What `v` may be: as JSON, as texts, and the numbers among these in tenths.
pub(in crate::detect::correlate) const VALUES: [(&str, &[&str], &[i64]); 14] = [
    ("1", &["1"], &[10]),
    ("\"2.5\"", &["2.5"], &[25]),
    ("[3,-1]", &["3", "-1"], &[30, -10]),
    ("-4", &["-4"], &[-40]),
    ("\"x\"", &["x"], &[]),
    ("0.1", &["0.1"], &[1]),
    ("[\"1\",\"y\"]", &["1", "y"], &[10]),
    ("null", &[], &[]),
    ("[]", &[], &[]),
    ("[2,2,2]", &["2", "2", "2"], &[20, 20, 20]),
    ("0", &["0"], &[0]),
    ("\"1.0\"", &["1.0"], &[10]),
    ("[null,-0.5]", &["-0.5"], &[-5]),
    ("100000000.5", &["100000000.5"], &[1_000_000_005]),
];

/// What `u` may be; one is missing. The first counts as a group.
const USERS: [(&str, &[&str]); 6] = [
    ("\"alice\"", &["alice"]),
    ("\"bob\"", &["bob"]),
    ("", &[]),
    ("\"Alice\"", &["Alice"]),
    ("[\"bob\",\"alice\"]", &["bob", "alice"]),
    ("\"\"", &[""]),
];

/// What `w` may be.
const HOSTS: [(&str, &[&str]); 3] = [("\"h\"", &["h"]), ("7", &["7"]), ("", &[])];

/// An event in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::detect::correlate) struct Short {
    /// Seconds after 10:00.
    pub(in crate::detect::correlate) at: i64,
    /// The single rules that it matches, as bits.
    pub(in crate::detect::correlate) rules: u8,
    /// Its act; the stages of one lie within a few seconds.
    pub(in crate::detect::correlate) act: u8,
    pub(in crate::detect::correlate) user: usize,
    pub(in crate::detect::correlate) host: usize,
    pub(in crate::detect::correlate) value: usize,
}

impl Short {
    /// A field as JSON, as texts, and the numbers among these in tenths.
    fn field(self, name: &str) -> (&'static str, &'static [&'static str], &'static [i64]) {
        match name {
            "u" => {
                let (json, texts) = USERS[self.user % USERS.len()];
                (json, texts, &[])
            }
            "w" => {
                let (json, texts) = HOSTS[self.host % HOSTS.len()];
                (json, texts, &[])
            }
            _ => VALUES[self.value % VALUES.len()],
        }
    }

    fn event(self, number: usize) -> Event {
        let fields = ["u", "w", "v"].iter().map(|name| (*name, self.field(name).0)).filter(|(_, json)| !json.is_empty());
        let mut members: Vec<String> = fields.map(|(name, json)| format!(r#""{name}":{json}"#)).collect();
        members.extend((0..SINGLES).map(|at| format!(r#""r{at}":{}"#, self.rules >> at & 1)));
        let doc = Parser::new(Limits::default()).parse(format!("{{{}}}", members.join(",")).as_bytes(), None);
        let mut hasher = blake3::Hasher::new();
        hasher.update(&number.to_le_bytes());
        Event {
            id: EventId::of(&hasher),
            act: ActId([self.act; 16]),
            doc: doc.expect("what was written as JSON is JSON"),
            ..nothing(Timestamp::from_nanos(TEN + self.at * SECOND))
        }
    }

    /// The distinct values that it adds to a count over these fields; of several every combination.
    fn texts(self, counted: &[&'static str]) -> Vec<String> {
        let mut combined = vec![String::new()];
        for name in counted {
            let (_, texts, _) = self.field(name);
            combined = combined.iter().flat_map(|so_far| texts.iter().map(move |text| format!("{so_far}\u{1}{text}"))).collect();
        }
        combined
    }
}

/// How events come in.
#[derive(Debug, Clone)]
pub(in crate::detect::correlate) struct Delivery {
    /// Events by number and when they arrive, in seconds after 10:00, in order; some of them again.
    pub(in crate::detect::correlate) arrivals: Vec<(i64, usize)>,
    /// How many come at once, batch by batch, and over again.
    pub(in crate::detect::correlate) batches: Vec<usize>,
    /// How far the watermark stays behind the newest event, in seconds, batch by batch, and over again.
    pub(in crate::detect::correlate) behind: Vec<i64>,
    pub(in crate::detect::correlate) is_finite: bool,
}

/// Asserts that whatever way the events come in, the engine tells what the model does.
pub(in crate::detect::correlate) fn check(specs: &[Spec], shorts: &[Short], deliveries: &[Delivery]) {
    let set = rule_set(specs);
    let known = events(shorts);
    let expected = expected(specs, &known);
    let refused: Vec<usize> = specs.iter().enumerate().filter(|(_, spec)| spec.is_refused).map(|(at, _)| at + SINGLES).collect();
    let mut sorted: Vec<usize> = (0..known.len()).collect();
    sorted.sort_by_key(|at| (known[*at].1.time, known[*at].1.id));
    let arrivals = sorted.into_iter().map(|number| (0, number)).collect();
    let plain = run(&set, &known, &Delivery { arrivals, batches: vec![usize::MAX], behind: Vec::new(), is_finite: true }, &refused);
    for delivery in deliveries {
        let found = run(&set, &known, delivery, &refused);
        for (id, content) in &expected {
            let told = found.get(id).map(|finding| (finding.first.nanos(), finding.last.nanos(), finding.count, finding.events.clone()));
            assert_eq!(told.as_ref(), Some(content), "{id:?} is missing or differs: {specs:#?} {shorts:#?} {delivery:?}");
        }
        for (id, finding) in &found {
            assert!(expected.contains_key(id), "{id:?} should not be: {finding:#?} {specs:#?} {shorts:#?} {delivery:?}");
            // Steps, entities and all the rest too.
            assert_eq!(Some(finding), plain.get(id), "{id:?} hangs on how events came in: {specs:#?} {shorts:#?} {delivery:?}");
        }
    }
}

pub(super) fn events(shorts: &[Short]) -> Vec<(Short, Event)> {
    shorts.iter().enumerate().map(|(number, short)| (*short, short.event(number))).collect()
}

fn native(name: &str) -> FieldRef {
    FieldRef::parse(name).expect("any name is native")
}

/// A rule that matches where this field is 1.
fn single(id: &str) -> Rule {
    let pattern = Pattern { parts: vec![Part::Text("1".to_owned())], place: Place::Whole };
    let item = Item { field: native(id), tests: vec![Test::Text { pattern, cased: false }], all: false, negated: false };
    let selections = vec![("s".to_owned(), Selection::All(vec![item]))];
    let detection = Detection { selections, condition: Condition::Selection(0), filters: Vec::new() };
    Rule { is_silent: id != "r0", ..rule(id, RuleType::Single, Body::Single(detection)) }
}

fn id_of_rule(at: usize, specs: &[Spec]) -> String {
    match at.checked_sub(SINGLES).and_then(|at| specs.get(at)) {
        Some(spec) => format!("c{at} {}", spec.name),
        None => format!("r{at}"),
    }
}

fn rule_set(specs: &[Spec]) -> Arc<RuleSet> {
    let mut rules: Vec<Rule> = (0..SINGLES).map(|at| single(&id_of_rule(at, specs))).collect();
    rules[0].extras.group_by = Some(vec![native("u")]);
    rules[0].extras.group_window = Some(Duration::seconds(lone().bucket));
    for spec in specs {
        let Some(kind) = spec.kind else { continue };
        let group_by = spec.by.iter().map(|name| GroupField { name: Arc::from(*name), fields: vec![native(name); spec.rules.len()] });
        let body = Correlation {
            kind,
            rules: spec.rules.clone(),
            group_by: group_by.collect(),
            timespan: Duration::seconds(spec.span),
            bounds: spec.bounds.clone(),
            count_fields: spec.counted.iter().map(|name| native(name)).collect(),
            percentile: spec.percentile as f64,
            condition: spec.condition.clone(),
        };
        let mut rule = rule(&id_of_rule(rules.len(), specs), kind.rule_type(), Body::Correlation(body));
        rule.extras.group_window = Some(Duration::seconds(spec.bucket));
        rule.is_silent = spec.is_silent;
        rules.push(rule);
    }
    Arc::new(RuleSet { rules })
}

/// The single rule that raises alerts.
fn lone() -> Spec {
    Spec {
        name: "single",
        kind: None,
        rules: vec![0],
        by: vec!["u"],
        span: 0,
        bucket: 100,
        bounds: Vec::new(),
        percentile: 50,
        counted: Vec::new(),
        condition: None,
        ways: Vec::new(),
        is_refused: false,
        is_silent: false,
    }
}

/// By rule id and alert id: first, last, count, events.
type Content = (i64, i64, u64, Vec<EventId>);

/// What is to be told of rules that are not silent.
pub(super) fn expected(specs: &[Spec], events: &[(Short, Event)]) -> BTreeMap<(String, AlertId), Content> {
    let mut all: Vec<Vec<Told>> = Vec::new();
    let mut expected = BTreeMap::new();
    let mut tell = |rule: usize, all: &[Told]| {
        for told in all {
            let id = id_of_rule(rule, specs);
            let events = told.events.iter().map(|(_, id)| *id).take(EVENTS_MAX).collect();
            expected.insert((id.clone(), id_of(&id, told)), (told.first, told.last, told.count as u64, events));
        }
    };
    let lone = lone();
    let rows: Vec<Row> = events.iter().filter(|(short, _)| short.rules & 1 == 1).map(|event| row_of(event, &lone, 0)).collect();
    tell(0, &alerts(&lone, &rows));
    for (at, spec) in specs.iter().enumerate() {
        let mut rows: Vec<Row> = Vec::new();
        for (position, below) in (0_u16..).zip(&spec.rules) {
            if let Some(inner) = below.checked_sub(SINGLES) {
                rows.extend(all[inner].iter().map(|told| row_of_alert(&id_of_rule(*below, specs), told, spec, position)));
            } else {
                let matching = events.iter().filter(|(short, _)| short.rules >> below & 1 == 1);
                rows.extend(matching.map(|event| row_of(event, spec, position)));
            }
        }
        let told = if spec.is_refused { Vec::new() } else { alerts(spec, &rows) };
        if !spec.is_silent {
            tell(SINGLES + at, &told);
        }
        all.push(told);
    }
    expected
}

fn id_of(rule: &str, told: &Told) -> AlertId {
    let key: GroupKey = told.group.iter().map(|(name, value)| (Arc::from(*name), value.as_deref().map(Arc::from))).collect();
    alert_id(&TenantId::default(), &ClusterId::default(), rule, &key, &told.bucket.to_le_bytes())
}

/// What matched a rule, as a row for a rule above it.
fn row_of((short, event): &(Short, Event), spec: &Spec, rule: u16) -> Row {
    let time = event.time.nanos();
    Row {
        time,
        id: event.id,
        act: event.act,
        rule,
        values: ["u", "w"].iter().filter_map(|name| Some((*name, (*short.field(name).1.first()?).to_owned()))).collect(),
        texts: short.texts(&spec.counted),
        tenths: short.field(spec.counted.first().copied().unwrap_or_default()).2.to_vec(),
        first: time,
        last: time,
        events: vec![(time, event.id)],
    }
}

/// The same of an alert, which has no values but those of its group.
fn row_of_alert(rule: &str, told: &Told, spec: &Spec, position: u16) -> Row {
    let id = id_of(rule, told);
    let values: BTreeMap<&'static str, String> = told.group.iter().filter_map(|(name, value)| Some((*name, value.clone()?))).collect();
    let texts: Option<Vec<&str>> = spec.counted.iter().map(|name| values.get(name).map(String::as_str)).collect();
    Row {
        time: told.anchor,
        id: EventId(id.0),
        act: ActId(id.0),
        rule: position,
        texts: texts.iter().map(|texts| texts.iter().map(|text| format!("\u{1}{text}")).collect()).collect(),
        values,
        tenths: Vec::new(),
        first: told.first,
        last: told.last,
        events: told.events.clone(),
    }
}

type Findings = BTreeMap<(String, AlertId), Finding>;

fn run(set: &Arc<RuleSet>, events: &[(Short, Event)], delivery: &Delivery, refused: &[usize]) -> Findings {
    let lateness = Duration::seconds(LATENESS);
    let everywhere = |nanos: i64| Watermarks::everywhere(Timestamp::from_nanos(nanos), lateness);
    let is_finite = delivery.is_finite;
    let mut engine = Engine::new(Arc::clone(set), EngineSettings { is_finite, ..EngineSettings::default() });
    let unfit: BTreeSet<usize> = engine.refused().iter().map(|refused| refused.rule).collect();
    assert!(unfit.iter().eq(refused), "{:?} {refused:?} {:#?}", engine.refused(), set.rules);
    let mut given: Vec<Event> = delivery.arrivals.iter().map(|(_, number)| events[*number].1.clone()).collect();
    let mut out = Vec::new();
    let mut newest = i64::MIN;
    let mut batches = delivery.batches.iter().cycle();
    let mut behind = delivery.behind.iter().cycle();
    while !given.is_empty() {
        let many = batches.next().copied().unwrap_or(1).clamp(1, given.len());
        let batch: Vec<Event> = given.drain(..many).collect();
        engine.process(&batch, &mut out);
        newest = batch.iter().map(|event| event.time.nanos()).fold(newest, i64::max);
        engine.advance(&everywhere(newest - behind.next().copied().unwrap_or_default() * SECOND), &mut out);
    }
    if is_finite {
        assert!(out.is_empty(), "a finite replay tells all at its end");
        engine.finish(&mut out);
    } else {
        engine.advance(&everywhere(TEN + END * SECOND), &mut out);
    }
    // The last word on each alert that is not superseded.
    let mut last = Findings::new();
    for finding in out {
        assert!(!finding.late, "nothing came too late: {finding:?}");
        // In how many steps it came to this hangs on the delivery.
        last.insert((finding.rule.id.clone(), finding.id), Finding { is_new: false, ..finding });
    }
    last.retain(|_, finding| finding.superseded_by.is_none());
    last
}
