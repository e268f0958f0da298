//! Signals that an operating system sends: told to end it drains, stopped and continued it goes on, and nobody shares its data.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::events::draw;
use super::run::{Run, count, runtime};

/// Times it is told to end in the ordinary run; `BARTIZAN_TERMS=200` is the full one.
const TERMS: u64 = 5;
/// Within this it has ended: what was confirmed is in the store, nothing is cut off.
const DRAIN: Duration = Duration::from_secs(5);
/// Times it is stopped in the ordinary run; `BARTIZAN_STOPS=100` is the full one.
const STOPS: u64 = 3;

#[test]
fn told_to_end_under_load_it_drains_in_time() {
    let terms = count("BARTIZAN_TERMS", TERMS);
    let dir = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let mut run = Run::new(dir.path(), &dir.path().join("data")).await;
        run.send_all();
        let mut drains_ms: Vec<u128> = Vec::new();
        for turn in 0..terms {
            let mut process = run.up().unwrap();
            tokio::time::sleep(Duration::from_millis(50 + draw(run.oracle.seed, turn, 13) % 1_450)).await;
            let since = Instant::now();
            process.signal("TERM");
            let status = process.ended_within(DRAIN * 5).await;
            drains_ms.push(since.elapsed().as_millis());
            run.down();
            let status = status.unwrap_or_else(|| panic!("it did not end: {}", process.said()));
            assert!(status.success(), "it ended with {status}: {}", process.said());
        }
        run.oracle.end();
        let process = run.up().unwrap();
        let verdict = run.prove(&process, "terms").await;
        assert_eq!(verdict.survived, 0, "what was taken had its answer");
        // A request that goes out on an idle connection just as the server closes it has none, and nothing of it was taken: HTTP/1.1 can not tell the two apart.
        let broken_off = run.oracle.sometimes.retried.load(Ordering::Relaxed) + run.oracle.sometimes.left_in_doubt.load(Ordering::Relaxed);
        assert!(broken_off <= 1 + terms / 10, "{broken_off} requests of {terms} ends had no answer");
        drains_ms.sort_unstable();
        let (p50, max) = (drains_ms[drains_ms.len() / 2], drains_ms[drains_ms.len() - 1]);
        eprintln!("terms: {terms}; drained p50 {p50} ms, max {max} ms");
        // An unoptimised build on a busy machine takes its time.
        let patience = if cfg!(debug_assertions) { DRAIN * 4 } else { DRAIN };
        assert!(max <= patience.as_millis(), "draining took {max} ms");
    });
}

#[test]
fn stopped_and_continued_it_goes_on() {
    let (stops, stop_ms) = (count("BARTIZAN_STOPS", STOPS), count("BARTIZAN_STOP_MS", 1_500));
    let dir = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let mut run = Run::new(dir.path(), &dir.path().join("data")).await;
        run.send_all();
        let process = run.up().unwrap();
        for turn in 0..stops {
            tokio::time::sleep(Duration::from_millis(50 + draw(run.oracle.seed, turn, 14) % 950)).await;
            process.signal("STOP");
            tokio::time::sleep(Duration::from_millis(stop_ms)).await;
            process.signal("CONT");
        }
        let verdict = run.prove(&process, "stops").await;
        assert_eq!(verdict.vanished, 0, "nothing broke off");
    });
}

#[test]
fn a_second_one_on_the_same_data_is_refused_and_harms_nothing() {
    let dir = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let mut run = Run::new(dir.path(), &dir.path().join("data")).await;
        run.send_all();
        let process = run.up().unwrap();
        for _ in 0..3 {
            let why = run.plan.start().err().expect("the second one starts");
            assert!(why.contains(&format!("process {}", process.id())) && why.contains("exit status: 2"), "it names the one that holds it: {why}");
        }
        run.prove(&process, "second").await;
        process.kill();
        // A lock of one that died holds nobody up.
        run.plan.start().unwrap();
    });
}
