//! Objects of an S3-compatible bucket. The whole prefix is listed at every poll, so an object that comes late, or before what
//! was read already, is found like any other; each version of a key is read once ([`super::objects`]).
//!
//! What can not be read for the moment is tried again with the next listings; what never can is a counted reject. Nothing is
//! written to the bucket and nothing is deleted from it.

mod bucket;
#[cfg(test)]
mod fake;
mod sweep;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::objects::Objects;
use crate::clock::Clock;
use crate::model::{Checkpoint, ClusterId, Duration as Span, Envelope, PartitionId, SourceId, TenantId};
use crate::ports::{Source, SourceError};
use bucket::Bucket;
use sweep::Sweeper;

/// Bytes of an object: it is held in memory as a whole. A larger one is a counted reject.
pub const OBJECT_BYTES_MAX: u64 = 256 << 20;

/// Bytes of objects in memory at once, in MiB.
const HELD_MIB_MAX: usize = 512;

/// Envelopes ready before the flow takes them.
const AHEAD_MAX: usize = 4;

/// Tries after which an object that still can not be read is given up. With a poll a minute that is after half a day.
const OBJECT_TRIES_MAX: u32 = 10;

/// The longest wait between two of them.
const OBJECT_WAIT_MAX: Span = Span::hours(6);

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
    /// Access key and secret key; without, what AWS's own chain finds in the environment.
    pub keys: Option<(String, String)>,
    /// From the end of one listing to the start of the next.
    pub poll: Duration,
    /// Objects read at once.
    pub concurrency: usize,
    /// Attempts at one request, with waits between them that start here and double.
    pub attempts_max: u32,
    pub backoff: Duration,
    /// Ends after so many listings; `None`: never.
    pub sweeps_max: Option<u64>,
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
            poll: Duration::from_secs(60),
            concurrency: 4,
            attempts_max: 5,
            backoff: Duration::from_millis(250),
            sweeps_max: None,
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
    pub sweeps: AtomicU64,
    pub listed: AtomicU64,
    pub found: AtomicU64,
    pub read: AtomicU64,
    pub bytes: AtomicU64,
    /// Gone, or replaced, between listing and reading.
    pub vanished: AtomicU64,
    /// Not read this time, for whatever other reason.
    pub failed: AtomicU64,
    /// Requests that were made again.
    pub retries: AtomicU64,
    /// Larger than [`OBJECT_BYTES_MAX`].
    pub too_large: AtomicU64,
    /// Given up after several listings.
    pub given_up: AtomicU64,
}

impl S3Counts {
    fn add(counter: &AtomicU64, by: u64) {
        counter.fetch_add(by, Ordering::Relaxed);
    }
}

/// An envelope, with the memory it was granted.
type Held = (Envelope, Option<OwnedSemaphorePermit>);

/// A bucket as a source. A task of its own lists and reads ahead, and ends with it.
#[derive(Debug)]
pub struct S3Source {
    id: SourceId,
    counts: Arc<S3Counts>,
    from: mpsc::Receiver<Result<Held, SourceError>>,
    task: tokio::task::JoinHandle<()>,
}

impl S3Source {
    /// Opens the list of objects in `dir`, which is the source's own, and starts reading from the store's checkpoint on.
    pub async fn open(settings: S3Settings, dir: &Path, from: &Checkpoint, clock: Clock) -> Result<Self, SourceError> {
        let partition = partition(&settings.source);
        let done = from.get(&partition).0;
        let (folder, bucket_name) = (dir.to_owned(), settings.bucket.clone());
        let what = format!("the list of objects in `{}`", dir.display());
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| SourceError::Read { what: what.clone(), source };
        let objects = tokio::task::spawn_blocking(move || Objects::open(&folder, &bucket_name, done)).await;
        let objects = objects.map_err(|error| failed(error.into()))?.map_err(|error| failed(error.into()))?;
        tracing::info!(source = %settings.source, known = objects.len(), "bucket opened");
        let counts = Arc::new(S3Counts::default());
        let bucket = Bucket::connect(&settings, Arc::clone(&counts)).await;
        let (to, envelopes) = mpsc::channel(AHEAD_MAX);
        let id = settings.source.clone();
        let sweeper = Sweeper::new(settings, bucket, objects, partition, clock, Arc::clone(&counts), to);
        Ok(Self { id, counts, from: envelopes, task: tokio::spawn(sweeper.run()) })
    }

    /// What happened so far.
    pub fn counts(&self) -> Arc<S3Counts> {
        Arc::clone(&self.counts)
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

    async fn next(&mut self) -> Result<Option<Envelope>, SourceError> {
        self.from.recv().await.transpose().map(|held| held.map(|(envelope, _)| envelope))
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
