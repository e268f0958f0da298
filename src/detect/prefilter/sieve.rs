//! What makes most places of a text cheap to pass over: a bit map of four bytes at a time, and a hash that knows no case.

/// Bits of a sieve for each key, so that few keys that are not there pass.
const BITS_PER_KEY: usize = 32;
/// A sieve fits the nearest cache, and a large one the next.
const BITS_MIN: usize = 1 << 10;
const BITS_MAX: usize = 1 << 18;

/// Bytes of a gram.
pub(super) const GRAM: usize = 4;

/// ASCII letters in lower case; some other bytes fall together, so what is found has to be looked at.
#[inline]
pub(super) fn gram(bytes: [u8; GRAM]) -> u32 {
    u32::from_le_bytes(bytes) | 0x2020_2020
}

/// A set that never denies a key it was given, and denies most others.
#[derive(Debug)]
pub(super) struct Sieve {
    words: Box<[u64]>,
    shift: u32,
}

impl Default for Sieve {
    fn default() -> Self {
        Self::for_keys(0)
    }
}

impl Sieve {
    pub(super) fn for_keys(keys: usize) -> Self {
        let bits = keys.saturating_mul(BITS_PER_KEY).next_power_of_two().clamp(BITS_MIN, BITS_MAX);
        Self { words: vec![0; bits / 64].into(), shift: 32 - bits.trailing_zeros() }
    }

    #[inline]
    fn place(&self, key: u32) -> (usize, u64) {
        let at = key.wrapping_mul(0x9e37_79b1) >> self.shift;
        ((at / 64) as usize, 1 << (at % 64))
    }

    pub(super) fn add(&mut self, key: u32) {
        let (word, bit) = self.place(key);
        if let Some(word) = self.words.get_mut(word) {
            *word |= bit;
        }
    }

    /// False: the key was not added.
    #[inline]
    pub(super) fn may_have(&self, key: u32) -> bool {
        let (word, bit) = self.place(key);
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }
}

/// A hash that is equal for texts that differ in the case of ASCII letters only.
#[inline]
pub(super) fn fold_hash(bytes: &[u8]) -> u64 {
    const FOLD: u64 = 0x2020_2020_2020_2020;
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, word: u64| {
        let product = (hash ^ word).wrapping_mul(FACTOR);
        product ^ product >> 32
    };
    let (words, rest) = bytes.as_chunks::<8>();
    let hash = words.iter().fold(bytes.len() as u64, |hash, word| mix(hash, u64::from_le_bytes(*word) | FOLD));
    let tail = rest.iter().fold(0, |tail, byte| tail << 8 | u64::from(byte | 0x20));
    mix(hash, tail).wrapping_mul(FACTOR)
}
