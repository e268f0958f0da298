//! The work on one envelope: decode, redact, normalise, drop repeats, detect. Synchronous, in partition order, on one thread.

mod state;
#[cfg(test)]
mod tests;
mod young;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use self::young::Young;
use super::drop::Drops;
use super::guard::{Care, Guard};
use super::hearing::Hearing;
use super::ledger::{Ledger, Outcome};
use super::recheck::Job;
use super::view::{self, View};
use super::vitals::{Outside, Vitals};
use crate::decode::{DecodeLimits, Decoded, Decoder, Stream, emitter_of_path};
use crate::dedupe::{IDS_PER_GENERATION_MAX, Novelty, Seen};
use crate::detect::engine::Engine;
use crate::model::{
    Duration, Envelope, Event, Finding, Form, Inflate, Kinds, Origin, Parser, PartitionId, Position, Record, Reject, SourceId, Timestamp, Wrapping,
};
use crate::normalize::{Names, Normalizer, RedactCounts, Redactor, Settings, SourceHealth, Workloads, normalize, quarantine};

/// What sources may carry, and how long they hold back time.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// Kinds that each source may carry; a source that is not named may carry all.
    pub kinds: BTreeMap<SourceId, Kinds>,
    /// Containers whose output counts as another system's word, by source; for a source that is not named, the usual installations.
    pub workloads: BTreeMap<SourceId, Arc<Workloads>>,
    /// A source that has been silent for this long no longer holds back the watermark.
    pub idle_after: Duration,
    /// How much older than the latest event of its source one may be without being late; for a source that is not named, 10 minutes.
    pub lateness: BTreeMap<SourceId, Duration>,
    /// Rejects kept for a report; past it they are counted only.
    pub rejects_kept_max: usize,
    /// Names of members whose values are masked, besides those that are known to hold secrets.
    pub masked: Names,
    /// What is left out of the store.
    pub drops: Drops,
    /// What can not be read, comes cut or does not come is an event of its own.
    pub tells_health: bool,
    /// A source of which nothing has come for this long is silent; zero: none ever is.
    pub silent_after: Duration,
    /// Sources that are silent, too, if nothing ever came of them.
    pub expected: Vec<SourceId>,
    /// The store holds events from before this start.
    pub has_past: bool,
    pub decode: DecodeLimits,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            kinds: BTreeMap::new(),
            workloads: BTreeMap::new(),
            idle_after: Duration::minutes(5),
            lateness: BTreeMap::new(),
            rejects_kept_max: 10_000,
            masked: Names::default(),
            drops: Drops::default(),
            tells_health: false,
            silent_after: Duration::seconds(0),
            expected: Vec::new(),
            has_past: false,
            decode: DecodeLimits::default(),
        }
    }
}

/// What came of a source last.
#[derive(Debug)]
struct Heard {
    /// When the latest event came.
    at: Timestamp,
    origin: Arc<Origin>,
    /// It has been said that nothing comes any more.
    is_silent: bool,
}

/// The events of one envelope, without those that repeat one in memory.
#[derive(Debug)]
pub struct Batch {
    pub source: SourceId,
    pub events: Vec<Event>,
}

/// The stages from payload to finding, with their state.
pub struct Worker {
    decoder: Decoder,
    decoded: Decoded,
    redactor: Redactor,
    parser: Parser,
    seen: Seen,
    engine: Engine,
    young: Option<Young>,
    guard: Option<Guard>,
    /// Places in the last batch of the events that a rule matched, in order.
    matched: Vec<usize>,
    /// An event whose detection panics.
    #[cfg(test)]
    deadly: Option<crate::model::EventId>,
    /// Rechecks of an engine that was, by its rules.
    owed: Vec<Job>,
    ledger: Arc<Ledger>,
    settings: WorkerSettings,
    /// Readers of payloads that come in pieces.
    streams: BTreeMap<PartitionId, (Arc<Origin>, Kinds, Stream)>,
    heard: BTreeMap<SourceId, Heard>,
    /// Sources that had been silent since then, and are not any more.
    back: Vec<(SourceId, Timestamp)>,
    hearing: Hearing,
    vitals: Vitals,
    /// When what was heard last went to disk.
    remembered: Option<Timestamp>,
    rejects: Vec<(Arc<Origin>, Reject)>,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Worker {
    /// With an engine, and counting into a ledger.
    pub fn new(engine: Engine, ledger: Arc<Ledger>, inflate: Arc<dyn Inflate>, settings: WorkerSettings) -> Self {
        Self {
            decoder: Decoder::new(settings.decode.clone(), Some(inflate)),
            decoded: Decoded::default(),
            redactor: Redactor::new(settings.masked.clone()),
            parser: Parser::new(settings.decode.record.clone()),
            seen: Seen::new(IDS_PER_GENERATION_MAX, settings.has_past),
            engine,
            young: None,
            guard: None,
            matched: Vec::new(),
            #[cfg(test)]
            deadly: None,
            owed: Vec::new(),
            ledger,
            settings,
            streams: BTreeMap::new(),
            heard: BTreeMap::new(),
            back: Vec::new(),
            hearing: Hearing::default(),
            vitals: Vitals::default(),
            remembered: None,
            rejects: Vec::new(),
        }
    }

    /// Finds out events that kill detection.
    #[must_use]
    pub fn guarded_by(mut self, guard: Option<Guard>) -> Self {
        self.guard = guard;
        self
    }

    /// The engine, for its statistics.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What redaction has taken out so far.
    pub fn redacted(&self) -> RedactCounts {
        self.redactor.counts()
    }

    /// The first rejects, with their origin.
    pub fn rejects(&self) -> &[(Arc<Origin>, Reject)] {
        &self.rejects
    }

    /// Makes events of an envelope. What can not be read and what repeats is counted.
    pub fn decode(&mut self, envelope: &Envelope) -> Batch {
        let origin = &envelope.origin;
        let mut events = Vec::new();
        if !envelope.rejects.is_empty() {
            let mut unread = Decoded::default();
            unread.rejects.clone_from(&envelope.rejects);
            self.absorb(origin, envelope.kinds, envelope.upto, &mut unread, &mut events);
        }
        for (reason, count) in &envelope.counted {
            self.ledger.receive(&origin.source, 0, *count);
            self.ledger.end(&origin.source, Outcome::Reject(*reason), *count);
        }
        for notice in &envelope.notices {
            self.ledger.lose(&origin.source, notice.lost);
            if let Some(record) = SourceHealth::Noticed(notice).record(&self.parser).filter(|_| self.settings.tells_health) {
                self.tell(record, origin, envelope.upto, &mut events);
            }
        }
        for (position, payload) in &envelope.payloads {
            let mut decoded = std::mem::take(&mut self.decoded);
            match envelope.form {
                Form::Piece { at } => {
                    let new = || (Arc::clone(origin), envelope.kinds, Stream::at(at));
                    let (.., stream) = self.streams.entry(origin.partition.clone()).or_insert_with(new);
                    stream.push(&mut self.decoder, payload, &mut decoded);
                }
                Form::Whole => self.decoder.decode(payload, &mut decoded),
                Form::Span => {
                    self.decoder.decode(payload, &mut decoded);
                    decoded.shift(position.0);
                }
                Form::Kept => self.decoder.decode_kept(payload, &mut decoded),
            }
            // How a log was cut into spans is chance, so where a record stands is told by its offset alone.
            let position = if envelope.form == Form::Span { Position(0) } else { *position };
            self.absorb(origin, envelope.kinds, position, &mut decoded, &mut events);
            self.decoded = decoded;
        }
        Batch { source: origin.source.clone(), events }
    }

    /// The last piece of a partition has come: what is left of it becomes events or rejects.
    pub fn end(&mut self, partition: &PartitionId) -> Option<Batch> {
        let (origin, kinds, stream) = self.streams.remove(partition)?;
        let mut decoded = std::mem::take(&mut self.decoded);
        let mut events = Vec::new();
        stream.finish(&mut self.decoder, &mut decoded);
        self.absorb(&origin, kinds, Position(0), &mut decoded, &mut events);
        self.decoded = decoded;
        Some(Batch { source: origin.source.clone(), events })
    }

    /// The position that an envelope which was decoded has reached: of a piece, up to the last record that is whole. None, if nothing could
    /// be read on from there.
    pub fn reached(&self, envelope: &Envelope) -> Position {
        match (envelope.form, self.streams.get(&envelope.origin.partition)) {
            (Form::Piece { .. }, Some((.., stream))) if envelope.upto != Position(0) => {
                stream.unread().map_or(Position(0), |unread| Position(envelope.upto.0.saturating_sub(unread)))
            }
            _ => envelope.upto,
        }
    }

    fn absorb(&mut self, origin: &Arc<Origin>, kinds: Kinds, position: Position, decoded: &mut Decoded, events: &mut Vec<Event>) {
        self.ledger.receive(&origin.source, decoded.bytes_total, decoded.records.len() as u64 + decoded.rejects_total());
        // What is past the limit on listed rejects is of the kind that fills it.
        if let Some(last) = decoded.rejects.last().filter(|_| decoded.rejects_unlisted > 0) {
            self.ledger.end(&origin.source, Outcome::Reject(last.reason), decoded.rejects_unlisted);
        }
        if self.settings.tells_health {
            for record in quarantine(&decoded.rejects, &self.parser) {
                self.tell(record, origin, position, events);
            }
        }
        for reject in decoded.rejects.drain(..) {
            self.ledger.end(&origin.source, Outcome::Reject(reject.reason), 1);
            if self.rejects.len() < self.settings.rejects_kept_max {
                self.rejects.push((Arc::clone(origin), reject));
            }
        }
        let kinds = kinds.and(self.settings.kinds.get(&origin.source).copied().unwrap_or_default());
        let normalizer = Normalizer::new(Settings { kinds, workloads: self.settings.workloads.get(&origin.source).cloned().unwrap_or_default() });
        let mut repeats = 0;
        // The log file of a container is named for it, whatever its lines say: all of them are the container's own word.
        let printed = emitter_of_path(&origin.object).map(|emitter| Arc::new(Wrapping { emitter: Some(emitter), ..Wrapping::default() }));
        for mut record in decoded.records.drain(..) {
            if let Some(printed) = printed.as_ref().filter(|_| !record.wrapped.is_own) {
                record.wrapped.by = Some(Arc::clone(printed));
            }
            let record = self.redactor.redact(record, &mut self.parser);
            let event = normalizer.normalize(record, origin, position);
            match self.seen.check(&event.id) {
                Novelty::Known => repeats += 1,
                Novelty::New | Novelty::Maybe => {
                    let cut = Some(&event).filter(|event| self.settings.tells_health && event.wrapped.is_cut);
                    let told = cut.and_then(|event| SourceHealth::Truncated(event).record(&self.parser));
                    let is_condemned = self.guard.as_ref().is_some_and(|guard| guard.is_condemned(&event.id));
                    let poison = is_condemned.then(|| SourceHealth::Poison(&event).record(&self.parser)).flatten();
                    events.push(event);
                    for record in told.into_iter().chain(poison) {
                        self.tell(record, origin, position, events);
                    }
                }
            }
        }
        self.ledger.end(&origin.source, Outcome::Duplicate, repeats);
        decoded.clear();
    }

    /// An event of this program's own making: received here, and ended like any other.
    fn tell(&mut self, record: Record, origin: &Arc<Origin>, position: Position, events: &mut Vec<Event>) {
        self.ledger.receive(&origin.source, 0, 1);
        let record = self.redactor.redact(record, &mut self.parser);
        let event = normalize(record, origin, position);
        match self.seen.check(&event.id) {
            Novelty::Known => self.ledger.end(&origin.source, Outcome::Duplicate, 1),
            Novelty::New | Novelty::Maybe => events.push(event),
        }
    }

    /// Says of each source that has fallen silent by now that it has, once, and of each that is back that it is.
    pub fn silences(&mut self, now: Timestamp) -> Vec<Batch> {
        let after = self.settings.silent_after;
        for source in std::mem::take(&mut self.settings.expected) {
            let new = || Heard { at: now, origin: Arc::new(Origin::of(&source.0, now)), is_silent: false };
            self.heard.entry(source.clone()).or_insert_with(new);
        }
        let mut batches = Vec::new();
        for (source, since) in std::mem::take(&mut self.back) {
            let record = (SourceHealth::Back { source: &source, since, at: now }).record(&self.parser);
            batches.extend(record.and_then(|record| self.own_batch(&source, record, now)));
        }
        let is_new = |heard: &Heard| after > Duration::seconds(0) && !heard.is_silent && now.since(heard.at) >= after;
        let silent: Vec<SourceId> = self.heard.iter().filter(|(_, heard)| is_new(heard)).map(|(source, _)| source.clone()).collect();
        for source in silent {
            let Some(heard) = self.heard.get_mut(&source) else { continue };
            heard.is_silent = true;
            let record = (SourceHealth::Silent { source: &source, since: heard.at }).record(&self.parser);
            batches.extend(record.and_then(|record| self.own_batch(&source, record, now)));
        }
        batches
    }

    /// A batch of one event of this program's own making, on a source.
    fn own_batch(&mut self, source: &SourceId, record: Record, now: Timestamp) -> Option<Batch> {
        let origin = Arc::new(Origin { received: now, ..(*self.heard.get(source)?.origin).clone() });
        let mut events = Vec::new();
        self.tell(record, &origin, Position(0), &mut events);
        Some(Batch { source: source.clone(), events })
    }

    /// Learns of sources by events that came of them.
    fn hear(&mut self, events: &[Event]) {
        for event in events.iter().filter(|event| !event.wrapped.is_own) {
            let new = || Heard { at: event.origin.received, origin: Arc::clone(&event.origin), is_silent: false };
            let heard = self.heard.entry(event.origin.source.clone()).or_insert_with(new);
            if event.origin.received > heard.at {
                if heard.is_silent {
                    self.back.push((event.origin.source.clone(), heard.at));
                }
                (heard.at, heard.is_silent) = (event.origin.received, false);
                heard.origin = Arc::clone(&event.origin);
            }
        }
        self.hearing.hear(events.iter().filter(|event| !event.wrapped.is_own));
    }

    /// What the rules find in events that nobody has seen before.
    pub fn detect(&mut self, events: &[Event]) -> Vec<Finding> {
        self.hear(events);
        if self.settings.tells_health {
            self.vitals.look(events);
        }
        let mut findings = Vec::new();
        self.matched.clear();
        let mut at = 0;
        while let Some(rest) = events.get(at..).filter(|rest| !rest.is_empty()) {
            let (count, care) = self.guard.as_ref().map_or((rest.len(), Care::Together), |guard| guard.next(rest));
            let next = rest.get(..count.max(1)).unwrap_or(rest);
            if care != Care::Not {
                self.detect_some(next, at, &mut findings);
            }
            at += next.len();
        }
        findings
    }

    /// Of a batch, events that stand side by side, the first at this place.
    fn detect_some(&mut self, events: &[Event], at: usize, findings: &mut Vec<Finding>) {
        if let Some(guard) = &mut self.guard {
            guard.begin(events);
        }
        #[cfg(test)]
        assert!(!events.iter().any(|event| Some(event.id) == self.deadly), "the test's event kills detection");
        self.engine.process(events, findings);
        let before = self.matched.len();
        self.matched.extend(self.engine.matched().iter().map(|place| place + at));
        if let Some(young) = &mut self.young {
            young.watch(events);
            self.matched.extend(young.matched().iter().map(|place| place + at));
            if let Some(new) = self.matched.get_mut(before..) {
                new.sort_unstable();
            }
            self.matched.dedup();
        }
        if let Some(guard) = &mut self.guard {
            guard.end(events);
        }
    }

    /// By place in the batch that was just detected: the number of the rule that leaves an event out of the store. Nothing a rule matched is left out.
    pub fn drops(&self, events: &[Event]) -> Vec<Option<usize>> {
        let mut matched = self.matched.iter().copied().peekable();
        let is_condemned = |event: &Event| self.guard.as_ref().is_some_and(|guard| guard.is_condemned(&event.id));
        let judge = |(at, event)| {
            let is_evidence = matched.next_if_eq(&at).is_some() || is_condemned(event);
            if is_evidence { None } else { self.settings.drops.judge(event) }
        };
        events.iter().enumerate().map(judge).collect()
    }

    /// Closes what time alone closes, each rule by the sources that it reads.
    pub fn advance(&mut self, now: Timestamp) -> Vec<Finding> {
        let watermarks = self.hearing.watermarks(now, self.settings.idle_after, &self.settings.lateness);
        let mut findings = Vec::new();
        self.engine.advance(&watermarks, &mut findings);
        findings
    }

    /// Alerts of this program's own condition that have changed by now. To be asked while nothing is in flight.
    pub(super) fn health(&mut self, now: Timestamp, outside: &Outside) -> Vec<Finding> {
        if !self.settings.tells_health {
            return Vec::new();
        }
        self.vitals.look_around(outside, &self.ledger.counts(), now);
        self.vitals.take(&self.engine.stats(), self.hearing.skews(), outside.failed, now)
    }

    /// Takes out up to so many rechecks, with what it takes to answer them.
    pub(super) fn rechecks(&mut self, max: usize) -> Vec<Job> {
        let (rules, settings) = (Arc::clone(self.engine.rules()), self.engine.settings().clone());
        let job = |recheck| Job { recheck, rules: Arc::clone(&rules), settings: settings.clone() };
        let mut jobs: Vec<Job> = self.owed.drain(..self.owed.len().min(max)).collect();
        jobs.extend(self.engine.rechecks(max - jobs.len()).into_iter().map(job));
        jobs
    }

    /// The answers to these rechecks are saved, or there will be none.
    pub(super) fn answered(&mut self, numbers: &[u64]) {
        self.engine.answered(numbers);
    }

    /// What the engine tells of itself by now.
    pub fn view(&self) -> View {
        View {
            heard: self.heard.iter().map(|(source, heard)| (source.clone(), self.heard_of(source, heard))).collect(),
            ..View::of(&self.engine, self.hearing.skews())
        }
    }

    fn heard_of(&self, source: &SourceId, heard: &Heard) -> view::Heard {
        view::Heard { at: heard.at, time: self.hearing.time_of(source), is_silent: heard.is_silent }
    }

    /// Everything given out so far is durable.
    pub fn flushed(&mut self) {
        self.seen.flushed();
    }

    /// All input has ended: what is left of payloads in pieces. A service that stops reads such a stream again, and half of a record is no reject yet.
    pub fn end_all(&mut self) -> Vec<Batch> {
        if !self.engine.is_finite() {
            self.streams.clear();
        }
        let open: Vec<PartitionId> = self.streams.keys().cloned().collect();
        open.iter().filter_map(|partition| self.end(partition)).collect()
    }

    /// All input has ended and was detected: closes every window of a finite replay. A service that stops closes none, since its input goes on.
    pub fn finish(&mut self) -> Vec<Finding> {
        let mut findings = Vec::new();
        if self.engine.is_finite() {
            self.engine.finish(&mut findings);
        }
        findings
    }
}
