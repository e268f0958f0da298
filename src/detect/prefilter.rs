//! All tests on the values of one field, answered at once: a value goes in, the predicates that it satisfies come out.
//!
//! The cost of a value does not grow with the number of rules: whole values are one look-up, starts and ends one for each length that
//! occurs, substrings one pass in steps, numbers a sorted list, networks a look-up per prefix length.

mod anywhere;
mod edges;
mod sieve;
#[cfg(test)]
mod tests;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use self::anywhere::Anywhere;
use self::edges::{Edge, Side, Whole};
use super::cidr::{Cidr, address};
use super::fold::{fold_into, number};
use super::rule::{Comparison, Place};
use crate::model::{Value, ValueKind};

/// Predicates that hold for the event at hand.
#[derive(Debug, Default)]
pub(super) struct Bits {
    words: Vec<u64>,
    /// Those that are set, in the order they were.
    pub(super) touched: Vec<u32>,
}

impl Bits {
    pub(super) fn with_size(predicates: usize) -> Self {
        Self { words: vec![0; predicates.div_ceil(64)], touched: Vec::new() }
    }

    pub(super) fn set(&mut self, predicate: u32) {
        let (word, bit) = (predicate as usize / 64, 1_u64 << (predicate % 64));
        if let Some(word) = self.words.get_mut(word)
            && *word & bit == 0
        {
            *word |= bit;
            self.touched.push(predicate);
        }
    }

    #[inline]
    pub(super) fn has(&self, predicate: u32) -> bool {
        self.words.get(predicate as usize / 64).is_some_and(|word| word >> (predicate % 64) & 1 == 1)
    }

    pub(super) fn clear(&mut self) {
        for predicate in self.touched.drain(..) {
            self.words[predicate as usize / 64] = 0;
        }
    }
}

/// A test that a [`FieldIndex`] answers. Texts are folded.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Quick {
    /// The field is there, whatever its value.
    Exists,
    /// It is there and null.
    Null,
    /// It has a value that is not null.
    Any,
    Text(Place, Box<str>),
    Number(Comparison, f64),
    Cidr(Cidr),
}

/// The tests of one field.
#[derive(Debug)]
pub(super) struct FieldIndex {
    exists: Vec<u32>,
    null: Vec<u32>,
    any: Vec<u32>,
    whole: Whole,
    starts: Edge,
    ends: Edge,
    anywhere: Anywhere,
    has_text: bool,
    /// By operator and then by number.
    numbers: Vec<(Comparison, f64, u32)>,
    cidrs: HashMap<Cidr, Vec<u32>, FixedState>,
    /// Prefix lengths that occur.
    shapes: Vec<(u8, bool)>,
    /// It asks for texts that may stand anywhere, and for nothing else.
    is_words: bool,
}

impl Default for FieldIndex {
    fn default() -> Self {
        Self {
            exists: Vec::new(),
            null: Vec::new(),
            any: Vec::new(),
            whole: Whole::default(),
            starts: Edge::new(Side::Start),
            ends: Edge::new(Side::End),
            anywhere: Anywhere::default(),
            has_text: false,
            numbers: Vec::new(),
            cidrs: HashMap::default(),
            shapes: Vec::new(),
            is_words: false,
        }
    }
}

impl FieldIndex {
    pub(super) fn add(&mut self, test: &Quick, predicate: u32) {
        match test {
            Quick::Exists => self.exists.push(predicate),
            Quick::Null => self.null.push(predicate),
            Quick::Any => self.any.push(predicate),
            Quick::Text(place, text) => {
                self.has_text = true;
                match place {
                    Place::Whole => self.whole.add(text, predicate),
                    // What is empty stands everywhere.
                    _ if text.is_empty() => self.any.push(predicate),
                    Place::Start => self.starts.add(text, predicate),
                    Place::End => self.ends.add(text, predicate),
                    Place::Anywhere => self.anywhere.add(text, predicate),
                }
            }
            Quick::Number(op, value) => self.numbers.push((*op, *value, predicate)),
            Quick::Cidr(cidr) => self.cidrs.entry(*cidr).or_default().push(predicate),
        }
    }

    /// Call once, after the last `add`.
    pub(super) fn seal(&mut self) {
        self.starts.seal();
        self.ends.seal();
        self.anywhere.seal();
        self.numbers.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let mut shapes: Vec<(u8, bool)> = self.cidrs.keys().map(Cidr::shape).collect();
        shapes.sort_unstable();
        shapes.dedup();
        self.shapes = shapes;
        let asks_else = self.wants_presence() || !self.null.is_empty() || !self.numbers.is_empty() || !self.shapes.is_empty();
        self.is_words = !asks_else && self.whole.is_empty() && self.starts.is_empty() && self.ends.is_empty();
    }

    /// As [`FieldIndex::touch`], of values of any field. Nearly all are short and hold nothing, so they are passed over quickly.
    #[inline]
    pub(super) fn touch_any(&self, value: Value<'_>, is_plain: bool, bits: &mut Bits, scratch: &mut String) {
        if self.is_words && is_plain {
            if value.text.len() >= self.anywhere.shortest() {
                self.anywhere.find(value.text.as_bytes(), &mut |predicate| bits.set(predicate));
            }
        } else {
            self.touch(value, is_plain, bits, scratch);
        }
    }

    /// The field is there, as an object or list or with a value.
    pub(super) fn present(&self, has_value: bool, bits: &mut Bits) {
        self.exists.iter().for_each(|predicate| bits.set(*predicate));
        if has_value {
            self.any.iter().for_each(|predicate| bits.set(*predicate));
        }
    }

    /// Whether it matters that the field is there as an object or list.
    pub(super) fn wants_presence(&self) -> bool {
        !self.exists.is_empty() || !self.any.is_empty()
    }

    /// One value of the field. `is_plain`: it is known to be ASCII. `scratch` is only lent, for its room.
    #[inline]
    pub(super) fn touch(&self, value: Value<'_>, is_plain: bool, bits: &mut Bits, scratch: &mut String) {
        let is_null = value.kind == ValueKind::Null;
        self.present(!is_null, bits);
        if is_null {
            self.null.iter().for_each(|predicate| bits.set(*predicate));
            return;
        }
        if self.has_text {
            if is_plain || value.text.is_ascii() {
                self.text(value.text.as_bytes(), bits);
            } else {
                scratch.clear();
                fold_into(value.text, scratch);
                self.text(scratch.as_bytes(), bits);
            }
        }
        if !self.numbers.is_empty()
            && let Some(number) = number(value.text)
        {
            self.number(number, bits);
        }
        if !self.shapes.is_empty()
            && let Some(address) = address(value.text)
        {
            for (len, is_v6) in &self.shapes {
                if *is_v6 == address.is_ipv6() {
                    let found = self.cidrs.get(&Cidr::around(address, *len));
                    found.into_iter().flatten().for_each(|predicate| bits.set(*predicate));
                }
            }
        }
    }

    /// A text that is folded, or ASCII.
    fn text(&self, text: &[u8], bits: &mut Bits) {
        let mut found = |predicate| bits.set(predicate);
        self.whole.find(text, &mut found);
        self.starts.find(text, &mut found);
        self.ends.find(text, &mut found);
        if !self.anywhere.is_empty() {
            self.anywhere.find(text, &mut found);
        }
    }

    fn number(&self, number: f64, bits: &mut Bits) {
        for (op, bound, predicate) in &self.numbers {
            if op.holds(number, *bound) {
                bits.set(*predicate);
            }
        }
    }
}
