//! What a part says of itself, and how small files are written so that they are whole or absent.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::model::{Checkpoint, Event, LedgerPage};
use crate::ports::StoreError;

use super::journal::Mark;

/// The format that this build writes and reads. Terms of format 1 say other things of identifiers and times: a search would miss events. Blocks of format 2
/// have the head of each record before it.
pub(super) const FORMAT_VERSION: u32 = 3;

/// What a part holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    pub events: u64,
    /// Bytes of the records as they came.
    pub raw_bytes: u64,
    /// Earliest event time, in nanoseconds since 1970.
    pub time_min: i64,
    /// Latest event time, in nanoseconds since 1970.
    pub time_max: i64,
    /// Events by kind.
    pub kinds: BTreeMap<String, u64>,
    /// Events of which some terms were left out.
    pub overfull: u64,
}

impl Default for Stats {
    fn default() -> Self {
        Self { events: 0, raw_bytes: 0, time_min: i64::MAX, time_max: i64::MIN, kinds: BTreeMap::new(), overfull: 0 }
    }
}

impl Stats {
    pub(super) fn add(&mut self, event: &Event, is_overfull: bool) {
        self.events += 1;
        self.raw_bytes += event.doc.text().len() as u64;
        self.time_min = self.time_min.min(event.time.nanos());
        self.time_max = self.time_max.max(event.time.nanos());
        self.overfull += u64::from(is_overfull);
        match self.kinds.get_mut(event.kind.name()) {
            Some(count) => *count += 1,
            None => drop(self.kinds.insert(event.kind.name().to_owned(), 1)),
        }
    }
}

/// What a commit of the index carries: it is true of exactly the events of that commit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Payload {
    pub(super) format_version: u32,
    /// Number of the flush over all parts: the checkpoint of the highest is the one that holds.
    pub(super) epoch: u64,
    pub(super) checkpoint: Checkpoint,
    /// Committed length of the file of raw blocks, in bytes.
    pub(super) raw_len: u64,
    pub(super) stats: Stats,
    /// Of the engine's journal, what tells the state at this checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) journal: Option<Mark>,
    /// What was counted up to this checkpoint.
    #[serde(default)]
    pub(super) ledger: LedgerPage,
}

/// `manifest.json` of a sealed part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub format_version: u32,
    pub seq: u64,
    pub sealed: bool,
    pub raw_len: u64,
    pub stats: Stats,
    /// The part's last commit, for when the index that carries it is lost.
    #[serde(default)]
    pub(super) commit: Option<Payload>,
}

pub(super) fn io_error(what: &str, path: &Path, source: std::io::Error) -> StoreError {
    StoreError::Io { what: format!("{what} `{}`", path.display()), source }
}

pub(super) fn engine_error(what: &str, path: &Path, source: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Engine { what: format!("{what} `{}`", path.display()), source: Box::new(source) }
}

/// Makes the names in a directory durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| io_error("sync the directory", dir, error))
}

/// Writes a file so that after a crash it is whole, or what it was before.
pub(super) fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = Path::new(&temporary);
    let write = || {
        let mut file = File::create(temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(temporary, path)
    };
    write().map_err(|error| io_error("write", path, error))?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Refuses a version that this build does not read.
pub(super) fn check_version(path: &Path, found: u32) -> Result<(), StoreError> {
    if found > FORMAT_VERSION {
        return Err(StoreError::Newer { what: format!("`{}`", path.display()), found, known: FORMAT_VERSION });
    }
    if found < FORMAT_VERSION {
        return Err(StoreError::Older { what: format!("`{}`", path.display()), found, known: FORMAT_VERSION });
    }
    Ok(())
}
