//! A disk that fills up under load and is freed: pushes are refused at once and taken again soon, searches go on, nothing is lost, and nobody
//! restarts anything.
//!
//! The data lies on a small file system of its own. Needs root and loop devices; without them the test says so and passes.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::events::Kind;
use super::feeds::{Ended, push};
use super::power::Disk;
use super::present::{get_json, total};
use super::run::{Run, count, runtime};
use crate::service::Service;

/// Bytes of the disk; `BARTIZAN_DISK_MB` sets other ones.
const DISK_MB: u64 = 96;
/// Times it fills up; `BARTIZAN_FILLS` sets another number.
const FILLS: u64 = 1;

/// Within this a push is answered on a full disk, and a search too.
const ANSWER: Duration = Duration::from_secs(2);
/// Within this a push is taken again once there is room.
const RESUME: Duration = Duration::from_secs(10);
/// How long the disk stays full.
const FULL: Duration = Duration::from_secs(4);
/// Load may take so long to meet the full disk.
const NOTICE: Duration = Duration::from_secs(30);

/// Fills the file system to the last byte.
fn fill(ballast: &Path) {
    let mut file = std::fs::File::options().create(true).append(true).open(ballast).unwrap();
    for bytes in [1 << 20, 4_096, 512] {
        let piece = vec![7; bytes];
        while file.write_all(&piece).is_ok() {}
    }
    let _ = file.sync_all();
}

/// What a client sees of one push: status, whether it is told when to come back, and how long that took.
async fn try_push(run: &Run, url: &str) -> (u16, bool, Duration) {
    let batch = run.oracle.issue(Kind::Audit, 50);
    run.oracle.sent(&batch);
    let since = Instant::now();
    let answer = run.client.post(format!("{url}/ingest/k8s-audit")).body(batch.lines(run.oracle.seed).join("\n")).send().await.unwrap();
    let (status, is_told) = (answer.status().as_u16(), answer.headers().contains_key("retry-after"));
    if status == 200 {
        run.oracle.confirmed(&batch);
    }
    (status, is_told, since.elapsed())
}

async fn one_fill(run: &Run, process: &Service, ballast: &Path) {
    let url = &process.url;
    fill(ballast);
    let since = Instant::now();
    let refused = loop {
        let (status, is_told, took) = try_push(run, url).await;
        assert!(took <= ANSWER, "a push on a full disk took {took:?}");
        if status != 200 {
            assert_eq!(status, 503, "a full disk is answered by 503");
            assert!(is_told, "and by when to come back");
            break since.elapsed();
        }
        assert!(since.elapsed() < NOTICE, "a disk without room never showed");
    };
    let since = Instant::now();
    let mut slowest = Duration::ZERO;
    while since.elapsed() < FULL {
        let search = Instant::now();
        total(&run.client, url, "*").await.unwrap();
        slowest = slowest.max(search.elapsed());
        fill(ballast);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(slowest <= ANSWER, "a search on a full disk took {slowest:?}");
    std::fs::remove_file(ballast).unwrap();
    let since = Instant::now();
    loop {
        let (status, ..) = try_push(run, url).await;
        if status == 200 {
            break;
        }
        let said = process.said();
        assert!(since.elapsed() < RESUME * 6, "room is back for {:?} and pushes are answered by {status}: {said}", since.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let resumed = since.elapsed();
    eprintln!("room: refused after {refused:?}, slowest search {slowest:?}, taken again after {resumed:?}");
    assert!(resumed <= RESUME, "pushes were taken again only {resumed:?} after room came back");
}

#[test]
fn a_full_disk_that_is_freed_loses_nothing_and_needs_no_restart() {
    let dir = tempfile::tempdir().unwrap();
    let disk = match Disk::make(dir.path(), "disk", count("BARTIZAN_DISK_MB", DISK_MB) << 20) {
        Ok(disk) => disk,
        Err(why) => return eprintln!("skipped: needs root and loop devices: {why}"),
    };
    runtime().block_on(async {
        let mut run = Run::new(dir.path(), &disk.at.join("data")).await;
        run.send_all();
        let process = run.up().unwrap();
        for _ in 0..count("BARTIZAN_FILLS", FILLS) {
            tokio::time::sleep(Duration::from_secs(3)).await;
            one_fill(&run, &process, &disk.at.join("ballast")).await;
        }
        let ready = get_json(&run.client, &format!("{}/readyz", process.url)).await;
        assert!(!matches!(push(&run.client, &process.url, "k8s-audit", String::new(), 0).await, Err(Ended::InDoubt)), "{ready:?}");
        run.prove(&process, "room").await;
        process.kill();
    });
}
