//! What policy engines and scanners have in common.

use crate::model::{Facts, Field};

/// Adds a text in lower case, if there is one.
pub(super) fn push_lower(field: Field, text: Option<&str>, facts: &mut Facts) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        facts.push_text(field, &text.to_ascii_lowercase());
    }
}

/// The outcome of one result; what was skipped, warned of or could not be told has none.
pub(super) fn result_outcome(result: Option<&str>) -> &'static str {
    let is = |names: &[&str]| result.is_some_and(|result| names.iter().any(|name| result.eq_ignore_ascii_case(name)));
    if is(&["pass", "passed"]) {
        "success"
    } else if is(&["fail", "failed", "deny", "block"]) {
        "failure"
    } else {
        "unknown"
    }
}

/// The outcome of many results: one failure is a failure.
pub(super) fn results_outcome<'r>(results: impl Iterator<Item = &'r str>) -> &'static str {
    results.map(|result| result_outcome(Some(result))).fold("unknown", |all, one| match (all, one) {
        ("failure", _) | (_, "failure") => "failure",
        ("success", _) | (_, "success") => "success",
        _ => "unknown",
    })
}
