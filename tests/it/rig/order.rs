//! The order of calls that durability rests on: a name that was put in place is on the disk once its folder is synced, and not before.
//!
//! A file system may be kinder than it has to be, so that a cut of power shows nothing: here the calls themselves are looked at, by `strace`.

use std::collections::BTreeSet;
use std::time::Duration;

use super::events::Kind;
use super::feeds::push;
use super::present::total;
use super::run::{Run, runtime};
use super::syscalls::can_trace;

/// Folders of a trace, in which a name was put in place that no sync of the folder followed. Files that the service can do without do not count.
fn unsynced(trace: &str, root: &str) -> BTreeSet<String> {
    let mut open = BTreeSet::new();
    for line in trace.lines() {
        let quoted: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
        if line.contains(" rename") {
            let to = quoted.last().copied().unwrap_or_default();
            if let Some((folder, name)) = to.rsplit_once('/')
                && to.starts_with(root)
                && name != ".managed.json"
            {
                open.insert(folder.to_owned());
            }
        } else if line.contains(" fsync(") {
            // Written as the number of an open file, and its path.
            let path = line.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or("", |(path, _)| path);
            open.remove(path);
        }
    }
    open
}

#[test]
fn a_trace_is_read_right() {
    let trace = r#"7 rename("/d/parts/1/.tmp", "/d/parts/1/meta.json") = 0
7 rename("/d/parts/1/.tmp", "/d/parts/1/.managed.json") = 0
8 fsync(9</d/parts/2>) = 0
8 renameat2(AT_FDCWD</x>, "/d/a.tmp", AT_FDCWD</x>, "/d/a", 0) = 0
8 rename("/elsewhere/a", "/elsewhere/b") = 0
"#;
    assert_eq!(unsynced(trace, "/d").into_iter().collect::<Vec<_>>(), ["/d", "/d/parts/1"]);
    assert_eq!(unsynced(&format!("{trace}7 fsync(12</d/parts/1>) = 0\n"), "/d").into_iter().collect::<Vec<_>>(), ["/d"]);
}

#[test]
fn what_is_found_has_its_names_on_the_disk() {
    if let Err(why) = can_trace() {
        return eprintln!("skipped: cannot trace: {why}");
    }
    let dir = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let mut run = Run::new(dir.path(), &dir.path().join("data")).await;
        let log = dir.path().join("trace");
        run.plan.before =
            ["strace", "-D", "-f", "-qq", "-y", "-s", "4096", "-e", "trace=rename,renameat,renameat2,fsync", "-o"].map(str::to_owned).to_vec();
        run.plan.before.push(log.display().to_string());
        let mut process = run.up().unwrap();
        for turn in 1..=3 {
            let batch = run.oracle.issue(Kind::Audit, 100);
            push(&run.client, &process.url, "k8s-audit", batch.lines(run.oracle.seed).join("\n"), 100).await.unwrap();
            while total(&run.client, &process.url, "*").await.unwrap() < turn * 100 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        // To its end, so that nothing is cut off between two calls.
        process.signal("TERM");
        assert!(process.ended_within(Duration::from_secs(20)).await.is_some(), "it did not end");
        // The tracer ends after what it traces, and writes until then.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let trace = std::fs::read_to_string(&log).unwrap();
        assert!(trace.contains("/meta.json"), "no commit was seen: {trace}");
        let unsynced = unsynced(&trace, &run.plan.data.display().to_string());
        assert!(unsynced.is_empty(), "names were put in place and their folders not synced: {unsynced:?}\n{trace}");
    });
}
