//! One file that is followed.

mod known;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::cut::{self, Rest};
use super::follow::Shared;
use super::mark::{self, Inode, Mark};
use super::paths::Found;
use super::{ARCHIVE_IDLE, CHUNK_BYTES, HOLD_BYTES, ROTATED_IDLE, TAIL_IDLE, WAITING_BYTES_MAX};
use crate::model::{ClusterId, Duration, Envelope, Origin, PartitionId, Position, Timestamp};

/// Bytes that settle whether a file is compressed.
const KIND_BYTES: usize = 4;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Not known yet.
    New,
    Text,
    /// Compressed: read once, as a whole. Its position is 0, and its size once it was read.
    Archive,
    /// A format that is not read.
    Foreign(&'static str),
}

/// What came of a file's turn.
pub(super) enum Turn {
    Nothing,
    Gives(Envelope),
    /// The rest is to be read as a stream.
    Streams,
    /// The file is at its end, and not heard of again.
    Over(Option<Envelope>),
}

/// A file, and how far it was read.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) inode: Inode,
    path: PathBuf,
    /// The path at which it was first seen.
    object: Arc<str>,
    cluster: ClusterId,
    file: Option<Arc<File>>,
    /// The folder that it was opened in.
    home: Option<PathBuf>,
    pub(super) kind: Kind,
    /// How it begins, and its name in checkpoints.
    pub(super) identity: Option<(Mark, PartitionId)>,
    pub(super) offset: u64,
    tail: Option<Mark>,
    pub(super) size: u64,
    modified: i64,
    /// Size and time of writing at which what was read was last found unchanged.
    checked: (u64, i64),
    pub(super) grown: Timestamp,
    rest: Rest,
    /// With a long half of something at the end: the size from which it is looked at again.
    retry_size: u64,
    is_changed: bool,
    /// It could not be read; tried again with the next listing.
    is_failed: bool,
    pub(super) is_streaming: bool,
    gone: Option<Timestamp>,
    is_renamed: bool,
    /// What is in it by now is not wanted.
    skips: bool,
}

impl Watched {
    pub(super) fn new(found: &Found, cluster: ClusterId, skips: bool, now: Timestamp) -> Self {
        Self {
            inode: found.inode,
            path: found.path.clone(),
            object: found.path.to_string_lossy().into(),
            cluster,
            file: None,
            home: None,
            kind: Kind::New,
            identity: None,
            offset: 0,
            tail: None,
            size: found.size,
            modified: found.modified,
            checked: (0, 0),
            grown: now,
            rest: Rest::Nothing,
            retry_size: 0,
            is_changed: true,
            is_failed: false,
            is_streaming: false,
            gone: None,
            is_renamed: false,
            skips,
        }
    }

    /// It was listed. True if under another name than before.
    pub(super) fn seen(&mut self, found: &Found, now: Timestamp) -> bool {
        let is_renamed = self.path != found.path;
        if is_renamed {
            self.path.clone_from(&found.path);
            self.is_renamed = true;
        }
        self.gone = None;
        self.is_changed |= self.is_failed || (found.size, found.modified) != (self.size, self.modified);
        if found.size > self.size {
            (self.size, self.grown) = (found.size, now);
        }
        is_renamed
    }

    /// It was not listed.
    pub(super) fn missed(&mut self, now: Timestamp) {
        self.gone = self.gone.or(Some(now));
        self.is_changed = true;
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn object(&self) -> &str {
        &self.object
    }

    pub(super) fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// Closes it if it still has a name to be opened by.
    pub(super) fn close(&mut self) {
        if self.gone.is_none() {
            self.file = None;
        }
    }

    /// Bytes that are known to wait.
    pub(super) fn waiting(&self) -> u64 {
        match self.kind {
            Kind::Archive if self.offset == self.size => 0,
            Kind::Archive => self.size,
            Kind::Foreign(_) => 0,
            Kind::New | Kind::Text => self.size.saturating_sub(self.offset),
        }
    }

    fn idle(&self, now: Timestamp) -> Duration {
        now.since(self.gone.map_or(self.grown, |gone| gone.max(self.grown)))
    }

    fn is_rotated(&self) -> bool {
        self.gone.is_some() || self.is_renamed
    }

    /// Whether a turn may bring something.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        if self.is_streaming {
            return false;
        }
        let idle = self.idle(now);
        let is_over = self.is_rotated() && idle >= ROTATED_IDLE;
        if self.is_changed {
            return self.rest == Rest::Nothing || self.size >= self.retry_size || idle >= TAIL_IDLE;
        }
        match self.kind {
            _ if self.gone.is_some() && is_over => true,
            Kind::Archive => self.offset != self.size && idle >= ARCHIVE_IDLE,
            Kind::Foreign(_) => false,
            Kind::New | Kind::Text if self.size <= self.offset => false,
            Kind::New => idle >= TAIL_IDLE,
            Kind::Text => match self.rest {
                Rest::Nothing => true,
                Rest::Line => idle >= TAIL_IDLE,
                Rest::Half => is_over || idle >= TAIL_IDLE && self.size - self.offset > HOLD_BYTES as u64,
            },
        }
    }

    /// Could not be read this time.
    pub(super) fn fail(&mut self) {
        self.is_failed = true;
    }

    /// Takes a turn.
    pub(super) fn next(&mut self, shared: &mut Shared, now: Timestamp) -> io::Result<Turn> {
        (self.is_changed, self.is_failed) = (false, false);
        if !self.open()? {
            // Moved or deleted: the next listing knows.
            return Ok(if self.gone.is_some() { Turn::Over(self.end(shared, now)) } else { Turn::Nothing });
        }
        let Some(file) = self.file.clone() else { return Ok(Turn::Nothing) };
        let found = Found::of(&self.path, &file.metadata()?);
        let seen = std::mem::replace(&mut self.size, found.size);
        if found.size != seen || found.modified != self.modified {
            self.rest = Rest::Nothing;
            self.modified = found.modified;
        }
        if found.size != seen {
            self.grown = now;
        }
        if (found.size, found.modified) != self.checked {
            let told = self.check(shared, &file, now)?;
            self.checked = (found.size, found.modified);
            if let Some(envelope) = told {
                self.is_changed = true;
                return Ok(Turn::Gives(envelope));
            }
        }
        if self.kind == Kind::New
            && let Some(envelope) = self.meet(shared, &file, now)?
        {
            self.is_changed = true;
            return Ok(Turn::Gives(envelope));
        }
        let turn = match self.kind {
            Kind::Text => self.text(shared, &file, now)?,
            Kind::Archive if self.offset != self.size && self.idle(now) >= ARCHIVE_IDLE => Turn::Streams,
            Kind::Foreign(_) | Kind::New | Kind::Archive => Turn::Nothing,
        };
        let is_over = self.gone.is_some() && self.idle(now) >= ROTATED_IDLE;
        Ok(if is_over && matches!(turn, Turn::Nothing) { Turn::Over(self.end(shared, now)) } else { turn })
    }

    /// Opens the file, wherever in its folder it stands by now. False: it is not there.
    fn open(&mut self) -> io::Result<bool> {
        if self.file.is_some() {
            return Ok(true);
        }
        let mut opened = same(&self.path, self.inode)?;
        if opened.is_none()
            && let Some(folder) = self.home.as_ref().and_then(|home| fs::read_dir(home).ok())
        {
            let entry = folder.flatten().find(|entry| entry.ino() == self.inode.number);
            opened = entry.map(|entry| same(&entry.path(), self.inode)).transpose()?.flatten();
        }
        self.file = opened.map(Arc::new);
        if self.file.is_some() && self.home.is_none() {
            self.home = fs::canonicalize(&self.path).ok().and_then(|path| path.parent().map(Path::to_owned));
        }
        Ok(self.file.is_some())
    }

    /// The open file, for a stream.
    pub(super) fn opened(&mut self) -> io::Result<Option<Arc<File>>> {
        self.open().map(|_| self.file.clone())
    }

    pub(super) fn is_archive(&self) -> bool {
        self.kind == Kind::Archive
    }

    /// Its stream has come to this place.
    pub(super) fn streamed(&mut self, shared: &mut Shared, upto: u64, now: Timestamp) -> io::Result<()> {
        self.is_streaming = false;
        self.is_changed = true;
        self.rest = Rest::Nothing;
        shared.counts.archives += u64::from(self.is_archive());
        match self.file.clone() {
            Some(file) => self.moved(shared, &file, upto, now).map(drop),
            None => Ok(()),
        }
    }

    /// Whose records it holds, as of now.
    pub(super) fn origin(&self, shared: &Shared, now: Timestamp) -> Arc<Origin> {
        let nameless = || PartitionId(mark::of_inode(&shared.settings.source, self.inode).into());
        Arc::new(Origin {
            tenant: shared.settings.tenant.clone(),
            cluster: self.cluster.clone(),
            source: shared.settings.source.clone(),
            partition: self.identity.as_ref().map_or_else(nameless, |(_, partition)| partition.clone()),
            object: Arc::clone(&self.object),
            received: now,
        })
    }

    /// What is whole of what comes next.
    fn text(&mut self, shared: &mut Shared, file: &File, now: Timestamp) -> io::Result<Turn> {
        let idle = self.idle(now);
        let mut wanted = CHUNK_BYTES;
        loop {
            let mut bytes = mark::read(file, self.offset, wanted)?;
            let cut = cut::whole(&mut bytes, &mut shared.parser);
            if cut.upto > 0 && !cut.has_text {
                // Only what parts records, or a hole: nobody need hear of it.
                self.offset += cut.upto as u64;
                self.tail = None;
                continue;
            }
            if cut.upto > 0 {
                bytes.truncate(cut.upto);
                return self.gives(shared, file, bytes, now);
            }
            if bytes.len() < wanted {
                let is_whole = cut.rest == Rest::Line && idle >= TAIL_IDLE || self.is_rotated() && idle >= ROTATED_IDLE;
                if is_whole && !bytes.is_empty() {
                    return self.gives(shared, file, bytes, now);
                }
                self.rest = cut.rest;
                self.retry_size = self.offset + bytes.len() as u64 + if bytes.len() > CHUNK_BYTES { bytes.len() as u64 / 4 } else { 0 };
                return Ok(Turn::Nothing);
            }
            if wanted >= HOLD_BYTES {
                self.rest = Rest::Half;
                self.retry_size = self.offset + WAITING_BYTES_MAX;
                let is_due = idle >= TAIL_IDLE || self.size >= self.retry_size;
                return Ok(if is_due { Turn::Streams } else { Turn::Nothing });
            }
            wanted = (wanted * 4).min(HOLD_BYTES);
        }
    }

    fn gives(&mut self, shared: &mut Shared, file: &File, bytes: Vec<u8>, now: Timestamp) -> io::Result<Turn> {
        let from = self.offset;
        shared.counts.bytes += bytes.len() as u64;
        let envelope = self.moved(shared, file, from + bytes.len() as u64, now)?;
        Ok(Turn::Gives(Envelope { payloads: vec![(Position(from), bytes)], ..envelope }))
    }
}

/// Opens a path, if it leads to this file.
fn same(path: &Path, inode: Inode) -> io::Result<Option<File>> {
    let is_same = |meta: &fs::Metadata| meta.is_file() && Found::of(path, meta).inode == inode;
    // Asked before: to open a pipe would wait for somebody to write.
    let opened = fs::metadata(path).and_then(|meta| if is_same(&meta) { File::open(path).map(Some) } else { Ok(None) });
    match opened {
        Ok(Some(file)) => Ok(is_same(&file.metadata()?).then_some(file)),
        Ok(None) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
