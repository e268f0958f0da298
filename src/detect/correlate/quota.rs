//! Room for groups: who goes when there is none left, and what is remembered of them.
//!
//! Of all groups of a rule the one goes that got least far towards its bound, and of those the one that is idle longest: a flood of fresh keys pushes out
//! itself. Groups stand in order of that at all times, so that one goes at the cost of a look-up, and no sweep is needed.

use std::num::NonZeroU8;

use super::chain::Shown;
use super::ghosts::Ghosts;
use super::group::{Anchored, Group, Owner};
use super::plan::{Judged, Plan, PlanKind};
use super::{Correlator, Limits, table_hash};
use crate::detect::recheck::Ask;
use crate::model::{ClusterId, GroupKey, TenantId};

/// How far towards their bound groups are told apart.
pub(super) const CLASSES: usize = 8;
/// The class of what has reached its bound.
const TOP: usize = CLASSES - 1;
/// The class of groups that have told of themselves, and of those whose progress nothing says: they go after what has hardly begun, and before what is about
/// to be told.
const MIDDLE: u8 = 4;
/// Entries that are looked at to say how far a temporal correlation has got.
const LOOKED_AT_MAX: usize = 64;
/// One rule may take this part of what all may.
const RULE_SHARE: usize = 2;
/// What remembers groups that went may take this part of what its rule may.
const GHOSTS_SHARE: usize = 4;
/// Groups that went and wait for their windows to close, to be judged from the store. Past it they are counted only.
const LATER_MAX: usize = 10_000;

/// Where a group stands in the queues of its lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Queued {
    /// One more than the class.
    queue: NonZeroU8,
    pub(super) time: i64,
}

impl Queued {
    fn new(class: u8, time: i64) -> Self {
        Self { queue: NonZeroU8::MIN.saturating_add(class), time }
    }

    fn class(self) -> u8 {
        self.queue.get() - 1
    }
}

/// A group that went before its windows closed.
#[derive(Debug)]
pub(super) struct Later {
    due: i64,
    place: u32,
    ask: Ask,
}

impl Later {
    pub(super) fn place(&self) -> u32 {
        self.place
    }

    /// Its place, and what tells whose it is.
    pub(super) fn whose(&mut self) -> (&mut u32, &mut (usize, TenantId, ClusterId, GroupKey)) {
        (&mut self.place, &mut self.ask.key)
    }
}

impl Group {
    /// How far it has got, of [`CLASSES`].
    fn class(&self, plan: &Plan) -> u8 {
        if crate::defect::is("stalest-first") {
            return MIDDLE;
        }
        if plan.judged != Judged::AtOnce || !self.alerts.is_empty() {
            return MIDDLE;
        }
        let ghosts = self.ghosts_by(self.newest());
        let class = |reached: usize| reached.saturating_mul(TOP) / plan.least.max(1);
        // Most groups are far from their bound even if every entry counted, and need no look at which do.
        let class = if class(self.entries.len() + ghosts) == 0 { 0 } else { class(self.progress(plan) + ghosts) };
        u8::try_from(class.min(TOP)).unwrap_or(MIDDLE)
    }

    /// How many of what its bound asks for stand in the window that ends now; too many where it asks for distinct values.
    fn progress(&self, plan: &Plan) -> usize {
        let first = self.window_start(plan, self.newest());
        match plan.kind {
            PlanKind::Temporal | PlanKind::Ordered => {
                let from = first.max(self.entries.len().saturating_sub(LOOKED_AT_MAX));
                let rules = self.entries.range(from..).fold(0_u64, |rules, entry| rules | 1 << (entry.rule % 64));
                rules.count_ones() as usize
            }
            _ => self.entries.len() - first,
        }
    }

    /// How many entries within a window of this time are not in memory, at most.
    fn ghosts_by(&self, time: i64) -> usize {
        self.ghosts.as_ref().filter(|ghosts| time < ghosts.1).map_or(0, |ghosts| ghosts.0)
    }

    /// What it takes, in bytes, about.
    fn bytes(&self) -> usize {
        let alerts = self.alerts.capacity() * size_of::<Anchored>() + self.alerts.iter().map(|alert| alert.summary.bytes()).sum::<usize>();
        // Beside itself: its places in the index and the queues.
        size_of::<Self>() + 96 + self.owner_bytes as usize + alerts + self.entries.bytes() + self.acts_bytes()
    }
}

impl Correlator {
    /// What its groups take, in bytes, about.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.ghosts.as_ref().map_or(0, Ghosts::bytes)
    }

    /// Gives a group its place in the queues, by what it holds now.
    pub(super) fn queue(&mut self, at: u32, time: i64) {
        let Some(Some(group)) = self.groups.get(at as usize) else { return };
        self.place(at, group.class(&self.plan), time);
    }

    fn place(&mut self, at: u32, class: u8, time: i64) {
        let Some(Some(group)) = self.groups.get_mut(at as usize) else { return };
        let bytes = u32::try_from(group.bytes()).unwrap_or(u32::MAX);
        self.bytes = (self.bytes + bytes as usize).saturating_sub(std::mem::replace(&mut group.counted, bytes) as usize);
        let before = group.queued.replace(Queued::new(class, time));
        if before == group.queued {
            return;
        }
        let lane = self.lanes.entry(group.place).or_default();
        if let Some(before) = before {
            lane.queues[usize::from(before.class())].remove(&(before.time, at));
        }
        lane.queues[usize::from(class)].insert((time, at));
    }

    /// A group has changed.
    pub(super) fn requeue(&mut self, at: u32) {
        let Some(Some(group)) = self.groups.get(at as usize) else { return };
        let class = group.class(&self.plan);
        // The time of a group that stays in its class is brought up to date when it comes to it.
        let time = match group.queued {
            Some(queued) if queued.class() == class => queued.time,
            _ => group.newest(),
        };
        self.place(at, class, time);
    }

    /// Takes a group out.
    pub(super) fn remove(&mut self, at: u32) -> Option<Group> {
        let group = self.groups.get_mut(at as usize).and_then(Option::take)?;
        if let (Some(queued), Some(lane)) = (group.queued, self.lanes.get_mut(&group.place)) {
            lane.queues[usize::from(queued.class())].remove(&(queued.time, at));
        }
        self.bytes = self.bytes.saturating_sub(group.counted as usize);
        self.entries = self.entries.saturating_sub(group.len());
        if let Ok(found) = self.index.find_entry(table_hash(group.name()), |(_, known)| *known == at) {
            found.remove();
        }
        self.free.push(at);
        Some(group)
    }

    /// Lets groups go until there is room. What they have to tell that was not told goes to `out`, or waits for the end.
    pub(super) fn make_room(&mut self, limits: &Limits, mut out: Option<&mut Vec<Shown>>) {
        let bytes_max = limits.state_bytes_max / RULE_SHARE;
        while self.index.len() > 1
            && (self.index.len() > limits.groups_max || self.entries > limits.entries_per_rule_max || self.bytes() > bytes_max)
            && self.evict(bytes_max / GHOSTS_SHARE, out.as_deref_mut())
        {}
    }

    /// Lets groups go until it takes no more than this, in bytes.
    pub(crate) fn shrink(&mut self, bytes: usize, limits: &Limits, mut out: Option<&mut Vec<Shown>>) {
        let ghosts_max = limits.state_bytes_max / RULE_SHARE / GHOSTS_SHARE;
        while self.bytes() > bytes && self.evict(ghosts_max, out.as_deref_mut()) {}
    }

    /// The group that is to go next.
    fn next_to_go(&mut self) -> Option<u32> {
        for class in 0..CLASSES {
            loop {
                let stalest = self.lanes.values().filter_map(|lane| lane.queues[class].first()).min().copied();
                let Some((time, at)) = stalest else { break };
                let newest = self.groups.get(at as usize).and_then(Option::as_ref).map_or(time, Group::newest);
                if newest <= time {
                    return Some(at);
                }
                self.queue(at, newest);
            }
        }
        None
    }

    fn evict(&mut self, ghosts_bytes: usize, out: Option<&mut Vec<Shown>>) -> bool {
        let Some(victim) = self.next_to_go() else { return false };
        let is_finite = out.is_none();
        if let Some(Some(group)) = self.groups.get_mut(victim as usize) {
            group.show_all(&self.plan, out.unwrap_or(&mut self.parted));
        }
        let Some(group) = self.remove(victim) else { return false };
        self.losses.groups_evicted += 1;
        if self.plan.kind == PlanKind::Single {
            return true;
        }
        if self.plan.is_closing() {
            self.ask_later(group);
            return true;
        }
        let ghosts = self.ghosts.get_or_insert_with(|| Ghosts::new(ghosts_bytes));
        if is_finite {
            ghosts.turn(group.newest(), self.plan.span);
        }
        ghosts.remember(table_hash(group.name()), group.progress(&self.plan).max(1));
        true
    }

    /// A group whose windows are still open went: when they have closed, the store is asked.
    fn ask_later(&mut self, group: Group) {
        let (Some(from), to) = (group.entries.front().map(|entry| entry.time), group.newest()) else { return };
        if !self.raises || self.later.len() >= LATER_MAX {
            self.losses.unasked += u64::from(self.raises);
            return;
        }
        let due = to.saturating_add(self.plan.span).saturating_add(self.plan.delay());
        let Owner { tenant, cluster, key, .. } = *group.owner;
        let key = (self.rule, tenant, cluster, key);
        self.later.push(Later { due, place: group.place, ask: Ask { key, from, to, reach: self.reach(), late: None } });
    }

    /// Time has come so far in this place.
    pub(super) fn ask_closed(&mut self, place: u32, judged: i64) {
        if let Some(ghosts) = &mut self.ghosts {
            ghosts.turn(judged, self.plan.span);
        }
        let asks = &mut self.asks;
        self.later.extract_if(.., |later| later.place == place && later.due <= judged).for_each(|later| asks.push(later.ask));
    }

    /// Every window has closed.
    pub(super) fn ask_all_later(&mut self) {
        self.asks.extend(self.later.drain(..).map(|later| later.ask));
    }

    /// A group that lost entries has got new ones: if the two together may meet its bound, the store is asked.
    pub(super) fn ask_for_ghosts(&mut self, at: u32) {
        let Some(Some(group)) = self.groups.get(at as usize) else { return };
        let newest = group.newest();
        let ghosts = group.ghosts_by(newest);
        if ghosts == 0 || !group.alerts.is_empty() || !self.raises || group.progress(&self.plan) + ghosts < self.plan.least {
            return;
        }
        let Owner { tenant, cluster, key, .. } = &*group.owner;
        let key = (self.rule, tenant.clone(), cluster.clone(), key.clone());
        self.asks.push(Ask { key, from: newest.saturating_sub(self.plan.span), to: newest, reach: self.reach(), late: None });
    }
}
