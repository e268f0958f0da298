//! What windows could not be judged by what is in memory, and how it is judged from the store instead.
//!
//! An event that comes when the windows it belongs to have been let go of must not be counted in windows that hold a part of what was there. It leaves
//! the engine as a [`Recheck`]: a rule, a group and a span of time. Whoever has the past gives the events around it to a [`Retrial`], which judges them
//! as if all had come in order, once with what came late and once without: what differs are the findings.

mod owed;
mod retrial;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use self::owed::Owed;
use super::rule::{Body, LogSource, Rule, RuleSet};
use crate::model::{ClusterId, Duration, EventId, FieldRef, GroupKey, Kinds, RuleHeader, TenantId, Timestamp};

pub use retrial::{Retrial, Verdict, WIDTHS};

/// Rechecks that wait to be fetched. Past it further ones are counted and left out.
pub const RECHECKS_MAX: usize = 10_000;
/// Late events that a recheck names. Past it it names none, and everything around its time is told anew.
pub const LATE_EVENTS_MAX: usize = 1_000;

/// Why a window is judged again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// An event came after its window had been let go of.
    Late,
    /// Entries of the group had to make room for others.
    Evicted,
}

/// A rule, a group and a span of time to be judged from the store.
#[derive(Debug, Clone)]
pub struct Recheck {
    /// Under which its answer is acknowledged; 0 where nobody waits for that.
    pub number: u64,
    pub rule: Arc<RuleHeader>,
    pub tenant: TenantId,
    pub cluster: ClusterId,
    pub group: GroupKey,
    /// The earliest event that memory could not judge.
    pub from: Timestamp,
    /// The latest, included.
    pub to: Timestamp,
    pub reason: Reason,
    /// Events that came late: at most [`LATE_EVENTS_MAX`]; none if there are more, or if it is not about late ones.
    pub late: Vec<EventId>,
    /// Up to when windows are judged in memory.
    pub judged: Timestamp,
}

/// Rule, tenant, cluster, group.
pub(super) type Key = (usize, TenantId, ClusterId, GroupKey);

/// A span of time of one group.
#[derive(Debug, Clone)]
pub(super) struct Span {
    from: i64,
    to: i64,
    reason: Reason,
    late: Vec<EventId>,
    has_more: bool,
}

impl Span {
    fn join(&mut self, other: Self) {
        self.from = self.from.min(other.from);
        self.to = self.to.max(other.to);
        self.reason = self.reason.min(other.reason);
        self.late.extend(other.late);
        self.has_more |= other.has_more || self.late.len() > LATE_EVENTS_MAX;
        if self.has_more {
            self.late = Vec::new();
        }
    }
}

/// Rechecks that wait to be fetched, neighbours of one group joined.
#[derive(Debug, Default)]
pub(super) struct Rechecks {
    waiting: BTreeMap<Key, Vec<Span>>,
    order: VecDeque<Key>,
    spans: usize,
    /// What was handed out; nothing where no journal is kept.
    owed: Option<Owed>,
    /// Left out for want of room.
    pub(super) overflowed: u64,
    /// Asked for so far.
    pub(super) asked: u64,
}

/// What one event or one eviction asks for.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) key: Key,
    /// First and last time, in nanoseconds.
    pub(super) from: i64,
    pub(super) to: i64,
    /// Spans of one group that lie no farther apart become one.
    pub(super) reach: i64,
    pub(super) late: Option<EventId>,
}

impl Rechecks {
    /// Adds one, to a neighbour if there is one.
    pub(super) fn ask(&mut self, ask: Ask) {
        self.asked += 1;
        if let Some(owed) = &mut self.owed {
            owed.change(&ask.key);
        }
        let reason = if ask.late.is_some() { Reason::Late } else { Reason::Evicted };
        let span = Span { from: ask.from, to: ask.to, reason, late: ask.late.into_iter().collect(), has_more: false };
        let spans = self.waiting.get_mut(&ask.key);
        let is_near = |known: &&mut Span| span.from <= known.to.saturating_add(ask.reach) && span.to >= known.from.saturating_sub(ask.reach);
        if let Some(spans) = spans {
            if let Some(near) = spans.iter_mut().find(is_near) {
                near.join(span);
                return;
            }
            if self.spans < RECHECKS_MAX {
                spans.push(span);
                self.spans += 1;
            } else {
                self.overflowed += 1;
            }
        } else if self.spans < RECHECKS_MAX {
            self.order.push_back(ask.key.clone());
            self.waiting.insert(ask.key, vec![span]);
            self.spans += 1;
        } else {
            self.overflowed += 1;
        }
    }

    /// Takes up to so many out, the oldest groups first. `tell` says what a key's rule is and up to when it is judged.
    pub(super) fn take(&mut self, max: usize, mut tell: impl FnMut(&Key) -> Option<(Arc<RuleHeader>, Timestamp)>) -> Vec<Recheck> {
        let mut out = Vec::new();
        while out.len() < max
            && let Some(key) = self.order.pop_front()
        {
            let spans = self.waiting.remove(&key).unwrap_or_default();
            self.spans -= spans.len();
            let Some((rule, judged)) = tell(&key) else {
                self.owed.iter_mut().for_each(|owed| owed.change(&key));
                continue;
            };
            // None of the group's late events was there when memory judged, wherever they stand.
            let is_known = spans.iter().all(|span| !span.late.is_empty());
            let late: Vec<EventId> = spans.iter().flat_map(|span| span.late.iter().copied()).take(LATE_EVENTS_MAX + 1).collect();
            let late = if is_known && late.len() <= LATE_EVENTS_MAX { late } else { Vec::new() };
            let mut number = |span: &Span| self.owed.as_mut().map_or(0, |owed| owed.hand_out(&key, span));
            let numbered: Vec<(u64, Span)> = spans.into_iter().map(|span| (number(&span), span)).collect();
            let (_, tenant, cluster, group) = key;
            out.extend(numbered.into_iter().map(|(number, span)| Recheck {
                number,
                rule: Arc::clone(&rule),
                tenant: tenant.clone(),
                cluster: cluster.clone(),
                group: group.clone(),
                from: Timestamp::from_nanos(span.from),
                to: Timestamp::from_nanos(span.to),
                reason: span.reason,
                late: late.clone(),
                judged,
            }));
        }
        out
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.spans
    }
}

/// One rule and what it refers to, for a judgement of its own.
#[derive(Debug, Clone)]
pub struct Case {
    rules: Arc<RuleSet>,
    /// The rule's place in them.
    rule: usize,
}

impl Case {
    /// Of the rule with this id; `None` if there is none.
    pub fn new(set: &RuleSet, id: &str) -> Option<Self> {
        let at = set.rules.iter().position(|rule| rule.header.id == id)?;
        let mut chosen = vec![at];
        let mut next = 0;
        while let Some(Rule { body, .. }) = chosen.get(next).and_then(|at| set.rules.get(*at)) {
            if let Body::Correlation(correlation) = body {
                for other in &correlation.rules {
                    if !chosen.contains(other) {
                        chosen.push(*other);
                    }
                }
            }
            next += 1;
        }
        let mut rules: Vec<Rule> = chosen.iter().filter_map(|at| set.rules.get(*at)).cloned().collect();
        for (place, rule) in rules.iter_mut().enumerate() {
            rule.is_silent = place != 0;
            if let Body::Correlation(correlation) = &mut rule.body {
                for other in &mut correlation.rules {
                    *other = chosen.iter().position(|chosen| chosen == other)?;
                }
            }
        }
        Some(Self { rules: Arc::new(RuleSet { rules }), rule: 0 })
    }

    /// The kinds of event that it reads.
    pub fn reads(&self) -> Kinds {
        let singles = self.rules.rules.iter().filter(|rule| matches!(rule.body, Body::Single(_)));
        singles.fold(Kinds::NONE, |kinds, rule| match rule.logsource {
            LogSource::Kind(kind) => kinds.with(kind),
            LogSource::Any | LogSource::NotApplicable(_) => Kinds::ALL,
        })
    }

    /// How far before and after a span of time events can matter to it: windows that hold the span, the alerts that absorb them, and those that these
    /// may have been part of.
    pub fn margin(&self) -> Duration {
        let hour = Duration::hours(1);
        let one = |rule: &Rule| {
            let span = match &rule.body {
                Body::Single(_) => Duration::default(),
                Body::Correlation(correlation) => correlation.timespan,
            };
            let bucket = rule.extras.group_window.unwrap_or(span.max(hour));
            bucket.0.saturating_add(span.0).saturating_mul(2)
        };
        Duration(self.rules.rules.iter().map(one).fold(0, i64::saturating_add))
    }

    /// Fields and values that every event of a group has, one list for each way to be of it; nothing, if that cannot be said.
    pub fn terms(&self, group: &GroupKey) -> Vec<Vec<(FieldRef, Arc<str>)>> {
        let Some(rule) = self.rules.rules.get(self.rule) else { return Vec::new() };
        let known = |field: Option<FieldRef>, value: &Option<Arc<str>>| Some((field?, Arc::clone(value.as_ref()?)));
        match &rule.body {
            Body::Single(_) => {
                let fields = group.iter().enumerate().filter_map(|(at, (name, value))| match &rule.extras.group_by {
                    Some(fields) => known(fields.get(at).cloned(), value),
                    None => known(FieldRef::parse(name).ok(), value),
                });
                vec![fields.collect()]
            }
            Body::Correlation(correlation) => {
                let refers = |at: &usize| self.rules.rules.get(*at).is_some_and(|rule| matches!(rule.body, Body::Single(_)));
                if !correlation.rules.iter().all(refers) {
                    return Vec::new();
                }
                let way = |position: usize| {
                    let fields = correlation.group_by.iter().zip(group);
                    fields.filter_map(|(by, (_, value))| known(by.fields.get(position).cloned(), value)).collect()
                };
                (0..correlation.rules.len()).map(way).collect()
            }
        }
    }
}
