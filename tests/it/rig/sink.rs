//! Who is to hear of alerts: a webhook receiver that checks every signature by the specification's own library.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use serde_json::Value;

const SECRET: &[u8; 32] = b"an invented secret of 32 bytes!!";

/// What it has taken.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// By alert: the `webhook-id` of each message with its type.
    pub(crate) by_alert: BTreeMap<String, BTreeSet<(String, String)>>,
    pub(crate) messages: u64,
    /// Messages whose signature did not hold.
    pub(crate) unsigned: u64,
}

/// The receiver. Never faulted.
#[derive(Debug, Clone)]
pub(crate) struct Sink {
    pub(crate) heard: Arc<Mutex<Heard>>,
    address: std::net::SocketAddr,
}

impl Sink {
    pub(crate) async fn start() -> Self {
        let heard: Arc<Mutex<Heard>> = Arc::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let taken = Arc::clone(&heard);
        let route = axum::routing::post(move |headers: HeaderMap, body: String| {
            let taken = Arc::clone(&taken);
            async move {
                take(&mut taken.lock().unwrap(), &headers, &body);
                StatusCode::NO_CONTENT
            }
        });
        tokio::spawn(async move { axum::serve(listener, axum::Router::new().route("/hook", route)).await });
        Self { heard, address }
    }

    /// The table of a notifier that reaches it. The secret goes into a file beside.
    pub(crate) fn config(&self, dir: &Path) -> String {
        let file = dir.join("sink-secret");
        std::fs::write(&file, format!("whsec_{}", base64::engine::general_purpose::STANDARD.encode(SECRET))).unwrap();
        format!(
            "[[notifier]]\nname = \"sink\"\nkind = \"webhook\"\nurl = \"http://{}/hook\"\nsecret = \"file:{}\"\nallow_private = true\n",
            self.address,
            file.display()
        )
    }
}

fn take(heard: &mut Heard, headers: &HeaderMap, body: &str) {
    heard.messages += 1;
    let library = standardwebhooks::Webhook::from_bytes(SECRET.to_vec()).unwrap();
    heard.unsigned += u64::from(library.verify(body.as_bytes(), headers).is_err());
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    let message: Value = serde_json::from_str(body).unwrap_or_default();
    let alert = message["data"]["id"].as_str().unwrap_or_default().to_owned();
    let kind = message["type"].as_str().unwrap_or_default().to_owned();
    heard.by_alert.entry(alert).or_default().insert((id, kind));
}
