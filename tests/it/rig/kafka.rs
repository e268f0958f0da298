//! A modelled Kafka cluster in the rig's own process, which is never faulted.

use std::time::Duration;

use async_trait::async_trait;
use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};

use super::events::Kind;
use super::feeds::{Ended, Feed};
use super::oracle::{Batch, Oracle};

const TOPIC: &str = "audit";
const PARTITIONS: i32 = 12;
/// Records of one run: the model keeps 5 MB a partition and forgets what is older, whether it was read or not.
const RECORDS_MAX: u64 = 30_000;
/// Until a message is taken.
const PATIENCE: Duration = Duration::from_secs(30);

/// The cluster.
pub(crate) struct Cluster {
    brokers: String,
    _mock: MockCluster<'static, DefaultProducerContext>,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        let mock = MockCluster::new(1).unwrap();
        mock.create_topic(TOPIC, PARTITIONS, 1).unwrap();
        Self { brokers: mock.bootstrap_servers(), _mock: mock }
    }

    /// The table of a source that reads it.
    pub(crate) fn config(&self) -> String {
        format!("[[source]]\nname = \"kafka\"\nkind = \"kafka\"\nbrokers = [\"{}\"]\ntopics = [\"{TOPIC}\"]\ninstance = \"rig\"\n", self.brokers)
    }

    pub(crate) fn feed(&self) -> Box<dyn Feed> {
        let producer = ClientConfig::new().set("bootstrap.servers", &self.brokers).set("linger.ms", "1").create().unwrap();
        Box::new(Messages { producer, sent: 0 })
    }
}

/// By messages. What the cluster has taken is there.
struct Messages {
    producer: ThreadedProducer<DefaultProducerContext>,
    sent: u64,
}

#[async_trait]
impl Feed for Messages {
    fn name(&self) -> &'static str {
        "messages"
    }

    fn kind(&self) -> Kind {
        Kind::Audit
    }

    fn size(&self) -> u64 {
        50
    }

    async fn offer(&mut self, oracle: &Oracle, batch: &Batch) -> Ended {
        if self.sent >= RECORDS_MAX {
            tokio::time::sleep(Duration::from_millis(200)).await;
            return Ended::Unsent;
        }
        oracle.sent(batch);
        for (n, line) in (0..PARTITIONS).cycle().zip(batch.lines(oracle.seed)) {
            let record = BaseRecord::<str, str>::to(TOPIC).partition(n).payload(&line);
            if self.producer.send(record).is_err() {
                return Ended::InDoubt;
            }
        }
        if tokio::task::block_in_place(|| self.producer.flush(PATIENCE)).is_err() {
            return Ended::InDoubt;
        }
        self.sent += batch.count;
        Ended::Acked
    }
}
