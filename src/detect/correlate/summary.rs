//! The content of an alert, built up from its contributing entries.

mod bytes;

use std::collections::{BTreeSet, HashSet};
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use foldhash::fast::{FixedState, RandomState};

use super::entry::{Entry, Key};
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

/// Said of an alert to which an event contributes whose clock ran ahead.
pub(crate) const CLOCK_AHEAD: &str = "the clock of an event ran more than 5 minutes ahead: it counts for the time it was received";

/// Totals and the earliest evidence of one alert. What it says depends on the entries, not on the order they were added in.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub(super) count: u64,
    pub(super) first: i64,
    pub(super) last: i64,
    /// The earliest, in order.
    events: Vec<(i64, EventId)>,
    /// The first in alphabetical order.
    entities: BTreeSet<Arc<str>>,
    /// The earliest of each referred rule.
    earliest: Vec<(Key, Arc<Witness>)>,
    /// The earliest of the others, in order.
    others: Vec<(Key, Arc<Witness>)>,
    /// Values of the title's fields, by piece, each from the earliest entry that has it.
    title: Vec<Option<(Key, Box<str>)>>,
    pub(super) is_late: bool,
    pub(super) is_clamped: bool,
    /// Where an act can have several entries: the acts counted.
    acts: HashSet<ActId, RandomState>,
}

/// Puts an element in its place, unless it is there or lies past the limit.
fn insert_sorted<T>(list: &mut Vec<T>, max: usize, order: impl Fn(&T) -> std::cmp::Ordering, element: T) {
    // Most come in order, and past the limit.
    if list.len() >= max && list.last().is_some_and(|last| order(last).is_le()) {
        return;
    }
    if let Err(at) = list.binary_search_by(order) {
        list.insert(at, element);
        list.truncate(max);
    }
}

impl Summary {
    /// Adds an entry that was not added before.
    pub(super) fn add(&mut self, entry: &Entry, plan: &Plan) {
        let is_new_act = match plan.kind {
            PlanKind::Temporal | PlanKind::Ordered => self.acts.insert(entry.act),
            PlanKind::Single | PlanKind::Count | PlanKind::Distinct => true,
        };
        let is_first = self.events.is_empty();
        self.first = if is_first { entry.time } else { self.first.min(entry.time) };
        self.last = if is_first { entry.time } else { self.last.max(entry.time) };
        self.count += u64::from(is_new_act);
        self.is_late |= entry.is_late;
        self.is_clamped |= entry.is_clamped;
        let event = (entry.time, entry.id);
        insert_sorted(&mut self.events, EVENTS_MAX, |known| known.cmp(&event), event);
        for entity in &entry.witness.entities {
            if !self.entities.contains(entity) {
                self.entities.insert(Arc::clone(entity));
                if self.entities.len() > ENTITIES_MAX {
                    self.entities.pop_last();
                }
            }
        }
        self.step(entry);
        self.fill(entry, plan);
    }

    fn step(&mut self, entry: &Entry) {
        let key = entry.key();
        let (key, witness) = match self.earliest.iter_mut().find(|(known, _)| known.2 == entry.rule) {
            None => {
                self.earliest.push((key, Arc::clone(&entry.witness)));
                return;
            }
            Some(earliest) if key < earliest.0 => std::mem::replace(earliest, (key, Arc::clone(&entry.witness))),
            Some(_) if self.others.len() >= STEPS_MAX && self.others.last().is_some_and(|last| last.0 < key) => return,
            Some(_) => (key, Arc::clone(&entry.witness)),
        };
        insert_sorted(&mut self.others, STEPS_MAX, |known| known.0.cmp(&key), (key, witness));
    }

    fn fill(&mut self, entry: &Entry, plan: &Plan) {
        let Some(template) = &plan.title else { return };
        let key = entry.key();
        self.title.resize(template.0.len(), None);
        for (slot, piece) in self.title.iter_mut().zip(&template.0) {
            if let Piece::Field(field) = piece
                && slot.as_ref().is_none_or(|known| key < known.0)
                && let Some(value) = entry.witness.value(field.name())
            {
                *slot = Some((key, value.into()));
            }
        }
    }

    /// Steps: the earliest of each referred rule, then the others in order of time.
    pub(super) fn steps(&self) -> Vec<Step> {
        let mut earliest: Vec<&(Key, Arc<Witness>)> = self.earliest.iter().collect();
        earliest.sort_by_key(|(key, _)| *key);
        earliest.into_iter().chain(&self.others).take(STEPS_MAX).map(|(_, witness)| witness.step()).collect()
    }

    /// Events, the earliest first.
    pub(super) fn events(&self) -> Vec<EventId> {
        self.events.iter().map(|(_, id)| *id).collect()
    }

    pub(super) fn entities(&self) -> Vec<String> {
        self.entities.iter().map(|entity| entity.as_ref().to_owned()).collect()
    }

    /// What is known to be wrong with the evidence.
    pub(super) fn evidence_gaps(&self) -> Vec<String> {
        self.is_clamped.then(|| CLOCK_AHEAD.to_owned()).into_iter().collect()
    }

    pub(super) fn title(&self, plan: &Plan) -> String {
        let Some(template) = &plan.title else { return plan.plain_title().to_owned() };
        title::fill(template, |name| {
            let at = template.0.iter().position(|piece| matches!(piece, Piece::Field(field) if field.name() == name))?;
            self.title.get(at)?.as_ref().map(|(_, value)| value.as_ref())
        })
    }

    /// A number that changes whenever the content does; never 0.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = FixedState::default().build_hasher();
        (self.count, self.first, self.last, self.is_late, self.is_clamped, &self.events).hash(&mut hasher);
        self.entities.hash(&mut hasher);
        self.earliest.iter().chain(&self.others).for_each(|(key, _)| key.hash(&mut hasher));
        hasher.finish() | 1
    }
}
