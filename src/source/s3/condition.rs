//! How a bucket is: what waits, what was read last, what is wrong for the moment.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use super::S3Counts;
use crate::clock::Clock;
use crate::ports::{Condition, Lag, LagUnit, Tells};

/// Shared by the tasks of a source and whoever asks.
#[derive(Debug)]
pub(super) struct State {
    pub(super) counts: Arc<S3Counts>,
    clock: Clock,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    listing: Option<String>,
    queue: Option<String>,
    last_object: Option<Arc<str>>,
    waiting: u64,
    waiting_bytes: u64,
    /// When the oldest object that waits was written, by the server's clock.
    oldest_s: Option<i64>,
}

impl State {
    pub(super) fn new(counts: Arc<S3Counts>, clock: Clock) -> Self {
        Self { counts, clock, told: Mutex::default() }
    }

    fn tell(&self, tell: impl FnOnce(&mut Told)) {
        tell(&mut self.told.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Listing fails, or no longer does.
    pub(super) fn listing(&self, problem: Option<String>) {
        self.tell(|told| told.listing = problem);
    }

    /// The queue fails, or no longer does. Nothing but speed hangs on it.
    pub(super) fn queue(&self, problem: Option<String>) {
        self.tell(|told| told.queue = problem);
    }

    /// So much waits to be read.
    pub(super) fn waiting(&self, objects: u64, bytes: u64, oldest_s: Option<i64>) {
        self.tell(|told| (told.waiting, told.waiting_bytes, told.oldest_s) = (objects, bytes, oldest_s.filter(|_| objects > 0)));
    }

    /// This one was handed over.
    pub(super) fn read(&self, key: &Arc<str>, bytes: u64) {
        self.tell(|told| {
            told.last_object = Some(Arc::clone(key));
            told.waiting = told.waiting.saturating_sub(1);
            told.waiting_bytes = told.waiting_bytes.saturating_sub(bytes);
            told.oldest_s = told.oldest_s.filter(|_| told.waiting > 0);
        });
    }
}

impl Tells for State {
    fn condition(&self) -> Condition {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let now_s = self.clock.now().nanos() / 1_000_000_000;
        let counts = &self.counts;
        let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let problems: Vec<&str> = [&told.listing, &told.queue].into_iter().flatten().map(String::as_str).collect();
        let seconds = told.oldest_s.filter(|at| *at > 0).map(|at| u64::try_from(now_s - at).unwrap_or_default());
        Condition {
            problem: Some(problems.join("; ")).filter(|problem| !problem.is_empty()),
            lag: Some(Lag { amount: told.waiting, unit: LagUnit::Objects, seconds }),
            last_object: told.last_object.as_deref().map(str::to_owned),
            counts: BTreeMap::from([
                ("sweeps", read(&counts.sweeps)),
                ("listed", read(&counts.listed)),
                ("found", read(&counts.found)),
                ("read", read(&counts.read)),
                ("waiting_bytes", told.waiting_bytes),
                ("bytes", read(&counts.bytes)),
                ("bytes_reread", read(&counts.reread)),
                ("grown", read(&counts.grown)),
                ("overwritten", read(&counts.overwritten)),
                ("vanished", read(&counts.vanished)),
                ("failed", read(&counts.failed)),
                ("given_up", read(&counts.given_up)),
                ("too_large", read(&counts.too_large)),
                ("retries", read(&counts.retries)),
                ("slowed", read(&counts.slowed)),
                ("messages", read(&counts.messages)),
                ("messages_foreign", read(&counts.messages_foreign)),
                ("messages_unknown", read(&counts.messages_unknown)),
                ("queue_failures", read(&counts.queue_failures)),
            ]),
        }
    }
}
