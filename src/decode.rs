//! Payloads become records: compression, wrapping and the stream of JSON values are peeled off.
//!
//! What a payload is, its bytes say; names and content types are not asked. Every byte ends as part of a record, of a counted
//! reject, or as a separator, and the three add up to [`Decoded::bytes_total`]. To add an envelope: a file with its shapes, its
//! `mod`, and a line in `SHAPES`.

mod alertmanager;
mod audit_trails;
mod aws;
mod azure;
mod broker;
mod carrier;
mod cri;
mod emitter;
mod event_list;
mod falco;
mod gcp;
mod hubble;
mod join;
mod json_stream;
mod k8s_event;
mod kept;
mod kube_bench;
mod logfmt;
mod loki;
mod members;
mod native;
mod open;
mod osquery;
mod otlp;
mod otlp_proto;
mod policy;
mod prefix;
mod resync;
mod runtime;
mod salvage;
mod shipper;
mod sniff;
mod splunk;
mod syslog;
mod syslog_ng;
#[cfg(test)]
mod tests;
mod trivy;
mod when;
mod yandex;

use std::sync::Arc;

use crate::model::{Inflate, InflateLimits, Limits, Magic, Parser, Record, Reject, RejectReason};

pub use cri::part_of;
pub use emitter::emitter_of_path;
use json_stream::Reader;
pub use kept::{keep, lift_of};
use resync::Resync;
use sniff::{Shape, Sniffer, Wrapper};

/// Every envelope whose object has a shape of its own, asked before the shapes of records. Shippers that have none are in `shipper`.
const ENVELOPES: &[&[Wrapper]] = &[
    aws::ENVELOPES,
    gcp::ENVELOPES,
    yandex::ENVELOPES,
    azure::ENVELOPES,
    otlp::ENVELOPES,
    broker::ENVELOPES,
    splunk::ENVELOPES,
    loki::ENVELOPES,
    alertmanager::ENVELOPES,
    syslog::ENVELOPES,
    syslog_ng::ENVELOPES,
    policy::ENVELOPES,
    trivy::ENVELOPES,
];

/// Every shape of a record, by envelope. The first that fits the keys seen so far wins.
const SHAPES: &[&[Shape]] = &[
    event_list::SHAPES,
    native::SHAPES,
    hubble::SHAPES,
    falco::SHAPES,
    gcp::SHAPES,
    policy::SHAPES,
    osquery::SHAPES,
    kube_bench::SHAPES,
    trivy::SHAPES,
    k8s_event::SHAPES,
    runtime::SHAPES,
    audit_trails::SHAPES,
];

/// Bytes kept with one reject.
const QUARANTINED_BYTES_MAX: usize = 16 << 10;
/// Bytes kept with all rejects of one payload.
const QUARANTINE_BYTES_MAX: usize = 1 << 20;

/// What a payload may be.
#[derive(Debug, Clone)]
pub struct DecodeLimits {
    /// Of one record. A longer one is a [`RejectReason::TooLong`].
    pub record: Limits,
    /// Of compressed payloads.
    pub inflate: InflateLimits,
    /// Records of one payload; what follows them is one reject. A [`Stream`] has no such limit, as its caller drains it.
    pub records_max: usize,
    /// Rejects that are listed; further ones are only counted.
    pub rejects_listed_max: usize,
    /// Open lists around a record. Deeper ones are a [`RejectReason::TooDeep`].
    pub lists_max: usize,
    /// Of one envelope around records, in bytes: it is held whole.
    pub envelope_bytes_max: usize,
    /// Envelopes within envelopes.
    pub carriers_max: usize,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self {
            record: Limits::default(),
            inflate: InflateLimits::default(),
            records_max: 100_000,
            rejects_listed_max: 10_000,
            lists_max: 64,
            envelope_bytes_max: 32 << 20,
            carriers_max: 6,
        }
    }
}

/// What came of a payload. The caller takes the lists and calls [`Decoded::clear`].
#[derive(Debug, Default)]
pub struct Decoded {
    pub records: Vec<Record>,
    pub rejects: Vec<Reject>,
    /// Rejects past the limit on listed ones.
    pub rejects_unlisted: u64,
    /// Bytes read, after decompression.
    pub bytes_total: u64,
    /// Bytes of records, or of the carriers they sat in.
    pub bytes_records: u64,
    pub bytes_rejects: u64,
    /// White space, commas, brackets around records, and text wrapping.
    pub bytes_separators: u64,
    rejects_listed_max: usize,
    /// Bytes kept with rejects.
    quarantined_bytes: usize,
}

impl Decoded {
    /// Forgets everything and keeps the buffers.
    pub fn clear(&mut self) {
        let (mut records, mut rejects) = (std::mem::take(&mut self.records), std::mem::take(&mut self.rejects));
        records.clear();
        rejects.clear();
        *self = Self { records, rejects, ..Self::default() };
    }

    /// Counts all offsets from so many bytes earlier.
    pub fn shift(&mut self, by: u64) {
        self.records.iter_mut().for_each(|record| record.offset += by);
        self.rejects.iter_mut().for_each(|reject| reject.offset += by);
    }

    /// Rejects, listed or not.
    pub fn rejects_total(&self) -> u64 {
        self.rejects.len() as u64 + self.rejects_unlisted
    }

    /// Keeps the first bytes of rejects from number `from` on, out of a window that starts at offset `base`; as much as there is room for.
    fn quarantine(&mut self, from: usize, base: u64, window: &[u8]) {
        for reject in self.rejects.get_mut(from..).unwrap_or_default().iter_mut().filter(|reject| reject.bytes.is_empty() && reject.reason.has_text())
        {
            let at = |offset: u64| usize::try_from(offset.saturating_sub(base)).unwrap_or(usize::MAX).min(window.len());
            let bytes = window.get(at(reject.offset)..at(reject.offset + reject.len)).unwrap_or_default();
            Self::hold(&mut self.quarantined_bytes, reject, bytes);
        }
    }

    fn hold(quarantined_bytes: &mut usize, reject: &mut Reject, bytes: &[u8]) {
        let room = QUARANTINE_BYTES_MAX.saturating_sub(*quarantined_bytes).min(QUARANTINED_BYTES_MAX);
        let bytes = bytes.get(..room).unwrap_or(bytes);
        *quarantined_bytes += bytes.len();
        reject.bytes = bytes.to_vec();
    }

    /// A bad range of which these are the last bytes.
    fn reject_range(&mut self, range: Resync, len: u64, last: &[u8]) {
        let before = self.rejects.len();
        let range = range.with(last, QUARANTINED_BYTES_MAX);
        self.reject(range.offset, len, range.reason, range.detail);
        if let Some(reject) = self.rejects.get_mut(before).filter(|_| range.reason.has_text()) {
            Self::hold(&mut self.quarantined_bytes, reject, &range.bytes);
        }
    }

    /// A reject whose bytes are not where its offset says.
    fn reject_item(&mut self, offset: u64, reason: RejectReason, detail: impl Into<String>, bytes: &[u8]) {
        let before = self.rejects.len();
        self.reject(offset, 0, reason, detail);
        if let Some(reject) = self.rejects.get_mut(before).filter(|_| reason.has_text()) {
            Self::hold(&mut self.quarantined_bytes, reject, bytes);
        }
    }

    fn reject(&mut self, offset: u64, len: u64, reason: RejectReason, detail: impl Into<String>) {
        self.bytes_rejects += len;
        if self.rejects.len() < self.rejects_listed_max {
            self.rejects.push(Reject { offset, len, reason, detail: detail.into(), bytes: Vec::new() });
        } else {
            self.rejects_unlisted += 1;
        }
    }
}

/// The parts that reading needs and that are reused from payload to payload.
#[derive(Debug)]
struct Core {
    limits: DecodeLimits,
    parser: Parser,
    sniffer: Sniffer,
    /// Whether the last record was known only after much of it had been read: the next is likely to be of its kind, and is parsed at once.
    tells_late: bool,
    inflate: Option<Arc<dyn Inflate>>,
}

impl Core {
    /// Takes compression off, layer by layer. What could be read comes with the fault that ended it.
    fn expand(&self, payload: &[u8]) -> (Vec<u8>, Option<(RejectReason, usize)>) {
        let limits = &self.limits.inflate;
        // The ratio is asked over all layers together, so that nesting does not multiply it.
        let limits = InflateLimits { decoded_bytes_max: limits.allowed_bytes(payload.len() as u64), ..*limits };
        let mut bytes = Vec::new();
        for layer in 1.. {
            let input = if layer == 1 { payload } else { &bytes };
            let (Magic::Compressed(how), Some(inflate)) = (Magic::of(input), &self.inflate) else { break };
            if layer > limits.nesting_max {
                return (Vec::new(), Some((RejectReason::TooDeep, layer)));
            }
            let mut inner = Vec::new();
            let result = inflate.inflate(how, input, &limits, &mut inner);
            bytes = inner;
            if let Err(reason) = result {
                let is_text = matches!(Magic::of(&bytes), Magic::Plain);
                return (if is_text { bytes } else { Vec::new() }, Some((reason, layer)));
            }
        }
        (bytes, None)
    }
}

/// Decodes payloads. Holds buffers; one per thread.
#[derive(Debug)]
pub struct Decoder {
    core: Core,
}

impl Decoder {
    /// With these limits. Without an `inflate`, compressed payloads are rejects.
    pub fn new(limits: DecodeLimits, inflate: Option<Arc<dyn Inflate>>) -> Self {
        let parser = Parser::new(limits.record.clone());
        Self { core: Core { limits, parser, sniffer: Sniffer::new(ENVELOPES, SHAPES), tells_late: false, inflate } }
    }

    /// Decodes a whole payload and appends to `out`. Offsets are those of the decompressed payload.
    pub fn decode(&mut self, payload: &[u8], out: &mut Decoded) {
        out.rejects_listed_max = self.core.limits.rejects_listed_max;
        if !matches!(Magic::of(payload), Magic::Compressed(_)) || self.core.inflate.is_none() {
            self.read_whole(payload, out);
            return;
        }
        let (bytes, fault) = self.core.expand(payload);
        match fault {
            Some((reason, _)) if bytes.is_empty() => {
                out.bytes_total += payload.len() as u64;
                out.reject(0, payload.len() as u64, reason, "nothing of the compressed payload could be read");
            }
            Some((reason, layer)) => {
                self.read_whole(&bytes, out);
                out.reject(bytes.len() as u64, 0, reason, format!("compression layer {layer} could not be read further"));
            }
            None => self.read_whole(&bytes, out),
        }
    }

    /// Reads records as [`keep`] wrote them, and appends to `out`.
    pub fn decode_kept(&mut self, payload: &[u8], out: &mut Decoded) {
        out.rejects_listed_max = self.core.limits.rejects_listed_max;
        kept::read(&self.core, payload, out);
    }

    fn read_whole(&mut self, bytes: &[u8], out: &mut Decoded) {
        let before = out.rejects.len();
        let mut reader = Reader::new(Some(out.records.len() + self.core.limits.records_max));
        let taken = reader.run(&mut self.core, bytes, true, out);
        debug_assert_eq!(taken, bytes.len());
        reader.finish(out);
        out.quarantine(before, 0, bytes);
    }
}

/// Decodes what comes in pieces: files and objects of any size. Memory is bounded by the longest record; the pieces must be decompressed.
#[derive(Debug)]
pub struct Stream {
    reader: Reader,
    carry: Vec<u8>,
    /// Bytes to wait for before an unfinished record is tried again, so that a long one is not parsed with each piece.
    retry_bytes: usize,
}

impl Default for Stream {
    fn default() -> Self {
        Self::new()
    }
}

impl Stream {
    /// At offset 0.
    pub fn new() -> Self {
        Self::at(0)
    }

    /// Goes on where another one had [`Stream::unread`] bytes: the first piece begins at this offset.
    pub fn at(offset: u64) -> Self {
        Self { reader: Reader::at(offset), carry: Vec::new(), retry_bytes: 0 }
    }

    /// The bytes at the end of what was pushed that were not read yet, if a stream that begins with them reads the rest as this one
    /// would. `None`: something is open that began before, a list or a line in parts.
    pub fn unread(&self) -> Option<u64> {
        self.reader.is_between().then_some(self.carry.len() as u64)
    }

    /// Takes the next piece and appends the records that are complete.
    pub fn push(&mut self, decoder: &mut Decoder, chunk: &[u8], out: &mut Decoded) {
        out.rejects_listed_max = decoder.core.limits.rejects_listed_max;
        let (before, base) = (out.rejects.len(), self.reader.offset());
        if self.carry.is_empty() {
            let taken = self.reader.run(&mut decoder.core, chunk, false, out);
            out.quarantine(before, base, chunk);
            self.carry.extend_from_slice(chunk.get(taken..).unwrap_or_default());
        } else {
            self.carry.extend_from_slice(chunk);
            let is_line = chunk.ends_with(b"\n") && self.carry.len() < (64 << 10);
            if self.carry.len() < self.retry_bytes && !is_line {
                return;
            }
            let taken = self.reader.run(&mut decoder.core, &self.carry, false, out);
            out.quarantine(before, base, &self.carry);
            self.carry.drain(..taken);
        }
        self.retry_bytes = self.carry.len() * 2;
    }

    /// Takes what is left: nothing follows.
    pub fn finish(mut self, decoder: &mut Decoder, out: &mut Decoded) {
        out.rejects_listed_max = decoder.core.limits.rejects_listed_max;
        let (before, base) = (out.rejects.len(), self.reader.offset());
        self.reader.run(&mut decoder.core, &self.carry, true, out);
        self.reader.finish(out);
        out.quarantine(before, base, &self.carry);
    }
}
