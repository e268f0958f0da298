//! The sources while they are read: in what state each is, when it last handed something over, how fast records come.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::clock::Clock;
use crate::model::{Counts, Duration, SourceId, Timestamp};
use crate::ports::{Condition, Tells, Untold};

/// What rates are taken over.
const RATE_OVER: Duration = Duration::seconds(60);
/// Between two samples for rates.
const SAMPLE_EVERY: Duration = Duration::seconds(5);

/// What a source is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is read, or waited for.
    Reading,
    /// It could not be read for the moment, and is tried again.
    Failing,
    /// It can not be read until somebody does something.
    Failed,
    /// It came to its end, or the service stops.
    Ended,
}

impl State {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reading => "reading",
            Self::Failing => "failing",
            Self::Failed => "failed",
            Self::Ended => "ended",
        }
    }
}

/// What is known of one source.
#[derive(Debug, Clone)]
pub struct Entry {
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// Why it can not be read.
    pub problem: Option<String>,
    /// When it last handed something over.
    pub last_read: Option<Timestamp>,
    /// What it tells itself.
    pub condition: Condition,
}

struct Row {
    state: State,
    since: Timestamp,
    problem: Option<String>,
    last_read: Option<Timestamp>,
    tells: Arc<dyn Tells>,
}

/// Records and bytes received at a time, by source.
type Sample = (Timestamp, BTreeMap<SourceId, (u64, u64)>);

/// Records and bytes a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Rate {
    pub records_per_s: f64,
    pub bytes_per_s: f64,
}

/// All sources that are read. Written by the tasks that read, asked by whoever shows it.
pub struct Roster {
    clock: Clock,
    rows: Mutex<BTreeMap<SourceId, Row>>,
    samples: Mutex<VecDeque<Sample>>,
}

impl std::fmt::Debug for Roster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Roster").field("sources", &self.rows().len()).finish_non_exhaustive()
    }
}

impl Roster {
    /// Nobody is on it yet.
    pub fn new(clock: Clock) -> Self {
        Self { clock, rows: Mutex::default(), samples: Mutex::default() }
    }

    fn rows(&self) -> MutexGuard<'_, BTreeMap<SourceId, Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A source is read from now on.
    pub(super) fn enter(&self, source: &SourceId, tells: Arc<dyn Tells>) {
        let (since, last_read) = (self.clock.now(), self.rows().get(source).and_then(|row| row.last_read));
        self.rows().insert(source.clone(), Row { state: State::Reading, since, problem: None, last_read, tells });
    }

    /// It handed something over.
    pub(super) fn read(&self, source: &SourceId) {
        let now = self.clock.now();
        if let Some(row) = self.rows().get_mut(source) {
            row.last_read = Some(now);
        }
        self.turn(source, State::Reading, None);
    }

    /// Its state is this, for this reason.
    pub(super) fn turn(&self, source: &SourceId, state: State, problem: Option<String>) {
        let now = self.clock.now();
        if let Some(row) = self.rows().get_mut(source) {
            if row.state != state {
                row.since = now;
            }
            (row.state, row.problem) = (state, problem);
        }
    }

    /// One that can not be opened at all.
    pub fn fail(&self, source: &SourceId, problem: String) {
        self.enter(source, Arc::new(Untold));
        self.turn(source, State::Failed, Some(problem));
    }

    /// Every source, by name.
    pub fn entries(&self) -> BTreeMap<SourceId, Entry> {
        let entry = |(source, row): (&SourceId, &Row)| {
            let condition = row.tells.condition();
            let problem = row.problem.clone().or_else(|| condition.problem.clone());
            (source.clone(), Entry { state: row.state, since: row.since, problem, last_read: row.last_read, condition })
        };
        self.rows().iter().map(entry).collect()
    }

    /// Sources that have not been readable for so long, or never will be.
    pub(super) fn unreadable(&self, now: Timestamp, after: Duration) -> Vec<SourceId> {
        let is_down = |row: &Row| row.state == State::Failed || row.state == State::Failing && now.since(row.since) >= after;
        self.rows().iter().filter(|(_, row)| is_down(row)).map(|(source, _)| source.clone()).collect()
    }

    /// Takes note of what was received up to now.
    pub(super) fn sample(&self, now: Timestamp, counts: &BTreeMap<SourceId, Counts>) {
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.back().is_some_and(|(at, _)| now >= *at && now.since(*at) < SAMPLE_EVERY) {
            return;
        }
        // The first that is older than a minute stays: rates are taken from it on.
        while samples.get(1).is_some_and(|(at, _)| now.since(*at) >= RATE_OVER || now < *at) {
            samples.pop_front();
        }
        samples.push_back((now, counts.iter().map(|(source, counts)| (source.clone(), (counts.tally.records, counts.tally.bytes))).collect()));
    }

    /// How fast a source has brought records in the last minute, by what it has brought by now.
    pub fn rate(&self, source: &SourceId, counts: &Counts) -> Rate {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((at, before)) = samples.front() else { return Rate::default() };
        let (records, bytes) = before.get(source).copied().unwrap_or_default();
        let seconds = self.clock.now().since(*at).0.max(1_000_000_000) as f64 / 1e9;
        let per_second = |now: u64, then: u64| (now.saturating_sub(then) as f64 / seconds * 10.0).round() / 10.0;
        Rate { records_per_s: per_second(counts.tally.records, records), bytes_per_s: per_second(counts.tally.bytes, bytes) }
    }
}
