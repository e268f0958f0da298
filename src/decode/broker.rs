//! What brokers and event buses put around a record: a Kafka record as `kcat -J` and REST proxies print it, and structured CloudEvents.

use super::members::{members, text_of};
use super::open::Opening;
use super::sniff::{Want, Wrapper, sign};
use super::when::when;
use crate::model::{EnvelopeKind, Wrapping};

pub(super) const ENVELOPES: &[Wrapper] = &[
    Wrapper {
        all: &[sign("topic", Want::Text("")), sign("partition", Want::Any)],
        any: &[sign("value", Want::Any), sign("payload", Want::Any), sign("value_base64", Want::Text(""))],
        kind: EnvelopeKind::Carrier,
        is_record: true,
        open: kafka,
    },
    Wrapper {
        all: &[sign("specversion", Want::Text(""))],
        any: &[sign("data", Want::Any), sign("data_base64", Want::Text(""))],
        kind: EnvelopeKind::Carrier,
        is_record: true,
        open: cloud_event,
    },
    // Policy Reporter's, to its webhook.
    Wrapper {
        all: &[sign("event", Want::Text("heartbeat\""))],
        any: &[sign("time", Want::Any)],
        kind: EnvelopeKind::Carrier,
        is_record: true,
        open: heartbeat,
    },
];

fn kafka(object: &[u8], opening: &mut Opening<'_>) {
    let [topic, time, ts, value, payload, packed] = members(object, ["topic", "timestamp", "ts", "value", "payload", "value_base64"]);
    opening.says(&Wrapping { stream: topic.and_then(text_of).map(|topic| topic.into_owned()), ..Wrapping::default() });
    opening.at([time, ts].into_iter().flatten().find_map(|value| when(&text_of(value)?)));
    either(value.or(payload), packed, opening);
}

fn cloud_event(object: &[u8], opening: &mut Opening<'_>) {
    let [time, data, packed] = members(object, ["time", "data", "data_base64"]);
    opening.at(time.and_then(|time| when(&text_of(time)?)));
    either(data, packed, opening);
}

fn either(plain: Option<&[u8]>, packed: Option<&[u8]>, opening: &mut Opening<'_>) {
    match (plain, packed) {
        // A deleted key of a compacted topic.
        (Some(b"null"), None) => opening.control(),
        (Some(value), _) => drop(opening.value(value)),
        (None, Some(packed)) => drop(opening.base64(packed)),
        (None, None) => {}
    }
}

fn heartbeat(_: &[u8], opening: &mut Opening<'_>) {
    opening.control();
}
