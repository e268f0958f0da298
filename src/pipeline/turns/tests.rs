use super::*;
use crate::model::{ClusterId, Origin, PartitionId, Position, SourceId, TenantId, Timestamp};

fn envelope(source: &str, bytes: usize) -> Envelope {
    let origin = Origin {
        tenant: TenantId::default(),
        cluster: ClusterId::default(),
        source: SourceId::from(source),
        partition: PartitionId::from("p"),
        object: "o".into(),
        received: Timestamp::default(),
    };
    let payloads = vec![(Position(0), vec![0; bytes])];
    Envelope { payloads, ..Envelope::empty(Arc::new(origin), Position(1)) }
}

/// Sources that always have one more envelope of so many bytes; what each got through when so many turns have been taken, in bytes.
async fn shares(sizes: &[usize], turns_taken: usize) -> Vec<usize> {
    let mut turns = Turns::default();
    for (at, size) in sizes.iter().enumerate() {
        let (way, size) = (turns.way(), *size);
        tokio::spawn(async move { while way.send(envelope(&at.to_string(), size)).await {} });
    }
    let mut bytes = vec![0; sizes.len()];
    for _ in 0..turns_taken {
        let next = turns.next().await.unwrap();
        bytes[next.origin.source.0.parse::<usize>().unwrap()] += next.payloads[0].1.len() + ENVELOPE_BYTES;
        // Readers of real sources have the time of the work to bring the next.
        while turns.lanes.iter().any(|lane| lane.from.is_empty()) {
            tokio::task::yield_now().await;
        }
    }
    bytes
}

#[tokio::test]
async fn all_sources_get_the_same_bytes_whatever_their_envelopes() {
    for sizes in [&[1000, 1000][..], &[4 << 20, 64 << 10], &[3 << 20, 1 << 20, 100 << 10], &[10 << 20, 10]] {
        let bytes = shares(sizes, 3000).await;
        let (least, most) = (bytes.iter().min().unwrap(), bytes.iter().max().unwrap());
        assert!(most - least <= 2 * (QUANTUM_BYTES + sizes.iter().max().unwrap() + ENVELOPE_BYTES), "{sizes:?}: {bytes:?}");
    }
}

#[tokio::test]
async fn what_a_quiet_source_brings_waits_for_one_round_of_a_flood() {
    let mut turns = Turns::default();
    let (quiet, flood) = (turns.way(), turns.way());
    tokio::spawn(async move { while flood.send(envelope("flood", 2 << 20)).await {} });
    for _ in 0..20 {
        for _ in 0..20 {
            assert_eq!(turns.next().await.unwrap().origin.source.0.as_ref(), "flood");
        }
        assert!(quiet.send(envelope("quiet", 10_000)).await);
        let mut before = 0;
        while turns.next().await.unwrap().origin.source.0.as_ref() == "flood" {
            before += 1;
        }
        assert!(before <= 1, "{before} envelopes of the flood came first");
    }
}

#[tokio::test]
async fn it_ends_when_every_way_has_ended() {
    let mut turns = Turns::default();
    let (one, two) = (turns.way(), turns.way());
    assert!(one.send(envelope("one", 1)).await);
    drop(one);
    let late = tokio::spawn(async move {
        tokio::task::yield_now().await;
        two.send(envelope("two", 30 << 20)).await
    });
    let mut told = Vec::new();
    while let Some(next) = turns.next().await {
        told.push(next.origin.source.0.to_string());
    }
    assert_eq!(told, ["one", "two"]);
    assert!(late.await.unwrap());
    assert!(Turns::default().next().await.is_none());
}
