use super::*;

const AUDIT: &str = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"a","stage":"ResponseComplete","verb":"get"}"#;
const FALCO: &str = r#"{"output":"o","priority":"Notice","rule":"r","time":"2026-01-01T00:00:00Z","output_fields":{}}"#;
const FLOW: &str = r#"{"flow":{"verdict":"FORWARDED","IP":{"source":"10.0.0.1"}},"node_name":"n","time":"2026-01-01T00:00:00Z"}"#;

fn show(out: &Decoded) -> String {
    let records = out.records.iter().map(|record| format!("{}/{}@{}", record.kind.name(), record.envelope.name(), record.offset));
    let rejects = out.rejects.iter().map(|reject| format!("!{}@{}+{}", reject.reason, reject.offset, reject.len));
    records.chain(rejects).collect::<Vec<_>>().join(" ")
}

/// The outcome of a payload, read whole and in pieces of every small size: the same.
fn check(payload: &[u8], expected: &str) {
    let mut decoder = Decoder::new(DecodeLimits::default(), None);
    let mut whole = Decoded::default();
    decoder.decode(payload, &mut whole);
    assert_eq!(show(&whole), expected, "{}", String::from_utf8_lossy(&payload[..payload.len().min(300)]));
    for size in [1, 7, 64] {
        let mut pieces = Decoded::default();
        let mut stream = Stream::default();
        for piece in payload.chunks(size) {
            stream.push(&mut decoder, piece, &mut pieces);
        }
        stream.finish(&mut decoder, &mut pieces);
        if payload.len() < 20_000 {
            assert_eq!(show(&pieces), expected, "in pieces of {size}: {}", String::from_utf8_lossy(&payload[..payload.len().min(300)]));
        }
    }
}

#[test]
fn kinds_are_told_by_content() {
    check(AUDIT.as_bytes(), "k8s_audit/native@0");
    check(br#"{"auditID":"a","verb":"get"}"#, "k8s_audit/native@0");
    check(FALCO.as_bytes(), "falco/native@0");
    check(br#"{"Rule":"r","Priority":"x","Output":"o"}"#, "falco/native@0");
    check(FLOW.as_bytes(), "flow/hubble@0");
    check(br#"{"time":"t","verdict":"DROPPED","IP":{"source":"10.0.0.1"}}"#, "flow/native@0");
    check(br#"{"flow":{"source":{"identity":3}}}"#, "flow/hubble@0");
    check(br#"{"lost_events":{"num_events_lost":"3"},"node_name":"n"}"#, "other/hubble@0");
    check(br#"{"source":"PERF_EVENT_RING_BUFFER","num_events_lost":"4096","cpu":3}"#, "other/hubble@0");
    check(br#"{"kind":"Event","apiVersion":"v1","involvedObject":{"kind":"Pod"}}"#, "k8s_event/native@0");
    check(br#"{"kind":0}"#, "!unknown_shape@0+10");
    check(br#"{"event":"heartbeat","time":"x"}"#, "!control@0+32");
}

#[test]
fn streams_of_values() {
    check(format!("{AUDIT}\n{FALCO}\n{FLOW}\n").as_bytes(), "k8s_audit/native@0 falco/native@102 flow/hubble@197");
    check(format!("{AUDIT}\r\n\r\n{FALCO}").as_bytes(), "k8s_audit/native@0 falco/native@105");
    check(format!("{AUDIT}{FALCO}").as_bytes(), "k8s_audit/native@0 falco/native@101");
    check(format!("[{AUDIT},\n {FALCO}]").as_bytes(), "k8s_audit/native@1 falco/native@105");
    check(format!("[[{AUDIT}],[{FALCO}]]").as_bytes(), "k8s_audit/native@2 falco/native@106");
    check(format!("\u{feff}{AUDIT}").as_bytes(), "k8s_audit/native@3");
    check(b"{\n  \"auditID\": \"a\",\n  \"verb\": \"get\"\n}\n{\"auditID\":\"b\",\"verb\":\"get\"}", "k8s_audit/native@0 k8s_audit/native@38");
    check(b"", "");
    check(b" \n\n ", "");
    check(b"[]", "");
}

#[test]
fn event_lists() {
    let item = r#"{"level":"Metadata","auditID":"a","stage":"ResponseComplete"}"#;
    check(
        format!(r#"{{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{{}},"items":[{item},{item}]}}"#).as_bytes(),
        "k8s_audit/event_list@74 k8s_audit/event_list@136",
    );
    check(
        format!(r#"{{"items":[{item}],"metadata":{{"a":[1]}},"kind":"EventList"}}{AUDIT}"#).as_bytes(),
        "k8s_audit/event_list@10 k8s_audit/native@113",
    );
    check(format!("{{\n \"items\": [\n  {item},\n  {item}\n ]\n}}\n").as_bytes(), "k8s_audit/event_list@16 k8s_audit/event_list@81");
    check(format!(r#"{{"items":[{item},{{"kind":0}}]}}"#).as_bytes(), "k8s_audit/event_list@10 !unknown_shape@72+10");
}

#[test]
fn carriers_and_prefixes() {
    check(format!(r#"{{"log":{:?},"stream":"stdout"}}"#, AUDIT).as_bytes(), "k8s_audit/carrier@0");
    check(format!(r#"{{"json_payload":{FALCO},"level":"INFO"}}"#).as_bytes(), "falco/carrier@0");
    check(format!("2026-01-01T00:00:00.1Z stdout F {AUDIT}\n").as_bytes(), "k8s_audit/carrier@0");
    check(format!("2026-01-01T00:00:00.000Z {AUDIT}\n").as_bytes(), "k8s_audit/carrier@0");
    check(format!("{AUDIT:?}\n").as_bytes(), "k8s_audit/carrier@0");
    check(br#"{"message":"hello"}"#, "!unknown_shape@0+19");
}

#[test]
fn what_can_not_be_read_has_a_place() {
    check(
        format!("hello\n{AUDIT}\nI0101 klog\nmore\n{FALCO}").as_bytes(),
        "k8s_audit/native@6 falco/native@124 !not_json@0+5 !not_json@108+15",
    );
    check(format!("{AUDIT}\n{{\"auditID\":\"b\",\"verb\":").as_bytes(), "k8s_audit/native@0 !bad_json@102+22");
    check(format!("{{\"auditID\":\"b\",\"verb\":}}\n{AUDIT}").as_bytes(), "k8s_audit/native@24 !bad_json@0+23");
    check(b"17\n", "!not_a_record@0+2");
    check(b"\"text\"", "!not_a_record@0+6");
    check(b"\x7fELF\x02\x01\0", "!binary@0+7");
    check("[".repeat(100_000).as_bytes(), "!not_json@16+99984 !bad_json@100000+0");
    for (payload, expected) in [(&b"PAR1...."[..], "!unsupported_compression@0+8"), (b"\x1f\x8b\x08\x00", "!unsupported_compression@0+4")] {
        let mut out = Decoded::default();
        Decoder::new(DecodeLimits::default(), None).decode(payload, &mut out);
        assert_eq!(show(&out), expected);
    }
}

#[test]
fn a_record_past_the_limit_is_counted_and_reading_goes_on() {
    let limits = DecodeLimits { record: crate::model::Limits { record_bytes_max: 1_000, ..Default::default() }, ..Default::default() };
    let mut decoder = Decoder::new(limits, None);
    let mut out = Decoded::default();
    let long = format!("{{\"auditID\":\"a\",\"verb\":\"{}\"}}\n{AUDIT}\n", "x".repeat(5_000));
    let mut stream = Stream::default();
    for piece in long.as_bytes().chunks(300) {
        stream.push(&mut decoder, piece, &mut out);
    }
    stream.finish(&mut decoder, &mut out);
    assert_eq!(show(&out), "k8s_audit/native@5026 !too_long@0+5025");
}

#[test]
fn odd_values_are_events_all_the_same() {
    for body in [
        "1e400".to_owned(),
        "\"\\ud800\"".to_owned(),
        format!("\"{}\"", "x".repeat(3 << 20)),
        format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000)),
    ] {
        let mut out = Decoded::default();
        Decoder::new(DecodeLimits::default(), None)
            .decode(format!("{{\"auditID\":\"a\",\"verb\":\"get\",\"verb\":\"list\",\"b\":{body}}}").as_bytes(), &mut out);
        assert_eq!((out.records.len(), out.rejects.len()), (1, 0));
    }
    let mut out = Decoded::default();
    Decoder::new(DecodeLimits::default(), None).decode(b"{\"auditID\":\"a\",\"verb\":\"g\xff\"}", &mut out);
    assert!(out.records[0].doc.is_lossy());
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400)) {
        Decoder::new(DecodeLimits::default(), None).decode(&bytes, &mut Decoded::default());
    }

    #[test]
    fn any_json_like_text_is_survived(text in "[\\[\\]{}\":,a-c0-9 \\\\\n]{0,200}") {
        let mut decoder = Decoder::new(DecodeLimits::default(), None);
        let mut whole = Decoded::default();
        decoder.decode(text.as_bytes(), &mut whole);
        let mut pieces = Decoded::default();
        let mut stream = Stream::default();
        for piece in text.as_bytes().chunks(5) {
            stream.push(&mut decoder, piece, &mut pieces);
        }
        stream.finish(&mut decoder, &mut pieces);
        proptest::prop_assert_eq!(whole.records.len(), pieces.records.len());
    }
}
