//! What a rule's groups hold, to and from the journal, and from one set of rules to the next.

use std::cmp::Reverse;

use super::group::Group;
use super::quota::Later;
use super::{Correlator, Entry};
use crate::detect::journal::{Reading, Scribe, put_time};
use crate::model::{ClusterId, GroupKey, TenantId};

/// Reads a group of a rule that is not run any more.
pub(crate) fn skip_group(whose: (TenantId, ClusterId, GroupKey), from: &mut Reading<'_>) -> Option<()> {
    from.from.time()?;
    Group::read(whose, None, 0, from).map(drop)
}

impl Correlator {
    /// Appends every group, as this rule's.
    pub(crate) fn write(&self, rule: usize, to: &mut Scribe) {
        for group in self.groups.iter().flatten() {
            to.group(rule, group.whose());
            put_time(&mut to.to, group.queued.map_or(i64::MIN, |queued| queued.time));
            group.write(to);
        }
    }

    /// The key of a group in the index.
    fn index_key(&mut self, tenant: &TenantId, cluster: &ClusterId, key: &GroupKey) {
        super::key_into(&mut self.scratch, tenant, cluster);
        key.iter().for_each(|(name, value)| super::add_to_key(&mut self.scratch, name, value.as_deref()));
    }

    /// Reads a group. `None` if these bytes are none, or there is one of these values.
    pub(crate) fn read(&mut self, (tenant, cluster, key): (TenantId, ClusterId, GroupKey), place: u32, from: &mut Reading<'_>) -> Option<()> {
        self.index_key(&tenant, &cluster, &key);
        if self.find(self.name()).is_some() {
            return None;
        }
        let queued = from.from.time()?;
        let mut group = Group::read((tenant, cluster, key), Some(&self.plan), place, from)?;
        self.entries += group.len();
        let due = if self.plan.is_closing() { group.schedule(&self.plan) } else { None };
        let at = self.begin(self.name(), group, queued);
        if let Some(due) = due {
            self.lanes.entry(place).or_default().due.push(Reverse((due, at)));
        }
        Some(())
    }

    /// Takes an entry of a group of these values, as [`Correlator::push`] took it.
    pub(crate) fn push_again(&mut self, (tenant, cluster, key): (TenantId, ClusterId, GroupKey), place: u32, entry: Entry) {
        if usize::from(entry.rule) >= self.plan.referred {
            return;
        }
        self.index_key(&tenant, &cluster, &key);
        let name = self.name();
        let at = match self.find(name) {
            Some(at) => at,
            None => {
                let group = Group::new(tenant, cluster, key, place);
                self.begin(name, group, entry.time)
            }
        };
        self.push(at, entry);
    }

    /// Lets go of everything.
    pub(crate) fn clear(&mut self) {
        self.index.clear();
        self.groups.clear();
        self.free.clear();
        self.lanes.clear();
        self.arrivals.clear();
        self.dirty.clear();
        self.pending.clear();
        self.followed.clear();
        self.entries = 0;
        self.bytes = 0;
        self.ghosts = None;
        self.later.clear();
        self.asks.clear();
    }

    /// Takes over what another rule of the same meaning holds. The places of clusters are this engine's.
    pub(crate) fn adopt(&mut self, other: &mut Self, place: &mut dyn FnMut(&TenantId, &ClusterId) -> u32) {
        std::mem::swap(self, other);
        std::mem::swap(&mut self.plan, &mut other.plan);
        std::mem::swap(&mut self.rule, &mut other.rule);
        std::mem::swap(&mut self.class, &mut other.class);
        std::mem::swap(&mut self.raises, &mut other.raises);
        std::mem::swap(&mut self.reads, &mut other.reads);
        std::mem::swap(&mut self.lag, &mut other.lag);
        std::mem::swap(&mut self.kept, &mut other.kept);
        std::mem::swap(&mut self.stands_on, &mut other.stands_on);
        // Of what waits for windows to close, only that is meant for a group which stands in that lane's place.
        let before: Vec<Option<u32>> = self.groups.iter().map(|slot| slot.as_ref().map(|group| group.place)).collect();
        let lanes = std::mem::take(&mut self.lanes);
        for at in (0..).take(self.groups.len()) {
            let Some(Some(group)) = self.groups.get_mut(at as usize) else { continue };
            group.place = place(&group.owner.tenant, &group.owner.cluster);
            if let Some(queued) = group.queued.take() {
                self.queue(at, queued.time);
            }
        }
        for (old, lane) in lanes {
            for item in lane.due {
                let at = item.0.1 as usize;
                let is_here = before.get(at).copied().flatten() == Some(old);
                if let Some(Some(group)) = self.groups.get(at).filter(|_| is_here) {
                    self.lanes.entry(group.place).or_default().due.push(item);
                }
            }
        }
        for (later, asked) in self.later.iter_mut().map(Later::whose) {
            *later = place(&asked.1, &asked.2);
            asked.0 = self.rule;
        }
        self.asks.iter_mut().for_each(|ask| ask.key.0 = self.rule);
    }
}
