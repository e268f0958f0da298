//! Hostile input, E1 to E28, through the program itself: each item ends, is accounted for to the last record, and costs little.
//!
//! What is no file stands beside: `fields` puts secrets into every member (E26), `sockets` abuses HTTP and TLS (E7, E27), and `ELSEWHERE` names
//! the rest. `BARTIZAN_HOSTILE=1` prints time and peak memory of each; they mean something in a release build
//! (`cargo test --release --test it hostile`).

mod fields;
mod sockets;

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use tokio::time::Instant;

use crate::service::{PROGRAM, setting};

/// How an item ended.
struct Ended {
    records: u64,
    events: u64,
    duplicates: u64,
    rejects: u64,
    code: i32,
    took: Duration,
    peak_kib: u64,
}

fn number(text: &str, after: &str, before: &str) -> u64 {
    let rest = text.split_once(after).map_or(text, |(_, rest)| rest);
    rest.split_once(before).and_then(|(number, _)| number.rsplit([' ', '\n']).next()?.parse().ok()).unwrap_or_default()
}

fn decode(bytes: &[u8]) -> Ended {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let started = Instant::now();
    let mut child =
        Command::new(PROGRAM).args(["decode", "--output", "ndjson"]).arg(file.path()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak_kib = 0;
    let ended = loop {
        if let Ok(text) = std::fs::read_to_string(&status) {
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            peak_kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(peak_kib).max(peak_kib);
        }
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        assert!(started.elapsed() < Duration::from_secs(120), "it does not end");
        std::thread::sleep(Duration::from_millis(2));
    };
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(!said.contains("panicked"), "{said}");
    assert!(!said.contains('\u{1b}'), "no control character of the input reaches the terminal: {said:?}");
    let summary = said.lines().find(|line| line.contains(" records of ")).unwrap_or_default();
    Ended {
        records: number(summary, "", " records of"),
        events: number(summary, "files: ", " events"),
        duplicates: number(summary, "), ", " duplicates"),
        rejects: number(summary, "duplicates, ", " rejects")
            .max(summary.rsplit(", ").next().and_then(|rest| rest.split(' ').next()?.parse().ok()).unwrap_or_default()),
        code: ended.code().unwrap_or(-1),
        took: started.elapsed(),
        peak_kib,
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An audit event with these members besides.
fn audit(id: &str, more: &str) -> String {
    format!(
        r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Request","auditID":"{id}","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/a/pods/b","verb":"get","user":{{"username":"alice"}},"requestReceivedTimestamp":"2026-01-01T00:00:00.000001Z","stageTimestamp":"2026-01-01T00:00:00.000002Z"{more}}}"#
    )
}

fn with_object(text: &str) -> Vec<u8> {
    audit("x", &format!(r#","requestObject":{text}"#)).into_bytes()
}

/// A zstd frame of run-length blocks: four bytes become 128 KiB.
fn zstd_bomb(blocks: u32, window: u8) -> Vec<u8> {
    let mut bytes = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, window];
    for block in 0..blocks {
        let header = u32::from(block + 1 == blocks) | 1 << 1 | (128 << 10) << 3;
        bytes.extend_from_slice(&header.to_le_bytes()[..3]);
        bytes.push(b' ');
    }
    bytes
}

/// What becomes of an item.
enum Fate {
    /// So many events, and nothing else.
    Events(u64),
    /// Nothing of it is an event, and at least one reject says why.
    Rejects,
    /// Events and rejects in any number, but accounted for.
    Accounted,
    /// Not a record: there is nothing in it.
    Nothing,
}
use Fate::{Accounted, Events, Nothing, Rejects};

/// Numbers whose whole test is in another place.
const ELSEWHERE: &[(u32, &str)] = &[(26, "hostile/fields.rs, secrets.rs"), (27, "hostile/sockets.rs, door.rs, service.rs")];

/// A frame of LZ4, and what Kafka's clients write before Snappy: not read, and damaged besides.
const LZ4: &[u8] = b"\x04\x22\x4d\x18\x64\x40\xa7\xff\xff\xff\x7f";
const SNAPPY: &[u8] = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01\xff\xff\xff\xff\xff";
const SNAPPY_FRAMED: &[u8] = b"\xff\x06\0\0sNaPpY\0\xff\xff\xff";

/// A record of a topic with so many headers.
fn with_headers(count: usize, value: &str) -> Vec<u8> {
    let headers: Vec<String> = (0..count).map(|n| format!(r#""h{n}","v""#)).collect();
    format!(r#"{{"topic":"audit","partition":0,"offset":7,"headers":[{}],"value":{}}}"#, headers.join(","), serde_json::Value::from(value))
        .into_bytes()
}

/// An OTLP value in values, so deep.
fn otlp(depth: usize) -> Vec<u8> {
    let body = format!("{}{{\"stringValue\":\"x\"}}{}", r#"{"arrayValue":{"values":["#.repeat(depth), "]}}".repeat(depth));
    format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{body}}}]}}]}}]}}"#).into_bytes()
}

/// Messages of protobuf in each other, with right lengths: field 1 of the outermost, then lists of values.
fn protobuf(depth: usize) -> Vec<u8> {
    let varint = |mut length: usize| {
        let mut bytes = Vec::new();
        while length > 0x7f {
            bytes.push(length as u8 | 0x80);
            length >>= 7;
        }
        bytes.push(length as u8);
        bytes
    };
    // body of a log record (5), array (5), values (1), array, values, ..; around it records (2), scopes (2), resources (1).
    let inner =
        (0..depth).fold(b"\x0a\x01x".to_vec(), |inner, at| [vec![if at % 2 == 0 { 0x0a } else { 0x2a }], varint(inner.len()), inner].concat());
    [0x2a, 0x12, 0x12, 0x0a].into_iter().fold(inner, |inner, tag| [vec![tag], varint(inner.len()), inner].concat())
}

fn items() -> Vec<(&'static str, Vec<u8>, Fate)> {
    // A debug build is slow: the same items, smaller.
    let scale = if cfg!(debug_assertions) { 1 } else { 8 };
    let good = audit("good", "");
    let keys = |count: usize| (0..count).map(|n| format!(r#""k{n}":{n}"#)).collect::<Vec<_>>().join(",");
    let list = |count: usize| {
        let items: Vec<String> = (0..count).map(|n| format!(r#"{{"auditID":"{n}","verb":"get","stage":"ResponseComplete"}}"#)).collect();
        format!(r#"{{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{}]}}"#, items.join(",")).into_bytes()
    };
    let members = |count: usize| (0..count).flat_map(|n| gzip(format!("{}\n", audit(&n.to_string(), "")).as_bytes())).collect::<Vec<u8>>();
    let mut cut = gzip(format!("{good}\n").repeat(3).as_bytes());
    cut.truncate(cut.len() - 9);
    vec![
        ("E1 gzip bomb", gzip(&vec![0; scale * (32 << 20)]), Accounted),
        ("E2 gzip in gzip in gzip in gzip", gzip(&gzip(&gzip(&gzip(good.as_bytes())))), Accounted),
        ("E3 gzip of many members", members(2_500 * scale), Events(2_500 * scale as u64)),
        ("E4 zstd with a window of 2 GiB", zstd_bomb(1, 0xa8), Rejects),
        ("E5 zstd of 4 GiB", zstd_bomb(32_768, 0x58), Accounted),
        ("E6 gzip cut", cut, Accounted),
        ("E6 gzip of a wrong sum", { let mut bytes = gzip(format!("{good}\n").repeat(3).as_bytes()); let at = bytes.len() - 6; bytes[at] ^= 0x55; bytes }, Accounted),
        ("E7 garbage after gzip", [gzip(good.as_bytes()), b"garbage".to_vec()].concat(), Accounted),
        ("E8 a million brackets in requestObject", with_object(&format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000))), Events(1)),
        ("E8 a million brackets open", with_object(&"[".repeat(1_000_000)), Rejects),
        ("E9 lists in lists around the record", [vec![b'['; 100_000], good.clone().into_bytes()].concat(), Accounted),
        ("E9 a string in a string, 40 deep", (0..16).fold(good.clone(), |inner, _| format!(r#"{{"log":{}}}"#, serde_json::Value::from(inner))).into_bytes(), Accounted),
        ("E10 200,000 keys in one event", with_object(&format!("{{{}}}", keys(200_000))), Events(1)),
        ("E11 events of a new key each", (0..2_500 * scale).map(|n| audit(&n.to_string(), &format!(r#","annotations":{{"key-{n}.../\u0000":"v","":"e"}}"#)) + "\n").collect::<String>().into_bytes(), Events(2_500 * scale as u64)),
        ("E11 a key of 5 MiB, a key of dots", [with_object(&format!(r#"{{"{}":1}}"#, "k".repeat(5 << 20))), b"\n".to_vec(), with_object(r#"{"..":1,".":2,"":3}"#)].concat(), Accounted),
        ("E12 16 MiB without a line end", vec![b'x'; 16 << 20], Rejects),
        ("E13 a text of 3 MiB", with_object(&format!(r#"{{"a":"{}"}}"#, "y".repeat(3 << 20))), Events(1)),
        ("E13 a text past the limit, and one that is not", [with_object(&format!(r#"{{"a":"{}"}}"#, "y".repeat(5 << 20))), b"\n".to_vec(), good.clone().into_bytes()].concat(), Accounted),
        ("E13 a token of 70,000 bytes", with_object(&format!(r#"{{"a":"{}"}}"#, "y".repeat(70_000))), Events(1)),
        ("E14 an EventList of tiny items", list(12_500 * scale), Events(12_500 * scale as u64)),
        ("E15 members twice, in two cases", audit("x", r#","verb":"delete","Verb":"list""#).into_bytes(), Events(1)),
        ("E16 numbers past every type", with_object(&format!(r#"{{"a":1e400,"b":{},"c":18446744073709551616,"d":-0,"e":1e-400}}"#, "9".repeat(10_000))), Events(1)),
        ("E16 leading zeros", with_object(r#"{"a":007}"#), Rejects),
        ("E17 NaN, comments, trailing commas", [with_object("{\"a\":NaN}"), b"\n// note\n".to_vec(), with_object("[1,]"), b"\n".to_vec(), good.clone().into_bytes()].concat(), Accounted),
        ("E17 a byte order mark", [b"\xef\xbb\xbf".to_vec(), good.clone().into_bytes()].concat(), Events(1)),
        ("E18 bytes that are no UTF-8", with_object("{\"a\":\"\u{0}\"}").into_iter().map(|byte| if byte == 0 { 0xff } else { byte }).collect(), Events(1)),
        ("E18 lone surrogates", with_object(r#"{"a":"\ud800","b":"\udc00\ud800"}"#), Events(1)),
        ("E18 UTF-16", good.encode_utf16().flat_map(u16::to_le_bytes).collect(), Rejects),
        ("E18 overlong, and NUL", [with_object("{\"a\":\"\u{1}\"}").into_iter().flat_map(|byte| if byte == 1 { vec![0xc0, 0xaf] } else { vec![byte] }).collect(), b"\n".to_vec(), with_object(r#"{"a":"\u0000"}"#)].concat(), Accounted),
        ("E19 terminal codes in a pod's name", audit("x", r#","objectRef":{"resource":"pods","name":"\u001b]8;;http://e\u0007\u202egnp"}"#).into_bytes(), Events(1)),
        ("E19 line ends, bidi and no width in names", audit("x", r#","userAgent":"a\r\nLevel: none","objectRef":{"resource":"pods","name":"w\u200beb\u202e-0","namespace":"\u0455hop"}"#).into_bytes(), Events(1)),
        ("E19 terminal codes outside of records", b"\x1b]52;c;aGk=\x07\x1b[2J not json\n".to_vec(), Rejects),
        ("E20 times at the edge", ["9999-12-31T23:59:60Z", "0000-00-00T00:00:00Z", "2026-01-01T00:00:00+24:00", "-1", "1767225600", ""].iter().enumerate()
            .map(|(n, time)| format!(r#"{{"auditID":"t{n}","verb":"get","stage":"ResponseComplete","stageTimestamp":"{time}","requestReceivedTimestamp":"{time}"}}"#) + "\n").collect::<String>().into_bytes(), Events(6)),
        ("E20 seconds to nanoseconds, mixed and missing", ["1767225600", "1767225600000", "1767225600000000", "1767225600000000000", "-1767225600", "1e300", "null"].iter().enumerate()
            .map(|(n, time)| format!(r#"{{"rule":"r{n}","priority":"Notice","output":"o","time":{time},"output_fields":{{"evt.time":{time}}}}}"#) + "\n").collect::<String>().into_bytes(), Events(7)),
        ("E21 records without anything between", good.clone().into_bytes().into_iter().chain(audit("two", "").into_bytes()).collect(), Events(2)),
        ("E21 carriage returns alone", format!("{good}\r{}\r", audit("two", "")).into_bytes(), Events(2)),
        ("E21 spaces, compressed", gzip(&[vec![b' '; scale * (8 << 20)], good.clone().into_bytes()].concat()), Accounted),
        ("E22 50,000 keys of one length", with_object(&format!("{{{}}}", (0..50_000).map(|n| format!(r#""{n:08}":0"#)).collect::<Vec<_>>().join(","))), Events(1)),
        ("E23 nothing at all", Vec::new(), Nothing),
        ("E23 null", b"null".to_vec(), Rejects),
        ("E23 a value of 100 MB", format!("{}{good}", " ".repeat(if cfg!(debug_assertions) { 10_000_000 } else { 100_000_000 })).into_bytes(), Events(1)),
        ("E23 one record of 100 MB", with_object(&format!("\"{}\"", "y".repeat(if cfg!(debug_assertions) { 10_000_000 } else { 100_000_000 }))), Rejects),
        ("E23 10,000 headers around a record", with_headers(10_000, &good), Events(1)),
        ("E23 a record of a topic with a value of null", br#"{"topic":"audit","partition":0,"offset":7,"value":null}"#.to_vec(), Rejects),
        ("E23 lz4, broken", [LZ4, &[0xff; 64]].concat(), Rejects),
        ("E23 snappy, broken", [SNAPPY, &[0xff; 64]].concat(), Rejects),
        ("E23 snappy in frames, broken", [SNAPPY_FRAMED, &[0xff; 64]].concat(), Rejects),
        ("E24 values in values, 20,000 deep, as JSON", otlp(20_000), Accounted),
        ("E24 values in values, 20,000 deep, as protobuf", protobuf(20_000), Accounted),
        ("E24 lengths that lie in protobuf", [vec![0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f], [0x0a, 0x7f].repeat(10_000)].concat(), Rejects),
        ("E25 markup in every field", audit("<script>", r#","userAgent":"=cmd()|' /C calc'!A0","objectRef":{"resource":"pods","name":"{{7*7}}","namespace":"javascript:alert(1)"}"#).into_bytes(), Events(1)),
        ("E26 a text of backslashes that is looked at for secrets", with_object(&format!(r#"{{"a":"password {}"}}"#, "\\".repeat(2 << 20))), Events(1)),
        ("E26 strings within strings that never end", with_object(&format!(r#"{{"a":"password {}"}}"#, r#"\"\\\"\\\\\\\"{["#.repeat(50_000))), Events(1)),
        ("E26 JSON in a text, much of it", with_object(&format!(r#"{{"a":"[{}]"}}"#, r#"{\"token\":\"x\",\"a\":\"\\\"token\\\":1\"},"#.repeat(20_000))), Events(1)),
        ("E26 a card in every member", audit("4111111111111111", r#","userAgent":"4111 1111 1111 1111","annotations":{"4111111111111111":"4111-1111-1111-1111"}"#).into_bytes(), Events(1)),
        ("E28 a time far ahead", audit("x", "").replace("2026-01-01", "2999-01-01").into_bytes(), Events(1)),
    ]
}

#[test]
fn every_item_ends_and_is_accounted_for() {
    let is_shown = setting("BARTIZAN_HOSTILE").is_some();
    for (name, bytes, fate) in items() {
        let ended = decode(&bytes);
        let Ended { records, events, duplicates, rejects, code, took, peak_kib } = ended;
        if is_shown {
            eprintln!(
                "{name:<50} {:>9} bytes  {events:>6} events {rejects:>6} rejects  {:>6} ms {:>5} MiB",
                bytes.len(),
                took.as_millis(),
                peak_kib >> 10
            );
        }
        assert!(code == 0 || code == 3, "{name}: exit code {code}");
        assert_eq!(records, events + duplicates + rejects, "{name}: {events} events, {duplicates} duplicates, {rejects} rejects");
        assert_eq!(records > 0, !matches!(fate, Nothing), "{name}: {records} records");
        match fate {
            Events(expected) => assert_eq!((events, rejects), (expected, 0), "{name}"),
            Rejects => assert!(events == 0 && rejects > 0, "{name}: {events} events"),
            Accounted | Nothing => {}
        }
        assert!(peak_kib < 512 << 10, "{name}: {peak_kib} KiB");
    }
}

#[test]
fn every_number_has_its_item() {
    let mut numbers: Vec<u32> = items().iter().map(|(name, ..)| name.split(' ').next().unwrap()[1..].parse().unwrap()).collect();
    numbers.extend(ELSEWHERE.iter().map(|(number, _)| *number));
    let missing: Vec<u32> = (1..=28).filter(|number| !numbers.contains(number)).collect();
    assert!(missing.is_empty(), "no item for {missing:?}");
}
