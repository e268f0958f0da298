//! Many small messages become few envelopes: of one partition each, in order.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::places::Place;
use crate::model::{Envelope, Notice, Origin, PartitionId, Position, Reject, RejectReason};

/// Bytes of an envelope past which it is handed over; one message alone may be longer.
const ENVELOPE_BYTES: usize = 1 << 20;

/// Messages of an envelope.
const ENVELOPE_MESSAGES_MAX: usize = 4_096;

/// Bytes that are gathered of all partitions before all are handed over.
const GATHERED_BYTES_MAX: usize = 8 << 20;

/// One message, as far as it counts.
#[derive(Debug)]
pub(super) struct Taken<'a> {
    pub(super) offset: i64,
    /// `None`: a tombstone.
    pub(super) payload: Option<&'a [u8]>,
}

/// Envelopes that are being filled, and those that are full.
#[derive(Debug, Default)]
pub(super) struct Gather {
    open: BTreeMap<Place, (Envelope, usize)>,
    bytes: usize,
    full: VecDeque<Envelope>,
}

impl Gather {
    /// Takes a message in. `origin` is asked for when an envelope is begun.
    pub(super) fn take(&mut self, place: &Place, message: &Taken<'_>, message_bytes_max: usize, origin: impl FnOnce() -> Arc<Origin>) {
        if !self.open.contains_key(place) {
            self.open.insert(place.clone(), (Envelope::empty(origin(), Position(0)), 0));
        }
        let Some((envelope, bytes)) = self.open.get_mut(place) else { return };
        let at = u64::try_from(message.offset).unwrap_or_default();
        envelope.upto = Position(at + 1);
        let reject = |reason, len: usize, detail: &str| Reject { offset: at, len: len as u64, reason, detail: detail.to_owned(), bytes: Vec::new() };
        match message.payload {
            None => envelope.rejects.push(reject(RejectReason::Control, 0, "a tombstone: a message without a value")),
            Some([]) => envelope.rejects.push(reject(RejectReason::Control, 0, "a message with an empty value")),
            Some(payload) if payload.len() > message_bytes_max => {
                let detail = format!("a message of {} bytes at offset {at}: `message_bytes_max` is {message_bytes_max}", payload.len());
                envelope.rejects.push(reject(RejectReason::TooLong, payload.len(), &detail));
            }
            Some(payload) => {
                *bytes += payload.len();
                self.bytes += payload.len();
                envelope.payloads.push((Position(at), payload.to_vec()));
            }
        }
        if *bytes >= ENVELOPE_BYTES || envelope.payloads.len() + envelope.rejects.len() >= ENVELOPE_MESSAGES_MAX {
            self.close(place);
        }
        if self.bytes >= GATHERED_BYTES_MAX {
            self.close_all();
        }
    }

    /// Says something of a partition, and that everything below is handed over.
    pub(super) fn say(&mut self, place: &Place, origin: Arc<Origin>, upto: i64, notices: Vec<Notice>) {
        self.close(place);
        let upto = Position(u64::try_from(upto).unwrap_or_default());
        self.full.push_back(Envelope { notices, ..Envelope::empty(origin, upto) });
    }

    /// With what was said last, the checkpoint forgets a partition that is not heard of again.
    pub(super) fn forget(&mut self, partition: PartitionId) {
        if let Some(envelope) = self.full.back_mut() {
            envelope.forgets.push(partition);
        }
    }

    fn close(&mut self, place: &Place) {
        if let Some((envelope, bytes)) = self.open.remove(place) {
            self.bytes -= bytes;
            self.full.push_back(envelope);
        }
    }

    /// Nothing more comes for the moment: what is gathered goes.
    pub(super) fn close_all(&mut self) {
        self.bytes = 0;
        self.full.extend(std::mem::take(&mut self.open).into_values().map(|(envelope, _)| envelope));
    }

    /// The next that is to be handed over.
    pub(super) fn next(&mut self) -> Option<Envelope> {
        self.full.pop_front()
    }

    /// Back in its place: it could not be handed over.
    pub(super) fn put_back(&mut self, envelope: Envelope) {
        self.full.push_front(envelope);
    }

    /// Whether something waits to be handed over.
    pub(super) fn is_waiting(&self) -> bool {
        !self.full.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    fn origin() -> Arc<Origin> {
        Arc::new(Origin::of("t", Timestamp::default()))
    }

    /// What becomes of messages of one partition, by the lengths of their values; `None` is a tombstone.
    fn check(lengths: &[Option<usize>], expected: &[&str]) {
        let mut gather = Gather::default();
        for (offset, length) in lengths.iter().enumerate() {
            let payload = length.map(|length| vec![b'x'; length]);
            let taken = Taken { offset: offset as i64, payload: payload.as_deref() };
            gather.take(&Place::new("t", 0), &taken, 4 << 20, origin);
        }
        gather.close_all();
        let mut shown = Vec::new();
        while let Some(envelope) = gather.next() {
            let rejects: Vec<&str> = envelope.rejects.iter().map(|reject| reject.reason.name()).collect();
            shown.push(format!("{} {rejects:?} upto {}", envelope.payloads.len(), envelope.upto.0));
        }
        assert_eq!(shown, expected);
        assert_eq!(gather.bytes, 0);
    }

    #[test]
    fn envelopes_are_bounded_and_every_message_is_accounted_for() {
        check(&[Some(10), Some(10)], &["2 [] upto 2"]);
        check(&[None, Some(0), Some(3)], &[r#"1 ["control", "control"] upto 3"#]);
        check(&[Some(600_000), Some(600_000), Some(1)], &["2 [] upto 2", "1 [] upto 3"]);
        check(&[Some(5 << 20), Some(1)], &[r#"1 ["too_long"] upto 2"#]);
        check(&[Some(1); 5_000], &["4096 [] upto 4096", "904 [] upto 5000"]);
    }
}
