//! Whether a file is the one that it was, and what of it was read before.

use std::fs::File;
use std::io;

use super::super::cut::Rest;
use super::super::follow::Shared;
use super::super::mark::{self, MARK_BYTES, Mark, Reached};
use super::super::{HOLD_BYTES, TAIL_IDLE, stream};
use super::{KIND_BYTES, Kind, Watched};
use crate::model::{Envelope, Form, Magic, Notice, Noticed, PartitionId, Position, Timestamp};

impl Watched {
    /// Whether what was read still stands as it was. If not, it begins anew, and an envelope says so.
    pub(super) fn check(&mut self, shared: &mut Shared, file: &File, now: Timestamp) -> io::Result<Option<Envelope>> {
        if matches!(self.kind, Kind::Foreign(_)) {
            return Ok(None);
        }
        if self.kind == Kind::Archive {
            // What was added to it, or stands in its place, is read with all the rest.
            let is_same = self.offset == 0 || self.offset == self.size;
            return Ok(if is_same { None } else { self.anew(shared, None, now) });
        }
        // Of a size that was only listed nobody knows whether the same stood there.
        let seen = self.checked.0;
        let unread = seen.saturating_sub(self.offset);
        let begins = match &self.identity {
            Some((head, _)) => head.stands(file, u64::from(head.len))?,
            None => self.size >= seen,
        };
        let path = self.path.display();
        if self.size >= self.offset && begins {
            let is_same = match self.tail {
                Some(tail) => tail.stands(file, self.offset)?,
                None => true,
            };
            if is_same {
                return Ok(None);
            }
            let detail = format!("`{path}` was changed in its first {} bytes, which had been read; it is read again", self.offset);
            return Ok(self.anew(shared, Some(Notice { what: Noticed::Overwritten, detail, lost: 0 }), now));
        }
        if begins && self.identity.is_some() {
            let detail = format!("`{path}` shrank from {seen} to {} bytes and begins as before; it is read again", self.size);
            return Ok(self.anew(shared, Some(Notice { what: Noticed::Overwritten, detail, lost: 0 }), now));
        }
        let detail = || format!("`{path}` was cut while {unread} of its {seen} bytes had not been read: shorten `poll_s`, or rotate by renaming");
        let gap = (unread > 0).then(|| Notice { what: Noticed::Gap, detail: detail(), lost: 0 });
        shared.counts.cut += 1;
        Ok(self.anew(shared, gap, now))
    }

    /// From the start again, as another file.
    pub(super) fn anew(&mut self, shared: &Shared, notice: Option<Notice>, now: Timestamp) -> Option<Envelope> {
        let origin = self.origin(shared, now);
        let forgets: Vec<PartitionId> = self.identity.take().map(|(_, partition)| partition).into_iter().collect();
        let notices: Vec<Notice> = notice.into_iter().collect();
        (self.kind, self.offset, self.tail, self.rest, self.retry_size) = (Kind::New, 0, None, Rest::Nothing, 0);
        self.skips = false;
        let says = !forgets.is_empty() || !notices.is_empty();
        says.then(|| Envelope { notices, forgets, ..Envelope::empty(origin, Position(0)) })
    }

    /// Finds out what it holds, and whether it was read before.
    pub(super) fn meet(&mut self, shared: &mut Shared, file: &File, now: Timestamp) -> io::Result<Option<Envelope>> {
        let head = mark::read(file, 0, MARK_BYTES)?;
        let is_short = head.len() < KIND_BYTES && !head.contains(&b'\n');
        if head.is_empty() || is_short && self.idle(now) < TAIL_IDLE {
            return Ok(None);
        }
        self.kind = match Magic::of(&head) {
            Magic::Plain => Kind::Text,
            Magic::Compressed(_) => Kind::Archive,
            Magic::Unsupported(name) | Magic::Binary(name) => Kind::Foreign(name),
        };
        let stale = self.adopt(shared, file, &head)?;
        let is_met = self.identity.is_some();
        match self.kind {
            Kind::Foreign(name) if !is_met => {
                let mut envelope = self.moved(shared, file, self.size.max(1), now)?;
                envelope.rejects.push(stream::foreign(name));
                envelope.forgets = stale;
                return Ok(Some(envelope));
            }
            Kind::Text if !is_met => {
                if let Some(reached) = shared.finished.find(&head).filter(|reached| reached.offset <= self.size)
                    && reached.tail.stands(file, reached.offset)?
                {
                    shared.counts.repeated += 1;
                    return Ok(Some(Envelope { forgets: stale, ..self.moved(shared, file, reached.offset, now)? }));
                }
                if self.skips {
                    let end = last_line_end(file, self.size)?;
                    return Ok(Some(Envelope { forgets: stale, ..self.moved(shared, file, end, now)? }));
                }
            }
            Kind::Archive if self.skips && !is_met => {
                return Ok(Some(Envelope { forgets: stale, ..self.moved(shared, file, self.size, now)? }));
            }
            _ => {}
        }
        let origin = self.origin(shared, now);
        Ok((!stale.is_empty()).then(|| Envelope { forgets: stale, ..Envelope::empty(origin, Position(0)) }))
    }

    /// Goes on where the checkpoint says. Returns what the checkpoint knows of this inode that is not this file.
    pub(super) fn adopt(&mut self, shared: &mut Shared, file: &File, head: &[u8]) -> io::Result<Vec<PartitionId>> {
        let mut stale = Vec::new();
        for (partition, position) in shared.take_known(self.inode) {
            match mark::head_of(&partition).filter(|mark| self.identity.is_none() && mark.begins(head)) {
                Some(mark) => {
                    self.offset = position.0;
                    self.identity = Some((mark, partition));
                    if self.offset <= self.size {
                        self.remember(shared, file)?;
                    }
                    // A place past its end is told of like any other that was read and is not there.
                    self.checked = (self.offset, i64::MIN);
                    self.is_changed = true;
                }
                None => stale.push(partition),
            }
        }
        Ok(stale)
    }

    /// It counts as read up to here.
    pub(in super::super) fn moved(&mut self, shared: &mut Shared, file: &File, upto: u64, now: Timestamp) -> io::Result<Envelope> {
        self.name(shared, file, upto)?;
        self.offset = upto;
        self.remember(shared, file)?;
        Ok(Envelope { form: Form::Span, ..Envelope::empty(self.origin(shared, now), Position(upto)) })
    }

    /// Gives it its name, by what stands before this place.
    pub(in super::super) fn name(&mut self, shared: &Shared, file: &File, upto: u64) -> io::Result<()> {
        if self.identity.is_none() {
            let head = mark::read(file, 0, MARK_BYTES.min(usize::try_from(upto).unwrap_or(MARK_BYTES)))?;
            let head = Mark::of_head(&head);
            self.identity = Some((head, mark::partition(&shared.settings.source, self.inode, head)));
        }
        Ok(())
    }

    /// Takes marks of how far it was read.
    pub(super) fn remember(&mut self, shared: &mut Shared, file: &File) -> io::Result<()> {
        let from = self.offset.saturating_sub(MARK_BYTES as u64);
        let len = usize::try_from(self.offset - from).unwrap_or(MARK_BYTES);
        let tail = Mark::of_tail(&mark::read(file, from, len)?);
        self.tail = Some(tail);
        if let Some((head, _)) = self.identity.as_ref().filter(|_| self.kind == Kind::Text) {
            shared.finished.add(*head, Reached { offset: self.offset, tail });
        }
        Ok(())
    }

    /// Nothing more comes of it.
    pub(super) fn end(&mut self, shared: &mut Shared, now: Timestamp) -> Option<Envelope> {
        let waiting = self.waiting();
        shared.counts.finished += 1;
        let detail = || format!("`{}` is gone, and {waiting} of its bytes had not been read: shorten `poll_s`", self.path.display());
        let gap = (waiting > 0).then(|| Notice { what: Noticed::Gap, detail: detail(), lost: 0 });
        self.anew(shared, gap, now)
    }
}

/// Behind the last line end of a file; its start, if the last of it is one long line.
fn last_line_end(file: &File, size: u64) -> io::Result<u64> {
    let from = size.saturating_sub(HOLD_BYTES as u64);
    let bytes = mark::read(file, from, HOLD_BYTES)?;
    Ok(memchr::memrchr(b'\n', &bytes).map_or(0, |at| from + at as u64 + 1))
}
