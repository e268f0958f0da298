//! What is pushed: decoded and redacted at the door, spooled, and only then confirmed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use crate::api::Sender;
use crate::clock::Clock;
use crate::codec::Codec;
use crate::decode::{DecodeLimits, Decoded, Decoder, keep};
use crate::model::{Parser, Record, RejectReason, SourceId, TenantId, Timestamp};
use crate::normalize::{Names, Redactor, quarantine};
use crate::pipeline::Ledger;
use crate::segment::Packed;
use crate::source::spool::{LANES, Spool, SpoolError, Whose};
use crate::store::space::Space;

/// The source that pushes without one of their own come by.
pub const DEFAULT_SOURCE: &str = "push";

/// Bytes past which a payload of the spool ends and the next one begins.
const PAYLOAD_BYTES: usize = 16 << 20;

/// How a push ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Records that are durable now.
    pub accepted: u64,
    /// Ranges that could not be read, counted and left out.
    pub rejected: u64,
}

/// The door.
#[derive(Debug, Clone)]
pub struct Door {
    spool: Spool,
    ledger: Arc<Ledger>,
    clock: Clock,
    tools: Arc<Mutex<Vec<Tools>>>,
    /// Names of members whose values are masked.
    masked: Names,
    /// Bodies that are expanded, redacted and packed at one time: as many as there are processors. The others wait as they came.
    places: Arc<Semaphore>,
    /// Of each lane no more bodies than that wait for a place: who floods waits behind itself, and the next sender's body is one of the first.
    queues: Arc<[Arc<Semaphore>; LANES]>,
    space: Arc<Space>,
}

#[derive(Debug)]
struct Tools {
    decoder: Decoder,
    redactor: Redactor,
    parser: Parser,
}

impl Tools {
    fn new(masked: Names) -> Self {
        let limits = DecodeLimits::default();
        Self { parser: Parser::new(limits.record.clone()), decoder: Decoder::new(limits, Some(Arc::new(Codec))), redactor: Redactor::new(masked) }
    }
}

impl Door {
    /// In front of this spool, masking what stands under these names too.
    pub fn new(spool: Spool, space: Arc<Space>, ledger: Arc<Ledger>, clock: Clock, masked: Names) -> Self {
        let places = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let queues = Arc::new(std::array::from_fn(|_| Arc::new(Semaphore::new(places))));
        Self { spool, ledger, clock, tools: Arc::default(), masked, places: Arc::new(Semaphore::new(places)), queues, space }
    }

    /// Why nothing will be taken in any more, if so.
    pub fn failure(&self) -> Option<String> {
        self.spool.failure()
    }

    /// Whether a push would be taken now. Ask before anything of it is read.
    pub fn admit(&self, source: Option<&SourceId>) -> Result<(), SpoolError> {
        if self.space.is_low() {
            return Err(SpoolError::NoRoom);
        }
        let lane = source.map_or_else(|| self.spool.lane_of(&SourceId::from(DEFAULT_SOURCE)), |source| self.spool.lane_of(source));
        self.spool.admit(lane)
    }

    /// A push was answered with an error, and its sender has it still.
    pub fn refuse(&self, source: Option<SourceId>) {
        self.ledger.refuse(&source.unwrap_or_else(|| SourceId::from(DEFAULT_SOURCE)), 1);
    }

    /// A place for a body of this lane, once it is its turn.
    async fn place(&self, lane: usize) -> Result<[OwnedSemaphorePermit; 2], AcquireError> {
        let turn = Arc::clone(&self.queues[lane % LANES]).acquire_owned().await?;
        Ok([turn, Arc::clone(&self.places).acquire_owned().await?])
    }

    /// Takes a body in, and drops it as soon as it is packed. What can not be read in it is counted and does not hold back the rest.
    pub async fn push(&self, body: impl AsRef<[u8]> + Send + 'static, sender: Sender) -> Result<Taken, SpoolError> {
        let source = sender.source.unwrap_or_else(|| SourceId::from(DEFAULT_SOURCE));
        let (is_bound, lane) = (sender.cluster.is_some(), self.spool.lane_of(&source));
        let whose = Whose {
            tenant: TenantId::default(),
            cluster: sender.cluster.unwrap_or_default(),
            source: source.clone(),
            kinds: sender.kinds,
            is_kept: true,
            rejected: Vec::new(),
        };
        let (tools, masked, received) = (Arc::clone(&self.tools), self.masked.clone(), self.clock.now());
        let Ok(place) = self.place(lane).await else { return Err(SpoolError::Busy) };
        let work = tokio::task::spawn_blocking(move || {
            let mut tools_used = tools.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_else(|| Tools::new(masked));
            let prepared = prepare(&mut tools_used, body.as_ref(), &whose, lane, is_bound, received);
            tools.lock().unwrap_or_else(PoisonError::into_inner).push(tools_used);
            drop((body, place));
            prepared
        });
        let Ok(prepared) = work.await else { return Err(SpoolError::Busy) };
        let prepared = prepared?;
        // All of it is counted when it is read from the spool, so that counts and events become durable together.
        if !prepared.frames.is_empty() {
            self.spool.push(prepared.frames, lane).await?;
        }
        Ok(Taken { accepted: prepared.accepted, rejected: prepared.rejected })
    }
}

#[derive(Debug)]
struct Prepared {
    frames: Vec<Packed>,
    accepted: u64,
    rejected: u64,
}

/// A sender that stands for one cluster stands for no other: what an envelope says of it does not count.
fn bind(record: &mut Record, is_bound: bool) {
    if let Some(by) = record.wrapped.by.as_mut().filter(|by| is_bound && by.cluster.is_some()) {
        Arc::make_mut(by).cluster = None;
    }
}

/// Sums, so that a frame's head stays short whatever a body holds.
fn by_reason(rejects: Vec<(RejectReason, u64)>) -> Vec<(RejectReason, u64)> {
    let mut sums = BTreeMap::new();
    for (reason, count) in rejects {
        *sums.entry(reason).or_default() += count;
    }
    sums.into_iter().collect()
}

/// The records of a body, redacted and packed as they are kept.
fn prepare(tools: &mut Tools, body: &[u8], whose: &Whose, lane: usize, is_bound: bool, received: Timestamp) -> Result<Prepared, SpoolError> {
    let mut decoded = Decoded::default();
    tools.decoder.decode(body, &mut decoded);
    let accepted = decoded.records.len() as u64;
    let unreadable = quarantine(&decoded.rejects, &tools.parser);
    let (mut frames, mut payload) = (Vec::new(), Vec::new());
    for record in decoded.records.into_iter().chain(unreadable) {
        let mut record: Record = tools.redactor.redact(record, &mut tools.parser);
        bind(&mut record, is_bound);
        keep(&record, &mut payload);
        if payload.len() > PAYLOAD_BYTES {
            frames.push(whose.pack(received, &payload, lane)?);
            payload.clear();
        }
    }
    let mut rejects: Vec<(RejectReason, u64)> = decoded.rejects.iter().map(|reject| (reject.reason, 1)).collect();
    // What is past the limit on listed rejects is of the kind that fills it.
    if let Some((_, count)) = rejects.last_mut() {
        *count += decoded.rejects_unlisted;
    }
    let rejected = rejects.iter().map(|(_, count)| count).sum();
    if !payload.is_empty() || rejected > 0 {
        frames.push(Whose { rejected: by_reason(rejects), ..whose.clone() }.pack(received, &payload, lane)?);
    }
    Ok(Prepared { frames, accepted, rejected })
}
