//! Any bytes within each envelope: the first byte says in which. Every byte is accounted for, and pieces give what the whole gives.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bartizan::decode::{DecodeLimits, Decoded, Decoder, Stream};
use libfuzzer_sys::fuzz_target;

/// What stands around the bytes: as they are at `~`, as a JSON string at `$`, as a string of base64 at `%`.
const ENVELOPES: &[&str] = &[
    r#"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[~]}"#,
    r#"{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"/aws/eks/c/cluster","logStream":"kube-apiserver-audit-0","logEvents":[{"id":"1","timestamp":1767225600000,"message":$}]}"#,
    r#"{"requestId":"r","timestamp":1767225600000,"records":[{"data":%}]}"#,
    r#"{"awslogs":{"data":%}}"#,
    r#"{"message":{"data":%,"messageId":"1","publishTime":"2026-01-01T00:00:00Z"},"subscription":"s"}"#,
    r#"{"insertId":"i","logName":"l","resource":{"type":"k8s_cluster","labels":{"cluster_name":"c"}},"timestamp":"2026-01-01T00:00:00Z","protoPayload":~}"#,
    r#"{"insertId":"i","logName":"l","resource":{"type":"k8s_container","labels":{"pod_name":"p"}},"jsonPayload":~}"#,
    r#"{"records":[{"category":"kube-audit","time":"2026-01-01T00:00:00Z","resourceId":"/R","properties":{"log":$,"stream":"stdout"}}]}"#,
    r#"{"messages":[{"event_metadata":{"event_type":"t"},"details":{"messages":[{"resource":{"type":"t","id":"c"},"timestamp":"2026-01-01T00:00:00Z","level":"INFO","json_payload":~}]}}]}"#,
    r#"[{"event_type":"yandex.cloud.audit.k8s.apiserver.ApiServerCreate","event_time":"2026-01-01T00:00:00Z","details":{"cluster_id":"c","native_api_server_event":~}}]"#,
    r#"{"date":1767225600.2,"log":$,"stream":"stdout","kubernetes":{"pod_name":"p","namespace_name":"n","container_name":"c"}}"#,
    r#"[{"file":"/var/log/audit.log","message":$,"source_type":"file","timestamp":"2026-01-01T00:00:00Z"}]"#,
    r#"{"@timestamp":"2026-01-01T00:00:00Z","kubernetes":{"audit":~}}"#,
    r#"{"resourceLogs":[{"resource":{"attributes":[]},"scopeLogs":[{"logRecords":[{"timeUnixNano":"1","body":{"stringValue":$}}]}]}]}"#,
    r#"{"time":1767225600.2,"host":"h","sourcetype":"t","event":~}"#,
    r#"{"streams":[{"stream":{"pod":"p"},"values":[["1767225600000000000",$]]}]}"#,
    r#"{"topic":"t","partition":0,"offset":1,"value":$}"#,
    r#"{"specversion":"1.0","id":"1","data_base64":%}"#,
    "2026-01-01T00:00:00.2Z stdout P {\"a\":\n2026-01-01T00:00:00.2Z stdout F ~\n",
    "{\"log\":$,\"stream\":\"stdout\",\"time\":\"2026-01-01T00:00:00Z\"}\n{\"log\":\"\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-01T00:00:00Z\"}\n",
    "<134>1 2026-01-01T00:00:00Z h a - - - ~\n",
    "time=2026-01-01T00:00:00Z level=info msg=$\n",
    "2026-01-01T00:00:00+00:00\tkube.audit\t~\n",
];

fn wrapped(envelope: &str, inner: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in envelope.bytes() {
        match byte {
            b'~' => out.extend_from_slice(inner),
            b'$' => serde_json::to_writer(&mut out, &String::from_utf8_lossy(inner)).unwrap_or_default(),
            b'%' => out.extend_from_slice(format!("\"{}\"", STANDARD.encode(inner)).as_bytes()),
            byte => out.push(byte),
        }
    }
    out
}

fuzz_target!(|bytes: &[u8]| {
    let Some((first, inner)) = bytes.split_first() else { return };
    let payload = wrapped(ENVELOPES[usize::from(*first) % ENVELOPES.len()], inner);
    let mut limits = DecodeLimits::default();
    limits.record.record_bytes_max = 64 << 10;
    let mut decoder = Decoder::new(limits, None);
    let mut whole = Decoded::default();
    decoder.decode(&payload, &mut whole);
    assert_eq!(whole.bytes_total, payload.len() as u64);
    assert_eq!(whole.bytes_records + whole.bytes_rejects + whole.bytes_separators, whole.bytes_total);

    let (mut pieces, mut stream) = (Decoded::default(), Stream::new());
    for piece in payload.chunks(usize::from(*first) + 1) {
        stream.push(&mut decoder, piece, &mut pieces);
    }
    stream.finish(&mut decoder, &mut pieces);
    assert_eq!((pieces.records.len(), pieces.rejects_total()), (whole.records.len(), whole.rejects_total()));
});
