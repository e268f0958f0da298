//! AWS: CloudWatch Logs as subscriptions, Lambda, Kinesis, MSK, SQS, SNS and Firehose hand it out (Firehose's list is read in `azure`, which has the
//! same name). Export tasks write lines, which `prefix` reads.

use super::emitter::emitter_of_path;
use super::members::{each_member, elements, member, members, text_of};
use super::open::Opening;
use super::shipper;
use super::sniff::{Want, Wrapper, sign};
use crate::model::{EnvelopeKind, Provider, Timestamp, Wrapping};

const CLOUDWATCH: Wrapper = Wrapper { all: &[], any: &[], kind: EnvelopeKind::CloudWatch, is_record: false, open: subscription };

pub(super) const ENVELOPES: &[Wrapper] = &[
    Wrapper { all: &[sign("messageType", Want::Text("")), sign("logEvents", Want::List)], ..CLOUDWATCH },
    Wrapper { all: &[sign("awslogs", Want::Object)], open: lambda, ..CLOUDWATCH },
    // Functions get these from queues and streams of any content.
    Wrapper { all: &[sign("Records", Want::List)], kind: EnvelopeKind::Carrier, open: records, ..CLOUDWATCH },
    Wrapper { all: &[sign("eventSource", Want::Text("")), sign("records", Want::Object)], kind: EnvelopeKind::Carrier, open: topics, ..CLOUDWATCH },
];

/// What the name of a log group says.
enum Group<'g> {
    /// An EKS control plane: nothing but AWS writes here.
    ControlPlane(&'g str),
    /// Containers of a cluster, through its node's shipper.
    Insights(&'g str),
    Other,
}

impl<'g> Group<'g> {
    fn of(name: &'g str) -> Self {
        let mut parts = name.split('/');
        match [(); 6].map(|()| parts.next()) {
            [Some(""), Some("aws"), Some("eks"), Some(cluster), Some("cluster"), None] => Self::ControlPlane(cluster),
            [Some(""), Some("aws"), Some("containerinsights"), Some(cluster), Some(_), None] => Self::Insights(cluster),
            _ => Self::Other,
        }
    }
}

/// `{"messageType":"DATA_MESSAGE","owner":..,"logGroup":..,"logStream":..,"logEvents":[{"id":..,"timestamp":..,"message":".."}]}`.
fn subscription(object: &[u8], opening: &mut Opening<'_>) {
    let [kind, owner, group, stream, events] =
        members(object, ["messageType", "owner", "logGroup", "logStream", "logEvents"]).map(Option::unwrap_or_default);
    if text_of(kind).as_deref() == Some("CONTROL_MESSAGE") {
        return opening.control();
    }
    let (name, stream) = (text_of(group).unwrap_or_default(), text_of(stream).unwrap_or_default());
    let group = Group::of(&name);
    let (cluster, is_control_plane) = match group {
        Group::ControlPlane(cluster) => (Some(cluster), true),
        Group::Insights(cluster) => (Some(cluster), false),
        Group::Other => (None, false),
    };
    // The control plane's other streams are text, whatever it looks like.
    let is_audit = is_control_plane && stream.starts_with("kube-apiserver-audit-");
    opening.says(&Wrapping {
        cluster: cluster.and_then(|cluster| cluster.parse().ok()),
        provider: Some(Provider::Aws),
        account: text_of(owner).map(|owner| owner.into_owned()),
        // Elsewhere containers write, and say so themselves or not at all. Opened all the same: what looks like a record is redacted like one.
        emitter: (!is_audit).then(|| emitter_of_path(&stream).unwrap_or_default()),
        stream: Some(format!("{name}:{stream}")),
    });
    let mut is_empty = true;
    for event in elements(events) {
        is_empty = false;
        let [time, message] = members(event, ["timestamp", "message"]);
        let millis = time.and_then(text_of).and_then(|millis| millis.parse::<i64>().ok());
        opening.at(millis.and_then(|millis| Some(Timestamp::from_nanos(millis.checked_mul(1_000_000)?))));
        opening.apart(|opening| opening.item(event, |opening| message.is_some_and(|message| printed(message, opening))));
    }
    if is_empty {
        opening.control();
    }
}

/// What a container or a control plane wrote. Of a line in which nothing is known the event tells more, with the container that its shipper names.
fn printed(message: &[u8], opening: &mut Opening<'_>) -> bool {
    let is_known = opening.value(message);
    if !is_known && let Some(emitter) = text_of(message).and_then(|text| shipper::emitter_in(text.as_bytes())) {
        opening.says(&Wrapping { emitter: Some(emitter), ..Wrapping::default() });
    }
    is_known
}

/// `{"awslogs":{"data":"<base64 of gzip>"}}`.
fn lambda(object: &[u8], opening: &mut Opening<'_>) {
    if let Some(data) = member(object, &["awslogs", "data"]) {
        opening.base64(data);
    }
}

/// `{"Records":[..]}`: `{"kinesis":{"data":"<base64>"}}` of a stream, `{"body":".."}` of a queue, `{"Sns":{"Message":".."}}` of a topic, or records
/// themselves, as CloudTrail writes them.
fn records(object: &[u8], opening: &mut Opening<'_>) {
    let mut is_empty = true;
    for record in member(object, &["Records"]).into_iter().flat_map(elements) {
        is_empty = false;
        let [kinesis, body, topic] = members(record, ["kinesis", "body", "Sns"]);
        opening.item(record, |opening| match (kinesis, body, topic) {
            (Some(kinesis), ..) => member(kinesis, &["data"]).is_some_and(|data| opening.base64(data)),
            (_, Some(body), _) => opening.value(body),
            (.., Some(topic)) => member(topic, &["Message"]).is_some_and(|message| opening.value(message)),
            (None, None, None) => opening.value(record),
        });
    }
    if is_empty {
        opening.control();
    }
}

/// `{"eventSource":"aws:kafka","records":{"topic-0":[{"value":"<base64>"}]}}`.
fn topics(object: &[u8], opening: &mut Opening<'_>) {
    let mut is_empty = true;
    each_member(member(object, &["records"]).unwrap_or_default(), |_, list| {
        for record in elements(list) {
            is_empty = false;
            opening.item(record, |opening| member(record, &["value"]).is_some_and(|value| opening.base64(value)));
        }
        true
    });
    if is_empty {
        opening.control();
    }
}
