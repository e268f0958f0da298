//! The HTTP API (CONTRACTS 4): push, search, alerts, rules, health. One table says which routes there are and who may call them.

mod admin;
mod alerts;
mod around;
mod ask;
mod auth;
mod body;
pub mod clients;
mod error;
mod events;
mod export;
mod format;
mod health;
mod ingest;
mod ledger;
mod openapi;
mod pace;
mod patient;
mod receivers;
mod routes;
pub mod server;
mod tail;
#[cfg(test)]
mod tests;
pub mod tls;
mod turns;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware;
use axum::response::Response;
use serde_json::Value;

pub use body::Held;
pub use error::Problem;
pub use pace::Pace;

use crate::model::{ClusterId, Kinds, MinuteRow, SourceId, Timestamp};
use crate::ports::{StoreError, Tailed};
use crate::store::Searcher;
use crate::store::catalog::Catalog;
use body::Room;
use tokio::sync::broadcast;
use turns::Turns;

/// Limits of the API; what they guard is in each name.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Of a push, on the wire.
    pub body_bytes_max: usize,
    /// Of all pushes that are read or worked on. Past it the answer is 429, before a body is read where its length is said.
    pub bodies_in_flight_bytes_max: usize,
    /// Of any other request.
    pub request_bytes_max: usize,
    /// Searches and aggregations at one time. Past it the answer is 429.
    pub searches_max: usize,
    /// Of one caller: a token, or all of loopback where none is made. Past it the answer is 429.
    pub searches_per_principal_max: usize,
    /// Live tails at one time. Past it the answer is 429.
    pub watchers_max: usize,
    /// Of one caller.
    pub watchers_per_principal_max: usize,
    /// How long a search may take. Then it answers what it has, as `partial`.
    pub search: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 32 << 20,
            bodies_in_flight_bytes_max: 256 << 20,
            request_bytes_max: 64 << 10,
            searches_max: 16,
            searches_per_principal_max: 4,
            watchers_max: 32,
            watchers_per_principal_max: 8,
            search: Duration::from_secs(10),
        }
    }
}

/// How a push ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Receipt {
    /// Records that are durable now.
    pub accepted: u64,
    /// Ranges that could not be read, counted and left out.
    pub rejected: u64,
}

/// Why a push was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushError {
    /// Come back after so many seconds.
    Busy { retry_after_s: u64 },
    /// Nothing can be made durable any more.
    Unavailable(String),
}

/// Who pushes, and by which route: what a payload says of either counts for nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    pub cluster: Option<ClusterId>,
    pub source: Option<SourceId>,
    /// What the route may carry.
    pub kinds: Kinds,
}

/// Where pushes go.
#[async_trait]
pub trait Ingest: Send + Sync {
    /// Whether a push would be taken now. Asked before anything of it is read.
    fn admit(&self, source: Option<&SourceId>) -> Result<(), PushError>;
    /// A push of this source was answered with an error: it is counted, and nothing of it was taken.
    fn refuse(&self, source: Option<SourceId>);
    /// A push came without valid credentials.
    fn turn_away(&self);
    /// Takes a body in; once this returns it is durable.
    async fn push(&self, body: Held, sender: Sender) -> Result<Receipt, PushError>;
}

/// Why rules were not changed; those that run go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// The new ones can not be read or run.
    #[error("{0}")]
    Refused(String),
    /// Others are run over the past: one at a time.
    #[error("rules are run over the past already")]
    Busy,
    /// Not now.
    #[error("{0}")]
    Unavailable(String),
}

/// Rules that are to be run over the stored past.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BacktestRequest {
    /// Sigma rules as YAML, parted by `---`; without any, the rules in force.
    pub rules: Option<String>,
    /// Earliest event time, included.
    pub from: Option<Timestamp>,
    /// Latest event time, not included.
    pub to: Option<Timestamp>,
}

/// What the service says of itself.
#[async_trait]
pub trait Service: Send + Sync {
    /// Whether it can do its work, or why not.
    fn ready(&self) -> Result<(), String>;
    /// The configured sources, with counts.
    fn sources(&self) -> Value;
    /// The conservation ledger.
    fn ledger(&self) -> Value;
    /// Minutes of the ledger that are in no table yet.
    fn open_minutes(&self) -> Vec<MinuteRow>;
    /// What is kept and for how long, what went, and how long there is room.
    async fn kept(&self) -> Result<Value, StoreError>;
    /// What becomes durable from now on; nothing if the service is being stopped.
    fn tail(&self) -> Option<broadcast::Receiver<Arc<Tailed>>>;
    /// `OpenMetrics` text.
    async fn metrics(&self) -> String;
    /// The rules in force.
    fn rules(&self) -> Arc<Vec<Value>>;
    /// Why this rule can not fire on what was seen so far: the fields that it needs and that were never there. Null if nothing is known to be in the way.
    fn blind(&self, rule: &str) -> Value;
    /// Events for which this rule could not be decided since they lack what it asks for.
    fn unknown(&self, rule: &str) -> u64;
    /// Reads the rules anew, and tells what changed.
    async fn reload(&self) -> Result<Value, RulesError>;
    /// Runs rules over the stored past, for as long as a search may take at most.
    async fn backtest(&self, asked: BacktestRequest) -> Result<Value, RulesError>;
}

/// What handlers work with.
#[derive(Clone)]
pub struct Api {
    pub searcher: Searcher,
    pub catalog: Arc<Catalog>,
    pub ingest: Arc<dyn Ingest>,
    pub service: Arc<dyn Service>,
    /// The service listens on loopback only: without a token ever made, the caller is admin.
    pub is_loopback: bool,
    /// Further host names by which it may be addressed then.
    pub hosts: Arc<Vec<String>>,
    pub limits: Limits,
    room: Room,
    turns: Arc<Turns>,
    watchers: Arc<Turns>,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").field("is_loopback", &self.is_loopback).field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Api {
    /// Over these parts of the service.
    pub fn new(
        searcher: Searcher,
        catalog: Arc<Catalog>,
        ingest: Arc<dyn Ingest>,
        service: Arc<dyn Service>,
        is_loopback: bool,
        hosts: Vec<String>,
        limits: Limits,
    ) -> Self {
        let room = Room::new(limits.bodies_in_flight_bytes_max, limits.body_bytes_max);
        let turns = Turns::new(limits.searches_max, limits.searches_per_principal_max);
        let watchers = Turns::new(limits.watchers_max, limits.watchers_per_principal_max);
        Self { searcher, catalog, ingest, service, is_loopback, hosts: Arc::new(hosts), limits, room, turns, watchers }
    }

    fn now_ms(&self) -> i64 {
        self.catalog.clock().now().millis()
    }

    /// Every route, behind authentication.
    pub fn router(self) -> Router {
        let others = routes::others().layer(DefaultBodyLimit::max(self.limits.request_bytes_max));
        routes::pushes()
            .merge(others)
            .route_layer(middleware::from_fn_with_state(self.clone(), auth::guard))
            .fallback(|| async { Problem::not_found("there is no such route: /api/v1/openapi.json lists them") })
            .layer(middleware::map_response(harden))
            .with_state(self)
    }
}

/// Headers that every answer has: nothing here is to be framed, sniffed, cached or run.
async fn harden(mut answer: Response) -> Response {
    const HEADERS: [(&str, &str); 5] = [
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cache-control", "no-store"),
    ];
    for (name, value) in HEADERS {
        answer.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    answer
}
