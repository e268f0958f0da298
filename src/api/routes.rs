//! The table of routes: what is mounted, who may call it, and what the description says of it.

use axum::routing::{delete, get, post};
use axum::{Extension, Router};

use super::receivers::Dialect;
use super::{Api, admin, alerts, around, events, export, health, ingest, ledger, openapi, tail};
use crate::model::{Kind, Kinds};

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Anybody.
    Open,
    /// A token that may push, or an admin.
    Ingest,
    Admin,
}

/// One route.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) access: Access,
    pub(super) summary: &'static str,
    /// Query parameters, each with what it means.
    pub(super) parameters: &'static [(&'static str, &'static str)],
    /// What a push by it may carry; `None`: it takes no push.
    pub(super) kinds: Option<Kinds>,
    pub(super) dialect: Dialect,
    /// Name of the schema of its JSON body, if it has one.
    pub(super) body: Option<&'static str>,
    /// Name of the schema of its answer, and its media type.
    pub(super) answer: (&'static str, &'static str),
}

const JSON: &str = "application/json";
const FORMAT: (&str, &str) = ("format", "Whose names events and alerts have: `bartizan`, or `ocsf` for the Open Cybersecurity Schema Framework.");
const SEARCH_PARAMETERS: &[(&str, &str)] = &[
    ("query", "In the query language; everything without it."),
    ("from", "Earliest event time, RFC 3339."),
    ("to", "Latest event time, RFC 3339, not included."),
    ("limit", "Events in the page: 100, from 0 (only the total) to 1,000."),
    ("cursor", "`next_cursor` of the page before."),
    ("explain", "`true`: says besides what the query was taken to mean, and what was done in each part of the store."),
    FORMAT,
];
const EXPORT_PARAMETERS: &[(&str, &str)] = &[
    ("query", "In the query language; everything without it."),
    ("from", "Earliest event time, RFC 3339."),
    ("to", "Latest event time, RFC 3339, not included."),
    ("format", "`ndjson`, `ocsf` (an OCSF event a line) or `csv`."),
    ("fields", "Columns of `csv`, with commas; native names go too."),
    ("limit", "Events at most; all without it."),
];
const AROUND_PARAMETERS: &[(&str, &str)] = &[
    ("within", "How long before and after it: `5m`, at most `1d`."),
    ("by", "`entity`: what has a user, pod, workload or address in common with it. `cluster`: all of its cluster."),
    ("limit", "Events in the page: 100, from 1 to 1,000."),
    ("cursor", "`next_cursor` of the page before."),
    FORMAT,
];

const fn route(method: &'static str, path: &'static str, access: Access, summary: &'static str, answer: &'static str) -> Route {
    Route { method, path, access, summary, parameters: &[], kinds: None, dialect: Dialect::Own, body: None, answer: (answer, JSON) }
}

/// Every route. What is not here is answered to nobody.
pub(super) const ROUTES: &[Route] = &[
    route("GET", "/", Access::Open, "Where to go from here.", "Object"),
    push("/ingest/k8s-audit", Kinds::only(Kind::K8sAudit), "Takes audit events: the API server's webhook, or any envelope."),
    push("/ingest/falco", Kinds::only(Kind::Falco), "Takes Falco alerts: Falco's or falcosidekick's HTTP output."),
    push("/ingest/hubble", Kinds::only(Kind::Flow), "Takes Hubble flows as JSON lines, and what Hubble says of itself."),
    push("/ingest/auto", Kinds::ALL, "Takes anything that is read here; each record says what it is."),
    receiver("/v1/logs", Dialect::Otlp, "Takes OpenTelemetry logs by OTLP/HTTP, as protobuf or JSON."),
    receiver("/services/collector", Dialect::SplunkHec, "Takes what is sent to Splunk's HTTP Event Collector."),
    receiver("/services/collector/event", Dialect::SplunkHec, "Takes what is sent to Splunk's HTTP Event Collector."),
    receiver("/services/collector/raw", Dialect::SplunkHec, "Takes what is sent to Splunk's HTTP Event Collector, without its envelope."),
    route("GET", "/services/collector/health", Access::Open, "What senders to Splunk ask first.", "Object"),
    receiver("/ingest/firehose", Dialect::Firehose, "Takes Amazon Data Firehose's HTTP endpoint delivery; the access key is the token."),
    Route {
        parameters: &[("token", "The token, where the subscription can send no header.")],
        ..receiver("/ingest/pubsub", Dialect::PubSub, "Takes Google Pub/Sub's push.")
    },
    Route { parameters: SEARCH_PARAMETERS, ..route("GET", "/api/v1/events/search", Access::Admin, "Searches events, newest first.", "SearchAnswer") },
    Route {
        parameters: &[FORMAT],
        body: Some("SearchRequest"),
        ..route("POST", "/api/v1/events/search", Access::Admin, "Searches events, newest first.", "SearchAnswer")
    },
    Route {
        parameters: EXPORT_PARAMETERS,
        answer: ("Events", "application/x-ndjson"),
        ..route(
            "GET",
            "/api/v1/events/export",
            Access::Admin,
            "All events that match, newest first, as one stream; one that breaks off is not whole.",
            "Events",
        )
    },
    Route {
        parameters: &[("query", "In the query language; everything without it."), FORMAT],
        answer: ("Events", "text/event-stream"),
        ..route("GET", "/api/v1/events/tail", Access::Admin, "Events that match, as they become durable; `skipped` says what is not shown.", "Events")
    },
    Route { parameters: &[FORMAT], ..route("GET", "/api/v1/events/{id}", Access::Admin, "One event.", "Event") },
    Route {
        parameters: AROUND_PARAMETERS,
        ..route("GET", "/api/v1/events/{id}/around", Access::Admin, "What happened around an event, to the same entities.", "SearchAnswer")
    },
    Route {
        body: Some("AggregateRequest"),
        ..route("POST", "/api/v1/events/aggregate", Access::Admin, "Histograms, top values, and what values are like, nested.", "AggregateAnswer")
    },
    route("GET", "/api/v1/fields", Access::Admin, "Names of fields, with kinds and top values.", "Object"),
    Route {
        parameters: &[
            ("status", "open, acknowledged, closed or superseded."),
            ("level", "This level or above."),
            ("rule", "Id of the rule."),
            ("entity", "As alerts name it: `user:alice`."),
            ("cluster", "Of this cluster."),
            ("from", "Last seen at or after, RFC 3339."),
            ("to", "First seen before, RFC 3339."),
            ("limit", "Alerts in the page: 100, from 1 to 1,000."),
            ("cursor", "`next_cursor` of the page before."),
            FORMAT,
        ],
        ..route("GET", "/api/v1/alerts", Access::Admin, "Alerts, the last seen first.", "AlertList")
    },
    Route { parameters: &[FORMAT], ..route("GET", "/api/v1/alerts/{id}", Access::Admin, "One alert, with its ETag.", "Alert") },
    Route {
        body: Some("AlertPatch"),
        ..route(
            "PATCH",
            "/api/v1/alerts/{id}",
            Access::Admin,
            "Changes its status, or adds a comment. `If-Match` guards against a change in between.",
            "Alert",
        )
    },
    Route { parameters: &[FORMAT], ..route("GET", "/api/v1/alerts/{id}/events", Access::Admin, "Its contributing events.", "SearchAnswer") },
    Route { body: Some("AlertComment"), ..route("POST", "/api/v1/alerts/{id}/comments", Access::Admin, "Adds a comment.", "Object") },
    route("GET", "/api/v1/rules", Access::Admin, "The rules in force.", "Object"),
    route("POST", "/api/v1/rules/reload", Access::Admin, "Reads configuration and rules anew; a set that can not be read changes nothing.", "Object"),
    Route {
        body: Some("BacktestRequest"),
        ..route(
            "POST",
            "/api/v1/rules/backtest",
            Access::Admin,
            "Runs rules over the stored past, and tells what differs from the rules in force.",
            "Backtest",
        )
    },
    route(
        "GET",
        "/api/v1/rules/{id}",
        Access::Admin,
        "One rule, the fields it needs that were never there, and for how many events it was unknown.",
        "Object",
    ),
    route("GET", "/api/v1/store", Access::Admin, "Events that are kept and for how long, what went, and for how long there is room.", "Object"),
    route("GET", "/api/v1/sources", Access::Admin, "Sources: how each is, how far behind, and what it has brought.", "Object"),
    Route {
        parameters: &[
            ("by", "`source`, or `minute` for what became durable in each minute too, the newest first."),
            ("source", "Only minutes of this source."),
            ("from", "Minutes that begin at or after, RFC 3339."),
            ("to", "Minutes that begin before, RFC 3339."),
            ("limit", "Minutes in the page: 100, from 1 to 10,000."),
            ("cursor", "`next_cursor` of the page before."),
        ],
        ..route("GET", "/api/v1/ledger", Access::Admin, "Every record that came and how it ended, by source and by minute.", "Object")
    },
    route("GET", "/api/v1/tokens", Access::Admin, "Tokens, without their secrets.", "Object"),
    Route { body: Some("NewToken"), ..route("POST", "/api/v1/tokens", Access::Admin, "Makes a token; its secret is in this answer only.", "Object") },
    route("DELETE", "/api/v1/tokens/{id}", Access::Admin, "Revokes a token.", "Object"),
    route("GET", "/api/v1/openapi.json", Access::Open, "This description.", "Object"),
    Route { answer: ("Text", "text/plain"), ..route("GET", "/healthz", Access::Open, "Whether the process lives.", "Text") },
    Route { answer: ("Text", "text/plain"), ..route("GET", "/readyz", Access::Open, "Whether it can do its work.", "Text") },
    Route { answer: ("Text", "application/openmetrics-text"), ..route("GET", "/metrics", Access::Admin, "Metrics.", "Text") },
    route("GET", "/version", Access::Open, "Version of the program.", "Object"),
];

/// A route for pushes. A record that claims another kind becomes `other`, flagged as forged.
const fn push(path: &'static str, kinds: Kinds, summary: &'static str) -> Route {
    Route { kinds: Some(kinds), body: Some("Push"), ..route("POST", path, Access::Ingest, summary, "Receipt") }
}

/// A route for what a certain sender writes, in that sender's own way.
const fn receiver(path: &'static str, dialect: Dialect, summary: &'static str) -> Route {
    Route { dialect, answer: ("Object", JSON), ..push(path, Kinds::ALL, summary) }
}

/// The routes whose bodies may be large.
pub(super) fn pushes() -> Router<Api> {
    let rows = ROUTES.iter().filter_map(|route| Some((route, route.kinds?)));
    rows.fold(Router::new(), |router, (route, kinds)| {
        router.route(route.path, post(ingest::push).layer((Extension(kinds), Extension(route.dialect))))
    })
}

/// All other routes.
pub(super) fn others() -> Router<Api> {
    Router::new()
        .route("/", get(health::index))
        .route("/api/v1/events/search", get(events::search_by_url).post(events::search_by_body))
        .route("/api/v1/events/export", get(export::export))
        .route("/api/v1/events/tail", get(tail::tail))
        .route("/api/v1/events/{id}", get(events::one))
        .route("/api/v1/events/{id}/around", get(around::around))
        .route("/api/v1/events/aggregate", post(events::aggregate))
        .route("/api/v1/fields", get(events::fields))
        .route("/api/v1/alerts", get(alerts::list))
        .route("/api/v1/alerts/{id}", get(alerts::one).patch(alerts::patch))
        .route("/api/v1/alerts/{id}/events", get(alerts::events))
        .route("/api/v1/alerts/{id}/comments", post(alerts::comment))
        .route("/api/v1/rules", get(admin::rules))
        .route("/api/v1/rules/reload", post(admin::reload))
        .route("/api/v1/rules/backtest", post(admin::backtest))
        .route("/api/v1/rules/{id}", get(admin::rule))
        .route("/api/v1/store", get(admin::store))
        .route("/api/v1/sources", get(admin::sources))
        .route("/api/v1/ledger", get(ledger::ledger))
        .route("/api/v1/tokens", get(admin::tokens).post(admin::create_token))
        .route("/api/v1/tokens/{id}", delete(admin::revoke_token))
        .route("/api/v1/openapi.json", get(openapi::describe))
        .route("/services/collector/health", get(health::collector))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/version", get(health::version))
}
