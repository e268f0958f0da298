//! The entries of one group, in order, and what they take.

use std::ops::{Deref, Index, IndexMut};

use super::entry::{Act, Entry};
use super::pages::Pages;

const _: () = assert!(size_of::<Entry>() == 64);

/// Sorted by [`Entry::key`]. Read as a list; changed by what keeps the sum of bytes right.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    list: Pages<Entry>,
    /// What entries point to, in bytes, about.
    beyond: usize,
    /// A bit for each act that came, by its last bits.
    acts: u64,
    /// A bit for each referred rule that had an entry, by its place; those of one remainder of 64 share theirs.
    rules: u64,
}

impl Deref for Entries {
    type Target = Pages<Entry>;
    fn deref(&self) -> &Pages<Entry> {
        &self.list
    }
}

impl Index<usize> for Entries {
    type Output = Entry;
    fn index(&self, at: usize) -> &Entry {
        &self.list[at]
    }
}

impl IndexMut<usize> for Entries {
    fn index_mut(&mut self, at: usize) -> &mut Entry {
        &mut self.list[at]
    }
}

impl From<Vec<Entry>> for Entries {
    fn from(list: Vec<Entry>) -> Self {
        let acts = list.iter().fold(0, |acts, entry| acts | act_bit(entry.act));
        let rules = list.iter().fold(0, |rules, entry| rules | rule_bit(entry.rule));
        Self { beyond: list.iter().map(Entry::beyond).sum(), acts, rules, list: list.into_iter().collect() }
    }
}

/// Acts are told apart by hashes, so their bits are evenly spread.
fn act_bit(act: Act) -> u64 {
    1 << (act.0 & 63)
}

fn rule_bit(rule: u16) -> u64 {
    1 << (rule % 64)
}

impl Entries {
    /// Bits of the rules that may have an entry; of more than 64 rules one bit stands for several.
    pub(super) fn rules(&self) -> u64 {
        self.rules
    }

    /// False: there is no entry of this act.
    pub(super) fn may_have(&self, act: Act) -> bool {
        self.acts & act_bit(act) != 0
    }

    /// What they take, in bytes, about.
    pub(super) fn bytes(&self) -> usize {
        self.list.capacity() * size_of::<Entry>() + self.beyond
    }

    pub(super) fn push_back(&mut self, entry: Entry) {
        self.beyond += entry.beyond();
        self.acts |= act_bit(entry.act);
        self.rules |= rule_bit(entry.rule);
        self.list.push_back(entry);
    }

    pub(super) fn insert(&mut self, at: usize, entry: Entry) {
        self.beyond += entry.beyond();
        self.acts |= act_bit(entry.act);
        self.rules |= rule_bit(entry.rule);
        self.list.insert(at, entry);
    }

    pub(super) fn remove(&mut self, at: usize) {
        if let Some(entry) = self.list.remove(at) {
            self.beyond = self.beyond.saturating_sub(entry.beyond());
        }
    }

    /// Drops so many from the front, the oldest.
    pub(super) fn drop_front(&mut self, count: usize) {
        let Self { list, beyond, .. } = self;
        list.drop_front(count, |entry| *beyond = beyond.saturating_sub(entry.beyond()));
    }
}
