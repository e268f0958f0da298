//! Text as rules compare it: without regard to case, and with wildcards.

use super::rule::{Part, Pattern, Place};

/// The folded form of a character: one character, so that `?` stands for one. Folding knows no context, so a part of a folded text is the folded part.
fn fold_char(c: char) -> char {
    match c {
        // Two letters whose capital is that of another letter: `(?i)s` matches the long s, so folding has to.
        'ſ' => 's',
        'ς' => 'σ',
        // The only letter whose small form is two characters; Unicode's simple folding leaves it as it is.
        'İ' => 'İ',
        c => c.to_lowercase().next().unwrap_or(c),
    }
}

/// Appends the text in lower case.
pub(super) fn fold_into(text: &str, to: &mut String) {
    if text.is_ascii() {
        let from = to.len();
        to.push_str(text);
        if let Some(added) = to.get_mut(from..) {
            added.make_ascii_lowercase();
        }
    } else {
        to.extend(text.chars().map(fold_char));
    }
}

/// The text in lower case.
pub(super) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    fold_into(text, &mut folded);
    folded
}

/// Whether the literal stands at that place of the text. Compares bytes as they are.
pub(super) fn stands(text: &str, place: Place, literal: &str) -> bool {
    match place {
        Place::Whole => text == literal,
        Place::Start => text.starts_with(literal),
        Place::End => text.ends_with(literal),
        Place::Anywhere => text.contains(literal),
    }
}

/// The number that a text spells in decimal digits; words such as `inf` are no numbers.
pub(super) fn number(text: &str) -> Option<f64> {
    let is_plain = |b: u8| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E');
    if text.is_empty() || text.len() > 64 || !text.bytes().all(is_plain) {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// Cuts a text to at most so many bytes, at a character.
pub(super) fn cut(text: &str, bytes_max: usize) -> &str {
    if text.len() <= bytes_max {
        return text;
    }
    (0..=bytes_max).rev().find_map(|at| text.get(..at)).unwrap_or_default()
}

/// A pattern with its place written out as wildcards: no two texts and no two `Many` stand side by side.
pub(super) fn parts_of(pattern: &Pattern) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::with_capacity(pattern.parts.len() + 2);
    let mut add = |part: Part| match (parts.last_mut(), part) {
        (Some(Part::Many), Part::Many) => {}
        (Some(Part::Text(text)), Part::Text(more)) => text.push_str(&more),
        (_, Part::Text(text)) if text.is_empty() => {}
        (_, part) => parts.push(part),
    };
    if matches!(pattern.place, Place::End | Place::Anywhere) {
        add(Part::Many);
    }
    pattern.parts.iter().cloned().for_each(&mut add);
    if matches!(pattern.place, Place::Start | Place::Anywhere) {
        add(Part::Many);
    }
    parts
}

/// A pattern as a list of characters and wildcards, matched without recursion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glob(Box<[Token]>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Char(char),
    One,
    Many,
}

impl Glob {
    /// Of the parts of a pattern, folded already where case does not count.
    pub(super) fn new(parts: &[Part]) -> Self {
        let mut tokens = Vec::new();
        for part in parts {
            match part {
                Part::Text(text) => tokens.extend(text.chars().map(Token::Char)),
                Part::Many => tokens.push(Token::Many),
                Part::One => tokens.push(Token::One),
            }
        }
        Self(tokens.into())
    }

    /// Whether the whole text matches. Goes back only to the last `*`, which is enough.
    pub(super) fn matches(&self, text: &str) -> bool {
        let tokens = &self.0;
        let (mut at, mut token) = (0, 0);
        let mut retry: Option<(usize, usize)> = None;
        loop {
            let next = text.get(at..).and_then(|rest| rest.chars().next());
            match (tokens.get(token), next) {
                (Some(Token::Many), _) => {
                    token += 1;
                    if token == tokens.len() {
                        return true;
                    }
                    retry = Some((token, at));
                    continue;
                }
                (Some(Token::One), Some(c)) => {
                    at += c.len_utf8();
                    token += 1;
                    continue;
                }
                (Some(Token::Char(wanted)), Some(c)) if *wanted == c => {
                    at += c.len_utf8();
                    token += 1;
                    continue;
                }
                (None, None) => return true,
                _ => {}
            }
            let Some((after, from)) = retry else { return false };
            let Some(skipped) = text.get(from..).and_then(|rest| rest.chars().next()) else { return false };
            let from = from + skipped.len_utf8();
            retry = Some((after, from));
            (token, at) = (after, from);
        }
    }
}
