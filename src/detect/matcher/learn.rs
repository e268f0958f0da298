//! Which predicates lead to rules, by what traffic has shown.
//!
//! The choice is looked at after a few events and then ever more rarely: in the long run it costs nothing. Traffic may turn, by itself or because somebody
//! wants the engine to be slow; then rules are suddenly evaluated far more often than before, what was counted says nothing any more, and all begins anew.

use super::check::Check;
use super::compile::Predicate;
use super::{Matcher, Routes, access};

/// Events of a stretch. After each it is seen whether traffic has turned.
const STRETCH: u64 = 128;
/// Events after which the choice is looked at first.
const LEARN_FIRST: u64 = 4 * STRETCH;
/// Events between two looks at the choice, at most.
const LEARN_EVERY_MAX: u64 = 1 << 17;
/// Traffic has turned where a stretch takes so many times the evaluations that it usually takes ...
const TURNED_TIMES: u64 = 4;
/// ... and so many more: fewer cost next to nothing.
const TURNED_LEAST: u64 = 16 * STRETCH;
/// Events after a choice in which traffic is not said to have turned: a choice costs as much as matching many events, and whoever sends them could have one made again and again.
const TURNED_AFTER: u64 = 4_096;

/// What has been counted, and since when.
#[derive(Debug)]
pub(super) struct Learning {
    /// Events that the counters of predicates stand for.
    observed: u64,
    /// The event after which the stretch ends.
    stretch_ends: u64,
    /// Evaluations at its start.
    evaluations: u64,
    /// Evaluations that a stretch usually takes; not known at first, and where traffic has just turned.
    usual: Option<u64>,
    /// The event after which the choice was made.
    pub(super) chosen_at: u64,
    /// The event after which the choice is looked at next.
    learn_at: u64,
    learn_every: u64,
}

impl Default for Learning {
    fn default() -> Self {
        Self { observed: 0, stretch_ends: STRETCH, evaluations: 0, usual: None, chosen_at: 0, learn_at: LEARN_FIRST, learn_every: LEARN_FIRST }
    }
}

impl Matcher {
    /// An event has been judged.
    #[inline]
    pub(super) fn observe(&mut self) {
        self.learning.observed += 1;
        if self.events >= self.learning.stretch_ends {
            self.end_stretch();
        }
    }

    /// The share of events that a predicate held for, of those that are counted now; `None` while nothing is.
    pub(super) fn share(&self, predicate: u32) -> Option<f64> {
        let hits = self.hits.get(predicate as usize)?;
        (self.learning.observed > 0).then(|| *hits as f64 / self.learning.observed as f64)
    }

    fn end_stretch(&mut self) {
        let Self { learning, evaluations, events, hits, .. } = self;
        let spent = *evaluations - learning.evaluations;
        learning.evaluations = *evaluations;
        learning.stretch_ends = *events + STRETCH;
        let may_turn = *events - learning.chosen_at >= TURNED_AFTER;
        if may_turn && learning.usual.is_some_and(|usual| spent > usual * TURNED_TIMES + TURNED_LEAST) {
            hits.fill(0);
            *learning = Learning { observed: 0, usual: None, learn_at: *events + STRETCH, learn_every: LEARN_FIRST, ..*learning };
        } else if *events >= learning.learn_at {
            self.learn();
        } else if may_turn || learning.usual.is_none() {
            // Until then what is usual stays, or what has turned meanwhile would pass for it.
            learning.usual = Some(learning.usual.map_or(spent, |usual| (usual * 7 + spent) / 8));
        }
    }

    /// Chooses access predicates by what traffic has shown, and looks again later.
    pub(super) fn learn(&mut self) {
        self.route();
        for hits in &mut self.hits {
            *hits /= 2;
        }
        let Self { learning, events, .. } = self;
        learning.observed /= 2;
        learning.chosen_at = *events;
        learning.learn_every = (learning.learn_every * 4).min(LEARN_EVERY_MAX);
        learning.learn_at = *events + learning.learn_every;
    }

    /// Gives every rule the predicates that lead to it.
    pub(super) fn route(&mut self) {
        let Self { tables, hits, learning, unknown, .. } = self;
        let observed = learning.observed;
        // A guess first (a predicate that many rules share, or of few letters, is a common one), then the share of events it held for.
        let cost = |predicate: u32| {
            let guess = guess(&tables.predicates[predicate as usize]);
            let seen = hits[predicate as usize] as f64;
            if observed == 0 { guess } else { seen / observed as f64 * 1e6 + guess }
        };
        let mut routes = Routes::default();
        let mut per_predicate: Vec<Vec<u32>> = vec![Vec::new(); tables.predicates.len()];
        for (at, rule) in tables.rules.iter().enumerate() {
            let at = u32::try_from(at).unwrap_or(u32::MAX);
            match access::rarest(&tables.program, rule.node, &cost) {
                Some((_, members)) => {
                    members.iter().for_each(|predicate| per_predicate[*predicate as usize].push(at));
                    routes.access.push(members);
                }
                None => {
                    routes.always.push(at);
                    routes.access.push(Vec::new());
                }
            }
        }
        for rules in per_predicate {
            routes.starts.push(u32::try_from(routes.rules.len()).unwrap_or(u32::MAX));
            routes.rules.extend(rules);
        }
        routes.starts.push(u32::try_from(routes.rules.len()).unwrap_or(u32::MAX));
        unknown.route(tables, &cost);
        self.routes = routes;
    }
}

/// How common a predicate is likely to be, before anything is known.
pub(super) fn guess(predicate: &Predicate) -> f64 {
    let rules = f64::from(predicate.uses.max(1));
    let kind = match &predicate.check {
        Check::Text(crate::detect::rule::Place::Whole, text) => 1.0 + 4.0 / (text.len() + 1) as f64,
        Check::Text(_, text) => 1.0 + 16.0 / (text.len() + 1) as f64,
        Check::Cidr(_) => 10.0,
        Check::Number(..) => 20.0,
        Check::Null => 50.0,
        _ => 100.0,
    };
    rules * kind
}
