//! A stored record: a compact header and the record's text, byte for byte.

use crate::model::{ClusterId, EnvelopeKind, Event, EventId, Field, Kind, Position, TenantId, Timestamp, Wrapped};

/// First byte of a record: bits that say what it has. Bit 0 is always set.
const PLAIN: u8 = 1;
/// It claimed a kind that its source may not carry.
const FORGED: u8 = 2;
/// What its envelopes said comes before the names.
const WRAPPED: u8 = 4;

/// One record as it lies in a block: all that is needed to normalise it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    pub id: EventId,
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

/// Appends the stored form of an event.
pub(super) fn write(event: &Event, to: &mut Vec<u8>) {
    let forged = if event.fact(Field::EventForgedKind).is_some() { FORGED } else { 0 };
    let wrapped = if event.wrapped.is_empty() { None } else { serde_json::to_string(&event.wrapped).ok() };
    to.push(PLAIN | forged | if wrapped.is_some() { WRAPPED } else { 0 });
    to.extend_from_slice(&event.id.0);
    to.extend_from_slice(&event.position.0.to_le_bytes());
    to.extend_from_slice(&event.offset.to_le_bytes());
    to.extend_from_slice(&event.origin.received.nanos().to_le_bytes());
    let names = [event.kind.name(), event.envelope.name(), event.tenant.as_str(), event.cluster.as_str()];
    let places = [event.origin.source.0.as_ref(), event.origin.partition.0.as_ref(), event.origin.object.as_ref(), event.doc.text()];
    for text in wrapped.as_deref().into_iter().chain(names).chain(places) {
        let len = u32::try_from(text.len()).expect("a record is at most 4 MiB and names are shorter");
        to.extend_from_slice(&len.to_le_bytes());
        to.extend_from_slice(text.as_bytes());
    }
}

/// Only the id of a stored record.
pub(super) fn read_id(bytes: &[u8]) -> Option<EventId> {
    bytes.get(1..17).and_then(|id| id.try_into().ok()).map(EventId)
}

/// Reads a stored record.
pub(super) fn read(bytes: &[u8]) -> Option<StoredRecord> {
    let mut cursor = Cursor(bytes);
    let [bits] = cursor.take()?;
    if bits & !(FORGED | WRAPPED) != PLAIN {
        return None;
    }
    let id = EventId(cursor.take()?);
    let position = Position(u64::from_le_bytes(cursor.take()?));
    let offset = u64::from_le_bytes(cursor.take()?);
    let received = Timestamp::from_nanos(i64::from_le_bytes(cursor.take()?));
    let wrapped = if bits & WRAPPED == 0 { Wrapped::default() } else { serde_json::from_str(cursor.text()?).ok()? };
    let kind = Kind::by_name(cursor.text()?)?;
    let envelope = envelope_by_name(cursor.text()?)?;
    let tenant = cursor.text()?.parse().ok()?;
    let cluster = cursor.text()?.parse().ok()?;
    let [source, partition, object, text] = [cursor.text()?, cursor.text()?, cursor.text()?, cursor.text()?].map(str::to_owned);
    let is_forged = bits & FORGED != 0;
    Some(StoredRecord { id, kind, is_forged, envelope, wrapped, tenant, cluster, source, partition, object, position, offset, received, text })
}

fn envelope_by_name(name: &str) -> Option<EnvelopeKind> {
    EnvelopeKind::ALL.into_iter().find(|kind| kind.name() == name)
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn text(&mut self) -> Option<&'a str> {
        let len = u32::from_le_bytes(self.take()?) as usize;
        let (text, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }
}
