//! How fast a record is parsed into a `Doc`, beside parsers that build less or more. MB per CPU second: the
//! median of rounds in which every parser has its turn, so that a busy neighbour slows all of them.
//!
//! `cargo bench --no-default-features --bench parse -- [FILE]`: a file has one record a line; without one, a small corpus is made up.

use std::fmt::Write as _;
use std::hint::black_box;

use bartizan::decode::{DecodeLimits, Decoded, Decoder};
use bartizan::model::{Limits, Parser};

/// Bytes of a file that are used.
const CORPUS_BYTES_MAX: usize = 64 << 20;
const ROUNDS: usize = 9;
/// A turn lasts at least so long: the clock of CPU time is coarse on some machines.
const TURN_S: f64 = 0.4;

fn corpus(records: u64) -> String {
    let mut text = String::new();
    for n in 0..records {
        let _ = writeln!(
            text,
            concat!(
                r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"RequestResponse","auditID":"00000000-0000-4000-8000-{n:012}","#,
                r#""stage":"ResponseComplete","requestURI":"/api/v1/namespaces/team-{n}/pods/web-{n}?timeout=10s","verb":"patch","#,
                r#""user":{{"username":"system:serviceaccount:team-{n}:builder","uid":"u-{n}","groups":["system:serviceaccounts","system:authenticated"],"#,
                r#""extra":{{"authentication.kubernetes.io/pod-name":["web-{n}"]}}}},"sourceIPs":["10.0.0.{n}"],"userAgent":"kubectl/v1.36.0 (linux/amd64)","#,
                r#""objectRef":{{"resource":"pods","namespace":"team-{n}","name":"web-{n}","apiVersion":"v1"}},"responseStatus":{{"metadata":{{}},"code":200}},"#,
                r#""requestObject":{{"metadata":{{"labels":{{"app":"web","say":"\"{n}\""}}}},"spec":{{"containers":[{{"name":"web","image":"registry/web:{n}","#,
                r#""ports":[{{"containerPort":8080,"protocol":"TCP"}}],"securityContext":{{"privileged":false}}}}]}}}},"#,
                r#""requestReceivedTimestamp":"2026-01-01T00:00:00.000001Z","stageTimestamp":"2026-01-01T00:00:00.000002Z","#,
                r#""annotations":{{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":"RBAC: allowed by RoleBinding"}}}}"#
            ),
            n = n
        );
    }
    text
}

/// CPU seconds of this process so far, from `/proc`: neighbours do not count.
fn cpu_s() -> f64 {
    let schedstat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    schedstat.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or_default() / 1e9
}

/// A parser: its name, and one pass over the text.
type Contender<'c> = (&'c str, Box<dyn FnMut(&str) + 'c>);

fn lines<'c>(name: &'c str, mut each: impl FnMut(&str) + 'c) -> Contender<'c> {
    (name, Box::new(move |text| text.lines().for_each(&mut each)))
}

/// MB per CPU second of one turn, which lasts at least so long.
fn turn(text: &str, turn_s: f64, pass: &mut dyn FnMut(&str)) -> f64 {
    let (start, mut bytes) = (cpu_s(), 0);
    loop {
        pass(text);
        bytes += text.len();
        let spent_s = cpu_s() - start;
        if spent_s > turn_s {
            return bytes as f64 / 1e6 / spent_s;
        }
    }
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

fn main() {
    let path = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    // `cargo bench` says so; what `cargo test` runs is the same code, small.
    let is_bench = std::env::args().any(|arg| arg == "--bench");
    let (records, rounds, turn_s) = if is_bench { (20_000, ROUNDS, TURN_S) } else { (100, 1, 0.0) };
    let text = path.map_or_else(
        || corpus(records),
        |path| {
            let mut text = std::fs::read_to_string(path).expect("the file is text");
            let cut = text.char_indices().take_while(|(at, _)| *at < CORPUS_BYTES_MAX).filter(|(_, c)| *c == '\n').last();
            text.truncate(cut.map_or(text.len(), |(at, _)| at));
            text
        },
    );
    println!("{} records, {} bytes", text.lines().count(), text.len());
    let mut parser = Parser::new(Limits::default());
    let mut decoder = Decoder::new(DecodeLimits::default(), None);
    let (mut out, mut copy) = (Decoded::default(), Vec::new());
    let mut contenders = vec![
        lines("sonic-rs Value", |line| drop(black_box(sonic_rs::from_str::<sonic_rs::Value>(line)))),
        lines("bartizan Doc", move |line| assert!(black_box(parser.parse(line.as_bytes(), None)).is_ok())),
        lines("serde_json Value", |line| drop(black_box(serde_json::from_str::<serde_json::Value>(line)))),
        lines("serde_json IgnoredAny", |line| drop(black_box(serde_json::from_str::<serde::de::IgnoredAny>(line)))),
        lines("simd-json tape", move |line| {
            copy.clear();
            copy.extend_from_slice(line.as_bytes());
            drop(black_box(simd_json::to_tape(&mut copy)));
        }),
    ];
    contenders.push((
        "bartizan decode",
        Box::new(move |text| {
            for chunk in text.as_bytes().chunks(1 << 20) {
                out.clear();
                decoder.decode(chunk, &mut out);
                black_box(&out);
            }
        }),
    ));
    let mut rates = vec![Vec::new(); contenders.len()];
    for _ in 0..rounds {
        for ((_, pass), rates) in contenders.iter_mut().zip(&mut rates) {
            rates.push(turn(&text, turn_s, pass.as_mut()));
        }
    }
    let first = rates[0].clone();
    for ((name, _), rates) in contenders.iter().zip(rates) {
        let share = median(rates.iter().zip(&first).map(|(rate, first)| 100.0 * rate / first).collect());
        println!("{name:<24} {:>6.0} MB per CPU second {share:>6.0} % of the first", median(rates));
    }
}
