//! Classes, and the enumerated values that more than one of them has.

/// A class of the schema and the category that it belongs to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Class {
    pub(super) uid: i64,
    pub(super) name: &'static str,
    pub(super) category: (i64, &'static str),
}

pub(super) const BASE_EVENT: Class = Class { uid: 0, name: "Base Event", category: (0, "Uncategorized") };
pub(super) const FILE_ACTIVITY: Class = Class { uid: 1001, name: "File System Activity", category: (1, "System Activity") };
pub(super) const VULNERABILITY_FINDING: Class = Class { uid: 2002, name: "Vulnerability Finding", category: FINDINGS };
pub(super) const COMPLIANCE_FINDING: Class = Class { uid: 2003, name: "Compliance Finding", category: FINDINGS };
pub(super) const DETECTION_FINDING: Class = Class { uid: 2004, name: "Detection Finding", category: FINDINGS };
pub(super) const NETWORK_ACTIVITY: Class = Class { uid: 4001, name: "Network Activity", category: NETWORK };
pub(super) const HTTP_ACTIVITY: Class = Class { uid: 4002, name: "HTTP Activity", category: NETWORK };
pub(super) const DNS_ACTIVITY: Class = Class { uid: 4003, name: "DNS Activity", category: NETWORK };
pub(super) const API_ACTIVITY: Class = Class { uid: 6003, name: "API Activity", category: (6, "Application Activity") };

const FINDINGS: (i64, &str) = (2, "Findings");
const NETWORK: (i64, &str) = (4, "Network Activity");

/// A value of an enumeration: its number and its caption, or the source's own word for 99.
pub(super) type Choice<'a> = (i64, &'a str);

/// Where the source does not say.
pub(super) const NOT_KNOWN: Choice<'static> = (0, "Unknown");
/// Number of what the schema has no word for.
pub(super) const OTHER: i64 = 99;

pub(super) const INFORMATIONAL: Choice<'static> = (1, "Informational");
const LOW: Choice<'static> = (2, "Low");
const MEDIUM: Choice<'static> = (3, "Medium");
const HIGH: Choice<'static> = (4, "High");
const CRITICAL: Choice<'static> = (5, "Critical");

/// The severity that a level of Sigma, a priority of Falco or the word of a scanner names, in lower case.
pub(super) fn severity(word: &str) -> Choice<'_> {
    match word {
        "informational" | "information" | "info" | "debug" | "negligible" | "none" => INFORMATIONAL,
        "low" | "notice" => LOW,
        "medium" | "moderate" | "warning" | "warn" => MEDIUM,
        "high" | "important" | "error" => HIGH,
        "critical" | "alert" | "emergency" => CRITICAL,
        "unknown" => NOT_KNOWN,
        word => (OTHER, word),
    }
}

/// How an activity ended.
pub(super) fn status(outcome: &str) -> Choice<'static> {
    match outcome {
        "success" => (1, "Success"),
        "failure" => (2, "Failure"),
        _ => NOT_KNOWN,
    }
}

/// What kind of account a user is.
pub(super) fn user_type(word: &str) -> Choice<'_> {
    match word {
        "human" => (1, "User"),
        "node" | "system" => (3, "System"),
        "service_account" => (4, "Service"),
        word => (OTHER, word),
    }
}

/// A finding that has just been made.
pub(super) const FINDING_CREATED: Choice<'static> = (1, "Create");
/// A finding that nobody has looked at.
pub(super) const FINDING_NEW: Choice<'static> = (1, "New");
/// An analytic that is a rule.
pub(super) const RULE: Choice<'static> = (1, "Rule");
