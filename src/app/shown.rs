//! What the API shows of sources, of the ledger and of the store.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::push::DEFAULT_SOURCE;
use crate::config::SourceSettings;
use crate::model::{Counts, Duration, SourceId};
use crate::pipeline::{Roster, View};
use crate::source::spool;
use crate::store::space::Room;
use crate::store::{Keep, Kept, Purged};

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

/// Seconds of a day.
const DAY_S: u64 = 86_400;

/// Less than this, in seconds, says nothing of how fast a store grows.
const RECENT_S_MIN: u64 = 3_600;

/// Parts that went, as the API names them: the latest.
const GONE_SHOWN_MAX: usize = 100;

/// What is kept, what went, and for how long there is room at the pace of the last day.
pub(super) fn kept(kept: &Kept, purged: &Purged, keep: &Keep, room: Room) -> Value {
    let by_day = (kept.recent_s >= RECENT_S_MIN).then(|| kept.recent_bytes.saturating_mul(DAY_S) / kept.recent_s);
    let days = |bytes: u64| by_day.filter(|by_day| *by_day > 0).map(|by_day| bytes / by_day);
    let keep_days = keep.age.map(|age| age.0 / Duration::hours(24).0);
    let reserve_free = room.free_bytes.saturating_sub(room.reserve_bytes);
    // What a day brings, for as long as it is kept.
    let in_the_end = by_day.zip(keep_days).map(|(by_day, days)| by_day.saturating_mul(u64::try_from(days).unwrap_or_default()));
    let last = purged.latest.iter().rev().take(GONE_SHOWN_MAX);
    json!({
        "kept": kept,
        "keep": {"days": keep_days, "bytes_max": keep.bytes},
        "forecast": {
            "bytes_per_day": by_day,
            "days_until_bytes_max": keep.bytes.and_then(|max| days(max.saturating_sub(kept.bytes))),
            "days_until_disk_full": days(reserve_free),
            "bytes_in_the_end": in_the_end,
            "fits_the_disk": in_the_end.map(|bytes| bytes <= kept.bytes.saturating_add(reserve_free)),
        },
        "purged": {"parts": purged.parts, "events": purged.events, "by_source": purged.by_source, "latest": last.collect::<Vec<_>>()},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forecast_follows_the_pace_of_the_last_day() {
        let there = Kept { bytes: 5_000, recent_bytes: 1_000, recent_s: 43_200, ..Kept::default() };
        let room = Room { free_bytes: 21_000, disk_bytes: 100_000, reserve_bytes: 1_000 };
        let keep = Keep { age: Some(Duration::hours(24 * 30)), bytes: Some(9_000) };
        let shown = kept(&there, &Purged::default(), &keep, room);
        let forecast = json!({
            "bytes_per_day": 2_000, "days_until_bytes_max": 2, "days_until_disk_full": 10, "bytes_in_the_end": 60_000, "fits_the_disk": false,
        });
        assert_eq!((&shown["forecast"], &shown["keep"]["days"]), (&forecast, &json!(30)));
        let young = kept(&Kept { recent_s: 60, ..there }, &Purged::default(), &Keep::default(), room);
        assert!(young["forecast"].as_object().unwrap().values().all(Value::is_null), "{young}");
    }
}
