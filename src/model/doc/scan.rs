//! The lexical part of JSON: ends of strings, numbers and values. Iterative; looks at each byte once.

use super::parse::ParseError;

/// Past white space.
pub(super) fn blank(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(at) {
        at += 1;
    }
    at
}

/// From after the opening quote: the position of the closing quote, and whether there are escapes in between.
pub(super) fn string_end(bytes: &[u8], from: usize) -> Result<(usize, bool), ParseError> {
    let mut at = from;
    let mut has_escape = false;
    loop {
        // Most keys and values are short: look at a few bytes before calling out for more.
        let rest = bytes.get(at..).unwrap_or_default();
        let near = rest.iter().take(16).position(|b| *b == b'"' || *b == b'\\');
        let found = match near {
            Some(found) => found,
            None => {
                16 + memchr::memchr2(b'"', b'\\', rest.get(16..).ok_or(ParseError::at(bytes.len(), "the text ends within a string"))?)
                    .ok_or(ParseError::at(bytes.len(), "the text ends within a string"))?
            }
        };
        at += found;
        if bytes[at] == b'"' {
            return Ok((at, has_escape));
        }
        has_escape = true;
        at += 2;
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
    at = digits(at)?;
    if bytes.get(at) == Some(&b'.') {
        at = digits(at + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        at = digits(at + 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-'))))?;
    }
    Ok(at)
}

/// The end of the JSON value that starts at `from`, found by brackets and quotes alone: what lies within is not checked.
/// Works at any depth in constant memory.
pub fn skip_value(bytes: &[u8], from: usize) -> Result<usize, ParseError> {
    let from = blank(bytes, from);
    match bytes.get(from) {
        None => Err(ParseError::at(from, "a value is missing")),
        Some(b'"') => Ok(string_end(bytes, from + 1)?.0 + 1),
        Some(b'{' | b'[') => skip_container(bytes, from),
        Some(b't' | b'n') if bytes.len() >= from + 4 => Ok(from + 4),
        Some(b'f') if bytes.len() >= from + 5 => Ok(from + 5),
        Some(b'-' | b'0'..=b'9') => number_end(bytes, from),
        Some(_) => Err(ParseError::at(from, "no value starts like this")),
    }
}

fn skip_container(bytes: &[u8], from: usize) -> Result<usize, ParseError> {
    let mut depth = 0_usize;
    let mut at = from;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = string_end(bytes, at + 1)?.0,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Ok(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
    Err(ParseError::at(bytes.len(), "the text ends within an object or list"))
}
