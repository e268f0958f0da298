//! Audit events that went through syslog-ng's `json-parser` and `format-json`: lists of texts became one text with commas, lists of objects
//! one text of JSON, numbers texts, and keys were parted at their dots. What can be put back is; the record is flagged all the same, since
//! empty objects, nulls and commas within texts are gone.

use serde::de::IgnoredAny;

use super::members::{each_member, text_of};
use super::open::Opening;
use super::sniff::{Want, Wrapper, sign};
use crate::model::{EnvelopeKind, json_text, skip_value};

/// Bytes of a key that was put together, past which what lies deeper is left as it stands.
const KEY_BYTES_MAX: usize = 512;

pub(super) const ENVELOPES: &[Wrapper] = &[
    Wrapper {
        all: &[sign("auditID", Want::Text("")), sign("sourceIPs", Want::Text(""))],
        any: &[],
        kind: EnvelopeKind::Syslog,
        is_record: true,
        open: event,
    },
    Wrapper {
        all: &[sign("auditID", Want::Text("")), sign("annotations", Want::Member("authorization"))],
        any: &[],
        kind: EnvelopeKind::Syslog,
        is_record: true,
        open: event,
    },
];

fn event(object: &[u8], opening: &mut Opening<'_>) {
    let mut out = Vec::with_capacity(object.len() + 64);
    put_members(object, &mut out, |key, value, out| match key {
        b"sourceIPs" => put_list(value, out),
        b"user" | b"impersonatedUser" => put_members(value, out, |key, value, out| match key {
            b"groups" => put_list(value, out),
            _ => out.extend_from_slice(value),
        }),
        b"responseStatus" => put_members(value, out, |key, value, out| match (key, text_of(value)) {
            (b"code", Some(code)) if code.bytes().all(|byte| byte.is_ascii_digit()) => out.extend_from_slice(code.as_bytes()),
            _ => out.extend_from_slice(value),
        }),
        b"annotations" => put_joined(value, out),
        b"requestObject" | b"responseObject" => put_lists(value, out),
        _ => out.extend_from_slice(value),
    });
    opening.is_cut(true);
    opening.value(&out);
}

/// Writes an object whose values are written by `put`; anything else as it stands.
fn put_members<'v>(object: &'v [u8], out: &mut Vec<u8>, mut put: impl FnMut(&[u8], &'v [u8], &mut Vec<u8>)) {
    if object.first() != Some(&b'{') {
        return out.extend_from_slice(object);
    }
    let mut parting = b'{';
    each_member(object, |key, value| {
        out.push(parting);
        put_key(key, out);
        put(key, value, out);
        parting = b',';
        true
    });
    if parting == b'{' {
        out.push(b'{');
    }
    out.push(b'}');
}

fn put_key(key: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(key);
    out.extend_from_slice(b"\":");
}

/// `"a,b"` as `["a","b"]`. Commas are never escaped in JSON.
fn put_list(value: &[u8], out: &mut Vec<u8>) {
    let Some(inner) = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) else { return out.extend_from_slice(value) };
    out.push(b'[');
    for (at, text) in inner.split(|byte| *byte == b',').enumerate() {
        out.extend_from_slice(if at == 0 { b"\"" } else { b",\"" });
        out.extend_from_slice(text);
        out.push(b'"');
    }
    out.push(b']');
}

/// Objects in objects as one, whose keys are the ways to the texts, joined by dots.
fn put_joined(value: &[u8], out: &mut Vec<u8>) {
    let mut open: Vec<(Vec<u8>, &[u8])> = vec![(Vec::new(), value)];
    let mut parting = b'{';
    while let Some((way, object)) = open.pop() {
        each_member(object, |key, value| {
            let mut key_of = way.clone();
            if !way.is_empty() {
                key_of.push(b'.');
            }
            key_of.extend_from_slice(key);
            if value.first() == Some(&b'{') && key_of.len() < KEY_BYTES_MAX {
                open.push((key_of, value));
            } else {
                out.push(parting);
                put_key(&key_of, out);
                out.extend_from_slice(value);
                parting = b',';
            }
            true
        });
    }
    if parting == b'{' {
        out.push(b'{');
    }
    out.push(b'}');
}

/// Copies JSON and puts lists of objects that became texts back in their place.
fn put_lists(value: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while let Some(quote) = memchr::memchr(b'"', value.get(at..).unwrap_or_default()).map(|found| at + found) {
        out.extend_from_slice(value.get(at..quote).unwrap_or_default());
        let Ok(end) = skip_value(value, quote) else {
            at = quote;
            break;
        };
        let text = value.get(quote..end).unwrap_or_default();
        let is_key = value.get(end) == Some(&b':');
        let list = (!is_key && text.starts_with(b"\"[{")).then(|| json_text(text)).flatten();
        match list.filter(|list| serde_json::from_str::<IgnoredAny>(list).is_ok()) {
            Some(list) => out.extend_from_slice(list.as_bytes()),
            None => out.extend_from_slice(text),
        }
        at = end;
    }
    out.extend_from_slice(value.get(at..).unwrap_or_default());
}
