//! Rotation, as tables of what happens to files, what is to be read of them and what is said of it.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

use super::follow::Tail;
use super::*;
use crate::model::{Form, PartitionId, Position, Timestamp};

/// A folder, what is done to it, and what was read of it.
pub(super) struct Bench {
    dir: tempfile::TempDir,
    patterns: Vec<String>,
    start: Start,
    tail: Option<Tail>,
    pub(super) checkpoint: Checkpoint,
    now: Timestamp,
    pieces: BTreeMap<PartitionId, Vec<u8>>,
    /// Lines, in the order in which they came.
    pub(super) lines: Vec<String>,
    pub(super) notices: Vec<&'static str>,
    pub(super) rejects: usize,
}

impl Bench {
    pub(super) fn new(patterns: &[&str], start: Start) -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            patterns: patterns.iter().map(|pattern| (*pattern).to_owned()).collect(),
            start,
            tail: None,
            checkpoint: Checkpoint::default(),
            now: Timestamp::from_seconds(1_000_000_000),
            pieces: BTreeMap::new(),
            lines: Vec::new(),
            notices: Vec::new(),
            rejects: 0,
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Everything that was handed over is durable, and the program starts anew.
    pub(super) fn restart(&mut self) {
        assert!(self.pieces.is_empty(), "within a stream");
        self.tail = None;
    }

    pub(super) fn wait(&mut self, seconds: i64) {
        self.now = self.now.plus(Duration::seconds(seconds));
    }

    /// Looks once and reads all that is to be had.
    pub(super) fn read(&mut self) {
        let patterns: Vec<String> = self.patterns.iter().map(|pattern| self.at(pattern).to_string_lossy().into_owned()).collect();
        let (start, checkpoint) = (self.start, self.checkpoint.clone());
        let mut tail = self.tail.take().unwrap_or_else(|| {
            let settings = TailSettings::new(SourceId::from("logs"), Paths::parse(&patterns, &["*.tmp".to_owned()]).unwrap());
            Tail::new(TailSettings { start, files_max: 1_000, ..settings }, &checkpoint)
        });
        let now = self.now;
        let mut out = |envelope: Envelope| {
            self.take(envelope);
            true
        };
        assert!(tail.look(now, &mut out));
        let mut turns = 0;
        while tail.read(now, &mut out) == (true, true) {
            turns += 1;
            assert!(turns < 10_000, "reading does not end");
        }
        self.tail = Some(tail);
    }

    fn take(&mut self, envelope: Envelope) {
        let partition = envelope.origin.partition.clone();
        self.rejects += envelope.rejects.len();
        self.notices.extend(envelope.notices.iter().map(|notice| notice.what.name()));
        for (_, payload) in envelope.payloads {
            if matches!(envelope.form, Form::Piece { .. }) {
                self.pieces.entry(partition.clone()).or_default().extend(payload);
            } else {
                self.note(&payload);
            }
        }
        if envelope.is_last {
            let whole = self.pieces.remove(&partition).unwrap();
            self.note(&whole);
        }
        if envelope.upto != Position(0) {
            self.checkpoint.advance(&partition, envelope.upto);
        }
        envelope.forgets.iter().for_each(|partition| self.checkpoint.forget(partition));
    }

    fn note(&mut self, payload: &[u8]) {
        let text = String::from_utf8_lossy(payload);
        self.lines.extend(text.split(['\n', '\u{1e}']).map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned));
    }

    /// `append FILE WORD..` (a line each), `raw FILE TEXT`, `mv A B`, `cp A B`, `cut FILE`, `rm FILE`, `gzip FILE`, `read`, `wait SECONDS`, `restart`.
    pub(super) fn run(&mut self, step: &str) {
        let words: Vec<&str> = step.split(' ').collect();
        match words.as_slice() {
            ["append", file, lines @ ..] => self.write(file, &lines.iter().map(|line| format!("{line}\n")).collect::<String>()),
            ["raw", file, text @ ..] => self.write(file, &text.join(" ").replace("\\n", "\n")),
            ["mv", from, to] => fs::rename(self.at(from), self.at(to)).unwrap(),
            ["cp", from, to] => drop(fs::copy(self.at(from), self.at(to)).unwrap()),
            ["cut", file] => drop(OpenOptions::new().write(true).truncate(true).open(self.at(file)).unwrap()),
            ["rm", file] => fs::remove_file(self.at(file)).unwrap(),
            ["gzip", file] => {
                let to = File::create(self.at(&format!("{file}.gz"))).unwrap();
                let mut encoder = flate2::write::GzEncoder::new(to, flate2::Compression::default());
                io::copy(&mut File::open(self.at(file)).unwrap(), &mut encoder).unwrap();
                encoder.finish().unwrap();
                fs::remove_file(self.at(file)).unwrap();
            }
            ["read"] => self.read(),
            ["wait", seconds] => {
                self.wait(seconds.parse().unwrap());
                self.read();
            }
            ["restart"] => self.restart(),
            _ => panic!("unknown step `{step}`"),
        }
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.at(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    pub(super) fn condition(&self) -> Condition {
        self.tail.as_ref().unwrap().condition()
    }
}

/// Does the steps, one a line, and holds what came against what is expected: lines, and notices in brackets. With `restarts`, also with a new start
/// after every step at which all is read: nothing may come twice or be missing.
fn check(patterns: &[&str], restarts: bool, steps: &str, expected: &str) {
    let plain: Vec<&str> = steps.split(';').map(str::trim).collect();
    let reads = plain.iter().enumerate().filter(|(_, step)| step.starts_with("read") || step.starts_with("wait")).map(|(at, _)| at);
    for restart in reads.filter(|_| restarts).map(Some).chain([None]) {
        let mut bench = Bench::new(patterns, Start::Beginning);
        for (at, step) in plain.iter().enumerate() {
            bench.run(step);
            if restart == Some(at) {
                bench.restart();
                bench.read();
            }
        }
        bench.wait(60);
        bench.read();
        bench.read();
        let told: String = bench.notices.iter().map(|notice| format!(" [{notice}]")).collect();
        // Whose turn it is among files is chance, so names tell the order within each.
        bench.lines.sort();
        assert_eq!(format!("{}{told}", bench.lines.join(" ")), expected, "{steps}, restart {restart:?}");
        assert_eq!(bench.condition().lag.unwrap().amount, 0, "{steps}");
        assert_eq!(bench.condition().problem, None);
    }
}

#[test]
fn rotation() {
    let log = &["x.log"][..];
    let all = &["x.log*"][..];
    // Renamed, in sight and out of it.
    check(log, true, "append x.log a b; read; append x.log c; read; append x.log d; read", "a b c d");
    check(all, true, "append x.log a b; read; mv x.log x.log.1; append x.log c; read; append x.log d; read", "a b c d");
    check(all, true, "append x.log a; read; append x.log b; mv x.log x.log.1; append x.log c; read", "a b c");
    check(log, false, "append x.log a; read; append x.log b; mv x.log x.log.1; append x.log c; read; append x.log.1 late; read", "a b c late");
    check(all, true, "append x.log a; read; mv x.log x.log.2; append x.log b; mv x.log x.log.1; append x.log c; read", "a b c");
    // As lumberjack and the kubelet do it.
    check(&["*"], true, "append audit.log a; read; mv audit.log audit-2026-01-01T00-00-00.000.log; append audit.log b; read", "a b");
    check(
        &["*"],
        false,
        "append 0.log a; read; append 0.log b; mv 0.log 0.log.20260101-000000; append 0.log c; read; gzip 0.log.20260101-000000; read; wait 10",
        "a b c",
    );
    // Compressed once it was read, and before: its rest comes out of the archive.
    check(all, false, "append x.log a b; read; mv x.log x.log.1; gzip x.log.1; read; wait 10; wait 60", "a b");
    check(all, false, "append x.log a b; mv x.log x.log.1; gzip x.log.1; read; wait 10", "a b");
    check(all, true, "append x.log a b; mv x.log x.log.1; gzip x.log.1; append x.log c; read; wait 10; append x.log d; read", "a b c d");
    // Cut to nothing, read or not, and copied before.
    check(log, true, "append x.log a b; read; cp x.log x.log.1; cut x.log; append x.log c; read", "a b c");
    check(log, true, "append x.log a b; read; cut x.log; read; append x.log c; read", "a b c");
    check(log, true, "append x.log a b; read; cut x.log; append x.log c d e f g h; read", "a b c d e f g h");
    check(all, false, "append x.log a b; read; cp x.log x.log.1; cut x.log; append x.log c; read; wait 10", "a b c");
    check(all, false, "append x.log a b; read; append x.log c; cp x.log x.log.1; cut x.log; append x.log d; read; wait 10", "a b c d");
    // A writer that did not notice leaves a hole.
    check(log, true, "append x.log a; read; cut x.log; raw x.log \0\0\0\0; append x.log b; read", "a b");
    // Deleted, and used again.
    check(log, false, "append x.log a; read; append x.log b; rm x.log; read; wait 40; append x.log c; read", "a b c");
    check(log, true, "append x.log a; read; rm x.log; read; wait 40; append x.log b c; read", "a b c");
    check(&["d"], true, "append d/a/0.log a; append d/b/0.log b; read; mv d/a/0.log d/b/1.log; append d/b/1.log c; read", "a b c");
}

#[test]
fn what_is_half_there_waits() {
    let log = &["x.log"][..];
    check(log, true, "raw x.log {\"a\":; read; wait 20; raw x.log 1}\\n; read", "{\"a\":1}");
    check(log, true, "raw x.log {\\n\"a\":; read; wait 20; raw x.log 1\\n}\\n; read", "\"a\":1 { }");
    check(log, true, "raw x.log [\\n{\"a\":1},\\n; read; raw x.log {\"b\":2}; read; raw x.log \\n]\\n; read", "{\"a\":1}, {\"b\":2}");
    // A line that nothing ends is taken once nothing comes; half of a record only when nothing can come any more.
    check(log, true, "raw x.log line; read; wait 6; append x.log more; read", "line more");

    check(&["*"], false, "append x.log a; raw x.log {\"a\":; read; mv x.log y.log; read; wait 10; wait 31", "a {\"a\":");
    check(log, false, "append x.log a; raw x.log {\"a\":; read; rm x.log; read; wait 31", "a {\"a\":");
    let (part, end) = ("2026-01-01T00:00:00Z stdout P {\"a\":\\n", "2026-01-01T00:00:00Z stdout F 1}\\n");
    let lines = format!("{end}{part}").replace("\\n", " ");
    check(log, true, &format!("raw x.log {part}; read; wait 20; raw x.log {end}; read"), lines.trim());
}

#[test]
fn what_was_read_and_changed_is_told() {
    let log = &["x.log"][..];
    // Shrunk, and as it began; and changed in place behind its beginning.
    check(log, true, "append x.log a; read; append x.log b c; read; cut x.log; append x.log a b; read", "a a b b c [overwritten]");
    let long = "x".repeat(2_000);
    let steps = format!("append x.log {long} y a; read; cut x.log; append x.log {long} z a b; read");
    check(log, false, &steps, &format!("a a b {long} {long} y z [overwritten]"));
    // Cut or deleted while it was known that more waits.
    check(log, false, "append x.log a; raw x.log {\"b\":; read; cut x.log; append x.log c; read", "a c [gap]");
}

#[test]
fn reading_starts_at_the_end_if_that_is_asked_for() {
    let mut bench = Bench::new(&["*"], Start::End);
    for step in [
        "append x.log a b",
        "append y.log c",
        "gzip y.log",
        "append z.log d",
        "read",
        "append x.log e",
        "append new.log f",
        "read",
        "restart",
        "append late.log g",
        "read",
        "wait 10",
    ] {
        bench.run(step);
    }
    assert_eq!(bench.lines, ["e", "f", "g"]);
}

#[test]
fn what_is_wrong_is_told_and_tried_again() {
    let mut bench = Bench::new(&["x.log", "y.log"], Start::Beginning);
    bench.run("append x.log a b c");
    bench.run("raw y.log \u{7f}ELF\0\0\0");
    bench.run("read");
    assert_eq!((bench.rejects, bench.lines.len()), (1, 3));
    bench.run("raw y.log more");
    bench.run("raw x.log half");
    bench.run("restart");
    bench.run("read");
    let condition = bench.condition();
    assert_eq!((bench.rejects, condition.problem, condition.lag.unwrap().amount), (1, None, 4));
    let mut many = Bench::new(&["d"], Start::Beginning);
    (0..1_100).for_each(|n| many.run(&format!("append d/{n}.log line{n}")));
    many.run("read");
    let condition = many.condition();
    assert_eq!((many.lines.len(), condition.counts["files_watched"], condition.counts["files_open"]), (1_000, 1_000, 512));
    assert_eq!(condition.problem.unwrap(), "100 files are not read, since 1000 are: narrow `paths`, or make it several sources");
}

#[test]
fn values_longer_than_what_is_held_are_streamed_and_the_next_are_read() {
    let mut bench = Bench::new(&["x.log"], Start::Beginning);
    let items = format!("{{\"auditID\":\"{}\"}},\n", "x".repeat(1 << 20)).repeat(33);
    bench.run("append x.log first");
    bench.run("read");
    bench.run(&format!("raw x.log {{\"items\":[\n{items}{{}}]}}\n"));
    bench.run("append x.log last");
    for _ in 0..3 {
        bench.run("wait 6");
    }
    assert_eq!((bench.lines.len(), bench.lines.last().unwrap().as_str()), (37, "last"));
    bench.run("append x.log more");
    bench.run("restart");
    bench.run("read");
    assert_eq!(bench.lines.last().unwrap(), "more");
}

#[test]
fn damaged_archives_give_what_can_be_read() {
    let mut bench = Bench::new(&["*.gz"], Start::Beginning);
    bench.run("append x a b c");
    bench.run("gzip x");
    let path = bench.at("x.gz");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 6]).unwrap();
    (0..3).for_each(|_| bench.run("wait 6"));
    assert_eq!((bench.lines.join(" ").as_str(), bench.rejects), ("a b c", 1));
    bench.run("restart");
    bench.run("wait 20");
    assert_eq!(bench.lines.len(), 3);
}
