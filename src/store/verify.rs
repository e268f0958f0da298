//! Whether the parts hold what was committed: every block and record is read, held against its checksum and its id, and looked for in the index.
//!
//! Works beside a process that writes: it looks at what was committed when it began.

use std::collections::BTreeMap;
use std::path::Path;

use crate::model::{LedgerPage, SourceId};
use crate::ports::StoreError;

use super::folder::parts_of;
use super::part::PartView;
use super::record::Restore;
use super::retain::Purged;

/// Problems that a report lists; further ones are counted.
const LISTED_MAX: usize = 100;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    pub parts: u64,
    /// Records that were read.
    pub records: u64,
    /// Bytes of compressed blocks that were read.
    pub bytes: u64,
    /// Records by the source that they came from.
    pub by_source: BTreeMap<SourceId, u64>,
    /// Events that were dropped with their parts, since they are not to be kept any more, by source.
    pub purged: BTreeMap<SourceId, u64>,
    /// The ledger, as the last commit carries it.
    pub ledger: LedgerPage,
    /// What is wrong, the first ones.
    pub problems: Vec<String>,
    pub problems_total: u64,
}

impl Verified {
    /// One more thing is wrong.
    pub fn problem(&mut self, text: String) {
        self.problems_total += 1;
        if self.problems.len() < LISTED_MAX {
            self.problems.push(text);
        }
    }
}

/// Reads all parts under the store's directory. `each` hears of the records read so far. Blocks.
///
/// # Errors
/// When the directory is no store, or one of a newer version. What is wrong within a part is in the report.
pub fn verify(path: &Path, restore: &dyn Restore, mut each: impl FnMut(u64)) -> Result<Verified, StoreError> {
    let mut verified = Verified { purged: Purged::read(path)?.by_source, ..Verified::default() };
    let mut ids: Vec<[u8; 16]> = Vec::new();
    let mut epoch = 0;
    for (seq, dir) in parts_of(path)? {
        let opened = PartView::open(&dir, seq);
        let (part, payload) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                // It may have gone since the parts were listed.
                match Purged::read(path)?.of(seq) {
                    Some(purged) => {
                        purged.by_source.iter().for_each(|(source, events)| *verified.purged.entry(source.clone()).or_default() += events)
                    }
                    None => verified.problem(told(&error)),
                }
                continue;
            }
        };
        verified.parts += 1;
        if payload.epoch >= epoch {
            epoch = payload.epoch;
            verified.ledger = payload.ledger;
        }
        let before = verified.records;
        let name = dir.display().to_string();
        let mut wrong = Vec::new();
        let read = part.raw.each(payload.raw_len, |loc, stored| {
            verified.records += 1;
            if verified.records.is_multiple_of(10_000) {
                each(verified.records);
            }
            let at = verified.records - before;
            let Some(stored) = stored else {
                wrong.push(format!("`{name}`: record {at} can not be read"));
                return;
            };
            *verified.by_source.entry(SourceId::from(stored.source.as_str())).or_default() += 1;
            let Some(event) = restore.restore(&stored) else {
                wrong.push(format!("`{name}`: record {at} is no event"));
                return;
            };
            ids.push(event.id.0);
            match part.places(&event.id) {
                Ok(places) if places.contains(&loc) => {}
                Ok(_) => wrong.push(format!("`{name}`: record {at} is event {}, which the table of ids does not have there", event.id)),
                Err(error) => wrong.push(told(&error)),
            }
        });
        verified.bytes += payload.raw_len;
        wrong.into_iter().for_each(|problem| verified.problem(problem));
        if let Err(error) = read {
            verified.problem(told(&error));
        }
        let (found, indexed) = (verified.records - before, part.segments.iter().map(|segment| u64::from(segment.len)).sum::<u64>());
        if found != payload.stats.events || indexed != payload.stats.events {
            verified.problem(format!(
                "`{name}`: {} events were committed, {found} records and {indexed} entries of the index are there",
                payload.stats.events
            ));
        }
    }
    ids.sort_unstable();
    let twice = ids.windows(2).filter(|pair| pair[0] == pair[1]).count();
    if twice > 0 {
        verified.problem(format!("{twice} events are stored more than once"));
    }
    Ok(verified)
}

/// An error with its causes.
pub(super) fn told(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
