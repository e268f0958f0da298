//! What is read as a stream from one end to the other: archives, and values too long to be held. After a crash it is read from its start again; ids make that
//! harmless.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::follow::Shared;
use super::mark::{Inode, MARK_BYTES, Reached};
use super::{CHUNK_BYTES, watched::Watched};
use crate::codec;
use crate::model::{Envelope, Form, InflateLimits, Origin, Position, Reject, RejectReason, Timestamp};

/// Expanded bytes of one archive.
const EXPANDED_BYTES_MAX: u64 = 16 << 30;

/// Bytes passed over in one turn.
const SKIP_BYTES: u64 = 16 << 20;

/// A format that is not read, told once.
pub(super) fn foreign(name: &str) -> Reject {
    let detail = format!("a file of type {name}: leave it out with `exclude`");
    Reject { offset: 0, len: 0, reason: RejectReason::Binary, detail, bytes: Vec::new() }
}

/// A part of a file, as far as it stood when reading began.
struct Part {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Read for Part {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX).min(buf.len());
        let read = self.file.read_at(buf.get_mut(..len).unwrap_or_default(), self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// What a stream's turn brought.
pub(super) enum Piece {
    /// Nothing to hand over yet.
    Passed,
    /// More comes.
    Gives(Envelope),
    /// The last; the file is read up to its end.
    Last(Envelope),
}

/// One stream.
pub(super) struct Streaming {
    pub(super) inode: Inode,
    file: Arc<File>,
    origin: Arc<Origin>,
    reader: Box<dyn Read + Send>,
    from: u64,
    /// The file's position once all of it was read.
    pub(super) upto: u64,
    /// Expanded bytes so far.
    offset: u64,
    /// The first bytes, read to know them.
    head: Vec<u8>,
    /// How far a file that began so was read.
    repeats: Option<Reached>,
    /// The last bytes passed over.
    passed: Vec<u8>,
}

impl std::fmt::Debug for Streaming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streaming").field("object", &self.origin.object).field("offset", &self.offset).finish_non_exhaustive()
    }
}

impl Streaming {
    /// From where the file was read to; `None` where it can not be opened any more.
    pub(super) fn start(watched: &mut Watched, shared: &mut Shared, now: Timestamp) -> io::Result<Option<Self>> {
        let Some(file) = watched.opened()? else { return Ok(None) };
        watched.name(shared, &file, watched.size)?;
        let is_archive = watched.is_archive();
        let from = if is_archive { 0 } else { watched.offset };
        let origin = watched.origin(shared, now);
        let mut streaming = Self {
            inode: watched.inode,
            reader: Box::new(io::empty()),
            file,
            origin,
            from,
            upto: watched.size,
            offset: 0,
            head: Vec::new(),
            repeats: None,
            passed: Vec::new(),
        };
        streaming.open(is_archive)?;
        if is_archive {
            let mut head = Vec::new();
            // Damage comes again behind what stands before it.
            if streaming.reader.by_ref().take(MARK_BYTES as u64).read_to_end(&mut head).is_err() {
                streaming.open(true)?;
            } else {
                streaming.repeats = shared.finished.find(&head);
                streaming.head = head;
            }
        }
        Ok(Some(streaming))
    }

    fn open(&mut self, is_archive: bool) -> io::Result<()> {
        let part = Part { file: Arc::clone(&self.file), at: self.from, end: self.upto };
        let limits = InflateLimits { decoded_bytes_max: EXPANDED_BYTES_MAX, ..InflateLimits::default() };
        self.reader = if is_archive { Box::new(codec::open(part, &limits)?) } else { Box::new(part) };
        (self.head, self.passed, self.offset) = (Vec::new(), Vec::new(), 0);
        Ok(())
    }

    /// The next piece.
    pub(super) fn next(&mut self, shared: &mut Shared) -> io::Result<Piece> {
        if let Some(reached) = self.repeats {
            return self.pass(reached, shared);
        }
        let mut piece = std::mem::take(&mut self.head);
        let outcome = self.reader.by_ref().take((CHUNK_BYTES - piece.len()) as u64).read_to_end(&mut piece);
        self.offset += piece.len() as u64;
        shared.counts.bytes += piece.len() as u64;
        let mut rejects = Vec::new();
        let is_last = piece.len() < CHUNK_BYTES;
        if let Err(error) = outcome {
            let reason = codec::fault_of(&error).unwrap_or(RejectReason::BadCompression);
            let detail = format!("cannot read on: {error}; what stands before was read");
            rejects.push(Reject { offset: self.offset, len: 0, reason, detail, bytes: Vec::new() });
        }
        let upto = Position(if is_last { self.upto } else { 0 });
        let payloads = vec![(Position(self.from), piece)];
        let envelope = Envelope { form: Form::Piece { at: 0 }, is_last, payloads, rejects, ..Envelope::empty(Arc::clone(&self.origin), upto) };
        Ok(if is_last { Piece::Last(envelope) } else { Piece::Gives(envelope) })
    }

    /// Goes over what seems to have been read before. If it was something else after all, begins anew.
    fn pass(&mut self, reached: Reached, shared: &mut Shared) -> io::Result<Piece> {
        if !self.head.is_empty() {
            let known = self.head.len().min(usize::try_from(reached.offset).unwrap_or(usize::MAX));
            self.passed = self.head.drain(..known).collect();
            self.offset = known as u64;
        }
        let left = reached.offset - self.offset.min(reached.offset);
        let mut bytes = Vec::new();
        let outcome = self.reader.by_ref().take(left.min(SKIP_BYTES)).read_to_end(&mut bytes);
        self.offset += bytes.len() as u64;
        self.passed.extend_from_slice(&bytes);
        let keep = self.passed.len().saturating_sub(MARK_BYTES);
        self.passed.drain(..keep);
        if outcome.is_ok() && self.offset < reached.offset && !bytes.is_empty() {
            return Ok(Piece::Passed);
        }
        self.repeats = None;
        let tail = self.passed.get(self.passed.len().saturating_sub(usize::from(reached.tail.len))..).unwrap_or_default();
        if self.offset == reached.offset && reached.tail.is(tail) {
            shared.counts.repeated += 1;
        } else {
            self.open(true)?;
        }
        Ok(Piece::Passed)
    }
}
