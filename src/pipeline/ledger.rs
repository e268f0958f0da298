//! The conservation ledger: every record that came ends in one counted outcome, by source.
//!
//! What was counted becomes durable with the checkpoint that covers it ([`LedgerPage`]), so a crash takes back both or neither, and the sums over all starts
//! of the service are exact. Only refusals at the door belong to no checkpoint: a crash may forget those of the last moments.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dashmap::DashMap;
use dashmap::mapref::one::RefMut;

use crate::model::{Counts, Kind, LedgerPage, MinuteRow, RejectReason, SourceId, Tally, Timestamp};

/// Minutes of sources that may wait for their table. Past it the latest minute takes in what belongs to later ones.
const OPEN_MAX: usize = 2_000;

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
    refused: AtomicU64,
    upstream_lost: AtomicU64,
}

/// What of the counts is in minutes.
#[derive(Debug, Default)]
struct Book {
    /// What stood in the store when counting began here.
    before: BTreeMap<SourceId, Counts>,
    /// Of the counts since, what stands in minutes.
    taken: BTreeMap<SourceId, Tally>,
    minute: i64,
    open: BTreeMap<(i64, SourceId), Tally>,
}

/// Counts by source, since the store was made. Sources are those of the configuration and of tokens, so the table is bounded.
#[derive(Debug, Default)]
pub struct Ledger {
    rows: DashMap<SourceId, Row>,
    /// Names of the drop rules.
    drops: Vec<Arc<str>>,
    book: Mutex<Book>,
    turned_away: AtomicU64,
}

impl Ledger {
    /// With drop rules of these names.
    pub fn new(drops: Vec<Arc<str>>) -> Self {
        Self { rows: DashMap::new(), drops, book: Mutex::default(), turned_away: AtomicU64::new(0) }
    }

    /// Goes on from what the last checkpoint carries. What was counted since it is forgotten, since it comes again; refusals are not, since they do not.
    pub fn resume(&self, page: LedgerPage) {
        let ever = self.counts();
        self.rows.clear();
        let mut book = self.book();
        let open = page.minutes.into_iter().map(|row| ((row.minute, row.source), row.tally)).collect();
        *book = Book { before: page.totals, taken: BTreeMap::new(), minute: page.minute, open };
        for (source, counts) in ever {
            let known = book.before.get(&source).map_or(0, |counts| counts.tally.refused);
            self.refuse(&source, counts.tally.refused.saturating_sub(known));
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// So many requests were answered with an error, and nothing of them was taken: received and ended at once.
    pub fn refuse(&self, source: &SourceId, requests: u64) {
        if requests > 0 {
            self.row(source).refused.fetch_add(requests, Ordering::Relaxed);
        }
    }

    /// A push came without valid credentials. It belongs to no source.
    pub fn turn_away(&self) {
        self.turned_away.fetch_add(1, Ordering::Relaxed);
    }

    /// Pushes without valid credentials since the start.
    pub fn turned_away(&self) -> u64 {
        self.turned_away.load(Ordering::Relaxed)
    }

    /// So many records are known to be lost before they came here.
    pub fn lose(&self, source: &SourceId, count: u64) {
        if count > 0 {
            self.row(source).upstream_lost.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// So many records ended like this.
    pub fn end(&self, source: &SourceId, outcome: Outcome, count: u64) {
        if count == 0 {
            return;
        }
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

    /// What was counted since the start.
    fn live(&self) -> BTreeMap<SourceId, Counts> {
        let mut all = BTreeMap::new();
        for row in &self.rows {
            all.insert(row.key().clone(), row.value().counts(&self.drops));
        }
        all
    }

    /// The counts of every source since the store was made, by name.
    pub fn counts(&self) -> BTreeMap<SourceId, Counts> {
        let live = self.live();
        let mut all = self.book().before.clone();
        for (source, counts) in live {
            all.entry(source).or_default().add(&counts);
        }
        all
    }

    /// The counts of all sources together, since counting began here.
    pub fn total_here(&self) -> Counts {
        let mut total = Counts::default();
        self.live().values().for_each(|counts| total.add(counts));
        total
    }

    /// The counts of all sources together, since the store was made.
    pub fn total(&self) -> Counts {
        let mut total = Counts::default();
        for counts in self.counts().values() {
            total.add(counts);
        }
        total
    }

    /// The page for the next checkpoint; what was counted since the last one belongs to this minute. To be asked for while nothing is in flight.
    pub fn page(&self, now: Timestamp) -> LedgerPage {
        let live = self.live();
        let mut book = self.book();
        let minute = now.millis().div_euclid(60_000) * 60;
        if book.open.len() < OPEN_MAX {
            book.minute = book.minute.max(minute);
        }
        let minute = book.minute;
        let mut totals = book.before.clone();
        for (source, counts) in live {
            let tally = counts.tally;
            let before = book.taken.insert(source.clone(), tally).unwrap_or_default();
            let new = tally.since(&before);
            if new != Tally::default() {
                let slot = book.open.entry((minute, source.clone())).or_default();
                *slot = slot.plus(&new);
            }
            totals.entry(source).or_default().add(&counts);
        }
        LedgerPage { totals, minute, minutes: rows(&book.open) }
    }

    /// The minutes that stand in no table yet, as of the last checkpoint.
    pub fn open_minutes(&self) -> Vec<MinuteRow> {
        rows(&self.book().open)
    }

    /// These rows are in their table.
    pub fn kept(&self, kept: &[MinuteRow]) {
        let mut book = self.book();
        for row in kept {
            book.open.remove(&(row.minute, row.source.clone()));
        }
    }
}

fn rows(open: &BTreeMap<(i64, SourceId), Tally>) -> Vec<MinuteRow> {
    open.iter().map(|((minute, source), tally)| MinuteRow { minute: *minute, source: source.clone(), tally: *tally }).collect()
}

impl Row {
    fn counts(&self, drops: &[Arc<str>]) -> Counts {
        let read = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        let refused = read(&self.refused);
        let tally = Tally {
            bytes: read(&self.bytes),
            records: read(&self.records) + refused,
            duplicates: read(&self.duplicates),
            refused,
            upstream_lost: read(&self.upstream_lost),
            ..Tally::default()
        };
        let mut counts = Counts { tally, ..Counts::default() };
        for (kind, count) in Kind::ALL.iter().zip(&self.events).map(|(kind, cell)| (kind, read(cell))).filter(|(_, count)| *count > 0) {
            counts.tally.events += count;
            counts.events_by_kind.insert(Cow::Borrowed(kind.name()), count);
        }
        for (reason, count) in RejectReason::ALL.iter().zip(&self.rejects).map(|(reason, cell)| (reason, read(cell))).filter(|(_, count)| *count > 0)
        {
            counts.tally.rejects += count;
            counts.rejects_by_reason.insert(Cow::Borrowed(reason.name()), count);
        }
        for (rule, count) in drops.iter().zip(&self.dropped).map(|(rule, cell)| (rule, read(cell))).filter(|(_, count)| *count > 0) {
            counts.tally.dropped += count;
            counts.dropped_by_rule.insert(Arc::clone(rule), count);
        }
        counts
    }
}
