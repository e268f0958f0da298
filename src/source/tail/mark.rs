//! What tells files apart, and content that was read before: fingerprints of a file's beginning and of what stands before a place in it.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::model::{PartitionId, SourceId};

/// Bytes of a fingerprint's text.
pub(super) const MARK_BYTES: usize = 1 << 10;

/// Files that were read and are gone, or were cut, of which the fingerprints are kept: a copy of them is not read again. The oldest go first.
const FINISHED_MAX: usize = 16_384;

/// Bytes of a hash: as many as no two files will share by chance or intent.
const HASH_BYTES: usize = 12;

/// A file on a device. Used again by another file once it is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Inode {
    pub(super) device: u64,
    pub(super) number: u64,
}

/// Of so many bytes, their hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    pub(super) len: u16,
    hash: [u8; HASH_BYTES],
}

impl Mark {
    /// Of the first bytes of these.
    pub(super) fn of_head(bytes: &[u8]) -> Self {
        Self::of(bytes.get(..MARK_BYTES).unwrap_or(bytes))
    }

    /// Of the last bytes of these.
    pub(super) fn of_tail(bytes: &[u8]) -> Self {
        Self::of(bytes.get(bytes.len().saturating_sub(MARK_BYTES)..).unwrap_or_default())
    }

    fn of(bytes: &[u8]) -> Self {
        let mut hash = [0; HASH_BYTES];
        blake3::Hasher::new().update(bytes).finalize_xof().fill(&mut hash);
        Self { len: u16::try_from(bytes.len()).unwrap_or(u16::MAX), hash }
    }

    /// Whether a text begins with what this is of.
    pub(super) fn begins(self, text: &[u8]) -> bool {
        text.get(..usize::from(self.len)).is_some_and(|head| Self::of(head) == self)
    }

    /// Whether this is what stands in a file up to `end`.
    pub(super) fn stands(self, file: &File, end: u64) -> io::Result<bool> {
        let Some(from) = end.checked_sub(u64::from(self.len)) else { return Ok(false) };
        let bytes = read(file, from, usize::from(self.len))?;
        Ok(Self::of(&bytes) == self)
    }

    /// Whether these bytes are the ones.
    pub(super) fn is(self, bytes: &[u8]) -> bool {
        Self::of(bytes) == self
    }
}

/// Up to so many bytes from a place on; fewer at the end of the file.
pub(super) fn read(file: &File, from: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    let mut at = 0;
    while let Some(free) = bytes.get_mut(at..).filter(|free| !free.is_empty()) {
        match file.read_at(free, from + at as u64) {
            Ok(0) => break,
            Ok(read) => at += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(at);
    Ok(bytes)
}

/// The name of what stands in a file.
pub(super) fn partition(source: &SourceId, inode: Inode, head: Mark) -> PartitionId {
    let hash: String = head.hash.iter().map(|byte| format!("{byte:02x}")).collect();
    PartitionId(format!("{}{:x}-{}", of_inode(source, inode), head.len, hash).into())
}

/// What the names of all that stood in a file begin with.
pub(super) fn of_inode(source: &SourceId, inode: Inode) -> String {
    format!("{}{:x}-{:x}-", of_source(source), inode.device, inode.number)
}

/// Of a name, what those of all that stood in its file begin with.
pub(super) fn inode_part(partition: &PartitionId) -> Option<&str> {
    let (name, _) = partition.0.rsplit_once('-')?;
    let (name, _) = name.rsplit_once('-')?;
    partition.0.get(..=name.len())
}

/// What the names of all partitions of a source begin with.
pub(super) fn of_source(source: &SourceId) -> String {
    format!("file/{source}/")
}

/// The fingerprint in the name of a partition.
pub(super) fn head_of(partition: &PartitionId) -> Option<Mark> {
    let mut words = partition.0.rsplit('-');
    let (hash, len) = (words.next()?, words.next()?);
    let mut bytes = [0; HASH_BYTES];
    for (byte, pair) in bytes.iter_mut().zip(hash.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    (hash.len() == 2 * HASH_BYTES).then_some(())?;
    Some(Mark { len: u16::from_str_radix(len, 16).ok()?, hash: bytes })
}

/// How far something was read: the last bytes before that place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reached {
    pub(super) offset: u64,
    pub(super) tail: Mark,
}

/// What was read of files that are gone, by how they began.
#[derive(Debug, Default)]
pub(super) struct Finished {
    by_len: BTreeMap<u16, BTreeMap<Mark, Reached>>,
    order: VecDeque<Mark>,
}

impl Finished {
    /// Remembers it.
    pub(super) fn add(&mut self, head: Mark, reached: Reached) {
        if self.by_len.entry(head.len).or_default().insert(head, reached).is_none() {
            self.order.push_back(head);
        }
        if self.order.len() > FINISHED_MAX
            && let Some(oldest) = self.order.pop_front()
            && let Some(same) = self.by_len.get_mut(&oldest.len)
        {
            same.remove(&oldest);
        }
    }

    /// How far something that begins so was read: of several, the one whose known beginning is longest.
    pub(super) fn find(&self, text: &[u8]) -> Option<Reached> {
        let head = |len: u16| text.get(..usize::from(len)).map(Mark::of);
        self.by_len.iter().rev().find_map(|(len, same)| same.get(&head(*len)?).copied())
    }
}
