//! Reading a log: frame after frame, over what is damaged.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::files;
use super::frame::{FILE_HEADER_BYTES, FRAME_HEADER_BYTES, FileHeader, Frame, FrameHeader, Opening};

/// Bytes looked through at once for the next frame after a damaged one.
const SEARCH_BYTES: usize = 64 << 10;

/// Walks the frames of one file.
#[derive(Debug)]
pub(super) struct Cursor {
    file: File,
    header: FileHeader,
    /// Where the next frame starts: right after the last good one.
    pub(super) at: u64,
    /// The least number that the next frame may have.
    pub(super) next_seq: u64,
    /// Damaged places that were skipped.
    pub(super) bad: u64,
}

/// A file of the log, opened.
pub(super) enum Opened {
    Good(Cursor),
    /// The header is cut or damaged: nothing in it can be read.
    Bad,
}

impl Cursor {
    pub(super) fn open(path: &Path) -> io::Result<Opened> {
        let file = File::open(path)?;
        let mut bytes = [0; FILE_HEADER_BYTES];
        match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Opened::Bad),
            Err(error) => return Err(error),
        }
        match FileHeader::read(&bytes) {
            Opening::Good(header) => Ok(Opened::Good(Self { file, header, at: FILE_HEADER_BYTES as u64, next_seq: header.first, bad: 0 })),
            Opening::Bad => Ok(Opened::Bad),
            Opening::Newer(version) => {
                let why = format!("`{}` was written by a newer version (format {version})", path.display());
                Err(io::Error::new(io::ErrorKind::Unsupported, why))
            }
        }
    }

    pub(super) fn header(&self) -> FileHeader {
        self.header
    }

    /// The next good frame, or `None` at the end of what is good.
    pub(super) fn next(&mut self) -> io::Result<Option<(FrameHeader, Vec<u8>)>> {
        let end = self.file.metadata()?.len();
        let mut at = self.at;
        while at < end {
            if let Some((header, stored)) = self.frame_at(at, end)? {
                self.bad += u64::from(at != self.at);
                self.at = at + (FRAME_HEADER_BYTES + stored.len()) as u64;
                self.next_seq = header.seq + 1;
                return Ok(Some((header, stored)));
            }
            match self.find_marker(at + 1, end)? {
                Some(found) => at = found,
                None => break,
            }
        }
        Ok(None)
    }

    fn frame_at(&self, at: u64, end: u64) -> io::Result<Option<(FrameHeader, Vec<u8>)>> {
        let mut bytes = [0; FRAME_HEADER_BYTES];
        let body = at + FRAME_HEADER_BYTES as u64;
        if body > end {
            return Ok(None);
        }
        self.file.read_exact_at(&mut bytes, at)?;
        let Some(header) = FrameHeader::read(&bytes, self.header) else { return Ok(None) };
        if header.stored_bytes as u64 > end - body || header.seq < self.next_seq || header.seq == u64::MAX {
            return Ok(None);
        }
        let mut stored = vec![0; header.stored_bytes];
        self.file.read_exact_at(&mut stored, body)?;
        Ok(header.is_intact(&stored, self.header).then_some((header, stored)))
    }

    fn find_marker(&self, from: u64, end: u64) -> io::Result<Option<u64>> {
        let marker = self.header.marker();
        let mut piece = vec![0; SEARCH_BYTES];
        let mut at = from;
        while at + marker.len() as u64 <= end {
            let bytes = usize::try_from(end - at).unwrap_or(SEARCH_BYTES).min(SEARCH_BYTES);
            let Some(piece) = piece.get_mut(..bytes) else { break };
            self.file.read_exact_at(piece, at)?;
            if let Some(found) = memchr::memmem::find(piece, &marker) {
                return Ok(Some(at + found as u64));
            }
            // The marker may lie across two pieces.
            at += (bytes - (marker.len() - 1)) as u64;
        }
        Ok(None)
    }
}

/// Reads a log from a number on, over all of its files, while it is written or not.
#[derive(Debug)]
pub struct Reader {
    dir: PathBuf,
    open: Option<Cursor>,
    next_seq: u64,
    lost: u64,
    bad: u64,
}

impl Reader {
    /// From this number on. Nothing is opened yet.
    pub fn new(dir: &Path, from: u64) -> Self {
        Self { dir: dir.to_owned(), open: None, next_seq: from, lost: 0, bad: 0 }
    }

    /// The number of the next frame.
    pub fn position(&self) -> u64 {
        self.next_seq
    }

    /// Numbers that no readable frame had: damaged, or deleted before they were read.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Damaged places that were skipped.
    pub fn bad(&self) -> u64 {
        self.bad
    }

    /// The next frame with a number below this, which has to be what is durable. `None` at the end.
    pub fn next(&mut self, below: u64) -> io::Result<Option<Frame>> {
        Ok(self.next_of(below, |_| true)?.map(|(frame, _)| frame))
    }

    /// As [`Self::next`], of the frames whose flags are wanted, with the bytes that the frame takes on disk; the others are passed over.
    pub fn next_of(&mut self, below: u64, wants: impl Fn(u32) -> bool) -> io::Result<Option<(Frame, u64)>> {
        while self.next_seq < below {
            if self.open.is_none() && !self.open_next()? {
                return Ok(None);
            }
            let Some(cursor) = self.open.as_mut() else { return Ok(None) };
            let bad_before = cursor.bad;
            let Some((header, stored)) = cursor.next()? else {
                if !self.open_after()? {
                    return Ok(None);
                }
                continue;
            };
            self.bad += cursor.bad - bad_before;
            if header.seq < self.next_seq {
                continue;
            }
            self.lost += header.seq - self.next_seq;
            self.next_seq = header.seq + 1;
            if !wants(header.flags) {
                continue;
            }
            match header.unpack(&stored) {
                Ok(frame) => return Ok(Some((frame, (FRAME_HEADER_BYTES + stored.len()) as u64))),
                Err(_) => {
                    self.bad += 1;
                    self.lost += 1;
                }
            }
        }
        Ok(None)
    }

    /// Opens the file that holds the next number, or the first one after it.
    fn open_next(&mut self) -> io::Result<bool> {
        let files = files(&self.dir)?;
        let at = files.partition_point(|(first, _)| *first <= self.next_seq).saturating_sub(1);
        self.open_from(files.get(at..).unwrap_or_default())
    }

    /// Goes on to the file after the open one, if there is one.
    fn open_after(&mut self) -> io::Result<bool> {
        let Some(current) = self.open.as_ref().map(|cursor| cursor.header().first) else { return Ok(false) };
        let files = files(&self.dir)?;
        let at = files.partition_point(|(first, _)| *first <= current);
        self.open_from(files.get(at..).unwrap_or_default())
    }

    fn open_from(&mut self, files: &[(u64, PathBuf)]) -> io::Result<bool> {
        for (_, path) in files {
            match Cursor::open(path)? {
                Opened::Good(cursor) => {
                    self.open = Some(cursor);
                    return Ok(true);
                }
                Opened::Bad => self.bad += 1,
            }
        }
        Ok(false)
    }
}
