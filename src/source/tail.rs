//! Files that grow: logs of API servers, of Falco, of Hubble's exporter, of containers, and the archives that rotation makes of them.
//!
//! A file is known by its device, inode and beginning (`mark`), so a renamed one goes on where it was, and an inode that is used again is a new file. What
//! is handed over is whole (`cut`), so its position can become durable at once. One thread a source looks and reads, some of each file in turn.
//!
//! | happens to a file | is read on |
//! |---|---|
//! | renamed | where it was, to its end; once it is out of sight, until it has been idle there for `ROTATED_IDLE` |
//! | cut to nothing, written anew | from its start; what was known to be unread is a notice `gap` |
//! | shrunk or changed in what was read | from its start, with a notice `overwritten` |
//! | deleted | to its end, if it was open |
//! | copied, or compressed | only what was not read of the one it is a copy of |

mod cut;
mod follow;
mod mark;
#[cfg(test)]
mod model;
mod paths;
mod stream;
#[cfg(test)]
mod tests;
mod watched;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration as StdDuration;

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::model::{Checkpoint, ClusterId, Duration, Envelope, SourceId, TenantId};
use crate::ports::{Condition, Source, SourceError, Tells};
use follow::Tail;
pub use paths::Paths;

/// Files that one source watches. Past it the rest is not read, and the source says so.
pub const FILES_MAX: usize = 65_536;

/// Files of a source that stay open while nothing comes: one that is deleted or moved away can be read to its end only if it is.
const OPEN_MAX: usize = 512;

/// Bytes taken of one file before it is another's turn.
const CHUNK_BYTES: usize = 1 << 20;

/// Bytes that are held to find the end of something. What is longer is read as a stream once the file is idle, or is [`WAITING_BYTES_MAX`] long.
const HOLD_BYTES: usize = 32 << 20;

/// Bytes that may wait for the end of something.
const WAITING_BYTES_MAX: u64 = 128 << 20;

/// Envelopes ready before the flow takes them.
const AHEAD_MAX: usize = 4;

/// A line without its end is taken as it stands once its file has been idle for so long. Half of a record is not: its other half will come.
const TAIL_IDLE: Duration = Duration::seconds(5);

/// A file that was moved away or deleted is at its end once it has been idle for so long: the rest is taken, whole or not.
const ROTATED_IDLE: Duration = Duration::seconds(30);

/// A compressed file is read once nothing has been added to it for so long.
const ARCHIVE_IDLE: Duration = Duration::seconds(5);

/// Where in a file that was there before it was ever looked at reading starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Start {
    #[default]
    Beginning,
    /// Behind its last line. Files that come later are read from their beginning.
    End,
}

/// Which files, and how to read them.
#[derive(Debug, Clone)]
pub struct TailSettings {
    pub source: SourceId,
    pub tenant: TenantId,
    pub cluster: ClusterId,
    /// Its first group finds the cluster in a path; where it finds none, `cluster` holds.
    pub cluster_pattern: Option<regex::Regex>,
    pub paths: Paths,
    pub start: Start,
    /// From one look to the next.
    pub poll: StdDuration,
    /// As [`FILES_MAX`].
    pub files_max: usize,
    /// As `OPEN_MAX`.
    pub open_max: usize,
}

impl TailSettings {
    /// These files, with the defaults.
    pub fn new(source: SourceId, paths: Paths) -> Self {
        Self {
            source,
            tenant: TenantId::default(),
            cluster: ClusterId::default(),
            cluster_pattern: None,
            paths,
            start: Start::Beginning,
            poll: StdDuration::from_secs(1),
            files_max: FILES_MAX,
            open_max: OPEN_MAX,
        }
    }
}

/// Files as a source.
#[derive(Debug)]
pub struct TailSource {
    id: SourceId,
    told: Arc<Told>,
    from: mpsc::Receiver<Envelope>,
}

#[derive(Debug, Default)]
struct Told(Mutex<Condition>);

impl Told {
    fn set(&self, condition: Condition) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = condition;
    }
}

impl Tells for Told {
    fn condition(&self) -> Condition {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl TailSource {
    /// Starts reading from the store's checkpoint on. A thread of its own reads ahead, and ends with it.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn start(settings: TailSettings, from: &Checkpoint, clock: Clock) -> std::io::Result<Self> {
        let (to, envelopes) = mpsc::channel(AHEAD_MAX);
        let (id, poll) = (settings.source.clone(), settings.poll);
        let told = Arc::new(Told::default());
        let tail = Tail::new(settings, from);
        let (tells, runtime) = (Arc::clone(&told), tokio::runtime::Handle::current());
        std::thread::Builder::new().name(format!("file {id}")).spawn(move || run(tail, &clock, poll, &to, &tells, &runtime))?;
        Ok(Self { id, told, from: envelopes })
    }
}

/// Looks and reads until nobody takes any more.
fn run(mut tail: Tail, clock: &Clock, poll: StdDuration, to: &mpsc::Sender<Envelope>, tells: &Told, runtime: &tokio::runtime::Handle) {
    let mut out = |envelope| to.blocking_send(envelope).is_ok();
    let span = Duration(i64::try_from(poll.as_nanos()).unwrap_or(i64::MAX));
    loop {
        let looked = clock.now();
        let mut is_taken = tail.look(looked, &mut out);
        tells.set(tail.condition());
        let mut has_more = true;
        while is_taken && has_more && clock.now().since(looked) < span {
            (is_taken, has_more) = tail.read(clock.now(), &mut out);
        }
        tells.set(tail.condition());
        let is_open = is_taken
            && (has_more
                || runtime.block_on(async {
                    tokio::select! {
                        () = tokio::time::sleep(poll) => true,
                        () = to.closed() => false,
                    }
                }));
        if !is_open {
            return;
        }
    }
}

#[async_trait]
impl Source for TailSource {
    fn id(&self) -> SourceId {
        self.id.clone()
    }

    fn tells(&self) -> Arc<dyn Tells> {
        Arc::clone(&self.told) as Arc<dyn Tells>
    }

    async fn next(&mut self) -> Result<Option<Envelope>, SourceError> {
        Ok(self.from.recv().await)
    }

    async fn commit(&mut self, _upto: &Checkpoint) -> Result<(), SourceError> {
        // The files keep what they have.
        Ok(())
    }
}
