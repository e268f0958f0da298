//! What is kept of a matching event: enough for alerts, and little enough that its document can go.

mod bytes;

use std::sync::Arc;

use super::correlate::chain::Content;
use super::fold::cut;
use super::matcher::VALUE_BYTES_MAX;
use crate::model::{Event, EventId, Field, FieldRef, Finding, Match, RuleHeader, Step, Timestamp, Value, ValueKind};

/// Entities kept of one event.
const ENTITIES_MAX: usize = 100;

/// An event that matched a rule.
#[derive(Debug)]
pub(crate) struct Witness {
    rule: Arc<RuleHeader>,
    event: EventId,
    time: Timestamp,
    pub(super) entities: Box<[Arc<str>]>,
    matched: Box<[Match]>,
    /// Values of the fields that titles name.
    values: Box<[(Box<str>, Box<str>)]>,
    /// Of an alert that a correlation stands on: what it is made of.
    pub(super) below: Option<Box<Content>>,
}

impl Witness {
    /// Of an event, at the time it counts for, with the values of these fields.
    pub(super) fn new(rule: &Arc<RuleHeader>, event: &Event, time: Timestamp, matched: Vec<Match>, wanted: &[FieldRef]) -> Self {
        let entities = event.facts.values(&event.doc, Field::Entity).take(ENTITIES_MAX).map(|value| Arc::from(cut(value.text, VALUE_BYTES_MAX)));
        let values = wanted.iter().filter_map(|field| Some((field.name().into(), first(event, field)?.into())));
        Self {
            rule: Arc::clone(rule),
            event: event.id,
            time,
            entities: entities.collect(),
            matched: matched.into(),
            values: values.collect(),
            below: None,
        }
    }

    /// Of an alert, at the time it counts for.
    pub(super) fn of_alert(finding: &Finding, anchor: i64, content: &Content) -> Self {
        Self {
            rule: Arc::clone(&finding.rule),
            event: EventId(finding.id.0),
            time: Timestamp::from_nanos(anchor),
            entities: finding.entities.iter().map(|entity| Arc::from(entity.as_str())).collect(),
            matched: Box::default(),
            values: content.values.clone().into(),
            below: Some(Box::new(content.clone())),
        }
    }

    /// The value of a field of a title.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(known, _)| known.as_ref() == name).map(|(_, value)| value.as_ref())
    }

    pub(super) fn rule_id(&self) -> &str {
        &self.rule.id
    }

    /// As a step of an alert.
    pub(super) fn step(&self) -> Step {
        Step { rule: self.rule.id.clone(), event: self.event, time: self.time, matched: self.matched.to_vec() }
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
