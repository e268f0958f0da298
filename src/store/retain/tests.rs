//! Over a clock that the test turns: a part each hour that something arrives in.

use super::*;
use crate::clock::Clock;
use crate::detect::sample::{TEN, event};
use crate::model::{Checkpoint, Event, PartitionId, Position};
use crate::query::Query;
use crate::store::{LogSettings, Restore, SearchRequest, StoredRecord};

const DAY: Duration = Duration::hours(24);

/// An event that says when it happened.
fn at(time: Timestamp) -> Event {
    let nanos = time.nanos() - TEN;
    event(&nanos.to_string(), nanos, &format!("{{\"at\":{nanos}}}"))
}

struct Sample;

impl Restore for Sample {
    fn restore(&self, stored: &StoredRecord) -> Option<Event> {
        let value: serde_json::Value = serde_json::from_str(&stored.text).ok()?;
        Some(at(Timestamp::from_nanos(TEN + value["at"].as_i64()?)))
    }
}

struct Bench {
    dir: tempfile::TempDir,
    clock: Clock,
    position: u64,
}

impl Bench {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), clock: Clock::simulated(Timestamp::from_nanos(TEN)), position: 0 }
    }

    /// Turns the clock on to this time.
    fn turn_to(&self, time: Timestamp) {
        self.clock.advance(time.since(self.clock.now()));
    }

    fn open(&self) -> EventLog {
        EventLog::open(LogSettings::at(self.dir.path()), self.clock.clone(), Arc::new(Sample)).unwrap()
    }

    /// Stores events that arrive now.
    fn store(&mut self, log: &EventLog, times: &[Timestamp]) {
        let events: Vec<Event> = times.iter().map(|time| at(*time)).collect();
        log.append_blocking(&events).unwrap();
        self.position += 1;
        let mut upto = Checkpoint::default();
        upto.advance(&PartitionId::from("p"), Position(self.position));
        log.flush_blocking(&upto).unwrap();
        log.settle();
    }

    /// When what is there happened.
    fn found(&self, log: &EventLog) -> Vec<Timestamp> {
        let answer = log.searcher().search(&SearchRequest { limit: 1000, ..SearchRequest::new(Query::All) }).unwrap();
        let mut times: Vec<Timestamp> = answer.events.iter().map(|hit| hit.time).collect();
        times.reverse();
        times
    }
}

#[test]
fn nothing_younger_goes_and_everything_older_does() {
    let mut bench = Bench::new();
    let log = bench.open();
    let keep = Keep { age: Some(Duration(DAY.0 * 30)), bytes: None };
    let mut all = Vec::new();
    for day in 0..100 {
        let now = Timestamp::from_nanos(TEN).plus(Duration(DAY.0 * day));
        bench.turn_to(now);
        let times = [now.minus(Duration::seconds(40)), now];
        bench.store(&log, &times);
        all.extend(times);
        let before = bench.found(&log).len();
        let gone = log.retain(&keep).unwrap();
        assert_eq!(before as u64, bench.found(&log).len() as u64 + gone.iter().map(|part| part.events).sum::<u64>());
        let young: Vec<Timestamp> = all.iter().copied().filter(|time| *time >= now.minus(Duration(DAY.0 * 30))).collect();
        let found = bench.found(&log);
        assert!(found.ends_with(&young), "day {day}: something younger is gone");
        // A part is as young as its latest event.
        assert!(found.len() <= young.len() + 2, "day {day}: {} of {} are there", found.len(), young.len());
    }
    let (kept, purged) = log.kept().unwrap();
    assert_eq!((kept.events + purged.events, purged.parts), (200, 69));
    let before = (bench.found(&log), log.writer_checkpoint());
    drop(log);
    let log = bench.open();
    assert_eq!((bench.found(&log), log.writer_checkpoint()), before);
    drop(log);
    let verified = crate::store::verify::verify(bench.dir.path(), &Sample, |_| {}).unwrap();
    assert_eq!((verified.problems.as_slice(), verified.purged.values().sum::<u64>()), (&[][..], 138));
}

#[test]
fn the_first_to_come_go_when_there_is_too_much_and_the_newest_never() {
    let mut bench = Bench::new();
    let log = bench.open();
    for hour in 0..5 {
        let now = Timestamp::from_nanos(TEN).plus(Duration::hours(hour));
        bench.turn_to(now);
        // What arrives late lies in the part of its arrival.
        bench.store(&log, &[now, now.minus(Duration::hours(100))]);
    }
    let (kept, _) = log.kept().unwrap();
    assert_eq!((kept.parts, kept.events, kept.recent_bytes), (5, 10, kept.bytes));
    assert_eq!(log.retain(&Keep { age: None, bytes: Some(kept.bytes) }).unwrap(), []);
    let gone = log.retain(&Keep { age: None, bytes: Some(kept.bytes - 1) }).unwrap();
    assert_eq!(gone.iter().map(|part| (part.part, part.why, part.events)).collect::<Vec<_>>(), [(1, Why::Bytes, 2)]);
    let checkpoint = log.writer_checkpoint();
    let gone = log.retain(&Keep { age: Some(Duration::seconds(1)), bytes: Some(1) }).unwrap();
    assert_eq!(gone.iter().map(|part| part.part).collect::<Vec<_>>(), [2, 3, 4]);
    drop(log);
    let log = bench.open();
    assert_eq!((bench.found(&log).len(), log.writer_checkpoint()), (2, checkpoint));
}

#[test]
fn a_time_in_the_future_keeps_nothing_longer_than_its_arrival_does() {
    let mut bench = Bench::new();
    let log = bench.open();
    let start = Timestamp::from_nanos(TEN);
    bench.store(&log, &[start, start.plus(Duration(DAY.0 * 400))]);
    bench.turn_to(start.plus(Duration(DAY.0 * 31)));
    bench.store(&log, &[start.plus(Duration(DAY.0 * 31))]);
    let gone = log.retain(&Keep { age: Some(Duration(DAY.0 * 30)), bytes: None }).unwrap();
    assert_eq!(gone.iter().map(|part| (part.part, part.events)).collect::<Vec<_>>(), [(1, 2)]);
}

#[test]
fn a_crash_between_the_record_and_the_removal_loses_and_revives_nothing() {
    let mut bench = Bench::new();
    let log = bench.open();
    let start = Timestamp::from_nanos(TEN);
    for hour in 0..3 {
        bench.turn_to(start.plus(Duration::hours(hour)));
        bench.store(&log, &[start.plus(Duration::hours(hour))]);
    }
    let parts = bench.dir.path().join("parts");
    let first = std::fs::read_dir(&parts).unwrap().map(|entry| entry.unwrap().path()).min().unwrap();
    let copy = bench.dir.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    for (at, file) in std::fs::read_dir(&first).unwrap().enumerate() {
        // Half of it is gone already.
        if at.is_multiple_of(2) {
            let file = file.unwrap();
            std::fs::copy(file.path(), copy.join(file.file_name())).unwrap();
        }
    }
    assert_eq!(log.retain(&Keep { age: Some(Duration::minutes(150)), bytes: None }).unwrap().len(), 0);
    bench.turn_to(start.plus(Duration::hours(3)));
    assert_eq!(log.retain(&Keep { age: Some(Duration::minutes(110)), bytes: None }).unwrap().len(), 2);
    drop(log);
    std::fs::rename(&copy, &first).unwrap();
    let verified = crate::store::verify::verify(bench.dir.path(), &Sample, |_| {}).unwrap();
    assert_eq!((verified.parts, verified.problems_total), (1, 0), "{:?}", verified.problems);
    let log = bench.open();
    assert!(!first.exists());
    assert_eq!(bench.found(&log).len(), 1);
}
