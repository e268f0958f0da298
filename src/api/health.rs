//! Whether it lives, whether it works, and how it is doing.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Api;

/// Where to go from here.
pub(super) async fn index() -> Json<Value> {
    Json(json!({
        "name": "bartizan", "version": env!("CARGO_PKG_VERSION"), "openapi": "/api/v1/openapi.json",
        "alerts": "/api/v1/alerts", "search": "/api/v1/events/search?query=*&limit=10", "health": "/readyz", "metrics": "/metrics",
    }))
}

/// The process lives.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// It can do its work.
pub(super) async fn ready(State(api): State<Api>) -> Response {
    match api.service.ready() {
        Ok(()) => "ok\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

/// What senders to Splunk's collector ask before they send.
pub(super) async fn collector(State(api): State<Api>) -> Response {
    match api.ingest.admit(None) {
        Ok(()) => Json(json!({"text": "HEC is healthy", "code": 17})).into_response(),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"text": "HEC is unhealthy, queues are full", "code": 18}))).into_response(),
    }
}

/// `OpenMetrics`.
pub(super) async fn metrics(State(api): State<Api>) -> Response {
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], api.service.metrics().await).into_response()
}

/// Version of the program.
pub(super) async fn version() -> Json<Value> {
    Json(json!({"version": env!("CARGO_PKG_VERSION")}))
}
