//! Rules that raise alerts: single ones and correlations, each with its groups.
//!
//! Everything is in event time and a function of the set of matching acts: order, delay and repetition change nothing but the way to
//! the same alerts. State is bounded by named limits; past one a count can be too low, never too high.

mod absence;
pub(crate) mod chain;
mod close;
pub(crate) mod entry;
mod group;
mod insert;
#[cfg(test)]
mod model;
pub(crate) mod numbers;
pub(crate) mod order;
pub(crate) mod plan;
#[cfg(test)]
mod properties;
mod show;
mod stored;
mod summary;
#[cfg(test)]
mod tests;
pub(crate) mod ways;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use self::chain::Shown;
use self::entry::{Entry, Values};
use self::group::Group;
use self::plan::Plan;
use super::recheck::{Ask, Rechecks};
use super::watermark::Horizons;
use crate::model::{AlertId, ClusterId, Duration, Event, GroupKey, Kinds, TenantId, Timestamp};

pub(crate) use self::stored::skip_group;
pub(crate) use self::summary::CLOCK_AHEAD;
pub use self::summary::{ENTITIES_MAX, EVENTS_MAX, STEPS_MAX};

/// Groups that are weighed against each other when one has to go.
const EVICTION_SAMPLE: usize = 16;

/// What the state of one rule may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Groups of one rule. Past it, of the groups that were idle longest the one with the fewest entries goes.
    pub groups_max: usize,
    /// Entries of one group. Past it the oldest go.
    pub entries_per_group_max: usize,
    /// Entries of all groups of one rule. Past it groups go, as past `groups_max`.
    pub entries_per_rule_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { groups_max: 200_000, entries_per_group_max: 50_000, entries_per_rule_max: 500_000 }
    }
}

/// What was lost to limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Losses {
    pub(crate) groups_evicted: u64,
    pub(crate) entries_dropped: u64,
}

/// The hash that identifies an alert: tenant, cluster, rule, group and bucket, each with its length.
pub(crate) fn alert_id(tenant: &TenantId, cluster: &ClusterId, rule_id: &str, group: &GroupKey, bucket: &[u8]) -> AlertId {
    let mut hasher = blake3::Hasher::new();
    let mut add = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    add(tenant.as_str().as_bytes());
    add(cluster.as_str().as_bytes());
    add(rule_id.as_bytes());
    for (name, value) in group {
        add(name.as_bytes());
        match value {
            Some(value) => add(value.as_bytes()),
            None => add(b"\xff"),
        }
    }
    add(bucket);
    AlertId::of(&hasher)
}

/// What waits for time to come, in the groups of one place.
#[derive(Debug, Default)]
struct Lane {
    /// Every group once, by a time at or before its newest entry.
    queue: BinaryHeap<Reverse<(i64, u32)>>,
    /// When windows of groups close, for rules that wait for that.
    due: BinaryHeap<Reverse<(i64, u32)>>,
}

/// One rule's groups.
#[derive(Debug)]
pub(crate) struct Correlator {
    pub(crate) plan: Plan,
    /// Its place in the rule set.
    pub(crate) rule: usize,
    /// The class of its horizons.
    class: usize,
    /// By the key of the group.
    index: HashTable<u32>,
    hasher: RandomState,
    groups: Vec<Option<(Box<[u8]>, Group)>>,
    free: Vec<u32>,
    /// By place: clusters are judged each by its own sources.
    lanes: BTreeMap<u32, Lane>,
    dirty: Vec<u32>,
    /// Entries that have come in this batch, by group.
    pending: Vec<(u32, Entry)>,
    batch: Vec<Entry>,
    /// Entries of all groups.
    entries: usize,
    scratch: Vec<u8>,
    /// It raises alerts of its own, and is not only stood on.
    pub(crate) raises: bool,
    /// The kinds of events that it reads, by way of those it stands on.
    pub(crate) reads: Kinds,
    /// How much later than events the alerts come that it stands on, in nanoseconds.
    pub(crate) lag: i64,
    /// How far before what has been judged entries are kept, in nanoseconds.
    kept: i64,
    /// The correlators whose alerts it stands on, by their places in the engine.
    pub(crate) stands_on: Vec<usize>,
    pub(crate) losses: Losses,
}

/// Begins the key of a group: bytes that are equal for equal groups.
fn key_into(scratch: &mut Vec<u8>, tenant: &TenantId, cluster: &ClusterId) {
    scratch.clear();
    add_bytes(scratch, tenant.as_str().as_bytes());
    add_bytes(scratch, cluster.as_str().as_bytes());
}

fn add_to_key(scratch: &mut Vec<u8>, name: &str, value: Option<&str>) {
    add_bytes(scratch, name.as_bytes());
    add_bytes(scratch, value.map_or(b"\xff".as_slice(), str::as_bytes));
}

fn add_bytes(scratch: &mut Vec<u8>, bytes: &[u8]) {
    scratch.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    scratch.extend_from_slice(bytes);
}

/// What lies in the way of an event that matched.
pub(crate) enum Admission {
    /// It is not counted, or was before.
    Ignored,
    /// It counts in this group, with these values.
    Counts { group: u32, values: Values },
}

impl Correlator {
    /// Of the rule of this number, which is judged by horizons of this class.
    pub(crate) fn new(plan: Plan, rule: usize, class: usize) -> Self {
        Self {
            raises: true,
            reads: Kinds::ALL,
            lag: 0,
            kept: plan.reach(),
            stands_on: Vec::new(),
            plan,
            rule,
            class,
            index: HashTable::new(),
            hasher: RandomState::default(),
            pending: Vec::new(),
            batch: Vec::new(),
            groups: Vec::new(),
            free: Vec::new(),
            lanes: BTreeMap::new(),
            dirty: Vec::new(),
            entries: 0,
            scratch: Vec::new(),
            losses: Losses::default(),
        }
    }

    /// How many groups it keeps.
    pub(crate) fn groups_live(&self) -> usize {
        self.index.len()
    }

    /// The names and values of the group of an event; `None` if it lacks one that is needed.
    pub(crate) fn group_key(&self, event: &Event, rule: u16) -> Option<GroupKey> {
        let mut key = GroupKey::new();
        self.plan.group(event, rule, &mut |name, value| key.push((Arc::clone(name), value.map(Arc::from)))).then_some(key)
    }

    /// Up to when windows have been judged in every cluster; `None` while nothing is known.
    pub(crate) fn evaluated_up_to(&self, horizons: &Horizons) -> Option<Timestamp> {
        horizons.least(self.class).map(|time| time.minus(Duration(self.lag)))
    }

    /// Up to when windows in this place have been judged, in nanoseconds: what comes for before that is late.
    pub(crate) fn judged(&self, horizons: &Horizons, place: u32) -> i64 {
        horizons.judged(self.class, place)
    }

    /// Whether windows that an event of this time belongs to, or the entries before it in them, have been let go of by now.
    pub(crate) fn is_gone(&self, time: i64, judged: i64) -> bool {
        time < judged.saturating_sub(self.reach()).saturating_add(self.plan.span)
    }

    /// Asks for the group of such an event to be judged from the store. False if the event would not count.
    pub(crate) fn recheck(&self, event: &Event, rule: u16, time: i64, rechecks: &mut Rechecks) -> bool {
        let group = self.group_key(event, rule).filter(|_| self.plan.values(event).is_some());
        let Some(group) = group else { return false };
        self.ask(event, group, time, rechecks);
        true
    }

    /// Asks for a group to be judged from the store, if what is found there would be told.
    pub(crate) fn ask(&self, event: &Event, group: GroupKey, time: i64, rechecks: &mut Rechecks) {
        if self.raises {
            let key = (self.rule, event.tenant.clone(), event.cluster.clone(), group);
            rechecks.ask(Ask { key, from: time, to: time, reach: self.reach(), late: Some(event.id) });
        }
    }

    /// Finds the group of an event that matched the referred rule. `time` is that which it counts for, `place` that of its cluster.
    pub(crate) fn admit(&mut self, event: &Event, rule: u16, time: i64, place: u32) -> Admission {
        let Self { plan, scratch, .. } = self;
        key_into(scratch, &event.tenant, &event.cluster);
        let counts = plan.group(event, rule, &mut |name, value| add_to_key(scratch, name, value));
        if !counts {
            return Admission::Ignored;
        }
        let Some(values) = plan.values(event) else { return Admission::Ignored };
        if let Some(at) = self.find() {
            let is_known =
                matches!(self.groups.get(at as usize), Some(Some((_, group))) if group.knows(&self.plan, rule, event.act, (time, event.id)));
            return if is_known { Admission::Ignored } else { Admission::Counts { group: at, values } };
        }
        let Some(key) = self.group_key(event, rule) else { return Admission::Ignored };
        let group = self.begin(Group::new(event.tenant.clone(), event.cluster.clone(), key, place), time);
        Admission::Counts { group, values }
    }

    /// The group of the key that was written last.
    fn find(&self) -> Option<u32> {
        let is_it = |at: &u32| matches!(self.groups.get(*at as usize), Some(Some((key, _))) if **key == *self.scratch);
        self.index.find(self.hasher.hash_one(self.scratch.as_slice()), is_it).copied()
    }

    /// Keeps a new group under the key that was written last.
    fn begin(&mut self, group: Group, time: i64) -> u32 {
        let place = group.place;
        let key: Box<[u8]> = self.scratch.as_slice().into();
        let at = match self.free.pop() {
            Some(at) => at,
            None => {
                self.groups.push(None);
                u32::try_from(self.groups.len() - 1).unwrap_or(u32::MAX)
            }
        };
        let Self { index, hasher, groups, .. } = self;
        let hash = hasher.hash_one(&*key);
        groups[at as usize] = Some((key, group));
        index.insert_unique(hash, at, |at| groups[*at as usize].as_ref().map_or(0, |(key, _)| hasher.hash_one(&**key)));
        self.lanes.entry(place).or_default().queue.push(Reverse((time, at)));
        at
    }

    /// Adds an entry to the group that [`Correlator::admit`] named.
    pub(crate) fn push(&mut self, group: u32, entry: Entry) {
        self.touch(group);
        self.pending.push((group, entry));
    }

    /// The group is to be looked at when the batch ends.
    fn touch(&mut self, at: u32) {
        if let Some(Some((_, found))) = self.groups.get_mut(at as usize)
            && !std::mem::replace(&mut found.is_dirty, true)
        {
            self.dirty.push(at);
        }
    }

    /// Works in what was pushed since, and puts out what that changed (nothing, if there is no `out`: the alerts wait).
    pub(crate) fn settle(&mut self, limits: &Limits, mut out: Option<&mut Vec<Shown>>) {
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.sort_unstable();
        self.pending.sort_by(|(a, left), (b, right)| a.cmp(b).then_with(|| left.key().cmp(&right.key())));
        let mut pending = std::mem::take(&mut self.pending);
        let mut waiting = pending.drain(..).peekable();
        for at in dirty.drain(..) {
            self.batch.extend(std::iter::from_fn(|| waiting.next_if(|(group, _)| *group == at)).map(|(_, entry)| entry));
            let Some(Some((_, group))) = self.groups.get_mut(at as usize) else {
                self.batch.clear();
                continue;
            };
            group.is_dirty = false;
            let entries_max = limits.entries_per_group_max.max(1);
            let before = group.len();
            let dropped = group.settle(&self.plan, &self.plan.header.id, entries_max, self.batch.drain(..), out.as_deref_mut());
            self.losses.entries_dropped += dropped;
            self.entries = (self.entries + group.len()).saturating_sub(before);
            if self.plan.is_closing()
                && let Some(due) = group.schedule(&self.plan)
            {
                self.lanes.entry(group.place).or_default().due.push(Reverse((due, at)));
            }
        }
        drop(waiting);
        (self.dirty, self.pending) = (dirty, pending);
        while self.index.len() > limits.groups_max.max(1) || self.entries > limits.entries_per_rule_max && self.index.len() > 1 {
            if !self.evict(out.as_deref_mut()) {
                break;
            }
        }
    }

    /// Takes the group that is idle longest off the queue, with its newest time.
    fn pop_stalest(&mut self) -> Option<(i64, u32)> {
        loop {
            let stalest = self.lanes.values_mut().filter(|lane| !lane.queue.is_empty()).max_by_key(|lane| lane.queue.peek().copied())?;
            let Reverse((time, at)) = stalest.queue.pop()?;
            let Some(Some((_, group))) = self.groups.get(at as usize) else { continue };
            let newest = group.newest();
            if newest <= time {
                return Some((newest, at));
            }
            stalest.queue.push(Reverse((newest, at)));
        }
    }

    /// Of the groups idle longest, the one that got least far goes: a flood of fresh groups does not push out one that is near its bound.
    fn evict(&mut self, out: Option<&mut Vec<Shown>>) -> bool {
        let sample: Vec<(i64, u32)> = (0..EVICTION_SAMPLE).map_while(|_| self.pop_stalest()).collect();
        let len = |at: u32| self.groups.get(at as usize).and_then(Option::as_ref).map_or(0, |(_, group)| group.len());
        let Some(victim) = sample.iter().min_by_key(|(time, at)| (len(*at), *time, *at)).map(|(_, at)| *at) else { return false };
        for (time, at) in sample.into_iter().filter(|(_, at)| *at != victim) {
            if let Some(Some((_, group))) = self.groups.get(at as usize) {
                self.lanes.entry(group.place).or_default().queue.push(Reverse((time, at)));
            }
        }
        if let (Some(Some((_, group))), Some(out)) = (self.groups.get_mut(victim as usize), out) {
            group.show_all(&self.plan, out);
        }
        self.remove(victim);
        self.losses.groups_evicted += 1;
        true
    }

    fn remove(&mut self, at: u32) {
        if let Some((key, group)) = self.groups.get_mut(at as usize).and_then(Option::take) {
            self.entries = self.entries.saturating_sub(group.len());
            if let Ok(found) = self.index.find_entry(self.hasher.hash_one(&*key), |known| *known == at) {
                found.remove();
            }
            self.free.push(at);
        }
    }

    /// Time has come so far: judges windows that have closed, and lets go of what no event can change any more.
    pub(crate) fn advance(&mut self, horizons: &Horizons, out: &mut Vec<Shown>) {
        let mut lanes = std::mem::take(&mut self.lanes);
        for (place, lane) in &mut lanes {
            let judged = horizons.judged(self.class, *place);
            if judged != i64::MIN {
                let judged = judged.saturating_sub(self.lag);
                self.close((*place, lane), judged, Some(out));
                self.expire(lane, judged);
            }
        }
        lanes.retain(|_, lane| !lane.queue.is_empty() || !lane.due.is_empty());
        self.lanes = lanes;
    }

    /// How long before what is judged its alerts can reach, in nanoseconds.
    pub(crate) fn reach(&self) -> i64 {
        self.kept.saturating_add(self.lag)
    }

    fn expire(&mut self, lane: &mut Lane, judged: i64) {
        let horizon = judged.saturating_sub(self.kept);
        while lane.queue.peek().is_some_and(|Reverse((time, _))| *time < horizon) {
            let Some(Reverse((_, at))) = lane.queue.pop() else { break };
            let Some(Some((_, group))) = self.groups.get_mut(at as usize) else { continue };
            let before = group.len();
            let is_live = group.expire(&self.plan, horizon);
            self.entries = (self.entries + group.len()).saturating_sub(before);
            if is_live {
                lane.queue.push(Reverse((group.newest().max(horizon), at)));
            } else {
                self.remove(at);
            }
        }
    }

    fn close(&mut self, (place, lane): (u32, &mut Lane), judged: i64, mut out: Option<&mut Vec<Shown>>) {
        while lane.due.peek().is_some_and(|Reverse((time, _))| *time <= judged) {
            let Some(Reverse((due, at))) = lane.due.pop() else { break };
            // A group that has gone left its time behind, and another may stand where it stood.
            let Some((_, group)) = self.groups.get_mut(at as usize).and_then(Option::as_mut).filter(|(_, group)| group.place == place) else {
                continue;
            };
            if let Some(next) = group.close(&self.plan, &self.plan.header.id, due, judged, out.as_deref_mut()) {
                lane.due.push(Reverse((next, at)));
            }
        }
    }

    /// The end of a finite replay: all windows close, and every alert comes out.
    pub(crate) fn finish(&mut self, out: &mut Vec<Shown>) {
        let mut lanes = std::mem::take(&mut self.lanes);
        for (place, lane) in &mut lanes {
            self.close((*place, lane), i64::MAX, None);
        }
        self.lanes = lanes;
        for (_, group) in self.groups.iter_mut().flatten() {
            group.show_all(&self.plan, out);
        }
    }
}
