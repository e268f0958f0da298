//! Events as they become durable, for whoever watches just now. Costs nothing while nobody does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;

use crate::model::Event;
use crate::ports::Tailed;

/// Events of one flush that are shown. The rest are counted.
const EVENTS_MAX: usize = 5_000;

/// Flushes that a slow watcher may be behind; then it is told that it missed some.
const BEHIND_MAX: usize = 16;

/// Where watchers come to.
#[derive(Debug)]
pub struct Tail {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// `None`: the service ends, nothing comes any more.
    to: Option<broadcast::Sender<Arc<Tailed>>>,
    /// Stored and not durable yet.
    held: Tailed,
}

impl Default for Tail {
    fn default() -> Self {
        Self { state: Mutex::new(State { to: Some(broadcast::Sender::new(BEHIND_MAX)), held: Tailed::default() }) }
    }
}

impl Tail {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What becomes durable from now on; nothing if the service ends.
    pub fn watch(&self) -> Option<broadcast::Receiver<Arc<Tailed>>> {
        self.state().to.as_ref().map(broadcast::Sender::subscribe)
    }

    /// The service ends: so does every watch.
    pub fn close(&self) {
        self.state().to = None;
    }

    /// These are stored, and durable with the next flush.
    pub(super) fn hold(&self, events: &[Event]) {
        let mut state = self.state();
        if state.to.as_ref().is_none_or(|to| to.receiver_count() == 0) {
            return;
        }
        let room = EVENTS_MAX.saturating_sub(state.held.events.len()).min(events.len());
        let (shown, skipped) = events.split_at(room);
        state.held.events.extend_from_slice(shown);
        state.held.skipped += skipped.len() as u64;
    }

    /// What was held is durable.
    pub(super) fn flushed(&self) {
        let mut state = self.state();
        let held = std::mem::take(&mut state.held);
        if let Some(to) = state.to.as_ref().filter(|_| !held.events.is_empty()) {
            // Nobody watches any more.
            let _ = to.send(Arc::new(held));
        }
    }

    /// What was held comes again: the store went back to its last commit.
    pub(super) fn forget(&self) {
        self.state().held = Tailed::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(count: usize) -> Vec<Event> {
        vec![crate::detect::sample::event("one", 0, "{}"); count]
    }

    #[test]
    fn only_what_is_durable_is_shown_and_only_to_who_watches() {
        let tail = Tail::default();
        tail.hold(&events(3));
        let mut watch = tail.watch().unwrap();
        tail.flushed();
        assert!(watch.try_recv().is_err(), "nobody watched when they came");
        tail.hold(&events(2));
        assert!(watch.try_recv().is_err());
        tail.forget();
        tail.hold(&events(4));
        tail.flushed();
        tail.flushed();
        let shown = watch.try_recv().unwrap();
        assert_eq!((shown.events.len(), shown.skipped), (4, 0));
        tail.hold(&events(EVENTS_MAX - 1));
        tail.hold(&events(7));
        tail.flushed();
        let shown = watch.try_recv().unwrap();
        assert_eq!((shown.events.len(), shown.skipped), (EVENTS_MAX, 6));
        tail.close();
        assert_eq!(watch.try_recv().unwrap_err(), broadcast::error::TryRecvError::Closed);
        assert!(tail.watch().is_none());
    }
}
