//! Google Cloud Logging: `LogEntry`, by itself or in what Pub/Sub pushes and hands out. An entry of `k8s.io` is an audit event in other words; what a
//! container printed stands in `jsonPayload` or `textPayload`.

use super::members::{elements, member, members, text, text_of};
use super::open::Opening;
use super::sniff::{Shape, Sign, Want, Wrapper, sign};
use crate::model::{Doc, Emitter, EnvelopeKind, Kind, Path, Provider, Timestamp, Wrapped, Wrapping};

const GCP: Wrapper = Wrapper { all: &[], any: &[], kind: EnvelopeKind::GcpLogging, is_record: true, open: entry };
const ENTRY: &[Sign] = &[sign("insertId", Want::Text("")), sign("logName", Want::Text("")), sign("receiveTimestamp", Want::Text(""))];

pub(super) const ENVELOPES: &[Wrapper] = &[
    Wrapper { all: &[sign("message", Want::Object)], any: &[sign("subscription", Want::Text("")), sign("ackId", Want::Text(""))], open: push, ..GCP },
    Wrapper { all: &[sign("receivedMessages", Want::List)], is_record: false, open: pull, ..GCP },
    Wrapper { all: &[sign("data", Want::Text("")), sign("messageId", Want::Any), sign("publishTime", Want::Text(""))], open: bare, ..GCP },
    Wrapper { all: &[sign("jsonPayload", Want::Object), sign("resource", Want::Object)], any: ENTRY, ..GCP },
    Wrapper { all: &[sign("textPayload", Want::Text("")), sign("resource", Want::Object)], any: ENTRY, ..GCP },
];

/// An audit entry is the record itself: `normalize::gke` reads it.
pub(super) const SHAPES: &[Shape] =
    &[Shape { all: &[sign("protoPayload", Want::Object)], any: &[], kind: Kind::CloudAudit, envelope: EnvelopeKind::GcpLogging, lift: None }];

/// `{"message":{"data":"<base64>","attributes":..,"messageId":..},"subscription":".."}`, or with an `ackId` as its command line prints it.
fn push(object: &[u8], opening: &mut Opening<'_>) {
    message(member(object, &["message"]).unwrap_or_default(), opening);
}

/// A message by itself.
fn bare(object: &[u8], opening: &mut Opening<'_>) {
    message(object, opening);
}

fn pull(object: &[u8], opening: &mut Opening<'_>) {
    let mut is_empty = true;
    for received in member(object, &["receivedMessages"]).into_iter().flat_map(elements) {
        is_empty = false;
        opening.item(received, |opening| message(member(received, &["message"]).unwrap_or_default(), opening));
    }
    if is_empty {
        opening.control();
    }
}

fn message(message: &[u8], opening: &mut Opening<'_>) -> bool {
    let [data, published] = members(message, ["data", "publishTime"]);
    opening.at(published.and_then(text_of).and_then(|time| Timestamp::parse(&time)));
    data.is_some_and(|data| opening.base64(data))
}

/// An entry that is no audit entry.
fn entry(object: &[u8], opening: &mut Opening<'_>) {
    let [name, resource, time, json, text] = members(object, ["logName", "resource", "timestamp", "jsonPayload", "textPayload"]);
    opening.says(&context(name.unwrap_or_default(), resource.unwrap_or_default()));
    opening.at(time.and_then(text_of).and_then(|time| Timestamp::parse(&time)));
    if let Some(payload) = json.or(text) {
        opening.value(payload);
    }
}

/// What an audit entry is, and what it says of itself as an envelope: a call to a cluster's API server is audit, everything else the cloud's own.
pub(super) fn audit_entry(doc: &Doc, entry: &[u8], wrapped: &mut Wrapped) -> Kind {
    let [name, resource] = members(entry, ["logName", "resource"]).map(Option::unwrap_or_default);
    let mut by = wrapped.by.as_deref().cloned().unwrap_or_default();
    by.refine(&context(name, resource));
    wrapped.by = Some(by.into());
    let is_call = doc.text_at(Path::of(["protoPayload", "serviceName"])) == Some("k8s.io");
    if is_call { Kind::K8sAudit } else { Kind::CloudAudit }
}

/// What an entry says of its record.
pub(super) fn context(name: &[u8], resource: &[u8]) -> Wrapping {
    let label = |name: &str| text(resource, &["labels", name]).map(|value| value.into_owned());
    // A container that is not named is one nevertheless.
    let emitter = || {
        let [namespace, pod, container] = ["namespace_name", "pod_name", "container_name"].map(|name| label(name).unwrap_or_default());
        Emitter { namespace, pod, container }
    };
    Wrapping {
        cluster: label("cluster_name").and_then(|name| name.parse().ok()),
        provider: Some(Provider::Gcp),
        account: label("project_id"),
        stream: text_of(name).map(|name| name.into_owned()),
        emitter: (text(resource, &["type"]).as_deref() == Some("k8s_container")).then(emitter),
    }
}
