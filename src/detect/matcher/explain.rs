//! What a rule compiles to: its predicates and when they are asked, the way to it, and what makes it unknown.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Matcher;
use super::check::Check;
use super::learn::guess;
use super::program::Node;
use super::unknown::{REQUEST, bodies_of};
use crate::model::FieldRef;

/// When a test is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// One look into the index of its field answers it together with all others there.
    Indexed,
    /// Only where a literal that every match has is there.
    BehindLiterals,
    /// Only where what else the rule asks first holds.
    BehindOthers,
    /// Whenever the rule is looked at.
    Always,
}

/// A test on a field, shared by all rules that make it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PredicateTold {
    pub field: String,
    pub test: String,
    /// Rules that share it.
    pub rules: u32,
    pub asked: Asked,
}

/// A predicate that leads to a rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AccessTold {
    pub field: String,
    pub test: String,
    /// Events in a million that were expected to have it before any was seen: a guess from the test's kind and length and the rules that share it.
    pub expected_per_million: f64,
    /// The share of events that had it, 0 to 1, lately; none before events were seen.
    pub observed: Option<f64>,
}

/// What a rule compiles to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CompiledTold {
    pub predicates: Vec<PredicateTold>,
    /// The rule is looked at only if one of these holds; without any on every event of its kind.
    pub access: Vec<AccessTold>,
    /// Nodes of its condition.
    pub conditions: usize,
    /// Events that lacked a body and so could not be decided.
    pub unknown: u64,
}

/// Which body of an audit event a field is read from.
pub(in crate::detect) fn body_of(field: &FieldRef) -> Option<&'static str> {
    match bodies_of(field) {
        0 => None,
        REQUEST => Some("request"),
        _ => Some("response"),
    }
}

impl Matcher {
    /// What a rule compiles to; `None` if it was refused, does not apply or is a correlation.
    pub fn explain(&self, rule: usize) -> Option<CompiledTold> {
        let at = self.tables.rules.iter().position(|compiled| compiled.rule as usize == rule)?;
        let node = self.tables.rules[at].node;
        let (mut asked, mut conditions) = (BTreeMap::new(), 0);
        self.walk(node, &mut Vec::new(), &mut asked, &mut conditions);
        let predicates = asked.into_iter().map(|(predicate, asked)| PredicateTold {
            field: self.field_name(predicate).to_owned(),
            test: self.tables.predicates[predicate as usize].text.to_string(),
            rules: self.tables.predicates[predicate as usize].uses,
            asked,
        });
        let access = self.routes.access[at].iter().map(|predicate| AccessTold {
            field: self.field_name(*predicate).to_owned(),
            test: self.tables.predicates[*predicate as usize].text.to_string(),
            expected_per_million: guess(&self.tables.predicates[*predicate as usize]),
            observed: self.share(*predicate),
        });
        let unknown = self.unknown.counts.get(rule).copied().unwrap_or_default();
        Some(CompiledTold { predicates: predicates.collect(), access: access.collect(), conditions, unknown })
    }

    /// Notes for each predicate when it is asked at the latest; `before` has those that are asked before and must have come out right.
    fn walk(&self, node: u32, before: &mut Vec<u32>, asked: &mut BTreeMap<u32, Asked>, conditions: &mut usize) {
        let program = &self.tables.program;
        *conditions += 1;
        match program.node(node) {
            Node::Quick(predicate) => {
                asked.entry(predicate).or_insert(Asked::Indexed);
            }
            Node::Late(predicate) => {
                let slot = self.tables.predicates[predicate as usize].slot;
                let is_literal = |other: &u32| {
                    let other = &self.tables.predicates[*other as usize];
                    other.slot == slot && matches!(other.check, Check::Text(..))
                };
                let when = match (before.iter().any(is_literal), before.is_empty()) {
                    (true, _) => Asked::BehindLiterals,
                    (false, false) => Asked::BehindOthers,
                    (false, true) => Asked::Always,
                };
                let known = asked.entry(predicate).or_insert(when);
                *known = when.max(*known);
            }
            Node::Not(inner) | Node::Shared(inner, _) => self.walk(inner, before, asked, conditions),
            Node::And(range) => {
                let kept = before.len();
                for child in program.children(range) {
                    self.walk(*child, before, asked, conditions);
                    program.predicates(*child, before);
                }
                before.truncate(kept);
            }
            Node::Or(range) | Node::AtLeast(_, range) => {
                program.children(range).iter().for_each(|child| self.walk(*child, before, asked, conditions));
            }
        }
    }

    fn field_name(&self, predicate: u32) -> &str {
        let slot = self.tables.predicates[predicate as usize].slot;
        self.tables.slots[slot as usize].field.as_ref().map_or("(any value)", FieldRef::name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::sample::{event, set, simple};

    /// The tests of a rule, and when each is asked.
    fn check(items: &[&str], expected: &[&str]) {
        let (matcher, _) = Matcher::new(&set(vec![simple("r", items)]));
        let told = matcher.explain(0).unwrap();
        let told: Vec<String> = told.predicates.iter().map(|told| format!("{} {}: {:?}", told.field, told.test, told.asked)).collect();
        assert_eq!(told, expected, "{items:?}");
    }

    #[test]
    fn when_tests_are_asked() {
        check(&["verb: get"], &[r#"verb is "get": Indexed"#]);
        check(&["a|re: x.*evil"], &["a re/x.*evil/: BehindLiterals", r#"a contains "evil": Indexed"#]);
        check(&["a|re: [0-9]+"], &["a re/[0-9]+/: Always"]);
        check(&["a|re: [0-9]+", "verb: get"], &["a re/[0-9]+/: BehindOthers", r#"verb is "get": Indexed"#]);
    }

    #[test]
    fn the_way_to_a_rule_tells_what_was_expected_and_what_was_seen() {
        let (mut matcher, _) = Matcher::new(&set(vec![simple("r", &["verb: get", "name: web-0"]), simple("never", &["a|re: [0-9]+"])]));
        assert_eq!(matcher.explain(0).unwrap().access[0].observed, None);
        for name in ["web-0", "x", "y", "z"] {
            matcher.find(&event(name, 0, &format!(r#"{{"verb":"get","name":"{name}"}}"#)), &mut Vec::new());
        }
        let told = matcher.explain(0).unwrap();
        let access: Vec<String> = told.access.iter().map(|told| format!("{} {} {:?}", told.field, told.test, told.observed)).collect();
        assert_eq!((access, told.conditions), (vec![r#"name is "web-0" Some(0.25)"#.to_owned()], 3));
        assert_eq!(matcher.explain(1).unwrap().access, []);
        assert_eq!(matcher.explain(2), None);
    }
}
