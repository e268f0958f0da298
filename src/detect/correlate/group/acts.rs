//! Where the entry of each act stands, once there are many.

use hashbrown::HashTable;

use crate::detect::correlate::entry::{Act, Entries, Key};
use crate::model::EventId;

/// An act of a rule, and of the key of its entry so much as finds it.
#[derive(Debug)]
struct Known {
    name: u64,
    time: i64,
    /// The first bytes of the event's id.
    head: u64,
}

/// The entries of acts. Short, for there may be very many.
#[derive(Debug, Default)]
pub(super) struct Acts(HashTable<Known>);

/// One number for an act and a rule. Acts are told apart by keyed hashes, so this is one as well.
fn name((rule, act): (u16, Act)) -> u64 {
    act.0 ^ u64::from(rule).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn head(id: &EventId) -> u64 {
    id.0.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

impl Acts {
    pub(super) fn set(&mut self, act: (u16, Act), key: Key) {
        let name = name(act);
        let new = Known { name, time: key.0, head: head(&key.1) };
        match self.0.find_mut(name, |known| known.name == name) {
            Some(known) => *known = new,
            None => {
                self.0.insert_unique(name, new, |known| known.name);
            }
        }
    }

    pub(super) fn remove(&mut self, act: (u16, Act)) {
        let name = name(act);
        if let Ok(found) = self.0.find_entry(name, |known| known.name == name) {
            found.remove();
        }
    }

    /// Whether it has the act.
    pub(super) fn has(&self, act: (u16, Act)) -> bool {
        self.0.find(name(act), |known| known.name == name(act)).is_some()
    }

    /// The key of the entry of an act, which is one of these.
    pub(super) fn find(&self, act: (u16, Act), entries: &Entries, is_it: impl Fn(u16, Act) -> bool) -> Option<Key> {
        let known = self.0.find(name(act), |known| known.name == name(act))?;
        let from = entries.partition_point(|entry| (entry.time, head(&entry.id)) < (known.time, known.head));
        let same = entries.range(from..).take_while(|entry| (entry.time, head(&entry.id)) == (known.time, known.head));
        same.filter(|entry| is_it(entry.rule, entry.act)).map(|entry| entry.key()).next()
    }

    /// What it takes, in bytes, about.
    pub(super) fn bytes(&self) -> usize {
        self.0.capacity() * (size_of::<Known>() + 1)
    }
}
