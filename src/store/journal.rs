//! The engine's journal, beside the parts: pieces as frames of a log of segments.
//!
//! A commit of the index names the frames that belong to it, from the last whole piece on ([`Mark`]). They are durable before that, so
//! after a crash either all of them count, or the ones that the commit before named. What stands after them is never read: the first
//! piece after a start is a whole one, and the frames before a whole go once a commit names it. What is damaged or missing makes the
//! engine fill its windows from the events; nothing here is the only copy of anything.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::model::{JournalPiece, Timestamp};
use crate::ports::StoreError;
use crate::segment::{self, AppendError, Options, Packed, Reader, Writer};

use super::manifest::io_error;

/// Bytes of one frame. A longer piece is several.
const FRAME_BYTES_MAX: usize = 16 << 20;

/// Bytes of a file of the log: small, since a file goes only with its last frame.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Set in the last frame of a piece of the engine.
const LAST: u32 = 1;

/// Set in a frame that is the flow's memory of its sources, which stands for every one before it.
const MEMORY: u32 = 2;

/// The frames of a checkpoint: numbers from `from` to before `upto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) from: u64,
    pub(super) upto: u64,
}

/// The log of pieces.
pub(super) struct Journal {
    dir: PathBuf,
    writer: Writer,
    /// What the next commit names.
    mark: Mutex<Option<Mark>>,
    /// A whole piece was written that no commit has named yet.
    has_old: AtomicBool,
}

impl Journal {
    /// Opens the log, or makes it. What can not be opened is removed, since it can be done without.
    pub(super) fn open(store: &Path, mark: Option<Mark>) -> Result<Self, StoreError> {
        let dir = store.join("journal");
        let options = Options { segment_bytes_max: FILE_BYTES_MAX, window: std::time::Duration::ZERO, ..Options::default() };
        let next_min = mark.map_or(0, |mark| mark.upto);
        let opened = Writer::open(&dir, options.clone(), next_min).or_else(|error| {
            tracing::warn!(%error, "the journal of the engine is made anew");
            std::fs::remove_dir_all(&dir)?;
            Writer::open(&dir, options, next_min)
        });
        let (writer, _) = opened.map_err(|error| io_error("open", &dir, error))?;
        Ok(Self { dir, writer, mark: Mutex::new(mark), has_old: AtomicBool::new(false) })
    }

    /// What a commit is to name.
    pub(super) fn mark(&self) -> Option<Mark> {
        *self.mark.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As after a start from a commit that names these frames: the next piece is to be a whole one.
    pub(super) fn go_back(&self, mark: Option<Mark>) {
        *self.mark.lock().unwrap_or_else(PoisonError::into_inner) = mark;
        self.has_old.store(false, Ordering::Relaxed);
    }

    /// Events are stored that no piece tells of.
    pub(super) fn forget(&self) {
        *self.mark.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Makes a piece durable; it counts with the next commit.
    pub(super) async fn append(&self, piece: &JournalPiece, now: Timestamp) -> Result<(), StoreError> {
        let pieces = piece.bytes.len().div_ceil(FRAME_BYTES_MAX);
        let chunks = piece.bytes.chunks(FRAME_BYTES_MAX).enumerate().map(|(at, chunk)| (if at + 1 == pieces { LAST } else { 0 }, chunk));
        let memory = Some((MEMORY, piece.memory.as_slice())).filter(|(_, bytes)| !bytes.is_empty());
        let frames: Vec<(u32, &[u8])> = chunks.chain(memory).collect();
        if frames.is_empty() {
            return Ok(());
        }
        let count = frames.len();
        let pack = |(flags, bytes): (u32, &[u8])| Packed::new(now, flags, bytes);
        let packed: Result<Vec<Packed>, _> = super::event_log::off_runtime(|| frames.into_iter().map(pack).collect());
        let packed = packed.map_err(|error| io_error("write", &self.dir, error))?;
        let failed = |error| match error {
            AppendError::Full => std::io::ErrorKind::StorageFull.into(),
            error => std::io::Error::other(error),
        };
        let first = self.writer.append(packed).await.map_err(|error| io_error("write", &self.dir, failed(error)))?;
        let upto = first + count as u64;
        let mut mark = self.mark.lock().unwrap_or_else(PoisonError::into_inner);
        *mark = match *mark {
            _ if piece.is_whole => Some(Mark { from: first, upto }),
            Some(before) if before.upto == first => Some(Mark { upto, ..before }),
            _ => None,
        };
        self.has_old.fetch_or(piece.is_whole, Ordering::Relaxed);
        Ok(())
    }

    /// A commit has named the frames of the mark: those before them go.
    pub(super) fn committed(&self) {
        if let Some(mark) = self.mark()
            && self.has_old.swap(false, Ordering::Relaxed)
            && let Err(error) = segment::delete_below(&self.dir, mark.from)
        {
            tracing::warn!(%error, "cannot remove old files of the engine's journal");
        }
    }

    /// The pieces that the last commit named, to be read before the first one is appended.
    pub(super) fn pieces(&self) -> Option<JournalPieces> {
        let mark = self.mark()?;
        Some(JournalPieces { dir: self.dir.clone(), reader: Reader::new(&self.dir, mark.from), upto: mark.upto, memory: Vec::new() })
    }
}

/// The pieces of the engine's journal as of the last checkpoint, in order.
#[derive(Debug)]
pub struct JournalPieces {
    dir: PathBuf,
    reader: Reader,
    upto: u64,
    memory: Vec<u8>,
}

impl JournalPieces {
    /// What the flow remembered of its sources, as far as has been read.
    pub fn memory(&self) -> &[u8] {
        &self.memory
    }

    /// The next piece of the engine; `Ok(None)` after the last. Blocks.
    ///
    /// # Errors
    /// When a frame is missing or damaged, so that what has been read does not tell what the windows held.
    pub fn read(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        let mut piece = Vec::new();
        while self.reader.position() < self.upto {
            let frame = self.reader.next(self.upto).map_err(|error| io_error("read", &self.dir, error))?;
            let damaged = |why: &str| StoreError::Damaged { what: format!("`{}`", self.dir.display()), why: why.to_owned() };
            let frame = frame.filter(|_| self.reader.lost() == 0).ok_or_else(|| damaged("a frame is missing"))?;
            if frame.flags & MEMORY != 0 {
                self.memory = frame.payload;
                continue;
            }
            piece.extend_from_slice(&frame.payload);
            if frame.flags & LAST != 0 {
                return Ok(Some(piece));
            }
        }
        if piece.is_empty() {
            Ok(None)
        } else {
            Err(StoreError::Damaged { what: format!("`{}`", self.dir.display()), why: "a piece is cut".to_owned() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(text: &str, is_whole: bool) -> JournalPiece {
        JournalPiece { bytes: text.as_bytes().to_vec(), is_whole, memory: b"m".to_vec() }
    }

    fn read(journal: &Journal) -> Result<Vec<String>, StoreError> {
        let mut found = Vec::new();
        let Some(mut pieces) = journal.pieces() else { return Ok(vec!["none".to_owned()]) };
        while let Some(piece) = pieces.read()? {
            found.push(String::from_utf8(piece).unwrap());
        }
        assert_eq!(pieces.memory(), b"m");
        Ok(found)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_commit_names_what_counts_and_what_stands_after_it_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let named = {
            let journal = Journal::open(dir.path(), None).unwrap();
            for (text, is_whole) in [("early", false), ("whole", true), ("one", false)] {
                journal.append(&piece(text, is_whole), Timestamp::default()).await.unwrap();
            }
            journal.committed();
            let named = journal.mark();
            journal.append(&piece("not committed", false), Timestamp::default()).await.unwrap();
            named
        };
        let journal = Journal::open(dir.path(), named).unwrap();
        assert_eq!(read(&journal).unwrap(), ["whole", "one"]);
        // A delta would follow what does not count.
        journal.append(&piece("two", false), Timestamp::default()).await.unwrap();
        assert_eq!(journal.mark(), None);
        journal.append(&piece("anew", true), Timestamp::default()).await.unwrap();
        journal.append(&piece("three", false), Timestamp::default()).await.unwrap();
        assert_eq!(read(&journal).unwrap(), ["anew", "three"]);
        journal.forget();
        assert_eq!(read(&journal).unwrap(), ["none"]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_long_piece_is_whole_or_refused_and_old_files_go() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path(), None).unwrap();
        let noise: String = (0..9_000_000_u64).map(|n| char::from(b'a' + (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60) as u8)).collect();
        for round in 0..3 {
            let long = format!("{round}{noise}{noise}");
            journal.append(&piece(&long, true), Timestamp::default()).await.unwrap();
            journal.committed();
            assert!(read(&journal).unwrap() == [long]);
        }
        let files = |dir: &Path| std::fs::read_dir(dir.join("journal")).unwrap().map(|file| file.unwrap().path()).collect::<Vec<_>>();
        let mut files = files(dir.path());
        files.sort();
        assert!(files.len() <= 3, "{files:?}");
        let mark = journal.mark();
        drop(journal);
        std::fs::remove_file(files.last().unwrap()).unwrap();
        assert!(read(&Journal::open(dir.path(), mark).unwrap()).is_err());
    }
}
