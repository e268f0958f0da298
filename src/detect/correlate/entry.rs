//! Entries: one matching act in the window of a group.

use std::sync::Arc;

use crate::detect::witness::Witness;
use crate::model::EventId;

/// Order of entries: time, then event id, then the referred rule.
pub(crate) type Key = (i64, EventId, u16);

/// A key before all others.
pub(super) const FIRST: Key = (i64::MIN, EventId([0; 16]), 0);

/// Tells an act from others in its group: a keyed hash of its id, by [`ValueKey`](crate::detect::engine::ValueKey). There are very many, so it is short.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Act(pub(crate) u64);

/// One act that counts, by the earliest of its events.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Nanoseconds since 1970.
    pub(crate) time: i64,
    pub(crate) id: EventId,
    pub(crate) act: Act,
    /// Position of the matching rule in the correlation.
    pub(crate) rule: u16,
    pub(crate) is_late: bool,
    /// Its clock ran ahead: the time is that of its receipt.
    pub(crate) is_clamped: bool,
    /// A qualifying window ends with it.
    pub(crate) is_end: bool,
    /// Hashes of the values that `value_count` counts.
    pub(crate) values: Values,
    pub(crate) witness: Arc<Witness>,
}

pub(crate) use super::entries::Entries;

/// Hashes or numbers that an entry adds to a count. Nearly always it is none or one.
#[derive(Debug, Clone, Default)]
pub(crate) enum Values {
    #[default]
    None,
    One(u64),
    Many(Box<More>),
}

/// More values than one. It stands apart, for an entry to stay small.
#[derive(Debug, Clone)]
pub(crate) struct More(Box<[u64]>);

impl From<Vec<u64>> for Values {
    fn from(values: Vec<u64>) -> Self {
        match values.as_slice() {
            [] => Self::None,
            [only] => Self::One(*only),
            _ => Self::Many(Box::new(More(values.into()))),
        }
    }
}

impl std::ops::Deref for Values {
    type Target = [u64];

    fn deref(&self) -> &[u64] {
        match self {
            Self::None => &[],
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => &values.0,
        }
    }
}

impl Entry {
    pub(crate) fn key(&self) -> Key {
        (self.time, self.id, self.rule)
    }

    /// What it points to, in bytes, about. A value counts for its place in a table of distinct values as well.
    pub(super) fn beyond(&self) -> usize {
        self.values.len() * 32 + self.witness.bytes()
    }
}
