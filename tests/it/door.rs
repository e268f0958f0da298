//! The HTTP door, at its limits: who drips, who never ends, and who claims to be what he is not.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bartizan::api::Pace;
use bartizan::api::server::ServerLimits;
use bartizan::clock::Clock;
use bartizan::config::Config;

use crate::service::{Service, client, json, until};

/// A service in this process, with limits of its own.
fn serving(limits: ServerLimits, test: impl FnOnce(SocketAddr)) {
    let dir = tempfile::tempdir().unwrap();
    let text = format!("[server]\nlisten = \"127.0.0.1:0\"\n[store]\npath = {:?}\n", dir.path().join("data"));
    let config = Config::parse(&text, "test.toml", &|_| None).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let detect = config.detect.clone();
    let mut served = runtime.block_on(bartizan::app::serve::open(&config, &Clock::System, Box::new(move || Ok(detect.clone())), None)).unwrap();
    served.limits = limits;
    let address = served.address;
    let (stop_now, stop) = tokio::sync::watch::channel(false);
    let running = runtime.spawn(served.run(stop));
    test(address);
    stop_now.send(true).unwrap();
    runtime.block_on(running).unwrap().unwrap();
}

/// What comes back for a request of which no more than this is ever sent.
fn check(address: SocketAddr, line: &str, body: &str, expected: &str) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = format!("{line} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{body}");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // How the connection ends after the answer is of no matter.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap().to_ascii_lowercase();
    for part in [expected, "content-type: application/problem+json", "x-content-type-options: nosniff"] {
        assert!(answer.contains(part), "{line}: no `{part}` in {answer}");
    }
    assert!(answer.starts_with("http/1.1 408 "), "{line}: {answer}");
}

#[test]
fn a_body_that_drips_is_cut_off_with_a_problem() {
    let pace = Pace { idle: Duration::from_secs(15), grace: Duration::from_millis(100), bytes_per_s_min: 1_000 };
    serving(ServerLimits { pace, ..ServerLimits::default() }, |address| {
        for line in ["POST /ingest/auto", "POST /api/v1/events/search"] {
            check(address, line, "{", "\"code\":\"body_too_slow\"");
        }
    });
}

#[test]
fn a_request_that_takes_too_long_is_answered_with_a_problem() {
    serving(ServerLimits { request: Duration::from_millis(200), ..ServerLimits::default() }, |address| {
        check(address, "POST /ingest/auto", "{", "\"code\":\"request_timeout\"");
    });
}

fn audit(mark: u32) -> String {
    format!(
        r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"0000-{mark}","stage":"ResponseComplete","requestURI":"/mark-{mark}","verb":"get","user":{{"username":"alice"}},"requestReceivedTimestamp":"2026-01-01T00:00:00.000001Z","stageTimestamp":"2026-01-01T00:00:00.000002Z"}}"#
    )
}

fn falco(mark: u32) -> String {
    format!(
        r#"{{"hostname":"n1","output":"mark-{mark}","priority":"Notice","rule":"Shell","source":"syscall","tags":[],"time":"2026-01-01T00:00:00.000000001Z","output_fields":{{"evt.time":1}}}}"#
    )
}

fn flow(mark: u32) -> String {
    format!(
        r#"{{"flow":{{"time":"2026-01-01T00:00:00Z","Summary":"mark-{mark}","verdict":"FORWARDED","IP":{{"source":"10.0.0.1","destination":"10.0.0.2"}}}},"node_name":"n1","time":"2026-01-01T00:00:00Z"}}"#
    )
}

fn lost(mark: u32) -> String {
    format!(r#"{{"lost_events":{{"source":"HUBBLE_RING_BUFFER","num_events_lost":"3"}},"node_name":"mark-{mark}","time":"2026-01-01T00:00:00Z"}}"#)
}

#[test]
fn what_comes_by_a_route_or_a_source_that_may_not_carry_it_is_flagged() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let more = "[[source]]\nname = \"push\"\nkind = \"push\"\nkinds = [\"k8s_audit\", \"falco\"]\n";
    let (runtime, client) = client();
    let cases = [
        ("k8s-audit", audit(1), "k8s_audit"),
        ("falco", audit(2), "other, forged"),
        ("hubble", audit(3), "other, forged"),
        ("auto", audit(4), "k8s_audit"),
        ("falco", falco(5), "falco"),
        ("k8s-audit", falco(6), "other, forged"),
        // The route may carry these, the source may not.
        ("hubble", flow(7), "other, forged"),
        ("auto", flow(8), "other, forged"),
        // Nor what a sensor says of itself, where the source may not carry the sensor's flows.
        ("hubble", lost(9), "other, forged"),
    ];
    runtime.block_on(async {
        let service = Service::start(&data, more);
        for (route, body, _) in &cases {
            let (status, receipt) = json(client.post(format!("{}/ingest/{route}", service.url)).body(body.clone())).await;
            assert_eq!((status, &receipt["accepted"]), (200, &1.into()), "{route} {body}: {receipt}");
        }
        // Whether they are in the store or still in the spool, what they may be is known after the kill.
        service.kill();
        let service = Service::start(&data, more);
        let url = format!("{}/api/v1/events/search", service.url);
        let found = until(&client, &url, |answer| answer["total"]["value"] == cases.len()).await;
        for (at, (route, _, expected)) in (1..).zip(&cases) {
            let is_it = |event: &&serde_json::Value| event["raw"].to_string().contains(&format!("mark-{at}"));
            let event = found["events"].as_array().unwrap().iter().find(is_it).unwrap();
            let forged = if event["event"]["forged_kind"] == true { ", forged" } else { "" };
            assert_eq!(&format!("{}{forged}", event["event"]["kind"].as_str().unwrap()), expected, "{at} by {route}: {event}");
        }
        let (_, forged) = json(client.get(format!("{url}?limit=0&query=event.forged_kind:true"))).await;
        assert_eq!(forged["total"]["value"], 6, "{forged}");
    });
}

#[test]
fn a_bad_event_in_a_batch_costs_that_event_only() {
    let dir = tempfile::tempdir().unwrap();
    let (runtime, client) = client();
    let bad = [r#"{"verb":"get","auditID":}"#, r#"{"verb":"get" "auditID":"1"}"#, "7", "nil"];
    runtime.block_on(async {
        let service = Service::start(&dir.path().join("data"), "");
        let mut expected = 0;
        for (round, bad) in (0_u32..).zip(bad) {
            // The API server prints a batch on one line; what is broken within is parted by line ends when a shipper sends events one by one.
            let mut items: Vec<String> = (0..400).map(|n| audit(round * 1_000 + n)).collect();
            items[200] = bad.to_owned();
            let (status, receipt) = json(client.post(format!("{}/ingest/k8s-audit", service.url)).body(items.join("\n"))).await;
            assert_eq!((status, &receipt["accepted"], &receipt["rejected"]), (200, &399.into(), &1.into()), "{bad}: {receipt}");
            expected += 399;
        }
        let found = format!("{}/api/v1/events/search?limit=0&query=event.kind:k8s_audit", service.url);
        until(&client, &found, |answer| answer["total"]["value"] == expected).await;
    });
}
