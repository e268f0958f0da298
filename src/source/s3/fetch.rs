//! One object: from where it is read, and how. What goes on where the version before ended is told from what replaced it.

use super::bucket::Bucket;
use super::failure::Failure;
use super::stream::{DECODED_BYTES_MAX, Pieces};
use super::tail::{TAIL_BYTES, Tail, is_same};
use super::{S3Counts, WHOLE_BYTES_MAX};
use crate::model::Magic;
use crate::source::objects::{Known, Pending};

/// Bytes of a compressed object that is held whole: what it may expand to is held whole as well.
const PACKED_BYTES_MAX: usize = 512 << 10;

/// How reading one object ended, or how it goes on.
#[derive(Debug)]
pub(super) enum Fetched {
    Whole(Part),
    Pieces(Part, Pieces),
    TooLarge,
    Failed(Failure),
}

/// The part of an object that is read.
#[derive(Debug)]
pub(super) struct Part {
    /// Where it begins, after decompression.
    pub(super) at: u64,
    pub(super) bytes: Vec<u8>,
    /// What was read before it.
    pub(super) tail: Tail,
    pub(super) is_packed: bool,
    /// Something else stood there, and was read.
    pub(super) is_overwritten: bool,
}

/// Where a version begins that is new.
struct Start {
    at: u64,
    /// The bytes from there on that were read to know it.
    first: Vec<u8>,
    tail: Tail,
    is_overwritten: bool,
}

impl Start {
    fn anew(is_overwritten: bool) -> Self {
        Self { at: 0, first: Vec::new(), tail: Tail::new(), is_overwritten }
    }
}

/// Reads an object, or begins to.
pub(super) async fn fetch(bucket: &Bucket, pending: &Pending, counts: &S3Counts) -> Fetched {
    if pending.object.bytes > DECODED_BYTES_MAX {
        return Fetched::TooLarge;
    }
    let fetched = if pending.from > 0 { resume(bucket, pending, counts).await } else { begin(bucket, pending, counts).await };
    fetched.unwrap_or_else(Fetched::Failed)
}

async fn begin(bucket: &Bucket, pending: &Pending, counts: &S3Counts) -> Result<Fetched, Failure> {
    let object = &pending.object;
    let Start { at, mut first, tail, is_overwritten } = match pending.before {
        Some(before) => growth(bucket, pending, before, counts).await?,
        None => Start::anew(false),
    };
    let read = at + first.len() as u64;
    let rest = object.bytes.saturating_sub(read);
    let part = |bytes, is_packed| Part { at, bytes, tail, is_packed, is_overwritten };
    if rest > WHOLE_BYTES_MAX {
        // The first bytes tell whether it is compressed; what goes on is plain.
        if at == 0 && first.is_empty() {
            first = bucket.get(object, 0, WHOLE_BYTES_MAX).await?;
        }
    } else if rest > 0 {
        first.extend(bucket.get(object, read, rest).await?);
    }
    let is_packed = at == 0 && matches!(Magic::of(&first), Magic::Compressed(_));
    let next = at + first.len() as u64;
    if is_packed && (first.len() > PACKED_BYTES_MAX || next < object.bytes) {
        return Ok(Fetched::Pieces(part(Vec::new(), true), Pieces::packed(bucket, object, first, 0)));
    }
    if next < object.bytes {
        return Ok(Fetched::Pieces(part(Vec::new(), false), Pieces::plain(bucket, object, first, next)));
    }
    Ok(Fetched::Whole(part(first, is_packed)))
}

/// Goes on after what is durable. What is compressed has to be expanded from its start, but is not decoded again.
async fn resume(bucket: &Bucket, pending: &Pending, counts: &S3Counts) -> Result<Fetched, Failure> {
    let (object, from) = (&pending.object, pending.from);
    let head = bucket.get(object, 0, object.bytes.min(Magic::BYTES as u64)).await?;
    S3Counts::add(&counts.reread, head.len() as u64);
    let is_packed = matches!(Magic::of(&head), Magic::Compressed(_));
    let part = Part { at: from, bytes: Vec::new(), tail: Tail::amid(from), is_packed, is_overwritten: false };
    let pieces = if is_packed { Pieces::packed(bucket, object, Vec::new(), from) } else { Pieces::plain(bucket, object, Vec::new(), from) };
    Ok(Fetched::Pieces(part, pieces))
}

/// Tells a version that goes on where another ended from one that replaced it, by the last bytes that were read of that.
async fn growth(bucket: &Bucket, pending: &Pending, before: Known, counts: &S3Counts) -> Result<Start, Failure> {
    let object = &pending.object;
    if object.bytes < before.bytes {
        return Ok(Start::anew(true));
    }
    let len = before.bytes.min(TAIL_BYTES as u64);
    let window = if len == 0 { Vec::new() } else { bucket.get(object, before.bytes - len, len).await? };
    S3Counts::add(&counts.reread, len);
    if !is_same(&window, before) {
        return Ok(Start::anew(true));
    }
    // The last line may not have been whole; where it can not be seen, all is read again.
    let line = memchr::memrchr(b'\n', &window).map(|at| at + 1).or((len == before.bytes).then_some(0)).filter(|_| before.is_lines());
    let Some(line) = line else {
        S3Counts::add(&counts.reread, before.bytes);
        return Ok(Start::anew(false));
    };
    let (known, first) = window.split_at_checked(line).unwrap_or((&window, &[]));
    let at = before.bytes - first.len() as u64;
    let tail = Tail::after(known, at);
    Ok(Start { at, first: first.to_vec(), tail, is_overwritten: false })
}
