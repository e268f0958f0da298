//! E26: a card number and a credential in every member of a record of every kind, one at a time.

use serde_json::Value;

use crate::reading::{Reading, facts};

/// No card of anybody's: an issuer's own test number, in spellings of people and programs.
const CARDS: &[&str] = &["4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111"];

const RECORDS: &[(&str, &str)] = &[
    (
        "k8s_audit",
        r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"RequestResponse","auditID":"a","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/shop/pods/web-0","verb":"create","user":{"username":"alice","groups":["ops"],"extra":{"k":["v"]}},"sourceIPs":["203.0.113.7"],"userAgent":"kubectl","objectRef":{"resource":"pods","namespace":"shop","name":"web-0"},"responseStatus":{"code":201,"message":"m"},"requestObject":{"spec":{"containers":[{"name":"a","image":"i","args":["x"],"env":[{"name":"A","value":"b"}]}]}},"annotations":{"note":"n"},"requestReceivedTimestamp":"2026-01-01T00:00:00Z","stageTimestamp":"2026-01-01T00:00:00Z"}"#,
    ),
    (
        "falco",
        r#"{"hostname":"n1","output":"a shell","priority":"Notice","rule":"Terminal shell in container","source":"syscall","tags":["t"],"time":"2026-01-01T00:00:00Z","output_fields":{"proc.cmdline":"sh","k8s.pod.name":"web-0","fd.name":"f"}}"#,
    ),
    (
        "flow",
        r#"{"flow":{"time":"2026-01-01T00:00:00Z","verdict":"FORWARDED","IP":{"source":"10.0.0.1","destination":"10.0.0.2"},"source":{"namespace":"shop","pod_name":"web-0","labels":["a=b"]},"destination_names":["d"],"l7":{"type":"REQUEST","http":{"method":"GET","url":"http://a/b"},"dns":{"query":"q."}},"Summary":"s"},"node_name":"n1"}"#,
    ),
    (
        "policy",
        r#"{"policy":"p","rule":"r","status":"fail","severity":"high","message":"m","resource":{"kind":"Pod","name":"web-0","namespace":"shop"},"properties":{"a":"b"},"creationTimestamp":"2026-01-01T00:00:00Z"}"#,
    ),
    ("other", r#"{"a":"b","c":{"d":["e",{"f":"g"}]},"message":"m"}"#),
];

/// A copy of a value for each text in it, with that text replaced, and where it stood.
fn planted(value: &Value, text: &str, at: &str, to: &mut Vec<(String, Value)>) {
    let nested = |key: &str, inner: &Value, put: &dyn Fn(Value) -> Value, to: &mut Vec<(String, Value)>| {
        let mut found = Vec::new();
        planted(inner, text, &format!("{at}/{key}"), &mut found);
        to.extend(found.into_iter().map(|(at, inner)| (at, put(inner))));
    };
    match value {
        Value::String(_) => to.push((at.to_owned(), Value::from(text))),
        Value::Array(items) => items.iter().enumerate().for_each(|(n, inner)| {
            let put = |inner: Value| {
                let mut items = items.clone();
                items[n] = inner;
                Value::from(items)
            };
            nested(&n.to_string(), inner, &put, to);
        }),
        Value::Object(members) => members.iter().for_each(|(key, inner)| {
            let put = |inner: Value| {
                let mut members = members.clone();
                members.insert(key.clone(), inner);
                Value::from(members)
            };
            nested(key, inner, &put, to);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[test]
fn a_card_is_found_in_every_member_of_every_kind() {
    let mut reading = Reading::new();
    let (mut cells, mut left) = (0, Vec::new());
    for (kind, record) in RECORDS {
        let record: Value = serde_json::from_str(record).unwrap();
        for card in CARDS {
            let mut copies = Vec::new();
            planted(&record, card, "", &mut copies);
            for (at, copy) in copies {
                for event in reading.read(copy.to_string().as_bytes()) {
                    cells += 1;
                    let said: Vec<&str> = event.facts.iter(&event.doc).map(|(_, value)| value.text).collect();
                    if event.raw().contains(card) || said.iter().any(|text| text.contains(card)) {
                        left.push(format!("{kind}{at} {card} ({})", facts(&event, "event.kind")));
                    }
                }
            }
        }
    }
    eprintln!("{cells} members with a card, {} left as they were", left.len());
    assert!(left.is_empty(), "{}", left.join("\n"));
}
