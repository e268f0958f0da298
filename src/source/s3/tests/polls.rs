//! Sweeps, looks, and what a queue says.

use super::*;
use crate::source::s3::fake::{MODIFIED_S, encode};

fn now() -> Clock {
    Clock::simulated(Timestamp::from_nanos((MODIFIED_S + 24 * 3_600) * 1_000_000_000))
}

fn event(bucket: &str, key: &str) -> String {
    let record =
        serde_json::json!({"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": bucket}, "object": {"key": encode(key), "sequencer": "00"}}});
    serde_json::json!({ "Records": [record] }).to_string()
}

/// Polls until so many objects came, or for two seconds.
async fn until(source: &mut S3Source, objects: usize) -> Vec<String> {
    let mut keys = Vec::new();
    while keys.len() < objects {
        match tokio::time::timeout(Duration::from_secs(2), source.next()).await {
            Ok(envelope) => keys.push(envelope.unwrap().unwrap().origin.object.to_string()),
            Err(_) => break,
        }
    }
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_is_cheap_and_a_sweep_finds_the_rest() {
    for order in [Order::Bytes, Order::Backwards, Order::Folders] {
        let server = FakeS3::start().await;
        server.shelf.lock().unwrap().order = order;
        for n in 0..200 {
            server.put(&format!("a/2026-{n:03}"), "{}");
            server.put(&format!("b/c/2026/{n:03}"), "{}");
        }
        let clock = now();
        let polling = S3Settings { polls_max: None, sweep: Duration::from_secs(600), ..settings(&server.endpoint) };
        let dir = tempfile::tempdir().unwrap();
        let mut source = S3Source::open(polling, dir.path(), &Checkpoint::default(), clock.clone()).await.unwrap();
        assert_eq!(until(&mut source, 400).await.len(), 400);
        let pages = |source: &S3Source| (source.counts().pages.load(Ordering::Relaxed), source.counts().polls.load(Ordering::Relaxed));
        let before = pages(&source);
        for key in ["a/2026-999", "b/c/2026/999"] {
            server.put_at(key, b"{}".to_vec(), MODIFIED_S + 24 * 3_600);
        }
        if order == Order::Bytes {
            assert_eq!(until(&mut source, 2).await, ["a/2026-999", "b/c/2026/999"]);
            let after = pages(&source);
            assert!((after.0 - before.0) <= 2 * (after.1 - before.1 + 1), "a page a branch and look: {before:?} {after:?}");
        }
        // Late, in a branch of its own, and both a key and a folder.
        for key in ["a/2026-0005", "new/2026", "b/c/2026", "uuid-7f"] {
            server.put(key, "{}");
        }
        clock.advance(Span::seconds(601));
        let mut late = until(&mut source, if order == Order::Bytes { 4 } else { 6 }).await;
        late.retain(|key| !key.ends_with("999"));
        late.sort();
        assert_eq!(late, ["a/2026-0005", "b/c/2026", "new/2026", "uuid-7f"], "{order:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_breaks_off_is_made_again_whole() {
    let server = FakeS3::start().await;
    for n in 0..30 {
        server.put(&format!("k{n:02}"), "{}");
    }
    server.fault("", [Fault::Not, Fault::Token]);
    let (dir, mut checkpoint) = (tempfile::tempdir().unwrap(), Checkpoint::default());
    let run = run(S3Settings { polls_max: Some(2), ..settings(&server.endpoint) }, dir.path(), &mut checkpoint, 50).await;
    // The first listing never came to its end, so that the bucket may be set up wrongly.
    assert_eq!(run.errors.len(), 1, "{:?}", run.errors);
    let second = super::run(settings(&server.endpoint), dir.path(), &mut checkpoint, 50).await;
    assert_eq!(run.read.len() + second.read.len(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_names_objects_long_before_the_next_poll() {
    let server = FakeS3::start().await;
    server.put("first", "{}");
    let polling = S3Settings { polls_max: None, poll: Duration::from_secs(3_600), queue: Some(server.queue()), ..settings(&server.endpoint) };
    let dir = tempfile::tempdir().unwrap();
    let mut source = S3Source::open(polling, dir.path(), &Checkpoint::default(), now()).await.unwrap();
    assert_eq!(until(&mut source, 1).await, ["first"]);
    for key in ODD_KEYS {
        server.put(key, "{}");
        // Twice, and out of order.
        server.notify(&event("logs", key));
        server.notify(&event("logs", key));
    }
    for other in [event("other", "x"), "garbage".to_owned(), event("logs", "not there"), r#"{"Event":"s3:TestEvent"}"#.to_owned()] {
        server.notify(&other);
    }
    server.fault("queue", [Fault::Status(500, "InternalError")]);
    let mut keys = until(&mut source, ODD_KEYS.len()).await;
    keys.sort();
    let mut expected = ODD_KEYS.to_vec();
    expected.sort_unstable();
    assert_eq!(keys, expected);
    assert!(until(&mut source, 1).await.is_empty(), "nothing comes twice");
    let condition = source.tells().condition();
    assert_eq!((condition.counts["messages_foreign"], condition.counts["messages_unknown"], condition.counts["sweeps"]), (1, 1, 1));
    assert_eq!(condition.problem, None, "the queue is back");
    let shelf = server.shelf.lock().unwrap();
    let left: Vec<&str> = shelf.messages.values().map(|(body, _)| body.as_str()).collect();
    assert_eq!(left, [event("other", "x").as_str(), "garbage"], "what is ours was deleted");
    let methods: Vec<&str> = shelf.methods.iter().map(String::as_str).collect();
    assert_eq!(methods, ["GET", "POST AmazonSQS.DeleteMessage", "POST AmazonSQS.ReceiveMessage"], "a bucket is only read");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_down_or_loses_messages_changes_nothing_but_speed() {
    let server = FakeS3::start().await;
    server.put("first", "{}");
    let polling = S3Settings { polls_max: None, queue: Some("http://127.0.0.1:1/0/queue".to_owned()), ..settings(&server.endpoint) };
    let dir = tempfile::tempdir().unwrap();
    let mut source = S3Source::open(polling, dir.path(), &Checkpoint::default(), now()).await.unwrap();
    assert_eq!(until(&mut source, 1).await, ["first"]);
    server.put("second", "{}");
    assert_eq!(until(&mut source, 1).await, ["second"]);
    let problem = source.tells().condition().problem.unwrap();
    assert!(problem.contains("objects are found by listing alone"), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_condition_tells_what_waits() {
    let server = FakeS3::start().await;
    for n in 0..50 {
        server.put(&format!("k{n:02}"), "{}");
    }
    let dir = tempfile::tempdir().unwrap();
    let mut source = S3Source::open(settings(&server.endpoint), dir.path(), &Checkpoint::default(), now()).await.unwrap();
    let tells = source.tells();
    assert_eq!(until(&mut source, 1).await, ["k00"]);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let condition = tells.condition();
    let lag = condition.lag.unwrap();
    assert!(lag.amount > 30 && lag.amount < 50 && lag.seconds == Some(24 * 3_600), "{lag:?}");
    assert_eq!(until(&mut source, 49).await.len(), 49);
    let condition = tells.condition();
    assert_eq!((condition.lag.unwrap().amount, condition.lag.unwrap().seconds), (0, None));
    assert_eq!((condition.last_object.as_deref(), condition.counts["read"], condition.counts["listed"]), (Some("k49"), 50, 50));
}
