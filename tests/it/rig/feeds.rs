//! Senders: each takes numbers from the oracle and offers the records by its own way, until the oracle says that it is over.
//!
//! To add a way in: implement [`Feed`], and name it in [`all`].

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;

use super::bucket::Bucket;
use super::events::{Kind, draw};
use super::oracle::{Around, Batch, Oracle};

/// Batches after which a growing file is rotated.
const BATCHES_PER_FILE: u64 = 20;

/// How an offer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It will be there.
    Acked,
    /// It never left.
    Unsent,
    /// It was answered: not now.
    Refused(u16),
    /// It broke off.
    InDoubt,
}

/// One way in.
#[async_trait]
pub(crate) trait Feed: Send {
    /// As the diary names it.
    fn name(&self) -> &'static str;
    fn kind(&self) -> Kind;
    /// Records that go together.
    fn size(&self) -> u64;
    async fn offer(&mut self, oracle: &Oracle, batch: &Batch) -> Ended;
}

/// Posts a body that has so many records.
pub(crate) async fn push(client: &reqwest::Client, url: &str, to: &str, body: String, count: u64) -> Result<(), Ended> {
    let answer = match client.post(format!("{url}/ingest/{to}")).body(body).send().await {
        Ok(answer) => answer,
        Err(error) if error.is_connect() => return Err(Ended::Unsent),
        Err(_) => return Err(Ended::InDoubt),
    };
    let status = answer.status().as_u16();
    if status != 200 {
        return Err(Ended::Refused(status));
    }
    // The status is the promise; the receipt says that nothing was left out of it.
    let receipt: serde_json::Value = answer.json().await.unwrap_or_default();
    let is_whole = receipt.is_null() || receipt["rejected"] == 0 && receipt["accepted"].as_u64() == Some(count);
    assert!(is_whole, "a push of {count} records was taken as {receipt}");
    Ok(())
}

/// By HTTP.
struct Push {
    client: reqwest::Client,
    to: &'static str,
    kind: Kind,
    size: u64,
}

#[async_trait]
impl Feed for Push {
    fn name(&self) -> &'static str {
        self.to
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn size(&self) -> u64 {
        self.size
    }

    async fn offer(&mut self, oracle: &Oracle, batch: &Batch) -> Ended {
        let mut at = oracle.url.subscribe();
        let url = loop {
            if let Some(url) = at.borrow_and_update().clone() {
                break url;
            }
            tokio::select! {
                _ = at.changed() => {}
                // The run may be over meanwhile.
                () = tokio::time::sleep(Duration::from_millis(50)) => if oracle.is_over() { return Ended::Unsent; },
            }
        };
        let lines = batch.lines(oracle.seed);
        let body = if self.kind == Kind::Audit {
            format!(r#"{{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{{}},"items":[{}]}}"#, lines.join(","))
        } else {
            lines.join("\n")
        };
        oracle.sent(batch);
        match push(&self.client, &url, self.to, body, batch.count).await {
            Ok(()) => Ended::Acked,
            Err(ended) => {
                // The next one may know a better address.
                tokio::time::sleep(Duration::from_millis(20)).await;
                ended
            }
        }
    }
}

/// By objects of a bucket. What is there is there.
struct Objects {
    bucket: Bucket,
    count: u64,
}

#[async_trait]
impl Feed for Objects {
    fn name(&self) -> &'static str {
        "objects"
    }

    fn kind(&self) -> Kind {
        Kind::Audit
    }

    fn size(&self) -> u64 {
        500
    }

    async fn offer(&mut self, oracle: &Oracle, batch: &Batch) -> Ended {
        self.count += 1;
        // Names are in no order of time.
        let key = format!("audit/{:04x}-{}.ndjson", draw(oracle.seed, self.count, 9) & 0xffff, self.count);
        oracle.sent(batch);
        self.bucket.put(key, batch.lines(oracle.seed).join("\n").into_bytes());
        Ended::Acked
    }
}

/// By a file that grows and is rotated. What is written is there.
struct Grown {
    dir: PathBuf,
    batches: u64,
}

#[async_trait]
impl Feed for Grown {
    fn name(&self) -> &'static str {
        "files"
    }

    fn kind(&self) -> Kind {
        Kind::Audit
    }

    fn size(&self) -> u64 {
        100
    }

    async fn offer(&mut self, oracle: &Oracle, batch: &Batch) -> Ended {
        let path = self.dir.join("audit.log");
        let mut file = std::fs::File::options().create(true).append(true).open(&path).unwrap();
        let text = batch.lines(oracle.seed).join("\n") + "\n";
        oracle.sent(batch);
        // A reader that looks now finds half a line.
        let (first, last) = text.as_bytes().split_at(text.len() / 2);
        file.write_all(first).unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
        file.write_all(last).unwrap();
        self.batches += 1;
        if self.batches.is_multiple_of(BATCHES_PER_FILE) {
            std::fs::rename(&path, self.dir.join(format!("audit-{}.log", self.batches))).unwrap();
        }
        Ended::Acked
    }
}

/// Every way in that this build has.
pub(crate) fn all(around: &Around) -> Vec<Box<dyn Feed>> {
    let client = client();
    let push = |to, kind, size| -> Box<dyn Feed> { Box::new(Push { client: client.clone(), to, kind, size }) };
    vec![
        push("k8s-audit", Kind::Audit, 400),
        push("k8s-audit", Kind::Audit, 100),
        push("falco", Kind::Falco, 100),
        push("hubble", Kind::Flow, 200),
        Box::new(Objects { bucket: around.bucket.clone(), count: 0 }),
        Box::new(Grown { dir: around.files.clone(), batches: 0 }),
        #[cfg(feature = "scale")]
        around.cluster.feed(),
    ]
}

/// A client as the rigs use it.
pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap()
}

/// Offers until the oracle says that it is over, with this pause between two batches.
pub(crate) async fn drive(oracle: Arc<Oracle>, mut feed: Box<dyn Feed>, pause: Duration) {
    // What is to be offered again, and whether it may be there already.
    let mut again: Option<(Batch, bool)> = None;
    let mut turn = 0_u64;
    while !oracle.is_over() {
        turn += 1;
        let (batch, was_sent) = again.take().unwrap_or_else(|| (oracle.issue(feed.kind(), feed.size()), false));
        let chance = |of: u64| draw(oracle.seed, batch.first + turn, 5).is_multiple_of(of);
        match feed.offer(&oracle, &batch).await {
            Ended::Acked => {
                oracle.confirmed(&batch);
                oracle.diary.confirmed(feed.name(), &batch);
                if turn == 1 || chance(16) {
                    oracle.sometimes.duplicates_offered.fetch_add(1, Ordering::Relaxed);
                    again = Some((batch, true));
                }
            }
            Ended::Unsent => {
                if !was_sent {
                    oracle.unsent(&batch);
                }
                again = Some((batch, was_sent));
            }
            Ended::Refused(_) => {
                oracle.sometimes.refused.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(100)).await;
                again = Some((batch, true));
            }
            Ended::InDoubt if chance(2) => {
                oracle.sometimes.retried.fetch_add(1, Ordering::Relaxed);
                again = Some((batch, true));
            }
            Ended::InDoubt => drop(oracle.sometimes.left_in_doubt.fetch_add(1, Ordering::Relaxed)),
        }
        tokio::time::sleep(pause).await;
    }
}
