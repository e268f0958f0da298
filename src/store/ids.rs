//! Which event ids a part has: the first bytes of each id with its place, sorted. A hit is confirmed by the record itself.
//!
//! ```text
//! ids.log = entries of a part that is written: first 8 bytes of the id, place (u64)
//! ids.tab = magic "BZIDS3", bits of a bucket's number (u8), bytes of a place (u8), entries (u64),
//!           where each bucket begins (u32 each, one more than there are), the entries
//! entry   = the 24 bits of the id after the bucket's number, the place
//! ```
//!
//! All numbers are little-endian. Ids are hashes, so buckets are of much the same size, and two reads find one.

use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::model::EventId;
use crate::ports::StoreError;

use super::manifest::{io_error, write_durably};
use super::raw::Loc;

/// Bytes of one entry of the log.
pub(super) const ENTRY_BYTES: usize = 16;
const MAGIC: &[u8; 6] = b"BZIDS3";
const HEADER_BYTES: usize = 16;
const START_BYTES: usize = 4;
/// Entries that a bucket has on average, at least; twice as many at most.
const BUCKET_ENTRIES: usize = 8;
/// Bits of an id that an entry has, and their bytes.
const REST_BITS: u32 = 24;
const REST_BYTES: usize = REST_BITS as usize / 8;
/// More entries of one bucket are damage.
const BUCKET_ENTRIES_MAX: u64 = 1 << 16;
/// Bits of an id that are in a column of the index: they order events of one time, and say which events to look at for an id.
const HEAD_BITS: u32 = 24;

/// The part of an id that tables and columns keep; ordered as the ids are.
pub(super) fn prefix(id: &EventId) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = id.0;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// What the column of ids has of one; ordered as the ids are.
pub(super) fn head(prefix: u64) -> u64 {
    prefix >> (u64::BITS - HEAD_BITS)
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
        write_durably(path, &table(&all))
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

/// The bucket of an id, and what its entry has of it besides.
fn parted(prefix: u64, bits: u32) -> (u64, u64) {
    (prefix.checked_shr(u64::BITS - bits).unwrap_or_default(), (prefix << bits) >> (u64::BITS - REST_BITS))
}

/// Sorted entries as a table.
fn table(entries: &[(u64, Loc)]) -> Vec<u8> {
    let bits = (entries.len() / BUCKET_ENTRIES).checked_ilog2().unwrap_or_default();
    let place_bytes = entries.iter().map(|(_, loc)| 8 - loc.0.leading_zeros() as usize / 8).max().unwrap_or(1).max(1);
    let mut out = Vec::with_capacity(HEADER_BYTES + ((START_BYTES + 1) << bits) + entries.len() * (REST_BYTES + place_bytes));
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&[bits as u8, place_bytes as u8]);
    out.extend_from_slice(&(entries.len() as u64).to_le_bytes());
    for bucket in 0..=1_u64 << bits {
        let start = entries.partition_point(|(prefix, _)| parted(*prefix, bits).0 < bucket);
        out.extend_from_slice(&u32::try_from(start).unwrap_or(u32::MAX).to_le_bytes());
    }
    for (prefix, loc) in entries {
        out.extend_from_slice(&parted(*prefix, bits).1.to_le_bytes()[..REST_BYTES]);
        out.extend_from_slice(&loc.0.to_le_bytes()[..place_bytes]);
    }
    out
}

/// A number of fewer than 8 bytes.
fn short(bytes: &[u8]) -> u64 {
    let mut whole = [0; 8];
    whole.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    u64::from_le_bytes(whole)
}

/// The table of a sealed part, left on disk.
pub(super) struct IdTable {
    file: std::fs::File,
    bits: u32,
    place_bytes: usize,
    count: u64,
}

impl IdTable {
    /// Opens it if it is there and has an entry an event.
    pub(super) fn open(path: &Path, events: u64) -> Option<Self> {
        let file = std::fs::File::open(path).ok()?;
        let mut header = [0; HEADER_BYTES];
        file.read_exact_at(&mut header, 0).ok()?;
        let (magic, rest) = header.split_first_chunk()?;
        let [bits, place_bytes, count @ ..] = rest else { return None };
        let table = Self { bits: u32::from(*bits), place_bytes: usize::from(*place_bytes), count: short(count), file };
        let is_whole = magic == MAGIC && table.bits <= u32::BITS && (1..=8).contains(&table.place_bytes) && table.count == events;
        (is_whole && table.file.metadata().ok()?.len() == table.at(table.count)).then_some(table)
    }

    fn entry_bytes(&self) -> usize {
        REST_BYTES + self.place_bytes
    }

    /// Where an entry lies.
    fn at(&self, entry: u64) -> u64 {
        let starts = ((1_u64 << self.bits) + 1) * START_BYTES as u64;
        HEADER_BYTES as u64 + starts + entry * self.entry_bytes() as u64
    }

    /// Places whose id begins like this.
    pub(super) fn find(&self, prefix: u64, path: &Path) -> Result<Vec<Loc>, StoreError> {
        let error = |error| io_error("read the ids of", path, error);
        let (bucket, wanted) = parted(prefix, self.bits);
        let mut starts = [0; 2 * START_BYTES];
        self.file.read_exact_at(&mut starts, HEADER_BYTES as u64 + bucket * START_BYTES as u64).map_err(error)?;
        let (start, end) = starts.split_at(START_BYTES);
        let (start, end) = (short(start), short(end));
        let count = end.checked_sub(start).filter(|count| end <= self.count && *count <= BUCKET_ENTRIES_MAX);
        let Some(count) = count.and_then(|count| usize::try_from(count).ok()) else {
            return Err(StoreError::Damaged { what: format!("`{}`", path.join("ids.tab").display()), why: format!("bucket {bucket} has no sense") });
        };
        let mut entries = vec![0; count * self.entry_bytes()];
        self.file.read_exact_at(&mut entries, self.at(start)).map_err(error)?;
        let of_id = |entry: &[u8]| {
            let (rest, place) = entry.split_at(REST_BYTES);
            (short(rest) == wanted).then(|| Loc(short(place)))
        };
        Ok(entries.chunks_exact(self.entry_bytes()).filter_map(of_id).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(entries: &[(u64, Loc)]) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ids.tab");
        let mut runs = IdRuns::default();
        entries.chunks(1_000).for_each(|run| runs.add(run.to_vec()));
        runs.write(&path).unwrap();
        let table = IdTable::open(&path, entries.len() as u64).unwrap();
        for (prefix, loc) in entries {
            assert!(table.find(*prefix, dir.path()).unwrap().contains(loc), "{prefix:x} of {}", entries.len());
        }
        let strangers = (1..1_000_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5555).filter(|id| runs.find(*id).is_empty());
        let taken: usize = strangers.map(|id| table.find(id, dir.path()).unwrap().len()).sum();
        assert!(taken <= 1, "{taken} strangers are taken for one of {}", entries.len());
        assert!(IdTable::open(&path, entries.len() as u64 + 1).is_none());
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert!(IdTable::open(&path, entries.len() as u64).is_none());
    }

    #[test]
    fn every_id_is_found_in_tables_of_any_size() {
        let entry = |n: u64| {
            let id = blake3::hash(&n.to_le_bytes());
            (u64::from_be_bytes(id.as_bytes()[..8].try_into().unwrap()), Loc(n * n))
        };
        for count in [0, 1, 2, 15, 16, 17, 1_000, 20_000] {
            check(&(0..count).map(entry).collect::<Vec<_>>());
        }
        // Equal beginnings, the ends of the range, and the widest place.
        check(&[(0, Loc(0)), (0, Loc(1)), (u64::MAX, Loc(u64::MAX)), (u64::MAX, Loc(7))]);
    }

    #[test]
    fn a_damaged_bucket_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ids.tab");
        let mut bytes = table(&[(1, Loc(1)), (2, Loc(2))]);
        bytes[HEADER_BYTES + START_BYTES + 3] = 0xff;
        std::fs::write(&path, bytes).unwrap();
        assert!(matches!(IdTable::open(&path, 2).unwrap().find(1, dir.path()), Err(StoreError::Damaged { .. })));
    }
}
