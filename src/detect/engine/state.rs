//! What the engine holds, across a restart and from one set of rules to the next.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Engine;
use crate::detect::correlate::skip_group;
use crate::detect::identity::Identity;
use crate::detect::journal::{Damaged, Headers, Operation, Reading, Scribe};
use crate::detect::recheck::{Rechecks, Span};
use crate::detect::watermark::Watermarks;
use crate::model::{Duration, Event, Finding, JournalPiece};

/// Rules whose windows are empty and yet to be filled with what the store has of their past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cold {
    is_cold: Vec<bool>,
    ids: Vec<String>,
    reach: Duration,
}

impl Cold {
    /// Whether no rule is.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Ids of the rules.
    pub fn ids(&self) -> &[String] {
        &self.ids
    }

    /// How far back from the latest event their alerts can reach, besides the lateness of sources.
    pub fn reach(&self) -> Duration {
        self.reach
    }
}

impl Engine {
    /// What its windows took in since the last piece, or all that they hold; `None` if it keeps no journal. To be called between
    /// batches, with every checkpoint: the pieces in their order are what [`Engine::restore`] reads.
    pub fn take_journal(&mut self) -> Option<JournalPiece> {
        let journal = self.journal.as_mut()?;
        let changed = self.rechecks.take_changed();
        let correlators = &self.correlators;
        let place = |rule: usize| correlators.iter().position(|correlator| correlator.rule == rule);
        if !journal.is_whole_due() {
            for key in &changed {
                if let Some(rule) = place(key.0) {
                    journal.owed(rule, (&key.1, &key.2, &key.3), &self.rechecks.spans(key));
                }
            }
            return Some(journal.take_delta());
        }
        let mut whole = Scribe::default();
        whole.begin(&self.settings.key, &self.identities);
        for (rule, correlator) in self.correlators.iter().enumerate() {
            correlator.write(rule, &mut whole);
        }
        for key in self.rechecks.all_owed() {
            if let Some(rule) = place(key.0) {
                whole.owed(rule, (&key.1, &key.2, &key.3), &self.rechecks.spans(&key));
            }
        }
        whole.advance(&mut self.horizons, true);
        Some(journal.take_whole(whole))
    }

    /// Reads a journal back, in place of what the windows hold. Nothing is raised: alerts count as shown as far as they had got.
    pub fn restore(&mut self) -> Restore<'_> {
        let headers = self.rules.rules.iter().map(|rule| (rule.header.id.clone(), Arc::clone(&rule.header))).collect();
        let restored = vec![false; self.correlators.len()];
        Restore { engine: self, headers, places: Vec::new(), restored, has_begun: false }
    }

    /// Lets go of every window.
    fn forget(&mut self) {
        self.correlators.iter_mut().for_each(super::Correlator::clear);
        self.horizons.clear();
        self.rechecks = Rechecks::new(self.settings.keeps_journal);
        if let Some(journal) = &mut self.journal {
            journal.begin_anew();
        }
    }

    /// Every rule, its windows to be filled.
    pub fn all_cold(&self) -> Cold {
        self.cold(&vec![false; self.correlators.len()])
    }

    /// The rules that mean something else than any rule of this engine: [`Engine::adopt`] has nothing for them.
    pub fn cold_beside(&self, old: &Self) -> Cold {
        let is_warm: Vec<bool> = places(&old.identities, &self.identities).iter().map(Option::is_some).collect();
        self.cold(&self.whole_chains(is_warm))
    }

    /// Which rules stay warm: where one of a chain is cold, all are. What stands on the alerts of another has to see them all come.
    fn whole_chains(&self, mut is_warm: Vec<bool>) -> Vec<bool> {
        loop {
            let before = is_warm.clone();
            for (at, correlator) in self.correlators.iter().enumerate() {
                for below in &correlator.stands_on {
                    let both = is_warm[at] && is_warm[*below];
                    (is_warm[at], is_warm[*below]) = (both, both);
                }
            }
            if is_warm == before {
                return is_warm;
            }
        }
    }

    fn cold(&self, is_warm: &[bool]) -> Cold {
        let cold = || self.correlators.iter().zip(is_warm).filter(|(_, is_warm)| !**is_warm).map(|(correlator, _)| correlator);
        let reach = cold().map(super::Correlator::reach).max().unwrap_or_default();
        Cold {
            is_cold: is_warm.iter().map(|is_warm| !is_warm).collect(),
            ids: cold().map(|correlator| correlator.plan.header.id.clone()).collect(),
            reach: Duration(reach),
        }
    }

    /// Fills the windows of these rules with events of the past, in any order; they are never late and are not counted. What they would have raised
    /// comes out as well, and counts as shown.
    pub fn warm(&mut self, cold: &Cold, events: &[Event], past: &mut Vec<Finding>) {
        let (stats, unknown) = (self.stats.clone(), self.matcher.unknown().to_vec());
        self.is_warming = true;
        self.watch(cold, events, past);
        self.is_warming = false;
        self.stats = stats;
        self.matcher.set_unknown(unknown);
    }

    /// As [`Engine::process`], for these rules alone.
    pub fn watch(&mut self, cold: &Cold, events: &[Event], out: &mut Vec<Finding>) {
        self.only = Some(cold.is_cold.clone());
        self.process(events, out);
        self.only = None;
    }

    /// Their windows are full, and sources have come so far: what had closed by then raises nothing any more.
    pub fn warmed(&mut self, cold: &Cold, watermarks: &Watermarks) {
        self.horizons.advance(watermarks);
        self.each(&mut Vec::new(), |at, correlator, parts, shown| {
            if cold.is_cold.get(at).is_some_and(|is_cold| *is_cold) {
                correlator.settle(parts.limits, Some(&mut *shown));
                correlator.advance(parts.horizons, shown);
            }
        });
    }

    /// Takes over the windows of every rule that means the same there, and where time stands. What is left there is of no use.
    pub fn adopt(&mut self, old: &mut Self) {
        self.horizons.adopt(&old.horizons);
        let places = places(&old.identities, &self.identities);
        let is_warm = self.whole_chains(places.iter().map(Option::is_some).collect());
        let horizons = &mut self.horizons;
        let mut same: BTreeMap<usize, usize> = BTreeMap::new();
        for ((new, place), is_warm) in self.correlators.iter_mut().zip(places).zip(is_warm) {
            if let Some(other) = place.filter(|_| is_warm).and_then(|at| old.correlators.get_mut(at)) {
                same.insert(other.rule, new.rule);
                new.adopt(other, &mut |tenant, cluster| horizons.place(tenant, cluster));
            }
        }
        self.rechecks.adopt(&mut old.rechecks, |rule| same.get(&rule).copied());
        self.stats.events = old.stats.events;
        self.stats.late = old.stats.late;
        self.stats.clamped = old.stats.clamped;
        let of = |before: BTreeMap<&str, u64>| -> Vec<u64> {
            let rules = self.rules.rules.iter().map(|rule| rule.header.id.as_str());
            rules.map(|id| before.get(id).copied().unwrap_or_default()).collect()
        };
        self.stats.matches = of(old.matches_by_rule());
        self.matcher.set_unknown(of(old.unknown_by_rule()));
        if let Some(journal) = &mut self.journal {
            journal.begin_anew();
        }
    }
}

/// For each of these identities, its place among the known ones. Each place is given once.
fn places(known: &[Identity], asked: &[Identity]) -> Vec<Option<usize>> {
    let mut free: BTreeMap<Identity, Vec<usize>> = BTreeMap::new();
    for (at, identity) in known.iter().enumerate().rev() {
        free.entry(*identity).or_default().push(at);
    }
    asked.iter().map(|identity| free.get_mut(identity).and_then(Vec::pop)).collect()
}

/// A journal that is being read.
#[derive(Debug)]
pub struct Restore<'e> {
    engine: &'e mut Engine,
    headers: Headers,
    /// By the journal's number of a rule, the engine's.
    places: Vec<Option<usize>>,
    restored: Vec<bool>,
    has_begun: bool,
}

impl Restore<'_> {
    /// Reads the next piece.
    ///
    /// # Errors
    /// When it is damaged, of another version, or no whole came before it. Then the engine is as new, and the reading is over.
    pub fn piece(&mut self, piece: &[u8]) -> Result<(), Damaged> {
        let read = self.read(piece);
        if read.is_err() {
            self.give_up();
        }
        read
    }

    /// A piece is missing: the engine is as new.
    pub fn give_up(&mut self) {
        self.engine.forget();
        self.has_begun = false;
        self.restored.fill(false);
    }

    /// All pieces were read: which rules the journal knew nothing of.
    pub fn finish(self) -> Cold {
        let is_warm = self.engine.whole_chains(self.restored);
        for (correlator, is_warm) in self.engine.correlators.iter_mut().zip(&is_warm) {
            if !is_warm {
                correlator.clear();
            }
        }
        self.engine.cold(&is_warm)
    }

    fn read(&mut self, piece: &[u8]) -> Result<(), Damaged> {
        let headers = std::mem::take(&mut self.headers);
        let done = Reading::of(piece, &headers).and_then(|mut reading| {
            while let Some(operation) = reading.next()? {
                self.apply(operation, &mut reading)?;
            }
            Ok(())
        });
        self.headers = headers;
        done
    }

    fn apply(&mut self, operation: Operation, reading: &mut Reading<'_>) -> Result<(), Damaged> {
        if !self.has_begun && !matches!(operation, Operation::Begin { .. }) {
            return Err(Damaged("its beginning is missing"));
        }
        // What is raised on the way has been raised before.
        let mut past = Vec::new();
        match operation {
            Operation::Begin { key, identities } => {
                self.engine.forget();
                self.engine.correlators.iter_mut().for_each(|correlator| correlator.plan.key = key.clone());
                self.engine.settings.key = key;
                let known = places(&identities, &self.engine.identities);
                self.places = vec![None; identities.len()];
                for (at, place) in known.iter().enumerate() {
                    if let Some(number) = place.and_then(|place| self.places.get_mut(place)) {
                        *number = Some(at);
                    }
                }
                self.restored = known.iter().map(Option::is_some).collect();
                self.has_begun = true;
            }
            Operation::Group { rule, tenant, cluster, key } => {
                let at = *self.places.get(rule).ok_or(Damaged("it names a rule that it does not list"))?;
                let place = self.engine.horizons.place(&tenant, &cluster);
                let whose = (tenant, cluster, key);
                let read = match at.and_then(|at| self.engine.correlators.get_mut(at)) {
                    Some(correlator) => correlator.read(whose, place, reading),
                    None => skip_group(whose, reading),
                };
                read.ok_or(Damaged("a group can not be read"))?;
            }
            Operation::Entry { rule, tenant, cluster, key } => {
                let at = *self.places.get(rule).ok_or(Damaged("it names a rule that it does not list"))?;
                let entry = reading.entry().ok_or(Damaged("an entry can not be read"))?;
                if let Some(correlator) = at.and_then(|at| self.engine.correlators.get_mut(at)) {
                    let place = self.engine.horizons.place(&tenant, &cluster);
                    correlator.push_again((tenant, cluster, key), place, entry);
                }
            }
            Operation::Owed { rule, tenant, cluster, key } => {
                let at = *self.places.get(rule).ok_or(Damaged("it names a rule that it does not list"))?;
                let spans = reading.from.list(Span::read).ok_or(Damaged("what is to be judged from the store can not be read"))?;
                if let Some(correlator) = at.and_then(|at| self.engine.correlators.get(at)) {
                    self.engine.rechecks.set((correlator.rule, tenant, cluster, key), spans);
                }
            }
            Operation::Settle => {
                self.engine.each(&mut past, |_, correlator, parts, shown| correlator.settle(parts.limits, Some(shown)));
            }
            Operation::Advance => {
                self.engine.horizons.read(&mut reading.from).ok_or(Damaged("how far time has come can not be read"))?;
                self.engine.each(&mut past, |_, correlator, parts, shown| {
                    correlator.settle(parts.limits, Some(&mut *shown));
                    correlator.advance(parts.horizons, shown);
                });
            }
        }
        Ok(())
    }
}
