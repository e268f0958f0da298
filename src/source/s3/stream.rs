//! An object in pieces: ranges of it one after the other, one ahead, and compression taken off on the way. Memory is bounded by a few ranges.

use std::io::{self, Read};

use tokio::sync::mpsc;

use super::bucket::Bucket;
use super::failure::Failure;
use crate::codec;
use crate::model::{InflateLimits, RejectReason};
use crate::source::objects::Object;

/// Bytes of one range.
pub(super) const RANGE_BYTES: u64 = 4 << 20;
/// Bytes of one piece after decompression.
pub(super) const PIECE_BYTES: usize = 1 << 20;
/// Decompressed bytes of one object, and bytes of one that is not compressed.
pub const DECODED_BYTES_MAX: u64 = 16 << 30;

/// Why no further piece comes.
#[derive(Debug)]
pub(super) enum Stop {
    Failed(Failure),
    /// The content can not be expanded further.
    Damaged(RejectReason, String),
}

type Block = Result<Vec<u8>, Failure>;

/// The pieces of an object.
#[derive(Debug)]
pub(super) enum Pieces {
    Plain(mpsc::Receiver<Block>),
    Packed(mpsc::Receiver<Result<Vec<u8>, Stop>>),
}

impl Pieces {
    /// Of an object as it is, from this offset on; `first` was read already and comes before that.
    pub(super) fn plain(bucket: &Bucket, object: &Object, first: Vec<u8>, at: u64) -> Self {
        Self::Plain(ranges(bucket, object, first, at))
    }

    /// Of what a compressed object holds, without the first `skip` bytes.
    pub(super) fn packed(bucket: &Bucket, object: &Object, first: Vec<u8>, skip: u64) -> Self {
        let at = first.len() as u64;
        let from = ranges(bucket, object, first, at);
        let (to, pieces) = mpsc::channel(2);
        // Ends when either side does.
        drop(tokio::task::spawn_blocking(move || expand(from, skip, &to)));
        Self::Packed(pieces)
    }

    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Result<Vec<u8>, Stop>> {
        match self {
            Self::Plain(from) => from.recv().await.map(|block| block.map_err(Stop::Failed)),
            Self::Packed(from) => from.recv().await,
        }
    }
}

fn ranges(bucket: &Bucket, object: &Object, first: Vec<u8>, mut at: u64) -> mpsc::Receiver<Block> {
    let (to, blocks) = mpsc::channel(1);
    let (bucket, object) = (bucket.clone(), object.clone());
    tokio::spawn(async move {
        if !first.is_empty() && to.send(Ok(first)).await.is_err() {
            return;
        }
        while at < object.bytes {
            let len = RANGE_BYTES.min(object.bytes - at);
            let block = tokio::select! {
                () = to.closed() => return,
                block = bucket.get(&object, at, len) => block,
            };
            at += len;
            let is_over = block.is_err();
            if to.send(block).await.is_err() || is_over {
                return;
            }
        }
    });
    blocks
}

/// The blocks as a reader.
struct Blocks {
    from: mpsc::Receiver<Block>,
    block: io::Cursor<Vec<u8>>,
    failure: std::sync::Arc<std::sync::Mutex<Option<Failure>>>,
}

impl Read for Blocks {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.block.read(buf)?;
            if read > 0 || buf.is_empty() {
                return Ok(read);
            }
            match self.from.blocking_recv() {
                Some(Ok(block)) => self.block = io::Cursor::new(block),
                None => return Ok(0),
                Some(Err(failure)) => {
                    let text = failure.to_string();
                    *self.failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(failure);
                    return Err(io::Error::other(text));
                }
            }
        }
    }
}

fn expand(from: mpsc::Receiver<Block>, skip: u64, to: &mpsc::Sender<Result<Vec<u8>, Stop>>) {
    let failure = std::sync::Arc::default();
    let blocks = Blocks { from, block: io::Cursor::default(), failure: std::sync::Arc::clone(&failure) };
    let stop = |error: &io::Error| {
        let failed = failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let damaged = || Stop::Damaged(codec::fault_of(error).unwrap_or(RejectReason::BadCompression), error.to_string());
        failed.map_or_else(damaged, Stop::Failed)
    };
    let limits = InflateLimits { decoded_bytes_max: DECODED_BYTES_MAX, ..InflateLimits::default() };
    let opened = codec::open(blocks, &limits);
    let skipped = opened.and_then(|mut expanded| io::copy(&mut Read::by_ref(&mut expanded).take(skip), &mut io::sink()).map(|_| expanded));
    let mut expanded = match skipped {
        Ok(expanded) => expanded,
        Err(error) => return drop(to.blocking_send(Err(stop(&error)))),
    };
    loop {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        let outcome = Read::by_ref(&mut expanded).take(PIECE_BYTES as u64).read_to_end(&mut piece);
        if !piece.is_empty() && to.blocking_send(Ok(piece)).is_err() {
            return;
        }
        match outcome {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => return drop(to.blocking_send(Err(stop(&error)))),
        }
    }
}
