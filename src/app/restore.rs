//! Stored records become events again, by the same parse and the same normalising that made them.

use std::sync::Arc;

use crate::model::{Event, Kind, Limits, Origin, Parser, PartitionId, Record, SourceId, Wrapped};
use crate::normalize::Normalizer;
use crate::store::{Restore, StoredRecord};

/// Longer than what a source may send, since redaction can lengthen a record.
const RECORD_BYTES_MAX: usize = 8 << 20;

/// Restores events for searches.
#[derive(Debug, Default)]
pub struct Restorer {
    normalizer: Normalizer,
}

impl Restore for Restorer {
    fn restore(&self, stored: &StoredRecord) -> Option<Event> {
        // A flow's members are the record's own, whether it came wrapped or bare.
        let lift = (stored.kind == Kind::Flow).then_some("flow");
        let doc = Parser::new(Limits { record_bytes_max: RECORD_BYTES_MAX, ..Limits::default() }).parse(stored.text.as_bytes(), lift).ok()?;
        let origin = Arc::new(Origin {
            tenant: stored.tenant.clone(),
            cluster: stored.cluster.clone(),
            source: SourceId::from(stored.source.as_str()),
            partition: PartitionId::from(stored.partition.as_str()),
            object: Arc::from(stored.object.as_str()),
            received: stored.received,
        });
        let record = Record { doc, kind: stored.kind, envelope: stored.envelope, offset: stored.offset, wrapped: Wrapped::default() };
        Some(self.normalizer.normalize(record, &origin, stored.position))
    }
}
