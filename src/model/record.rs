//! What decoding hands to normalising: one record, parsed, with what its wrapping said.

use super::{Doc, EnvelopeKind, Kind, Wrapped};

/// One record, out of its wrapping.
#[derive(Debug, Clone)]
pub struct Record {
    pub doc: Doc,
    /// What the shape of the record says it is.
    pub kind: Kind,
    pub envelope: EnvelopeKind,
    /// Where it starts in the decompressed payload, in bytes.
    pub offset: u64,
    pub wrapped: Wrapped,
}
