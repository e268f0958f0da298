//! From the path of a leaf to the fields that rules read there. Most leaves are read by none, and cost one look at a bit.

use hashbrown::HashTable;

/// Bits for each path.
const BITS_PER_PATH: usize = 32;
const BITS_MIN: usize = 1 << 12;
const BITS_MAX: usize = 1 << 18;

/// A path, and where its slots stand.
#[derive(Debug)]
struct Known {
    path: u64,
    from: u32,
    to: u32,
}

/// Slots by path. A path is a hash already.
#[derive(Debug, Default)]
pub(super) struct Paths {
    added: Vec<(u64, u32)>,
    table: HashTable<Known>,
    slots: Vec<u32>,
    bits: Box<[u64]>,
    shift: u32,
}

impl Paths {
    pub(super) fn add(&mut self, path: u64, slot: u32) {
        self.added.push((path, slot));
    }

    /// Call once, after the last path.
    pub(super) fn seal(&mut self) {
        self.added.sort_unstable();
        for group in std::mem::take(&mut self.added).chunk_by(|a, b| a.0 == b.0) {
            let Some((path, _)) = group.first() else { continue };
            let from = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
            self.slots.extend(group.iter().map(|(_, slot)| *slot));
            let to = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
            self.table.insert_unique(*path, Known { path: *path, from, to }, |known| known.path);
        }
        let bits = (self.table.len() * BITS_PER_PATH).next_power_of_two().clamp(BITS_MIN, BITS_MAX);
        (self.bits, self.shift) = (vec![0; bits / 64].into(), 64 - bits.trailing_zeros());
        for known in &self.table {
            let at = known.path >> self.shift;
            if let Some(word) = self.bits.get_mut((at / 64) as usize) {
                *word |= 1 << (at % 64);
            }
        }
    }

    /// The slots of a path: several where fields of different names lie there.
    #[inline]
    pub(super) fn of(&self, path: u64) -> &[u32] {
        let at = path >> self.shift;
        let may_be = self.bits.get((at / 64) as usize).is_some_and(|word| word >> (at % 64) & 1 == 1);
        let known = if may_be { self.table.find(path, |known| known.path == path) } else { None };
        known.and_then(|known| self.slots.get(known.from as usize..known.to as usize)).unwrap_or_default()
    }
}
