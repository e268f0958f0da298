//! What a query says, once parsed.

use crate::model::FieldRef;

/// A condition on an event.
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
    /// A free word: a token of the message-like fields, or the whole value of an entity or name field.
    Word(Wild),
    /// Words in this order in a message-like field.
    Phrase(String),
}

/// What one value of a field has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueTest {
    /// The whole value, without regard to case.
    Wild(Wild),
    Exists,
    /// Numbers, IPs, times or text.
    Range {
        low: Bound,
        high: Bound,
    },
    Cidr {
        net: std::net::IpAddr,
        bits: u8,
    },
}

/// A pattern of a whole value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wild {
    pub parts: Vec<WildPart>,
}

/// A piece of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WildPart {
    /// Lower-cased.
    Text(String),
    /// `*`
    Many,
    /// `?`
    One,
}

/// An end of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    Open,
    Inclusive(String),
    Exclusive(String),
}
