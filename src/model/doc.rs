//! One record, parsed once: a flat list of leaves, each a path and a scalar that is a range of the record's text.
//!
//! There is no tree. A path is a keyed hash of its keys, so asking "is this leaf `objectRef.resource`?" compares two
//! numbers; the text of a path is rebuilt from the keys when somebody wants to read it. Arrays are transparent: their
//! elements share the array's path, and `item` tells elements apart.

mod graft;
mod parse;
mod path;
mod scan;
mod skip;
#[cfg(test)]
mod tests;
mod unescape;

pub use graft::Graft;
pub use parse::{Limits, ParseError, Parser, json_text};
pub use path::Path;
pub use scan::skip_value;

use std::ops::Range;

use super::{Value, ValueKind};

/// What a leaf holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeafKind {
    Null,
    True,
    False,
    Number,
    Text,
    /// JSON text that is kept as it stands: nested past the depth limit.
    Raw,
    EmptyObject,
    EmptyArray,
}

/// Bit of [`Span::start`] that says the text lies in the side buffer of unescaped strings, not in the record.
const SIDE: u32 = 1 << 31;

/// A range of the record's text, or of the side buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    start: u32,
    len: u32,
}

/// A scalar and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaf {
    /// Of the leaf itself, its key included.
    pub path: Path,
    /// Index of the enclosing [`Container`].
    pub parent: u32,
    /// Which array element it belongs to: leaves of one element of one list have the same number. 0 is none.
    pub item: u32,
    pub kind: LeafKind,
    key: Span,
    value: Span,
    /// Where its JSON in the record starts, quotes included.
    json_start: u32,
}

/// An object or array of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Container {
    pub path: Path,
    /// Index of the enclosing container; the record itself points at itself.
    pub parent: u32,
    /// The array element it is or lies in; 0 is none.
    pub item: u32,
    pub is_array: bool,
    key: Span,
    /// Its JSON text.
    value: Span,
}

/// A parsed record.
#[derive(Debug, Clone, Default)]
pub struct Doc {
    text: Box<str>,
    side: Box<str>,
    leaves: Vec<Leaf>,
    containers: Vec<Container>,
    /// Enclosing element of each array element, by number; index 0 is unused.
    items: Vec<u32>,
    is_cut: bool,
    is_lossy: bool,
}

impl Doc {
    /// The record's JSON text: as it came, but for bytes that are not UTF-8, which became U+FFFD.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether every value is plain ASCII.
    pub fn is_ascii(&self) -> bool {
        self.text.is_ascii() && self.side.is_ascii()
    }

    /// Every scalar, in the order of the text.
    pub fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }

    /// Every object and array, in the order of the text; the first is the record.
    pub fn containers(&self) -> &[Container] {
        &self.containers
    }

    /// Whether a limit left something of the record out of the leaves.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Whether the record had bytes that are not UTF-8.
    pub fn is_lossy(&self) -> bool {
        self.is_lossy
    }

    #[inline]
    fn slice(&self, span: Span) -> &str {
        let (text, start) = if span.start & SIDE == 0 { (&self.text, span.start) } else { (&self.side, span.start & !SIDE) };
        text.get(start as usize..start as usize + span.len as usize).unwrap_or_default()
    }

    /// The value of a leaf.
    #[inline]
    pub fn value(&self, leaf: &Leaf) -> Value<'_> {
        let (kind, text) = match leaf.kind {
            LeafKind::Null => (ValueKind::Null, "null"),
            LeafKind::True => (ValueKind::Bool, "true"),
            LeafKind::False => (ValueKind::Bool, "false"),
            LeafKind::Number => (ValueKind::Number, self.slice(leaf.value)),
            LeafKind::Text | LeafKind::Raw | LeafKind::EmptyObject | LeafKind::EmptyArray => (ValueKind::Text, self.slice(leaf.value)),
        };
        Value { kind, text }
    }

    /// The last key of a leaf; that of its list, if it is an element of one.
    #[inline]
    pub fn key(&self, leaf: &Leaf) -> &str {
        self.slice(leaf.key)
    }

    /// The key of a container; that of its list, if it is an element of one.
    pub fn container_key(&self, container: &Container) -> &str {
        self.slice(container.key)
    }

    /// The JSON text of a container.
    pub fn container_text(&self, container: &Container) -> &str {
        self.slice(container.value)
    }

    /// Where in [`Doc::text`] the JSON of a leaf stands, quotes included.
    pub fn leaf_range(&self, leaf: &Leaf) -> Range<usize> {
        let start = leaf.json_start as usize;
        let len = match leaf.kind {
            // What has escapes is shorter unescaped: its end is looked for again.
            LeafKind::Text if leaf.value.start & SIDE != 0 => {
                scan::string_end(self.text.as_bytes(), start + 1).map_or(self.text.len(), |(end, _)| end + 1) - start
            }
            LeafKind::Text => leaf.value.len as usize + 2,
            _ => leaf.value.len as usize,
        };
        start..start + len
    }

    /// Where in [`Doc::text`] the text of a leaf stands, without quotes; none if it has escapes there.
    #[inline]
    pub fn plain_range(&self, leaf: &Leaf) -> Option<Range<usize>> {
        let start = leaf.value.start as usize;
        (leaf.value.start & SIDE == 0).then(|| start..start + leaf.value.len as usize)
    }

    /// Where in [`Doc::text`] an object or array stands, brackets included.
    pub fn container_range(&self, container: &Container) -> Range<usize> {
        container.value.start as usize..container.value.start as usize + container.value.len as usize
    }

    /// The members of a record that is an object, in the order of the text: the key, unless it has escapes, and where the value starts.
    pub fn members(&self) -> impl Iterator<Item = (Option<&str>, usize)> {
        let key = |key: Span| (key.start & SIDE == 0).then(|| self.slice(key));
        let leaves = self.leaves.iter().filter(|leaf| leaf.parent == 0);
        let mut leaves = leaves.map(move |leaf| (key(leaf.key), leaf.json_start as usize)).peekable();
        let containers = self.containers.iter().skip(1).filter(|container| container.parent == 0);
        let mut containers = containers.map(move |container| (key(container.key), container.value.start as usize)).peekable();
        std::iter::from_fn(move || match (leaves.peek(), containers.peek()) {
            (Some((_, leaf)), Some((_, container))) if leaf > container => containers.next(),
            (None, _) => containers.next(),
            _ => leaves.next(),
        })
    }

    /// The first leaf at a path.
    pub fn find(&self, path: Path) -> Option<&Leaf> {
        self.leaves.iter().find(|leaf| leaf.path == path)
    }

    /// The text of the first leaf at a path, if it is a string or number.
    pub fn text_at(&self, path: Path) -> Option<&str> {
        self.find(path).map(|leaf| self.value(leaf)).filter(|value| value.kind != ValueKind::Null).map(|value| value.text)
    }

    /// Appends the dotted path of a leaf: `requestObject.spec.containers.image`.
    pub fn write_path(&self, leaf: &Leaf, to: &mut String) {
        let start = to.len();
        self.write_container_path(leaf.parent, to);
        let parent_is_array = self.containers.get(leaf.parent as usize).is_some_and(|container| container.is_array);
        if !parent_is_array {
            if to.len() > start {
                to.push('.');
            }
            to.push_str(self.slice(leaf.key));
        }
    }

    fn write_container_path(&self, at: u32, to: &mut String) {
        let start = to.len();
        let mut chain = [0_u32; 80];
        let mut depth = 0;
        let mut at = at;
        while let Some(container) = self.containers.get(at as usize) {
            if container.parent == at || depth == chain.len() {
                break;
            }
            chain[depth] = at;
            depth += 1;
            at = container.parent;
        }
        for at in chain[..depth].iter().rev() {
            let Some(container) = self.containers.get(*at as usize) else { continue };
            let is_element = self.containers.get(container.parent as usize).is_some_and(|parent| parent.is_array);
            if is_element || container.path == Path::ROOT {
                continue;
            }
            if to.len() > start {
                to.push('.');
            }
            to.push_str(self.slice(container.key));
        }
    }

    /// Whether a leaf lies in the given array element, directly or deeper.
    pub fn is_within(&self, leaf: &Leaf, item: u32) -> bool {
        let mut at = leaf.item;
        while at != 0 {
            if at == item {
                return true;
            }
            at = self.items.get(at as usize).copied().unwrap_or_default();
        }
        false
    }
}
