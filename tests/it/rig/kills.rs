//! Killed at random instants under the load of all sources: what was confirmed is there, once, and so is every alert.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::events::draw;
use super::run::{Run, count, runtime};

/// Kills in the ordinary run; `BARTIZAN_KILLS=200 BARTIZAN_EVENTS=2000000` is the full one.
const KILLS: u64 = 5;
/// It lives 50 ms after it answers, and up to so many more.
const UP_MS: u64 = 1_450;

#[test]
fn killed_under_load_it_has_everything_once() {
    let (kills, events) = (count("BARTIZAN_KILLS", KILLS), count("BARTIZAN_EVENTS", 0));
    let up_ms = count("BARTIZAN_UP_MS", UP_MS);
    let dir = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let mut run = Run::new(dir.path(), &dir.path().join("data")).await;
        run.send_all();
        let (since, mut done, mut starts_ms) = (Instant::now(), 0, Vec::new());
        while done < kills || run.acked() < events {
            let started = Instant::now();
            let process = run.up().unwrap();
            starts_ms.push(started.elapsed().as_millis());
            tokio::time::sleep(Duration::from_millis(50 + draw(run.oracle.seed, done, 7) % up_ms)).await;
            run.down();
            process.kill();
            done += 1;
            run.oracle.diary.done(format!("kill {done}"));
            if done.is_multiple_of(20) {
                eprintln!("{done} kills, {} acked, {} s", run.acked(), since.elapsed().as_secs());
            }
        }
        run.oracle.end();
        let process = run.up().unwrap();
        let verdict = run.prove(&process, "kills").await;
        starts_ms.sort_unstable();
        let took_s = since.elapsed().as_secs();
        eprintln!("kills: {done} in {took_s} s; start p50 {} ms, max {:?} ms", starts_ms[starts_ms.len() / 2], starts_ms.last());
        assert!(run.oracle.sometimes.duplicates_offered.load(Ordering::Relaxed) > 0, "no duplicate was offered");
        // Only many kills have each of these for certain.
        assert!(done < 100 || verdict.survived > 0 && verdict.vanished > 0, "every batch in doubt ended in the same way");
    });
}
