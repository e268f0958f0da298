//! Where a quick look begins: after the keys that were written some time ago, branch by branch.
//!
//! Keys under one branch, what stands before the part with a date, mostly come in the order of time. So a look lists each branch from its
//! last key on that is older than the look-back. Nothing depends on it: what does not come in that order is found by the next sweep.

use std::collections::{BTreeMap, VecDeque};

use super::bucket::From;

/// How far back a look begins, in seconds: keys that come later than others by less are found by it.
pub(super) const LOOK_BACK_S: i64 = 2 * 3_600;
/// Times of a branch that are told apart.
const SLOT_S: i64 = 600;
/// Branches. Of more, those are looked at that something came to last.
const BRANCHES_MAX: usize = 256;

/// What is known of one branch.
#[derive(Debug, Default)]
struct Branch {
    /// The last key among those older than the slots.
    old: Option<String>,
    /// The last key of those that were written in a slot of time, from the oldest.
    slots: VecDeque<(i64, String)>,
    /// When the latest object was written.
    latest_s: i64,
}

/// The branches of one bucket.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    branches: BTreeMap<String, Branch>,
}

impl Cursor {
    /// Learns of an object.
    pub(super) fn learn(&mut self, key: &str, modified_s: i64) {
        let name = branch(key);
        if !self.branches.contains_key(name) {
            if self.branches.len() >= BRANCHES_MAX {
                let stalest = self.branches.iter().min_by_key(|(_, branch)| branch.latest_s).map(|(name, branch)| (name.clone(), branch.latest_s));
                match stalest {
                    Some((name, latest_s)) if latest_s < modified_s => drop(self.branches.remove(&name)),
                    _ => return,
                }
            }
            self.branches.insert(name.to_owned(), Branch::default());
        }
        let Some(branch) = self.branches.get_mut(name) else { return };
        branch.latest_s = branch.latest_s.max(modified_s);
        let slot = modified_s.div_euclid(SLOT_S);
        let last = match branch.slots.binary_search_by_key(&slot, |(at, _)| *at) {
            Ok(at) => branch.slots.get_mut(at).map(|(_, last)| last),
            Err(at) => {
                branch.slots.insert(at, (slot, key.to_owned()));
                None
            }
        };
        if let Some(last) = last.filter(|last| last.as_str() < key) {
            key.clone_into(last);
        }
        while branch.slots.len() as i64 > LOOK_BACK_S / SLOT_S + 2 {
            branch.age();
        }
    }

    /// Where to look now.
    pub(super) fn starts(&mut self, now_s: i64) -> Vec<From> {
        let upto = (now_s - LOOK_BACK_S).div_euclid(SLOT_S);
        let start = |(name, branch): (&String, &mut Branch)| {
            while branch.slots.front().is_some_and(|(slot, _)| *slot < upto) {
                branch.age();
            }
            From { prefix: name.clone(), after: branch.old.clone(), page: None }
        };
        self.branches.iter_mut().map(start).collect()
    }
}

impl Branch {
    /// The oldest slot is past.
    fn age(&mut self) {
        let Some((_, last)) = self.slots.pop_front() else { return };
        self.old = self.old.take().max(Some(last));
    }
}

/// What stands before the first part of a key that has a year in it. Without one, before the last part.
fn branch(key: &str) -> &str {
    let mut start = 0;
    for part in key.split_inclusive('/') {
        let end = start + part.len();
        if has_year(part) || end == key.len() {
            return key.get(..start).unwrap_or_default();
        }
        start = end;
    }
    ""
}

fn has_year(part: &str) -> bool {
    let year = |four: &[u8]| matches!(four, [b'1', b'9', a, b] | [b'2', b'0', a, b] if a.is_ascii_digit() && b.is_ascii_digit());
    part.as_bytes().windows(4).any(year)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_end_before_dates() {
        for (key, expected) in [
            ("AUDIT/cat1/2026-01-01-00:00:00-aB3dE", "AUDIT/cat1/"),
            ("AWSLogs/1/CloudTrail/eu/2026/01/01/x.gz", "AWSLogs/1/CloudTrail/eu/"),
            ("r=/y=2026/m=01/d=01/PT1H.json", "r=/"),
            ("flows//2021-10-23T17:38:08Z.json", "flows//"),
            ("a/b/c", "a/b/"),
            ("flat", ""),
            ("", ""),
            ("/lead/2026", "/lead/"),
        ] {
            assert_eq!(branch(key), expected, "{key}");
        }
    }

    #[test]
    fn a_look_begins_after_what_is_old() {
        let mut cursor = Cursor::default();
        let now = 100 * SLOT_S;
        for age in (0..40).rev() {
            cursor.learn(&format!("a/2026-{:02}", 40 - age), now - age * SLOT_S);
        }
        cursor.learn("b/2026", now);
        let starts = |cursor: &mut Cursor, now| cursor.starts(now).into_iter().map(|from| (from.prefix, from.after)).collect::<Vec<_>>();
        assert_eq!(starts(&mut cursor, now), [("a/".to_owned(), Some("a/2026-27".to_owned())), ("b/".to_owned(), None)]);
        let later = starts(&mut cursor, now + LOOK_BACK_S + SLOT_S);
        assert_eq!(later, [("a/".to_owned(), Some("a/2026-40".to_owned())), ("b/".to_owned(), Some("b/2026".to_owned()))]);
        for n in 0..2 * BRANCHES_MAX {
            cursor.learn(&format!("c{n}/2026"), n as i64);
        }
        assert_eq!(cursor.branches.len(), BRANCHES_MAX);
        assert!(cursor.branches.contains_key("a/"), "what something came to last stays");
    }
}
