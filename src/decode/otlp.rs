//! OpenTelemetry logs as JSON: `resourceLogs[].scopeLogs[].logRecords[]`. The record is a log's body, as text or as key-value lists, or its
//! attributes. Resource attributes name the container and the cluster.

use super::alertmanager::falco_of;
use super::emitter::Labels;
use super::members::{Elements, elements, member, members, put_text, text_of};
use super::open::Opening;
use super::sniff::{Want, Wrapper, sign};
use super::when::when;
use crate::model::{EnvelopeKind, Timestamp};

/// Nesting of a body, past which values are left out.
pub(super) const DEPTH_MAX: usize = 64;

pub(super) const ENVELOPES: &[Wrapper] = &[
    Wrapper { all: &[sign("resourceLogs", Want::List)], any: &[], kind: EnvelopeKind::Otlp, is_record: false, open: request },
    Wrapper { all: &[sign("resource_logs", Want::List)], any: &[], kind: EnvelopeKind::Otlp, is_record: false, open: request },
];

fn request(object: &[u8], opening: &mut Opening<'_>) {
    let [resources, resources_snake] = members(object, ["resourceLogs", "resource_logs"]);
    for logs in elements(resources.or(resources_snake).unwrap_or_default()) {
        let [resource, scopes] = members(logs, ["resource", "scopeLogs"]);
        let attributes = resource.and_then(|resource| member(resource, &["attributes"])).unwrap_or_default();
        opening.apart(|opening| {
            let mut labels = Labels::default();
            note(attributes, &mut labels, |_| true);
            opening.says(&labels.wrapping());
            for scope in elements(scopes.unwrap_or_default()) {
                for record in elements(member(scope, &["logRecords"]).unwrap_or_default()) {
                    opening.apart(|opening| opening.item_as(record.len(), |opening| log(record, opening), || plain(record).into()));
                }
            }
        });
    }
}

fn note(attributes: &[u8], labels: &mut Labels, is_wanted: impl Fn(&str) -> bool) {
    for pair in elements(attributes) {
        let [key, value] = members(pair, ["key", "value"]);
        let text = value.and_then(|value| text_of(member(value, &["stringValue"])?));
        if let (Some(key), Some(text)) = (key.and_then(text_of).filter(|key| is_wanted(key)), text) {
            labels.note(&key, &text);
        }
    }
}

fn log(record: &[u8], opening: &mut Opening<'_>) -> bool {
    let [time, observed, body, attributes] = members(record, ["timeUnixNano", "observedTimeUnixNano", "body", "attributes"]);
    let time = [time, observed].into_iter().flatten().find_map(nanos);
    opening.at(time);
    let attributes = attributes.unwrap_or_default();
    if !opening.has_emitter() {
        // What the resource says of the container stands; else the path of its log, which receivers put beside the record.
        let mut labels = Labels::default();
        note(attributes, &mut labels, |key| key == "log.file.path");
        opening.says(&labels.wrapping());
    }
    let is_found = body.is_some_and(|body| match members(body, ["stringValue", "kvlistValue"]) {
        [Some(text), _] => opening.value(text),
        [None, Some(_)] => {
            let mut json = Vec::new();
            put_json(body, &mut json);
            opening.value(&json)
        }
        _ => false,
    });
    let text = body.and_then(|body| member(body, &["stringValue"]));
    let has_attributes = elements(attributes).next().is_some();
    is_found || (has_attributes && beside(&object_of(attributes), text, time, opening))
}

/// Reads attributes: as a record, or as what falcosidekick leaves of an alert, whose text is the body.
pub(super) fn beside(attributes: &[u8], text: Option<&[u8]>, time: Option<Timestamp>, opening: &mut Opening<'_>) -> bool {
    match falco_of(attributes, text.unwrap_or_default(), time) {
        Some(alert) => opening.mangled(&alert),
        None => opening.value(attributes),
    }
}

/// Attributes as one object.
fn object_of(attributes: &[u8]) -> Vec<u8> {
    let mut json = Vec::new();
    put_json(&[br#"{"kvlistValue":{"values":"#.as_slice(), attributes, b"}}"].concat(), &mut json);
    json
}

/// A log in which nothing is known, as a plain object.
fn plain(record: &[u8]) -> Vec<u8> {
    let [body, attributes] = members(record, ["body", "attributes"]);
    let mut json = b"{\"body\":".to_vec();
    put_json(body.unwrap_or(b"{}"), &mut json);
    if let Some(attributes) = attributes {
        json.extend_from_slice(b",\"attributes\":");
        json.extend_from_slice(&object_of(attributes));
    }
    json.push(b'}');
    json
}

/// Nanoseconds as OTLP spells them, in a text; 0 is none.
fn nanos(value: &[u8]) -> Option<Timestamp> {
    when(&text_of(value)?).filter(|time| time.nanos() != 0)
}

/// Writes an `AnyValue` as plain JSON.
fn put_json(value: &[u8], out: &mut Vec<u8>) {
    let mut open: Vec<(Elements<'_>, u8)> = Vec::new();
    let mut next = Some(value);
    loop {
        if let Some(list) = next.take().and_then(|value| put_one(value, open.len() < DEPTH_MAX, out)) {
            open.push(list);
        }
        let Some((list, close)) = open.last_mut() else { return };
        let (close, element) = (*close, list.next());
        let Some(element) = element else {
            out.push(close);
            open.pop();
            continue;
        };
        if !matches!(out.last(), Some(b'{' | b'[')) {
            out.push(b',');
        }
        next = Some(element);
        if close == b'}' {
            let [key, value] = members(element, ["key", "value"]);
            out.extend_from_slice(key.filter(|key| key.starts_with(b"\"")).unwrap_or(b"\"\""));
            out.push(b':');
            next = Some(value.unwrap_or(b"{}"));
        }
    }
}

/// Writes a scalar, or opens a list: its elements, and what closes it. Nothing is `null`.
fn put_one<'v>(value: &'v [u8], is_deeper_allowed: bool, out: &mut Vec<u8>) -> Option<(Elements<'v>, u8)> {
    let [text, int, double, bool, array, pairs, bytes] =
        members(value, ["stringValue", "intValue", "doubleValue", "boolValue", "arrayValue", "kvlistValue", "bytesValue"]);
    if let Some((list, (open, close))) = array.map(|list| (list, (b'[', b']'))).or(pairs.map(|list| (list, (b'{', b'}')))) {
        if is_deeper_allowed {
            out.push(open);
            return Some((elements(member(list, &["values"]).unwrap_or_default()), close));
        }
        out.extend_from_slice(b"null");
        return None;
    }
    let plain = [text, bytes, bool].into_iter().flatten().next();
    match (plain, int.and_then(text_of), double.and_then(text_of)) {
        (Some(plain), _, _) => out.extend_from_slice(plain),
        (None, Some(int), _) if int.parse::<i64>().is_ok() => out.extend_from_slice(int.as_bytes()),
        (None, None, Some(double)) => put_double(&double, out),
        _ => out.extend_from_slice(b"null"),
    }
    None
}

fn put_double(text: &str, out: &mut Vec<u8>) {
    match text.parse::<f64>() {
        Ok(double) => put_number(double, out),
        Err(_) => put_text(text, out),
    }
}

/// Writes a double; a whole one without a fraction, as it is an integer that a collector has widened.
pub(super) fn put_number(double: f64, out: &mut Vec<u8>) {
    let shown = if !double.is_finite() {
        "null".to_owned()
    } else if double.abs() < 1e18 {
        format!("{double}")
    } else {
        format!("{double:e}")
    };
    out.extend_from_slice(shown.as_bytes());
}
