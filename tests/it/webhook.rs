//! A receiver that is down gets every alert once it is up, under the same ids, signed.

use std::sync::{Arc, Mutex};

use base64::Engine as _;

use crate::service::{Service, client, json, setting};

/// Seconds for which the receiver is down in the ordinary run; `BARTIZAN_DOWN_S=60` is the full one.
const DOWN_S: u64 = 3;

const SECRET: &[u8; 32] = b"an invented secret of 32 bytes!!";

/// What a receiver has taken: id, time, signatures, body.
type Taken = Arc<Mutex<Vec<(String, String, String, String)>>>;

async fn receive(listener: tokio::net::TcpListener, taken: Taken) {
    let route = axum::routing::post(move |headers: axum::http::HeaderMap, body: String| {
        let taken = Arc::clone(&taken);
        async move {
            let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
            taken.lock().unwrap().push((header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"), body));
        }
    });
    axum::serve(listener, axum::Router::new().route("/hook", route)).await.unwrap();
}

/// Whether the specification's own library takes the signature.
fn is_signed(id: &str, timestamp: &str, signatures: &str, body: &str) -> bool {
    let library = standardwebhooks::Webhook::from_bytes(SECRET.to_vec()).unwrap();
    let mut headers = http::HeaderMap::new();
    for (name, value) in [("webhook-id", id), ("webhook-timestamp", timestamp), ("webhook-signature", signatures)] {
        headers.insert(name, value.parse().unwrap());
    }
    library.verify(body.as_bytes(), &headers).is_ok()
}

#[test]
fn a_receiver_that_was_down_hears_of_every_alert() {
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("secret");
    std::fs::write(&secret, format!("whsec_{}", base64::engine::general_purpose::STANDARD.encode(SECRET))).unwrap();
    let (runtime, client) = client();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let notifier = format!(
            "[[notifier]]\nname = \"soc\"\nkind = \"webhook\"\nurl = \"http://{address}/hook\"\nsecret = \"file:{}\"\nallow_private = true\n",
            secret.display()
        );
        let data = dir.path().join("data");
        let service = Service::start(&data, &notifier);
        let now = bartizan::model::Timestamp::parse("2026-01-01T12:20:00Z").unwrap();
        for post in bartizan::cli::demo::posts(now) {
            assert_eq!(json(client.post(format!("{}{}", service.url, post.path)).body(post.body)).await.0, 200);
        }
        // Down, and the service dies too: nothing may be forgotten.
        let down_s = setting("BARTIZAN_DOWN_S").and_then(|seconds| seconds.parse().ok()).unwrap_or(DOWN_S);
        tokio::time::sleep(std::time::Duration::from_secs(down_s)).await;
        let open = json(client.get(format!("{}/api/v1/alerts?level=medium&limit=1000", service.url))).await.1;
        let open: Vec<String> = open["alerts"].as_array().unwrap().iter().map(|alert| alert["id"].as_str().unwrap().to_owned()).collect();
        assert!(open.len() >= 10);
        service.kill();
        let taken = Taken::default();
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let receiver = tokio::spawn(receive(listener, Arc::clone(&taken)));
        let service = Service::start(&data, &notifier);
        for _ in 0..1_800 {
            if open.iter().all(|id| taken.lock().unwrap().iter().any(|(known, ..)| known.starts_with(id.as_str()))) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        let taken = taken.lock().unwrap().clone();
        for id in &open {
            let mine: Vec<_> = taken.iter().filter(|(known, ..)| known.starts_with(id.as_str())).collect();
            assert!(!mine.is_empty(), "alert {id} was not delivered");
            assert!(mine.iter().all(|(id, timestamp, signatures, body)| is_signed(id, timestamp, signatures, body)));
            assert!(mine.iter().all(|(id, timestamp, signatures, body)| !is_signed(id, timestamp, signatures, &format!("{body} "))));
            assert!(mine.iter().all(|(known, ..)| *known == mine[0].0), "one id an alert: {mine:?}");
        }
        service.kill();
        receiver.abort();
    });
}
