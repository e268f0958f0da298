//! Killed in the middle of windows: what they had seen counts on, and the alert comes once.

use std::path::Path;

use serde_json::Value;

use crate::service::{Service, client, json, setting, until};

/// Rounds in the ordinary run; `BARTIZAN_ROUNDS=1000 cargo test --test it windows` runs more.
const ROUNDS: usize = 4;

fn rounds() -> usize {
    setting("BARTIZAN_ROUNDS").and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS)
}

pub(crate) const RULES: &str = r#"
title: A read
id: 11111111-1111-4111-8111-111111111111
name: a_read
logsource: {product: kubernetes, service: audit}
detection: {s: {verb: get}, condition: s}
level: low
---
title: Five reads
id: 22222222-2222-4222-8222-222222222222
correlation: {type: event_count, rules: [a_read], group-by: [actor.user.name], timespan: 10m, condition: {gte: 5}}
level: high
---
title: Five things read
id: 33333333-3333-4333-8333-333333333333
correlation: {type: value_count, rules: [a_read], group-by: [actor.user.name], timespan: 10m, condition: {gte: 5, field: objectRef.name}}
level: high
"#;

pub(crate) fn config(dir: &Path, rules: &str) -> String {
    let file = dir.join("rules.yml");
    std::fs::write(&file, rules).unwrap();
    format!("[detect]\nrules = [{:?}]\n", dir.join("rules.yml"))
}

/// Reads of these numbers by one user, a second apart.
pub(crate) fn reads(user: &str, numbers: std::ops::Range<usize>) -> String {
    let items = numbers.map(|n| {
        format!(
            r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"{user}-{n}","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/a/pods/p{n}","verb":"get","user":{{"username":"{user}"}},"sourceIPs":["10.0.0.1"],"objectRef":{{"resource":"pods","namespace":"a","name":"p{n}","apiVersion":"v1"}},"responseStatus":{{"code":200}},"requestReceivedTimestamp":"2026-01-01T00:00:{n:02}.000000Z","stageTimestamp":"2026-01-01T00:00:{n:02}.100000Z"}}"#
        )
    });
    items.collect::<Vec<_>>().join("\n")
}

pub(crate) async fn push(client: &reqwest::Client, service: &Service, body: String) {
    let (status, receipt) = json(client.post(format!("{}/ingest/k8s-audit", service.url)).body(body)).await;
    assert_eq!((status, receipt["rejected"].as_u64()), (200, Some(0)));
}

pub(crate) fn alerts_of<'a>(answer: &'a Value, user: &str) -> Vec<&'a Value> {
    let list = answer["alerts"].as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter(|alert| alert["group"]["actor.user.name"] == user).collect()
}

#[test]
fn a_kill_in_the_middle_of_windows_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (data, more) = (dir.path().join("data"), config(dir.path(), RULES));
    let (runtime, client) = client();
    runtime.block_on(async {
        let mut service = Service::start(&data, &more);
        for round in 0..rounds() {
            let user = format!("user{round}");
            // Four of five, in two pushes; the kill comes before, between or after their checkpoints.
            push(&client, &service, reads(&user, 0..2)).await;
            push(&client, &service, reads(&user, 2..4)).await;
            if round % 2 == 0 {
                let stored = format!("{}/api/v1/events/search?limit=0&query=actor.user.name:{user}", service.url);
                until(&client, &stored, |answer| answer["total"]["value"] == 4).await;
            }
            service.kill();
            service = Service::start(&data, &more);
            let said = service.said();
            assert!(!said.contains("filled from the store") && !said.contains("cannot read the journal"), "round {round}: {said}");
            push(&client, &service, reads(&user, 4..5)).await;
            let all = format!("{}/api/v1/alerts?limit=1000&entity=user:{user}", service.url);
            let is_right = |answer: &Value| {
                let counts: Vec<(&str, u64)> = alerts_of(answer, &user)
                    .iter()
                    .filter(|alert| alert["rule"]["type"] != "single")
                    .map(|alert| (alert["rule"]["type"].as_str().unwrap_or_default(), alert["count"].as_u64().unwrap_or_default()))
                    .collect();
                counts.len() == 2 && counts.contains(&("event_count", 5)) && counts.contains(&("value_count", 5))
            };
            until(&client, &all, is_right).await;
        }
        service.kill();
    });
}

#[test]
fn a_journal_that_is_damaged_is_made_up_for_from_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let (data, more) = (dir.path().join("data"), config(dir.path(), RULES));
    let (runtime, client) = client();
    runtime.block_on(async {
        let service = Service::start(&data, &more);
        push(&client, &service, reads("alice", 0..4)).await;
        let stored = format!("{}/api/v1/events/search?limit=0", service.url);
        until(&client, &stored, |answer| answer["total"]["value"] == 4).await;
        service.kill();
        for file in std::fs::read_dir(data.join("journal")).unwrap() {
            let path = file.unwrap().path();
            let mut bytes = std::fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(path, bytes).unwrap();
        }
        let service = Service::start(&data, &more);
        let said = service.said();
        assert!(said.contains("cannot read the journal") && said.contains("filled from the store"), "{said}");
        push(&client, &service, reads("alice", 4..5)).await;
        let all = format!("{}/api/v1/alerts", service.url);
        until(&client, &all, |answer| alerts_of(answer, "alice").iter().filter(|alert| alert["count"] == 5).count() == 2).await;
    });
}
