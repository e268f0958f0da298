//! What a query means: whether an event matches. The index answers the same, and a test holds the two together.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::net::IpAddr;

use super::{Bound, Query, ValueTest, WORD_FIELDS, Wild, WildPart, lower, words};
use crate::model::{Event, Field, FieldType, Timestamp, Value, ValueKind};

/// Whether the event matches. A list matches by any element; null is no value and matches nothing.
pub fn matches(query: &Query, event: &Event) -> bool {
    match query {
        Query::All => true,
        Query::None => false,
        Query::Not(inner) => !matches(inner, event),
        Query::And(all) => all.iter().all(|query| matches(query, event)),
        Query::Or(any) => any.iter().any(|query| matches(query, event)),
        Query::Field { field, test } => {
            let mut found = false;
            event.each(field, |value| found = found || matches_value(test, value));
            found
        }
        Query::Word(wild) => is_named(event, |value| wild.matches(value)) || is_said(event, |text| words(text).any(|word| wild.matches_lower(&word))),
        Query::Phrase(phrase) => {
            let wild = Wild::literal(phrase);
            let asked: Vec<Cow<'_, str>> = words(phrase).collect();
            is_named(event, |value| wild.matches(value)) || (!asked.is_empty() && is_said(event, |text| has_neighbours(text, &asked)))
        }
    }
}

/// Whether any value of the entity and name fields passes.
fn is_named(event: &Event, passes: impl Fn(&str) -> bool) -> bool {
    event.facts.iter(&event.doc).any(|(field, value)| WORD_FIELDS.contains(&field) && value.kind != ValueKind::Null && passes(value.text))
}

/// Whether any message-like value passes.
fn is_said(event: &Event, passes: impl Fn(&str) -> bool) -> bool {
    event.facts.iter(&event.doc).any(|(field, value)| Field::kind(field) == FieldType::Words && value.kind != ValueKind::Null && passes(value.text))
}

fn has_neighbours(text: &str, asked: &[Cow<'_, str>]) -> bool {
    let said: Vec<Cow<'_, str>> = words(text).collect();
    said.windows(asked.len()).any(|window| window == asked)
}

/// Whether one value passes the test.
pub fn matches_value(test: &ValueTest, value: Value<'_>) -> bool {
    if value.kind == ValueKind::Null {
        return false;
    }
    match test {
        ValueTest::Exists => true,
        ValueTest::Wild(wild) => wild.matches(value.text),
        ValueTest::Cidr { net, bits } => value.text.parse().is_ok_and(|address| in_net(address, *net, *bits)),
        ValueTest::Range { low, high } => {
            let is_above = match low {
                Bound::Open => true,
                Bound::Inclusive(bound) => compare(value.text, bound).is_some_and(Ordering::is_ge),
                Bound::Exclusive(bound) => compare(value.text, bound).is_some_and(Ordering::is_gt),
            };
            let is_below = || match high {
                Bound::Open => true,
                Bound::Inclusive(bound) => compare(value.text, bound).is_some_and(Ordering::is_le),
                Bound::Exclusive(bound) => compare(value.text, bound).is_some_and(Ordering::is_lt),
            };
            is_above && is_below()
        }
    }
}

/// How a value compares with an end of a range. The end says as what: a number, an address, a time (a day alone is its
/// midnight) or else lower-cased text. `None`: the value is not of that sort, so it is in no such range.
pub fn compare(value: &str, bound: &str) -> Option<Ordering> {
    if let Some(bound) = Number::read(bound) {
        return Number::read(value)?.compare(bound);
    }
    if let Ok(bound) = bound.parse::<IpAddr>() {
        let value = value.parse::<IpAddr>().ok()?.to_canonical();
        let bound = bound.to_canonical();
        return (value.is_ipv4() == bound.is_ipv4()).then(|| value.cmp(&bound));
    }
    if let Some(bound) = read_time(bound) {
        return Some(read_time(value)?.cmp(&bound));
    }
    Some(lower(value).cmp(&lower(bound)))
}

fn read_time(text: &str) -> Option<Timestamp> {
    if text.len() == 10 { Timestamp::parse(&format!("{text}T00:00:00Z")) } else { Timestamp::parse(text) }
}

#[derive(Clone, Copy)]
enum Number {
    Whole(i128),
    Real(f64),
}

impl Number {
    /// A number as JSON spells it; none that has no finite value.
    fn read(text: &str) -> Option<Self> {
        let starts_well = text.strip_prefix('-').unwrap_or(text).starts_with(|c: char| c.is_ascii_digit());
        if !starts_well || !text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.' | b'e' | b'E')) {
            return None;
        }
        if let Ok(whole) = text.parse() {
            return Some(Self::Whole(whole));
        }
        text.parse().ok().filter(|real: &f64| real.is_finite()).map(Self::Real)
    }

    /// Rounded: only against a number with a fraction, where the last digits of a large one say nothing.
    fn real(self) -> f64 {
        match self {
            Self::Whole(whole) => whole as f64,
            Self::Real(real) => real,
        }
    }

    fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => Some(a.cmp(&b)),
            (a, b) => a.real().partial_cmp(&b.real()),
        }
    }
}

/// Whether an address lies in a network. An IPv4 address written as IPv6 (`::ffff:10.0.0.1`) counts as IPv4.
pub fn in_net(address: IpAddr, net: IpAddr, bits: u8) -> bool {
    match (address.to_canonical(), net) {
        (IpAddr::V4(address), IpAddr::V4(net)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0);
            (address.to_bits() ^ net.to_bits()) & mask == 0
        }
        (_, IpAddr::V6(net)) => {
            let IpAddr::V6(address) = address else { return false };
            let mask = u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0);
            (address.to_bits() ^ net.to_bits()) & mask == 0
        }
        (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

impl Wild {
    /// Whether the whole value matches, without regard to case.
    pub fn matches(&self, value: &str) -> bool {
        match self.as_literal() {
            Some(text) if value.is_ascii() => value.eq_ignore_ascii_case(text),
            _ => self.matches_lower(&lower(value)),
        }
    }

    /// The same for a value that has been lower-cased by [`lower`].
    pub fn matches_lower(&self, value: &str) -> bool {
        let mut segments = self.parts.split(|part| *part == WildPart::Many);
        let first = segments.next().unwrap_or_default();
        let Some(mut rest) = match_start(first, value) else { return false };
        let Some(mut segment) = segments.next() else { return rest.is_empty() };
        // Between stars, the leftmost place is always right: it leaves the most for what follows.
        for next in segments {
            let Some(after) = match_anywhere(segment, rest) else { return false };
            rest = after;
            segment = next;
        }
        match_end(segment, rest)
    }
}

/// What follows the segment at the start of the text, if it stands there.
fn match_start<'t>(segment: &[WildPart], text: &'t str) -> Option<&'t str> {
    segment.iter().try_fold(text, |rest, part| match part {
        WildPart::Text(text) => rest.strip_prefix(text.as_str()),
        WildPart::One | WildPart::Many => {
            let mut chars = rest.chars();
            chars.next().map(|_| chars.as_str())
        }
    })
}

fn match_anywhere<'t>(segment: &[WildPart], text: &'t str) -> Option<&'t str> {
    match segment {
        [] => Some(text),
        // By far the most common: the standard search is linear.
        [WildPart::Text(only)] => text.split_once(only.as_str()).map(|(_, rest)| rest),
        _ => text.char_indices().find_map(|(at, _)| match_start(segment, text.get(at..)?)),
    }
}

fn match_end(segment: &[WildPart], text: &str) -> bool {
    let chars: usize = segment.iter().map(|part| if let WildPart::Text(text) = part { text.chars().count() } else { 1 }).sum();
    if chars == 0 {
        return true;
    }
    let tail = text.char_indices().rev().nth(chars - 1).and_then(|(at, _)| text.get(at..));
    tail.and_then(|tail| match_start(segment, tail)) == Some("")
}
