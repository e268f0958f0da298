//! One group of one rule: its entries and the alerts they make.
//!
//! The sorted ends of qualifying windows are taken in turn. The first anchors an alert in the bucket that holds it; that alert absorbs
//! every later end whose window begins before the bucket's end; the next end anchors the next alert. So the alerts are a function of
//! the set of entries alone, whatever the order they came in.
//!
//! An entry that comes last in order extends the last alert; another is worked in where it stands (`insert`), if what it can change is
//! near; else the alerts from its place on are computed anew, once a batch.

mod acts;
mod bytes;

use self::acts::Acts;
use super::chain::Shown;
use super::close::Extra;
use super::entry::{Act, Entries, Entry, FIRST, Key};
use super::insert::Reach;
use super::plan::{Judged, Plan, PlanKind};
use super::quota::Queued;
use super::summary::Summary;
use crate::detect::journal::Whose;
use crate::detect::window::Scanner;
use crate::model::{AlertId, ClusterId, GroupKey, TenantId, Timestamp};

/// Entries up to which an act is looked for one by one.
const LINEAR_MAX: usize = 32;

/// An alert as far as it is known.
#[derive(Debug)]
pub(super) struct Anchored {
    pub(super) id: AlertId,
    /// The end of its earliest qualifying window.
    pub(super) anchor: Key,
    pub(super) bucket_end: i64,
    /// The last entry that contributes.
    pub(super) upto: Key,
    pub(super) summary: Summary,
    /// Fingerprint of what was last put out; 0 for never.
    pub(super) shown: u64,
}

/// A window that meets its rule's bound: where it ends, and the entries in it.
pub(super) struct Window {
    pub(super) end: Key,
    pub(super) first: usize,
    pub(super) last: usize,
}

/// Whose a group is.
#[derive(Debug)]
pub(super) struct Owner {
    pub(super) tenant: TenantId,
    pub(super) cluster: ClusterId,
    pub(super) key: GroupKey,
    /// The keyed hash of all three, which is its name in the index: as bytes, or all of it would have to stand at every sixteenth byte.
    pub(super) name: [u8; 16],
}

/// Entries and alerts of one group. What every entry needs stands in it, the rest apart: there are many, and most are small.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) owner: Box<Owner>,
    /// The place of its cluster among the horizons.
    pub(super) place: u32,
    pub(super) entries: Entries,
    /// Where the entry of an act stands, once there are many.
    acts: Option<Box<Acts>>,
    pub(super) alerts: Vec<Anchored>,
    pub(super) scanner: Option<Box<Scanner>>,
    /// An entry adds more than one value to a count.
    has_many: bool,
    /// Entries up to this time may be gone.
    floor: i64,
    /// Entries up to this time were dropped for a limit. What comes for it again must not count twice, so it does not count.
    pub(super) capped: i64,
    pub(super) is_dirty: bool,
    /// Entries of this batch wait to be worked in.
    has_pending: bool,
    /// The first alert that entries of this batch have changed.
    changed: Option<u32>,
    pub(super) queued: Option<Queued>,
    /// What its owner takes, in bytes, about.
    pub(super) owner_bytes: u32,
    /// The bytes that it is counted for.
    pub(super) counted: u32,
    /// How many entries it had that had to go with it, at most, and up to when they matter.
    pub(super) ghosts: Option<Box<(usize, i64)>>,
    /// Of rules whose windows close, and of rules over correlations.
    pub(super) extra: Option<Box<Extra>>,
}

impl Group {
    pub(super) fn new(tenant: TenantId, cluster: ClusterId, key: GroupKey, place: u32) -> Self {
        let values: usize = key.iter().map(|(_, value)| 48 + value.as_ref().map_or(0, |value| value.len())).sum();
        Self {
            owner_bytes: u32::try_from(size_of::<Owner>() + values).unwrap_or(u32::MAX),
            owner: Box::new(Owner { tenant, cluster, key, name: [0; 16] }),
            place,
            entries: Entries::default(),
            acts: None,
            alerts: Vec::new(),
            scanner: None,
            has_many: false,
            floor: i64::MIN,
            capped: i64::MIN,
            is_dirty: false,
            has_pending: false,
            changed: None,
            queued: None,
            counted: 0,
            ghosts: None,
            extra: None,
        }
    }

    /// Is to stand in the index under this name.
    pub(super) fn set_name(&mut self, name: u128) {
        self.owner.name = name.to_le_bytes();
    }

    /// The name under which it stands in the index.
    pub(super) fn name(&self) -> u128 {
        u128::from_le_bytes(self.owner.name)
    }

    /// Tenant, cluster and values.
    #[inline]
    pub(super) fn whose(&self) -> Whose<'_> {
        (&self.owner.tenant, &self.owner.cluster, &self.owner.key)
    }

    /// Reads what stands in the group itself, to have it at hand. What it returns means nothing.
    pub(super) fn look(&self) -> usize {
        self.entries.len() + self.counted as usize + usize::from(self.is_dirty) + self.alerts.len()
    }

    /// Reads what taking in this entry will ask for, to have it at hand.
    pub(super) fn look_for(&self, plan: &Plan, entry: &Entry) -> usize {
        let is_known = self.acts.as_ref().is_some_and(|acts| acts.has(Self::act_of(plan, entry.rule, entry.act)));
        let is_counted = self.scanner.as_ref().is_some_and(|scanner| scanner.counts(&entry.values));
        self.entries.back().map_or(0, |last| usize::from(last.rule)) + usize::from(is_known) + usize::from(is_counted)
    }

    /// The newest time it has seen.
    pub(super) fn newest(&self) -> i64 {
        self.entries.back().map_or(i64::MIN, |entry| entry.time)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// What the table of acts takes, in bytes, about.
    pub(super) fn acts_bytes(&self) -> usize {
        self.acts.as_ref().map_or(0, |acts| acts.bytes())
    }

    /// The part of an entry's key that tells acts apart: a temporal rule counts an act once for each rule.
    pub(super) fn act_of(plan: &Plan, rule: u16, act: Act) -> (u16, Act) {
        match plan.kind {
            PlanKind::Temporal | PlanKind::Ordered => (rule, act),
            PlanKind::Single | PlanKind::Count | PlanKind::Distinct | PlanKind::Sum | PlanKind::Average | PlanKind::Percentile => (0, act),
        }
    }

    fn find(&self, plan: &Plan, act: (u16, Act)) -> Option<Key> {
        match &self.acts {
            _ if !self.entries.may_have(act.1) => None,
            Some(acts) => acts.find(act, &self.entries, |rule, other| Self::act_of(plan, rule, other) == act),
            None => self.entries.iter().find(|entry| Self::act_of(plan, entry.rule, entry.act) == act).map(Entry::key),
        }
    }

    /// Whether the group already has the act of this entry by one that comes no later, or may have had it.
    pub(super) fn knows(&self, plan: &Plan, entry: &Entry) -> bool {
        let act = Self::act_of(plan, entry.rule, entry.act);
        entry.time <= self.capped || self.find(plan, act).is_some_and(|known| known <= entry.key())
    }

    /// Takes an entry in at once if it comes after all others, as most do; gives back what has to wait for the end of the batch.
    pub(super) fn push(&mut self, plan: &Plan, rule_id: &str, entry: Entry) -> Option<Entry> {
        let key = entry.key();
        let is_last = self.entries.back().is_none_or(|last| last.key() < key);
        if !is_last || self.has_pending || self.extra.is_some() || plan.is_closing() {
            self.has_pending = true;
            return Some(entry);
        }
        if let Some(acts) = &mut self.acts {
            acts.set(Self::act_of(plan, entry.rule, entry.act), key);
        }
        self.has_many |= entry.values.len() > 1;
        self.entries.push_back(entry);
        self.index_acts(plan);
        if let Some(alert) = self.append(plan, rule_id) {
            let alert = u32::try_from(alert).unwrap_or(u32::MAX);
            self.changed = Some(self.changed.map_or(alert, |changed| changed.min(alert)));
        }
        None
    }

    /// Works in entries that have come. Returns how many the limit cost.
    pub(super) fn settle(
        &mut self,
        plan: &Plan,
        rule_id: &str,
        entries_max: usize,
        pending: impl Iterator<Item = Entry>,
        out: Option<&mut Vec<Shown>>,
    ) -> u64 {
        let mut dirty = self.remove(plan);
        let mut changed = self.changed.take().map(|changed| changed as usize);
        self.has_pending = false;
        for entry in pending {
            self.index_acts(plan);
            let act = Self::act_of(plan, entry.rule, entry.act);
            let key = entry.key();
            match self.find(plan, act) {
                Some(known) if known <= key => continue,
                Some(known) => {
                    let at = self.entries.partition_point(|entry| entry.key() < known);
                    self.entries.remove(at);
                    if plan.is_closing() {
                        self.reopen(key.0);
                    }
                    dirty = Some(dirty.map_or(key, |dirty| dirty.min(key)));
                }
                None => {}
            }
            if let Some(acts) = &mut self.acts {
                acts.set(act, key);
            }
            if plan.is_closing() {
                self.reopen(key.0);
            }
            self.has_many |= entry.values.len() > 1;
            let is_last = self.entries.back().is_none_or(|last| last.key() < key);
            if is_last && dirty.is_none() {
                self.entries.push_back(entry);
                if !plan.is_closing()
                    && let Some(alert) = self.append(plan, rule_id)
                {
                    changed = Some(changed.map_or(alert, |changed| changed.min(alert)));
                }
            } else {
                let at = if is_last { self.entries.len() } else { self.entries.partition_point(|entry| entry.key() < key) };
                self.entries.insert(at, entry);
                let reach = if dirty.is_none() && !plan.is_closing() { self.insert(plan, at) } else { Reach::Far };
                match reach {
                    Reach::Nothing => {}
                    Reach::Alert(alert) => changed = Some(changed.map_or(alert, |changed| changed.min(alert))),
                    Reach::Far => dirty = Some(dirty.map_or(key, |dirty| dirty.min(key))),
                }
            }
        }
        let old = match dirty {
            Some(dirty) if !plan.is_closing() => {
                let (from, old) = self.recompute(plan, rule_id, dirty);
                changed = Some(changed.map_or(from, |changed| changed.min(from)));
                old
            }
            _ => Vec::new(),
        };
        if let (Some(out), Some(from)) = (out, changed) {
            self.show(plan, from, &old, out);
        }
        let dropped = self.cap(entries_max);
        self.index_acts(plan);
        dropped
    }

    /// Takes out the entries of alerts that have changed or gone. Returns the earliest of their keys.
    fn remove(&mut self, plan: &Plan) -> Option<Key> {
        let removed = self.extra.as_mut().map(|extra| std::mem::take(&mut extra.removed))?;
        let mut dirty: Option<Key> = None;
        for act in removed {
            let Some(known) = self.find(plan, act) else { continue };
            let at = self.entries.partition_point(|entry| entry.key() < known);
            self.entries.remove(at);
            if let Some(acts) = &mut self.acts {
                acts.remove(act);
            }
            self.scanner = None;
            if plan.is_closing() {
                self.reopen(known.0);
            }
            dirty = Some(dirty.map_or(known, |dirty| dirty.min(known)));
        }
        dirty
    }

    /// Makes the table of acts once there are many: within a batch too, or one payload of many acts would cost the square of them.
    fn index_acts(&mut self, plan: &Plan) {
        if self.acts.is_none() && self.entries.len() > LINEAR_MAX {
            let mut acts = Box::new(Acts::default());
            self.entries.iter().for_each(|entry| acts.set(Self::act_of(plan, entry.rule, entry.act), entry.key()));
            self.acts = Some(acts);
        }
    }

    /// The first entry that a window ending at this time can hold.
    pub(super) fn window_start(&self, plan: &Plan, time: i64) -> usize {
        match plan.kind {
            PlanKind::Single => self.entries.partition_point(|entry| entry.time < time),
            _ => self.entries.partition_point(|entry| entry.time <= time.saturating_sub(plan.span)),
        }
    }

    /// The last entry is new. Returns the alert that it changed.
    fn append(&mut self, plan: &Plan, rule_id: &str) -> Option<usize> {
        let at = self.entries.len() - 1;
        let first = self.window_at(plan, at);
        self.entries[at].is_end = first.is_some();
        let end = self.entries[at].key();
        first.and_then(|first| self.end(plan, rule_id, &Window { end, first, last: at }))
    }

    /// If the last entry ends a window that meets the bound: the first entry of that window.
    fn window_at(&mut self, plan: &Plan, at: usize) -> Option<usize> {
        let start = self.entries[at].time.saturating_sub(plan.span);
        match plan.kind {
            PlanKind::Single => return Some(at),
            // The window of a mere count is no more than its first entry.
            PlanKind::Count => {
                let least = (at + 1).checked_sub(plan.least).filter(|least| self.entries[*least].time > start);
                return least.map(|_| self.window_start(plan, self.entries[at].time));
            }
            _ => {}
        }
        let has_few = || (at + 1).checked_sub(plan.entries_least).is_none_or(|least| self.entries[least].time <= start);
        let rules = self.entries.rules();
        let lacks_any = || match plan.ways.as_slice() {
            _ if plan.referred > 64 => false,
            [] => (rules.count_ones() as usize) < plan.least,
            ways => ways.iter().all(|way| way.wanted & !rules != 0),
        };
        // Where there are too few entries, or none of a rule that is asked for, nothing needs to be walked.
        let is_short = match plan.kind {
            PlanKind::Distinct => !self.has_many && has_few(),
            PlanKind::Temporal | PlanKind::Ordered => has_few() || lacks_any(),
            _ => false,
        };
        if is_short && self.scanner.is_none() {
            return None;
        }
        let mut scanner = match self.scanner.take() {
            Some(scanner) => scanner,
            None => {
                let start = self.window_start(plan, self.entries[at].time);
                let mut scanner = Box::new(Scanner::at(start, plan));
                for before in start..at {
                    scanner.push(&self.entries, before, plan);
                }
                scanner
            }
        };
        let first = scanner.push(&self.entries, at, plan);
        self.scanner = Some(scanner);
        first
    }

    /// A qualifying window, in order of ends: extends the last alert or anchors the next. Returns the alert that it changed.
    pub(super) fn end(&mut self, plan: &Plan, rule_id: &str, window: &Window) -> Option<usize> {
        let absorbs = |alert: &Anchored| window.end.0.saturating_sub(plan.span) < alert.bucket_end;
        match self.alerts.last() {
            Some(alert) if window.end < alert.anchor => return None,
            Some(alert) if absorbs(alert) => {}
            _ => {
                let start = Timestamp::from_nanos(window.end.0).bucket(crate::model::Duration(plan.bucket));
                let id = super::alert_id(&self.owner.tenant, &self.owner.cluster, rule_id, &self.owner.key, &start.nanos().to_le_bytes());
                self.alerts.reserve_exact(1);
                self.alerts.push(Anchored {
                    id,
                    anchor: window.end,
                    bucket_end: start.nanos().saturating_add(plan.bucket),
                    upto: FIRST,
                    summary: Summary::default(),
                    shown: 0,
                });
            }
        }
        let at = self.alerts.len() - 1;
        let alert = self.alerts.get_mut(at)?;
        // Entries are added in order, so what is not after the last one added has been.
        let known = self.entries.partition_point(|entry| entry.key() <= alert.upto);
        for at in window.first.max(known)..=window.last {
            alert.summary.add(&self.entries[at], plan);
            alert.upto = alert.upto.max(self.entries[at].key());
        }
        Some(at)
    }

    /// Whether entries that contributed to the alert may be gone.
    pub(super) fn is_sealed(&self, plan: &Plan, alert: &Anchored) -> bool {
        alert.anchor.0.saturating_sub(plan.span) <= self.floor
    }

    /// Splits off the alerts that a change at this point can touch, and makes the last one that stays ready to be built up again.
    fn cut_alerts(&mut self, plan: &Plan, dirty: Key) -> Vec<Anchored> {
        let mut keep = self.alerts.partition_point(|alert| alert.anchor < dirty);
        while self.alerts.get(keep).is_some_and(|alert| self.is_sealed(plan, alert)) {
            keep += 1;
        }
        self.alerts.split_off(keep)
    }

    /// Computes anew what an entry at this point can change. Returns the first alert that may differ, and those that were there before.
    fn recompute(&mut self, plan: &Plan, rule_id: &str, dirty: Key) -> (usize, Vec<Anchored>) {
        let old = self.cut_alerts(plan, dirty);
        let from = self.alerts.len().saturating_sub(1);
        let start = match self.alerts.last() {
            Some(last) if self.is_sealed(plan, last) => self.window_start(plan, last.upto.0.min(dirty.0)),
            Some(last) => self.window_start(plan, last.anchor.0),
            None => self.window_start(plan, dirty.0),
        };
        let is_open = self.alerts.last().is_some_and(|last| !self.is_sealed(plan, last));
        if let Some(last) = self.alerts.last_mut().filter(|_| is_open) {
            last.summary = Summary::default();
            last.upto = FIRST;
        }
        // Windows of earlier ends may be cut by where the walk starts: what is known of those stays.
        let known_before = self.alerts.last().filter(|_| is_open).map_or(dirty, |last| last.anchor);
        let mut scanner = Scanner::at(start, plan);
        for at in start..self.entries.len() {
            let first = scanner.push(&self.entries, at, plan);
            let end = self.entries[at].key();
            if end < known_before {
                continue;
            }
            self.entries[at].is_end = first.is_some();
            if let Some(first) = first {
                self.end(plan, rule_id, &Window { end, first, last: at });
            }
        }
        // Where the last entries went, what comes next may stand before the walk began.
        self.scanner = self.entries.back().is_some_and(|last| last.key() >= dirty).then(|| Box::new(scanner));
        (from, old)
    }

    /// Drops the oldest entries beyond the limit, an eighth at a time. Returns how many.
    fn cap(&mut self, entries_max: usize) -> u64 {
        if self.entries.len() <= entries_max {
            return 0;
        }
        let dropped = self.drop_front(self.entries.len() - (entries_max - entries_max / 8).max(1));
        self.capped = self.floor;
        dropped
    }

    fn drop_front(&mut self, count: usize) -> u64 {
        let Some(last) = count.checked_sub(1).and_then(|last| self.entries.get(last)) else { return 0 };
        self.floor = self.floor.max(last.time);
        self.entries.drop_front(count);
        if self.scanner.as_mut().is_some_and(|scanner| !scanner.shift(count)) {
            self.scanner = None;
        }
        // The map is built anew without the acts that are gone.
        self.acts = None;
        count as u64
    }

    /// Lets go of what no event that is still to come can change. False if nothing is left.
    pub(super) fn expire(&mut self, plan: &Plan, horizon: i64) -> bool {
        let mut count = self.entries.partition_point(|entry| entry.time < horizon);
        if plan.judged == Judged::Whole {
            // Whole windows only: the next one has to begin where it would have.
            let mut whole = 0;
            while let Some(entry) = self.entries.get(whole).filter(|entry| entry.time.saturating_add(plan.span) <= horizon) {
                let end = entry.time.saturating_add(plan.span);
                whole = self.entries.partition_point(|entry| entry.time < end).max(whole + 1);
            }
            count = whole;
        }
        self.drop_front(count);
        self.index_acts(plan);
        let gone = self.alerts.partition_point(|alert| alert.bucket_end.saturating_add(plan.span) <= horizon);
        self.alerts.drain(..gone.min(self.alerts.len()));
        !self.entries.is_empty()
    }
}
