//! Searches at one time: so many in all, and so many for one caller, so that nobody can take every place.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::Problem;

/// Seconds after which a refused caller may ask again.
const RETRY_AFTER_S: u64 = 1;

/// How many may run.
#[derive(Debug)]
pub(super) struct Turns {
    all_max: usize,
    each_max: usize,
    /// Of each caller that has one, how many. A caller without one is not kept.
    running: Mutex<BTreeMap<String, usize>>,
}

impl Turns {
    pub(super) fn new(all_max: usize, each_max: usize) -> Arc<Self> {
        Arc::new(Self { all_max, each_max, running: Mutex::default() })
    }

    /// A turn for this caller, or an answer that says to come back.
    pub(super) fn take(self: &Arc<Self>, who: &str) -> Result<Turn, Problem> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let own = running.get(who).copied().unwrap_or_default();
        if own >= self.each_max || running.values().sum::<usize>() >= self.all_max {
            return Err(Problem::busy(RETRY_AFTER_S));
        }
        running.insert(who.to_owned(), own + 1);
        Ok(Turn { turns: Arc::clone(self), who: who.to_owned() })
    }
}

/// One search's turn; free again when dropped.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Arc<Turns>,
    who: String,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut running = self.turns.running.lock().unwrap_or_else(PoisonError::into_inner);
        match running.get_mut(&self.who) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(running.remove(&self.who)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_every_turn() {
        let turns = Turns::new(3, 2);
        let mut held = Vec::new();
        for (who, is_taken) in [("a", true), ("a", true), ("a", false), ("b", true), ("c", false)] {
            let turn = turns.take(who);
            assert_eq!(turn.is_ok(), is_taken, "{who}");
            held.extend(turn);
        }
        held.remove(0);
        assert!(turns.take("c").is_ok() && turns.take("a").is_ok());
        held.clear();
        assert!(turns.running.lock().unwrap().is_empty());
    }
}
