//! `verify`: the parts against their commits, and the ledger against itself and against the parts.

use std::collections::BTreeMap;
use std::path::Path;

use crate::app::Restorer;
use crate::clock::Clock;
use crate::model::{MinuteRow, SourceId, Tally};
use crate::store::catalog::{Catalog, file_in};
use crate::store::verify::{Verified, verify};

/// What was found, with the ledger by source.
#[derive(Debug)]
pub struct Report {
    pub parts: Verified,
    pub sources: BTreeMap<SourceId, Tally>,
    /// Minutes of sources that were added up.
    pub minutes: u64,
}

/// Looks at everything in the data directory. `each` hears of the records read so far.
///
/// # Errors
/// When it is no store, or one of a newer version.
pub async fn run(path: &Path, clock: &Clock, each: impl FnMut(u64) + Send + 'static) -> anyhow::Result<Report> {
    let dir = path.to_owned();
    let mut parts = tokio::task::spawn_blocking(move || verify(&dir, &Restorer, each)).await??;
    let mut table: Vec<MinuteRow> = Vec::new();
    if file_in(path).exists() {
        let catalog = Catalog::open_read_only(path, clock.clone()).await?;
        catalog.each_minute(|row| table.push(row)).await?;
        catalog.close().await;
    }
    let sources: BTreeMap<SourceId, Tally> = parts.ledger.totals.iter().map(|(source, counts)| (source.clone(), counts.tally)).collect();
    let minutes = rows(table, &parts);
    let mut stored = parts.by_source.clone();
    for (source, events) in &parts.purged {
        *stored.entry(source.clone()).or_default() += events;
    }
    for problem in differences(&sources, &minutes, &stored) {
        parts.problem(problem);
    }
    Ok(Report { parts, sources, minutes: minutes.len() as u64 })
}

/// Each minute once, as of the last commit: the table may know later ones by now.
fn rows(table: Vec<MinuteRow>, parts: &Verified) -> BTreeMap<(i64, SourceId), Tally> {
    let kept = table.into_iter().filter(|row| row.minute < parts.ledger.minute);
    kept.chain(parts.ledger.minutes.iter().cloned()).map(|row| ((row.minute, row.source), row.tally)).collect()
}

/// What does not add up.
fn differences(sources: &BTreeMap<SourceId, Tally>, minutes: &BTreeMap<(i64, SourceId), Tally>, stored: &BTreeMap<SourceId, u64>) -> Vec<String> {
    let mut problems = Vec::new();
    let mut sums: BTreeMap<&SourceId, Tally> = BTreeMap::new();
    for ((minute, source), tally) in minutes {
        if tally.remainder() != 0 {
            problems.push(format!("ledger: source {source} has {} records without an outcome in the minute {minute}", tally.remainder()));
        }
        let sum = sums.entry(source).or_default();
        *sum = sum.plus(tally);
    }
    for (source, tally) in sources {
        if tally.remainder() != 0 {
            problems.push(format!("ledger: source {source} has {} records without an outcome", tally.remainder()));
        }
        let sum = sums.get(source).copied().unwrap_or_default();
        if sum != *tally {
            problems.push(format!("ledger: the minutes of source {source} do not add up to its totals: {sum:?}, {tally:?}"));
        }
        let found = stored.get(source).copied().unwrap_or_default();
        if found != tally.events {
            problems.push(format!("ledger: source {source} has {} events by the ledger and {found} in the parts", tally.events));
        }
    }
    let unknown = stored.iter().filter(|(source, _)| !sources.contains_key(source));
    problems.extend(unknown.map(|(source, found)| format!("ledger: source {source} is not in it, and has {found} events in the parts")));
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(records: u64, events: u64) -> Tally {
        Tally { records, events, ..Tally::default() }
    }

    /// `source:records/events` in the totals and in one minute each, and `source:events` stored; how many problems.
    fn check(totals: &[(&str, u64, u64)], minutes: &[(i64, &str, u64, u64)], stored: &[(&str, u64)], problems: usize) {
        let sources = totals.iter().map(|(source, records, events)| (SourceId::from(*source), tally(*records, *events))).collect();
        let minutes =
            minutes.iter().map(|(minute, source, records, events)| ((*minute, SourceId::from(*source)), tally(*records, *events))).collect();
        let stored = stored.iter().map(|(source, events)| (SourceId::from(*source), *events)).collect();
        let found = differences(&sources, &minutes, &stored);
        assert_eq!(found.len(), problems, "{found:?}");
    }

    #[test]
    fn what_does_not_add_up_is_named() {
        check(&[("a", 5, 5)], &[(0, "a", 2, 2), (60, "a", 3, 3)], &[("a", 5)], 0);
        check(&[("a", 5, 5)], &[(0, "a", 2, 2), (60, "a", 2, 2)], &[("a", 5)], 1);
        check(&[("a", 5, 4)], &[(0, "a", 5, 4)], &[("a", 4)], 2);
        check(&[("a", 5, 5)], &[(0, "a", 5, 5)], &[("a", 4)], 1);
        check(&[], &[], &[("b", 1)], 1);
    }
}
