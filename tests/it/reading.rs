//! Payloads through the stages of the program, for tests that are tables.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use bartizan::alert::draft;
use bartizan::app::rules::settings;
use bartizan::codec::Codec;
use bartizan::detect::engine::{Engine, EngineSettings};
use bartizan::detect::rule::RuleSet;
use bartizan::detect::{pack, sigma};
use bartizan::model::{Alert, ClusterId, Counts, Envelope, Event, Origin, PartitionId, Position, SourceId, TenantId, Timestamp};
use bartizan::pipeline::{Ledger, Outcome, Worker, WorkerSettings};
use base64::Engine as _;

/// When everything reaches us.
pub(crate) const RECEIVED: &str = "2026-01-01T12:00:00.000000005Z";

/// The shared samples, where they are at hand; says so where they are not.
pub(crate) fn shared() -> Option<PathBuf> {
    let found = crate::cli::fixtures();
    if found.is_none() {
        eprintln!("no shared samples here: nothing checked");
    }
    found
}

static RULES: LazyLock<Arc<RuleSet>> = LazyLock::new(|| Arc::new(sigma::parse(&pack::rules(), &settings(None, false)).0));

/// Where a payload came from: a cluster, an object.
pub(crate) fn origin(cluster: &str, object: &str) -> Arc<Origin> {
    Arc::new(Origin {
        tenant: TenantId::default(),
        cluster: ClusterId::try_from(cluster.to_owned()).unwrap(),
        source: SourceId::from("test"),
        partition: PartitionId::from(object),
        object: Arc::from(object),
        received: Timestamp::parse(RECEIVED).unwrap(),
    })
}

/// The stages from payload to finding, and what they counted.
pub(crate) struct Reading {
    worker: Worker,
    ledger: Arc<Ledger>,
}

impl Reading {
    /// With these rules.
    pub(crate) fn of(rules: &Arc<RuleSet>) -> Self {
        let ledger = Arc::new(Ledger::default());
        let engine = Engine::new(Arc::clone(rules), EngineSettings { is_finite: true, ..EngineSettings::default() });
        Self { worker: Worker::new(engine, Arc::clone(&ledger), Arc::new(Codec), WorkerSettings::default()), ledger }
    }

    /// Without rules.
    pub(crate) fn new() -> Self {
        Self::of(&Arc::default())
    }

    /// With every rule of the pack.
    pub(crate) fn with_rules() -> Self {
        Self::of(&RULES)
    }

    /// The new events of a payload.
    pub(crate) fn read(&mut self, payload: &[u8]) -> Vec<Event> {
        self.read_from(origin("default", "test"), payload)
    }

    /// The new events of a payload from somewhere.
    pub(crate) fn read_from(&mut self, origin: Arc<Origin>, payload: &[u8]) -> Vec<Event> {
        let source = origin.source.clone();
        let batch = self.worker.decode(&Envelope::of(origin, vec![(Position(0), payload.to_vec())]));
        batch.events.iter().for_each(|event| self.ledger.end(&source, Outcome::Event(event.kind), 1));
        batch.events
    }

    /// How often rules match events.
    pub(crate) fn matches(mut self, events: &[Event]) -> u64 {
        self.worker.detect(events);
        self.worker.engine().stats().matches.iter().sum()
    }

    /// What the rules make of events and of their end.
    pub(crate) fn alerts(mut self, events: &[Event]) -> Vec<Alert> {
        let mut findings = self.worker.detect(events);
        findings.extend(self.worker.finish());
        findings.iter().map(draft).collect()
    }

    /// Events, duplicates and rejects, after checking that they are all there was.
    pub(crate) fn counts(&self) -> Counts {
        let counts = self.ledger.total();
        assert_eq!(counts.remainder(), 0, "{counts:?}");
        counts
    }

    /// Why what could not be read, in order.
    pub(crate) fn rejects(&self) -> Vec<String> {
        self.worker.rejects().iter().map(|(_, reject)| reject.reason.to_string()).collect()
    }
}

/// The values of some fields of an event, by their names: `-` for none, `+` between several.
pub(crate) fn facts(event: &Event, fields: &str) -> String {
    let value = |name: &str| {
        let values: Vec<&str> = event.facts.iter(&event.doc).filter(|(field, _)| field.name() == name).map(|(_, value)| value.text).collect();
        if values.is_empty() { "-".to_owned() } else { values.join("+") }
    };
    fields.split(' ').map(value).collect::<Vec<_>>().join(" ")
}

/// Every new event of some payloads with these fields, and every reject with its reason.
pub(crate) fn outcome(payloads: &[&[u8]], fields: &str) -> String {
    let mut reading = Reading::new();
    let events: Vec<Event> = payloads.iter().flat_map(|payload| reading.read(payload)).collect();
    let counts = reading.counts();
    let mut shown: Vec<String> = events.iter().map(|event| facts(event, fields)).collect();
    shown.extend(reading.rejects().iter().map(|reason| format!("!{reason}")));
    if counts.tally.duplicates > 0 {
        shown.push(format!("{} again", counts.tally.duplicates));
    }
    shown.join(", ")
}

/// Titles of the rules that payloads raise.
pub(crate) fn alerts(payloads: &[&[u8]]) -> Vec<Alert> {
    let mut reading = Reading::with_rules();
    let events: Vec<Event> = payloads.iter().flat_map(|payload| reading.read(payload)).collect();
    reading.alerts(&events)
}

/// The payloads of a recorded file: bodies of requests and objects and values of records each for itself, else the file.
pub(crate) fn payloads(path: &Path) -> Vec<Vec<u8>> {
    let name = path.file_name().unwrap().to_string_lossy();
    let bytes = std::fs::read(path).unwrap();
    let part = ["http", "kafka", "objects"].into_iter().find(|what| name.ends_with(&format!(".{what}.jsonl")));
    let Some(part) = part.map(|what| if what == "kafka" { "value" } else { "body" }) else { return vec![bytes] };
    let lines = std::str::from_utf8(&bytes).unwrap().lines();
    let payload = |line: &str| {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        let packed = record[format!("{part}_base64")].as_str().map(|text| base64::engine::general_purpose::STANDARD.decode(text).unwrap());
        packed.or_else(|| record[part].as_str().map(|text| text.as_bytes().to_vec())).unwrap_or_default()
    };
    lines.map(payload).collect()
}
