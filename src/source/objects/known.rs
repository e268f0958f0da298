//! What is known of every key, in little memory: a sorted list, and a small table of what changed since it was sorted.

use std::collections::HashMap;

/// Names a key: of bucket and key, hashed. 16 bytes, so that nobody can make up two keys that are taken for one.
pub(super) type KeyId = [u8; 16];

/// The list is sorted anew once the table has more than this, or a share of the list.
const CHANGED_MIN: usize = 8_192;
const CHANGED_SHARE: usize = 32;

/// What is known of a key: the version that was found last, and how much of its content was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Known {
    /// Of key and etag, hashed.
    pub version: u64,
    /// So many bytes from the start were read.
    pub bytes: u64,
    /// Of the last bytes of those, hashed, with [`Known::is_lines`] in the lowest bit; 0: not read.
    pub print: u64,
}

impl Known {
    /// A print, of a hash.
    pub fn print_of(hash: u64, is_lines: bool) -> u64 {
        let high = if hash >> 1 == 0 { 2 } else { hash & !1 };
        high | u64::from(is_lines)
    }

    /// Whether the content is JSON objects, each on a line: the only kind of which the rest is read alone.
    pub fn is_lines(self) -> bool {
        self.print & 1 == 1
    }
}

/// Every key. 40 bytes each in the list.
#[derive(Debug, Default)]
pub(super) struct Keys {
    sorted: Vec<(KeyId, Known)>,
    /// `None`: taken out.
    changed: HashMap<KeyId, Option<Known>>,
    len: usize,
}

impl Keys {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, key: &KeyId) -> Option<Known> {
        match self.changed.get(key) {
            Some(known) => *known,
            None => self.place(key).and_then(|at| self.sorted.get(at)).map(|(_, known)| *known),
        }
    }

    fn place(&self, key: &KeyId) -> Option<usize> {
        self.sorted.binary_search_by(|(other, _)| other.cmp(key)).ok()
    }

    /// What is known of a key from now on; `None`: nothing any more.
    pub(super) fn set(&mut self, key: KeyId, known: Option<Known>) {
        let before = self.get(&key).is_some();
        self.len = self.len + usize::from(known.is_some()) - usize::from(before);
        if let (Some(known), Some(at)) = (known, self.place(&key))
            && let Some(slot) = self.sorted.get_mut(at)
        {
            slot.1 = known;
            self.changed.remove(&key);
            return;
        }
        self.changed.insert(key, known);
        if self.changed.len() > CHANGED_MIN.max(self.sorted.len() / CHANGED_SHARE) {
            self.sort();
        }
    }

    fn sort(&mut self) {
        // Taken out of the list by its place, so that the order of the table does not matter.
        let gone: Vec<KeyId> = self.changed.extract_if(|_, known| known.is_none()).map(|(key, _)| key).collect();
        for key in gone {
            if let Some(at) = self.place(&key) {
                self.sorted.remove(at);
            }
        }
        self.sorted.reserve_exact(self.changed.len());
        self.sorted.extend(self.changed.drain().filter_map(|(key, known)| known.map(|known| (key, known))));
        self.sorted.sort_unstable_by_key(|(key, _)| *key);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn known(version: u64) -> Known {
        Known { version, bytes: 1, print: 2 }
    }

    fn key(n: u64) -> KeyId {
        let mut key = [0; 16];
        blake3::Hasher::new().update(&n.to_le_bytes()).finalize_xof().fill(&mut key);
        key
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn it_knows_what_a_map_knows(steps in proptest::collection::vec((0_u64..40, proptest::option::of(0_u64..5)), 0..200), sort_at in 1_usize..50) {
            let (mut keys, mut map) = (Keys::default(), BTreeMap::new());
            for (at, (n, version)) in steps.into_iter().enumerate() {
                keys.set(key(n), version.map(known));
                match version {
                    Some(version) => drop(map.insert(key(n), known(version))),
                    None => drop(map.remove(&key(n))),
                }
                if at % sort_at == 0 {
                    keys.sort();
                }
                prop_assert_eq!(keys.len(), map.len());
                for n in 0..40 {
                    prop_assert_eq!(keys.get(&key(n)), map.get(&key(n)).copied());
                }
            }
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test's size is no setting of the program")]
    fn a_key_costs_so_many_bytes() {
        let count: u64 = std::env::var("BARTIZAN_KEYS").ok().and_then(|keys| keys.parse().ok()).unwrap_or(100_000);
        let mut keys = Keys::default();
        let started = tokio::time::Instant::now();
        (0..count).for_each(|n| keys.set(key(n), Some(known(n))));
        let filled = started.elapsed();
        assert!((0..count).all(|n| keys.get(&key(n)) == Some(known(n))));
        let slots = keys.sorted.capacity() + keys.changed.capacity();
        let bytes =
            keys.sorted.capacity() * size_of::<(KeyId, Known)>() + keys.changed.capacity() * (size_of::<(KeyId, Option<Known>)>() + 1) * 8 / 7;
        println!("{count} keys in {slots} slots, {:.1} bytes a key; filled in {filled:?}", bytes as f64 / count as f64);
        assert!(bytes as u64 / count < 64);
    }
}
