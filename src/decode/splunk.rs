//! Splunk's HTTP Event Collector: objects with the record under `event`, one after the other. Elastic's common schema has an `event` too,
//! but its `host` and `source` are objects.

use super::emitter::{Labels, emitter_of_path};
use super::members::{members, text_of};
use super::open::Opening;
use super::sniff::{Sign, Want, Wrapper, sign};
use super::when::when;
use crate::model::{EnvelopeKind, Wrapping};

/// What names the sender of an event that is text.
const SENDER: &[Sign] = &[sign("sourcetype", Want::Any), sign("index", Want::Text("")), sign("host", Want::Text(""))];
/// And of one that is an object.
const SENDER_OR_TIME: &[Sign] = &[
    sign("sourcetype", Want::Any),
    sign("index", Want::Text("")),
    sign("host", Want::Text("")),
    sign("source", Want::Text("")),
    sign("time", Want::Any),
];

const HEC: Wrapper = Wrapper { all: &[], any: &[], kind: EnvelopeKind::SplunkHec, is_record: true, open: event };

pub(super) const ENVELOPES: &[Wrapper] = &[
    Wrapper { all: &[sign("event", Want::Object)], any: SENDER_OR_TIME, ..HEC },
    Wrapper { all: &[sign("event", Want::Text("{"))], any: SENDER_OR_TIME, ..HEC },
    Wrapper { all: &[sign("event", Want::Text(""))], any: SENDER, ..HEC },
];

fn event(object: &[u8], opening: &mut Opening<'_>) {
    let [time, event, source, sourcetype, fields] = members(object, ["time", "event", "source", "sourcetype", "fields"]);
    let source = source.and_then(text_of);
    let mut said = Labels::of(fields.unwrap_or_default()).wrapping();
    said.emitter = said.emitter.or_else(|| emitter_of_path(source.as_deref()?));
    let stream = source.or_else(|| text_of(sourcetype?)).map(|stream| stream.into_owned());
    opening.says(&Wrapping { stream, ..said });
    opening.at(time.and_then(|time| when(&text_of(time)?)));
    if let Some(event) = event {
        opening.value(event);
    }
}
