//! Rules that raise alerts: single ones and correlations, each with its groups.
//!
//! Everything is in event time and a function of the set of matching acts: order, delay and repetition change nothing but the way to
//! the same alerts. State is bounded by named limits; past one a count can be too low, never too high.

mod absence;
mod arrive;
pub(crate) mod chain;
mod close;
mod entries;
pub(crate) mod entry;
#[cfg(test)]
mod flood;
mod ghosts;
mod group;
mod insert;
#[cfg(any(test, fuzzing))]
pub mod model;
pub(crate) mod numbers;
pub(crate) mod order;
mod pages;
pub(crate) mod plan;
#[cfg(test)]
mod properties;
mod quota;
mod show;
mod stored;
mod summary;
#[cfg(test)]
mod tests;
pub(crate) mod ways;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::HashTable;
use siphasher::sip128::SipHasher13;

use self::arrive::Arrival;
use self::chain::Shown;
use self::entry::{Act, Entry};
use self::ghosts::Ghosts;
use self::group::Group;
use self::plan::Plan;
use self::quota::{CLASSES, Later};
use super::recheck::{Ask, Rechecks};
use super::watermark::Horizons;
use crate::model::{AlertId, ClusterId, Duration, Event, GroupKey, Kinds, TenantId, Timestamp};

pub(crate) use self::stored::skip_group;
pub(crate) use self::summary::CLOCK_AHEAD;
pub use self::summary::{ENTITIES_MAX, EVENTS_MAX, STEPS_MAX};

/// What state may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// What all rules may take, in bytes, about; one rule may take half of it. Past it groups go: those that got least far towards their bound, and of
    /// those the ones that were idle longest.
    pub state_bytes_max: usize,
    /// Groups of one rule. Past it groups go, as past `state_bytes_max`.
    pub groups_max: usize,
    /// Entries of one group. Past it the oldest go.
    pub entries_per_group_max: usize,
    /// Entries of all groups of one rule. Past it groups go, as past `state_bytes_max`.
    pub entries_per_rule_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { state_bytes_max: 256 << 20, groups_max: 1_000_000, entries_per_group_max: 50_000, entries_per_rule_max: 2_000_000 }
    }
}

/// What was lost to limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Losses {
    pub(crate) groups_evicted: u64,
    pub(crate) entries_dropped: u64,
    /// Groups that went before their windows closed, and of which too many waited for the store to be asked.
    pub(crate) unasked: u64,
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
    /// Every group once, by how far it has got, and by a time at or before its newest entry.
    queues: [BTreeSet<(i64, u32)>; CLASSES],
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
    /// From the names of groups.
    index: HashTable<(u128, u32)>,
    hasher: SipHasher13,
    groups: Vec<Option<Group>>,
    free: Vec<u32>,
    /// By place: clusters are judged each by its own sources.
    lanes: BTreeMap<u32, Lane>,
    /// What matched and waits to be taken in.
    arrivals: Vec<Arrival>,
    dirty: Vec<u32>,
    /// Entries that have come in this batch, by group.
    pending: Vec<(u32, Entry)>,
    /// What alerts below have become in this batch, by group and act: the last word counts.
    followed: BTreeMap<(u32, (u16, Act)), Option<Entry>>,
    batch: Vec<Entry>,
    /// Entries of all groups.
    entries: usize,
    /// What groups take, in bytes, about.
    bytes: usize,
    /// What is remembered of groups that had to go; nothing until one has.
    ghosts: Option<Ghosts>,
    later: Vec<Later>,
    /// What the store is to be asked for.
    pub(crate) asks: Vec<Ask>,
    /// Alerts of groups that had to go in a finite replay: they come out at its end.
    parted: Vec<Shown>,
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

/// A hasher under a key that is drawn.
fn keyed() -> SipHasher13 {
    let part = || std::hash::RandomState::new().hash_one(());
    SipHasher13::new_with_keys(part(), part())
}

/// Where a name stands in a table: it is a hash already.
fn table_hash(name: u128) -> u64 {
    name as u64
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
            hasher: keyed(),
            arrivals: Vec::new(),
            pending: Vec::new(),
            followed: BTreeMap::new(),
            batch: Vec::new(),
            groups: Vec::new(),
            free: Vec::new(),
            lanes: BTreeMap::new(),
            dirty: Vec::new(),
            entries: 0,
            bytes: 0,
            ghosts: None,
            later: Vec::new(),
            asks: Vec::new(),
            parted: Vec::new(),
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

    /// The name of the group of the key that was written last. Nobody who chooses values can make two keys have one.
    fn name(&self) -> u128 {
        self.hasher.hash(&self.scratch).as_u128()
    }

    fn find(&self, name: u128) -> Option<u32> {
        self.index.find(table_hash(name), |(known, _)| *known == name).map(|(_, at)| *at)
    }

    /// Keeps a new group under this name.
    fn begin(&mut self, name: u128, mut group: Group, time: i64) -> u32 {
        let gone = self.ghosts.as_ref().map_or(0, |ghosts| ghosts.recall(table_hash(name)));
        group.set_name(name);
        group.ghosts = (gone > 0).then(|| Box::new((gone, time.saturating_add(self.plan.span))));
        let at = match self.free.pop() {
            Some(at) => at,
            None => {
                self.groups.push(None);
                u32::try_from(self.groups.len() - 1).unwrap_or(u32::MAX)
            }
        };
        self.groups[at as usize] = Some(group);
        self.index.insert_unique(table_hash(name), (name, at), |(name, _)| table_hash(*name));
        self.queue(at, time);
        at
    }

    /// Adds an entry to a group.
    pub(super) fn push(&mut self, at: u32, entry: Entry) {
        self.touch(at);
        let Some(Some(group)) = self.groups.get_mut(at as usize) else { return };
        match group.push(&self.plan, &self.plan.header.id, entry) {
            Some(entry) => self.pending.push((at, entry)),
            None => self.entries += 1,
        }
    }

    /// The group is to be looked at when the batch ends.
    fn touch(&mut self, at: u32) {
        if let Some(Some(found)) = self.groups.get_mut(at as usize)
            && !std::mem::replace(&mut found.is_dirty, true)
        {
            self.dirty.push(at);
        }
    }

    /// Works in what was pushed since, and puts out what that changed (nothing, if there is no `out`: the alerts wait).
    pub(crate) fn settle(&mut self, limits: &Limits, mut out: Option<&mut Vec<Shown>>) {
        let mut dirty = std::mem::take(&mut self.dirty);
        if !self.pending.is_empty() || !self.followed.is_empty() {
            dirty.sort_unstable();
        }
        let followed = std::mem::take(&mut self.followed);
        self.pending.extend(followed.into_iter().filter_map(|((at, _), entry)| Some((at, entry?))));
        self.pending.sort_by(|(a, left), (b, right)| a.cmp(b).then_with(|| left.key().cmp(&right.key())));
        let mut pending = std::mem::take(&mut self.pending);
        let mut waiting = pending.drain(..).peekable();
        for at in dirty.drain(..) {
            self.batch.extend(std::iter::from_fn(|| waiting.next_if(|(group, _)| *group == at)).map(|(_, entry)| entry));
            let Some(Some(group)) = self.groups.get_mut(at as usize) else {
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
            self.requeue(at);
            self.ask_for_ghosts(at);
        }
        drop(waiting);
        (self.dirty, self.pending) = (dirty, pending);
        self.make_room(limits, out);
    }

    /// Time has come so far: judges windows that have closed, and lets go of what no event can change any more.
    pub(crate) fn advance(&mut self, horizons: &Horizons, out: &mut Vec<Shown>) {
        let places: Vec<u32> = self.lanes.keys().copied().collect();
        for place in places {
            let judged = horizons.judged(self.class, place);
            if judged != i64::MIN {
                let judged = judged.saturating_sub(self.lag);
                self.close(place, judged, Some(out));
                self.expire(place, judged);
                self.ask_closed(place, judged);
            }
        }
        let is_waiting = |place: u32| self.later.iter().any(|later| later.place() == place);
        self.lanes.retain(|place, lane| !lane.due.is_empty() || lane.queues.iter().any(|queue| !queue.is_empty()) || is_waiting(*place));
    }

    /// How long before what is judged its alerts can reach, in nanoseconds.
    pub(crate) fn reach(&self) -> i64 {
        self.kept.saturating_add(self.lag)
    }

    fn expire(&mut self, place: u32, judged: i64) {
        let horizon = judged.saturating_sub(self.kept);
        for class in 0..CLASSES {
            let oldest = |lanes: &BTreeMap<u32, Lane>| lanes.get(&place).and_then(|lane| lane.queues[class].first().copied());
            while let Some((_, at)) = oldest(&self.lanes).filter(|(time, _)| *time < horizon) {
                let Some(Some(group)) = self.groups.get_mut(at as usize) else { break };
                let before = group.len();
                let is_live = group.expire(&self.plan, horizon);
                let newest = group.newest().max(horizon);
                self.entries = (self.entries + group.len()).saturating_sub(before);
                if is_live {
                    self.queue(at, newest);
                } else {
                    self.remove(at);
                }
            }
        }
    }

    fn close(&mut self, place: u32, judged: i64, mut out: Option<&mut Vec<Shown>>) {
        let Self { lanes, groups, plan, .. } = self;
        let Some(Lane { due: queue, .. }) = lanes.get_mut(&place) else { return };
        while queue.peek().is_some_and(|Reverse((time, _))| *time <= judged) {
            let Some(Reverse((due, at))) = queue.pop() else { break };
            // A group that has gone left its time behind, and another may stand where it stood.
            let Some(group) = groups.get_mut(at as usize).and_then(Option::as_mut).filter(|group| group.place == place) else {
                continue;
            };
            if let Some(next) = group.close(plan, &plan.header.id, due, judged, out.as_deref_mut()) {
                queue.push(Reverse((next, at)));
            }
        }
    }

    /// The end of a finite replay: all windows close, and every alert comes out.
    pub(crate) fn finish(&mut self, out: &mut Vec<Shown>) {
        let places: Vec<u32> = self.lanes.keys().copied().collect();
        for place in places {
            self.close(place, i64::MAX, None);
        }
        out.append(&mut self.parted);
        self.ask_all_later();
        for group in self.groups.iter_mut().flatten() {
            group.show_all(&self.plan, out);
        }
    }
}
