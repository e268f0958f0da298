//! How long events are kept: whole parts are dropped, by age and by size, and each is recorded first.
//!
//! `purged.json` is the record. It is durable before anything of a part goes, so a crash leaves a part that is named there: it is held to be gone, and the
//! next start removes what is left of it. What it counts by source stands in for the events when the ledger is held against the parts.
//!
//! The newest part is never dropped: its commit carries the checkpoint.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::{Duration, SourceId, Timestamp};
use crate::ports::StoreError;

use super::event_log::EventLog;
use super::manifest::{io_error, sync_dir, write_durably};
use super::part::PartView;

/// Parts that the record names one by one. Of earlier ones it keeps the sum.
const NAMED_MAX: usize = 1_000;

/// What is kept. Without either, everything is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keep {
    /// A part goes once its latest event is older. An event whose time lies after its arrival is as old as its arrival.
    pub age: Option<Duration>,
    /// Bytes on disk of all parts: past it the part that came first goes.
    pub bytes: Option<u64>,
}

/// Why a part went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// [`Keep::age`].
    Age,
    /// [`Keep::bytes`].
    Bytes,
}

/// A part that is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurgedPart {
    pub part: u64,
    pub at: Timestamp,
    pub why: Why,
    pub time_min: Timestamp,
    pub time_max: Timestamp,
    pub events: u64,
    /// Bytes on disk.
    pub bytes: u64,
    pub by_source: BTreeMap<SourceId, u64>,
}

/// All parts that are gone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purged {
    pub parts: u64,
    pub events: u64,
    pub by_source: BTreeMap<SourceId, u64>,
    /// The latest, the last one last.
    pub latest: Vec<PurgedPart>,
}

impl Purged {
    /// Of the store in this directory.
    ///
    /// # Errors
    /// When there is a record that can not be read.
    pub fn read(store: &Path) -> Result<Self, StoreError> {
        let path = store.join("purged.json");
        match std::fs::read(&path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map_err(|error| StoreError::Damaged { what: format!("`{}`", path.display()), why: error.to_string() })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(io_error("read", &path, error)),
        }
    }

    /// Whether a part is held to be gone.
    pub(super) fn has(&self, part: u64) -> bool {
        self.of(part).is_some()
    }

    /// What is known of a part that is gone.
    pub(super) fn of(&self, part: u64) -> Option<&PurgedPart> {
        self.latest.iter().find(|purged| purged.part == part)
    }

    fn add(&mut self, part: PurgedPart) {
        self.parts += 1;
        self.events += part.events;
        for (source, events) in &part.by_source {
            *self.by_source.entry(source.clone()).or_default() += events;
        }
        self.latest.push(part);
        if self.latest.len() > NAMED_MAX {
            self.latest.remove(0);
        }
    }

    fn write(&self, store: &Path) -> Result<(), StoreError> {
        let path = store.join("purged.json");
        let text = serde_json::to_vec(self).map_err(|error| io_error("write", &path, std::io::Error::other(error)))?;
        write_durably(&path, &text)
    }
}

/// What is there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Kept {
    pub parts: u64,
    pub events: u64,
    /// Bytes of the records as they came.
    pub raw_bytes: u64,
    /// Bytes on disk.
    pub bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_min: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_max: Option<Timestamp>,
    /// Bytes on disk of the parts that arrived within the last day, or since the first, and how long that is in seconds.
    pub recent_bytes: u64,
    pub recent_s: u64,
}

/// Bytes of the files of a part.
fn bytes_of(dir: &Path) -> u64 {
    let files = std::fs::read_dir(dir).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
}

/// When the events of a part began to arrive: the hour in its name.
fn arrived(dir: &Path) -> Option<Timestamp> {
    let hour = dir.file_name()?.to_str()?.split_once('-')?.1;
    let digit = |at: usize, len: usize| hour.get(at..at + len);
    Timestamp::parse(&format!("{}-{}-{}T{}:00:00Z", digit(0, 4)?, digit(4, 2)?, digit(6, 2)?, digit(8, 2)?))
}

/// The time that decides how old a part is.
fn age_of(part: &PartView, span: Duration) -> Timestamp {
    let latest = Timestamp::from_nanos(part.stats.time_max);
    arrived(&part.dir).map_or(latest, |hour| latest.min(hour.plus(span)))
}

/// How many events of a part each source brought.
fn by_source(part: &PartView) -> Result<BTreeMap<SourceId, u64>, StoreError> {
    let mut counts: BTreeMap<SourceId, u64> = BTreeMap::new();
    part.raw.each(part.raw_len, |_, stored| {
        if let Some(stored) = stored {
            *counts.entry(SourceId::from(stored.source.as_str())).or_default() += 1;
        }
    })?;
    Ok(counts)
}

impl EventLog {
    /// Drops what is not to be kept any more. Says what went. Blocks.
    ///
    /// # Errors
    /// When the record can not be read or written, or the files of a part not be removed: the next start does.
    pub fn retain(&self, keep: &Keep) -> Result<Vec<PurgedPart>, StoreError> {
        if self.is_sealing() {
            return Ok(Vec::new());
        }
        let (store, span) = self.place();
        let mut parts: Vec<Arc<PartView>> = self.parts.load().iter().cloned().collect();
        parts.sort_by_key(|part| part.seq);
        // The newest carries the checkpoint.
        parts.pop();
        let now = self.clock.now();
        let mut bytes: u64 = self.parts.load().iter().map(|part| bytes_of(&part.dir)).sum();
        let (mut gone, mut record) = (Vec::new(), Purged::read(&store)?);
        for part in parts.iter().filter(|part| part.is_sealed()) {
            let is_old = keep.age.is_some_and(|age| age_of(part, span) < now.minus(age));
            let is_much = keep.bytes.is_some_and(|max| bytes > max);
            let why = match (is_old, is_much) {
                (true, _) => Why::Age,
                (false, true) => Why::Bytes,
                (false, false) => continue,
            };
            // What can not be counted stays, and holds back no other.
            let by_source = match by_source(part) {
                Ok(by_source) => by_source,
                Err(error) => {
                    tracing::error!(part = part.seq, %error, "a part is not to be kept, and can not be read to count it: it stays");
                    continue;
                }
            };
            let purged = PurgedPart {
                part: part.seq,
                at: now,
                why,
                time_min: Timestamp::from_nanos(part.stats.time_min),
                time_max: Timestamp::from_nanos(part.stats.time_max),
                events: part.stats.events,
                bytes: bytes_of(&part.dir),
                by_source,
            };
            bytes = bytes.saturating_sub(purged.bytes);
            record.add(purged.clone());
            record.write(&store)?;
            self.forget_part(part.seq);
            remove(&part.dir)?;
            gone.push(purged);
        }
        Ok(gone)
    }

    /// What is there, and what went. Blocks.
    ///
    /// # Errors
    /// When the record of what went can not be read.
    pub fn kept(&self) -> Result<(Kept, Purged), StoreError> {
        let (store, _) = self.place();
        let now = self.clock.now();
        let day = now.minus(Duration::hours(24));
        let (mut kept, mut first) = (Kept::default(), now);
        for part in self.parts.load().iter() {
            let bytes = bytes_of(&part.dir);
            kept.parts += 1;
            kept.events += part.stats.events;
            kept.raw_bytes += part.stats.raw_bytes;
            kept.bytes += bytes;
            let hour = arrived(&part.dir).unwrap_or(now);
            if hour >= day.bucket(Duration::hours(1)) {
                kept.recent_bytes += bytes;
                first = first.min(hour);
            }
            if part.stats.events > 0 {
                let (low, high) = (Timestamp::from_nanos(part.stats.time_min), Timestamp::from_nanos(part.stats.time_max));
                kept.time_min = Some(kept.time_min.map_or(low, |known| known.min(low)));
                kept.time_max = Some(kept.time_max.map_or(high, |known| known.max(high)));
            }
        }
        kept.recent_s = u64::try_from(now.since(first).0 / 1_000_000_000).unwrap_or_default();
        Ok((kept, Purged::read(&store)?))
    }
}

/// Removes what is left of a part. Searches that are at it have its files open.
pub(super) fn remove(dir: &Path) -> Result<(), StoreError> {
    std::fs::remove_dir_all(dir).map_err(|error| io_error("remove", dir, error))?;
    dir.parent().map_or(Ok(()), sync_dir)
}
