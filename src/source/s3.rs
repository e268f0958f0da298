//! Objects of an S3-compatible bucket. Each version of a key is read once, in the order in which it was found ([`super::objects`]).
//!
//! A **sweep** lists the whole prefix: it finds what comes late, anywhere, or out of order, so it is what nothing is missed by. Between sweeps a
//! **look** lists each branch from what is two hours old on, and a **queue** of notifications names keys: both only make it quicker, and what
//! they say is looked up in the listing. Large objects are read in ranges and handed over in pieces; after a stop they are gone on with.
//!
//! What can not be read for the moment is tried again with the next listings; what never can is a counted reject. Nothing is
//! written to the bucket and nothing is deleted from it.

mod bucket;
mod condition;
mod cursor;
mod failure;
#[cfg(test)]
#[path = "../../tests/fakes/s3.rs"]
#[expect(dead_code, reason = "what is slow or large is tested beside the whole program")]
mod fake;
mod fetch;
mod message;
mod queue;
mod read;
mod stream;
mod sweep;
mod tail;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::objects::Objects;
use crate::clock::Clock;
use crate::model::{Checkpoint, ClusterId, Duration as Span, Envelope, PartitionId, SourceId, TenantId};
use crate::ports::{Source, SourceError, Tells};
use bucket::Bucket;
use condition::State;
use queue::Queue;
pub use stream::DECODED_BYTES_MAX;
use sweep::Sweeper;

/// Bytes of an object that is read at once. A larger one is read in ranges of as much, of which at most three are in memory; so with
/// what waits for the flow a source holds some 60 MiB.
const WHOLE_BYTES_MAX: u64 = 4 << 20;

/// Envelopes ready before the flow takes them.
const AHEAD_MAX: usize = 4;

/// Tries after which an object that still can not be read is given up. With a poll a minute that is after half a day.
const OBJECT_TRIES_MAX: u32 = 10;

/// The longest wait between two of them.
const OBJECT_WAIT_MAX: Span = Span::hours(6);

/// Objects that are found before those are read: so many are listed ahead.
const PENDING_MAX: usize = 10_000;

/// A prefix of so few pages is swept at every poll.
const SWEEP_PAGES_CHEAP: u64 = 10;

/// Which bucket, and how to read it.
#[derive(Clone)]
pub struct S3Settings {
    pub source: SourceId,
    pub tenant: TenantId,
    pub cluster: ClusterId,
    /// Its first group finds the cluster in a key; where it finds none, `cluster` holds.
    pub cluster_pattern: Option<regex::Regex>,
    pub bucket: String,
    /// Only keys that start so.
    pub prefix: String,
    /// URL of a storage that is not AWS.
    pub endpoint: Option<String>,
    pub region: Option<String>,
    /// The bucket stands in the path of the URL.
    pub path_style: bool,
    /// Access key and secret key; without, what AWS's own chain finds in the environment, the shared files or the machine's role.
    pub keys: Option<(String, String)>,
    /// Which part of the shared files holds.
    pub profile: Option<String>,
    /// URL of a queue that is told of new objects, in the words of SQS.
    pub queue: Option<String>,
    /// From the end of one listing to the start of the next.
    pub poll: Duration,
    /// From one listing of the whole prefix to the next.
    pub sweep: Duration,
    /// Objects read at once, of those that are read whole.
    pub concurrency: usize,
    /// Attempts at one request, with waits between them that start here and double.
    pub attempts_max: u32,
    pub backoff: Duration,
    /// Until the first byte of an answer, and between two reads of its body.
    pub timeout: Duration,
    /// Ends after so many listings; `None`: never.
    pub polls_max: Option<u64>,
}

impl S3Settings {
    /// A bucket with the defaults.
    pub fn new(source: SourceId, bucket: &str) -> Self {
        Self {
            source,
            tenant: TenantId::default(),
            cluster: ClusterId::default(),
            cluster_pattern: None,
            bucket: bucket.to_owned(),
            prefix: String::new(),
            endpoint: None,
            region: None,
            path_style: false,
            keys: None,
            profile: None,
            queue: None,
            poll: Duration::from_secs(60),
            sweep: Duration::from_secs(600),
            concurrency: 4,
            attempts_max: 5,
            backoff: Duration::from_millis(250),
            timeout: Duration::from_secs(30),
            polls_max: None,
        }
    }
}

impl fmt::Debug for S3Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, bucket, prefix, endpoint, .. } = self;
        f.debug_struct("S3Settings")
            .field("source", source)
            .field("bucket", bucket)
            .field("prefix", prefix)
            .field("endpoint", endpoint)
            .finish_non_exhaustive()
    }
}

/// What a bucket has given so far. `listed` counts an object at every listing, the rest once a happening.
#[derive(Debug, Default)]
pub struct S3Counts {
    /// Polls that came to their end, sweeps among them.
    pub polls: AtomicU64,
    pub sweeps: AtomicU64,
    pub pages: AtomicU64,
    pub listed: AtomicU64,
    pub found: AtomicU64,
    pub read: AtomicU64,
    /// Bytes of bodies, as they came.
    pub bytes: AtomicU64,
    /// Of those, what had been read before.
    pub reread: AtomicU64,
    /// Gone, or replaced, between listing and reading.
    pub vanished: AtomicU64,
    /// Versions that go on where the one before ended.
    pub grown: AtomicU64,
    /// Versions that replaced what was read.
    pub overwritten: AtomicU64,
    /// Not read this time, for whatever other reason.
    pub failed: AtomicU64,
    /// Requests that were made again.
    pub retries: AtomicU64,
    /// Answers that asked for fewer requests.
    pub slowed: AtomicU64,
    /// Larger than [`DECODED_BYTES_MAX`].
    pub too_large: AtomicU64,
    /// Given up after several listings.
    pub given_up: AtomicU64,
    /// Keys that are no text.
    pub unnamable: AtomicU64,
    /// Messages of the queue, and those that name nothing, are about another bucket, or can not be read.
    pub messages: AtomicU64,
    pub messages_idle: AtomicU64,
    pub messages_foreign: AtomicU64,
    pub messages_unknown: AtomicU64,
    pub queue_failures: AtomicU64,
}

impl S3Counts {
    fn add(counter: &AtomicU64, by: u64) {
        counter.fetch_add(by, Ordering::Relaxed);
    }
}

/// A bucket as a source. A task of its own lists and reads ahead, and ends with it.
#[derive(Debug)]
pub struct S3Source {
    id: SourceId,
    state: Arc<State>,
    from: mpsc::Receiver<Result<Envelope, SourceError>>,
    task: tokio::task::JoinHandle<()>,
}

impl S3Source {
    /// Opens the list of objects in `dir`, which is the source's own, and starts reading from the store's checkpoint on.
    pub async fn open(settings: S3Settings, dir: &Path, from: &Checkpoint, clock: Clock) -> Result<Self, SourceError> {
        let partition = partition(&settings.source);
        let done = from.get(&partition);
        let (folder, bucket_name) = (dir.to_owned(), settings.bucket.clone());
        let what = format!("the list of objects in `{}`", dir.display());
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| SourceError::Read { what: what.clone(), source };
        let objects = tokio::task::spawn_blocking(move || Objects::open(&folder, &bucket_name, done)).await;
        let objects = objects.map_err(|error| failed(error.into()))?.map_err(|error| failed(error.into()))?;
        tracing::info!(source = %settings.source, known = objects.len(), "bucket opened");
        let counts = Arc::new(S3Counts::default());
        let state = Arc::new(State::new(Arc::clone(&counts), clock.clone()));
        let shared = bucket::shared(&settings).await;
        let bucket = Bucket::connect(&settings, &shared, Arc::clone(&counts));
        let queue = settings.queue.as_deref().map(|url| Queue::start(url, &settings, &shared, Arc::clone(&state)));
        let (to, envelopes) = mpsc::channel(AHEAD_MAX);
        let id = settings.source.clone();
        let sweeper = Sweeper::new(settings, bucket, queue, objects, partition, clock, Arc::clone(&state), to);
        Ok(Self { id, state, from: envelopes, task: tokio::spawn(sweeper.run()) })
    }

    /// What happened so far.
    pub fn counts(&self) -> Arc<S3Counts> {
        Arc::clone(&self.state.counts)
    }
}

fn partition(source: &SourceId) -> PartitionId {
    PartitionId(format!("s3/{source}").into())
}

#[async_trait]
impl Source for S3Source {
    fn id(&self) -> SourceId {
        self.id.clone()
    }

    fn tells(&self) -> Arc<dyn Tells> {
        Arc::clone(&self.state) as Arc<dyn Tells>
    }

    async fn next(&mut self) -> Result<Option<Envelope>, SourceError> {
        self.from.recv().await.transpose()
    }

    async fn commit(&mut self, _upto: &Checkpoint) -> Result<(), SourceError> {
        // The bucket keeps what it has, and the list of objects is numbered like the checkpoint.
        Ok(())
    }
}

impl Drop for S3Source {
    fn drop(&mut self) {
        self.task.abort();
    }
}
