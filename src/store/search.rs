//! Search over the parts: pages newest first, counts, groups and field names.
//!
//! A query is worked out a segment at a time as sets of documents (`plan`). What the terms cannot decide is decided by the one
//! `query::matches` on the event itself, restored from its raw record; so a search answers what a scan of everything would.

mod aggregate;
mod bits;
mod cursor;
mod page;
mod plan;
mod stats;
#[cfg(test)]
mod tests;
mod verdict;

pub use aggregate::{Bucket, FieldInfo, Group, Grouped};
pub use stats::{Numbers, Stats};

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::model::{Event, EventId, Timestamp};
use crate::ports::StoreError;
use crate::query::Query;

use super::event_log::Parts;
use super::part::PartView;
use super::record::Restore;

/// Events a page may have.
pub const LIMIT_MAX: usize = 1000;
/// How long a search may take.
const SECONDS: u64 = 10;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    #[error("the cursor is not one that a search gave")]
    BadCursor,
    #[error("{0}")]
    BadRequest(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What one search may spend: ask it between pieces of work.
#[derive(Debug, Clone)]
pub struct Budget {
    deadline: tokio::time::Instant,
    cancelled: Arc<AtomicBool>,
}

impl Default for Budget {
    fn default() -> Self {
        Self::within(std::time::Duration::from_secs(SECONDS))
    }
}

impl Budget {
    /// So much time from now on.
    pub fn within(time: std::time::Duration) -> Self {
        Self { deadline: tokio::time::Instant::now() + time, cancelled: Arc::default() }
    }

    /// Ends the search soon: nobody waits for it any more.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether to stop.
    pub fn is_spent(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed) || tokio::time::Instant::now() >= self.deadline
    }
}

/// What to look for.
#[derive(Debug, Clone)]
pub struct SearchRequest {
    pub query: Query,
    /// Earliest event time, included.
    pub from: Option<Timestamp>,
    /// Latest event time, not included.
    pub to: Option<Timestamp>,
    /// Events in the page, at most [`LIMIT_MAX`].
    pub limit: usize,
    /// From an earlier answer to the same request.
    pub cursor: Option<String>,
    /// Whether all that match are counted. Otherwise parts that can not add to the page are not asked, and the total is what was seen on the way.
    pub is_counted: bool,
    pub budget: Budget,
}

impl SearchRequest {
    /// Everything that matches, over all time.
    pub fn new(query: Query) -> Self {
        Self { query, from: None, to: None, limit: 100, cursor: None, is_counted: true, budget: Budget::default() }
    }

    fn low(&self) -> i64 {
        self.from.map_or(i64::MIN, Timestamp::nanos)
    }

    fn high(&self) -> i64 {
        self.to.map_or(i64::MAX, |to| to.nanos().saturating_sub(1))
    }
}

/// One event found.
#[derive(Debug, Clone)]
pub struct Hit {
    pub id: EventId,
    pub time: Timestamp,
    pub event: Event,
}

/// How many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Total {
    pub value: u64,
    /// Otherwise there may be more.
    pub exact: bool,
}

/// A page, newest first, ties by id.
#[derive(Debug, Clone)]
pub struct SearchAnswer {
    pub events: Vec<Hit>,
    /// Over all pages.
    pub total: Total,
    pub next_cursor: Option<String>,
    /// The budget ended the search early: events may be missing.
    pub partial: bool,
    /// What was done in each part that was asked, in that order.
    pub steps: Vec<Step>,
    /// Parts that were not asked: they hold nothing of the time, or nothing that gets into the page.
    pub skipped: u64,
}

/// What a search did in one part.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Step {
    /// Number of the part.
    pub part: u64,
    /// Events in it, of all times.
    pub events: u64,
    pub segments: u64,
    /// Events that match, as far as is known.
    pub matched: u64,
    /// Events that were restored and looked at, since the index does not decide on them.
    pub looked_at: u64,
    /// Events that may match and were not looked at.
    pub undecided: u64,
}

/// Reads what was committed. Cheap to clone; every call blocks, so call it off the runtime.
#[derive(Clone)]
pub struct Searcher {
    parts: Arc<Parts>,
    restore: Arc<dyn Restore>,
}

impl std::fmt::Debug for Searcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Searcher").field("parts", &self.parts.load().len()).finish_non_exhaustive()
    }
}

impl Searcher {
    pub(super) fn new(parts: Arc<Parts>, restore: Arc<dyn Restore>) -> Self {
        Self { parts, restore }
    }

    /// The parts that can hold events of this range, newest first.
    fn parts_between(&self, low: i64, high: i64) -> Vec<Arc<PartView>> {
        let mut parts: Vec<_> = self.parts.load().iter().filter(|p| p.stats.time_max >= low && p.stats.time_min <= high).cloned().collect();
        parts.sort_by_key(|part| (std::cmp::Reverse(part.stats.time_max), std::cmp::Reverse(part.seq)));
        parts
    }

    /// One event by its id.
    pub fn get(&self, id: &EventId) -> Result<Option<Hit>, SearchError> {
        for part in self.parts_between(i64::MIN, i64::MAX) {
            if let Some(event) = part.find(id, self.restore.as_ref())? {
                return Ok(Some(Hit { id: event.id, time: event.time, event }));
            }
        }
        Ok(None)
    }
}
