//! Items 4 to 7, 15 and 16: what payloads are packed in, mixed with, and too large for.

use std::process::Command;

use serde_json::{Value, json};

use super::{WHO, audit, azure, base64, changed, check, cloudwatch, falco, flow, gzip};
use crate::reading::{Reading, alerts, outcome};
use crate::service::{PROGRAM, Service, client, json as ask, until};

const TWO: &str = "k8s_audit alice, k8s_audit bob";

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

#[test]
fn trap_04_compression_without_a_name_and_values_without_lines() {
    let (alice, bob) = (audit("alice").to_string(), audit("bob").to_string());
    let lines = format!("{alice}\n{bob}\n").into_bytes();
    check(gzip(&lines), WHO, TWO);
    check([gzip(alice.as_bytes()), gzip(bob.as_bytes())].concat(), WHO, TWO);
    check(gzip(&[gzip(alice.as_bytes()), gzip(bob.as_bytes())].concat()), WHO, TWO);
    check(zstd(&lines), WHO, TWO);
    check([zstd(alice.as_bytes()), zstd(bob.as_bytes())].concat(), WHO, TWO);
    check(format!("{alice}{bob}"), WHO, TWO);
    check(format!("[{alice},{bob}]"), WHO, TWO);
    check(serde_json::to_string_pretty(&json!([audit("alice"), audit("bob")])).unwrap(), WHO, TWO);
    let trail = |user: &str| {
        json!({"event_id": user, "event_source": "k8s", "event_type": "yandex.cloud.audit.k8s.apiserver.ApiServerGet", "event_time": "2026-01-01T00:00:00.2Z", "event_status": "DONE",
            "authentication": {"subject_id": "aje"}, "details": {"cluster_id": "cat1", "native_api_server_event": audit(user)}})
    };
    check(format!("[{},\n{}]", trail("alice"), trail("bob")), WHO, TWO);
    let vector = |user: &str| json!({"file": "/var/log/audit.log", "host": "m1", "message": audit(user).to_string(), "source_type": "file", "timestamp": "2026-01-01T00:00:00Z"});
    check(json!([vector("alice"), vector("bob")]).to_string(), WHO, TWO);
}

#[test]
fn trap_05_records_in_strings_and_cut_ones() {
    const FIELDS: &str = "event.kind actor.user.name event.truncated";
    let event = audit("alice").to_string();
    let one = "k8s_audit alice -";
    check(json!({"records": [azure("kube-audit", &format!("{event}\n"))]}).to_string(), FIELDS, one);
    check(cloudwatch("kube-apiserver-audit-0a", &event).to_string(), FIELDS, one);
    let trigger = json!({"messages": [{"event_metadata": {"event_type": "yandex.cloud.events.serverless.triggers.LoggingMessageBatch"},
        "details": {"messages": [{"resource": {"type": "managed-kubernetes.cluster", "id": "c"}, "timestamp": "2026-01-01 00:00:00.2 +0000 UTC", "message": event}]}}]});
    check(trigger.to_string(), FIELDS, one);
    let log = |inner: &str| json!({"log": inner, "stream": "stdout"}).to_string();
    check(log(&format!("{event}\n")), FIELDS, one);
    // Six envelopes may be around it; one of more is a reject, and what follows is read.
    let wrapped = |times: usize| (0..times).fold(event.clone(), |inner, _| log(&inner));
    check(wrapped(6), FIELDS, one);
    check(format!("{}\n{}", wrapped(7), audit("bob")), FIELDS, "k8s_audit bob -, !too_deep");
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    check(event.replace(r#""sourceIPs""#, &format!(r#""requestObject":{{"a":{deep}}},"sourceIPs""#)), FIELDS, "k8s_audit alice true");
    // A runtime parts a line at 16 KiB; the parts are one record.
    let long = changed("alice", json!({"userAgent": "x".repeat(40_000)})).to_string();
    let (first, rest) = long.split_at(16_384);
    let (second, third) = rest.split_at(16_384);
    let part = |tag: &str, text: &str| format!("2026-01-01T00:00:00.1Z stdout {tag} {text}\n");
    check([part("P", first), part("P", second), part("F", third)].concat(), FIELDS, one);
    let docker =
        |text: &str, end: &str| json!({"log": format!("{text}{end}"), "stream": "stdout", "time": "2026-01-01T00:00:00.1Z"}).to_string() + "\n";
    check([docker(first, ""), docker(second, ""), docker(third, "\n")].concat(), FIELDS, one);
    // The last part never came: a reject from a runtime's file, what is whole of it from a shipper that knows of no parts.
    check(part("P", first), FIELDS, "!bad_json");
    check(log(first), FIELDS, "k8s_audit alice true");
    check(cloudwatch("kube-apiserver-audit-0a", &format!("{}[Truncated...]", long.split_at(20_000).0)).to_string(), FIELDS, "k8s_audit alice true");
    let klog = azure("kube-audit", "I0101 12:00:00.000001       1 trace.go:205] Trace[1]: \"List\" (total time: 600ms):\n");
    check(format!("{klog}\n{}\n", azure("kube-audit", &event)), FIELDS, "other - -, k8s_audit alice -");
}

#[test]
fn trap_06_streams_of_several_and_messages_that_are_no_events() {
    let (alice, bob) = (audit("alice").to_string(), audit("bob").to_string());
    check(format!("{alice}\n{}\n", cloudwatch("kube-apiserver-audit-0a", &bob)), WHO, TWO);
    let streams = ["kube-apiserver-audit-0a", "kube-apiserver-0a", "authenticator-0a", "kube-scheduler-0a"];
    let texts = [
        alice.as_str(),
        "I0101 12:00:00.000001 1 httplog.go:132] \"HTTP\" verb=\"GET\"",
        "time=\"2026-01-01T00:00:00Z\" level=info msg=\"access granted\"",
        "E0101 x",
    ];
    let group: String = streams.iter().zip(texts).map(|(stream, text)| cloudwatch(stream, text).to_string()).collect();
    check(group, "event.kind", "k8s_audit, other, other, other");
    let control = json!({"messageType": "CONTROL_MESSAGE", "owner": "CloudwatchLogs", "logGroup": "", "logStream": "", "subscriptionFilters": [], "logEvents": [{"id": "", "timestamp": 1, "message": "CWL CONTROL MESSAGE: Checking health of destination Firehose."}]});
    check(format!("{control}{}", cloudwatch("kube-apiserver-audit-0a", &bob)), WHO, "k8s_audit bob, !control");
    check(json!({"cluster": "prod-eu", "event": "heartbeat", "time": "2026-01-01T00:00:00Z"}).to_string(), WHO, "!control");
    let test = falco(json!({"rule": "Test rule", "priority": "Debug", "output": "This is a test from falcosidekick", "output_fields": {}}));
    check(format!("{test}\n{}", falco(json!({}))), "event.kind policy.rule event.test", "falco Test rule true, falco Terminal shell in container -");
}

#[test]
fn trap_07_the_same_thing_told_again_is_one() {
    let stages: Vec<Value> = ["RequestReceived", "ResponseStarted", "ResponseComplete"]
        .map(|stage| changed("alice", json!({"stage": stage, "stageTimestamp": format!("2026-01-01T00:00:0{}Z", stage.len() % 9)})))
        .to_vec();
    let mut reading = Reading::new();
    let events = reading.read(stages.iter().map(Value::to_string).collect::<Vec<_>>().join("\n").as_bytes());
    assert_eq!(
        (events.len(), events.iter().map(|event| event.act).collect::<std::collections::BTreeSet<_>>().len()),
        (3, 1),
        "one request is one act"
    );
    let exec = json!({"requestURI": "/api/v1/namespaces/shop/pods/web-0/exec?command=sh", "objectRef": {"resource": "pods", "subresource": "exec", "namespace": "shop", "name": "web-0"}});
    let started: Vec<String> = stages
        .iter()
        .map(|stage| {
            let mut stage = stage.clone();
            stage.as_object_mut().unwrap().extend(exec.as_object().unwrap().clone());
            stage.to_string()
        })
        .collect();
    let counts: Vec<u64> =
        alerts(&[started.join("\n").as_bytes()]).iter().filter(|alert| alert.title.contains("ran a command")).map(|alert| alert.count).collect();
    assert_eq!(counts, [1], "three stages are one alert of one act");

    let twice = |first: &Value, second: &Value, fields: &str, expected: &str| {
        assert_eq!(outcome(&[first.to_string().as_bytes(), second.to_string().as_bytes()], fields), expected, "{first} {second}");
    };
    twice(&audit("alice"), &audit("alice"), WHO, "k8s_audit alice, 1 again");
    twice(&falco(json!({"uuid": "a"})), &falco(json!({"uuid": "b"})), "event.kind", "falco, 1 again");
    let log = audit("alice").to_string();
    twice(&azure("kube-audit", &log), &azure("kube-audit-admin", &log), WHO, "k8s_audit alice, 1 again");
    // Both ends of a connection see it: two observations, told apart by their nodes.
    let (near, far) = (flow(json!({})), flow(json!({"node_name": "prod-eu/node-2", "traffic_direction": "INGRESS"})));
    twice(&json!({"flow": near}), &json!({"flow": far}), "event.kind k8s.node", "flow node-1, flow node-2");
    twice(&json!({"flow": near}), &json!({"flow": near}), "event.kind", "flow, 1 again");
    let standing = |time: &str| {
        json!({"level": "info", "ts": time, "logger": "controller", "msg": "app-label", "process": "audit", "audit_id": time, "event_type": "violation_audited", "constraint_kind": "K8sRequiredLabels",
            "constraint_name": "app-label", "constraint_action": "deny", "resource_group": "", "resource_api_version": "v1", "resource_kind": "Pod", "resource_namespace": "shop", "resource_name": "web-0"})
    };
    twice(&standing("2026-01-01T00:00:00Z"), &standing("2026-01-01T00:01:00Z"), "event.kind k8s.name", "policy web-0, 1 again");
}

#[test]
fn trap_15_huge_events_full_lists_and_batches_sent_again() {
    let annotations = |bytes: usize| json!({"annotations": {"a": "x".repeat(bytes)}});
    for bytes in [100 << 10, 1_500 << 10] {
        check(changed("alice", annotations(bytes)).to_string(), "event.kind actor.user.name event.truncated", "k8s_audit alice -");
    }
    let items: Vec<Value> = (0..400).map(|n| audit(&format!("user-{n:03}"))).collect();
    let batch = json!({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": items}).to_string();
    let dir = tempfile::tempdir().unwrap();
    let (runtime, client) = client();
    runtime.block_on(async {
        let service = Service::start(&dir.path().join("data"), "");
        for _ in 0..3 {
            let (status, receipt) =
                ask(client.post(format!("{}/ingest/k8s-audit", service.url)).header("content-type", "application/json").body(batch.clone())).await;
            assert_eq!((status, &receipt["accepted"]), (200, &json!(400)));
        }
        // What is answered is durable: nothing of it waits for the stages behind the door.
        service.kill();
        let service = Service::start(&dir.path().join("data"), "");
        let count = format!("{}/api/v1/events/search?limit=0", service.url);
        until(&client, &count, |answer| answer["total"]["value"] == 400).await;
        let (_, answer) = ask(client.post(format!("{}/ingest/k8s-audit", service.url)).body(audit("last").to_string())).await;
        assert_eq!(answer["accepted"], 1);
        until(&client, &count, |answer| answer["total"]["value"] == 401).await;
        service.kill();
    });
}

/// A number of a card that does not exist, and a key that opens nothing.
const CARD: &str = "4929 1234 5678 9011";
const KEY: &str = "hunter-2-opens-nothing";

/// `CARD` with its last digit right.
fn card() -> String {
    let digits: Vec<u32> = CARD.chars().filter_map(|digit| digit.to_digit(10)).collect();
    let sum = |last: u32| {
        let digits = digits.iter().take(15).chain([&last]).rev().enumerate();
        digits.map(|(at, digit)| if at % 2 == 1 { digit * 2 / 10 + digit * 2 % 10 } else { *digit }).sum::<u32>()
    };
    let last = (0..10).find(|last| sum(*last) % 10 == 0).unwrap();
    format!("{}{last}", CARD.split_at(CARD.len() - 1).0)
}

#[test]
fn trap_16_numbers_of_cards_and_keys_are_nowhere_in_what_is_said() {
    let (card, dir) = (card(), tempfile::tempdir().unwrap());
    let exec = changed(
        "alice",
        json!({"requestURI": format!("/api/v1/namespaces/shop/pods/web-0/exec?command=pay&command={}", card.replace(' ', "%20")), "userAgent": format!("pay/{card} password={KEY}"),
        "objectRef": {"resource": "pods", "subresource": "exec", "namespace": "shop", "name": "web-0"}, "requestObject": {"metadata": {"labels": {"card": card}}, "note": [format!("--password={KEY}")]}}),
    );
    let file = dir.path().join("events.log");
    let shell = falco(json!({"output": format!("pay {card} --token={KEY}"), "output_fields": {"proc.cmdline": format!("pay --card {card}")}}));
    let broken = format!("{{\"card\":\"{card}\",\"password\":\"{KEY}\",\n{card} password={KEY} no json\n");
    std::fs::write(&file, format!("{exec}\n{shell}\n{broken}")).unwrap();
    let path = file.to_str().unwrap();
    for arguments in [
        &["decode", path][..],
        &["scan", path],
        &["scan", "--output", "ndjson", path],
        &["ingest", path],
        &["search", "*"],
        &["search", "--format", "ocsf", "*"],
    ] {
        let output = Command::new(PROGRAM).args(arguments).current_dir(dir.path()).output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(!said.is_empty(), "{arguments:?}");
        for secret in [card.as_str(), &card.replace(' ', ""), KEY] {
            assert!(!said.contains(secret), "{arguments:?} says {secret}: {said}");
        }
    }
    for (name, bytes) in files(dir.path()).into_iter().filter(|(name, _)| !name.ends_with("events.log")) {
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(&card) && !text.contains(KEY), "{name}");
    }
    // In base64, as bodies have it.
    let plain = card.replace(' ', "");
    let hidden = changed("alice", json!({"requestObject": {"kind": "ConfigMap", "data": {"note": base64(format!("card {plain}").as_bytes())}}}));
    let events = Reading::new().read(hidden.to_string().as_bytes());
    assert!(!events[0].raw().contains(&base64(format!("card {plain}").as_bytes())), "{}", events[0].raw());
}

/// Every file under a folder.
fn files(folder: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![(path.display().to_string(), std::fs::read(&path).unwrap())] }).collect()
}
