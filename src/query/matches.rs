//! Whether an event meets a query.

use std::cmp::Ordering;
use std::net::IpAddr;

use crate::model::{Event, Field, FieldType, Timestamp, ValueKind};

use super::{Bound, Query, ValueTest, Wild, WildPart};

/// Whether the event meets the query.
pub fn matches(query: &Query, event: &Event) -> bool {
    match query {
        Query::All => true,
        Query::None => false,
        Query::Not(inner) => !matches(inner, event),
        Query::And(all) => all.iter().all(|part| matches(part, event)),
        Query::Or(any) => any.iter().any(|part| matches(part, event)),
        Query::Field { field, test } => {
            let mut found = false;
            event.each(field, |value| found |= value.kind != ValueKind::Null && is_met(test, value.text));
            found
        }
        Query::Word(wild) => event.facts.iter(&event.doc).any(|(field, value)| {
            let is_name = field == Field::Entity || field.name().ends_with("name");
            is_name && fits(wild, value.text) || field.kind() == FieldType::Words && words(value.text).any(|word| fits(wild, word))
        }),
        Query::Phrase(text) => {
            let wanted: Vec<String> = words(text).map(fold).collect();
            !wanted.is_empty()
                && event.facts.iter(&event.doc).any(|(field, value)| {
                    let held: Vec<String> = words(value.text).map(fold).collect();
                    field.kind() == FieldType::Words && held.windows(wanted.len()).any(|run| run == wanted)
                })
        }
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

fn fold(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

fn is_met(test: &ValueTest, value: &str) -> bool {
    match test {
        ValueTest::Wild(wild) => fits(wild, value),
        ValueTest::Exists => true,
        ValueTest::Range { low, high } => above(low, value, Ordering::Greater) && above(high, value, Ordering::Less),
        ValueTest::Cidr { net, bits } => match (value.parse::<IpAddr>(), net) {
            (Ok(IpAddr::V4(a)), IpAddr::V4(b)) => shifted(a.to_bits().into(), 32, *bits) == shifted(b.to_bits().into(), 32, *bits),
            (Ok(IpAddr::V6(a)), IpAddr::V6(b)) => shifted(a.to_bits(), 128, *bits) == shifted(b.to_bits(), 128, *bits),
            _ => false,
        },
    }
}

fn shifted(address: u128, width: u32, bits: u8) -> u128 {
    address.checked_shr(width.saturating_sub(u32::from(bits))).unwrap_or_default()
}

fn above(bound: &Bound, value: &str, side: Ordering) -> bool {
    match bound {
        Bound::Open => true,
        Bound::Inclusive(text) => compare(value, text).is_some_and(|order| order == side || order == Ordering::Equal),
        Bound::Exclusive(text) => compare(value, text) == Some(side),
    }
}

fn compare(value: &str, bound: &str) -> Option<Ordering> {
    if let Ok(bound) = bound.parse::<f64>() {
        return value.parse::<f64>().ok()?.partial_cmp(&bound);
    }
    if let Some(bound) = Timestamp::parse(bound) {
        return Timestamp::parse(value).map(|value| value.cmp(&bound));
    }
    Some(fold(value).cmp(&fold(bound)))
}

fn fits(wild: &Wild, value: &str) -> bool {
    let value = fold(value);
    let mut at: Vec<usize> = vec![0];
    for part in &wild.parts {
        let mut next: Vec<usize> = Vec::new();
        for start in at {
            let Some(rest) = value.get(start..) else { continue };
            match part {
                WildPart::Text(text) if rest.starts_with(text.as_str()) => next.push(start + text.len()),
                WildPart::Text(_) => {}
                WildPart::One => next.extend(rest.chars().next().map(|c| start + c.len_utf8())),
                WildPart::Many => next.extend(rest.char_indices().map(|(i, _)| start + i).chain([value.len()])),
            }
        }
        next.sort_unstable();
        next.dedup();
        at = next;
    }
    at.contains(&value.len())
}
