//! Rules and events drawn from bytes: few fields and few values, so that they meet.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::detect::draw::{Draw, nothing, rule};
use crate::detect::rule::{
    Body, Comparison, Condition, Detection, Each, Elements, Filter, Item, LogSource, Part, Pattern, Place, Rule, RuleSet, Selection, Test,
};
use crate::model::{Event, Facts, Field, FieldRef, Kind, Limits, Parser, RuleType, TimePart, Timestamp};

const FIELDS: [&str; 8] = ["a", "b", "a.b", "b.a", "a.b.c", "raw.a", "actor.user.name", "verb"];
const KEYS: [&str; 7] = ["a", "b", "c", "a.b", "b.c", "verb", "b.a"];
const FACTS: [Field; 2] = [Field::ActorUserName, Field::ALL[0]];
const TEXTS: [&str; 28] = [
    "",
    "x",
    "X",
    "xy",
    "axe",
    "é",
    "É",
    "s",
    "ſ",
    "İ",
    "i",
    "k",
    "\u{212a}",
    "Σας",
    "ΣΑΣ",
    "a\nb",
    "abcabcabc",
    "kube-system",
    "KUBE-public",
    "true",
    "null",
    "1",
    "1.0",
    "-7",
    "1e3",
    "10.1.2.3",
    "::ffff:10.1.2.3",
    "2026-01-02T03:04:05Z",
];
const REGEXES: [&str; 10] = ["x", "^x", "y$", "a.b", "[xy]+e?", "(?i)KUBE", "é|ſ", "(abc){2,}", "s", "^$"];
const NETWORKS: [&str; 5] = ["10.0.0.0/8", "0.0.0.0/0", "::/0", "::ffff:10.0.0.0/104", "10.1.2.3"];
const NUMBERS: [f64; 6] = [0.0, 1.0, -7.0, 1000.0, 1.5, 9_007_199_254_740_993.0];
const OPS: [Comparison; 6] = [Comparison::Lt, Comparison::Lte, Comparison::Gt, Comparison::Gte, Comparison::Eq, Comparison::Neq];
const PLACES: [Place; 4] = [Place::Whole, Place::Start, Place::End, Place::Anywhere];
const KINDS: [Kind; 2] = [Kind::K8sAudit, Kind::Falco];

/// Rules and events of a draw.
const RULES_MAX: usize = 8;
const EVENTS_MAX: usize = 6;
/// Nesting of conditions, selections and records.
const DEPTH_MAX: usize = 3;

impl Draw<'_> {
    pub(super) fn rules(&mut self) -> RuleSet {
        let filter =
            Arc::new(Filter { id: "filter".to_owned(), title: String::new(), file: Arc::from("drawn"), line: 1, detection: self.detection(true) });
        let mut rules = self.some(RULES_MAX, |draw| {
            let mut detection = draw.detection(true);
            if draw.below(4) == 1 {
                detection.filters.push(Arc::clone(&filter));
            }
            let logsource = if draw.below(4) == 1 { LogSource::Kind(draw.one(&KINDS)) } else { LogSource::Any };
            Rule { logsource, ..rule("drawn", RuleType::Single, Body::Single(detection)) }
        });
        // One rule twice: all its predicates are shared.
        rules.extend(rules.first().cloned());
        RuleSet { rules }
    }

    fn detection(&mut self, is_whole: bool) -> Detection {
        let selections = self.some(3, |draw| ("s".to_owned(), draw.selection(is_whole, 0)));
        let condition = self.condition(selections.len(), 0);
        Detection { selections, condition, filters: Vec::new() }
    }

    fn condition(&mut self, selections: usize, depth: usize) -> Condition {
        let kind = if depth < DEPTH_MAX { self.below(8) } else { 0 };
        let inner = |draw: &mut Self| draw.condition(selections, depth + 1);
        match kind {
            0..=2 => Condition::Selection(self.below(selections)),
            3 => Condition::Not(Box::new(inner(self))),
            4 | 5 => Condition::And(self.some(3, inner)),
            6 => Condition::Or(self.some(3, inner)),
            _ => Condition::AtLeast(self.below(3), self.some(3, inner)),
        }
    }

    fn selection(&mut self, is_whole: bool, depth: usize) -> Selection {
        match self.below(8) {
            0 if depth < DEPTH_MAX => Selection::Any(self.some(2, |draw| draw.selection(is_whole, depth + 1))),
            1 if is_whole => {
                let words = self.some(3, |draw| Pattern { place: Place::Anywhere, ..draw.pattern() });
                let words = words.into_iter().filter(|word| word.parts.iter().any(|part| *part != Part::Text(String::new()))).collect::<Vec<_>>();
                if words.is_empty() { Selection::All(vec![self.item(is_whole, "")]) } else { Selection::Keywords { words, all: self.below(2) == 1 } }
            }
            _ => Selection::All(self.some(2, |draw| draw.item(is_whole, ""))),
        }
    }

    fn item(&mut self, is_whole: bool, within: &str) -> Item {
        let name = self.one(&FIELDS);
        let name = if within.is_empty() { name.to_owned() } else { format!("{within}.{name}") };
        let field = FieldRef::parse(&name).expect("the names are in the vocabulary or native");
        let tests = self.some(3, |draw| draw.test(&field, is_whole));
        Item { field, tests, all: self.below(3) == 1, negated: self.below(4) == 1 }
    }

    fn test(&mut self, field: &FieldRef, is_whole: bool) -> Test {
        match self.below(16) {
            0 | 1 => Test::Number { op: self.one(&OPS), value: self.one(&NUMBERS) },
            2 => Test::Regex {
                pattern: self.one(&REGEXES).to_owned(),
                ignore_case: self.below(2) == 1,
                multi_line: self.below(2) == 1,
                dot_all: self.below(2) == 1,
            },
            3 => Test::Cidr { text: self.one(&NETWORKS).to_owned() },
            4 => Test::Exists(self.below(2) == 1),
            5 => Test::Null,
            6 if is_whole => Test::FieldRef {
                other: FieldRef::parse(self.one(&FIELDS)).expect("the names are in the vocabulary or native"),
                place: self.one(&PLACES),
                cased: self.below(2) == 1,
            },
            7 => Test::Time { part: self.one(&TimePart::ALL), op: self.one(&OPS), value: self.one(&[3.0, 4.0, 2026.0]) },
            8 | 9 => match field {
                FieldRef::Native { name, .. } if is_whole => Test::Elements(Box::new(self.elements(name))),
                _ => Test::Null,
            },
            _ => Test::Text { pattern: self.pattern(), cased: self.below(3) == 1 },
        }
    }

    /// What is asked of the elements of this list: of their members, or of themselves.
    fn elements(&mut self, list: &str) -> Elements {
        let each = match self.below(5) {
            0 => Each::Any,
            1 => Each::All,
            2 => Each::AllOrEmpty,
            at => Each::At(at - 3),
        };
        let mut detection = self.detection(false);
        for (_, selection) in &mut detection.selections {
            self.place(selection, list);
        }
        Elements { each, detection }
    }

    /// Names the fields of a selection from the record down.
    fn place(&mut self, selection: &mut Selection, list: &str) {
        match selection {
            Selection::All(items) => {
                for item in items {
                    let own = if let FieldRef::Native { name, .. } = &item.field { name.to_string() } else { "c".to_owned() };
                    let name = if self.below(3) == 1 { list.to_owned() } else { format!("{list}.{own}") };
                    item.field = FieldRef::parse(&format!("raw.{name}")).expect("any name is native");
                }
            }
            Selection::Any(of) => of.iter_mut().for_each(|inner| self.place(inner, list)),
            Selection::Keywords { .. } => {}
        }
    }

    fn pattern(&mut self) -> Pattern {
        let parts = match self.below(4) {
            0 => self.some(3, |draw| match draw.below(4) {
                0 => Part::Many,
                1 => Part::One,
                _ => Part::Text(draw.one(&TEXTS).to_owned()),
            }),
            _ => vec![Part::Text(self.one(&TEXTS).to_owned())],
        };
        Pattern { parts, place: self.one(&PLACES) }
    }

    pub(super) fn events(&mut self) -> Vec<Event> {
        let mut parser = Parser::new(Limits::default());
        self.some(EVENTS_MAX, |draw| draw.event(&mut parser))
    }

    fn event(&mut self, parser: &mut Parser) -> Event {
        let record = self.object(0);
        let mut facts = Facts::default();
        for field in FACTS {
            (0..self.below(3)).for_each(|_| facts.push_text(field, self.one(&TEXTS)));
        }
        facts.seal();
        let doc = parser.parse(record.to_string().as_bytes(), None).expect("what was written as JSON is JSON");
        Event { kind: self.one(&KINDS), facts, doc, ..nothing(Timestamp::from_seconds(0)) }
    }

    fn object(&mut self, depth: usize) -> Json {
        let mut members = Map::new();
        for _ in 0..self.below(5) {
            let key = self.one(&KEYS);
            members.insert(key.to_owned(), self.json(depth + 1));
        }
        Json::Object(members)
    }

    fn json(&mut self, depth: usize) -> Json {
        match self.below(if depth < DEPTH_MAX { 12 } else { 8 }) {
            0 => Json::Null,
            1 => Json::from(self.below(2) == 1),
            2 => Json::from(self.one(&[0, 1, -7, 1000])),
            3 => Json::from(self.one(&NUMBERS)),
            4..=7 => Json::from(self.one(&TEXTS)),
            8 | 9 => self.object(depth),
            _ => Json::Array((0..self.below(4)).map(|_| self.json(depth + 1)).collect()),
        }
    }
}
