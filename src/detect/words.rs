//! Parts of rules in words, as people read them.

use std::fmt::Write as _;

use super::fold::cut;
use super::rule::{Condition, Detection, Each, Elements, Item, Part, Pattern, Place, Selection, Test};

/// Bytes of what is told of one item; the rest is cut.
const ITEM_BYTES_MAX: usize = 400;

/// Values told of one item.
const VALUES_MAX: usize = 8;

/// A field and what is asked of it.
pub(super) fn item(of: &Item) -> String {
    let mut out = if of.negated { "not ".to_owned() } else { String::new() };
    out.push_str(of.field.name());
    let between = if of.all { " and" } else { " or" };
    for (at, one) in of.tests.iter().take(VALUES_MAX).enumerate() {
        let _ = write!(out, "{} {}", if at > 0 { between } else { "" }, test(one));
    }
    if of.tests.len() > VALUES_MAX {
        let _ = write!(out, "{between} {} more", of.tests.len() - VALUES_MAX);
    }
    if out.len() > ITEM_BYTES_MAX { format!("{}…", cut(&out, ITEM_BYTES_MAX)) } else { out }
}

/// A test of a value.
pub(super) fn test(of: &Test) -> String {
    let with_case = |cased: bool| if cased { " (with case)" } else { "" };
    match of {
        Test::Text { pattern, cased } => format!("{}{}", self::pattern(pattern), with_case(*cased)),
        Test::Number { op, value } => format!("{} {value}", op.sign()),
        Test::Time { part, op, value } => format!("{} {} {value}", part.name(), op.sign()),
        Test::Regex { pattern, .. } => format!("matches /{pattern}/"),
        Test::Cidr { text } => format!("in {text}"),
        Test::Exists(true) => "exists".to_owned(),
        Test::Exists(false) => "is missing".to_owned(),
        Test::Null => "is null or missing".to_owned(),
        Test::FieldRef { other, place, cased } => format!("{} the value of {}{}", place.words(), other.name(), with_case(*cased)),
        Test::Elements(elements) => self::elements(elements),
    }
}

fn elements(of: &Elements) -> String {
    let each = match of.each {
        Each::Any => "an element has".to_owned(),
        Each::All => "every element has".to_owned(),
        Each::AllOrEmpty => "every element, if any, has".to_owned(),
        Each::At(index) => format!("element {index} has"),
    };
    format!(
        "{each} ({})",
        condition_of(&of.detection.condition, &|at| of.detection.selections.get(at).map_or_else(String::new, |(_, of)| selection(of)))
    )
}

fn selection(of: &Selection) -> String {
    match of {
        Selection::All(items) => items.iter().map(item).collect::<Vec<_>>().join(" and "),
        Selection::Any(of) => of.iter().map(selection).collect::<Vec<_>>().join(" or "),
        Selection::Keywords { words, all } => keywords(words, *all),
    }
}

/// Words that are looked for in every value.
pub(super) fn keywords(words: &[Pattern], all: bool) -> String {
    let told: Vec<String> = words.iter().take(VALUES_MAX).map(|word| format!("{:?}", text(word))).collect();
    let more = if words.len() > VALUES_MAX { format!(" and {} more", words.len() - VALUES_MAX) } else { String::new() };
    format!("any value contains {}{}{more}", if all { "all of " } else { "" }, told.join(", "))
}

fn text(of: &Pattern) -> String {
    of.parts
        .iter()
        .map(|part| match part {
            Part::Text(text) => text.as_str(),
            Part::Many => "*",
            Part::One => "?",
        })
        .collect()
}

pub(super) fn pattern(of: &Pattern) -> String {
    let text = text(of);
    if of.place == Place::Whole && of.parts == [Part::Many] { "has a value".to_owned() } else { format!("{} {text:?}", of.place.words()) }
}

/// A condition over selections, by their names.
pub(super) fn condition(of: &Detection) -> String {
    condition_of(&of.condition, &|at| of.selections.get(at).map_or_else(String::new, |(name, _)| name.clone()))
}

/// A condition over what these names are for.
pub(super) fn condition_of(of: &Condition, name: &dyn Fn(usize) -> String) -> String {
    let list = |of: &[Condition], between: &str| of.iter().map(|inner| within(inner, name)).collect::<Vec<_>>().join(between);
    match of {
        Condition::Selection(at) => name(*at),
        Condition::Not(inner) => format!("not {}", within(inner, name)),
        Condition::And(of) => list(of, " and "),
        Condition::Or(of) => list(of, " or "),
        Condition::AtLeast(count, of) => format!("at least {count} of ({})", list(of, ", ")),
    }
}

/// In brackets where it could be read otherwise.
fn within(of: &Condition, name: &dyn Fn(usize) -> String) -> String {
    let text = condition_of(of, name);
    if matches!(of, Condition::And(_) | Condition::Or(_)) { format!("({text})") } else { text }
}
