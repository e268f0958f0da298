//! What is remembered of content that was read: its last bytes, and whether it is JSON objects, each on a line.

use crate::source::objects::Known;

/// Bytes at the end of what was read by which it is known again. What is shorter is known by the whole of it.
pub(super) const TAIL_BYTES: usize = 64 << 10;

/// The end of what was read so far.
#[derive(Debug)]
pub(super) struct Tail {
    last: Vec<u8>,
    bytes: u64,
    is_lines: bool,
    /// The bytes before these were not seen.
    is_partial: bool,
}

impl Tail {
    /// Of nothing yet, at the start of an object.
    pub(super) fn new() -> Self {
        Self { last: Vec::new(), bytes: 0, is_lines: true, is_partial: false }
    }

    /// In the middle of an object of lines, of which these bytes come before.
    pub(super) fn after(window: &[u8], bytes: u64) -> Self {
        Self { last: window.to_vec(), bytes, is_lines: true, is_partial: (window.len() as u64) < bytes }
    }

    /// In the middle of an object, of which nothing is known.
    pub(super) fn amid(bytes: u64) -> Self {
        Self { last: Vec::new(), bytes, is_lines: false, is_partial: true }
    }

    /// Bytes of the object up to here.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether every line so far is one JSON object.
    pub(super) fn is_lines(&self) -> bool {
        self.is_lines
    }

    /// Takes in what follows.
    pub(super) fn push(&mut self, piece: &[u8]) {
        self.is_lines = self.is_lines && self.goes_on(piece);
        self.bytes += piece.len() as u64;
        if piece.len() >= TAIL_BYTES {
            self.last.clear();
        }
        self.last.extend_from_slice(piece.get(piece.len().saturating_sub(TAIL_BYTES)..).unwrap_or_default());
        self.last.drain(..self.last.len().saturating_sub(TAIL_BYTES));
    }

    /// Whether lines go on in a piece: a JSON value never has the end of a line between `}` and `{` in it.
    fn goes_on(&self, piece: &[u8]) -> bool {
        let begins = |at: usize| piece.get(at).is_none_or(|byte| *byte == b'{');
        if (self.last.is_empty() || self.last.ends_with(b"\n")) && !begins(0) {
            return false;
        }
        let ends = |before: &[u8]| {
            let joined = if before.len() >= 2 { before.to_vec() } else { [self.last.as_slice(), before].concat() };
            joined.strip_suffix(b"\r").unwrap_or(&joined).ends_with(b"}")
        };
        memchr::memchr_iter(b'\n', piece).all(|at| {
            let before = piece.get(at.saturating_sub(2)..at).unwrap_or_default();
            ends(before) && begins(at + 1)
        })
    }

    /// By what this is known again; 0 if too little of it was seen.
    pub(super) fn print(&self) -> u64 {
        if self.is_partial && self.last.len() < TAIL_BYTES {
            return 0;
        }
        Known::print_of(hash(&self.last), self.is_lines)
    }
}

/// Whether these are the last bytes of what was read before.
pub(super) fn is_same(window: &[u8], before: Known) -> bool {
    Known::print_of(hash(window), before.is_lines()) == before.print
}

fn hash(bytes: &[u8]) -> u64 {
    let mut eight = [0; 8];
    blake3::Hasher::new().update(bytes).finalize_xof().fill(&mut eight);
    u64::from_le_bytes(eight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_however_they_come() {
        for (text, expected) in [
            ("", true),
            ("{\"a\":1}", true),
            ("{\"a\":1}\n{\"b\":{}}\r\n{\"c\":1}\n", true),
            ("{\"a\":1}\n{\"b\"", true),
            ("{\n \"a\": 1\n}\n", false),
            ("[{\"a\":1},\n{\"a\":1}]", false),
            ("2026 {\"a\":1}\n", false),
            ("{\"a\":1}\n\n", false),
            ("\u{1f}\u{8b}", false),
        ] {
            for size in [1, 2, 3, 100] {
                let mut tail = Tail::new();
                text.as_bytes().chunks(size).for_each(|piece| tail.push(piece));
                assert_eq!((tail.is_lines(), tail.bytes()), (expected, text.len() as u64), "{text:?} by {size}");
                let known = Known { version: 0, bytes: tail.bytes(), print: tail.print() };
                assert!(is_same(text.as_bytes(), known) && !is_same(b"other", known), "{text:?}");
            }
        }
    }

    #[test]
    fn of_much_the_end_is_kept() {
        let text: Vec<u8> = (0..3 * TAIL_BYTES).map(|n| (n % 251) as u8).collect();
        for size in [1_000, TAIL_BYTES - 1, TAIL_BYTES, text.len()] {
            let (mut tail, mut amid) = (Tail::new(), Tail::amid(7));
            text.chunks(size).for_each(|piece| tail.push(piece));
            let known = Known { version: 0, bytes: tail.bytes(), print: tail.print() };
            assert!(is_same(&text[text.len() - TAIL_BYTES..], known), "{size}");
            amid.push(&text[..10]);
            assert_eq!(amid.print(), 0);
            amid.push(&text);
            assert_ne!(amid.print(), 0);
        }
    }
}
