//! Watermarks: how far the events of each source have come in each cluster, and up to when that lets each rule be judged.
//!
//! A rule waits for the sources that carry what it reads, in the cluster that its group is in, and for nothing else: a bucket that is exported once an
//! hour holds back neither another cluster nor a rule that reads none of it. A source that is idle holds back no time, but what it brings next is still
//! allowed its lateness.

mod stored;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::model::{ClusterId, Duration, Kinds, TenantId, Timestamp};

/// Clusters that are told apart. What comes for further ones shares one place, which waits for the slowest of their sources.
pub const PLACES_MAX: usize = 4096;

/// The place of what finds no place of its own.
const SHARED: u32 = 0;

/// How far the events of one source have come in one cluster.
#[derive(Debug, Clone)]
pub struct Mark {
    /// Whose and which cluster; `None` for a source that speaks of all.
    pub place: Option<(TenantId, ClusterId)>,
    /// Kinds of event that came.
    pub kinds: Kinds,
    /// The latest time of an event.
    pub time: Timestamp,
    /// How much older than that an event may be without being late.
    pub lateness: Duration,
    /// Nothing has come for so long that time goes on without it.
    pub is_idle: bool,
}

/// How far every source has come.
#[derive(Debug, Clone, Default)]
pub struct Watermarks(pub Vec<Mark>);

impl Watermarks {
    /// All sources have come so far, in every cluster.
    pub fn everywhere(time: Timestamp, lateness: Duration) -> Self {
        Self(vec![Mark { place: None, kinds: Kinds::ALL, time, lateness, is_idle: false }])
    }
}

/// Up to when windows are judged: by place, and by the set of kinds that a rule reads.
#[derive(Debug)]
pub(super) struct Horizons {
    places: HashMap<(TenantId, ClusterId), u32, RandomState>,
    /// The place asked for last: events of one cluster come together.
    last: Option<(TenantId, ClusterId, u32)>,
    /// The distinct sets of kinds.
    classes: Vec<Kinds>,
    /// By class, then by place; `i64::MIN` while nothing is known.
    judged: Vec<Vec<i64>>,
    /// What of it the journal has been told.
    told: Vec<Vec<i64>>,
    /// By class: of a place that nothing was heard of yet, by sources that speak of all.
    general: Vec<i64>,
    /// By class: the least of the places that any source carries these kinds from.
    least: Vec<Option<Timestamp>>,
}

impl Horizons {
    /// Of rules that read these kinds; a class is a place in the list.
    pub(super) fn new() -> Self {
        Self {
            places: HashMap::default(),
            last: None,
            classes: Vec::new(),
            judged: Vec::new(),
            told: Vec::new(),
            general: Vec::new(),
            least: Vec::new(),
        }
    }

    /// The class of rules that read these kinds.
    pub(super) fn class(&mut self, kinds: Kinds) -> usize {
        if let Some(known) = self.classes.iter().position(|known| *known == kinds) {
            return known;
        }
        self.classes.push(kinds);
        self.judged.push(Vec::new());
        self.general.push(i64::MIN);
        self.least.push(None);
        self.classes.len() - 1
    }

    /// The place of a cluster.
    pub(super) fn place(&mut self, tenant: &TenantId, cluster: &ClusterId) -> u32 {
        if let Some((last_tenant, last_cluster, place)) = &self.last
            && last_cluster == cluster
            && last_tenant == tenant
        {
            return *place;
        }
        let next = u32::try_from(self.places.len() + 1).unwrap_or(u32::MAX);
        let has_room = self.places.len() < PLACES_MAX;
        let key = (tenant.clone(), cluster.clone());
        let place = match self.places.get(&key) {
            Some(known) => *known,
            None if has_room => *self.places.entry(key).or_insert(next),
            None => SHARED,
        };
        self.last = Some((tenant.clone(), cluster.clone(), place));
        place
    }

    /// The place of a cluster, if it has one of its own.
    pub(super) fn known_place(&self, tenant: &TenantId, cluster: &ClusterId) -> u32 {
        self.places.get(&(tenant.clone(), cluster.clone())).copied().unwrap_or(SHARED)
    }

    /// Up to when rules of this class are judged in this place, in nanoseconds; `i64::MIN` while nothing is known.
    pub(super) fn judged(&self, class: usize, place: u32) -> i64 {
        let known = self.judged.get(class).and_then(|places| places.get(place as usize)).copied();
        known.or_else(|| self.general.get(class).copied()).unwrap_or(i64::MIN)
    }

    /// Up to when rules of this class are judged wherever a source carries what they read.
    pub(super) fn least(&self, class: usize) -> Option<Timestamp> {
        self.least.get(class).copied().flatten()
    }

    /// Sources have come so far. No horizon ever goes back.
    pub(super) fn advance(&mut self, watermarks: &Watermarks) {
        let mut by_place: Vec<Vec<&Mark>> = vec![Vec::new(); self.places.len() + 1];
        let mut general: Vec<&Mark> = Vec::new();
        for mark in &watermarks.0 {
            match &mark.place {
                None => general.push(mark),
                Some((tenant, cluster)) => {
                    let place = self.place(tenant, cluster) as usize;
                    if place >= by_place.len() {
                        by_place.resize(place + 1, Vec::new());
                    }
                    by_place[place].push(mark);
                }
            }
        }
        let places = self.places.len() + 1;
        for (class, judged) in self.judged.iter_mut().enumerate() {
            judged.resize(places, i64::MIN);
            let mut all: Option<i64> = None;
            for (place, known) in judged.iter_mut().enumerate() {
                let here = by_place.get(place).map(Vec::as_slice).unwrap_or_default().iter().chain(&general);
                if let Some(time) = least(here.copied(), self.classes[class]) {
                    *known = time.max(*known);
                    all = Some(all.map_or(*known, |all| all.min(*known)));
                }
            }
            let everywhere = least(general.iter().copied(), self.classes[class]).unwrap_or(i64::MIN);
            self.general[class] = self.general[class].max(everywhere);
            self.least[class] = all.map(Timestamp::from_nanos);
        }
    }
}

/// Up to when a rule that reads these kinds can be judged by these marks, which are all of one place.
fn least<'a>(marks: impl Iterator<Item = &'a Mark> + Clone, kinds: Kinds) -> Option<i64> {
    // Time goes on by what speaks, of whatever kind; where all are silent it stands.
    let latest = marks.clone().map(|mark| mark.time).max()?;
    let carried = marks.filter(|mark| mark.kinds.meet(kinds));
    carried.map(|mark| if mark.is_idle { latest } else { mark.time }.minus(mark.lateness).nanos()).min()
}
