//! Items 1 to 3, 14 and 17: keys, orders and versions of objects, against a bucket of this process.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bartizan::clock::Clock;
use bartizan::model::{Checkpoint, Duration as Span, Event, Timestamp};
use bartizan::ports::Source;
use bartizan::source::s3::{S3Settings, S3Source};
use serde_json::json;

use super::{audit, azure, changed, cloudwatch};
use crate::fake_s3::FakeS3;
use crate::reading::{Reading, facts, origin};

fn settings(server: &FakeS3) -> S3Settings {
    S3Settings {
        endpoint: Some(server.endpoint.clone()),
        path_style: true,
        keys: Some(("key".to_owned(), "secret".to_owned())),
        poll: Duration::from_millis(1),
        backoff: Duration::from_millis(1),
        polls_max: Some(1),
        ..S3Settings::new("bucket".into(), "logs")
    }
}

/// What one listing finds, through the stages, and how many objects it read.
async fn sweep(settings: S3Settings, dir: &Path, checkpoint: &mut Checkpoint, reading: &mut Reading) -> (Vec<Event>, usize) {
    let clock = Clock::simulated(Timestamp::parse(crate::reading::RECEIVED).unwrap());
    let mut source = S3Source::open(settings, dir, checkpoint, clock.clone()).await.unwrap();
    let (mut events, mut objects) = (Vec::new(), 0);
    while let Some(envelope) = source.next().await.unwrap() {
        clock.advance(Span::hours(24));
        checkpoint.advance(&envelope.origin.partition, envelope.upto);
        for (_, payload) in &envelope.payloads {
            objects += 1;
            let from = origin(envelope.origin.cluster.as_str(), &envelope.origin.object);
            events.extend(reading.read_from(from, payload));
        }
    }
    (events, objects)
}

fn users(events: &[Event]) -> Vec<String> {
    let mut users: Vec<String> = events.iter().map(|event| facts(event, "actor.user.name")).collect();
    users.sort();
    users
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_01_keys_of_every_spelling_and_objects_without_an_end() {
    let server = FakeS3::start().await;
    let keys = [
        ("no-line-end", "AUDIT/cat1/2026-01-01"),
        ("no-extension", "AUDIT/cat1/0001"),
        ("colon", "AUDIT/2026-01-01T00:00:00.json"),
        ("two-slashes", "AUDIT//2026.json"),
        ("leading-slash", "/fluent-bit-logs/kube/2026/01/01-objectA1"),
        ("zone", "falco/2026-01-01T03:00:00.123+03:00.json"),
    ];
    for (user, key) in keys {
        let end = if user == "no-line-end" { "" } else { "\n" };
        server.put(key, &format!("{}{end}", audit(user)));
    }
    server.put("AUDIT/empty.json", "");
    let (dir, mut checkpoint, mut reading) = (tempfile::tempdir().unwrap(), Checkpoint::default(), Reading::new());
    let (events, _) = sweep(settings(&server), dir.path(), &mut checkpoint, &mut reading).await;
    let mut expected: Vec<&str> = keys.iter().map(|(user, _)| *user).collect();
    expected.sort_unstable();
    assert_eq!(users(&events), expected);
    assert_eq!(reading.counts().tally.rejects, 0, "an empty object is none");
    let (events, objects) = sweep(settings(&server), dir.path(), &mut checkpoint, &mut reading).await;
    assert_eq!((events.len(), objects), (0, 0), "each is read once");
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_02_listing_order_is_not_time_order_and_old_names_come_late() {
    let server = FakeS3::start().await;
    let late = "cloudaudit.googleapis.com/activity/2026/01/01/08:00:00_08:59:59_A0:1767300000.json";
    let local = "falco/2026-01-01T00:00:00.5+03:00.json";
    for (key, second) in [("t/2026-01-01T00:00:00.1Z", 1), ("t/2026-01-01T00:00:00.123Z", 2), ("t/z", 0)] {
        server.put(key, &changed(key, json!({"stageTimestamp": format!("2026-01-01T00:00:{second:02}Z")})).to_string());
    }
    let (dir, mut checkpoint, mut reading) = (tempfile::tempdir().unwrap(), Checkpoint::default(), Reading::new());
    let (events, _) = sweep(settings(&server), dir.path(), &mut checkpoint, &mut reading).await;
    assert_eq!(users(&events), ["t/2026-01-01T00:00:00.123Z", "t/2026-01-01T00:00:00.1Z", "t/z"]);
    // Each has its own time, whatever the order of reading; every object here is of a storage class that nobody knows.
    let mut times: Vec<String> = events.iter().map(|event| event.time.to_string()).collect();
    times.sort();
    assert_eq!(times, ["2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z"]);
    server.put(late, &audit("late").to_string());
    server.put(local, &audit("local").to_string());
    let (events, objects) = sweep(settings(&server), dir.path(), &mut checkpoint, &mut reading).await;
    assert_eq!((users(&events), objects), (vec!["late".to_owned(), "local".to_owned()], 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_03_an_object_that_grows_is_read_again_and_gives_what_is_new() {
    let server = FakeS3::start().await;
    let key = "resourceId=/SUBSCRIPTIONS/S/y=2026/m=01/d=01/h=00/m=00/PT1H.json";
    let line = |user: &str| azure("kube-audit", &format!("{}\n", audit(user))).to_string();
    let (dir, mut checkpoint, mut reading) = (tempfile::tempdir().unwrap(), Checkpoint::default(), Reading::new());
    let half = line("bob").split_at(300).0.to_owned();
    for (body, expected) in [
        (format!("{}\n{half}", line("alice")), vec!["alice"]),
        (format!("{}\n{}\n", line("alice"), line("bob")), vec!["bob"]),
        (format!("{}\n{}\n{}\n", line("alice"), line("bob"), line("carol")), vec!["carol"]),
    ] {
        server.put(key, &body);
        let (events, _) = sweep(settings(&server), dir.path(), &mut checkpoint, &mut reading).await;
        assert_eq!(users(&events), expected);
    }
    let counts = reading.counts();
    // What was half written is a reject of its time, and an event of the next. What was read before is not read again.
    assert_eq!((counts.tally.events, counts.tally.duplicates, counts.tally.rejects), (3, 0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_14_clusters_by_key_and_by_envelope_that_have_the_same_names() {
    let server = FakeS3::start().await;
    let exec = json!({"requestURI": "/api/v1/namespaces/shop/pods/web-0/exec?command=sh", "objectRef": {"resource": "pods", "subresource": "exec", "namespace": "shop", "name": "web-0"},
        "responseStatus": {"code": 101}, "stage": "ResponseStarted"});
    let exec = changed("alice", exec).to_string();
    server.put("AUDIT/east/1", &exec);
    server.put("AUDIT/west/1", &exec);
    server.put("other/1", &cloudwatch("kube-apiserver-audit-0a", &exec).to_string());
    server.put("other/2", &exec);
    let named = S3Settings { cluster_pattern: Some(regex::Regex::new("^AUDIT/([^/]+)/").unwrap()), ..settings(&server) };
    let (dir, mut reading) = (tempfile::tempdir().unwrap(), Reading::with_rules());
    let (events, _) = sweep(named, dir.path(), &mut Checkpoint::default(), &mut reading).await;
    let mut clusters: Vec<String> = events.iter().map(|event| facts(event, "cluster k8s.namespace k8s.pod")).collect();
    clusters.sort();
    assert_eq!(clusters, ["books shop web-0", "default shop web-0", "east shop web-0", "west shop web-0"]);
    let ids: std::collections::BTreeSet<_> = events.iter().map(|event| event.id).collect();
    assert_eq!(ids.len(), 4);
    let alerts = reading.alerts(&events);
    let execs: std::collections::BTreeSet<_> = alerts
        .iter()
        .filter(|alert| alert.title.contains("ran a command"))
        .map(|alert| (alert.id, Arc::<str>::from(alert.cluster.as_str())))
        .collect();
    assert_eq!(execs.len(), 4, "an alert a cluster: {execs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_17_a_bucket_is_only_read() {
    let server = FakeS3::start().await;
    for n in 0..30 {
        server.put(&format!("k{n}"), &audit(&n.to_string()).to_string());
    }
    let etags = || server.shelf.lock().unwrap().objects.iter().map(|(key, object)| (key.clone(), object.etag.clone())).collect::<Vec<_>>();
    let before = etags();
    let (dir, mut checkpoint, mut reading) = (tempfile::tempdir().unwrap(), Checkpoint::default(), Reading::new());
    for _ in 0..2 {
        sweep(settings(&server), dir.path(), &mut checkpoint, &mut reading).await;
    }
    assert_eq!(etags(), before);
    let shelf = server.shelf.lock().unwrap();
    assert_eq!(shelf.methods.iter().map(String::as_str).collect::<Vec<_>>(), ["GET"], "nothing is put, posted or deleted");
    assert_eq!(reading.counts().tally.events, 30);
}
