//! Which rules an event matches. Rules are compiled to shared predicates; nothing here loops over rules.
//!
//! An event's values set the bits of predicates; each rule is reached through a set of predicates of which one must hold, chosen
//! by a guess first and then by what traffic shows; only rules so reached are evaluated, on bits. No allocation once warm.
//!
//! Decided here: a test holds when any element of a list passes it; `|all` asks each test of any element; `not` turns a whole item
//! round. `null` holds when the field is missing or any of its elements is null. A lone `*` is any value but null, an object
//! included; of a list its elements count. Keywords look at string and number values, never at keys. Case folds character by character.

mod access;
mod answers;
mod check;
mod compile;
mod element;
mod explain;
mod learn;
mod necessary;
mod needles;
mod paths;
#[cfg(any(test, fuzzing))]
pub mod plain;
mod program;
mod sightings;
#[cfg(test)]
mod tests;
mod unknown;

use self::answers::{Live, Memo};
use self::check::Check;
use self::compile::{Builder, KEYWORDS, Predicate, Tables, kind_bit};
pub(super) use self::explain::body_of;
pub use self::explain::{AccessTold, Asked, CompiledTold, PredicateTold};
use self::learn::Learning;
pub use self::sightings::Blind;
use self::sightings::Sightings;
use self::unknown::{Lack, Unknown};
use super::fold::{cut, fold_into, stands};
use super::prefilter::Bits;
use super::rule::RuleSet;
use crate::model::{Event, FieldRef, LeafKind, Match, Value, ValueKind};

/// Values of a match that are kept as evidence.
pub const MATCHED_MAX: usize = 16;
/// Bytes of a value that are kept.
pub const VALUE_BYTES_MAX: usize = 256;
/// Values of a field that are compared with another field's.
const FIELDREF_VALUES_MAX: usize = 100;
/// A rule that cannot be run, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Index in the rule set.
    pub rule: usize,
    pub reason: String,
}

/// What changes from event to event.
#[derive(Debug, Default)]
struct Scratch {
    bits: Bits,
    /// By late predicate.
    memo: Memo,
    /// By shared node.
    shared: Memo,
    folded: String,
    other: String,
    /// For each compiled rule, the number of the event that last made it a candidate.
    seen: Vec<u64>,
    candidates: Vec<u32>,
}

/// The way from predicates to rules.
#[derive(Debug, Default)]
struct Routes {
    /// For each predicate, where its rules start; one more than predicates.
    starts: Vec<u32>,
    rules: Vec<u32>,
    /// Compiled rules with no access predicate.
    always: Vec<u32>,
    /// For each compiled rule, the set it was given.
    access: Vec<Vec<u32>>,
}

/// All single rules, compiled.
#[derive(Debug)]
pub struct Matcher {
    tables: Tables,
    routes: Routes,
    scratch: Scratch,
    hits: Vec<u64>,
    events: u64,
    learning: Learning,
    evaluations: u64,
    unknown: Unknown,
    sightings: Sightings,
}

impl Matcher {
    /// Compiles the single rules of a set; those that cannot be run come back with the reason.
    pub fn new(set: &RuleSet) -> (Self, Vec<Refused>) {
        let mut builder = Builder::new();
        let mut refused = Vec::new();
        for (at, rule) in set.rules.iter().enumerate() {
            if let Err(reason) = builder.add(at, rule) {
                refused.push(Refused { rule: at, reason });
            }
        }
        let tables = builder.build();
        let scratch = Scratch {
            bits: Bits::with_size(tables.predicates.len()),
            memo: Memo::with_size(tables.predicates.len()),
            shared: Memo::with_size(tables.program.shared()),
            seen: vec![0; tables.rules.len()],
            ..Scratch::default()
        };
        let mut matcher = Self {
            hits: vec![0; tables.predicates.len()],
            unknown: Unknown::new(&tables, set.rules.len()),
            sightings: Sightings::new(&tables),
            tables,
            routes: Routes::default(),
            scratch,
            events: 0,
            learning: Learning::default(),
            evaluations: 0,
        };
        matcher.route();
        (matcher, refused)
    }

    /// How many conditions were evaluated so far.
    pub fn evaluations(&self) -> u64 {
        self.evaluations
    }

    /// Rules (indices in the set) that are evaluated on every event of their kind.
    pub fn always(&self) -> impl Iterator<Item = usize> {
        self.routes.always.iter().map(|at| self.tables.rules[*at as usize].rule as usize)
    }

    /// Puts the indices of the rules that match into `out`, in the order of the set.
    pub fn find(&mut self, event: &Event, out: &mut Vec<u32>) {
        out.clear();
        self.clear();
        self.events += 1;
        self.sightings.events[event.kind as usize] += 1;
        self.touch(event);
        let Self { routes, scratch, hits, .. } = self;
        let kind = kind_bit(event.kind);
        scratch.candidates.clear();
        scratch.candidates.extend_from_slice(&routes.always);
        for predicate in &scratch.bits.touched {
            let predicate = *predicate as usize;
            hits[predicate] += 1;
            let (start, end) = (routes.starts[predicate] as usize, routes.starts[predicate + 1] as usize);
            for rule in &routes.rules[start..end] {
                let seen = &mut scratch.seen[*rule as usize];
                if *seen != self.events {
                    *seen = self.events;
                    scratch.candidates.push(*rule);
                }
            }
        }
        for candidate in 0..self.scratch.candidates.len() {
            let rule = &self.tables.rules[self.scratch.candidates[candidate] as usize];
            if rule.kinds & kind == 0 {
                continue;
            }
            self.evaluations += 1;
            let (node, rule) = (rule.node, rule.rule);
            if self.eval(event, node) {
                out.push(rule);
            }
        }
        out.sort_unstable();
        if self.events.is_multiple_of(self.unknown.weight)
            && let Some(lack) = self.unknown.lack(event)
        {
            self.count_unknown(event, lack);
        }
        self.observe();
    }

    /// Events for which a rule could not be decided, by index of the rule; estimated from a part of them where many rules read bodies.
    pub fn unknown(&self) -> &[u64] {
        &self.unknown.counts
    }

    /// Counts on from these, by index of the rule.
    pub fn set_unknown(&mut self, counts: Vec<u64>) {
        self.unknown.counts = counts;
    }

    /// Judges the rules that read what the event lacks and that all else about it leads to.
    fn count_unknown(&mut self, event: &Event, lack: Lack) {
        let Self { tables, scratch, unknown, events, .. } = self;
        unknown.gather(&scratch.bits.touched, *events);
        for at in 0..unknown.candidates.len() {
            let rule = &tables.rules[unknown.candidates[at] as usize];
            if rule.kinds & kind_bit(event.kind) == 0 {
                continue;
            }
            let hides = |predicate: u32| unknown.hides(lack, tables, predicate, event);
            if tables.program.judge(rule.node, &mut Live::new(tables, scratch, event), &hides).is_none() {
                unknown.counts[rule.rule as usize] += unknown.weight;
            }
        }
    }

    fn clear(&mut self) {
        self.scratch.bits.clear();
        self.scratch.memo.clear();
        self.scratch.shared.clear();
    }

    /// Sets the bits of every quick predicate that holds.
    fn touch(&mut self, event: &Event) {
        let Self { tables, scratch, sightings, .. } = self;
        let Scratch { bits, folded, .. } = scratch;
        let (kind, sightings) = (kind_bit(event.kind), &mut sightings.kinds);
        let is_plain = event.doc.is_ascii();
        let keywords = tables.wants_keywords.then(|| &tables.slots[KEYWORDS as usize].index);
        for leaf in event.doc.leaves() {
            for slot in tables.paths.of(leaf.path.0) {
                sightings[*slot as usize] |= kind;
                let index = &tables.slots[*slot as usize].index;
                match leaf.kind {
                    LeafKind::EmptyObject | LeafKind::EmptyArray => index.present(false, bits),
                    _ => index.touch(event.doc.value(leaf), is_plain, bits, folded),
                }
            }
            if let Some(index) = keywords
                && matches!(leaf.kind, LeafKind::Text | LeafKind::Raw | LeafKind::Number)
            {
                index.touch_any(event.doc.value(leaf), is_plain, bits, folded);
            }
        }
        if tables.wants_containers {
            for container in event.doc.containers() {
                for slot in tables.paths.of(container.path.0) {
                    sightings[*slot as usize] |= kind;
                    tables.slots[*slot as usize].index.present(!container.is_array, bits);
                }
            }
        }
        for (field, value) in event.facts.iter(&event.doc) {
            if let Some(Some(slot)) = tables.facts.get(field as usize) {
                sightings[*slot as usize] |= kind;
                tables.slots[*slot as usize].index.touch(value, false, bits, folded);
            }
        }
    }

    fn eval(&mut self, event: &Event, node: u32) -> bool {
        let Self { tables, scratch, .. } = self;
        tables.program.eval(node, &mut Live::new(tables, scratch, event))
    }

    /// The values that made a rule match. To be asked right after [`Matcher::find`], of the same event.
    pub fn evidence(&mut self, event: &Event, rule: u32) -> Vec<Match> {
        let mut out = Vec::new();
        self.each_evidence(event, rule, &mut |selection, field, value| {
            let found = Match { selection: selection.to_owned(), field: field.to_owned(), value: value.to_owned() };
            if !out.contains(&found) {
                out.push(found);
            }
            out.len() < MATCHED_MAX
        });
        out
    }

    /// As [`Matcher::evidence`]: calls with selection, field and value while it is answered with true, and more than once for what several tests found.
    pub(super) fn each_evidence(&mut self, event: &Event, rule: u32, to: &mut dyn FnMut(&str, &str, &str) -> bool) {
        let Ok(at) = self.tables.rules.binary_search_by_key(&rule, |compiled| compiled.rule) else { return };
        for selection in 0..self.tables.rules[at].evidence.len() {
            let node = self.tables.rules[at].evidence[selection].node;
            if !self.eval(event, node) {
                continue;
            }
            let evidence = &self.tables.rules[at].evidence[selection];
            for predicate in &evidence.shown {
                let predicate = &self.tables.predicates[*predicate as usize];
                let Scratch { folded, other, .. } = &mut self.scratch;
                let mut goes_on = true;
                first_holding(&self.tables, predicate, event, folded, other, &mut |field, value| goes_on = to(&evidence.name, field, value));
                if !goes_on {
                    return;
                }
            }
        }
    }
}

fn holds_late(tables: &Tables, predicate: &Predicate, event: &Event, folded: &mut String, other: &mut String) -> bool {
    if let Check::Elements(elements) = &predicate.check {
        return elements.holds(&event.doc, folded);
    }
    let values_max = if matches!(predicate.check, Check::SameAs { .. }) { FIELDREF_VALUES_MAX } else { usize::MAX };
    let (mut holds, mut values) = (false, 0);
    each_value(tables, predicate.slot, event, &mut |_, value| {
        values += 1;
        holds = holds || values <= values_max && value_holds(predicate, value, event, folded, other);
    });
    holds
}

/// Calls for each value of a slot, with the index of its leaf where it is a keyword's.
fn each_value<'a>(tables: &Tables, slot: u32, event: &'a Event, to: &mut dyn FnMut(Option<usize>, Value<'a>)) {
    match &tables.slots[slot as usize].field {
        Some(field) => event.each(field, |value| to(None, value)),
        None => {
            for (at, leaf) in event.doc.leaves().iter().enumerate() {
                if matches!(leaf.kind, LeafKind::Text | LeafKind::Raw | LeafKind::Number) {
                    to(Some(at), event.doc.value(leaf));
                }
            }
        }
    }
}

fn value_holds(predicate: &Predicate, value: Value<'_>, event: &Event, folded: &mut String, scratch: &mut String) -> bool {
    let Check::SameAs { other, place, cased } = &predicate.check else { return predicate.check.holds(value, folded) };
    if value.kind == ValueKind::Null {
        return false;
    }
    folded.clear();
    if !*cased {
        fold_into(value.text, folded);
    }
    let mut holds = false;
    let mut compared = 0;
    event.each(other, |theirs| {
        compared += 1;
        if holds || theirs.kind == ValueKind::Null || compared > FIELDREF_VALUES_MAX {
            return;
        }
        if *cased {
            holds = stands(value.text, *place, theirs.text);
        } else {
            scratch.clear();
            fold_into(theirs.text, scratch);
            holds = stands(folded, *place, scratch);
        }
    });
    holds
}

/// Calls with the first value that passes a test, and the name of its field: of a keyword, the path it stands at.
fn first_holding(tables: &Tables, predicate: &Predicate, event: &Event, folded: &mut String, other: &mut String, to: &mut dyn FnMut(&str, &str)) {
    let field = tables.slots[predicate.slot as usize].field.as_ref();
    if let Check::Elements(elements) = &predicate.check {
        if let Some(element) = elements.find(&event.doc, folded) {
            to(field.map_or("", FieldRef::name), cut(element.text(&event.doc), VALUE_BYTES_MAX));
        }
        return;
    }
    let mut found: Option<(Option<usize>, Value<'_>)> = None;
    each_value(tables, predicate.slot, event, &mut |leaf, value| {
        if found.is_none() && value_holds(predicate, value, event, folded, other) {
            found = Some((leaf, value));
        }
    });
    let Some((leaf, value)) = found else { return };
    let value = cut(value.text, VALUE_BYTES_MAX);
    match (field, leaf.and_then(|at| event.doc.leaves().get(at))) {
        (Some(field), _) => to(field.name(), value),
        (None, Some(leaf)) => {
            let mut path = String::new();
            event.doc.write_path(leaf, &mut path);
            to(&path, value);
        }
        (None, None) => to("", value),
    }
}
