//! Card numbers in base64. Three digits, or the blanks and hyphens between them, become four characters of four small sets, at whatever place of the
//! text they begin, and the first of them three times at a distance of four is rare in anything else; only there a closer look is taken, and
//! something decoded.

use std::ops::Range;

use super::pan;
use crate::model::lanes::{Bits, Block, each_bit, each_block};

/// Bytes of a run that is decoded: what is longer is looked at as far as this.
const RUN_BYTES_MAX: usize = 64 << 10;
/// What the characters of three digits, blanks or hyphens can be, in order.
const SETS: [&[u8]; 4] = [b"ILMNO", b"CDSTijyz", b"AEIMQUYcgk0", b"wxyz012345gt"];

/// Looks for digits in base64.
#[derive(Debug, Default)]
pub(super) struct Threes {
    /// Bytes that can be the first of the four which three digits, blanks or hyphens become.
    firsts: Bits,
}

impl Threes {
    /// Calls `to` with places at which encoded digits may stand, up to the end of the next block of these bytes: in each run of 13 digits or more
    /// at least once. Such a run has three whole threes.
    #[inline]
    pub(super) fn block(&mut self, bytes: &[u8], (start, block): (usize, &Block), to: &mut impl FnMut(usize)) {
        self.firsts = self.firsts.next(block.within(b'L', b'O') | block.are(b'I'));
        // Of the third of three: four and eight bytes before it there is one, too.
        each_bit(self.firsts.now() & self.firsts.back(4) & self.firsts.back(8), |at| {
            let at = start + at;
            if [8, 4, 0].into_iter().all(|back| at.checked_sub(back).is_some_and(|at| is_three(bytes, at))) {
                to(at);
            }
        });
    }
}

/// Places at which encoded digits may stand.
fn hits(bytes: &[u8], mut to: impl FnMut(usize)) {
    let mut threes = Threes::default();
    each_block(bytes, |start, block| threes.block(bytes, (start, block), &mut to));
}

/// Whether the characters here can be three digits.
fn is_three(bytes: &[u8], at: usize) -> bool {
    bytes.get(at..at + 4).is_some_and(|word| word.iter().zip(SETS).all(|(byte, set)| set.contains(byte)))
}

/// The runs of base64 that have a card number in them, whole.
pub(super) fn find(text: &str, mut to: impl FnMut(Range<usize>)) {
    let bytes = text.as_bytes();
    let mut done = 0;
    hits(bytes, |at| {
        if at < done {
            return;
        }
        let start = at - bytes[done..at].iter().rev().take_while(|byte| six_bits(**byte).is_some()).count();
        let mut end = at + bytes[at..].iter().take_while(|byte| six_bits(**byte).is_some()).count();
        done = end;
        let run = &bytes[start..end.min(start + RUN_BYTES_MAX)];
        if (0..4).any(|skip| has_card(run.get(skip..).unwrap_or_default())) {
            end += bytes[end..].iter().take(2).take_while(|byte| **byte == b'=').count();
            to(start..end);
        }
    });
}

fn has_card(run: &[u8]) -> bool {
    let mut decoded = String::with_capacity(run.len());
    for word in run.chunks(4) {
        let bits = word.iter().fold(0_u32, |bits, byte| bits << 6 | u32::from(six_bits(*byte).unwrap_or_default())) << (6 * (4 - word.len()));
        // What is no ASCII parts digits like any other character.
        let bytes = bits.to_be_bytes().into_iter().skip(1).take(word.len().saturating_sub(1));
        decoded.extend(bytes.map(|byte| if byte.is_ascii() { char::from(byte) } else { '?' }));
    }
    let mut is_found = false;
    pan::find(&decoded, |_| is_found = true);
    is_found
}

fn six_bits(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};

    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let mut found = Vec::new();
        find(text, |range| found.push(text.get(range).unwrap()));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn a_card_is_found_at_every_place_and_in_every_spelling() {
        let parted = ["4111 1111 1111 1111", "3782-822463-10005", "6011-1111-1111-1117", "4000 0000 0000 0000 006"];
        for card in ["4111111111111111", "378282246310005", "6011111111111117", "4222222222222"].into_iter().chain(parted) {
            for before in ["", "x", "xy", "xyz", "card: ", "né"] {
                for after in ["", ".", " holder"] {
                    let text = format!("{before}{card}{after}");
                    // A letter right before the digits makes them part of a word.
                    let expected = !before.ends_with(['x', 'y', 'z']);
                    for encoded in [STANDARD.encode(&text), STANDARD_NO_PAD.encode(&text), URL_SAFE.encode(&text)] {
                        let all = [encoded.as_str()];
                        check(&encoded, if expected { &all } else { &[] });
                        check(&format!("echo {encoded} | base64 -d"), if expected { &all } else { &[] });
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_no_card_stays() {
        for text in ["1767225600000000000", "4111111111111112", "a sentence of 12 words and 34 digits", "0123456789012345678901234567890"] {
            check(&STANDARD.encode(text), &[]);
        }
        check("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", &[]);
        check("", &[]);
    }
}
