//! How fast a record is parsed into a `Doc`, beside parsers that build less or more. MB per CPU second, the median of five.
//!
//! `cargo bench --no-default-features --bench parse -- [FILE]`: a file has one record a line; without one, a small corpus is made up.

use std::fmt::Write as _;
use std::hint::black_box;

use bartizan::decode::{DecodeLimits, Decoded, Decoder};
use bartizan::model::{Limits, Parser};

/// Bytes of a file that are used.
const CORPUS_BYTES_MAX: usize = 64 << 20;

fn corpus() -> String {
    let mut text = String::new();
    for n in 0..20_000_u64 {
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

fn measure(name: &str, text: &str, mut pass: impl FnMut(&str)) -> f64 {
    let mut rates: Vec<f64> = (0..5)
        .map(|_| {
            let start = cpu_s();
            pass(text);
            text.len() as f64 / 1e6 / (cpu_s() - start).max(1e-9)
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    println!("{name:<28} {:>8.0} MB per CPU second", rates[2]);
    rates[2]
}

fn lines(mut each: impl FnMut(&str)) -> impl FnMut(&str) {
    move |text| text.lines().for_each(&mut each)
}

fn main() {
    let path = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let text = path.map_or_else(corpus, |path| {
        let mut text = std::fs::read_to_string(path).expect("the file is text");
        let cut = text.char_indices().take_while(|(at, _)| *at < CORPUS_BYTES_MAX).filter(|(_, c)| *c == '\n').last();
        text.truncate(cut.map_or(text.len(), |(at, _)| at));
        text
    });
    println!("{} records, {} bytes", text.lines().count(), text.len());
    let mut parser = Parser::new(Limits::default());
    let ours = measure("bartizan Doc", &text, lines(|line| drop(black_box(parser.parse(line.as_bytes(), None)))));
    let mut decoder = Decoder::new(DecodeLimits::default(), None);
    let mut out = Decoded::default();
    measure("bartizan decode", &text, |text| {
        for chunk in text.as_bytes().chunks(1 << 20) {
            out.clear();
            decoder.decode(chunk, &mut out);
            black_box(&out);
        }
    });
    measure("serde_json Value", &text, lines(|line| drop(black_box(serde_json::from_str::<serde_json::Value>(line)))));
    measure("serde_json IgnoredAny", &text, lines(|line| drop(black_box(serde_json::from_str::<serde::de::IgnoredAny>(line)))));
    let sonic = measure("sonic-rs Value", &text, lines(|line| drop(black_box(sonic_rs::from_str::<sonic_rs::Value>(line)))));
    let mut copy = Vec::new();
    measure(
        "simd-json tape",
        &text,
        lines(|line| {
            copy.clear();
            copy.extend_from_slice(line.as_bytes());
            drop(black_box(simd_json::to_tape(&mut copy)));
        }),
    );
    println!("bartizan Doc is {:.0} % of sonic-rs Value", 100.0 * ours / sonic);
}
