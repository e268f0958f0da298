//! What the engine tells of itself, for those who watch it.

use std::collections::BTreeMap;

use super::hearing::Skew;
use crate::detect::engine::{Engine, EngineStats};
use crate::model::{SourceId, Timestamp};

/// As of the last flush.
#[derive(Debug, Clone, Default)]
pub struct View {
    pub stats: EngineStats,
    /// Up to when each rule has been judged in the cluster that is farthest behind, by id, for rules that know.
    pub evaluated_up_to: Vec<(String, Timestamp)>,
    /// Events that a rule matched, by its id, where there are any.
    pub matches: BTreeMap<String, u64>,
    /// Events for which a rule could not be decided since they lack what it asks for, by its id, where there are any.
    pub unknown: BTreeMap<String, u64>,
    /// Rules of which groups had to go for want of room, by id, and how many.
    pub evicted: Vec<(String, u64)>,
    /// Rules that can not fire on what was seen since they were read, by id: the fields that they need and that were never there, and how many events
    /// of their kind there were.
    pub blind: BTreeMap<String, (Vec<String>, u64)>,
    /// Rechecks that were answered from the store, and that were given up.
    pub rechecks: (u64, u64),
    /// Sources whose clocks have run ahead.
    pub skews: BTreeMap<SourceId, Skew>,
    /// Sources that brought events.
    pub heard: BTreeMap<SourceId, Heard>,
}

/// What was heard of a source.
#[derive(Debug, Clone, Copy)]
pub struct Heard {
    /// When its latest event came.
    pub at: Timestamp,
    /// The latest time of an event; `None` when it was long ago.
    pub time: Option<Timestamp>,
    /// Nothing has come for longer than it may.
    pub is_silent: bool,
}

impl View {
    pub(super) fn of(engine: &Engine, skews: &BTreeMap<SourceId, Skew>) -> Self {
        let stats = engine.stats();
        let rules = engine.rules().rules.iter().zip(&stats.evaluated_up_to);
        let evaluated_up_to = rules.filter_map(|(rule, upto)| Some((rule.header.id.clone(), (*upto)?))).collect();
        let id = |rule: &usize| engine.rules().rules.get(*rule).map(|rule| rule.header.id.clone());
        let evicted = stats.evicted_by_rule.iter().filter_map(|(rule, count)| Some((id(rule)?, *count))).collect();
        let blind = engine.blind().into_iter().filter_map(|blind| Some((id(&blind.rule)?, (blind.fields, blind.events)))).collect();
        let owned = |counts: BTreeMap<&str, u64>| counts.into_iter().map(|(rule, count)| (rule.to_owned(), count)).collect();
        let (matches, unknown) = (owned(engine.matches_by_rule()), owned(engine.unknown_by_rule()));
        Self { matches, unknown, evicted, blind, stats, evaluated_up_to, rechecks: (0, 0), skews: skews.clone(), heard: BTreeMap::new() }
    }
}
