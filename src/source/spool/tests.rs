use super::*;
use crate::model::Kind;

fn whose() -> Whose {
    Whose {
        tenant: TenantId::default(),
        cluster: "prod".parse().unwrap(),
        source: SourceId::from("push"),
        kinds: Kinds::only(Kind::Falco),
        is_kept: true,
        rejected: vec![(RejectReason::NotJson, 2)],
    }
}

fn lane(spool: &Spool, from: &Checkpoint, lane: usize) -> SpoolSource {
    spool.sources(from).unwrap().into_iter().nth(lane).unwrap()
}

fn frames(seconds: i64, payload: &str) -> Vec<Packed> {
    vec![whose().pack(Timestamp::from_seconds(seconds), payload.as_bytes(), 0).unwrap()]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_pushed_is_read_again_after_a_restart_and_forgotten_after_the_commit() {
    let dir = tempfile::tempdir().unwrap();
    let mut checkpoint = Checkpoint::default();
    {
        let spool = Spool::open(dir.path(), &checkpoint, BYTES_MAX).unwrap();
        for n in 0..3 {
            spool.push(frames(n, &format!("payload {n}")), 0).await.unwrap();
        }
        let mut source = lane(&spool, &checkpoint, 0);
        let first = source.next().await.unwrap().unwrap();
        assert_eq!((first.payloads[0].1.as_slice(), first.upto, first.origin.cluster.as_str()), (&b"payload 0"[..], Position(1), "prod"));
        assert_eq!((first.kinds, first.form), (Kinds::only(Kind::Falco), Form::Kept));
        assert_eq!(first.counted, [(RejectReason::NotJson, 2)]);
        checkpoint.advance(&first.origin.partition, first.upto);
        spool.close();
    }
    let spool = Spool::open(dir.path(), &checkpoint, BYTES_MAX).unwrap();
    let mut source = lane(&spool, &checkpoint, 0);
    for n in 1..3 {
        let next = source.next().await.unwrap().unwrap();
        assert_eq!(next.payloads[0].1, format!("payload {n}").into_bytes());
        checkpoint.advance(&next.origin.partition, next.upto);
    }
    source.commit(&checkpoint).await.unwrap();
    spool.push(frames(9, "after"), 0).await.unwrap();
    assert_eq!(source.next().await.unwrap().unwrap().payloads[0].1, b"after");
}

#[tokio::test]
async fn a_full_spool_asks_to_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), &Checkpoint::default(), 0).unwrap();
    let pushed = spool.push(frames(0, "x"), 0).await;
    assert!(matches!(pushed, Ok(()) | Err(SpoolError::Busy)));
    assert!(matches!(spool.admit(0), Err(SpoolError::Busy)));
    assert!(matches!(spool.push(frames(0, "x"), 0).await, Err(SpoolError::Busy)));
}

/// Pushes by their lanes, in the order in which they come; then what each lane gives from these positions on, by the numbers of the pushes.
async fn check(pushes: &[usize], from: &[(usize, u64)], expected: &[(usize, &[u64])]) {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), &Checkpoint::default(), BYTES_MAX).unwrap();
    // Some are there when reading begins, the others come later.
    let (early, late) = pushes.split_at(pushes.len() / 2);
    let push = async |lane: usize| {
        spool.lanes.use_for_test(lane);
        spool.push(vec![whose().pack(Timestamp::default(), b"x", lane).unwrap()], lane).await.unwrap();
    };
    for lane in early {
        push(*lane).await;
    }
    let mut checkpoint = Checkpoint::default();
    from.iter().for_each(|(lane, upto)| checkpoint.advance(&lanes::partition(*lane), Position(*upto)));
    let mut sources = spool.sources(&checkpoint).unwrap();
    for lane in late {
        push(*lane).await;
    }
    for (lane, numbers) in expected {
        for number in *numbers {
            let envelope = sources[*lane].next().await.unwrap().unwrap();
            assert_eq!(
                (envelope.upto.0, &envelope.origin.partition, envelope.rejects.len()),
                (number + 1, &lanes::partition(*lane), 0),
                "{pushes:?}"
            );
            checkpoint.advance(&envelope.origin.partition, envelope.upto);
        }
    }
    // Everything was handed over and is durable: once all lanes have looked, nothing holds a file back.
    for _ in 0..500 {
        if spool.lanes.done(&checkpoint) == pushes.len() as u64 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{} of {} would go", spool.lanes.done(&checkpoint), pushes.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_lane_gives_its_own_frames_and_goes_on_from_its_own_position() {
    check(&[0, 0, 0], &[], &[(0, &[0, 1, 2])]).await;
    check(&[1, 1, 2, 1, 0, 2], &[], &[(2, &[2, 5]), (1, &[0, 1, 3]), (0, &[4])]).await;
    check(&[1, 1, 2, 1, 2, 2], &[(1, 2), (2, 3)], &[(1, &[3]), (2, &[4, 5])]).await;
    check(&[3, 3, 3, 3, 7, 3], &[], &[(7, &[4]), (3, &[0, 1, 2, 3, 5])]).await;
}

#[tokio::test]
async fn a_lane_that_is_full_keeps_no_other_from_being_taken_in() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), &Checkpoint::default(), BYTES_MAX).unwrap();
    let (flood, quiet) = (spool.lane_of(&SourceId::from("flood")), spool.lane_of(&SourceId::from("quiet")));
    spool.lanes.came(flood, LANE_BYTES_MAX + 1);
    assert!(matches!(spool.admit(flood), Err(SpoolError::Busy)));
    assert!(spool.admit(quiet).is_ok());
}
