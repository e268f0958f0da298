//! From the path of a leaf to the fields that rules read there. Most leaves are read by none, and cost one look at a bit.

use hashbrown::HashTable;

/// Bits for each path.
const BITS_PER_PATH: usize = 32;
const BITS_MIN: usize = 1 << 12;
const BITS_MAX: usize = 1 << 18;

/// Slots by path. A path is a hash already.
#[derive(Debug, Default)]
pub(super) struct Paths {
    table: HashTable<(u64, u32)>,
    bits: Box<[u64]>,
    shift: u32,
}

impl Paths {
    pub(super) fn add(&mut self, path: u64, slot: u32) {
        self.table.insert_unique(path, (path, slot), |(path, _)| *path);
    }

    /// Call once, after the last path.
    pub(super) fn seal(&mut self) {
        let bits = (self.table.len() * BITS_PER_PATH).next_power_of_two().clamp(BITS_MIN, BITS_MAX);
        (self.bits, self.shift) = (vec![0; bits / 64].into(), 64 - bits.trailing_zeros());
        for (path, _) in &self.table {
            let at = path >> self.shift;
            if let Some(word) = self.bits.get_mut((at / 64) as usize) {
                *word |= 1 << (at % 64);
            }
        }
    }

    /// The slots of a path: several where fields of different names lie there.
    #[inline]
    pub(super) fn of(&self, path: u64) -> impl Iterator<Item = u32> {
        let at = path >> self.shift;
        let may_be = self.bits.get((at / 64) as usize).is_some_and(|word| word >> (at % 64) & 1 == 1);
        let found = may_be.then(|| self.table.iter_hash(path).filter(move |(known, _)| *known == path).map(|(_, slot)| *slot));
        found.into_iter().flatten()
    }
}
