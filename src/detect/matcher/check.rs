//! One test of one value, as evidence and late evaluation need it.

use regex::{Regex, RegexBuilder};

use crate::detect::cidr::{Cidr, address};
use crate::detect::fold::{Glob, fold, fold_into, number, parts_of, stands};
use crate::detect::rule::{Comparison, Part, Pattern, Place, Test};
use crate::model::{FieldRef, TimePart, Timestamp, Value, ValueKind};

/// Bytes a compiled regular expression may take; one that is larger is refused with its rule.
const REGEX_BYTES_MAX: usize = 4 << 20;

/// A test, compiled.
#[derive(Debug)]
pub(super) enum Check {
    Exists,
    Null,
    /// Any value but null.
    Any,
    /// Folded text.
    Text(Place, Box<str>),
    /// Text as it is.
    Cased(Place, Box<str>),
    Glob {
        glob: Glob,
        cased: bool,
    },
    Number(Comparison, f64),
    /// A part of the time that a value is.
    Time(TimePart, Comparison, f64),
    Cidr(Cidr),
    Regex(Regex),
    SameAs {
        other: FieldRef,
        place: Place,
        cased: bool,
    },
}

/// What a pattern comes down to.
pub(super) enum Shape {
    Any,
    Text(Place, String),
    /// With a literal that every match has, and where it stands.
    Glob(Vec<Part>, Option<(Place, String)>),
}

/// The simplest form of a pattern.
pub(super) fn shape(pattern: &Pattern) -> Shape {
    let parts = parts_of(pattern);
    match parts.as_slice() {
        [] => Shape::Text(Place::Whole, String::new()),
        [Part::Many] => Shape::Any,
        [Part::Text(text)] => Shape::Text(Place::Whole, text.clone()),
        [Part::Text(text), Part::Many] => Shape::Text(Place::Start, text.clone()),
        [Part::Many, Part::Text(text)] => Shape::Text(Place::End, text.clone()),
        [Part::Many, Part::Text(text), Part::Many] => Shape::Text(Place::Anywhere, text.clone()),
        _ => {
            let literals = parts.iter().enumerate().filter_map(|(at, part)| match part {
                Part::Text(text) if at == 0 => Some((Place::Start, text)),
                Part::Text(text) if at + 1 == parts.len() => Some((Place::End, text)),
                Part::Text(text) => Some((Place::Anywhere, text)),
                Part::Many | Part::One => None,
            });
            let longest = literals.max_by_key(|(_, text)| text.len()).map(|(place, text)| (place, fold(text)));
            Shape::Glob(parts, longest)
        }
    }
}

/// Compiles a regular expression. The error is the library's.
pub(super) fn regex(test: &Test) -> Result<Option<Regex>, String> {
    let Test::Regex { pattern, ignore_case, multi_line, dot_all } = test else { return Ok(None) };
    RegexBuilder::new(pattern)
        .case_insensitive(*ignore_case)
        .multi_line(*multi_line)
        .dot_matches_new_line(*dot_all)
        .size_limit(REGEX_BYTES_MAX)
        .dfa_size_limit(REGEX_BYTES_MAX)
        .build()
        .map(Some)
        .map_err(|error| error.to_string())
}

/// Folds the texts of a pattern's parts.
pub(super) fn fold_parts(parts: &[Part]) -> Vec<Part> {
    parts
        .iter()
        .map(|part| match part {
            Part::Text(text) => Part::Text(fold(text)),
            Part::Many => Part::Many,
            Part::One => Part::One,
        })
        .collect()
}

/// The time that a text is: RFC 3339 and its kin, or a count since 1970.
fn time(text: &str) -> Option<Timestamp> {
    Timestamp::parse(text).or_else(|| Timestamp::since_1970(text))
}

impl Check {
    /// Whether the value passes. `scratch` is only lent. Comparison with another field is not decided here.
    pub(super) fn holds(&self, value: Value<'_>, scratch: &mut String) -> bool {
        let is_null = value.kind == ValueKind::Null;
        match self {
            Self::Exists => return true,
            Self::Null => return is_null,
            _ if is_null => return false,
            _ => {}
        }
        match self {
            Self::Exists | Self::Null | Self::Any => true,
            Self::Text(place, literal) => {
                scratch.clear();
                fold_into(value.text, scratch);
                stands(scratch, *place, literal)
            }
            Self::Cased(place, literal) => stands(value.text, *place, literal),
            Self::Glob { glob, cased: true } => glob.matches(value.text),
            Self::Glob { glob, cased: false } => {
                scratch.clear();
                fold_into(value.text, scratch);
                glob.matches(scratch)
            }
            Self::Number(op, bound) => number(value.text).is_some_and(|number| op.holds(number, *bound)),
            Self::Time(part, op, bound) => time(value.text).is_some_and(|time| op.holds(time.part(*part) as f64, *bound)),
            Self::Cidr(cidr) => address(value.text).is_some_and(|address| cidr.contains(address)),
            Self::Regex(regex) => regex.is_match(value.text),
            Self::SameAs { .. } => false,
        }
    }
}

/// Literals, in lower case, of which every match of a regular expression contains one, if they are easily seen: one for each alternative.
pub(super) fn required_literals(pattern: &str) -> Option<Vec<String>> {
    let is_folded = pattern.strip_prefix("(?i)");
    alternatives(is_folded.unwrap_or(pattern))?.into_iter().map(required_literal).collect()
}

/// Parts of a pattern between the `|` at its top level.
fn alternatives(pattern: &str) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    let (mut from, mut depth) = (0, 0_usize);
    let mut chars = pattern.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                chars.next()?;
            }
            '[' => skip_class(&mut chars)?,
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1)?,
            '|' if depth == 0 => {
                parts.push(pattern.get(from..at)?);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(pattern.get(from..)?);
    Some(parts)
}

/// A literal that every match of an alternative contains.
///
/// Reads only plain text at the top level: a group, a class or an alternation ends the run, and flags or an alternation at the top
/// level give up. Only ASCII literals count.
fn required_literal(pattern: &str) -> Option<String> {
    let mut scan = Scan::default();
    let mut chars = pattern.char_indices().peekable();
    while let Some((_, c)) = chars.next() {
        match c {
            '\\' => match chars.next()?.1 {
                plain if !plain.is_alphanumeric() => scan.push(plain),
                'x' | 'u' | 'U' | 'p' | 'P' => return None,
                _ => scan.end(),
            },
            '[' => {
                scan.end();
                skip_class(&mut chars)?;
            }
            '(' => {
                scan.end();
                if chars.peek().is_some_and(|next| next.1 == '?') {
                    chars.next();
                    if chars.peek().is_none_or(|next| next.1 != ':') {
                        return None;
                    }
                }
                scan.depth += 1;
            }
            ')' => {
                scan.end();
                scan.depth = scan.depth.checked_sub(1)?;
            }
            '?' | '*' | '{' => {
                scan.run.pop();
                scan.end();
                if c == '{' {
                    chars.by_ref().find(|(_, c)| *c == '}')?;
                }
            }
            '+' | '.' | '^' | '$' | '|' => scan.end(),
            c => scan.push(c),
        }
    }
    scan.end();
    Some(scan.best).filter(|best| best.len() >= 2)
}

/// Runs of plain text at the top level.
#[derive(Default)]
struct Scan {
    depth: usize,
    run: String,
    best: String,
}

impl Scan {
    fn push(&mut self, c: char) {
        if !c.is_ascii() {
            self.run.clear();
        } else if self.depth == 0 {
            self.run.push(c.to_ascii_lowercase());
        }
    }

    fn end(&mut self) {
        if self.run.len() > self.best.len() {
            self.best.clone_from(&self.run);
        }
        self.run.clear();
    }
}

/// Goes past a class, the `[` of which has been read.
fn skip_class(chars: &mut std::iter::Peekable<std::str::CharIndices<'_>>) -> Option<()> {
    if chars.peek().is_some_and(|next| next.1 == '^') {
        chars.next();
    }
    if chars.peek().is_some_and(|next| next.1 == ']') {
        chars.next();
    }
    let mut depth = 1;
    while depth > 0 {
        match chars.next()?.1 {
            '\\' => {
                chars.next()?;
            }
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
    }
    Some(())
}
