//! The Nth call to the operating system fails, for N from 1 until none is left: nothing that was confirmed is lost, and nothing whose sync
//! failed is confirmed.
//!
//! `strace` makes calls on the data folder fail, one in a run. Where it can not run the test says so and passes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tokio::time::Instant;

use super::events::Kind;
use super::feeds::{Ended, push};
use super::run::{Run, count, runtime};
use crate::service::{Service, setting};

/// Points in the ordinary run, spread over all calls; `BARTIZAN_POINTS=300` is the full one. `BARTIZAN_CALLS` has it fail one of [`CALLS`]
/// alone, `BARTIZAN_ERRORS` one of [`ERRORS`], `BARTIZAN_UNDER` those on files under one folder of the data.
const POINTS: u64 = 10;

/// Calls that are made to fail, by their names to `strace`.
const CALLS: &[&str] =
    &["fsync", "fdatasync", "write", "pwrite64", "rename,renameat,renameat2", "openat", "ftruncate", "unlink,unlinkat", "mkdir,mkdirat", "pread64"];
const ERRORS: &[&str] = &["EIO", "ENOSPC", "EDQUOT"];

/// Batches of one run's work, and records of one.
const BATCHES: u64 = 10;
const BATCH: u64 = 20;
/// From one batch to the next: flushes and messages fall in between.
const BETWEEN: Duration = Duration::from_millis(120);

/// Where one call of a run fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Point {
    call: &'static str,
    error: &'static str,
    nth: u64,
}

/// How a run with a failing call went.
#[derive(Debug)]
struct Outcome {
    /// The calls that failed, as the trace has them: none where no thread made so many.
    hit: Vec<String>,
    acked: u64,
    refused: u64,
    has_ended: bool,
    wrong: Vec<String>,
}

/// Whether system calls can be traced here; else why not.
pub(super) fn can_trace() -> Result<(), String> {
    let output = Command::new("strace").args(["-f", "-e", "trace=fsync", "true"]).output().map_err(|error| format!("strace: {error}"))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// The words of a tracer that makes one call of each thread fail. Its log tells what it did.
fn tracer(data: &Path, log: &Path, point: Point) -> Vec<String> {
    let Point { call, error, nth } = point;
    let mut words: Vec<String> = ["strace", "-D", "-f", "-qq", "-y", "-o"].map(str::to_owned).to_vec();
    words.push(log.display().to_string());
    words.extend(["-e".to_owned(), format!("trace={call}"), "-e".to_owned(), format!("inject={call}:error={error}:when={nth}")]);
    // These are made on the data alone; what else is written and opened is no disk's.
    let under = setting("BARTIZAN_UNDER");
    if under.is_none() && !matches!(call, "write" | "openat" | "pread64") {
        return words;
    }
    let is_meant = |path: &PathBuf| under.as_ref().is_none_or(|under| path.starts_with(data.join(under)));
    for path in ours(data).into_iter().filter(is_meant) {
        words.extend(["-P".to_owned(), path.display().to_string()]);
    }
    words
}

/// The files and folders of the data that are there, and those of the part that comes next.
fn ours(data: &Path) -> Vec<PathBuf> {
    let mut found = vec![data.to_owned()];
    let mut at = 0;
    while let Some(path) = found.get(at).cloned() {
        at += 1;
        for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
            found.push(entry.path());
        }
    }
    let parts = found.iter().filter(|path| path.parent().is_some_and(|parent| parent.ends_with("parts")));
    let newest = parts.filter_map(|path| path.file_name()?.to_str()?.split('-').next()?.parse::<u64>().ok()).max().unwrap_or(0);
    let now = bartizan::clock::Clock::System.now();
    for hour in [now, now.plus(bartizan::model::Duration::hours(1))] {
        let digits: String = hour.to_string().chars().filter(char::is_ascii_digit).take(10).collect();
        let part = data.join("parts").join(format!("{:08}-{digits}", newest + 1));
        found.extend(["raw.blk", "ids.log", "meta.json", ".managed.json"].map(|name| part.join(name)));
        found.push(part);
    }
    found.extend(["bartizan.db", "bartizan.db-wal", "bartizan.db-shm"].map(|name| data.join(name)));
    found.sort();
    found.dedup();
    found
}

/// One run with this point: some work, the same under a tracer, and then what is there.
async fn one(point: Point) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    let mut run = Run::new(dir.path(), &dir.path().join("data")).await;
    let process = run.up().unwrap();
    let before = work(&run, &process, 2).await;
    process.kill();
    let log = dir.path().join("trace");
    run.plan.before = tracer(&run.plan.data, &log, point);
    let mut outcome = Outcome { hit: Vec::new(), acked: 0, refused: 0, has_ended: false, wrong: Vec::new() };
    match run.up() {
        Ok(mut process) => {
            (outcome.acked, outcome.refused) = work(&run, &process, BATCHES).await;
            outcome.has_ended = process.ended_within(Duration::ZERO).await.is_some();
            process.kill();
        }
        Err(_) => outcome.has_ended = true,
    }
    assert_eq!(before.1, 0, "nothing fails before");
    // The tracer ends after what it traces, and writes until then.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let trace = std::fs::read_to_string(&log).unwrap_or_default();
    outcome.hit = trace.lines().filter(|line| line.contains("(INJECTED)")).map(str::to_owned).collect();
    let is_sync = point.call.contains("sync");
    if is_sync && outcome.hit.iter().any(|line| line.contains("/spool/")) && !outcome.has_ended && outcome.refused == 0 {
        outcome.wrong.push("the sync of a push failed, and every push was confirmed".to_owned());
    }
    run.plan.before.clear();
    match run.up() {
        Ok(process) => match run.check(&process).await {
            Ok(verdict) => outcome.wrong.extend(verdict.wrong()),
            Err(why) => outcome.wrong.push(why),
        },
        Err(why) => outcome.wrong.push(format!("it does not start again: {why}")),
    }
    outcome
}

/// Pushes so many batches; how many were taken and how many not.
async fn work(run: &Run, process: &Service, batches: u64) -> (u64, u64) {
    let (mut acked, mut refused) = (0, 0);
    for n in 0..batches {
        let batch = run.oracle.issue(if n % 3 == 2 { Kind::Falco } else { Kind::Audit }, BATCH);
        let to = if batch.kind == Kind::Falco { "falco" } else { "k8s-audit" };
        run.oracle.sent(&batch);
        match push(&run.client, &process.url, to, batch.lines(run.oracle.seed).join("\n"), BATCH).await {
            Ok(()) => {
                run.oracle.confirmed(&batch);
                acked += 1;
            }
            Err(Ended::Unsent) => return (acked, refused + 1),
            Err(_) => refused += 1,
        }
        tokio::time::sleep(BETWEEN).await;
    }
    (acked, refused)
}

#[test]
fn any_call_may_fail_and_nothing_confirmed_is_lost() {
    if let Err(why) = can_trace() {
        return eprintln!("skipped: cannot trace: {why}");
    }
    let points = count("BARTIZAN_POINTS", POINTS);
    let chosen =
        |all: &'static [&'static str], only: Option<String>| all.iter().copied().filter(move |one| only.as_ref().is_none_or(|only| one == only));
    let errors: Vec<&str> = chosen(ERRORS, setting("BARTIZAN_ERRORS")).collect();
    let calls = chosen(CALLS, setting("BARTIZAN_CALLS"));
    let mut kinds: Vec<(&str, &str)> = calls.flat_map(|call| errors.iter().map(move |error| (call, *error))).collect();
    let (since, mut done, mut syncs, mut ended) = (Instant::now(), 0, 0, 0);
    let mut wrong = Vec::new();
    runtime().block_on(async {
        // The first few are all made while it starts: a short run is to see it at work.
        for nth in [5].into_iter().chain(1..5).chain(6..) {
            let mut left = Vec::new();
            for (call, error) in kinds {
                if done >= points {
                    break;
                }
                let point = Point { call, error, nth };
                let outcome = one(point).await;
                // No thread makes so many calls of this kind.
                if outcome.hit.is_empty() {
                    continue;
                }
                let hit: Vec<&str> = outcome.hit.iter().map(|line| line.split_once("/data/").map_or(line.as_str(), |(_, rest)| rest)).collect();
                eprintln!("{call} {error} {nth}: taken {} refused {} ended {} {hit:?}", outcome.acked, outcome.refused, outcome.has_ended);
                left.push((call, error));
                done += 1;
                syncs += u64::from(call.contains("sync"));
                ended += u64::from(outcome.has_ended);
                if !outcome.wrong.is_empty() {
                    eprintln!("syscalls: {point:?}: {outcome:#?}");
                    wrong.push(format!("{point:?}: {}", outcome.wrong.join("; ")));
                }
                if done.is_multiple_of(20) {
                    eprintln!("syscalls: {done} points, {} wrong, {} s", wrong.len(), since.elapsed().as_secs());
                }
            }
            kinds = left;
            if kinds.is_empty() || done >= points {
                break;
            }
        }
    });
    eprintln!("syscalls: {done} points in {} s, {syncs} of them syncs, {ended} ended the program; wrong {}", since.elapsed().as_secs(), wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
