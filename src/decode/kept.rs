//! Records as the spool keeps them: out of their envelopes, with what those said. Read again without a guess at what they are.
//!
//! Each is the length of a head (four bytes, little-endian), the head as JSON, the length of the record's text, and the text.

use serde::{Deserialize, Serialize};

use super::{Core, Decoded};
use crate::model::{EnvelopeKind, Kind, Limits, Parser, Record, RejectReason, Wrapped};

/// Longer than what a sender may push, since redaction can lengthen a record.
const RECORD_BYTES_MAX: usize = 8 << 20;

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    kind: String,
    envelope: EnvelopeKind,
    offset: u64,
    #[serde(default, skip_serializing_if = "Wrapped::is_empty")]
    wrapped: Wrapped,
}

/// Appends a record.
pub fn keep(record: &Record, to: &mut Vec<u8>) {
    let head = Head { kind: record.kind.name().to_owned(), envelope: record.envelope, offset: record.offset, wrapped: record.wrapped.clone() };
    let head = serde_json::to_vec(&head).unwrap_or_default();
    for part in [head.as_slice(), record.doc.text().as_bytes()] {
        to.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
        to.extend_from_slice(part);
    }
}

fn part<'p>(rest: &mut &'p [u8]) -> Option<&'p [u8]> {
    let (len, after) = rest.split_first_chunk::<4>()?;
    let (part, after) = after.split_at_checked(u32::from_le_bytes(*len) as usize)?;
    *rest = after;
    Some(part)
}

/// Reads what [`keep`] wrote.
pub(super) fn read(core: &Core, payload: &[u8], out: &mut Decoded) {
    let mut parser = Parser::new(Limits { record_bytes_max: RECORD_BYTES_MAX, ..core.limits.record.clone() });
    let mut rest = payload;
    while !rest.is_empty() {
        let before = rest.len();
        let offset = (payload.len() - before) as u64;
        let kept = (|| {
            let head: Head = serde_json::from_slice(part(&mut rest)?).ok()?;
            let kind = Kind::by_name(&head.kind)?;
            let doc = parser.parse(part(&mut rest)?, lift_of(kind)).ok()?;
            Some(Record { doc, kind, envelope: head.envelope, offset: head.offset, wrapped: head.wrapped })
        })();
        match kept {
            Some(record) => {
                out.bytes_records += (before - rest.len()) as u64;
                out.records.push(record);
            }
            None => {
                // The lengths can not be trusted any more.
                out.reject(offset, before as u64, RejectReason::BadJson, "kept records that are damaged");
                break;
            }
        }
    }
    out.bytes_total += payload.len() as u64;
}

/// The member of a record of this kind whose members count as the record's own, whether it came wrapped or bare.
pub fn lift_of(kind: Kind) -> Option<&'static str> {
    (kind == Kind::Flow).then_some("flow")
}
