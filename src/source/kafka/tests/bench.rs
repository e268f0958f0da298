//! A modelled cluster, a producer, and a flow that remembers what came.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};

use super::*;
use crate::model::{Noticed, PartitionId};

pub(super) const TOPIC: &str = "topic";

/// How long a member of the group may be silent, in milliseconds.
pub(super) const SESSION_MS: &str = "2500";

/// A case is given up after so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a case.
pub(super) fn run<T>(case: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(case)
}

/// A modelled cluster with one topic.
pub(super) struct Bench {
    pub(super) mock: MockCluster<'static, DefaultProducerContext>,
    pub(super) brokers: Vec<String>,
    partitions: i32,
    producer: BaseProducer,
}

impl Bench {
    pub(super) fn new(brokers: i32, partitions: i32) -> Self {
        let mock = MockCluster::new(brokers).unwrap();
        mock.create_topic(TOPIC, partitions, brokers.min(2)).unwrap();
        let at = mock.bootstrap_servers();
        let producer = ClientConfig::new().set("bootstrap.servers", &at).set("message.max.bytes", "2000000").set("linger.ms", "1").create().unwrap();
        Self { mock, brokers: at.split(',').map(str::to_owned).collect(), partitions, producer }
    }

    pub(super) fn settings(&self) -> KafkaSettings {
        // The modelled group waits out a session, nearly, whenever members come or go.
        // A modelled group forgets members that wait to be let in, and never answers them: then the client gives that request up after this interval.
        let more = [("topic.metadata.refresh.interval.ms", "500"), ("statistics.interval.ms", "1000"), ("max.poll.interval.ms", "8000")];
        let more = [&more[..], &[("heartbeat.interval.ms", "300"), ("session.timeout.ms", SESSION_MS)]].concat();
        let more = more.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        KafkaSettings { more, ..KafkaSettings::new("s".into(), &self.brokers, &[TOPIC.to_owned()]) }
    }

    pub(super) fn source(&self, from: &Checkpoint) -> KafkaSource {
        KafkaSource::open(self.settings(), from, Clock::System).unwrap()
    }

    fn put(&self, topic: &str, partition: i32, value: Option<&[u8]>, headers: usize) {
        let all = (0..headers).fold(OwnedHeaders::new_with_capacity(headers), |all, n| all.insert(Header { key: "h", value: Some(&n.to_string()) }));
        let mut record = BaseRecord::<[u8], [u8]>::to(topic).partition(partition).key(b"k").headers(all);
        record.payload = value;
        self.producer.send(record).map_err(|(error, _)| error).unwrap();
    }

    /// One message to the first partition.
    pub(super) fn send(&self, value: Option<&[u8]>, headers: usize) {
        self.put(TOPIC, 0, value, headers);
        self.producer.flush(PATIENCE).unwrap();
    }

    pub(super) fn send_topic(&self, topic: &str, partition: i32, value: &[u8]) {
        self.put(topic, partition, Some(value), 0);
        self.producer.flush(PATIENCE).unwrap();
    }

    pub(super) fn send_to(&self, partition: i32, value: &[u8]) {
        self.send_topic(TOPIC, partition, value);
    }

    /// Messages by number, over all partitions.
    pub(super) fn produce(&self, numbers: std::ops::Range<i32>) {
        for n in numbers {
            self.put(TOPIC, n % self.partitions, Some(format!("message {n}").as_bytes()), 0);
        }
        self.producer.flush(PATIENCE).unwrap();
    }

    /// The oldest offset and the end of a partition.
    pub(super) async fn ends(&self, partition: i32) -> (i64, i64) {
        let brokers = self.brokers.join(",");
        let ask = move || {
            let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", &brokers).create().unwrap();
            // Errors that were asked of the cluster and nobody met yet are met here.
            (0..10).find_map(|_| consumer.fetch_watermarks(TOPIC, partition, PATIENCE).ok()).unwrap()
        };
        tokio::task::spawn_blocking(ask).await.unwrap()
    }

    pub(super) fn seen(&self) -> Seen {
        Seen::default()
    }
}

/// What a flow and its store have: everything below `durable` outlives a crash.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// By partition and offset.
    logs: BTreeMap<PartitionId, BTreeMap<u64, String>>,
    pub(super) reached: Checkpoint,
    pub(super) durable: Checkpoint,
    pub(super) rejects: Vec<&'static str>,
    pub(super) notices: Vec<(Noticed, String, u64)>,
    pub(super) clusters: Vec<String>,
    /// Offsets that came although they were there already.
    pub(super) twice: u64,
}

impl Seen {
    fn take(&mut self, envelope: Envelope) {
        let partition = envelope.origin.partition.clone();
        let log = self.logs.entry(partition.clone()).or_default();
        for (position, payload) in envelope.payloads {
            assert!(position < envelope.upto);
            let text = String::from_utf8(payload).unwrap().trim_end().to_owned();
            self.twice += u64::from(log.insert(position.0, text).is_some());
            self.clusters.push(envelope.origin.cluster.to_string());
        }
        self.rejects.extend(envelope.rejects.iter().map(|reject| reject.reason.name()));
        self.notices.extend(envelope.notices.into_iter().map(|notice| (notice.what, notice.detail, notice.lost)));
        self.reached.advance(&partition, envelope.upto);
        envelope.forgets.iter().for_each(|partition| self.reached.forget(partition));
    }

    /// Reads until it is right.
    pub(super) async fn read(&mut self, source: &mut KafkaSource, is_right: impl Fn(&Self) -> bool) {
        let until = tokio::time::Instant::now() + PATIENCE;
        while !is_right(self) {
            match tokio::time::timeout_at(until, source.next()).await {
                Ok(Ok(Some(envelope))) => self.take(envelope),
                Ok(end) => panic!("the source ended: {end:?}"),
                Err(_) => panic!("not right in time: {} messages, {:?}, {:?}", self.count(), self.reached, source.tells().condition()),
            }
        }
    }

    /// Reads for so long.
    pub(super) async fn read_for(&mut self, source: &mut KafkaSource, long: Duration) {
        let until = tokio::time::Instant::now() + long;
        while let Ok(next) = tokio::time::timeout_at(until, source.next()).await {
            self.take(next.unwrap().unwrap());
        }
    }

    /// What came becomes durable.
    pub(super) fn flush_alone(&mut self) {
        self.durable = self.reached.clone();
    }

    /// The same, and the source hears of it.
    pub(super) async fn flush(&mut self, source: &mut KafkaSource) {
        self.flush_alone();
        source.commit(&self.durable).await.unwrap();
    }

    /// What is not durable is gone.
    pub(super) fn crash(&mut self) {
        for (partition, log) in &mut self.logs {
            let durable = self.durable.get(partition).0;
            log.retain(|offset, _| *offset < durable);
        }
        self.reached = self.durable.clone();
    }

    pub(super) fn count(&self) -> usize {
        self.logs.values().map(BTreeMap::len).sum()
    }

    pub(super) fn reached_of(&self, partition: &str) -> u64 {
        self.reached.get(&PartitionId::from(partition)).0
    }

    /// All that came, in the order of partitions and offsets.
    pub(super) fn payloads(&self) -> Vec<&str> {
        self.logs.values().flat_map(BTreeMap::values).map(String::as_str).collect()
    }

    /// Every offset of every partition came, and once.
    pub(super) async fn check(&self, bench: &Bench) {
        for partition in 0..bench.partitions {
            let (_, end) = bench.ends(partition).await;
            let log = self.logs.get(&PartitionId::from(format!("kafka/s/{TOPIC}/{partition}").as_str()));
            let offsets: Vec<i64> = log.into_iter().flat_map(BTreeMap::keys).map(|offset| i64::try_from(*offset).unwrap()).collect();
            assert_eq!(offsets, (0..end).collect::<Vec<_>>(), "partition {partition}");
        }
        assert_eq!(self.twice, 0, "offsets that came twice");
    }
}
