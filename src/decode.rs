//! Payloads become records: compression, wrapping and the stream of JSON values are peeled off, by content and never by file name.
//!
//! What comes is a stream of JSON values, not lines: one a line, pretty-printed, with nothing in between, in arrays, in an
//! `EventList`, or after a shipper's prefix. What can not be read becomes a [`Reject`] with its place, and reading goes on at the next line.
//!
//! | shape | told by | file |
//! |---|---|---|
//! | audit event | `apiVersion: audit.k8s.io/*`, or `auditID` with `verb`, `stage` or `requestURI` | `sniff` |
//! | `EventList` | `items`, a list | `sniff`, `stream` |
//! | Falco alert | `rule`, `priority` and `output` or `output_fields` | `sniff` |
//! | Hubble flow | `flow`, or `verdict` with `IP`, `l4` or `source` | `sniff` |
//! | Hubble's other messages | `lost_events`, `node_status`, `agent_event`, `debug_event` | `sniff` |
//! | Kubernetes event | `involvedObject` | `sniff` |
//! | carrier | a record in `log`, `message`, `msg`, `event`, `json_payload`, … | `sniff` |
//! | text with a prefix | a time and a stream (CRI), a time (CloudWatch export) | `prefix` |

mod prefix;
mod sniff;
mod stream;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

pub use stream::Stream;

use crate::model::{Inflate, InflateLimits, Limits, Magic, Parser, Record, Reject, RejectReason};

/// What one payload may hold.
#[derive(Debug, Clone, Default)]
pub struct DecodeLimits {
    /// Of one record.
    pub record: Limits,
    pub inflate: InflateLimits,
}

/// Records within records: a carrier's field, a string of JSON.
const CARRIERS_MAX: usize = 3;

/// Bytes that end a line.
const LINE_END_BYTES_MAX: u64 = 2;

/// What came out of payloads.
#[derive(Debug, Default)]
pub struct Decoded {
    pub records: Vec<Record>,
    pub rejects: Vec<Reject>,
    /// Decompressed bytes that were looked at.
    pub bytes: u64,
}

impl Decoded {
    /// Ready for the next payload, with its room kept.
    pub fn clear(&mut self) {
        self.records.clear();
        self.rejects.clear();
        self.bytes = 0;
    }

    /// Notes a bad range. Ranges of one reason with no more than a line end between them are one.
    fn reject(&mut self, offset: u64, len: usize, reason: RejectReason, detail: &str) {
        if let Some(last) = self.rejects.last_mut()
            && last.reason == reason
            && last.offset + last.len + LINE_END_BYTES_MAX >= offset
            && offset >= last.offset
        {
            last.len = (offset + len as u64) - last.offset;
            return;
        }
        self.rejects.push(Reject { offset, len: len as u64, reason, detail: detail.to_owned() });
    }
}

/// Decodes payloads. Holds buffers that are used again; one per thread.
pub struct Decoder {
    limits: DecodeLimits,
    inflate: Option<Arc<dyn Inflate>>,
    parser: Parser,
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Decoder {
    /// With these limits. Without an `inflate`, compressed payloads are rejects.
    pub fn new(limits: DecodeLimits, inflate: Option<Arc<dyn Inflate>>) -> Self {
        let parser = Parser::new(limits.record.clone());
        Self { limits, inflate, parser }
    }

    /// Appends what is in one whole payload.
    pub fn decode(&mut self, payload: &[u8], out: &mut Decoded) {
        let mut inflated_bytes: Option<Vec<u8>> = None;
        for _ in 0..=self.limits.inflate.nesting_max {
            let bytes = inflated_bytes.as_deref().unwrap_or(payload);
            match Magic::of(bytes) {
                Magic::Plain => {
                    let mut stream = Stream::default();
                    stream.push(self, bytes, out);
                    stream.finish(self, out);
                    return;
                }
                Magic::Unsupported => return out.reject(0, bytes.len(), RejectReason::UnsupportedCompression, "gzip and zstd are read"),
                Magic::Binary => return out.reject(0, bytes.len(), RejectReason::Binary, "a program or picture, not a log"),
                Magic::Compressed(how) => {
                    let Some(inflate) = &self.inflate else {
                        return out.reject(0, bytes.len(), RejectReason::UnsupportedCompression, "this build reads plain text only");
                    };
                    let inflated = inflate.inflate(how, bytes, &self.limits.inflate);
                    if let Some(reason) = inflated.damage {
                        out.reject(
                            inflated.bytes.len() as u64,
                            0,
                            reason,
                            "the compressed data breaks off or is damaged here; what stands before it was read",
                        );
                    }
                    inflated_bytes = Some(inflated.bytes);
                }
            }
        }
        let len = inflated_bytes.map_or(payload.len(), |bytes| bytes.len());
        out.reject(0, len, RejectReason::Bomb, "compressed within itself deeper than the limit");
    }
}
