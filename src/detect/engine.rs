//! The engine: events in, findings out. Pure: it is told the time, as watermarks.
//!
//! [`Engine::process`] may be given any batches in any order. In a running service findings come out as they change; in a finite
//! replay no record is too late, so nothing is final before the end and everything comes out of [`Engine::finish`].

#[cfg(test)]
mod acceptance;
mod build;
#[cfg(test)]
mod clocks;
#[cfg(test)]
mod matched;
#[cfg(test)]
mod owed;
#[cfg(test)]
mod restart;
mod state;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

pub use self::state::{Cold, Restore};
use super::correlate::chain::Shown;
use super::correlate::entry::Entry;
use super::correlate::{CLOCK_AHEAD, Correlator, alert_id};
pub use super::correlate::{ENTITIES_MAX, EVENTS_MAX, Limits, STEPS_MAX};
pub use super::explain::Explanation;
use super::explain::explain;
use super::identity::{Identity, identities};
pub use super::journal::Damaged;
use super::journal::Journal;
pub use super::key::ValueKey;
pub use super::matcher::Blind;
use super::matcher::{Matcher, Refused};
use super::recheck::{Recheck, Rechecks};
use super::rule::{LogSource, RuleSet};
use super::watermark::{Horizons, Watermarks};
use super::witness::{Witness, Witnesses};
use crate::model::{Duration, Event, FieldRef, Finding, Timestamp};

/// How far an event's clock may run ahead of ours. Past it the event counts for the time it was received.
pub const FUTURE_MAX: Duration = Duration::minutes(5);

/// How an engine runs.
#[derive(Debug, Clone, Default)]
pub struct EngineSettings {
    /// A finite replay: nothing is too late, nothing is in the future, nothing expires; findings come out at the end.
    pub is_finite: bool,
    /// One finding for each event that matches a single rule, at once and whether it was seen before or not, instead of grouped ones.
    /// Correlations stay as they are.
    pub per_event: bool,
    /// What the windows take in is told by [`Engine::take_journal`], for the windows to come back after a restart.
    pub keeps_journal: bool,
    /// Under which distinct values are counted. A journal brings its own.
    pub key: ValueKey,
    pub limits: Limits,
}

/// What the engine counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineStats {
    pub events: u64,
    /// Matching events, by index of the rule.
    pub matches: Vec<u64>,
    /// Events that lack what the rule is about (a body, the rest of a record that was cut), so that it could not be decided, by index of the rule.
    pub unknown: Vec<u64>,
    /// Conditions evaluated.
    pub evaluations: u64,
    /// Rules that nothing leads to: evaluated on every event of their kind.
    pub always_evaluated: usize,
    pub groups_live: usize,
    pub groups_evicted: u64,
    /// The same by index of the rule, where there are any.
    pub evicted_by_rule: BTreeMap<usize, u64>,
    /// What groups take, in bytes, about.
    pub state_bytes: usize,
    pub entries_dropped: u64,
    /// Matching events older than the lateness allows.
    pub late: u64,
    /// Matching events whose clock ran ahead and that count for the time they were received.
    pub clamped: u64,
    /// How often the store was asked for, for what came too late or had to go.
    pub rechecks_asked: u64,
    /// Of these, those that found no room to wait.
    pub rechecks_overflowed: u64,
    /// Groups that wait to be judged from the store.
    pub rechecks_waiting: usize,
    /// By index of the rule: up to when it has been judged, in the cluster that is farthest behind; `None` while nothing is known, and for rules that
    /// raise no alerts.
    pub evaluated_up_to: Vec<Option<Timestamp>>,
}

/// Where matches of a rule go.
#[derive(Debug, Clone, Copy)]
struct Feed {
    correlator: usize,
    /// Position among the rules that the correlation refers to.
    position: u16,
}

/// How far the clock of an event runs ahead of ours, if farther than one may: then it counts for the time it was received, or it would make
/// everything else late.
pub fn ahead(event: &Event) -> Option<Duration> {
    let ahead = event.time.since(event.origin.received);
    (ahead > FUTURE_MAX).then_some(ahead)
}

/// All rules in force, and their state.
#[derive(Debug)]
pub struct Engine {
    rules: Arc<RuleSet>,
    settings: EngineSettings,
    matcher: Matcher,
    /// What stands on another's alerts comes after it.
    correlators: Vec<Correlator>,
    /// By correlator: what its rule means.
    identities: Vec<Identity>,
    journal: Option<Journal>,
    /// By correlator: whether it takes part, while not all do.
    only: Option<Vec<bool>>,
    /// What comes is of the past: in time, whenever it comes.
    is_warming: bool,
    /// By index of the rule.
    feeds: Vec<Vec<Feed>>,
    /// By index of the rule: the fields that titles of its alerts name.
    wanted: Vec<Vec<FieldRef>>,
    refused: Vec<Refused>,
    horizons: Horizons,
    rechecks: Rechecks,
    witnesses: Witnesses,
    found: Vec<u32>,
    /// Places in the last batch of the events that a rule matched.
    matched: Vec<usize>,
    /// Kept between calls for its room.
    shown: Vec<Shown>,
    stats: EngineStats,
}

impl Engine {
    /// Compiles a rule set. Rules that cannot be run are left out and listed by [`Engine::refused`].
    pub fn new(rules: Arc<RuleSet>, settings: EngineSettings) -> Self {
        let (matcher, mut refused) = Matcher::new(&rules);
        let mut engine = Self {
            feeds: vec![Vec::new(); rules.rules.len()],
            wanted: vec![Vec::new(); rules.rules.len()],
            stats: EngineStats { matches: vec![0; rules.rules.len()], evaluated_up_to: vec![None; rules.rules.len()], ..EngineStats::default() },
            journal: settings.keeps_journal.then(Journal::default),
            rechecks: Rechecks::new(settings.keeps_journal),
            settings,
            matcher,
            correlators: Vec::new(),
            identities: Vec::new(),
            only: None,
            is_warming: false,
            refused: Vec::new(),
            horizons: Horizons::new(),
            witnesses: Witnesses::default(),
            found: Vec::new(),
            matched: Vec::new(),
            shown: Vec::new(),
            rules: Arc::clone(&rules),
        };
        let meanings = identities(&rules);
        for at in build::storeys(&rules) {
            let rule = &rules.rules[at];
            let is_out = matches!(rule.logsource, LogSource::NotApplicable(_));
            if is_out || build::is_fed_only(rule) || refused.iter().any(|refused| refused.rule == at) {
                continue;
            }
            match engine.add(at, rule, &refused) {
                Ok(()) => engine.identities.extend(meanings.get(at)),
                Err(reason) => refused.push(Refused { rule: at, reason }),
            }
        }
        refused.sort_by_key(|refused| refused.rule);
        engine.refused = refused;
        engine
    }

    /// The rules in force.
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// How it runs.
    pub fn settings(&self) -> &EngineSettings {
        &self.settings
    }

    /// Rules that are not run, and why.
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }

    /// Takes a batch, in any order. Puts out each alert whose content changed, once.
    pub fn process(&mut self, events: &[Event], out: &mut Vec<Finding>) {
        let mut found = std::mem::take(&mut self.found);
        self.matched.clear();
        for (at, event) in events.iter().enumerate() {
            self.matcher.find(event, &mut found);
            if !found.is_empty() {
                self.matched.push(at);
                self.feed((events, at), &found, out);
            }
        }
        (0..self.correlators.len()).for_each(|at| self.take_in(at, events));
        self.stats.events += events.len() as u64;
        self.found = found;
        let is_finite = self.settings.is_finite;
        self.each(out, |_, correlator, parts, shown| correlator.settle(parts.limits, (!is_finite).then_some(shown)));
        self.make_room(out);
        self.collect_asks();
        if let Some(journal) = &mut self.journal {
            journal.settle();
        }
    }

    /// Which events of the last batch any rule matched, by their places in it, in order. Each is evidence, now or of an alert to come.
    pub fn matched(&self) -> &[usize] {
        &self.matched
    }

    /// Has a correlator take in what has arrived of these events.
    fn take_in(&mut self, at: usize, events: &[Event]) {
        let Self { correlators, journal, .. } = self;
        correlators[at].take_in(events, &mut |whose, entry| {
            if let Some(journal) = journal {
                journal.entry(at, whose, entry);
            }
        });
    }

    /// Of the event at this place, which matched these rules.
    fn feed(&mut self, (events, number): (&[Event], usize), found: &[u32], out: &mut Vec<Finding>) {
        let Some(event) = events.get(number) else { return };
        let ahead = if self.settings.is_finite { None } else { ahead(event) };
        let time = if ahead.is_some() { event.origin.received } else { event.time };
        self.stats.clamped += u64::from(ahead.is_some());
        let place = self.horizons.place(&event.tenant, &event.cluster);
        let act = self.settings.key.act(&event.act);
        let mut was_late = false;
        for rule in found {
            let rule = *rule as usize;
            self.stats.matches[rule] += 1;
            let mut witness: Option<Arc<Witness>> = None;
            for feed in 0..self.feeds[rule].len() {
                let Feed { correlator: at, position } = self.feeds[rule][feed];
                if self.only.as_ref().is_some_and(|only| !only[at]) {
                    continue;
                }
                let is_single = matches!(self.correlators[at].plan.kind, super::correlate::plan::PlanKind::Single);
                let judged = self.correlators[at].judged(&self.horizons, place);
                let is_late = !self.is_warming && time.nanos() < judged;
                was_late |= is_late;
                if is_single && self.settings.per_event {
                    let witness = self.witness(&mut witness, event, rule);
                    out.extend(self.lone(at, event, (time, is_late, ahead.is_some()), &witness));
                    continue;
                }
                if is_late && self.correlators[at].is_gone(time.nanos(), judged) {
                    if self.correlators[at].recheck(event, position, time.nanos(), &mut self.rechecks)
                        && self.correlators[at].plan.is_chained
                        && let Some(group) = self.correlators[at].group_key(event, position)
                    {
                        self.recheck_over(at, event, &group, time.nanos());
                    }
                    continue;
                }
                let Some((name, values)) = self.correlators[at].counts(event, position) else { continue };
                let witness = self.witness(&mut witness, event, rule);
                let entry = Entry {
                    time: time.nanos(),
                    id: event.id,
                    act,
                    rule: position,
                    is_late,
                    is_clamped: ahead.is_some(),
                    is_end: false,
                    values,
                    witness,
                };
                if self.correlators[at].arrive(name, place, number, entry) {
                    self.take_in(at, events);
                }
            }
        }
        self.stats.late += u64::from(was_late);
    }

    fn witness(&mut self, known: &mut Option<Arc<Witness>>, event: &Event, rule: usize) -> Arc<Witness> {
        let Self { matcher, wanted, rules, witnesses, .. } = self;
        let of_rule = (u32::try_from(rule).unwrap_or(u32::MAX), &rules.rules[rule].header);
        Arc::clone(known.get_or_insert_with(|| witnesses.of_event(of_rule, event, matcher, &wanted[rule])))
    }

    /// A finding for one event alone.
    fn lone(&self, at: usize, event: &Event, (time, late, is_clamped): (Timestamp, bool, bool), witness: &Witness) -> Option<Finding> {
        let correlator = self.correlators.get(at)?;
        let plan = &correlator.plan;
        let group = correlator.group_key(event, 0)?;
        let title = match &plan.title {
            Some(template) => super::title::fill(template, |name| witness.value(name).map(Cow::Owned)),
            None => plan.plain_title().to_owned(),
        };
        let mut entities: Vec<String> = Vec::new();
        witness.each_entity(|entity| entities.push(entity.to_owned()));
        entities.sort();
        Some(Finding {
            id: alert_id(&event.tenant, &event.cluster, &plan.header.id, &group, &event.id.0),
            rule: Arc::clone(&plan.header),
            tenant: event.tenant.clone(),
            cluster: event.cluster.clone(),
            group,
            title,
            first: time,
            last: time,
            count: 1,
            events: vec![event.id],
            entities,
            steps: vec![witness.step(&(time.nanos(), event.id, 0))],
            late,
            evidence_gaps: is_clamped.then(|| CLOCK_AHEAD.to_owned()).into_iter().collect(),
            superseded_by: None,
            is_new: false,
        })
    }

    /// Sources have come so far. Judges windows that have closed (`lt`, `lte`, `eq`, `neq`) once no event within the lateness can change them, and lets
    /// go of state that none can change. A finite replay ignores it.
    pub fn advance(&mut self, watermarks: &Watermarks, out: &mut Vec<Finding>) {
        if self.settings.is_finite {
            return;
        }
        self.horizons.advance(watermarks);
        if let Some(journal) = &mut self.journal {
            journal.advance(&mut self.horizons);
        }
        self.each(out, |_, correlator, parts, shown| {
            // What it stands on has just moved on.
            correlator.settle(parts.limits, Some(&mut *shown));
            correlator.advance(parts.horizons, shown);
        });
        self.collect_asks();
    }

    /// Takes out up to so many groups that are to be judged from the store, the oldest first.
    pub fn rechecks(&mut self, max: usize) -> Vec<Recheck> {
        let Self { rechecks, rules, horizons, correlators, settings, .. } = self;
        rechecks.take(max, |(rule, tenant, cluster, _)| {
            let header = Arc::clone(&rules.rules.get(*rule)?.header);
            let correlator = correlators.iter().find(|correlator| correlator.rule == *rule)?;
            // A finite replay is over when this is asked.
            let judged = if settings.is_finite { i64::MAX } else { correlator.judged(horizons, horizons.known_place(tenant, cluster)) };
            Some((header, Timestamp::from_nanos(judged)))
        })
    }

    /// The answers to rechecks of these numbers are saved, or there will be none: after a restart they are not asked for again. Where a journal is kept,
    /// everything that [`Engine::rechecks`] gave out is to be acknowledged so.
    pub fn answered(&mut self, numbers: &[u64]) {
        self.rechecks.answered(numbers);
    }

    /// Whether this is a finite replay.
    pub fn is_finite(&self) -> bool {
        self.settings.is_finite
    }

    /// The end of a finite replay: closes all windows. Findings come out in order of time.
    pub fn finish(&mut self, out: &mut Vec<Finding>) {
        let from = out.len();
        self.each(out, |_, correlator, parts, shown| {
            correlator.settle(parts.limits, None);
            correlator.finish(shown);
        });
        self.collect_asks();
        if let Some(added) = out.get_mut(from..) {
            added.sort_by_key(|finding| (finding.first, finding.last, finding.id));
        }
    }

    /// What a rule reads, compiles to and makes of its matches; none of a rule that is not there.
    pub fn explain(&self, rule: usize) -> Option<Explanation> {
        let known = self.rules.rules.get(rule)?;
        let refused = self.refused.iter().find(|refused| refused.rule == rule).map(|refused| refused.reason.as_str());
        let mut told = explain(&self.rules, rule, known, refused, self.matcher.explain(rule));
        let correlator = self.correlators.iter().find(|correlator| correlator.rule == rule);
        told.evaluated_up_to = correlator.and_then(|correlator| correlator.evaluated_up_to(&self.horizons));
        Some(told)
    }

    /// The rules that need a field which none of the events of their kind had since the rules were compiled.
    pub fn blind(&self) -> Vec<Blind> {
        self.matcher.blind(&self.rules)
    }

    /// What was counted so far.
    pub fn stats(&self) -> EngineStats {
        let mut stats = self.stats.clone();
        stats.evaluations = self.matcher.evaluations();
        stats.unknown = self.matcher.unknown().to_vec();
        stats.rechecks_asked = self.rechecks.asked;
        stats.rechecks_overflowed = self.rechecks.overflowed;
        stats.rechecks_waiting = self.rechecks.len();
        stats.always_evaluated = self.matcher.always().count();
        for correlator in &self.correlators {
            stats.groups_live += correlator.groups_live();
            stats.groups_evicted += correlator.losses.groups_evicted;
            if correlator.losses.groups_evicted > 0 {
                stats.evicted_by_rule.insert(correlator.rule, correlator.losses.groups_evicted);
            }
            stats.state_bytes += correlator.bytes();
            stats.rechecks_overflowed += correlator.losses.unasked;
            stats.entries_dropped += correlator.losses.entries_dropped;
            stats.evaluated_up_to[correlator.rule] = correlator.evaluated_up_to(&self.horizons);
        }
        stats
    }

    /// Matches by rule id, for metrics; rules that never matched are left out.
    pub fn matches_by_rule(&self) -> BTreeMap<&str, u64> {
        self.by_rule(&self.stats.matches)
    }

    /// Events for which a rule could not be decided, by its id; rules that always could be are left out.
    pub fn unknown_by_rule(&self) -> BTreeMap<&str, u64> {
        self.by_rule(self.matcher.unknown())
    }

    fn by_rule(&self, counts: &[u64]) -> BTreeMap<&str, u64> {
        let rules = self.rules.rules.iter().map(|rule| rule.header.id.as_str());
        rules.zip(counts.iter().copied()).filter(|(_, count)| *count > 0).collect()
    }
}
