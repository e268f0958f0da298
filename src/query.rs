//! One query language for search, exceptions, routes and the live tail.
//!
//! ```text
//! query  = or                              empty, or a bare `*`: everything
//! or     = and (`OR` and)*
//! and    = unary (`AND`? unary)*
//! unary  = `NOT` unary | `(` or `)` | field `:` test | word | "phrase"
//! test   = value | "value" | `*` (exists) | net `/` bits | `>` `>=` `<` `<=` value | `[`a TO b`]` | `{`a TO b`}` | `(` tests `)`
//! ```
//!
//! `*` and `?` are wildcards, a backslash takes the next character as it is. After a field's first `:` further colons are
//! literal; `-` is literal everywhere. [`matches()`] says what a query means, and the index has to answer the same.

mod ast;
mod lexer;
mod matches;
mod parser;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

pub use ast::{Bound, Query, ValueTest, Wild, WildPart};
pub use matches::{compare, in_net, matches, matches_value};
pub use parser::parse;

use crate::model::Field;

/// Bytes of a query.
pub const QUERY_BYTES_MAX: usize = 8 << 10;
/// Nesting of parentheses and `NOT`.
pub const DEPTH_MAX: usize = 32;
/// Words and field tests of a query.
pub const CLAUSES_MAX: usize = 256;
/// Dotted segments of a field name.
pub const PATH_SEGMENTS_MAX: usize = 16;
/// Characters of a value that has wildcards: bounds what one comparison can cost.
pub const WILD_CHARS_MAX: usize = 256;
/// Characters of a word. A longer run of letters and digits is no word, neither in a query nor in the index.
pub const WORD_CHARS_MAX: usize = 128;

/// The entity and name fields: a free word or a phrase finds an event when it is the whole value of one of them.
pub const WORD_FIELDS: &[Field] = &[
    Field::Cluster,
    Field::ActorUserName,
    Field::ActorImpersonator,
    Field::SrcIp,
    Field::SrcIps,
    Field::SrcPod,
    Field::SrcWorkload,
    Field::SrcNamespace,
    Field::DstIp,
    Field::DstNames,
    Field::DstPod,
    Field::DstWorkload,
    Field::DstNamespace,
    Field::K8sNamespace,
    Field::K8sPod,
    Field::K8sContainer,
    Field::K8sNode,
    Field::K8sWorkload,
    Field::K8sServiceAccount,
    Field::K8sName,
    Field::RbacRole,
    Field::ProcessName,
    Field::PolicyName,
    Field::PolicyRule,
    Field::DnsQuery,
    Field::Entity,
];

/// Why a text is no query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryError {
    /// Where, in characters from 0.
    pub at: usize,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at character {}: {}", self.message, self.at + 1, self.help)
    }
}

impl std::error::Error for QueryError {}

/// The text as values are compared: lower-cased character by character, whatever stands around a character.
pub fn lower(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase()) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().flat_map(char::to_lowercase).collect())
}

/// The words of a message-like text, lower-cased: its runs of letters and digits of at most [`WORD_CHARS_MAX`] characters.
/// Words are numbered one after another as they come from here; a phrase asks for neighbours.
pub fn words(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|run| !run.is_empty() && run.chars().nth(WORD_CHARS_MAX).is_none()).map(lower)
}
