//! What a rule's groups hold, to and from the journal, and from one set of rules to the next.

use std::cmp::Reverse;

use super::group::Group;
use super::{Correlator, Entry};
use crate::detect::journal::{Reading, Scribe, put_time};
use crate::model::{ClusterId, GroupKey, TenantId};

/// Reads a group of a rule that is not run any more.
pub(crate) fn skip_group(whose: (TenantId, ClusterId, GroupKey), from: &mut Reading<'_>) -> Option<()> {
    from.from.time()?;
    Group::read(whose, None, 0, from).map(drop)
}

impl Correlator {
    /// Tenant, cluster and values of a group that [`Correlator::admit`] named.
    pub(crate) fn whose(&self, group: u32) -> Option<(&TenantId, &ClusterId, &GroupKey)> {
        let (_, group) = self.groups.get(group as usize)?.as_ref()?;
        Some((&group.tenant, &group.cluster, &group.key))
    }

    /// Appends every group, as this rule's.
    pub(crate) fn write(&self, rule: usize, to: &mut Scribe) {
        let mut queued = vec![i64::MIN; self.groups.len()];
        for Reverse((time, at)) in self.lanes.values().flat_map(|lane| &lane.queue) {
            if let Some(known) = queued.get_mut(*at as usize) {
                *known = (*known).max(*time);
            }
        }
        for (slot, queued) in self.groups.iter().zip(queued) {
            let Some((_, group)) = slot else { continue };
            to.group(rule, (&group.tenant, &group.cluster, &group.key));
            put_time(&mut to.to, queued);
            group.write(to);
        }
    }

    /// The key of a group in the index.
    fn index_key(&mut self, tenant: &TenantId, cluster: &ClusterId, key: &GroupKey) {
        self.scratch.clear();
        let mut add = |bytes: &[u8]| {
            self.scratch.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
            self.scratch.extend_from_slice(bytes);
        };
        add(tenant.as_str().as_bytes());
        add(cluster.as_str().as_bytes());
        for (name, value) in key {
            add(name.as_bytes());
            add(value.as_deref().map_or(b"\xff".as_slice(), str::as_bytes));
        }
    }

    /// Reads a group. `None` if these bytes are none, or there is one of these values.
    pub(crate) fn read(&mut self, (tenant, cluster, key): (TenantId, ClusterId, GroupKey), place: u32, from: &mut Reading<'_>) -> Option<()> {
        self.index_key(&tenant, &cluster, &key);
        if self.index.contains_key(self.scratch.as_slice()) {
            return None;
        }
        let queued = from.from.time()?;
        let group = Group::read((tenant, cluster, key), Some(&self.plan), place, from)?;
        self.entries += group.len();
        let oldest = group.oldest();
        let at = self.insert(group);
        let lane = self.lanes.entry(place).or_default();
        lane.queue.push(Reverse((queued, at)));
        if let Some(oldest) = oldest.filter(|_| !self.plan.closing.is_empty()) {
            lane.due.push(Reverse((oldest.saturating_add(self.plan.span), at)));
        }
        Some(())
    }

    /// Takes an entry of a group of these values, as [`Correlator::push`] took it.
    pub(crate) fn push_again(&mut self, (tenant, cluster, key): (TenantId, ClusterId, GroupKey), place: u32, entry: Entry) {
        self.index_key(&tenant, &cluster, &key);
        let at = match self.index.get(self.scratch.as_slice()) {
            Some(at) => *at,
            None => {
                let at = self.insert(Group::new(tenant, cluster, key, place));
                self.lanes.entry(place).or_default().queue.push(Reverse((entry.time, at)));
                at
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
        self.dirty.clear();
        self.entries = 0;
    }

    /// Takes over what another rule of the same meaning holds. The places of clusters are this engine's.
    pub(crate) fn adopt(&mut self, other: &mut Self, place: &mut dyn FnMut(&TenantId, &ClusterId) -> u32) {
        std::mem::swap(self, other);
        std::mem::swap(&mut self.plan, &mut other.plan);
        std::mem::swap(&mut self.rule, &mut other.rule);
        std::mem::swap(&mut self.class, &mut other.class);
        // Of what waits in a lane, only that is meant for a group which stands in that lane's place.
        let before: Vec<Option<u32>> = self.groups.iter().map(|slot| slot.as_ref().map(|(_, group)| group.place)).collect();
        for (_, group) in self.groups.iter_mut().flatten() {
            group.place = place(&group.tenant, &group.cluster);
        }
        for (old, lane) in std::mem::take(&mut self.lanes) {
            let now = |at: u32| {
                let is_here = before.get(at as usize).copied().flatten() == Some(old);
                self.groups.get(at as usize).and_then(Option::as_ref).filter(|_| is_here).map(|(_, group)| group.place)
            };
            let (queue, due) = (lane.queue.into_iter(), lane.due.into_iter());
            queue.filter_map(|item| Some((now(item.0.1)?, item))).for_each(|(place, item)| self.lanes.entry(place).or_default().queue.push(item));
            due.filter_map(|item| Some((now(item.0.1)?, item))).for_each(|(place, item)| self.lanes.entry(place).or_default().due.push(item));
        }
    }
}
