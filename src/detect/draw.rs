//! Choices drawn from bytes, for what a fuzzer makes up.

use std::sync::Arc;

use super::rule::{Body, Extras, LogSource, Rule};
use crate::model::{ActId, ClusterId, EnvelopeKind, Event, EventId, Facts, Kind, Level, Origin, Position, RuleHeader, RuleType, TenantId, Timestamp};

/// Choices, a byte each; the first, once there are no more.
#[derive(Debug)]
pub(super) struct Draw<'b>(std::slice::Iter<'b, u8>);

impl<'b> Draw<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self(bytes.iter())
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0.next().map_or(0, |byte| *byte as usize % end.max(1))
    }

    pub(super) fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    /// One to so many.
    pub(super) fn some<T>(&mut self, max: usize, mut each: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..=self.below(max)).map(|_| each(self)).collect()
    }
}

/// A rule of any log source.
pub(super) fn rule(id: &str, kind: RuleType, body: Body) -> Rule {
    let header = RuleHeader { id: id.to_owned(), title: String::new(), author: None, level: Level::Low, tags: Vec::new(), kind, runbook: None };
    Rule {
        header: Arc::new(header),
        name: None,
        description: None,
        references: Vec::new(),
        false_positives: Vec::new(),
        status: None,
        file: Arc::from("drawn"),
        line: 1,
        logsource: LogSource::Any,
        body,
        extras: Extras::default(),
        is_silent: false,
    }
}

/// An event of nothing, at this time.
pub(super) fn nothing(time: Timestamp) -> Event {
    Event {
        id: EventId([0; 16]),
        act: ActId([0; 16]),
        kind: Kind::K8sAudit,
        envelope: EnvelopeKind::Native,
        tenant: TenantId::default(),
        cluster: ClusterId::default(),
        time,
        origin: Arc::new(Origin::of("drawn", time)),
        position: Position(0),
        offset: 0,
        wrapped: Default::default(),
        facts: Facts::default(),
        doc: Default::default(),
    }
}
