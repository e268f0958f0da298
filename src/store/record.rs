//! A stored record: where it came from, and its text, byte for byte. Its id is not stored: who restores it gets it again.

use crate::model::{ClusterId, EnvelopeKind, Event, Field, Kind, Position, TenantId, Timestamp, Wrapped};

use super::varint;

/// First byte of a record: bits that say what it has. Bit 0 is always set.
const PLAIN: u8 = 1;
/// It claimed a kind that its source may not carry.
const FORGED: u8 = 2;
/// What its envelopes said comes before the names.
const WRAPPED: u8 = 4;

/// One record as it lies in a block: all that is needed to normalise it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    pub kind: Kind,
    /// It claimed another kind, which its source may not carry.
    pub is_forged: bool,
    pub envelope: EnvelopeKind,
    pub tenant: TenantId,
    pub cluster: ClusterId,
    pub source: String,
    pub partition: String,
    pub object: String,
    pub position: Position,
    pub offset: u64,
    pub received: Timestamp,
    /// What its envelopes said.
    pub wrapped: Wrapped,
    /// The record's text, as it was parsed.
    pub text: String,
}

/// Turns a stored record into its event again. The entry layer supplies it, since the store knows no decoder.
pub trait Restore: Send + Sync {
    /// The event, or nothing if the text is no record any more (which says that the data is damaged).
    fn restore(&self, stored: &StoredRecord) -> Option<Event>;
}

/// What many records have in common: where they came from, in what, and what they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    kind: Kind,
    is_forged: bool,
    envelope: EnvelopeKind,
    tenant: TenantId,
    cluster: ClusterId,
    source: String,
    partition: String,
    object: String,
    wrapped: Wrapped,
}

/// Appends what an event has in common with others.
pub(super) fn write_names(event: &Event, to: &mut Vec<u8>) {
    let forged = if event.fact(Field::EventForgedKind).is_some() { FORGED } else { 0 };
    let wrapped = if event.wrapped.is_empty() { None } else { serde_json::to_string(&event.wrapped).ok() };
    to.push(PLAIN | forged | if wrapped.is_some() { WRAPPED } else { 0 });
    let names = [event.kind.name(), event.envelope.name(), event.tenant.as_str(), event.cluster.as_str()];
    let places = [event.origin.source.0.as_ref(), event.origin.partition.0.as_ref(), event.origin.object.as_ref()];
    for text in wrapped.as_deref().into_iter().chain(names).chain(places) {
        varint::write(text.len() as u64, to);
        to.extend_from_slice(text.as_bytes());
    }
}

/// Reads what [`write_names`] wrote.
pub(super) fn read_names(bytes: &[u8]) -> Option<Names> {
    let (bits, rest) = bytes.split_first()?;
    if bits & !(FORGED | WRAPPED) != PLAIN {
        return None;
    }
    let mut reader = varint::Reader(rest);
    let wrapped = if bits & WRAPPED == 0 { Wrapped::default() } else { serde_json::from_str(reader.text()?).ok()? };
    let kind = Kind::by_name(reader.text()?)?;
    let envelope = envelope_by_name(reader.text()?)?;
    let tenant = reader.text()?.parse().ok()?;
    let cluster = reader.text()?.parse().ok()?;
    let [source, partition, object] = [reader.text()?, reader.text()?, reader.text()?].map(str::to_owned);
    Some(Names { kind, is_forged: bits & FORGED != 0, envelope, tenant, cluster, source, partition, object, wrapped })
}

impl Names {
    /// The record with these names.
    pub(super) fn record(&self, position: Position, offset: u64, received: Timestamp, text: &str) -> StoredRecord {
        let Self { kind, is_forged, envelope, tenant, cluster, source, partition, object, wrapped } = self.clone();
        StoredRecord {
            kind,
            is_forged,
            envelope,
            tenant,
            cluster,
            source,
            partition,
            object,
            position,
            offset,
            received,
            wrapped,
            text: text.to_owned(),
        }
    }
}

fn envelope_by_name(name: &str) -> Option<EnvelopeKind> {
    EnvelopeKind::ALL.into_iter().find(|kind| kind.name() == name)
}
