//! Rules that run and could be better.
use super::Diagnostic;
use crate::detect::rule::RuleSet;

/// placeholder
pub fn lint(_rules: &RuleSet) -> Vec<Diagnostic> {
    Vec::new()
}
