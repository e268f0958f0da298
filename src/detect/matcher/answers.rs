//! What conditions ask of the event at hand, and what is remembered of it for the rules to come.

use super::compile::Tables;
use super::program::Answers;
use super::{Scratch, holds_late};
use crate::detect::prefilter::Bits;
use crate::model::Event;

/// Answers that are found once an event: 0 not asked, 1 no, 2 yes.
#[derive(Debug, Default)]
pub(super) struct Memo {
    known: Vec<u8>,
    asked: Vec<u32>,
}

impl Memo {
    pub(super) fn with_size(size: usize) -> Self {
        Self { known: vec![0; size], asked: Vec::new() }
    }

    pub(super) fn clear(&mut self) {
        for at in self.asked.drain(..) {
            self.known[at as usize] = 0;
        }
    }

    fn get(&self, at: u32) -> Option<bool> {
        match self.known[at as usize] {
            0 => None,
            known => Some(known == 2),
        }
    }

    fn set(&mut self, at: u32, holds: bool) {
        self.known[at as usize] = 1 + u8::from(holds);
        self.asked.push(at);
    }
}

/// Answers for one event.
#[derive(Debug)]
pub(super) struct Live<'a> {
    tables: &'a Tables,
    event: &'a Event,
    bits: &'a Bits,
    memo: &'a mut Memo,
    shared: &'a mut Memo,
    folded: &'a mut String,
    other: &'a mut String,
}

impl<'a> Live<'a> {
    pub(super) fn new(tables: &'a Tables, scratch: &'a mut Scratch, event: &'a Event) -> Self {
        let Scratch { bits, memo, shared, folded, other, .. } = scratch;
        Self { tables, event, bits, memo, shared, folded, other }
    }
}

impl Answers for Live<'_> {
    #[inline]
    fn quick(&self, predicate: u32) -> bool {
        self.bits.has(predicate)
    }

    fn late(&mut self, predicate: u32) -> bool {
        self.memo.get(predicate).unwrap_or_else(|| {
            let holds = holds_late(self.tables, &self.tables.predicates[predicate as usize], self.event, self.folded, self.other);
            self.memo.set(predicate, holds);
            holds
        })
    }

    fn shared(&self, place: u32) -> Option<bool> {
        self.shared.get(place)
    }

    fn keep(&mut self, place: u32, holds: bool) {
        self.shared.set(place, holds);
    }
}
