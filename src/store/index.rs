//! The index of a part: one field of terms and three columns; and which terms an event has.

use std::collections::HashMap;

use hashbrown::HashTable;
use tantivy::schema::{Field as Column, IndexRecordOption, NumericOptions, Schema, SchemaBuilder, TextFieldIndexing, TextOptions};
use tantivy::store::{Compressor, ZstdCompressor};
use tantivy::{IndexSettings, IndexSortByField, IndexWriter, Order};

use crate::model::{Event, Field, FieldType, Leaf, LeafKind, Path, Value};

use super::ids;
use super::inverted::{FIELDS_KEPT, Inverted, Row};
use super::raw::Loc;
use super::term::{self, Form};

/// Terms an event may have; what is past it is counted and found by checking the event.
const TERMS_MAX: usize = 2000;
/// Bytes of a message of which words are indexed.
const WORDS_BYTES_MAX: usize = 32 << 10;
/// Sets of facts and a native field that share their terms; a value of one more set is indexed for each.
const SETS_MAX: usize = 1024;
/// Native fields whose values facts often repeat though they are not taken from the leaf as it stands. It only says where to compare.
const SAME: &[(&str, &[Field])] = &[
    ("IP.destination", &[Field::DstIp]),
    ("IP.source", &[Field::SrcIp, Field::SrcIps]),
    ("destination.namespace", &[Field::DstNamespace, Field::K8sNamespace]),
    ("destination.pod_name", &[Field::DstPod, Field::K8sPod]),
    ("impersonatedUser.username", &[Field::ActorUserName]),
    ("l4.TCP.destination_port", &[Field::DstPort]),
    ("l4.UDP.destination_port", &[Field::DstPort]),
    ("objectRef.name", &[Field::K8sName, Field::K8sPod]),
    ("objectRef.namespace", &[Field::K8sNamespace]),
    ("output_fields.container.name", &[Field::K8sContainer]),
    ("output_fields.k8s.ns.name", &[Field::K8sNamespace]),
    ("output_fields.k8s.pod.name", &[Field::K8sPod]),
    ("output_fields.proc.cmdline", &[Field::ProcessCommandLine]),
    ("output_fields.proc.name", &[Field::ProcessName]),
    ("requestObject.metadata.name", &[Field::K8sName, Field::K8sPod]),
    ("requestObject.spec.containers.image", &[Field::PodImages]),
    ("source.namespace", &[Field::SrcNamespace, Field::K8sNamespace]),
    ("source.pod_name", &[Field::SrcPod, Field::K8sPod]),
    ("sourceIPs", &[Field::SrcIp, Field::SrcIps]),
    ("user.extra.authentication.kubernetes.io/credential-id", &[Field::ActorCredentialId]),
    ("user.username", &[Field::ActorUserName]),
];
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

#[derive(Debug, Clone, Copy)]
struct Native {
    path: Path,
    field: u32,
    form: Form,
    /// Facts to compare with.
    same: &'static [Field],
}

/// The fields that are known, by what events call them.
#[derive(Debug, Default)]
struct Names {
    facts: Vec<u32>,
    words: Vec<u32>,
    natives: HashTable<Native>,
    /// Fields of values that are facts (a bit each) and a native leaf at once.
    sets: HashMap<(u128, Path), u32>,
    overfull: Option<u32>,
    text: String,
}

/// Takes events into the index.
#[derive(Debug, Default)]
pub(super) struct Indexer {
    inverted: Inverted,
    names: Names,
    /// Of each leaf of the event the facts, a bit each, that are in the index together with it.
    facts_of_leaf: Vec<u128>,
    /// What each leaf of the event is called, unless it is empty.
    natives: Vec<Option<Native>>,
    /// Of each fact of the event whether it is in the index with a leaf.
    is_with_leaf: Vec<bool>,
    value: String,
    terms: usize,
    is_overfull: bool,
}

impl Names {
    /// Memory of what grows with what events bring, in bytes.
    fn bytes(&self) -> usize {
        2 * size_of::<Native>() * self.natives.len()
    }

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
        let form = Form::of_native(&path);
        let same = SAME.iter().find(|(known, _)| *known == path).map_or(&[][..], |(_, facts)| facts);
        let native = Native { path: leaf.path, field: inverted.field(&self.text), form, same };
        self.natives.insert_unique(leaf.path.0, native, |known| known.path.0);
        native
    }

    /// The field of values that are these facts and this leaf, unless there are too many such sets.
    fn set(&mut self, facts: u128, event: &Event, leaf: &Leaf, inverted: &mut Inverted) -> Option<u32> {
        if let Some(known) = self.sets.get(&(facts, leaf.path)) {
            return Some(*known);
        }
        if self.sets.len() >= SETS_MAX {
            return None;
        }
        let mut path = String::new();
        event.doc.write_path(leaf, &mut path);
        let field = inverted.field(&term::both(facts_in(facts), &path));
        self.sets.insert((facts, leaf.path), field);
        Some(field)
    }
}

fn bit(fact: Field) -> u128 {
    1 << fact as u8
}

/// The facts of a set.
fn facts_in(set: u128) -> impl Iterator<Item = Field> {
    Field::ALL.iter().copied().filter(move |fact| set & bit(*fact) != 0)
}

impl Indexer {
    /// Takes an event in; whether terms had to be left out.
    pub(super) fn push(&mut self, event: &Event, loc: Loc) -> bool {
        self.terms = 0;
        self.is_overfull = false;
        let places: Vec<Place<'_>> = event.facts.places(&event.doc).collect();
        self.compare(event, &places);
        self.facts(&places);
        self.leaves(event);
        if self.is_overfull {
            let inverted = &mut self.inverted;
            let field = *self.names.overfull.get_or_insert_with(|| inverted.field(term::OVERFULL));
            inverted.add(field, "", false);
        }
        self.inverted.end(Row { time: event.time.nanos(), loc: loc.0, id: ids::head(ids::prefix(&event.id)) });
        self.is_overfull
    }

    /// Whether what there is should become a segment before there is more.
    pub(super) fn is_full(&self) -> bool {
        self.inverted.bytes() + self.names.bytes() >= MEMORY_BYTES_MAX
    }

    /// Makes a segment of what there is, which the writer's next commit takes in.
    pub(super) fn write(&mut self, writer: &IndexWriter, columns: &Columns) -> tantivy::Result<()> {
        let is_good = self.inverted.write(writer, columns.terms)?;
        self.forget_if_many(is_good);
        Ok(())
    }

    /// Forgets names once their numbers are not good any more, or there are too many paths: a name with dots is many, one for each way of
    /// parting it, so the number of fields does not bound them.
    pub(super) fn forget_if_many(&mut self, is_good: bool) {
        if !is_good || self.names.natives.len() > FIELDS_KEPT {
            self.names = Names::default();
        }
    }

    #[cfg(test)]
    pub(super) fn known_paths(&self) -> usize {
        self.names.natives.len()
    }

    fn has_room(&mut self) -> bool {
        let has_room = self.terms < TERMS_MAX;
        self.is_overfull |= !has_room;
        self.terms += 1;
        has_room
    }

    fn add(&mut self, field: u32, form: Form, value: &str) {
        if !self.inverted.again(field, value) {
            self.value.clear();
            form.write(value, &mut self.value);
            self.inverted.add(field, &self.value, self.value.eq_ignore_ascii_case(value));
        }
    }

    /// Finds the facts that are the value of a leaf.
    fn compare(&mut self, event: &Event, places: &[Place<'_>]) {
        self.facts_of_leaf.clear();
        self.facts_of_leaf.resize(event.doc.leaves().len(), 0);
        self.is_with_leaf.clear();
        self.is_with_leaf.resize(places.len(), false);
        for ((fact, at, _), is_with_leaf) in places.iter().zip(&mut self.is_with_leaf) {
            if let Some(of_leaf) = at.and_then(|at| self.facts_of_leaf.get_mut(at))
                && !is_apart(*fact)
            {
                *of_leaf |= bit(*fact);
                *is_with_leaf = true;
            }
        }
        self.natives.clear();
        for (leaf, of_leaf) in event.doc.leaves().iter().zip(&mut self.facts_of_leaf) {
            if matches!(leaf.kind, LeafKind::EmptyObject | LeafKind::EmptyArray) {
                // It has no term that a fact could share.
                self.natives.push(None);
                continue;
            }
            let native = self.names.native(event, leaf, &mut self.inverted);
            self.natives.push(Some(native));
            for fact in native.same.iter().filter(|fact| !is_apart(**fact)) {
                let from = places.partition_point(|(known, ..)| known < fact);
                let own = places.iter().zip(&mut self.is_with_leaf).skip(from).take_while(|((known, ..), _)| known == fact);
                for ((_, _, value), is_with_leaf) in own.filter(|(_, is_with_leaf)| !**is_with_leaf) {
                    if value.text == event.doc.value(leaf).text {
                        *of_leaf |= bit(*fact);
                        *is_with_leaf = true;
                    }
                }
            }
        }
    }

    fn facts(&mut self, places: &[Place<'_>]) {
        for (at, (fact, _, value)) in places.iter().enumerate() {
            if is_apart(*fact) {
                continue;
            }
            if self.is_with_leaf.get(at) != Some(&true) {
                if !self.has_room() {
                    return;
                }
                self.fact(*fact, value.text);
            }
            if fact.kind() == FieldType::Words {
                self.words(*fact, value.text);
            }
        }
    }

    fn fact(&mut self, fact: Field, value: &str) {
        let field = self.names.fact(fact, &mut self.inverted);
        self.add(field, Form::of_fact(fact), value);
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
            self.add(number, Form::Whole, &word);
        }
    }

    fn leaves(&mut self, event: &Event) {
        for (at, leaf) in event.doc.leaves().iter().enumerate() {
            let facts = self.facts_of_leaf.get(at).copied().unwrap_or_default();
            let native = self.natives.get(at).copied().flatten();
            if native.is_none() && facts == 0 {
                continue;
            }
            if !self.has_room() {
                return;
            }
            let value = event.doc.value(leaf).text;
            if facts != 0 {
                let form = Form::of_both(facts_in(facts)).filter(|_| native.is_some_and(|native| native.form == Form::Lean));
                if let Some(form) = form
                    && let Some(field) = self.names.set(facts, event, leaf, &mut self.inverted)
                {
                    self.add(field, form, value);
                    continue;
                }
                facts_in(facts).for_each(|fact| self.fact(fact, value));
            }
            if let Some(native) = native {
                self.add(native.field, native.form, value);
            }
        }
    }
}

/// A fact, the leaf that it is, and its value.
type Place<'a> = (Field, Option<usize>, Value<'a>);

/// Whether a fact has no terms.
fn is_apart(fact: Field) -> bool {
    matches!(fact, Field::EventId | Field::EventTime | Field::EventIngested)
}
