//! Harm to the files of a store of three parts, and what is found after it was made anew.

use std::sync::Arc;

use super::*;
use crate::clock::Clock;
use crate::detect::sample::{TEN, event};
use crate::model::{Checkpoint, Duration, Event, PartitionId, Position, Timestamp};
use crate::store::verify::verify;
use crate::store::{EventLog, LogSettings, SearchRequest, StoredRecord};

const PARTS: i64 = 3;
const EVENTS: i64 = 40;
const ALL: usize = 120;
/// What a part is left with that loses its index.
const BLOCKS: &[&str] = &["raw.blk", "dict", "manifest.json"];

fn numbered(n: i64) -> Event {
    event(&n.to_string(), n, &format!("{{\"n\":{n},\"even\":{}}}", n % 2 == 0))
}

struct Sample;

impl Restore for Sample {
    fn restore(&self, stored: &StoredRecord) -> Option<Event> {
        let value: serde_json::Value = serde_json::from_str(&stored.text).ok()?;
        Some(numbered(value["n"].as_i64()?))
    }
}

fn open(path: &Path, clock: &Clock) -> EventLog {
    EventLog::open(LogSettings::at(path), clock.clone(), Arc::new(Sample)).unwrap()
}

/// Fills the parts, two commits each; the last stays unsealed.
fn fill(path: &Path) -> Clock {
    let clock = Clock::simulated(Timestamp::from_nanos(TEN));
    let log = open(path, &clock);
    for n in 0..PARTS * EVENTS {
        log.append_blocking(&[numbered(n)]).unwrap();
        if n % (EVENTS / 2) == EVENTS / 2 - 1 {
            let mut upto = Checkpoint::default();
            upto.advance(&PartitionId::from("p"), Position(u64::try_from(n).unwrap()));
            log.flush_blocking(&upto).unwrap();
        }
        if n % EVENTS == EVENTS - 1 && n < PARTS * EVENTS - 1 {
            clock.advance(Duration::hours(1));
        }
    }
    log.settle();
    clock
}

/// What some searches find, and the checkpoint.
fn answers(log: &EventLog) -> (Vec<Vec<String>>, Checkpoint) {
    let texts = ["*", "even:true", "n:7*", "n:[30 TO 50]", "NOT even:true"];
    let found = texts.map(|text| {
        let query = crate::query::parse(text).unwrap();
        let answer = log.searcher().search(&SearchRequest { limit: 1000, ..SearchRequest::new(query) }).unwrap();
        assert!(answer.total.exact && !answer.partial && answer.total.value == answer.events.len() as u64, "{text}");
        answer.events.iter().map(|hit| hit.event.doc.text().to_owned()).collect()
    });
    (found.to_vec(), log.writer_checkpoint())
}

fn parts(path: &Path) -> Vec<PathBuf> {
    list(&path.join("parts")).unwrap().into_iter().map(|(_, dir)| dir).collect()
}

/// Takes everything out of a part but what begins like these.
fn keep(dir: &Path, kept: &[&str]) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if !kept.iter().any(|kept| name.starts_with(kept)) {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
}

/// Does this harm, makes the index anew, and holds what is found against what was. How many parts were made, and what was complained of.
fn check(all: bool, harm: impl Fn(&[PathBuf])) -> (u64, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let clock = fill(dir.path());
    let (before, checkpoint) = answers(&open(dir.path(), &clock));
    assert_eq!(before[0].len(), ALL);
    harm(&parts(dir.path()));
    let done = reindex(dir.path(), all, &Sample, |_| {}).unwrap();
    let log = open(dir.path(), &clock);
    assert_eq!(answers(&log), (before, checkpoint));
    // What is there is known by its id, too.
    log.append_blocking(&[numbered(0), numbered(PARTS * EVENTS - 1)]).unwrap();
    assert_eq!(log.counts().duplicates, 2);
    drop(log);
    let verified = verify(dir.path(), &Sample, |_| {}).unwrap();
    assert_eq!((verified.records, verified.problems), (ALL as u64, Vec::<String>::new()));
    assert_eq!(std::fs::read_dir(dir.path().join("parts")).unwrap().count(), parts(dir.path()).len(), "nothing is left over");
    (done.parts, done.problems)
}

#[test]
fn an_index_that_is_lost_is_had_back() {
    assert_eq!(check(false, |_| {}), (0, vec![]));
    assert_eq!(check(true, |_| {}), (3, vec![]));
    assert_eq!(check(false, |parts| keep(&parts[0], BLOCKS)), (1, vec![]));
    assert_eq!(check(false, |parts| parts.iter().for_each(|dir| keep(dir, BLOCKS))), (3, vec![]));
    assert_eq!(check(false, |parts| std::fs::write(parts[1].join("meta.json"), "{}").unwrap()), (1, vec![]));
    // The table of ids alone, the manifest alone.
    assert_eq!(check(false, |parts| std::fs::remove_file(parts[1].join("ids.tab")).unwrap()), (1, vec![]));
    assert_eq!(check(true, |parts| std::fs::remove_file(parts[2].join("manifest.json")).unwrap()), (3, vec![]));
}

#[test]
fn a_crash_at_any_rename_loses_no_part() {
    assert_eq!(check(false, |parts| std::fs::rename(&parts[0], beside(&parts[0], OLD)).unwrap()), (0, vec![]));
    assert_eq!(check(false, |parts| std::fs::create_dir(beside(&parts[0], OLD)).unwrap()), (0, vec![]));
    assert_eq!(check(false, |parts| std::fs::create_dir(beside(&parts[0], NEW)).unwrap()), (0, vec![]));
}

#[test]
fn what_can_not_be_had_back_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let clock = fill(dir.path());
    // The last part was never sealed: without its index its commit is gone, too. And a crash tore the block behind its last.
    let last = parts(dir.path()).pop().unwrap();
    keep(&last, &["raw.blk", "dict"]);
    let blocks = std::fs::read(last.join("raw.blk")).unwrap();
    std::fs::write(last.join("raw.blk"), [&blocks[..], &blocks[..40]].concat()).unwrap();
    let done = reindex(dir.path(), false, &Sample, |_| {}).unwrap();
    assert_eq!((done.parts, done.events, done.whole, done.problems.len()), (1, 40, 2, 1), "{:?}", done.problems);
    assert!(done.problems[0].contains("its last commit is lost"), "{:?}", done.problems);
    let log = open(dir.path(), &clock);
    assert_eq!(answers(&log).0[0].len(), ALL);
    assert_eq!(log.writer_checkpoint().get(&PartitionId::from("p")), Position(79), "that of the part before");
    assert!(matches!(reindex(dir.path(), true, &Sample, |_| {}), Err(StoreError::Held { .. })), "beside an owner nothing is touched");
    drop(log);
    // Damage within the blocks: the part stays, and says so.
    let first = parts(dir.path()).remove(0);
    let mut blocks = std::fs::read(first.join("raw.blk")).unwrap();
    blocks[30] ^= 1;
    std::fs::write(first.join("raw.blk"), blocks).unwrap();
    let done = reindex(dir.path(), true, &Sample, |_| {}).unwrap();
    assert!(done.parts == 2 && done.problems.len() == 1 && done.problems[0].contains("stays as it is"), "{done:?}");
}
