//! Orders from outside, obeyed between batches: other rules take the place of those that run.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration as StdDuration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::{Flow, FlowError};
use crate::clock::Clock;
use crate::detect::engine::{Cold, Engine, EngineSettings};
use crate::detect::rule::RuleSet;
use crate::model::{Checkpoint, Duration, Event};
use crate::pipeline::Worker;

/// Events that the new engine is taught at one time, while the flow waits.
const TAUGHT_MAX: usize = 100;

/// What the flow is to do.
pub(super) enum Order {
    /// Make durable, and so findable, what has been taken in.
    Flush(oneshot::Sender<()>),
    /// Let the engine to be take over.
    Swap(oneshot::Sender<Option<Swapped>>),
}

/// How a change of rules went.
#[derive(Debug)]
pub struct Swapped {
    /// How long the flow stood still for it.
    pub pause: StdDuration,
    /// Alerts of new rules that events of the meantime raised.
    pub findings: usize,
    /// Dropped where nobody waits for it.
    _old: Engine,
}

/// Why rules were not changed.
#[derive(Debug, thiserror::Error)]
pub enum SwapError<E> {
    #[error("the flow has ended")]
    Ended,
    #[error(transparent)]
    Past(E),
}

/// Changes the rules of a running flow. All of it blocks.
#[derive(Clone)]
pub struct Swapper {
    worker: Arc<Mutex<Worker>>,
    orders: mpsc::Sender<Order>,
    clock: Clock,
}

impl std::fmt::Debug for Swapper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Swapper").finish_non_exhaustive()
    }
}

impl Swapper {
    fn worker(&self) -> MutexGuard<'_, Worker> {
        self.worker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the engine runs; the next one has to run the same way.
    pub fn settings(&self) -> EngineSettings {
        self.worker().engine().settings().clone()
    }

    /// The rules in force.
    pub fn rules(&self) -> Arc<RuleSet> {
        Arc::clone(self.worker().engine().rules())
    }

    /// Puts an engine in the place of the one that runs. `past` is asked for the events of so long ago of the rules that are new.
    ///
    /// # Errors
    /// When the flow has ended, or the past can not be read: then the old rules go on.
    pub fn swap<E>(
        &self,
        engine: Engine,
        past: impl FnOnce(&Cold, Duration, &mut dyn FnMut(&[Event])) -> Result<(), E>,
    ) -> Result<(Cold, Swapped), SwapError<E>> {
        let (cold, lateness) = self.worker().raise(engine, self.clock.now());
        let swapped = self.fill(&cold, lateness, past).and_then(|()| self.order(Order::Swap)?.ok_or(SwapError::Ended));
        if swapped.is_err() {
            self.worker().give_up();
        }
        Ok((cold, swapped?))
    }

    fn fill<E>(
        &self,
        cold: &Cold,
        lateness: Duration,
        past: impl FnOnce(&Cold, Duration, &mut dyn FnMut(&[Event])) -> Result<(), E>,
    ) -> Result<(), SwapError<E>> {
        if cold.is_empty() {
            return Ok(());
        }
        self.order(Order::Flush)?;
        let mut teach = |events: &[Event]| events.chunks(TAUGHT_MAX).for_each(|some| self.worker().teach(some));
        past(cold, lateness, &mut teach).map_err(SwapError::Past)
    }

    fn order<T, E>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Result<T, SwapError<E>> {
        let (done, wait) = oneshot::channel();
        self.orders.blocking_send(order(done)).map_err(|_| SwapError::Ended)?;
        wait.blocking_recv().map_err(|_| SwapError::Ended)
    }
}

impl Flow {
    /// What changes the rules while the flow runs.
    pub fn swapper(&self) -> Swapper {
        Swapper { worker: Arc::clone(&self.worker), orders: self.orders_to.clone(), clock: self.clock.clone() }
    }

    pub(super) async fn obey(&mut self, order: Order, durable: &watch::Sender<Checkpoint>) -> Result<(), FlowError> {
        // Who gave an order and left is not told.
        match order {
            Order::Flush(done) => {
                self.flush(durable).await?;
                let _ = done.send(());
            }
            Order::Swap(done) => {
                let started = Instant::now();
                let swapped = match self.on_worker(Worker::swap).await? {
                    Some((findings, old)) => {
                        let count = findings.len();
                        self.publisher.publish(&findings).await?;
                        Some(Swapped { pause: started.elapsed(), findings: count, _old: old })
                    }
                    None => None,
                };
                let _ = done.send(swapped);
            }
        }
        Ok(())
    }
}
