//! Rules and events of a few words, for tests.

use std::sync::Arc;

use super::rule::{
    Body, Comparison, Condition, Correlation, CorrelationKind, Detection, Extras, GroupField, Item, LogSource, Part, Pattern, Place, Rule, RuleSet,
    Selection, Test,
};
use crate::model::{
    ActId, ClusterId, Duration, EnvelopeKind, Event, EventId, Facts, Field, FieldRef, Kind, Level, Limits, Origin, Parser, Position, RuleHeader,
    RuleType, SourceId, TenantId, Timestamp,
};

/// `*` and `?` are wildcards.
pub(super) fn pattern(text: &str, place: Place) -> Pattern {
    let mut parts = Vec::new();
    for c in text.chars() {
        match (c, parts.last_mut()) {
            ('*', _) => parts.push(Part::Many),
            ('?', _) => parts.push(Part::One),
            (c, Some(Part::Text(text))) => text.push(c),
            (c, _) => parts.push(Part::Text(c.to_string())),
        }
    }
    Pattern { parts, place }
}

/// `field|modifiers: value, value`, as Sigma writes it, in one line.
pub(super) fn item(spec: &str) -> Item {
    let (name, values) = spec.split_once(": ").unwrap_or((spec, ""));
    let mut name = name.split('|');
    let field = FieldRef::parse(name.next().unwrap()).unwrap();
    let mods: Vec<&str> = name.collect();
    let has = |wanted: &str| mods.contains(&wanted);
    let place = if has("contains") {
        Place::Anywhere
    } else if has("startswith") {
        Place::Start
    } else if has("endswith") {
        Place::End
    } else {
        Place::Whole
    };
    let comparison = [("lt", Comparison::Lt), ("lte", Comparison::Lte), ("gt", Comparison::Gt), ("gte", Comparison::Gte), ("num", Comparison::Eq)]
        .into_iter()
        .find(|(name, _)| has(name))
        .map(|(_, op)| op);
    let test = |value: &str| match comparison {
        Some(op) => Test::Number { op, value: value.parse().unwrap() },
        None if has("re") => Test::Regex { pattern: value.to_owned(), ignore_case: has("i"), multi_line: has("m"), dot_all: has("s") },
        None if has("cidr") => Test::Cidr { text: value.to_owned() },
        None if has("exists") => Test::Exists(value == "true"),
        None if has("null") => Test::Null,
        None if has("fieldref") => Test::FieldRef { other: FieldRef::parse(value).unwrap(), place, cased: has("cased") },
        None => Test::Text { pattern: pattern(value, place), cased: has("cased") },
    };
    let tests = if has("re") { vec![test(values)] } else { values.split(", ").map(test).collect() };
    Item { field, tests, all: has("all"), negated: has("neq") }
}

pub(super) fn header(id: &str, kind: RuleType) -> Arc<RuleHeader> {
    Arc::new(RuleHeader {
        id: id.to_owned(),
        title: format!("title of {id}"),
        author: None,
        level: Level::High,
        tags: Vec::new(),
        kind,
        runbook: None,
    })
}

fn rule(id: &str, kind: RuleType, body: Body) -> Rule {
    Rule {
        header: header(id, kind),
        name: None,
        description: None,
        references: Vec::new(),
        false_positives: Vec::new(),
        status: None,
        file: Arc::from("test.yml"),
        line: 1,
        logsource: LogSource::Any,
        body,
        extras: Extras::default(),
        is_silent: false,
    }
}

/// A single rule over selections of items.
pub(super) fn single(id: &str, selections: Vec<Selection>, condition: Condition) -> Rule {
    let selections = selections.into_iter().enumerate().map(|(at, selection)| (format!("s{at}"), selection)).collect();
    rule(id, RuleType::Single, Body::Single(Detection { selections, condition, filters: Vec::new() }))
}

/// A single rule of one selection, every item of which must hold.
pub(super) fn simple(id: &str, items: &[&str]) -> Rule {
    single(id, vec![Selection::All(items.iter().map(|spec| item(spec)).collect())], Condition::Selection(0))
}

/// A correlation of the rules with these indices, grouped by native fields.
pub(super) fn correlation(id: &str, kind: CorrelationKind, rules: &[usize], by: &[&str], seconds: i64, bounds: &[(Comparison, f64)]) -> Rule {
    let group_by = by.iter().map(|name| GroupField { name: Arc::from(*name), fields: vec![FieldRef::parse(name).unwrap(); rules.len()] }).collect();
    let body = Correlation {
        kind,
        rules: rules.to_vec(),
        group_by,
        timespan: Duration::seconds(seconds),
        bounds: bounds.to_vec(),
        count_fields: Vec::new(),
        percentile: 50.0,
        condition: None,
    };
    rule(id, kind.rule_type(), Body::Correlation(body))
}

/// Rules that others refer to raise no alert of their own.
pub(super) fn set(mut rules: Vec<Rule>) -> Arc<RuleSet> {
    let referred: Vec<usize> = rules
        .iter()
        .filter_map(|rule| match &rule.body {
            Body::Correlation(correlation) => Some(correlation.rules.clone()),
            Body::Single(_) => None,
        })
        .flatten()
        .collect();
    referred.into_iter().for_each(|at| rules[at].is_silent = true);
    Arc::new(RuleSet { rules })
}

/// Nanoseconds of 2026-01-01T10:00:00Z.
pub(crate) const TEN: i64 = 1_767_261_600_000_000_000;

/// An event of this JSON at 10:00 plus so many nanoseconds; its id is the hash of `name`, and it is an act of its own.
pub(crate) fn event(name: &str, nanos: i64, json: &str) -> Event {
    let time = Timestamp::from_nanos(TEN + nanos);
    let hash = |text: &str| {
        let mut hasher = blake3::Hasher::new();
        hasher.update(text.as_bytes());
        hasher
    };
    let doc = Parser::new(Limits::default()).parse(json.as_bytes(), None).unwrap();
    let mut facts = Facts::default();
    facts.push_text(Field::Cluster, "default");
    let origin = Origin {
        tenant: TenantId::default(),
        cluster: ClusterId::default(),
        source: SourceId::from("test"),
        partition: "p".into(),
        object: Arc::from("o"),
        received: time,
    };
    Event {
        id: EventId::of(&hash(name)),
        act: ActId::of(&hash(name)),
        kind: Kind::K8sAudit,
        envelope: EnvelopeKind::Native,
        tenant: TenantId::default(),
        cluster: ClusterId::default(),
        time,
        origin: Arc::new(origin),
        position: Position(0),
        offset: 0,
        wrapped: Default::default(),
        facts,
        doc,
    }
}

/// The same event, received at 10:00 plus so many seconds.
pub(super) fn received(mut event: Event, seconds: i64) -> Event {
    let mut origin = (*event.origin).clone();
    origin.received = Timestamp::from_nanos(TEN + seconds * 1_000_000_000);
    event.origin = Arc::new(origin);
    event
}

/// The same event as a stage of this act.
pub(super) fn of_act(mut event: Event, act: u8) -> Event {
    event.act = ActId([act; 16]);
    event
}

/// The same event with a fact.
pub(super) fn with(mut event: Event, field: Field, text: &str) -> Event {
    event.facts.push_text(field, text);
    event.facts.seal();
    event
}
