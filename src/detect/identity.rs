//! What a rule means, as a hash: two rules of one identity keep the same windows.
//!
//! It is taken of the syntax tree, not of the text, so comments, order of keys and what only people read change nothing. The tree
//! is read by its debug form: that names every part of it, so nothing that is added to a rule can be forgotten here.

use std::fmt::{self, Write};
use std::sync::Arc;

use super::rule::{Body, Rule, RuleSet};
use crate::model::{Level, RuleHeader};

/// Correlations of correlations that are followed.
const DEPTH_MAX: usize = 16;

/// The meaning of one rule within its set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity(pub(super) [u8; 16]);

/// Of every rule of a set, by its place.
pub fn identities(set: &RuleSet) -> Vec<Identity> {
    let own: Vec<[u8; 32]> = set.rules.iter().map(own).collect();
    (0..set.rules.len()).map(|at| of(set, &own, at, 0)).collect()
}

fn of(set: &RuleSet, own: &[[u8; 32]], at: usize, depth: usize) -> Identity {
    let mut hasher = blake3::Hasher::new();
    hasher.update(own.get(at).map_or(&[], <[u8; 32]>::as_slice));
    if let Some(Rule { body: Body::Correlation(correlation), .. }) = set.rules.get(at)
        && depth < DEPTH_MAX
    {
        for referred in &correlation.rules {
            hasher.update(&of(set, own, *referred, depth + 1).0);
        }
    }
    let mut bytes = [0; 16];
    hasher.finalize_xof().fill(&mut bytes);
    Identity(bytes)
}

/// The hash of a rule without what it refers to, and without what only people read.
fn own(rule: &Rule) -> [u8; 32] {
    let mut plain = rule.clone();
    plain.header = Arc::new(RuleHeader {
        id: rule.header.id.clone(),
        title: String::new(),
        author: None,
        level: Level::Informational,
        tags: Vec::new(),
        kind: rule.header.kind,
        runbook: None,
    });
    plain.name = None;
    plain.description = None;
    plain.references = Vec::new();
    plain.false_positives = Vec::new();
    plain.status = None;
    plain.file = Arc::from("");
    plain.line = 0;
    // Others say whether it raises alerts, and those that do not keep no windows of their own.
    plain.is_silent = false;
    if let Body::Correlation(correlation) = &mut plain.body {
        correlation.rules = Vec::new();
    }
    let mut to = Hashed(blake3::Hasher::new());
    // A hasher takes all it is given.
    let _ = write!(to, "{plain:?}");
    *to.0.finalize().as_bytes()
}

struct Hashed(blake3::Hasher);

impl Write for Hashed {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::rule::{Comparison, CorrelationKind};
    use crate::detect::sample::{correlation, simple};

    fn set() -> RuleSet {
        let count = correlation("c", CorrelationKind::EventCount, &[0, 1], &["u"], 60, &[(Comparison::Gte, 3.0)]);
        RuleSet { rules: vec![simple("a", &["x: 1"]), simple("b", &["y: 2"]), count] }
    }

    #[test]
    fn what_only_people_read_changes_nothing_and_what_it_refers_to_does() {
        let check = |change: &dyn Fn(&mut RuleSet), differs: &[usize]| {
            let (before, mut after) = (identities(&set()), set());
            change(&mut after);
            let after = identities(&after);
            let found: Vec<usize> = (0..3).filter(|at| before[*at] != after[*at]).collect();
            assert_eq!(found, differs);
        };
        check(&|_| {}, &[]);
        check(&|set| set.rules[0].description = Some("d".to_owned()), &[]);
        check(&|set| set.rules[2].line = 7, &[]);
        check(&|set| Arc::make_mut(&mut set.rules[2].header).level = Level::Low, &[]);
        check(&|set| Arc::make_mut(&mut set.rules[2].header).id = "d".to_owned(), &[2]);
        check(&|set| set.rules[0] = simple("a", &["x: 2"]), &[0, 2]);
        check(&|set| set.rules[1] = simple("b", &["z: 2"]), &[1, 2]);
        check(&|set| set.rules[2].extras.group_window = Some(crate::model::Duration::hours(2)), &[2]);
    }

    #[test]
    fn places_in_the_set_change_nothing() {
        let before = identities(&set());
        let mut moved = set();
        moved.rules.insert(0, simple("z", &["q: 1"]));
        if let Body::Correlation(correlation) = &mut moved.rules[3].body {
            correlation.rules = vec![1, 2];
        }
        assert_eq!(identities(&moved)[1..], before[..]);
    }
}
