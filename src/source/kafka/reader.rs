//! The thread that polls: takes messages, hands envelopes over, and stays in the group while the flow is busy.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::KafkaSettings;
use super::client;
use super::context::{Context, Counts, Shared};
use super::doubts::Doubts;
use super::gather::{Gather, Taken};
use super::places::Place;
use super::trouble::Trouble;
use crate::clock::Clock;
use crate::model::{ClusterId, Envelope, Origin};

/// How long a poll waits for a message.
const POLL: Duration = Duration::from_millis(100);

/// How often to look for room while the flow takes nothing.
const ROOM_EVERY: Duration = Duration::from_millis(10);

/// The flow takes nothing for so long: partitions are paused, and polling goes on.
const PAUSE_AFTER: Duration = Duration::from_secs(5);

/// How often what needs no message is looked after.
const TICK: Duration = Duration::from_secs(1);

/// So long after partitions were assigned the client's own positions are those of this assignment.
const SETTLED_AFTER: Duration = Duration::from_secs(3);

/// After an error that ends the client, a new one is made so much later.
const ANEW_AFTER: Duration = Duration::from_secs(10);

/// Why reading with one client ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Stopped,
    Fatal,
}

/// Makes the client that is a member of the group.
pub(super) fn join(settings: &KafkaSettings, shared: &Arc<Shared>) -> KafkaResult<BaseConsumer<Context>> {
    let consumer: BaseConsumer<Context> = client::member(settings).create_with_context(Context(Arc::clone(shared)))?;
    let topics: Vec<&str> = settings.topics.iter().map(String::as_str).collect();
    consumer.subscribe(&topics)?;
    Ok(consumer)
}

/// Reads for one source.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) settings: Arc<KafkaSettings>,
    pub(super) shared: Arc<Shared>,
    pub(super) clock: Clock,
    pub(super) to: mpsc::Sender<Envelope>,
    pub(super) gather: Gather,
    pub(super) doubts: Doubts,
    /// The partition of the last message, and when that came to be.
    at: Option<(Place, Option<i64>)>,
    /// What the group knows.
    committed: BTreeMap<Place, i64>,
    /// The turn of the group that was last looked after.
    turn: u64,
    assigned: Instant,
    ticked: Instant,
    full_since: Option<Instant>,
    is_paused: bool,
    /// What the client holds as paused. It stays so for a partition that goes to another member meanwhile and comes back.
    paused: BTreeSet<Place>,
    /// The group has shared out what there is by now.
    is_shared: bool,
}

impl Reader {
    pub(super) fn new(settings: Arc<KafkaSettings>, shared: Arc<Shared>, clock: Clock, to: mpsc::Sender<Envelope>) -> Self {
        let now = Instant::now();
        Self {
            settings,
            shared,
            clock,
            to,
            gather: Gather::default(),
            doubts: Doubts::default(),
            at: None,
            committed: BTreeMap::new(),
            turn: 0,
            assigned: now,
            ticked: now,
            full_since: None,
            is_paused: false,
            paused: BTreeSet::new(),
            is_shared: false,
        }
    }

    /// Reads until it is stopped. A client that is beyond help is replaced.
    pub(super) fn run(mut self, consumer: BaseConsumer<Context>) {
        let mut current = Some(consumer);
        loop {
            if let Some(consumer) = current.take() {
                let end = self.read(&consumer);
                self.commit(&consumer);
                drop(consumer);
                self.paused.clear();
                if end == End::Stopped {
                    return;
                }
                self.is_shared = false;
            }
            let given = self.shared.places().assigned().clone();
            self.shared.places().revoke(given);
            let again = Instant::now() + ANEW_AFTER;
            while Instant::now() < again {
                if self.is_over() {
                    return;
                }
                self.hand_over();
                std::thread::park_timeout(POLL);
            }
            match join(&self.settings, &self.shared) {
                Ok(consumer) => current = Some(consumer),
                Err(error) => self.shared.trouble(Trouble::Other, &error.to_string()),
            }
        }
    }

    fn is_over(&self) -> bool {
        self.shared.is_stopped() || self.to.is_closed()
    }

    fn read(&mut self, consumer: &BaseConsumer<Context>) -> End {
        let mut wait = Duration::ZERO;
        while !self.is_over() {
            self.hand_over();
            if self.is_full(consumer) {
                std::thread::park_timeout(ROOM_EVERY);
                continue;
            }
            if self.ticked.elapsed() >= TICK {
                self.tick(consumer);
            }
            match consumer.poll(wait) {
                Some(Ok(message)) => {
                    self.take(&message);
                    wait = Duration::ZERO;
                }
                Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                    self.shared.trouble(Trouble::of(Some(code), "").unwrap_or(Trouble::Other), &self.shared.said());
                    return End::Fatal;
                }
                Some(Err(error)) => {
                    let said = self.shared.said();
                    tracing::debug!(source = %self.shared.source, %error, said, "the client reports an error");
                    let stands = self.shared.places().stands();
                    self.doubts.hear(error.rdkafka_error_code(), &said, &stands);
                }
                None => {
                    // Nothing waits: what there is goes, and then there is time.
                    self.gather.close_all();
                    self.hand_over();
                    wait = POLL;
                }
            }
        }
        End::Stopped
    }

    /// Hands over what is ready, as far as there is room.
    fn hand_over(&mut self) {
        while let Some(envelope) = self.gather.next() {
            match self.to.try_send(envelope) {
                Ok(()) => self.full_since = None,
                Err(mpsc::error::TrySendError::Full(envelope)) => {
                    self.gather.put_back(envelope);
                    self.full_since.get_or_insert_with(Instant::now);
                    return;
                }
                Err(mpsc::error::TrySendError::Closed(_)) => return,
            }
        }
    }

    /// Whether nothing more may be taken for the moment. Where that lasts, the client stops asking for more, and polling goes on.
    fn is_full(&mut self, consumer: &BaseConsumer<Context>) -> bool {
        if !self.gather.is_waiting() {
            if std::mem::take(&mut self.is_paused) {
                self.pause(consumer, false);
            }
            return false;
        }
        let is_long = self.full_since.is_some_and(|since| since.elapsed() >= PAUSE_AFTER);
        if is_long && !std::mem::replace(&mut self.is_paused, true) {
            self.pause(consumer, true);
            Counts::add(&self.shared.counts.pauses, 1);
        }
        // Paused, it polls: nothing comes but what the group has to say.
        !self.is_paused
    }

    /// Pauses what is ours now, or lets go on what of it is paused.
    fn pause(&mut self, consumer: &BaseConsumer<Context>, is_pause: bool) {
        let assigned = self.shared.places().assigned().clone();
        let mut list = TopicPartitionList::new();
        for place in assigned.iter().filter(|place| is_pause || self.paused.contains(*place)) {
            list.add_partition(&place.topic, place.number);
        }
        if list.count() == 0 {
            return;
        }
        let done = if is_pause { consumer.pause(&list) } else { consumer.resume(&list) };
        match done {
            Ok(()) if is_pause => self.paused.extend(assigned),
            Ok(()) => self.paused.retain(|place| !assigned.contains(place)),
            Err(error) => tracing::debug!(source = %self.shared.source, %error, is_pause, "cannot pause or resume"),
        }
    }

    /// One message.
    fn take(&mut self, message: &BorrowedMessage<'_>) {
        let same = self.at.take().filter(|(place, _)| place.number == message.partition() && place.topic.as_ref() == message.topic());
        let place = same.map_or_else(|| Place::new(message.topic(), message.partition()), |(place, _)| place);
        if self.shared.last_topic().as_ref().is_none_or(|topic| *topic != place.topic) {
            *self.shared.last_topic() = Some(Arc::clone(&place.topic));
        }
        let offset = message.offset();
        let next = self.shared.places().next(&place);
        if next.is_none_or(|next| offset >= next) {
            if let Some(next) = next.filter(|next| *next < offset) {
                self.jumped(&place, next, offset);
            }
            let payload = message.payload();
            self.shared.places().reach(&place, offset + 1);
            Counts::add(&self.shared.counts.messages, 1);
            Counts::add(&self.shared.counts.bytes, payload.map_or(0, |payload| payload.len() as u64));
            let Self { gather, settings, clock, shared, .. } = self;
            gather.take(&place, &Taken { offset, payload }, settings.message_bytes_max, || origin(settings, shared, clock, &place));
        }
        self.at = Some((place, message.timestamp().to_millis()));
    }

    pub(super) fn origin(&self, place: &Place) -> Arc<Origin> {
        origin(&self.settings, &self.shared, &self.clock, place)
    }

    /// What needs no message.
    fn tick(&mut self, consumer: &BaseConsumer<Context>) {
        self.ticked = Instant::now();
        let turn = self.shared.turn.load(Ordering::Acquire);
        if turn != self.turn {
            // A member that the group knows by name is given what it had before, without what has come to be since. Who joins anew has it shared out.
            if self.settings.instance.is_some() && !std::mem::replace(&mut self.is_shared, true) {
                consumer.unsubscribe();
                let topics: Vec<&str> = self.settings.topics.iter().map(String::as_str).collect();
                if let Err(error) = consumer.subscribe(&topics) {
                    self.shared.trouble(Trouble::Other, &error.to_string());
                }
            }
            self.turn = turn;
            self.assigned = Instant::now();
            self.committed.clear();
            self.pause(consumer, self.is_paused);
        }
        if let Some((place, taken)) = &self.at {
            self.shared.ends().entry(place.clone()).or_default().taken_ms = *taken;
            self.shared.troubles().answered();
        }
        self.commit(consumer);
        if self.assigned.elapsed() >= SETTLED_AFTER {
            self.reach_tails(consumer);
        }
        if self.settle(consumer) {
            self.assigned = Instant::now();
        }
    }

    /// What ends a log without being a message (marks of transactions, what was aborted) is passed over.
    fn reach_tails(&mut self, consumer: &BaseConsumer<Context>) {
        let Ok(positions) = consumer.position() else { return };
        for element in positions.elements() {
            let (place, Offset::Offset(position)) = (Place::new(element.topic(), element.partition()), element.offset()) else { continue };
            let is_past = self.shared.places().next(&place).is_some_and(|next| position > next);
            if is_past {
                let origin = self.origin(&place);
                self.shared.places().reach(&place, position);
                self.gather.say(&place, origin, position, Vec::new());
            }
        }
    }

    /// Tells the group what is durable: for tools that show its lag. Nothing here ever reads it.
    fn commit(&mut self, consumer: &BaseConsumer<Context>) {
        let Some(checkpoint) = self.shared.commit().take() else { return };
        let mut list = TopicPartitionList::new();
        for (place, next) in self.shared.places().committable(&checkpoint) {
            if self.committed.insert(place.clone(), next) != Some(next) && next > 0 {
                drop(list.add_partition_offset(&place.topic, place.number, Offset::Offset(next)));
            }
        }
        if list.count() > 0
            && let Err(error) = consumer.commit(&list, CommitMode::Async)
        {
            tracing::debug!(source = %self.shared.source, %error, "cannot commit to the group");
        }
    }
}

/// Where messages of a partition come from.
fn origin(settings: &KafkaSettings, shared: &Shared, clock: &Clock, place: &Place) -> Arc<Origin> {
    let named = settings.cluster_pattern.as_ref().and_then(|pattern| pattern.captures(&place.topic)?.get(1)?.as_str().parse::<ClusterId>().ok());
    Arc::new(Origin {
        tenant: settings.tenant.clone(),
        cluster: named.unwrap_or_else(|| settings.cluster.clone()),
        source: settings.source.clone(),
        partition: shared.places().id(place),
        object: Arc::clone(&place.topic),
        received: clock.now(),
    })
}
