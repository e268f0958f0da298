//! All tests on the values of one field, answered at once: a value goes in, the predicates that it satisfies come out.
//!
//! The cost of a value does not grow with the number of rules: exact values are one look-up, all substrings one pass of one
//! automaton, numbers a sorted list, networks a look-up per prefix length.

use std::hash::{BuildHasher, Hasher};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashTable};

use super::cidr::{Cidr, address};
use super::fold::{fold_into, number, stands};
use super::rule::{Comparison, Place};
use crate::model::{Value, ValueKind};

/// Bytes of literals up to which a field gets the fastest automaton; beyond it a smaller one.
const DFA_LITERAL_BYTES_MAX: usize = 16 << 10;

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

#[derive(Debug)]
struct Literal {
    text: Box<str>,
    /// Where it must stand, and the predicate that then holds.
    places: Vec<(Place, u32)>,
}

/// The tests of one field.
#[derive(Debug, Default)]
pub(super) struct FieldIndex {
    exists: Vec<u32>,
    null: Vec<u32>,
    any: Vec<u32>,
    exact: HashTable<(Box<str>, u32)>,
    exact_bytes_max: usize,
    literals: Vec<Literal>,
    automaton: Option<AhoCorasick>,
    /// By operator and then by number.
    numbers: Vec<(Comparison, f64, u32)>,
    cidrs: HashMap<Cidr, Vec<u32>, FixedState>,
    /// Prefix lengths that occur.
    shapes: Vec<(u8, bool)>,
}

fn hash(text: &str) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    hasher.write(text.as_bytes());
    hasher.finish()
}

impl FieldIndex {
    pub(super) fn add(&mut self, test: &Quick, predicate: u32) {
        match test {
            Quick::Exists => self.exists.push(predicate),
            Quick::Null => self.null.push(predicate),
            Quick::Any => self.any.push(predicate),
            Quick::Text(Place::Whole, text) => {
                self.exact_bytes_max = self.exact_bytes_max.max(text.len());
                self.exact.insert_unique(hash(text), (text.clone(), predicate), |(text, _)| hash(text));
            }
            Quick::Text(place, text) => self.literals.push(Literal { text: text.clone(), places: vec![(*place, predicate)] }),
            Quick::Number(op, value) => self.numbers.push((*op, *value, predicate)),
            Quick::Cidr(cidr) => self.cidrs.entry(*cidr).or_default().push(predicate),
        }
    }

    /// Call once, after the last `add`.
    pub(super) fn seal(&mut self) {
        self.literals.sort_by(|a, b| a.text.cmp(&b.text));
        self.literals.dedup_by(|next, kept| {
            let is_same = next.text == kept.text;
            if is_same {
                kept.places.append(&mut next.places);
            }
            is_same
        });
        let bytes: usize = self.literals.iter().map(|literal| literal.text.len()).sum();
        let kind = if bytes <= DFA_LITERAL_BYTES_MAX { AhoCorasickKind::DFA } else { AhoCorasickKind::ContiguousNFA };
        // Without an automaton (too many literals for one) the literals are tried one by one: slow, and still right.
        self.automaton = Some(&self.literals).filter(|literals| !literals.is_empty()).and_then(|literals| {
            AhoCorasick::builder()
                .ascii_case_insensitive(true)
                .match_kind(MatchKind::Standard)
                .kind(Some(kind))
                .build(literals.iter().map(|literal| literal.text.as_bytes()))
                .ok()
        });
        self.numbers.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let mut shapes: Vec<(u8, bool)> = self.cidrs.keys().map(Cidr::shape).collect();
        shapes.sort_unstable();
        shapes.dedup();
        self.shapes = shapes;
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

    /// One value of the field. `scratch` is only lent, for its room.
    pub(super) fn touch(&self, value: Value<'_>, bits: &mut Bits, scratch: &mut String) {
        let is_null = value.kind == ValueKind::Null;
        self.present(!is_null, bits);
        if is_null {
            self.null.iter().for_each(|predicate| bits.set(*predicate));
            return;
        }
        self.text(value.text, bits, scratch);
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

    fn text(&self, text: &str, bits: &mut Bits, scratch: &mut String) {
        scratch.clear();
        let is_ascii = text.is_ascii();
        let is_short = !self.exact.is_empty() && (!is_ascii || text.len() <= self.exact_bytes_max);
        if is_short || !is_ascii {
            fold_into(text, scratch);
        }
        if is_short && let Some((_, predicate)) = self.exact.find(hash(scratch), |(known, _)| known.as_ref() == scratch.as_str()) {
            bits.set(*predicate);
        }
        if self.literals.is_empty() {
            return;
        }
        let haystack = if is_ascii { text } else { scratch.as_str() };
        match &self.automaton {
            Some(automaton) => {
                for found in automaton.find_overlapping_iter(haystack) {
                    for (place, predicate) in &self.literals[found.pattern().as_usize()].places {
                        let holds = match place {
                            Place::Whole => found.start() == 0 && found.end() == haystack.len(),
                            Place::Start => found.start() == 0,
                            Place::End => found.end() == haystack.len(),
                            Place::Anywhere => true,
                        };
                        if holds {
                            bits.set(*predicate);
                        }
                    }
                }
            }
            None => self.text_slowly(text, bits, scratch),
        }
    }

    fn text_slowly(&self, text: &str, bits: &mut Bits, scratch: &mut String) {
        scratch.clear();
        fold_into(text, scratch);
        for literal in &self.literals {
            for (place, predicate) in &literal.places {
                if stands(scratch, *place, &literal.text) {
                    bits.set(*predicate);
                }
            }
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
