//! Which native paths a dialect reads: a table from path to slot, built once, and the leaves that one pass over a record puts into slots.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::model::{Doc, Facts, Field, Leaf, LeafKind, Path};

/// Slots one dialect can have.
const SLOTS_MAX: usize = 64;
/// Leaves one slot keeps. Past it the rest is left out and the event is flagged as truncated.
const LEAVES_PER_SLOT_MAX: u16 = 512;
/// No link: there are fewer links than this.
const NONE: u16 = u16::MAX;
/// Words of 64 bits that a table has to tell most foreign paths by.
const BLOOM_WORDS: usize = 128;

/// A slot of a dialect.
pub(super) trait Slot: Copy {
    /// Its number, below [`SLOTS_MAX`].
    fn index(self) -> usize;
}

/// Defines the slots of a dialect and the native paths of each: keys parted by blanks, alternatives by `|`.
macro_rules! slots {
    ($name:ident { $($variant:ident $paths:literal;)* }) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum $name { $($variant,)* }

        impl $name {
            pub(super) const ROWS: &'static [(Self, &'static str)] = &[$((Self::$variant, $paths),)*];
        }

        impl $crate::normalize::slots::Slot for $name {
            fn index(self) -> usize {
                self as usize
            }
        }
    };
}
pub(super) use slots;

/// Slots by path.
#[derive(Debug)]
pub(super) struct Table<S> {
    /// A bit for each path, at the place that its upper bits give: most leaves of a record have no slot, and this is as small as it takes to say so.
    bloom: Box<[u64; BLOOM_WORDS]>,
    slots: HashMap<Path, S, FixedState>,
}

impl<S: Copy> Table<S> {
    pub(super) fn new() -> Self {
        Self { bloom: Box::new([0; BLOOM_WORDS]), slots: HashMap::default() }
    }

    fn place(path: Path) -> (usize, u64) {
        ((path.0 >> 57) as usize % BLOOM_WORDS, 1 << (path.0 >> 51 & 63))
    }

    pub(super) fn insert(&mut self, path: Path, slot: S) {
        let (word, bit) = Self::place(path);
        self.bloom[word] |= bit;
        self.slots.insert(path, slot);
    }

    #[inline]
    pub(super) fn get(&self, path: Path) -> Option<S> {
        let (word, bit) = Self::place(path);
        if self.bloom[word] & bit == 0 { None } else { self.slots.get(&path).copied() }
    }
}

/// The table of such rows: each blank parts two keys.
pub(super) fn table<S: Copy>(rows: &[(S, &str)]) -> Table<S> {
    let mut table = Table::new();
    for (slot, paths) in rows {
        for path in paths.split('|') {
            table.insert(Path::of(path.split(' ')), *slot);
        }
    }
    table
}

/// As [`table`], below each of these paths; an empty one is the record itself.
pub(super) fn table_under<S: Copy>(under: &[&str], rows: &[(S, &str)]) -> Table<S> {
    let mut table = Table::new();
    for (slot, paths) in rows {
        for path in paths.split('|') {
            for above in under {
                table.insert(Path::of(above.split(' ').filter(|key| !key.is_empty()).chain(path.split(' '))), *slot);
            }
        }
    }
    table
}

/// As [`table`], but dots part keys or belong to them: every spelling counts.
pub(super) fn table_spelled<S: Copy>(rows: &[(S, &str)]) -> Table<S> {
    let mut table = Table::new();
    for (slot, names) in rows {
        for name in names.split('|') {
            for path in Path::spellings(name) {
                table.insert(path, *slot);
            }
        }
    }
    table
}

/// The leaves of a record by slot. Nulls, empty containers and cut values are no values.
#[derive(Debug)]
pub(super) struct Gathered<'d> {
    doc: &'d Doc,
    first: [u16; SLOTS_MAX],
    last: [u16; SLOTS_MAX],
    count: [u16; SLOTS_MAX],
    /// Leaf, and index of the slot's next link.
    links: Vec<(u32, u16)>,
    is_cut: bool,
}

impl<'d> Gathered<'d> {
    pub(super) fn new(doc: &'d Doc) -> Self {
        Self { doc, first: [NONE; SLOTS_MAX], last: [NONE; SLOTS_MAX], count: [0; SLOTS_MAX], links: Vec::new(), is_cut: false }
    }

    /// With room for the slots of a usual record.
    pub(super) fn of_many(doc: &'d Doc) -> Self {
        Self { links: Vec::with_capacity(32), ..Self::new(doc) }
    }

    /// One pass: every leaf whose path is in the table.
    pub(super) fn gather<S: Slot>(doc: &'d Doc, table: &Table<S>) -> Self {
        Self::gather_where(doc, table, |_| true)
    }

    /// As [`Gathered::gather`], with those leaves alone for which this holds.
    pub(super) fn gather_where<S: Slot>(doc: &'d Doc, table: &Table<S>, is_wanted: impl Fn(&Leaf) -> bool) -> Self {
        let mut gathered = Self::of_many(doc);
        for (at, leaf) in doc.leaves().iter().enumerate() {
            if let Some(slot) = table.get(leaf.path)
                && is_wanted(leaf)
            {
                gathered.push(slot, at);
            }
        }
        gathered
    }

    pub(super) fn push(&mut self, slot: impl Slot, at: usize) {
        let Some(leaf) = self.doc.leaves().get(at) else { return };
        if matches!(leaf.kind, LeafKind::Null | LeafKind::Raw | LeafKind::EmptyObject | LeafKind::EmptyArray) {
            return;
        }
        let slot = slot.index();
        if self.count[slot] >= LEAVES_PER_SLOT_MAX {
            self.is_cut = true;
            return;
        }
        self.count[slot] += 1;
        let link = u16::try_from(self.links.len()).unwrap_or(NONE);
        self.links.push((u32::try_from(at).unwrap_or(u32::MAX), NONE));
        match self.links.get_mut(self.last[slot] as usize) {
            Some(last) => last.1 = link,
            None => self.first[slot] = link,
        }
        self.last[slot] = link;
    }

    /// Whether a slot was full and something was left out.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    pub(super) fn has(&self, slot: impl Slot) -> bool {
        self.first[slot.index()] != NONE
    }

    /// Indices of a slot's leaves, in the order of the text.
    pub(super) fn indices(&self, slot: impl Slot) -> impl Iterator<Item = usize> {
        let mut at = self.first[slot.index()];
        std::iter::from_fn(move || {
            let (leaf, next) = *self.links.get(at as usize)?;
            at = next;
            Some(leaf as usize)
        })
    }

    /// A slot's leaves and their texts.
    pub(super) fn each(&self, slot: impl Slot) -> impl Iterator<Item = (&'d Leaf, &'d str)> {
        let doc = self.doc;
        self.indices(slot).filter_map(move |at| doc.leaves().get(at)).map(move |leaf| (leaf, doc.value(leaf).text))
    }

    /// The texts of a slot.
    pub(super) fn texts(&self, slot: impl Slot) -> impl Iterator<Item = &'d str> {
        self.each(slot).map(|(_, text)| text)
    }

    /// The first text of a slot that is not empty.
    #[inline]
    pub(super) fn text(&self, slot: impl Slot) -> Option<&'d str> {
        self.texts(slot).find(|text| !text.is_empty())
    }

    /// Makes every leaf of the slot a value of the field, without a copy.
    pub(super) fn alias(&self, slot: impl Slot, field: Field, facts: &mut Facts) {
        for at in self.indices(slot) {
            facts.push_leaf(field, at);
        }
    }

    /// As [`Gathered::alias`], with the first leaf that is not empty alone.
    pub(super) fn alias_first(&self, slot: impl Slot, field: Field, facts: &mut Facts) {
        let doc = self.doc;
        if let Some(at) = self.indices(slot).find(|at| doc.leaves().get(*at).is_some_and(|leaf| !doc.value(leaf).text.is_empty())) {
            facts.push_leaf(field, at);
        }
    }
}
