//! What was heard of each source: how far its events have come in each cluster, and how far its clocks run ahead.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::detect::engine::ahead;
use crate::detect::watermark::{Mark, Watermarks};
use crate::model::{ClusterId, Duration, Event, Kinds, SourceId, TenantId, Timestamp};

/// Clusters of all sources together whose time is kept. What comes for further ones is judged, but moves no time on.
const MARKS_MAX: usize = 65_536;
/// After so long without an event a source is forgotten in a cluster: it has been taken down, or moved.
const FORGOTTEN_AFTER: Duration = Duration::hours(24);

/// How much older than the latest event of its source one may be without being late, where the source says nothing else.
pub(super) const LATENESS: Duration = Duration::minutes(10);

/// How a source's clocks run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Skew {
    /// Events whose clock ran farther ahead than one may.
    pub events: u64,
    /// The farthest.
    pub most: Duration,
}

#[derive(Debug)]
struct Reach {
    kinds: Kinds,
    /// The latest time of an event.
    time: Timestamp,
    /// When the latest event came.
    at: Timestamp,
}

type Place = (SourceId, TenantId, ClusterId);

/// All sources.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    reached: BTreeMap<Place, Reach>,
    skews: BTreeMap<SourceId, Skew>,
}

/// How far a source has come in a cluster, as it is written.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Reached {
    place: Place,
    kinds: Kinds,
    /// Nanoseconds since 1970.
    time: i64,
    at: i64,
}

impl Hearing {
    /// All that is known of how far sources have come.
    pub(super) fn reached(&self) -> Vec<Reached> {
        let row =
            |(place, reach): (&Place, &Reach)| Reached { place: place.clone(), kinds: reach.kinds, time: reach.time.nanos(), at: reach.at.nanos() };
        self.reached.iter().map(row).collect()
    }

    /// Knows it again.
    pub(super) fn bring_back(&mut self, reached: Vec<Reached>) {
        for Reached { place, kinds, time, at } in reached.into_iter().take(MARKS_MAX) {
            self.reached.insert(place, Reach { kinds, time: Timestamp::from_nanos(time), at: Timestamp::from_nanos(at) });
        }
    }

    /// Takes note of events.
    pub(super) fn hear<'a>(&mut self, events: impl Iterator<Item = &'a Event>) {
        let mut run: Option<(&Event, Reach)> = None;
        for event in events {
            let ahead = ahead(event);
            if let Some(ahead) = ahead {
                let skew = self.skews.entry(event.origin.source.clone()).or_default();
                skew.events += 1;
                skew.most = skew.most.max(ahead);
            }
            let time = if ahead.is_some() { event.origin.received } else { event.time };
            match &mut run {
                Some((first, reach))
                    if first.origin.source == event.origin.source && first.cluster == event.cluster && first.tenant == event.tenant =>
                {
                    reach.kinds = reach.kinds.with(event.kind);
                    reach.time = reach.time.max(time);
                    reach.at = reach.at.max(event.origin.received);
                }
                _ => {
                    let new = Reach { kinds: Kinds::NONE.with(event.kind), time, at: event.origin.received };
                    if let Some((first, reach)) = run.replace((event, new)) {
                        self.reach(first, reach);
                    }
                }
            }
        }
        if let Some((first, reach)) = run {
            self.reach(first, reach);
        }
    }

    fn reach(&mut self, event: &Event, new: Reach) {
        let place = (event.origin.source.clone(), event.tenant.clone(), event.cluster.clone());
        if let Some(known) = self.reached.get_mut(&place) {
            known.kinds = known.kinds.or(new.kinds);
            known.time = known.time.max(new.time);
            known.at = known.at.max(new.at);
        } else if self.reached.len() < MARKS_MAX {
            self.reached.insert(place, new);
        }
    }

    /// The watermarks by this time. A source that has been silent for `idle_after` holds time back no longer.
    pub(super) fn watermarks(&mut self, now: Timestamp, idle_after: Duration, lateness: &BTreeMap<SourceId, Duration>) -> Watermarks {
        self.reached.retain(|_, reach| now.since(reach.at) < FORGOTTEN_AFTER);
        let mark = |((source, tenant, cluster), reach): (&Place, &Reach)| Mark {
            place: Some((tenant.clone(), cluster.clone())),
            kinds: reach.kinds,
            time: reach.time,
            lateness: lateness.get(source).copied().unwrap_or(LATENESS),
            is_idle: now.since(reach.at) >= idle_after,
        };
        Watermarks(self.reached.iter().map(mark).collect())
    }

    /// The latest time of an event of this source, in any cluster.
    pub(super) fn time_of(&self, source: &SourceId) -> Option<Timestamp> {
        self.reached.iter().filter(|((of, ..), _)| of == source).map(|(_, reach)| reach.time).max()
    }

    /// Sources whose clocks have run ahead since the start.
    pub(super) fn skews(&self) -> &BTreeMap<SourceId, Skew> {
        &self.skews
    }
}
