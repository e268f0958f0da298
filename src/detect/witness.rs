//! What is kept of a matching event: enough for alerts, and little enough that its document can go.
//!
//! It is kept as bytes in one piece. Events that tell the same, as those of a control loop do, share one witness.

mod bytes;

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::correlate::chain::Content;
use super::correlate::entry::Key;
use super::fold::cut;
use super::journal::{Bytes, put_len, put_text};
use super::matcher::{MATCHED_MAX, Matcher, VALUE_BYTES_MAX};
use crate::model::{Event, Field, FieldRef, Finding, Match, RuleHeader, Step, Timestamp, Value, ValueKind};

/// Entities kept of one event.
const ENTITIES_MAX: usize = 100;
/// Values of title fields kept of one event.
const VALUES_MAX: usize = 100;
/// Witnesses that are remembered, to be shared.
const REMEMBERED: usize = 1 << 12;
// A count of a list is one byte.
const _: () = assert!(ENTITIES_MAX < 128 && VALUES_MAX < 128 && MATCHED_MAX < 128);

/// What an event that matched a rule tells.
#[derive(Debug)]
pub(crate) struct Witness {
    rule: Arc<RuleHeader>,
    /// Three lists: entities, matches, and values of the fields that titles name.
    told: Box<[u8]>,
    /// Of an alert that a correlation stands on: what it is made of.
    pub(super) below: Option<Box<Content>>,
}

impl Witness {
    /// Of an alert.
    pub(super) fn of_alert(finding: &Finding, content: &Content) -> Self {
        let mut told = Vec::new();
        let entities = finding.entities.get(..ENTITIES_MAX).unwrap_or(&finding.entities);
        put_len(&mut told, entities.len());
        entities.iter().for_each(|entity| put_text(&mut told, entity));
        put_len(&mut told, 0);
        put_len(&mut told, content.values.len());
        for (name, value) in &content.values {
            put_text(&mut told, name);
            put_text(&mut told, value);
        }
        Self { rule: Arc::clone(&finding.rule), told: told.into(), below: Some(Box::new(content.clone())) }
    }

    /// Texts of one list: `width` of them a member. What is told was written here or read back whole, so it can be read.
    fn list(from: &mut Bytes<'_>, width: usize, mut each: impl FnMut([&str; 3])) -> Option<()> {
        for _ in 0..from.len()? {
            let mut texts = [""; 3];
            for text in texts.iter_mut().take(width) {
                *text = from.text()?;
            }
            each(texts);
        }
        Some(())
    }

    /// Calls for each entity.
    pub(super) fn each_entity(&self, mut each: impl FnMut(&str)) {
        Self::list(&mut Bytes::of(&self.told), 1, |[entity, ..]| each(entity));
    }

    fn parts(&self, mut matched: impl FnMut([&str; 3]), mut value: impl FnMut(&str, &str)) -> Option<()> {
        let mut from = Bytes::of(&self.told);
        Self::list(&mut from, 1, |_| {})?;
        Self::list(&mut from, 3, &mut matched)?;
        Self::list(&mut from, 2, |[name, text, _]| value(name, text))
    }

    /// What it takes, in bytes, about.
    pub(super) fn bytes(&self) -> usize {
        let below = self.below.as_ref().map_or(0, |below| size_of::<Content>() + below.events.len() * 24 + below.steps.len() * 48);
        16 + size_of::<Self>() + self.told.len() + below
    }

    /// The value of a field of a title.
    pub(super) fn value(&self, wanted: &str) -> Option<String> {
        let mut found = None;
        self.parts(
            |_| {},
            |name, value| {
                if name == wanted && found.is_none() {
                    found = Some(value.to_owned());
                }
            },
        );
        found
    }

    pub(super) fn rule_id(&self) -> &str {
        &self.rule.id
    }

    /// As a step of an alert, of the event with this key.
    pub(super) fn step(&self, (time, event, _): &Key) -> Step {
        let mut matched = Vec::new();
        self.parts(
            |[selection, field, value]| matched.push(Match { selection: selection.to_owned(), field: field.to_owned(), value: value.to_owned() }),
            |_, _| {},
        );
        Step { rule: self.rule.id.clone(), event: *event, time: Timestamp::from_nanos(*time), matched }
    }
}

/// Makes witnesses of events, and shares those that are equal.
#[derive(Debug, Default)]
pub(super) struct Witnesses {
    draft: Vec<u8>,
    /// Where the matches of the draft start.
    starts: Vec<usize>,
    /// The last of each hash.
    remembered: Vec<Option<Arc<Witness>>>,
    hasher: RandomState,
}

impl Witnesses {
    /// Of an event that the matcher has just found to match the rule of this number, with the values of these fields.
    pub(super) fn of_event(&mut self, rule: (u32, &Arc<RuleHeader>), event: &Event, matcher: &mut Matcher, wanted: &[FieldRef]) -> Arc<Witness> {
        let Self { draft, starts, remembered, hasher } = self;
        draft.clear();
        starts.clear();
        let list = |draft: &mut Vec<u8>, write: &mut dyn FnMut(&mut Vec<u8>) -> u8| {
            let at = draft.len();
            draft.push(0);
            draft[at] = write(draft);
        };
        list(draft, &mut |draft| {
            let mut count = 0;
            for entity in event.facts.values(&event.doc, Field::Entity).take(ENTITIES_MAX) {
                put_text(draft, cut(entity.text, VALUE_BYTES_MAX));
                count += 1;
            }
            count
        });
        list(draft, &mut |draft| {
            let mut count = 0;
            matcher.each_evidence(event, rule.0, &mut |selection, field, value| {
                let at = draft.len();
                [selection, field, value].into_iter().for_each(|text| put_text(draft, text));
                let (known, new) = draft.split_at(at);
                let is_known = starts.iter().any(|start| known.get(*start..).is_some_and(|known| known.starts_with(new)));
                if is_known {
                    draft.truncate(at);
                } else {
                    starts.push(at);
                    count += 1;
                }
                usize::from(count) < MATCHED_MAX
            });
            count
        });
        list(draft, &mut |draft| {
            let mut count = 0;
            for field in wanted.iter().take(VALUES_MAX) {
                if let Some(value) = first(event, field) {
                    put_text(draft, field.name());
                    put_text(draft, value);
                    count += 1;
                }
            }
            count
        });
        remembered.resize(REMEMBERED, None);
        let place = hasher.hash_one((rule.0, draft.as_slice())) as usize % REMEMBERED;
        match &remembered[place] {
            Some(known) if Arc::ptr_eq(&known.rule, rule.1) && *known.told == **draft => Arc::clone(known),
            _ => {
                let new = Arc::new(Witness { rule: Arc::clone(rule.1), told: draft.as_slice().into(), below: None });
                remembered[place] = Some(Arc::clone(&new));
                new
            }
        }
    }
}

/// The first value of a field that is not null, cut to what is kept. What every event has by nature needs no fact.
pub(super) fn first<'a>(event: &'a Event, field: &FieldRef) -> Option<&'a str> {
    let text = match (event.first(field), field) {
        (Some(Value { kind: ValueKind::Null, .. }) | None, FieldRef::Fact(Field::Cluster)) => event.cluster.as_str(),
        (Some(Value { kind: ValueKind::Null, .. }) | None, FieldRef::Fact(Field::EventKind)) => event.kind.name(),
        (value, _) => value?.text,
    };
    Some(cut(text, VALUE_BYTES_MAX))
}
