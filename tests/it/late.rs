//! Whole objects that come late, through the flow as `serve` runs it: their alerts are those of order, once each.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration as StdDuration;

use async_trait::async_trait;
use bartizan::app::Restorer;
use bartizan::clock::Clock;
use bartizan::codec::Codec;
use bartizan::detect::engine::{Engine, EngineSettings};
use bartizan::detect::sigma;
use bartizan::model::{Checkpoint, ClusterId, Envelope, Origin, PartitionId, Position, SourceId, Status, TenantId, Timestamp};
use bartizan::pipeline::{Flow, FlowSettings, Ledger, Worker, WorkerSettings};
use bartizan::ports::{Source, SourceError};
use bartizan::store::catalog::{AlertFilter, Catalog};
use bartizan::store::outbox::Routes;
use bartizan::store::{EventLog, LogSettings};

/// 2026-01-05T00:00:00Z, in seconds.
const START: i64 = 1_767_571_200;
const HOUR: i64 = 3600;

const RULES: &str = "\
title: Exec
id: 11111111-1111-4111-8111-111111111111
name: exec
logsource: {product: kubernetes, service: audit}
detection: {s: {verb: create, objectRef.subresource: exec}, condition: s}
level: low
---
title: Secret
id: 22222222-2222-4222-8222-222222222222
name: secret
logsource: {product: kubernetes, service: audit}
detection: {s: {verb: get, objectRef.resource: secrets}, condition: s}
level: low
---
title: Secrets read one after another
id: 33333333-3333-4333-8333-333333333333
correlation: {type: event_count, rules: [secret], group-by: [user.username], timespan: 10m, condition: {gte: 3}}
level: high
---
title: A secret, then a shell
id: 44444444-4444-4444-8444-444444444444
correlation: {type: temporal_ordered, rules: [secret, exec], group-by: [user.username], timespan: 30m}
level: high
";

/// An object: the events of an hour, and when it came (in seconds after the start).
struct Object {
    hour: i64,
    came: i64,
}

/// Hands them out, and moves the clock to when each came.
struct Objects(Vec<Object>, Clock);

fn record(second: i64, user: &str, what: (&str, &str, &str)) -> String {
    let time = Timestamp::from_seconds(START + second);
    let (verb, resource, subresource) = what;
    format!(
        r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"{user}-{second}","stage":"ResponseComplete","verb":"{verb}","user":{{"username":"{user}"}},"objectRef":{{"resource":"{resource}","subresource":"{subresource}","namespace":"shop","name":"n{second}"}},"requestReceivedTimestamp":"{time}","stageTimestamp":"{time}"}}"#
    ) + "\n"
}

/// In every hour: three secrets of one user and a shell after them; and secrets of another who is busy around two of four hours, so that what comes late
/// moves the anchor of an alert, and the one after it hands over.
fn events(hour: i64) -> String {
    let (secret, exec) = (("get", "secrets", ""), ("create", "pods", "exec"));
    let own = format!("user{hour}");
    let mut text: String = [600, 700, 800].iter().map(|second| record(hour * HOUR + second, &own, secret)).collect();
    let across: &[i64] = if hour % 4 < 3 { &[60, 3400, 3500] } else { &[] };
    for second in across {
        text += &record(hour * HOUR + second, "across", secret);
    }
    text += &record(hour * HOUR + 1000, &own, exec);
    text
}

#[async_trait]
impl Source for Objects {
    fn id(&self) -> SourceId {
        SourceId::from("bucket")
    }

    async fn next(&mut self) -> Result<Option<Envelope>, SourceError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let object = self.0.remove(0);
        let received = Timestamp::from_seconds(START + object.came);
        self.1.advance(received.since(self.1.now()));
        let name = format!("hour-{}", object.hour);
        let origin = Origin {
            tenant: TenantId::default(),
            cluster: ClusterId::default(),
            source: self.id(),
            partition: PartitionId::from(name.as_str()),
            object: name.as_str().into(),
            received,
        };
        let payloads = vec![(Position(0), events(object.hour).into_bytes())];
        Ok(Some(Envelope { is_last: true, payloads, ..Envelope::empty(Arc::new(origin), Position(1)) }))
    }

    async fn commit(&mut self, _upto: &Checkpoint) -> Result<(), SourceError> {
        Ok(())
    }
}

/// Alerts by id: what they say, and whether they are late.
type Told = BTreeMap<String, (String, bool)>;

/// The alerts of an order of arrival.
fn alerts(objects: Vec<Object>) -> Told {
    run(tempfile::tempdir().unwrap().path(), objects, true).0
}

/// The alerts of what is in this folder and of what arrives in this order, and how many rechecks waited at the start. Where the store answers none, it is
/// as if the service died before it did.
fn run(dir: &Path, objects: Vec<Object>, answers: bool) -> (Told, usize) {
    let (rules, problems) = sigma::parse(&[("r.yml".into(), RULES.to_owned())], &sigma::Settings::default());
    assert!(problems.iter().all(|problem| problem.severity != sigma::Severity::Error), "{problems:?}");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let clock = Clock::simulated(Timestamp::from_seconds(START));
        let log = Arc::new(EventLog::open(LogSettings::at(dir), clock.clone(), Arc::new(Restorer)).unwrap());
        let catalog = Arc::new(Catalog::open(dir, clock.clone(), Routes::medium_and_above(Vec::new())).await.unwrap());
        let ledger = Arc::new(Ledger::default());
        let mut engine = Engine::new(Arc::new(rules), EngineSettings { keeps_journal: true, ..EngineSettings::default() });
        if let Some(mut pieces) = log.journal() {
            let mut restore = engine.restore();
            while let Some(piece) = pieces.read().unwrap() {
                restore.piece(&piece).unwrap();
            }
            assert!(restore.finish().is_empty());
        }
        let waited = engine.stats().rechecks_waiting;
        let worker = Worker::new(engine, Arc::clone(&ledger), Arc::new(Codec), WorkerSettings::default());
        let settings = FlowSettings { flush_every: StdDuration::ZERO, flush_events_max: 1 };
        let flow = Flow::new(worker, log.clone(), catalog.clone(), ledger, clock.clone(), settings);
        let flow = if answers { flow.recheck_from(log.searcher()) } else { flow };
        let view = flow.view();
        let (_stop, stopped) = tokio::sync::watch::channel(false);
        flow.run(vec![Box::new(Objects(objects, clock))], stopped).await.unwrap();
        assert_eq!(view.borrow().rechecks.1, 0, "none was given up");
        let page = catalog.list(&AlertFilter::default(), None, 1000).await.unwrap();
        let told = page
            .alerts
            .into_iter()
            .map(|stored| stored.alert)
            .filter(|alert| alert.status != Status::Superseded)
            .map(|alert| {
                let told =
                    format!("{} {:?} x{} {}..{} {:?}", alert.rule.id, alert.group, alert.count, alert.first_seen, alert.last_seen, alert.events);
                (alert.id.to_string(), (told, alert.late))
            })
            .collect();
        (told, waited)
    })
}

#[test]
fn whole_objects_that_come_up_to_a_day_late_raise_the_alerts_of_order_once() {
    let in_order = alerts((0..30).map(|hour| Object { hour, came: (hour + 1) * HOUR }).collect());
    assert!(in_order.len() > 60, "{}", in_order.len());
    assert!(in_order.values().all(|(_, late)| !late));
    let started = tokio::time::Instant::now();
    // Every third object comes when all the others have: 1 to 30 hours after its time.
    let (on_time, late): (Vec<i64>, Vec<i64>) = (0..30).partition(|hour| hour % 3 != 1 || *hour < 5);
    let came = |hour: i64, at: i64| Object { hour, came: at };
    let objects = on_time.iter().map(|hour| came(*hour, (hour + 1) * HOUR)).chain(late.iter().map(|hour| came(*hour, 30 * HOUR + 60)));
    let found = alerts(objects.collect());
    let took = started.elapsed();
    let strip = |all: &BTreeMap<String, (String, bool)>| all.iter().map(|(id, (told, _))| (id.clone(), told.clone())).collect::<Vec<_>>();
    let (found_told, expected) = (strip(&found), strip(&in_order));
    let missed: Vec<_> = expected.iter().filter(|alert| !found_told.contains(alert)).collect();
    let double: Vec<_> = found_told.iter().filter(|alert| !expected.contains(alert)).collect();
    assert!(missed.is_empty() && double.is_empty(), "missed {missed:#?}, double {double:#?}");
    let late_alerts = found.values().filter(|(_, late)| *late).count();
    assert!(late_alerts >= late.len(), "{late_alerts} of {} objects", late.len());
    assert!(took < StdDuration::from_secs(60), "{took:?}");
}

#[test]
fn what_was_not_answered_before_the_end_is_asked_for_after_the_next_start() {
    let came = |hour: i64, at: i64| Object { hour, came: at };
    let objects = || (0..12).filter(|hour| *hour != 1).map(|hour| came(hour, (hour + 1) * HOUR)).chain([came(1, 12 * HOUR + 60)]).collect();
    let expected = alerts(objects());
    let dir = tempfile::tempdir().unwrap();
    let (before, _) = run(dir.path(), objects(), false);
    assert!(before.len() < expected.len(), "{} of {}", before.len(), expected.len());
    let (after, waited) = run(dir.path(), Vec::new(), true);
    assert_eq!(after, expected);
    // Now that the answers are saved, nothing is asked again.
    let (again, nothing) = run(dir.path(), Vec::new(), true);
    assert_eq!((again, waited > 0, nothing), (expected, true, 0));
}
