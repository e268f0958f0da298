//! Yandex Cloud: what a Cloud Logging trigger hands to a function, `LogEntry` in both spellings of its keys, and Audit Trails' events of a cluster's API
//! server with the native event inside. Data Streams carries any of them, one a record.

use super::members::{elements, member, members, text_of};
use super::open::Opening;
use super::sniff::{Sign, Want, Wrapper, sign};
use crate::model::{EnvelopeKind, Provider, Timestamp, Wrapping};

const LOGGING: Wrapper = Wrapper { all: &[], any: &[], kind: EnvelopeKind::YandexLogging, is_record: true, open: entry };
const TRAILS: Wrapper = Wrapper { kind: EnvelopeKind::YandexAuditTrails, open: trails, ..LOGGING };
/// Events of the API server; the others of Audit Trails are records themselves.
const APISERVER: &str = "yandex.cloud.audit.k8s.apiserver.";

/// Members by which an entry in camel case is told from another cloud's.
const OWN: &[Sign] = &[
    sign("uid", Want::Text("")),
    sign("ingestedAt", Want::Text("")),
    sign("savedAt", Want::Text("")),
    sign("streamName", Want::Text("")),
    sign("level", Want::Text("")),
];

pub(super) const ENVELOPES: &[Wrapper] = &[
    Wrapper { all: &[sign("messages", Want::List)], is_record: false, open: trigger, ..LOGGING },
    Wrapper { all: &[sign("event_type", Want::Text(APISERVER))], ..TRAILS },
    Wrapper { all: &[sign("eventType", Want::Text(APISERVER))], ..TRAILS },
    Wrapper { all: &[sign("json_payload", Want::Object)], ..LOGGING },
    Wrapper { all: &[sign("jsonPayload", Want::Object)], any: OWN, ..LOGGING },
    Wrapper {
        all: &[sign("message", Want::Text("")), sign("resource", Want::Object)],
        any: &[sign("level", Want::Text("")), sign("ingestedAt", Want::Text("")), sign("ingested_at", Want::Text(""))],
        ..LOGGING
    },
];

/// `{"messages":[{"event_metadata":..,"details":{"messages":[ENTRY]}}]}` of Cloud Logging; `{"details":{"message":{"body":".."}}}` of a queue; of a
/// stream the record itself.
fn trigger(object: &[u8], opening: &mut Opening<'_>) {
    let mut is_empty = true;
    for message in member(object, &["messages"]).into_iter().flat_map(elements) {
        let details = member(message, &["details"]).unwrap_or_default();
        let [entries, queued] = members(details, ["messages", "message"]);
        if let Some(entries) = entries {
            for entry in elements(entries) {
                is_empty = false;
                opening.item(entry, |opening| opening.value(entry));
            }
            continue;
        }
        is_empty = false;
        opening.item(message, |opening| match queued {
            Some(queued) => member(queued, &["body"]).is_some_and(|body| opening.value(body)),
            None => opening.value(message),
        });
    }
    if is_empty {
        opening.control();
    }
}

/// `{"resource":{"type":..,"id":..},"timestamp":..,"level":..,"message":"..","json_payload":{..}}`: the record is the payload, or JSON in the message.
fn entry(object: &[u8], opening: &mut Opening<'_>) {
    let keys = ["resource", "timestamp", "message", "json_payload", "jsonPayload", "stream_name", "streamName"];
    let [resource, time, message, snake, camel, stream, stream_camel] = members(object, keys);
    let [kind, id] = members(resource.unwrap_or_default(), ["type", "id"]);
    let is_cluster = kind.and_then(text_of).is_some_and(|kind| kind.contains("kubernetes"));
    opening.says(&Wrapping {
        cluster: is_cluster.then(|| text_of(id?)?.parse().ok()).flatten(),
        provider: Some(Provider::Yandex),
        account: None,
        stream: stream.or(stream_camel).and_then(text_of).map(|name| name.into_owned()),
        emitter: None,
    });
    opening.at(time.and_then(text_of).and_then(|time| Timestamp::parse(&time)));
    if let Some(payload) = snake.or(camel)
        && opening.value(payload)
    {
        return;
    }
    if let Some(message) = message {
        opening.value(message);
    }
}

/// `{"event_type":"yandex.cloud.audit.k8s.apiserver.ApiServerCreate","details":{"cluster_id":..,"native_api_server_event":{..}}}`.
fn trails(object: &[u8], opening: &mut Opening<'_>) {
    let [details, metadata, metadata_camel, time, time_camel] =
        members(object, ["details", "resource_metadata", "resourceMetadata", "event_time", "eventTime"]);
    let details = details.unwrap_or_default();
    let [native, native_camel, cluster, cluster_camel] =
        members(details, ["native_api_server_event", "nativeApiServerEvent", "cluster_id", "clusterId"]);
    let mut account = None;
    let path = metadata.or(metadata_camel).and_then(|metadata| member(metadata, &["path"]));
    for step in path.into_iter().flat_map(elements) {
        let [kind, kind_camel, id, id_camel] = members(step, ["resource_type", "resourceType", "resource_id", "resourceId"]);
        if kind.or(kind_camel).and_then(text_of).is_some_and(|kind| kind.ends_with(".folder")) {
            account = id.or(id_camel).and_then(text_of);
        }
    }
    opening.says(&Wrapping {
        cluster: cluster.or(cluster_camel).and_then(text_of).and_then(|name| name.parse().ok()),
        provider: Some(Provider::Yandex),
        account: account.map(|id| id.into_owned()),
        stream: None,
        emitter: None,
    });
    opening.at(time.or(time_camel).and_then(|time| Timestamp::parse(&text_of(time)?)));
    if let Some(native) = native.or(native_camel) {
        opening.value(native);
    }
}
