//! Undoing the escapes of JSON strings. What comes out is never longer than what goes in, so it is written to places that are there already.

use super::parse::ParseError;
use crate::model::lanes::Lane;

/// Bytes that are copied at once, up to the next backslash or past it.
const LANE: usize = Lane::BYTES;

/// Appends the text of a string, which is given without its quotes. A surrogate without its twin becomes U+FFFD; bytes that are not UTF-8 stay.
pub(super) fn unescape(text: &[u8], out: &mut Vec<u8>) -> Result<(), ParseError> {
    let before = out.len();
    out.resize(before + text.len() + LANE, 0);
    let written = out.get_mut(before..).map_or(Ok(0), |to| write(text, to));
    out.truncate(before + *written.as_ref().unwrap_or(&0));
    written.map(drop)
}

/// Writes to a place with room for a lane more than it takes, and tells how much it took.
fn write(text: &[u8], to: &mut [u8]) -> Result<usize, ParseError> {
    let (mut at, mut end) = (0, 0);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let plain = match (rest.first_chunk::<LANE>(), to.get_mut(end..).and_then(|to| to.first_chunk_mut::<LANE>())) {
            (Some(lane), Some(to)) => {
                *to = *lane;
                Lane::of(lane).are(b'\\').trailing_zeros().min(LANE as u32) as usize
            }
            _ => {
                let plain = rest.iter().position(|byte| *byte == b'\\').unwrap_or(rest.len());
                put(rest.get(..plain).unwrap_or_default(), to, end);
                plain
            }
        };
        (at, end) = (at + plain, end + plain);
        if text.get(at) == Some(&b'\\') {
            let (len, char) = escape(text, at)?;
            end += put(char.encode_utf8(&mut [0; 4]).as_bytes(), to, end);
            at += len;
        }
    }
    Ok(end)
}

fn put(bytes: &[u8], to: &mut [u8], at: usize) -> usize {
    if let Some(to) = to.get_mut(at..at + bytes.len()) {
        to.copy_from_slice(bytes);
    }
    bytes.len()
}

/// How long the escape is that begins here, and what it stands for.
fn escape(text: &[u8], at: usize) -> Result<(usize, char), ParseError> {
    let char = match text.get(at + 1) {
        Some(simple @ (b'"' | b'\\' | b'/')) => char::from(*simple),
        Some(b'n') => '\n',
        Some(b't') => '\t',
        Some(b'r') => '\r',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'u') => return unit(text, at),
        _ => return Err(ParseError::at(at, "an unknown escape")),
    };
    Ok((2, char))
}

/// `\uXXXX`, or two of them for what one can not say.
fn unit(text: &[u8], at: usize) -> Result<(usize, char), ParseError> {
    let unit = hex4(text, at + 2).ok_or(ParseError::at(at, "an escape lacks its four hex digits"))?;
    let is_twin = (0xd800..0xdc00).contains(&unit) && text.get(at + 6..at + 8) == Some(b"\\u");
    let low = is_twin.then(|| hex4(text, at + 8)).flatten().filter(|low| (0xdc00..0xe000).contains(low));
    let (len, code) = match low {
        Some(low) => (12, 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)),
        None => (6, unit),
    };
    Ok((len, char::from_u32(code).unwrap_or('\u{fffd}')))
}

fn hex4(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.iter().try_fold(0, |sum, digit| Some(sum * 16 + char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_escaped_comes_back(text in "\\PC{0,80}|[a-z\"\\\\\n\t\u{1}é😀]{0,80}") {
            let json = serde_json::to_string(&text).unwrap();
            let units: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            let inner = json.strip_prefix('"').and_then(|json| json.strip_suffix('"')).unwrap();
            for escaped in [inner, units.as_str()] {
                let mut out = b"before".to_vec();
                unescape(escaped.as_bytes(), &mut out).unwrap();
                prop_assert_eq!(std::str::from_utf8(&out).unwrap(), format!("before{text}"));
            }
        }
    }
}
