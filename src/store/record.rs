//! A stored record: a compact header and the record's text, byte for byte.

use crate::model::{ClusterId, EnvelopeKind, Event, EventId, Kind, Position, TenantId, Timestamp};

/// Version of the header's layout.
const FORMAT: u8 = 1;

/// One record as it lies in a block: all that is needed to normalise it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    pub id: EventId,
    pub kind: Kind,
    pub envelope: EnvelopeKind,
    pub tenant: TenantId,
    pub cluster: ClusterId,
    pub source: String,
    pub partition: String,
    pub object: String,
    pub position: Position,
    pub offset: u64,
    pub received: Timestamp,
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
    to.push(FORMAT);
    to.extend_from_slice(&event.id.0);
    to.extend_from_slice(&event.position.0.to_le_bytes());
    to.extend_from_slice(&event.offset.to_le_bytes());
    to.extend_from_slice(&event.origin.received.nanos().to_le_bytes());
    let names = [event.kind.name(), event.envelope.name(), event.tenant.as_str(), event.cluster.as_str()];
    let places = [event.origin.source.0.as_ref(), event.origin.partition.0.as_ref(), event.origin.object.as_ref(), event.doc.text()];
    for text in names.into_iter().chain(places) {
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
    if cursor.take::<1>()? != [FORMAT] {
        return None;
    }
    let id = EventId(cursor.take()?);
    let position = Position(u64::from_le_bytes(cursor.take()?));
    let offset = u64::from_le_bytes(cursor.take()?);
    let received = Timestamp::from_nanos(i64::from_le_bytes(cursor.take()?));
    let kind = Kind::by_name(cursor.text()?)?;
    let envelope = envelope_by_name(cursor.text()?)?;
    let tenant = cursor.text()?.parse().ok()?;
    let cluster = cursor.text()?.parse().ok()?;
    let [source, partition, object, text] = [cursor.text()?, cursor.text()?, cursor.text()?, cursor.text()?].map(str::to_owned);
    Some(StoredRecord { id, kind, envelope, tenant, cluster, source, partition, object, position, offset, received, text })
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
