//! Faults in a row, drawn by chance but the same ones every time: whatever the cluster and the group do, every offset comes out once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::mocking::MockCoordinator;
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use rdkafka::types::{RDKafkaApiKey as Api, RDKafkaRespErr as Error};

use super::bench::{Bench, SESSION_MS, TOPIC, run};
use super::members::{Chance, Members};
use super::*;

/// Faults of the ordinary run; `BARTIZAN_FAULTS=200` is the full one.
const FAULTS: u32 = 10;
/// Faults of one modelled cluster: after many more than that it trips over itself.
const FAULTS_OF_A_CLUSTER: u32 = 25;
const BROKERS: i32 = 3;
const PARTITIONS: i32 = 6;

/// The brokers' answers that may go wrong, and how.
const ERRORS: &[(Api, Error)] = &[
    (Api::Fetch, Error::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION),
    (Api::Fetch, Error::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT),
    (Api::Fetch, Error::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART),
    (Api::Fetch, Error::RD_KAFKA_RESP_ERR__TRANSPORT),
    (Api::ListOffsets, Error::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE),
    (Api::Metadata, Error::RD_KAFKA_RESP_ERR__TRANSPORT),
    (Api::FindCoordinator, Error::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE),
    (Api::JoinGroup, Error::RD_KAFKA_RESP_ERR_NOT_COORDINATOR),
    (Api::SyncGroup, Error::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS),
    (Api::Heartbeat, Error::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID),
    (Api::Heartbeat, Error::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION),
    (Api::Heartbeat, Error::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS),
    (Api::OffsetCommit, Error::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION),
    (Api::OffsetCommit, Error::RD_KAFKA_RESP_ERR__TRANSPORT),
];

/// Writes numbered messages until it is told to stop, and waits until the brokers have them all.
fn produce(brokers: String, stop: Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let producer: ThreadedProducer<_> =
            ClientConfig::new().set("bootstrap.servers", brokers).set("linger.ms", "20").set("message.timeout.ms", "0").create().unwrap();
        let mut n = 0;
        while !stop.load(Ordering::Relaxed) {
            let value = format!("message {n}");
            let _ = producer.send(BaseRecord::<(), str>::to(TOPIC).partition(n % PARTITIONS).payload(&value));
            n += 1;
            std::thread::sleep(Duration::from_millis(5));
        }
        producer.flush(Duration::from_secs(60)).unwrap();
    })
}

/// One fault. What has to be undone is undone by the next call of `heal`.
fn strike(bench: &Bench, chance: &mut Chance, foreign: &mut Members) -> String {
    let broker = 1 + chance.below(BROKERS as u64) as i32;
    match chance.below(9) {
        0 => {
            bench.mock.broker_down(broker).unwrap();
            format!("broker {broker} down")
        }
        1 => {
            bench.mock.broker_down(-1).unwrap();
            "all brokers down".to_owned()
        }
        2 => {
            bench.mock.broker_round_trip_time(broker, Duration::from_secs(2)).unwrap();
            format!("broker {broker} takes 2 s for an answer")
        }
        3 => {
            let partition = chance.below(PARTITIONS as u64) as i32;
            bench.mock.partition_leader(TOPIC, partition, Some(broker)).unwrap();
            format!("partition {partition} moves to broker {broker}")
        }
        4 => {
            bench.mock.coordinator(MockCoordinator::Group("bartizan".to_owned()), broker).unwrap();
            format!("the group moves to broker {broker}")
        }
        5 if foreign.len() < 3 => {
            foreign.join();
            "a foreign member joins".to_owned()
        }
        5 | 6 => {
            foreign.end_one();
            "a foreign member ends".to_owned()
        }
        _ => {
            let (api, error) = ERRORS[chance.below(ERRORS.len() as u64) as usize];
            let times = 1 + chance.below(4) as usize;
            bench.mock.request_errors(api, &vec![error; times]);
            format!("{api:?} fails {times} times: {error:?}")
        }
    }
}

fn heal(bench: &Bench) {
    bench.mock.broker_up(-1).unwrap();
    bench.mock.broker_round_trip_time(-1, Duration::ZERO).unwrap();
}

/// The group's other members: none yet.
fn members(bench: &Bench) -> Members {
    Members::new(bench.brokers.join(","), "bartizan", TOPIC, SESSION_MS)
}

/// What came of the faults.
#[derive(Debug, Default)]
struct Sum {
    crashes: u64,
    rebalances: u64,
    joined: u32,
    taken: u32,
    messages: i64,
}

/// So many faults on a cluster of its own, and then every message has come once.
async fn through(faults: std::ops::Range<u32>) -> Sum {
    let (mut chance, mut sum) = (Chance(7 + u64::from(faults.start)), Sum::default());
    let bench = Bench::new(BROKERS, PARTITIONS);
    let stop = Arc::new(AtomicBool::new(false));
    let producer = produce(bench.brokers.join(","), Arc::clone(&stop));
    let mut foreign = members(&bench);
    let mut seen = bench.seen();
    let mut source = bench.source(&seen.durable);
    for fault in faults {
        let what = strike(&bench, &mut chance, &mut foreign);
        seen.read_for(&mut source, Duration::from_millis(500 + chance.below(1_500))).await;
        heal(&bench);
        eprintln!("fault {fault}: {what}; {} messages so far", seen.count());
        if chance.below(2) == 0 {
            seen.flush(&mut source).await;
        }
        // The process dies, and another one goes on from what was durable.
        if chance.below(10) == 0 {
            sum.rebalances += source.tells().condition().counts["rebalances"];
            drop(source);
            seen.crash();
            sum.crashes += 1;
            source = bench.source(&seen.durable);
        }
    }
    heal(&bench);
    foreign.end_all();
    stop.store(true, Ordering::Relaxed);
    tokio::task::spawn_blocking(move || producer.join().unwrap()).await.unwrap();
    let mut total = 0;
    for partition in 0..PARTITIONS {
        total += bench.ends(partition).await.1;
    }
    seen.read(&mut source, |seen| seen.count() as i64 >= total).await;
    seen.read_for(&mut source, Duration::from_secs(2)).await;
    seen.check(&bench).await;
    assert_eq!(seen.notices, []);
    sum.rebalances += source.tells().condition().counts["rebalances"];
    sum.joined += foreign.joined;
    sum.taken += foreign.taken.load(Ordering::Relaxed);
    sum.messages += total;
    sum
}

/// A partition that was paused when it went to another member is read on once it has come back, though it was not ours when the pause ended.
#[test]
fn a_pause_does_not_outlive_a_turn_of_the_group() {
    run(async {
        let bench = Bench::new(1, 4);
        let mut seen = bench.seen();
        let mut source = bench.source(&seen.durable);
        // More than is read ahead, in pieces: the flow stands still, and everything is paused.
        for partition in (0..4).cycle().take(40) {
            bench.send_to(partition, &vec![b'x'; 300_000]);
        }
        seen.read(&mut source, |seen| seen.count() >= 1).await;
        let until = tokio::time::Instant::now() + Duration::from_secs(30);
        while source.tells().condition().counts["pauses"] == 0 {
            assert!(tokio::time::Instant::now() < until, "it does not pause");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let mut foreign = members(&bench);
        foreign.join();
        while source.tells().condition().counts["partitions"] != 2 {
            assert!(tokio::time::Instant::now() < until, "the other member gets nothing");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // The pause ends while half of the partitions are not ours.
        seen.read_for(&mut source, Duration::from_secs(4)).await;
        foreign.end_one();
        seen.read(&mut source, |seen| seen.count() == 40).await;
        seen.check(&bench).await;
    });
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test's size is no setting of the program")]
fn faults_and_rebalances_lose_and_repeat_nothing() {
    let number = |name: &str, ordinary| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(ordinary);
    // A run that failed is repeated by the number of its first fault, as it stands in the output.
    let (first, faults) = (number("BARTIZAN_FAULTS_FROM", 0), number("BARTIZAN_FAULTS", FAULTS));
    let clusters = (first..first + faults).step_by(FAULTS_OF_A_CLUSTER as usize).map(|at| at..(first + faults).min(at + FAULTS_OF_A_CLUSTER));
    // They mostly wait, so they do it at once.
    let threads: Vec<_> = clusters.map(|faults| std::thread::spawn(move || run(through(faults)))).collect();
    let ends: Vec<_> = threads.into_iter().map(std::thread::JoinHandle::join).collect();
    let failed = ends.iter().filter(|end| end.is_err()).count();
    assert_eq!(failed, 0, "clusters on which something was lost, came twice or stood still");
    let total = |of: fn(&Sum) -> u64| ends.iter().flatten().map(of).sum::<u64>();
    let (crashes, rebalances, joined) = (total(|sum| sum.crashes), total(|sum| sum.rebalances), total(|sum| sum.joined.into()));
    let (taken, messages) = (total(|sum| sum.taken.into()), total(|sum| sum.messages.unsigned_abs()));
    eprintln!(
        "{faults} faults, {crashes} crashes, {rebalances} rebalances, {joined} foreign members that took {taken} messages: {messages} messages, each once"
    );
}
