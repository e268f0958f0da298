//! Values of a field, by its modifiers, into tests.

use regex::RegexBuilder;

use super::diagnostic::{Scope, closest};
use super::encode::{base64, base64_offsets, wide, windash};
use super::modifier::{self, Modifiers};
use super::yaml::{Node, Yaml};
use crate::detect::rule::{Comparison, Part, Pattern, Place, Test};
use crate::model::TimePart;

/// Tests that one value may become.
const VARIANTS_MAX: usize = 10_000;

/// Ways to write the dashes of one value.
const DASH_VARIANTS_MAX: usize = 3_125;

/// Bytes of a regular expression.
const REGEX_BYTES_MAX: usize = 1 << 10;

/// Bytes of a compiled regular expression, and of its table of states. The first is what the engine allows.
const REGEX_COMPILED_BYTES_MAX: usize = 4 << 20;
const REGEX_STATES_BYTES_MAX: usize = 8 << 20;

/// Whole numbers below this are exact as floats, and no other rounds to them; longer ones are compared as text.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// Reads text with wildcards: `*` and `?`, which a backslash makes literal; a backslash is literal before anything else, and two are one.
pub(super) fn parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let wildcard = match c {
            '\\' => {
                literal.push(chars.next_if(|next| matches!(next, '*' | '?' | '\\')).unwrap_or('\\'));
                continue;
            }
            '*' => Part::Many,
            '?' => Part::One,
            c => {
                literal.push(c);
                continue;
            }
        };
        if !literal.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut literal)));
        }
        if wildcard != Part::Many || parts.last() != Some(&Part::Many) {
            parts.push(wildcard);
        }
    }
    if !literal.is_empty() {
        parts.push(Part::Text(literal));
    }
    parts
}

/// The tests of one value; a field passes by any of them.
pub(super) fn tests(scope: &mut Scope<'_>, node: &Node, modifiers: &Modifiers) -> Option<Vec<Test>> {
    if matches!(node.value, Yaml::Map(_) | Yaml::List(_)) {
        scope.error(
            node.at,
            "bad-value",
            format!("a value is {}; text, a number, a boolean or null is wanted", node.kind()),
            "fields within fields are written with dots: `user.username`",
        );
        return None;
    }
    match modifiers.test {
        modifier::Test::Value | modifier::Test::Number(_) if let Some(part) = modifiers.time => {
            time(scope, node, part, modifiers.test).map(|test| vec![test])
        }
        modifier::Test::Value => text(scope, node, modifiers),
        modifier::Test::Regex => regex(scope, node, modifiers).map(|test| vec![test]),
        modifier::Test::Cidr => {
            let values = spelled(scope, node, modifiers)?;
            values.into_iter().map(|text| cidr(scope, node, text)).collect()
        }
        modifier::Test::Number(op) => number(scope, node, op).map(|test| vec![test]),
        modifier::Test::Exists => match (&node.value, node.text()) {
            (Yaml::Bool(wanted), _) => Some(vec![Test::Exists(*wanted)]),
            (_, Some("true" | "yes")) => Some(vec![Test::Exists(true)]),
            (_, Some("false" | "no")) => Some(vec![Test::Exists(false)]),
            _ => {
                scope.error(node.at, "bad-value", "`exists` takes true or false", "");
                None
            }
        },
        modifier::Test::FieldRef => {
            if !scope.within.is_empty() {
                scope.error(node.at, "bad-array-scope", "`fieldref` cannot stand in an array scope", "compare the fields without a scope");
                return None;
            }
            let Some(name) = node.text() else {
                scope.error(node.at, "bad-value", format!("`fieldref` takes the name of a field, and this is {}", node.kind()), "");
                return None;
            };
            let other = scope.field(node.at, name)?;
            Some(vec![Test::FieldRef { other, place: modifiers.place, cased: modifiers.cased }])
        }
    }
}

/// The texts that a value stands for: itself, or with `expand` everything its placeholders are.
fn spelled(scope: &mut Scope<'_>, node: &Node, modifiers: &Modifiers) -> Option<Vec<String>> {
    let Some(text) = node.spelled() else {
        scope.error(node.at, "bad-value", "null cannot be changed by a modifier", "give null to the field without modifiers");
        return None;
    };
    if modifiers.expand { expand(scope, node, text) } else { Some(vec![text.to_owned()]) }
}

fn expand(scope: &mut Scope<'_>, node: &Node, text: &str) -> Option<Vec<String>> {
    let mut texts = vec![String::new()];
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        let name = after.split_once('%').filter(|(name, _)| is_placeholder(name));
        texts.iter_mut().for_each(|text| text.push_str(before));
        let Some((name, behind)) = name else {
            texts.iter_mut().for_each(|text| text.push('%'));
            rest = after;
            continue;
        };
        let Some(values) = scope.settings.lists.get(name) else {
            let known = closest(name, scope.settings.lists.keys().map(String::as_str));
            let help = known.map_or_else(
                || format!("give the list in the settings: [detect.lists] {name} = [...]"),
                |known| format!("did you mean `%{known}%`?"),
            );
            scope.error(node.at, "unknown-placeholder", format!("no list is called `{name}`"), help);
            return None;
        };
        if texts.len().saturating_mul(values.len()) > VARIANTS_MAX {
            scope.error(
                node.at,
                "too-many-values",
                format!("`{}` stands for more than {VARIANTS_MAX} values", text.escape_debug()),
                "shorten the lists",
            );
            return None;
        }
        texts = texts.iter().flat_map(|text| values.iter().map(move |value| format!("{text}{value}"))).collect();
        rest = behind;
    }
    texts.iter_mut().for_each(|text| text.push_str(rest));
    Some(texts)
}

fn is_placeholder(name: &str) -> bool {
    !name.is_empty() && name.len() <= 128 && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

fn text(scope: &mut Scope<'_>, node: &Node, modifiers: &Modifiers) -> Option<Vec<Test>> {
    let is_changed = modifiers.place != Place::Whole || modifiers.windash || modifiers.base64.is_some() || modifiers.expand;
    match &node.value {
        Yaml::Null if !is_changed => return Some(vec![Test::Null]),
        Yaml::Number(_, value) if !is_changed && (value.fract() != 0.0 || value.abs() < EXACT_MAX) => {
            return Some(vec![Test::Number { op: Comparison::Eq, value: *value }]);
        }
        _ => {}
    }
    let mut patterns = Vec::new();
    for text in spelled(scope, node, modifiers)? {
        // A number or boolean has no escapes, and reading it as text changes nothing.
        let parts = parts(&text);
        let dashed = if modifiers.windash {
            let Some(dashed) = windash(&parts, DASH_VARIANTS_MAX) else {
                let help = "look for fewer arguments in one value: `|contains|all` with a value for each";
                scope.error(node.at, "too-many-values", "`windash` makes too many variants of this value", help);
                return None;
            };
            dashed
        } else {
            vec![parts]
        };
        for parts in dashed {
            encode(scope, node, parts, modifiers, &mut patterns)?;
        }
        if patterns.len() > VARIANTS_MAX {
            scope.error(node.at, "too-many-values", format!("the value stands for more than {VARIANTS_MAX} texts"), "");
            return None;
        }
    }
    let test = |parts| Test::Text { pattern: Pattern { parts, place: modifiers.place }, cased: modifiers.cased };
    Some(patterns.into_iter().map(test).collect())
}

fn encode(scope: &mut Scope<'_>, node: &Node, parts: Vec<Part>, modifiers: &Modifiers, to: &mut Vec<Vec<Part>>) -> Option<()> {
    let Some(at_any_offset) = modifiers.base64 else {
        to.push(parts);
        return Some(());
    };
    let literal = match parts.as_slice() {
        [Part::Text(text)] => text.as_str(),
        [] => "",
        _ => {
            scope.error(node.at, "bad-value", "a value with wildcards cannot be encoded", "write `\\*` and `\\?` for the characters themselves");
            return None;
        }
    };
    let bytes = modifiers.wide.map_or_else(|| literal.as_bytes().to_vec(), |order| wide(literal, order));
    if bytes.is_empty() || (at_any_offset && bytes.len() < 2) {
        scope.error(node.at, "bad-value", "the value is too short to be looked for in Base64", "");
        return None;
    }
    let texts = if at_any_offset { base64_offsets(&bytes) } else { vec![base64(&bytes)] };
    to.extend(texts.into_iter().map(|text| vec![Part::Text(text)]));
    Some(())
}

/// The specification has a time's part equal to a number; a comparison with it is an extension.
fn time(scope: &mut Scope<'_>, node: &Node, part: TimePart, test: modifier::Test) -> Option<Test> {
    let op = if let modifier::Test::Number(op) = test { op } else { Comparison::Eq };
    let Test::Number { value, .. } = number(scope, node, op)? else { return None };
    let (least, greatest) = part.range();
    if op == Comparison::Eq && (value.fract() != 0.0 || !(least as f64..=greatest as f64).contains(&value)) {
        let message = format!("no time has the {} {value}", part.name());
        scope.error(node.at, "bad-value", message, format!("{least} to {greatest}, in UTC"));
        return None;
    }
    Some(Test::Time { part, op, value })
}

fn number(scope: &mut Scope<'_>, node: &Node, op: Comparison) -> Option<Test> {
    let value = match &node.value {
        Yaml::Number(_, value) => Some(*value),
        Yaml::Text { text, .. } => text.trim().parse::<f64>().ok().filter(|value| value.is_finite()),
        _ => None,
    };
    if value.is_none() {
        scope.error(node.at, "bad-value", "a comparison takes a number", "");
    }
    value.map(|value| Test::Number { op, value })
}

fn cidr(scope: &mut Scope<'_>, node: &Node, text: String) -> Option<Test> {
    let (address, length) = text.split_once('/').map_or((text.as_str(), None), |(address, length)| (address, Some(length)));
    let length = length.map(|length| length.parse::<u8>().ok().filter(|_| length.bytes().all(|b| b.is_ascii_digit())));
    let is_good = match (address.parse::<std::net::IpAddr>(), length) {
        (Ok(_), None) => true,
        (Ok(address), Some(Some(length))) => length <= if address.is_ipv4() { 32 } else { 128 },
        _ => false,
    };
    if !is_good {
        scope.error(
            node.at,
            "bad-network",
            format!("`{}` is no network", text.escape_debug()),
            "an address and a prefix length: 10.0.0.0/8, fd00::/8",
        );
        return None;
    }
    Some(Test::Cidr { text })
}

fn regex(scope: &mut Scope<'_>, node: &Node, modifiers: &Modifiers) -> Option<Test> {
    let Some(pattern) = node.spelled() else {
        scope.error(node.at, "bad-value", "`re` takes a regular expression", "");
        return None;
    };
    let built = if pattern.len() > REGEX_BYTES_MAX {
        Err(format!("it has {} bytes; {REGEX_BYTES_MAX} are read", pattern.len()))
    } else {
        RegexBuilder::new(pattern)
            .case_insensitive(modifiers.ignore_case)
            .multi_line(modifiers.multi_line)
            .dot_matches_new_line(modifiers.dot_all)
            .size_limit(REGEX_COMPILED_BYTES_MAX)
            .dfa_size_limit(REGEX_STATES_BYTES_MAX)
            .build()
            .map_err(|error| error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned())
    };
    if let Err(message) = built {
        let help = "the syntax is RE2's: no look-around, no back-references; a literal brace is `\\{`";
        scope.error(node.at, "bad-regex", format!("the regular expression cannot be used: {message}"), help);
        return None;
    }
    let Modifiers { ignore_case, multi_line, dot_all, .. } = *modifiers;
    Some(Test::Regex { pattern: pattern.to_owned(), ignore_case, multi_line, dot_all })
}
