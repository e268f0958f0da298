//! What became of the records that came, by source and by minute: `records = events + duplicates + rejects + dropped + refused`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::SourceId;

/// How the records of one source ended, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Decompressed bytes read.
    pub bytes: u64,
    /// Records, unreadable ranges and refused requests received.
    pub records: u64,
    /// Stored.
    pub events: u64,
    pub duplicates: u64,
    /// Kept in quarantine, or nothing worth keeping.
    pub rejects: u64,
    /// Judged by the rules and left out of the store by a drop rule.
    pub dropped: u64,
    /// Requests that were answered with an error before anything of them was taken: their sender has them still.
    pub refused: u64,
    /// Records that are known to be lost before they came here: beside the equation.
    pub upstream_lost: u64,
}

impl Tally {
    /// What is received and in no outcome: 0 when nothing is in flight, or something is wrong.
    pub fn remainder(&self) -> i128 {
        let ended = [self.events, self.duplicates, self.rejects, self.dropped, self.refused];
        i128::from(self.records) - ended.iter().map(|count| i128::from(*count)).sum::<i128>()
    }

    /// Each number with the other's, by a rule.
    fn with(&self, other: &Self, rule: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            bytes: rule(self.bytes, other.bytes),
            records: rule(self.records, other.records),
            events: rule(self.events, other.events),
            duplicates: rule(self.duplicates, other.duplicates),
            rejects: rule(self.rejects, other.rejects),
            dropped: rule(self.dropped, other.dropped),
            refused: rule(self.refused, other.refused),
            upstream_lost: rule(self.upstream_lost, other.upstream_lost),
        }
    }

    /// The two together.
    pub fn plus(&self, other: &Self) -> Self {
        self.with(other, u64::saturating_add)
    }

    /// What has come since an earlier tally.
    pub fn since(&self, earlier: &Self) -> Self {
        self.with(earlier, u64::saturating_sub)
    }
}

/// The counts of one source, taken apart further.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    #[serde(flatten)]
    pub tally: Tally,
    pub events_by_kind: BTreeMap<Cow<'static, str>, u64>,
    pub rejects_by_reason: BTreeMap<Cow<'static, str>, u64>,
    pub dropped_by_rule: BTreeMap<Arc<str>, u64>,
}

impl Counts {
    /// As [`Tally::remainder`].
    pub fn remainder(&self) -> i128 {
        self.tally.remainder()
    }

    /// Adds the counts of another source, or of another time.
    pub fn add(&mut self, other: &Self) {
        self.tally = self.tally.plus(&other.tally);
        for (rule, count) in &other.dropped_by_rule {
            *self.dropped_by_rule.entry(Arc::clone(rule)).or_default() += count;
        }
        for (kind, count) in &other.events_by_kind {
            *self.events_by_kind.entry(kind.clone()).or_default() += count;
        }
        for (reason, count) in &other.rejects_by_reason {
            *self.rejects_by_reason.entry(reason.clone()).or_default() += count;
        }
    }
}

/// What became durable of one source within one minute of our clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MinuteRow {
    /// Its start, in seconds since 1970.
    pub minute: i64,
    pub source: SourceId,
    pub tally: Tally,
}

/// The ledger as a checkpoint carries it: it is true of exactly what the checkpoint covers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LedgerPage {
    /// Since the store was made.
    pub totals: BTreeMap<SourceId, Counts>,
    /// The latest minute, in seconds since 1970. It never goes back, whatever the clock does.
    pub minute: i64,
    /// Minutes that are in no table yet: the latest one, and closed ones before it.
    pub minutes: Vec<MinuteRow>,
}

impl LedgerPage {
    /// The minutes that nothing is added to any more.
    pub fn closed(&self) -> Vec<MinuteRow> {
        self.minutes.iter().filter(|row| row.minute < self.minute).cloned().collect()
    }
}
