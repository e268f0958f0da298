//! A queue of notifications, in the words of SQS: AWS's own, Yandex Message Queue, ElasticMQ. A hint, and no more: what it names is looked up
//! in the listing, and a queue that is down, or loses or repeats messages, changes nothing but how soon an object is found.
//!
//! A message is deleted once what it names is durable in the list of objects, or if it names nothing that is to be read. What is about another
//! bucket, or can not be understood, is counted and left: it comes again until the queue's own rules put it aside.

use std::sync::Arc;
use std::time::Duration;

use aws_config::{Region, SdkConfig};
use aws_sdk_sqs::Client;
use tokio::sync::mpsc;

use super::condition::State;
use super::failure::Failure;
use super::message::{Said, read};
use super::{S3Counts, S3Settings};

/// Messages that are asked for at once; SQS gives no more.
const MESSAGES_MAX: i32 = 10;
/// How long one request waits for a message, in seconds; SQS waits no longer.
const LONG_POLL_S: i32 = 20;
/// After a failure; doubles with each further one.
const BACKOFF: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// Hints that wait. Their messages come again if that takes too long, which changes nothing.
const HINTS_MAX: usize = 64;

/// What one message names, and how it is deleted.
#[derive(Debug)]
pub(super) struct Hint {
    pub(super) keys: Vec<String>,
    receipt: String,
}

/// A queue. Its task ends with it.
#[derive(Debug)]
pub(super) struct Queue {
    client: Client,
    url: String,
    state: Arc<State>,
    from: mpsc::Receiver<Hint>,
    task: tokio::task::JoinHandle<()>,
}

impl Queue {
    /// Starts listening.
    pub(super) fn start(url: &str, settings: &S3Settings, shared: &SdkConfig, state: Arc<State>) -> Self {
        let mut config = aws_sdk_sqs::config::Builder::from(shared);
        if let Some(endpoint) = origin_of(url) {
            config = config.endpoint_url(endpoint);
        }
        if let Some(region) = region_of(url) {
            config = config.region(Region::new(region.to_owned()));
        }
        let client = Client::from_conf(config.build());
        let (to, from) = mpsc::channel(HINTS_MAX);
        let listener = Listener { client: client.clone(), url: url.to_owned(), bucket: settings.bucket.clone(), state: Arc::clone(&state), to };
        Self { client, url: url.to_owned(), state, from, task: tokio::spawn(listener.run()) }
    }

    /// The next hint.
    pub(super) async fn next(&mut self) -> Option<Hint> {
        self.from.recv().await
    }

    /// The hints that are there.
    pub(super) fn waiting(&mut self) -> Vec<Hint> {
        std::iter::from_fn(|| self.from.try_recv().ok()).take(HINTS_MAX).collect()
    }

    /// What it names is durable: its message may go.
    pub(super) async fn done(&self, hint: Hint) {
        delete(&self.client, &self.url, hint.receipt, &self.state).await;
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn delete(client: &Client, url: &str, receipt: String, state: &State) {
    if let Err(error) = client.delete_message().queue_url(url).receipt_handle(receipt).send().await {
        // It comes again, and is known then.
        S3Counts::add(&state.counts.queue_failures, 1);
        tracing::debug!(error = %Failure::of(error), "cannot delete message");
    }
}

struct Listener {
    client: Client,
    url: String,
    bucket: String,
    state: Arc<State>,
    to: mpsc::Sender<Hint>,
}

impl Listener {
    async fn run(self) {
        let mut wait = BACKOFF;
        while !self.to.is_closed() {
            let request = self.client.receive_message().queue_url(&self.url).max_number_of_messages(MESSAGES_MAX).wait_time_seconds(LONG_POLL_S);
            match request.send().await {
                Ok(answer) => {
                    wait = BACKOFF;
                    self.state.queue(None);
                    for message in answer.messages.unwrap_or_default() {
                        self.take(message.body.as_deref().unwrap_or_default(), message.receipt_handle).await;
                    }
                }
                Err(error) => {
                    let failure = Failure::of(error);
                    S3Counts::add(&self.state.counts.queue_failures, 1);
                    self.state.queue(Some(format!("cannot read queue `{}`: {failure}; objects are found by listing alone", self.url)));
                    if wait == BACKOFF {
                        tracing::warn!(queue = %self.url, error = %failure, "cannot read queue");
                    }
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(BACKOFF_MAX);
                }
            }
        }
    }

    async fn take(&self, body: &str, receipt: Option<String>) {
        let counts = &self.state.counts;
        S3Counts::add(&counts.messages, 1);
        let Some(receipt) = receipt else { return };
        match read(body, &self.bucket) {
            // If nobody takes it, it comes again.
            Said::Keys(keys) => drop(self.to.send(Hint { keys, receipt }).await),
            Said::Nothing => {
                S3Counts::add(&counts.messages_idle, 1);
                delete(&self.client, &self.url, receipt, &self.state).await;
            }
            Said::Foreign => S3Counts::add(&counts.messages_foreign, 1),
            Said::Unknown => S3Counts::add(&counts.messages_unknown, 1),
        }
    }
}

/// Scheme, host and port of a URL.
fn origin_of(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    let host = rest.split('/').next()?;
    url.get(..scheme.len() + "://".len() + host.len())
}

/// The region in the name of a queue's host.
fn region_of(url: &str) -> Option<&str> {
    let host = origin_of(url)?.split_once("://")?.1;
    if host.starts_with("message-queue.api.cloud.yandex.") {
        return Some("ru-central1");
    }
    host.strip_prefix("sqs.")?.split_once(".amazonaws.").map(|(region, _)| region)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_the_queue_is() {
        for (url, origin, region) in [
            ("https://sqs.eu-west-1.amazonaws.com/123/q", "https://sqs.eu-west-1.amazonaws.com", Some("eu-west-1")),
            ("https://message-queue.api.cloud.yandex.net/b1g/dj6/q", "https://message-queue.api.cloud.yandex.net", Some("ru-central1")),
            ("http://127.0.0.1:9324/000000000000/q", "http://127.0.0.1:9324", None),
        ] {
            assert_eq!((origin_of(url), region_of(url)), (Some(origin), region), "{url}");
        }
    }
}
