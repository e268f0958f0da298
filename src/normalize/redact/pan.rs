//! Payment card numbers: digits in a card's grouping, in an issuer's range, with a right check digit.

use std::ops::Range;

/// Digits of a card number.
const DIGITS: std::ops::RangeInclusive<usize> = DIGITS_MIN as usize..=DIGITS_MAX;
const DIGITS_MIN: u32 = 13;
const DIGITS_MAX: usize = 19;
/// Digits that stay at the start and at the end.
const KEPT: (usize, usize) = (6, 4);

/// Ranges of issuers: first prefix, last prefix (of the same length), lengths.
const ISSUERS: &[(u64, u64, std::ops::RangeInclusive<usize>)] = &[
    (4, 4, 13..=13),
    (4, 4, 16..=16),
    (4, 4, 19..=19),
    (51, 55, 16..=16),
    (2221, 2720, 16..=16),
    (2200, 2204, 16..=19),
    (34, 34, 15..=15),
    (37, 37, 15..=15),
    (6011, 6011, 16..=19),
    (644, 649, 16..=19),
    (65, 65, 16..=19),
    (62, 62, 16..=19),
    (3528, 3589, 16..=19),
    (300, 305, 14..=19),
    (36, 36, 14..=19),
    (38, 39, 14..=19),
    (5018, 5018, 13..=19),
    (5020, 5020, 13..=19),
    (5038, 5038, 13..=19),
    (5893, 5893, 13..=19),
    (6304, 6304, 13..=19),
    (6759, 6759, 13..=19),
    (6761, 6763, 13..=19),
];
/// Lengths of the groups that cards are written in.
const GROUPS: &[&[usize]] = &[&[4, 4, 4, 4], &[4, 6, 5], &[4, 6, 4], &[4, 4, 4, 4, 3], &[4, 4, 4, 1], &[6, 13], &[4, 4, 5]];

/// The same byte eight times.
pub(super) const fn eight(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// The top bit of each byte of the word that is a digit, blank or hyphen.
#[inline]
const fn marks(word: u64) -> u64 {
    // The sums do not carry into the next byte, and their top bits tell: above 9, not a blank, not a hyphen.
    let low = (word ^ eight(b'0')) & eight(0x7f);
    let no_digit = low + eight(0x76);
    let no_blank = (low ^ eight(b' ' ^ b'0')) + eight(0x7f);
    let no_hyphen = (low ^ eight(b'-' ^ b'0')) + eight(0x7f);
    !(no_digit & no_blank & no_hyphen | word) & eight(0x80)
}

/// Calls `to` with each 64 bytes and where they start; the last are filled up with zeros.
#[inline]
pub(super) fn each_block(bytes: &[u8], mut to: impl FnMut(usize, &[u8; 64])) {
    let (blocks, rest) = bytes.as_chunks::<64>();
    for (nth, block) in blocks.iter().enumerate() {
        to(nth * 64, block);
    }
    if !rest.is_empty() {
        let mut block = [0; 64];
        block.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        to(blocks.len() * 64, &block);
    }
}

/// Calls `to` with a place in each run of digits that is as long as a card's, single blanks and hyphens between them not counted, in order.
pub(super) fn runs(bytes: &[u8], mut to: impl FnMut(usize)) {
    let mut end = 0;
    let mut before = 0;
    each_block(bytes, |start, block| {
        let mut all = [before; 9];
        for (marks_of, word) in all.iter_mut().skip(1).zip(block.as_chunks::<8>().0) {
            *marks_of = marks(u64::from_le_bytes(*word));
        }
        before = all[8];
        // Of 13 in a row eight fill a word, or the end of one and the start of the next.
        let is_full = |nth: usize| {
            let (word, across) = (all[nth + 1], all[nth] >> 32 | all[nth + 1] << 32);
            (word == eight(0x80)) | (across == eight(0x80))
        };
        if (0..8).fold(false, |any, nth| any | is_full(nth)) {
            (0..8).filter(|nth| is_full(*nth)).for_each(|nth| run_at(bytes, start + nth * 8, &mut end, &mut to));
        }
    });
}

/// Tells of a run at this place or right behind it, unless it has been looked at.
fn run_at(bytes: &[u8], from: usize, end: &mut usize, to: &mut impl FnMut(usize)) {
    let mut at = from.max(*end);
    // Of more blanks or hyphens in a row none is part of a run.
    while bytes.get(at).is_some_and(|byte| matches!(byte, b' ' | b'-')) {
        at += 1;
    }
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        let run = run_around(bytes, at);
        *end = run.end;
        if run.digits >= *DIGITS.start() {
            to(at);
        }
        at = run.end;
        while bytes.get(at).is_some_and(|byte| matches!(byte, b' ' | b'-')) {
            at += 1;
        }
    }
    *end = at;
}

struct Run {
    start: usize,
    end: usize,
    digits: usize,
}

fn run_around(bytes: &[u8], at: usize) -> Run {
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let is_separator = |at: usize| matches!(bytes.get(at), Some(b' ' | b'-'));
    let (mut start, mut end) = (at, at + 1);
    loop {
        if start >= 1 && is_digit(start - 1) {
            start -= 1;
        } else if start >= 2 && is_separator(start - 1) && is_digit(start - 2) {
            start -= 2;
        } else {
            break;
        }
    }
    loop {
        if is_digit(end) {
            end += 1;
        } else if is_separator(end) && is_digit(end + 1) {
            end += 2;
        } else {
            break;
        }
    }
    Run { start, end, digits: bytes[start..end].iter().filter(|byte| byte.is_ascii_digit()).count() }
}

/// The parts of card numbers to take out: all but the first six and last four digits.
pub(super) fn find(text: &str, mut to: impl FnMut(Range<usize>)) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(found) = bytes.get(at..).and_then(|rest| rest.iter().position(u8::is_ascii_digit)) {
        let run = run_around(bytes, at + found);
        at = run.end;
        if run.digits < *DIGITS.start() {
            continue;
        }
        // The whole run, or any word of it that blanks part from the rest, is a card; a part of a longer number is none.
        if !check(bytes, run.start..run.end, &mut to) {
            let mut from = run.start;
            while from < run.end {
                let end = bytes[from..run.end].iter().position(|byte| *byte == b' ').map_or(run.end, |at| from + at);
                check(bytes, from..end, &mut to);
                from = end + 1;
            }
        }
    }
}

fn check(bytes: &[u8], range: Range<usize>, to: &mut impl FnMut(Range<usize>)) -> bool {
    let is_word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    let before = |back: usize| range.start.checked_sub(back).and_then(|at| bytes.get(at));
    let text = &bytes[range.clone()];
    let separator = text.iter().find(|byte| !byte.is_ascii_digit());
    if is_word(before(1)) || is_word(bytes.get(range.end)) {
        return false;
    }
    // Groups that go on with something else are a uuid or a name, and so are digits on both sides of a point.
    let goes_on = |near: Option<&u8>, far: Option<&u8>| {
        near.is_some_and(|byte| Some(byte) == separator.filter(|byte| **byte == b'-') || *byte == b'.') && is_word(far)
    };
    if goes_on(before(1), before(2)) || goes_on(bytes.get(range.end), bytes.get(range.end + 1)) {
        return false;
    }
    let (mut digits, mut count) = ([0; DIGITS_MAX], 0);
    for byte in text.iter().filter(|byte| byte.is_ascii_digit()) {
        let Some(digit) = digits.get_mut(count) else { return false };
        *digit = byte - b'0';
        count += 1;
    }
    let digits = &digits[..count];
    if !DIGITS.contains(&count) || !is_issued(digits) || !has_check_digit(digits) {
        return false;
    }
    if let Some(separator) = separator {
        let is_grouped = |groups: &&[usize]| text.split(|byte| byte == separator).map(<[u8]>::len).eq(groups.iter().copied());
        if !GROUPS.iter().any(is_grouped) || text.iter().any(|byte| !byte.is_ascii_digit() && byte != separator) {
            return false;
        }
    }
    let place = |nth: usize| text.iter().enumerate().filter(|(_, byte)| byte.is_ascii_digit()).nth(nth).map_or(0, |(at, _)| range.start + at);
    to(place(KEPT.0 - 1) + 1..place(digits.len() - KEPT.1));
    true
}

fn is_issued(digits: &[u8]) -> bool {
    // No range begins with another digit, and most numbers that are as long are times.
    matches!(digits.first(), Some(2..=6))
        && ISSUERS.iter().any(|(low, high, lengths)| {
            let places = low.ilog10() as usize + 1;
            let prefix = digits.iter().take(places).fold(0_u64, |sum, digit| sum * 10 + u64::from(*digit));
            (*low..=*high).contains(&prefix) && lengths.contains(&digits.len())
        })
}

fn has_check_digit(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| {
            let value = u32::from(*digit) * if at % 2 == 1 { 2 } else { 1 };
            if value > 9 { value - 9 } else { value }
        })
        .sum();
    sum.is_multiple_of(10) && digits.iter().any(|digit| *digit != 0)
}
