//! Rechecks, answered from the store beside the flow: what came too late for memory, or had to go from it, is judged with the events around it.
//!
//! They are taken from the engine right after a flush, so that what asked for them can be found, and answered one after another. What cannot be answered
//! is counted: the service says so. The engine keeps each in its journal until it hears that the answer is saved, or that there is none to be had; so what
//! a crash or the end of the service cuts off is asked for again after the next start.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration as StdDuration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::publisher::Publisher;
use super::read::chain;
use crate::detect::engine::EngineSettings;
use crate::detect::recheck::{Case, Recheck, Retrial, WIDTHS};
use crate::detect::rule::RuleSet;
use crate::model::{Event, Field, FieldRef, Finding, Kind, Kinds};
use crate::query::{Query, ValueTest, Wild};
use crate::store::search::LIMIT_MAX;
use crate::store::{Budget, SearchRequest, Searcher};

/// Rechecks that wait for their turn. Past it they wait in the engine, which joins neighbours.
const QUEUE_MAX: usize = 256;
/// Events that one recheck may look at.
const EVENTS_MAX: usize = 200_000;
/// How long one recheck may take.
const ANSWER_MAX: StdDuration = StdDuration::from_secs(30);
/// How long what still waits may take when everything else has ended.
const DRAIN_MAX: StdDuration = StdDuration::from_secs(20);
/// Bytes from which on a group's value may be a cut one, which the store does not know as such.
const VALUE_BYTES_MAX: usize = 200;

/// How rechecks ended.
#[derive(Debug, Default)]
pub(super) struct Answers {
    answered: AtomicU64,
    failed: AtomicU64,
    /// Numbers of those that need not be asked for again, which the engine has not heard of.
    done: Mutex<Vec<u64>>,
}

impl Answers {
    /// This one need not be asked for again.
    fn done(&self, number: u64) {
        if number != 0 {
            self.done.lock().unwrap_or_else(PoisonError::into_inner).push(number);
        }
    }

    /// Numbers of the rechecks that have been dealt with since the last call.
    pub(super) fn take_done(&self) -> Vec<u64> {
        std::mem::take(&mut self.done.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Answered, and given up.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.answered.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }
}

/// A recheck with what it takes to answer it.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) recheck: Recheck,
    pub(super) rules: Arc<RuleSet>,
    pub(super) settings: EngineSettings,
}

/// The task that answers.
#[derive(Debug)]
pub(super) struct Rechecker {
    to: mpsc::Sender<Job>,
    task: JoinHandle<()>,
    answers: Arc<Answers>,
}

impl Rechecker {
    /// Starts it.
    pub(super) fn start(past: Searcher, publisher: Publisher, answers: Arc<Answers>) -> Self {
        let (to, from) = mpsc::channel(QUEUE_MAX);
        let task = tokio::spawn(run(from, past, publisher, Arc::clone(&answers)));
        Self { to, task, answers }
    }

    /// How many it would take now.
    pub(super) fn room(&self) -> usize {
        self.to.capacity()
    }

    /// Gives it work, at most as much as there is room for.
    pub(super) fn give(&self, jobs: Vec<Job>) {
        for job in jobs {
            if self.to.try_send(job).is_err() {
                self.answers.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Waits for work that was given, and with `more` for what did not find room before, but not for ever.
    pub(super) async fn finish(self, more: Vec<Job>) {
        let Self { to, mut task, answers } = self;
        let end = tokio::time::Instant::now() + DRAIN_MAX;
        let mut left = more.into_iter();
        let sent = tokio::time::timeout_at(end, async {
            for job in left.by_ref() {
                if to.send(job).await.is_err() {
                    return;
                }
            }
        });
        let is_done = sent.await.is_ok();
        drop(to);
        if !is_done || tokio::time::timeout_at(end, &mut task).await.is_err() {
            task.abort();
            answers.failed.fetch_add(left.len() as u64, Ordering::Relaxed);
            tracing::error!(
                waiting = left.len(),
                "cannot answer all rechecks before the end: alerts of late events may be missing until the next start"
            );
        }
    }
}

async fn run(mut from: mpsc::Receiver<Job>, past: Searcher, publisher: Publisher, answers: Arc<Answers>) {
    while let Some(job) = from.recv().await {
        let number = job.recheck.number;
        let (rule, span) = (job.recheck.rule.id.clone(), (job.recheck.from, job.recheck.to));
        let past = past.clone();
        let found = tokio::task::spawn_blocking(move || answer(&past, job)).await;
        let problem = match found {
            Ok(Ok(findings)) => publisher.publish(&findings).await.err().map(|error| (chain(&error), false)),
            Ok(Err(problem)) => Some((problem, true)),
            Err(error) => Some((chain(&error), true)),
        };
        // An answer that could not be saved is found again after the next start.
        if problem.as_ref().is_none_or(|(_, is_hopeless)| *is_hopeless) {
            answers.done(number);
        }
        match problem {
            None => answers.answered.fetch_add(1, Ordering::Relaxed),
            Some((error, _)) => {
                tracing::error!(rule.id = %rule, from = %span.0, to = %span.1, error, "cannot judge again what came late or had to go");
                answers.failed.fetch_add(1, Ordering::Relaxed)
            }
        };
    }
}

/// Judges one recheck by the events around it.
fn answer(past: &Searcher, job: Job) -> Result<Vec<Finding>, String> {
    let Job { recheck, rules, settings } = job;
    // A rule that is no longer in force finds nothing any more.
    let Some(case) = Case::new(&rules, &recheck.rule.id) else { return Ok(Vec::new()) };
    let budget = Budget::within(ANSWER_MAX);
    let query = query(&case, &recheck);
    let mut found = Vec::new();
    for width in WIDTHS {
        let mut retrial = Retrial::new(&case, recheck.clone(), &settings, width);
        let (from, to) = retrial.range();
        let request = SearchRequest {
            from: Some(from),
            to: Some(to),
            limit: LIMIT_MAX,
            is_counted: false,
            budget: budget.clone(),
            ..SearchRequest::new(query.clone())
        };
        each_page(past, request, &mut |events| retrial.take(events))?;
        let verdict = retrial.finish();
        found = verdict.findings;
        if verdict.is_settled {
            break;
        }
    }
    Ok(found)
}

fn each_page(past: &Searcher, mut request: SearchRequest, each: &mut dyn FnMut(Vec<Event>)) -> Result<(), String> {
    let mut taken = 0;
    loop {
        let page = past.search(&request).map_err(|error| chain(&error))?;
        if page.partial {
            return Err(format!("the search did not end within {} s", ANSWER_MAX.as_secs()));
        }
        taken += page.events.len();
        each(page.events.into_iter().map(|hit| hit.event).collect());
        match page.next_cursor {
            None => return Ok(()),
            Some(_) if taken >= EVENTS_MAX => return Err(format!("there are more than {EVENTS_MAX} events around it")),
            Some(cursor) => request.cursor = Some(cursor),
        }
    }
}

fn term(field: FieldRef, value: &str) -> Query {
    Query::Field { field, test: ValueTest::Wild(Wild::literal(value)) }
}

/// Events that can be of the group. It may find more: the rule decides.
fn query(case: &Case, recheck: &Recheck) -> Query {
    let mut all = vec![term(FieldRef::Fact(Field::Cluster), recheck.cluster.as_str())];
    let reads = case.reads();
    if reads != Kinds::ALL {
        let kinds = Kind::ALL.into_iter().filter(|kind| reads.meet(Kinds::only(*kind)));
        all.push(Query::Or(kinds.map(|kind| term(FieldRef::Fact(Field::EventKind), kind.name())).collect()));
    }
    // The store knows what an event says; that a cluster or kind nobody wrote is a value of the group is its own doing.
    let is_said =
        |field: &FieldRef, value: &str| !matches!(field, FieldRef::Fact(Field::Cluster | Field::EventKind)) && value.len() < VALUE_BYTES_MAX;
    let ways = case.terms(&recheck.group).into_iter().map(|fields| {
        Query::And(fields.into_iter().filter(|(field, value)| is_said(field, value)).map(|(field, value)| term(field, &value)).collect())
    });
    let ways: Vec<Query> = ways.collect();
    if !ways.is_empty() {
        all.push(Query::Or(ways));
    }
    Query::And(all)
}
