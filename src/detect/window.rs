//! Windows over the entries of one group, in event time.
//!
//! Entries are sorted by (time, id). An entry at `t` is the *end* of a qualifying window when what lies in `(t - span, t]` meets
//! the rule's bound: two entries exactly one span apart share no window. The scanner walks the entries once, in order.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::correlate::entry::{Entries, Entry};
use super::correlate::plan::{Plan, PlanKind};

/// Entries of one instant that are told apart when one event matches several rules of an ordered correlation.
const INSTANT_ENTRIES_MAX: usize = 16;
/// No chain so far.
const NEVER: i64 = i64::MIN;

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
    /// Of `temporal_ordered`: for each prefix of the rules, the latest start of a chain that ends before this instant.
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
        Self {
            lo: index,
            instant: index,
            rules: vec![0; if plan.kind == PlanKind::Temporal { rules } else { 0 }],
            before: vec![NEVER; if plan.kind == PlanKind::Ordered { rules } else { 0 }],
            after: vec![NEVER; if plan.kind == PlanKind::Ordered { rules } else { 0 }],
            ..Self::default()
        }
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
            PlanKind::Single | PlanKind::Count => true,
            PlanKind::Distinct | PlanKind::Temporal => {
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
            PlanKind::Temporal => {
                if let Some(count) = self.rules.get_mut(usize::from(entry.rule)) {
                    self.distinct_rules += usize::from(*count == 0);
                    *count += 1;
                }
            }
            PlanKind::Single | PlanKind::Count | PlanKind::Ordered => {}
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
            PlanKind::Temporal => self.distinct_rules >= plan.least,
            PlanKind::Ordered => self.chain(entries, at, plan, start),
        };
        qualifies.then_some(self.lo)
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
            PlanKind::Temporal => {
                if let Some(count) = self.rules.get_mut(usize::from(old.rule)) {
                    *count = count.saturating_sub(1);
                    self.distinct_rules -= usize::from(*count == 0);
                }
            }
            PlanKind::Single | PlanKind::Count | PlanKind::Ordered => {}
        }
    }

    /// Whether a chain of all rules, in order and by different events, ends at this instant and started after `start`.
    fn chain(&mut self, entries: &Entries, at: usize, plan: &Plan, start: i64) -> bool {
        let (Some(entry), Some(first)) = (entries.get(at), entries.get(self.instant)) else { return false };
        let now = entry.time;
        if first.time != now {
            self.before.clone_from(&self.after);
            self.instant = at;
        }
        if self.instant == at {
            // The usual case: alone at its instant.
            self.after.clone_from(&self.before);
            let rule = usize::from(entry.rule);
            let begun = if rule == 0 { now } else { self.before.get(rule - 1).copied().unwrap_or(NEVER) };
            if let Some(after) = self.after.get_mut(rule) {
                *after = (*after).max(begun);
            }
            return rule + 1 == plan.referred && begun > start;
        }
        let instant: Vec<&Entry> = (self.instant..=at).filter_map(|at| entries.get(at)).collect();
        let has_shared = instant.windows(2).any(|pair| pair[0].id == pair[1].id);
        let rules = plan.referred;
        let begun = |rule: usize, before: &[i64]| if rule == 0 { now } else { before.get(rule - 1).copied().unwrap_or(NEVER) };
        let mut ends_at = NEVER;
        self.after.clone_from(&self.before);
        if has_shared {
            let instant = &instant[..instant.len().min(INSTANT_ENTRIES_MAX)];
            for from in 0..rules {
                let begun = begun(from, &self.before);
                let reach = if begun == NEVER { 0 } else { assignable(instant, from, rules) };
                for rule in from..from + reach {
                    self.after[rule] = self.after[rule].max(begun);
                    ends_at = if rule + 1 == rules { ends_at.max(begun) } else { ends_at };
                }
            }
        } else {
            let mut running = NEVER;
            for rule in 0..rules {
                let is_here = instant.iter().any(|entry| usize::from(entry.rule) == rule);
                running = if is_here { running.max(begun(rule, &self.before)) } else { NEVER };
                self.after[rule] = self.after[rule].max(running);
            }
            ends_at = running;
        }
        ends_at > start
    }
}

/// How many rules, from this one on, can each be given an event of its own among these entries.
fn assignable(instant: &[&Entry], from: usize, rules: usize) -> usize {
    /// For each entry, the rule its event is given to: entries of one event share the slot of the first.
    fn give(instant: &[&Entry], rule: usize, given: &mut [Option<usize>], tried: &mut [bool]) -> bool {
        for (at, entry) in instant.iter().enumerate() {
            if usize::from(entry.rule) != rule {
                continue;
            }
            let slot = instant.iter().position(|other| other.id == entry.id).unwrap_or(at);
            if std::mem::replace(&mut tried[slot], true) {
                continue;
            }
            let is_free = match given[slot] {
                None => true,
                Some(other) => give(instant, other, given, tried),
            };
            if is_free {
                given[slot] = Some(rule);
                return true;
            }
        }
        false
    }
    let mut given = vec![None; instant.len()];
    for rule in from..rules {
        if !give(instant, rule, &mut given, &mut vec![false; instant.len()]) {
            return rule - from;
        }
    }
    rules - from
}
