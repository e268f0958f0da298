//! The content of an alert, built up from its contributing entries.

mod bytes;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BTreeSet, HashSet};
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use foldhash::fast::{FixedState, RandomState};

use super::chain::Content;
use super::entry::{Act, Entry, Key};
use super::plan::{Plan, PlanKind};
use crate::detect::title;
use crate::detect::witness::Witness;
use crate::model::{EventId, Step};

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
    /// By name: values of the fields that titles name, each from the earliest entry that has it.
    values: Vec<(Box<str>, Key, Box<str>)>,
    pub(super) is_late: bool,
    pub(super) is_clamped: bool,
    /// Where an act can have several entries: the acts counted.
    acts: HashSet<Act, RandomState>,
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

/// How a step stands to another: in time, and where one event stands for two rules, by these.
fn order(known: &(Key, Arc<Witness>), key: Key, witness: &Witness) -> Ordering {
    known.0.cmp(&key).then_with(|| known.1.rule_id().cmp(witness.rule_id()))
}

impl Summary {
    /// Adds an entry that was not added before.
    pub(super) fn add(&mut self, entry: &Entry, plan: &Plan) {
        let is_new_act = match plan.kind {
            PlanKind::Temporal | PlanKind::Ordered => self.acts.insert(entry.act),
            PlanKind::Single | PlanKind::Count | PlanKind::Distinct | PlanKind::Sum | PlanKind::Average | PlanKind::Percentile => true,
        };
        let below = entry.witness.below.as_deref();
        let (first, last) = below.map_or((entry.time, entry.time), |below| (below.first, below.last));
        let is_first = self.events.is_empty();
        self.first = if is_first { first } else { self.first.min(first) };
        self.last = if is_first { last } else { self.last.max(last) };
        self.count += u64::from(is_new_act);
        self.is_late |= entry.is_late;
        self.is_clamped |= entry.is_clamped;
        let own = [(entry.time, entry.id)];
        for event in below.map_or(own.as_slice(), |below| &below.events) {
            insert_sorted(&mut self.events, EVENTS_MAX, |known| known.cmp(event), *event);
        }
        entry.witness.each_entity(|entity| {
            if !self.entities.contains(entity) {
                self.entities.insert(entity.into());
                if self.entities.len() > ENTITIES_MAX {
                    self.entities.pop_last();
                }
            }
        });
        match below {
            None => self.step(entry.key(), &entry.witness),
            // The first step of an alert stands for it; the others are details.
            Some(below) => {
                for (at, ((time, id, _), witness)) in below.steps.iter().enumerate() {
                    let key = (*time, *id, entry.rule);
                    if at == 0 { self.step(key, witness) } else { self.detail(key, witness) }
                }
            }
        }
        self.fill(entry, plan);
    }

    fn step(&mut self, key: Key, witness: &Arc<Witness>) {
        let Some(earliest) = self.earliest.iter_mut().find(|(known, _)| known.2 == key.2) else {
            self.earliest.push((key, Arc::clone(witness)));
            return;
        };
        match order(earliest, key, witness) {
            Ordering::Equal => {}
            Ordering::Less => self.detail(key, witness),
            Ordering::Greater => {
                let (key, witness) = std::mem::replace(earliest, (key, Arc::clone(witness)));
                self.detail(key, &witness);
            }
        }
    }

    fn detail(&mut self, key: Key, witness: &Arc<Witness>) {
        if self.others.len() >= STEPS_MAX && self.others.last().is_some_and(|last| last.0 < key) {
            return;
        }
        insert_sorted(&mut self.others, STEPS_MAX, |known| order(known, key, witness), (key, Arc::clone(witness)));
    }

    fn fill(&mut self, entry: &Entry, plan: &Plan) {
        let key = entry.key();
        for field in &plan.wanted {
            let known = self.values.iter().position(|(name, ..)| name.as_ref() == field.name());
            if known.is_some_and(|at| self.values[at].1 <= key) {
                continue;
            }
            let Some(value) = entry.witness.value(field.name()).map(String::into_boxed_str) else { continue };
            match known {
                Some(at) => (self.values[at].1, self.values[at].2) = (key, value),
                None => self.values.push((field.name().into(), key, value)),
            }
        }
    }

    /// What a correlation over this one takes of it.
    pub(super) fn content(&self) -> Content {
        let values = self.values.iter().map(|(name, _, value)| (name.clone(), value.clone()));
        Content {
            first: self.first,
            last: self.last,
            is_clamped: self.is_clamped,
            events: self.events.clone(),
            steps: self.ordered_steps(),
            values: values.collect(),
        }
    }

    /// What it points to, in bytes, about.
    pub(super) fn bytes(&self) -> usize {
        let steps = self.earliest.len() + self.others.len();
        self.events.len() * 24 + self.entities.len() * 24 + steps * 48 + self.values.len() * 128 + self.acts.len() * 24
    }

    /// Steps: the earliest of each referred rule, then the others in order of time.
    pub(super) fn steps(&self) -> Vec<Step> {
        self.ordered_steps().iter().map(|(key, witness)| witness.step(key)).collect()
    }

    fn ordered_steps(&self) -> Vec<(Key, Arc<Witness>)> {
        let mut steps = self.earliest.clone();
        steps.sort_by_key(|(key, _)| *key);
        let is_earliest = |(key, witness): &&(Key, Arc<Witness>)| self.earliest.iter().any(|known| order(known, *key, witness).is_eq());
        steps.extend(self.others.iter().filter(|other| !is_earliest(other)).cloned());
        steps.truncate(STEPS_MAX);
        steps
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
        title::fill(template, |name| self.values.iter().find(|(known, ..)| known.as_ref() == name).map(|(.., value)| Cow::Borrowed(value.as_ref())))
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
