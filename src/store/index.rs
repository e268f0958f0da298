//! The index of a part: one field of terms and three columns; and which terms an event has.

use std::collections::HashMap;

use hashbrown::HashTable;
use tantivy::schema::{Field as Column, IndexRecordOption, NumericOptions, Schema, SchemaBuilder, TextFieldIndexing, TextOptions};
use tantivy::store::{Compressor, ZstdCompressor};
use tantivy::{IndexSettings, IndexSortByField, IndexWriter, Order};

use crate::model::{Event, Field, FieldType, Leaf, LeafKind, Path};

use super::ids;
use super::inverted::{Inverted, Row};
use super::raw::Loc;
use super::term;

/// Terms an event may have; what is past it is counted and found by checking the event.
const TERMS_MAX: usize = 2000;
/// Bytes of a message of which words are indexed.
const WORDS_BYTES_MAX: usize = 32 << 10;
/// Pairs of a fact and a native field that share their terms; a value of one more pair is indexed twice.
const PAIRS_MAX: usize = 256;
/// Memory of events that are in no segment yet, in bytes; then they become one.
const MEMORY_BYTES_MAX: usize = 96 << 20;
/// No field yet.
const UNKNOWN: u32 = u32::MAX;

pub(super) const TERMS: &str = "terms";
pub(super) const TIME: &str = "time";
pub(super) const LOC: &str = "loc";
pub(super) const ID: &str = "id";

/// The fields by handle.
#[derive(Debug, Clone, Copy)]
pub(super) struct Columns {
    pub(super) terms: Column,
}

/// The schema of every part.
pub(super) fn schema() -> (Schema, Columns) {
    let mut builder = SchemaBuilder::default();
    let indexing = TextFieldIndexing::default().set_tokenizer("raw").set_index_option(IndexRecordOption::Basic).set_fieldnorms(false);
    let terms = builder.add_text_field(TERMS, TextOptions::default().set_indexing_options(indexing));
    let fast = NumericOptions::default().set_fast();
    builder.add_i64_field(TIME, fast.clone());
    builder.add_u64_field(LOC, fast.clone());
    builder.add_u64_field(ID, fast);
    (builder.build(), Columns { terms })
}

/// Newest first, so that a page is read from the front.
pub(super) fn settings() -> IndexSettings {
    let docstore_compression = Compressor::Zstd(ZstdCompressor::default());
    IndexSettings {
        sort_by_field: Some(IndexSortByField { field: TIME.to_owned(), order: Order::Desc }),
        docstore_compression,
        ..IndexSettings::default()
    }
}

/// How the values of a native field become terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    Uri,
    Unlisted,
}

#[derive(Debug, Clone, Copy)]
struct Native {
    path: Path,
    field: u32,
    form: Form,
}

/// The fields that are known, by what events call them.
#[derive(Debug, Default)]
struct Names {
    facts: Vec<u32>,
    words: Vec<u32>,
    natives: HashTable<Native>,
    /// Fields of values that are a fact and a native leaf at once.
    pairs: HashMap<(Field, Path), u32>,
    overfull: Option<u32>,
    text: String,
}

/// Takes events into the index.
#[derive(Debug, Default)]
pub(super) struct Indexer {
    inverted: Inverted,
    names: Names,
    /// Leaves of the event that are in the index together with a fact.
    taken: Vec<bool>,
    value: String,
    terms: usize,
    is_overfull: bool,
}

impl Names {
    fn fixed(list: &mut Vec<u32>, text: &mut String, mark: char, field: Field, inverted: &mut Inverted) -> u32 {
        if list.is_empty() {
            list.resize(Field::ALL.len(), UNKNOWN);
        }
        let Some(known) = list.get_mut(field as usize) else { return UNKNOWN };
        if *known == UNKNOWN {
            text.clear();
            term::write_field(mark, field.name(), text);
            *known = inverted.field(text);
        }
        *known
    }

    fn fact(&mut self, field: Field, inverted: &mut Inverted) -> u32 {
        Self::fixed(&mut self.facts, &mut self.text, term::FACT, field, inverted)
    }

    fn word(&mut self, field: Field, inverted: &mut Inverted) -> u32 {
        Self::fixed(&mut self.words, &mut self.text, term::WORD, field, inverted)
    }

    fn native(&mut self, event: &Event, leaf: &Leaf, inverted: &mut Inverted) -> Native {
        // A path is a keyed hash already.
        if let Some(known) = self.natives.find(leaf.path.0, |known| known.path == leaf.path) {
            return *known;
        }
        let mut path = String::new();
        event.doc.write_path(leaf, &mut path);
        self.text.clear();
        term::write_field(term::NATIVE, &path, &mut self.text);
        let form = if term::is_unlisted(&path) {
            Form::Unlisted
        } else if term::is_uri(&path) {
            Form::Uri
        } else {
            Form::Plain
        };
        let native = Native { path: leaf.path, field: inverted.field(&self.text), form };
        self.natives.insert_unique(leaf.path.0, native, |known| known.path.0);
        native
    }

    /// The field of values that are this fact and this leaf, unless there are too many such pairs, or the leaf's values are not indexed
    /// as they are.
    fn pair(&mut self, fact: Field, event: &Event, leaf: &Leaf, inverted: &mut Inverted) -> Option<u32> {
        if let Some(known) = self.pairs.get(&(fact, leaf.path)) {
            return (*known != UNKNOWN).then_some(*known);
        }
        if self.pairs.len() >= PAIRS_MAX {
            return None;
        }
        let is_plain = !term::is_lean_fact(fact) && self.native(event, leaf, inverted).form == Form::Plain;
        let field = if is_plain {
            let mut path = String::new();
            event.doc.write_path(leaf, &mut path);
            inverted.field(&term::both(fact, &path))
        } else {
            UNKNOWN
        };
        self.pairs.insert((fact, leaf.path), field);
        is_plain.then_some(field)
    }
}

impl Indexer {
    /// Takes an event in; whether terms had to be left out.
    pub(super) fn push(&mut self, event: &Event, loc: Loc) -> bool {
        self.terms = 0;
        self.is_overfull = false;
        self.taken.clear();
        self.taken.resize(event.doc.leaves().len(), false);
        self.facts(event);
        self.leaves(event);
        if self.is_overfull {
            let inverted = &mut self.inverted;
            let field = *self.names.overfull.get_or_insert_with(|| inverted.field(term::OVERFULL));
            inverted.add(field, "", false);
        }
        self.inverted.end(Row { time: event.time.nanos(), loc: loc.0, id: ids::prefix(&event.id) });
        self.is_overfull
    }

    /// Whether what there is should become a segment before there is more.
    pub(super) fn is_full(&self) -> bool {
        self.inverted.bytes() >= MEMORY_BYTES_MAX
    }

    /// Makes a segment of what there is, which the writer's next commit takes in.
    pub(super) fn write(&mut self, writer: &IndexWriter, columns: &Columns) -> tantivy::Result<()> {
        if !self.inverted.write(writer, columns.terms)? {
            self.names = Names::default();
        }
        Ok(())
    }

    fn has_room(&mut self) -> bool {
        let has_room = self.terms < TERMS_MAX;
        self.is_overfull |= !has_room;
        self.terms += 1;
        has_room
    }

    fn add_value(&mut self, field: u32, value: &str) {
        if !self.inverted.again(field, value) {
            self.value.clear();
            term::write_value(value, &mut self.value);
            self.inverted.add(field, &self.value, self.value == value);
        }
    }

    fn add_lean(&mut self, field: u32, value: &str, is_uri: bool) {
        if !self.inverted.again(field, value) {
            self.value.clear();
            term::write_lean(value, is_uri, &mut self.value);
            self.inverted.add(field, &self.value, self.value == value);
        }
    }

    fn facts(&mut self, event: &Event) {
        for (fact, at, value) in event.facts.places(&event.doc) {
            if matches!(fact, Field::EventId | Field::EventTime | Field::EventIngested) {
                continue;
            }
            if !self.has_room() {
                return;
            }
            if let Some(at) = at
                && let Some(leaf) = event.doc.leaves().get(at)
                && let Some(taken) = self.taken.get_mut(at).filter(|taken| !**taken)
                && !matches!(leaf.kind, LeafKind::EmptyObject | LeafKind::EmptyArray)
                && let Some(field) = self.names.pair(fact, event, leaf, &mut self.inverted)
            {
                *taken = true;
                self.add_value(field, value.text);
            } else {
                let field = self.names.fact(fact, &mut self.inverted);
                if term::is_lean_fact(fact) { self.add_lean(field, value.text, false) } else { self.add_value(field, value.text) }
            }
            if fact.kind() == FieldType::Words {
                self.words(fact, value.text);
            }
        }
    }

    fn words(&mut self, field: Field, text: &str) {
        let end = (0..=WORDS_BYTES_MAX.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
        // A word that the end cuts in two is left out, and the event is checked instead.
        if end < text.len() {
            self.is_overfull = true;
        }
        let number = self.names.word(field, &mut self.inverted);
        for word in crate::query::words(text.get(..end).unwrap_or_default()) {
            if !self.has_room() {
                return;
            }
            self.add_value(number, &word);
        }
    }

    fn leaves(&mut self, event: &Event) {
        let mut known: Option<Native> = None;
        for (at, leaf) in event.doc.leaves().iter().enumerate() {
            if matches!(leaf.kind, LeafKind::EmptyObject | LeafKind::EmptyArray) || self.taken.get(at) == Some(&true) {
                continue;
            }
            if !self.has_room() {
                return;
            }
            let native = match known {
                Some(native) if native.path == leaf.path => native,
                _ => self.names.native(event, leaf, &mut self.inverted),
            };
            known = Some(native);
            match native.form {
                Form::Unlisted => self.inverted.add(native.field, term::UNLISTED, false),
                form => self.add_lean(native.field, event.doc.value(leaf).text, form == Form::Uri),
            }
        }
    }
}
