//! Which event ids a part has: the first 8 bytes of each id with its place, sorted. A hit is confirmed by the id in the record itself.

use std::path::Path;

use crate::model::EventId;
use crate::ports::StoreError;

use super::manifest::{io_error, write_durably};
use super::raw::Loc;

/// Bytes of one entry on disk.
pub(super) const ENTRY_BYTES: usize = 16;

/// The part of an id that tables and columns keep; ordered as the ids are.
pub(super) fn prefix(id: &EventId) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = id.0;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// Sorted runs; a short run is merged into the one before it, so there are few.
#[derive(Debug, Default, Clone)]
pub(super) struct IdRuns {
    runs: Vec<Vec<(u64, Loc)>>,
}

impl IdRuns {
    pub(super) fn add(&mut self, mut run: Vec<(u64, Loc)>) {
        run.sort_unstable();
        while let Some(last) = self.runs.last()
            && last.len() < run.len() * 2
            && let Some(last) = self.runs.pop()
        {
            run = merge(&last, &run);
        }
        if !run.is_empty() {
            self.runs.push(run);
        }
    }

    /// Places whose id begins like this.
    pub(super) fn find(&self, prefix: u64) -> Vec<Loc> {
        self.runs.iter().flat_map(|run| equal(run, prefix)).collect()
    }

    /// All of it as one sorted table.
    pub(super) fn write(&self, path: &Path) -> Result<(), StoreError> {
        let mut all: Vec<(u64, Loc)> = self.runs.iter().flatten().copied().collect();
        all.sort_unstable();
        write_durably(path, &encode(&all))
    }
}

fn merge(a: &[(u64, Loc)], b: &[(u64, Loc)]) -> Vec<(u64, Loc)> {
    let mut out = Vec::with_capacity(a.len() + b.len());
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    loop {
        let next = match (a.peek(), b.peek()) {
            (Some(x), Some(y)) if x <= y => a.next(),
            (_, Some(_)) => b.next(),
            (_, None) => a.next(),
        };
        match next {
            Some(entry) => out.push(*entry),
            None => return out,
        }
    }
}

fn equal(run: &[(u64, Loc)], prefix: u64) -> impl Iterator<Item = Loc> {
    let from = run.partition_point(|(known, _)| *known < prefix);
    run.iter().skip(from).take_while(move |(known, _)| *known == prefix).map(|(_, loc)| *loc)
}

/// The entries as they lie in files.
pub(super) fn encode(entries: &[(u64, Loc)]) -> Vec<u8> {
    entries.iter().flat_map(|(prefix, loc)| [prefix.to_le_bytes(), loc.0.to_le_bytes()]).flatten().collect()
}

/// The first `count` entries of a file, or nothing if it has fewer.
pub(super) fn decode(bytes: &[u8], count: u64) -> Option<Vec<(u64, Loc)>> {
    let bytes = bytes.get(..usize::try_from(count).ok()?.checked_mul(ENTRY_BYTES)?)?;
    let number = |bytes: &[u8]| bytes.try_into().map(u64::from_le_bytes).unwrap_or_default();
    Some(bytes.chunks_exact(ENTRY_BYTES).map(|entry| (number(&entry[..8]), Loc(number(&entry[8..])))).collect())
}

/// The table of a sealed part, left on disk.
pub(super) struct IdTable {
    file: std::fs::File,
    count: u64,
}

impl IdTable {
    /// Opens it if it is there and has an entry an event.
    pub(super) fn open(path: &Path, events: u64) -> Option<Self> {
        let file = std::fs::File::open(path).ok()?;
        let len = file.metadata().ok()?.len();
        (len == events * ENTRY_BYTES as u64).then_some(Self { file, count: events })
    }

    fn entry(&self, at: u64) -> std::io::Result<(u64, Loc)> {
        use std::os::unix::fs::FileExt;
        let mut bytes = [0; ENTRY_BYTES];
        self.file.read_exact_at(&mut bytes, at * ENTRY_BYTES as u64)?;
        let entry = u128::from_le_bytes(bytes);
        let half = |n: u128| u64::try_from(n & u128::from(u64::MAX)).unwrap_or_default();
        Ok((half(entry), Loc(half(entry >> 64))))
    }

    /// Places whose id begins like this. Ids are hashes, so the first guess is near.
    pub(super) fn find(&self, prefix: u64, path: &Path) -> Result<Vec<Loc>, StoreError> {
        let find = || -> std::io::Result<Vec<Loc>> {
            let (mut low, mut high) = (0, self.count);
            let guess = u64::try_from((u128::from(prefix) * u128::from(self.count)) >> 64).unwrap_or_default();
            let spread = self.count.isqrt().max(8);
            let (left, right) = (guess.saturating_sub(spread), guess.saturating_add(spread).min(self.count));
            if left > 0 && self.entry(left)?.0 < prefix {
                low = left;
            }
            if right < self.count && self.entry(right)?.0 >= prefix {
                high = right;
            }
            while low < high {
                let middle = low + (high - low) / 2;
                if self.entry(middle)?.0 < prefix { low = middle + 1 } else { high = middle }
            }
            let mut found = Vec::new();
            while low < self.count {
                let (known, loc) = self.entry(low)?;
                if known != prefix {
                    break;
                }
                found.push(loc);
                low += 1;
            }
            Ok(found)
        };
        find().map_err(|error| io_error("read the ids of", path, error))
    }
}
