//! Stored records become events again, by the same parse and the same normalising that made them.

use std::sync::Arc;

use crate::decode::lift_of;
use crate::model::{Event, Limits, Origin, Parser, PartitionId, Record, SourceId};
use crate::normalize;
use crate::store::{Restore, StoredRecord};

/// Longer than what a source may send, since redaction can lengthen a record.
const RECORD_BYTES_MAX: usize = 8 << 20;

/// Restores events for searches.
#[derive(Debug)]
pub struct Restorer;

impl Restore for Restorer {
    fn restore(&self, stored: &StoredRecord) -> Option<Event> {
        let doc = Parser::new(Limits { record_bytes_max: RECORD_BYTES_MAX, ..Limits::default() })
            .parse(stored.text.as_bytes(), lift_of(stored.kind))
            .ok()?;
        let origin = Arc::new(Origin {
            tenant: stored.tenant.clone(),
            cluster: stored.cluster.clone(),
            source: SourceId::from(stored.source.as_str()),
            partition: PartitionId::from(stored.partition.as_str()),
            object: Arc::from(stored.object.as_str()),
            received: stored.received,
        });
        let record = Record { doc, kind: stored.kind, envelope: stored.envelope, offset: stored.offset, wrapped: stored.wrapped.clone() };
        Some(normalize::again(record, stored.is_forged, &origin, stored.position))
    }
}
