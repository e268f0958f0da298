//! What makes most places of a text cheap to pass over: a bit map of four bytes at a time, and a hash that knows no case.

/// Bytes of a gram.
pub(super) const GRAM: usize = 4;

/// ASCII letters in lower case; some other bytes fall together, so what is found has to be looked at.
#[inline]
pub(super) fn gram(bytes: [u8; GRAM]) -> u32 {
    u32::from_le_bytes(bytes) | 0x2020_2020
}

/// Words of a sieve for few keys, and of one for many. Their sizes are known, so a look is no more than a shift and a bit.
const FEW_WORDS: usize = 1 << 5;
const MANY_WORDS: usize = 1 << 11;
/// Keys up to which the small one denies most of what it was not given.
const FEW_KEYS: usize = 64;

/// A set that never denies a key it was given, and denies most others.
#[derive(Debug)]
pub(super) enum Sieve {
    Few(Box<[u64; FEW_WORDS]>),
    Many(Box<[u64; MANY_WORDS]>),
}

impl Default for Sieve {
    fn default() -> Self {
        Self::for_keys(0)
    }
}

/// The word of a key, and its bit.
#[inline]
fn place<const WORDS: usize>(key: u32) -> (usize, u64) {
    let hash = key.wrapping_mul(0x9e37_79b1);
    ((hash >> 6) as usize >> (26 - WORDS.trailing_zeros()), 1 << (hash >> (26 - WORDS.trailing_zeros()) & 63))
}

/// Whether the bit of a key is set.
#[inline]
pub(super) fn may_have<const WORDS: usize>(words: &[u64; WORDS], key: u32) -> bool {
    let (word, bit) = place::<WORDS>(key);
    words[word % WORDS] & bit != 0
}

impl Sieve {
    pub(super) fn for_keys(keys: usize) -> Self {
        if keys <= FEW_KEYS { Self::Few(Box::new([0; FEW_WORDS])) } else { Self::Many(Box::new([0; MANY_WORDS])) }
    }

    pub(super) fn add(&mut self, key: u32) {
        match self {
            Self::Few(words) => {
                let (word, bit) = place::<FEW_WORDS>(key);
                words[word % FEW_WORDS] |= bit;
            }
            Self::Many(words) => {
                let (word, bit) = place::<MANY_WORDS>(key);
                words[word % MANY_WORDS] |= bit;
            }
        }
    }

    /// False: the key was not added.
    #[inline]
    pub(super) fn may_have(&self, key: u32) -> bool {
        match self {
            Self::Few(words) => may_have(words, key),
            Self::Many(words) => may_have(words, key),
        }
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
