//! Publishing: alerts at once, events into the store, checkpoints with each flush, and then the word to the sources.

mod orders;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration as StdDuration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use self::orders::Order;
pub use self::orders::{SwapError, Swapped, Swapper};
use super::ledger::{Ledger, Outcome};
use super::publisher::Publisher;
use super::read::read;
use super::recheck::{Answers, Rechecker};
use super::roster::Roster;
use super::tail::Tail;
use super::turns::Turns;
use super::view::View;
use super::vitals::Outside;
use super::work::{Batch, Worker};
use crate::clock::Clock;
use crate::model::{Alert, Change, Checkpoint, Duration, Envelope, Event, LedgerPage, Position};
use crate::ports::{AlertStore, Commit, EventStore, LedgerStore, Source, SourceError, StoreError};
use crate::store::Searcher;
use crate::store::space::Space;

/// How often time alone is looked at while nothing comes.
const IDLE_EVERY: StdDuration = StdDuration::from_secs(10);

/// After so long that a source can not be read, it is an alert.
const UNREADABLE_AFTER: Duration = Duration::minutes(5);

/// When the flow makes things durable.
#[derive(Debug, Clone)]
pub struct FlowSettings {
    /// Flush this long after the first event that waits, while little is waiting.
    pub flush_every: StdDuration,
    /// Flush once this many events wait.
    pub flush_events_max: usize,
}

impl Default for FlowSettings {
    fn default() -> Self {
        Self { flush_every: StdDuration::from_secs(1), flush_events_max: 50_000 }
    }
}

/// Why the flow ended early.
#[derive(Debug, thiserror::Error)]
pub enum FlowError {
    #[error("cannot go on: the store failed")]
    Store(#[from] StoreError),
    #[error("cannot go on: a source failed")]
    Source(#[from] SourceError),
    #[error("cannot go on: a stage of the flow broke off")]
    Broken(#[from] tokio::task::JoinError),
}

/// What a finished flow has done.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Alerts opened or reopened.
    pub alerts_opened: u64,
}

/// The flow and what it writes to.
pub struct Flow {
    worker: Arc<Mutex<Worker>>,
    events: Arc<dyn EventStore>,
    publisher: Publisher,
    ledger: Arc<Ledger>,
    clock: Clock,
    settings: FlowSettings,
    minutes: Option<Arc<dyn LedgerStore>>,
    roster: Arc<Roster>,
    tail: Arc<Tail>,
    space: Option<Arc<Space>>,
    past: Option<Searcher>,
    rechecker: Option<Rechecker>,
    answers: Arc<Answers>,
    view: watch::Sender<Arc<View>>,
    orders_to: mpsc::Sender<Order>,
    orders: mpsc::Receiver<Order>,
    /// Events appended since the last flush.
    waiting: usize,
    /// Positions taken in since the start; durable with the next flush.
    reached: Checkpoint,
    is_dirty: bool,
    /// The last flush.
    flush_took: StdDuration,
}

impl std::fmt::Debug for Flow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flow").field("settings", &self.settings).field("waiting", &self.waiting).finish_non_exhaustive()
    }
}

impl Flow {
    /// Over these stores. `reached` is the store's checkpoint; `on_change` is told of every alert that opened, reopened or was superseded.
    pub fn new(
        worker: Worker,
        events: Arc<dyn EventStore>,
        alerts: Arc<dyn AlertStore>,
        ledger: Arc<Ledger>,
        clock: Clock,
        settings: FlowSettings,
    ) -> Self {
        let worker = Arc::new(Mutex::new(worker));
        let (orders_to, orders) = mpsc::channel(1);
        let roster = Arc::new(Roster::new(clock.clone()));
        Self {
            worker,
            events,
            publisher: Publisher::new(alerts),
            ledger,
            clock,
            settings,
            minutes: None,
            roster,
            tail: Arc::default(),
            space: None,
            past: None,
            rechecker: None,
            answers: Arc::default(),
            view: watch::Sender::default(),
            orders_to,
            orders,
            waiting: 0,
            reached: Checkpoint::default(),
            is_dirty: false,
            flush_took: StdDuration::ZERO,
        }
    }

    /// Tells this channel of every alert that somebody is to hear of.
    #[must_use]
    pub fn on_change(mut self, to: mpsc::Sender<(Alert, Change)>) -> Self {
        self.publisher.on_change = Some(to);
        self
    }

    /// Keeps the minutes of the ledger here.
    #[must_use]
    pub fn keep_minutes_in(mut self, minutes: Arc<dyn LedgerStore>) -> Self {
        self.minutes = Some(minutes);
        self
    }

    /// Keeps this roster of its sources.
    #[must_use]
    pub fn with_roster(mut self, roster: Arc<Roster>) -> Self {
        self.roster = roster;
        self
    }

    /// Shows what becomes durable here.
    #[must_use]
    pub fn with_tail(mut self, tail: Arc<Tail>) -> Self {
        self.tail = tail;
        self
    }

    /// Tells through this what the engine tells of itself.
    #[must_use]
    pub fn with_view(mut self, view: watch::Sender<Arc<View>>) -> Self {
        self.view = view;
        self
    }

    /// Takes nothing in while this disk is too full.
    #[must_use]
    pub fn with_space(mut self, space: Arc<Space>) -> Self {
        self.space = Some(space);
        self
    }

    /// Judges what came too late, or had to go from memory, by what this finds.
    #[must_use]
    pub fn recheck_from(mut self, past: Searcher) -> Self {
        self.past = Some(past);
        self
    }

    /// Ids of rules that the engine does not run.
    pub fn refused(&self) -> Vec<String> {
        let worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        let (engine, rules) = (worker.engine(), worker.engine().rules());
        engine.refused().iter().filter_map(|refused| Some(rules.rules.get(refused.rule)?.header.id.clone())).collect()
    }

    /// What the engine tells of itself, anew with every flush.
    pub fn view(&self) -> watch::Receiver<Arc<View>> {
        self.view.subscribe()
    }

    /// Runs until every source has ended, or `stop` says so and all that was read is durable.
    pub async fn run(mut self, sources: Vec<Box<dyn Source>>, stop: watch::Receiver<bool>) -> Result<Summary, FlowError> {
        self.reached = self.events.checkpoint().await?;
        self.tail.forget();
        let start = |past| Rechecker::start(past, self.publisher.clone(), Arc::clone(&self.answers));
        self.rechecker = self.past.take().map(start);
        let mut turns = Turns::default();
        let (durable, _) = watch::channel(self.reached.clone());
        let mut readers = tokio::task::JoinSet::new();
        for source in sources {
            readers.spawn(read(source, Arc::clone(&self.roster), turns.way(), durable.subscribe(), stop.clone()));
        }
        let pumped = self.pump(turns, &durable, stop).await;
        drop(durable);
        if let Err(error) = pumped {
            // What they read is not durable: who reads it again must not meet them.
            readers.shutdown().await;
            return Err(error);
        }
        while let Some(ended) = readers.join_next().await {
            ended??;
        }
        Ok(Summary { alerts_opened: self.publisher.opened() })
    }

    /// Takes in what comes until nothing does any more, and makes it durable.
    async fn pump(&mut self, mut turns: Turns, durable: &watch::Sender<Checkpoint>, stop: watch::Receiver<bool>) -> Result<(), FlowError> {
        let mut due: Option<Instant> = None;
        loop {
            let wake = due.unwrap_or_else(|| Instant::now() + IDLE_EVERY);
            let next = tokio::select! {
                biased;
                Some(order) = self.orders.recv() => {
                    self.obey(order, durable).await?;
                    continue;
                }
                next = tokio::time::timeout_at(wake, next(self.space.as_deref(), &mut turns, stop.clone())) => next,
            };
            match next {
                Ok(Some(envelope)) => {
                    self.take(envelope).await?;
                    due = due.or_else(|| Some(Instant::now() + self.pause()));
                }
                Ok(None) => break,
                // Nothing waits, and nothing comes.
                Err(_) if due.is_none() => {
                    self.recheck().await?;
                    self.advance().await?;
                    due = self.is_dirty.then(Instant::now);
                }
                Err(_) => {}
            }
            // Asked of the clock as well: a queue that is never empty lets no timeout come.
            if self.waiting >= self.settings.flush_events_max || due.is_some_and(|at| at <= Instant::now()) {
                self.flush(durable).await?;
                self.recheck().await?;
                self.advance().await?;
                due = None;
            }
        }
        self.finish().await?;
        self.flush(durable).await?;
        if let Some(rechecker) = self.rechecker.take() {
            let left = self.on_worker(|worker| worker.rechecks(usize::MAX)).await?;
            rechecker.finish(left).await;
            // The journal is to know of their answers.
            let answered = self.answers.take_done();
            self.is_dirty |= !answered.is_empty();
            self.on_worker(move |worker| worker.answered(&answered)).await?;
            self.flush(durable).await?;
        }
        Ok(())
    }

    /// From the first event that waits to its flush: longer where flushing is slow, so that it takes a fifth of the time at most.
    fn pause(&self) -> StdDuration {
        self.settings.flush_every.max(self.flush_took * 4)
    }

    /// One envelope, through all stages.
    async fn take(&mut self, envelope: Envelope) -> Result<(), FlowError> {
        let partition = envelope.origin.partition.clone();
        // A position of 0 is said by who has none, and, with nothing in it, by who marks where reading begins.
        let is_mark = envelope.payloads.is_empty() && envelope.rejects.is_empty() && !envelope.is_last;
        let forgets = envelope.forgets.clone();
        let decoded = self.on_worker(move |worker| {
            let mut batches = vec![worker.decode(&envelope)];
            if envelope.is_last {
                batches.extend(worker.end(&envelope.origin.partition));
            }
            (batches, worker.reached(&envelope))
        });
        let (batches, upto) = decoded.await?;
        for batch in batches {
            self.absorb(batch).await?;
        }
        if upto != Position(0) || is_mark {
            self.reached.advance(&partition, upto);
            self.is_dirty = true;
        }
        for partition in forgets {
            self.reached.forget(&partition);
            self.is_dirty = true;
        }
        Ok(())
    }

    /// Detects in what is new and stores it.
    async fn absorb(&mut self, batch: Batch) -> Result<(), FlowError> {
        let source = batch.source.clone();
        let events = self.only_new(batch).await?;
        if events.is_empty() {
            return Ok(());
        }
        let work = move |worker: &mut Worker| {
            let findings = worker.detect(&events);
            let drops = worker.drops(&events);
            (events, findings, drops)
        };
        let (mut events, findings, drops) = self.on_worker(work).await?;
        self.publisher.publish(&findings).await?;
        let mut drops = drops.into_iter();
        events.retain(|event| {
            let dropped = drops.next().flatten();
            self.ledger.end(&source, dropped.map_or(Outcome::Event(event.kind), Outcome::Dropped), 1);
            dropped.is_none()
        });
        self.events.append(&events).await?;
        self.tail.hold(&events);
        self.waiting += events.len();
        self.is_dirty = true;
        Ok(())
    }

    /// Leaves out what the store has already.
    async fn only_new(&mut self, batch: Batch) -> Result<Vec<Event>, FlowError> {
        if batch.events.is_empty() {
            return Ok(batch.events);
        }
        let ids: Vec<_> = batch.events.iter().map(|event| (event.id, event.time)).collect();
        let known = self.events.contains(&ids).await?;
        let mut events = batch.events;
        let mut known = known.into_iter();
        let mut duplicates = Vec::new();
        events.retain(|event| {
            let is_known = known.next().unwrap_or(false);
            if is_known {
                duplicates.push(event.origin.source.clone());
            }
            !is_known
        });
        for source in duplicates {
            self.ledger.end(&source, Outcome::Duplicate, 1);
        }
        Ok(events)
    }

    async fn flush(&mut self, durable: &watch::Sender<Checkpoint>) -> Result<(), FlowError> {
        if self.is_dirty {
            let started = Instant::now();
            let now = self.clock.now();
            let answered = self.answers.take_done();
            let take = move |worker: &mut Worker| {
                worker.answered(&answered);
                worker.take_journal(now)
            };
            let journal = self.on_worker(take).await?;
            if crate::defect::is("cursor-before-commit") {
                durable.send_replace(self.reached.clone());
                tokio::time::sleep(StdDuration::from_millis(200)).await;
            }
            let page = self.ledger.page(now);
            self.events.flush(&Commit { upto: &self.reached, journal: journal.as_ref(), ledger: &page }).await?;
            self.tail.flushed();
            self.keep_minutes(&page).await;
            self.on_worker(|worker| worker.flushed()).await?;
            self.waiting = 0;
            self.is_dirty = false;
            self.flush_took = started.elapsed();
            durable.send_replace(self.reached.clone());
        }
        Ok(())
    }

    /// Puts closed minutes of the ledger into their table. Until that goes well, checkpoints carry them on.
    async fn keep_minutes(&self, page: &LedgerPage) {
        let closed = page.closed();
        let Some(minutes) = self.minutes.as_ref().filter(|_| !closed.is_empty()) else { return };
        match minutes.keep(&closed).await {
            Ok(()) => self.ledger.kept(&closed),
            Err(error) => tracing::warn!(%error, "cannot keep minutes of the ledger yet"),
        }
    }

    /// Hands on what memory could not judge. Comes right after a flush: what asked can be found then.
    async fn recheck(&mut self) -> Result<(), FlowError> {
        let room = self.rechecker.as_ref().map_or(0, Rechecker::room);
        if room > 0 {
            let jobs = self.on_worker(move |worker| worker.rechecks(room)).await?;
            if let Some(rechecker) = &self.rechecker {
                rechecker.give(jobs);
            }
        }
        Ok(())
    }

    /// Closes what time alone closes.
    async fn advance(&mut self) -> Result<(), FlowError> {
        let now = self.clock.now();
        let rechecks = self.answers.counts();
        self.roster.sample(now, &self.ledger.counts());
        let unreadable = self.roster.unreadable(now, UNREADABLE_AFTER);
        let outside = Outside {
            failed: rechecks.1,
            unreadable,
            times_low: self.space.as_ref().map_or(0, |space| space.times_low()),
            turned_away: self.ledger.turned_away(),
        };
        let work = move |worker: &mut Worker| {
            let mut findings = worker.advance(now);
            findings.extend(worker.health(now, &outside));
            (findings, worker.silences(now), worker.view())
        };
        let (findings, silences, view) = self.on_worker(work).await?;
        self.view.send_replace(Arc::new(View { rechecks, ..view }));
        self.publisher.publish(&findings).await?;
        for batch in silences {
            self.absorb(batch).await?;
        }
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), FlowError> {
        for batch in self.on_worker(Worker::end_all).await? {
            self.absorb(batch).await?;
        }
        let findings = self.on_worker(Worker::finish).await?;
        Ok(self.publisher.publish(&findings).await?)
    }

    /// Work that computes goes to a blocking thread, so that it delays no other task.
    async fn on_worker<T: Send + 'static>(&self, work: impl FnOnce(&mut Worker) -> T + Send + 'static) -> Result<T, FlowError> {
        let worker = Arc::clone(&self.worker);
        Ok(tokio::task::spawn_blocking(move || work(&mut worker.lock().unwrap_or_else(PoisonError::into_inner))).await?)
    }
}

/// The next envelope, once there is room on the disk for what comes of it. Who stops takes in what was read, with what is in reserve.
async fn next(space: Option<&Space>, turns: &mut Turns, mut stop: watch::Receiver<bool>) -> Option<Envelope> {
    if let Some(space) = space {
        let mut low = space.watch_low();
        tokio::select! {
            _ = low.wait_for(|low| !*low) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
    turns.next().await
}
