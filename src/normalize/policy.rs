//! What policy engines and scanners have in common.

use super::slots::{Gathered, Slot, Table};
use crate::model::{Doc, Facts, Field, Leaf};

/// Adds a text in lower case, if there is one.
pub(super) fn push_lower(field: Field, text: Option<&str>, facts: &mut Facts) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        facts.push_text(field, &text.to_ascii_lowercase());
    }
}

/// A report's leaves by slot, without those of results that passed: what of it failed is what its facts are to say together. A report in which
/// nothing failed keeps all. `status` is the slot in which a result says how it went.
pub(super) fn gather_failing<'d, S: Slot + PartialEq>(doc: &'d Doc, table: &Table<S>, status: S) -> Gathered<'d> {
    let (mut passed, mut is_any_failing) = (Vec::new(), false);
    for leaf in doc.leaves().iter().filter(|leaf| table.get(leaf.path) == Some(status)) {
        if is_passed(doc.value(leaf).text) {
            passed.push(leaf.parent);
        } else {
            is_any_failing = true;
        }
    }
    if !is_any_failing || passed.is_empty() {
        return Gathered::gather(doc, table);
    }
    passed.sort_unstable();
    Gathered::gather_where(doc, table, |leaf| !is_within(doc, leaf, &passed))
}

fn is_passed(status: &str) -> bool {
    ["pass", "passed", "skip", "true"].iter().any(|passed| status.eq_ignore_ascii_case(passed))
}

/// Whether a leaf lies in one of these containers, which are sorted.
fn is_within(doc: &Doc, leaf: &Leaf, containers: &[u32]) -> bool {
    let mut at = leaf.parent;
    loop {
        if containers.binary_search(&at).is_ok() {
            return true;
        }
        match doc.containers().get(at as usize) {
            Some(container) if container.parent != at => at = container.parent,
            _ => return false,
        }
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
