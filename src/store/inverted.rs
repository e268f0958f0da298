//! Events on their way into the index: which terms each has, kept in memory, then written as one segment.
//!
//! The engine's own way in takes a document apart into tokens, looks each whole term up and keeps a list for it. Here a term is a number:
//! a field (looked up by its hashed path) and a value, so that a name is written and hashed once a segment and not once a value. Each
//! event appends the numbers of its terms to one list; the lists by term are made of it at the end in one pass, in the order that the
//! segment has. What is written is an ordinary segment, which the engine reads and merges.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::BuildHasher;

use hashbrown::HashTable;
use tantivy::IndexWriter;
use tantivy::columnar::{ColumnType, ColumnarWriter};
use tantivy::directory::TerminatingWrite;
use tantivy::fieldnorm::FieldNormsSerializer;
use tantivy::index::{Segment, SegmentComponent};
use tantivy::postings::InvertedIndexSerializer;
use tantivy::schema::Field as Column;
use tantivy::store::StoreWriter;

use super::index::{ID, LOC, TIME};

/// Fields that are known on from one segment to the next; past it all are forgotten.
pub(super) const FIELDS_KEPT: usize = 20_000;
/// Values of a field that are remembered.
const RECENT: usize = 4;
/// What the engine keeps of a document besides: nothing, but it wants a byte.
const NO_DOCUMENT: &[u8] = &[0];

/// What the columns of an event hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    /// Event time, in nanoseconds since 1970.
    pub(super) time: i64,
    pub(super) loc: u64,
    /// The first bits of its id, as [`super::ids::head`] has them.
    pub(super) id: u64,
}

#[derive(Debug)]
struct Named {
    /// What its terms begin with.
    prefix: Box<str>,
    /// Terms that are the value as it was given but for its case, in turn: what comes again is the same term without a look-up.
    recent: [Recent; RECENT],
    turn: usize,
}

/// A term and the end of its value: nearly always that tells it from others.
#[derive(Debug, Clone, Copy, Default)]
struct Recent {
    tag: u64,
    /// One more than its number; none is 0.
    term: u32,
}

/// The length of a value and its last bytes, without their case.
#[inline]
fn tag(value: &str) -> u64 {
    let mut end = [0; 8];
    let bytes = value.as_bytes();
    end.iter_mut().zip(bytes.iter().rev()).for_each(|(to, from)| *to = *from | 0x20);
    u64::from_le_bytes(end) ^ (bytes.len() as u64) << 56
}

#[derive(Debug, Clone, Copy)]
struct Term {
    hash: u64,
    field: u32,
    start: u32,
    len: u32,
    /// Events that have it.
    count: u32,
    /// The event that was added last, counted from one.
    row: u32,
}

/// The terms of events that are in no segment yet.
#[derive(Debug, Default)]
pub(super) struct Inverted {
    fields: Vec<Named>,
    by_prefix: HashMap<Box<str>, u32>,
    prefix_bytes: usize,
    table: HashTable<u32>,
    terms: Vec<Term>,
    /// The values of terms, one after the other.
    values: String,
    /// Terms of all events, event by event.
    postings: Vec<u32>,
    /// The events, each with the end of its terms.
    rows: Vec<(Row, u32)>,
    hasher: foldhash::fast::RandomState,
}

fn number(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

impl Inverted {
    /// The number of the field whose terms begin like this. Good until [`Inverted::write`] says otherwise.
    pub(super) fn field(&mut self, prefix: &str) -> u32 {
        if let Some(known) = self.by_prefix.get(prefix) {
            return *known;
        }
        let new = number(self.fields.len());
        self.fields.push(Named { prefix: prefix.into(), recent: Default::default(), turn: 0 });
        self.by_prefix.insert(prefix.into(), new);
        self.prefix_bytes += 2 * prefix.len() + 192;
        new
    }

    /// Adds a value once more if it is one of the field's last ones.
    #[inline]
    pub(super) fn again(&mut self, field: u32, value: &str) -> bool {
        let Some(named) = self.fields.get(field as usize) else { return false };
        let tag = tag(value);
        let is_same = |term: u32| self.terms.get(term as usize).is_some_and(|term| self.value(term).eq_ignore_ascii_case(value));
        let known =
            named.recent.iter().filter(|recent| recent.tag == tag).filter_map(|recent| recent.term.checked_sub(1)).find(|term| is_same(*term));
        if let Some(term) = known {
            self.note(term);
        }
        known.is_some()
    }

    #[inline]
    fn value(&self, term: &Term) -> &str {
        self.values.get(term.start as usize..(term.start + term.len) as usize).unwrap_or_default()
    }

    /// Adds a value, as terms have it, to the event that is under way. `is_whole` says that it is the value as it was given, but for the case of
    /// ASCII letters.
    pub(super) fn add(&mut self, field: u32, value: &str, is_whole: bool) {
        let hash = self.hasher.hash_one((field, value));
        let Self { table, terms, values, .. } = self;
        let is_it = |known: &u32| {
            terms.get(*known as usize).is_some_and(|term| {
                term.hash == hash && term.field == field && values.get(term.start as usize..(term.start + term.len) as usize) == Some(value)
            })
        };
        let term = match table.find(hash, is_it) {
            Some(known) => *known,
            None => {
                let new = number(terms.len());
                terms.push(Term { hash, field, start: number(values.len()), len: number(value.len()), count: 0, row: 0 });
                values.push_str(value);
                table.insert_unique(hash, new, |known| terms.get(*known as usize).map_or(0, |term| term.hash));
                new
            }
        };
        if is_whole && let Some(field) = self.fields.get_mut(field as usize) {
            let at = field.turn % RECENT;
            field.turn = field.turn.wrapping_add(1);
            field.recent[at] = Recent { tag: tag(value), term: term.wrapping_add(1) };
        }
        self.note(term);
    }

    #[inline]
    fn note(&mut self, at: u32) {
        let row = number(self.rows.len()) + 1;
        if let Some(term) = self.terms.get_mut(at as usize)
            && term.row != row
        {
            term.row = row;
            term.count += 1;
            self.postings.push(at);
        }
    }

    /// Ends the event that is under way.
    pub(super) fn end(&mut self, row: Row) {
        self.rows.push((row, number(self.postings.len())));
    }

    /// Memory that is taken, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let fixed = size_of::<Term>() + size_of::<u32>() * 2;
        self.terms.len() * fixed + self.values.len() + self.postings.len() * size_of::<u32>() + self.rows.len() * 32 + self.prefix_bytes
    }

    /// Writes what there is as a segment, which the next commit of the writer takes in, and begins anew. Whether the numbers of fields
    /// are still good.
    pub(super) fn write(&mut self, writer: &IndexWriter, terms: Column) -> tantivy::Result<bool> {
        if self.rows.is_empty() {
            return Ok(true);
        }
        let segment = writer.new_segment().with_max_doc(number(self.rows.len()));
        let mut order: Vec<u32> = (0..number(self.rows.len())).collect();
        order.sort_by_key(|row| Reverse(self.rows.get(*row as usize).map_or(0, |(row, _)| row.time)));
        self.write_terms(&segment, terms, &order)?;
        FieldNormsSerializer::from_write(segment.open_write(SegmentComponent::FieldNorms)?)?.close()?;
        self.write_columns(&segment, &order)?;
        write_documents(&segment, order.len())?;
        writer.add_segment(segment.meta().clone())?;
        Ok(self.clear())
    }

    fn clear(&mut self) -> bool {
        self.table.clear();
        self.terms.clear();
        self.values.clear();
        self.postings.clear();
        self.rows.clear();
        let is_kept = self.fields.len() <= FIELDS_KEPT;
        if is_kept {
            self.fields.iter_mut().for_each(|field| field.recent = Default::default());
        } else {
            self.fields.clear();
            self.by_prefix.clear();
            self.prefix_bytes = 0;
        }
        is_kept
    }

    /// The documents of each term, one list after the other, and where each list begins.
    fn invert(&self, order: &[u32]) -> (Vec<u32>, Vec<u32>) {
        let mut ends = Vec::with_capacity(self.terms.len());
        let mut sum = 0;
        for term in &self.terms {
            ends.push(sum);
            sum += term.count;
        }
        let mut documents = vec![0; self.postings.len()];
        for (document, row) in (0..).zip(order) {
            let row = *row as usize;
            let start = row.checked_sub(1).and_then(|before| self.rows.get(before)).map_or(0, |(_, end)| *end);
            let end = self.rows.get(row).map_or(0, |(_, end)| *end);
            for term in self.postings.get(start as usize..end as usize).unwrap_or_default() {
                if let Some(at) = ends.get_mut(*term as usize) {
                    if let Some(place) = documents.get_mut(*at as usize) {
                        *place = document;
                    }
                    *at += 1;
                }
            }
        }
        (documents, ends)
    }

    /// Terms in the order of the dictionary.
    fn sorted(&self) -> Vec<u32> {
        let mut fields: Vec<u32> = (0..number(self.fields.len())).collect();
        fields.sort_unstable_by_key(|field| self.fields.get(*field as usize).map_or("", |field| field.prefix.as_ref()));
        let mut ranks = vec![0; fields.len()];
        for (rank, field) in (0_u32..).zip(&fields) {
            if let Some(place) = ranks.get_mut(*field as usize) {
                *place = rank;
            }
        }
        // The rank and the first bytes decide nearly always, so the values themselves are seldom fetched.
        let key = |(at, term): (u32, &Term)| {
            let value = self.value(term).as_bytes();
            let mut head = [0; 8];
            head.iter_mut().zip(value).for_each(|(to, from)| *to = *from);
            (ranks.get(term.field as usize).copied().unwrap_or_default(), u64::from_be_bytes(head), at)
        };
        let mut keyed: Vec<(u32, u64, u32)> = (0..).zip(&self.terms).map(key).collect();
        let text = |at: u32| self.terms.get(at as usize).map_or("", |term| self.value(term));
        keyed.sort_unstable_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then_with(|| text(a.2).cmp(text(b.2))));
        keyed.into_iter().map(|(_, _, at)| at).collect()
    }

    fn write_terms(&self, segment: &Segment, column: Column, order: &[u32]) -> tantivy::Result<()> {
        let (documents, ends) = self.invert(order);
        let mut serializer = InvertedIndexSerializer::open(segment)?;
        let mut field = serializer.new_field(column, self.postings.len() as u64, None)?;
        let mut key = Vec::new();
        for at in self.sorted() {
            let (Some(term), Some(end)) = (self.terms.get(at as usize), ends.get(at as usize)) else { continue };
            key.clear();
            key.extend_from_slice(self.fields.get(term.field as usize).map_or(&[][..], |field| field.prefix.as_bytes()));
            key.extend_from_slice(self.value(term).as_bytes());
            field.new_term(&key, term.count, false)?;
            for document in documents.get((end - term.count) as usize..*end as usize).unwrap_or_default() {
                field.write_doc(*document, 0, &[]);
            }
            field.close_term()?;
        }
        field.close()?;
        serializer.close()?;
        Ok(())
    }

    fn write_columns(&self, segment: &Segment, order: &[u32]) -> tantivy::Result<()> {
        let mut columns = ColumnarWriter::default();
        columns.record_column_type(TIME, ColumnType::I64, false);
        columns.record_column_type(LOC, ColumnType::U64, false);
        columns.record_column_type(ID, ColumnType::U64, false);
        for (document, row) in (0..).zip(order) {
            let Some((row, _)) = self.rows.get(*row as usize) else { continue };
            columns.record_numerical(document, TIME, row.time);
            columns.record_numerical(document, LOC, row.loc);
            columns.record_numerical(document, ID, row.id);
        }
        let mut to = segment.open_write(SegmentComponent::FastFields)?;
        columns.serialize(number(order.len()), None, &mut to)?;
        to.terminate()?;
        Ok(())
    }
}

/// The engine keeps documents, too, and wants as many as there are when it merges.
fn write_documents(segment: &Segment, count: usize) -> tantivy::Result<()> {
    let settings = segment.index().settings();
    let to = segment.open_write(SegmentComponent::Store)?;
    let mut documents = StoreWriter::new(to, settings.docstore_compression, settings.docstore_blocksize, false)?;
    for _ in 0..count {
        documents.store_bytes(NO_DOCUMENT)?;
    }
    documents.close()?;
    Ok(())
}
