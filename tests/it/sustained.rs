//! As fast as the machine holds, for a while: how many events a second, how long until a push is durable, how much memory.
//!
//! The ordinary run takes seconds and looks at counts alone. `BARTIZAN_SUSTAIN_S=600 cargo test --release --test it sustained -- --nocapture` is the full one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::service::{Service, client, json, setting, until};

/// Seconds of the ordinary run.
const SECONDS: u64 = 3;
/// Pushes at one time.
const PUSHERS: usize = 6;
/// Events of a batch, as the API server sends them.
const BATCH: usize = 400;
/// Bytes that may wait in the spool: past it pushers wait, so that what is measured is what the store holds.
const SPOOL_BYTES_MAX: u64 = 48 << 20;

/// Bodies of one kind, with places for numbers.
struct Template {
    route: &'static str,
    bytes: Vec<u8>,
    /// Where twelve digits stand, for each event once or several times.
    places: Vec<Vec<usize>>,
}

const MARK: &str = "############";

impl Template {
    fn new(route: &'static str, open: &str, event: &str, between: &str, close: &str) -> Self {
        let (mut text, mut places) = (open.to_owned(), Vec::new());
        for n in 0..BATCH {
            if n > 0 {
                text.push_str(between);
            }
            let at = text.len();
            text.push_str(&event.replace("{user}", &format!("user-{}", n % 40)));
            places.push(text.match_indices(MARK).map(|(place, _)| place).filter(|place| *place >= at).collect());
        }
        text.push_str(close);
        Self { route, bytes: text.into_bytes(), places }
    }

    fn body(&self, first: u64) -> Vec<u8> {
        let mut body = self.bytes.clone();
        for (number, places) in (first..).zip(&self.places) {
            let digits = format!("{number:012}");
            for place in places {
                body[*place..place + digits.len()].copy_from_slice(digits.as_bytes());
            }
        }
        body
    }
}

fn templates() -> Vec<Template> {
    let audit = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"RequestResponse","auditID":"00000000-0000-4000-8000-############","stage":"ResponseComplete","requestURI":"/apis/apps/v1/namespaces/shop/deployments/d-############","verb":"update","user":{"username":"{user}","groups":["system:authenticated","devs"]},"sourceIPs":["10.0.0.1"],"userAgent":"kubectl/v1.31.0 (linux/amd64)","objectRef":{"resource":"deployments","namespace":"shop","name":"d-############","apiGroup":"apps","apiVersion":"v1"},"responseStatus":{"metadata":{},"code":200},"requestObject":{"kind":"Deployment","metadata":{"name":"d","labels":{"app":"web","tier":"front"}},"spec":{"replicas":3,"template":{"spec":{"serviceAccountName":"web","containers":[{"name":"web","image":"registry.example/web:1.2.3","ports":[{"containerPort":8080}],"resources":{"limits":{"cpu":"1","memory":"1Gi"}}}]}}}},"requestReceivedTimestamp":"2026-01-01T00:00:00.000000Z","stageTimestamp":"2026-01-01T00:00:01.000000Z","annotations":{"authorization.k8s.io/decision":"allow"}}"#;
    let falco = r#"{"hostname":"node-1","output":"A file was opened ############","priority":"Notice","rule":"Read a file","source":"syscall","tags":["process"],"time":"2026-01-01T00:00:01.000000001Z","uuid":"00000000-0000-4000-9000-############","output_fields":{"container.id":"0123456789ab","fd.name":"/tmp/############","k8s.ns.name":"shop","k8s.pod.name":"web-0","proc.cmdline":"cat /tmp/x","proc.name":"cat","user.name":"{user}"}}"#;
    let flow = r#"{"flow":{"time":"2026-01-01T00:00:01.000000001Z","uuid":"00000000-0000-4000-a000-############","verdict":"FORWARDED","IP":{"source":"10.0.0.1","destination":"10.0.0.2","ipVersion":"IPv4"},"l4":{"TCP":{"source_port":40000,"destination_port":443,"flags":{"SYN":true}}},"source":{"namespace":"shop","pod_name":"web-0","labels":["k8s:app=web"]},"destination":{"namespace":"shop","pod_name":"db-0","labels":["k8s:app=db"]},"Type":"L3_L4","node_name":"node-1","traffic_direction":"EGRESS","is_reply":false},"node_name":"node-1","time":"2026-01-01T00:00:01.000000001Z"}"#;
    vec![
        Template::new("k8s-audit", r#"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":["#, audit, ",", "]}"),
        Template::new("falco", "", falco, "\n", "\n"),
        Template::new("hubble", "", flow, "\n", "\n"),
    ]
}

/// What the pushers did.
#[derive(Default)]
struct Done {
    next: AtomicU64,
    events: AtomicU64,
    bytes: AtomicU64,
    refused: AtomicU64,
    lag: AtomicU64,
}

/// Pushes until the time is over; how long each push took, in milliseconds.
async fn push(url: String, client: reqwest::Client, templates: Arc<Vec<Template>>, done: Arc<Done>, end: Instant) -> Vec<f64> {
    let mut took = Vec::new();
    let mut turn = done.next.load(Ordering::Relaxed);
    while Instant::now() < end {
        if done.lag.load(Ordering::Relaxed) > SPOOL_BYTES_MAX {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        }
        turn += 1;
        let template = &templates[usize::try_from(turn).unwrap() % templates.len()];
        let body = template.body(done.next.fetch_add(BATCH as u64, Ordering::Relaxed));
        let bytes = body.len() as u64;
        loop {
            let start = Instant::now();
            let answer = client.post(format!("{url}/ingest/{}", template.route)).body(body.clone()).send().await.unwrap();
            if answer.status().as_u16() == 200 {
                took.push(start.elapsed().as_secs_f64() * 1e3);
                break;
            }
            done.refused.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        done.events.fetch_add(BATCH as u64, Ordering::Relaxed);
        done.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
    took
}

/// Resident memory of a process, in MiB.
fn resident(id: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{id}/statm")).unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or_default() * 4 / 1024
}

/// CPU seconds of a process so far, at 100 ticks a second.
fn cpu(id: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let after = text.rsplit(')').next().unwrap_or_default().to_owned();
    after.split(' ').skip(12).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

#[test]
fn what_is_sustained_is_stored_whole() {
    let seconds = setting("BARTIZAN_SUSTAIN_S").and_then(|seconds| seconds.parse().ok()).unwrap_or(SECONDS);
    let dir = tempfile::tempdir().unwrap();
    let service = Service::start(&dir.path().join("data"), "");
    let (_, client) = client();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let (done, templates, id) = (Arc::new(Done::default()), Arc::new(templates()), service.id());
        let (start, began) = (Instant::now(), cpu(id));
        let end = start + Duration::from_secs(seconds);
        let pushers: Vec<_> =
            (0..PUSHERS).map(|_| tokio::spawn(push(service.url.clone(), client.clone(), Arc::clone(&templates), Arc::clone(&done), end))).collect();
        let mut memory = Vec::new();
        while Instant::now() < end {
            let sources = json(client.get(format!("{}/api/v1/sources", service.url))).await.1;
            done.lag.store(sources["sources"][0]["lag"]["amount"].as_u64().unwrap_or_default(), Ordering::Relaxed);
            memory.push(resident(id));
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        let mut took = Vec::new();
        for pusher in pushers {
            took.extend(pusher.await.unwrap());
        }
        let pushed = done.events.load(Ordering::Relaxed);
        let all = format!("{}/api/v1/ledger", service.url);
        let ledger = until(&client, &all, |answer| answer["total"]["events"] == pushed && answer["remainder"] == 0).await;
        let (wall, used) = (start.elapsed().as_secs_f64(), cpu(id) - began);
        assert_eq!((ledger["total"]["events"].as_u64(), ledger["total"]["duplicates"].as_u64()), (Some(pushed), Some(0)), "{ledger}");
        took.sort_by(f64::total_cmp);
        let at = |share: usize| took[(took.len() * share).div_ceil(100).max(1) - 1];
        let (fifth, bytes) = (memory.len() / 5, done.bytes.load(Ordering::Relaxed) as f64 / 1e6);
        let middle = |part: &[u64]| {
            let mut part = part.to_vec();
            part.sort_unstable();
            part.get(part.len() / 2).copied().unwrap_or_default()
        };
        eprintln!(
            "{pushed} events ({bytes:.0} MB) in {wall:.0} s: {:.0} events/s, {:.1} MB/s; {:.0} events and {:.1} MB a CPU second",
            pushed as f64 / wall,
            bytes / wall,
            pushed as f64 / used,
            bytes / used
        );
        eprintln!(
            "durable after {:.1} ms in the middle, {:.1} ms p99, {:.1} ms at most; {} refused",
            at(50),
            at(99),
            at(100),
            done.refused.load(Ordering::Relaxed)
        );
        eprintln!(
            "resident: {} MiB in the second fifth, {} MiB in the last, {} MiB at most",
            middle(memory.get(fifth..2 * fifth).unwrap_or_default()),
            middle(memory.get(4 * fifth..).unwrap_or_default()),
            memory.iter().max().copied().unwrap_or_default()
        );
    });
}
