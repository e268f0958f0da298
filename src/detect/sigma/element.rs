//! Array scopes: `spec.containers[any]: {name: web, image|contains: evil}`.
//!
//! A selector behind a field's name looks at each element of its list alone: `[any]` at least one, `[all]` every one of at least one,
//! `[all_or_empty]` every one, `[none]` none, `[0]` the first. What must hold of the element is a map below (also a list of maps, or
//! selections with a `condition`), a name behind the selector, or, for elements that are no maps, the values or the name `.`. Names
//! below are those of the element's own fields. Without a selector any element may pass each test. A value that is no list has no
//! elements. `\[` is a bracket that is part of a name.

use super::diagnostic::Scope;
use super::selection;
use super::yaml::{Mark, Node, Yaml};
use crate::detect::rule::{Condition, Detection, Each, Elements, Item, Test};
use crate::model::FieldRef;

/// The last place of a list that can be asked for: no more elements of a record are read.
const INDEX_MAX: usize = 9_999;

/// Scopes within scopes.
const DEPTH_MAX: usize = 8;

/// A key up to and with its first selector, and what stands behind it.
#[derive(Debug)]
pub(super) struct Selector<'k> {
    list: &'k str,
    /// `None` if the bracket is never closed.
    each: Option<&'k str>,
    behind: &'k str,
    /// Characters before the bracket.
    at: usize,
}

/// The first selector of a key, before its modifiers.
pub(super) fn selector(key: &str) -> Option<Selector<'_>> {
    let name = key.split('|').next().unwrap_or_default();
    let (open, _) = name.char_indices().find(|(at, c)| *c == '[' && !name.get(..*at).unwrap_or_default().ends_with('\\'))?;
    let list = key.get(..open)?;
    let rest = key.get(open + 1..)?;
    let (each, behind) = rest.split_once(']').map_or((None, ""), |(each, behind)| (Some(each), behind));
    Some(Selector { list, each, behind, at: list.chars().count() })
}

/// A name in which brackets are only part of it.
pub(super) fn plain(name: &str) -> String {
    name.replace("\\[", "[").replace("\\]", "]")
}

/// Reads a key with a selector, and what stands below it.
pub(super) fn item(scope: &mut Scope<'_>, selector: &Selector<'_>, at: Mark, value: &Node) -> Option<Item> {
    let place = Mark { column: at.column + selector.at, ..at };
    let Some(text) = selector.each else {
        scope.error(place, "bad-array-scope", "a `[` is never closed", "`\\[` is a bracket that is part of a name");
        return None;
    };
    let (each, negated) = each(scope, place, text)?;
    let field = list(scope, at, selector.list)?;
    if scope.within.len() >= DEPTH_MAX {
        scope.error(place, "bad-array-scope", format!("array scopes are nested deeper than {DEPTH_MAX}"), "");
        return None;
    }
    scope.within.push(field.name().to_owned());
    let detection = body(scope, selector, at, value);
    scope.within.pop();
    Some(Item { field, tests: vec![Test::Elements(Box::new(Elements { each, detection: detection? }))], all: false, negated })
}

fn each(scope: &mut Scope<'_>, at: Mark, text: &str) -> Option<(Each, bool)> {
    const HELP: &str = "any, all, all_or_empty, none, or the place of an element from 0";
    let index = text.parse::<usize>().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
    match (text, index) {
        ("any", _) => Some((Each::Any, false)),
        ("none", _) => Some((Each::Any, true)),
        ("all", _) => Some((Each::All, false)),
        ("all_or_empty", _) => Some((Each::AllOrEmpty, false)),
        (_, Some(index)) if index <= INDEX_MAX => Some((Each::At(index), false)),
        _ if !text.is_empty() && text.trim_start_matches('-').bytes().all(|b| b.is_ascii_digit()) => {
            let message = format!("no element has the place {text}: places are 0 to {INDEX_MAX}");
            scope.error(at, "bad-array-scope", message, HELP);
            None
        }
        _ => {
            scope.error(at, "bad-array-scope", format!("`[{}]` is no array scope", text.escape_debug()), HELP);
            None
        }
    }
}

/// The list's name. Normalised fields have no elements, and mappings know whole names only.
fn list(scope: &mut Scope<'_>, at: Mark, name: &str) -> Option<FieldRef> {
    let name = plain(name);
    if scope.settings.field_mappings.contains_key(&name) {
        scope.error(at, "bad-array-scope", format!("`{name}` is mapped to another field, which scopes cannot follow"), "write the other field");
        return None;
    }
    let field = scope.field(at, &name)?;
    if let FieldRef::Fact(_) = field {
        let message = format!("`{name}` is a normalised field, which has values and no elements");
        scope.error(at, "bad-array-scope", message, "without a scope any value may match; scopes are for fields of the record");
        return None;
    }
    Some(field)
}

fn body(scope: &mut Scope<'_>, selector: &Selector<'_>, at: Mark, value: &Node) -> Option<Detection> {
    let lone = |selection| Detection { selections: vec![(String::new(), selection)], condition: Condition::Selection(0), filters: Vec::new() };
    let is_map = |node: &Node| matches!(node.value, Yaml::Map(_));
    let is_block = is_map(value) || matches!(&value.value, Yaml::List(nodes) if !nodes.is_empty() && nodes.iter().all(is_map));
    let key = match (selector.behind.strip_prefix('.'), is_block) {
        (None, true) if selector.behind.is_empty() => {
            let is_extended = value.get("condition").is_some()
                && value.entries().is_some_and(|entries| {
                    entries.iter().all(|entry| entry.key == "condition" || matches!(entry.value.value, Yaml::Map(_) | Yaml::List(_)))
                });
            return if is_extended { selection::detection(scope, value, "array scope") } else { selection::selection(scope, value).map(lone) };
        }
        (None, true) => {
            scope.error(at, "bad-array-scope", "a modifier cannot change a map", "modifiers stand behind the names in it");
            return None;
        }
        (None, false) if selector.behind.is_empty() || selector.behind.starts_with('|') => format!(".{}", selector.behind),
        (Some(behind), _) if !behind.is_empty() => behind.to_owned(),
        _ => {
            let message = format!("`{}` cannot stand behind a selector", selector.behind.escape_debug());
            scope.error(at, "bad-array-scope", message, "a dot and the name of a field of the element");
            return None;
        }
    };
    let items = selection::item(scope, &key, at, value)?;
    Some(lone(crate::detect::rule::Selection::All(items)))
}
