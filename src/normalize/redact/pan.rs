//! Payment card numbers: digits in a card's grouping, in an issuer's range, with a right check digit.

use std::ops::Range;

use crate::model::lanes::{Bits, Block, each_bit};

/// Digits of a card number.
const DIGITS: std::ops::RangeInclusive<usize> = DIGITS_MIN..=DIGITS_MAX;
const DIGITS_MIN: usize = 13;
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

/// Looks for runs of digits that are as long as a card's, single blanks and hyphens between them not counted.
#[derive(Debug, Default)]
pub(super) struct Runs {
    /// Which bytes end one, two, four, eight that can be part of a run.
    ends: [Bits; 4],
    /// Before here every run has been looked at.
    done: usize,
}

impl Runs {
    /// Calls `to` with a place in each run that the next block of these bytes ends or reaches, in order. `parts` are its blanks and hyphens.
    #[inline]
    pub(super) fn block(&mut self, bytes: &[u8], (start, block): (usize, &Block), parts: u64, to: &mut impl FnMut(usize)) {
        let [ones, twos, fours, eights] = &mut self.ends;
        *ones = ones.next(parts | block.within(b'0', b'9'));
        *twos = twos.next(ones.now() & ones.back(1));
        *fours = fours.next(twos.now() & twos.back(2));
        *eights = eights.next(fours.now() & fours.back(4));
        // The last of 13.
        each_bit(eights.now() & eights.back(5), |at| {
            if start + at >= self.done {
                run_at(bytes, (start + at).saturating_sub(DIGITS_MIN - 1), &mut self.done, to);
            }
        });
    }
}

/// Tells of the runs from this place on that only blanks and hyphens part, unless they have been looked at.
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
