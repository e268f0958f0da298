//! What an event costs from bytes to facts, beside sonic-rs, which parses the same bytes into its `Value`: MB per CPU second by kind, medians
//! of rounds in which every contender has its turn, and the median of the shares within each round.
//!
//! `cargo bench --no-default-features --bench normalize -- [EVENTS] [FILE | KIND | envelopes]`: without a file the corpora are made from a seed;
//! with one it is read (NDJSON). `envelopes` has the same events wrapped as clouds and shippers do.
#![expect(clippy::unwrap_used, reason = "a bench says what is wrong by failing")]

mod corpus;
mod envelopes;

use std::hint::black_box;
use std::sync::Arc;

use bartizan::decode::{DecodeLimits, Decoded, Decoder};
use bartizan::model::{Limits, Origin, Parser, Position, Timestamp};
use bartizan::normalize::{Normalizer, Redactor};

use envelopes::WRAPS;

const KINDS: [&str; 3] = ["audit", "falco", "flow"];
/// Events of a corpus that is made up.
const EVENTS: u64 = 20_000;
const ROUNDS: usize = 9;
/// A turn lasts at least so long: the clock of CPU time is coarse on some machines.
const TURN_S: f64 = 0.3;
/// Bytes of one payload.
const PAYLOAD_BYTES: usize = 1 << 20;

/// CPU seconds of this thread so far, from `/proc`: neighbours do not count.
fn cpu_s() -> f64 {
    let schedstat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    schedstat.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or_default() / 1e9
}

/// Whole lines, about as many as a payload holds.
fn payloads(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.as_bytes().iter().skip(PAYLOAD_BYTES).position(|byte| *byte == b'\n').map_or(rest.len(), |at| PAYLOAD_BYTES + at + 1);
        let (payload, tail) = rest.split_at(end);
        out.push(payload);
        rest = tail;
    }
    out
}

fn origin() -> Arc<Origin> {
    Arc::new(Origin::of("bench", Timestamp::from_seconds(1_767_225_600)))
}

/// The stages up to one of them.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Upto {
    Decode,
    Redact,
    Normalise,
}

/// A contender: its name, and one pass over the payloads.
type Contender<'c> = (&'static str, Box<dyn FnMut(&[&str]) + 'c>);

fn each_line<'c>(name: &'static str, mut each: impl FnMut(&str) + 'c) -> Contender<'c> {
    (name, Box::new(move |payloads| payloads.iter().flat_map(|payload| payload.lines()).for_each(&mut each)))
}

fn stages(name: &'static str, upto: Upto) -> Contender<'static> {
    let (mut decoder, mut out) = (Decoder::new(DecodeLimits::default(), None), Decoded::default());
    let (mut parser, mut redactor) = (Parser::new(Limits::default()), Redactor::default());
    let (normalizer, origin) = (Normalizer::default(), origin());
    let pass = move |payloads: &[&str]| {
        for payload in payloads {
            decoder.decode(payload.as_bytes(), &mut out);
            for record in out.records.drain(..) {
                if upto == Upto::Decode {
                    black_box(record);
                    continue;
                }
                let record = redactor.redact(record, &mut parser);
                if upto == Upto::Redact {
                    black_box(record);
                    continue;
                }
                black_box(normalizer.normalize(record, &origin, Position(0)));
            }
            out.clear();
        }
    };
    (name, Box::new(pass))
}

/// MB per CPU second of one turn.
fn turn(payloads: &[&str], bytes: usize, turn_s: f64, pass: &mut dyn FnMut(&[&str])) -> f64 {
    let (start, mut done) = (cpu_s(), 0);
    loop {
        pass(payloads);
        done += bytes;
        let spent_s = cpu_s() - start;
        if spent_s > turn_s {
            return done as f64 / 1e6 / spent_s;
        }
    }
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

/// MB per CPU second of each contender in each round.
fn race(contenders: &mut [Contender<'_>], text: &str, is_bench: bool) -> Vec<Vec<f64>> {
    let (rounds, turn_s) = if is_bench { (ROUNDS, TURN_S) } else { (1, 0.0) };
    let payloads = payloads(text);
    let mut rates = vec![Vec::new(); contenders.len()];
    for _ in 0..rounds {
        for ((_, pass), rates) in contenders.iter_mut().zip(&mut rates) {
            rates.push(turn(&payloads, text.len(), turn_s, pass.as_mut()));
        }
    }
    rates
}

/// In percent, round by round.
fn share(rates: &[f64], of: &[f64]) -> f64 {
    median(rates.iter().zip(of).map(|(rate, of)| 100.0 * rate / of).collect())
}

/// Secrets and card numbers that are taken out: in what is made up there is none.
fn masked(text: &str) -> u64 {
    let (mut parser, mut redactor) = (Parser::new(Limits::default()), Redactor::default());
    let (mut decoder, mut out) = (Decoder::new(DecodeLimits::default(), None), Decoded::default());
    decoder.decode(text.as_bytes(), &mut out);
    out.records.drain(..).for_each(|record| drop(redactor.redact(record, &mut parser)));
    redactor.counts().total()
}

fn report(name: &str, text: &str, is_bench: bool) {
    let events = text.lines().count();
    println!("{name}: {events} events, {:.1} MB, {} masked", text.len() as f64 / 1e6, masked(text));
    let mut parser = Parser::new(Limits::default());
    let mut contenders = [
        each_line("sonic-rs Value", |line| drop(black_box(sonic_rs::from_str::<sonic_rs::Value>(line)))),
        each_line("parse", move |line| drop(black_box(parser.parse(line.as_bytes(), None)))),
        stages("decode", Upto::Decode),
        stages("decode + redact", Upto::Redact),
        stages("decode + redact + normalise", Upto::Normalise),
    ];
    let rates = race(&mut contenders, text, is_bench);
    for ((name, _), rates_of) in contenders.iter().zip(&rates) {
        let (share, rate) = (share(rates_of, &rates[0]), median(rates_of.clone()));
        println!(
            "{name:<30} {rate:>6.0} MB {:>8.0} events per CPU second {share:>6.1} % of the first",
            rate * 1e6 * events as f64 / text.len() as f64
        );
    }
    println!();
}

/// A line without what stands in front of its JSON.
fn json_of(line: &str) -> &str {
    line.find(['{', '[']).and_then(|at| line.get(at..)).unwrap_or_default()
}

/// The same events in each envelope: MB and events per CPU second, and the shares of what only parses the same bytes. What is a string within
/// is a string to sonic-rs.
fn report_envelopes(kind: &str, events: u64, is_bench: bool) {
    let corpus = String::from_utf8(corpus::lines(kind, events, 7)).unwrap();
    let records: Vec<&str> = corpus.lines().collect();
    println!("{:<30} {:>6} {:>9} {:>14} {:>14}", format!("{kind}, {} events", records.len()), "MB", "events", "% of sonic-rs", "% of parse");
    for wrap in WRAPS.iter().filter(|wrap| kind == "audit" || !wrap.is_audit) {
        let text = wrap.all(&records);
        let (mut decoder, mut out) = (Decoder::new(DecodeLimits::default(), None), Decoded::default());
        decoder.decode(text.as_bytes(), &mut out);
        assert_eq!((out.records.len(), out.rejects.len()), (records.len(), 0), "{}: every record is found", wrap.name);
        let mut parser = Parser::new(Limits::default());
        let mut contenders = [
            each_line("sonic-rs Value", move |line| drop(black_box(sonic_rs::from_str::<sonic_rs::Value>(json_of(line))))),
            each_line("parse", move |line| drop(black_box(parser.parse(json_of(line).as_bytes(), None)))),
            stages("decode + redact + normalise", Upto::Normalise),
        ];
        let rates = race(&mut contenders, &text, is_bench);
        let rate = median(rates[2].clone());
        println!(
            "{:<30} {rate:>6.0} {:>9.0} {:>14.1} {:>14.1}",
            wrap.name,
            rate * 1e6 * records.len() as f64 / text.len() as f64,
            share(&rates[2], &rates[0]),
            share(&rates[2], &rates[1])
        );
    }
    println!();
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    // `cargo bench` says so; what `cargo test` runs is the same code, small.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let events = arguments.first().and_then(|events| events.parse().ok()).unwrap_or(if is_bench { EVENTS } else { 100 });
    let made = |kind: &str| {
        let text = String::from_utf8(corpus::lines(kind, events, 7)).unwrap();
        assert_eq!(masked(&text), 0, "{kind}: nothing is masked that is no secret");
        report(kind, &text, is_bench);
    };
    match arguments.get(1).map(String::as_str) {
        Some("envelopes") => KINDS.iter().for_each(|kind| report_envelopes(kind, events, is_bench)),
        Some(kind) if KINDS.contains(&kind) => made(kind),
        Some(path) => report(path, &std::fs::read_to_string(path).unwrap(), is_bench),
        None => {
            KINDS.iter().for_each(|kind| made(kind));
            if !is_bench {
                KINDS.iter().for_each(|kind| report_envelopes(kind, events, is_bench));
            }
        }
    }
}
