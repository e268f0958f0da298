//! AWS: CloudWatch Logs as subscriptions, Lambda, Kinesis and Firehose hand it out (Firehose's list is read in `azure`, which has the same name). Export tasks write lines, which `prefix` reads.

use super::members::{elements, member, members, text_of};
use super::open::Opening;
use super::sniff::{Want, Wrapper, sign};
use crate::model::{Emitter, EnvelopeKind, Provider, Timestamp, Wrapping};

const CLOUDWATCH: Wrapper = Wrapper { all: &[], any: &[], kind: EnvelopeKind::CloudWatch, is_record: false, open: subscription };

pub(super) const ENVELOPES: &[Wrapper] = &[
    Wrapper { all: &[sign("messageType", Want::Text("")), sign("logEvents", Want::List)], ..CLOUDWATCH },
    Wrapper { all: &[sign("awslogs", Want::Object)], open: lambda, ..CLOUDWATCH },
    Wrapper { all: &[sign("Records", Want::List)], open: kinesis, ..CLOUDWATCH },
];

/// `{"messageType":"DATA_MESSAGE","owner":..,"logGroup":..,"logStream":..,"logEvents":[{"id":..,"timestamp":..,"message":".."}]}`.
fn subscription(object: &[u8], opening: &mut Opening<'_>) {
    let [kind, owner, group, stream, events] =
        members(object, ["messageType", "owner", "logGroup", "logStream", "logEvents"]).map(Option::unwrap_or_default);
    if text_of(kind).as_deref() == Some("CONTROL_MESSAGE") {
        return opening.control();
    }
    let (group, stream) = (text_of(group).unwrap_or_default(), text_of(stream).unwrap_or_default());
    let cluster = |prefix: &str| group.strip_prefix(prefix).and_then(|rest| rest.split('/').next()).and_then(|name| name.parse().ok());
    // Only the control plane writes below `/aws/eks`; elsewhere containers do, and say so themselves or not at all.
    let is_control_plane = group.starts_with("/aws/eks/");
    opening.says(&Wrapping {
        cluster: cluster("/aws/eks/").or_else(|| cluster("/aws/containerinsights/")),
        provider: Some(Provider::Aws),
        account: text_of(owner).map(|owner| owner.into_owned()),
        emitter: (!is_control_plane).then(Emitter::default),
        stream: Some(format!("{group}:{stream}")),
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
    if let Some(data) = member(object, &["awslogs", "data"]) {
        opening.base64(data);
    }
}

/// `{"Records":[{"kinesis":{"data":"<base64>"}}]}`, as functions get it.
fn kinesis(object: &[u8], opening: &mut Opening<'_>) {
    for record in member(object, &["Records"]).into_iter().flat_map(elements) {
        opening.item(record, |opening| member(record, &["kinesis", "data"]).is_some_and(|data| opening.base64(data)));
    }
}
