//! An engine with other rules, on its way to take the place of the one that runs.
//!
//! It takes part in every batch from the moment it stands beside the other, for the rules that are new to it; what the store has of their past is
//! given to it meanwhile, in whatever order. So nothing falls between the past and the present, and the change itself is no more than a swap.

use std::collections::BTreeMap;

use super::Worker;
use crate::detect::engine::{Cold, Engine};
use crate::detect::recheck::RECHECKS_MAX;
use crate::detect::watermark::Watermarks;
use crate::model::{AlertId, Duration, Event, Finding, Timestamp};

/// Alerts of new rules that wait for the change at most. Past it further ones come out when they next change.
const FINDINGS_MAX: usize = 10_000;

/// The engine to be, and what it has found.
#[derive(Debug)]
pub(super) struct Young {
    engine: Engine,
    cold: Cold,
    /// How far sources had come when it began to take part.
    watermarks: Watermarks,
    /// The earliest that an event which was not late then can be of.
    floor: Timestamp,
    /// The earliest event that it took part in.
    since: Option<Timestamp>,
    /// The last word on each alert that a present event may contribute to.
    findings: BTreeMap<AlertId, Finding>,
}

impl Young {
    fn keep(&mut self, found: Vec<Finding>) {
        for finding in found.into_iter().filter(|finding| finding.last >= self.floor) {
            if self.findings.len() < FINDINGS_MAX || self.findings.contains_key(&finding.id) {
                self.findings.insert(finding.id, finding);
            }
        }
    }

    /// Takes part in a batch.
    pub(super) fn watch(&mut self, events: &[Event]) {
        if self.cold.is_empty() {
            return;
        }
        let earliest = events.iter().map(|event| event.time.min(event.origin.received)).min();
        self.since = self.since.into_iter().chain(earliest).min();
        let mut found = Vec::new();
        self.engine.watch(&self.cold, events, &mut found);
        self.keep(found);
    }

    /// Places in the last batch of the events that a rule matched.
    pub(super) fn matched(&self) -> &[usize] {
        if self.cold.is_empty() { &[] } else { self.engine.matched() }
    }
}

impl Worker {
    /// From now on this engine takes part, for the rules that are new to it. Returns those, and how late an event may come.
    pub fn raise(&mut self, engine: Engine, now: Timestamp) -> (Cold, Duration) {
        let cold = engine.cold_beside(&self.engine);
        let lateness = self.lateness_max();
        let watermarks = self.hearing.watermarks(now, self.settings.idle_after, &self.settings.lateness);
        let earliest = watermarks.0.iter().map(|mark| mark.time).min();
        let floor = earliest.map(|time| time.minus(lateness)).unwrap_or_default();
        self.young = Some(Young { engine, cold: cold.clone(), watermarks, floor, since: None, findings: BTreeMap::new() });
        (cold, lateness)
    }

    /// Gives the engine to be events of the past.
    pub fn teach(&mut self, events: &[Event]) {
        if let Some(young) = &mut self.young {
            let mut found = Vec::new();
            for healthy in events.split(|event| self.guard.as_ref().is_some_and(|guard| guard.is_condemned(&event.id))) {
                young.engine.warm(&young.cold, healthy, &mut found);
            }
            young.keep(found);
        }
    }

    /// The engine to be is given up.
    pub fn give_up(&mut self) {
        self.young = None;
    }

    /// The engine to be takes over, with the windows of every rule that means the same. Returns the alerts of new rules to which a present event may
    /// contribute, and the engine that was. `None` if there is none to be.
    pub fn swap(&mut self) -> Option<(Vec<Finding>, Engine)> {
        let Young { mut engine, cold, watermarks, since, findings, .. } = self.young.take()?;
        self.owed = self.rechecks(usize::MAX);
        let lost: Vec<u64> = self.owed.drain(RECHECKS_MAX.min(self.owed.len())..).map(|job| job.recheck.number).collect();
        self.engine.answered(&lost);
        engine.warmed(&cold, &watermarks);
        engine.adopt(&mut self.engine);
        let old = std::mem::replace(&mut self.engine, engine);
        let is_present = |finding: &Finding| since.is_some_and(|since| finding.last >= since);
        Some((findings.into_values().filter(is_present).collect(), old))
    }
}
