//! A rule taken apart: each piece of its condition becomes a rule of its own, so that the matcher itself says what holds.

use std::sync::Arc;

use crate::detect::needs;
use crate::detect::rule::{Body, Condition, Detection, Extras, Item, Rule, Selection, Test};
use crate::detect::words;
use crate::model::FieldRef;

/// Pieces of one rule below its selections; past it selections are not taken apart.
const PIECES_MAX: usize = 2_000;
/// Pieces of one item's values; the values past it are not told apart.
const VALUES_MAX: usize = 20;
/// Nesting of a condition or selection that is followed; the matcher refuses deeper ones.
const DEPTH_MAX: usize = 66;

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// All of what is below.
    All,
    /// So many of what is below.
    AtLeast(usize),
    /// The one below does not hold.
    Not,
    /// The selection of this index.
    Selection(usize),
    /// A field and what is asked of it, or words; a value of it, if there is something above.
    Item,
}

/// A piece of a condition.
#[derive(Debug)]
pub(super) struct Piece {
    /// Index of the rule that was made of it.
    pub(super) part: usize,
    pub(super) what: What,
    pub(super) text: String,
    /// Of items: the field.
    pub(super) field: Option<FieldRef>,
    /// Of items: holds of what is not there.
    pub(super) is_negated: bool,
    pub(super) below: Vec<Piece>,
}

/// A single rule, its pieces, and the rules that were made of them.
#[derive(Debug)]
pub(super) struct Outline {
    /// The condition and what filters ask.
    pub(super) root: Piece,
    /// Those of the rule, then those of its filters.
    pub(super) selections: Vec<Piece>,
    /// Each field that is read, and the rule that holds where it exists.
    pub(super) fields: Vec<(FieldRef, usize)>,
}

impl Outline {
    /// Of a single rule; what is made of its pieces is added to `parts`.
    pub(super) fn new(rule: &Rule, parts: &mut Vec<Rule>) -> Option<Self> {
        let Body::Single(detection) = &rule.body else { return None };
        let mut taker = Taker { rule, parts, left: PIECES_MAX, selections: Vec::new() };
        let mut below = vec![taker.detection(detection)];
        for filter in &detection.filters {
            below.push(taker.detection(&filter.detection));
        }
        let part = taker.part(detection.clone());
        let root = Piece { part, what: What::All, text: words::condition(detection), field: None, is_negated: false, below };
        let fields = needs::fields(detection);
        let fields = fields.into_iter().map(|field| (field.clone(), taker.exists(field))).collect();
        Some(Self { root, selections: taker.selections, fields })
    }
}

struct Taker<'a> {
    rule: &'a Rule,
    parts: &'a mut Vec<Rule>,
    left: usize,
    selections: Vec<Piece>,
}

impl Taker<'_> {
    /// A rule of this detection.
    fn part(&mut self, detection: Detection) -> usize {
        let of = self.rule;
        self.parts.push(Rule {
            header: Arc::clone(&of.header),
            name: None,
            description: None,
            references: Vec::new(),
            false_positives: Vec::new(),
            status: None,
            file: Arc::clone(&of.file),
            line: of.line,
            logsource: of.logsource.clone(),
            body: Body::Single(detection),
            extras: Extras::default(),
            is_silent: true,
        });
        self.parts.len() - 1
    }

    fn lone(&mut self, selection: Selection) -> usize {
        self.part(Detection { selections: vec![(String::new(), selection)], condition: Condition::Selection(0), filters: Vec::new() })
    }

    fn exists(&mut self, field: &FieldRef) -> usize {
        let item = Item { field: field.clone(), tests: vec![Test::Exists(true)], all: false, negated: false };
        self.lone(Selection::All(vec![item]))
    }

    /// Takes the selections apart, and gives the condition over them.
    fn detection(&mut self, detection: &Detection) -> Piece {
        let from = self.selections.len();
        for (at, (name, selection)) in detection.selections.iter().enumerate() {
            let below = self.below(selection, 0);
            let part = self.lone(selection.clone());
            let what = What::Selection(from + at);
            self.selections.push(Piece { part, what, text: name.clone(), field: None, is_negated: false, below });
        }
        self.condition(&detection.condition, detection, from, 0)
    }

    fn condition(&mut self, of: &Condition, detection: &Detection, from: usize, depth: usize) -> Piece {
        let mut each = |of: &[Condition]| -> Vec<Piece> {
            if depth > DEPTH_MAX {
                return Vec::new();
            }
            of.iter().map(|inner| self.condition(inner, detection, from, depth + 1)).collect()
        };
        let (what, below) = match of {
            Condition::Selection(at) => {
                let part = self.selections.get(from + *at).map_or(0, |selection| selection.part);
                return Piece { part, what: What::Selection(from + *at), text: String::new(), field: None, is_negated: false, below: Vec::new() };
            }
            Condition::Not(inner) => (What::Not, each(std::slice::from_ref(inner))),
            Condition::And(of) => (What::All, each(of)),
            Condition::Or(of) => (What::AtLeast(1), each(of)),
            Condition::AtLeast(count, of) => (What::AtLeast(*count), each(of)),
        };
        let excerpt = excerpt(of, detection);
        let text = words::condition(&excerpt);
        Piece { part: self.part(excerpt), what, text, field: None, is_negated: false, below }
    }

    /// The pieces of a selection: items of a map, maps of a list.
    fn below(&mut self, selection: &Selection, depth: usize) -> Vec<Piece> {
        let count = match selection {
            Selection::All(items) => items.len(),
            Selection::Any(of) => of.len(),
            Selection::Keywords { .. } => 1,
        };
        let Some(left) = self.left.checked_sub(count).filter(|_| depth <= DEPTH_MAX) else { return Vec::new() };
        self.left = left;
        match selection {
            Selection::All(items) => items.iter().map(|item| self.item(item)).collect(),
            Selection::Any(of) => {
                let maps: Vec<Piece> = of.iter().map(|inner| self.map(inner, depth + 1)).collect();
                let part = self.lone(selection.clone());
                let text = format!("any of {}", maps.len());
                vec![Piece { part, what: What::AtLeast(1), text, field: None, is_negated: false, below: maps }]
            }
            Selection::Keywords { words, all } => {
                let part = self.lone(selection.clone());
                vec![Piece { part, what: What::Item, text: words::keywords(words, *all), field: None, is_negated: false, below: Vec::new() }]
            }
        }
    }

    fn map(&mut self, selection: &Selection, depth: usize) -> Piece {
        let below = self.below(selection, depth);
        Piece { part: self.lone(selection.clone()), what: What::All, text: "all of".to_owned(), field: None, is_negated: false, below }
    }

    fn item(&mut self, item: &Item) -> Piece {
        let mut below = Vec::new();
        if item.tests.len() > 1 && !item.negated && self.left > VALUES_MAX {
            for test in item.tests.iter().take(VALUES_MAX) {
                let one = Item { field: item.field.clone(), tests: vec![test.clone()], all: false, negated: false };
                below.push(self.piece(&one, words::test(test), Vec::new()));
            }
            self.left -= below.len();
        }
        self.piece(item, words::item(item), below)
    }

    fn piece(&mut self, item: &Item, text: String, below: Vec<Piece>) -> Piece {
        let part = self.lone(Selection::All(vec![item.clone()]));
        let asks_for_nothing = item.negated || item.tests.iter().any(|test| matches!(test, Test::Null | Test::Exists(false)));
        Piece { part, what: What::Item, text, field: Some(item.field.clone()), is_negated: asks_for_nothing, below }
    }
}

/// A part of a condition, with the selections that it names.
fn excerpt(condition: &Condition, detection: &Detection) -> Detection {
    fn renumber(of: &Condition, kept: &mut Vec<usize>) -> Condition {
        let mut each = |of: &[Condition]| of.iter().map(|inner| renumber(inner, kept)).collect();
        match of {
            Condition::Selection(at) => {
                let known = kept.iter().position(|known| known == at);
                Condition::Selection(known.unwrap_or_else(|| {
                    kept.push(*at);
                    kept.len() - 1
                }))
            }
            Condition::Not(inner) => Condition::Not(Box::new(renumber(inner, kept))),
            Condition::And(of) => Condition::And(each(of)),
            Condition::Or(of) => Condition::Or(each(of)),
            Condition::AtLeast(count, of) => Condition::AtLeast(*count, each(of)),
        }
    }
    let mut kept = Vec::new();
    let condition = renumber(condition, &mut kept);
    let selections = kept.iter().filter_map(|at| detection.selections.get(*at).cloned()).collect();
    Detection { selections, condition, filters: Vec::new() }
}
