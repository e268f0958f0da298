//! What events show of rules: how often each piece of a rule held, which fields it reads were there, and why it cannot hold on what was seen.
//!
//! The pieces of a rule are rules themselves (`outline`), and one matcher over all of them answers for each event, so a piece holds here
//! exactly when it does in the engine. Nothing of this runs in a service.

mod events;
mod names;
mod outline;
mod problems;
#[cfg(test)]
mod tests;
mod told;

use std::sync::Arc;

pub use self::events::tell;
use self::names::Names;
use self::outline::Outline;
pub use self::problems::Tally;
pub use self::told::{FieldSeen, PieceSeen, Reason, Seen, Standing};
use super::matcher::Matcher;
use super::rule::{Body, LogSource, RuleSet};
use crate::model::{Event, Kind};

/// Rules taken apart, and what events have shown of them.
#[derive(Debug)]
pub struct Sight {
    set: Arc<RuleSet>,
    /// By index of the rule: none for correlations, and for rules that are not looked at.
    outlines: Vec<Option<Outline>>,
    matcher: Matcher,
    /// By part: events for which it held.
    held: Vec<u64>,
    /// Events, by kind.
    kinds: Vec<u64>,
    events: u64,
    names: Names,
    found: Vec<u32>,
}

impl Sight {
    /// Of these rules of a set, and those that they refer to; of all, if none is named.
    pub fn new(set: Arc<RuleSet>, rules: &[usize]) -> Self {
        let mut wanted = vec![rules.is_empty(); set.rules.len()];
        let mut open: Vec<usize> = rules.to_vec();
        while let Some(at) = open.pop() {
            let Some(is_wanted) = wanted.get_mut(at).filter(|is_wanted| !**is_wanted) else { continue };
            *is_wanted = true;
            if let Body::Correlation(correlation) = &set.rules[at].body {
                open.extend(&correlation.rules);
            }
        }
        let (mut parts, mut names) = (Vec::new(), Names::default());
        let outlines: Vec<Option<Outline>> = set
            .rules
            .iter()
            .zip(wanted)
            .map(|(rule, is_wanted)| {
                let is_read = is_wanted && !matches!(rule.logsource, LogSource::NotApplicable(_));
                is_read.then(|| Outline::new(rule, &mut parts)).flatten()
            })
            .collect();
        for (field, _) in outlines.iter().flatten().flat_map(|outline| &outline.fields) {
            names.want(field);
        }
        let held = vec![0; parts.len()];
        // What is refused never holds, and its rule is refused too.
        let (matcher, _) = Matcher::new(&RuleSet { rules: parts });
        Self { set, outlines, matcher, held, kinds: vec![0; Kind::ALL.len()], events: 0, names, found: Vec::new() }
    }

    /// Takes in an event.
    pub fn see(&mut self, event: &Event) {
        self.matcher.find(event, &mut self.found);
        for part in &self.found {
            self.held[*part as usize] += 1;
        }
        self.events += 1;
        self.kinds[event.kind as usize] += 1;
        self.names.see(event);
    }

    /// Events seen.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Events seen of the kind that a single rule is for.
    fn of_kind(&self, rule: usize) -> u64 {
        match self.set.rules.get(rule).map(|rule| &rule.logsource) {
            Some(LogSource::Any) => self.events,
            Some(LogSource::Kind(kind)) => self.kinds[*kind as usize],
            Some(LogSource::NotApplicable(_)) | None => 0,
        }
    }
}
