//! What is remembered of groups that had to make room: how many entries they had, in a few bytes for all of them.
//!
//! A flood of keys pushes out groups before they get anywhere, slow attacks among them. Their entries are in the store; what must not be lost is that
//! there were some. Counters by hash keep that: they may tell too many, never too few, so a group that comes again and together with them would reach its
//! bound is judged from the store. Entries older than two windows are forgotten.

#[cfg(test)]
mod tests;

/// Counters that one group is looked up in.
const WAYS: usize = 4;
/// Bytes of one table of counters, at least and at most.
const TABLE_BYTES_MIN: usize = 1 << 14;
const TABLE_BYTES_MAX: usize = 8 << 20;

/// Counters of entries that are not in memory any more.
#[derive(Debug)]
pub(super) struct Ghosts {
    /// The current table, and the one before.
    tables: [Box<[u8]>; 2],
    /// When the current one was begun, in nanoseconds; `i64::MIN` before the first.
    since: i64,
}

impl Ghosts {
    /// Of about so many bytes.
    pub(super) fn new(bytes: usize) -> Self {
        let size = (bytes / 2).clamp(TABLE_BYTES_MIN, TABLE_BYTES_MAX);
        let size = if size.is_power_of_two() { size } else { size.next_power_of_two() / 2 };
        let table = || vec![0; size].into_boxed_slice();
        Self { tables: [table(), table()], since: i64::MIN }
    }

    /// What it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.tables.iter().map(|table| table.len()).sum()
    }

    /// Time has come so far: what is older than a window may be forgotten with the next turn.
    pub(super) fn turn(&mut self, now: i64, span: i64) {
        if self.since == i64::MIN {
            self.since = now;
        }
        if now.saturating_sub(self.since) >= span.max(1) {
            self.tables.swap(0, 1);
            self.tables[0].fill(0);
            self.since = now;
        }
    }

    fn places(&self, hash: u64) -> [usize; WAYS] {
        let mask = self.tables[0].len() - 1;
        let (one, step) = (hash as usize, (hash >> 32) as usize | 1);
        std::array::from_fn(|way| one.wrapping_add(step.wrapping_mul(way)) & mask)
    }

    /// A group with a key of this hash went, and so many entries with it.
    pub(super) fn remember(&mut self, hash: u64, entries: usize) {
        let places = self.places(hash);
        let table = &mut self.tables[0];
        let known = places.iter().map(|place| table[*place]).min().unwrap_or_default();
        let now = known.saturating_add(u8::try_from(entries).unwrap_or(u8::MAX));
        for place in places {
            table[place] = table[place].max(now);
        }
    }

    /// How many entries of a group with a key of this hash are gone, at most.
    pub(super) fn recall(&self, hash: u64) -> usize {
        let places = self.places(hash);
        let least = |table: &[u8]| places.iter().map(|place| usize::from(table[*place])).min().unwrap_or_default();
        self.tables.iter().map(|table| least(table)).sum()
    }
}
