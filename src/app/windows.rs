//! The windows of the engine at a start: out of its journal, and for rules that the journal does not know, out of the store.

use std::time::Duration as StdDuration;

use crate::detect::engine::{Cold, Engine, FUTURE_MAX};
use crate::model::{Event, Timestamp};
use crate::pipeline::Worker;
use crate::query::Query;
use crate::store::search::LIMIT_MAX;
use crate::store::{Budget, EventLog, JournalPieces, SearchError, SearchRequest, Searcher};

/// Events of the past that a set of rules is filled with at most. Past it the oldest are left out, so a count can be too low, never too high.
pub const WARM_EVENTS_MAX: usize = 500_000;

/// How long one page of the past may take.
const PAGE_MAX: StdDuration = StdDuration::from_secs(60);

/// Makes a worker of an engine that is new, with its windows as the last checkpoint left them. Blocks.
pub fn bring_back(
    mut engine: Engine,
    log: &EventLog,
    now: Timestamp,
    worker: impl FnOnce(Engine) -> anyhow::Result<Worker>,
) -> anyhow::Result<Worker> {
    let (cold, memory) = match log.journal() {
        Some(pieces) => restore(&mut engine, pieces),
        None => (engine.all_cold(), Vec::new()),
    };
    let mut worker = worker(engine)?;
    worker.remember(&memory);
    let searcher = log.searcher();
    let Some(latest) = latest(&searcher)?.filter(|_| !cold.is_empty()) else { return Ok(worker) };
    let from = latest.minus(cold.reach()).minus(worker.lateness_max());
    tracing::warn!(rules = cold.ids().len(), from = %from, "the journal tells nothing of these rules: their windows are filled from the store");
    let taken = replay(&searcher, from, &mut |events| worker.warm(&cold, events))?;
    worker.warmed(&cold, now);
    tracing::info!(events = taken, "windows filled from the store");
    Ok(worker)
}

/// Reads the journal. Returns the rules that it knows nothing of, and what the flow remembered.
fn restore(engine: &mut Engine, mut pieces: JournalPieces) -> (Cold, Vec<u8>) {
    let mut restore = engine.restore();
    let (mut count, mut bytes) = (0_u64, 0);
    loop {
        let read = match pieces.read() {
            Ok(Some(piece)) => {
                (count, bytes) = (count + 1, bytes + piece.len());
                restore.piece(&piece).map_err(anyhow::Error::new)
            }
            Ok(None) => break,
            Err(error) => {
                restore.give_up();
                Err(error.into())
            }
        };
        if let Err(error) = read {
            tracing::warn!(error = format!("{error:#}"), "cannot read the journal of the engine");
            break;
        }
    }
    tracing::info!(pieces = count, bytes, "windows read from the journal");
    (restore.finish(), pieces.memory().to_vec())
}

/// Gives the events since this time, the latest first, a page at a time. Returns how many.
pub fn replay(searcher: &Searcher, from: Timestamp, each: &mut dyn FnMut(&[Event])) -> Result<usize, SearchError> {
    let mut request = SearchRequest { limit: LIMIT_MAX, is_counted: false, from: Some(from), ..SearchRequest::new(Query::All) };
    let mut taken = 0;
    loop {
        request.budget = Budget::within(PAGE_MAX);
        let page = searcher.search(&request)?;
        let events: Vec<Event> = page.events.into_iter().map(|hit| hit.event).collect();
        taken += events.len();
        each(&events);
        match page.next_cursor {
            Some(cursor) if taken < WARM_EVENTS_MAX => request.cursor = Some(cursor),
            Some(_) => {
                tracing::warn!(events = taken, "the past is longer than what windows are filled with: the oldest of it is left out");
                return Ok(taken);
            }
            None => return Ok(taken),
        }
    }
}

/// Where time stands in the store.
pub fn latest(searcher: &Searcher) -> Result<Option<Timestamp>, SearchError> {
    let page = searcher.search(&SearchRequest { limit: 1, ..SearchRequest::new(Query::All) })?;
    Ok(page.events.first().map(|hit| hit.time.min(hit.event.origin.received.plus(FUTURE_MAX))))
}
