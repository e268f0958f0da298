//! Filters: documents that ask something more of the events of rules they name.
//!
//! A filter's condition holds besides a named rule's own, as it is written: one that is to let events pass by says `not selection`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Settings;
use super::diagnostic::{Diagnostic, Scope, closest};
use super::link::Draft;
use super::logsource::Written;
use super::selection;
use super::yaml::{Mark, Node, Yaml};
use crate::detect::rule::{Body, Filter};

/// Filters that are read in all: each may stand at every rule.
pub(super) const FILTERS_MAX: usize = 500;

/// Rules that one filter names.
const RULES_MAX: usize = 10_000;

/// A filter whose rules are still names.
#[derive(Debug)]
pub(super) struct FilterDraft {
    pub(super) filter: Filter,
    /// The other name by which the settings may switch it off.
    pub(super) name: Option<String>,
    at: Mark,
    written: Written,
    /// `None` is every rule whose log source fits.
    rules: Option<Vec<(Mark, String)>>,
}

/// Reads what stands under `filter:`; the document's head is read by the caller.
pub(super) fn read(scope: &mut Scope<'_>, document: &Node, node: &Node, title: &str, written: Written) -> Option<FilterDraft> {
    if document.get("logsource").is_none() {
        scope.warning(document.at, "missing-logsource", "the filter has no log source: rules of every log source fit", "add `logsource:`");
    }
    super::document::status(scope, document);
    let rules = rules(scope, node)?;
    let detection = selection::detection(scope, node, "filter")?;
    let text = |key: &str| document.get(key).and_then(Node::spelled).map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    let name = text("name");
    let filter = Filter {
        id: text("id").or_else(|| name.clone()).unwrap_or_else(|| title.to_owned()),
        title: title.to_owned(),
        file: Arc::clone(&scope.file),
        line: document.at.line,
        detection,
    };
    Some(FilterDraft { filter, name, at: document.at, written, rules })
}

fn rules(scope: &mut Scope<'_>, node: &Node) -> Option<Option<Vec<(Mark, String)>>> {
    const HELP: &str = "a list of ids or names, or `any`";
    let Some(rules) = node.get("rules") else {
        scope.error(node.at, "missing-rules", "the filter does not say of which rules", HELP);
        return None;
    };
    let nodes = match &rules.value {
        Yaml::List(nodes) => nodes.as_slice(),
        _ => std::slice::from_ref(rules),
    };
    // Some read an empty list as every rule; nobody should have to know.
    if nodes.is_empty() || nodes.len() > RULES_MAX {
        scope.error(rules.at, "bad-value", format!("a filter names 1 to {RULES_MAX} rules, and this one {}", nodes.len()), HELP);
        return None;
    }
    let mut names = Vec::with_capacity(nodes.len());
    for node in nodes {
        let Some(name) = node.spelled().map(str::trim).filter(|name| !name.is_empty()) else {
            scope.error(node.at, "bad-value", format!("a rule is {}; an id or name is wanted", node.kind()), HELP);
            return None;
        };
        names.push((node.at, name.to_owned()));
    }
    let is_any = names.iter().any(|(_, name)| name.eq_ignore_ascii_case("any"));
    Some((!is_any).then_some(names))
}

/// What a rule's id or name leads to: places in the list of drafts.
fn names(drafts: &[Draft]) -> BTreeMap<String, Vec<usize>> {
    let mut known: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, draft) in drafts.iter().enumerate() {
        if let Some(name) = &draft.rule.name {
            known.entry(name.clone()).or_default().push(at);
        }
    }
    // An id goes before any name that reads the same; a second rule of the same id is refused.
    for (at, draft) in drafts.iter().enumerate().rev() {
        known.insert(draft.rule.header.id.clone(), vec![at]);
    }
    known
}

/// Gives each filter to its rules. A filter that names a rule that is not there is refused whole.
pub(super) fn apply(drafts: &mut [Draft], filters: Vec<FilterDraft>, refused: &[String], settings: &Settings, out: &mut Vec<Diagnostic>) {
    if filters.is_empty() {
        return;
    }
    let known = names(drafts);
    for filter in filters {
        let mut scope = Scope::new(settings, &filter.filter.file, out);
        scope.rule = Some(filter.filter.id.clone());
        let Some(places) = places(&mut scope, drafts, &filter, &known, refused) else { continue };
        let is_disabled = settings.disable.iter().any(|id| *id == filter.filter.id || Some(id) == filter.name.as_ref());
        if is_disabled {
            continue;
        }
        let filter = Arc::new(filter.filter);
        for place in places {
            if let Some(Body::Single(detection)) = drafts.get_mut(place).map(|draft| &mut draft.rule.body) {
                detection.filters.push(Arc::clone(&filter));
            }
        }
    }
}

/// The rules that a filter works on, each once. `None`: it is refused.
fn places(
    scope: &mut Scope<'_>,
    drafts: &[Draft],
    filter: &FilterDraft,
    known: &BTreeMap<String, Vec<usize>>,
    refused: &[String],
) -> Option<Vec<usize>> {
    let is_single = |at: usize| drafts.get(at).is_some_and(|draft| matches!(draft.rule.body, Body::Single(_)));
    let fits = |at: usize| drafts.get(at).is_some_and(|draft| filter.written.covers(&draft.written));
    let Some(rules) = &filter.rules else {
        let places: Vec<usize> = (0..drafts.len()).filter(|at| is_single(*at) && fits(*at)).collect();
        if places.is_empty() {
            scope.warning(filter.at, "unused-filter", "no rule has a log source that the filter fits: it does nothing", "");
        }
        return Some(places);
    };
    let mut places = BTreeSet::new();
    for (at, name) in rules {
        match known.get(name).map(Vec::as_slice) {
            Some([place]) if !is_single(*place) => {
                let message = format!("`{}` is a correlation, and a filter works on events", name.escape_debug());
                scope.error(*at, "filtered-correlation", message, "name the rules that it refers to");
            }
            Some([place]) if !fits(*place) => {
                let message = format!("rule `{}` is for another log source than the filter, which does nothing to it", name.escape_debug());
                scope.warning(*at, "unmatched-logsource", message, "what the filter's `logsource` says, the rule's must say too");
            }
            Some([place]) if places.contains(place) => {
                scope.warning(*at, "repeated-value", format!("`{}` is a rule that stands in the list already", name.escape_debug()), "");
            }
            Some([place]) => {
                places.insert(*place);
            }
            Some(_) => scope.error(*at, "ambiguous-rule", format!("several rules are called `{}`", name.escape_debug()), "refer to it by id"),
            None if refused.contains(name) => {
                scope.error(*at, "refused-rule", format!("rule `{}` is refused itself", name.escape_debug()), "see the problems of that rule");
            }
            None => {
                let near = closest(name, known.keys().map(String::as_str)).map_or_else(String::new, |near| format!("did you mean `{near}`?"));
                scope.error(*at, "unknown-rule", format!("no rule has the id or name `{}`", name.escape_debug()), near);
            }
        }
    }
    (scope.errors == 0).then(|| places.into_iter().collect())
}
