//! What a query says, once parsed, and its text again.

use std::fmt;
use std::net::IpAddr;

use crate::model::{Field, FieldRef, FieldType};

/// A condition on an event. As parsed it is at most [`super::DEPTH_MAX`] levels deep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    All,
    None,
    Not(Box<Query>),
    And(Vec<Query>),
    Or(Vec<Query>),
    Field {
        field: FieldRef,
        test: ValueTest,
    },
    /// A free word: a token of a message-like field, or the whole value of one of [`super::WORD_FIELDS`].
    Word(Wild),
    /// Its words as neighbours in a message-like field, or the whole value of one of [`super::WORD_FIELDS`].
    /// A free word with other characters than letters and digits in it (`web-0`) is one too. As written, not lower-cased.
    Phrase(String),
}

/// What one value of a field has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueTest {
    /// The whole value, without regard to case.
    Wild(Wild),
    /// Any value but null.
    Exists,
    /// Between two ends; how they compare is told by [`super::compare`].
    Range { low: Bound, high: Bound },
    /// An address within a network.
    Cidr { net: IpAddr, bits: u8 },
}

/// A pattern of a whole value. Without parts: the empty text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wild {
    pub parts: Vec<WildPart>,
}

/// A piece of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WildPart {
    /// Lower-cased by [`super::lower`].
    Text(String),
    /// `*`: any number of characters.
    Many,
    /// `?`: one character.
    One,
}

/// An end of a range, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    Open,
    Inclusive(String),
    Exclusive(String),
}

impl Wild {
    /// The pattern that only this text matches.
    pub fn literal(text: &str) -> Self {
        let parts = if text.is_empty() { Vec::new() } else { vec![WildPart::Text(super::lower(text).into_owned())] };
        Self { parts }
    }

    /// The lower-cased text, if there is no wildcard.
    pub fn as_literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [WildPart::Text(text)] => Some(text),
            _ => None,
        }
    }
}

/// Characters that mean something to the parser, wherever they stand.
fn is_special(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\\' | '"' | '(' | ')' | ':' | '*' | '?' | '[' | ']' | '{' | '}' | '<' | '>')
}

fn write_escaped(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    text.chars().try_for_each(|c| if is_special(c) { write!(f, "\\{c}") } else { write!(f, "{c}") })
}

fn write_quoted(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("\"")?;
    text.chars().try_for_each(|c| if matches!(c, '"' | '\\') { write!(f, "\\{c}") } else { write!(f, "{c}") })?;
    f.write_str("\"")
}

impl fmt::Display for Wild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            WildPart::Text(text) => write_escaped(text, f),
            WildPart::Many => f.write_str("*"),
            WildPart::One => f.write_str("?"),
        })
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("*"),
            Self::Inclusive(text) | Self::Exclusive(text) => write_quoted(text, f),
        }
    }
}

impl fmt::Display for ValueTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // In quotes nothing is a wildcard or a network.
            Self::Wild(wild) => match wild.as_literal() {
                Some(text) if text.is_empty() || text.contains(|c| c == '/' || is_special(c)) => write_quoted(text, f),
                _ => write!(f, "{wild}"),
            },
            Self::Exists => f.write_str("*"),
            Self::Range { low, high } => {
                let open = if matches!(low, Bound::Exclusive(_)) { '{' } else { '[' };
                let close = if matches!(high, Bound::Exclusive(_)) { '}' } else { ']' };
                write!(f, "{open}{low} TO {high}{close}")
            }
            Self::Cidr { net, bits } => write!(f, "{net}/{bits}"),
        }
    }
}

fn write_field(field: &FieldRef, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    // A native name that reads as something else needs its prefix.
    if matches!(field, FieldRef::Native { .. }) && FieldRef::parse(field.name()).as_ref() != Ok(field) {
        f.write_str("raw.")?;
    }
    write_escaped(field.name(), f)
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::None => f.write_str("NOT *"),
            Self::Not(inner) => {
                f.write_str("NOT ")?;
                write_operand(inner, f)
            }
            Self::And(all) if all.is_empty() => f.write_str("*"),
            Self::Or(any) if any.is_empty() => f.write_str("NOT *"),
            Self::And(all) => write_joined(all, " AND ", f),
            Self::Or(any) => write_joined(any, " OR ", f),
            Self::Field { field, test } => {
                write_field(field, f)?;
                write!(f, ":{test}")
            }
            Self::Word(wild) => write!(f, "{wild}"),
            Self::Phrase(text) => write_quoted(text, f),
        }
    }
}

fn write_operand(query: &Query, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if matches!(query, Query::And(list) | Query::Or(list) if list.len() > 1) { write!(f, "({query})") } else { write!(f, "{query}") }
}

fn write_joined(list: &[Query], between: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (at, query) in list.iter().enumerate() {
        if at > 0 {
            f.write_str(between)?;
        }
        write_operand(query, f)?;
    }
    Ok(())
}

/// Whether `10.0.0.0/8` as a value of this field means a network.
pub(super) fn takes_nets(field: &FieldRef) -> bool {
    match field {
        FieldRef::Fact(field) => Field::kind(*field) == FieldType::Ip,
        FieldRef::Native { .. } => true,
    }
}
