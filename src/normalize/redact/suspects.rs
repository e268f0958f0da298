//! Which leaves of a record may hold a secret: few, so that the full look is taken at those alone.
//!
//! Sure when it leaves a leaf out: the tests hold it against the full look at every leaf.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind, packed};

use super::secrets::{self, KeyRole};
use super::{pan, scan};
use crate::model::{Doc, Leaf, LeafKind, Path};

/// Roles of keys that are remembered, by path: a power of two.
const ROLES: usize = 512;

/// Finds the literals in text in lower case, by vectors where the machine has them.
enum Finder {
    Packed(packed::Searcher),
    Automaton(AhoCorasick),
}

static FINDER: LazyLock<Finder> = LazyLock::new(|| {
    let literals: Vec<String> = scan::LITERALS.iter().map(|literal| (*literal).to_owned()).chain(secrets::flags()).collect();
    match packed::Searcher::new(&literals) {
        Some(searcher) => Finder::Packed(searcher),
        None => {
            let automaton = AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(&literals);
            Finder::Automaton(automaton.expect("a few dozen short literals fit an automaton"))
        }
    }
});

impl Finder {
    /// Where the literals stand, in order. Of those that overlap the first counts.
    fn each(&self, text: &[u8], mut to: impl FnMut(usize)) {
        match self {
            Self::Packed(searcher) => searcher.find_iter(text).for_each(|hit| to(hit.start())),
            Self::Automaton(automaton) => automaton.find_iter(text).for_each(|hit| to(hit.start())),
        }
    }
}

/// Looks for leaves to look at. Holds buffers that are reused from record to record.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    lower: Vec<u8>,
    /// Where in the text a literal or a long run of digits stands; each ascends.
    literals: Vec<usize>,
    runs: Vec<usize>,
    roles: Roles,
    leaves: Vec<usize>,
}

impl Suspects {
    /// The leaves, in order.
    pub(super) fn of(&mut self, doc: &Doc) -> &[usize] {
        self.scan(doc.text());
        self.leaves.clear();
        let (mut literals, mut runs) = (0, 0);
        // The list whose next element a flag announces.
        let mut flagged = None;
        for (at, leaf) in doc.leaves().iter().enumerate() {
            if !matches!(leaf.kind, LeafKind::Text | LeafKind::Number | LeafKind::Raw) {
                flagged = None;
                continue;
            }
            let has_hit = match doc.plain_range(leaf) {
                Some(range) => {
                    let hits = [(&self.literals, &mut literals), (&self.runs, &mut runs)];
                    hits.into_iter().fold(false, |has_hit, (hits, next)| {
                        while hits.get(*next).is_some_and(|hit| *hit < range.start) {
                            *next += 1;
                        }
                        has_hit | hits.get(*next).is_some_and(|hit| *hit < range.end)
                    })
                }
                None => has_hit(&mut self.lower, doc.value(leaf).text),
            };
            let is_announced = flagged == Some(leaf.parent);
            flagged = (has_hit && doc.value(leaf).text.starts_with("--")).then_some(leaf.parent);
            if has_hit || is_announced || self.roles.of(doc, leaf) != KeyRole::None {
                self.leaves.push(at);
            }
        }
        &self.leaves
    }

    fn scan(&mut self, text: &str) {
        lower_into(text, &mut self.lower);
        let Self { lower, literals, runs, .. } = self;
        literals.clear();
        runs.clear();
        FINDER.each(lower, |at| literals.push(at));
        pan::runs(text.as_bytes(), |at| runs.push(at));
    }
}

fn lower_into(text: &str, lower: &mut Vec<u8>) {
    lower.clear();
    lower.extend_from_slice(text.as_bytes());
    lower.make_ascii_lowercase();
}

/// As the scan of the whole text tells it, for a text that stands in the record with escapes.
fn has_hit(lower: &mut Vec<u8>, text: &str) -> bool {
    lower_into(text, lower);
    let mut has_hit = false;
    FINDER.each(lower, |_| has_hit = true);
    pan::runs(lower, |_| has_hit = true);
    has_hit
}

/// The roles of keys, by the path of their leaf: most paths have been seen before.
#[derive(Debug)]
struct Roles(Box<[(Path, KeyRole)]>);

impl Default for Roles {
    fn default() -> Self {
        Self(vec![(Path::ROOT, KeyRole::None); ROLES].into())
    }
}

impl Roles {
    fn of(&mut self, doc: &Doc, leaf: &Leaf) -> KeyRole {
        let place = leaf.path.0 as usize / 2 % ROLES;
        match self.0.get_mut(place) {
            Some((path, role)) if *path == leaf.path => *role,
            Some(known) => {
                // The record itself has no key, and its place is that of nobody else.
                *known = (leaf.path, secrets::role(doc.key(leaf)));
                known.1
            }
            None => secrets::role(doc.key(leaf)),
        }
    }
}
