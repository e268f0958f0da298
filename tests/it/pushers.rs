//! One pusher floods, another is quiet: how long until what the quiet one sends can be found, with a lane of its own and without.
//!
//! `BARTIZAN_FLOOD_S=60 cargo test --release --test it pushers -- --nocapture` is the full one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::service::{Service, client, json, setting};

/// Seconds of the flood in the ordinary run.
const SECONDS: u64 = 4;
/// Connections that flood.
const FLOODERS: usize = 4;
const BATCH: u64 = 400;

fn event(name: &str, number: u64) -> String {
    format!(
        r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"{name}-{number}","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/shop/pods/{name}-{number}","verb":"get","user":{{"username":"{name}"}},"objectRef":{{"resource":"pods","namespace":"shop","name":"{name}-{number}","apiVersion":"v1"}},"responseStatus":{{"code":200}},"requestReceivedTimestamp":"2026-01-01T00:00:00.000000Z","stageTimestamp":"2026-01-01T00:00:01.000000Z"}}"#
    )
}

async fn token(client: &reqwest::Client, url: &str, admin: Option<&str>, body: serde_json::Value) -> String {
    let request = client.post(format!("{url}/api/v1/tokens")).json(&body);
    let (status, made) = json(admin.into_iter().fold(request, |request, admin| request.bearer_auth(admin))).await;
    assert!(status < 300, "{made}");
    made["secret"].as_str().or(made["token"].as_str()).unwrap_or_else(|| panic!("{made}")).to_owned()
}

/// After so long an event is waited for no more: it counts as found then.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Seconds until each event of the quiet pusher is found, beside a flood under this source's name.
async fn beside(client: &reqwest::Client, flood: &str, seconds: u64) -> (Vec<f64>, u64) {
    let dir = tempfile::tempdir().unwrap();
    let service = Service::start(&dir.path().join("data"), "");
    let url = service.url.clone();
    let admin = token(client, &url, None, serde_json::json!({"name": "admin", "scope": "admin"})).await;
    let of = |source: &str| serde_json::json!({"name": source, "scope": "ingest", "source": source});
    let quiet = token(client, &url, Some(&admin), of("quiet")).await;
    let loud = token(client, &url, Some(&admin), of(flood)).await;
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let flooders: Vec<_> = (0..FLOODERS)
        .map(|_| {
            let (client, url, loud, stop, sent) = (client.clone(), url.clone(), loud.clone(), Arc::clone(&stop), Arc::clone(&sent));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let first = sent.fetch_add(BATCH, Ordering::Relaxed);
                    let body: Vec<String> = (first..first + BATCH).map(|number| event("loud", number)).collect();
                    let _ = client.post(format!("{url}/ingest/k8s-audit")).bearer_auth(&loud).body(body.join("\n")).send().await;
                }
            })
        })
        .collect();
    // The flood runs up something first.
    tokio::time::sleep(Duration::from_secs(seconds / 2)).await;
    let (end, mut took) = (Instant::now() + Duration::from_secs(seconds), Vec::new());
    while Instant::now() < end || took.len() < 3 {
        let (number, start) = (took.len() as u64, Instant::now());
        let (status, _) = json(client.post(format!("{url}/ingest/k8s-audit")).bearer_auth(&quiet).body(event("quiet", number))).await;
        assert_eq!(status, 200);
        let found = format!("{url}/api/v1/events/search?limit=0&query=k8s.name:quiet-{number}");
        while json(client.get(&found).bearer_auth(&admin)).await.1["total"]["value"] != 1 && start.elapsed() < WAIT_MAX {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        took.push(start.elapsed().as_secs_f64());
    }
    stop.store(true, Ordering::Relaxed);
    for flooder in flooders {
        flooder.await.unwrap();
    }
    took.sort_by(f64::total_cmp);
    (took, sent.load(Ordering::Relaxed))
}

#[test]
fn a_flooding_pusher_delays_no_other() {
    let full = setting("BARTIZAN_FLOOD_S").and_then(|seconds| seconds.parse().ok());
    let seconds = full.unwrap_or(SECONDS);
    let (_, client) = client();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    // Without a lane of its own it waits for the whole flood: that is for the full run, as a figure to compare with.
    let both = [("a lane of its own", "loud"), ("one lane for both", "quiet")];
    for (what, flood) in both.into_iter().take(if full.is_some() { 2 } else { 1 }) {
        let (took, sent) = runtime.block_on(beside(&client, flood, seconds));
        let at = |share: usize| took[(took.len() * share).div_ceil(100).max(1) - 1];
        assert!(flood == "quiet" || at(100) < WAIT_MAX.as_secs_f64(), "{took:?}");
        eprintln!("{what}: found after {:.2} s in the middle, {:.2} s p99 ({} events), beside {sent} of the flood", at(50), at(99), took.len());
    }
}
