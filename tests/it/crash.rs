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
    // The index of every part that was ended is lost.
    let lost = parts(&data).into_iter().filter(|part| part.join("manifest.json").exists()).map(|part| lose_index(&part)).count();
    assert!(lost > 0);
    assert_eq!(verify(dir.path()).0, 1);
    let (code, said) = run(dir.path(), "reindex");
    assert_eq!((code, said["parts"].as_u64(), &said["problems"]), (0, Some(lost as u64), &serde_json::json!([])), "{said}");
    let (code, said) = verify(dir.path());
    assert_eq!((code, said["problems_total"].as_u64()), (0, Some(0)), "after the index was made anew: {said}");
    // One byte of one block, in the middle of it.
    let part = parts(&data).remove(0);
    let blocks = part.join("raw.blk");
    let mut bytes = std::fs::read(&blocks).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&blocks, bytes).unwrap();
    let (code, said) = verify(dir.path());
    assert_eq!(code, 1, "{said}");
    assert!(said["problems"].to_string().contains("the checksum is wrong") && said["problems"].to_string().contains("raw.blk"), "{said}");
}

fn parts(data: &std::path::Path) -> Vec<std::path::PathBuf> {
    std::fs::read_dir(data.join("parts")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// All that is left of a part are its records and what it says of itself.
fn lose_index(part: &std::path::Path) {
    for entry in std::fs::read_dir(part).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name != "raw.blk" && name != "manifest.json" && !name.starts_with("dict") {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
}

fn verify(dir: &std::path::Path) -> (i32, serde_json::Value) {
    run(dir, "verify")
}

/// The exit code and the report of a command on the store.
fn run(dir: &std::path::Path, command: &str) -> (i32, serde_json::Value) {
    let config = dir.join("data.toml");
    let done = std::process::Command::new(env!("CARGO_BIN_EXE_bartizan")).args([command, "--output", "json", "-c"]).arg(config).output().unwrap();
    (done.status.code().unwrap(), serde_json::from_slice(&done.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&done.stderr))))
}
