//! The `condition` of a correlation: bounds on a number, or an expression over rules.

use super::condition;
use super::diagnostic::{Scope, suggest};
use super::yaml::{Entry, Mark, Node, Yaml};
use crate::detect::correlate::ways::ways;
use crate::detect::rule::{Comparison, Condition, CorrelationKind};
use crate::model::FieldRef;

const KEYS: [&str; 8] = ["gt", "gte", "lt", "lte", "eq", "neq", "field", "percentile"];

/// Numbers beyond this are refused as bounds.
const BOUND_MAX: f64 = 1e15;

/// Which percentile is meant where a rule names none.
const PERCENTILE_USUAL: f64 = 50.0;

/// What a condition says.
#[derive(Debug)]
pub(super) struct Bounds {
    pub(super) bounds: Vec<(Comparison, f64)>,
    pub(super) fields: Vec<FieldRef>,
    pub(super) percentile: f64,
    pub(super) condition: Option<Condition>,
}

impl Bounds {
    fn none() -> Self {
        Self { bounds: Vec::new(), fields: Vec::new(), percentile: PERCENTILE_USUAL, condition: None }
    }
}

pub(super) fn is_temporal(kind: CorrelationKind) -> bool {
    matches!(kind, CorrelationKind::Temporal | CorrelationKind::TemporalOrdered)
}

/// Whether the numbers of a field are taken, rather than events or values counted.
fn is_numeric(kind: CorrelationKind) -> bool {
    !is_temporal(kind) && !matches!(kind, CorrelationKind::EventCount | CorrelationKind::ValueCount)
}

/// Reads the condition of a correlation of this type over these rules. `is_extended` types need an expression.
pub(super) fn read(scope: &mut Scope<'_>, node: &Node, kind: CorrelationKind, is_extended: bool, rules: &[(Mark, String)]) -> Option<Bounds> {
    let Some(condition) = node.get("condition") else {
        let help = match (is_extended, is_temporal(kind)) {
            (true, _) => "such as `condition: one_rule and not other_rule`",
            (false, true) => return Some(Bounds::none()),
            (false, false) => "add `condition:` with `gte: 10`",
        };
        scope.error(node.at, "missing-condition", "the correlation has no condition", help);
        return None;
    };
    if let Some(text) = condition.text() {
        if !is_temporal(kind) {
            let help = "such as `condition: {gte: 10}`; expressions over rules are for `temporal` and `temporal_ordered`";
            scope.error(condition.at, "bad-condition", "the condition is text; a map is wanted", help);
            return None;
        }
        return expression(scope, condition, text, rules);
    }
    let Some(entries) = condition.entries().filter(|_| !is_extended) else {
        let (wanted, help) = match is_extended {
            true => ("an expression over rules", "such as `condition: one_rule and not other_rule`"),
            false => ("a map", "such as `condition: {gte: 10}`"),
        };
        scope.error(condition.at, "bad-condition", format!("the condition is {}; {wanted} is wanted", condition.kind()), help);
        return None;
    };
    let mut read = Bounds::none();
    let mut has_percentile = false;
    for entry in entries {
        has_percentile |= entry.key == "percentile";
        item(scope, entry, kind, &mut read)?;
    }
    if read.bounds.is_empty() && !is_temporal(kind) {
        scope.error(condition.at, "missing-condition", "the condition has no bound", "add `gte: 10`");
        return None;
    }
    let wants_field = kind == CorrelationKind::ValueCount || is_numeric(kind);
    if read.fields.is_empty() && wants_field {
        let (name, does) = (kind.name(), if is_numeric(kind) { "numbers it takes" } else { "values it counts" });
        scope.error(condition.at, "missing-field", format!("`{name}` needs the field whose {does}"), "add `field:` to the condition");
        return None;
    }
    if kind == CorrelationKind::ValuePercentile && !has_percentile {
        scope.warning(condition.at, "missing-percentile", "no `percentile:` is named: the percentile 50 is taken", "such as `percentile: 95`");
    }
    Some(read)
}

fn item(scope: &mut Scope<'_>, entry: &Entry, kind: CorrelationKind, to: &mut Bounds) -> Option<()> {
    let op = match entry.key.as_str() {
        "gt" => Comparison::Gt,
        "gte" => Comparison::Gte,
        "lt" => Comparison::Lt,
        "lte" => Comparison::Lte,
        "eq" => Comparison::Eq,
        "neq" => Comparison::Neq,
        "field" => return field(scope, entry, kind, to),
        "percentile" => return percentile(scope, entry, kind, to),
        key => {
            scope.error(entry.at, "unknown-key", format!("unknown key `{}` in the condition", key.escape_debug()), suggest(key, &KEYS));
            return None;
        }
    };
    let is_whole = |number: f64| number >= 0.0 && number.fract() == 0.0;
    match entry.value.value {
        Yaml::Number(_, number) if number.abs() <= BOUND_MAX && (is_numeric(kind) || is_whole(number)) => to.bounds.push((op, number)),
        _ if is_numeric(kind) => {
            scope.error(entry.value.at, "bad-value", format!("`{}` takes a number of at most 15 digits", entry.key), "");
            return None;
        }
        _ => {
            scope.error(entry.value.at, "bad-value", format!("`{}` takes a whole number that is not negative", entry.key), "");
            return None;
        }
    }
    Some(())
}

fn field(scope: &mut Scope<'_>, entry: &Entry, kind: CorrelationKind, to: &mut Bounds) -> Option<()> {
    if kind != CorrelationKind::ValueCount && !is_numeric(kind) {
        let help = "use `type: value_count`, or leave the field out";
        scope.error(entry.at, "bad-condition", "only `value_` types look at the values of a field", help);
        return None;
    }
    to.fields = super::document::fields(scope, &entry.value, "field")?;
    if is_numeric(kind) && to.fields.len() > 1 {
        let help = "normalise the field in the settings if its name differs from rule to rule";
        scope.error(entry.at, "bad-condition", format!("`{}` takes the numbers of one field", kind.name()), help);
        return None;
    }
    Some(())
}

fn percentile(scope: &mut Scope<'_>, entry: &Entry, kind: CorrelationKind, to: &mut Bounds) -> Option<()> {
    if kind != CorrelationKind::ValuePercentile {
        scope.error(entry.at, "bad-condition", "only `value_percentile` has a percentile", "use `type: value_percentile`, or leave it out");
        return None;
    }
    match entry.value.value {
        Yaml::Number(_, number) if (0.0..=100.0).contains(&number) => to.percentile = number,
        _ => {
            scope.error(entry.value.at, "bad-value", "`percentile` takes a number from 0 to 100", "");
            return None;
        }
    }
    Some(())
}

/// The place of a character of a node's text.
fn place(node: &Node, at: usize) -> Option<Mark> {
    match node.value {
        Yaml::Text { offset: Some(offset), .. } => Some(Mark { line: node.at.line, column: node.at.column + offset + at }),
        _ => None,
    }
}

fn expression(scope: &mut Scope<'_>, node: &Node, text: &str, rules: &[(Mark, String)]) -> Option<Bounds> {
    let names: Vec<&str> = rules.iter().map(|(_, name)| name.as_str()).collect();
    let condition = match condition::parse_over("rule", text, &names) {
        Ok(condition) => condition,
        Err(error) => {
            let message = match place(node, error.at) {
                Some(_) => error.message,
                None => format!("{} (character {} of the condition)", error.message, error.at + 1),
            };
            scope.error(place(node, error.at).unwrap_or(node.at), error.code, message, error.help);
            return None;
        }
    };
    let mut used = vec![false; rules.len()];
    condition.each(&mut |rule| used[rule] = true);
    for ((at, name), _) in rules.iter().zip(used).filter(|(_, is_used)| !is_used) {
        let message = format!("`{}` stands in `rules` and not in the condition", name.escape_debug());
        scope.error(*at, "unused-rule", message, "name it in the condition, or leave it out");
    }
    if let Err(reason) = ways(&condition, rules.len()) {
        scope.error(node.at, "bad-condition", reason, "such as `one_rule and not other_rule`");
    }
    Some(Bounds { condition: Some(condition), ..Bounds::none() })
}

/// The rules that an expression names, where no list says which: in the order they stand in.
pub(super) fn rules_of(scope: &mut Scope<'_>, node: &Node) -> Option<Vec<(Mark, String)>> {
    let text = node.text()?;
    let words = condition::words(text).ok()?;
    if words.iter().any(|(_, word)| word.eq_ignore_ascii_case("of")) {
        scope.error(node.at, "missing-rules", "`of` needs a list of rules to choose from", "add `rules:`, a list of ids or names");
        return None;
    }
    let mut rules: Vec<(Mark, String)> = Vec::new();
    for (at, word) in words {
        let is_keyword = ["and", "or", "not"].iter().any(|keyword| word.eq_ignore_ascii_case(keyword));
        if !is_keyword && rules.iter().all(|(_, name)| name != word) {
            rules.push((place(node, at).unwrap_or(node.at), word.to_owned()));
        }
    }
    Some(rules)
}
