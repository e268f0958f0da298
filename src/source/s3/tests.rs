mod polls;
mod streams;
mod versions;

use std::path::{Path, PathBuf};
use std::process::Command;

use super::fake::{FakeS3, Fault, Order};
use super::*;
use crate::model::{Form, RejectReason, Timestamp};
use crate::source::objects::place;

fn settings(endpoint: &str) -> S3Settings {
    S3Settings {
        endpoint: Some(endpoint.to_owned()),
        path_style: true,
        keys: Some(("bartizan".to_owned(), "bartizan-secret".to_owned())),
        poll: Duration::from_millis(1),
        backoff: Duration::from_millis(1),
        polls_max: Some(1),
        ..S3Settings::new("bucket".into(), "logs")
    }
}

/// What one run of the source gave.
#[derive(Default)]
struct Run {
    read: Vec<(String, String)>,
    rejects: Vec<RejectReason>,
    errors: Vec<String>,
    notices: Vec<String>,
    tells: Option<Arc<dyn Tells>>,
    counts: Arc<S3Counts>,
}

impl Run {
    fn keys(&self) -> Vec<&str> {
        let mut keys: Vec<&str> = self.read.iter().map(|(key, _)| key.as_str()).collect();
        keys.sort_unstable();
        keys
    }

    fn count(&self, of: fn(&S3Counts) -> &AtomicU64) -> u64 {
        of(&self.counts).load(Ordering::Relaxed)
    }
}

/// Reads until the source ends, or so many envelopes came, and moves the checkpoint over all of it.
async fn run(settings: S3Settings, dir: &Path, checkpoint: &mut Checkpoint, envelopes_max: usize) -> Run {
    let clock = Clock::simulated(Timestamp::default());
    run_on(&clock, settings, dir, checkpoint, envelopes_max, |_| clock.advance(Span::hours(24))).await
}

/// The same, on this clock, and doing something before each envelope.
async fn run_on(
    clock: &Clock,
    settings: S3Settings,
    dir: &Path,
    checkpoint: &mut Checkpoint,
    envelopes_max: usize,
    mut before: impl FnMut(usize),
) -> Run {
    let mut source = S3Source::open(settings, dir, checkpoint, clock.clone()).await.unwrap();
    let mut run = Run { counts: source.counts(), ..Run::default() };
    let mut open: Option<(String, String)> = None;
    for number in 0..envelopes_max {
        before(number);
        match source.next().await {
            Ok(Some(envelope)) => {
                let (before, after) = (place(checkpoint.get(&envelope.origin.partition)), place(envelope.upto));
                let is_end = after == (before.0 + 1, 0);
                assert!(is_end || after.0 == before.0 && after.1 > before.1, "the numbers have no gap: {before:?} {after:?}");
                checkpoint.advance(&envelope.origin.partition, envelope.upto);
                run.rejects.extend(envelope.rejects.iter().map(|reject| reject.reason));
                run.notices.extend(envelope.notices.iter().map(|notice| format!("{}: {}", notice.what.name(), notice.detail)));
                for (_, payload) in envelope.payloads {
                    let (key, text) = (envelope.origin.object.to_string(), String::from_utf8(payload).unwrap());
                    match (envelope.form, open.take()) {
                        (Form::Piece { .. }, Some((name, before))) => {
                            assert_eq!(name, key);
                            open = Some((key, before + &text));
                        }
                        (Form::Piece { .. }, None) => open = Some((key, text)),
                        _ => run.read.push((key, text)),
                    }
                }
                if envelope.is_last {
                    run.read.extend(open.take());
                }
            }
            Ok(None) => break,
            Err(error) => {
                run.errors.push(format!("{error}: {}", std::error::Error::source(&error).unwrap()));
                if !error.is_transient() {
                    break;
                }
            }
        }
    }
    run.read.extend(open);
    run.tells = Some(source.tells());
    run
}

const ODD_KEYS: &[&str] = &[
    "audit/2026:01:01T00:00:00.json",
    "audit//double.json",
    "audit/a+b c%2Fd.json",
    "audit/ü-日本.json",
    "/leading/slash.json",
    "audit/&<amp>.json",
    "audit/a=b&c?d#e.json",
    "audit/~!@$^*()',;|`{}[].json",
    "audit/../up/./here.json",
    "audit/new\nline\tand\u{1}.json",
    "audit/%41+%2F.json",
    "audit/2026-01-01T03:00:00.123+03:00.json",
];

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_all_spellings_are_read_once() {
    let server = FakeS3::start().await;
    for key in ODD_KEYS {
        server.put(key, &format!("body of {key}"));
    }
    let long = format!("audit/{}", "k".repeat(1_018));
    server.put(&long, &format!("body of {long}"));
    server.put("audit/empty.json", "");
    server.put("audit/folder/", "");
    let (dir, mut checkpoint) = (tempfile::tempdir().unwrap(), Checkpoint::default());
    let first = run(settings(&server.endpoint), dir.path(), &mut checkpoint, 100).await;
    let mut expected = [ODD_KEYS, &[&long]].concat();
    expected.sort_unstable();
    assert_eq!(first.keys(), expected);
    assert!(first.read.iter().all(|(key, body)| *body == format!("body of {key}")));
    assert_eq!((first.count(|c| &c.found), first.count(|c| &c.failed)), (15, 0));
    let again = run(settings(&server.endpoint), dir.path(), &mut checkpoint, 100).await;
    assert_eq!((again.keys().len(), again.count(|c| &c.listed)), (0, 15));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_anywhere_reads_the_rest_and_nothing_twice() {
    let server = FakeS3::start().await;
    for n in 0..40 {
        server.put(&format!("k{n:02}"), &format!("{n}"));
    }
    for stop in [0, 1, 6, 7, 8, 39, 40] {
        let (dir, mut checkpoint) = (tempfile::tempdir().unwrap(), Checkpoint::default());
        let first = run(settings(&server.endpoint), dir.path(), &mut checkpoint, stop).await;
        server.shelf.lock().unwrap().order = Order::Backwards;
        let second = run(settings(&server.endpoint), dir.path(), &mut checkpoint, 100).await;
        server.shelf.lock().unwrap().order = Order::Bytes;
        let mut keys = [first.keys(), second.keys()].concat();
        keys.sort_unstable();
        assert_eq!(first.keys().len(), stop);
        assert_eq!(keys, (0..40).map(|n| format!("k{n:02}")).collect::<Vec<_>>(), "stopped after {stop}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn late_and_earlier_keys_and_new_versions_are_found() {
    let server = FakeS3::start().await;
    let (dir, mut checkpoint) = (tempfile::tempdir().unwrap(), Checkpoint::default());
    server.put("m", "1");
    run(settings(&server.endpoint), dir.path(), &mut checkpoint, 9).await;
    server.put("a", "late, and sorted before");
    server.put("m", "2");
    let next = run(settings(&server.endpoint), dir.path(), &mut checkpoint, 9).await;
    assert_eq!(next.read, [("a".to_owned(), "late, and sorted before".to_owned()), ("m".to_owned(), "2".to_owned())]);
    let other = S3Settings { prefix: "n".to_owned(), ..settings(&server.endpoint) };
    server.put("n/1", "x");
    assert_eq!(run(other, dir.path(), &mut checkpoint, 9).await.keys(), ["n/1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn passing_faults_cost_a_retry() {
    let server = FakeS3::start().await;
    for key in ["500", "slow", "short", "reset", "many"] {
        server.put(key, "some bytes of a body");
    }
    server.fault("", [Fault::Status(503, "SlowDown"), Fault::Status(500, "InternalError")]);
    server.fault("500", [Fault::Status(500, "InternalError")]);
    server.fault("slow", [Fault::Status(400, "RequestTimeout"), Fault::Status(429, "TooMany")]);
    server.fault("short", [Fault::Reset(10), Fault::Short(5)]);
    server.fault("reset", [Fault::Reset(0)]);
    server.fault("many", [Fault::Status(502, ""), Fault::Reset(9), Fault::Reset(0), Fault::Status(504, "")]);
    let (dir, mut checkpoint) = (tempfile::tempdir().unwrap(), Checkpoint::default());
    let run = run(settings(&server.endpoint), dir.path(), &mut checkpoint, 100).await;
    assert_eq!(run.keys(), ["500", "many", "reset", "short", "slow"]);
    assert!(run.read.iter().all(|(_, body)| body == "some bytes of a body"));
    assert_eq!((run.count(|c| &c.retries), run.count(|c| &c.failed), run.errors.len()), (12, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_longer_is_read_by_a_later_listing_or_given_up_by_name() {
    let server = FakeS3::start().await;
    for key in ["a", "later", "never", "z"] {
        server.put(key, key);
    }
    server.shelf.lock().unwrap().ghosts.push("ghost".to_owned());
    server.fault("later", [Fault::Status(500, "InternalError"); 12]);
    server.fault("never", [Fault::Status(403, "AccessDenied"); 100]);
    let (dir, mut checkpoint) = (tempfile::tempdir().unwrap(), Checkpoint::default());
    let many = S3Settings { polls_max: Some(100), poll: Duration::from_millis(1), ..settings(&server.endpoint) };
    // Both that fail take a number a try, besides the four that are read.
    let run = run(many, dir.path(), &mut checkpoint, 3 + 3 + 2 * 10).await;
    assert_eq!(run.keys(), ["a", "later", "z"]);
    assert_eq!(run.rejects, [RejectReason::Unread, RejectReason::Unread]);
    assert_eq!((run.count(|c| &c.vanished), run.count(|c| &c.given_up)), (10, 2));
    assert_eq!(server.shelf.lock().unwrap().gets["never"], 10, "a refusal is not repeated at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_can_not_be_listed_is_an_error_and_later_a_passing_one() {
    let server = FakeS3::start().await;
    let (dir, mut checkpoint) = (tempfile::tempdir().unwrap(), Checkpoint::default());
    server.fault("", [Fault::Status(403, "AccessDenied")]);
    let refused = run(settings(&server.endpoint), dir.path(), &mut checkpoint, 9).await;
    assert_eq!(refused.errors, ["cannot read `bucket logs`: refused: AccessDenied: by script"]);
    server.put("a", "a");
    let thrice = S3Settings { polls_max: Some(3), ..settings(&server.endpoint) };
    server.fault("", [Fault::Not, Fault::Status(403, "AccessDenied")]);
    let passing = run(thrice, dir.path(), &mut checkpoint, 9).await;
    assert_eq!(passing.errors, ["cannot reach `bucket logs`: refused: AccessDenied: by script"]);
    assert_eq!((passing.keys(), passing.count(|c| &c.sweeps)), (vec!["a"], 2));
    let gone = run(settings("http://127.0.0.1:1"), dir.path(), &mut checkpoint, 9).await;
    assert!(gone.errors.len() == 1 && gone.errors[0].starts_with("cannot reach"), "{:?}", gone.errors);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_names_its_cluster() {
    let server = FakeS3::start().await;
    server.put("logs/prod-eu/1", "x");
    server.put("other", "x");
    let named = S3Settings { cluster_pattern: Some(regex::Regex::new("^logs/([^/]+)/").unwrap()), ..settings(&server.endpoint) };
    let dir = tempfile::tempdir().unwrap();
    let mut source = S3Source::open(named, dir.path(), &Checkpoint::default(), Clock::System).await.unwrap();
    let mut clusters = Vec::new();
    while let Some(envelope) = source.next().await.unwrap() {
        clusters.push(envelope.origin.cluster.to_string());
    }
    assert_eq!(clusters, ["prod-eu", "default"]);
}

/// The script that starts a real server, where this checkout has it.
fn script() -> Option<PathBuf> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    ["../shared", "../../shared"].iter().map(|shared| project.join(shared).join("tools/servers/s3")).find(|path| path.exists())
}

fn call(script: &Path, arguments: &[&str]) -> String {
    let output = Command::new(script).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "tests against real servers are asked for by the environment")]
async fn live_a_real_server() {
    let Some(script) = script().filter(|_| std::env::var("LIVE").is_ok_and(|live| live == "1")) else {
        println!("left out: needs LIVE=1 and the scripts of real servers");
        return;
    };
    let (data, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let at = data.path().to_str().unwrap();
    let started = call(&script, &["start", at]);
    let endpoint = started.split_whitespace().next().unwrap();
    call(&script, &["bucket", at, "logs"]);
    let shared = bucket::shared(&settings(endpoint)).await;
    let bucket = bucket::Bucket::connect(&settings(endpoint), &shared, Arc::default());
    let keys: Vec<String> = (0..50).map(|n| format!("audit/2026-01-01T00:00:{n:02}Z+{n}.json")).collect();
    for key in &keys {
        bucket.put(key, format!("body of {key}")).await;
    }
    let mut checkpoint = Checkpoint::default();
    let first = run(settings(endpoint), dir.path(), &mut checkpoint, 20).await;
    let second = run(settings(endpoint), dir.path(), &mut checkpoint, 100).await;
    let third = run(settings(endpoint), dir.path(), &mut checkpoint, 100).await;
    let wrong = S3Settings { keys: Some(("bartizan".to_owned(), "wrong".to_owned())), ..settings(endpoint) };
    let refused = run(wrong, tempfile::tempdir().unwrap().path(), &mut Checkpoint::default(), 9).await;
    call(&script, &["stop", at]);
    let mut read = [first.keys(), second.keys()].concat();
    read.sort_unstable();
    assert_eq!(read, keys);
    assert!(first.read.iter().chain(&second.read).all(|(key, body)| *body == format!("body of {key}")));
    assert_eq!((third.read.len(), third.count(|c| &c.listed)), (0, 50));
    assert!(refused.errors[0].contains("SignatureDoesNotMatch"), "{:?}", refused.errors);
}
