//! What stands under `correlation:`. Rules it refers to are names here; `link` turns them into indices.

use super::bounds::{self, Bounds};
use super::diagnostic::{Scope, suggest};
use super::document::names;
use super::text::timespan_of;
use super::yaml::{Mark, Node, Yaml};
use crate::detect::rule::{Correlation, CorrelationKind};
use crate::model::FieldRef;

const KEYS: [&str; 7] = ["type", "rules", "group-by", "timespan", "condition", "aliases", "generate"];

const TYPES: [(&str, CorrelationKind); 8] = [
    ("event_count", CorrelationKind::EventCount),
    ("value_count", CorrelationKind::ValueCount),
    ("value_sum", CorrelationKind::ValueSum),
    ("value_avg", CorrelationKind::ValueAvg),
    ("value_percentile", CorrelationKind::ValuePercentile),
    ("value_median", CorrelationKind::ValueMedian),
    ("temporal", CorrelationKind::Temporal),
    ("temporal_ordered", CorrelationKind::TemporalOrdered),
];

/// Other names of temporal types whose condition is an expression over rules.
const TYPES_EXTENDED: [(&str, CorrelationKind); 2] =
    [("temporal_extended", CorrelationKind::Temporal), ("temporal_ordered_extended", CorrelationKind::TemporalOrdered)];

/// The parts of a correlation that need the other rules.
#[derive(Debug)]
pub(super) struct Unresolved {
    /// Ids or names, as written.
    pub(super) rules: Vec<(Mark, String)>,
    pub(super) group_by: Vec<(Mark, String)>,
    pub(super) aliases: Vec<Alias>,
    /// The referred rules raise alerts of their own too.
    pub(super) generate: bool,
}

/// A name in `group-by` that is another field in each rule.
#[derive(Debug)]
pub(super) struct Alias {
    pub(super) at: Mark,
    pub(super) name: String,
    /// Rule as written, and its field.
    pub(super) fields: Vec<(Mark, String, FieldRef)>,
}

/// Reads a correlation, with no rules and group fields yet.
pub(super) fn read(scope: &mut Scope<'_>, node: &Node) -> Option<(Correlation, Unresolved)> {
    let Some(entries) = node.entries() else {
        scope.error(node.at, "bad-correlation", format!("`correlation` is {}; a map is wanted", node.kind()), KEYS.join(", "));
        return None;
    };
    for entry in entries.iter().filter(|entry| !KEYS.contains(&entry.key.as_str())) {
        let help = match entry.key.as_str() {
            "timeframe" => "did you mean `timespan`?".to_owned(),
            "level" => "`level` stands beside `correlation`, not in it".to_owned(),
            key => suggest(key, &KEYS),
        };
        scope.error(entry.at, "unknown-key", format!("unknown key `{}` in correlation", entry.key.escape_debug()), help);
    }
    let kind = kind(scope, node);
    let rules = rules(scope, node);
    let timespan = match node.get("timespan") {
        Some(timespan) => timespan_of(scope, timespan, "timespan"),
        None => {
            scope.error(node.at, "missing-timespan", "the correlation has no timespan", "add `timespan: 10m`");
            None
        }
    };
    let group_by = node.get("group-by").map_or_else(|| Some(Vec::new()), |node| names(scope, node, "group-by"));
    let aliases = node.get("aliases").map_or_else(|| Some(Vec::new()), |node| aliases(scope, node));
    let generate = match node.get("generate").map(|node| (&node.value, node.at)) {
        None => false,
        Some((Yaml::Bool(generate), _)) => *generate,
        Some((_, at)) => {
            scope.error(at, "bad-value", "`generate` is true or false", "");
            false
        }
    };
    let ((kind, is_extended), rules) = (kind?, rules?);
    let Bounds { bounds, fields: count_fields, percentile, condition } = bounds::read(scope, node, kind, is_extended, &rules)?;
    let unresolved = Unresolved { rules, group_by: group_by?, aliases: aliases?, generate };
    let timespan = timespan?;
    let correlation = Correlation { kind, rules: Vec::new(), group_by: Vec::new(), timespan, bounds, count_fields, percentile, condition };
    Some((correlation, unresolved))
}

/// The type, and whether its name asks for an expression.
fn kind(scope: &mut Scope<'_>, node: &Node) -> Option<(CorrelationKind, bool)> {
    let names: Vec<&str> = TYPES.iter().chain(&TYPES_EXTENDED).map(|(name, _)| *name).collect();
    let Some(written) = node.get("type") else {
        scope.error(node.at, "missing-type", "the correlation has no type", names.join(", "));
        return None;
    };
    let name = written.spelled().unwrap_or_default();
    let find = |types: &[(&str, CorrelationKind)]| types.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
    match (find(&TYPES), find(&TYPES_EXTENDED)) {
        (Some(kind), _) => Some((kind, false)),
        (None, Some(kind)) => Some((kind, true)),
        (None, None) => {
            scope.error(written.at, "unknown-correlation", format!("unknown correlation type `{}`", name.escape_debug()), suggest(name, &names));
            None
        }
    }
}

fn rules(scope: &mut Scope<'_>, node: &Node) -> Option<Vec<(Mark, String)>> {
    let rules = match (node.get("rules"), node.get("condition")) {
        (Some(node), _) => names(scope, node, "rules")?,
        (None, Some(condition)) if condition.text().is_some() => bounds::rules_of(scope, condition)?,
        (None, _) => Vec::new(),
    };
    if rules.is_empty() {
        let at = node.get("rules").map_or(node.at, |node| node.at);
        scope.error(at, "missing-rules", "the correlation refers to no rule", "add `rules:`, a list of ids or names");
        return None;
    }
    Some(rules)
}

fn aliases(scope: &mut Scope<'_>, node: &Node) -> Option<Vec<Alias>> {
    let Some(entries) = node.entries() else {
        scope.error(node.at, "bad-value", format!("`aliases` is {}; a map is wanted", node.kind()), "alias: {rule: field}");
        return None;
    };
    let mut aliases = Vec::with_capacity(entries.len());
    for entry in entries {
        let Some(of) = entry.value.entries() else {
            scope.error(entry.value.at, "bad-value", format!("an alias is {}; a map is wanted", entry.value.kind()), "alias: {rule: field}");
            return None;
        };
        let mut fields = Vec::with_capacity(of.len());
        for entry in of {
            let Some(name) = entry.value.text() else {
                scope.error(entry.value.at, "bad-value", format!("the field of an alias is {}", entry.value.kind()), "a field name is wanted");
                return None;
            };
            fields.push((entry.at, entry.key.clone(), scope.field(entry.value.at, name)?));
        }
        aliases.push(Alias { at: entry.at, name: entry.key.clone(), fields });
    }
    Some(aliases)
}
