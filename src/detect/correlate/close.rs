//! Windows that are judged once they have closed.
//!
//! For bounds that more entries can break (`lt`, `lte`, `eq`, `neq`, averages, percentiles) windows stand side by side: each begins at the
//! first entry that no earlier one holds and is one span long. What conditions with `not` ask is told in `absence`.
//!
//! What has been judged is not judged again, unless something comes for the time before: then all that is kept is.

use super::absence;
use super::chain::Shown;
use super::entry::{Act, Entry};
use super::group::{Group, Window};
use super::numbers;
use super::order::longest;
use super::plan::{Judged, Plan, PlanKind};

/// What only some groups need.
#[derive(Debug)]
pub(super) struct Extra {
    /// Windows that closed by this time have been judged.
    pub(super) judged: i64,
    /// When the group stands next in the queue of closings.
    pub(super) scheduled: i64,
    /// Acts whose entries go: alerts that have changed or gone.
    pub(super) removed: Vec<(u16, Act)>,
}

impl Default for Extra {
    fn default() -> Self {
        Self { judged: i64::MIN, scheduled: i64::MAX, removed: Vec::new() }
    }
}

impl Group {
    /// Something has changed at this time: what was judged over it is to be judged again.
    pub(super) fn reopen(&mut self, time: i64) {
        let extra = self.extra.get_or_insert_default();
        if time < extra.judged {
            extra.judged = i64::MIN;
        }
    }

    /// When the group is to stand in the queue of closings, if that is sooner than it does.
    pub(super) fn schedule(&mut self, plan: &Plan) -> Option<i64> {
        let judged = self.extra.as_ref().map_or(i64::MIN, |extra| extra.judged);
        let due = match self.entries.get(self.first_open(plan, judged)) {
            _ if judged == i64::MIN && !self.alerts.is_empty() => i64::MIN,
            Some(entry) => entry.time.saturating_add(plan.span),
            None => return None,
        };
        let extra = self.extra.get_or_insert_default();
        (due < extra.scheduled).then(|| {
            extra.scheduled = due;
            due
        })
    }

    /// The first entry that stands in a window, or at the end of one, that has not been judged.
    pub(super) fn first_open(&self, plan: &Plan, judged: i64) -> usize {
        match plan.judged {
            Judged::Absence => self.entries.partition_point(|entry| entry.time.saturating_add(plan.span) <= judged),
            Judged::Whole | Judged::AtOnce => self.entries.partition_point(|entry| entry.time < judged),
        }
    }

    /// Judges every window that has closed by this time, and was queued for `due`. Returns when the next one closes.
    pub(super) fn close(&mut self, plan: &Plan, rule_id: &str, due: i64, closed: i64, out: Option<&mut Vec<Shown>>) -> Option<i64> {
        let extra = self.extra.get_or_insert_default();
        if extra.scheduled != due {
            // It stands in the queue for another time as well.
            return None;
        }
        extra.scheduled = i64::MAX;
        let is_anew = extra.judged == i64::MIN;
        let old = if is_anew {
            let sealed = self.alerts.partition_point(|alert| self.is_sealed(plan, alert));
            self.alerts.split_off(sealed)
        } else {
            Vec::new()
        };
        let from = self.alerts.len().saturating_sub(1);
        match plan.judged {
            Judged::Absence => absence::close(self, plan, rule_id, closed),
            Judged::Whole | Judged::AtOnce => self.close_whole(plan, rule_id, closed),
        }
        if let Some(out) = out {
            self.show(plan, from, &old, out);
        }
        self.schedule(plan)
    }

    fn close_whole(&mut self, plan: &Plan, rule_id: &str, closed: i64) {
        let mut judged = self.extra.get_or_insert_default().judged;
        let mut first = self.first_open(plan, judged);
        while let Some(entry) = self.entries.get(first) {
            let (end, id) = (entry.time.saturating_add(plan.span), entry.id);
            if end > closed {
                break;
            }
            let after = self.entries.partition_point(|entry| entry.time < end).max(first + 1);
            if self.meets(plan, first, after) {
                self.end(plan, rule_id, &Window { end: (end, id, 0), first, last: after - 1 });
            }
            judged = end;
            first = after;
        }
        self.extra.get_or_insert_default().judged = judged;
    }

    /// Whether what lies in a window meets every bound.
    fn meets(&self, plan: &Plan, first: usize, after: usize) -> bool {
        let values = || self.entries.range(first..after).flat_map(|entry| entry.values.iter().copied());
        let number = match plan.kind {
            PlanKind::Single | PlanKind::Count => (after - first) as f64,
            PlanKind::Distinct => distinct(values().collect()) as f64,
            PlanKind::Temporal => distinct(self.entries.range(first..after).map(|entry| u64::from(entry.rule)).collect()) as f64,
            PlanKind::Ordered => longest(&self.entries.range(first..after).collect::<Vec<&Entry>>(), plan.referred) as f64,
            PlanKind::Sum => return numbers::meets(&plan.bounds, numbers::sum(&values().collect::<Vec<u64>>()), 1),
            PlanKind::Average => {
                let values: Vec<u64> = values().collect();
                return numbers::meets(&plan.bounds, numbers::sum(&values), values.len() as i128);
            }
            PlanKind::Percentile => {
                let found = numbers::percentile(values(), plan.percentile);
                return found.is_some_and(|(sum, count)| numbers::meets(&plan.bounds, sum, count));
            }
        };
        plan.bounds.iter().all(|(op, bound)| op.holds(number, *bound))
    }
}

fn distinct(mut values: Vec<u64>) -> usize {
    values.sort_unstable();
    values.dedup();
    values.len()
}
