//! The engine's journal: what its windows took in, so that a restart brings them back as they were.
//!
//! ```text
//! piece   = version u8, operation*, check (8 bytes of BLAKE3 of all before)
//! begin   = 1, key of values (32), for each rule that raises alerts its identity (16)      starts a whole piece, and no other
//! group   = 2, rule, whose, entries and alerts of the group                                only in whole pieces
//! entry   = 3, rule, whose, entry                                                          one that counts
//! settle  = 4                                                                              the end of a batch
//! advance = 5, by place and kinds: up to when is judged       what changed, in a delta
//! owed    = 6, rule, whose, spans of time                     all that is to be judged of the group from the store; in a delta, if that changed
//! whose   = tenant, cluster, names and values of the group
//! ```
//!
//! A rule is its place in the list of `begin`. What matched is written once a piece and referred to afterwards. A piece is either a
//! whole, which stands for all before it, or a delta, to be read after those before it: the same operations in the same order make the
//! same windows. It is written for this program only, of this version or a later one.

mod bytes;
mod read;
mod write;

pub(super) use bytes::{Bytes, put_key, put_len, put_number, put_text, put_time};
pub(super) use read::{Headers, Operation, Reading};
pub(super) use write::{Journal, Scribe, Whose};

/// The version that this build writes.
const VERSION: u8 = 4;

/// The oldest that it reads: the same without `owed`. From another one the windows are filled from the store.
const VERSION_MIN: u8 = 3;

/// Bytes of the check.
const CHECK_BYTES: usize = 8;

const BEGIN: u8 = 1;
const GROUP: u8 = 2;
const ENTRY: u8 = 3;
const SETTLE: u8 = 4;
const ADVANCE: u8 = 5;
const OWED: u8 = 6;

/// A journal that can not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damaged(pub &'static str);

impl std::fmt::Display for Damaged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Damaged {}

fn check_of(bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(bytes);
    let mut check = [0; CHECK_BYTES];
    hasher.finalize_xof().fill(&mut check);
    check
}
