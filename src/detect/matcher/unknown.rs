//! Rules that hang on what an event does not have: neither a match nor a miss, and counted.
//!
//! An audit event of level `Metadata` has no bodies and one of level `Request` no response; of a record that was cut, what is missing
//! may have been there. A test on a body is then unknown unless it holds, and a rule is unknown if the unknown tests decide it.
//!
//! Words are looked for in whole records, so they would make every such event unknown: what they do not find counts as not there. An event
//! that can not have a body lacks none: one that reads, or that was told of before its body was read (a later stage of the act tells).

use std::sync::LazyLock;

use super::access::{self, COST_HOPELESS};
use super::check::Check;
use super::compile::Tables;
use crate::model::{Event, Field, FieldRef, Kind, Path};

static LEVEL: LazyLock<Path> = LazyLock::new(|| Path::of(["level"]));
static STAGE: LazyLock<Path> = LazyLock::new(|| Path::of(["stage"]));

/// Verbs of requests that carry an object.
const WRITES: [&str; 3] = ["create", "update", "patch"];

/// Which bodies: bits.
pub(super) const REQUEST: u8 = 1;
const RESPONSE: u8 = 2;

/// Rules that read bodies up to which every event is judged. Where there are more, one event stands for several: nothing rare leads to a rule without
/// its tests on bodies, so many would have to be judged.
const JUDGED_MAX: usize = 63;
/// Rules that are judged an event then, on average.
const JUDGED_USUALLY: usize = 8;

/// What an event lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lack {
    /// [`REQUEST`], [`RESPONSE`] or both.
    bodies: u8,
    /// Part of a body may be there.
    is_cut: bool,
}

/// The rules that read bodies, and how often they were unknown.
#[derive(Debug, Default)]
pub(super) struct Unknown {
    /// By predicate: the bodies that it is a test on.
    bodies: Vec<u8>,
    /// For each predicate, where the rules that it leads to start; one more than predicates.
    starts: Vec<u32>,
    rules: Vec<u32>,
    /// Rules that nothing but a body leads to.
    always: Vec<u32>,
    /// By compiled rule: the number of the event that last made it a candidate.
    seen: Vec<u64>,
    pub(super) candidates: Vec<u32>,
    /// For how many events one stands that is judged.
    pub(super) weight: u64,
    /// Events, by index of the rule in the set.
    pub(super) counts: Vec<u64>,
}

/// The bodies that a field is read from.
pub(super) fn bodies_of(field: &FieldRef) -> u8 {
    match field {
        FieldRef::Fact(field) if field.name().starts_with("pod.") || field.name().starts_with("rbac.") => REQUEST,
        FieldRef::Fact(_) => 0,
        FieldRef::Native { name, .. } => match name.split('.').next() {
            Some("requestObject") => REQUEST,
            Some("responseObject") => RESPONSE,
            _ => 0,
        },
    }
}

impl Unknown {
    /// For these rules, of a set of so many.
    pub(super) fn new(tables: &Tables, rules: usize) -> Self {
        let bodies = tables
            .predicates
            .iter()
            .map(|predicate| {
                let own = tables.slots[predicate.slot as usize].field.as_ref().map_or(0, bodies_of);
                let other = if let Check::SameAs { other, .. } = &predicate.check { bodies_of(other) } else { 0 };
                own | other
            })
            .collect();
        Self { bodies, seen: vec![0; tables.rules.len()], counts: vec![0; rules], ..Self::default() }
    }

    /// Chooses what leads to the rules that read bodies: predicates on all else, by their cost.
    pub(super) fn route(&mut self, tables: &Tables, cost: &dyn Fn(u32) -> f64) {
        let is_body = |predicate: u32| self.bodies[predicate as usize] != 0;
        // A body that is missing sets no predicate, so none of its own leads to a rule.
        let cost = |predicate: u32| if is_body(predicate) { 2.0 * COST_HOPELESS } else { cost(predicate) };
        let mut per_predicate: Vec<Vec<u32>> = vec![Vec::new(); tables.predicates.len()];
        self.always.clear();
        let (mut used, mut readers) = (Vec::new(), 0);
        for (at, rule) in (0_u32..).zip(&tables.rules) {
            used.clear();
            tables.program.predicates(rule.node, &mut used);
            if !used.iter().any(|predicate| is_body(*predicate)) {
                continue;
            }
            readers += 1;
            match access::rarest(&tables.program, rule.node, &cost).filter(|(cost, _)| *cost < COST_HOPELESS) {
                Some((_, members)) => members.iter().for_each(|predicate| per_predicate[*predicate as usize].push(at)),
                None => self.always.push(at),
            }
        }
        self.weight = if readers <= JUDGED_MAX { 1 } else { (readers / JUDGED_USUALLY).next_power_of_two() as u64 };
        (self.starts, self.rules) = (vec![0], Vec::new());
        for rules in per_predicate {
            self.rules.extend(rules);
            self.starts.push(u32::try_from(self.rules.len()).unwrap_or(u32::MAX));
        }
    }

    /// What an event lacks, if any rule would ask for it.
    pub(super) fn lack(&self, event: &Event) -> Option<Lack> {
        if event.kind != Kind::K8sAudit || (self.rules.is_empty() && self.always.is_empty()) {
            return None;
        }
        let is_cut = event.doc.is_cut() || event.fact(Field::EventTruncated) == Some("true");
        let level = event.doc.text_at(*LEVEL);
        let lacking = match level {
            _ if is_cut => REQUEST | RESPONSE,
            Some("Metadata") => REQUEST | RESPONSE,
            Some("Request") => RESPONSE,
            _ => 0,
        };
        if lacking == 0 || event.doc.text_at(*STAGE) == Some("RequestReceived") {
            return None;
        }
        let writes = event.fact(Field::K8sVerb).is_some_and(|verb| WRITES.contains(&verb));
        let bodies = if writes { lacking } else { lacking & !REQUEST };
        (bodies != 0).then_some(Lack { bodies, is_cut })
    }

    /// Puts the rules to look at into `candidates`, from the predicates that hold.
    pub(super) fn gather(&mut self, touched: &[u32], event: u64) {
        self.candidates.clear();
        self.candidates.extend_from_slice(&self.always);
        for predicate in touched {
            let (start, end) = (self.starts[*predicate as usize] as usize, self.starts[*predicate as usize + 1] as usize);
            for rule in &self.rules[start..end] {
                let seen = &mut self.seen[*rule as usize];
                if *seen != event {
                    *seen = event;
                    self.candidates.push(*rule);
                }
            }
        }
    }

    /// Whether a predicate that does not hold might, had the event what it lacks.
    pub(super) fn hides(&self, lack: Lack, tables: &Tables, predicate: u32, event: &Event) -> bool {
        if self.bodies[predicate as usize] & lack.bodies == 0 {
            return false;
        }
        let predicate = &tables.predicates[predicate as usize];
        let has_value = || tables.slots[predicate.slot as usize].field.as_ref().is_some_and(|field| event.first(field).is_some());
        // Some of it may be known from elsewhere, such as a role's name from the address of the request.
        lack.is_cut || matches!(predicate.check, Check::SameAs { .. }) || !has_value()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Matcher;
    use crate::detect::rule::{Condition, Selection};
    use crate::detect::sample::{event, item, set, simple, single, with};
    use crate::model::{Event, Field};

    fn write(level: &str, verb: &str, rest: &str) -> Event {
        let json = format!(r#"{{"level":"{level}","stage":"ResponseComplete","verb":"{verb}"{rest}}}"#);
        with(event("e", 0, &json), Field::K8sVerb, verb)
    }

    /// Whether a rule of these items matches, and whether it is unknown.
    fn check(items: &[&str], event: &Event, matches: bool, unknown: bool) {
        let (mut matcher, refused) = Matcher::new(&set(vec![simple("r", items)]));
        assert!(refused.is_empty());
        let mut out = Vec::new();
        matcher.find(event, &mut out);
        assert_eq!((!out.is_empty(), matcher.unknown() == [1]), (matches, unknown), "{items:?} {}", event.doc.text());
    }

    #[test]
    fn an_event_without_bodies_leaves_rules_on_them_unknown() {
        let body = "requestObject.spec.hostNetwork: true";
        check(&["verb: create", body], &write("Metadata", "create", ""), false, true);
        check(&["verb: create", "pod.privileged: true"], &write("Metadata", "create", ""), false, true);
        check(&["pod.privileged: true"], &write("Metadata", "patch", ""), false, true);
        check(&["verb: create", "responseObject.kind: x"], &write("Request", "create", ""), false, true);
        // What is known decides.
        check(&["verb: delete", body], &write("Metadata", "create", ""), false, false);
        check(&["verb: create", "objectRef.name: x"], &write("Metadata", "create", ""), false, false);
        check(&["verb: create", body], &write("Request", "create", ""), false, false);
        check(&["verb: create", body], &write("RequestResponse", "create", ""), false, false);
        check(&["verb: create"], &write("Metadata", "create", ""), true, false);
        // A role's name is known without its body.
        let role = with(write("Metadata", "create", ""), Field::RbacRole, "view");
        check(&["verb: create", "rbac.role: edit"], &role, false, false);
        check(&["verb: create", "rbac.role: view"], &role, true, false);
    }

    #[test]
    fn an_event_that_can_have_no_body_lacks_none() {
        check(&["verb: get", "requestObject.a: x"], &write("Metadata", "get", ""), false, false);
        check(&["verb: get", "responseObject.a: x"], &write("Metadata", "get", ""), false, true);
        let early = with(event("e", 0, r#"{"level":"Metadata","stage":"RequestReceived","verb":"create"}"#), Field::K8sVerb, "create");
        check(&["verb: create", "requestObject.a: x"], &early, false, false);
        let mut flow = write("Metadata", "create", "");
        flow.kind = crate::model::Kind::Flow;
        check(&["verb: create", "requestObject.a: x"], &flow, false, false);
    }

    #[test]
    fn of_a_record_that_was_cut_what_is_missing_is_unknown() {
        let cut = |rest: &str| with(write("RequestResponse", "create", rest), Field::EventTruncated, "true");
        check(&["verb: create", "requestObject.a: x"], &cut(""), false, true);
        check(&["verb: create", "requestObject.a: x"], &cut(r#","requestObject":{"a":["y"]}"#), false, true);
        check(&["verb: create", "requestObject.a: x"], &cut(r#","requestObject":{"a":["x"]}"#), true, false);
    }

    #[test]
    fn unknown_goes_through_conditions() {
        let selections = ["verb: create", "requestObject.a: x", "requestObject.b: y"].map(|spec| Selection::All(vec![item(spec)]));
        let pick = Condition::Selection;
        let not = |at| Condition::Not(Box::new(pick(at)));
        let check = |condition: Condition, level: &str, expected: (bool, u64)| {
            let rule = single("r", selections.to_vec(), condition.clone());
            let (mut matcher, _) = Matcher::new(&set(vec![simple("other", &["x: y"]), rule]));
            let mut out = Vec::new();
            matcher.find(&write(level, "create", ""), &mut out);
            assert_eq!((!out.is_empty(), matcher.unknown()[1]), expected, "{condition:?} {level}");
        };
        check(Condition::And(vec![pick(0), not(1)]), "Metadata", (true, 1));
        check(Condition::And(vec![pick(0), not(1)]), "RequestResponse", (true, 0));
        check(Condition::Or(vec![pick(0), pick(1)]), "Metadata", (true, 0));
        check(Condition::And(vec![pick(1), not(0)]), "Metadata", (false, 0));
        check(Condition::AtLeast(2, selections.iter().enumerate().map(|(at, _)| pick(at)).collect()), "Metadata", (false, 1));
        check(Condition::AtLeast(3, vec![not(0), pick(1), pick(2)]), "Metadata", (false, 0));
    }
}
