//! The index of a part: one field of terms and three columns.

use tantivy::schema::{Field as Column, IndexRecordOption, NumericOptions, Schema, SchemaBuilder, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::{TextAnalyzer, Token, TokenStream, Tokenizer};
use tantivy::{Index, IndexSettings, IndexSortByField, Order, TantivyDocument};

use crate::model::{Event, Field, FieldType, LeafKind};

use super::ids;
use super::raw::Loc;
use super::term::{self, BREAK};

/// Terms an event may have; what is past it is counted and found by checking the event.
const TERMS_MAX: usize = 2000;
/// Bytes of a message of which words are indexed.
const WORDS_BYTES_MAX: usize = 32 << 10;
const TOKENIZER: &str = "terms";

pub(super) const TERMS: &str = "terms";
pub(super) const TIME: &str = "time";
pub(super) const LOC: &str = "loc";
pub(super) const ID: &str = "id";

/// The fields by handle.
#[derive(Debug, Clone, Copy)]
pub(super) struct Columns {
    pub(super) terms: Column,
    time: Column,
    loc: Column,
    id: Column,
}

/// The schema of every part.
pub(super) fn schema() -> (Schema, Columns) {
    let mut builder = SchemaBuilder::default();
    let indexing = TextFieldIndexing::default().set_tokenizer(TOKENIZER).set_index_option(IndexRecordOption::Basic).set_fieldnorms(false);
    let terms = builder.add_text_field(TERMS, TextOptions::default().set_indexing_options(indexing));
    let fast = NumericOptions::default().set_fast();
    let time = builder.add_i64_field(TIME, fast.clone());
    let loc = builder.add_u64_field(LOC, fast.clone());
    let id = builder.add_u64_field(ID, fast);
    (builder.build(), Columns { terms, time, loc, id })
}

/// Newest first, so that a page is read from the front.
pub(super) fn settings() -> IndexSettings {
    IndexSettings { sort_by_field: Some(IndexSortByField { field: TIME.to_owned(), order: Order::Desc }), ..IndexSettings::default() }
}

/// To be called on every index that is opened for writing.
pub(super) fn register(index: &Index) {
    index.tokenizers().register(TOKENIZER, TextAnalyzer::from(Breaks::default()));
}

/// Splits the terms of an event, which come as one text.
#[derive(Debug, Clone, Default)]
struct Breaks {
    token: Token,
}

struct BreakStream<'a> {
    rest: Option<&'a str>,
    token: &'a mut Token,
}

impl Tokenizer for Breaks {
    type TokenStream<'a> = BreakStream<'a>;
    fn token_stream<'a>(&'a mut self, text: &'a str) -> BreakStream<'a> {
        self.token.reset();
        BreakStream { rest: (!text.is_empty()).then_some(text), token: &mut self.token }
    }
}

impl TokenStream for BreakStream<'_> {
    fn advance(&mut self) -> bool {
        let Some(rest) = self.rest else { return false };
        let (head, tail) = rest.split_once(BREAK).map_or((rest, None), |(head, tail)| (head, Some(tail)));
        self.rest = tail;
        self.token.text.clear();
        self.token.text.push_str(head);
        self.token.position = self.token.position.wrapping_add(1);
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

/// Builds documents; holds buffers that are reused.
#[derive(Debug, Default)]
pub(super) struct DocBuilder {
    text: String,
    path: String,
    prefix: String,
    terms: usize,
    is_overfull: bool,
}

impl DocBuilder {
    /// The document of an event, and whether terms had to be left out.
    pub(super) fn build(&mut self, event: &Event, loc: Loc, columns: &Columns) -> (TantivyDocument, bool) {
        self.text.clear();
        self.terms = 0;
        self.is_overfull = false;
        self.facts(event);
        self.leaves(event);
        if self.is_overfull {
            self.text.push_str(term::OVERFULL);
        } else {
            self.text.pop();
        }
        let mut doc = TantivyDocument::with_capacity(self.text.len() + 64);
        doc.add_text(columns.terms, &self.text);
        doc.add_i64(columns.time, event.time.nanos());
        doc.add_u64(columns.loc, loc.0);
        doc.add_u64(columns.id, ids::prefix(&event.id));
        (doc, self.is_overfull)
    }

    fn has_room(&mut self) -> bool {
        let has_room = self.terms < TERMS_MAX;
        self.is_overfull |= !has_room;
        self.terms += 1;
        has_room
    }

    fn facts(&mut self, event: &Event) {
        for (field, value) in event.facts.iter(&event.doc) {
            if matches!(field, Field::EventId | Field::EventTime | Field::EventIngested) {
                continue;
            }
            if !self.has_room() {
                return;
            }
            term::write_field(term::FACT, field.name(), &mut self.text);
            term::write_value(value.text, &mut self.text);
            self.text.push(BREAK);
            if field.kind() == FieldType::Words {
                self.words(field, value.text);
            }
        }
    }

    fn words(&mut self, field: Field, text: &str) {
        let end = (0..=WORDS_BYTES_MAX.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
        // A word that the end cuts in two is left out, and the event is checked instead.
        if end < text.len() {
            self.is_overfull = true;
        }
        for word in crate::query::words(text.get(..end).unwrap_or_default()) {
            if !self.has_room() {
                return;
            }
            term::write_field(term::WORD, field.name(), &mut self.text);
            term::write_value(&word, &mut self.text);
            self.text.push(BREAK);
        }
    }

    fn leaves(&mut self, event: &Event) {
        let mut known = None;
        for leaf in event.doc.leaves() {
            if matches!(leaf.kind, LeafKind::EmptyObject | LeafKind::EmptyArray) {
                continue;
            }
            if !self.has_room() {
                return;
            }
            let place = (leaf.path, leaf.parent);
            if known != Some(place) {
                known = Some(place);
                self.path.clear();
                event.doc.write_path(leaf, &mut self.path);
                self.prefix.clear();
                term::write_field(term::NATIVE, &self.path, &mut self.prefix);
            }
            self.text.push_str(&self.prefix);
            if term::is_unlisted(&self.path) {
                term::write_unlisted(&mut self.text);
            } else {
                term::write_value(event.doc.value(leaf).text, &mut self.text);
            }
            self.text.push(BREAK);
        }
    }
}
