//! An entry that comes out of order, worked in where it stands.
//!
//! It can only make ends of entries within one span after it, and what those newly bring into their alert stands within one span
//! before them. Unless that moves an anchor, one alert gets a few entries more, and a busy group does not pay for its size.

use super::entry::Key;
use super::group::Group;
use super::numbers;
use super::plan::{Plan, PlanKind};
use crate::detect::window::Scanner;

/// Entries that are walked to find new ends, for rules where that takes a walk. Past it the batch ends with one walk over all.
const WALK_MAX: usize = 512;

/// How far a change reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    Nothing,
    /// This alert got more entries.
    Alert(usize),
    /// Anchors may move, or it takes too long to say.
    Far,
}

impl Group {
    /// The entry at this place is new, and not the last.
    pub(super) fn insert(&mut self, plan: &Plan, at: usize) -> Reach {
        let key = self.entries[at].key();
        let back = self.entries.back().map_or(key.0, |last| last.time);
        if let Some(scanner) = &mut self.scanner
            && !scanner.insert(&self.entries, at, back, plan)
        {
            self.scanner = None;
        }
        let Some(ends) = self.new_ends(plan, at) else { return Reach::Far };
        for end in &ends {
            self.entries[*end].is_end = true;
        }
        let after = self.next_end(plan, at, &ends);
        if ends.is_empty() && after.is_none() {
            return Reach::Nothing;
        }
        let Some(alert) = self.alert_that_holds(plan, key, back) else { return Reach::Far };
        let bucket_end = self.alerts[alert].bucket_end;
        let is_own = |time: i64| time.saturating_sub(plan.span) < bucket_end;
        let mut new: Vec<usize> = Vec::new();
        for end in &ends {
            let next = self.next_end(plan, *end, &ends).map(|next| self.entries[next].time).filter(|time| is_own(*time));
            let first = if plan.kind == PlanKind::Single { *end } else { self.window_start(plan, self.entries[*end].time) };
            for place in (first..=*end).rev() {
                let entry = &self.entries[place];
                if place != *end && entry.is_end {
                    break;
                }
                let was_there = place != at && next.is_some_and(|next| next.saturating_sub(entry.time) < plan.span);
                if !was_there {
                    new.push(place);
                }
            }
        }
        if !new.contains(&at) && after.is_some_and(|after| is_own(self.entries[after].time)) {
            new.push(at);
        }
        let known = &mut self.alerts[alert];
        for place in new.iter().copied() {
            known.summary.add(&self.entries[place], plan);
        }
        if let Some(last) = ends.last() {
            known.upto = known.upto.max(self.entries[*last].key());
        }
        if new.is_empty() { Reach::Nothing } else { Reach::Alert(alert) }
    }

    /// Entries from this place on that were no ends and now are; `None` if it takes too long to say.
    fn new_ends(&self, plan: &Plan, at: usize) -> Option<Vec<usize>> {
        let time = self.entries[at].time;
        let until = self.entries.partition_point(|entry| entry.time < time.saturating_add(plan.span)).max(at + 1);
        let is_new = |place: &usize| !self.entries[*place].is_end;
        match plan.kind {
            PlanKind::Single => Some(vec![at]),
            PlanKind::Count => {
                let reaches = |place: &usize| {
                    let first = (*place + 1).checked_sub(plan.least);
                    first.is_some_and(|first| self.entries[first].time > self.entries[*place].time.saturating_sub(plan.span))
                };
                Some((at..until.min(at.saturating_add(plan.least))).filter(is_new).filter(reaches).collect())
            }
            // A number below nothing takes from sums: ends may go.
            PlanKind::Sum if numbers::sum(&self.entries[at].values) < 0 => None,
            PlanKind::Distinct | PlanKind::Sum | PlanKind::Average | PlanKind::Percentile | PlanKind::Temporal | PlanKind::Ordered => {
                let from = self.window_start(plan, time);
                if until - from > WALK_MAX {
                    return None;
                }
                let mut scanner = Scanner::at(from, plan);
                let ends = (from..until).filter(|place| scanner.push(&self.entries, *place, plan).is_some());
                Some(ends.filter(|place| *place >= at).filter(is_new).collect())
            }
        }
    }

    /// The next end after this place that is none of these, within a span.
    fn next_end(&self, plan: &Plan, at: usize, but: &[usize]) -> Option<usize> {
        let limit = self.entries[at].time.saturating_add(plan.span);
        (at + 1..self.entries.len())
            .take_while(|place| self.entries[*place].time < limit)
            .find(|place| self.entries[*place].is_end && !but.contains(place))
    }

    /// The alert that every end that an entry with this key can make belongs to, if that is certain.
    fn alert_that_holds(&self, plan: &Plan, key: Key, back: i64) -> Option<usize> {
        let alert = self.alerts.partition_point(|alert| alert.anchor < key).checked_sub(1)?;
        let bucket_end = self.alerts[alert].bucket_end;
        let is_last = alert + 1 == self.alerts.len();
        let is_certain = match plan.kind {
            PlanKind::Single => key.0 < bucket_end,
            _ => key.0 <= bucket_end || is_last && back < bucket_end.saturating_add(plan.span),
        };
        is_certain.then_some(alert)
    }
}
