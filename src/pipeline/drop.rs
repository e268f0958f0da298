//! What the operator pays no storage for: events that a query finds are judged by the rules like any other, and then left out of the store, or all
//! but a sample of them. An event that any rule matched is evidence, now or later, and is always kept.

use std::sync::Arc;

use crate::model::{Event, EventId};
use crate::query::{self, Query};

/// One rule.
#[derive(Debug, Clone)]
pub struct DropRule {
    /// As counters name it.
    pub name: Arc<str>,
    pub query: Query,
    /// One of so many is kept, told by its id, so that the same ones are kept on every run. 0: none.
    pub keep_one_in: u32,
}

/// The rules, in the order in which they are asked. The first whose query finds an event decides.
#[derive(Debug, Clone, Default)]
pub struct Drops(Vec<DropRule>);

impl Drops {
    /// Of these rules.
    pub fn new(rules: Vec<DropRule>) -> Self {
        Self(rules)
    }

    /// Their names.
    pub fn names(&self) -> Vec<Arc<str>> {
        self.0.iter().map(|rule| Arc::clone(&rule.name)).collect()
    }

    /// The number of the rule that leaves this event out, if one does.
    pub(super) fn judge(&self, event: &Event) -> Option<usize> {
        let at = self.0.iter().position(|rule| query::matches(&rule.query, event))?;
        let keep_one_in = u64::from(self.0.get(at)?.keep_one_in);
        let is_sample = keep_one_in > 0 && number(&event.id).is_multiple_of(keep_one_in);
        (!is_sample).then_some(at)
    }
}

fn number(id: &EventId) -> u64 {
    id.0.first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
}
