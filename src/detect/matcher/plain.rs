//! The matcher as it would be if speed did not matter: every rule is asked of every event, over a tree of the record's JSON. It shares nothing with the
//! compiled matcher but how text folds and what numbers, networks and times are, and the two have to agree on every rule and event.

mod draw;

use regex::RegexBuilder;
use serde_json::Value as Json;

use super::Matcher;
use crate::detect::cidr::{Cidr, address};
use crate::detect::draw::Draw;
use crate::detect::fold::{fold, number};
use crate::detect::rule::{Body, Condition, Detection, Each, Elements, Item, LogSource, Part, Pattern, Place, Rule, RuleSet, Selection, Test};
use crate::model::{Event, FieldRef, Timestamp, ValueKind};

/// Draws rules and events from the bytes, and asserts that both matchers find the same. The matcher learns in between.
///
/// # Panics
/// If they do not agree: that is what it is for.
pub fn check(bytes: &[u8]) {
    let mut draw = Draw::new(bytes);
    let set = draw.rules();
    let events = draw.events();
    let (mut matcher, refused) = Matcher::new(&set);
    let mut found = Vec::new();
    for _ in 0..2 {
        for event in &events {
            matcher.find(event, &mut found);
            let mut expected = find(&set, event);
            expected.retain(|rule| refused.iter().all(|refused| refused.rule != *rule as usize));
            assert_eq!(found, expected, "{} {:#?}", event.doc.text(), set.rules.iter().map(|rule| &rule.body).collect::<Vec<_>>());
        }
        matcher.learn();
    }
}

/// The rules that match, in the order of the set; those that cannot be run too.
pub fn find(set: &RuleSet, event: &Event) -> Vec<u32> {
    let record: Json = serde_json::from_str(event.doc.text()).unwrap_or_default();
    let scope = Scope { record: &record, event, within: None };
    let hits = set.rules.iter().enumerate().filter(|(_, rule)| applies(rule, event) && scope.rule(rule));
    hits.map(|(at, _)| u32::try_from(at).unwrap_or(u32::MAX)).collect()
}

fn applies(rule: &Rule, event: &Event) -> bool {
    match rule.logsource {
        LogSource::Any => true,
        LogSource::Kind(kind) => kind == event.kind,
        LogSource::NotApplicable(_) => false,
    }
}

/// What is asked: the record, or one element of a list in it.
#[derive(Debug, Clone, Copy)]
struct Scope<'a> {
    record: &'a Json,
    event: &'a Event,
    within: Option<&'a Json>,
}

/// A value as tests see it: null, an object that is not empty, or text.
#[derive(Debug, Clone, PartialEq)]
enum Seen {
    Null,
    Object,
    Text(String),
}

impl<'a> Scope<'a> {
    fn rule(self, rule: &Rule) -> bool {
        let Body::Single(detection) = &rule.body else { return false };
        self.detection(detection) && detection.filters.iter().all(|filter| self.detection(&filter.detection))
    }

    fn detection(self, detection: &Detection) -> bool {
        self.condition(&detection.condition, &detection.selections)
    }

    fn condition(self, condition: &Condition, selections: &[(String, Selection)]) -> bool {
        match condition {
            Condition::Selection(at) => selections.get(*at).is_some_and(|(_, selection)| self.selection(selection)),
            Condition::Not(inner) => !self.condition(inner, selections),
            Condition::And(of) => of.iter().all(|inner| self.condition(inner, selections)),
            Condition::Or(of) => of.iter().any(|inner| self.condition(inner, selections)),
            Condition::AtLeast(count, of) => of.iter().filter(|inner| self.condition(inner, selections)).count() >= *count,
        }
    }

    fn selection(self, selection: &Selection) -> bool {
        match selection {
            Selection::All(items) => items.iter().all(|item| self.item(item)),
            Selection::Any(of) => of.iter().any(|inner| self.selection(inner)),
            Selection::Keywords { words, all: true } => words.iter().all(|word| self.word(word)),
            Selection::Keywords { words, all: false } => words.iter().any(|word| self.word(word)),
        }
    }

    fn word(self, word: &Pattern) -> bool {
        let word = Pattern { parts: word.parts.clone(), place: Place::Anywhere };
        let mut found = false;
        each_leaf(self.record, &mut |leaf| match leaf {
            Json::String(text) => found |= is_like(&word, false, text),
            Json::Number(number) => found |= is_like(&word, false, &number.to_string()),
            _ => {}
        });
        found
    }

    fn item(self, item: &Item) -> bool {
        let mut passed = item.tests.iter().map(|test| self.test(&item.field, test));
        let holds = if item.all { passed.all(|passed| passed) } else { passed.any(|passed| passed) };
        holds != item.negated
    }

    /// What stands under a name, each a scalar, an object or a list; the elements of lists count as they are.
    fn terminals(self, name: &str) -> Vec<&'a Json> {
        let mut found = Vec::new();
        walk(self.record, name, self.within, self.within.is_none(), &mut found);
        found
    }

    /// Whether the field is there, and its values.
    fn values(self, field: &FieldRef) -> (bool, Vec<Seen>) {
        let FieldRef::Native { name, .. } = field else {
            let mut values = Vec::new();
            self.event.each(field, |value| values.push(if value.kind == ValueKind::Null { Seen::Null } else { Seen::Text(value.text.to_owned()) }));
            return (!values.is_empty(), values);
        };
        let terminals = self.terminals(name);
        let mut values = Vec::new();
        for terminal in &terminals {
            each_element(terminal, &mut |value| match value {
                Json::Null => values.push(Seen::Null),
                Json::Object(members) if members.is_empty() => {}
                Json::Object(_) => values.push(Seen::Object),
                Json::String(text) => values.push(Seen::Text(text.clone())),
                other => values.push(Seen::Text(other.to_string())),
            });
        }
        (!terminals.is_empty(), values)
    }

    fn test(self, field: &FieldRef, test: &Test) -> bool {
        if let Test::Elements(elements) = test {
            return self.elements(field, elements);
        }
        let (exists, values) = self.values(field);
        match test {
            Test::Exists(wanted) => exists == *wanted,
            Test::Null => !exists || values.contains(&Seen::Null),
            Test::FieldRef { other, place, cased } => {
                let (_, others) = self.values(other);
                values.iter().any(|own| others.iter().any(|other| is_same(own, other, *place, *cased)))
            }
            test => values.iter().any(|value| passes(test, value)),
        }
    }

    fn elements(self, field: &FieldRef, elements: &Elements) -> bool {
        let mut lists: Vec<Vec<&Json>> = Vec::new();
        for terminal in self.terminals(field.name()) {
            lists_of(terminal, &mut lists);
        }
        let holds = |element: &&'a Json| Scope { within: Some(*element), ..self }.detection(&elements.detection);
        let mut all = lists.iter().flatten();
        match elements.each {
            Each::Any => all.any(holds),
            Each::All => lists.iter().any(|list| !list.is_empty()) && all.all(holds),
            Each::AllOrEmpty => all.all(holds),
            Each::At(index) => lists.iter().filter_map(|list| list.get(index)).any(holds),
        }
    }
}

/// Where each dot of the name parts two keys or belongs to one; lists are looked through. Only what lies in `within`, or is it, counts.
fn walk<'a>(value: &'a Json, name: &str, within: Option<&Json>, is_inside: bool, found: &mut Vec<&'a Json>) {
    let is_inside = is_inside || within.is_some_and(|within| std::ptr::eq(within, value));
    match value {
        Json::Array(elements) => elements.iter().for_each(|element| walk(element, name, within, is_inside, found)),
        Json::Object(members) => {
            if let Some(value) = members.get(name) {
                arrive(value, within, is_inside, found);
            }
            for (dot, _) in name.match_indices('.') {
                let (key, rest) = (name.get(..dot).unwrap_or_default(), name.get(dot + 1..).unwrap_or_default());
                if let Some(value) = members.get(key) {
                    walk(value, rest, within, is_inside, found);
                }
            }
        }
        _ => {}
    }
}

/// The end of a name: the value, or, while the scope is an element of it, that element.
fn arrive<'a>(value: &'a Json, within: Option<&Json>, is_inside: bool, found: &mut Vec<&'a Json>) {
    let is_inside = is_inside || within.is_some_and(|within| std::ptr::eq(within, value));
    match value {
        value if is_inside => found.push(value),
        Json::Array(elements) => elements.iter().for_each(|element| arrive(element, within, false, found)),
        _ => {}
    }
}

fn each_leaf(value: &Json, to: &mut dyn FnMut(&Json)) {
    match value {
        Json::Array(elements) => elements.iter().for_each(|element| each_leaf(element, to)),
        Json::Object(members) => members.values().for_each(|value| each_leaf(value, to)),
        value => to(value),
    }
}

fn each_element(value: &Json, to: &mut dyn FnMut(&Json)) {
    match value {
        Json::Array(elements) => elements.iter().for_each(|element| each_element(element, to)),
        value => to(value),
    }
}

/// Every list with the elements that are its own: a list within a list has its own.
fn lists_of<'a>(value: &'a Json, to: &mut Vec<Vec<&'a Json>>) {
    if let Json::Array(elements) = value {
        to.push(elements.iter().filter(|element| !element.is_array()).collect());
        elements.iter().for_each(|element| lists_of(element, to));
    }
}

fn is_same(own: &Seen, other: &Seen, place: Place, cased: bool) -> bool {
    let (Seen::Text(own), Seen::Text(other)) = (own, other) else { return false };
    let pattern = Pattern { parts: vec![Part::Text(other.clone())], place };
    is_like(&pattern, cased, own)
}

fn passes(test: &Test, value: &Seen) -> bool {
    let text = match value {
        Seen::Null => return false,
        Seen::Object => return matches!(test, Test::Text { pattern, .. } if is_any(pattern)),
        Seen::Text(text) => text,
    };
    match test {
        Test::Text { pattern, cased } => is_like(pattern, *cased, text),
        Test::Number { op, value } => number(text).is_some_and(|number| op.holds(number, *value)),
        Test::Time { part, op, value } => {
            let time = Timestamp::parse(text).or_else(|| Timestamp::since_1970(text));
            time.is_some_and(|time| op.holds(time.part(*part) as f64, *value))
        }
        Test::Cidr { text: network } => {
            let network = Cidr::parse(network);
            network.zip(address(text)).is_some_and(|(network, address)| network.contains(address))
        }
        Test::Regex { pattern, ignore_case, multi_line, dot_all } => RegexBuilder::new(pattern)
            .case_insensitive(*ignore_case)
            .multi_line(*multi_line)
            .dot_matches_new_line(*dot_all)
            .build()
            .is_ok_and(|regex| regex.is_match(text)),
        Test::Exists(_) | Test::Null | Test::FieldRef { .. } | Test::Elements(_) => false,
    }
}

/// Whether the pattern is nothing but `*`.
fn is_any(pattern: &Pattern) -> bool {
    let is_open = pattern.place != Place::Whole || pattern.parts.contains(&Part::Many);
    is_open && pattern.parts.iter().all(|part| matches!(part, Part::Many) || matches!(part, Part::Text(text) if text.is_empty()))
}

/// Goes through the text character by character, and knows of each place in the pattern whether it can stand there.
fn is_like(pattern: &Pattern, cased: bool, text: &str) -> bool {
    let as_compared = |text: &str| if cased { text.to_owned() } else { fold(text) };
    let mut tokens: Vec<Option<Option<char>>> = Vec::new();
    // `None` is any number of characters, `Some(None)` is one.
    if matches!(pattern.place, Place::End | Place::Anywhere) {
        tokens.push(None);
    }
    for part in &pattern.parts {
        match part {
            Part::Text(text) => tokens.extend(as_compared(text).chars().map(|c| Some(Some(c)))),
            Part::Many => tokens.push(None),
            Part::One => tokens.push(Some(None)),
        }
    }
    if matches!(pattern.place, Place::Start | Place::Anywhere) {
        tokens.push(None);
    }
    let spread = |reached: &mut Vec<bool>| {
        for (at, token) in tokens.iter().enumerate() {
            reached[at + 1] |= token.is_none() && reached[at];
        }
    };
    let mut reached = vec![false; tokens.len() + 1];
    reached[0] = true;
    spread(&mut reached);
    for c in as_compared(text).chars() {
        let mut next = vec![false; tokens.len() + 1];
        for (at, token) in tokens.iter().enumerate() {
            match token {
                None => next[at] |= reached[at],
                Some(None) => next[at + 1] |= reached[at],
                Some(Some(wanted)) => next[at + 1] |= reached[at] && *wanted == c,
            }
        }
        reached = next;
        spread(&mut reached);
    }
    reached[tokens.len()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_compiled_matcher_agrees_with_plain_loops(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            super::check(&bytes);
        }
    }

    #[test]
    fn what_is_drawn_matches_and_misses() {
        let mut state = 7_u64;
        let (mut hits, mut pairs) = (0, 0);
        for _ in 0..300 {
            let mut byte = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 33) as u8
            };
            let bytes: Vec<u8> = (0..600).map(|_| byte()).collect();
            let mut draw = super::Draw::new(&bytes);
            let set = draw.rules();
            for event in draw.events() {
                hits += super::find(&set, &event).len();
                pairs += set.rules.len();
            }
        }
        assert!(hits * 10 > pairs && hits * 10 < pairs * 9, "{hits} of {pairs}");
    }
}
