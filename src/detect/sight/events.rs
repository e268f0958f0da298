//! What rules make of single events, for those who wonder why a test fails.

use std::sync::Arc;

use super::Sight;
use crate::detect::fold::cut;
use crate::detect::rule::{Body, LogSource, RuleSet};
use crate::model::{Event, ValueKind};

/// Lines that are told.
const LINES_MAX: usize = 40;
/// Bytes of a group's value.
const VALUE_BYTES_MAX: usize = 80;

/// For each event, numbered from 1, the rules that it matches, with the groups of correlations that it falls into there, and why it does not match
/// the others of its kind.
pub fn tell(set: &Arc<RuleSet>, events: &[Event]) -> Vec<String> {
    let mut sight = Sight::new(Arc::clone(set), &[]);
    events.iter().for_each(|event| sight.see(event));
    let mut out = Vec::new();
    for (number, event) in (1..).zip(events) {
        let mut is_for_any = false;
        for (at, rule) in set.rules.iter().enumerate() {
            let is_meant =
                matches!(rule.body, Body::Single(_)) && matches!(rule.logsource, LogSource::Any) || rule.logsource == LogSource::Kind(event.kind);
            if !is_meant {
                continue;
            }
            is_for_any = true;
            let why = sight.why_not(at, event);
            out.push(match why.as_slice() {
                [] => format!("event {number} matches `{}`{}", rule.header.title, groups(set, at, event)),
                why => format!("event {number} does not match `{}`: {}", rule.header.title, why.join("; ")),
            });
            if out.len() >= LINES_MAX {
                out.push("…".to_owned());
                return out;
            }
        }
        if !is_for_any {
            out.push(format!("event {number} is {}, which none of the rules is for", event.kind.name()));
        }
    }
    out
}

/// The groups that a match falls into.
fn groups(set: &RuleSet, rule: usize, event: &Event) -> String {
    let mut told = String::new();
    for other in &set.rules {
        let Body::Correlation(correlation) = &other.body else { continue };
        let Some(position) = correlation.rules.iter().position(|step| *step == rule) else { continue };
        let values = correlation.group_by.iter().filter_map(|group| {
            let field = group.fields.get(position)?;
            let value = event.first(field).filter(|value| value.kind != ValueKind::Null);
            // The cluster is told by the event itself.
            let missing = if field.name() == "cluster" { event.cluster.as_str() } else { "(missing: it does not count)" };
            Some(format!("{}={}", group.name, value.map_or(missing, |value| cut(value.text, VALUE_BYTES_MAX))))
        });
        let values: Vec<String> = values.collect();
        if !values.is_empty() {
            told.push_str(&format!(", for `{}` in the group {}", other.header.title, values.join(", ")));
        }
    }
    told
}
