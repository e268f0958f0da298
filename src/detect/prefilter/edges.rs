//! Literals that stand at the start of a value, at its end, or are all of it. Each length that occurs costs a look at four bytes.

use hashbrown::HashTable;

use super::sieve::{GRAM, Sieve, fold_hash, gram};

/// At which edge the literals stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Start,
    End,
}

/// Literals at one edge.
#[derive(Debug)]
pub(super) struct Edge {
    side: Side,
    /// Those that occur, ascending.
    lengths: Vec<usize>,
    sieve: Sieve,
    table: HashTable<(Box<str>, u32)>,
}

impl Edge {
    pub(super) fn new(side: Side) -> Self {
        Self { side, lengths: Vec::new(), sieve: Sieve::default(), table: HashTable::new() }
    }

    /// A literal, folded, and the predicate that holds where it stands.
    pub(super) fn add(&mut self, literal: &str, predicate: u32) {
        self.table.insert_unique(fold_hash(literal.as_bytes()), (literal.into(), predicate), |(known, _)| fold_hash(known.as_bytes()));
    }

    /// Call once, after the last literal.
    pub(super) fn seal(&mut self) {
        self.sieve = Sieve::for_keys(self.table.len());
        for (literal, _) in &self.table {
            self.lengths.push(literal.len());
            self.sieve.add(key(self.side, literal.as_bytes()));
        }
        self.lengths.sort_unstable();
        self.lengths.dedup();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    pub(super) fn find(&self, text: &[u8], found: &mut impl FnMut(u32)) {
        for length in &self.lengths {
            let Some(rest) = text.len().checked_sub(*length) else { return };
            let piece = match self.side {
                Side::Start => text.get(..*length),
                Side::End => text.get(rest..),
            };
            let Some(piece) = piece.filter(|piece| self.sieve.may_have(key(self.side, piece))) else { continue };
            if let Some((_, predicate)) = self.table.find(fold_hash(piece), |(known, _)| known.as_bytes().eq_ignore_ascii_case(piece)) {
                found(*predicate);
            }
        }
    }
}

/// What of a literal the sieve knows: the four bytes farthest from the edge, since it is the near ones that many literals share, and the length.
#[inline]
fn key(side: Side, piece: &[u8]) -> u32 {
    let far = match side {
        Side::Start => piece.last_chunk::<GRAM>(),
        Side::End => piece.first_chunk::<GRAM>(),
    };
    let bytes = far.copied().unwrap_or_else(|| {
        let mut bytes = [0; GRAM];
        bytes.iter_mut().zip(piece).for_each(|(to, byte)| *to = *byte);
        bytes
    });
    // Lengths are small; a longer one only makes the sieve coarser.
    gram(bytes) ^ (piece.len() as u32).wrapping_mul(0x85eb_ca6b)
}

/// Literals that are the whole value.
#[derive(Debug, Default)]
pub(super) struct Whole {
    /// A bit for each length that occurs, the last for all that are longer.
    lengths: u64,
    table: HashTable<(Box<str>, u32)>,
}

fn length_bit(length: usize) -> u64 {
    1 << length.min(63)
}

impl Whole {
    /// A literal, folded, and the predicate that holds if the value is it.
    pub(super) fn add(&mut self, literal: &str, predicate: u32) {
        self.lengths |= length_bit(literal.len());
        self.table.insert_unique(fold_hash(literal.as_bytes()), (literal.into(), predicate), |(known, _)| fold_hash(known.as_bytes()));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    #[inline]
    pub(super) fn find(&self, text: &[u8], found: &mut impl FnMut(u32)) {
        if self.lengths & length_bit(text.len()) != 0
            && let Some((_, predicate)) = self.table.find(fold_hash(text), |(known, _)| known.as_bytes().eq_ignore_ascii_case(text))
        {
            found(*predicate);
        }
    }
}
