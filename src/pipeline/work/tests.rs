use super::*;
use crate::codec::Codec;
use crate::detect::engine::EngineSettings;
use crate::model::{ClusterId, Field, Kind, TenantId};

fn worker(silent_after: Duration) -> (Worker, Arc<Ledger>) {
    let ledger = Arc::new(Ledger::default());
    let settings = WorkerSettings { tells_health: true, silent_after, ..WorkerSettings::default() };
    (Worker::new(Engine::new(Arc::default(), EngineSettings::default()), Arc::clone(&ledger), Arc::new(Codec), settings), ledger)
}

fn envelope(payload: &str, object: &str, form: Form, kinds: Kinds) -> Envelope {
    let origin = Arc::new(Origin {
        tenant: TenantId::default(),
        cluster: ClusterId::default(),
        source: SourceId::from("s"),
        partition: PartitionId::from("p"),
        object: object.into(),
        received: Timestamp::from_nanos(1_000_000_000),
    });
    Envelope { kinds, form, payloads: vec![(Position(0), payload.into())], ..Envelope::empty(origin, Position(1)) }
}

fn show(event: &Event) -> String {
    let facts = |field| event.facts_of(field).join(",");
    let forged = if event.fact(Field::EventForgedKind).is_some() { " forged" } else { "" };
    format!("{}{forged} {} [{}] {}", event.kind.name(), facts(Field::EventAction), facts(Field::RedactHits), event.doc.text())
}

/// The events of a payload that this program made itself, with the ledger in balance; and the same again, of which nothing is new.
fn check(payload: &str, expected: &[&str]) {
    for (kinds, object) in
        [(Kinds::ALL, "o"), (Kinds::only(Kind::K8sAudit), "/var/log/pods/shop_web-0_536ab69f-1b3c-4bd9-9ba4-274a56188409/app/0.log")]
    {
        let (mut worker, ledger) = worker(Duration::seconds(0));
        let envelope = envelope(payload, object, Form::Whole, kinds);
        let events = worker.decode(&envelope).events;
        let own: Vec<String> = events.iter().filter(|event| event.wrapped.is_own).map(show).collect();
        assert_eq!(own.len(), expected.len(), "{payload}: {own:?}");
        for (own, expected) in own.iter().zip(expected) {
            assert!(own.starts_with(expected), "{payload}: {own}");
        }
        for event in &events {
            ledger.end(&event.origin.source, Outcome::Event(event.kind), 1);
        }
        assert_eq!(ledger.total().remainder(), 0, "{payload}");
        assert!(worker.decode(&envelope).events.is_empty(), "{payload}");
        assert_eq!(ledger.total().remainder(), 0, "{payload}");
    }
}

#[test]
fn what_can_not_be_read_is_quarantined() {
    check(r#"{"auditID":"a","verb":"get"}"#, &[]);
    check("{}", &[]);
    check(
        "{\"auditID\":\"a\",\"verb\":\"get\"}\n{\"token\":\"t1\",\n",
        &[r#"source_health unreadable,bad_json [token] {"source_health":{"action":"unreadable","reason":"bad_json","offset":29,"bytes":"#],
    );
    check(
        "no json, no secret\n",
        &[r#"source_health unreadable,not_json [] {"source_health":{"action":"unreadable","reason":"not_json","offset":0,"#],
    );
    check("\u{1f}\u{8b}\u{8}\0binary", &["source_health unreadable,"]);
    // Nothing that comes in is taken for this program's own word.
    check(r#"{"source_health":{"action":"silent"},"text":"x"}"#, &[]);
}

#[test]
fn what_comes_cut_is_told() {
    check(
        r#"{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"/aws/eks/p/cluster","logStream":"kube-apiserver-audit-1","logEvents":[{"id":"1","timestamp":1,"message":"{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",\"auditID\":\"a\",\"verb\":\"create\",\"x[Truncated...]"}]}"#,
        &[r#"source_health truncated,cloudwatch [] {"source_health":{"action":"truncated","reason":"cloudwatch","event":""#],
    );
}

#[test]
fn a_source_that_falls_silent_is_told_of_once() {
    let at = |second: i64| Timestamp::from_nanos(second * 1_000_000_000);
    let (mut worker, ledger) = worker(Duration::seconds(60));
    assert!(worker.silences(at(10_000)).is_empty(), "nothing was ever heard of it");
    let speak = |worker: &mut Worker, second: i64, id: u32| {
        let mut envelope = envelope(&format!(r#"{{"auditID":"{id}","verb":"get"}}"#), "o", Form::Whole, Kinds::ALL);
        envelope.origin = Arc::new(Origin { received: at(second), ..(*envelope.origin).clone() });
        let events = worker.decode(&envelope).events;
        assert_eq!(events.len(), 1);
        worker.detect(&events);
    };
    let silent = |worker: &mut Worker, second: i64| {
        let batches = worker.silences(at(second));
        let events: Vec<Event> = batches.into_iter().flat_map(|batch| batch.events).collect();
        worker.detect(&events);
        events.iter().map(|event| format!("{} {}", event.time, show(event))).collect::<Vec<_>>()
    };
    let told = r#"1970-01-01T00:00:01Z source_health silent [] {"source_health":{"action":"silent","time":"1970-01-01T00:00:01Z","source":"s"}}"#;
    speak(&mut worker, 1, 1);
    assert!(silent(&mut worker, 60).is_empty());
    assert_eq!(silent(&mut worker, 61), [told]);
    assert!(silent(&mut worker, 500).is_empty());
    speak(&mut worker, 600, 2);
    let back = r#"1970-01-01T00:10:02Z source_health back [] {"source_health":{"action":"back","time":"1970-01-01T00:10:02Z","silent_since":"1970-01-01T00:00:01Z","source":"s"}}"#;
    assert_eq!(silent(&mut worker, 602), [back]);
    assert!(silent(&mut worker, 659).is_empty());
    assert_eq!(silent(&mut worker, 660).len(), 1);
    assert_eq!(ledger.total().tally.records, 5);
    worker.settings.expected = vec![SourceId::from("configured")];
    assert!(silent(&mut worker, 700).is_empty());
    assert!(silent(&mut worker, 760)[0].contains(r#""source":"configured""#), "nothing ever came of it");
}

/// Events as `source cluster seconds received`; then up to when a rule over everything is judged, at this time.
fn judged(events: &[&str], now: i64, expected: Option<i64>) {
    let at = |second: i64| Timestamp::from_seconds(second);
    let mut rule = r#"{title: t, id: 5a8e2c9a-6b6f-4f9e-9d0a-3f1f6a0a7e11, status: test, level: low, logsource: {product: kubernetes, service: audit}, detection: {s: {verb: x}, condition: s}}"#.to_owned();
    rule.push('\n');
    let (rules, problems) = crate::detect::sigma::parse(&[("r.yml".into(), rule)], &crate::detect::sigma::Settings::default());
    assert!(problems.is_empty(), "{problems:?}");
    let settings = WorkerSettings { lateness: [(SourceId::from("slow"), Duration::hours(3))].into(), ..WorkerSettings::default() };
    let engine = Engine::new(Arc::new(rules), EngineSettings::default());
    let mut worker = Worker::new(engine, Arc::new(Ledger::default()), Arc::new(Codec), settings);
    for (number, event) in events.iter().enumerate() {
        let words: Vec<&str> = event.split(' ').collect();
        let time = at(words[2].parse().unwrap());
        let record = format!(r#"{{"auditID":"{number}","verb":"get","stage":"ResponseComplete","stageTimestamp":"{time}"}}"#);
        let mut envelope = envelope(&record, "o", Form::Whole, Kinds::ALL);
        let origin = Origin {
            source: words[0].into(),
            cluster: words[1].parse().unwrap(),
            received: at(words[3].parse().unwrap()),
            ..(*envelope.origin).clone()
        };
        envelope.origin = Arc::new(origin);
        let events = worker.decode(&envelope).events;
        assert_eq!(events.iter().map(|event| event.time).collect::<Vec<_>>(), [time]);
        worker.detect(&events);
    }
    worker.advance(at(now));
    assert_eq!(worker.view().evaluated_up_to.first().map(|(_, upto)| *upto), expected.map(at), "{events:?} at {now}");
}

#[test]
fn a_rule_is_judged_by_what_was_heard_in_its_clusters() {
    judged(&[], 0, None);
    judged(&["push a 100000 100001"], 100_002, Some(99_400));
    judged(&["push a 100000 100001", "slow a 99000 100001"], 100_002, Some(88_200));
    // The slow source has been idle for long: its next object still comes within its lateness.
    judged(&["slow a 90000 90001", "push a 100000 100001"], 100_002, Some(89_200));
    // A clock a year ahead moves nothing on.
    judged(&["push a 31636000 100001"], 100_002, Some(99_401));
}

/// Reads, so many to a batch.
fn batch(numbers: std::ops::Range<usize>) -> Envelope {
    let lines: Vec<String> =
        numbers.map(|n| format!(r#"{{"auditID":"p{n}","verb":"get","stage":"ResponseComplete","requestURI":"/{n}"}}"#)).collect();
    envelope(&lines.join("\n"), "o", Form::Whole, Kinds::ALL)
}

/// A process: it detects these batches until it dies. Says how many it got through, the events that matched, and what it told of itself.
fn live(dir: &std::path::Path, batches: &[Envelope], deadly: Option<&str>) -> (usize, usize, Vec<String>) {
    let rule = "title: T\nid: 11111111-1111-4111-8111-111111111111\nlogsource: {product: kubernetes, service: audit}\ndetection: {s: {verb: get}, condition: s}\nlevel: low\n";
    let (rules, _) = crate::detect::sigma::parse(&[("t.yml".into(), rule.to_owned())], &crate::detect::sigma::Settings::default());
    let engine = Engine::new(Arc::new(rules), EngineSettings::default());
    let settings = WorkerSettings { tells_health: true, ..WorkerSettings::default() };
    let worker = Worker::new(engine, Arc::new(Ledger::default()), Arc::new(Codec), settings);
    let mut worker = worker.guarded_by(Some(Guard::open(dir).unwrap()));
    let (mut done, mut matched, mut told) = (0, 0, Vec::new());
    for envelope in batches {
        let events = worker.decode(envelope).events;
        worker.deadly = deadly.and_then(|uri| events.iter().find(|event| event.doc.text().contains(uri))).map(|event| event.id);
        told.extend(events.iter().filter(|event| event.wrapped.is_own).map(show));
        let lived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| worker.detect(&events)));
        if lived.is_err() {
            break;
        }
        matched += worker.matched.len();
        done += 1;
    }
    (done, matched, told)
}

#[test]
fn an_event_that_kills_detection_twice_is_left_out_and_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let batches = [batch(0..10), batch(10..20), batch(20..30)];
    let live = |deadly| live(dir.path(), &batches, deadly);
    assert_eq!(live(Some("/13\"")), (1, 10, vec![]));
    assert_eq!(live(Some("/13\"")), (1, 10, vec![]), "the second death names it alone");
    let (done, matched, told) = live(Some("/13\""));
    assert_eq!((done, matched), (3, 29), "after two restarts the others go through");
    assert!(told.len() == 1 && told[0].starts_with("source_health poison,killed_detection"), "{told:?}");
    assert_eq!(live(Some("/13\"")).1, 29, "it stays out");
}

#[test]
fn a_death_that_has_nothing_to_do_with_an_event_condemns_none() {
    let dir = tempfile::tempdir().unwrap();
    let batches = [batch(0..10), batch(10..20)];
    assert_eq!(live(dir.path(), &batches, Some("/3\"")), (0, 0, vec![]));
    assert_eq!(live(dir.path(), &batches, None), (2, 20, vec![]), "suspects live, one by one");
    assert_eq!(live(dir.path(), &batches, Some("/3\"")), (0, 0, vec![]), "it has been cleared, so this is a first death again");
    assert_eq!(live(dir.path(), &batches, None), (2, 20, vec![]));
}

#[test]
fn the_services_own_condition_is_alerts_of_its_own() {
    let at = |second: i64| Timestamp::from_seconds(second);
    let (mut worker, ledger) = worker(Duration::seconds(0));
    let outside = |failed, unreadable: &[SourceId], times_low| Outside { failed, unreadable: unreadable.to_vec(), times_low, turned_away: 0 };
    let show = |findings: Vec<Finding>| findings.iter().map(|finding| format!("{} x{}", finding.rule.id, finding.count)).collect::<Vec<_>>();
    let speak = |worker: &mut Worker, number: i64, second: i64| {
        let record = format!(
            r#"{{"auditID":"same","verb":"get","requestURI":"/n{number}","stage":"ResponseComplete","requestReceivedTimestamp":"{0}","stageTimestamp":"{0}"}}"#,
            at(second)
        );
        let events = worker.decode(&envelope(&record, "o", Form::Whole, Kinds::ALL)).events;
        assert_eq!(events.len(), 1, "none is taken for another");
        worker.detect(&events);
        ledger.end(&SourceId::from("s"), Outcome::Event(events[0].kind), 1);
    };
    speak(&mut worker, 0, 0);
    assert!(worker.health(at(10), &outside(0, &[], 0)).is_empty());
    speak(&mut worker, 1, 1);
    assert_eq!(show(worker.health(at(10), &outside(0, &[], 0))), ["health:reused-audit-id x1"]);
    speak(&mut worker, 2, 5_000);
    assert_eq!(show(worker.health(at(10), &outside(2, &[], 0))), ["health:reused-audit-id x2", "health:skewed-clock x1", "health:lost-rechecks x2"]);
    assert!(worker.health(at(20), &outside(2, &[], 0)).is_empty());
    assert_eq!(show(worker.health(at(30), &outside(3, &[], 0))), ["health:lost-rechecks x3"]);
    let down = [SourceId::from("s")];
    assert_eq!(show(worker.health(at(40), &outside(3, &down, 0))), ["health:unreadable-source x1"]);
    assert!(worker.health(at(50), &outside(3, &down, 0)).is_empty(), "it is said once");
    assert_eq!(show(worker.health(at(55), &outside(3, &down, 1))), ["health:disk-full x1"]);
    ledger.receive(&SourceId::from("s"), 0, 2);
    assert_eq!(show(worker.health(at(60), &outside(3, &[], 1))), ["health:unaccounted-records x2"]);
    assert!(worker.health(at(70), &outside(3, &[], 1)).is_empty());
}
