//! One segment of an index, opened for search.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use tantivy::SegmentReader;
use tantivy::columnar::ColumnValues;
use tantivy::index::{InvertedIndexReader, SegmentId};

use crate::model::{Field, FieldRef};

use super::index::{self, Columns};
use super::term::{self, Form, TermRange};

pub(super) struct SegmentView {
    pub(super) segment: SegmentId,
    pub(super) terms: Arc<InvertedIndexReader>,
    pub(super) time: Arc<dyn ColumnValues<i64>>,
    pub(super) loc: Arc<dyn ColumnValues<u64>>,
    pub(super) id: Arc<dyn ColumnValues<u64>>,
    pub(super) len: u32,
    shared: Vec<Shared>,
}

/// A field of values that are facts and a native leaf at once.
struct Shared {
    facts: Vec<Field>,
    native: String,
    form: Form,
    /// What its terms begin with.
    prefix: String,
}

impl SegmentView {
    pub(super) fn open(reader: &SegmentReader, columns: &Columns) -> tantivy::Result<Self> {
        let fast = reader.fast_fields();
        let terms = reader.inverted_index(columns.terms)?;
        Ok(Self {
            segment: reader.segment_id(),
            shared: shared(&terms)?,
            terms,
            time: fast.column_first_or_default(index::TIME)?,
            loc: fast.column_first_or_default(index::LOC)?,
            id: fast.column_first_or_default(index::ID)?,
            len: reader.max_doc(),
        })
    }

    /// All places where the values of a field stand among the terms.
    pub(super) fn ranges_of(&self, field: &FieldRef) -> Vec<TermRange<'_>> {
        let (own, form, written) = match field {
            FieldRef::Fact(fact) => (term::field(term::FACT, fact.name()), Form::of_fact(*fact), String::new()),
            FieldRef::Native { name, .. } => (term::field(term::NATIVE, name), Form::of_native(name), term::written(name)),
        };
        let is_of = |both: &&Shared| match field {
            FieldRef::Fact(fact) => both.facts.contains(fact),
            FieldRef::Native { .. } => both.native == written,
        };
        let others = self.shared.iter().filter(is_of).map(|both| TermRange { prefix: Cow::Borrowed(both.prefix.as_str()), form: both.form });
        std::iter::once(TermRange { prefix: Cow::Owned(own), form }).chain(others).collect()
    }
}

/// Jumps from field to field through the dictionary.
fn shared(terms: &InvertedIndexReader) -> io::Result<Vec<Shared>> {
    let mut found = Vec::new();
    let mut from = term::BOTH.to_string();
    loop {
        let mut stream = terms.terms().range().ge(&from).into_stream()?;
        let Some((key, _)) = stream.next() else { break };
        let Some(prefix) = std::str::from_utf8(key).ok().and_then(term::prefix_of).filter(|prefix| prefix.starts_with(term::BOTH)) else { break };
        if let Some((facts, native)) = term::names_of_both(prefix) {
            let form = Form::of_both(facts.iter().copied()).unwrap_or(Form::Whole);
            found.push(Shared { facts, native: native.to_owned(), form, prefix: prefix.to_owned() });
        }
        from = term::end_of(prefix);
    }
    Ok(found)
}
