//! The key under which values are counted and acts told apart.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};

use siphasher::sip::SipHasher13;

use super::correlate::entry::Act;
use crate::model::ActId;

/// Hashes values of `value_count` and ids of acts, so that nobody who chooses them can make two of them count as one. It stays the same as long as
/// hashes that it made are kept: it is written beside them.
#[derive(Clone, PartialEq, Eq)]
pub struct ValueKey([u8; 32]);

impl ValueKey {
    fn random() -> Self {
        let mut key = [0; 32];
        for (part, number) in key.chunks_exact_mut(8).zip(0_u64..) {
            part.copy_from_slice(&RandomState::new().hash_one(number).to_le_bytes());
        }
        Self(key)
    }

    pub(super) fn of_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    #[inline]
    fn part(&self, from: usize) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|at| self.0[from + at]))
    }

    /// The hash of a value that comes after others of this hash.
    pub(super) fn hash(&self, so_far: u64, text: &str) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.part(0), self.part(8));
        hasher.write_u64(so_far);
        hasher.write(text.as_bytes());
        hasher.finish()
    }

    /// What an act is told apart by within a group.
    pub(super) fn act(&self, id: &ActId) -> Act {
        let mut hasher = SipHasher13::new_with_keys(self.part(16), self.part(24));
        hasher.write(&id.0);
        Act(hasher.finish())
    }
}

/// Drawn anew.
impl Default for ValueKey {
    fn default() -> Self {
        Self::random()
    }
}

impl fmt::Debug for ValueKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ValueKey")
    }
}
