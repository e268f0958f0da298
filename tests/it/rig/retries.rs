//! An API server's audit webhook, by its own schedule, against a receiver that is down, killed and held up: no batch is given up.
//!
//! Batches of 400, each sent by a task of its own; a request may take 30 s; any error is tried again, five attempts in all, after waits of
//! 10 s that grow by half and vary by a fifth. Then the API server drops the batch.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::events::{Kind, draw};
use super::feeds::push;
use super::oracle::{Batch, Oracle};
use super::run::{Run, count, runtime};

const BATCH: u64 = 400;
const ATTEMPTS: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long the receiver is down.
const DOWN: Duration = Duration::from_secs(60);
/// How long it is held up: longer than a request may take.
const HELD_UP: Duration = Duration::from_secs(31);

/// All times go by this many times faster in the ordinary run; `BARTIZAN_FASTER=1` is the full one.
const FASTER: u64 = 10;
/// Batches a second, in the API server's own time at most 10; `BARTIZAN_BATCHES_S` sets it.
const BATCHES_S: u64 = 2;

struct Server {
    oracle: Arc<Oracle>,
    client: reqwest::Client,
    faster: u32,
    dropped: AtomicU64,
    attempts: AtomicU64,
}

impl Server {
    async fn send(&self, batch: Batch) {
        let body =
            format!(r#"{{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{{}},"items":[{}]}}"#, batch.lines(self.oracle.seed).join(","));
        let mut wait = FIRST_WAIT / self.faster;
        self.oracle.sent(&batch);
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                let jitter = draw(self.oracle.seed, batch.first + u64::from(attempt), 11) % 200;
                tokio::time::sleep(wait + wait * u32::try_from(jitter).unwrap() / 1_000).await;
                wait = wait * 3 / 2;
            }
            self.attempts.fetch_add(1, Ordering::Relaxed);
            // Where nothing listens the connection is refused, as it would be.
            let url = self.oracle.url.borrow().clone().unwrap_or_else(|| "http://127.0.0.1:1".to_owned());
            let sent = tokio::time::timeout(TIMEOUT / self.faster, push(&self.client, &url, "k8s-audit", body.clone(), batch.count)).await;
            if let Ok(Ok(())) = sent {
                return self.oracle.confirmed(&batch);
            }
        }
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn an_api_server_drops_no_batch_over_an_outage_of_a_minute() {
    let faster = u32::try_from(count("BARTIZAN_FASTER", FASTER)).unwrap().max(1);
    let every = Duration::from_secs(1) / u32::try_from(count("BARTIZAN_BATCHES_S", BATCHES_S)).unwrap().max(1);
    let dir = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let mut run = Run::new(dir.path(), &dir.path().join("data")).await;
        let (dropped, attempts) = (AtomicU64::new(0), AtomicU64::new(0));
        let server = Arc::new(Server { oracle: Arc::clone(&run.oracle), client: run.client.clone(), faster, dropped, attempts });
        let sender = Arc::clone(&server);
        let sending = tokio::spawn(async move {
            let mut under_way = tokio::task::JoinSet::new();
            while !sender.oracle.is_over() {
                let (server, batch) = (Arc::clone(&sender), sender.oracle.issue(Kind::Audit, BATCH));
                under_way.spawn(async move { server.send(batch).await });
                tokio::time::sleep(every).await;
            }
            under_way.join_all().await
        });
        let pass = |time: Duration| tokio::time::sleep(time / faster);
        let process = run.up().unwrap();
        pass(Duration::from_secs(20)).await;
        // In the middle of batches, and away for a minute.
        run.down();
        process.kill();
        pass(DOWN).await;
        let process = run.up().unwrap();
        pass(Duration::from_secs(100)).await;
        // It lives, and answers no request in its time.
        process.signal("STOP");
        pass(HELD_UP).await;
        process.signal("CONT");
        pass(Duration::from_secs(40)).await;
        run.oracle.end();
        sending.await.unwrap();
        let (dropped, attempts) = (server.dropped.load(Ordering::Relaxed), server.attempts.load(Ordering::Relaxed));
        let verdict = run.prove(&process, "retries").await;
        eprintln!("retries: batches {}, attempts {attempts}, dropped {dropped}", run.oracle.next() / BATCH);
        assert_eq!(dropped, 0, "batches were given up");
        assert_eq!(verdict.survived + verdict.vanished, 0);
    });
}
