//! Paths as keyed hashes.

use std::hash::{BuildHasher, Hasher};
use std::sync::LazyLock;

use foldhash::fast::FixedState;

/// Dots in a field name past which only the plain reading (a key a segment) is tried.
const SPELLING_DOTS_MAX: usize = 10;

/// Seeded per process, so that nobody who writes keys can aim at the hash of another path.
static SEED: LazyLock<FixedState> = LazyLock::new(|| FixedState::with_seed(std::hash::RandomState::new().hash_one(0x6261_7274_697a_616e_u64)));

/// The keys from the record down to a value, hashed. Valid within one process only: never store it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(pub u64);

impl Path {
    /// The record itself.
    pub const ROOT: Self = Self(0);

    /// The path of a member of this object.
    #[must_use]
    pub fn child(self, key: &str) -> Self {
        self.child_of_bytes(key.as_bytes())
    }

    /// As [`Path::child`], for a key that is not known to be UTF-8 yet.
    #[inline]
    pub(super) fn child_of_bytes(self, key: &[u8]) -> Self {
        let mut hasher = SEED.build_hasher();
        hasher.write_u64(self.0);
        hasher.write(key);
        Self(hasher.finish() | 1)
    }

    /// The path of these keys, one a segment.
    pub fn of<'k>(keys: impl IntoIterator<Item = &'k str>) -> Self {
        keys.into_iter().fold(Self::ROOT, Self::child)
    }

    /// Every path that a dotted name can mean: each dot parts two keys or belongs to one.
    pub fn spellings(name: &str) -> Box<[Self]> {
        let parts: Vec<&str> = name.split('.').collect();
        let dots = parts.len() - 1;
        if dots > SPELLING_DOTS_MAX {
            return Box::new([Self::of(parts)]);
        }
        let mut paths: Vec<Self> = (0..1_u32 << dots)
            .map(|joined| {
                let mut path = Self::ROOT;
                let mut key = parts[0].to_owned();
                for (at, part) in parts.iter().enumerate().skip(1) {
                    if joined >> (at - 1) & 1 == 1 {
                        key.push('.');
                        key.push_str(part);
                    } else {
                        path = path.child(&key);
                        (*part).clone_into(&mut key);
                    }
                }
                path.child(&key)
            })
            .collect();
        paths.sort_unstable();
        paths.dedup();
        paths.into()
    }
}
