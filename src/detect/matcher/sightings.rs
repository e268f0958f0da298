//! Which fields that rules read were ever there: a bit for each kind of event, by slot.

use std::collections::{HashMap, HashSet};

use super::Matcher;
use super::check::Check;
use super::compile::{Tables, kind_bit};
use crate::detect::needs;
use crate::detect::rule::{Body, LogSource, RuleSet};
use crate::model::{FieldRef, Kind};

/// Correlations that stand on one another, as far as they are followed.
const DEPTH_MAX: usize = 16;

/// A rule that can not hold on what was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blind {
    /// Index in the rule set.
    pub rule: usize,
    /// Names of the fields that it needs and that no event of its kind had.
    pub fields: Vec<String>,
    /// Events of its kind that were seen; of a correlation: of the step that saw most.
    pub events: u64,
}

/// What was seen since the rules were compiled.
#[derive(Debug, Default)]
pub(super) struct Sightings {
    /// By slot: a bit for each kind of event that had the field.
    pub(super) kinds: Vec<u16>,
    /// Events, by kind.
    pub(super) events: [u64; Kind::ALL.len()],
}

impl Sightings {
    pub(super) fn new(tables: &Tables) -> Self {
        Self { kinds: vec![0; tables.slots.len()], ..Self::default() }
    }

    fn events_of(&self, kinds: u16) -> u64 {
        Kind::ALL.iter().filter(|kind| kinds & kind_bit(**kind) != 0).map(|kind| self.events[*kind as usize]).sum()
    }
}

/// The kinds of events that a single rule is for.
fn kinds_of(set: &RuleSet, rule: usize) -> u16 {
    match set.rules.get(rule).map(|rule| &rule.logsource) {
        Some(LogSource::Any) => u16::MAX,
        Some(LogSource::Kind(kind)) => kind_bit(*kind),
        Some(LogSource::NotApplicable(_)) | None => 0,
    }
}

impl Matcher {
    /// The rules of its set that raise alerts and that can not hold on the events seen so far. Nothing is told of a kind without events.
    pub fn blind(&self, set: &RuleSet) -> Vec<Blind> {
        let slots: HashMap<&FieldRef, usize> =
            self.tables.slots.iter().enumerate().filter_map(|(at, slot)| Some((slot.field.as_ref()?, at))).collect();
        // A list whose elements are looked at is no leaf, so it may go unnoticed here.
        let lists: HashSet<usize> =
            self.tables.predicates.iter().filter(|told| matches!(told.check, Check::Elements(_))).map(|told| told.slot as usize).collect();
        let has = |rule: usize, field: &FieldRef| {
            let kinds = kinds_of(set, rule);
            let is_seen = |slot: &usize| self.sightings.kinds[*slot] & kinds != 0;
            self.sightings.events_of(kinds) == 0 || slots.get(field).is_none_or(|slot| lists.contains(slot) || is_seen(slot))
        };
        let shown = set.rules.iter().enumerate().filter(|(_, rule)| !rule.is_silent);
        shown
            .filter_map(|(rule, _)| {
                let missing = needs::missing(set, rule, &has);
                let fields = missing.into_iter().map(|field| field.name().to_owned()).collect::<Vec<_>>();
                (!fields.is_empty()).then(|| Blind { rule, fields, events: self.events_for(set, rule, 0) })
            })
            .collect()
    }

    fn events_for(&self, set: &RuleSet, rule: usize, depth: usize) -> u64 {
        match set.rules.get(rule).map(|rule| &rule.body) {
            Some(Body::Correlation(correlation)) if depth < DEPTH_MAX => {
                correlation.rules.iter().map(|step| self.events_for(set, *step, depth + 1)).max().unwrap_or_default()
            }
            _ => self.sightings.events_of(kinds_of(set, rule)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::rule::{CorrelationKind, Rule};
    use crate::detect::sample::{correlation, event, set, simple, with};
    use crate::detect::sigma::{self, Settings};
    use crate::model::{Event, Field};

    /// The rules that are blind: index, fields, events of their kind.
    #[track_caller]
    fn check(set: &RuleSet, events: &[Event], expected: &[&str]) {
        let (mut matcher, _) = Matcher::new(set);
        events.iter().for_each(|event| matcher.find(event, &mut Vec::new()));
        let told: Vec<String> =
            matcher.blind(set).iter().map(|blind| format!("{} {} {}", blind.rule, blind.fields.join(" "), blind.events)).collect();
        assert_eq!(told, expected);
    }

    fn get(rest: &str) -> Event {
        event("e", 0, &format!(r#"{{"verb":"get"{rest}}}"#))
    }

    #[test]
    fn a_rule_is_blind_until_its_fields_are_there() {
        let rules = || set(vec![simple("a", &["verb: get", "name: x"]), simple("b", &["verb: get", "name|neq: x"]), simple("c", &["k8s.verb: get"])]);
        check(&rules(), &[], &[]);
        check(&rules(), &[get("")], &["0 name 1", "2 k8s.verb 1"]);
        // Whatever its value.
        check(&rules(), &[get(r#","name":"other""#), get("")], &["2 k8s.verb 2"]);
        check(&rules(), &[get(r#","name":null"#), with(get(""), Field::K8sVerb, "list")], &[]);
    }

    #[test]
    fn of_other_kinds_nothing_is_taken() {
        let mut rule = simple("a", &["verb: get", "name: x"]);
        rule.logsource = LogSource::Kind(Kind::K8sAudit);
        let mut flow = get(r#","name":"x""#);
        flow.kind = Kind::Flow;
        check(&set(vec![rule.clone()]), &[flow.clone()], &[]);
        check(&set(vec![rule]), &[flow, get("")], &["0 name 1"]);
    }

    #[test]
    fn correlations_are_blind_with_their_steps() {
        let rules = |kind: CorrelationKind| -> Vec<Rule> {
            vec![
                simple("a", &["verb: get"]),
                simple("b", &["name: x"]),
                correlation("c", kind, &[0, 1], &[], 60, &[(crate::detect::rule::Comparison::Gte, 2.0)]),
            ]
        };
        check(&set(rules(CorrelationKind::TemporalOrdered)), &[get("")], &["2 name 1"]);
        check(&set(rules(CorrelationKind::EventCount)), &[get("")], &[]);
    }

    #[test]
    fn lists_and_objects_are_there() {
        let text = "title: r\nid: r\nlogsource: {product: kubernetes, service: audit}\ndetection:\n  s:\n    containers[any]: {image: x}\n    spec|exists: true\n  condition: s\n";
        let (rules, _) = sigma::parse(&[("r.yml".into(), text.to_owned())], &Settings::default());
        check(&rules, &[get(r#","containers":[{"image":"y"}],"spec":{}"#)], &[]);
        check(&rules, &[get(r#","containers":[{"image":"y"}],"spec":{"a":{}}"#)], &[]);
        check(&rules, &[get(r#","containers":[{"name":"y"}]"#)], &["0 containers.image spec 1"]);
    }
}
