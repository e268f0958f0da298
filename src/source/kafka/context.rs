//! What the client calls back: partitions that come and go, errors, its log, its figures. All of it on the thread that polls.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};
use tokio::time::Instant;

use super::places::{Begin, Place, Places};
use super::trouble::{Trouble, Troubles};
use crate::model::{Checkpoint, SourceId};

/// What a source has done so far.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) messages: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) rebalances: AtomicU64,
    pub(super) errors: AtomicU64,
    pub(super) gaps: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) skipped_batches: AtomicU64,
    pub(super) pauses: AtomicU64,
}

impl Counts {
    pub(super) fn add(counter: &AtomicU64, by: u64) {
        counter.fetch_add(by, Ordering::Relaxed);
    }
}

/// What is known of the end of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Ends {
    /// The oldest offset.
    pub(super) oldest: Option<i64>,
    /// The one after the newest.
    pub(super) end: Option<i64>,
    /// When the last message that was taken came to be, in milliseconds.
    pub(super) taken_ms: Option<i64>,
}

/// What the polling thread, the source and its teller share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) source: SourceId,
    places: Mutex<Places>,
    troubles: Mutex<Troubles>,
    ends: Mutex<BTreeMap<Place, Ends>>,
    /// What the store holds, for the group to know.
    commit: Mutex<Option<Checkpoint>>,
    last_topic: Mutex<Option<Arc<str>>>,
    /// The last words of the client on an error.
    said: Mutex<String>,
    pub(super) stop: AtomicBool,
    /// Counts what the group gave or took.
    pub(super) turn: AtomicU64,
    pub(super) counts: Counts,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(source: SourceId, places: Places) -> Self {
        Self {
            source,
            places: Mutex::new(places),
            troubles: Mutex::default(),
            ends: Mutex::default(),
            commit: Mutex::default(),
            last_topic: Mutex::default(),
            said: Mutex::default(),
            stop: AtomicBool::new(false),
            turn: AtomicU64::new(0),
            counts: Counts::default(),
        }
    }

    pub(super) fn places(&self) -> MutexGuard<'_, Places> {
        lock(&self.places)
    }

    pub(super) fn troubles(&self) -> MutexGuard<'_, Troubles> {
        lock(&self.troubles)
    }

    pub(super) fn ends(&self) -> MutexGuard<'_, BTreeMap<Place, Ends>> {
        lock(&self.ends)
    }

    pub(super) fn commit(&self) -> MutexGuard<'_, Option<Checkpoint>> {
        lock(&self.commit)
    }

    pub(super) fn last_topic(&self) -> MutexGuard<'_, Option<Arc<str>>> {
        lock(&self.last_topic)
    }

    /// What the client said of the error that it gave last.
    pub(super) fn said(&self) -> String {
        lock(&self.said).clone()
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Something is wrong: told now, or known and told not long ago.
    pub(super) fn trouble(&self, trouble: Trouble, said: &str) {
        Counts::add(&self.counts.errors, 1);
        if let Some(text) = self.troubles().add(trouble, said, Instant::now()) {
            tracing::warn!(source = %self.source, error = text, "cannot read from kafka for the moment");
        }
    }
}

/// The list that begins each partition where it is to begin; those whose end must be asked for first are left out.
pub(super) fn list_of(begins: &[(Place, Begin)]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(begins.len());
    for (place, begin) in begins {
        let offset = match begin {
            Begin::At(offset) => Offset::Offset(*offset),
            Begin::Oldest => Offset::Beginning,
            Begin::Ask => continue,
        };
        if let Err(error) = list.add_partition_offset(&place.topic, place.number, offset) {
            tracing::warn!(%place, %error, "cannot assign partition");
        }
    }
    list
}

/// Answers the client's calls.
#[derive(Debug)]
pub(super) struct Context(pub(super) Arc<Shared>);

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        match Trouble::of(None, text) {
            Some(trouble) => self.0.trouble(trouble, text),
            None if (level as i32) <= RDKafkaLogLevel::Warning as i32 => tracing::debug!(source = %self.0.source, facility, text, "librdkafka"),
            None => tracing::trace!(source = %self.0.source, facility, text, "librdkafka"),
        }
    }

    fn stats(&self, figures: Statistics) {
        if figures.brokers.values().any(|broker| broker.state == "UP" && broker.nodeid >= 0) {
            self.0.troubles().end(Trouble::Unreachable);
        }
        let places = self.0.places().assigned().clone();
        let mut ends = self.0.ends();
        ends.retain(|place, _| places.contains(place));
        for place in places {
            let Some(known) = figures.topics.get(place.topic.as_ref()).and_then(|topic| topic.partitions.get(&place.number)) else { continue };
            let ends = ends.entry(place).or_default();
            let offset = |offset: i64| (offset >= 0).then_some(offset);
            ends.oldest = offset(known.lo_offset).or(ends.oldest);
            ends.end = offset(known.hi_offset).or(ends.end);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        reason.clone_into(&mut lock(&self.0.said));
        if let Some(trouble) = Trouble::of(error.rdkafka_error_code(), reason) {
            self.0.trouble(trouble, reason);
        }
    }
}

impl ConsumerContext for Context {
    /// Sets where reading begins before the client knows of the partitions: no seek could come too late.
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let shared = &self.0;
        let places: Vec<Place> = list.elements().iter().map(|element| Place::new(element.topic(), element.partition())).collect();
        let is_given = event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        let done = if is_given {
            let begins = shared.places().assign(places);
            tracing::info!(source = %shared.source, partitions = begins.len(), "partitions assigned");
            consumer.assign(&list_of(&begins))
        } else {
            tracing::info!(source = %shared.source, partitions = places.len(), is_lost = consumer.assignment_lost(), "partitions revoked");
            shared.places().revoke(places);
            consumer.unassign()
        };
        if is_given {
            shared.troubles().answered();
        }
        Counts::add(&shared.counts.rebalances, 1);
        shared.turn.fetch_add(1, Ordering::AcqRel);
        if let Err(error) = done {
            shared.trouble(Trouble::Other, &error.to_string());
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        let Err(error) = result else { return };
        match error.rdkafka_error_code() {
            // The group is about to share its partitions out anew: the next commit says it again.
            Some(
                RDKafkaErrorCode::NoOffset
                | RDKafkaErrorCode::RebalanceInProgress
                | RDKafkaErrorCode::IllegalGeneration
                | RDKafkaErrorCode::UnknownMemberId
                | RDKafkaErrorCode::AssignmentLost,
            ) => {}
            code => self.0.trouble(Trouble::of(code, "").unwrap_or(Trouble::Other), &error.to_string()),
        }
    }
}
