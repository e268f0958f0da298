//! An event: one record, with the normalised facts drawn from it.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};
use std::sync::Arc;

use super::{ActId, ClusterId, Doc, EnvelopeKind, EventId, Field, FieldRef, LeafKind, Origin, Position, TenantId, Timestamp, Wrapped};

/// What an event is a record of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    K8sAudit,
    Falco,
    Flow,
    Policy,
    Fim,
    Finding,
    CloudAudit,
    K8sEvent,
    Other,
    /// What sensors, shippers and this program say of the way here: events that were lost, cut, not readable; sources that are silent.
    SourceHealth,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::K8sAudit,
        Self::Falco,
        Self::Flow,
        Self::Policy,
        Self::Fim,
        Self::Finding,
        Self::CloudAudit,
        Self::K8sEvent,
        Self::Other,
        Self::SourceHealth,
    ];

    /// As `event.kind` shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::K8sAudit => "k8s_audit",
            Self::Falco => "falco",
            Self::Flow => "flow",
            Self::Policy => "policy",
            Self::Fim => "fim",
            Self::Finding => "finding",
            Self::CloudAudit => "cloud_audit",
            Self::K8sEvent => "k8s_event",
            Self::Other => "other",
            Self::SourceHealth => "source_health",
        }
    }

    /// The kind of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// How a value is to be printed and compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    Text,
    Number,
    Bool,
    Null,
}

/// One value of a field, borrowed from its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value<'a> {
    pub kind: ValueKind,
    /// Text as is; numbers and booleans as JSON spells them; `null` for null.
    pub text: &'a str,
}

#[derive(Debug, Clone, Copy)]
enum Stored {
    Leaf(u32),
    Text { start: u32, len: u32, kind: ValueKind },
}

/// The normalised facts of one event, by field, each with any number of values.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    entries: Vec<(Field, Stored)>,
    text: String,
    /// A bit for each field that has a value of its own text.
    seen: u128,
}

const FIELDS: usize = Field::ALL.len();
const _: () = assert!(FIELDS <= 128, "a bit for each field");

impl Facts {
    /// Room for what a usual event has.
    pub fn with_capacity() -> Self {
        Self { entries: Vec::with_capacity(48), text: String::with_capacity(768), seen: 0 }
    }

    /// Adds a value that is a leaf of the event's document: nothing is copied.
    pub fn push_leaf(&mut self, field: Field, leaf: usize) {
        self.entries.push((field, Stored::Leaf(u32::try_from(leaf).unwrap_or(u32::MAX))));
    }

    /// Adds a text value; the same value of the same field is kept once.
    pub fn push_text(&mut self, field: Field, text: &str) {
        self.push(field, text, ValueKind::Text);
    }

    /// Adds a text value that shows something.
    pub fn push_shown(&mut self, field: Field, value: impl Display) {
        self.push_written(field, value, ValueKind::Text);
    }

    /// Adds a text value out of parts, such as `["pod:", namespace, "/", name]`; kept once, like any text.
    pub fn push_joined(&mut self, field: Field, parts: &[&str]) {
        let start = self.text.len();
        parts.iter().for_each(|part| self.text.push_str(part));
        self.keep(field, start, ValueKind::Text);
    }

    /// Adds a text value in ASCII lower case.
    pub fn push_lower(&mut self, field: Field, text: &str) {
        let start = self.text.len();
        self.text.push_str(text);
        if let Some(own) = self.text.get_mut(start..) {
            own.make_ascii_lowercase();
        }
        self.keep(field, start, ValueKind::Text);
    }

    /// Adds a number.
    pub fn push_number(&mut self, field: Field, number: i64) {
        self.push_written(field, number, ValueKind::Number);
    }

    /// Adds a boolean.
    pub fn push_bool(&mut self, field: Field, value: bool) {
        self.push(field, if value { "true" } else { "false" }, ValueKind::Bool);
    }

    fn push(&mut self, field: Field, text: &str, kind: ValueKind) {
        let start = self.text.len();
        self.text.push_str(text);
        self.keep(field, start, kind);
    }

    fn push_written(&mut self, field: Field, text: impl Display, kind: ValueKind) {
        let start = self.text.len();
        // Writing to a string does not fail; a value that failed to show itself would be kept as far as it got.
        let _ = write!(self.text, "{text}");
        self.keep(field, start, kind);
    }

    /// Makes what was written from here on a value, unless the field has it already.
    fn keep(&mut self, field: Field, from: usize, kind: ValueKind) {
        let (known, text) = self.text.split_at_checked(from).unwrap_or_default();
        let is_same = |(other, stored): &(Field, Stored)| {
            *other == field
                && matches!(stored, Stored::Text { start, len, .. }
                    if *len as usize == text.len() && known.get(*start as usize..(*start + *len) as usize) == Some(text))
        };
        let bit = 1_u128 << field as u8;
        if self.seen & bit != 0 && self.entries.iter().any(is_same) {
            self.text.truncate(from);
            return;
        }
        self.seen |= bit;
        let (start, len) = (u32::try_from(from).unwrap_or(u32::MAX), u32::try_from(text.len()).unwrap_or(u32::MAX));
        self.entries.push((field, Stored::Text { start, len, kind }));
    }

    /// Puts the entries into field order, keeping the order of values. Call once, after the last push.
    pub fn seal(&mut self) {
        // By counting: there are few fields and many events.
        let mut places = [0_usize; FIELDS + 1];
        for (field, _) in &self.entries {
            places[*field as usize + 1] += 1;
        }
        let mut before = 0;
        for place in &mut places {
            before += *place;
            *place = before;
        }
        let mut sorted = self.entries.clone();
        for entry in &self.entries {
            let place = &mut places[entry.0 as usize];
            if let Some(to) = sorted.get_mut(*place) {
                *to = *entry;
            }
            *place += 1;
        }
        self.entries = sorted;
    }

    /// Whether the field has any value.
    pub fn has(&self, field: Field) -> bool {
        self.entries.iter().any(|(known, _)| *known == field)
    }

    fn resolve<'a>(&'a self, doc: &'a Doc, stored: Stored) -> Value<'a> {
        match stored {
            Stored::Leaf(at) => doc.leaves().get(at as usize).map_or(Value { kind: ValueKind::Null, text: "null" }, |leaf| doc.value(leaf)),
            Stored::Text { start, len, kind } => {
                Value { kind, text: self.text.get(start as usize..(start as usize + len as usize)).unwrap_or_default() }
            }
        }
    }

    /// Every entry, in field order once sealed.
    pub fn iter<'a>(&'a self, doc: &'a Doc) -> impl Iterator<Item = (Field, Value<'a>)> {
        self.entries.iter().map(|(field, stored)| (*field, self.resolve(doc, *stored)))
    }

    /// As [`Facts::iter`], each with the index of its leaf if it is one of the event's document.
    pub fn places<'a>(&'a self, doc: &'a Doc) -> impl Iterator<Item = (Field, Option<usize>, Value<'a>)> {
        let place = |stored| if let Stored::Leaf(at) = stored { Some(at as usize) } else { None };
        self.entries.iter().map(move |(field, stored)| (*field, place(*stored), self.resolve(doc, *stored)))
    }

    /// The values of one field, in the order they were found.
    pub fn values<'a>(&'a self, doc: &'a Doc, field: Field) -> impl Iterator<Item = Value<'a>> {
        self.entries.iter().filter(move |(known, _)| *known == field).map(|(_, stored)| self.resolve(doc, *stored))
    }
}

/// One record of any kind, parsed once, with its identity and facts.
#[derive(Debug, Clone)]
pub struct Event {
    pub id: EventId,
    pub act: ActId,
    pub kind: Kind,
    pub envelope: EnvelopeKind,
    pub tenant: TenantId,
    pub cluster: ClusterId,
    /// When it happened.
    pub time: Timestamp,
    pub origin: Arc<Origin>,
    /// The payload's position within the partition.
    pub position: Position,
    /// Offset of the record in the decompressed payload.
    pub offset: u64,
    /// What its envelopes said.
    pub wrapped: Wrapped,
    pub facts: Facts,
    pub doc: Doc,
}

impl Event {
    /// The values of a field, normalised or native, in the order they were found.
    pub fn each<'a>(&'a self, field: &FieldRef, mut to: impl FnMut(Value<'a>)) {
        match field {
            FieldRef::Fact(field) => self.facts.values(&self.doc, *field).for_each(to),
            FieldRef::Native { paths, .. } => {
                for leaf in self.doc.leaves().iter().filter(|leaf| paths.contains(&leaf.path)) {
                    if leaf.kind != LeafKind::EmptyObject && leaf.kind != LeafKind::EmptyArray {
                        to(self.doc.value(leaf));
                    }
                }
            }
        }
    }

    /// The first value of a field that is not null.
    pub fn first<'a>(&'a self, field: &FieldRef) -> Option<Value<'a>> {
        let mut found = None;
        self.each(field, |value| {
            if found.is_none() && value.kind != ValueKind::Null {
                found = Some(value);
            }
        });
        found
    }

    /// The first value of a normalised field.
    pub fn fact(&self, field: Field) -> Option<&str> {
        self.facts.values(&self.doc, field).find(|value| value.kind != ValueKind::Null).map(|value| value.text)
    }

    /// All values of a normalised field.
    pub fn facts_of(&self, field: Field) -> Vec<&str> {
        self.facts.values(&self.doc, field).filter(|value| value.kind != ValueKind::Null).map(|value| value.text).collect()
    }

    /// The record as its source wrote it, after redaction.
    pub fn raw(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.doc.text())
    }
}
