//! Sets of documents of one segment.

/// A set of numbers below a length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bits {
    words: Vec<u64>,
    len: u32,
}

impl Bits {
    pub(super) fn none(len: u32) -> Self {
        Self { words: vec![0; len.div_ceil(64) as usize], len }
    }

    pub(super) fn all(len: u32) -> Self {
        Self::none(len).complement()
    }

    pub(super) fn insert(&mut self, doc: u32) {
        if doc < self.len {
            self.words[(doc / 64) as usize] |= 1 << (doc % 64);
        }
    }

    pub(super) fn remove(&mut self, doc: u32) {
        if doc < self.len {
            self.words[(doc / 64) as usize] &= !(1 << (doc % 64));
        }
    }

    pub(super) fn contains(&self, doc: u32) -> bool {
        doc < self.len && self.words[(doc / 64) as usize] >> (doc % 64) & 1 == 1
    }

    pub(super) fn complement(mut self) -> Self {
        self.words.iter_mut().for_each(|word| *word = !*word);
        if !self.len.is_multiple_of(64)
            && let Some(last) = self.words.last_mut()
        {
            *last &= (1 << (self.len % 64)) - 1;
        }
        self
    }

    pub(super) fn and(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a &= b);
    }

    pub(super) fn or(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a |= b);
    }

    pub(super) fn minus(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a &= !b);
    }

    /// Keeps what lies in the range.
    pub(super) fn keep(&mut self, from: u32, to: u32) {
        for (at, word) in self.words.iter_mut().enumerate() {
            let start = u32::try_from(at).unwrap_or(u32::MAX).saturating_mul(64);
            let low = from.saturating_sub(start).min(64);
            let high = to.saturating_sub(start).min(64);
            let below = |n: u32| if n == 64 { u64::MAX } else { (1 << n) - 1 };
            *word &= below(high) & !below(low);
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// The members from a number on, rising.
    pub(super) fn iter_from(&self, from: u32) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().enumerate().skip((from / 64) as usize).flat_map(move |(at, word)| {
            let start = u32::try_from(at).unwrap_or(u32::MAX) * 64;
            let mut rest = *word;
            if start < from {
                rest &= u64::MAX << (from - start);
            }
            std::iter::from_fn(move || {
                (rest != 0).then(|| {
                    let bit = rest.trailing_zeros();
                    rest &= rest - 1;
                    start + bit
                })
            })
        })
    }
}

/// What an index can say of a condition: these meet it, and beyond them only those may.
#[derive(Debug, Clone)]
pub(super) struct Bounds {
    pub(super) sure: Bits,
    /// Holds all of `sure`. Nothing here: `sure` is the answer.
    pub(super) maybe: Option<Bits>,
}

impl Bounds {
    pub(super) fn exact(sure: Bits) -> Self {
        Self { sure, maybe: None }
    }

    fn upper(&self) -> &Bits {
        self.maybe.as_ref().unwrap_or(&self.sure)
    }

    pub(super) fn not(self) -> Self {
        match self.maybe {
            None => Self::exact(self.sure.complement()),
            Some(maybe) => Self { sure: maybe.complement(), maybe: Some(self.sure.complement()) },
        }
    }

    pub(super) fn join(mut self, other: &Self, with: fn(&mut Bits, &Bits)) -> Self {
        if self.maybe.is_some() || other.maybe.is_some() {
            let mut upper = self.upper().clone();
            with(&mut upper, other.upper());
            self.maybe = Some(upper);
        }
        with(&mut self.sure, &other.sure);
        self
    }

    pub(super) fn keep(&mut self, from: u32, to: u32) {
        self.sure.keep(from, to);
        if let Some(maybe) = &mut self.maybe {
            maybe.keep(from, to);
        }
    }
}
