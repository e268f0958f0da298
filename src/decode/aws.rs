//! CloudWatch Logs as subscriptions, Lambda and Firehose hand it out.

use super::members::{elements, members, text_of};
use super::open::Opening;
use super::sniff::{Want, Wrapper, sign};
use crate::model::{EnvelopeKind, Provider, Timestamp, Wrapping};

pub(super) const ENVELOPES: &[Wrapper] = &[
    Wrapper {
        all: &[sign("messageType", Want::Text("")), sign("logEvents", Want::List)],
        any: &[],
        kind: EnvelopeKind::CloudWatch,
        open: subscription,
    },
    Wrapper { all: &[sign("awslogs", Want::Object)], any: &[], kind: EnvelopeKind::CloudWatch, open: lambda },
];

/// `{"messageType":"DATA_MESSAGE","owner":..,"logGroup":..,"logStream":..,"logEvents":[{"id":..,"timestamp":..,"message":".."}]}`.
fn subscription(object: &[u8], opening: &mut Opening<'_>) {
    let [kind, owner, group, stream, events] =
        members(object, ["messageType", "owner", "logGroup", "logStream", "logEvents"]).map(|found| found.unwrap_or_default());
    if text_of(kind).as_deref() == Some("CONTROL_MESSAGE") {
        return opening.control();
    }
    let (group, stream) = (text_of(group).unwrap_or_default(), text_of(stream).unwrap_or_default());
    opening.says(&Wrapping {
        cluster: group.strip_prefix("/aws/eks/").and_then(|rest| rest.split('/').next()).and_then(|name| name.parse().ok()),
        provider: Some(Provider::Aws),
        account: text_of(owner).map(|owner| owner.into_owned()),
        stream: Some(format!("{group}:{stream}")),
        emitter: None,
    });
    for event in elements(events) {
        let [time, message] = members(event, ["timestamp", "message"]);
        let millis = time.and_then(text_of).and_then(|millis| millis.parse::<i64>().ok());
        opening.at(millis.and_then(|millis| Some(Timestamp::from_nanos(millis.checked_mul(1_000_000)?))));
        opening.item(event, |opening| message.is_some_and(|message| opening.value(message)));
    }
}

/// `{"awslogs":{"data":"<base64 of gzip>"}}`.
fn lambda(object: &[u8], opening: &mut Opening<'_>) {
    if let Some(data) = super::members::member(object, &["awslogs", "data"]) {
        opening.base64(data);
    }
}
