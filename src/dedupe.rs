//! Event ids seen: tells a repeat from a first, exactly for what is in memory, and says so when only the store can know.
//!
//! It never suppresses an event on suspicion: what memory has forgotten is [`Novelty::Maybe`], which the store settles.

use hashbrown::HashSet;

use crate::model::EventId;

/// What is known of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Novelty {
    /// It has never been seen.
    New,
    /// It has been seen: a repeat.
    Known,
    /// Not in memory, but there is a past that memory does not hold: ask the store.
    Maybe,
}

/// Ids that one generation holds by default: 16 bytes each, so two full generations take about 70 MB.
pub const IDS_PER_GENERATION_MAX: usize = 1 << 20;

/// The ids not yet flushed, and those of the flush before, which repeats of a batch hit most.
///
/// A generation ends with a flush, or when it is full. The one before the last is forgotten then; from there on a miss is
/// [`Novelty::Maybe`], because `EventStore::contains` knows flushed and unflushed events alike.
#[derive(Debug)]
pub struct Seen {
    current: HashSet<EventId>,
    previous: HashSet<EventId>,
    ids_per_generation_max: usize,
    has_past: bool,
}

impl Seen {
    /// With a limit on the ids of one generation. `has_past`: the store already holds events.
    pub fn new(ids_per_generation_max: usize, has_past: bool) -> Self {
        Self { current: HashSet::new(), previous: HashSet::new(), ids_per_generation_max: ids_per_generation_max.max(1), has_past }
    }

    /// Looks an id up and notes it: the next call with the same id answers [`Novelty::Known`].
    pub fn check(&mut self, id: &EventId) -> Novelty {
        if crate::defect::is("dedup-off") {
            return Novelty::New;
        }
        if self.previous.contains(id) || !self.current.insert(*id) {
            return Novelty::Known;
        }
        let novelty = if self.has_past { Novelty::Maybe } else { Novelty::New };
        if self.current.len() >= self.ids_per_generation_max {
            self.turn();
        }
        novelty
    }

    /// The event did not get into the store after all: its repeat must not count as one.
    pub fn withdraw(&mut self, id: &EventId) {
        self.current.remove(id);
        self.previous.remove(id);
    }

    /// Everything checked so far is durable: a new generation begins.
    pub fn flushed(&mut self) {
        self.turn();
    }

    /// Ids in memory.
    pub fn len(&self) -> usize {
        self.current.len() + self.previous.len()
    }

    /// Whether no id is in memory.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn turn(&mut self) {
        self.has_past |= !self.previous.is_empty();
        self.previous.clear();
        std::mem::swap(&mut self.previous, &mut self.current);
    }
}

impl Default for Seen {
    fn default() -> Self {
        Self::new(IDS_PER_GENERATION_MAX, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a script: a letter checks the id of that letter, `/` is a flush, `-x` withdraws. Shows the answers' first letters.
    fn check(limit: usize, script: &str, expected: &str) {
        let mut seen = Seen::new(limit, false);
        let mut shown = String::new();
        let mut bytes = script.bytes();
        while let Some(byte) = bytes.next() {
            match byte {
                b'/' => seen.flushed(),
                b'-' => seen.withdraw(&EventId([bytes.next().unwrap(); 16])),
                id => shown.push(match seen.check(&EventId([id; 16])) {
                    Novelty::New => 'N',
                    Novelty::Known => 'K',
                    Novelty::Maybe => 'M',
                }),
            }
            assert!(seen.len() <= 2 * limit);
        }
        assert_eq!(shown, expected, "{script}");
    }

    #[test]
    fn repeats_are_known_and_what_is_forgotten_is_asked_for() {
        check(9, "aab", "NKN");
        check(9, "ab/ac", "NNKN");
        check(9, "a/b/a", "NNM");
        check(9, "a/b/aa", "NNMK");
        check(9, "a-aa", "NN");
        check(2, "abcdab", "NNNNMM");
        check(1, "aab", "NKN");
    }
}
