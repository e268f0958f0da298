//! What stands under `detection:` into selections and their condition.

use super::alias;
use super::condition;
use super::diagnostic::Scope;
use super::element;
use super::modifier::Modifiers;
use super::value;
use super::yaml::{Entry, Mark, Node, Yaml};
use crate::detect::rule::{Condition, Detection, Item, Pattern, Place, Selection};

/// Selections of one rule.
const SELECTIONS_MAX: usize = 256;

/// Tests of one selection, after lists and variants are written out.
const TESTS_MAX: usize = 20_000;

/// Reads a detection, or what a filter has of one; `name` is the key it stands under.
pub(super) fn detection(scope: &mut Scope<'_>, node: &Node, name: &str) -> Option<Detection> {
    let Some(entries) = node.entries() else {
        scope.error(node.at, "bad-detection", format!("`{name}` is {}; a map of selections and a condition is wanted", node.kind()), "");
        return None;
    };
    let mut selections = Vec::new();
    let mut condition = None;
    let mut is_good = true;
    for entry in entries {
        match entry.key.as_str() {
            "condition" => condition = Some(&entry.value),
            "rules" if name == "filter" => {}
            "timeframe" => {
                let help = "write a correlation with `timespan:` that refers to this rule";
                scope.error(entry.at, "old-aggregation", "`timeframe` is no longer part of Sigma", help);
                is_good = false;
            }
            name => match selection(scope, &entry.value) {
                Some(selection) => selections.push((name.to_owned(), selection)),
                None => is_good = false,
            },
        }
    }
    if selections.len() > SELECTIONS_MAX {
        scope.error(
            node.at,
            "too-many-selections",
            format!("{} selections; {SELECTIONS_MAX} are read", selections.len()),
            "put values of one field into a list",
        );
        return None;
    }
    let Some(condition) = condition else {
        scope.error(node.at, "missing-condition", format!("the {name} has no condition"), "add `condition: selection`");
        return None;
    };
    // Without all selections the condition would only be blamed for what is wrong with them.
    if !is_good {
        return None;
    }
    let names: Vec<&str> = selections.iter().map(|(name, _)| name.as_str()).collect();
    let condition = conditions(scope, condition, &names)?;
    Some(Detection { selections, condition, filters: Vec::new() })
}

fn conditions(scope: &mut Scope<'_>, node: &Node, names: &[&str]) -> Option<Condition> {
    let nodes = match &node.value {
        Yaml::List(nodes) => nodes.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let mut all = Vec::with_capacity(nodes.len());
    for node in nodes {
        let Some(text) = node.spelled() else {
            scope.error(node.at, "bad-condition", format!("the condition is {}; text is wanted", node.kind()), "");
            return None;
        };
        match condition::parse(text, names) {
            Ok(condition) => all.push(condition),
            Err(error) => {
                let Yaml::Text { offset: Some(offset), .. } = node.value else {
                    let message = format!("{} (character {} of the condition)", error.message, error.at + 1);
                    scope.error(node.at, error.code, message, error.help);
                    return None;
                };
                let at = Mark { line: node.at.line, column: node.at.column + offset + error.at };
                scope.error(at, error.code, error.message, error.help);
                return None;
            }
        }
    }
    match all.len() {
        0 => {
            scope.error(node.at, "missing-condition", "the list of conditions is empty", "");
            None
        }
        1 => all.pop(),
        _ => Some(Condition::Or(all)),
    }
}

/// Reads one selection: a map, a list of maps, or words.
pub(super) fn selection(scope: &mut Scope<'_>, node: &Node) -> Option<Selection> {
    match &node.value {
        Yaml::Map(entries) => map(scope, node, entries),
        Yaml::List(nodes) => {
            let (maps, words): (Vec<&Node>, Vec<&Node>) = nodes.iter().partition(|node| matches!(node.value, Yaml::Map(_)));
            let mut any: Vec<Selection> = Vec::new();
            for node in &maps {
                any.push(map(scope, node, node.entries()?)?);
            }
            if !words.is_empty() {
                any.push(Selection::Keywords { words: keywords(scope, words)?, all: false });
            }
            match any.len() {
                0 => {
                    scope.error(node.at, "empty-selection", "the selection is empty", "give fields and values, or take it out");
                    None
                }
                1 => any.pop(),
                _ => Some(Selection::Any(any)),
            }
        }
        Yaml::Null => {
            scope.error(node.at, "empty-selection", "the selection is empty", "give fields and values, or take it out");
            None
        }
        _ => Some(Selection::Keywords { words: keywords(scope, vec![node])?, all: false }),
    }
}

fn map(scope: &mut Scope<'_>, node: &Node, entries: &[Entry]) -> Option<Selection> {
    if entries.is_empty() {
        scope.error(node.at, "empty-selection", "the selection is empty, and would match everything", "give fields and values, or take it out");
        return None;
    }
    if let Some(entry) = entries.iter().find(|entry| entry.key.is_empty() || entry.key.starts_with('|')) {
        if entries.len() > 1 {
            let help = "give the words a selection of their own and join both in the condition";
            scope.error(entry.at, "bad-keywords", "words cannot stand beside fields", help);
            return None;
        }
        if entry.key != "|all" {
            let message = format!("words without a field take no modifier but `|all`, not `{}`", entry.key.escape_debug());
            scope.error(entry.at, "bad-keywords", message, "words are found anywhere in a value without modifiers");
            return None;
        }
        let words = match &entry.value.value {
            Yaml::List(nodes) => nodes.iter().collect(),
            _ => vec![&entry.value],
        };
        return Some(Selection::Keywords { words: keywords(scope, words)?, all: true });
    }
    let read: Vec<Option<Vec<Item>>> = entries.iter().map(|entry| item(scope, &entry.key, entry.at, &entry.value)).collect();
    let items: Vec<Item> = read.into_iter().collect::<Option<Vec<_>>>()?.into_iter().flatten().collect();
    if items.iter().map(|item| item.tests.len()).sum::<usize>() > TESTS_MAX {
        scope.error(
            node.at,
            "too-many-values",
            format!("the selection makes more than {TESTS_MAX} tests"),
            "shorten the lists, or use fewer variants",
        );
        return None;
    }
    Some(Selection::All(items))
}

fn keywords(scope: &mut Scope<'_>, nodes: Vec<&Node>) -> Option<Vec<Pattern>> {
    if let (false, Some(node)) = (scope.within.is_empty(), nodes.first()) {
        scope.error(node.at, "bad-keywords", "words are looked for in whole events, not in an element", "name a field of the element");
        return None;
    }
    let mut words = Vec::with_capacity(nodes.len());
    for node in nodes {
        match node.spelled() {
            Some(text) if !text.is_empty() => words.push(Pattern { parts: value::parts(text), place: Place::Anywhere }),
            _ => {
                scope.error(
                    node.at,
                    "bad-keywords",
                    format!("a word is {}; text or a number is wanted", if node.text().is_some() { "empty" } else { node.kind() }),
                    "",
                );
                return None;
            }
        }
    }
    if words.is_empty() {
        return None;
    }
    Some(words)
}

/// Reads `field|modifiers: values`. It becomes more than one item where every value must hold and a value has variants.
pub(super) fn item(scope: &mut Scope<'_>, key: &str, at: Mark, value: &Node) -> Option<Vec<Item>> {
    if let Some(selector) = element::selector(key) {
        return element::item(scope, &selector, at, value).map(|item| vec![item]);
    }
    let mut names = key.split('|');
    let name = element::plain(names.next().unwrap_or_default());
    let modifiers = Modifiers::parse(scope, at, names);
    let nodes = match &value.value {
        Yaml::List(nodes) => nodes.as_slice(),
        _ => std::slice::from_ref(value),
    };
    let name = alias::name(scope, at, &name, nodes);
    let field = scope.field(at, name);
    let (modifiers, field) = (modifiers?, field?);
    if nodes.is_empty() {
        scope.error(value.at, "bad-value", format!("`{key}` has no values"), "give a value; null is for fields that are missing");
        return None;
    }
    if let Some(null) = nodes.iter().find(|node| nodes.len() > 1 && matches!(node.value, Yaml::Null)) {
        let message = "null stands in a list, where the specification has it alone; a field that is missing or null passes";
        scope.warning(null.at, "null-in-list", message, "give it a map of its own in a list of maps");
    }
    let read: Vec<Option<Vec<_>>> = nodes.iter().map(|node| value::tests(scope, node, &modifiers)).collect();
    let mut variants: Vec<Vec<_>> = read.into_iter().collect::<Option<_>>()?;
    variants.iter_mut().for_each(|tests| alias::values(scope, at, field.name(), tests));
    let negated = modifiers.negated;
    let all = modifiers.all && variants.len() > 1;
    // `|all|neq` has to stay one item: it says that not all of them hold.
    if all && variants.iter().any(|tests| tests.len() != 1) {
        if negated {
            let message = "`all` and `neq` cannot go together with values that have variants";
            scope.error(at, "modifier-conflict", message, "use `not` in the condition");
            return None;
        }
        return Some(variants.into_iter().map(|tests| Item { field: field.clone(), tests, all: false, negated }).collect());
    }
    Some(vec![Item { field, tests: variants.into_iter().flatten().collect(), all, negated }])
}
