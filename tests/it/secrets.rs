//! Planted secrets and card numbers: none of them is found on disk, in an answer, in an alert or in the log.

use std::collections::BTreeMap;
use std::path::Path;

use aho_corasick::AhoCorasick;
use base64::Engine as _;

use crate::reading::{self, Reading};
use crate::service::{Service, client, json as ask, setting, until};

/// Card numbers of the ordinary run; `BARTIZAN_PANS=10000` is the full one.
const PANS: usize = 1_000;

/// Valid by Luhn's check, of issuers' ranges, in the spellings that people use.
fn pan(n: usize) -> String {
    const STARTS: &[(&str, usize)] = &[("4", 16), ("51", 16), ("2221", 16), ("34", 15), ("6011", 16), ("3528", 16), ("2200", 16), ("4", 19)];
    let (start, len) = STARTS[n % STARTS.len()];
    let mut digits = format!("{start}{:0width$}", n as u64 * 7_919 + 13, width = len - start.len() - 1);
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(at, byte)| u32::from(byte - b'0') * if at % 2 == 0 { 2 } else { 1 })
        .map(|double| double / 10 + double % 10)
        .sum();
    digits.push_str(&((10 - sum % 10) % 10).to_string());
    digits
}

fn spelled(digits: &str, n: usize) -> String {
    let separator = ["", " ", "-"][n % 3];
    // American Express groups by four, six and five.
    let groups: &[usize] = if digits.len() == 15 { &[4, 6, 5] } else { &[4, 4, 4, 4, 3] };
    let mut rest = digits;
    let mut parts = Vec::new();
    for len in groups {
        let (part, after) = rest.split_at((*len).min(rest.len()));
        parts.push(part);
        rest = after;
    }
    parts.retain(|part| !part.is_empty());
    parts.join(separator)
}

/// The secret as it is written, in an event of some kind and place.
fn planted(n: usize) -> (Vec<String>, String) {
    let digits = pan(n);
    let text = spelled(&digits, n);
    let base64 = base64::engine::general_purpose::STANDARD.encode(format!("card {text} holder"));
    let audit = |more: &str| {
        format!(
            r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"RequestResponse","auditID":"p{n}","stage":"ResponseComplete","verb":"create","user":{{"username":"alice"}},"objectRef":{{"resource":"pods","namespace":"shop","name":"web-{n}"}},"responseStatus":{{"code":201}},"requestReceivedTimestamp":"2026-01-01T00:00:00.000001Z","stageTimestamp":"2026-01-01T00:00:00.{n:06}Z",{more}}}"#
        )
    };
    let record = match n % 8 {
        0 => audit(&format!(r#""requestObject":{{"metadata":{{"labels":{{"card":"{text}"}}}}}}"#)),
        1 => audit(&format!(r#""requestURI":"/api/v1/namespaces/shop/pods/web-{n}?note={}""#, text.replace(' ', "%20"))),
        2 => audit(&format!(r#""requestObject":{{"spec":{{"containers":[{{"command":["pay","--card","{text}"]}}]}}}}"#)),
        3 => audit(&format!(r#""userAgent":"shop/{text}""#)),
        4 => format!(
            r#"{{"rule":"Card {n}","priority":"Notice","time":"2026-01-01T00:00:01.{n:06}Z","output":"pay with {text} by sh","output_fields":{{"proc.cmdline":"pay {text}","k8s.ns.name":"shop"}}}}"#
        ),
        5 => format!(
            r#"{{"flow":{{"time":"2026-01-01T00:00:02.{n:06}Z","verdict":"FORWARDED","l7":{{"type":"REQUEST","http":{{"method":"GET","url":"http://shop/pay?card={}"}}}},"source":{{"namespace":"shop"}}}}}}"#,
            text.replace(' ', "+")
        ),
        6 => audit(&format!(r#""requestObject":{{"metadata":{{"annotations":{{"payload":"{base64}"}}}}}}"#)),
        _ => format!(
            r#"{{"log":"{{\"rule\":\"Wrapped {n}\",\"priority\":\"Notice\",\"time\":\"2026-01-01T00:00:03.{n:06}Z\",\"output\":\"{text}\",\"output_fields\":{{}}}}","stream":"stdout"}}"#
        ),
    };
    let secrets = if n % 8 == 6 { vec![base64] } else { vec![text.replace(' ', "%20"), text.replace(' ', "+"), text, digits] };
    (secrets, record)
}

/// Secrets that are no numbers, each where it is met.
fn others() -> Vec<(String, String)> {
    let jwt = "eyJhbGciOiJSUzI1NiIsImtpZCI6IngifQ.eyJzdWIiOiJwbGFudGVkLXN1YmplY3QifQ.c2lnbmF0dXJlLXBsYW50ZWQ";
    let key = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCPLANTEDKEY";
    let event = |more: &str| {
        format!(
            r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"RequestResponse","auditID":"s","stage":"ResponseComplete","verb":"create","user":{{"username":"alice"}},"objectRef":{{"resource":"secrets","namespace":"shop","name":"s"}},"responseStatus":{{"code":201}},"requestReceivedTimestamp":"2026-01-01T01:00:00.000001Z","stageTimestamp":"2026-01-01T01:00:00.00{:04}Z",{more}}}"#,
            more.len()
        )
    };
    vec![
        ("cGxhbnRlZC1zZWNyZXQtZGF0YQ==".into(), event(r#""requestObject":{"kind":"Secret","data":{"password":"cGxhbnRlZC1zZWNyZXQtZGF0YQ=="}}"#)),
        ("planted-string-data".into(), event(r#""requestObject":{"kind":"Secret","stringData":{"a":"planted-string-data"}}"#)),
        ("planted-last-applied".into(), event(r#""responseObject":{"kind":"Secret","metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\"stringData\":{\"a\":\"planted-last-applied\"}}"}}}"#)),
        (jwt.into(), event(&format!(r#""requestObject":{{"kind":"ConfigMap","note":"token {jwt} here"}}"#))),
        ("planted-bearer-0123456789".into(), event(r#""requestObject":{"kind":"Pod","env":"Authorization: Bearer planted-bearer-0123456789"}"#)),
        (key.into(), event(&format!(r#""requestObject":{{"kind":"ConfigMap","tls":"-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----"}}"#))),
        ("planted/aws/secret/access/key/of/40chars".into(), event(r#""requestObject":{"kind":"Pod","spec":{"containers":[{"env":[{"name":"AWS_SECRET_ACCESS_KEY","value":"planted/aws/secret/access/key/of/40chars"}]}]}}"#)),
        (
            "planted-gke-data".into(),
            r#"{"insertId":"g","logName":"projects/p/logs/cloudaudit","protoPayload":{"serviceName":"k8s.io","methodName":"io.k8s.core.v1.secrets.create","resourceName":"core/v1/namespaces/shop/secrets/s","request":{"@type":"core.k8s.io/v1.Secret","stringData":{"a":"planted-gke-data"}}},"timestamp":"2026-01-01T01:00:01Z"}"#.into(),
        ),
        (
            "planted-in-a-text-of-json".into(),
            r#"{"time":"2026-01-01T01:00:02Z","component":"x","state":"{\"kind\":\"Secret\",\"stringData\":{\"a\":\"planted-in-a-text-of-json\"}}"}"#.into(),
        ),
        ("planted-loyalty".into(), r#"{"time":"2026-01-01T01:00:03Z","component":"x","LoyaltyCard":{"number":["planted-loyalty"]}}"#.into()),
        ("planted-in-a-cut-secret".into(), r#"{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"/aws/eks/p/cluster","logStream":"s","logEvents":[{"id":"1","timestamp":1,"message":"{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",\"verb\":\"create\",\"objectRef\":{\"resource\":\"secrets\"},\"requestObject\":{\"kind\":\"Secret\",\"stringData\":{\"a\":\"planted-in-a-cut-secret\"},\"b\":\"x[Truncated...]"}]}"#.into()),
    ]
}

/// Records that can not be read, with a secret each.
const DAMAGED: &[(&str, &str)] = &[
    ("cGxhbnRlZC1kYW1hZ2Vk", r#"{"kind":"Secret","data":{"a":"cGxhbnRlZC1kYW1hZ2Vk"},"x":nothing}"#),
    ("cGxhbnRlZC13aXRob3V0LWEta2luZA", r#"{"data":{"a":"cGxhbnRlZC13aXRob3V0LWEta2luZA"},"kind":nothing}"#),
    ("planted-damaged-token", r#"{"auditID":"x","token":"planted-damaged-token","y":}"#),
    ("planted-damaged-password", r#"{"log":"--password=planted-damaged-password","z""#),
];

/// Every file below a folder in which one of the texts stands as it is.
fn files_with(folder: &Path, texts: &AhoCorasick) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            found.extend(files_with(&entry, texts));
        } else if let Ok(bytes) = std::fs::read(&entry)
            && let Some(hit) = texts.find(&bytes)
        {
            found.push(format!("{} has {}", entry.display(), String::from_utf8_lossy(&bytes[hit.range()])));
        }
    }
    found
}

#[test]
fn nothing_that_was_planted_is_found() {
    let pans = setting("BARTIZAN_PANS").and_then(|count| count.parse().ok()).unwrap_or(PANS);
    let (mut secrets, mut records) = (Vec::new(), Vec::new());
    for n in 0..pans {
        let (texts, record) = planted(n);
        secrets.extend(texts);
        records.push(record);
    }
    for (secret, record) in others() {
        secrets.push(secret);
        records.push(record);
    }
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let (runtime, client) = client();
    runtime.block_on(async {
        let service = Service::start(&data, "[redact]\nkeys = [\"loyalty-card\"]\n");
        let damaged: Vec<&str> = DAMAGED.iter().map(|(secret, record)| (secrets.push((*secret).to_owned()), *record).1).collect();
        let body = format!("{}\n{}", records.join("\n"), damaged.join("\n"));
        let (status, receipt) = ask(client.post(format!("{}/ingest/auto", service.url)).body(body)).await;
        let counts = (receipt["accepted"].as_u64(), receipt["rejected"].as_u64());
        assert_eq!((status, counts), (200, (Some(records.len() as u64), Some(damaged.len() as u64))), "{receipt}");
        // What can not be read is an event too, and the one that came cut is told of.
        let all = records.len() + damaged.len() + 1;
        until(&client, &format!("{}/api/v1/events/search?limit=0", service.url), |answer| answer["total"]["value"] == all).await;
        let mut answers = String::new();
        let mut cursor = String::new();
        loop {
            let page = ask(client.get(format!("{}/api/v1/events/search?limit=1000{cursor}", service.url))).await.1;
            answers.push_str(&page.to_string());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        answers.push_str(&ask(client.get(format!("{}/api/v1/alerts?limit=1000", service.url))).await.1.to_string());
        let secrets = AhoCorasick::new(&secrets).unwrap();
        for (query, expected) in
            [("redact.hits:pan", pans), ("event.kind:source_health AND event.action:bad_json", DAMAGED.len()), ("redact.hits:configured", 1)]
        {
            let found = ask(client.get(format!("{}/api/v1/events/search?limit=0&query={query}", service.url).replace(' ', "%20"))).await.1;
            assert_eq!(found["total"]["value"].as_u64(), Some(expected as u64), "{query}: {found}");
        }
        let left: Vec<&str> = secrets.find_iter(&answers).map(|hit| &answers[hit.range()]).collect();
        assert!(left.is_empty(), "{} of {} in answers, such as {:?}", left.len(), secrets.patterns_len(), left.iter().take(8).collect::<Vec<_>>());
        let marks = answers.matches("[redacted:").count();
        assert!(marks >= records.len(), "{marks} marks for {} records", records.len());
        service.kill();
        let on_disk = files_with(dir.path(), &secrets);
        assert!(on_disk.is_empty(), "{on_disk:?}");
    });
}

/// What is masked in records of a healthy cluster, by class and place, is masked wrongly unless the place is one of tokens.
#[test]
fn benign_records_lose_nothing_but_tokens() {
    let Some(shared) = reading::shared() else { return };
    let mut reading = Reading::new();
    let mut masked = BTreeMap::<String, usize>::new();
    let mut events = 0;
    for file in ["k8s-audit/recorded/benign.log.gz", "hubble", "falco"].map(|file| shared.join(file)) {
        let files = if file.is_dir() { std::fs::read_dir(file).unwrap().map(|entry| entry.unwrap().path()).collect() } else { vec![file] };
        for event in files.iter().filter(|file| file.is_file()).flat_map(|file| reading.read(&std::fs::read(file).unwrap())) {
            events += 1;
            for leaf in event.doc.leaves().iter().filter(|leaf| event.doc.value(leaf).text.contains("[redacted:")) {
                let mut path = String::new();
                event.doc.write_path(leaf, &mut path);
                *masked.entry(path).or_default() += 1;
            }
        }
    }
    println!("{events} benign events, masked: {masked:?}");
    assert!(events > 20_000, "{events}");
    masked.retain(|path, _| !["requestObject.status.token", "responseObject.status.token"].contains(&path.as_str()));
    assert_eq!(masked, BTreeMap::new());
}
