//! Past a string or a container, sixty-four bytes at once: quotes, backslashes and brackets as bits (as Langdale and Lemire, *Parsing gigabytes of JSON
//! per second*, find them).

use super::parse::ParseError;
use crate::model::lanes::{Block, each_bit};

const BLOCK: usize = 64;
const EVEN: u64 = 0x5555_5555_5555_5555;

/// What the bytes before a block say of its first ones.
#[derive(Debug, Clone, Copy, Default)]
struct Strings {
    /// All bits, if the block begins within a string.
    within: u64,
    /// One, if a backslash right before the block escapes its first byte.
    is_escaped: u64,
}

/// What of a block tells where strings begin and end.
struct Quotes {
    /// Bytes of strings: the quote that opens included, that which closes not.
    within: u64,
    /// Line ends that stand in a string.
    torn: u64,
    /// Quotes that open or close.
    quotes: u64,
}

impl Strings {
    /// Which bytes a backslash escapes.
    #[inline]
    fn escaped(&mut self, backslashes: u64) -> u64 {
        if backslashes == 0 {
            return std::mem::take(&mut self.is_escaped);
        }
        let backslashes = backslashes & !self.is_escaped;
        let follow = backslashes << 1 | self.is_escaped;
        let odd_starts = backslashes & !EVEN & !follow;
        let (even_runs, carry) = odd_starts.overflowing_add(backslashes);
        self.is_escaped = u64::from(carry);
        (EVEN ^ even_runs << 1) & follow
    }

    #[inline]
    fn next(&mut self, block: &Block) -> Quotes {
        let escaped = self.escaped(block.are(b'\\'));
        let quotes = block.are(b'"') & !escaped;
        let within = up_to_each(quotes) ^ self.within;
        // The top bit, over all.
        self.within = (within >> 63).wrapping_neg();
        Quotes { within, torn: block.are(b'\n') & within & !escaped, quotes }
    }
}

/// Each bit turns all from itself on.
#[inline]
const fn up_to_each(mut bits: u64) -> u64 {
    bits ^= bits << 1;
    bits ^= bits << 2;
    bits ^= bits << 4;
    bits ^= bits << 8;
    bits ^= bits << 16;
    bits ^ bits << 32
}

/// The blocks from a place on; the last is filled up with zeros.
#[inline]
fn block_at(bytes: &[u8], at: usize) -> Option<Block> {
    let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
    Some(match rest.first_chunk::<BLOCK>() {
        Some(block) => Block::of(block),
        None => {
            let mut block = [0; BLOCK];
            block[..rest.len()].copy_from_slice(rest);
            Block::of(&block)
        }
    })
}

/// The closing quote of a string, from some place within it that no backslash escapes.
pub(super) fn string_end(bytes: &[u8], from: usize) -> Result<usize, ParseError> {
    let mut strings = Strings { within: u64::MAX, is_escaped: 0 };
    let mut at = from;
    while let Some(block) = block_at(bytes, at) {
        let Quotes { torn, quotes, .. } = strings.next(&block);
        let end = (torn | quotes).trailing_zeros() as usize;
        if end < BLOCK {
            return if torn >> end & 1 == 0 { Ok(at + end) } else { Err(ParseError::at(at + end, "a line ends within a string")) };
        }
        at += BLOCK;
    }
    Err(ParseError::at(bytes.len(), "the text ends within a string"))
}

/// The end of the object or list that starts here.
pub(super) fn container_end(bytes: &[u8], from: usize) -> Result<usize, ParseError> {
    let mut strings = Strings::default();
    let (mut at, mut depth) = (from, 0_usize);
    while let Some(block) = block_at(bytes, at) {
        let Quotes { within, torn, .. } = strings.next(&block);
        let opens = block.are_any([b'{', b'[']) & !within;
        let closes = block.are_any([b'}', b']']) & !within;
        if torn == 0 && (closes.count_ones() as usize) < depth {
            depth = depth + opens.count_ones() as usize - closes.count_ones() as usize;
        } else {
            let mut end = None;
            each_bit(opens | closes | torn, |bit| {
                if end.is_some() {
                    return;
                }
                match (opens >> bit & 1, torn >> bit & 1) {
                    (1, _) => depth += 1,
                    (_, 1) => end = Some(Err(ParseError::at(at + bit, "a line ends within a string"))),
                    _ => {
                        depth = depth.saturating_sub(1);
                        end = (depth == 0).then_some(Ok(at + bit + 1));
                    }
                }
            });
            if let Some(end) = end {
                return end;
            }
        }
        at += BLOCK;
    }
    let what = if strings.within == 0 { "the text ends within an object or list" } else { "the text ends within a string" };
    Err(ParseError::at(bytes.len(), what))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Byte by byte. Outside of strings, where no backslash may stand, it is one of a quote alone.
    fn plainly(bytes: &[u8], from: usize, mut depth: usize, mut is_within: bool) -> Result<usize, ParseError> {
        let is_string = is_within;
        let mut at = from;
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'\\' if is_within || matches!(bytes.get(at + 1), Some(b'\\' | b'"')) => at += 1,
                b'"' if is_within && is_string => return Ok(at),
                b'"' => is_within = !is_within,
                b'\n' if is_within => return Err(ParseError::at(at, "a line ends within a string")),
                b'{' | b'[' if !is_within => depth += 1,
                b'}' | b']' if !is_within => {
                    depth -= 1;
                    if depth == 0 {
                        return Ok(at + 1);
                    }
                }
                _ => {}
            }
            at += 1;
        }
        let what = if is_within { "the text ends within a string" } else { "the text ends within an object or list" };
        Err(ParseError::at(bytes.len(), what))
    }

    proptest! {
        #[test]
        fn ends_are_where_they_are_byte_by_byte(text in r#"[ab"\\\n{}\[\]]{0,300}|(\\{1,70}|"|[a-z]{1,70}|[{}]|\[|\]|\\"|\n){0,40}"#, before in "[a-z]{0,70}") {
            let text = before.clone() + "{" + &text;
            let from = before.len();
            prop_assert_eq!(container_end(text.as_bytes(), from), plainly(text.as_bytes(), from, 0, false), "{}", text);
            prop_assert_eq!(string_end(text.as_bytes(), from), plainly(text.as_bytes(), from, 0, true), "{}", text);
        }
    }
}
