//! Literals that may stand anywhere in a value.
//!
//! Each literal is filed under four of its bytes, a *gram*. A text is looked at in steps: if the shortest literal leaves room, every other or
//! every fourth place is enough, since a literal is filed once for each place that a step can meet it at. A bit map says which places are worth
//! a closer look, and nearly none is. An automaton over thousands of literals looks at every byte, and at memory for each.

use std::collections::HashMap;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use hashbrown::HashTable;

use super::sieve::{GRAM, Sieve, fold_hash, gram, may_have};

/// The longest step. Longer ones would want more grams a literal than they save.
const STRIDE_MAX: usize = 4;

/// Literals of one gram: a range of the entries.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    gram: u32,
    from: u32,
    to: u32,
}

/// A literal, and where in it the gram stands.
#[derive(Debug, Clone, Copy)]
struct Entry {
    literal: u32,
    offset: u32,
    length: u32,
    /// The gram at the end of the literal that is farther from there: it says no to most places before the literal is looked at.
    far: u32,
    is_far_end: bool,
}

impl Entry {
    fn new(literal: usize, text: &str, offset: usize) -> Self {
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let is_far_end = offset * 2 < text.len() - GRAM;
        let far = if is_far_end { text.as_bytes().last_chunk() } else { text.as_bytes().first_chunk() };
        let far = far.copied().map_or(0, gram);
        Self { literal: number(literal), offset: number(offset), length: number(text.len()), far, is_far_end }
    }

    /// What of a text the literal would be, if its gram stands here.
    fn piece<'a>(&self, text: &'a [u8], at: usize) -> Option<&'a [u8]> {
        let from = at.checked_sub(self.offset as usize)?;
        let piece = text.get(from..from + self.length as usize)?;
        let far = if self.is_far_end { piece.last_chunk() } else { piece.first_chunk() };
        far.is_some_and(|far| gram(*far) == self.far).then_some(piece)
    }
}

/// Literals that may stand anywhere.
#[derive(Debug, Default)]
pub(super) struct Anywhere {
    literals: Vec<(Box<str>, u32)>,
    /// The length of the shortest literal.
    shortest: usize,
    stride: usize,
    sieve: Sieve,
    buckets: HashTable<Bucket>,
    entries: Vec<Entry>,
    /// Predicates of literals that are shorter than a gram, by pattern of the automaton.
    tiny: Vec<(Box<str>, u32)>,
    automaton: Option<AhoCorasick>,
}

fn hash(gram: u32) -> u64 {
    fold_hash(&gram.to_le_bytes())
}

/// How common a gram is in text of this kind: an order, no more.
fn commonness(gram: u32) -> u32 {
    gram.to_le_bytes()
        .into_iter()
        .map(|byte| match byte {
            b'a' | b'c' | b'e' | b'i' | b'l' | b'n' | b'o' | b'r' | b's' | b't' | b'/' | b'.' | b'-' | b':' | b' ' => 3,
            b'a'..=b'z' | b'0'..=b'9' => 2,
            _ => 1,
        })
        .sum()
}

impl Anywhere {
    /// A literal, folded and not empty, and the predicate that holds where it stands.
    pub(super) fn add(&mut self, literal: &str, predicate: u32) {
        let to = if literal.len() < GRAM { &mut self.tiny } else { &mut self.literals };
        to.push((literal.into(), predicate));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.literals.is_empty() && self.tiny.is_empty()
    }

    /// What is shorter than this, in bytes, holds no literal.
    pub(super) fn shortest(&self) -> usize {
        self.shortest
    }

    /// Call once, after the last literal.
    pub(super) fn seal(&mut self) {
        self.shortest = self.literals.iter().chain(&self.tiny).map(|(literal, _)| literal.len()).min().unwrap_or_default();
        let shortest = self.literals.iter().map(|(literal, _)| literal.len()).min().unwrap_or(GRAM);
        self.stride = match shortest + 1 - GRAM {
            0 | 1 => 1,
            2 | 3 => 2,
            _ => STRIDE_MAX,
        };
        self.file();
        // Where none can be built the few bytes are looked for one literal after another.
        self.automaton = Some(&self.tiny).filter(|tiny| !tiny.is_empty()).and_then(|tiny| {
            AhoCorasick::builder()
                .ascii_case_insensitive(true)
                .match_kind(MatchKind::Standard)
                .kind(Some(AhoCorasickKind::DFA))
                .build(tiny.iter().map(|(literal, _)| literal.as_bytes()))
                .ok()
        });
    }

    /// Files every literal under the grams that share the least with others.
    fn file(&mut self) {
        let grams_of =
            |literal: &str| -> Vec<u32> { literal.as_bytes().windows(GRAM).filter_map(|bytes| bytes.first_chunk().copied().map(gram)).collect() };
        let mut shared: HashMap<u32, u32> = HashMap::new();
        for (literal, _) in &self.literals {
            grams_of(literal).into_iter().for_each(|gram| *shared.entry(gram).or_default() += 1);
        }
        let mut filed: HashMap<u32, u32> = HashMap::new();
        let mut all: Vec<(u32, Entry)> = Vec::new();
        for (at, (literal, _)) in self.literals.iter().enumerate() {
            let grams = grams_of(literal);
            for step in 0..self.stride {
                let cost = |offset: &usize| {
                    let gram = grams[*offset];
                    let load = shared.get(&gram).copied().unwrap_or_default() + filed.get(&gram).copied().unwrap_or_default();
                    (load, commonness(gram), *offset)
                };
                let Some(offset) = (step..grams.len()).step_by(self.stride).min_by_key(cost) else { continue };
                *filed.entry(grams[offset]).or_default() += 1;
                all.push((grams[offset], Entry::new(at, literal, offset)));
            }
        }
        all.sort_by_key(|(gram, entry)| (*gram, entry.literal, entry.offset));
        self.sieve = Sieve::for_keys(all.len());
        for group in all.chunk_by(|a, b| a.0 == b.0) {
            let Some((gram, _)) = group.first() else { continue };
            let from = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
            self.entries.extend(group.iter().map(|(_, entry)| *entry));
            let to = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
            self.sieve.add(*gram);
            self.buckets.insert_unique(hash(*gram), Bucket { gram: *gram, from, to }, |bucket| hash(bucket.gram));
        }
    }

    /// Calls for each predicate that holds; more than once for one that stands in several places.
    #[inline]
    pub(super) fn find(&self, text: &[u8], found: &mut impl FnMut(u32)) {
        if !self.entries.is_empty() {
            match (&self.sieve, self.stride) {
                (Sieve::Few(words), 1) => self.scan::<_, 1>(words, text, found),
                (Sieve::Few(words), 2) => self.scan::<_, 2>(words, text, found),
                (Sieve::Few(words), _) => self.scan::<_, STRIDE_MAX>(words, text, found),
                (Sieve::Many(words), 1) => self.scan::<_, 1>(words, text, found),
                (Sieve::Many(words), 2) => self.scan::<_, 2>(words, text, found),
                (Sieve::Many(words), _) => self.scan::<_, STRIDE_MAX>(words, text, found),
            }
        }
        if !self.tiny.is_empty() {
            self.find_tiny(text, found);
        }
    }

    /// Apart, for what it needs at every step to stay in registers.
    #[inline(never)]
    fn scan<const WORDS: usize, const STRIDE: usize>(&self, words: &[u64; WORDS], text: &[u8], found: &mut impl FnMut(u32)) {
        for (step, bytes) in text.windows(GRAM).step_by(STRIDE).enumerate() {
            let Some(bytes) = bytes.first_chunk() else { continue };
            let gram = gram(*bytes);
            if may_have(words, gram) {
                self.look(text, step * STRIDE, gram, found);
            }
        }
    }

    /// Whether any literal of this gram stands here.
    #[inline(never)]
    fn look(&self, text: &[u8], at: usize, gram: u32, found: &mut impl FnMut(u32)) {
        let Some(bucket) = self.buckets.find(hash(gram), |bucket| bucket.gram == gram) else { return };
        for entry in self.entries.get(bucket.from as usize..bucket.to as usize).unwrap_or_default() {
            let Some(piece) = entry.piece(text, at) else { continue };
            if let Some((literal, predicate)) = self.literals.get(entry.literal as usize)
                && piece.eq_ignore_ascii_case(literal.as_bytes())
            {
                found(*predicate);
            }
        }
    }

    fn find_tiny(&self, text: &[u8], found: &mut impl FnMut(u32)) {
        match &self.automaton {
            Some(automaton) => {
                for here in automaton.find_overlapping_iter(text) {
                    if let Some((_, predicate)) = self.tiny.get(here.pattern().as_usize()) {
                        found(*predicate);
                    }
                }
            }
            None => {
                for (literal, predicate) in &self.tiny {
                    if text.windows(literal.len()).any(|piece| piece.eq_ignore_ascii_case(literal.as_bytes())) {
                        found(*predicate);
                    }
                }
            }
        }
    }
}
