//! What announces a secret in a text, found in two passes over it: one for literals, one for all that bytes and their neighbours tell.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind, packed};

use super::encoded::Threes;
use super::pan::Runs;
use super::{parted, scan, secrets};
use crate::model::lanes::{Bits, each_bit, each_block};

/// What stands in a text, in lower case, before the names that a secret follows, or in a text that makes an object a Secret. At least four bytes
/// each: short literals are found in too many places. What other secrets need is asked for in [`Signs::each`].
const LITERALS: &[&str] = &[
    "bearer",
    "basic",
    "passw",
    "passphrase",
    SECRET,
    "api_key",
    "api-key",
    "apikey",
    "private_key",
    "private-key",
    "privatekey",
    "keydata",
    "key-data",
    "key_data",
    "token\"",
    "token\\",
    "_token",
    "token=",
    "%3a%2f%2f",
];
const SECRET: &str = "secret";

/// Finds the literals, by vectors where the machine has them.
#[derive(Debug)]
enum Literals {
    Packed(packed::Searcher),
    Automaton(AhoCorasick),
}

/// What announces a secret in a text.
#[derive(Debug)]
pub(super) struct Signs {
    literals: Literals,
    /// By byte: whether a flag that is named for a secret can go on so after its hyphens.
    flags: [bool; 256],
}

pub(super) static SIGNS: LazyLock<Signs> = LazyLock::new(|| Signs {
    literals: packed::Searcher::new(LITERALS).map_or_else(
        || {
            let automaton = AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(LITERALS);
            Literals::Automaton(automaton.expect("a dozen short literals fit an automaton"))
        },
        Literals::Packed,
    ),
    flags: secrets::flag_starts(),
});

impl Signs {
    /// Where signs stand in a text, which is given in lower case too. In no order.
    pub(super) fn each(&self, text: &[u8], lower: &[u8], mut to: impl FnMut(usize)) {
        // Of a literal the end: its last character can stand outside of the value, and is none of it then.
        let mut literal = |pattern: usize, span: Range<usize>| {
            if LITERALS.get(pattern) != Some(&SECRET) || is_secret(lower, span.start) {
                to(span.end - 1);
            }
        };
        // Of literals that overlap the first counts.
        match &self.literals {
            Literals::Packed(searcher) => searcher.find_iter(lower).for_each(|hit| literal(hit.pattern().as_usize(), hit.start()..hit.end())),
            Literals::Automaton(automaton) => automaton.find_iter(lower).for_each(|hit| literal(hit.pattern().as_usize(), hit.start()..hit.end())),
        }
        let (mut runs, mut threes) = (Runs::default(), Threes::default());
        let (mut hyphens, mut slashes) = (Bits::default(), Bits::default());
        each_block(text, |start, block| {
            hyphens = hyphens.next(block.are(b'-'));
            slashes = slashes.next(block.are(b'/'));
            runs.block(text, (start, block), hyphens.now() | block.are(b' '), &mut to);
            threes.block(text, (start, block), &mut to);
            each_bit(hyphens.now() & hyphens.back(1), |at| Some(start + at).filter(|at| self.is_flag(text, at + 1)).into_iter().for_each(&mut to));
            each_bit(slashes.now() & slashes.back(1), |at| Some(start + at).filter(|at| is_url(text, *at)).into_iter().for_each(&mut to));
            each_bit(block.are_any([b'J', b'%', b'+']), |at| Some(start + at).filter(|at| is_jwt_or_parts(text, *at)).into_iter().for_each(&mut to));
        });
    }

    /// Whether a flag that is named for a secret can go on here, after its hyphens.
    fn is_flag(&self, text: &[u8], at: usize) -> bool {
        text.get(at).is_some_and(|byte| self.flags[usize::from(*byte)])
    }
}

/// Whether the text before this place, it included, ends with a word.
fn ends_with(text: &[u8], at: usize, word: &[u8]) -> bool {
    text.get(..=at).is_some_and(|before| before.ends_with(word))
}

/// Whether `://` ends here, and a user follows.
fn is_url(text: &[u8], at: usize) -> bool {
    ends_with(text, at, b"://") && has_user(text, at + 1)
}

/// Whether `eyJ` ends here, or a separator of digits stands here.
fn is_jwt_or_parts(text: &[u8], at: usize) -> bool {
    ends_with(text, at, b"eyJ") || parted::is_separator(text, at)
}

/// Whether the word at this place is a value's start, or part of a name such as `client_secret` or `secret-key`; or hides the start of `token=`.
fn is_secret(lower: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|at| lower.get(at));
    matches!(before, None | Some(b'"' | b't' | b'_' | b'-')) || matches!(lower.get(at + SECRET.len()), Some(b'_' | b'-' | b'a' | b'o'))
}

/// Whether the authority of a URL has a user.
fn has_user(text: &[u8], from: usize) -> bool {
    let rest = text.get(from..).unwrap_or_default();
    rest.iter().take_while(|byte| !scan::AUTHORITY_ENDS.contains(&char::from(**byte))).any(|byte| *byte == b'@')
}
