//! Topics of Kafka and of what speaks its protocol (Event Hubs, Data Streams, MSK). A partition is a log; the store's checkpoint says where to go on.
//!
//! A thread polls, so that the group is answered while the flow is busy. The group shares partitions out and nothing more: what is committed to it is for
//! others to look at, and only what is durable. A loss is told by the brokers (a position that is in no log), never guessed from a jump of offsets.

mod client;
mod context;
mod doubts;
mod gather;
mod look;
mod places;
mod reader;
#[cfg(test)]
mod tests;
mod trouble;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;

use self::context::Shared;
use self::places::Places;
pub use self::places::Start;
use self::reader::Reader;
use crate::clock::Clock;
use crate::model::{Checkpoint, ClusterId, Envelope, SourceId, TenantId};
use crate::ports::{Condition, Lag, LagUnit, Source, SourceError, Tells};

/// Bytes of one message, at most that may be set. A longer one is a counted reject.
pub const MESSAGE_BYTES_MAX: usize = 256 << 20;

/// Bytes of one message that are taken if nothing is set.
pub const MESSAGE_BYTES: usize = 128 << 20;

/// Envelopes ready before the flow takes them.
const AHEAD_MAX: usize = 4;

/// How long the end of a source waits for its last word to the group.
const GOODBYE: Duration = Duration::from_secs(1);

/// How a user shows who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    Plain,
    ScramSha256,
    ScramSha512,
}

/// Who reads.
#[derive(Clone)]
pub struct Sasl {
    pub mechanism: Mechanism,
    pub username: String,
    pub password: String,
}

impl fmt::Debug for Sasl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sasl").field("mechanism", &self.mechanism).finish_non_exhaustive()
    }
}

/// Files of TLS, as paths.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    pub is_on: bool,
    /// Certificates that the brokers' are checked against; `None`: those of the machine.
    pub ca: Option<String>,
    pub cert: Option<String>,
    pub key: Option<String>,
}

/// Which topics, and how to read them.
#[derive(Clone)]
pub struct KafkaSettings {
    pub source: SourceId,
    pub tenant: TenantId,
    pub cluster: ClusterId,
    /// Its first group finds the cluster in a topic's name; where it finds none, `cluster` holds.
    pub cluster_pattern: Option<regex::Regex>,
    /// `host:port`, each.
    pub brokers: Vec<String>,
    /// Names, or patterns that begin with `^`.
    pub topics: Vec<String>,
    pub group: String,
    /// Which member of the group this is, over restarts: the group waits for it instead of sharing its partitions out. `None`: it is a new one every time.
    pub instance: Option<String>,
    pub start: Start,
    pub tls: Tls,
    pub sasl: Option<Sasl>,
    pub message_bytes_max: usize,
    /// Whether checksums of batches are looked at. Not every service that speaks the protocol makes them.
    pub check_crcs: bool,
    /// What the client is told besides, by the client's own names.
    pub more: Vec<(String, String)>,
}

impl KafkaSettings {
    /// Topics of brokers with the defaults.
    pub fn new(source: SourceId, brokers: &[String], topics: &[String]) -> Self {
        Self {
            source,
            tenant: TenantId::default(),
            cluster: ClusterId::default(),
            cluster_pattern: None,
            brokers: brokers.to_vec(),
            topics: topics.to_vec(),
            group: "bartizan".to_owned(),
            instance: None,
            start: Start::default(),
            tls: Tls::default(),
            sasl: None,
            message_bytes_max: MESSAGE_BYTES,
            check_crcs: true,
            more: Vec::new(),
        }
    }
}

impl fmt::Debug for KafkaSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, brokers, topics, group, instance, start, .. } = self;
        f.debug_struct("KafkaSettings")
            .field("source", source)
            .field("brokers", brokers)
            .field("topics", topics)
            .field("group", group)
            .field("instance", instance)
            .field("start", start)
            .finish_non_exhaustive()
    }
}

/// Topics as a source. A thread of its own polls and ends with it.
#[derive(Debug)]
pub struct KafkaSource {
    shared: Arc<Shared>,
    from: mpsc::Receiver<Envelope>,
    thread: std::thread::Thread,
    /// Ends when the thread has.
    ended: Receiver<()>,
}

impl KafkaSource {
    /// Joins the group, to go on from the store's checkpoint. Brokers need not be there: they are waited for.
    ///
    /// # Errors
    /// Settings that the client does not take: a file of TLS that can not be read, a topic's pattern that is none.
    pub fn open(settings: KafkaSettings, from: &Checkpoint, clock: Clock) -> Result<Self, SourceError> {
        let what = settings.topics.join(", ");
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| SourceError::Read { what: what.clone(), source };
        let places = Places::new(settings.source.clone(), settings.start, from);
        let shared = Arc::new(Shared::new(settings.source.clone(), places));
        let consumer = reader::join(&settings, &shared).map_err(|error| failed(Box::new(error)))?;
        let (to, envelopes) = mpsc::channel(AHEAD_MAX);
        let reader = Reader::new(Arc::new(settings), Arc::clone(&shared), clock, to);
        let (ending, ended) = sync_channel::<()>(1);
        let run = move || {
            reader.run(consumer);
            drop(ending);
        };
        let thread = std::thread::Builder::new().name("kafka".to_owned()).spawn(run).map_err(|error| failed(Box::new(error)))?;
        Ok(Self { shared, from: envelopes, thread: thread.thread().clone(), ended })
    }
}

#[async_trait]
impl Source for KafkaSource {
    fn id(&self) -> SourceId {
        self.shared.source.clone()
    }

    fn tells(&self) -> Arc<dyn Tells> {
        Arc::new(Teller(Arc::clone(&self.shared)))
    }

    async fn next(&mut self) -> Result<Option<Envelope>, SourceError> {
        Ok(self.from.recv().await)
    }

    async fn commit(&mut self, upto: &Checkpoint) -> Result<(), SourceError> {
        *self.shared.commit() = Some(upto.clone());
        Ok(())
    }
}

impl Drop for KafkaSource {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.thread.unpark();
        // It is told what is durable, and leaves. Who waits longer waits for brokers that are away.
        let _ = self.ended.recv_timeout(GOODBYE);
    }
}

/// Tells how the source is.
#[derive(Debug)]
struct Teller(Arc<Shared>);

impl Tells for Teller {
    fn condition(&self) -> Condition {
        let shared = &self.0;
        let places: Vec<_> = {
            let places = shared.places();
            places.assigned().iter().map(|place| (place.clone(), places.next(place))).collect()
        };
        let ends = shared.ends().clone();
        let behind: Vec<(i64, Option<i64>)> = places
            .iter()
            .filter_map(|(place, next)| {
                let ends = ends.get(place)?;
                Some(((ends.end? - next.or(ends.oldest)?).max(0), ends.taken_ms))
            })
            .collect();
        let amount = behind.iter().map(|(lag, _)| u64::try_from(*lag).unwrap_or_default()).sum();
        let lag = (!behind.is_empty()).then_some(Lag { amount, unit: LagUnit::Records, seconds: (amount == 0).then_some(0) });
        let counts = &shared.counts;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counts = BTreeMap::from([
            ("bytes", read(&counts.bytes)),
            ("errors", read(&counts.errors)),
            ("gaps", read(&counts.gaps)),
            ("lost", read(&counts.lost)),
            ("messages", read(&counts.messages)),
            ("partitions", places.len() as u64),
            ("pauses", read(&counts.pauses)),
            ("rebalances", read(&counts.rebalances)),
            ("skipped_batches", read(&counts.skipped_batches)),
        ]);
        let last_object = shared.last_topic().as_ref().map(ToString::to_string);
        Condition { problem: shared.troubles().shown(), lag, last_object, counts }
    }
}
