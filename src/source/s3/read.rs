//! From objects that were found to envelopes: several are read at once, and handed over in the order of numbers.

use std::sync::Arc;

use futures_util::StreamExt;

use super::failure::Failure;
use super::fetch::{Fetched, Part, fetch};
use super::stream::{DECODED_BYTES_MAX, PIECE_BYTES, Pieces, Stop};
use super::sweep::{Broken, Sweeper};
use super::{OBJECT_TRIES_MAX, OBJECT_WAIT_MAX, S3Counts};
use crate::model::{ClusterId, Duration, Envelope, Form, Notice, Noticed, Origin, Reject, RejectReason};
use crate::source::objects::{Known, Object, Pending, position};

/// Objects that are handed over together: one sync writes down how much of each was read.
const TOGETHER_MAX: usize = 8;

/// How an object in pieces ended.
#[derive(Debug, Default)]
struct Ended {
    rejects: Vec<Reject>,
    notices: Vec<Notice>,
}

impl Sweeper {
    /// Reads what waits, several at once, and hands it over in order.
    pub(super) async fn read_pending(&mut self) -> Result<(), Broken> {
        let oldest_s = self.objects.pending().iter().map(|pending| pending.object.modified_s).min();
        self.state.waiting(self.objects.pending().len() as u64, self.objects.pending_bytes(), oldest_s);
        let pending: Vec<Pending> = std::iter::from_fn(|| self.objects.take()).collect();
        let (bucket, state) = (self.bucket.clone(), Arc::clone(&self.state));
        let mut fetches = futures_util::stream::iter(pending)
            .map(|pending| {
                let (bucket, state) = (bucket.clone(), Arc::clone(&state));
                async move {
                    let fetched = fetch(&bucket, &pending, &state.counts).await;
                    (pending, fetched)
                }
            })
            .buffered(self.settings.concurrency.max(1))
            .ready_chunks(TOGETHER_MAX);
        while let Some(together) = fetches.next().await {
            let mut ends = Vec::with_capacity(together.len());
            for (pending, fetched) in together {
                self.hand_over(pending, fetched, &mut ends).await?;
            }
            self.let_go(&mut ends).await?;
        }
        Ok(())
    }

    /// Hands over the ends of objects. What was read of them is written down before: of whatever the store has, it is known for good.
    async fn let_go(&mut self, ends: &mut Vec<Envelope>) -> Result<(), Broken> {
        self.objects.save(self.clock.now()).await.map_err(Broken::Log)?;
        for end in ends.drain(..) {
            self.send(end).await?;
        }
        Ok(())
    }

    /// The envelopes of an object, but for the last, which goes to `ends`. One without payload moves the position over an object that was not read.
    async fn hand_over(&mut self, pending: Pending, fetched: Fetched, ends: &mut Vec<Envelope>) -> Result<(), Broken> {
        let origin = self.origin(&pending.object);
        let mut last = Envelope::empty(Arc::clone(&origin), position(pending.number + 1, 0));
        self.state.read(&origin.object, pending.object.bytes);
        match fetched {
            Fetched::Whole(part) => self.whole(&pending, part, &mut last),
            Fetched::Pieces(part, pieces) => {
                // Its pieces come after what was read before it.
                self.let_go(ends).await?;
                let Ended { rejects, notices } = self.pieces(&pending, part, pieces, &origin).await?;
                let at = 0;
                (last.form, last.is_last, last.rejects) = (Form::Piece { at }, true, rejects);
                last.notices.extend(notices);
            }
            Fetched::TooLarge => {
                let object = &pending.object;
                S3Counts::add(&self.counts().too_large, 1);
                let detail = format!("an object of {} bytes is larger than the limit of {DECODED_BYTES_MAX}: write smaller ones", object.bytes);
                tracing::error!(source = %self.settings.source, key = %object.key.escape_debug(), bytes = object.bytes, "cannot read object: it is too large");
                last.rejects.push(Reject { offset: 0, len: object.bytes, reason: RejectReason::TooLong, detail, bytes: Vec::new() });
            }
            Fetched::Failed(failure) => last.rejects.extend(self.failed(pending, failure).await?),
        }
        ends.push(last);
        Ok(())
    }

    pub(super) async fn send(&self, envelope: Envelope) -> Result<(), Broken> {
        self.to.send(Ok(envelope)).await.map_err(|_| Broken::Over)
    }

    pub(super) fn counts(&self) -> &S3Counts {
        &self.state.counts
    }

    fn origin(&self, object: &Object) -> Arc<Origin> {
        Arc::new(Origin {
            tenant: self.settings.tenant.clone(),
            cluster: self.cluster(&object.key),
            source: self.settings.source.clone(),
            partition: self.partition.clone(),
            object: object.key.as_str().into(),
            received: self.clock.now(),
        })
    }

    /// What the bucket has to say of a version, beside its content.
    fn notice(&self, pending: &Pending, part: &Part) -> Option<Notice> {
        if !part.is_overwritten {
            S3Counts::add(&self.counts().grown, u64::from(pending.before.is_some() && pending.from == 0));
            return None;
        }
        S3Counts::add(&self.counts().overwritten, 1);
        let (key, read) = (pending.object.key.escape_debug(), pending.before.map_or(0, |before| before.bytes));
        tracing::warn!(source = %self.settings.source, %key, "an object that was read has been replaced");
        let detail = format!("object `{key}` was replaced: {read} bytes of it had been read, and it has other content now; all of it is read again");
        Some(Notice { what: Noticed::Overwritten, detail, lost: 0 })
    }

    fn whole(&mut self, pending: &Pending, part: Part, last: &mut Envelope) {
        S3Counts::add(&self.counts().read, 1);
        last.notices.extend(self.notice(pending, &part));
        let Part { at, bytes, mut tail, .. } = part;
        tail.push(&bytes);
        self.objects.read(pending, pending.object.bytes, tail.print());
        if at > 0 {
            (last.form, last.is_last) = (Form::Piece { at }, true);
        }
        if !bytes.is_empty() {
            last.payloads.push((pending.object.place(&self.settings.bucket), bytes));
        }
    }

    /// Hands over an object piece by piece. What follows the end of the last line waits for the next, so that an object which is replaced
    /// while it is read has given whole lines.
    async fn pieces(&mut self, pending: &Pending, part: Part, mut pieces: Pieces, origin: &Arc<Origin>) -> Result<Ended, Broken> {
        let mut ended = Ended::default();
        ended.notices.extend(self.notice(pending, &part));
        let Part { mut at, is_packed, mut tail, .. } = part;
        let mut carry: Vec<u8> = Vec::new();
        loop {
            let stop = match pieces.next().await {
                Some(Ok(piece)) if is_packed => {
                    at = self.piece(pending, origin, at, piece).await?;
                    continue;
                }
                Some(Ok(piece)) => {
                    carry.extend_from_slice(&piece);
                    while carry.len() >= PIECE_BYTES {
                        let cut = carry.get(..PIECE_BYTES).and_then(|most| memchr::memrchr(b'\n', most)).map_or(PIECE_BYTES, |end| end + 1);
                        let rest = carry.split_off(cut);
                        let piece = std::mem::replace(&mut carry, rest);
                        tail.push(&piece);
                        at = self.piece(pending, origin, at, piece).await?;
                    }
                    continue;
                }
                Some(Err(stop)) => stop,
                None => break,
            };
            match stop {
                Stop::Damaged(reason, detail) => {
                    ended.rejects.push(Reject { offset: at, len: 0, reason, detail, bytes: Vec::new() });
                    break;
                }
                Stop::Failed(failure) => {
                    let known = (!is_packed && tail.is_lines()).then(|| Known { version: 0, bytes: tail.bytes(), print: tail.print() });
                    self.broken_off(pending, failure, known, at, &mut ended).await?;
                    return Ok(ended);
                }
            }
        }
        if !carry.is_empty() {
            tail.push(&carry);
            self.piece(pending, origin, at, carry).await?;
        }
        S3Counts::add(&self.counts().read, 1);
        let print = if is_packed { 0 } else { tail.print() };
        self.objects.read(pending, pending.object.bytes, print);
        Ok(ended)
    }

    async fn piece(&self, pending: &Pending, origin: &Arc<Origin>, at: u64, bytes: Vec<u8>) -> Result<u64, Broken> {
        let end = at + bytes.len() as u64;
        let payloads = vec![(pending.object.place(&self.settings.bucket), bytes)];
        let envelope = Envelope { form: Form::Piece { at }, payloads, ..Envelope::empty(Arc::clone(origin), position(pending.number, end)) };
        self.send(envelope).await?;
        Ok(end)
    }

    /// An object of which so much was handed over, and the rest can not be read. Of lines the rest is read later, of others all of it.
    async fn broken_off(&mut self, pending: &Pending, failure: Failure, known: Option<Known>, at: u64, ended: &mut Ended) -> Result<(), Broken> {
        match failure {
            Failure::Replaced(_) => {
                S3Counts::add(&self.counts().vanished, 1);
                let Known { bytes, print, .. } = known.unwrap_or_default();
                self.objects.read(pending, bytes, print);
            }
            Failure::Gone(_) => {
                S3Counts::add(&self.counts().vanished, 1);
                self.objects.read(pending, 0, 0);
                let key = pending.object.key.escape_debug();
                let detail = format!("object `{key}` went away while it was read: {at} bytes of it were, of {}", pending.object.bytes);
                ended.notices.push(Notice { what: Noticed::Gap, detail, lost: 0 });
            }
            failure => {
                if known.is_none() {
                    S3Counts::add(&self.counts().reread, at);
                }
                let rest = Pending { before: known.filter(|known| known.print != 0), ..pending.clone() };
                ended.rejects.extend(self.failed(rest, failure).await?);
            }
        }
        Ok(())
    }

    /// An object that was not read: it comes again with the next listing, or is given up.
    async fn failed(&mut self, pending: Pending, failure: Failure) -> Result<Option<Reject>, Broken> {
        let is_gone = matches!(failure, Failure::Gone(_) | Failure::Replaced(_));
        S3Counts::add(if is_gone { &self.counts().vanished } else { &self.counts().failed }, 1);
        let tries = self.objects.tries(&pending.object) + 1;
        let (key, len) = (pending.object.key.escape_debug().to_string(), pending.object.bytes);
        if tries < OBJECT_TRIES_MAX {
            tracing::warn!(source = %self.settings.source, key, tries, error = %failure, "cannot read object");
            let wait = self.wait(tries);
            self.objects.again(pending, self.clock.now(), wait).await.map_err(Broken::Log)?;
            return Ok(None);
        }
        if let (Failure::Replaced(_), Some(_)) = (&failure, pending.before) {
            // A listing that still shows what stood there before; what stands there now is listed by others.
            return Ok(None);
        }
        S3Counts::add(&self.counts().given_up, 1);
        // What was written down of it before a crash does not hold.
        self.objects.read(&pending, 0, 0);
        tracing::error!(source = %self.settings.source, key, tries, error = %failure, "cannot read object: given up");
        let detail = format!("listed {tries} times and never read: {failure}");
        Ok(Some(Reject { offset: 0, len, reason: RejectReason::Unread, detail, bytes: Vec::new() }))
    }

    /// Until an object is tried again: as long as from poll to poll, and twice as long after each try.
    fn wait(&self, tries: u32) -> Duration {
        let poll = i64::try_from(self.settings.poll.as_nanos()).unwrap_or(i64::MAX);
        Duration(poll.saturating_mul(1_i64.checked_shl(tries - 1).unwrap_or(i64::MAX))).min(OBJECT_WAIT_MAX)
    }

    fn cluster(&self, key: &str) -> ClusterId {
        let named = self.settings.cluster_pattern.as_ref().and_then(|pattern| pattern.captures(key)?.get(1));
        named.and_then(|name| name.as_str().parse().ok()).unwrap_or_else(|| self.settings.cluster.clone())
    }
}
