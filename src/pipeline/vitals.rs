//! The service's own condition, made alerts of: what it had to let go of, what it could not judge, whose clocks are wrong, who uses an Audit-ID twice.

use std::collections::{BTreeMap, BTreeSet};

use super::hearing::Skew;
use crate::detect::engine::EngineStats;
use crate::detect::health::{Health, Reuse, Subject};
use crate::model::{Counts, Event, Finding, SourceId, Timestamp};

/// What was counted up to the last look.
#[derive(Debug, Default)]
struct Known {
    evicted: u64,
    lost: u64,
    skewed: BTreeMap<SourceId, u64>,
    times_low: u64,
    turned_away: u64,
    unreadable: BTreeSet<SourceId>,
    unaccounted: BTreeMap<SourceId, u64>,
}

/// What the flow knows of what is around the worker.
#[derive(Debug, Default)]
pub(super) struct Outside {
    /// Rechecks that were given up.
    pub(super) failed: u64,
    /// Sources that can not be read.
    pub(super) unreadable: Vec<SourceId>,
    /// How often the disk became too full to take anything in.
    pub(super) times_low: u64,
    /// Pushes without valid credentials.
    pub(super) turned_away: u64,
}

/// Counts since the start, and what is new in them.
#[derive(Debug, Default)]
pub(super) struct Vitals {
    health: Health,
    reuse: Reuse,
    known: Known,
}

impl Vitals {
    /// Looks at what came.
    pub(super) fn look(&mut self, events: &[Event]) {
        for event in events.iter().filter(|event| !event.wrapped.is_own) {
            if let Some((tenant, cluster)) = self.reuse.look(event) {
                let subject = Subject::ReusedAuditId(tenant.clone(), cluster.clone());
                self.health.note(subject, 1, &[event.id], event.origin.received);
            }
        }
    }

    /// Looks at what sources can not be read, and at whether every record has an outcome.
    pub(super) fn look_around(&mut self, outside: &Outside, counts: &BTreeMap<SourceId, Counts>, now: Timestamp) {
        let unreadable = &outside.unreadable;
        let times_low = outside.times_low.saturating_sub(std::mem::replace(&mut self.known.times_low, outside.times_low));
        self.health.note(Subject::DiskFull, times_low, &[], now);
        let turned_away = outside.turned_away.saturating_sub(std::mem::replace(&mut self.known.turned_away, outside.turned_away));
        self.health.note(Subject::TurnedAway, turned_away, &[], now);
        for source in unreadable.iter().filter(|source| !self.known.unreadable.contains(source)) {
            self.health.note(Subject::Unreadable(source.clone()), 1, &[], now);
        }
        self.known.unreadable = unreadable.iter().cloned().collect();
        for (source, counts) in counts {
            let remainder = u64::try_from(counts.remainder().abs()).unwrap_or(u64::MAX);
            let known = self.known.unaccounted.insert(source.clone(), remainder).unwrap_or_default();
            self.health.note(Subject::Unaccounted(source.clone()), remainder.saturating_sub(known), &[], now);
        }
    }

    /// The alerts that have changed by now. `failed` is how many rechecks were given up.
    pub(super) fn take(&mut self, stats: &EngineStats, skews: &BTreeMap<SourceId, Skew>, failed: u64, now: Timestamp) -> Vec<Finding> {
        // An engine with new rules counts anew.
        let more = |known: &mut u64, count: u64| count.saturating_sub(std::mem::replace(known, count));
        let evicted = more(&mut self.known.evicted, stats.groups_evicted);
        self.health.note(Subject::StatePressure, evicted, &[], now);
        let lost = more(&mut self.known.lost, stats.rechecks_overflowed + failed);
        self.health.note(Subject::LostRechecks, lost, &[], now);
        for (source, skew) in skews {
            let events = more(self.known.skewed.entry(source.clone()).or_default(), skew.events);
            self.health.note(Subject::SkewedClock(source.clone()), events, &[], now);
        }
        self.health.take()
    }
}
