//! What the engine finds: a rule, a group, and the absolute state of what matched so far.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{AlertId, ClusterId, EventId, Level, Step, TenantId, Timestamp};

/// How a rule decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleType {
    Single,
    EventCount,
    ValueCount,
    ValueSum,
    ValueAvg,
    ValuePercentile,
    ValueMedian,
    Temporal,
    TemporalOrdered,
    /// What the service says of itself.
    Health,
}

/// What an alert says of the rule behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleHeader {
    pub id: String,
    pub title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    pub level: Level,
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(rename = "type")]
    pub kind: RuleType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
}

/// The values that group events into one alert: field name and value, in the rule's order. `None` is a missing value.
pub type GroupKey = Vec<(Arc<str>, Option<Arc<str>>)>;

/// The state of one alert as the engine sees it now. Totals are absolute, so a later finding of the same id replaces an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub id: AlertId,
    pub rule: Arc<RuleHeader>,
    pub tenant: TenantId,
    pub cluster: ClusterId,
    pub group: GroupKey,
    /// The title, filled in.
    pub title: String,
    /// The earliest and latest contributing event.
    pub first: Timestamp,
    pub last: Timestamp,
    /// Acts that contribute.
    pub count: u64,
    /// Contributing events, the earliest by (time, id), at most 100.
    pub events: Vec<EventId>,
    pub entities: Vec<String>,
    pub steps: Vec<Step>,
    /// A contributing event came after the lateness that its source is allowed.
    pub late: bool,
    /// What evidence is known to be missing.
    pub evidence_gaps: Vec<String>,
    /// Set when a late event has moved the windows of this alert into another: it is kept and points there.
    pub superseded_by: Option<AlertId>,
    /// Right before there was no such alert, for all that is judged: one of its id that has been superseded stands again.
    pub is_new: bool,
}

/// What publishing an alert changed, and so whom it notifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    Opened,
    Reopened,
    Superseded,
    /// Only totals or evidence moved: nobody is notified.
    Updated,
    /// Nothing moved.
    None,
}
