//! The alert, as `scan`, the API and the webhook show it (CONTRACTS 3).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{AlertId, ClusterId, EventId, RuleHeader, RuleType, TenantId, Timestamp};

/// Severity, in Sigma's words. The order is that of severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Informational,
    Low,
    Medium,
    High,
    Critical,
}

impl Level {
    /// Every level, mildest first.
    pub const ALL: [Self; 5] = [Self::Informational, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// As Sigma writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Level {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|level| level.name() == text)
            .ok_or_else(|| format!("`{}` is no level: informational, low, medium, high and critical are", text.escape_debug()))
    }
}

/// Where an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Open,
    Acknowledged,
    Closed,
    Superseded,
}

impl Status {
    /// As it is stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Closed => "closed",
            Self::Superseded => "superseded",
        }
    }
}

/// The rule behind an alert.
pub type AlertRule = RuleHeader;
/// How that rule decides.
pub type AlertKind = RuleType;

/// One value that made a selection match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Match {
    pub selection: String,
    pub field: String,
    pub value: String,
}

/// One step of the story: an event that a rule matched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Id of the matching rule: of a correlation, the rule it refers to.
    pub rule: String,
    pub event: EventId,
    pub time: Timestamp,
    pub matched: Vec<Match>,
}

/// An alert and its life. `id` is the only key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    pub id: AlertId,
    pub rule: AlertRule,
    pub title: String,
    #[serde(skip, default)]
    pub tenant: TenantId,
    pub cluster: ClusterId,
    pub status: Status,
    /// Acts that contribute, in all.
    pub count: u64,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    pub group: serde_json::Map<String, serde_json::Value>,
    pub entities: Vec<String>,
    pub events: Vec<EventId>,
    pub late: bool,
    pub steps: Vec<Step>,
    pub evidence_gaps: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<AlertId>,
}
