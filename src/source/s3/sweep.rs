//! The task of a bucket: list, number, read, hand over; again and again.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::bucket::{Bucket, From};
use super::condition::State;
use super::cursor::Cursor;
use super::failure::Failure;
use super::queue::{Hint, Queue};
use super::{PENDING_MAX, S3Counts, S3Settings, SWEEP_PAGES_CHEAP};
use crate::clock::Clock;
use crate::model::{Envelope, PartitionId, Timestamp};
use crate::ports::SourceError;
use crate::segment::AppendError;
use crate::source::objects::{Object, Objects};

pub(super) struct Sweeper {
    pub(super) settings: S3Settings,
    pub(super) bucket: Bucket,
    queue: Option<Queue>,
    pub(super) objects: Objects,
    cursor: Cursor,
    pub(super) partition: PartitionId,
    pub(super) clock: Clock,
    pub(super) state: Arc<State>,
    pub(super) to: mpsc::Sender<Result<Envelope, SourceError>>,
    /// When the last sweep began that came to its end, and its pages.
    swept: Option<(Timestamp, u64)>,
}

/// Why a poll did not come to its end.
#[derive(Debug)]
pub(super) enum Broken {
    /// Nobody takes envelopes any more.
    Over,
    Listing(Failure),
    Log(AppendError),
}

impl Sweeper {
    #[expect(clippy::too_many_arguments, reason = "the parts of one task, each given once")]
    pub(super) fn new(
        settings: S3Settings,
        bucket: Bucket,
        queue: Option<Queue>,
        objects: Objects,
        partition: PartitionId,
        clock: Clock,
        state: Arc<State>,
        to: mpsc::Sender<Result<Envelope, SourceError>>,
    ) -> Self {
        Self { settings, bucket, queue, objects, cursor: Cursor::default(), partition, clock, state, to, swept: None }
    }

    pub(super) async fn run(mut self) {
        let mut polls = 0;
        let is_over = |polls: u64, max: Option<u64>| max.is_some_and(|max| polls >= max);
        while !is_over(polls, self.settings.polls_max) {
            polls += 1;
            let polled = self.poll().await;
            if !self.goes_on(polled).await {
                return;
            }
            if !is_over(polls, self.settings.polls_max) && !self.pause().await {
                return;
            }
        }
    }

    /// Says what went wrong, if anything did. False if that is the end.
    async fn goes_on(&mut self, ended: Result<(), Broken>) -> bool {
        let error = match ended {
            Ok(()) => return true,
            Err(Broken::Over) => return false,
            // What is on disk is unknown until the next start: stop for good.
            Err(Broken::Log(error)) => {
                let what = format!("the list of objects of source `{}`", self.settings.source);
                SourceError::Read { what, source: Box::new(error) }
            }
            Err(Broken::Listing(failure)) => {
                self.state.listing(Some(format!("cannot list bucket `{}`: {failure}", self.settings.bucket)));
                self.listing_error(failure)
            }
        };
        let is_final = !error.is_transient();
        self.to.send(Err(error)).await.is_ok() && !is_final
    }

    /// A bucket that never could be listed is set up wrongly; one that could before may come back.
    fn listing_error(&self, failure: Failure) -> SourceError {
        let what = format!("bucket {}", self.settings.bucket);
        match failure {
            Failure::Refused(_) | Failure::Gone(_) if self.swept.is_none() => SourceError::Read { what, source: Box::new(failure) },
            failure => SourceError::Reach { what, source: Box::new(failure) },
        }
    }

    /// Waits for the next poll, and does what hints say meanwhile. False if nobody takes envelopes any more.
    async fn pause(&mut self) -> bool {
        let next = tokio::time::Instant::now() + self.settings.poll;
        loop {
            let hint = tokio::select! {
                () = self.to.closed() => return false,
                () = tokio::time::sleep_until(next) => return true,
                hint = hint_of(self.queue.as_mut()) => hint,
            };
            let done = self.follow(vec![hint]).await;
            if !self.goes_on(done).await {
                return false;
            }
        }
    }

    /// A sweep, if one is due, or a look.
    async fn poll(&mut self) -> Result<(), Broken> {
        // What was found before the last stop comes first.
        self.read_pending().await?;
        let now = self.clock.now();
        let sweep = i64::try_from(self.settings.sweep.as_nanos()).unwrap_or(i64::MAX);
        let is_due = |(at, pages): (Timestamp, u64)| pages <= SWEEP_PAGES_CHEAP || now.since(at).0 >= sweep;
        let (mut found, mut pages) = (0, 0);
        if self.swept.is_none_or(is_due) {
            let all = From { prefix: self.settings.prefix.clone(), ..From::default() };
            (found, pages) = self.list(&all).await?;
            self.swept = Some((now, pages));
            S3Counts::add(&self.counts().sweeps, 1);
            tracing::debug!(source = %self.settings.source, found, pages, known = self.objects.len(), "bucket swept");
        } else {
            for mut from in self.cursor.starts(now.nanos() / 1_000_000_000) {
                if self.settings.prefix.starts_with(&from.prefix) {
                    from.prefix.clone_from(&self.settings.prefix);
                }
                let (new, more) = self.list(&from).await?;
                (found, pages) = (found + new, pages + more);
            }
            tracing::debug!(source = %self.settings.source, found, pages, "bucket looked at");
        }
        self.read_pending().await?;
        S3Counts::add(&self.counts().polls, 1);
        self.state.listing(None);
        Ok(())
    }

    /// Lists all pages from there on; reads whenever enough was found. Returns how much is new, and the pages.
    async fn list(&mut self, from: &From) -> Result<(u64, u64), Broken> {
        let (mut found, mut pages, mut token) = (0, 0, None);
        let mut from = from.clone();
        let is_broken = crate::defect::is("start-after-cursor");
        if is_broken {
            from.after = crate::defect::keep(None);
        }
        loop {
            let page = self.bucket.list(&from, token.as_deref()).await.map_err(Broken::Listing)?;
            pages += 1;
            if is_broken {
                let last = page.objects.last().map(|object| object.key.clone());
                let kept = crate::defect::keep(None);
                crate::defect::keep(last.or(kept).or_else(|| from.after.clone()));
            }
            S3Counts::add(&self.counts().pages, 1);
            for object in &page.objects {
                self.cursor.learn(&object.key, object.modified_s);
            }
            found += self.find(page.objects).await?;
            let hints = self.queue.as_mut().map(Queue::waiting).unwrap_or_default();
            self.take_in(hints).await?;
            if self.objects.pending().len() >= PENDING_MAX {
                self.read_pending().await?;
            }
            match page.next {
                Some(next) => token = Some(next),
                None => return Ok((found, pages)),
            }
        }
    }

    async fn find(&mut self, objects: Vec<Object>) -> Result<u64, Broken> {
        let count = objects.len() as u64;
        let new = self.objects.find(objects, self.clock.now()).await.map_err(Broken::Log)? as u64;
        S3Counts::add(&self.counts().listed, count);
        S3Counts::add(&self.counts().found, new);
        Ok(new)
    }

    async fn follow(&mut self, hints: Vec<Hint>) -> Result<(), Broken> {
        self.take_in(hints).await?;
        self.read_pending().await
    }

    /// Looks up in the listing what messages name. Only what is durable in the list of objects is taken from the queue.
    async fn take_in(&mut self, hints: Vec<Hint>) -> Result<(), Broken> {
        for hint in hints {
            let prefix = self.settings.prefix.clone();
            for key in hint.keys.iter().filter(|key| key.starts_with(&prefix)) {
                let exact = From { prefix: key.clone(), after: None, page: Some(1) };
                let mut page = self.bucket.list(&exact, None).await.map_err(Broken::Listing)?;
                // Other keys may begin with this one.
                page.objects.retain(|object| object.key == *key);
                self.find(page.objects).await?;
            }
            if let Some(queue) = &self.queue {
                queue.done(hint).await;
            }
        }
        Ok(())
    }
}

/// The next hint; never, without a queue or once its task has ended.
async fn hint_of(queue: Option<&mut Queue>) -> Hint {
    match queue {
        Some(queue) => match queue.next().await {
            Some(hint) => hint,
            None => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}
