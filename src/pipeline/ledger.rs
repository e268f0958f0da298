//! The conservation ledger: every record that came ends in one counted outcome, by source.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use dashmap::mapref::one::RefMut;
use serde::Serialize;

use crate::model::{Kind, RejectReason, SourceId};

/// How a record ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Event(Kind),
    Duplicate,
    Reject(RejectReason),
    /// Judged by the rules and left out of the store, by the drop rule of this number.
    Dropped(usize),
}

#[derive(Debug, Default)]
struct Row {
    bytes: AtomicU64,
    records: AtomicU64,
    events: [AtomicU64; Kind::ALL.len()],
    duplicates: AtomicU64,
    rejects: [AtomicU64; RejectReason::ALL.len()],
    /// By number of the drop rule.
    dropped: Vec<AtomicU64>,
    upstream_lost: AtomicU64,
}

/// The counts of one source. `records = events + duplicates + rejects + dropped` holds at every moment that nothing is in flight.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Decompressed bytes read.
    pub bytes: u64,
    /// Records and unreadable ranges received.
    pub records: u64,
    pub events: u64,
    pub duplicates: u64,
    pub rejects: u64,
    pub dropped: u64,
    /// Records that are known to be lost before they came here: beside the equation.
    pub upstream_lost: u64,
    pub events_by_kind: BTreeMap<&'static str, u64>,
    pub rejects_by_reason: BTreeMap<&'static str, u64>,
    pub dropped_by_rule: BTreeMap<Arc<str>, u64>,
}

impl Counts {
    /// What is received and in no outcome: 0, or something is wrong.
    pub fn remainder(&self) -> i128 {
        i128::from(self.records) - i128::from(self.events) - i128::from(self.duplicates) - i128::from(self.rejects) - i128::from(self.dropped)
    }

    /// Adds the counts of another source.
    pub fn add(&mut self, other: &Self) {
        self.bytes += other.bytes;
        self.records += other.records;
        self.events += other.events;
        self.duplicates += other.duplicates;
        self.rejects += other.rejects;
        self.dropped += other.dropped;
        self.upstream_lost += other.upstream_lost;
        for (rule, count) in &other.dropped_by_rule {
            *self.dropped_by_rule.entry(Arc::clone(rule)).or_default() += count;
        }
        for (kind, count) in &other.events_by_kind {
            *self.events_by_kind.entry(kind).or_default() += count;
        }
        for (reason, count) in &other.rejects_by_reason {
            *self.rejects_by_reason.entry(reason).or_default() += count;
        }
    }
}

/// Counts by source, since the process started. Sources are those of the configuration, so the table is bounded.
#[derive(Debug, Default)]
pub struct Ledger {
    rows: DashMap<SourceId, Row>,
    /// Names of the drop rules.
    drops: Vec<Arc<str>>,
}

impl Ledger {
    /// With drop rules of these names.
    pub fn new(drops: Vec<Arc<str>>) -> Self {
        Self { rows: DashMap::new(), drops }
    }

    fn row(&self, source: &SourceId) -> RefMut<'_, SourceId, Row> {
        let new = || Row { dropped: self.drops.iter().map(|_| AtomicU64::default()).collect(), ..Row::default() };
        self.rows.entry(source.clone()).or_insert_with(new)
    }

    /// Bytes and records came in.
    pub fn receive(&self, source: &SourceId, bytes: u64, records: u64) {
        let row = self.row(source);
        row.bytes.fetch_add(bytes, Ordering::Relaxed);
        row.records.fetch_add(records, Ordering::Relaxed);
    }

    /// So many records are known to be lost before they came here.
    pub fn lose(&self, source: &SourceId, count: u64) {
        if count > 0 {
            self.row(source).upstream_lost.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// So many records ended like this.
    pub fn end(&self, source: &SourceId, outcome: Outcome, count: u64) {
        let row = self.row(source);
        let cell = match outcome {
            Outcome::Event(kind) => &row.events[kind as usize],
            Outcome::Duplicate => &row.duplicates,
            Outcome::Reject(reason) => &row.rejects[reason as usize],
            Outcome::Dropped(rule) => match row.dropped.get(rule) {
                Some(cell) => cell,
                None => return,
            },
        };
        cell.fetch_add(count, Ordering::Relaxed);
    }

    /// The counts of every source, by name.
    pub fn counts(&self) -> BTreeMap<SourceId, Counts> {
        let read = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        let mut all = BTreeMap::new();
        for row in &self.rows {
            let mut counts = Counts { bytes: read(&row.bytes), records: read(&row.records), duplicates: read(&row.duplicates), ..Counts::default() };
            counts.upstream_lost = read(&row.upstream_lost);
            for (kind, cell) in Kind::ALL.iter().zip(&row.events) {
                let count = read(cell);
                counts.events += count;
                if count > 0 {
                    counts.events_by_kind.insert(kind.name(), count);
                }
            }
            for (reason, cell) in RejectReason::ALL.iter().zip(&row.rejects) {
                let count = read(cell);
                counts.rejects += count;
                if count > 0 {
                    counts.rejects_by_reason.insert(reason.name(), count);
                }
            }
            for (rule, cell) in self.drops.iter().zip(&row.dropped) {
                let count = read(cell);
                counts.dropped += count;
                if count > 0 {
                    counts.dropped_by_rule.insert(Arc::clone(rule), count);
                }
            }
            all.insert(row.key().clone(), counts);
        }
        all
    }

    /// The counts of all sources together.
    pub fn total(&self) -> Counts {
        let mut total = Counts::default();
        for counts in self.counts().values() {
            total.add(counts);
        }
        total
    }
}
