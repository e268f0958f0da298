//! What the service has to say of itself: one alert for each subject and hour, with what was counted in that hour.
//!
//! Such alerts are of `type: health` and go the way of all others. They speak of our own time, not of that of events. A replay of files has none.

mod reuse;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::correlate::alert_id;
use crate::model::{AlertId, ClusterId, Duration, EventId, Finding, GroupKey, Level, RuleHeader, RuleType, SourceId, TenantId, Timestamp};

pub use reuse::Reuse;

/// For how long one alert counts.
const HOUR: Duration = Duration::hours(1);
/// Subjects told apart in an hour. Past it further ones are left out.
const SUBJECTS_MAX: usize = 1_024;
/// Events that such an alert names.
const EVENTS_MAX: usize = 100;

/// What an alert is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// Groups of rules had to make room for others.
    StatePressure,
    /// One Audit-ID came with different requests in this cluster.
    ReusedAuditId(TenantId, ClusterId),
    /// Clocks of this source run ahead.
    SkewedClock(SourceId),
    /// What came too late, or had to go, could not all be judged from the store.
    LostRechecks,
    /// The disk was too full to take anything in.
    DiskFull,
    /// Pushes came without valid credentials.
    TurnedAway,
    /// This source can not be read.
    Unreadable(SourceId),
    /// Records of this source came and have no outcome, or have more than one.
    Unaccounted(SourceId),
}

impl Subject {
    /// The id of its rule, in a form that no rule of a file has.
    fn rule_id(&self) -> &'static str {
        match self {
            Self::StatePressure => "health:state-pressure",
            Self::ReusedAuditId(..) => "health:reused-audit-id",
            Self::SkewedClock(_) => "health:skewed-clock",
            Self::LostRechecks => "health:lost-rechecks",
            Self::DiskFull => "health:disk-full",
            Self::TurnedAway => "health:turned-away",
            Self::Unreadable(_) => "health:unreadable-source",
            Self::Unaccounted(_) => "health:unaccounted-records",
        }
    }

    fn header(&self) -> RuleHeader {
        let (title, level) = match self {
            Self::StatePressure => ("Groups of rules had to make room for others", Level::High),
            Self::ReusedAuditId(..) => ("An Audit-ID was used for different requests", Level::Medium),
            Self::SkewedClock(_) => ("The clocks of a source run ahead", Level::Medium),
            Self::LostRechecks => ("What came late could not all be judged from the store", Level::High),
            Self::DiskFull => ("The disk was too full to take anything in", Level::High),
            Self::TurnedAway => ("Pushes came without valid credentials", Level::Medium),
            Self::Unreadable(_) => ("A source can not be read", Level::High),
            Self::Unaccounted(_) => ("The ledger does not add up", Level::High),
        };
        let (id, title) = (self.rule_id().to_owned(), title.to_owned());
        RuleHeader { id, title, author: None, level, tags: Vec::new(), kind: RuleType::Health, runbook: None }
    }

    fn title(&self, count: u64) -> String {
        match self {
            Self::StatePressure => format!("memory for windows is full: {count} groups had to make room"),
            Self::ReusedAuditId(_, cluster) => format!("an Audit-ID was used for different requests in {cluster}: {count} times"),
            Self::SkewedClock(source) => format!("clocks of source {source} run ahead: {count} events count for their receipt"),
            Self::LostRechecks => format!("{count} groups could not be judged from the store: alerts may be missing"),
            Self::DiskFull => format!("the disk was too full to take anything in: {count} times"),
            Self::TurnedAway => format!("{count} pushes came without valid credentials: what they carried is lost, or somebody tries to get in"),
            Self::Unreadable(source) => format!("source {source} can not be read: see what it says of itself"),
            Self::Unaccounted(source) => format!("{count} records of source {source} have no outcome, or more than one"),
        }
    }

    fn gap(&self) -> Option<&'static str> {
        match self {
            Self::StatePressure => Some("counts of groups that had to go can be too low"),
            Self::LostRechecks => Some("alerts of late events, and of groups that had to go, may be missing"),
            Self::Unreadable(_) => Some("what this source would have told is missing until it can be read"),
            Self::DiskFull => Some("senders that do not wait may have given up"),
            Self::Unaccounted(_) => Some("records may be missing, or stored twice"),
            Self::ReusedAuditId(..) | Self::SkewedClock(_) | Self::TurnedAway => None,
        }
    }

    fn group(&self) -> GroupKey {
        match self {
            Self::SkewedClock(source) | Self::Unreadable(source) | Self::Unaccounted(source) => {
                vec![(Arc::from("event.source"), Some(Arc::clone(&source.0)))]
            }
            Self::StatePressure | Self::ReusedAuditId(..) | Self::LostRechecks | Self::DiskFull | Self::TurnedAway => Vec::new(),
        }
    }

    fn whose(&self) -> (TenantId, ClusterId) {
        match self {
            Self::ReusedAuditId(tenant, cluster) => (tenant.clone(), cluster.clone()),
            Self::StatePressure
            | Self::SkewedClock(_)
            | Self::LostRechecks
            | Self::DiskFull
            | Self::TurnedAway
            | Self::Unreadable(_)
            | Self::Unaccounted(_) => Default::default(),
        }
    }
}

#[derive(Debug)]
struct Account {
    count: u64,
    first: Timestamp,
    last: Timestamp,
    events: Vec<EventId>,
    is_changed: bool,
}

/// What was counted in this hour.
#[derive(Debug, Default)]
pub struct Health {
    hour: Option<Timestamp>,
    accounts: BTreeMap<Subject, Account>,
}

impl Health {
    /// It happened so many times more, by these events if by any.
    pub fn note(&mut self, subject: Subject, count: u64, events: &[EventId], now: Timestamp) {
        let hour = now.bucket(HOUR);
        if self.hour.is_none_or(|known| known < hour) {
            self.hour = Some(hour);
            self.accounts.clear();
        }
        if count == 0 || self.accounts.len() >= SUBJECTS_MAX && !self.accounts.contains_key(&subject) {
            return;
        }
        let new = || Account { count: 0, first: now, last: now, events: Vec::new(), is_changed: false };
        let account = self.accounts.entry(subject).or_insert_with(new);
        account.count += count;
        account.last = account.last.max(now);
        account.is_changed = true;
        let room = EVENTS_MAX.saturating_sub(account.events.len());
        account.events.extend(events.iter().take(room));
    }

    /// The alerts that have changed since the last call.
    pub fn take(&mut self) -> Vec<Finding> {
        let hour = self.hour.unwrap_or_default();
        let mut findings = Vec::new();
        for (subject, account) in &mut self.accounts {
            if std::mem::replace(&mut account.is_changed, false) {
                findings.push(finding(subject, account, hour));
            }
        }
        findings
    }
}

fn finding(subject: &Subject, account: &Account, hour: Timestamp) -> Finding {
    let (tenant, cluster) = subject.whose();
    let group = subject.group();
    let id: AlertId = alert_id(&tenant, &cluster, subject.rule_id(), &group, &hour.nanos().to_le_bytes());
    Finding {
        id,
        rule: Arc::new(subject.header()),
        tenant,
        cluster,
        group,
        title: subject.title(account.count),
        first: account.first,
        last: account.last,
        count: account.count,
        events: account.events.clone(),
        entities: Vec::new(),
        steps: Vec::new(),
        late: false,
        evidence_gaps: subject.gap().map(str::to_owned).into_iter().collect(),
        superseded_by: None,
        is_new: false,
    }
}
