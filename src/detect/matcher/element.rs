//! Conditions on the elements of a list, each looked at alone.
//!
//! An element's leaves stand side by side in the record, so one pass over the leaves parts them into elements. Of lists within lists the
//! innermost elements count, and each list counts its own from 0. What an element is asked has no index: it is evaluated when a rule gets so far, which
//! the [`necessary`](super::necessary) conditions on whole records keep rare.

use std::fmt::Write as _;
use std::ops::Range;

use super::check::{Check, Shape, fold_parts, regex, shape};
use crate::detect::cidr::Cidr;
use crate::detect::fold::{Glob, fold};
use crate::detect::rule::{self, Condition, Detection, Each, Item, Part, Selection, Test};
use crate::model::{Doc, FieldRef, Leaf, LeafKind, Path};

/// Nesting of what is asked of an element; deeper rules are refused.
const DEPTH_MAX: usize = 64;

/// Lists within one another that are told apart; a record is no deeper.
const LISTS_MAX: usize = 64;

/// What is asked of a list's elements.
#[derive(Debug)]
pub(super) struct Elements {
    lists: Box<[Path]>,
    each: Each,
    ask: Ask,
}

/// What is asked of one element.
#[derive(Debug)]
enum Ask {
    Test { paths: Box<[Path]>, check: Check },
    Inner(Box<Elements>),
    Not(Box<Ask>),
    And(Vec<Ask>),
    Or(Vec<Ask>),
    AtLeast(usize, Vec<Ask>),
}

/// An element: where its leaves stand, and its container if it is no scalar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Element {
    leaves: Range<usize>,
    container: Option<u32>,
}

impl Element {
    /// Its text, as the record has it.
    pub(super) fn text<'d>(&self, doc: &'d Doc) -> &'d str {
        match self.container.and_then(|at| doc.containers().get(at as usize)) {
            Some(container) => doc.container_text(container),
            None => doc.leaves().get(self.leaves.start).map_or("", |leaf| doc.value(leaf).text),
        }
    }
}

/// Counts the elements of the lists that the pass is in.
struct Places {
    lists: [(u32, usize); LISTS_MAX],
    depth: usize,
}

impl Places {
    fn next(&mut self, list: u32) -> usize {
        match self.lists[..self.depth].iter().rposition(|(known, _)| *known == list) {
            Some(at) => {
                self.depth = at + 1;
                self.lists[at].1 += 1;
                self.lists[at].1
            }
            None => {
                let at = self.depth.min(LISTS_MAX - 1);
                self.lists[at] = (list, 0);
                self.depth = at + 1;
                0
            }
        }
    }
}

impl Elements {
    /// Compiles a test of elements, and says what it is in words that no other test has.
    pub(super) fn new(field: &FieldRef, elements: &rule::Elements) -> Result<(Self, String), String> {
        let mut text = String::new();
        let compiled = Self::compile(field, elements, &mut text, 0)?;
        Ok((compiled, text))
    }

    fn compile(field: &FieldRef, elements: &rule::Elements, text: &mut String, depth: usize) -> Result<Self, String> {
        let FieldRef::Native { paths, .. } = field else { return Err("a normalised field has no elements".to_owned()) };
        let _ = match elements.each {
            Each::Any => write!(text, "any element: "),
            Each::All => write!(text, "all elements: "),
            Each::AllOrEmpty => write!(text, "all elements, if any: "),
            Each::At(index) => write!(text, "element {index}: "),
        };
        Ok(Self { lists: paths.clone(), each: elements.each, ask: detection(&elements.detection, text, depth + 1)? })
    }

    /// Whether it holds for a record. `scratch` is only lent.
    pub(super) fn holds(&self, doc: &Doc, scratch: &mut String) -> bool {
        self.judge(doc, 0..doc.leaves().len(), scratch).0
    }

    /// The first element that is as asked.
    pub(super) fn find(&self, doc: &Doc, scratch: &mut String) -> Option<Element> {
        self.judge(doc, 0..doc.leaves().len(), scratch).1
    }

    fn judge(&self, doc: &Doc, within: Range<usize>, scratch: &mut String) -> (bool, Option<Element>) {
        let mut places = Places { lists: [(0, 0); LISTS_MAX], depth: 0 };
        let (mut at, mut count, mut found) = (within.start, 0_usize, None);
        while at < within.end {
            let Some((list, child)) = self.element_of(doc, at) else {
                at += 1;
                continue;
            };
            let start = at;
            at += 1;
            while at < within.end && child.is_some() && self.element_of(doc, at) == Some((list, child)) {
                at += 1;
            }
            let index = places.next(list);
            if matches!(self.each, Each::At(wanted) if wanted != index) {
                continue;
            }
            count += 1;
            let element = Element { leaves: start..at, container: child };
            match (self.ask.holds(doc, &element, scratch), self.each) {
                (true, Each::Any | Each::At(_)) => return (true, Some(element)),
                (true, Each::All | Each::AllOrEmpty) => found = found.or(Some(element)),
                (false, Each::All | Each::AllOrEmpty) => return (false, None),
                (false, Each::Any | Each::At(_)) => {}
            }
        }
        match self.each {
            Each::Any | Each::At(_) => (false, None),
            Each::All => (count > 0, found),
            Each::AllOrEmpty => (true, found),
        }
    }

    /// The list that a leaf belongs to, and the element in it; none for an element that is a scalar.
    fn element_of(&self, doc: &Doc, leaf: usize) -> Option<(u32, Option<u32>)> {
        let leaf = doc.leaves().get(leaf)?;
        let (mut child, mut parent) = (None, leaf.parent);
        loop {
            let container = doc.containers().get(parent as usize)?;
            if container.is_array && self.lists.contains(&container.path) {
                // An empty list within the list is no element.
                return (child.is_some() || leaf.kind != LeafKind::EmptyArray).then_some((parent, child));
            }
            if container.parent == parent {
                return None;
            }
            (child, parent) = (Some(parent), container.parent);
        }
    }
}

impl Ask {
    fn holds(&self, doc: &Doc, element: &Element, scratch: &mut String) -> bool {
        match self {
            Self::Test { paths, check } => passes(doc, element, paths, check, scratch),
            Self::Inner(elements) => elements.judge(doc, element.leaves.clone(), scratch).0,
            Self::Not(inner) => !inner.holds(doc, element, scratch),
            Self::And(of) => of.iter().all(|inner| inner.holds(doc, element, scratch)),
            Self::Or(of) => of.iter().any(|inner| inner.holds(doc, element, scratch)),
            Self::AtLeast(count, of) => of.iter().filter(|inner| inner.holds(doc, element, scratch)).count() >= *count,
        }
    }
}

fn passes(doc: &Doc, element: &Element, paths: &[Path], check: &Check, scratch: &mut String) -> bool {
    let leaves = doc.leaves().get(element.leaves.clone()).unwrap_or_default();
    let is_empty = |leaf: &Leaf| matches!(leaf.kind, LeafKind::EmptyObject | LeafKind::EmptyArray);
    let mut own = leaves.iter().filter(|leaf| paths.contains(&leaf.path));
    match check {
        Check::Exists => own.next().is_some() || leaves.iter().any(|leaf| lies_in(doc, element, leaf, paths, false)),
        Check::Any => {
            own.any(|leaf| !matches!(leaf.kind, LeafKind::Null | LeafKind::EmptyArray | LeafKind::EmptyObject))
                || leaves.iter().any(|leaf| lies_in(doc, element, leaf, paths, true))
        }
        check => own.any(|leaf| !is_empty(leaf) && check.holds(doc.value(leaf), scratch)),
    }
}

/// Whether a leaf lies in an object, or in a list too, at one of these paths within the element.
fn lies_in(doc: &Doc, element: &Element, leaf: &Leaf, paths: &[Path], is_object: bool) -> bool {
    let mut at = leaf.parent;
    while let Some(container) = doc.containers().get(at as usize) {
        if paths.contains(&container.path) && !(is_object && container.is_array) {
            return true;
        }
        if Some(at) == element.container || container.parent == at {
            return false;
        }
        at = container.parent;
    }
    false
}

fn detection(detection: &Detection, text: &mut String, depth: usize) -> Result<Ask, String> {
    condition(&detection.condition, detection, text, depth)
}

fn condition(of: &Condition, detection: &Detection, text: &mut String, depth: usize) -> Result<Ask, String> {
    if depth > DEPTH_MAX {
        return Err(format!("what is asked of an element is nested deeper than {DEPTH_MAX}"));
    }
    let list = |of: &[Condition], text: &mut String, name: &str| -> Result<Vec<Ask>, String> {
        let _ = write!(text, "{name}(");
        let all = of.iter().map(|inner| condition(inner, detection, text, depth + 1)).collect();
        text.push_str(") ");
        all
    };
    Ok(match of {
        Condition::Selection(at) => {
            let (_, inner) = detection.selections.get(*at).ok_or("the condition names a selection that is not there")?;
            selection(inner, text, depth + 1)?
        }
        Condition::Not(inner) => {
            text.push_str("not ");
            Ask::Not(Box::new(condition(inner, detection, text, depth + 1)?))
        }
        Condition::And(of) => Ask::And(list(of, text, "all")?),
        Condition::Or(of) => Ask::Or(list(of, text, "any")?),
        Condition::AtLeast(count, of) => Ask::AtLeast(*count, list(of, text, &count.to_string())?),
    })
}

fn selection(of: &Selection, text: &mut String, depth: usize) -> Result<Ask, String> {
    if depth > DEPTH_MAX {
        return Err(format!("what is asked of an element is nested deeper than {DEPTH_MAX}"));
    }
    match of {
        Selection::All(items) => {
            text.push_str("all(");
            let all = items.iter().map(|item| self::item(item, text, depth)).collect::<Result<_, _>>()?;
            text.push_str(") ");
            Ok(Ask::And(all))
        }
        Selection::Any(of) => {
            text.push_str("any(");
            let any = of.iter().map(|inner| selection(inner, text, depth + 1)).collect::<Result<_, _>>()?;
            text.push_str(") ");
            Ok(Ask::Or(any))
        }
        Selection::Keywords { .. } => Err("words cannot be looked for in an element".to_owned()),
    }
}

fn item(item: &Item, text: &mut String, depth: usize) -> Result<Ask, String> {
    let FieldRef::Native { name, paths } = &item.field else { return Err("an element has no normalised fields".to_owned()) };
    let _ = write!(text, "{}{name:?} {}(", if item.negated { "not " } else { "" }, if item.all { "all" } else { "" });
    let of = item.tests.iter().map(|test| self::test(&item.field, paths, test, text, depth)).collect::<Result<_, _>>()?;
    text.push_str(") ");
    let ask = if item.all { Ask::And(of) } else { Ask::Or(of) };
    Ok(if item.negated { Ask::Not(Box::new(ask)) } else { ask })
}

/// A test in words; different tests have different ones.
fn words(test: &Test) -> String {
    match test {
        Test::Text { pattern, cased } => {
            let parts = pattern.parts.iter().map(|part| match part {
                Part::Text(text) => text.replace('\\', "\\\\").replace('*', "\\*").replace('?', "\\?"),
                Part::Many => "*".to_owned(),
                Part::One => "?".to_owned(),
            });
            format!("{}{} {:?}", pattern.place.words(), if *cased { " cased" } else { "" }, parts.collect::<String>())
        }
        Test::Number { op, value } => format!("{} {value}", op.sign()),
        Test::Time { part, op, value } => format!("{} {} {value}", part.name(), op.sign()),
        Test::Cidr { text } => format!("in {text}"),
        Test::Exists(true) => "exists".to_owned(),
        Test::Exists(false) => "missing".to_owned(),
        Test::Null => "null".to_owned(),
        Test::Regex { pattern, ignore_case, multi_line, dot_all } => format!("re/{pattern}/{ignore_case} {multi_line} {dot_all}"),
        Test::FieldRef { .. } | Test::Elements(_) => String::new(),
    }
}

fn test(field: &FieldRef, paths: &[Path], test: &Test, text: &mut String, depth: usize) -> Result<Ask, String> {
    if let Test::Elements(elements) = test {
        return Elements::compile(field, elements, text, depth + 1).map(|inner| Ask::Inner(Box::new(inner)));
    }
    let ask = |check: Check| Ask::Test { paths: paths.into(), check };
    let _ = write!(text, "{} ", words(test));
    Ok(match test {
        Test::Text { pattern, cased } => ask(match (shape(pattern), cased) {
            (Shape::Any, _) => Check::Any,
            (Shape::Text(place, literal), true) => Check::Cased(place, literal.into()),
            (Shape::Text(place, literal), false) => Check::Text(place, fold(&literal).into()),
            (Shape::Glob(parts, _), cased) => {
                let parts = if *cased { parts } else { fold_parts(&parts) };
                Check::Glob { glob: Glob::new(&parts), cased: *cased }
            }
        }),
        Test::Number { op, value } => ask(Check::Number(*op, *value)),
        Test::Time { part, op, value } => ask(Check::Time(*part, *op, *value)),
        Test::Cidr { text } => ask(Check::Cidr(Cidr::parse(text).ok_or_else(|| format!("`{text}` is no network such as 10.0.0.0/8"))?)),
        Test::Exists(true) => ask(Check::Exists),
        Test::Exists(false) => Ask::Not(Box::new(ask(Check::Exists))),
        Test::Null => Ask::Or(vec![ask(Check::Null), Ask::Not(Box::new(ask(Check::Exists)))]),
        Test::Regex { .. } => ask(Check::Regex(regex(test)?.ok_or("not a regular expression")?)),
        Test::FieldRef { .. } => return Err("fields cannot be compared in an element".to_owned()),
        Test::Elements(_) => return Err("elements within a test of a value".to_owned()),
    })
}
