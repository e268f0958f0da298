//! A third reading of a rule, straight from the peer's parse of its text: by the specification and this engine's documented decisions, or, where a
//! [`Quirk`] is switched on, as the peer decides. So a difference is explained only if what is known of the peer gives the peer's very answer.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use bartizan::model::FieldRef;
use regex::Regex;
use rsigma_parser::value::{SpecialChar, StringPart};
use rsigma_parser::{ConditionExpr, Detection, DetectionItem, Modifier, Quantifier, SigmaRule, SigmaString, SigmaValue};
use serde_json::Value;

use super::values::{self, Quirk, Quirks};

/// A name of the rule that no event has, and what is asked instead.
#[derive(Debug, Clone)]
pub struct Alias {
    pub written: String,
    pub asked: String,
}

/// The way one event is read.
pub struct Reading<'a> {
    pub quirks: Quirks,
    pub event: &'a Value,
    pub aliases: &'a [Alias],
    pub lists: &'a BTreeMap<String, Vec<String>>,
    pub regexes: &'a Regexes,
}

/// Expressions by their text, compiled once.
#[derive(Default)]
pub struct Regexes(RefCell<HashMap<String, Option<Regex>>>);

impl Regexes {
    pub fn is_match(&self, pattern: &str, text: &str) -> bool {
        let mut known = self.0.borrow_mut();
        if !known.contains_key(pattern) {
            known.insert(pattern.to_owned(), Regex::new(pattern).ok());
        }
        known.get(pattern).and_then(Option::as_ref).is_some_and(|regex| regex.is_match(text))
    }
}

/// Where a text stands.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Whole,
    Start,
    End,
    Anywhere,
}

fn place(item: &DetectionItem) -> Place {
    let has = |modifier| item.field.has_modifier(modifier);
    match (has(Modifier::Contains), has(Modifier::StartsWith), has(Modifier::EndsWith)) {
        (true, ..) => Place::Anywhere,
        (_, true, _) => Place::Start,
        (_, _, true) => Place::End,
        _ => Place::Whole,
    }
}

impl Reading<'_> {
    fn is_theirs(&self, quirk: Quirk) -> bool {
        self.quirks.has(quirk)
    }

    pub fn rule(&self, rule: &SigmaRule) -> bool {
        rule.detection.conditions.iter().any(|condition| self.condition(condition, &rule.detection.named))
    }

    fn condition(&self, condition: &ConditionExpr, named: &HashMap<String, Detection>) -> bool {
        match condition {
            ConditionExpr::And(of) => of.iter().all(|inner| self.condition(inner, named)),
            ConditionExpr::Or(of) => of.iter().any(|inner| self.condition(inner, named)),
            ConditionExpr::Not(inner) => !self.condition(inner, named),
            ConditionExpr::Identifier(name) => named.get(name).is_some_and(|detection| self.detection(detection)),
            ConditionExpr::Selector { quantifier, pattern } => {
                let mut meant = named.iter().filter(|(name, _)| pattern.matches_detection_name(name)).map(|(_, detection)| detection);
                match quantifier {
                    Quantifier::Any => meant.any(|detection| self.detection(detection)),
                    Quantifier::All => meant.all(|detection| self.detection(detection)),
                    Quantifier::Count(count) => meant.filter(|detection| self.detection(detection)).count() as u64 >= *count,
                }
            }
        }
    }

    fn detection(&self, detection: &Detection) -> bool {
        match detection {
            Detection::AllOf(items) => items.iter().all(|item| self.item(item)),
            Detection::And(of) => of.iter().all(|inner| self.detection(inner)),
            Detection::AnyOf(of) => of.iter().any(|inner| self.detection(inner)),
            Detection::Keywords(words) => words.iter().any(|word| self.keyword(word)),
            // No rule that both read has one.
            Detection::ArrayMatch { .. } | Detection::Conditional { .. } => false,
        }
    }

    /// The texts that words are looked for in.
    fn words(&self) -> Vec<String> {
        let mut texts = Vec::new();
        values::leaves(self.event, &mut |leaf| match leaf {
            Value::String(text) => texts.push(text.clone()),
            Value::Number(number) if !self.is_theirs(Quirk::KeywordNumbers) => texts.push(number.to_string()),
            _ => {}
        });
        texts
    }

    fn keyword(&self, word: &SigmaValue) -> bool {
        let word = match word {
            SigmaValue::String(text) => text.clone(),
            SigmaValue::Null => return false,
            _ if self.is_theirs(Quirk::KeywordNumbers) => return false,
            other => SigmaString::from_raw(&other.to_string()),
        };
        self.words().iter().any(|text| self.text(&word, Place::Anywhere, false, text))
    }

    fn keywords_all(&self, words: &[SigmaValue]) -> bool {
        if self.is_theirs(Quirk::KeywordsAll) {
            let whole = |word: &SigmaValue, text: &str| matches!(word, SigmaValue::String(word) if self.text(word, Place::Whole, false, text));
            return self.words().iter().any(|text| words.iter().all(|word| whole(word, text)));
        }
        words.iter().all(|word| self.keyword(word))
    }

    fn item(&self, item: &DetectionItem) -> bool {
        let Some(name) = &item.field.name else { return self.keywords_all(&item.values) };
        let has = |modifier| item.field.has_modifier(modifier);
        let values = self.renamed(name, &item.values);
        let found = self.find(self.asked(name, &item.values));
        if has(Modifier::Exists) {
            let wanted = match item.values.first() {
                Some(SigmaValue::Bool(wanted)) => *wanted,
                Some(SigmaValue::String(text)) => !matches!(text.original.as_str(), "false" | "no"),
                _ => true,
            };
            let exists = !found.is_empty() && !(self.is_theirs(Quirk::ExistsNull) && matches!(found.as_slice(), [Value::Null]));
            return exists == wanted;
        }
        if found.is_empty() {
            let is_null_alone = matches!(values.as_slice(), [SigmaValue::Null]);
            if has(Modifier::Neq) && self.is_theirs(Quirk::NeqMissing) {
                return false;
            }
            if values.len() > 1 && self.is_theirs(Quirk::NullAmongValues) {
                return has(Modifier::Neq);
            }
            debug_assert!(values.iter().all(|value| *value != SigmaValue::Null) || is_null_alone || values.len() > 1);
        }
        let mut each = values.iter().map(|value| self.value(item, value, &found));
        let holds = if has(Modifier::All) { each.all(|holds| holds) } else { each.any(|holds| holds) };
        holds != has(Modifier::Neq)
    }

    /// The field that is asked: another one where the rule's name is an alias.
    fn asked<'n>(&'n self, name: &'n str, values: &[SigmaValue]) -> &'n str {
        let is_word = |value: &SigmaValue| matches!(value, SigmaValue::String(text) if text.original.chars().all(char::is_alphabetic));
        let alias = self.aliases.iter().find(|alias| alias.written == name && (name != "responseStatus.code" || values.iter().all(is_word)));
        match alias {
            Some(alias) if !self.is_theirs(Quirk::Alias) => &alias.asked,
            _ => name,
        }
    }

    fn renamed(&self, name: &str, values: &[SigmaValue]) -> Vec<SigmaValue> {
        let one = |value: &SigmaValue| {
            let SigmaValue::String(text) = value else { return value.clone() };
            let alias = self.aliases.iter().find(|alias| matches!(name, "verb" | "k8s.verb") && alias.written.eq_ignore_ascii_case(&text.original));
            match alias {
                Some(alias) if !self.is_theirs(Quirk::Alias) => SigmaValue::String(SigmaString::new(&alias.asked)),
                _ => value.clone(),
            }
        };
        values.iter().map(one).collect()
    }

    /// What stands under a field's name: each may be a list or an object.
    fn find(&self, name: &str) -> Vec<&Value> {
        let (name, is_fact) = match FieldRef::parse(name) {
            Ok(FieldRef::Fact(_)) => (name.to_owned(), true),
            Ok(field) => (field.name().to_owned(), false),
            Err(_) => (name.to_owned(), false),
        };
        let mut found = Vec::new();
        if self.is_theirs(Quirk::DottedKeys) {
            values::at_path(self.event, &name, &mut found);
        } else {
            values::at_spellings(self.event, &name, &mut found);
        }
        if is_fact && !self.is_theirs(Quirk::Facts) {
            let mut flat = Vec::new();
            found.iter().for_each(|value| values::elements(value, &mut |value| flat.push(value)));
            flat.retain(|value| !value.is_null() && !value.is_object());
            return flat;
        }
        found
    }

    /// Whether any of what was found passes the test of this value.
    fn value(&self, item: &DetectionItem, value: &SigmaValue, found: &[&Value]) -> bool {
        let has = |modifier| item.field.has_modifier(modifier);
        let mut flat: Vec<&Value> = Vec::new();
        found.iter().for_each(|value| values::elements(value, &mut |value| flat.push(value)));
        let any = |test: &dyn Fn(&Value) -> bool| flat.iter().any(|value| !value.is_null() && !value.is_object() && test(value));
        let text_of = |value: &Value| values::text_of(value, self.is_theirs(Quirk::NumberSpelling));
        if has(Modifier::FieldRef) {
            return self.field_ref(item, value, found, &flat);
        }
        if has(Modifier::Re) {
            let flags: String = [(Modifier::IgnoreCase, 'i'), (Modifier::Multiline, 'm'), (Modifier::DotAll, 's')]
                .iter()
                .filter(|(flag, _)| has(*flag))
                .map(|(_, c)| *c)
                .collect();
            let pattern = if flags.is_empty() { value.to_string() } else { format!("(?{flags}){value}") };
            return any(&|value| self.regexes.is_match(&pattern, &text_of(value)));
        }
        if has(Modifier::Cidr) {
            return any(&|address| values::lies_in(&text_of(address), &value.to_string(), self.is_theirs(Quirk::MappedAddresses)));
        }
        let comparisons: [(Modifier, fn(f64, f64) -> bool); 4] =
            [(Modifier::Gt, |a, b| a > b), (Modifier::Gte, |a, b| a >= b), (Modifier::Lt, |a, b| a < b), (Modifier::Lte, |a, b| a <= b)];
        if let Some((_, op)) = comparisons.iter().find(|(modifier, _)| has(*modifier)) {
            let Ok(bound) = value.to_string().trim().parse::<f64>() else { return false };
            return any(&|value| self.number(value).is_some_and(|number| op(number, bound)));
        }
        let is_placed = place(item) != Place::Whole;
        match value {
            SigmaValue::Null if self.is_theirs(Quirk::NullInList) => found.is_empty() || matches!(found, [Value::Null]),
            SigmaValue::Null => found.is_empty() || flat.iter().any(|value| value.is_null()),
            SigmaValue::Bool(wanted) if self.is_theirs(Quirk::BooleanWords) => any(&|value| values::as_bool(value) == Some(*wanted)),
            SigmaValue::Integer(number) if !is_placed && (number.unsigned_abs() < 1 << 53 || self.is_theirs(Quirk::LongNumbers)) => {
                any(&|value| self.number(value).is_some_and(|found| (found - *number as f64).abs() < f64::EPSILON))
            }
            SigmaValue::Float(number) if !is_placed => any(&|value| self.number(value).is_some_and(|found| (found - number).abs() < f64::EPSILON)),
            SigmaValue::String(text) => self.texts(item, text, &flat),
            other => self.texts(item, &SigmaString::from_raw(&other.to_string()), &flat),
        }
    }

    fn number(&self, value: &Value) -> Option<f64> {
        match value {
            Value::Bool(_) => None,
            value => values::number(&values::text_of(value, false), self.is_theirs(Quirk::NumberWords)),
        }
    }

    /// Text, after what modifiers make of it.
    fn texts(&self, item: &DetectionItem, text: &SigmaString, flat: &[&Value]) -> bool {
        let has = |modifier| item.field.has_modifier(modifier);
        let (mut place, cased) = (place(item), has(Modifier::Cased));
        let mut texts = vec![text.clone()];
        if has(Modifier::Expand) {
            if self.is_theirs(Quirk::Expand) {
                texts = vec![SigmaString::from_raw(&self.filled(&text.original))];
                place = Place::Whole;
            } else {
                texts = values::expand(&text.original, self.lists).iter().map(|text| SigmaString::new(text)).collect();
            }
        }
        if has(Modifier::WindAsh) {
            texts = texts.iter().flat_map(|text| values::windash(text, self.is_theirs(Quirk::Windash))).collect();
        }
        if has(Modifier::Base64) || has(Modifier::Base64Offset) {
            let is_cut = self.is_theirs(Quirk::Base64Edges);
            let bytes = |text: &SigmaString| values::bytes(&text.as_plain().unwrap_or_default(), &item.field.modifiers);
            texts = texts.iter().flat_map(|text| values::base64(&bytes(text), has(Modifier::Base64Offset), is_cut)).collect();
            if is_cut && has(Modifier::Base64Offset) {
                place = Place::Anywhere;
            }
        }
        let is_any = |text: &SigmaString| {
            let is_many = |part: &StringPart| *part == StringPart::Special(SpecialChar::WildcardMulti);
            text.parts.iter().all(is_many) && (!text.parts.is_empty() || place != Place::Whole)
        };
        if !self.is_theirs(Quirk::AnyObject) && texts.iter().any(is_any) && flat.iter().any(|value| value.as_object().is_some_and(|o| !o.is_empty()))
        {
            return true;
        }
        let scalars = flat.iter().filter(|value| !value.is_null() && !value.is_object());
        let shown: Vec<String> = scalars.map(|value| values::text_of(value, self.is_theirs(Quirk::NumberSpelling))).collect();
        texts.iter().any(|text| shown.iter().any(|value| self.text(text, place, cased, value)))
    }

    /// What the peer makes of `%name%`: the value of that field.
    fn filled(&self, template: &str) -> String {
        let mut filled = String::new();
        for (at, piece) in template.split('%').enumerate() {
            let found = if at % 2 == 1 { self.find(piece) } else { Vec::new() };
            match found.as_slice() {
                [value] if at % 2 == 1 => filled.push_str(&values::text_of(value, true)),
                _ if at % 2 == 1 => {}
                _ => filled.push_str(piece),
            }
        }
        filled
    }

    fn text(&self, text: &SigmaString, place: Place, cased: bool, value: &str) -> bool {
        let is_theirs = self.is_theirs(Quirk::Folding);
        let fold = |text: &str| if cased { text.to_owned() } else { values::fold(text, is_theirs) };
        if let Some(plain) = text.as_plain() {
            let (value, plain) = (fold(value), fold(&plain));
            return match place {
                Place::Whole => value == plain,
                Place::Start => value.starts_with(&plain),
                Place::End => value.ends_with(&plain),
                Place::Anywhere => value.contains(&plain),
            };
        }
        let (mut open, mut close) = (matches!(place, Place::End | Place::Anywhere), matches!(place, Place::Start | Place::Anywhere));
        if self.is_theirs(Quirk::PlacedWildcards) && matches!(place, Place::Start | Place::End) {
            (open, close) = (close, open);
        }
        let mut pattern = String::from(if self.is_theirs(Quirk::WildcardNewline) { "" } else { "(?s)" });
        if is_theirs && !cased {
            pattern.push_str("(?i)");
        }
        pattern.push_str(if open { "" } else { "^" });
        for part in &text.parts {
            match part {
                StringPart::Plain(text) if is_theirs => pattern.push_str(&regex::escape(text)),
                StringPart::Plain(text) => pattern.push_str(&regex::escape(&fold(text))),
                StringPart::Special(SpecialChar::WildcardMulti) => pattern.push_str(".*"),
                StringPart::Special(SpecialChar::WildcardSingle) => pattern.push('.'),
            }
        }
        pattern.push_str(if close { "" } else { "$" });
        let value = if is_theirs { value.to_owned() } else { fold(value) };
        self.regexes.is_match(&pattern, &value)
    }

    fn field_ref(&self, item: &DetectionItem, value: &SigmaValue, found: &[&Value], flat: &[&Value]) -> bool {
        let place = place(item);
        let cased = item.field.has_modifier(Modifier::Cased);
        let others = self.find(&value.to_string());
        let fold = |text: String| if cased { text } else { values::fold(&text, self.is_theirs(Quirk::Folding)) };
        let is_scalar = |value: &&&Value| !value.is_null() && !value.is_array() && !value.is_object();
        let spelled = |value: &Value| fold(values::text_of(value, self.is_theirs(Quirk::NumberSpelling) || self.is_theirs(Quirk::FieldRefLists)));
        let mut theirs: Vec<&Value> = Vec::new();
        if self.is_theirs(Quirk::FieldRefLists) {
            // Lists are equal as a whole, or not at all.
            let (left, right) = (values::joined(found), values::joined(&others));
            let (Some(left), Some(right)) = (left, right) else { return false };
            if place == Place::Whole && !(is_scalar(&&&left) && is_scalar(&&&right)) {
                return left == right;
            }
            match &right {
                right if is_scalar(&&right) => {
                    return flat.iter().filter(is_scalar).any(|value| stands(&spelled(value), place, &spelled(right)))
                        && (place != Place::Whole || is_scalar(&&&left));
                }
                _ => return false,
            }
        }
        others.iter().for_each(|value| values::elements(value, &mut |value| theirs.push(value)));
        flat.iter().filter(is_scalar).any(|own| theirs.iter().filter(is_scalar).any(|other| stands(&spelled(own), place, &spelled(other))))
    }
}

fn stands(text: &str, place: Place, literal: &str) -> bool {
    match place {
        Place::Whole => text == literal,
        Place::Start => text.starts_with(literal),
        Place::End => text.ends_with(literal),
        Place::Anywhere => text.contains(literal),
    }
}
