//! Events made from rules: values that satisfy the tests of a selection, or nearly do.

use std::collections::BTreeMap;

use bartizan::detect::rule::{Comparison, Condition, Detection, Item, Part, Pattern, Place, Selection, Test};
use bartizan::model::FieldRef;
use regex_syntax::hir::{Class, Hir, HirKind};
use serde_json::{Map, Value};

use super::straying::{self, Shape};

/// Pseudo-random numbers: the same events on every run.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut state = self.0;
        state = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state = (state ^ state >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((state ^ state >> 31) % end.max(1) as u64) as usize
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn junk(&mut self) -> String {
        let letters: Vec<char> = "abcXYZ019-/\\ .:é".chars().collect();
        (0..self.below(4)).map(|_| letters[self.below(letters.len())]).collect()
    }
}

/// Fields of an event that is being made, by name.
pub type Fields = BTreeMap<String, Value>;

/// Fields that satisfy the rule's condition, as far as that is easily done; one in three then loses something, and one in two has odd values.
pub fn fields(detection: &Detection, dice: &mut Dice) -> Fields {
    let mut fields = Fields::new();
    satisfy(&detection.condition, detection, dice, &mut fields);
    if dice.chance(33) {
        let names: Vec<String> = fields.keys().cloned().collect();
        if let Some(name) = names.get(dice.below(names.len())) {
            match dice.below(3) {
                0 => drop(fields.remove(name)),
                1 => drop(fields.insert(name.clone(), Value::from(dice.junk()))),
                _ => drop(fields.insert(name.clone(), Value::Null)),
            }
        }
    }
    if dice.chance(50) {
        straying::fields(&mut fields, dice);
    }
    fields
}

fn satisfy(condition: &Condition, detection: &Detection, dice: &mut Dice, to: &mut Fields) {
    match condition {
        Condition::Selection(at) => {
            if let Some((_, selection)) = detection.selections.get(*at) {
                select(selection, dice, to);
            }
        }
        Condition::Not(_) => {}
        Condition::And(of) => of.iter().for_each(|inner| satisfy(inner, detection, dice, to)),
        Condition::Or(of) => {
            if let Some(inner) = of.get(dice.below(of.len())) {
                satisfy(inner, detection, dice, to);
            }
        }
        Condition::AtLeast(count, of) => of.iter().take(*count).for_each(|inner| satisfy(inner, detection, dice, to)),
    }
}

fn select(selection: &Selection, dice: &mut Dice, to: &mut Fields) {
    match selection {
        Selection::All(items) => items.iter().for_each(|item| put(item, dice, to)),
        Selection::Any(of) => {
            if let Some(inner) = of.get(dice.below(of.len())) {
                select(inner, dice, to);
            }
        }
        Selection::Keywords { words, all } => {
            let words: Vec<String> = words.iter().map(|word| text(word, false, dice)).collect();
            if *all && dice.chance(50) {
                words.iter().enumerate().for_each(|(at, word)| drop(to.insert(format!("message{at}"), Value::from(word.as_str()))));
                return;
            }
            let value = if *all { words.join(" ") } else { words.get(dice.below(words.len())).cloned().unwrap_or_default() };
            to.insert("message".to_owned(), Value::from(format!("{}{value}{}", dice.junk(), dice.junk())));
        }
        #[allow(unreachable_patterns, reason = "kinds of selections that only this engine has are left to its own tests")]
        _ => {}
    }
}

fn put(item: &Item, dice: &mut Dice, to: &mut Fields) {
    let name = item.field.name().to_owned();
    let chosen: Vec<&Test> = if item.all { item.tests.iter().collect() } else { item.tests.get(dice.below(item.tests.len())).into_iter().collect() };
    if item.negated {
        to.insert(name, Value::from(format!("other{}", dice.junk())));
        return;
    }
    let mut values: Vec<Value> = Vec::new();
    for test in chosen {
        match value(test, dice, to) {
            Some(value) => values.push(value),
            None => drop(to.remove(&name)),
        }
    }
    let joined = match values.len() {
        0 => return,
        1 => values.remove(0),
        _ if values.iter().all(Value::is_string) => {
            let texts: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
            Value::from(texts.join(if dice.chance(50) { " " } else { "" }))
        }
        _ => Value::from(values),
    };
    let listed = if dice.chance(10) && !joined.is_array() { Value::from(vec![Value::from(dice.junk()), joined]) } else { joined };
    to.insert(name, listed);
}

/// A value that passes the test; `None`: the field has to be missing.
fn value(test: &Test, dice: &mut Dice, to: &mut Fields) -> Option<Value> {
    Some(match test {
        Test::Text { pattern, cased } => {
            let text = text(pattern, *cased, dice);
            match text.parse::<i64>() {
                Ok(number) if dice.chance(50) && number.to_string() == text => Value::from(number),
                _ => Value::from(text),
            }
        }
        Test::Number { op, value } => {
            let value = match op {
                Comparison::Lt => value - 1.0,
                Comparison::Gt | Comparison::Neq => value + 1.0,
                Comparison::Lte | Comparison::Gte | Comparison::Eq => *value,
            };
            if value.fract() == 0.0 && value.abs() < 1e15 {
                if dice.chance(70) { Value::from(value as i64) } else { Value::from((value as i64).to_string()) }
            } else {
                Value::from(value)
            }
        }
        Test::Regex { pattern, .. } => {
            let hir = regex_syntax::parse(pattern).ok()?;
            let mut sample = String::new();
            sample_of(&hir, dice, &mut sample);
            Value::from(sample)
        }
        Test::Cidr { text } => Value::from(text.split('/').next().unwrap_or_default()),
        Test::Exists(true) => Value::from("x"),
        Test::Exists(false) => return None,
        Test::Null => {
            if dice.chance(50) {
                return None;
            }
            Value::Null
        }
        Test::FieldRef { other, .. } => {
            let value = Value::from(format!("same{}", dice.below(9)));
            to.insert(FieldRef::name(other).to_owned(), value.clone());
            value
        }
        _ => return None,
    })
}

fn text(pattern: &Pattern, cased: bool, dice: &mut Dice) -> String {
    let mut text = String::new();
    if matches!(pattern.place, Place::End | Place::Anywhere) {
        text.push_str(&dice.junk());
    }
    for part in &pattern.parts {
        match part {
            Part::Text(literal) if !cased && dice.chance(25) => text.push_str(&literal.to_uppercase()),
            Part::Text(literal) => text.push_str(literal),
            Part::Many => text.push_str(&dice.junk()),
            Part::One => text.push('q'),
        }
    }
    if matches!(pattern.place, Place::Start | Place::Anywhere) {
        text.push_str(&dice.junk());
    }
    text
}

/// A text that the expression matches, but for what looks around.
fn sample_of(hir: &Hir, dice: &mut Dice, to: &mut String) {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => to.push_str(&String::from_utf8_lossy(&literal.0)),
        HirKind::Class(Class::Unicode(class)) => {
            if let Some(range) = class.ranges().get(dice.below(class.ranges().len().min(4))) {
                let span = (range.end() as u32 - range.start() as u32).min(20);
                to.push(char::from_u32(range.start() as u32 + dice.below(span as usize + 1) as u32).unwrap_or(range.start()));
            }
        }
        HirKind::Class(Class::Bytes(_)) => to.push('a'),
        HirKind::Capture(capture) => sample_of(&capture.sub, dice, to),
        HirKind::Repetition(repetition) => {
            let extra = repetition.max.map_or(2, |max| (max - repetition.min).min(2)) as usize;
            (0..repetition.min as usize + dice.below(extra + 1)).for_each(|_| sample_of(&repetition.sub, dice, to));
        }
        HirKind::Concat(parts) => parts.iter().for_each(|part| sample_of(part, dice, to)),
        HirKind::Alternation(ways) => {
            if let Some(way) = ways.get(dice.below(ways.len())) {
                sample_of(way, dice, to);
            }
        }
    }
}

/// The event as JSON, in one of the shapes that names with dots may take; one in twenty has a field in two of them.
pub fn json(fields: &Fields, dice: &mut Dice) -> Value {
    let mut object = Map::new();
    let shape = Shape::any(dice);
    for (name, value) in fields {
        shape.put(&mut object, name, value, dice);
        if dice.chance(5) {
            let junk = Value::from(dice.junk());
            Shape::any(dice).put(&mut object, name, &junk, dice);
        }
    }
    Value::Object(object)
}
