//! One recheck, judged by the events around it.
//!
//! Which alert a window belongs to can hang on the alert before, and that on the one before it: a group that is busy just when buckets begin has such a
//! chain. So the events from half of the way on are judged alone as well: if both find the same alerts, nothing farther back can matter; and if what came
//! late makes no difference half of the way after it, it makes none farther on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Case, Reason, Recheck};
use crate::detect::engine::{Engine, EngineSettings, Limits};
use crate::detect::watermark::Watermarks;
use crate::model::{AlertId, Duration, Event, EventId, Finding, Timestamp};

/// How many times as far around as usual events are taken from, in turn, until nothing farther away can matter.
pub const WIDTHS: [i64; 3] = [1, 4, 16];

/// What a retrial ends with.
#[derive(Debug)]
pub struct Verdict {
    /// What is to be published: alerts of the group that are new or know more, and those that have handed over to one of them.
    pub findings: Vec<Finding>,
    /// Events farther away cannot change it.
    pub is_settled: bool,
}

/// Takes the events around a recheck, in any order and in as many batches as they come, and says what differs from what was judged before.
#[derive(Debug)]
pub struct Retrial {
    recheck: Recheck,
    from: Timestamp,
    to: Timestamp,
    late: BTreeSet<EventId>,
    /// All events.
    with: Trial,
    /// Without those that came late, where they are known.
    without: Option<Trial>,
    /// Those from half of the way on.
    half: Trial,
    half_from: Timestamp,
    half_to: Timestamp,
}

/// An engine, and its last word on each alert of the group.
#[derive(Debug)]
struct Trial {
    engine: Engine,
    told: BTreeMap<AlertId, Finding>,
}

impl Trial {
    fn take(&mut self, recheck: &Recheck, judge: impl FnOnce(&mut Engine, &mut Vec<Finding>)) {
        let mut out = Vec::new();
        judge(&mut self.engine, &mut out);
        let is_own = |finding: &Finding| finding.rule.id == recheck.rule.id && finding.group == recheck.group;
        self.told.extend(out.into_iter().filter(is_own).map(|finding| (finding.id, finding)));
    }

    fn end(mut self, recheck: &Recheck) -> BTreeMap<AlertId, Finding> {
        let watermarks = Watermarks::everywhere(recheck.judged, Duration::default());
        self.take(recheck, |engine, out| engine.advance(&watermarks, out));
        self.told.retain(|_, finding| finding.superseded_by.is_none());
        self.told
    }
}

impl Retrial {
    /// Of this case, by events from `width` times as far around as usual. `settings` are those of the engine that asked; the usual limits hold, since only a group is looked at.
    pub fn new(case: &Case, recheck: Recheck, settings: &EngineSettings, width: i64) -> Self {
        let settings = EngineSettings { is_finite: false, per_event: false, keeps_journal: false, limits: Limits::default(), ..settings.clone() };
        let trial = || Trial { engine: Engine::new(Arc::clone(&case.rules), settings.clone()), told: BTreeMap::new() };
        let around = Duration(case.margin().0.saturating_mul(width));
        let half = Duration(around.0 / 2);
        Self {
            from: recheck.from.minus(around),
            half_from: recheck.from.minus(half),
            half_to: recheck.to.plus(half),
            to: recheck.to.plus(around),
            late: recheck.late.iter().copied().collect(),
            with: trial(),
            without: (!recheck.late.is_empty()).then(trial),
            half: trial(),
            recheck,
        }
    }

    /// The span of time of the events it wants: from the first moment, up to the second, which is not included.
    pub fn range(&self) -> (Timestamp, Timestamp) {
        (self.from, self.to)
    }

    /// Takes events. Those of other tenants and clusters do not count.
    pub fn take(&mut self, mut events: Vec<Event>) {
        let Self { recheck, with, without, half, .. } = self;
        events.retain(|event| event.tenant == recheck.tenant && event.cluster == recheck.cluster);
        with.take(recheck, |engine, out| engine.process(&events, out));
        if let Some(without) = without {
            let known: Vec<Event> = events.iter().filter(|event| !self.late.contains(&event.id)).cloned().collect();
            without.take(recheck, |engine, out| engine.process(&known, out));
        }
        events.retain(|event| event.time >= self.half_from);
        half.take(recheck, |engine, out| engine.process(&events, out));
    }

    /// What comes of it.
    pub fn finish(self) -> Verdict {
        let Self { recheck, with, without, half, half_to, .. } = self;
        let told = with.end(&recheck);
        let is_known = without.is_some();
        let before = without.map(|without| without.end(&recheck)).unwrap_or_default();
        let after = |told: &BTreeMap<AlertId, Finding>, time: Timestamp| -> Vec<AlertId> {
            told.values().filter(|finding| finding.last >= time).map(|finding| finding.id).collect()
        };
        let is_settled =
            after(&half.end(&recheck), recheck.from) == after(&told, recheck.from) && (!is_known || after(&before, half_to) == after(&told, half_to));
        let content = |finding: &Finding| (finding.count, finding.first, finding.last, finding.events.clone());
        let is_new = |new: &&Finding| match is_known {
            true => before.get(&new.id).is_none_or(|old| content(old) != content(new)),
            false => new.last >= recheck.from && new.first <= recheck.to,
        };
        let mut findings: Vec<Finding> = told.values().filter(is_new).cloned().collect();
        for finding in &mut findings {
            finding.late |= recheck.reason == Reason::Late;
            finding.is_new = !before.contains_key(&finding.id);
        }
        let mut by_time: Vec<&Finding> = told.values().collect();
        by_time.sort_by_key(|finding| (finding.first, finding.id));
        for old in before.values().filter(|old| !told.contains_key(&old.id)) {
            let holder = by_time.iter().rev().find(|new| new.first <= old.first).or(by_time.first());
            let superseded_by = Some(holder.map_or(old.id, |holder| holder.id));
            findings.push(Finding { superseded_by, is_new: false, ..old.clone() });
        }
        findings.sort_by_key(|finding| (finding.first, finding.last, finding.id));
        Verdict { findings, is_settled }
    }
}
