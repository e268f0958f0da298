//! A real broker that dies and stands still, a group whose other members come, go and die, and a service that is killed: every message once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};

use super::{audit, exactly, live, source, told_twice, until_told};
use crate::kafka_members::{Chance, Members};
use crate::service::{Service, setting};

/// Faults of the ordinary run; `BARTIZAN_FAULTS=200` is the full one.
const FAULTS: u64 = 12;
const PARTITIONS: i32 = 6;
/// As short as a broker allows: a member that died is given up after it.
const SESSION_MS: &str = "6000";

/// Writes audit events by number until it is told to stop; how many, once the broker has them all. None is written twice.
fn produce(brokers: String, stop: Arc<AtomicBool>) -> std::thread::JoinHandle<usize> {
    std::thread::spawn(move || {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers).set("enable.idempotence", "true").set("message.timeout.ms", "0").set("linger.ms", "20");
        let producer: ThreadedProducer<_> = config.create().unwrap();
        let mut n = 0;
        while !stop.load(Ordering::Relaxed) {
            let value = audit(n);
            let partition = i32::try_from(n).unwrap() % PARTITIONS;
            if producer.send(BaseRecord::<(), str>::to("audit").partition(partition).payload(&value)).is_ok() {
                n += 1;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        producer.flush(Duration::from_secs(120)).unwrap();
        n
    })
}

#[test]
fn live_kafka_faults_of_broker_group_and_service_lose_and_repeat_nothing() {
    live("faults", async |broker, client, dir| {
        let faults = setting("BARTIZAN_FAULTS").and_then(|faults| faults.parse().ok()).unwrap_or(FAULTS);
        broker.topic("audit", PARTITIONS).await;
        let (data, config) = (dir.join("data"), source("kafka", &broker.plain, "\"audit\"", "instance = \"one\""));
        let mut service = Some(Service::start(&data, &config));
        let stop = Arc::new(AtomicBool::new(false));
        let producer = produce(broker.plain.clone(), Arc::clone(&stop));
        let (mut chance, mut members) = (Chance(11), Members::new(broker.plain.clone(), "kafka", "audit", SESSION_MS));
        let mut counts = [0_u32; 6];
        for fault in 0..faults {
            let kind = chance.below(10);
            match kind {
                0 => {
                    broker.kill();
                    tokio::time::sleep(Duration::from_millis(chance.below(2_000))).await;
                    broker.again();
                    counts[0] += 1;
                }
                1..=3 => {
                    broker.signal("STOP");
                    tokio::time::sleep(Duration::from_millis(200 + chance.below(2_500))).await;
                    broker.signal("CONT");
                    counts[1] += 1;
                }
                4..=6 if members.len() < 3 => {
                    members.join();
                    counts[2] += 1;
                }
                4..=7 if members.len() > 0 => {
                    members.end_one();
                    counts[3] += 1;
                }
                8 => {
                    let service = service.as_ref().unwrap();
                    service.signal("STOP");
                    tokio::time::sleep(Duration::from_millis(200 + chance.below(8_000))).await;
                    service.signal("CONT");
                    counts[4] += 1;
                }
                _ => {
                    service.take().unwrap().kill();
                    counts[5] += 1;
                }
            }
            tokio::time::sleep(Duration::from_millis(200 + chance.below(1_300))).await;
            if service.is_none() {
                service = Some(Service::start(&data, &config));
            }
            if fault % 20 == 19 {
                eprintln!("{} faults", fault + 1);
            }
        }
        members.end_all();
        stop.store(true, Ordering::Relaxed);
        let written = tokio::task::spawn_blocking(move || producer.join().unwrap()).await.unwrap();
        let service = service.unwrap();
        exactly(client, &service, "cluster:kafka event.kind:k8s_audit", written).await;
        let told = until_told(client, &service, "kafka", |told| told["lag"]["amount"] == 0).await;
        assert_eq!((told_twice(&told), &told["upstream_lost"]), (0, &0.into()), "{told}");
        let [killed, still, joined, left, stood, died] = counts;
        eprintln!(
            "{faults} faults: broker killed {killed}, still {still}, members came {joined} and went or died {left}, service still {stood} and killed {died}; others took {}; {written} messages, lost 0, twice 0",
            members.taken.load(Ordering::Relaxed)
        );
        service.kill();
    });
}
