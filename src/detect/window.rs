//! Windows over the entries of one group, in event time.
//!
//! Entries are sorted by (time, id). An entry at `t` is the *end* of a qualifying window when what lies in `(t - span, t]` meets
//! the rule's bound: two entries exactly one span apart share no window. The scanner walks the entries once, in order.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::correlate::entry::{Entries, Entry};
use super::correlate::numbers;
use super::correlate::order::{NEVER, follow};
use super::correlate::plan::{Plan, PlanKind};
use super::correlate::ways::Way;

/// The state of a walk over entries.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    /// First entry within the span of the last pushed one.
    lo: usize,
    /// Of `value_count`: how often each value stands in the window.
    values: HashMap<u64, u32, RandomState>,
    /// Of `temporal`: how many entries of each rule stand in the window.
    rules: Vec<u32>,
    distinct_rules: usize,
    /// Of `value_sum`: in billionths.
    sum: i128,
    /// Of `temporal_ordered`: for each prefix of each chain, one chain after the other, the latest start of a chain that ends before this instant.
    before: Vec<i64>,
    /// The same, this instant's entries included.
    after: Vec<i64>,
    /// First entry of this instant.
    instant: usize,
}

impl Scanner {
    /// That will be given entries from this index on.
    pub(super) fn at(index: usize, plan: &Plan) -> Self {
        let rules = plan.referred.max(1);
        let steps = plan.chains.iter().map(Vec::len).sum();
        Self {
            lo: index,
            instant: index,
            rules: vec![0; if plan.kind == PlanKind::Temporal { rules } else { 0 }],
            before: vec![NEVER; steps],
            after: vec![NEVER; steps],
            ..Self::default()
        }
    }

    /// Whether a window counts the first of these values now.
    pub(super) fn counts(&self, values: &[u64]) -> bool {
        values.first().is_some_and(|value| self.values.contains_key(value))
    }

    /// Follows the removal of the first entries; false if some of them stood in the window, so the walk is to be begun anew.
    pub(super) fn shift(&mut self, removed: usize) -> bool {
        let is_whole = removed <= self.lo && (self.before.is_empty() || removed <= self.instant);
        self.lo = self.lo.saturating_sub(removed);
        self.instant = self.instant.saturating_sub(removed);
        is_whole
    }

    /// Follows the arrival of an entry at this place, before the last pushed one, the time of which is `back`. False if that takes a walk.
    pub(super) fn insert(&mut self, entries: &Entries, at: usize, back: i64, plan: &Plan) -> bool {
        let Some(entry) = entries.get(at) else { return false };
        if entry.time <= back.saturating_sub(plan.span) {
            self.lo += 1;
            self.instant += 1;
            return true;
        }
        match plan.kind {
            PlanKind::Single | PlanKind::Count | PlanKind::Average | PlanKind::Percentile => true,
            PlanKind::Distinct | PlanKind::Sum | PlanKind::Temporal => {
                self.enter(entry, plan);
                true
            }
            PlanKind::Ordered => false,
        }
    }

    fn enter(&mut self, entry: &Entry, plan: &Plan) {
        match plan.kind {
            PlanKind::Distinct => {
                for value in entry.values.iter() {
                    *self.values.entry(*value).or_default() += 1;
                }
            }
            PlanKind::Sum => self.sum += numbers::sum(&entry.values),
            PlanKind::Temporal => {
                if let Some(count) = self.rules.get_mut(usize::from(entry.rule)) {
                    self.distinct_rules += usize::from(*count == 0);
                    *count += 1;
                }
            }
            PlanKind::Single | PlanKind::Count | PlanKind::Average | PlanKind::Percentile | PlanKind::Ordered => {}
        }
    }

    /// Takes the next entry. If it is the end of a qualifying window, tells the window's first entry.
    pub(super) fn push(&mut self, entries: &Entries, at: usize, plan: &Plan) -> Option<usize> {
        let entry = entries.get(at)?;
        if plan.kind == PlanKind::Single {
            return Some(at);
        }
        let start = entry.time.saturating_sub(plan.span);
        while let Some(old) = entries.get(self.lo).filter(|old| old.time <= start && self.lo < at) {
            self.leave(old, plan);
            self.lo += 1;
        }
        self.enter(entry, plan);
        let qualifies = match plan.kind {
            PlanKind::Single | PlanKind::Count => at + 1 - self.lo >= plan.least,
            PlanKind::Distinct => self.values.len() >= plan.least,
            PlanKind::Sum => numbers::meets(&plan.bounds, self.sum, 1),
            PlanKind::Temporal if plan.ways.is_empty() => self.distinct_rules >= plan.least,
            PlanKind::Temporal => plan.ways.iter().any(|way| self.has(*way)),
            // Of a part these say nothing: whole windows are judged elsewhere.
            PlanKind::Average | PlanKind::Percentile => false,
            PlanKind::Ordered => self.chain(entries, at, plan, start),
        };
        qualifies.then_some(self.lo)
    }

    fn has(&self, way: Way) -> bool {
        way.chain().all(|rule| self.rules.get(usize::from(rule)).is_some_and(|count| *count > 0))
    }

    fn leave(&mut self, old: &Entry, plan: &Plan) {
        match plan.kind {
            PlanKind::Distinct => {
                for value in old.values.iter() {
                    if let Some(count) = self.values.get_mut(value) {
                        *count -= 1;
                        if *count == 0 {
                            self.values.remove(value);
                        }
                    }
                }
            }
            PlanKind::Sum => self.sum -= numbers::sum(&old.values),
            PlanKind::Temporal => {
                if let Some(count) = self.rules.get_mut(usize::from(old.rule)) {
                    *count = count.saturating_sub(1);
                    self.distinct_rules -= usize::from(*count == 0);
                }
            }
            PlanKind::Single | PlanKind::Count | PlanKind::Average | PlanKind::Percentile | PlanKind::Ordered => {}
        }
    }

    /// Whether a chain in one of the wanted orders ends at this instant and started after `start`.
    fn chain(&mut self, entries: &Entries, at: usize, plan: &Plan, start: i64) -> bool {
        let (Some(entry), Some(first)) = (entries.get(at), entries.get(self.instant)) else { return false };
        if first.time != entry.time {
            self.before.clone_from(&self.after);
            self.instant = at;
        }
        let many: Vec<&Entry>;
        let instant = if self.instant == at {
            std::slice::from_ref(&entry)
        } else {
            many = entries.range(self.instant..=at).collect();
            many.as_slice()
        };
        let (mut before, mut after) = (self.before.as_slice(), self.after.as_mut_slice());
        let mut ends_at = NEVER;
        for chain in &plan.chains {
            let (known, other) = before.split_at(chain.len());
            let (new, rest) = after.split_at_mut(chain.len());
            ends_at = ends_at.max(follow(chain, known, new, instant, entry.time));
            (before, after) = (other, rest);
        }
        ends_at > start
    }
}
