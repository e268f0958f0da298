//! What the value of a term says of a test: the value may be cut, or stand for several.

use std::cmp::Ordering;
use std::net::IpAddr;

use crate::query::{self, Bound, Wild, WildPart};
use crate::store::term;

/// How a term's value answers a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    No,
    Yes,
    /// The event has to be looked at.
    Look,
}

/// Whether a pattern with placeholders fits what a term stands for.
pub(super) fn of_pattern(parts: &[WildPart], value: &str) -> Verdict {
    if let Some(sketch) = term::sketch_of(value) {
        return of_sketch(parts, &sketch);
    }
    if term::is_cut(value) {
        let may_be = |head: &str| {
            let may_have = |c: char| head.contains(c) || c.is_ascii_hexdigit() || ".tz+-:".contains(c);
            parts.iter().all(|part| if let WildPart::Text(text) = part { text.chars().all(may_have) } else { true })
        };
        return if term::head_of_shared(value).is_none_or(may_be) { Verdict::Look } else { Verdict::No };
    }
    match is_match(parts, value) {
        false => Verdict::No,
        true if value == "null" => Verdict::Look,
        true => Verdict::Yes,
    }
}

/// A value of which every run of digits is one `#`. What fits such a value fits the sketch, if the pattern is treated likewise: its own
/// runs of digits become `#`, those at a placeholder are left to it, and a placeholder for one character may be within a run.
fn of_sketch(parts: &[WildPart], sketch: &str) -> Verdict {
    if parts.windows(2).any(|pair| matches!(pair, [WildPart::Text(_), WildPart::Text(_)])) {
        return Verdict::Look;
    }
    let mut is_exact = true;
    let part = |(at, part): (usize, &WildPart)| match part {
        WildPart::Text(text) => {
            is_exact &= !text.contains(|c: char| c.is_ascii_digit() || c == '#');
            WildPart::Text(term::sketch_of_part(text, at > 0, at + 1 < parts.len()))
        }
        WildPart::Many => WildPart::Many,
        WildPart::One => {
            is_exact = false;
            WildPart::Many
        }
    };
    let sketched: Vec<WildPart> = parts.iter().enumerate().map(part).collect();
    match is_match(&sketched, sketch) {
        false => Verdict::No,
        true if is_exact => Verdict::Yes,
        true => Verdict::Look,
    }
}

/// The text of a pattern without placeholders.
pub(super) fn exact(wild: &Wild) -> Option<String> {
    wild.parts.iter().map(|part| if let WildPart::Text(text) = part { Some(text.as_str()) } else { None }).collect()
}

/// Whether the pattern fits all of a value in lower case. Linear in practice: after a `*` only the last one is tried again.
pub(super) fn is_match(parts: &[WildPart], value: &str) -> bool {
    let (mut at, mut rest) = (0, value);
    let mut retry: Option<(usize, &str)> = None;
    loop {
        let step = match parts.get(at) {
            None if rest.is_empty() => return true,
            None => None,
            Some(WildPart::Many) => {
                retry = Some((at + 1, rest));
                Some(rest)
            }
            Some(WildPart::One) => rest.chars().next().and_then(|c| rest.get(c.len_utf8()..)),
            Some(WildPart::Text(text)) => rest.strip_prefix(text.as_str()),
        };
        match (step, retry) {
            (Some(next), _) => {
                rest = next;
                at += 1;
            }
            (None, Some((from, tail))) => {
                let Some(shorter) = tail.chars().next().and_then(|c| tail.get(c.len_utf8()..)) else { return false };
                retry = Some((from, shorter));
                (at, rest) = (from, shorter);
            }
            (None, None) => return false,
        }
    }
}

/// What the query language itself says lies outside is out; the rest is left to the check of the event.
pub(super) fn in_range(value: &str, low: &Bound, high: &Bound) -> Verdict {
    if term::is_cut(value) {
        return Verdict::Look;
    }
    let is_beyond = |bound: &Bound, beyond: Ordering| match bound {
        Bound::Open => false,
        Bound::Inclusive(text) | Bound::Exclusive(text) => query::compare(value, text) == Some(beyond),
    };
    if is_beyond(low, Ordering::Less) || is_beyond(high, Ordering::Greater) { Verdict::No } else { Verdict::Look }
}

pub(super) fn in_net(value: &str, net: IpAddr, bits: u8) -> Verdict {
    let masked = |address: u128, width: u32| address.checked_shr(width.saturating_sub(u32::from(bits))).unwrap_or_default();
    match (value.parse::<IpAddr>(), net) {
        (Ok(IpAddr::V4(a)), IpAddr::V4(b)) if masked(a.to_bits().into(), 32) != masked(b.to_bits().into(), 32) => Verdict::No,
        (Ok(IpAddr::V6(a)), IpAddr::V6(b)) if masked(a.to_bits(), 128) != masked(b.to_bits(), 128) => Verdict::No,
        (Err(_), _) if !term::is_cut(value) && !value.contains(['.', ':']) => Verdict::No,
        _ => Verdict::Look,
    }
}
