//! The alerts that a set of events must give, worked out by brute force from what the documentation says and with nothing of the engine.

use std::collections::BTreeMap;

use super::events::{Kind, Role, role, time_of};

const SECOND: i64 = 1_000_000_000;
const HOUR: i64 = 3_600 * SECOND;

/// How far the windows of the rig's correlations reach back.
const SPAN: i64 = SECOND;
/// Events that the counting rule asks for.
const COUNT: usize = 5;

/// One alert: the last letters of its rule's id, and who or what it is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Expected {
    pub(crate) rule: &'static str,
    pub(crate) subject: String,
    /// The hour of its anchor.
    pub(crate) hour: i64,
}

/// The alerts of these events, in any order, with how many events each counts, where the rule counts.
pub(crate) fn alerts(seed: u64, present: impl Iterator<Item = (u64, Kind)>) -> BTreeMap<Expected, Option<usize>> {
    let mut groups: BTreeMap<(&'static str, String), Vec<(i64, bool)>> = BTreeMap::new();
    for (id, kind) in present {
        let mut add = |rule, subject, is_last| groups.entry((rule, subject)).or_default().push((time_of(id), is_last));
        match role(seed, id, kind) {
            Role::None => {}
            Role::Delete(user) => add("a2", user, true),
            Role::Crown(user) => add("a3", user, true),
            Role::Shell(pod) => add("a6", pod, false),
            Role::Exec(pod) => add("a6", pod, true),
        }
    }
    let mut found = BTreeMap::new();
    for ((rule, subject), mut entries) in groups {
        entries.sort_unstable();
        for (anchor, count) in of_group(rule, &entries) {
            let expected = Expected { rule, subject: subject.clone(), hour: anchor.div_euclid(HOUR) };
            found.insert(expected, (rule != "a6").then_some(count));
        }
    }
    found
}

/// Anchors of the group's alerts, with the number of entries in all windows that each takes in.
fn of_group(rule: &str, entries: &[(i64, bool)]) -> Vec<(i64, usize)> {
    let mut alerts: Vec<(i64, i64, Vec<usize>)> = Vec::new();
    for (at, (end, is_last)) in entries.iter().enumerate() {
        let window: Vec<usize> = (0..=at).filter(|n| entries[*n].0 > end - SPAN).collect();
        let (qualifies, window) = match rule {
            "a2" => (window.len() >= COUNT, window),
            "a3" => (true, vec![at]),
            _ => (*is_last && window.iter().any(|n| !entries[*n].1), window),
        };
        if !qualifies {
            continue;
        }
        let begins = if rule == "a3" { *end } else { end - SPAN };
        match alerts.last_mut() {
            Some((_, bucket_end, all)) if begins < *bucket_end => all.extend(window),
            _ => alerts.push((*end, (end.div_euclid(HOUR) + 1) * HOUR, window)),
        }
    }
    let count = |mut all: Vec<usize>| {
        all.sort_unstable();
        all.dedup();
        all.len()
    };
    alerts.into_iter().map(|(anchor, _, all)| (anchor, count(all))).collect()
}
