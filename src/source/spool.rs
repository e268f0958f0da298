//! The spool: what is pushed at us becomes a log like any other, durable before the sender hears that it is.
//!
//! It holds redacted bytes only. A frame is one line of JSON that says whose payload it is, and the payload: records as they are kept.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};

use crate::model::{
    Checkpoint, ClusterId, Envelope, Form, Kinds, Origin, PartitionId, Position, Reject, RejectReason, SourceId, TenantId, Timestamp,
};
use crate::ports::{Condition, Lag, LagUnit, Source, SourceError, StoreError, Tells};
use crate::segment::{self, AppendError, Frame, Options, Packed, Reader, Writer};

/// The spool's partition.
pub const PARTITION: &str = "spool";

/// Bytes on disk past which pushes are refused until the store has caught up.
pub const BYTES_MAX: u64 = 1 << 30;

/// Envelopes read ahead of the flow.
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
    /// A frame of one payload, ready to be appended. Compresses it, so call it off the runtime.
    pub fn pack(&self, received: Timestamp, payload: &[u8]) -> Result<Packed, SpoolError> {
        let mut frame = serde_json::to_vec(self).unwrap_or_default();
        frame.reserve_exact(1 + payload.len());
        frame.push(b'\n');
        frame.extend_from_slice(payload);
        Packed::new(received, 0, &frame).map_err(|error| SpoolError::Failed(AppendError::Refused(error.to_string())))
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
    bytes_max: u64,
}

impl Spool {
    /// Opens the folder, making it if need be. `from` is the store's checkpoint, below which no number is given again.
    pub fn open(dir: &Path, from: &Checkpoint, bytes_max: u64) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Io { what: format!("open the spool in `{}`", dir.display()), source };
        let ordinary = Options::default();
        let options = Options { segment_bytes_max: crate::defect::file_bytes(ordinary.segment_bytes_max), ..ordinary };
        let (writer, recovery) = Writer::open(dir, options, from.get(&partition()).0).map_err(failed)?;
        tracing::info!(next = recovery.next, bytes = recovery.bytes, "spool opened");
        Ok(Self { dir: dir.to_owned(), writer: Arc::new(writer), bytes_max })
    }

    /// Whether a push would be taken now. Ask before anything of it is read.
    pub fn admit(&self) -> Result<(), SpoolError> {
        if let Some(why) = self.writer.failure() {
            return Err(SpoolError::Failed(AppendError::Poisoned(why)));
        }
        if self.writer.bytes() > self.bytes_max { Err(SpoolError::Busy) } else { Ok(()) }
    }

    /// Takes the frames of one push in. Once this returns they are durable.
    pub async fn push(&self, frames: Vec<Packed>) -> Result<(), SpoolError> {
        self.admit()?;
        if crate::defect::is("ack-before-append") {
            let writer = Arc::clone(&self.writer);
            tokio::spawn(async move { writer.append(frames).await });
            return Ok(());
        }
        match self.writer.append(frames).await {
            Ok(_) => Ok(()),
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

    /// The reading end, from the store's checkpoint on. A thread of its own reads ahead.
    pub fn source(&self, from: &Checkpoint) -> std::io::Result<SpoolSource> {
        let (to, envelopes) = mpsc::channel(AHEAD_MAX);
        let reader = Reader::new(&self.dir, from.get(&partition()).0);
        let durable = self.writer.durable();
        let runtime = tokio::runtime::Handle::current();
        std::thread::Builder::new().name("spool".to_owned()).spawn(move || follow(reader, durable, &to, &runtime))?;
        Ok(SpoolSource { spool: self.clone(), from: envelopes })
    }

    /// Ends the writing thread once all that waits is durable.
    pub fn close(&self) {
        self.writer.close();
    }
}

fn partition() -> PartitionId {
    PartitionId::from(PARTITION)
}

/// Hands over frame after frame, and waits for more, until nobody takes them.
fn follow(mut reader: Reader, mut durable: watch::Receiver<u64>, to: &mpsc::Sender<Result<Envelope, SourceError>>, runtime: &tokio::runtime::Handle) {
    let mut lost_before = 0;
    loop {
        let below = *durable.borrow_and_update();
        let sent = match reader.next(below) {
            Ok(Some(frame)) => {
                let lost = reader.lost() - lost_before;
                lost_before = reader.lost();
                to.blocking_send(Ok(envelope(frame, lost)))
            }
            Ok(None) => {
                let waited = runtime.block_on(async {
                    tokio::select! {
                        changed = durable.changed() => changed.is_ok(),
                        () = to.closed() => false,
                    }
                });
                if !waited {
                    return;
                }
                continue;
            }
            Err(error) => {
                let error = SourceError::Read { what: PARTITION.to_owned(), source: Box::new(error) };
                drop(to.blocking_send(Err(error)));
                return;
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

/// A frame as an envelope. Frames that were lost to damage before it are rejects of it.
fn envelope(frame: Frame, lost: u64) -> Envelope {
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
        partition: partition(),
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

/// The spool as a source.
#[derive(Debug)]
pub struct SpoolSource {
    spool: Spool,
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
        let (dir, below) = (self.spool.dir.clone(), upto.get(&partition()).0);
        let below = if crate::defect::is("unlinked-early") { u64::MAX } else { below };
        let freed = tokio::task::spawn_blocking(move || segment::delete_below(&dir, below)).await;
        let freed = freed.map_err(|error| SourceError::Reach { what: PARTITION.to_owned(), source: Box::new(error) })?;
        let freed = freed.map_err(|error| SourceError::Reach { what: PARTITION.to_owned(), source: Box::new(error) })?;
        self.spool.writer.freed(freed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;

    fn whose() -> Whose {
        Whose {
            tenant: TenantId::default(),
            cluster: "prod".parse().unwrap(),
            source: SourceId::from("push"),
            kinds: Kinds::only(Kind::Falco),
            is_kept: true,
            rejected: vec![(RejectReason::NotJson, 2)],
        }
    }

    fn frames(seconds: i64, payload: &str) -> Vec<Packed> {
        vec![whose().pack(Timestamp::from_seconds(seconds), payload.as_bytes()).unwrap()]
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_pushed_is_read_again_after_a_restart_and_forgotten_after_the_commit() {
        let dir = tempfile::tempdir().unwrap();
        let mut checkpoint = Checkpoint::default();
        {
            let spool = Spool::open(dir.path(), &checkpoint, BYTES_MAX).unwrap();
            for n in 0..3 {
                spool.push(frames(n, &format!("payload {n}"))).await.unwrap();
            }
            let mut source = spool.source(&checkpoint).unwrap();
            let first = source.next().await.unwrap().unwrap();
            assert_eq!((first.payloads[0].1.as_slice(), first.upto, first.origin.cluster.as_str()), (&b"payload 0"[..], Position(1), "prod"));
            assert_eq!((first.kinds, first.form), (Kinds::only(Kind::Falco), Form::Kept));
            assert_eq!(first.counted, [(RejectReason::NotJson, 2)]);
            checkpoint.advance(&first.origin.partition, first.upto);
            spool.close();
        }
        let spool = Spool::open(dir.path(), &checkpoint, BYTES_MAX).unwrap();
        let mut source = spool.source(&checkpoint).unwrap();
        for n in 1..3 {
            let next = source.next().await.unwrap().unwrap();
            assert_eq!(next.payloads[0].1, format!("payload {n}").into_bytes());
            checkpoint.advance(&next.origin.partition, next.upto);
        }
        source.commit(&checkpoint).await.unwrap();
        spool.push(frames(9, "after")).await.unwrap();
        assert_eq!(source.next().await.unwrap().unwrap().payloads[0].1, b"after");
    }

    #[tokio::test]
    async fn a_full_spool_asks_to_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path(), &Checkpoint::default(), 0).unwrap();
        let pushed = spool.push(frames(0, "x")).await;
        assert!(matches!(pushed, Ok(()) | Err(SpoolError::Busy)));
        assert!(matches!(spool.admit(), Err(SpoolError::Busy)));
        assert!(matches!(spool.push(frames(0, "x")).await, Err(SpoolError::Busy)));
    }
}
