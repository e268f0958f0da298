//! Conditions with `not`: what must not be there.
//!
//! A window ends at an instant at which a wanted rule has an entry, and holds, within one span before it, an entry of every wanted rule; an
//! ordered one a chain of them. Take those that begin latest, at `start`. What is not wanted must not share a window with them: it must
//! not stand within one span before the end, nor within one span after `start`. In an order it must not stand in its place: a rule listed
//! after all wanted ones, from the end to one span after `start`; one listed before them, from one span before the end to `start`; one
//! listed among them, from `start` to the end.
//!
//! So `exec and not shell` within 5 minutes asks, unordered, for no shell 5 minutes either way, and in this order for none afterwards.

use super::entry::Entry;
use super::group::{Group, Window};
use super::order::{NEVER, follow};
use super::plan::{Plan, PlanKind};
use super::ways::{Way, bits};

/// Judges every window that has closed by this time and was not judged.
pub(super) fn close(group: &mut Group, plan: &Plan, rule_id: &str, closed: i64) {
    let judged = group.extra.get_or_insert_default().judged;
    let open = group.first_open(plan, judged);
    let Some(first) = group.entries.get(open) else { return };
    let from = group.window_start(plan, first.time);
    let mut walk = Walk::new(plan);
    for entry in group.entries.range(from..) {
        walk.times[usize::from(entry.rule)].push(entry.time);
    }
    let mut windows: Vec<Window> = Vec::new();
    let (mut at, mut first, mut judged) = (from, from, judged);
    while let Some(entry) = group.entries.get(at) {
        let now = entry.time;
        let deadline = now.saturating_add(plan.span);
        if at >= open && deadline > closed {
            break;
        }
        let after = group.entries.partition_point(|entry| entry.time <= now);
        let instant: Vec<&Entry> = group.entries.range(at..after).collect();
        let qualifies = walk.instant(plan, &instant, now);
        if at >= open {
            judged = deadline;
            while group.entries.get(first).is_some_and(|entry| entry.time <= now.saturating_sub(plan.span)) {
                first += 1;
            }
            if qualifies {
                windows.push(Window { end: group.entries[after - 1].key(), first, last: after - 1 });
            }
        }
        at = after;
    }
    group.extra.get_or_insert_default().judged = judged;
    for window in &windows {
        group.end(plan, rule_id, window);
    }
}

/// The state of a walk over instants.
struct Walk {
    /// By rule: every time it stands at.
    times: Vec<Vec<i64>>,
    /// By rule: the latest time so far.
    latest: Vec<i64>,
    before: Vec<Vec<i64>>,
    after: Vec<Vec<i64>>,
}

impl Walk {
    fn new(plan: &Plan) -> Self {
        let chains: Vec<Vec<i64>> = plan.chains.iter().map(|chain| vec![NEVER; chain.len()]).collect();
        Self { times: vec![Vec::new(); plan.referred], latest: vec![NEVER; plan.referred], before: chains.clone(), after: chains }
    }

    /// Takes the next instant. Says whether a window that qualifies ends at it.
    fn instant(&mut self, plan: &Plan, instant: &[&Entry], now: i64) -> bool {
        for entry in instant {
            self.latest[usize::from(entry.rule)] = now;
        }
        let mut qualifies = false;
        for (place, way) in plan.ways.iter().enumerate() {
            let start = if plan.kind == PlanKind::Ordered {
                self.before[place].clone_from(&self.after[place]);
                follow(&plan.chains[place], &self.before[place], &mut self.after[place], instant, now)
            } else if instant.iter().any(|entry| way.wants(entry.rule)) {
                way.chain().map(|rule| self.latest[usize::from(rule)]).min().unwrap_or(NEVER)
            } else {
                NEVER
            };
            qualifies |= start > now.saturating_sub(plan.span) && self.is_absent(plan, *way, start, now);
        }
        qualifies
    }

    fn is_absent(&self, plan: &Plan, way: Way, start: i64, now: i64) -> bool {
        // Times from `from` on and before `until`.
        let is_free = |rule: u16, from: i64, until: i64| {
            let times = &self.times[usize::from(rule)];
            times.get(times.partition_point(|time| *time < from)).is_none_or(|time| *time >= until)
        };
        let (opens, closes) = (now.saturating_sub(plan.span).saturating_add(1), start.saturating_add(plan.span));
        let (lowest, highest) = (way.wanted.trailing_zeros(), 63_u32.saturating_sub(way.wanted.leading_zeros()));
        bits(way.unwanted).all(|rule| match plan.kind {
            PlanKind::Ordered if u32::from(rule) < lowest => is_free(rule, opens, start.saturating_add(1)),
            PlanKind::Ordered if u32::from(rule) > highest => is_free(rule, now, closes),
            PlanKind::Ordered => is_free(rule, start, now.saturating_add(1)),
            _ => is_free(rule, opens, closes),
        })
    }
}
