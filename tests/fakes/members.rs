//! Members of a Kafka group that are not ours: they take messages, drop them, and tell the group that they are done with them. And what drives faults.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

/// Numbers by chance, the same ones every time.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    /// From 0 up to, but without, `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// The members of one group that read one topic, the one that came first in front.
pub(crate) struct Members {
    brokers: String,
    group: &'static str,
    topic: &'static str,
    session_ms: &'static str,
    members: Vec<(Arc<AtomicBool>, std::thread::JoinHandle<()>)>,
    pub(crate) joined: u32,
    /// Messages that they took.
    pub(crate) taken: Arc<AtomicU32>,
}

impl Members {
    /// Nobody yet.
    pub(crate) fn new(brokers: String, group: &'static str, topic: &'static str, session_ms: &'static str) -> Self {
        Self { brokers, group, topic, session_ms, members: Vec::new(), joined: 0, taken: Arc::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn join(&mut self) {
        self.joined += 1;
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers).set("group.id", self.group).set("session.timeout.ms", self.session_ms);
        config.set("heartbeat.interval.ms", "300").set("auto.offset.reset", "earliest").set("auto.commit.interval.ms", "100");
        // A member with a name of its own does not leave when it ends: to the group it is one that died, until its session is over.
        if self.joined.is_multiple_of(2) {
            config.set("group.instance.id", format!("foreign-{}", self.joined));
        }
        let (stop, taken, topic) = (Arc::new(AtomicBool::new(false)), Arc::clone(&self.taken), self.topic);
        let stopped = Arc::clone(&stop);
        let live = move || {
            let consumer: BaseConsumer = config.create().unwrap();
            consumer.subscribe(&[topic]).unwrap();
            while !stopped.load(Ordering::Relaxed) {
                if let Some(Ok(_)) = consumer.poll(Duration::from_millis(50)) {
                    taken.fetch_add(1, Ordering::Relaxed);
                }
            }
        };
        self.members.push((stop, std::thread::spawn(live)));
    }

    /// The one that came first ends, if there is any.
    pub(crate) fn end_one(&mut self) {
        if !self.members.is_empty() {
            let (stop, thread) = self.members.remove(0);
            stop.store(true, Ordering::Relaxed);
            thread.join().unwrap();
        }
    }

    pub(crate) fn end_all(&mut self) {
        while self.len() > 0 {
            self.end_one();
        }
    }
}
