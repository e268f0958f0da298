//! What is pushed: decoded and redacted at the door, spooled, and only then confirmed.

use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Clock;
use crate::codec::Codec;
use crate::decode::{DecodeLimits, Decoded, Decoder};
use crate::model::{ClusterId, EnvelopeKind, Parser, Record, RejectReason, SourceId, TenantId};
use crate::normalize::Redactor;
use crate::pipeline::{Ledger, Outcome};
use crate::source::spool::{Spool, SpoolError, Whose};

/// The source that pushes without one of their own come by.
pub const DEFAULT_SOURCE: &str = "push";

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
}

#[derive(Debug)]
struct Tools {
    decoder: Decoder,
    redactor: Redactor,
    parser: Parser,
}

impl Tools {
    fn new() -> Self {
        let limits = DecodeLimits::default();
        Self { parser: Parser::new(limits.record.clone()), decoder: Decoder::new(limits, Some(Arc::new(Codec))), redactor: Redactor::default() }
    }
}

impl Door {
    /// In front of this spool.
    pub fn new(spool: Spool, ledger: Arc<Ledger>, clock: Clock) -> Self {
        Self { spool, ledger, clock, tools: Arc::default() }
    }

    /// Why nothing will be taken in any more, if so.
    pub fn failure(&self) -> Option<String> {
        self.spool.failure()
    }

    /// Takes a body in. What can not be read in it is counted and does not hold back the rest.
    pub async fn push(&self, body: Vec<u8>, cluster: Option<ClusterId>, source: Option<SourceId>) -> Result<Taken, SpoolError> {
        let source = source.unwrap_or_else(|| SourceId::from(DEFAULT_SOURCE));
        let whose = Whose { tenant: TenantId::default(), cluster: cluster.unwrap_or_default(), source: source.clone() };
        let tools = Arc::clone(&self.tools);
        let work = tokio::task::spawn_blocking(move || {
            let mut tools_used = tools.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_else(Tools::new);
            let prepared = prepare(&mut tools_used, &body);
            tools.lock().unwrap_or_else(PoisonError::into_inner).push(tools_used);
            prepared
        });
        let Ok(prepared) = work.await else { return Err(SpoolError::Busy) };
        if !prepared.payloads.is_empty() {
            self.spool.push(&whose, self.clock.now(), prepared.payloads).await?;
        }
        // Records are counted when they are read from the spool; what never gets there is counted here.
        let rejected = prepared.rejects.iter().map(|(_, count)| count).sum();
        self.ledger.receive(&source, 0, rejected);
        for (reason, count) in prepared.rejects {
            self.ledger.end(&source, Outcome::Reject(reason), count);
        }
        Ok(Taken { accepted: prepared.accepted, rejected })
    }
}

struct Prepared {
    payloads: Vec<Vec<u8>>,
    accepted: u64,
    rejects: Vec<(RejectReason, u64)>,
}

/// The records of a body, redacted, in payloads that the decoder reads again: items of a list stay items of a list.
fn prepare(tools: &mut Tools, body: &[u8]) -> Prepared {
    let mut decoded = Decoded::default();
    tools.decoder.decode(body, &mut decoded);
    let accepted = decoded.records.len() as u64;
    let (mut items, mut others) = (Vec::new(), Vec::new());
    for record in decoded.records {
        let record: Record = tools.redactor.redact(record, &mut tools.parser);
        let to = if record.envelope == EnvelopeKind::EventList { &mut items } else { &mut others };
        if !to.is_empty() {
            to.push(if record.envelope == EnvelopeKind::EventList { b',' } else { b'\n' });
        }
        to.extend_from_slice(record.doc.text().as_bytes());
    }
    let mut payloads = Vec::new();
    if !items.is_empty() {
        payloads.push([&br#"{"kind":"EventList","items":["#[..], &items, b"]}"].concat());
    }
    if !others.is_empty() {
        payloads.push(others);
    }
    let mut rejects: Vec<(RejectReason, u64)> = decoded.rejects.iter().map(|reject| (reject.reason, 1)).collect();
    // What is past the limit on listed rejects is of the kind that fills it.
    if let Some((_, count)) = rejects.last_mut() {
        *count += decoded.rejects_unlisted;
    }
    Prepared { payloads, accepted, rejects }
}
