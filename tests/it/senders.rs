//! What programs post, as they post it, to the routes that are there for it: `tests/fixtures/senders/NAME.http` has requests and what they come to.
//! Recordings of the real programs are posted as well, where they are at hand.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::reading::shared;
use crate::service::{Service, client, json as ask};

/// Recordings, the route that their sender would be told, and what they come to.
const RECORDED: &[(&str, &str, &str)] = &[
    ("falcosidekick/webhook.http.jsonl", "/ingest/falco", "falco 17, source_health 3, again 1"),
    ("falcosidekick/cloudevents.http.jsonl", "/ingest/falco", "falco 17, source_health 3, again 1"),
    ("policy-reporter/webhook.http.jsonl", "/ingest/auto", "policy 6, rejected 1"),
    ("otel-collector/otlphttp-json.http.jsonl", "/v1/logs", "k8s_audit 20"),
    ("hubble/exporter-full.log", "/ingest/hubble", "flow 22, other 4, source_health 1"),
    ("hubble/exporter-aggregate.log", "/ingest/hubble", "flow 12, other 4, source_health 1"),
    ("hubble/observe-jsonpb.json", "/ingest/hubble", "flow 22, source_health 1"),
    ("syslog-ng/http-batch-1.body", "/ingest/k8s-audit", "k8s_audit 10"),
];

/// One request.
struct Request {
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// Of one program, and what its requests come to: numbers by a kind of event, by `again` and by `rejected`.
struct Sender {
    name: String,
    requests: Vec<Request>,
    expected: BTreeMap<String, u64>,
}

fn expectation(text: &str) -> BTreeMap<String, u64> {
    let number = |part: &str| part.rsplit_once(' ').map(|(what, count)| (what.to_owned(), count.parse().unwrap()));
    text.split(", ").filter_map(number).collect()
}

fn compress(body: &[u8], encoding: &str) -> Vec<u8> {
    match encoding {
        "gzip" => super::traps::gzip(body),
        "zstd" => zstd::bulk::compress(body, 3).unwrap(),
        other => panic!("no such encoding here: {other}"),
    }
}

/// A request as it stands in a file: what is asked, headers, an empty line, and the body before it is compressed.
fn request(text: &str) -> Request {
    let (head, body) = text.split_once("\n\n").unwrap();
    let mut lines = head.lines();
    let path = lines.next().and_then(|line| line.strip_prefix("POST ")).unwrap().to_owned();
    let headers: Vec<_> = lines.map(|line| line.split_once(": ").unwrap()).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let encoding = headers.iter().find(|(name, _)| name == "Content-Encoding");
    let body = encoding.map_or_else(|| body.as_bytes().to_vec(), |(_, encoding)| compress(body.trim_end().as_bytes(), encoding));
    Request { path, headers, body }
}

fn own() -> Vec<Sender> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/senders");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |path: &std::path::PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        let (head, requests) = text.split_once("###\n").unwrap();
        let expected = head.lines().find_map(|line| line.strip_prefix("# expect: ")).map(expectation).unwrap();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        Sender { name, requests: requests.split("\n###\n").map(request).collect(), expected }
    };
    files.iter().map(read).collect()
}

/// Of a recording: a request a line, or one body.
fn recorded(folder: &Path, file: &str, route: &str, expected: &str) -> Sender {
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    // What belongs to the recording's own connection, and what is put on by our client.
    let goes =
        |name: &str| !matches!(name.to_ascii_lowercase().as_str(), "host" | "content-length" | "accept-encoding" | "connection" | "authorization");
    let of = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap();
        let pair = |header: &Value| (header[0].as_str().unwrap().to_owned(), header[1].as_str().unwrap().to_owned());
        let headers = value["headers"].as_array().unwrap().iter().map(pair).filter(|(name, _)| goes(name)).collect();
        Request { path: route.to_owned(), headers, body: value["body"].as_str().unwrap().as_bytes().to_vec() }
    };
    let requests = if file.ends_with(".http.jsonl") {
        text.lines().map(of).collect()
    } else {
        vec![Request { path: route.to_owned(), headers: Vec::new(), body: text.into_bytes() }]
    };
    Sender { name: file.replace(['/', '.'], "-"), requests, expected: expectation(expected) }
}

/// What the ledger has of a source.
fn counted(ledger: &Value, source: &str) -> BTreeMap<String, u64> {
    let rows = ledger["sources"].as_array().unwrap();
    let counts = rows.iter().find(|row| row["source"] == source).map_or(&Value::Null, |row| &row["counts"]);
    let kinds = counts["events_by_kind"].as_object().into_iter().flatten().map(|(kind, count)| (kind.clone(), count.as_u64().unwrap()));
    let others = [("again", "duplicates"), ("rejected", "rejects")].map(|(word, name)| (word.to_owned(), counts[name].as_u64().unwrap_or_default()));
    kinds.chain(others).filter(|(_, count)| *count > 0).collect()
}

/// Each sender is a source of its own, by its token, so that the ledger tells what came of it.
async fn check(url: &str, client: &reqwest::Client, senders: &[Sender]) {
    let (status, made) = ask(client.post(format!("{url}/api/v1/tokens")).json(&json!({"name": "admin", "scope": "admin"}))).await;
    assert!(status < 300, "{made}");
    let admin = made["secret"].as_str().unwrap();
    let mut sent: BTreeMap<&str, u64> = BTreeMap::new();
    for sender in senders {
        let wanted = json!({"name": sender.name, "scope": "ingest", "source": sender.name});
        let (_, made) = ask(client.post(format!("{url}/api/v1/tokens")).bearer_auth(admin).json(&wanted)).await;
        let token = made["secret"].as_str().unwrap_or_else(|| panic!("{made}"));
        for request in &sender.requests {
            let scheme = if request.path.starts_with("/services/") { "Splunk" } else { "Bearer" };
            let mut post = client.post(format!("{url}{}", request.path)).header("Authorization", format!("{scheme} {token}"));
            for (name, value) in &request.headers {
                post = post.header(name, value);
            }
            let (status, answer) = ask(post.body(request.body.clone())).await;
            assert_eq!(status, 200, "{}: {} {answer}", sender.name, request.path);
        }
        sent.insert(&sender.name, sender.expected.values().sum());
    }
    let all = sent.values().sum::<u64>();
    let client_ledger = format!("{url}/api/v1/ledger");
    let mut ledger = Value::Null;
    for _ in 0..600 {
        ledger = ask(client.get(&client_ledger).bearer_auth(admin)).await.1;
        if ledger["total"]["records"].as_u64() >= Some(all) && ledger["remainder"] == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    for sender in senders {
        assert_eq!(counted(&ledger, &sender.name), sender.expected, "{}: {ledger}", sender.name);
    }
    eprintln!(
        "{} senders, {} requests, {all} records, each what it was sent as",
        senders.len(),
        senders.iter().map(|sender| sender.requests.len()).sum::<usize>()
    );
}

fn checked(senders: &[Sender]) {
    let dir = tempfile::tempdir().unwrap();
    let (runtime, client) = client();
    runtime.block_on(async {
        let service = Service::start(&dir.path().join("data"), "");
        check(&service.url, &client, senders).await;
        service.kill();
    });
}

#[test]
fn each_sender_is_understood_as_it_posts() {
    checked(&own());
}

#[test]
fn recordings_of_the_real_programs_are_understood() {
    let Some(folder) = shared() else { return };
    for (file, route, expected) in RECORDED {
        // One by one: some are of the same alerts, which would be duplicates of each other.
        checked(&[recorded(&folder.join("shippers"), file, route, expected)]);
    }
}
