//! The stream of values: pieces of a payload come in, whole records go out, in memory bounded by the largest record.

use super::sniff::{self, Shape};
use super::{CARRIERS_MAX, Decoded, Decoder, prefix};
use crate::model::{EnvelopeKind, Kind, Record, RejectReason, skip_value};

/// Where in the wrapping the next value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    /// A JSON array of records.
    Array,
    /// The `items` of an `EventList`.
    Items,
    /// After the items, up to the end of the object.
    Rest,
}

/// Wrapping within wrapping.
const WITHIN_MAX: usize = 16;

/// Reads one payload that comes in pieces.
#[derive(Debug, Default)]
pub struct Stream {
    buffer: Vec<u8>,
    /// Offset of the buffer's first byte in the payload.
    base: u64,
    within: Vec<Within>,
    /// Past a record that is too long: skip to the next line.
    skipping: bool,
    started: bool,
}

/// What a look at the buffer came to.
enum Taken {
    /// So many bytes are dealt with.
    Bytes(usize),
    /// The value is not complete.
    More,
}

impl Stream {
    /// Takes in the next piece and appends the records that it completes.
    pub fn push(&mut self, decoder: &mut Decoder, piece: &[u8], out: &mut Decoded) {
        out.bytes += piece.len() as u64;
        if self.buffer.is_empty() {
            // A whole payload is read where it lies; only what is left over is kept.
            let used = self.run(decoder, piece, false, out);
            self.buffer.extend_from_slice(piece.get(used..).unwrap_or_default());
            self.base += used as u64;
        } else {
            let mut buffer = std::mem::take(&mut self.buffer);
            buffer.extend_from_slice(piece);
            let used = self.run(decoder, &buffer, false, out);
            buffer.drain(..used);
            self.base += used as u64;
            self.buffer = buffer;
        }
    }

    /// The payload has ended: what is left is a record or a reject.
    pub fn finish(&mut self, decoder: &mut Decoder, out: &mut Decoded) {
        let buffer = std::mem::take(&mut self.buffer);
        let used = self.run(decoder, &buffer, true, out);
        self.base += used as u64;
        if !self.within.is_empty() && !buffer.is_empty() && used == buffer.len() && self.within.last() != Some(&Within::Rest) {
            out.reject(self.base, 0, RejectReason::BadJson, "the payload ends within a list");
        }
        self.within.clear();
    }

    /// Works through the bytes and tells how many are dealt with; all of them once `is_end`.
    fn run(&mut self, decoder: &mut Decoder, bytes: &[u8], is_end: bool, out: &mut Decoded) -> usize {
        let mut at = 0;
        if !self.started && !bytes.is_empty() {
            if bytes.len() < 3 && !is_end {
                return 0;
            }
            self.started = true;
            at = if bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        }
        while at < bytes.len() {
            let rest = bytes.get(at..).unwrap_or_default();
            match self.step(decoder, rest, self.base + at as u64, is_end, out) {
                Taken::Bytes(used) => at += used,
                Taken::More => break,
            }
        }
        at
    }

    fn step(&mut self, decoder: &mut Decoder, rest: &[u8], offset: u64, is_end: bool, out: &mut Decoded) -> Taken {
        if self.skipping {
            return match memchr::memchr(b'\n', rest) {
                Some(end) => {
                    self.skipping = false;
                    out.reject(offset, end, RejectReason::TooLong, "a record longer than the limit");
                    Taken::Bytes(end + 1)
                }
                None => {
                    out.reject(offset, rest.len(), RejectReason::TooLong, "a record longer than the limit");
                    Taken::Bytes(rest.len())
                }
            };
        }
        let Some(first) = rest.first() else { return Taken::More };
        match (first, self.within.last()) {
            (b' ' | b'\t' | b'\r' | b'\n' | b',' | b'\x1e', Some(Within::Rest)) => Taken::Bytes(1),
            (_, Some(Within::Rest)) => self.rest_of_list(rest, offset, is_end, out),
            (b' ' | b'\t' | b'\r' | b'\n' | b'\x1e', _) | (b',', Some(_)) => Taken::Bytes(1),
            (b']', Some(Within::Array)) => {
                self.within.pop();
                Taken::Bytes(1)
            }
            (b']', Some(Within::Items)) => {
                self.within.pop();
                self.within.push(Within::Rest);
                Taken::Bytes(1)
            }
            (b'[', _) if self.within.len() < WITHIN_MAX && starts_list(rest) => {
                self.within.push(Within::Array);
                Taken::Bytes(1)
            }
            (b'{', _) => self.object(decoder, rest, offset, is_end, out),
            _ => self.text(decoder, rest, offset, is_end, out),
        }
    }

    /// What stands after the items of a list: members that nobody reads, and the end of the object.
    fn rest_of_list(&mut self, rest: &[u8], offset: u64, is_end: bool, out: &mut Decoded) -> Taken {
        if rest.first() == Some(&b'}') {
            self.within.pop();
            return Taken::Bytes(1);
        }
        let member = if rest.first() == Some(&b'"') { skip_value(rest, 0).ok() } else { None };
        let colon = member.map(|end| end + rest.get(end..).unwrap_or_default().iter().take_while(|b| b.is_ascii_whitespace()).count());
        match colon {
            Some(colon) if rest.get(colon) == Some(&b':') => match skip_value(rest, colon + 1) {
                Ok(end) if end < rest.len() || is_end => Taken::Bytes(end),
                _ if !is_end => Taken::More,
                _ => self.broken(rest, offset, out),
            },
            _ if !is_end && rest.len() < 1024 => Taken::More,
            _ => {
                self.within.pop();
                self.broken(rest, offset, out)
            }
        }
    }

    fn object(&mut self, decoder: &mut Decoder, rest: &[u8], offset: u64, is_end: bool, out: &mut Decoded) -> Taken {
        let shape = sniff::look(rest);
        if let Shape::List { from } = shape {
            if self.within.len() >= WITHIN_MAX {
                return self.broken(rest, offset, out);
            }
            self.within.push(Within::Items);
            return Taken::Bytes(from + 1);
        }
        let whole = match self.line(rest, is_end) {
            // One value a line is what most payloads are: the line is parsed at once, and its end is not looked for twice.
            Some(line) if line.last() == Some(&b'}') && self.record(decoder, line, &shape, offset, EnvelopeKind::Native, 0, out) => {
                return Taken::Bytes(line.len());
            }
            _ => skip_value(rest, 0),
        };
        match whole {
            Ok(end) => {
                let value = rest.get(..end).unwrap_or_default();
                if !self.record(decoder, value, &shape, offset, EnvelopeKind::Native, 0, out) {
                    self.bad_value(decoder, value, offset, out);
                }
                Taken::Bytes(end)
            }
            Err(_) if !is_end && rest.len() <= decoder.limits.record.record_bytes_max => Taken::More,
            Err(_) if !is_end => {
                self.skipping = true;
                self.step(decoder, rest, offset, is_end, out)
            }
            Err(_) => self.broken(rest, offset, out),
        }
    }

    /// The bytes up to the line's end, without white space at their own end, if the line is complete.
    fn line<'b>(&self, rest: &'b [u8], is_end: bool) -> Option<&'b [u8]> {
        let line = match memchr::memchr(b'\n', rest) {
            Some(end) => rest.get(..end)?,
            None if is_end => rest,
            None => return None,
        };
        let line = line.trim_ascii_end();
        // Within a list a comma may follow the value.
        Some(if self.within.is_empty() { line } else { line.strip_suffix(b",").unwrap_or(line) })
    }

    /// Parses a value of this shape. False if it is not JSON: nothing has been noted then.
    #[expect(clippy::too_many_arguments, reason = "one place that knows all of a value's circumstances")]
    fn record(&self, decoder: &mut Decoder, value: &[u8], shape: &Shape, offset: u64, outer: EnvelopeKind, depth: usize, out: &mut Decoded) -> bool {
        if value.len() > decoder.limits.record.record_bytes_max {
            return false;
        }
        let (kind, envelope, lift) = match shape {
            Shape::Record { kind, envelope, lift } => (*kind, *envelope, *lift),
            _ => (Kind::Other, EnvelopeKind::Native, None),
        };
        let Ok(doc) = decoder.parser.parse(value, lift) else { return false };
        match shape {
            Shape::Record { .. } => {
                let envelope = match (outer, self.within.last(), envelope) {
                    (EnvelopeKind::Carrier, ..) => EnvelopeKind::Carrier,
                    (_, Some(Within::Items), EnvelopeKind::Native) => EnvelopeKind::EventList,
                    (_, _, own) => own,
                };
                out.records.push(Record { doc, kind, envelope, offset });
            }
            Shape::Carrier { value: inner } => {
                let inner = value.get(inner.clone()).unwrap_or_default();
                self.carried(decoder, inner, value.len(), offset, depth, out);
            }
            Shape::Control => out.reject(offset, value.len(), RejectReason::Control, "a heartbeat of a shipper"),
            Shape::Unknown | Shape::Open | Shape::List { .. } => {
                out.reject(offset, value.len(), RejectReason::UnknownShape, "an object of no known kind");
            }
        }
        true
    }

    /// The record in a carrier's member: an object, or a string of JSON.
    fn carried(&self, decoder: &mut Decoder, inner: &[u8], len: usize, offset: u64, depth: usize, out: &mut Decoded) {
        if depth >= CARRIERS_MAX {
            return out.reject(offset, len, RejectReason::TooDeep, "records wrapped deeper than the limit");
        }
        let text;
        let inner = if inner.first() == Some(&b'"') {
            let Ok(doc) = decoder.parser.parse(inner, None) else {
                return out.reject(offset, len, RejectReason::BadJson, "a string that breaks off");
            };
            text = doc.leaves().first().map(|leaf| doc.value(leaf).text.to_owned()).unwrap_or_default();
            text.trim().as_bytes()
        } else {
            inner
        };
        let shape = if inner.first() == Some(&b'{') { sniff::look(inner) } else { Shape::Unknown };
        if matches!(shape, Shape::Unknown | Shape::Open | Shape::List { .. }) {
            return out.reject(offset, len, RejectReason::UnknownShape, "an object of no known kind");
        }
        if !self.record(decoder, inner, &shape, offset, EnvelopeKind::Carrier, depth + 1, out) {
            out.reject(offset, len, RejectReason::BadJson, "the record within is not JSON");
        }
    }

    /// A value whose brackets match and which is no JSON all the same.
    fn bad_value(&self, decoder: &mut Decoder, value: &[u8], offset: u64, out: &mut Decoded) {
        if value.len() > decoder.limits.record.record_bytes_max {
            return out.reject(offset, value.len(), RejectReason::TooLong, "a record longer than the limit");
        }
        let detail = decoder.parser.parse(value, None).err().map(|error| error.to_string()).unwrap_or_default();
        out.reject(offset, value.len(), RejectReason::BadJson, &detail);
    }

    /// A value that breaks off: the rest of its line is lost, and reading goes on after it.
    fn broken(&mut self, rest: &[u8], offset: u64, out: &mut Decoded) -> Taken {
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        out.reject(offset, end, RejectReason::BadJson, "an object that breaks off");
        Taken::Bytes(end)
    }

    /// Anything that is neither object nor list: text with a prefix, a string that holds a record, or nothing that is read here.
    fn text(&mut self, decoder: &mut Decoder, rest: &[u8], offset: u64, is_end: bool, out: &mut Decoded) -> Taken {
        if rest.first() == Some(&b'"')
            && let Ok(end) = skip_value(rest, 0)
        {
            let value = rest.get(..end).unwrap_or_default();
            if value.starts_with(b"\"{") {
                self.carried(decoder, value, end, offset, 0, out);
            } else {
                out.reject(offset, end, RejectReason::NotARecord, "a string where a record should be");
            }
            return Taken::Bytes(end);
        }
        let line_end = match memchr::memchr(b'\n', rest) {
            Some(end) => end,
            None if is_end || rest.len() > decoder.limits.record.record_bytes_max => rest.len(),
            None => return Taken::More,
        };
        let line = rest.get(..line_end).unwrap_or_default().trim_ascii_end();
        if let Some(record) = prefix::strip(line) {
            let shape = sniff::look(record);
            if !matches!(shape, Shape::List { .. }) && self.record(decoder, record, &shape, offset, EnvelopeKind::Carrier, 0, out) {
                return Taken::Bytes(line_end);
            }
        }
        if line.contains(&0) {
            out.reject(offset, line_end, RejectReason::Binary, "bytes that are no text");
        } else if line.first().is_some_and(|b| b.is_ascii_digit() || *b == b'-') && skip_value(line, 0) == Ok(line.len())
            || matches!(line, b"true" | b"false" | b"null")
        {
            out.reject(offset, line_end, RejectReason::NotARecord, "a scalar where a record should be");
        } else {
            out.reject(offset, line_end, RejectReason::NotJson, "text that is neither JSON nor a known prefix before it");
        }
        Taken::Bytes(line_end)
    }
}

/// Whether a bracket starts a list of records: an object, list, string or nothing stands first in it.
fn starts_list(rest: &[u8]) -> bool {
    let inner = rest.iter().skip(1).find(|b| !b.is_ascii_whitespace());
    matches!(inner, None | Some(b'{' | b'[' | b']' | b'"'))
}
