//! What an analyst does after a first search, against the running service: takes all of it along, looks around one event, asks what values are like.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use serde_json::{Value, json};

use crate::service::{Service, client, json, until};

/// Events of the case: more than two pages.
const EVENTS: usize = 2_300;

/// An audit event by number: 100 users in turn, a second apart; every tenth is refused.
fn audit(n: usize) -> String {
    let (user, code) = (n % 100, if n.is_multiple_of(10) { 403 } else { 200 });
    let agent = if n == 7 { "=cmd|' /C calc'!A0, \\\"x\\\"" } else { "kubectl" };
    let (minute, second) = (n / 60, n % 60);
    format!(
        r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"{n:08x}-0000-4000-8000-000000000000","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/shop/pods/p{n}","verb":"get","user":{{"username":"user-{user}"}},"userAgent":"{agent}","sourceIPs":["10.0.0.{user}"],"objectRef":{{"resource":"pods","namespace":"shop","name":"p{n}","apiVersion":"v1"}},"responseStatus":{{"code":{code}}},"requestReceivedTimestamp":"2026-01-01T10:{minute:02}:{second:02}.000000Z","stageTimestamp":"2026-01-01T10:{minute:02}:{second:02}.500000Z"}}"#
    )
}

async fn text(client: &reqwest::Client, url: &str) -> (String, String) {
    let answer = client.get(url).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{url}");
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    (kind, answer.text().await.unwrap())
}

/// The lines of an export, read as JSON.
async fn lines(client: &reqwest::Client, url: &str) -> Vec<Value> {
    let (kind, text) = text(client, url).await;
    assert_eq!(kind, "application/x-ndjson");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_was_found_is_taken_along_looked_around_and_summed_up() {
    let (runtime, client) = client();
    let dir = tempfile::tempdir().unwrap();
    let service = Service::start(&dir.path().join("data"), "");
    runtime.block_on(async {
        let events: Vec<String> = (0..EVENTS).map(audit).collect();
        let (status, receipt) = json(client.post(format!("{}/ingest/k8s-audit", service.url)).body(events.join("\n"))).await;
        assert_eq!((status, &receipt["accepted"]), (200, &json!(EVENTS)), "{receipt}");
        let api = format!("{}/api/v1/events", service.url);
        until(&client, &format!("{api}/search?limit=0&query=event.kind:k8s_audit"), |answer| answer["total"]["value"] == EVENTS).await;
        export(&client, &api).await;
        around(&client, &api).await;
        stats(&client, &api).await;
        let (_, explained) = json(client.get(format!("{api}/search?limit=1&explain=true&query=k8s.verb:GET%20NOT%20cluster:none"))).await;
        assert_eq!(explained["explain"]["query"], "k8s.verb:get AND NOT cluster:none", "{explained}");
        let parts = explained["explain"]["parts"].as_array().unwrap();
        let matched: u64 = parts.iter().map(|part| part["matched"].as_u64().unwrap()).sum();
        assert_eq!((matched, parts[0]["looked_at"].as_u64()), (EVENTS as u64, Some(0)), "{explained}");
    });
    service.kill();
}

/// An open live tail.
struct Tail {
    answer: reqwest::Response,
    text: String,
}

impl Tail {
    async fn open(client: &reqwest::Client, service: &Service, query: &str) -> Self {
        let answer = client.get(format!("{}/api/v1/events/tail?query={query}", service.url)).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap()), (200, "text/event-stream"));
        Self { answer, text: String::new() }
    }

    /// The next message: its lines.
    async fn next(&mut self) -> String {
        loop {
            if let Some((message, rest)) = self.text.split_once("\n\n").map(|(message, rest)| (message.to_owned(), rest.to_owned())) {
                self.text = rest;
                return message;
            }
            let chunk = tokio::time::timeout(Duration::from_secs(60), self.answer.chunk()).await.expect("messages come").unwrap();
            self.text.push_str(&String::from_utf8_lossy(&chunk.expect("it goes on")));
        }
    }

    async fn end(mut self) {
        while tokio::time::timeout(Duration::from_secs(20), self.answer.chunk()).await.expect("the stream ends").unwrap().is_some() {}
    }
}

#[test]
fn a_live_tail_shows_what_becomes_durable_and_ends_with_the_service() {
    let (runtime, client) = client();
    let dir = tempfile::tempdir().unwrap();
    let mut service = Service::start(&dir.path().join("data"), "");
    runtime.block_on(async {
        let push = async |events: Vec<String>| {
            let (status, receipt) = json(client.post(format!("{}/ingest/k8s-audit", service.url)).body(events.join("\n"))).await;
            assert_eq!(status, 200, "{receipt}");
        };
        push((0..50).map(audit).collect()).await;
        let url = format!("{}/api/v1/events/search?limit=0&query=event.kind:k8s_audit", service.url);
        until(&client, &url, |answer| answer["total"]["value"] == 50).await;
        let mut refused = Tail::open(&client, &service, "responseStatus.code:403").await;
        let mut all = Tail::open(&client, &service, "event.kind:k8s_audit").await;
        push((100..140).map(audit).collect()).await;
        for name in ["p100", "p110", "p120", "p130"] {
            let message = refused.next().await;
            let event = shown(&message);
            assert_eq!(event["k8s"]["name"], name);
            assert!(message.contains(&format!("id: {}", event["event"]["id"].as_str().unwrap())), "{message}");
        }
        for n in 100..140 {
            assert_eq!(shown(&all.next().await)["k8s"]["name"], format!("p{n}"));
        }
        // Of very many at once some are shown, and the rest are counted.
        push((1_000..2_500).map(audit).collect()).await;
        let (mut seen, mut counted) = (0, 0);
        while seen + counted < 1_500 {
            let message = all.next().await;
            if message.starts_with("event: skipped") {
                counted += shown(&message)["events"].as_u64().unwrap();
            } else {
                seen += 1;
            }
        }
        assert!(seen >= 500 && counted > 0 && seen + counted == 1_500, "{seen} {counted}");
        let mut open = Vec::new();
        for _ in 0..7 {
            open.push(client.get(format!("{}/api/v1/events/tail", service.url)).send().await.unwrap());
        }
        assert_eq!(open.last().map(|answer| answer.status().as_u16()), Some(429));
        service.signal("TERM");
        refused.end().await;
        all.end().await;
        assert!(service.ended_within(Duration::from_secs(20)).await.is_some_and(|status| status.success()));
    });
}

/// The event of a message.
fn shown(message: &str) -> Value {
    let data = message.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
    serde_json::from_str(data).unwrap()
}

async fn export(client: &reqwest::Client, api: &str) {
    let all = lines(client, &format!("{api}/export?query=event.kind:k8s_audit")).await;
    let ids: HashSet<&str> = all.iter().map(|event| event["event"]["id"].as_str().unwrap()).collect();
    assert_eq!((all.len(), ids.len()), (EVENTS, EVENTS));
    assert!(all.is_sorted_by(|newer, older| newer["event"]["time"].as_str() >= older["event"]["time"].as_str()));
    assert_eq!(lines(client, &format!("{api}/export?query=event.kind:k8s_audit&limit=1500")).await, all[..1500]);
    let hour = "from=2026-01-01T10:10:00Z&to=2026-01-01T10:20:00Z";
    assert_eq!(lines(client, &format!("{api}/export?query=event.kind:k8s_audit&{hour}")).await.len(), 600);
    let ocsf = lines(client, &format!("{api}/export?query=event.kind:k8s_audit&format=ocsf&limit=3")).await;
    assert!(ocsf.iter().all(|event| event["class_uid"] == 6003), "{ocsf:?}");
    let columns = "fields=k8s.name,actor.user_agent,responseStatus.code";
    let (kind, csv) = text(client, &format!("{api}/export?query=event.kind:k8s_audit&format=csv&{columns}")).await;
    assert!(kind.starts_with("text/csv"), "{kind}");
    assert_eq!((csv.lines().count(), csv.lines().next()), (EVENTS + 1, Some("k8s.name,actor.user_agent,responseStatus.code")));
    assert!(csv.contains("\r\np7,\"'=cmd|' /C calc'!A0, \"\"x\"\"\",200\r\n") && csv.contains("\r\np8,kubectl,200\r\n"));
}

async fn around(client: &reqwest::Client, api: &str) {
    let (_, found) = json(client.get(format!("{api}/search?query=k8s.name:p1042"))).await;
    let id = found["events"][0]["event"]["id"].as_str().unwrap().to_owned();
    let names = async |more: &str| -> Vec<String> {
        let (status, page) = json(client.get(format!("{api}/{id}/around?{more}"))).await;
        assert_eq!(status, 200, "{page}");
        page["events"].as_array().unwrap().iter().map(|event| event["k8s"]["name"].as_str().unwrap().to_owned()).collect()
    };
    // The same user comes again every 100 seconds; both ends are within.
    let mine = names("").await;
    assert!(["p1242", "p1142", "p1042", "p942", "p842"].iter().all(|name| mine.contains(&(*name).to_owned())), "{mine:?}");
    assert_eq!(names("within=5s&by=cluster").await.len(), 11);
    assert_eq!(names("within=5s&by=cluster&limit=2").await, ["p1047", "p1046"]);
}

async fn stats(client: &reqwest::Client, api: &str) {
    let ask = async |by: Value| {
        let body = json!({"query": "event.kind:k8s_audit", "by": by});
        let (status, answer) = json(client.post(format!("{api}/aggregate")).header("content-type", "application/json").body(body.to_string())).await;
        assert_eq!(status, 200, "{answer}");
        answer
    };
    let users = ask(json!([{"stats": "actor.user.name"}])).await;
    assert_eq!(users["stats"], json!({"cardinality": 100, "count": EVENTS}), "{users}");
    let names = ask(json!([{"stats": "objectRef.name"}])).await;
    assert_eq!((&names["stats"]["cardinality"], &names["partial"]), (&json!(EVENTS), &json!(false)), "{names}");
    let codes = ask(json!([{"field": "k8s.namespace"}, {"stats": "responseStatus.code"}])).await;
    let numbers = &codes["buckets"][0]["stats"]["numbers"];
    let told: BTreeMap<&str, f64> = ["count", "min", "max", "mean"].iter().map(|name| (*name, numbers[name].as_f64().unwrap())).collect();
    assert_eq!(told, BTreeMap::from([("count", 2300.0), ("min", 200.0), ("max", 403.0), ("mean", 220.3)]), "{codes}");
    assert_eq!((&numbers["percentiles"]["p90"], &numbers["percentiles"]["p95"]), (&json!(200.0), &json!(403.0)), "{codes}");
}
