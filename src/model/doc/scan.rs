//! The lexical part of JSON: ends of strings, numbers and values. Iterative; looks at each byte once.

use super::parse::ParseError;
use super::{LeafKind, skip};
use crate::model::lanes::Lane;

/// Past white space.
#[inline]
pub(super) fn blank(bytes: &[u8], mut at: usize) -> usize {
    while let Some(byte) = bytes.get(at) {
        if *byte > b' ' || !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
            break;
        }
        at += 1;
    }
    at
}

/// The first byte that ends a run of plain characters in a string: a quote, a backslash, or a raw line end, which is none of JSON's, and in
/// a stream of lines is where a torn line ends.
#[inline]
fn stop(bytes: &[u8], from: usize) -> Option<usize> {
    let mut rest = bytes.get(from..)?;
    let mut at = from;
    // Most keys and values are short: look at a few lanes before calling out for more.
    for _ in 0..4 {
        let Some((lane, after)) = rest.split_first_chunk::<{ Lane::BYTES }>() else {
            return rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | b'\n')).map(|found| at + found);
        };
        let hits = Lane::of(lane).are_any([b'"', b'\\', b'\n']);
        if hits != 0 {
            return Some(at + hits.trailing_zeros() as usize);
        }
        (rest, at) = (after, at + Lane::BYTES);
    }
    memchr::memchr3(b'"', b'\\', b'\n', rest).map(|found| at + found)
}

/// From after the opening quote: the position of the closing quote, and whether there are escapes in between.
#[inline]
pub(super) fn string_end(bytes: &[u8], from: usize) -> Result<(usize, bool), ParseError> {
    let at = stop(bytes, from).ok_or(ParseError::at(bytes.len(), "the text ends within a string"))?;
    match bytes.get(at) {
        Some(b'"') => Ok((at, false)),
        Some(b'\n') => Err(ParseError::at(at, "a line ends within a string")),
        // Where there is one escape there are more.
        _ => Ok((skip::string_end(bytes, at)?, true)),
    }
}

/// The end of a number that starts here, by JSON's grammar.
pub(super) fn number_end(bytes: &[u8], from: usize) -> Result<usize, ParseError> {
    let digits = |mut at: usize| {
        let start = at;
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        if at == start { Err(ParseError::at(at, "a digit is missing")) } else { Ok(at) }
    };
    let mut at = from + usize::from(bytes.get(from) == Some(&b'-'));
    if bytes.get(at) == Some(&b'0') && bytes.get(at + 1).is_some_and(u8::is_ascii_digit) {
        return Err(ParseError::at(at, "a number starts with a needless zero"));
    }
    at = digits(at)?;
    if bytes.get(at) == Some(&b'.') {
        at = digits(at + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        at = digits(at + 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-'))))?;
    }
    Ok(at)
}

/// The literal that starts here, and its end.
pub(super) fn literal(bytes: &[u8], from: usize) -> Result<(LeafKind, usize), ParseError> {
    let rest = bytes.get(from..).unwrap_or_default();
    for (name, kind) in [("true", LeafKind::True), ("false", LeafKind::False), ("null", LeafKind::Null)] {
        if rest.starts_with(name.as_bytes()) {
            return Ok((kind, from + name.len()));
        }
        if name.as_bytes().starts_with(rest) {
            return Err(ParseError::at(bytes.len(), "the text ends within a value"));
        }
    }
    Err(ParseError::at(from, "no value starts like this"))
}

/// The end of the JSON value that starts at `from`, found by brackets and quotes alone: what lies within is not checked.
/// Works at any depth in constant memory.
pub fn skip_value(bytes: &[u8], from: usize) -> Result<usize, ParseError> {
    let from = blank(bytes, from);
    match bytes.get(from) {
        None => Err(ParseError::at(from, "a value is missing")),
        Some(b'"') => Ok(string_end(bytes, from + 1)?.0 + 1),
        Some(b'{' | b'[') => skip::container_end(bytes, from),
        Some(b't' | b'f' | b'n') => Ok(literal(bytes, from)?.1),
        Some(b'-' | b'0'..=b'9') => number_end(bytes, from),
        Some(_) => Err(ParseError::at(from, "no value starts like this")),
    }
}
