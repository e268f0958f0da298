//! OpenTelemetry logs as protobuf: the wire format of an `ExportLogsServiceRequest`, told by its content, and what the collector's file
//! exporter makes of it: a length of four bytes in front of each request, which may be compressed.

use super::emitter::{Labels, lossy};
use super::members::put_text;
use super::open::Opening;
use super::otlp::{DEPTH_MAX, beside, put_number};
use crate::model::{Magic, Timestamp};

/// Bytes from which a beginning can be told.
const HEAD_BYTES: usize = 40;

/// Of what a payload consists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    /// `ResourceLogs`, each behind its tag and length: a request.
    Messages,
    /// Anything, each behind a length of four bytes.
    Framed,
}

/// Where the next unit of a payload is.
pub(super) enum Unit {
    /// The content, from its start in the bytes to the unit's end.
    Whole(usize, usize),
    /// More bytes are needed.
    Cut,
    /// There is none, or it is longer than the limit.
    None,
}

impl Form {
    /// Tells by the beginning of a payload. `None` asks for more of it, up to the end of its first unit.
    pub(super) fn of(window: &[u8], is_last: bool, unit_max: usize) -> Option<Self> {
        let form = match window.first() {
            Some(b'\n') => Self::Messages,
            Some(0 | 1) => Self::Framed,
            _ => return Some(Self::Text),
        };
        if window.len() < HEAD_BYTES && !is_last {
            return None;
        }
        let after = window.get(4..).unwrap_or_default();
        let is_likely = match form {
            Self::Framed => is_likely(after) || after.starts_with(b"{\"resourceLogs") || matches!(Magic::of(after), Magic::Compressed(_)),
            _ => is_likely(window),
        };
        if !is_likely {
            return Some(Self::Text);
        }
        match form.unit(window, unit_max) {
            Unit::Whole(start, end) if form == Self::Messages => {
                let is_so = window.get(start..end).is_some_and(is_resource_logs);
                Some(if is_so { form } else { Self::Text })
            }
            Unit::Cut if !is_last && form == Self::Messages => None,
            Unit::Cut if form == Self::Messages => Some(Self::Text),
            Unit::Whole(..) | Unit::Cut => Some(form),
            Unit::None => Some(Self::Text),
        }
    }

    /// The unit at the start of the bytes.
    pub(super) fn unit(self, bytes: &[u8], unit_max: usize) -> Unit {
        let (start, len) = match self {
            Self::Framed => match bytes.first_chunk::<4>() {
                Some(len) => (4, u32::from_be_bytes(*len) as usize),
                None => return Unit::Cut,
            },
            _ => match (bytes.first(), bytes.get(1..).and_then(varint)) {
                (Some(b'\n'), Some((len, size))) => (1 + size, usize::try_from(len).unwrap_or(usize::MAX)),
                (Some(b'\n'), None) if bytes.len() < 11 => return Unit::Cut,
                _ => return Unit::None,
            },
        };
        match start.checked_add(len) {
            Some(end) if len == 0 || end > unit_max => Unit::None,
            Some(end) if end > bytes.len() => Unit::Cut,
            Some(end) => Unit::Whole(start, end),
            None => Unit::None,
        }
    }
}

/// Whether the bytes are a request from beginning to end.
pub(super) fn is_request(bytes: &[u8]) -> bool {
    let mut fields = Fields(bytes);
    bytes.first() == Some(&b'\n') && is_likely(bytes) && fields.all(|field| matches!(field, Some((1, Wire::Bytes(logs))) if is_resource_logs(logs)))
}

/// Reads a request.
pub(super) fn request(bytes: &[u8], opening: &mut Opening<'_>) {
    for logs in of_number(bytes, 1) {
        resource_logs(logs, opening);
    }
}

/// Reads a `ResourceLogs`.
pub(super) fn resource_logs(logs: &[u8], opening: &mut Opening<'_>) {
    // Fields come in any order: the resource may stand behind its logs.
    let resource = of_number(logs, 1).next().unwrap_or_default();
    opening.apart(|opening| {
        let mut labels = Labels::default();
        note(of_number(resource, 1), &mut labels, |_| true);
        opening.says(&labels.wrapping());
        for record in of_number(logs, 2).flat_map(|scope| of_number(scope, 2)) {
            opening.apart(|opening| opening.item_as(record.len(), |opening| log(record, opening), || plain(record).into()));
        }
    });
}

fn note<'b>(pairs: impl Iterator<Item = &'b [u8]>, labels: &mut Labels, is_wanted: impl Fn(&str) -> bool) {
    for (key, value) in pairs.map(pair) {
        if let (key, Some(Wire::Bytes(text))) = (lossy(key), field(value, 1))
            && is_wanted(&key)
        {
            labels.note(&key, &lossy(text));
        }
    }
}

fn log(record: &[u8], opening: &mut Opening<'_>) -> bool {
    let nanos = |number| match field(record, number) {
        Some(Wire::Fixed64(nanos)) => i64::try_from(nanos).ok().filter(|nanos| *nanos != 0).map(Timestamp::from_nanos),
        _ => None,
    };
    let time = nanos(1).or_else(|| nanos(11));
    opening.at(time);
    if !opening.has_emitter() {
        let mut labels = Labels::default();
        note(of_number(record, 6), &mut labels, |key| key == "log.file.path");
        opening.says(&labels.wrapping());
    }
    let body = of_number(record, 5).next().unwrap_or_default();
    let is_found = match (field(body, 1), field(body, 6)) {
        (Some(Wire::Bytes(text)), _) => opening.text(&lossy(text)),
        (None, Some(_)) => opening.value(&json_of(&[], body)),
        _ => false,
    };
    is_found
        || (field(record, 6).is_some() && {
            let text = field(body, 1).map(|_| json_of(&[], body));
            beside(&json_of(record, &[]), text.as_deref(), time, opening)
        })
}

/// A log in which nothing is known, as a plain object.
fn plain(record: &[u8]) -> Vec<u8> {
    let mut json = b"{\"body\":".to_vec();
    match field(record, 5) {
        Some(Wire::Bytes(body)) if !body.is_empty() => json.extend_from_slice(&json_of(&[], body)),
        _ => json.extend_from_slice(b"null"),
    }
    if field(record, 6).is_some() {
        json.extend_from_slice(b",\"attributes\":");
        json.extend_from_slice(&json_of(record, &[]));
    }
    json.push(b'}');
    json
}

/// A value as plain JSON, or, without one, the attributes of a record.
fn json_of(record: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut open: Vec<(Fields<'_>, u32, u8)> = Vec::new();
    if value.is_empty() {
        out.push(b'{');
        open.push((Fields(record), 6, b'}'));
    } else if let Some(list) = put_one(value, true, &mut out) {
        open.push(list);
    }
    while let Some((fields, number, close)) = open.last_mut() {
        let (wanted, close) = (*number, *close);
        let item = fields.find_map(|field| match field {
            Some((number, Wire::Bytes(item))) if number == wanted => Some(item),
            _ => None,
        });
        let Some(item) = item else {
            out.push(close);
            open.pop();
            continue;
        };
        if !matches!(out.last(), Some(b'{' | b'[')) {
            out.push(b',');
        }
        let mut value = item;
        if close == b'}' {
            let (key, of_key) = pair(item);
            put_text(&lossy(key), &mut out);
            out.push(b':');
            value = of_key;
        }
        let is_deeper_allowed = open.len() < DEPTH_MAX;
        open.extend(put_one(value, is_deeper_allowed, &mut out));
    }
    out
}

/// Writes a scalar, or opens a list: its fields, the number of those that count, and what closes it. Nothing is `null`.
fn put_one<'b>(value: &'b [u8], is_deeper_allowed: bool, out: &mut Vec<u8>) -> Option<(Fields<'b>, u32, u8)> {
    match Fields(value).next().flatten() {
        Some((1, Wire::Bytes(text))) => put_text(&lossy(text), out),
        Some((2, Wire::Varint(bool))) => out.extend_from_slice(if bool == 0 { b"false" } else { b"true" }),
        // The wire format has no sign: it is the number's bits.
        Some((3, Wire::Varint(int))) => out.extend_from_slice(int.cast_signed().to_string().as_bytes()),
        Some((4, Wire::Fixed64(bits))) => put_number(f64::from_bits(bits), out),
        Some((number @ (5 | 6), Wire::Bytes(list))) if is_deeper_allowed => {
            let (open, close) = if number == 5 { (b'[', b']') } else { (b'{', b'}') };
            out.push(open);
            return Some((Fields(list), 1, close));
        }
        _ => out.extend_from_slice(b"null"),
    }
    None
}

fn pair(pair: &[u8]) -> (&[u8], &[u8]) {
    (of_number(pair, 1).next().unwrap_or_default(), of_number(pair, 2).next().unwrap_or_default())
}

/// A value of the wire format. Of a 32-bit one only its place counts.
enum Wire<'b> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'b [u8]),
    Fixed32,
}

/// The fields of a message, in order; one `None` where it breaks off.
struct Fields<'b>(&'b [u8]);

impl<'b> Iterator for Fields<'b> {
    type Item = Option<(u32, Wire<'b>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.read();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'b> Fields<'b> {
    fn read(&mut self) -> Option<(u32, Wire<'b>)> {
        let (tag, size) = varint(self.0)?;
        let rest = self.0.get(size..)?;
        let number = u32::try_from(tag >> 3).ok().filter(|number| *number > 0)?;
        let (wire, len) = match tag & 7 {
            0 => varint(rest).map(|(value, size)| (Wire::Varint(value), size))?,
            1 => (Wire::Fixed64(u64::from_le_bytes(*rest.first_chunk()?)), 8),
            2 => {
                let (len, size) = varint(rest)?;
                let end = size.checked_add(usize::try_from(len).ok()?)?;
                (Wire::Bytes(rest.get(size..end)?), end)
            }
            5 => (Wire::Fixed32, 4),
            _ => return None,
        };
        self.0 = rest.get(len..)?;
        Some((number, wire))
    }
}

/// A number of up to ten bytes, and how many.
fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for (at, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f).checked_shl(u32::try_from(at).ok()? * 7)?;
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
    }
    None
}

fn of_number(message: &[u8], wanted: u32) -> impl Iterator<Item = &[u8]> {
    Fields(message).flatten().filter_map(move |(number, wire)| match wire {
        Wire::Bytes(bytes) if number == wanted => Some(bytes),
        _ => None,
    })
}

fn field(message: &[u8], wanted: u32) -> Option<Wire<'_>> {
    Fields(message).flatten().find(|(number, _)| *number == wanted).map(|(_, wire)| wire)
}

/// Whether a request may begin so: three tags that fit, each length within the one around it.
fn is_likely(head: &[u8]) -> bool {
    let part = |bytes: &[u8], tags: &[u8]| -> Option<(u64, usize)> {
        tags.contains(bytes.first()?).then_some(())?;
        varint(bytes.get(1..)?).map(|(len, size)| (len, size + 1))
    };
    let fits = || -> Option<bool> {
        let (outer, at) = part(head, b"\x0a")?;
        let (inner, size) = part(head.get(at..)?, b"\x0a\x12\x1a")?;
        let is_within = inner.checked_add(size as u64)? <= outer;
        let next = head.get(at + size);
        Some(is_within && (inner == 0 || next.is_none_or(|tag| b"\x0a\x10\x12\x1a".contains(tag))))
    };
    fits().unwrap_or(false)
}

/// Whether this is a `ResourceLogs` with logs in it, down to the fields of each log record. Traces and metrics are not.
fn is_resource_logs(logs: &[u8]) -> bool {
    let is_log = |record: &[u8]| {
        Fields(record).all(|field| {
            matches!(
                field,
                Some((1 | 11, Wire::Fixed64(_)) | (2 | 7, Wire::Varint(_)) | (3 | 5 | 6 | 9 | 10 | 12, Wire::Bytes(_)) | (8, Wire::Fixed32))
            )
        })
    };
    let is_scope = |scope: &[u8]| {
        Fields(scope).all(|field| match field {
            Some((2, Wire::Bytes(record))) => is_log(record),
            Some((1 | 3, Wire::Bytes(_))) => true,
            _ => false,
        })
    };
    let is_so = Fields(logs).all(|field| match field {
        Some((2, Wire::Bytes(scope))) => is_scope(scope),
        Some((1 | 3 | 1000, Wire::Bytes(_))) => true,
        _ => false,
    });
    is_so && of_number(logs, 2).next().is_some()
}
