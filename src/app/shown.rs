//! What the API shows of sources and of the ledger.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::push::DEFAULT_SOURCE;
use crate::config::SourceSettings;
use crate::model::{Counts, SourceId};
use crate::pipeline::{Roster, View};
use crate::source::spool;

/// Every source that is configured, pushes, or has brought anything.
pub(super) fn sources(configured: &[SourceSettings], counts: &BTreeMap<SourceId, Counts>, roster: &Roster, view: &View) -> Value {
    let entries = roster.entries();
    let kinds: BTreeMap<&str, &str> = configured.iter().map(|source| (source.name.as_str(), source.kind.as_str())).collect();
    let mut names: BTreeSet<&str> = kinds.keys().copied().collect();
    names.extend(counts.keys().map(|source| source.0.as_ref()));
    if !kinds.values().any(|kind| *kind == "push") {
        names.insert(DEFAULT_SOURCE);
    }
    let row = |name: &str| {
        let source = SourceId::from(name);
        // What nobody configured came by push, under the name of its token.
        let kind = kinds.get(name).copied().unwrap_or("push");
        let read_as = if kind == "push" { SourceId::from(spool::PARTITION) } else { source.clone() };
        let entry = entries.get(&read_as);
        let counts = counts.get(&source).cloned().unwrap_or_default();
        let heard = view.heard.get(&source);
        let skew = view.skews.get(&source);
        let condition = entry.map(|entry| entry.condition.clone()).unwrap_or_default();
        json!({
            "name": name,
            "kind": kind,
            "state": entry.map(|entry| entry.state),
            "since": entry.map(|entry| entry.since.to_string()),
            "problem": entry.and_then(|entry| entry.problem.clone()),
            "last_read": entry.and_then(|entry| entry.last_read).map(|at| at.to_string()),
            "last_event": heard.map(|heard| heard.at.to_string()),
            "last_event_time": heard.and_then(|heard| heard.time).map(|time| time.to_string()),
            "silent": heard.is_some_and(|heard| heard.is_silent),
            "lag": condition.lag,
            "last_object": condition.last_object,
            "rate": roster.rate(&source, &counts),
            "upstream_lost": counts.tally.upstream_lost,
            "clock_ahead_events": skew.map_or(0, |skew| skew.events),
            "counts": counts,
            "own_counts": condition.counts,
        })
    };
    let rows: Vec<Value> = names.into_iter().map(row).collect();
    json!({"sources": rows, "next_cursor": null})
}

/// Totals by source, and of all.
pub(super) fn ledger(counts: &BTreeMap<SourceId, Counts>) -> Value {
    let remainder = |counts: &Counts| i64::try_from(counts.remainder()).unwrap_or(i64::MAX);
    let rows = counts.iter().map(|(source, counts)| json!({"source": source, "counts": counts, "remainder": remainder(counts)}));
    let mut total = Counts::default();
    counts.values().for_each(|counts| total.add(counts));
    json!({"sources": rows.collect::<Vec<_>>(), "remainder": remainder(&total), "total": total})
}
