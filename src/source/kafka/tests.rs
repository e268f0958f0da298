//! Against the client's own model of a cluster: each case says what the log holds and what comes out of the source.

mod bench;
mod faults;
#[path = "../../../tests/fakes/members.rs"]
mod members;

use std::time::Duration;

use self::bench::{Bench, TOPIC, run};
use super::*;
use crate::model::{Noticed, PartitionId, Position};

#[test]
fn a_log_is_read_once_over_restarts_that_lose_what_was_not_durable() {
    run(async {
        let bench = Bench::new(1, 3);
        bench.produce(0..500);
        let mut seen = bench.seen();
        for durable in [100, 300] {
            let mut source = bench.source(&seen.durable);
            seen.read(&mut source, |seen| seen.count() >= durable).await;
            seen.flush(&mut source).await;
            seen.read(&mut source, |seen| seen.count() >= durable + 100).await;
            drop(source);
            seen.crash();
        }
        bench.produce(500..600);
        let mut source = bench.source(&seen.durable);
        seen.read(&mut source, |seen| seen.count() >= 600).await;
        seen.check(&bench).await;
        assert_eq!(seen.notices, []);
        let condition = source.tells().condition();
        assert_eq!((condition.problem, condition.counts["partitions"], condition.last_object.as_deref()), (None, 3, Some(TOPIC)));
    });
}

#[test]
fn messages_without_a_value_and_too_long_ones_are_counted_rejects() {
    run(async {
        let bench = Bench::new(1, 1);
        let large = vec![b'x'; 2_000];
        for (value, headers) in [(Some(&b"one"[..]), 0), (None, 0), (Some(&b""[..]), 3), (Some(large.as_slice()), 0), (Some(&b"two"[..]), 10_000)] {
            bench.send(value, headers);
        }
        let mut seen = bench.seen();
        let mut source = KafkaSource::open(KafkaSettings { message_bytes_max: 1_000, ..bench.settings() }, &seen.durable, Clock::System).unwrap();
        seen.read(&mut source, |seen| seen.reached_of("kafka/s/topic/0") >= 5).await;
        assert_eq!(seen.payloads(), ["one", "two"]);
        assert_eq!(seen.rejects, ["control", "control", "too_long"]);
    });
}

#[test]
fn who_begins_at_the_end_begins_there_once() {
    run(async {
        let bench = Bench::new(1, 2);
        bench.send_to(0, b"old");
        let settings = || KafkaSettings { start: Start::Latest, ..bench.settings() };
        let mut seen = bench.seen();
        let mut source = KafkaSource::open(settings(), &seen.durable, Clock::System).unwrap();
        seen.read(&mut source, |seen| seen.reached.0.len() == 2).await;
        drop(source);
        seen.flush_alone();
        assert_eq!(seen.durable, Checkpoint([("kafka/s/topic/0".into(), Position(1)), ("kafka/s/topic/1".into(), Position(0))].into()));
        // What comes while nobody reads is not skipped, in the partition that was empty as little as in the other.
        bench.send_to(0, b"new 0");
        bench.send_to(1, b"new 1");
        let mut source = KafkaSource::open(settings(), &seen.durable, Clock::System).unwrap();
        seen.read(&mut source, |seen| seen.count() == 2).await;
        assert_eq!(seen.payloads(), ["new 0", "new 1"]);
    });
}

#[test]
fn a_log_that_was_cut_before_it_was_read_is_a_gap_with_its_number() {
    run(async {
        let bench = Bench::new(1, 1);
        // The model keeps 5 MiB of a partition.
        for _ in 0..20 {
            bench.send_to(0, &vec![b'x'; 400_000]);
        }
        let (oldest, end) = bench.ends(0).await;
        assert!(oldest > 3 && end == 20, "{oldest} to {end}");
        let mut seen = bench.seen();
        seen.durable = Checkpoint([(PartitionId::from("kafka/s/topic/0"), Position(3))].into());
        let mut source = bench.source(&seen.durable);
        seen.read(&mut source, |seen| seen.reached_of("kafka/s/topic/0") == 20).await;
        let lost = u64::try_from(oldest - 3).unwrap();
        let detail = format!("topic/0: the log was cut before it was read: offsets 3 to {} are lost", oldest - 1);
        assert_eq!(seen.notices, [(Noticed::Gap, detail, lost)]);
        assert_eq!(seen.count() as u64, 20 - u64::try_from(oldest).unwrap());
        assert_eq!(source.tells().condition().counts["lost"], lost);
    });
}

#[test]
fn a_log_that_ends_before_our_position_is_another_one_and_is_read_whole() {
    run(async {
        let bench = Bench::new(1, 2);
        bench.produce(0..40);
        let mut seen = bench.seen();
        seen.durable = Checkpoint([("kafka/s/topic/0".into(), Position(1_000)), ("kafka/s/topic/1".into(), Position(0))].into());
        let mut source = bench.source(&seen.durable);
        seen.read(&mut source, |seen| seen.count() == 40).await;
        let [(Noticed::Recreated, detail, 0)] = seen.notices.as_slice() else { panic!("{:?}", seen.notices) };
        assert!(detail.contains("before 1000"), "{detail}");
        assert!(seen.reached_of("kafka/s/topic/0~1") > 0);
        seen.flush_alone();
        assert!(!seen.durable.0.contains_key(&PartitionId::from("kafka/s/topic/0")), "the old life is forgotten");
        drop(source);
        bench.produce(40..50);
        let mut source = bench.source(&seen.durable);
        seen.read(&mut source, |seen| seen.count() == 50).await;
        assert_eq!(seen.notices.len(), 1, "found out once");
    });
}

#[test]
fn it_starts_without_brokers_and_reads_once_they_are_there() {
    run(async {
        let bench = Bench::new(2, 2);
        bench.produce(0..50);
        bench.mock.broker_down(-1).unwrap();
        let mut seen = bench.seen();
        let mut source = bench.source(&seen.durable);
        tokio::time::sleep(Duration::from_secs(3)).await;
        let problem = source.tells().condition().problem.unwrap();
        assert!(problem.starts_with("no broker can be reached"), "{problem}");
        bench.mock.broker_up(-1).unwrap();
        seen.read(&mut source, |seen| seen.count() == 50).await;
        seen.check(&bench).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(source.tells().condition().problem, None);
    });
}

#[test]
fn topics_that_are_not_there_are_said_and_patterns_find_new_ones() {
    run(async {
        let bench = Bench::new(1, 1);
        let mut settings = KafkaSettings { topics: vec!["^audit-.*".to_owned()], ..bench.settings() };
        settings.cluster_pattern = Some(regex::Regex::new("^audit-(.+)").unwrap());
        let mut seen = bench.seen();
        let mut source = KafkaSource::open(settings, &seen.durable, Clock::System).unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        bench.mock.create_topic("audit-prod", 2, 1).unwrap();
        bench.send_topic("audit-prod", 1, b"found");
        seen.read(&mut source, |seen| seen.count() == 1).await;
        assert_eq!(seen.clusters, ["prod"]);
        assert_eq!(seen.reached_of("kafka/s/audit-prod/1"), 1);
    });
}

#[test]
fn a_flow_that_stands_still_does_not_cost_the_partitions() {
    run(async {
        let bench = Bench::new(1, 1);
        for _ in 0..8 {
            bench.send_to(0, &vec![b'x'; 500_000]);
        }
        let mut seen = bench.seen();
        // A group that gives up on whoever does not poll for so long.
        let more = [("max.poll.interval.ms", "6000"), ("session.timeout.ms", "6000")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        let settings = bench.settings();
        let mut source =
            KafkaSource::open(KafkaSettings { more: [settings.more.clone(), more.into()].concat(), ..settings }, &seen.durable, Clock::System)
                .unwrap();
        seen.read(&mut source, |seen| seen.count() >= 1).await;
        for _ in 8..16 {
            bench.send_to(0, &vec![b'x'; 500_000]);
        }
        tokio::time::sleep(Duration::from_secs(14)).await;
        let counts = source.tells().condition().counts;
        assert_eq!((counts["pauses"], counts["rebalances"]), (1, 1), "{counts:?}");
        assert!(counts["bytes"] < 16 * 500_000, "{counts:?}");
        seen.read(&mut source, |seen| seen.count() == 16).await;
        assert_eq!(seen.notices, []);
    });
}

#[test]
fn settings_that_the_client_does_not_take_are_an_error_at_once() {
    let mut settings = KafkaSettings::new("s".into(), &["127.0.0.1:1".to_owned()], &["t".to_owned()]);
    settings.tls = Tls { is_on: true, ca: Some("no/such/ca.crt".to_owned()), ..Tls::default() };
    let error = KafkaSource::open(settings, &Checkpoint::default(), Clock::System).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(!error.is_transient() && cause.contains("ssl.ca.location"), "{error}: {cause}");
}
