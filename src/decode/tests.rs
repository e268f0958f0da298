mod clouds;
mod files;
mod shippers;

use proptest::prelude::*;

use super::*;
use crate::model::{Compression, EnvelopeKind, Kind};

/// Every outcome, in the order of the text, after checking that the bytes add up.
fn show(out: &Decoded) -> String {
    assert_eq!(out.bytes_records + out.bytes_rejects + out.bytes_separators, out.bytes_total, "{out:?}");
    assert_eq!(out.rejects.iter().map(|reject| reject.len).sum::<u64>(), out.bytes_rejects);
    let records = out.records.iter().map(|record| (record.offset, format!("{}/{}@{}", record.kind.name(), record.envelope.name(), record.offset)));
    let rejects = out.rejects.iter().map(|reject| (reject.offset, format!("!{}@{}+{}", reject.reason, reject.offset, reject.len)));
    let mut all: Vec<(u64, String)> = records.chain(rejects).collect();
    all.sort_by_key(|(offset, _)| *offset);
    all.into_iter().map(|(_, shown)| shown).collect::<Vec<_>>().join(" ")
}

fn whole(payload: &[u8], limits: DecodeLimits) -> Decoded {
    let mut out = Decoded::default();
    Decoder::new(limits, None).decode(payload, &mut out);
    assert_eq!(out.bytes_total, payload.len() as u64);
    out
}

fn pieces(payload: &[u8], sizes: &[usize], limits: DecodeLimits) -> Decoded {
    feed(payload, sizes, limits, false)
}

/// With a new reader wherever reading can be gone on with.
fn resumed(payload: &[u8], sizes: &[usize], limits: DecodeLimits) -> Decoded {
    feed(payload, sizes, limits, true)
}

fn feed(payload: &[u8], sizes: &[usize], limits: DecodeLimits, is_resumed: bool) -> Decoded {
    let (mut out, mut decoder, mut stream) = (Decoded::default(), Decoder::new(limits, None), Stream::new());
    let (mut at, mut turn) = (0, 0);
    while at < payload.len() {
        let next = (at + sizes[turn % sizes.len()].max(1)).min(payload.len());
        // Whether an object is parsed before it is known must not matter.
        decoder.core.tells_late = true;
        stream.push(&mut decoder, &payload[at..next], &mut out);
        (at, turn) = (next, turn + 1);
        if let Some(unread) = stream.unread().filter(|_| is_resumed) {
            let from = at - usize::try_from(unread).unwrap();
            stream = Stream::at(from as u64);
            if from < at {
                stream.push(&mut decoder, &payload[from..at], &mut out);
            }
        }
    }
    stream.finish(&mut decoder, &mut out);
    out
}

/// Whole and in pieces, with the same result.
fn check_limited(payload: &[u8], expected: &str, limits: &DecodeLimits) {
    let got = show(&whole(payload, limits.clone()));
    let name = String::from_utf8_lossy(&payload[..payload.len().min(200)]).into_owned();
    assert_eq!(got, expected, "{name}");
    for sizes in [&[1][..], &[2, 5, 3], &[17], &[4096]] {
        let in_pieces = pieces(payload, sizes, limits.clone());
        assert_eq!(show(&in_pieces), expected, "in pieces of {sizes:?}: {name}");
        let resumed = resumed(payload, sizes, limits.clone());
        assert_eq!(show(&resumed), expected, "in pieces of {sizes:?}, each read anew: {name}");
    }
}

fn check(payload: &str, expected: &str) {
    check_limited(payload.as_bytes(), expected, &DecodeLimits::default());
}

const A: &str = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","verb":"get"}"#; // 60 bytes

#[test]
fn values_are_parted_by_anything() {
    check("", "");
    check(" \n\r\n\t\u{feff}", "");
    check(A, "k8s_audit/native@0");
    check(&format!("\u{feff}{A}\r\n{A}\n"), "k8s_audit/native@3 k8s_audit/native@65");
    check(&format!("{A}{A}"), "k8s_audit/native@0 k8s_audit/native@60");
    check(&format!("\u{1e}{A}\n\u{1e}{A}\n"), "k8s_audit/native@1 k8s_audit/native@63");
    check(&format!("[{A},\n {A}]"), "k8s_audit/native@1 k8s_audit/native@64");
    check(&format!("[[{A}],[],[[{A}]]]"), "k8s_audit/native@2 k8s_audit/native@69");
    check(
        "{\n  \"auditID\": \"x\",\n  \"verb\": \"get\"\n}\n{\n  \"auditID\": \"y\",\n  \"verb\": \"get\"\n}",
        "k8s_audit/native@0 k8s_audit/native@38",
    );
}

#[test]
fn lists_are_read_item_by_item() {
    let item = r#"{"auditID":"x","stage":"Panic"}"#;
    check(
        &format!(r#"{{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{{}},"items":[{item},{item}]}}"#),
        "k8s_audit/event_list@74 k8s_audit/event_list@106",
    );
    check(&format!(r#"{{"items":[{item}],"kind":"EventList","n":[1,{{"a":2}}]}} {item}"#), "k8s_audit/event_list@10 k8s_audit/native@79");
    check(&format!(r#"{{"items":[{item},{item}"#), "k8s_audit/event_list@10 k8s_audit/event_list@42 !bad_json@73+0");
    check(&format!(r#"{{"items":[{item},{{"auditID":"#), "k8s_audit/event_list@10 !bad_json@42+11");
    check(r#"{"items":[]}"#, "");
    check(r#"{"items":[],"n":2026}"#, "");
    check(&format!(r#"{{"items":[]2026-01-01T00:00:00Z stdout F {A}"#), "!not_json@15+86");
}

#[test]
fn shapes_are_told_by_content() {
    check(r#"{"auditID":"a","verb":"get"}"#, "k8s_audit/native@0");
    check(r#"{"apiVersion":"audit.k8s.io/v1beta1","kind":"Event"}"#, "k8s_audit/native@0");
    check(r#"{"apiVersion":"audit.k8s.io\/v1","level":"Metadata","stage":"Panic"}"#, "k8s_audit/native@0");
    check(r#"{"output":"x","priority":"Error","rule":"r"}"#, "falco/native@0");
    check(r#"{"output_fields":{},"Rule":"r","priority":"Error"}"#, "falco/native@0");
    check(r#"{"output_fields":{},"rule":"Falco internal: metrics snapshot","source":"internal"}"#, "source_health/native@0");
    check(r#"{"flow":{"verdict":"DROPPED"},"node_name":"n"}"#, "flow/hubble@0");
    check(r#"{"node_name":"n","lost_events":{}}"#, "source_health/hubble@0");
    check(r#"{"node_status":{}}{"agent_event":{}}{"debug_event":{}}"#, "source_health/hubble@0 other/hubble@18 other/hubble@36");
    check(r#"{"time":"t","verdict":"DROPPED","IP":{}}"#, "flow/native@0");
    check(r#"{"source":"PERF_EVENT_RING_BUFFER","num_events_lost":"4096","cpu":3}"#, "source_health/hubble@0");
    check(r#"{"kind":0}"#, "other/native@0");
    check(r#"{"kind":"PodList","items":[{"kind":"Pod"}]}"#, "other/event_list@27");
    check(r#"{"user":"alice","items":[1,2],"total":2}"#, "other/native@0");
    check(r#"{"items": [ "a" ]}{"items": [ ]}"#, "other/native@0");
    check(
        r#"{"kind":"EventList","items":["a",7,{"auditID":"a","verb":"get"},null]}"#,
        "!not_a_record@29+3 !not_a_record@33+1 k8s_audit/event_list@35 !not_a_record@64+4",
    );
    check(r#"{"items":["a",7],"kind":"EventList"}"#, "other/native@0");
    check("{}", "!control@0+2");
    check(r#"{"topic":"audit","partition":0,"value":null}"#, "!control@0+44");
    check("1\n\"x\"\nnull\n[1,2]", "!not_a_record@0+1 !not_a_record@2+3 !not_a_record@6+4 !not_a_record@11+5");
}

#[test]
fn wrapping_is_taken_off() {
    check(&format!("2026-01-01T00:00:00.123Z stdout F {A}\n{A}"), "k8s_audit/cri@34 k8s_audit/native@95");
    check(&format!("2026-01-01T00:00:00+03:00 {A}\n"), "k8s_audit/carrier@26");
    check(&format!("2026-01-01T00:00:00Z\tkube.audit\t{A}\n"), "k8s_audit/carrier@32");
    check("2026-01-01T00:00:00Z stdout F hello\n", "!not_json@0+35");
    let escaped = A.replace('"', "\\\"");
    check(&format!(r#"{{"log":"{escaped}\n","stream":"stdout"}}"#), "k8s_audit/carrier@0");
    check(&format!(r#"{{"stream":"stdout","message":"hello","event":{A}}}"#), "k8s_audit/carrier@0");
    check(&format!("\"{escaped}\"\n"), "k8s_audit/carrier@0");
    check(r#"{"log":"hello"}"#, "other/native@0");
    check(r#"{"level":"info","event":{"a":1},"log":"{\"b\":1}"}"#, "other/native@0");
    check(&format!(r#"{{"log":"{escaped} oops"}}"#), "k8s_audit/carrier@0 !not_json@0+0");
    let deep = format!("{}{A}{}", r#"{"log":"#.repeat(9), "}".repeat(9));
    check(&deep, &format!("!too_deep@0+{}", deep.len()));
}

#[test]
fn a_value_may_be_as_long_as_the_limit() {
    let mut limits = DecodeLimits::default();
    limits.record.record_bytes_max = 26;
    let value = r#"[1772359200.5,{"log":"x"}]"#;
    for after in ["", "\n", ",", "  \n"] {
        check_limited(format!("{value}{after}").as_bytes(), "other/carrier@0", &limits);
    }
    check_limited(format!("{value}x\n").as_bytes(), "!too_long@0+27", &limits);
}

#[test]
fn bad_ranges_end_at_the_next_line() {
    check(&format!("hello world\n{A}\n"), "!not_json@0+11 k8s_audit/native@12");
    check(&format!("{{\"a\":\n{A}\n{A}"), "!bad_json@0+5 k8s_audit/native@6 k8s_audit/native@67");
    check(&format!("{{\"auditID\":\"torn\n{A}\n"), "!bad_json@0+16 k8s_audit/native@17");
    check(&format!("[\n  {A},\n  {{\n    \"x\": oops\n  }},\n  {A}\n]"), "k8s_audit/native@4 !bad_json@68+20 k8s_audit/native@91");
    check(&format!("{A} trailing\n{A}"), "k8s_audit/native@0 !not_json@61+8 k8s_audit/native@70");
    check(&format!("{A}\n{}", A.get(..30).unwrap()), "k8s_audit/native@0 !bad_json@61+30");
    check("a\rb\r", "!not_json@0+1 !not_json@2+1");
    check(&format!("[2026-01-01] INFO x\n{A}"), "!not_json@0+19 k8s_audit/native@20");
    check(&format!("]\n}}\n{A}"), "!not_json@0+3 k8s_audit/native@4");
    check("\u{0}\u{0}abc\n", "!binary@0+5");
}

#[test]
fn foreign_files_are_one_reject() {
    check("PAR1 and so on\nand on\n", "!unsupported_compression@0+22");
    check("\u{7f}ELF and so on\nand on\n", "!binary@0+22");
    check_limited(b"\x1f\x8b\x08\x00 nobody expands this\n{}", "!unsupported_compression@0+27", &DecodeLimits::default());
}

#[test]
fn hostile_input_is_kept_or_counted() {
    let limits = DecodeLimits::default();
    let open = "[".repeat(100_000);
    assert_eq!(show(&whole(open.as_bytes(), limits.clone())), "!too_deep@64+99936");
    let deep = format!(r#"{{"auditID":"x","verb":"get","a":{}{}}}"#, open, "]".repeat(100_000));
    assert_eq!(show(&whole(deep.as_bytes(), limits.clone())), "k8s_audit/native@0");
    for (len, expected) in [(4 << 20, "k8s_audit/native@0"), ((4 << 20) + 1, "!too_long@0+4194305")] {
        let long = format!(r#"{{"auditID":"x","verb":"{}"}}"#, "x".repeat(len - 25));
        assert_eq!(long.len(), len);
        assert_eq!(show(&whole(long.as_bytes(), limits.clone())), expected);
        assert_eq!(show(&pieces(long.as_bytes(), &[65_536], limits.clone())), expected);
    }
    check(r#"{"auditID":"x","verb":1e400,"verb":"\ud800","n":-0}"#, "k8s_audit/native@0");
    check_limited(b"{\"auditID\":\"\xff\xfe\",\"verb\":\"get\"}", "k8s_audit/native@0", &limits);
    let torn = "{\"a\":\n".repeat(300_000);
    assert!(whole(torn.as_bytes(), limits).rejects_total() > 0);
}

#[test]
fn limits_hold() {
    let limits = DecodeLimits { records_max: 2, rejects_listed_max: 1, ..DecodeLimits::default() };
    assert_eq!(show(&whole(format!("{A}{A}{A}\n{A}").as_bytes(), limits.clone())), "k8s_audit/native@0 k8s_audit/native@60 !too_long@120+121");
    let mut out = whole(b"x\ny\nz\n", limits);
    assert_eq!((out.rejects.len(), out.rejects_unlisted, out.rejects_total()), (1, 2, 3));
    out.clear();
    assert_eq!(out.rejects_total(), 0);
}

/// Doubles every byte count it is asked about, or fails with part of the text.
#[derive(Debug)]
struct Fake(Option<RejectReason>);

impl Inflate for Fake {
    fn inflate(&self, how: Compression, _: &[u8], _: &InflateLimits, out: &mut Vec<u8>) -> Result<(), RejectReason> {
        out.extend_from_slice(if how == Compression::Gzip { b"\x28\xb5\x2f\xfd" } else { b"{\"flow\":{}}\n{\"fl" });
        self.0.filter(|_| how == Compression::Zstd).map_or(Ok(()), Err)
    }
}

#[test]
fn compression_is_peeled_and_its_faults_keep_what_came_before() {
    for (fault, expected) in [(None, "flow/hubble@0 !bad_json@12+4"), (Some(RejectReason::Bomb), "flow/hubble@0 !bad_json@12+4 !bomb@16+0")] {
        let mut out = Decoded::default();
        Decoder::new(DecodeLimits::default(), Some(Arc::new(Fake(fault)))).decode(b"\x1f\x8b", &mut out);
        assert_eq!(show(&out), expected);
    }
}

/// Records and rejects of every file of the shared samples, if they are there.
#[test]
fn samples_are_read() {
    let roots = ["/../shared/fixtures", "/../../shared/fixtures"].map(|path| format!("{}{path}", env!("CARGO_MANIFEST_DIR")));
    let Some(root) = roots.iter().find(|root| std::path::Path::new(root).is_dir()) else {
        println!("skipped: no shared samples here");
        return;
    };
    for (path, records, rejects) in [
        ("falco/alerts.ndjson", 33, 0),
        ("hubble/basic-sample-10-flows.json", 10, 0),
        ("hubble/basic-sample-400-tcp-flows.json", 400, 0),
        ("hubble/export-doc-dropped.ndjson", 2, 0),
        ("k8s-audit/apisnoop/audit_event.json", 1, 0),
        ("k8s-audit/falco-traces/fal_01_003.json", 1, 0),
        ("k8s-audit/falco-traces/exec_pod.json", 1, 0),
        ("k8s-audit/recorded/webhook/attacks-dev-000020.json", 0, 0),
        ("shippers/hubble/observe-agent-debug-events.json", 0, 0),
    ] {
        let bytes = std::fs::read(format!("{root}/{path}")).unwrap();
        let out = whole(&bytes, DecodeLimits::default());
        let shown = show(&out);
        if records + rejects > 0 {
            assert_eq!((out.records.len(), out.rejects.len()), (records, rejects), "{path}: {shown}");
        } else {
            assert!(!out.records.is_empty() && out.rejects.is_empty(), "{path}: {shown}");
        }
        assert_eq!(show(&pieces(&bytes, &[1000, 7], DecodeLimits::default())), shown, "{path}");
    }
}

/// The kinds of the project's own samples of each system, in the order of their lines.
#[test]
fn kinds_are_told_by_content() {
    let check = |file: &str, expected: &str| {
        let bytes = std::fs::read(format!("{}/tests/fixtures/kinds/{file}.ndjson", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let out = whole(&bytes, DecodeLimits::default());
        let told = show(&out).split(' ').map(|one| one.split('/').next().unwrap_or_default()).collect::<Vec<_>>().join(" ");
        assert_eq!(told, expected, "{file}");
        for size in [1, 100, 4096] {
            assert_eq!(show(&pieces(&bytes, &[size], DecodeLimits::default())), show(&out), "{file}");
        }
    };
    check("policy", "policy policy policy !control@1202+69 policy policy policy policy policy policy policy policy");
    check("osquery", "fim other other other other");
    check("findings", "finding finding finding finding");
    check(
        "cluster",
        "k8s_event k8s_event other other other other source_health source_health source_health other other flow cloud_audit cloud_audit falco falco other",
    );
}

#[test]
fn a_part_of_a_record_is_no_record() {
    let heartbeat = r#"{"event":"heartbeat","time":"2026-01-01T00:00:00Z"}"#;
    check(heartbeat, "!control@0+51");
    check(&format!(r#"{{"path":"/","body":{:?}}}"#, heartbeat), "!control@0+81");
    check(r#"{"message":"{}","level":"info"}"#, "other/native@0");
    check("{\"a\":\n{\"b\":1}\n{\"c\":2}\n{\"d\":3}", "!bad_json@0+5 !unknown_shape@6+7 other/native@14 other/native@22");
    check(
        r#"{"vulnerabilityreports.aquasecurity.github.io":[{"apiVersion":"aquasecurity.github.io/v1","metadata":{},"report":{}}]}"#,
        "finding/carrier@0",
    );
}

/// Whatever the shared samples hold, its bytes add up, and pieces give the same.
#[test]
fn every_sample_adds_up() {
    let roots = ["/../shared/fixtures", "/../../shared/fixtures"].map(|path| format!("{}{path}", env!("CARGO_MANIFEST_DIR")));
    let Some(root) = roots.iter().find(|root| std::path::Path::new(root).is_dir()) else {
        println!("skipped: no shared samples here");
        return;
    };
    let mut folders: Vec<std::path::PathBuf> =
        ["k8s-audit", "falco", "hubble", "shippers/hubble", "policy-report", "osquery", "kube-bench", "trivy", "tetragon", "kubearmor"]
            .map(|name| format!("{root}/{name}").into())
            .to_vec();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
                continue;
            }
            let bytes = std::fs::read(&entry).unwrap();
            let out = whole(&bytes, DecodeLimits::default());
            println!("{:>6} records {:>6} rejects {}", out.records.len(), out.rejects_total(), entry.display());
            let in_pieces = pieces(&bytes, &[100_000, 7, 1000], DecodeLimits::default());
            let counts = |out: &Decoded| (out.records.len(), out.rejects.clone(), out.rejects_total(), out.bytes_records, out.bytes_separators);
            assert!(counts(&in_pieces) == counts(&out), "{}", entry.display());
        }
    }
}

#[test]
fn a_flow_is_lifted_out_of_its_wrapper() {
    let out = whole(br#"{"flow":{"verdict":"DROPPED"}}"#, DecodeLimits::default());
    assert_eq!(out.records[0].doc.text_at(crate::model::Path::of(["verdict"])), Some("DROPPED"));
    assert_eq!((out.records[0].kind, out.records[0].envelope), (Kind::Flow, EnvelopeKind::Hubble));
}

#[test]
fn a_byte_order_mark_in_pieces_does_not_make_a_cut_list_twice() {
    let mut limits = DecodeLimits::default();
    limits.record.record_bytes_max = 10;
    let bytes = "{\"items\":[{\n  \"auditID\": \"x\",\n\u{feff}".as_bytes();
    assert_eq!(show(&pieces(bytes, &[1], limits.clone())), show(&whole(bytes, limits)));
}

/// A request with one log whose body is `{"flow":{"a":1}}`.
const PROTO: &str = "\x0a\x18\x12\x16\x12\x14*\x12\x0a\x10{\x22flow\x22:{\x22a\x22:1}}";

/// Text that is near to what the reader knows.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just(A.to_owned()),
        Just(r#"{"auditID":"x","stage":"Panic"}"#.to_owned()),
        Just(r#"{"flow":{"verdict":"DROPPED"}}"#.to_owned()),
        Just(r#"{"log":"{\"flow\":{}}\n"}"#.to_owned()),
        Just(r#"{"items":["#.to_owned()),
        Just("2026-01-01T00:00:00Z stdout F ".to_owned()),
        Just("\n2026-01-01T00:00:00Z stdout P ".to_owned()),
        Just("\n2026-01-01T00:00:00Z stderr P {\"auditID\":\"x\",".to_owned()),
        Just("\n2026-01-01T00:00:00Z stderr F \"verb\":\"get\"}\n".to_owned()),
        Just("2026-01-01T00:00:00Z\ttag\t".to_owned()),
        Just("<13>1 2026-01-01T00:00:00Z h a - - - ".to_owned()),
        Just("Jan  1 00:00:00 h a: ".to_owned()),
        Just("9 <13>words".to_owned()),
        Just("level=info msg=\"{\\\"flow\\\":{}}\" a=b".to_owned()),
        Just(r#"{"log":"{\"auditID\":","stream":"stdout","time":"2026-01-01T00:00:00Z"}"#.to_owned()),
        Just(r#"{"log":"\"x\",\"verb\":\"get\"}\n","stream":"stdout","time":"2026-01-01T00:00:00Z"}"#.to_owned()),
        Just(r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"{\"flow\":{}}"}}]}]}]}"#.to_owned()),
        Just(PROTO.to_owned()),
        Just(format!("\0\0\0{}{PROTO}", char::from(PROTO.len() as u8))),
        Just("[1772359200.5,{\"log\":\"x\"}]".to_owned()),
        Just("\n".to_owned()),
        Just("{\n  \"auditID\": \"x\",\n".to_owned()),
        Just("\u{feff}".to_owned()),
        "[\\[\\]{},:\" \n\r\ta1e.\\\\-]{1,6}",
        "true|false|null|1e400|\"\\\\ud800\"",
        "\\PC{0,5}",
    ];
    proptest::collection::vec(word, 0..12).prop_map(|words| words.concat().into_bytes())
}

proptest! {
    #[test]
    fn any_bytes_add_up(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        show(&whole(&bytes, DecodeLimits::default()));
    }

    #[test]
    fn pieces_give_what_the_whole_gives(bytes in soup(), sizes in proptest::collection::vec(1_usize..40, 1..6), record_bytes_max in prop_oneof![Just(4_usize << 20), 8_usize..80], envelope_bytes_max in prop_oneof![Just(4_usize << 20), 8_usize..200]) {
        let mut limits = DecodeLimits::default();
        limits.record.record_bytes_max = record_bytes_max;
        limits.envelope_bytes_max = envelope_bytes_max;
        let expected = show(&whole(&bytes, limits.clone()));
        prop_assert_eq!(show(&pieces(&bytes, &sizes, limits.clone())), expected.clone());
        prop_assert_eq!(show(&resumed(&bytes, &sizes, limits)), expected);
    }
}
