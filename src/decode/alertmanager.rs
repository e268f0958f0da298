//! Falco alerts as Alertmanager gets them: everything in labels, whose names have no dots. The alert is put together again and flagged,
//! since labels are texts and are cut.

use super::emitter::Labels;
use super::members::{each_member, elements, member, members, put_text, text, text_of};
use super::open::Opening;
use super::sniff::{Want, Wrapper, sign};
use super::when::when;
use crate::model::{EnvelopeKind, Timestamp};

const ALERT: Wrapper = Wrapper { all: &[], any: &[], kind: EnvelopeKind::Carrier, is_record: false, open: alert };

pub(super) const ENVELOPES: &[Wrapper] = &[
    Wrapper { all: &[sign("labels", Want::Member("priority")), sign("annotations", Want::Object)], ..ALERT },
    Wrapper { all: &[sign("alerts", Want::List), sign("receiver", Want::Text(""))], open: group, ..ALERT },
];

/// The first words of Falco's fields, as the labels have them.
const CLASSES: &[&str] = &["evt", "proc", "thread", "fd", "user", "group", "container", "k8s", "ka", "jevt", "ct", "syslog"];

/// The body of Alertmanager's own webhook.
fn group(object: &[u8], opening: &mut Opening<'_>) {
    for one in elements(member(object, &["alerts"]).unwrap_or_default()) {
        opening.apart(|opening| opening.item(one, |opening| read(one, opening)));
    }
}

fn alert(object: &[u8], opening: &mut Opening<'_>) {
    read(object, opening);
}

fn read(alert: &[u8], opening: &mut Opening<'_>) -> bool {
    let [labels, annotations, starts] = members(alert, ["labels", "annotations", "startsAt"]);
    let (labels, annotations) = (labels.unwrap_or_default(), annotations.unwrap_or_default());
    opening.says(&Labels::of(labels).wrapping());
    let time = [member(labels, &["evt_time"]), starts].into_iter().flatten().find_map(|value| when(&text_of(value)?));
    opening.at(time);
    let [description, info] = members(annotations, ["description", "info"]);
    let alert = falco_of(labels, description.or(info).unwrap_or_default(), time);
    alert.is_some_and(|alert| opening.mangled(&alert))
}

/// The alert that labels and its text make; the text is JSON. `None` without a rule and a priority.
pub(super) fn falco_of(labels: &[u8], output: &[u8], time: Option<Timestamp>) -> Option<Vec<u8>> {
    let [rule, priority, host, tags] = members(labels, ["rule", "priority", "hostname", "tags"]);
    let mut out = b"{\"rule\":".to_vec();
    out.extend_from_slice(rule?);
    for (name, value) in [("priority", Some(priority?)), ("hostname", host), ("output", Some(output).filter(|text| text.starts_with(b"\"")))] {
        if let Some(value) = value {
            out.extend_from_slice(format!(",\"{name}\":").as_bytes());
            out.extend_from_slice(value);
        }
    }
    // Alertmanager's `source` says only that it is Falco.
    if let Some(source) = text(labels, &["eventsource"]).or_else(|| text(labels, &["source"])) {
        out.extend_from_slice(b",\"source\":");
        put_text(&source, &mut out);
    }
    // falcosidekick's OpenTelemetry logs have the alert's own time among the attributes.
    if let Some(time) = text(labels, &["timestamp"]).and_then(|own| when(&own)).or(time) {
        out.extend_from_slice(b",\"time\":");
        let mut shown = String::new();
        let _ = Timestamp::from_nanos(time.nanos()).write(&mut shown);
        put_text(&shown, &mut out);
    }
    out.extend_from_slice(b",\"tags\":[");
    for (at, tag) in tags.and_then(text_of).unwrap_or_default().split(',').filter(|tag| !tag.is_empty()).enumerate() {
        if at > 0 {
            out.push(b',');
        }
        put_text(tag, &mut out);
    }
    out.extend_from_slice(b"],\"output_fields\":{");
    put_fields(labels, &mut out);
    out.extend_from_slice(b"}}");
    Some(out)
}

/// The labels that are fields, by the names that Falco gives them.
fn put_fields(labels: &[u8], out: &mut Vec<u8>) {
    const OTHERS: &[&[u8]] = &[b"rule", b"priority", b"hostname", b"tags", b"source", b"eventsource", b"alertname", b"severity", b"timestamp"];
    let mut is_first = true;
    each_member(labels, |key, value| {
        let Ok(key) = std::str::from_utf8(key) else { return true };
        if OTHERS.contains(&key.as_bytes()) {
            return true;
        }
        let class = key.split('_').next().unwrap_or_default();
        let name = if CLASSES.contains(&class) { key.replace('_', ".") } else { key.to_owned() };
        if !is_first {
            out.push(b',');
        }
        is_first = false;
        out.extend_from_slice(format!("\"{name}\":").as_bytes());
        out.extend_from_slice(value);
        true
    });
}
