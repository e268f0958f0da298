//! Killed without warning: what was confirmed is there, once.

use crate::service::{Service, client, json, setting, until};

/// Rounds in the ordinary run; `BARTIZAN_ROUNDS=20 cargo test --test it crash` runs more.
const ROUNDS: usize = 3;

fn rounds() -> usize {
    setting("BARTIZAN_ROUNDS").and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS)
}

/// A batch of audit events, as an API server posts it.
fn batch(round: usize, events: usize) -> String {
    let items = (0..events).map(|n| {
        format!(
            r#"{{"level":"Metadata","auditID":"{round:08x}-0000-4000-8000-{n:012x}","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/r{round}/pods/p{n}","verb":"get","user":{{"username":"alice","groups":["system:authenticated"]}},"sourceIPs":["10.0.0.1"],"objectRef":{{"resource":"pods","namespace":"r{round}","name":"p{n}","apiVersion":"v1"}},"responseStatus":{{"code":200}},"requestReceivedTimestamp":"2026-01-01T00:00:00.{n:06}Z","stageTimestamp":"2026-01-01T00:00:01.{n:06}Z"}}"#
        )
    });
    format!(r#"{{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{{}},"items":[{}]}}"#, items.collect::<Vec<_>>().join(","))
}

/// The ledger says so over all starts: of each source, in its minutes, and in all.
async fn adds_up(client: &reqwest::Client, service: &Service, events: u64, duplicates: u64) {
    let url = format!("{}/api/v1/ledger?by=minute&limit=10000", service.url);
    let total = serde_json::json!({"events": events, "duplicates": duplicates, "records": events + duplicates});
    let has = |counts: &serde_json::Value| ["events", "duplicates", "records"].iter().all(|name| counts[name] == total[name]);
    let answer = until(client, &url, |answer| has(&answer["total"]) && answer["remainder"] == 0).await;
    let minutes = answer["minutes"].as_array().unwrap();
    assert!(minutes.iter().all(|row| row["remainder"] == 0), "{answer}");
    for name in ["events", "duplicates", "records"] {
        let sum: u64 = minutes.iter().map(|row| row["counts"][name].as_u64().unwrap()).sum();
        assert_eq!(total[name], sum, "{name}: {answer}");
    }
}

#[test]
fn a_batch_that_was_confirmed_survives_the_kill_and_is_found_once() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let (runtime, client) = client();
    runtime.block_on(async {
        for round in 0..rounds() {
            let service = Service::start(&data, "");
            let body = batch(round, 400);
            let (status, receipt) = json(client.post(format!("{}/ingest/k8s-audit", service.url)).body(body.clone())).await;
            assert_eq!((status, receipt["accepted"].as_u64()), (200, Some(400)));
            service.kill();
            let service = Service::start(&data, "");
            if round % 2 == 0 {
                // The API server did not hear the 200 and sends again.
                json(client.post(format!("{}/ingest/k8s-audit", service.url)).body(body)).await;
            }
            let found = format!("{}/api/v1/events/search?limit=0&query=k8s.namespace:r{round}", service.url);
            until(&client, &found, |answer| answer["total"]["value"] == 400).await;
            let all = format!("{}/api/v1/events/search?limit=0", service.url);
            until(&client, &all, |answer| answer["total"]["value"] == 400 * (round + 1)).await;
            adds_up(&client, &service, 400 * (round as u64 + 1), 400 * (round as u64 / 2 + 1)).await;
            let (code, said) = verify(dir.path());
            assert_eq!((code, said["records"].as_u64()), (0, Some(400 * (round as u64 + 1))), "beside the running service: {said}");
            service.kill();
        }
    });
    let (code, said) = verify(dir.path());
    assert_eq!((code, said["problems_total"].as_u64()), (0, Some(0)), "{said}");
    // One byte of one block, in the middle of it.
    let part = std::fs::read_dir(data.join("parts")).unwrap().next().unwrap().unwrap().path();
    let blocks = part.join("raw.blk");
    let mut bytes = std::fs::read(&blocks).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&blocks, bytes).unwrap();
    let (code, said) = verify(dir.path());
    assert_eq!(code, 1, "{said}");
    assert!(said["problems"].to_string().contains("the checksum is wrong") && said["problems"].to_string().contains("raw.blk"), "{said}");
}

/// The exit code and the report of `bartizan verify`.
fn verify(dir: &std::path::Path) -> (i32, serde_json::Value) {
    let config = dir.join("data.toml");
    let done = std::process::Command::new(env!("CARGO_BIN_EXE_bartizan")).args(["verify", "--output", "json", "-c"]).arg(config).output().unwrap();
    (done.status.code().unwrap(), serde_json::from_slice(&done.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&done.stderr))))
}
