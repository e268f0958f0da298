//! Findings become alerts, and alerts have a life.
//!
//! A finding carries absolute totals, so [`apply`] is a join: publishing twice is publishing once, and any order of the findings of one id
//! ends in the same alert. What a person decided (acknowledged, closed) stays, except that a closed alert opens again when its count grows.

mod cut;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::fmt;

use serde_json::{Map, Value};

use crate::model::{Alert, Change, EventId, Finding, Status, Step};

pub use cut::{BYTES_MAX, BYTES_MIN, cut};

/// Contributing events that an alert names, the earliest by (time, id).
pub const EVENTS_MAX: usize = 100;
/// Entities that an alert names. Past it the last in order go.
pub const ENTITIES_MAX: usize = 100;
/// Steps that an alert keeps, the earliest by (time, event).
pub const STEPS_MAX: usize = 20;
/// Notes on missing evidence.
pub const GAPS_MAX: usize = 20;

/// Why a person's change of status cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadStatus {
    /// A superseded alert has handed over: the one it points to is the one to decide on.
    IsSuperseded,
    /// Only the engine supersedes.
    NotForPeople,
}

impl fmt::Display for BadStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IsSuperseded => "the alert is superseded: change the one that `superseded_by` names",
            Self::NotForPeople => "`superseded` is set by the engine only: `open`, `acknowledged` and `closed` can be chosen",
        })
    }
}

impl std::error::Error for BadStatus {}

/// The alert that a finding asks for, as if there were none yet.
pub fn draft(finding: &Finding) -> Alert {
    let text = |value: &Option<_>| value.as_ref().map_or(Value::Null, |value: &std::sync::Arc<str>| Value::from(value.as_ref()));
    let group: Map<String, Value> = finding.group.iter().map(|(field, value)| (field.to_string(), text(value))).collect();
    Alert {
        id: finding.id,
        rule: finding.rule.as_ref().clone(),
        title: finding.title.clone(),
        tenant: finding.tenant.clone(),
        cluster: finding.cluster.clone(),
        status: if finding.superseded_by.is_some() { Status::Superseded } else { Status::Open },
        count: finding.count,
        first_seen: finding.first,
        last_seen: finding.last,
        group,
        entities: join_entities(finding.entities.clone(), Vec::new()),
        events: finding.events.iter().take(EVENTS_MAX).copied().collect(),
        late: finding.late,
        steps: join_steps(finding.steps.clone(), Vec::new()),
        evidence_gaps: finding.evidence_gaps.iter().take(GAPS_MAX).cloned().collect(),
        superseded_by: finding.superseded_by,
    }
}

/// Joins a finding into the alert of the same id, and says what that changed.
///
/// Every field is the greater of two in an order that does not depend on which came first. Counts never fall: a finding that knows less (a window
/// warmed anew after a crash) takes nothing away. Only what has been superseded can stand again, when a still later event has moved windows back.
pub fn apply(existing: Option<Alert>, finding: &Finding) -> (Alert, Change) {
    let draft = draft(finding);
    let Some(old) = existing else {
        let change = if draft.superseded_by.is_some() { Change::Superseded } else { Change::Opened };
        return (draft, change);
    };
    let superseded_by = match (old.superseded_by, draft.superseded_by) {
        (_, None) if finding.is_new => None,
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    let grew = draft.count > old.count;
    let status = match old.status {
        _ if superseded_by.is_some() => Status::Superseded,
        Status::Closed if grew => Status::Open,
        Status::Superseded => Status::Open,
        Status::Open | Status::Acknowledged | Status::Closed => old.status,
    };
    // The title comes from the earliest event; the list of events and the gaps from the finding that knows more acts.
    let title = if (draft.first_seen, &draft.title) < (old.first_seen, &old.title) { &draft.title } else { &old.title };
    let events = if events_rank(&draft) > events_rank(&old) { &draft.events } else { &old.events };
    let gaps = if gaps_rank(&draft) > gaps_rank(&old) { &draft.evidence_gaps } else { &old.evidence_gaps };
    let joined = Alert {
        id: old.id,
        rule: draft.rule.clone(),
        title: title.clone(),
        tenant: old.tenant.clone(),
        cluster: old.cluster.clone(),
        status,
        count: old.count.max(draft.count),
        first_seen: old.first_seen.min(draft.first_seen),
        last_seen: old.last_seen.max(draft.last_seen),
        group: draft.group.clone(),
        entities: join_entities(old.entities.clone(), draft.entities.clone()),
        events: events.clone(),
        late: old.late || draft.late,
        steps: join_steps(old.steps.clone(), draft.steps.clone()),
        evidence_gaps: gaps.clone(),
        superseded_by,
    };
    let change = match old.status {
        Status::Open | Status::Acknowledged | Status::Closed if status == Status::Superseded => Change::Superseded,
        Status::Closed | Status::Superseded if status == Status::Open => Change::Reopened,
        Status::Open | Status::Acknowledged | Status::Closed | Status::Superseded if joined != old => Change::Updated,
        Status::Open | Status::Acknowledged | Status::Closed | Status::Superseded => Change::None,
    };
    (joined, change)
}

/// What a person decides. Choosing the status that stands already changes nothing.
pub fn triage(mut alert: Alert, status: Status) -> Result<Alert, BadStatus> {
    if alert.status == Status::Superseded {
        return Err(BadStatus::IsSuperseded);
    }
    if status == Status::Superseded {
        return Err(BadStatus::NotForPeople);
    }
    alert.status = status;
    Ok(alert)
}

/// The `type` of the message that a change sends; `None` where it notifies nobody.
pub fn message_type(change: Change) -> Option<&'static str> {
    match change {
        Change::Opened => Some("alert.opened"),
        Change::Reopened => Some("alert.reopened"),
        Change::Superseded => Some("alert.superseded"),
        Change::Updated | Change::None => None,
    }
}

/// The list of more acts wins, then the longer one. Ids alone do not tell their times, so two lists cannot be woven into one.
fn events_rank(alert: &Alert) -> (u64, usize, Reverse<&[EventId]>) {
    (alert.count, alert.events.len(), Reverse(&alert.events))
}

/// A gap that has closed is gone from the list of the finding that knows more.
fn gaps_rank(alert: &Alert) -> (u64, Reverse<usize>, Reverse<&[String]>) {
    (alert.count, Reverse(alert.evidence_gaps.len()), Reverse(&alert.evidence_gaps))
}

/// Who first, then on what, then with what; by name within each.
fn entity_rank(entity: &str) -> u8 {
    match entity.split_once(':').map_or(entity, |(kind, _)| kind) {
        "user" => 0,
        "sa" => 1,
        "pod" => 2,
        "workload" => 3,
        "node" => 4,
        "ip" => 5,
        "image" => 6,
        _ => 7,
    }
}

fn join_entities(mut one: Vec<String>, other: Vec<String>) -> Vec<String> {
    one.extend(other);
    one.sort_by(|a, b| (entity_rank(a), a).cmp(&(entity_rank(b), b)));
    one.dedup();
    one.truncate(ENTITIES_MAX);
    one
}

fn join_steps(mut one: Vec<Step>, other: Vec<Step>) -> Vec<Step> {
    one.extend(other);
    // Of one event told twice by one rule, the fuller telling comes first and stays.
    let order = |a: &Step, b: &Step| {
        let key = |step: &Step| (step.time, step.event);
        (key(a), &a.rule, Reverse(a.matched.len()), match_key(a)).cmp(&(key(b), &b.rule, Reverse(b.matched.len()), match_key(b)))
    };
    one.sort_by(order);
    one.dedup_by(|b, a| a.event == b.event && a.rule == b.rule && a.time == b.time);
    one.truncate(STEPS_MAX);
    one
}

fn match_key(step: &Step) -> Vec<(&str, &str, &str)> {
    step.matched.iter().map(|found| (found.selection.as_str(), found.field.as_str(), found.value.as_str())).collect()
}
