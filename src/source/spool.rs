//! The spool: what is pushed at us becomes a log like any other, durable before the sender hears that it is.
//!
//! It holds redacted bytes only. A frame is one line of JSON that says whose payload it is, and the payload: records as they are kept.

mod follow;
mod lanes;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::model::{Checkpoint, ClusterId, Envelope, Form, Kinds, Origin, Position, Reject, RejectReason, SourceId, TenantId, Timestamp};
use crate::ports::{Condition, Lag, LagUnit, Source, SourceError, StoreError, Tells};
use crate::segment::{self, AppendError, Frame, Options, Packed, Writer};

use self::follow::Follower;
pub use self::lanes::LANES;
use self::lanes::Lanes;

/// What the partitions of its lanes begin with.
pub const PARTITION: &str = "spool";

/// Bytes on disk past which pushes are refused until the store has caught up.
pub const BYTES_MAX: u64 = 1 << 30;

/// Of these, what one lane may take: who floods fills no more, and the others go on.
const LANE_BYTES_MAX: u64 = BYTES_MAX / 2;

/// Envelopes of a lane that are read ahead of the flow.
const AHEAD_MAX: usize = 4;

/// Whose payload a frame holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whose {
    pub tenant: TenantId,
    pub cluster: ClusterId,
    pub source: SourceId,
    /// What the route of the push may carry. Frames of the first builds do not say: anything.
    #[serde(default)]
    pub kinds: Kinds,
    /// The payload has records as they are kept; else, in frames of the first builds, text to be decoded.
    #[serde(default)]
    pub is_kept: bool,
    /// Ranges of the push that could not be read, to be counted when the frame is taken in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<(RejectReason, u64)>,
}

impl Whose {
    /// A frame of one payload, ready to be appended to a lane. Compresses it, so call it off the runtime.
    pub fn pack(&self, received: Timestamp, payload: &[u8], lane: usize) -> Result<Packed, SpoolError> {
        let mut frame = serde_json::to_vec(self).unwrap_or_default();
        frame.reserve_exact(1 + payload.len());
        frame.push(b'\n');
        frame.extend_from_slice(payload);
        let flags = u32::try_from(lane).unwrap_or_default();
        Packed::new(received, flags, &frame).map_err(|error| SpoolError::Failed(AppendError::Refused(error.to_string())))
    }
}

/// Why a push was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// Come back later: the store is behind, or too many wait.
    #[error("the spool is full or busy")]
    Busy,
    /// Come back later: there is no room on the disk.
    #[error("there is no room on the disk")]
    NoRoom,
    #[error("cannot write to the spool")]
    Failed(#[source] AppendError),
}

/// The writing end. Any number of pushes may share one sync.
#[derive(Debug, Clone)]
pub struct Spool {
    dir: PathBuf,
    writer: Arc<Writer>,
    lanes: Arc<Lanes>,
    bytes_max: u64,
    /// The number of the first frame of this process.
    begins: u64,
}

impl Spool {
    /// Opens the folder, making it if need be. `from` is the store's checkpoint, below which no number is given again.
    pub fn open(dir: &Path, from: &Checkpoint, bytes_max: u64) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Io { what: format!("open the spool in `{}`", dir.display()), source };
        let ordinary = Options::default();
        let options = Options { segment_bytes_max: crate::defect::file_bytes(ordinary.segment_bytes_max), ..ordinary };
        let (writer, recovery) = Writer::open(dir, options, lanes::highest(from)).map_err(failed)?;
        tracing::info!(next = recovery.next, bytes = recovery.bytes, "spool opened");
        Ok(Self { dir: dir.to_owned(), writer: Arc::new(writer), lanes: Arc::new(Lanes::new()), bytes_max, begins: recovery.next })
    }

    /// The lane of a source's pushes.
    pub fn lane_of(&self, source: &SourceId) -> usize {
        self.lanes.lane_of(source)
    }

    /// Whether a push into this lane would be taken now. Ask before anything of it is read.
    pub fn admit(&self, lane: usize) -> Result<(), SpoolError> {
        if let Some(why) = self.writer.failure() {
            return Err(SpoolError::Failed(AppendError::Poisoned(why)));
        }
        let is_full = self.writer.bytes() > self.bytes_max || self.lanes.waiting(lane) > LANE_BYTES_MAX;
        if is_full { Err(SpoolError::Busy) } else { Ok(()) }
    }

    /// Takes the frames of one push in, all of this lane. Once this returns they are durable.
    pub async fn push(&self, frames: Vec<Packed>, lane: usize) -> Result<(), SpoolError> {
        self.admit(lane)?;
        let bytes = frames.iter().map(|frame| frame.bytes() as u64).sum();
        if crate::defect::is("ack-before-append") {
            let writer = Arc::clone(&self.writer);
            tokio::spawn(async move { writer.append(frames).await });
            return Ok(());
        }
        match self.writer.append(frames).await {
            Ok(_) => {
                self.lanes.came(lane, bytes);
                Ok(())
            }
            Err(AppendError::Busy) => Err(SpoolError::Busy),
            Err(AppendError::Full) => Err(SpoolError::NoRoom),
            Err(error) => Err(SpoolError::Failed(error)),
        }
    }

    /// Why nothing will be taken in any more, if so.
    pub fn failure(&self) -> Option<String> {
        self.writer.failure()
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.writer.bytes()
    }

    /// The reading ends, one a lane, from the store's checkpoint on. Each has a thread of its own that reads ahead.
    pub fn sources(&self, from: &Checkpoint) -> std::io::Result<Vec<SpoolSource>> {
        let (runtime, progress) = (tokio::runtime::Handle::current(), self.lanes.begin());
        let open = |lane| {
            let (to, envelopes) = mpsc::channel(AHEAD_MAX);
            let follower = Follower::new(self, &progress, lane, lanes::position(from, lane));
            let runtime = runtime.clone();
            std::thread::Builder::new().name(format!("spool-{lane}")).spawn(move || follower.run(&to, &runtime))?;
            Ok(SpoolSource { spool: self.clone(), lane, from: envelopes })
        };
        (0..lanes::LANES).map(open).collect()
    }

    /// Ends the writing thread once all that waits is durable.
    pub fn close(&self) {
        self.writer.close();
    }
}

/// A frame as an envelope. Frames that were lost to damage before it are rejects of it.
fn envelope(frame: Frame, lost: u64, lane: usize) -> Envelope {
    let line = memchr::memchr(b'\n', &frame.payload).unwrap_or(frame.payload.len());
    let whose = frame.payload.get(..line).and_then(|head| serde_json::from_slice::<Whose>(head).ok());
    let payload = frame.payload.get(line + 1..).unwrap_or_default().to_vec();
    let mut rejects = Vec::new();
    let mut reject = |detail: &str| {
        rejects.push(Reject { offset: frame.seq, len: 0, reason: RejectReason::BadCompression, detail: detail.to_owned(), bytes: Vec::new() })
    };
    if whose.is_none() {
        reject("a frame of the spool without its head");
    }
    (0..lost.min(1_000)).for_each(|_| reject("a damaged frame of the spool"));
    let whose = whose.unwrap_or_else(|| Whose {
        tenant: TenantId::default(),
        cluster: ClusterId::default(),
        source: SourceId::from("push"),
        kinds: Kinds::ALL,
        is_kept: false,
        rejected: Vec::new(),
    });
    let form = if whose.is_kept { Form::Kept } else { Form::Whole };
    let origin = Origin {
        tenant: whose.tenant,
        cluster: whose.cluster,
        source: whose.source,
        partition: lanes::partition(lane),
        object: Arc::from(PARTITION),
        received: frame.received,
    };
    let upto = Position(frame.seq + 1);
    let (kinds, counted) = (whose.kinds, whose.rejected);
    Envelope { kinds, form, payloads: vec![(Position(frame.seq), payload)], rejects, counted, ..Envelope::empty(Arc::new(origin), upto) }
}

impl Tells for Spool {
    fn condition(&self) -> Condition {
        let lag = Some(Lag { amount: self.bytes(), unit: LagUnit::Bytes, seconds: None });
        Condition { problem: self.failure(), lag, ..Condition::default() }
    }
}

/// A lane of the spool as a source.
#[derive(Debug)]
pub struct SpoolSource {
    spool: Spool,
    lane: usize,
    from: mpsc::Receiver<Result<Envelope, SourceError>>,
}

#[async_trait]
impl Source for SpoolSource {
    fn id(&self) -> SourceId {
        SourceId::from(PARTITION)
    }

    fn tells(&self) -> Arc<dyn Tells> {
        Arc::new(self.spool.clone())
    }

    async fn next(&mut self) -> Result<Option<Envelope>, SourceError> {
        self.from.recv().await.transpose()
    }

    async fn commit(&mut self, upto: &Checkpoint) -> Result<(), SourceError> {
        if self.lane != 0 {
            // One for all.
            return Ok(());
        }
        let (dir, below) = (self.spool.dir.clone(), self.spool.lanes.done(upto));
        let below = if crate::defect::is("unlinked-early") { u64::MAX } else { below };
        let freed = tokio::task::spawn_blocking(move || segment::delete_below(&dir, below)).await;
        let freed = freed.map_err(|error| SourceError::Reach { what: PARTITION.to_owned(), source: Box::new(error) })?;
        let freed = freed.map_err(|error| SourceError::Reach { what: PARTITION.to_owned(), source: Box::new(error) })?;
        self.spool.writer.freed(freed);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
