//! Works off the outbox: one task a target, so a dead target delays no other, and one message at a time within it, so changes arrive in order.
//!
//! While a target fails, one message after another probes it, at most every 30 s; once it answers, everything that waits for it comes due.
//! The memory of failures is only a pace: what is to be sent, and how often it was tried, is in the outbox.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration as Patience;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::model::{Duration, Timestamp};
use crate::ports::{Delivery, Leased, Notifier, Outbox, StoreError};

use super::schedule;

/// How the worker paces itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerSettings {
    /// How long one attempt may hold a message: longer than any notifier's timeout. After a crash it is taken up when this ends.
    pub lease: Duration,
    /// Attempts under way over all targets.
    pub attempts_max: usize,
    /// The longest pause between two looks at the outbox when nothing wakes the worker.
    pub idle_max: Patience,
    /// The longest pause between two messages to a target that fails; also how soon after its last attempt a message may go again when it is back.
    pub probe_every: Duration,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self { lease: Duration::seconds(30), attempts_max: 16, idle_max: Patience::from_secs(30), probe_every: Duration::seconds(30) }
    }
}

/// A target by its configured name.
#[derive(Clone)]
pub struct Target {
    pub name: String,
    pub notifier: Arc<dyn Notifier>,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What deserves an alert of its own, on another target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The target said it is gone (410): it takes no messages until somebody enables it. So many that waited were given up.
    Disabled {
        target: String,
        why: String,
        given_up: u64,
    },
    /// A message was given up. It stays listed.
    Dead {
        target: String,
        id: String,
        why: String,
    },
    /// The target has begun to fail, or answers again.
    Failing {
        target: String,
        why: String,
    },
    Recovered {
        target: String,
    },
    /// The outbox itself cannot be read or written.
    Outbox {
        target: String,
        error: String,
    },
}

type Notes = dyn Fn(Note) + Send + Sync;

/// Delivers what waits in the outbox.
pub struct Worker {
    outbox: Arc<dyn Outbox>,
    targets: Vec<Target>,
    clock: Clock,
    settings: WorkerSettings,
    notes: Arc<Notes>,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("targets", &self.targets).field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Worker {
    /// A worker for these targets. `notes` must not block.
    pub fn new(
        outbox: Arc<dyn Outbox>,
        targets: Vec<Target>,
        clock: Clock,
        settings: WorkerSettings,
        notes: impl Fn(Note) + Send + Sync + 'static,
    ) -> Self {
        Self { outbox, targets, clock, settings, notes: Arc::new(notes) }
    }

    /// Runs until `shutdown` holds true or its sender is gone. Attempts under way are finished first.
    pub async fn run(self, shutdown: watch::Receiver<bool>) {
        let slots = Arc::new(Semaphore::new(self.settings.attempts_max.max(1)));
        let mut lanes = JoinSet::new();
        for target in self.targets {
            let lane = Lane {
                outbox: Arc::clone(&self.outbox),
                target,
                clock: self.clock.clone(),
                settings: self.settings,
                notes: Arc::clone(&self.notes),
                slots: Arc::clone(&slots),
                failures: 0,
                paused_until: None,
            };
            lanes.spawn(lane.run(shutdown.clone()));
        }
        while let Some(ended) = lanes.join_next().await {
            if let Err(cause) = ended {
                tracing::error!(error = %cause, "cannot deliver to a target: its task has ended");
            }
        }
    }
}

/// One target's messages.
struct Lane {
    outbox: Arc<dyn Outbox>,
    target: Target,
    clock: Clock,
    settings: WorkerSettings,
    notes: Arc<Notes>,
    slots: Arc<Semaphore>,
    /// Failures in a row.
    failures: u32,
    paused_until: Option<Timestamp>,
}

impl Lane {
    async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        let mut changes = self.outbox.changes();
        while !*shutdown.borrow_and_update() {
            changes.mark_unchanged();
            let pause = match self.step().await {
                Ok(None) => continue,
                Ok(Some(pause)) => pause,
                Err(error) => {
                    tracing::warn!(target.name = self.target.name, error = %error, "cannot work off the outbox");
                    (self.notes)(Note::Outbox { target: self.target.name.clone(), error: error.to_string() });
                    Patience::from_secs(1).min(self.settings.idle_max)
                }
            };
            tokio::select! {
                changed = shutdown.changed() => if changed.is_err() { return },
                // The store that would send is held by this lane, so the channel cannot close; if it did, the pause still paces the loop.
                Ok(()) = changes.changed(), if self.paused_until.is_none() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// One attempt if one is due; otherwise how long to rest.
    async fn step(&mut self) -> Result<Option<Patience>, StoreError> {
        let now = self.clock.now();
        if let Some(until) = self.paused_until.filter(|until| *until > now) {
            return Ok(Some(self.rest(until.since(now))));
        }
        self.paused_until = None;
        let name = self.target.name.clone();
        let slots = Arc::clone(&self.slots);
        // Nobody closes the semaphore; without a slot there would be nothing to do but to look again.
        let Ok(_slot) = slots.acquire().await else { return Ok(Some(self.settings.idle_max)) };
        let now = self.clock.now();
        let Some(leased) = self.outbox.lease(&name, now, now.plus(self.settings.lease)).await? else {
            let due = self.outbox.next_due(&name).await?;
            // What is due but held back (by a lease, by an earlier message of its alert) is looked at again soon.
            return Ok(Some(due.map_or(self.settings.idle_max, |due| self.rest(due.since(now).max(Duration::seconds(1))))));
        };
        let delivery = self.target.notifier.deliver(&leased.notification, now).await;
        self.settle(&leased, delivery).await?;
        Ok(None)
    }

    async fn settle(&mut self, leased: &Leased, delivery: Delivery) -> Result<(), StoreError> {
        let name = self.target.name.clone();
        let now = self.clock.now();
        match delivery {
            Delivery::Done => {
                self.outbox.done(leased).await?;
                if std::mem::take(&mut self.failures) > 0 {
                    self.outbox.hasten(&name, now, self.settings.probe_every).await?;
                    (self.notes)(Note::Recovered { target: name });
                }
            }
            Delivery::Later { why, retry_after_s } => {
                let next = schedule::next_attempt(&leased.notification.id, leased.attempt, leased.created, now, retry_after_s);
                match next {
                    Some(at) => self.outbox.retry(leased, at, &why).await?,
                    None => self.give_up(leased, &why).await?,
                }
                self.failures = self.failures.saturating_add(1);
                let pace = schedule::wait(&name, self.failures).min(self.settings.probe_every);
                let asked = next.filter(|_| retry_after_s.is_some()).map(|at| at.since(now));
                self.paused_until = Some(now.plus(asked.unwrap_or(pace)));
                if self.failures == 1 {
                    (self.notes)(Note::Failing { target: name, why });
                }
            }
            Delivery::Refused { why } => self.give_up(leased, &why).await?,
            Delivery::Gone { why } => {
                let given_up = self.outbox.disable(&name, &why, now).await?;
                (self.notes)(Note::Disabled { target: name, why, given_up });
            }
        }
        Ok(())
    }

    async fn give_up(&self, leased: &Leased, why: &str) -> Result<(), StoreError> {
        self.outbox.dead(leased, why).await?;
        (self.notes)(Note::Dead { target: self.target.name.clone(), id: leased.notification.id.clone(), why: why.to_owned() });
        Ok(())
    }

    fn rest(&self, span: Duration) -> Patience {
        Patience::from_nanos(u64::try_from(span.0).unwrap_or(0)).min(self.settings.idle_max)
    }
}
