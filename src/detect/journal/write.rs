//! Writing the journal.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::{ADVANCE, BEGIN, ENTRY, GROUP, OWED, SETTLE, VERSION, bytes, check_of};
use crate::detect::correlate::entry::Entry;
use crate::detect::identity::Identity;
use crate::detect::key::ValueKey;
use crate::detect::recheck::Span;
use crate::detect::watermark::Horizons;
use crate::detect::witness::Witness;
use crate::model::{ClusterId, GroupKey, JournalPiece, TenantId};

/// Bytes of deltas up to which no new whole is written, however small the last one was.
const DELTAS_BYTES_MIN: usize = 4 << 20;

/// A new whole is written once the deltas are so many times as long as the last one.
const DELTAS_FACTOR: usize = 2;

/// A piece that is being written.
#[derive(Debug)]
pub(in crate::detect) struct Scribe {
    pub(in crate::detect) to: Vec<u8>,
    /// Numbers of the witnesses that were written, by address: all are held meanwhile, so no address is used twice.
    known: HashMap<usize, u64, RandomState>,
    held: Vec<Arc<Witness>>,
}

impl Default for Scribe {
    fn default() -> Self {
        Self { to: vec![VERSION], known: HashMap::default(), held: Vec::new() }
    }
}

impl Scribe {
    /// Writes a witness, or which one it was.
    pub(in crate::detect) fn witness(&mut self, witness: &Arc<Witness>) {
        let next = self.held.len() as u64 + 1;
        match self.known.entry(Arc::as_ptr(witness) as usize) {
            std::collections::hash_map::Entry::Occupied(known) => bytes::put_number(&mut self.to, *known.get()),
            std::collections::hash_map::Entry::Vacant(slot) => {
                slot.insert(next);
                self.held.push(Arc::clone(witness));
                bytes::put_number(&mut self.to, 0);
                witness.write(&mut self.to);
            }
        }
    }

    pub(in crate::detect) fn entry(&mut self, entry: &Entry) {
        bytes::put_key(&mut self.to, &entry.key());
        self.to.extend_from_slice(&entry.act.0.to_le_bytes());
        self.to.push(u8::from(entry.is_late) | u8::from(entry.is_end) << 1 | u8::from(entry.is_clamped) << 2);
        bytes::put_len(&mut self.to, entry.values.len());
        entry.values.iter().for_each(|value| self.to.extend_from_slice(&value.to_le_bytes()));
        self.witness(&entry.witness);
    }

    fn whose(&mut self, rule: usize, (tenant, cluster, key): Whose<'_>) {
        bytes::put_len(&mut self.to, rule);
        bytes::put_text(&mut self.to, tenant.as_str());
        bytes::put_text(&mut self.to, cluster.as_str());
        bytes::put_len(&mut self.to, key.len());
        for (name, value) in key {
            bytes::put_text(&mut self.to, name);
            self.to.push(u8::from(value.is_some()));
            if let Some(value) = value {
                bytes::put_text(&mut self.to, value);
            }
        }
    }

    /// The start of a whole piece.
    pub(in crate::detect) fn begin(&mut self, key: &ValueKey, identities: &[Identity]) {
        self.to.push(BEGIN);
        self.to.extend_from_slice(key.bytes());
        bytes::put_len(&mut self.to, identities.len());
        identities.iter().for_each(|identity| self.to.extend_from_slice(&identity.0));
    }

    /// The head of a group; what it holds comes after it.
    pub(in crate::detect) fn group(&mut self, rule: usize, whose: Whose<'_>) {
        self.to.push(GROUP);
        self.whose(rule, whose);
    }

    /// Time has come so far.
    pub(in crate::detect) fn advance(&mut self, horizons: &mut Horizons, is_whole: bool) {
        self.to.push(ADVANCE);
        horizons.write(is_whole, &mut self.to);
    }

    /// All that is to be judged of a group from the store.
    pub(in crate::detect) fn owed(&mut self, rule: usize, whose: Whose<'_>, spans: &[&Span]) {
        self.to.push(OWED);
        self.whose(rule, whose);
        bytes::put_len(&mut self.to, spans.len());
        spans.iter().for_each(|span| span.write(&mut self.to));
    }

    /// The piece, complete.
    fn end(mut self) -> Vec<u8> {
        let check = check_of(&self.to);
        self.to.extend_from_slice(&check);
        self.to
    }
}

/// Tenant, cluster and values of a group.
pub(in crate::detect) type Whose<'a> = (&'a TenantId, &'a ClusterId, &'a GroupKey);

/// The journal of a running engine.
#[derive(Debug)]
pub(in crate::detect) struct Journal {
    delta: Scribe,
    has_unsettled: bool,
    /// Deltas alone do not tell what the windows hold.
    is_whole_due: bool,
    whole_bytes: usize,
    deltas_bytes: usize,
}

impl Default for Journal {
    fn default() -> Self {
        Self { delta: Scribe::default(), has_unsettled: false, is_whole_due: true, whole_bytes: 0, deltas_bytes: 0 }
    }
}

impl Journal {
    /// An entry that counts.
    pub(in crate::detect) fn entry(&mut self, rule: usize, whose: Whose<'_>, entry: &Entry) {
        // A whole is going to tell all of it.
        if !self.is_whole_due {
            self.delta.to.push(ENTRY);
            self.delta.whose(rule, whose);
            self.delta.entry(entry);
            self.has_unsettled = true;
        }
    }

    /// The end of a batch.
    pub(in crate::detect) fn settle(&mut self) {
        if std::mem::take(&mut self.has_unsettled) {
            self.delta.to.push(SETTLE);
        }
    }

    /// Time has come so far.
    pub(in crate::detect) fn advance(&mut self, horizons: &mut Horizons) {
        if !self.is_whole_due {
            self.delta.advance(horizons, false);
        }
    }

    /// All that is to be judged of a group from the store has become this.
    pub(in crate::detect) fn owed(&mut self, rule: usize, whose: Whose<'_>, spans: &[&Span]) {
        self.delta.owed(rule, whose, spans);
    }

    /// What comes next has to be a whole.
    pub(in crate::detect) fn begin_anew(&mut self) {
        *self = Self::default();
    }

    /// Whether a whole is to be taken next.
    pub(in crate::detect) fn is_whole_due(&self) -> bool {
        self.is_whole_due || self.deltas_bytes + self.delta.to.len() > DELTAS_BYTES_MIN.max(self.whole_bytes.saturating_mul(DELTAS_FACTOR))
    }

    /// The delta since the last piece; without bytes if there is none.
    pub(in crate::detect) fn take_delta(&mut self) -> JournalPiece {
        let delta = std::mem::take(&mut self.delta);
        if delta.to.len() <= 1 {
            return JournalPiece::default();
        }
        let bytes = delta.end();
        self.deltas_bytes += bytes.len();
        JournalPiece { bytes, ..JournalPiece::default() }
    }

    /// A whole that this scribe wrote.
    pub(in crate::detect) fn take_whole(&mut self, whole: Scribe) -> JournalPiece {
        let bytes = whole.end();
        *self = Self { is_whole_due: false, whole_bytes: bytes.len(), ..Self::default() };
        JournalPiece { bytes, is_whole: true, ..JournalPiece::default() }
    }
}
