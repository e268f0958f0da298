//! Values of events and of rules, by the book and as the peer has them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex::Regex;
use rsigma_parser::value::StringPart;
use rsigma_parser::{Modifier, SigmaString};
use serde_json::Value;

/// What the peer decides otherwise. [`explained`](super::explained) says of each who is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quirk {
    KeywordsAll,
    KeywordNumbers,
    WildcardNewline,
    PlacedWildcards,
    NullInList,
    NullAmongValues,
    NeqMissing,
    ExistsNull,
    FieldRefLists,
    Base64Edges,
    Windash,
    BooleanWords,
    NumberWords,
    NumberSpelling,
    LongNumbers,
    MappedAddresses,
    DottedKeys,
    AnyObject,
    Folding,
    Alias,
    Expand,
    Facts,
}

/// A set of quirks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quirks(u32);

impl Quirks {
    pub fn of(quirks: impl IntoIterator<Item = Quirk>) -> Self {
        Self(quirks.into_iter().fold(0, |set, quirk| set | 1 << quirk as u32))
    }

    pub fn has(self, quirk: Quirk) -> bool {
        self.0 >> quirk as u32 & 1 == 1
    }

    pub fn without(self, quirk: Quirk) -> Self {
        Self(self.0 & !(1 << quirk as u32))
    }
}

/// Everything in a record that has no parts.
pub fn leaves<'v>(value: &'v Value, to: &mut dyn FnMut(&'v Value)) {
    match value {
        Value::Object(members) => members.values().for_each(|value| leaves(value, to)),
        Value::Array(values) => values.iter().for_each(|value| leaves(value, to)),
        value => to(value),
    }
}

/// A value, or the elements of a list, of lists within it too.
pub fn elements<'v>(value: &'v Value, to: &mut dyn FnMut(&'v Value)) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| elements(value, to)),
        value => to(value),
    }
}

/// What a dotted name leads to, where each dot may part two keys or belong to one. Lists are looked through.
pub fn at_spellings<'v>(value: &'v Value, name: &str, to: &mut Vec<&'v Value>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| at_spellings(value, name, to)),
        Value::Object(members) => {
            to.extend(members.get(name));
            for (at, _) in name.match_indices('.') {
                let (key, rest) = (&name[..at], &name[at + 1..]);
                if let Some(value) = members.get(key) {
                    at_spellings(value, rest, to);
                }
            }
        }
        _ => {}
    }
}

/// As the peer has it: the whole name at the top, else every dot parts two keys.
pub fn at_path<'v>(value: &'v Value, name: &str, to: &mut Vec<&'v Value>) {
    fn walk<'v>(value: &'v Value, keys: &[&str], to: &mut Vec<&'v Value>) {
        let Some((key, rest)) = keys.split_first() else { return to.push(value) };
        match value {
            Value::Object(members) => members.get(*key).into_iter().for_each(|value| walk(value, rest, to)),
            Value::Array(values) => values.iter().for_each(|value| walk(value, keys, to)),
            _ => {}
        }
    }
    match value.get(name) {
        Some(value) => to.push(value),
        None if name.contains('.') => walk(value, &name.split('.').collect::<Vec<_>>(), to),
        None => {}
    }
}

/// What was found as one value, as the peer compares it; none if nothing was.
pub fn joined(found: &[&Value]) -> Option<Value> {
    match found {
        [] => None,
        [one] => Some((*one).clone()),
        many => Some(Value::Array(many.iter().map(|value| (*value).clone()).collect())),
    }
}

/// A scalar as text. By the book a number is spelled as it was written; the peer writes it anew.
pub fn text_of(value: &Value, is_theirs: bool) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if is_theirs => match number.as_i64() {
            Some(number) => number.to_string(),
            None => number.as_f64().unwrap_or(f64::NAN).to_string(),
        },
        Value::Array(_) | Value::Object(_) | Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// The number that a text spells.
pub fn number(text: &str, is_theirs: bool) -> Option<f64> {
    let number: f64 = text.parse().ok()?;
    let is_plain = text.len() <= 64 && number.is_finite() && text.chars().all(|c| c.is_ascii_digit() || "+-.eE".contains(c));
    (is_theirs || is_plain).then_some(number)
}

/// What the peer takes for a boolean.
pub fn as_bool(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::String(text) => match text.to_lowercase().as_str() {
            "true" | "1" | "yes" => Some(true),
            "false" | "0" | "no" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// Without case: by the book character by character, there as Rust does it, which looks at neighbours.
pub fn fold(text: &str, is_theirs: bool) -> String {
    if is_theirs {
        return text.to_lowercase();
    }
    let mut folded = String::new();
    for c in text.chars() {
        match c {
            'ſ' => folded.push('s'),
            'ς' => folded.push('σ'),
            'İ' => folded.push('İ'),
            c => folded.extend(c.to_lowercase()),
        }
    }
    folded
}

fn bits(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    }
}

/// Whether the address lies in the network. An address of version 4 may be written as one of 6; the peer does not see that, nor zones.
pub fn lies_in(address: &str, network: &str, is_theirs: bool) -> bool {
    let (network, length) = network.split_once('/').unwrap_or((network, "128"));
    let (Ok(mut network), Ok(mut length)) = (network.parse::<IpAddr>(), length.parse::<u32>()) else { return false };
    let address = if is_theirs { address } else { address.split('%').next().unwrap_or_default() };
    let Ok(mut address) = address.parse::<IpAddr>() else { return false };
    if !is_theirs {
        address = address.to_canonical();
        if network.is_ipv6() && network.to_canonical().is_ipv4() && length >= 96 {
            (network, length) = (network.to_canonical(), length - 96);
        }
    }
    let ((address, width), (network, same)) = (bits(address), bits(network));
    let length = length.min(width);
    width == same && (length == 0 || (address ^ network) >> (128 - length) == 0)
}

/// Everything that a value with placeholders stands for.
pub fn expand(text: &str, lists: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    for (name, values) in lists {
        let placeholder = format!("%{name}%");
        if let Some((before, after)) = text.split_once(&placeholder) {
            return values.iter().flat_map(|value| expand(after, lists).into_iter().map(move |after| format!("{before}{value}{after}"))).collect();
        }
    }
    vec![text.to_owned()]
}

const DASHES: [char; 5] = ['-', '/', '\u{2013}', '\u{2014}', '\u{2015}'];

/// Every way to write the dashes of a value: by pySigma, those that start a word and end none; there every hyphen, and wildcards are text.
pub fn windash(text: &SigmaString, is_theirs: bool) -> Vec<SigmaString> {
    let expression = Regex::new(if is_theirs { "-" } else { r"\B[-/]\b" }).expect("an expression of this file");
    let parts = if is_theirs { vec![StringPart::Plain(text.as_plain().unwrap_or_else(|| text.original.clone()))] } else { text.parts.clone() };
    let mut ways: Vec<Vec<StringPart>> = vec![Vec::new()];
    for part in parts {
        let StringPart::Plain(text) = &part else {
            ways.iter_mut().for_each(|way| way.push(part.clone()));
            continue;
        };
        let mut texts = vec![String::new()];
        let mut behind = 0;
        for found in expression.find_iter(text) {
            texts = texts.iter().flat_map(|before| DASHES.map(|dash| format!("{before}{}{dash}", &text[behind..found.start()]))).collect();
            behind = found.end();
        }
        texts.iter_mut().for_each(|way| way.push_str(&text[behind..]));
        ways = ways.iter().flat_map(|way| texts.iter().map(|text| [way.as_slice(), &[StringPart::Plain(text.clone())]].concat())).collect();
    }
    ways.into_iter().map(|parts| SigmaString { parts, original: text.original.clone() }).collect()
}

/// The bytes of a text, in UTF-16 where a modifier says so.
pub fn bytes(text: &str, modifiers: &[Modifier]) -> Vec<u8> {
    let units = || text.encode_utf16();
    match modifiers.iter().find(|modifier| matches!(modifier, Modifier::Wide | Modifier::Utf16 | Modifier::Utf16be)) {
        Some(Modifier::Utf16be) => units().flat_map(u16::to_be_bytes).collect(),
        Some(Modifier::Utf16) => [0xff, 0xfe].into_iter().chain(units().flat_map(u16::to_le_bytes)).collect(),
        Some(_) => units().flat_map(u16::to_le_bytes).collect(),
        None => text.as_bytes().to_vec(),
    }
}

/// In Base64, and at each offset if asked: what hangs on the neighbours is cut off at both ends; the peer keeps what hangs on those behind.
pub fn base64(bytes: &[u8], is_offset: bool, is_theirs: bool) -> Vec<SigmaString> {
    let text = |text: &str| SigmaString { parts: vec![StringPart::Plain(text.to_owned())], original: text.to_owned() };
    if !is_offset {
        return vec![text(&STANDARD.encode(bytes))];
    }
    let at = |offset: usize| {
        let shifted = [&b"   "[..offset], bytes].concat();
        let encoded = STANDARD.encode(&shifted);
        let cut = match (shifted.len() % 3, is_theirs) {
            (_, true) => encoded.len() - encoded.trim_end_matches('=').len(),
            (0, _) => 0,
            (1, _) => 3,
            (_, _) => 2,
        };
        text(encoded.get([0, 2, 3][offset]..encoded.len() - cut).unwrap_or_default())
    };
    (0..3).map(at).filter(|text| !text.original.is_empty()).collect()
}
