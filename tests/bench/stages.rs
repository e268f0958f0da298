//! What each stage costs: events and bytes a CPU second, each stage on top of the one before, by what `serve` calls.
//!
//! `cargo bench --bench stages -- [EVENTS] [FILE]`: without a file the corpus is made from a seed; with one it is read (NDJSON). CPU
//! time is that of all threads of the process.
#![expect(clippy::unwrap_used, reason = "a bench says what is wrong by failing")]

mod corpus;

use std::sync::Arc;

use bartizan::app::{Restorer, rules};
use bartizan::clock::Clock;
use bartizan::codec::Codec;
use bartizan::decode::{DecodeLimits, Decoded, Decoder};
use bartizan::detect::engine::{Engine, EngineSettings};
use bartizan::detect::pack;
use bartizan::detect::sigma;
use bartizan::model::{Checkpoint, Envelope, Event, Limits, Origin, Parser, Position};
use bartizan::pipeline::{Ledger, Worker, WorkerSettings};
use bartizan::store::{EventLog, LogSettings};

/// Events of a run that does not say how many.
const EVENTS: u64 = 20_000;

/// Events of the run that is a test.
const EVENTS_OF_TEST: u64 = 200;

/// Rounds, of which the median counts.
const ROUNDS: usize = 3;

/// Bytes of one payload.
const PAYLOAD_BYTES: usize = 1 << 20;

/// CPU seconds of this process so far, of threads that have ended, too (a sum over the threads that there are would leave those out).
fn cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program, in brackets, may have spaces; user and system time are the 12th and 13th word after it, in hundredths.
    let words = stat.rsplit_once(')').map(|(_, words)| words.split_whitespace()).into_iter().flatten();
    words.skip(11).take(2).filter_map(|word| word.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn payloads(corpus: &[u8]) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = corpus;
    while !rest.is_empty() {
        let end = rest.get(PAYLOAD_BYTES..).and_then(|tail| tail.iter().position(|b| *b == b'\n')).map_or(rest.len(), |at| PAYLOAD_BYTES + at + 1);
        let (payload, tail) = rest.split_at(end);
        out.push(payload.to_vec());
        rest = tail;
    }
    out
}

fn origin() -> Arc<Origin> {
    Arc::new(Origin::of("bench", Clock::System.now()))
}

fn worker(with_rules: bool) -> Worker {
    let rules = if with_rules { sigma::parse(&pack::rules(), &rules::settings(None, false)).0 } else { Default::default() };
    Worker::new(Engine::new(Arc::new(rules), EngineSettings::default()), Arc::new(Ledger::default()), Arc::new(Codec), WorkerSettings::default())
}

/// Through the worker; what `each` does with the events is the stage on top.
fn through(payloads: &[Vec<u8>], with_rules: bool, mut each: impl FnMut(Vec<Event>)) -> u64 {
    let mut worker = worker(with_rules);
    let origin = origin();
    let mut events = 0;
    for (at, payload) in (0..).zip(payloads) {
        let envelope = Envelope::of(Arc::clone(&origin), vec![(Position(at), payload.clone())]);
        let batch = worker.decode(&envelope);
        events += batch.events.len() as u64;
        if with_rules {
            worker.detect(&batch.events);
        }
        each(batch.events);
    }
    events
}

fn parse(corpus: &[u8]) -> u64 {
    let mut parser = Parser::new(Limits::default());
    corpus.split(|b| *b == b'\n').filter(|line| !line.is_empty()).filter(|line| parser.parse(line, None).is_ok()).count() as u64
}

fn decode(payloads: &[Vec<u8>]) -> u64 {
    let (mut decoder, mut out, mut records) = (Decoder::new(DecodeLimits::default(), None), Decoded::default(), 0);
    for payload in payloads {
        decoder.decode(payload, &mut out);
        records += out.records.len() as u64;
        out.clear();
    }
    records
}

fn store(payloads: &[Vec<u8>], with_rules: bool) -> (u64, u64) {
    let dir = tempfile::tempdir().unwrap();
    let log = EventLog::open(LogSettings::at(dir.path()), Clock::System, Arc::new(Restorer)).unwrap();
    let mut at = 0;
    let events = through(payloads, with_rules, |events| {
        log.append_blocking(&events).unwrap();
        at += 1;
        if at % 16 == 0 {
            log.flush_blocking(&Checkpoint::default()).unwrap();
        }
    });
    log.flush_blocking(&Checkpoint::default()).unwrap();
    log.settle();
    drop(log);
    (events, size(dir.path()))
}

fn size(folder: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { size(&path) } else { path.metadata().map(|meta| meta.len()).unwrap_or_default() }).sum()
}

fn report(name: &str, bytes: usize, records: Option<u64>, mut stage: impl FnMut() -> u64) {
    let mut seconds = Vec::new();
    let mut events = 0;
    for _ in 0..ROUNDS {
        let before = cpu_s();
        events = stage();
        assert!(records.is_none_or(|records| records == events), "{name}: every record is an event");
        seconds.push((cpu_s() - before).max(1e-6));
    }
    seconds.sort_by(f64::total_cmp);
    let median = seconds.get(ROUNDS / 2).copied().unwrap_or(1.0);
    println!("{name:<34} {:>10.0} events/cpu-s {:>9.1} MB/cpu-s", events as f64 / median, bytes as f64 / 1e6 / median);
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    // `cargo bench` says so; what `cargo test` runs is the same code, small.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let events = arguments.first().and_then(|events| events.parse().ok()).unwrap_or(if is_bench { EVENTS } else { EVENTS_OF_TEST });
    let corpora: Vec<(String, Vec<u8>)> = match arguments.get(1) {
        Some(path) => vec![(path.clone(), std::fs::read(path).unwrap())],
        None => ["audit", "flow"].iter().map(|kind| ((*kind).to_owned(), corpus::lines(kind, events, 7))).collect(),
    };
    for (name, corpus) in &corpora {
        let payloads = payloads(corpus);
        println!("{name}: {:.1} MB", corpus.len() as f64 / 1e6);
        // A file of yours may have repeats and rejects; what is made here has none.
        let records = arguments.get(1).is_none().then(|| parse(corpus));
        report("parse", corpus.len(), records, || parse(corpus));
        report("decode", corpus.len(), records, || decode(&payloads));
        report("decode + redact + normalise", corpus.len(), records, || through(&payloads, false, drop));
        report("… + detect (built-in rules)", corpus.len(), records, || through(&payloads, true, drop));
        report("decode … + store, without rules", corpus.len(), records, || store(&payloads, false).0);
        let mut stored = 0;
        report("end to end", corpus.len(), records, || {
            let (events, bytes) = store(&payloads, true);
            stored = bytes;
            events
        });
        println!("stored: {:.1} % of raw\n", stored as f64 * 100.0 / corpus.len() as f64);
    }
}
