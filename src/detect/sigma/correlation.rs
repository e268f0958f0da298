//! What stands under `correlation:`. Rules it refers to are names here; `link` turns them into indices.

use super::diagnostic::{Scope, suggest};
use super::document::names;
use super::text::timespan_of;
use super::yaml::{Mark, Node, Yaml};
use crate::detect::rule::{Comparison, Correlation, CorrelationKind};
use crate::model::FieldRef;

const KEYS: [&str; 7] = ["type", "rules", "group-by", "timespan", "condition", "aliases", "generate"];

const TYPES: [&str; 4] = ["event_count", "value_count", "temporal", "temporal_ordered"];

/// Types of the specification, and of proposals to it, that are not read yet.
const TYPES_TO_COME: [&str; 6] = ["value_sum", "value_avg", "value_percentile", "value_median", "temporal_extended", "temporal_ordered_extended"];

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
    let kind = kind?;
    let (bounds, count_fields) = condition(scope, node, kind)?;
    let unresolved = Unresolved { rules: rules?, group_by: group_by?, aliases: aliases?, generate };
    Some((Correlation { kind, rules: Vec::new(), group_by: Vec::new(), timespan: timespan?, bounds, count_fields }, unresolved))
}

fn kind(scope: &mut Scope<'_>, node: &Node) -> Option<CorrelationKind> {
    let Some(written) = node.get("type") else {
        scope.error(node.at, "missing-type", "the correlation has no type", TYPES.join(", "));
        return None;
    };
    Some(match written.spelled().unwrap_or_default() {
        "event_count" => CorrelationKind::EventCount,
        "value_count" => CorrelationKind::ValueCount,
        "temporal" => CorrelationKind::Temporal,
        "temporal_ordered" => CorrelationKind::TemporalOrdered,
        name if TYPES_TO_COME.contains(&name) => {
            scope.error(
                written.at,
                "unsupported-correlation",
                format!("correlation type `{name}` is not supported yet"),
                format!("supported are {}", TYPES.join(", ")),
            );
            return None;
        }
        name => {
            scope.error(written.at, "unknown-correlation", format!("unknown correlation type `{}`", name.escape_debug()), suggest(name, &TYPES));
            return None;
        }
    })
}

fn rules(scope: &mut Scope<'_>, node: &Node) -> Option<Vec<(Mark, String)>> {
    let rules = node.get("rules").map_or_else(|| Some(Vec::new()), |node| names(scope, node, "rules"))?;
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

/// Bounds on the count, and the fields that are counted.
type Condition = (Vec<(Comparison, f64)>, Vec<FieldRef>);

/// Reads the bounds, and the fields of `value_count`.
fn condition(scope: &mut Scope<'_>, node: &Node, kind: CorrelationKind) -> Option<Condition> {
    let needs = matches!(kind, CorrelationKind::EventCount | CorrelationKind::ValueCount);
    let Some(condition) = node.get("condition") else {
        if needs {
            scope.error(node.at, "missing-condition", "the correlation has no condition", "add `condition:` with `gte: 10`");
            return None;
        }
        return Some((Vec::new(), Vec::new()));
    };
    let Some(entries) = condition.entries() else {
        let (code, message) = match condition.text() {
            Some(_) => ("unsupported-condition", "conditions over rules as text are not supported yet".to_owned()),
            None => ("bad-condition", format!("the condition is {}; a map is wanted", condition.kind())),
        };
        scope.error(condition.at, code, message, "such as `condition: {gte: 10}`");
        return None;
    };
    let mut bounds = Vec::new();
    let mut fields = Vec::new();
    for entry in entries {
        let op = match entry.key.as_str() {
            "gt" => Comparison::Gt,
            "gte" => Comparison::Gte,
            "lt" => Comparison::Lt,
            "lte" => Comparison::Lte,
            "eq" => Comparison::Eq,
            "neq" => Comparison::Neq,
            "field" if kind == CorrelationKind::ValueCount => {
                fields = super::document::fields(scope, &entry.value, "field")?;
                continue;
            }
            "field" => {
                scope.error(
                    entry.at,
                    "bad-condition",
                    "only `value_count` counts the values of a field",
                    "use `type: value_count`, or leave the field out",
                );
                return None;
            }
            key => {
                let known = ["gt", "gte", "lt", "lte", "eq", "neq", "field"];
                scope.error(entry.at, "unknown-key", format!("unknown key `{}` in the condition", key.escape_debug()), suggest(key, &known));
                return None;
            }
        };
        match entry.value.value {
            Yaml::Number(_, number) if number >= 0.0 && number.fract() == 0.0 && number <= 1e15 => bounds.push((op, number)),
            _ => {
                scope.error(entry.value.at, "bad-value", format!("`{}` takes a whole number that is not negative", entry.key), "");
                return None;
            }
        }
    }
    if bounds.is_empty() && needs {
        scope.error(condition.at, "missing-condition", "the condition has no bound", "add `gte: 10`");
        return None;
    }
    if fields.is_empty() && kind == CorrelationKind::ValueCount {
        scope.error(condition.at, "missing-field", "`value_count` needs the field whose values it counts", "add `field:` to the condition");
        return None;
    }
    Some((bounds, fields))
}
