//! Which leaves of a record may hold a secret: few, so that the full look is taken at those alone.
//!
//! Sure when it leaves a leaf out: the tests hold it against the full look at every leaf. A text without escapes is looked at where it stands in
//! the record, in one scan of the whole, which is why a sign must not need what stands outside of its value.

use super::secrets::{self, KeyRole, Names};
use super::signs::SIGNS;
use crate::model::{Doc, Leaf, LeafKind, Path};

/// Roles of keys that are remembered, by path.
const ROLES: usize = 2048;
/// A leaf to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Suspect {
    /// Its index.
    pub(super) at: usize,
    /// Whether its text can hold a secret; else its place alone can make it one.
    pub(super) is_by_text: bool,
}

impl Suspect {
    /// Every leaf.
    pub(super) fn all(doc: &Doc) -> Vec<Self> {
        (0..doc.leaves().len()).map(|at| Self { at, is_by_text: true }).collect()
    }
}

/// Looks for leaves to look at. Holds buffers that are reused from record to record.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    lower: Vec<u8>,
    /// Where signs stand in the text, in order.
    hits: Vec<usize>,
    roles: Roles,
    names: Names,
    leaves: Vec<Suspect>,
}

impl Suspects {
    /// With names of the configuration.
    pub(super) fn new(names: Names) -> Self {
        Self { names, ..Self::default() }
    }

    /// The leaves, in order.
    pub(super) fn of(&mut self, doc: &Doc) -> &[Suspect] {
        let Self { lower, hits, roles, names, leaves } = self;
        leaves.clear();
        hits.clear();
        let signs = &*SIGNS;
        lower_into(doc.text(), lower);
        signs.each(doc.text().as_bytes(), lower, |at| hits.push(at));
        hits.sort_unstable();
        let mut hits = hits.iter().copied().peekable();
        // The list whose next element a flag announces.
        let mut announced = None;
        for (at, leaf) in doc.leaves().iter().enumerate() {
            if !matches!(leaf.kind, LeafKind::Text | LeafKind::Number | LeafKind::Raw) {
                announced = None;
                continue;
            }
            let has_hit = match doc.plain_range(leaf) {
                Some(range) => {
                    while hits.next_if(|hit| *hit < range.start).is_some() {}
                    hits.peek().is_some_and(|hit| *hit < range.end)
                }
                None => {
                    let mut has_hit = false;
                    let text = doc.value(leaf).text;
                    lower_into(text, lower);
                    signs.each(text.as_bytes(), lower, |_| has_hit = true);
                    has_hit
                }
            };
            let is_announced = announced == Some(leaf.parent);
            announced = (has_hit && doc.value(leaf).text.starts_with("--")).then_some(leaf.parent);
            let is_by_text = has_hit || is_json(doc, leaf);
            if is_by_text || is_announced || roles.of(doc, leaf, names) != KeyRole::None {
                leaves.push(Suspect { at, is_by_text });
            }
        }
        leaves
    }
}

/// Whether a text is JSON itself: what is in it is told by its own places.
fn is_json(doc: &Doc, leaf: &Leaf) -> bool {
    leaf.kind == LeafKind::Text && secrets::is_json(doc.value(leaf).text)
}

fn lower_into(text: &str, lower: &mut Vec<u8>) {
    lower.clear();
    lower.extend_from_slice(text.as_bytes());
    lower.make_ascii_lowercase();
}

/// The roles of keys, by the path of their leaf: most paths have been seen before.
#[derive(Debug)]
struct Roles(Box<[(Path, KeyRole); ROLES]>);

impl Default for Roles {
    fn default() -> Self {
        Self(Box::new([(Path::ROOT, KeyRole::None); ROLES]))
    }
}

impl Roles {
    #[inline]
    fn of(&mut self, doc: &Doc, leaf: &Leaf, names: &Names) -> KeyRole {
        // The lowest bit is that of every path but the record's, which has no key.
        let known = &mut self.0[leaf.path.0 as usize / 2 % ROLES];
        if known.0 != leaf.path {
            *known = (leaf.path, secrets::role(doc, leaf, names));
        }
        known.1
    }
}
