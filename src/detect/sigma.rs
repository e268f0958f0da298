//! Sigma rules and correlations, from YAML into [`rule`](super::rule).
//!
//! A rule that is broken does not stop the others, and nothing that is not understood is passed over: an unknown modifier,
//! correlation key or field under a reserved root refuses its rule with file, line, column and what would be right.

mod alias;
mod bounds;
mod condition;
mod correlation;
mod diagnostic;
mod document;
mod element;
mod encode;
mod filter;
mod link;
pub mod lint;
mod logsource;
mod modifier;
mod selection;
mod text;
mod value;
pub(in crate::detect) mod yaml;

pub use alias::ALIAS_USED;
pub(in crate::detect) use alias::stands_for;
pub use diagnostic::{Diagnostic, Severity};
pub use lint::lint;
pub use text::TIMESPAN_MAX;
pub use yaml::{DEPTH_MAX, DOCUMENT_BYTES_MAX};

use std::collections::BTreeMap;
use std::sync::Arc;

use self::diagnostic::Scope;
use self::document::Read;
use self::filter::{FILTERS_MAX, FilterDraft};
use self::link::Draft;
use self::yaml::Mark;
use super::rule::RuleSet;
use crate::model::Level;

/// What the operator says about rules, and how much is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Named lists, which `|expand` puts in the place of `%name%`. Values may have wildcards.
    pub lists: BTreeMap<String, Vec<String>>,
    /// From a field's name in rules to the name it has here.
    pub field_mappings: BTreeMap<String, String>,
    /// Ids of rules that raise no alert. One that a correlation refers to is still matched for it.
    pub disable: Vec<String>,
    /// Levels by rule id, in place of what rules say.
    pub levels: BTreeMap<String, Level>,
    /// Runs rules of every log source on every event.
    pub any_logsource: bool,
    /// Rules that are read in all.
    pub rules_max: usize,
    /// Bytes of one file.
    pub file_bytes_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lists: BTreeMap::new(),
            field_mappings: BTreeMap::new(),
            disable: Vec::new(),
            levels: BTreeMap::new(),
            any_logsource: false,
            rules_max: 10_000,
            file_bytes_max: 64 << 20,
        }
    }
}

/// Reads rules from files, each a name and a text of one or more documents, and resolves what correlations refer to.
/// Rules keep the order of files and documents. Diagnostics come in the order of files, then of lines.
pub fn parse(files: &[(Arc<str>, String)], settings: &Settings) -> (RuleSet, Vec<Diagnostic>) {
    let mut out = Vec::new();
    let mut drafts: Vec<Draft> = Vec::new();
    let mut filters: Vec<FilterDraft> = Vec::new();
    let mut refused: Vec<String> = Vec::new();
    'files: for (file, text) in files {
        let mut scope = Scope::new(settings, file, &mut out);
        let start = Mark { line: 1, column: 1 };
        if text.len() > settings.file_bytes_max {
            let message = format!("the file has {} bytes; {} are read", text.len(), settings.file_bytes_max);
            scope.error(start, "file-too-long", message, "split it");
            continue;
        }
        let documents = yaml::documents(text);
        if documents.is_empty() {
            scope.warning(start, "empty-file", "the file has no rule", "");
        }
        let mut is_completed = false;
        for (lines_before, document) in documents {
            let mut scope = Scope::new(settings, file, &mut out);
            if drafts.len() + filters.len() >= settings.rules_max {
                let message = format!("more than {} rules; the rest is not read", settings.rules_max);
                scope.error(Mark { line: lines_before + 1, column: 1 }, "too-many-rules", message, "load fewer");
                break 'files;
            }
            match document::read(&mut scope, document, lines_before, &mut is_completed) {
                Read::Rule(draft) => drafts.push(*draft),
                Read::Filter(_) if filters.len() >= FILTERS_MAX => {
                    let message = format!("more than {FILTERS_MAX} filters; this one is not read");
                    scope.error(Mark { line: lines_before + 1, column: 1 }, "too-many-filters", message, "join filters of the same rules");
                }
                Read::Filter(draft) => filters.push(*draft),
                Read::Refused(names) => refused.extend(names),
                Read::Nothing => {}
            }
        }
    }
    let names: Vec<String> = filters.iter().flat_map(|filter| [Some(filter.filter.id.clone()), filter.name.clone()]).flatten().collect();
    filter::apply(&mut drafts, filters, &refused, settings, &mut out);
    let rules = link::resolve(drafts, &refused, &names, settings, &mut out);
    let order: BTreeMap<&Arc<str>, usize> = files.iter().enumerate().rev().map(|(at, (file, _))| (file, at)).collect();
    out.sort_by_key(|problem| (order.get(&problem.file).copied().unwrap_or(usize::MAX), problem.line, problem.column));
    (RuleSet { rules }, out)
}

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod public_correlations;
#[cfg(test)]
mod regression;
#[cfg(test)]
mod tests;
