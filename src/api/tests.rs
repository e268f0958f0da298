mod limits;
mod receivers;

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::routes::{Access, ROUTES};
use super::*;
use crate::clock::Clock;
use crate::model::Timestamp;
use crate::store::outbox::Routes;
use crate::store::tokens::{NewToken, Scope};
use crate::store::{EventLog, LogSettings, Restore, StoredRecord};

struct Nothing;

impl Restore for Nothing {
    fn restore(&self, _: &StoredRecord) -> Option<crate::model::Event> {
        None
    }
}

#[async_trait]
impl Ingest for Nothing {
    fn admit(&self, _: Option<&crate::model::SourceId>) -> Result<(), PushError> {
        Ok(())
    }

    fn refuse(&self, _: Option<crate::model::SourceId>) {}

    fn turn_away(&self) {}

    async fn push(&self, body: Held, _: Sender) -> Result<Receipt, PushError> {
        Ok(Receipt { accepted: body.as_ref().len() as u64, rejected: 0 })
    }
}

#[async_trait]
impl Service for Nothing {
    fn ready(&self) -> Result<(), String> {
        Ok(())
    }
    fn sources(&self) -> Value {
        Value::Null
    }
    fn ledger(&self) -> Value {
        Value::Null
    }
    fn open_minutes(&self) -> Vec<crate::model::MinuteRow> {
        Vec::new()
    }
    async fn kept(&self) -> Result<Value, crate::ports::StoreError> {
        Ok(Value::Null)
    }
    fn tail(&self) -> Option<tokio::sync::broadcast::Receiver<Arc<crate::ports::Tailed>>> {
        None
    }
    async fn metrics(&self) -> String {
        "# EOF\n".to_owned()
    }
    fn rules(&self) -> Arc<Vec<Value>> {
        Arc::default()
    }
    fn blind(&self, _rule: &str) -> Value {
        Value::Null
    }
    fn unknown(&self, _rule: &str) -> u64 {
        0
    }
    async fn reload(&self) -> Result<Value, crate::api::RulesError> {
        Err(crate::api::RulesError::Refused("x.yml is broken".to_owned()))
    }
    async fn backtest(&self, asked: crate::api::BacktestRequest) -> Result<Value, crate::api::RulesError> {
        Ok(serde_json::json!({"rules": asked.rules}))
    }
}

struct Fixture {
    _dir: tempfile::TempDir,
    _log: EventLog,
    api: Api,
}

impl Fixture {
    async fn new(is_loopback: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::simulated(Timestamp::from_seconds(1_767_225_600));
        let log = EventLog::open(LogSettings::at(dir.path()), clock.clone(), Arc::new(Nothing)).unwrap();
        let catalog = Arc::new(Catalog::open(dir.path(), clock, Routes::none()).await.unwrap());
        let limits = Limits { body_bytes_max: 100, ..Limits::default() };
        let api = Api::new(log.searcher(), catalog, Arc::new(Nothing), Arc::new(Nothing), is_loopback, Vec::new(), limits);
        Self { _dir: dir, _log: log, api }
    }

    async fn token(&self, scope: Scope) -> String {
        let new = NewToken { name: scope.name().to_owned(), scope, cluster: None, source: None, kinds: Vec::new(), expires: None };
        self.api.catalog.tokens().create(new).await.unwrap().1.reveal().to_owned()
    }

    /// Status, and the code of the problem or the start of the body.
    async fn ask(&self, line: &str, headers: &[(&str, &str)], body: &str) -> String {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path).header("host", "127.0.0.1:7117");
        for (name, value) in headers {
            if *name == "host" {
                request.headers_mut().unwrap().remove("host");
            }
            request = request.header(*name, *value);
        }
        let answer = self.api.clone().router().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
        let status = answer.status().as_u16();
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let code = serde_json::from_str::<Value>(&text).ok().and_then(|value| value.get("code").and_then(Value::as_str).map(str::to_owned));
        format!("{status} {}", code.unwrap_or_else(|| text.chars().take(60).collect()))
    }
}

#[tokio::test]
async fn answers() {
    let fixture = Fixture::new(true).await;
    let json = [("content-type", "application/json")];
    for (line, headers, body, expected) in [
        ("GET /healthz", &[][..], "", "200 ok\n"),
        ("GET /", &[], "", "200 "),
        ("GET /api/v1/events/search?query=verb:get", &[], "", "200 {\"events\":[],\"total\":{\"value\":0,\"exact\":true},\"next_cursor"),
        ("GET /api/v1/events/search?query=(verb:get", &[], "", "400 bad_query"),
        ("GET /api/v1/events/search?limit=5000", &[], "", "400 bad_limit"),
        ("GET /api/v1/events/search?limmit=5", &[], "", "400 bad_parameter"),
        ("POST /api/v1/events/search", &json, "{\"query\": 3}", "422 bad_body"),
        ("POST /api/v1/events/aggregate", &json, "{\"by\": [{\"time\": \"1x\"}]}", "400 bad_step"),
        ("POST /api/v1/events/aggregate", &json, "{\"by\": [{\"field\": \"k8s.podd\"}]}", "400 bad_field"),
        (
            "POST /api/v1/events/aggregate",
            &json,
            "{\"by\": [{\"stats\": \"src.ip\"}]}",
            "200 {\"buckets\":[],\"stats\":{\"cardinality\":0,\"count\":0}",
        ),
        ("POST /api/v1/events/aggregate", &json, "{\"by\": [{\"stats\": \"src.ip\"}, {\"time\": \"1h\"}]}", "400 bad_request"),
        ("POST /api/v1/events/aggregate", &json, "{\"by\": [{\"stats\": \"src.ip\", \"size\": 3}]}", "400 bad_aggregation"),
        ("GET /api/v1/events/search?query=(verb:get)&explain=true", &[], "", "200 {\"events\":[]"),
        ("GET /api/v1/events/export", &[], "", "200 "),
        ("GET /api/v1/events/export?format=csv&fields=k8s.verb,event.id", &[], "", "200 k8s.verb,event.id\r\n"),
        ("GET /api/v1/events/export?format=xml", &[], "", "400 bad_parameter"),
        ("GET /api/v1/events/export?fields=k8s.verb", &[], "", "400 bad_parameter"),
        ("GET /api/v1/events/export?format=csv&fields=k8s.podd", &[], "", "400 bad_field"),
        ("GET /api/v1/events/export?query=(a", &[], "", "400 bad_query"),
        ("GET /api/v1/events/00000000000000000000000000000000/around", &[], "", "404 not_found"),
        ("GET /api/v1/events/00000000000000000000000000000000/around?within=2d", &[], "", "400 bad_step"),
        ("GET /api/v1/events/tail?query=(a", &[], "", "400 bad_query"),
        ("GET /api/v1/events/tail", &[], "", "503 stopping"),
        ("GET /api/v1/events/nope", &[], "", "400 bad_id"),
        ("GET /api/v1/events/00000000000000000000000000000000", &[], "", "404 not_found"),
        ("GET /api/v1/alerts", &[], "", "200 {\"alerts\":[],\"next_cursor\":null}"),
        ("GET /api/v1/events/search?format=ocsf", &[], "", "200 {\"events\":[]"),
        ("GET /api/v1/events/search?format=ecs", &[], "", "400 bad_parameter"),
        ("POST /api/v1/events/search?format=ocsf", &json, "{}", "200 {\"events\":[]"),
        ("POST /api/v1/events/search?format=ecs", &json, "{}", "400 bad_parameter"),
        ("POST /api/v1/events/search", &json, "{\"format\": \"ocsf\"}", "200 {\"events\":[]"),
        ("POST /api/v1/events/search", &json, "{\"format\": \"ecs\"}", "422 bad_body"),
        ("GET /api/v1/events/00000000000000000000000000000000?format=ecs", &[], "", "400 bad_parameter"),
        ("GET /api/v1/alerts?format=ocsf", &[], "", "200 {\"alerts\":[]"),
        ("GET /api/v1/alerts?status=gone", &[], "", "400 bad_parameter"),
        ("GET /api/v1/alerts/00000000000000000000000000000000", &[], "", "404 not_found"),
        ("PATCH /api/v1/alerts/00000000000000000000000000000000", &json, "{}", "400 nothing_to_change"),
        ("POST /api/v1/rules/reload", &[], "", "422 bad_rules"),
        ("POST /api/v1/rules/backtest", &json, "{\"rules\": \"x\", \"from\": \"2026-01-01T00:00:00Z\"}", "200 {\"rules\":\"x\"}"),
        ("POST /api/v1/rules/backtest", &json, "{\"rule\": \"x\"}", "422 bad_body"),
        ("GET /api/v1/nothing", &[], "", "404 not_found"),
        ("POST /ingest/auto", &[], "{}", "200 {\"accepted\":2,\"rejected\":0}"),
        ("POST /ingest/auto", &[("content-encoding", "br")], "{}", "415 unsupported_encoding"),
    ] {
        let got = fixture.ask(line, headers, body).await;
        assert!(got.starts_with(expected), "{line}: {got}");
    }
    assert!(fixture.ask("POST /ingest/auto", &[], &"x".repeat(101)).await.starts_with("413 body_too_large"));
    assert!(fixture.ask("POST /ingest/auto", &[("content-length", "99999999")], "").await.starts_with("413 body_too_large"));
    assert!(fixture.ask("DELETE /ingest/auto", &[], "").await.starts_with("405"));
}

#[tokio::test]
async fn every_route_asks_who_calls() {
    let fixture = Fixture::new(false).await;
    let (ingest, admin) = (fixture.token(Scope::Ingest).await, fixture.token(Scope::Admin).await);
    for route in ROUTES {
        let path = route.path.replace("{id}", "00000000000000000000000000000000");
        let line = format!("{} {path}", route.method);
        for (who, token) in [("nobody", None), ("bad", Some("brt_x")), ("ingest", Some(ingest.as_str())), ("admin", Some(admin.as_str()))] {
            let header = token.map(|token| format!("Bearer {token}"));
            let headers: Vec<(&str, &str)> = header.iter().map(|value| ("authorization", value.as_str())).collect();
            let got = fixture.ask(&line, &headers, "").await;
            let refused = match (route.access, who) {
                (Access::Open, _) | (_, "admin") | (Access::Ingest, "ingest") => None,
                (Access::Admin, "ingest") => Some("403"),
                _ => Some("401"),
            };
            match refused {
                Some(status) => assert!(got.starts_with(status), "{line} by {who}: {got}"),
                None => assert!(!got.starts_with("401") && !got.starts_with("403"), "{line} by {who}: {got}"),
            }
        }
    }
}

#[tokio::test]
async fn on_loopback_no_page_in_a_browser_is_admin() {
    let fixture = Fixture::new(true).await;
    for (headers, expected) in [
        (&[("host", "localhost:7117")][..], "200"),
        (&[("host", "[::1]:7117")], "200"),
        (&[("host", "evil.example")], "403"),
        (&[("origin", "http://evil.example")], "403"),
        (&[("origin", "null")], "403"),
        (&[("origin", "http://127.0.0.1:7117")], "200"),
        (&[("origin", "http://127.0.0.1:3000")], "403"),
        (&[("origin", "http://localhost:7117")], "403"),
        (&[("sec-fetch-site", "cross-site")], "403"),
        (&[("host", "")], "403"),
    ] {
        let got = fixture.ask("GET /api/v1/alerts", headers, "").await;
        assert!(got.starts_with(expected), "{headers:?}: {got}");
    }
    for (line, expected) in [("GET http://evil.example/api/v1/alerts", "403"), ("GET http://127.0.0.1:7117/api/v1/alerts", "200")] {
        let got = fixture.ask(line, &[], "").await;
        assert!(got.starts_with(expected), "{line}: {got}");
    }
    let nameless = Request::builder().uri("/api/v1/alerts").body(Body::empty()).unwrap();
    assert_eq!(fixture.api.clone().router().oneshot(nameless).await.unwrap().status().as_u16(), 403);
    fixture.token(Scope::Ingest).await;
    assert!(fixture.ask("GET /api/v1/alerts", &[], "").await.starts_with("401"));
}

#[test]
fn the_description_has_every_route() {
    let document = openapi::document();
    assert_eq!(document["openapi"], "3.1.0");
    for route in ROUTES {
        assert!(document["paths"][route.path][route.method.to_ascii_lowercase()].is_object(), "{} {}", route.method, route.path);
    }
    let text = document.to_string();
    for reference in text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(document["components"]["schemas"][reference].is_object(), "schema {reference}");
    }
}
