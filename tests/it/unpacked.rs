//! Compression as clouds use it: a member for each message, one in another, none of it told by a name.

use std::io::Write;
use std::sync::Arc;

use bartizan::codec::Codec;
use bartizan::decode::{DecodeLimits, Decoded, Decoder};
use base64::Engine as _;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn check(payload: &[u8], expected: &str) {
    let mut out = Decoded::default();
    Decoder::new(DecodeLimits::default(), Some(Arc::new(Codec))).decode(payload, &mut out);
    let records = out.records.iter().map(|record| {
        let cluster = record.wrapped.by.as_ref().and_then(|by| by.cluster.as_ref()).map(ToString::to_string).unwrap_or_default();
        format!("{}/{} {cluster}", record.kind.name(), record.envelope.name())
    });
    let rejects = out.rejects.iter().map(|reject| format!("!{}", reject.reason));
    assert_eq!(records.chain(rejects).collect::<Vec<_>>().join(", "), expected);
}

#[test]
fn members_and_layers_are_taken_off() {
    let event = json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "a", "stage": "ResponseComplete", "verb": "get"}).to_string();
    let message = json!({"messageType": "DATA_MESSAGE", "owner": "1", "logGroup": "/aws/eks/books/cluster", "logStream": "kube-apiserver-audit-0a", "logEvents": [{"id": "1", "timestamp": 1_777_878_672_500_i64, "message": event}]}).to_string();
    let one = "k8s_audit/cloudwatch books";
    let two = format!("{one}, {one}");
    let member = gzip(message.as_bytes());
    // As Firehose writes to a bucket: compressed messages behind each other; compressed once more, if it is told to.
    let object = [member.as_slice(), &member].concat();
    check(&object, &two);
    check(&gzip(&object), &two);
    check(&gzip(&gzip(&gzip(&object))), "!too_deep");
    let packed = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    check(json!({"awslogs": {"data": packed(&member)}}).to_string().as_bytes(), one);
    check(
        json!({"Records": [{"kinesis": {"data": packed(&member)}}, {"kinesis": {"data": packed(&object)}}]}).to_string().as_bytes(),
        &format!("{two}, {one}"),
    );
    check(
        json!({"requestId": "r", "records": [{"data": packed(&member)}, {"data": packed(&gzip(event.as_bytes()))}]}).to_string().as_bytes(),
        &format!("{one}, k8s_audit/carrier "),
    );
    // What is damaged is counted; what came before it stays.
    let cut = &member[..member.len() - 12];
    check(
        json!({"requestId": "r", "records": [{"data": packed(&member)}, {"data": packed(cut)}]}).to_string().as_bytes(),
        &format!("{one}, !bad_compression, !bad_compression"),
    );
}
