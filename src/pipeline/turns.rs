//! Whose turn it is: one short queue for each source, and deficit round robin over them.
//!
//! A source that floods waits for itself. Each round every source with something to give may spend so many bytes more; an envelope that costs more waits
//! until it has them. So what a quiet source brings waits for the envelope that is being worked on and for one round of the others, however much those have.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::sync::{Notify, mpsc};

use crate::model::Envelope;

/// Bytes that a source may spend more in each round.
const QUANTUM_BYTES: usize = 1 << 20;
/// What an envelope costs besides its payloads: one that has none is still a turn.
const ENVELOPE_BYTES: usize = 4 << 10;
/// Envelopes of a source that wait in its queue, besides the one that is next and the one in its reader's hands.
const QUEUE_MAX: usize = 2;

/// The way of one source to the worker.
#[derive(Debug)]
pub(super) struct Way {
    to: mpsc::Sender<Envelope>,
    arrived: Bell,
}

/// Rings when something has come, and when a way ends.
#[derive(Debug)]
struct Bell(Arc<Notify>);

impl Drop for Bell {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl Way {
    /// Hands an envelope over once there is room. False if nobody takes any more.
    pub(super) async fn send(&self, envelope: Envelope) -> bool {
        let is_taken = self.to.send(envelope).await.is_ok();
        self.arrived.0.notify_one();
        is_taken
    }
}

#[derive(Debug)]
struct Lane {
    from: mpsc::Receiver<Envelope>,
    /// What comes next, with what it costs.
    next: Option<(Envelope, usize)>,
    /// Bytes that it may spend.
    credit: usize,
    is_over: bool,
}

impl Lane {
    fn look(&mut self) {
        if self.next.is_some() || self.is_over {
            return;
        }
        match self.from.try_recv() {
            Ok(envelope) => {
                let cost = ENVELOPE_BYTES + envelope.payloads.iter().map(|(_, payload)| payload.len()).sum::<usize>();
                self.next = Some((envelope, cost));
            }
            Err(error) => {
                // Who has nothing to give saves nothing up.
                self.credit = 0;
                self.is_over = error == mpsc::error::TryRecvError::Disconnected;
            }
        }
    }
}

/// All sources, in turn.
#[derive(Debug, Default)]
pub(super) struct Turns {
    lanes: Vec<Lane>,
    /// Whose turn it is.
    at: usize,
    arrived: Arc<Notify>,
}

impl Turns {
    /// A way for one more source.
    pub(super) fn way(&mut self) -> Way {
        let (to, from) = mpsc::channel(QUEUE_MAX);
        self.lanes.push(Lane { from, next: None, credit: 0, is_over: false });
        Way { to, arrived: Bell(Arc::clone(&self.arrived)) }
    }

    /// The next envelope; `None` once every way has ended. Loses nothing when it is given up half of the way.
    pub(super) async fn next(&mut self) -> Option<Envelope> {
        loop {
            self.lanes.iter_mut().for_each(Lane::look);
            if self.lanes.iter().any(|lane| lane.next.is_some()) {
                return self.pick();
            }
            if self.lanes.iter().all(|lane| lane.is_over) {
                return None;
            }
            self.arrived.notified().await;
        }
    }

    /// Of the envelopes that wait, the one whose turn it is. There is one.
    fn pick(&mut self) -> Option<Envelope> {
        let count = self.lanes.len();
        // Rounds in which nobody can afford anything yet are taken at once.
        let short = |lane: &Lane| lane.next.as_ref().map(|(_, cost)| cost.saturating_sub(lane.credit).div_ceil(QUANTUM_BYTES));
        let rounds = self.lanes.iter().filter_map(short).min()?.saturating_sub(1);
        for lane in self.lanes.iter_mut().filter(|lane| lane.next.is_some()) {
            lane.credit += rounds * QUANTUM_BYTES;
        }
        loop {
            let lane = self.lanes.get_mut(self.at % count)?;
            if let Some((envelope, cost)) = lane.next.take() {
                if cost <= lane.credit {
                    lane.credit -= cost;
                    return Some(envelope);
                }
                lane.next = Some((envelope, cost));
            }
            // The turn goes on, and who it comes to gets what a round brings.
            self.at = (self.at + 1) % count;
            if let Some(lane) = self.lanes.get_mut(self.at).filter(|lane| lane.next.is_some()) {
                lane.credit += QUANTUM_BYTES;
            }
        }
    }
}
