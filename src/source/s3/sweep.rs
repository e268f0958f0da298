//! The task of a bucket: list, number, read, hand over in the order of numbers; again and again.

use std::sync::Arc;

use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::bucket::{Bucket, Failure};
use super::{HELD_MIB_MAX, Held, OBJECT_BYTES_MAX, OBJECT_TRIES_MAX, OBJECT_WAIT_MAX, S3Counts, S3Settings};
use crate::clock::Clock;
use crate::model::{ClusterId, Duration, Envelope, Origin, PartitionId, Position, Reject, RejectReason};
use crate::ports::SourceError;
use crate::segment::AppendError;
use crate::source::objects::{Object, Objects};

pub(super) struct Sweeper {
    settings: S3Settings,
    bucket: Bucket,
    objects: Objects,
    partition: PartitionId,
    clock: Clock,
    counts: Arc<S3Counts>,
    to: mpsc::Sender<Result<Held, SourceError>>,
    held: Arc<Semaphore>,
}

/// Why a sweep did not come to its end.
enum Broken {
    /// Nobody takes envelopes any more.
    Over,
    Listing(Failure),
    Log(AppendError),
}

/// How reading one object ended.
enum Fetched {
    Bytes(Vec<u8>, Option<OwnedSemaphorePermit>),
    TooLarge,
    Failed(Failure),
}

impl Sweeper {
    pub(super) fn new(
        settings: S3Settings,
        bucket: Bucket,
        objects: Objects,
        partition: PartitionId,
        clock: Clock,
        counts: Arc<S3Counts>,
        to: mpsc::Sender<Result<Held, SourceError>>,
    ) -> Self {
        Self { settings, bucket, objects, partition, clock, counts, to, held: Arc::new(Semaphore::new(HELD_MIB_MAX)) }
    }

    pub(super) async fn run(mut self) {
        let mut sweeps = 0;
        let mut has_listed = false;
        while self.settings.sweeps_max.is_none_or(|max| sweeps < max) {
            sweeps += 1;
            let error = match self.sweep().await {
                Ok((listed, found)) => {
                    has_listed = true;
                    S3Counts::add(&self.counts.sweeps, 1);
                    tracing::debug!(source = %self.settings.source, listed, found, "bucket listed");
                    None
                }
                Err(Broken::Over) => return,
                Err(Broken::Log(error)) => {
                    // What is on disk is unknown until the next start: stop for good.
                    let what = format!("the list of objects of source `{}`", self.settings.source);
                    drop(self.to.send(Err(SourceError::Read { what, source: Box::new(error) })).await);
                    return;
                }
                Err(Broken::Listing(failure)) => Some(self.listing_error(failure, has_listed)),
            };
            if let Some(error) = error {
                let is_final = !error.is_transient();
                if self.to.send(Err(error)).await.is_err() || is_final {
                    return;
                }
            }
            if self.settings.sweeps_max.is_none_or(|max| sweeps < max) {
                tokio::select! {
                    () = self.to.closed() => return,
                    () = tokio::time::sleep(self.settings.poll) => {}
                }
            }
        }
    }

    /// A bucket that never could be listed is set up wrongly; one that could before may come back.
    fn listing_error(&self, failure: Failure, has_listed: bool) -> SourceError {
        let what = format!("bucket {}", self.settings.bucket);
        match failure {
            Failure::Refused(_) | Failure::Gone(_) if !has_listed => SourceError::Read { what, source: Box::new(failure) },
            failure => SourceError::Reach { what, source: Box::new(failure) },
        }
    }

    /// Lists the whole prefix and reads what is new, page by page. Returns how many were listed and new.
    async fn sweep(&mut self) -> Result<(u64, u64), Broken> {
        // What was found before the last stop comes first.
        self.read_pending().await?;
        let (mut listed, mut found, mut token) = (0, 0, None);
        loop {
            let page = self.bucket.list(token.as_deref()).await.map_err(Broken::Listing)?;
            let count = page.objects.len() as u64;
            let new = self.objects.find(page.objects, self.clock.now()).await.map_err(Broken::Log)? as u64;
            S3Counts::add(&self.counts.listed, count);
            S3Counts::add(&self.counts.found, new);
            (listed, found) = (listed + count, found + new);
            self.read_pending().await?;
            match page.next {
                Some(next) => token = Some(next),
                None => return Ok((listed, found)),
            }
        }
    }

    /// Reads what waits, several at once, and hands it over in order.
    async fn read_pending(&mut self) -> Result<(), Broken> {
        let pending: Vec<(u64, Object)> = std::iter::from_fn(|| self.objects.take()).collect();
        let (bucket, held) = (self.bucket.clone(), Arc::clone(&self.held));
        let mut fetches = futures_util::stream::iter(pending)
            .map(|(number, object)| {
                let (bucket, held) = (bucket.clone(), Arc::clone(&held));
                async move {
                    let fetched = fetch(&bucket, &held, &object).await;
                    (number, object, fetched)
                }
            })
            .buffered(self.settings.concurrency.max(1));
        while let Some((number, object, fetched)) = fetches.next().await {
            let held = self.envelope(number, object, fetched).await.map_err(Broken::Log)?;
            self.to.send(Ok(held)).await.map_err(|_| Broken::Over)?;
        }
        Ok(())
    }

    /// The envelope of an object. One without payload moves the position over an object that was not read.
    async fn envelope(&mut self, number: u64, object: Object, fetched: Fetched) -> Result<Held, AppendError> {
        let now = self.clock.now();
        let origin = Origin {
            tenant: self.settings.tenant.clone(),
            cluster: self.cluster(&object.key),
            source: self.settings.source.clone(),
            partition: self.partition.clone(),
            object: object.key.as_str().into(),
            received: now,
        };
        let position = Position(object.version(&self.settings.bucket).short());
        let (mut payloads, mut rejects, mut permit) = (Vec::new(), Vec::new(), None);
        match fetched {
            Fetched::Bytes(bytes, granted) => {
                S3Counts::add(&self.counts.read, 1);
                S3Counts::add(&self.counts.bytes, bytes.len() as u64);
                permit = granted;
                if !bytes.is_empty() {
                    payloads.push((position, bytes));
                }
            }
            Fetched::TooLarge => {
                S3Counts::add(&self.counts.too_large, 1);
                let detail = format!("an object of {} bytes is larger than the limit of {OBJECT_BYTES_MAX}: write smaller ones", object.bytes);
                tracing::error!(source = %self.settings.source, key = %object.key.escape_debug(), bytes = object.bytes, "cannot read object: it is too large");
                rejects.push(Reject { offset: 0, len: object.bytes, reason: RejectReason::TooLong, detail, bytes: Vec::new() });
            }
            Fetched::Failed(failure) => rejects.extend(self.failed(object, failure).await?),
        }
        let upto = Position(number + 1);
        Ok((Envelope { payloads, rejects, ..Envelope::empty(Arc::new(origin), upto) }, permit))
    }

    /// An object that was not read: it comes again with the next listing, or is given up.
    async fn failed(&mut self, object: Object, failure: Failure) -> Result<Option<Reject>, AppendError> {
        let is_gone = matches!(failure, Failure::Gone(_));
        S3Counts::add(if is_gone { &self.counts.vanished } else { &self.counts.failed }, 1);
        let tries = self.objects.tries(&object) + 1;
        let key = object.key.escape_debug().to_string();
        if tries < OBJECT_TRIES_MAX {
            tracing::warn!(source = %self.settings.source, key, tries, error = %failure, "cannot read object");
            self.objects.again(object, self.clock.now(), self.wait(tries)).await?;
            return Ok(None);
        }
        S3Counts::add(&self.counts.given_up, 1);
        tracing::error!(source = %self.settings.source, key, tries, error = %failure, "cannot read object: given up");
        let detail = format!("listed {tries} times and never read: {failure}");
        Ok(Some(Reject { offset: 0, len: object.bytes, reason: RejectReason::Unread, detail, bytes: Vec::new() }))
    }

    /// Until an object is tried again: as long as from poll to poll, and twice as long after each try.
    fn wait(&self, tries: u32) -> Duration {
        let poll = i64::try_from(self.settings.poll.as_nanos()).unwrap_or(i64::MAX);
        Duration(poll.saturating_mul(1_i64.checked_shl(tries - 1).unwrap_or(i64::MAX))).min(OBJECT_WAIT_MAX)
    }

    fn cluster(&self, key: &str) -> ClusterId {
        let named = self.settings.cluster_pattern.as_ref().and_then(|pattern| pattern.captures(key)?.get(1));
        named.and_then(|name| name.as_str().parse().ok()).unwrap_or_else(|| self.settings.cluster.clone())
    }
}

async fn fetch(bucket: &Bucket, held: &Arc<Semaphore>, object: &Object) -> Fetched {
    if object.bytes > OBJECT_BYTES_MAX {
        return Fetched::TooLarge;
    }
    if object.bytes == 0 {
        return Fetched::Bytes(Vec::new(), None);
    }
    let mib = u32::try_from((object.bytes >> 20) + 1).unwrap_or(u32::MAX);
    // Closed by nobody; were it, reading would go on without the limit.
    let permit = Arc::clone(held).acquire_many_owned(mib).await.ok();
    match bucket.get(object).await {
        Ok(bytes) => Fetched::Bytes(bytes, permit),
        Err(failure) => Fetched::Failed(failure),
    }
}
