//! Azure's diagnostic logs: `{"records":[..]}` from an Event Hub, one record a line in a blob. The record is JSON in a string, cut at 16 KiB; other
//! categories of the same hub have text there, which is no error.

use super::members::{elements, member, members, text, text_of};
use super::open::Opening;
use super::sniff::{Want, Wrapper, sign};
use crate::model::{EnvelopeKind, Provider, Timestamp, Wrapping};

const AZURE: Wrapper = Wrapper { all: &[], any: &[], kind: EnvelopeKind::AzureDiagnostics, is_record: false, open: batch };

pub(super) const ENVELOPES: &[Wrapper] = &[
    Wrapper {
        all: &[sign("category", Want::Text("")), sign("properties", Want::Object)],
        any: &[sign("resourceId", Want::Text("")), sign("operationName", Want::Text(""))],
        is_record: true,
        open: record,
        ..AZURE
    },
    // Amazon Data Firehose's requests have a list of this name too.
    Wrapper { all: &[sign("records", Want::List)], kind: EnvelopeKind::Carrier, ..AZURE },
];

/// `{"records":[RECORD]}`, or `{"requestId":..,"timestamp":..,"records":[{"data":"<base64>"}]}`.
fn batch(object: &[u8], opening: &mut Opening<'_>) {
    let mut is_empty = true;
    for item in member(object, &["records"]).into_iter().flat_map(elements) {
        is_empty = false;
        let [data, category] = members(item, ["data", "category"]);
        opening.item(item, |opening| match data.filter(|_| category.is_none()) {
            Some(data) => opening.base64(data),
            None => opening.value(item),
        });
    }
    if is_empty {
        opening.control();
    }
}

/// `{"category":"kube-audit","resourceId":"/SUBSCRIPTIONS/..","time":..,"properties":{"log":"..","pod":..}}`.
fn record(object: &[u8], opening: &mut Opening<'_>) {
    let [category, resource, time, properties] = members(object, ["category", "resourceId", "time", "properties"]).map(Option::unwrap_or_default);
    let resource = text_of(resource).unwrap_or_default().to_lowercase();
    // `/subscriptions/<id>/resourcegroups/<group>/providers/microsoft.containerservice/managedclusters/<name>`
    let after = |name: &str| resource.split('/').skip_while(|part| *part != name).nth(1);
    opening.says(&Wrapping {
        cluster: after("managedclusters").and_then(|name| name.parse().ok()),
        provider: Some(Provider::Azure),
        account: after("subscriptions").map(str::to_owned),
        stream: text_of(category).map(|category| category.into_owned()),
        emitter: None,
    });
    opening.at(text_of(time).and_then(|time| Timestamp::parse(&time)));
    if let Some(log) = text(properties, &["log"]) {
        opening.text(&log);
    }
}
