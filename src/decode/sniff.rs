//! Tells what an object is by its top-level keys, and stops looking as soon as it knows.

use std::ops::Range;

use crate::model::{EnvelopeKind, Kind, skip_value};

/// Top-level keys looked at before giving up.
const KEYS_MAX: usize = 256;

/// What an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    /// A record; its member `lift` is transparent.
    Record {
        kind: Kind,
        envelope: EnvelopeKind,
        lift: Option<&'static str>,
    },
    /// A list of records: where the list starts.
    List {
        from: usize,
    },
    /// Another record may sit in this member.
    Carrier {
        value: Range<usize>,
    },
    /// A heartbeat or the like.
    Control,
    Unknown,
    /// The object ends before it says what it is.
    Open,
}

/// Members that may hold a record, the likeliest first.
const CARRIERS: &[&str] = &["log", "message", "msg", "json_payload", "jsonPayload", "event", "json", "audit"];

/// What has been seen of an object so far.
#[derive(Default)]
struct Seen {
    audit_id: bool,
    audit_act: bool,
    is_event: bool,
    is_audit_version: bool,
    rule: bool,
    priority: bool,
    output: bool,
    verdict: bool,
    flow_body: bool,
    lost: bool,
    has_source: bool,
    carrier: Option<(usize, Range<usize>)>,
    heartbeat: bool,
}

const fn record(kind: Kind, envelope: EnvelopeKind) -> Shape {
    Shape::Record { kind, envelope, lift: None }
}

/// What the object that starts at the first byte is.
pub(super) fn look(bytes: &[u8]) -> Shape {
    let mut seen = Seen::default();
    let mut at = 1;
    for _ in 0..KEYS_MAX {
        at = blank(bytes, at);
        match bytes.get(at) {
            Some(b'"') => {}
            Some(b',') => {
                at += 1;
                continue;
            }
            Some(b'}') => return seen.verdict_at_end(),
            Some(_) => return seen.verdict_at_end(),
            None => return Shape::Open,
        }
        let Ok(key_end) = skip_value(bytes, at) else { return Shape::Open };
        let key = bytes.get(at + 1..key_end.saturating_sub(1)).unwrap_or_default();
        let colon = blank(bytes, key_end);
        match bytes.get(colon) {
            Some(b':') => {}
            None => return Shape::Open,
            Some(_) => return seen.verdict_at_end(),
        }
        let value = blank(bytes, colon + 1);
        if let Some(shape) = seen.key(key, bytes, value) {
            return shape;
        }
        let Ok(end) = skip_value(bytes, value) else { return Shape::Open };
        seen.value(key, bytes.get(value..end).unwrap_or_default(), value..end);
        if let Some(shape) = seen.decided() {
            return shape;
        }
        at = end;
    }
    seen.verdict_at_end()
}

fn blank(bytes: &[u8], at: usize) -> usize {
    at + bytes.get(at..).unwrap_or_default().iter().take_while(|b| b.is_ascii_whitespace()).count()
}

impl Seen {
    /// What a key alone decides, given where its value starts.
    fn key(&mut self, key: &[u8], bytes: &[u8], value: usize) -> Option<Shape> {
        let opens = bytes.get(value).copied();
        match (key, opens) {
            (b"items", Some(b'[')) => Some(Shape::List { from: value }),
            (b"flow", Some(b'{')) => Some(Shape::Record { kind: Kind::Flow, envelope: EnvelopeKind::Hubble, lift: Some("flow") }),
            (b"lost_events" | b"node_status" | b"agent_event" | b"debug_event", Some(b'{')) => Some(record(Kind::Other, EnvelopeKind::Hubble)),
            (b"involvedObject", Some(b'{')) => Some(record(Kind::K8sEvent, EnvelopeKind::Native)),
            _ => None,
        }
    }

    fn value(&mut self, key: &[u8], value: &[u8], range: Range<usize>) {
        let is_text = value.first() == Some(&b'"');
        match key {
            b"kind" => self.is_event = value == b"\"Event\"",
            b"apiVersion" => self.is_audit_version = value.starts_with(b"\"audit.k8s.io/"),
            b"auditID" => self.audit_id = true,
            b"verb" | b"stage" | b"requestURI" if is_text => self.audit_act = true,
            b"rule" | b"Rule" if is_text => self.rule = true,
            b"priority" | b"Priority" if is_text => self.priority = true,
            b"output" | b"output_fields" | b"Output" => self.output = true,
            b"verdict" if is_text => self.verdict = true,
            b"IP" | b"l4" => self.flow_body = true,
            b"source" => {
                self.has_source = true;
                self.flow_body |= value.first() == Some(&b'{');
            }
            b"num_events_lost" => self.lost = true,
            _ => {}
        }
        if key == b"event" && value == b"\"heartbeat\"" {
            self.heartbeat = true;
        }
        let holds = matches!(value.first(), Some(b'{')) || value.starts_with(b"\"{");
        if holds
            && let Some(rank) = CARRIERS.iter().position(|carrier| carrier.as_bytes() == key)
            && self.carrier.as_ref().is_none_or(|(best, _)| rank < *best)
        {
            self.carrier = Some((rank, range));
        }
    }

    fn decided(&self) -> Option<Shape> {
        if (self.is_event && self.is_audit_version) || (self.audit_id && self.audit_act) {
            return Some(record(Kind::K8sAudit, EnvelopeKind::Native));
        }
        if self.rule && self.priority && self.output {
            return Some(record(Kind::Falco, EnvelopeKind::Native));
        }
        if self.verdict && self.flow_body {
            return Some(record(Kind::Flow, EnvelopeKind::Native));
        }
        None
    }

    fn verdict_at_end(&self) -> Shape {
        if let Some(shape) = self.decided() {
            return shape;
        }
        if self.is_audit_version && self.audit_id {
            return record(Kind::K8sAudit, EnvelopeKind::Native);
        }
        if self.lost && self.has_source {
            return record(Kind::Other, EnvelopeKind::Hubble);
        }
        if self.heartbeat {
            return Shape::Control;
        }
        match &self.carrier {
            Some((_, value)) => Shape::Carrier { value: value.clone() },
            None => Shape::Unknown,
        }
    }
}
