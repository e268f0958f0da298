//! What is owed across a restart: rechecks that wait, and those that were handed out and whose answer nobody has said to be saved.
//!
//! The journal tells by group all that is owed of it, whenever that has changed. So an answer that was saved without the journal knowing is asked for once
//! more, which finds the same alerts, and none is lost.

use std::collections::{BTreeMap, BTreeSet};

use super::{Key, LATE_EVENTS_MAX, RECHECKS_MAX, Reason, Rechecks, Span};
use crate::detect::journal::{Bytes, put_len, put_time};
use crate::model::EventId;

/// Bits of a span in the journal.
const IS_LATE: u8 = 1;
const HAS_MORE: u8 = 2;

/// Rechecks that were handed out, and what the journal has not been told.
#[derive(Debug, Default)]
pub(super) struct Owed {
    taken: BTreeMap<Key, Vec<(u64, Span)>>,
    numbers: BTreeMap<u64, Key>,
    /// The last number that was given.
    last: u64,
    /// Groups of which something else is owed than the journal says.
    changed: BTreeSet<Key>,
}

impl Owed {
    /// Something about this group has changed.
    pub(super) fn change(&mut self, key: &Key) {
        if !self.changed.contains(key) {
            self.changed.insert(key.clone());
        }
    }

    /// Hands out a span under the number that is returned.
    pub(super) fn hand_out(&mut self, key: &Key, span: &Span) -> u64 {
        self.last += 1;
        self.taken.entry(key.clone()).or_default().push((self.last, span.clone()));
        self.numbers.insert(self.last, key.clone());
        self.last
    }

    fn answer(&mut self, number: u64) {
        let Some(key) = self.numbers.remove(&number) else { return };
        if let Some(spans) = self.taken.get_mut(&key) {
            spans.retain(|(known, _)| *known != number);
            if spans.is_empty() {
                self.taken.remove(&key);
            }
        }
        self.changed.insert(key);
    }
}

impl Rechecks {
    /// With `is_kept`, what was handed out is owed until [`Rechecks::answered`] says otherwise.
    pub(in crate::detect) fn new(is_kept: bool) -> Self {
        Self { owed: is_kept.then(Owed::default), ..Self::default() }
    }

    /// The answers to these are saved, or will never be.
    pub(in crate::detect) fn answered(&mut self, numbers: &[u64]) {
        if let Some(owed) = &mut self.owed {
            numbers.iter().for_each(|number| owed.answer(*number));
        }
    }

    /// Every group of which something is owed, those that were handed out first.
    pub(in crate::detect) fn all_owed(&self) -> Vec<Key> {
        let taken = self.owed.iter().flat_map(|owed| owed.taken.keys());
        let waiting = self.order.iter().filter(|key| self.waiting.contains_key(*key));
        let mut told = BTreeSet::new();
        taken.chain(waiting).filter(|key| told.insert(*key)).cloned().collect()
    }

    /// The groups of which the journal has not been told what is owed; now it is.
    pub(in crate::detect) fn take_changed(&mut self) -> BTreeSet<Key> {
        self.owed.as_mut().map(|owed| std::mem::take(&mut owed.changed)).unwrap_or_default()
    }

    /// All that is owed of a group, as the journal has it.
    pub(in crate::detect) fn spans(&self, key: &Key) -> Vec<&Span> {
        let taken = self.owed.iter().filter_map(|owed| owed.taken.get(key)).flatten().map(|(_, span)| span);
        taken.chain(self.waiting.get(key).into_iter().flatten()).collect()
    }

    /// All that is owed of a group is this, says the journal: it waits.
    pub(in crate::detect) fn set(&mut self, key: Key, mut spans: Vec<Span>) {
        // Where the key stands in the order does no harm without it.
        self.spans -= self.waiting.remove(&key).map_or(0, |spans| spans.len());
        let room = RECHECKS_MAX.saturating_sub(self.spans);
        self.overflowed += spans.len().saturating_sub(room) as u64;
        spans.truncate(room);
        if !spans.is_empty() {
            self.spans += spans.len();
            self.order.push_back(key.clone());
            self.waiting.insert(key, spans);
        }
    }

    /// Goes on with what another has handed out, of the rules that `place` knows by their new places.
    pub(in crate::detect) fn adopt(&mut self, old: &mut Self, place: impl Fn(usize) -> Option<usize>) {
        let (Some(owed), Some(old)) = (&mut self.owed, &mut old.owed) else { return };
        owed.last = owed.last.max(old.last);
        for ((rule, tenant, cluster, group), spans) in std::mem::take(&mut old.taken) {
            let Some(rule) = place(rule) else { continue };
            let key = (rule, tenant, cluster, group);
            owed.numbers.extend(spans.iter().map(|(number, _)| (*number, key.clone())));
            owed.taken.insert(key, spans);
        }
    }
}

impl Span {
    pub(in crate::detect) fn write(&self, to: &mut Vec<u8>) {
        put_time(to, self.from);
        put_time(to, self.to);
        to.push(if self.reason == Reason::Late { IS_LATE } else { 0 } | if self.has_more { HAS_MORE } else { 0 });
        put_len(to, self.late.len());
        self.late.iter().for_each(|event| to.extend_from_slice(&event.0));
    }

    pub(in crate::detect) fn read(from: &mut Bytes<'_>) -> Option<Self> {
        let (earliest, latest) = (from.time()?, from.time()?);
        let bits = from.byte().filter(|bits| *bits <= IS_LATE | HAS_MORE)?;
        let late = from.list(|from| from.array().map(EventId)).filter(|late| late.len() <= LATE_EVENTS_MAX)?;
        let reason = if bits & IS_LATE != 0 { Reason::Late } else { Reason::Evicted };
        Some(Self { from: earliest, to: latest, reason, late, has_more: bits & HAS_MORE != 0 })
    }
}
