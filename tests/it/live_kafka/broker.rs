//! The broker under test, by the project's own script, and what is written to it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::audit;

/// How long the broker may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes before a batch's checksum ends, and the offset of its length: the format of version 2.
const BATCH_HEAD_BYTES: usize = 61;

/// A broker of the test's own. Ended when dropped.
pub(super) struct Broker {
    dir: PathBuf,
    pub(super) plain: String,
    pub(super) sasl: String,
    pub(super) user: String,
    pub(super) password: String,
    pub(super) ca: String,
}

fn script(arguments: &[&str]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/live/kafka");
    let output = Command::new(path).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

impl Broker {
    pub(super) fn start(dir: &Path) -> Self {
        let said = script(&["start", dir.to_str().unwrap()]);
        let lines: BTreeMap<&str, Vec<&str>> =
            said.lines().filter_map(|line| line.split_once(' ')).map(|(name, rest)| (name, rest.split(' ').collect())).collect();
        let word = |line: &str, at: usize| lines[line][at].to_owned();
        Self {
            dir: dir.to_owned(),
            plain: word("PLAINTEXT", 0),
            sasl: word("SASL_SSL", 0),
            user: word("SASL_SSL", 1),
            password: word("SASL_SSL", 2),
            ca: word("SASL_SSL", 3),
        }
    }

    fn call(&self, command: &str) {
        script(&[command, self.dir.to_str().unwrap()]);
    }

    pub(super) fn kill(&self) {
        self.call("kill");
    }

    pub(super) fn stop(&self) {
        self.call("stop");
    }

    /// Sends a signal to it.
    pub(super) fn signal(&self, name: &str) {
        let id = std::fs::read_to_string(self.dir.join("pid")).unwrap();
        assert!(Command::new("kill").args([&format!("-{name}"), id.trim()]).status().unwrap().success());
    }

    pub(super) fn again(&self) {
        self.call("start");
    }

    fn config(&self, more: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.plain).set("message.max.bytes", "150000000");
        config.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        config
    }

    fn admin(&self) -> (AdminClient<DefaultClientContext>, AdminOptions) {
        (self.config(&[]).create().unwrap(), AdminOptions::new().operation_timeout(Some(PATIENCE)))
    }

    pub(super) async fn topic(&self, name: &str, partitions: i32) {
        let (admin, options) = self.admin();
        // A name that was deleted is free again a little later.
        for _ in 0..50 {
            let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1)).set("max.message.bytes", "150000000");
            if admin.create_topics(&[topic], &options).await.unwrap().remove(0).is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("cannot make topic {name}");
    }

    pub(super) async fn delete_topic(&self, name: &str) {
        let (admin, options) = self.admin();
        admin.delete_topics(&[name], &options).await.unwrap().remove(0).unwrap();
    }

    pub(super) async fn partitions(&self, name: &str, count: usize) {
        let (admin, options) = self.admin();
        admin.create_partitions(&[NewPartitions::new(name, count)], &options).await.unwrap().remove(0).unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
    }

    /// Deletes everything below an offset, in each partition.
    pub(super) async fn delete_records(&self, name: &str, partitions: i32, below: i64) {
        let (admin, options) = self.admin();
        let mut list = TopicPartitionList::new();
        (0..partitions).for_each(|partition| list.add_partition_offset(name, partition, Offset::Offset(below)).unwrap());
        let done = admin.delete_records(&list, &options).await.unwrap();
        assert!(done.elements().iter().all(|element| element.error().is_ok()), "{done:?}");
    }

    fn write(&self, producer: &BaseProducer, topic: &str, numbers: Range<usize>, partition: impl Fn(usize) -> i32) {
        for n in numbers {
            let value = audit(n);
            while producer.send(BaseRecord::<(), str>::to(topic).partition(partition(n)).payload(&value)).is_err() {
                producer.poll(Duration::from_millis(50));
            }
        }
        producer.flush(PATIENCE).unwrap();
    }

    /// Audit events by number, over the partitions in turn.
    pub(super) fn produce(&self, topic: &str, numbers: Range<usize>, more: &[(&str, &str)]) {
        let producer: BaseProducer = self.config(more).create().unwrap();
        let partitions = producer.client().fetch_metadata(Some(topic), PATIENCE).unwrap().topics()[0].partitions().len();
        self.write(&producer, topic, numbers, |n| i32::try_from(n % partitions).unwrap());
    }

    pub(super) fn produce_to(&self, topic: &str, partition: i32, numbers: Range<usize>, more: &[(&str, &str)]) {
        let producer: BaseProducer = self.config(more).create().unwrap();
        producer.client().fetch_metadata(Some(topic), PATIENCE).unwrap();
        self.write(&producer, topic, numbers, |_| partition);
    }

    /// One message as it is.
    pub(super) fn send(&self, topic: &str, partition: i32, value: &str) {
        let producer: BaseProducer = self.config(&[]).create().unwrap();
        producer.send(BaseRecord::<(), str>::to(topic).partition(partition).payload(value)).map_err(|(error, _)| error).unwrap();
        producer.flush(PATIENCE).unwrap();
    }

    /// Audit events in one transaction, kept or taken back.
    pub(super) fn transaction(&self, topic: &str, numbers: Range<usize>, is_kept: bool) {
        let id = format!("live-{}", numbers.start);
        let producer: BaseProducer = self.config(&[("transactional.id", &id)]).create().unwrap();
        producer.init_transactions(PATIENCE).unwrap();
        producer.begin_transaction().unwrap();
        self.write(&producer, topic, numbers, |n| i32::try_from(n % 3).unwrap());
        if is_kept { producer.commit_transaction(PATIENCE) } else { producer.abort_transaction(PATIENCE) }.unwrap();
    }

    /// What a group has committed, over all partitions of a topic.
    pub(super) fn committed(&self, group: &str, topic: &str, partitions: i32) -> i64 {
        let consumer: BaseConsumer = self.config(&[("group.id", group)]).create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_range(topic, 0, partitions - 1);
        let committed = consumer.committed_offsets(list, PATIENCE).unwrap();
        committed.elements().iter().filter_map(|element| if let Offset::Offset(offset) = element.offset() { Some(offset) } else { None }).sum()
    }

    /// Flips bits in the body of a batch, by its number in the log of a partition. The broker must be stopped.
    pub(super) fn damage(&self, topic: &str, partition: i32, batch: usize) {
        let path = self.dir.join(format!("data/{topic}-{partition}/00000000000000000000.log"));
        let mut log = std::fs::read(&path).unwrap();
        let mut at = 0;
        for _ in 0..batch {
            // Base offset, then the length of what follows it.
            at += 12 + u32::from_be_bytes(log[at + 8..at + 12].try_into().unwrap()) as usize;
        }
        log[at + BATCH_HEAD_BYTES + 40] ^= 0x55;
        std::fs::write(&path, log).unwrap();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/live/kafka");
        let _ = Command::new(path).args(["stop", self.dir.to_str().unwrap()]).output();
    }
}
