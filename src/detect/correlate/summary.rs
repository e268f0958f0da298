//! The content of an alert, built up from its contributing entries in order of (time, id).

use std::collections::{BTreeSet, HashSet};
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::{FixedState, RandomState};

use super::entry::Entry;
use super::plan::{Plan, PlanKind};
use crate::detect::rule::Piece;
use crate::detect::title;
use crate::detect::witness::Witness;
use crate::model::{ActId, EventId, Step};

/// Events that an alert names.
pub const EVENTS_MAX: usize = 100;
/// Entities that an alert names.
pub const ENTITIES_MAX: usize = 100;
/// Steps that an alert tells.
pub const STEPS_MAX: usize = 20;

/// Totals and the earliest evidence of one alert.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub(super) count: u64,
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) events: Vec<EventId>,
    entities: BTreeSet<Arc<str>>,
    /// The earliest of each referred rule.
    earliest: Vec<(u16, Arc<Witness>)>,
    others: Vec<Arc<Witness>>,
    /// Values of the title's fields, by piece.
    title: Vec<Option<Box<str>>>,
    pub(super) is_late: bool,
    /// Where an act can have several entries: the acts counted.
    acts: HashSet<ActId, RandomState>,
}

impl Summary {
    /// Adds an entry that comes after all added before.
    pub(super) fn add(&mut self, entry: &Entry, plan: &Plan) {
        let is_new_act = match plan.kind {
            PlanKind::Temporal | PlanKind::Ordered => self.acts.insert(entry.act),
            PlanKind::Single | PlanKind::Count | PlanKind::Distinct => true,
        };
        if self.events.is_empty() {
            self.first = entry.time;
        }
        self.count += u64::from(is_new_act);
        self.last = entry.time;
        self.is_late |= entry.is_late;
        if self.events.len() < EVENTS_MAX && self.events.last() != Some(&entry.id) {
            self.events.push(entry.id);
        }
        for entity in &entry.witness.entities {
            if self.entities.len() >= ENTITIES_MAX {
                break;
            }
            if !self.entities.contains(entity) {
                self.entities.insert(Arc::clone(entity));
            }
        }
        if self.earliest.len() < plan.referred.min(STEPS_MAX) && self.earliest.iter().all(|(rule, _)| *rule != entry.rule) {
            self.earliest.push((entry.rule, Arc::clone(&entry.witness)));
        } else if self.others.len() < STEPS_MAX {
            self.others.push(Arc::clone(&entry.witness));
        }
        self.fill(entry, plan);
    }

    fn fill(&mut self, entry: &Entry, plan: &Plan) {
        let Some(template) = &plan.title else { return };
        self.title.resize(template.0.len(), None);
        for (slot, piece) in self.title.iter_mut().zip(&template.0) {
            if let (None, Piece::Field(field)) = (&slot, piece) {
                *slot = entry.witness.value(field.name()).map(Box::from);
            }
        }
    }

    /// Steps: the earliest of each referred rule, then the others in order of time.
    pub(super) fn steps(&self) -> Vec<Step> {
        let earliest = self.earliest.iter().map(|(_, witness)| witness);
        earliest.chain(&self.others).take(STEPS_MAX).map(|witness| witness.step()).collect()
    }

    pub(super) fn entities(&self) -> Vec<String> {
        self.entities.iter().map(|entity| entity.as_ref().to_owned()).collect()
    }

    pub(super) fn title(&self, plan: &Plan) -> String {
        let Some(template) = &plan.title else { return plan.plain_title().to_owned() };
        title::fill(template, |name| {
            let at = template.0.iter().position(|piece| matches!(piece, Piece::Field(field) if field.name() == name))?;
            self.title.get(at)?.as_deref()
        })
    }

    /// A number that changes whenever the content does; never 0.
    pub(super) fn fingerprint(&self) -> u64 {
        let rest = (self.count, self.first, self.last, self.is_late, self.entities.len(), &self.events);
        FixedState::default().hash_one(rest) | 1
    }
}
