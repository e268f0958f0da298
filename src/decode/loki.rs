//! Loki's push: `{"streams":[{"stream":{labels},"values":[["<nanoseconds>","<line>"],..]}]}`, and one of its streams alone. A line that is
//! no JSON may be the text of a Falco alert, the rest of which is in the labels.

use super::alertmanager::falco_of;
use super::emitter::Labels;
use super::members::{elements, member, members, text_of};
use super::open::Opening;
use super::sniff::{Want, Wrapper, sign};
use super::when::when;
use crate::model::EnvelopeKind;

const LOKI: Wrapper = Wrapper { all: &[], any: &[], kind: EnvelopeKind::Carrier, is_record: false, open: push };

pub(super) const ENVELOPES: &[Wrapper] = &[
    Wrapper { all: &[sign("streams", Want::List)], ..LOKI },
    Wrapper { all: &[sign("stream", Want::Object), sign("values", Want::List)], open: stream, ..LOKI },
];

fn push(object: &[u8], opening: &mut Opening<'_>) {
    for one in elements(member(object, &["streams"]).unwrap_or_default()) {
        stream(one, opening);
    }
}

fn stream(object: &[u8], opening: &mut Opening<'_>) {
    let [labels, values] = members(object, ["stream", "values"]);
    let labels = labels.unwrap_or_default();
    opening.apart(|opening| {
        opening.says(&Labels::of(labels).wrapping());
        for value in elements(values.unwrap_or_default()) {
            let mut parts = elements(value);
            let time = parts.next().and_then(|time| when(&text_of(time)?));
            let line = parts.next().unwrap_or_default();
            opening.at(time);
            let read = |opening: &mut Opening<'_>| {
                let alert = || falco_of(labels, line, time);
                opening.value(line) || alert().is_some_and(|alert| opening.mangled(&alert))
            };
            let show = || [br#"{"labels":"#.as_slice(), labels, br#","line":"#, line, b"}"].concat().into();
            opening.item_as(value.len(), read, show);
        }
    });
}
