//! Card numbers whose groups a URL parts: `4111%201111%201111%201111`, with `%2D` for hyphens, `+` for blanks.

use std::ops::Range;

use super::pan;

/// What the separator at this place stands for, and its length: only between digits is it one.
fn separator(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    let (plain, len) = match bytes.get(at..)? {
        [b'+', ..] => (b' ', 1),
        [b'%', b'2', b'0', ..] => (b' ', 3),
        [b'%', b'2', b'D' | b'd', ..] => (b'-', 3),
        _ => return None,
    };
    let is_digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    (is_digit(at.checked_sub(1)) && is_digit(Some(at + len))).then_some((plain, len))
}

/// Whether such a separator stands at this place.
pub(super) fn is_separator(bytes: &[u8], at: usize) -> bool {
    separator(bytes, at).is_some()
}

/// The parts of card numbers to take out.
pub(super) fn find(text: &str, mut to: impl FnMut(Range<usize>)) {
    let bytes = text.as_bytes();
    if !memchr::memchr2_iter(b'%', b'+', bytes).any(|at| is_separator(bytes, at)) {
        return;
    }
    // As it reads, and where each byte of that stands.
    let (mut plain, mut places, mut at) = (Vec::with_capacity(bytes.len()), Vec::with_capacity(bytes.len() + 1), 0);
    while let Some(byte) = bytes.get(at) {
        let (byte, len) = separator(bytes, at).unwrap_or((*byte, 1));
        plain.push(byte);
        places.push(at);
        at += len;
    }
    places.push(at);
    if let Ok(plain) = std::str::from_utf8(&plain) {
        pan::find(plain, |range| {
            if let (Some(start), Some(end)) = (places.get(range.start), places.get(range.end)) {
                to(*start..*end);
            }
        });
    }
}
