//! One test of one value, as evidence and late evaluation need it.

use regex::{Regex, RegexBuilder};

use super::element::Elements;
use super::needles;
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
    /// Asked of the record, not of a value.
    Elements(Box<Elements>),
}

/// What a pattern comes down to.
pub(super) enum Shape {
    Any,
    Text(Place, String),
    /// With literals that every match has, and where they stand.
    Glob(Vec<Part>, Vec<(Place, String)>),
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
            let needed = needles::of_glob(&parts);
            Shape::Glob(parts, needed)
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
    /// Whether the value passes. `scratch` is only lent. Comparison with another field, and elements of a list, are not decided here.
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
            Self::SameAs { .. } | Self::Elements(_) => false,
        }
    }
}
