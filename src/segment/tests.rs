use std::path::Path;

use proptest::prelude::*;

use super::writer::Appender;
use super::*;
use crate::model::Timestamp;

fn small() -> Options {
    Options { segment_bytes_max: 200, window: Duration::ZERO, ..Options::default() }
}

fn pack(payload: &[u8]) -> Packed {
    Packed::new(Timestamp::from_seconds(7), 3, payload).unwrap()
}

/// Appends synchronously, as the writer's thread does, and syncs.
fn append(appender: &mut Appender, payloads: &[Vec<u8>]) -> io::Result<()> {
    for payload in payloads {
        appender.append(&pack(payload))?;
    }
    appender.sync()
}

fn read_all(dir: &Path, from: u64) -> (Vec<(u64, Vec<u8>)>, u64) {
    let mut reader = Reader::new(dir, from);
    let mut found = Vec::new();
    while let Some(frame) = reader.next(u64::MAX).unwrap() {
        assert_eq!((frame.received, frame.flags), (Timestamp::from_seconds(7), 3));
        found.push((frame.seq, frame.payload));
    }
    (found, reader.lost())
}

fn numbered(payloads: &[Vec<u8>], from: usize) -> Vec<(u64, Vec<u8>)> {
    payloads.iter().enumerate().skip(from).map(|(at, payload)| (at as u64, payload.clone())).collect()
}

fn some(count: u8) -> Vec<Vec<u8>> {
    (0..count).map(|n| vec![n; usize::from(n) * 3]).collect()
}

#[test]
fn a_log_torn_at_any_byte_has_all_that_came_before() {
    let origin = tempfile::tempdir().unwrap();
    let (mut appender, _) = Appender::open(origin.path(), &Options::default(), 0).unwrap();
    let payloads = some(6);
    append(&mut appender, &payloads).unwrap();
    let (_, path) = files(origin.path()).unwrap().pop().unwrap();
    let whole = fs::read(&path).unwrap();
    let mut ends = Vec::new();
    let mut at = frame::FILE_HEADER_BYTES;
    for payload in &payloads {
        at += Packed::new(Timestamp::default(), 0, payload).unwrap().bytes();
        ends.push(at);
    }
    assert_eq!(at, whole.len());
    for cut in 0..=whole.len() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(path_of(dir.path(), 0), &whole[..cut]).unwrap();
        let kept = ends.iter().filter(|end| **end <= cut).count();
        let (mut appender, recovery) = Appender::open(dir.path(), &Options::default(), 0).unwrap();
        assert_eq!((recovery.next, recovery.bad), (kept as u64, 0), "cut at {cut}");
        append(&mut appender, &[b"more".to_vec()]).unwrap();
        let mut expected = numbered(&payloads[..kept], 0);
        expected.push((kept as u64, b"more".to_vec()));
        assert_eq!(read_all(dir.path(), 0), (expected, 0), "cut at {cut}");
    }
}

#[test]
fn a_damaged_byte_costs_one_frame_and_is_counted() {
    let origin = tempfile::tempdir().unwrap();
    let (mut appender, _) = Appender::open(origin.path(), &Options::default(), 0).unwrap();
    let payloads = some(5);
    append(&mut appender, &payloads).unwrap();
    let (_, path) = files(origin.path()).unwrap().pop().unwrap();
    let whole = fs::read(&path).unwrap();
    for at in frame::FILE_HEADER_BYTES..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x41;
        fs::write(&path, damaged).unwrap();
        let (found, lost) = read_all(origin.path(), 0);
        // The last frame's number is not missed by anybody: nothing follows it.
        assert!(found.len() == 4 && lost <= 1, "damaged at {at}: {} frames, {lost} lost", found.len());
        assert!(found.iter().all(|(seq, payload)| payloads.get(usize::try_from(*seq).unwrap()) == Some(payload)), "damaged at {at}");
        assert!(lost == 1 || found.iter().all(|(seq, _)| *seq < 4), "damaged at {at}");
    }
}

#[test]
fn a_damaged_file_header_costs_the_file_and_no_number() {
    let dir = tempfile::tempdir().unwrap();
    let (mut appender, _) = Appender::open(dir.path(), &small(), 0).unwrap();
    append(&mut appender, &some(20)).unwrap();
    let all = files(dir.path()).unwrap();
    assert!(all.len() > 2);
    let (first, path) = all.last().unwrap();
    let mut bytes = fs::read(path).unwrap();
    bytes[10] ^= 1;
    fs::write(path, bytes).unwrap();
    let (mut appender, recovery) = Appender::open(dir.path(), &small(), 0).unwrap();
    assert!(recovery.next >= 20 && recovery.bad == 1, "{recovery:?}");
    append(&mut appender, &[b"more".to_vec()]).unwrap();
    let (found, lost) = read_all(dir.path(), 0);
    assert_eq!(found.last(), Some(&(recovery.next, b"more".to_vec())));
    assert_eq!(lost, recovery.next - first);
}

#[test]
fn numbers_never_fall_below_the_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let (mut appender, recovery) = Appender::open(dir.path(), &small(), 41).unwrap();
    assert_eq!((recovery.first, recovery.next), (41, 41));
    append(&mut appender, &[b"a".to_vec()]).unwrap();
    let (mut appender, recovery) = Appender::open(dir.path(), &small(), 50).unwrap();
    assert_eq!(recovery.next, 50);
    append(&mut appender, &[b"b".to_vec()]).unwrap();
    assert_eq!(read_all(dir.path(), 41), (vec![(41, b"a".to_vec()), (50, b"b".to_vec())], 8));
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = frame::FileHeader { salt: 1, first: 0 }.write();
    bytes[8] = 9;
    let crc = crc32fast::hash(&bytes[..24]);
    bytes[24..].copy_from_slice(&crc.to_le_bytes());
    fs::write(path_of(dir.path(), 0), bytes).unwrap();
    let error = Writer::open(dir.path(), small(), 0).unwrap_err();
    assert!(error.to_string().ends_with("newer version (format 9)"), "{error}");
}

#[test]
fn only_whole_files_below_are_deleted_and_never_the_last() {
    let dir = tempfile::tempdir().unwrap();
    let (mut appender, _) = Appender::open(dir.path(), &small(), 0).unwrap();
    append(&mut appender, &some(20)).unwrap();
    let before = files(dir.path()).unwrap();
    delete_below(dir.path(), before[2].0 - 1).unwrap();
    assert_eq!(files(dir.path()).unwrap(), before[1..]);
    assert!(delete_below(dir.path(), u64::MAX).unwrap() > 0);
    assert_eq!(files(dir.path()).unwrap(), before[before.len() - 1..]);
    let (_, recovery) = Appender::open(dir.path(), &small(), 0).unwrap();
    assert_eq!(recovery.next, 20);
}

#[test]
fn no_step_that_fails_is_ever_confirmed_and_nothing_confirmed_is_lost() {
    for steps in 0..40 {
        let dir = tempfile::tempdir().unwrap();
        let (mut appender, _) = Appender::open(dir.path(), &small(), 0).unwrap();
        appender.steps_left = Some(steps);
        let payloads = some(12);
        let confirmed = payloads.iter().take_while(|payload| append(&mut appender, std::slice::from_ref(payload)).is_ok()).count();
        drop(appender);
        let (_, recovery) = Appender::open(dir.path(), &small(), 0).unwrap();
        assert!(recovery.next >= confirmed as u64, "{steps}");
        let (found, _) = read_all(dir.path(), 0);
        assert_eq!(found[..confirmed], numbered(&payloads[..confirmed], 0), "{steps}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_share_a_sync_and_each_has_a_number_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let (writer, _) = Writer::open(dir.path(), Options { segment_bytes_max: 4096, ..Options::default() }, 0).unwrap();
    let writer = std::sync::Arc::new(writer);
    let tasks: Vec<_> = (0..200_u32)
        .map(|n| {
            let writer = std::sync::Arc::clone(&writer);
            let payload = n.to_le_bytes().to_vec();
            tokio::spawn(async move { (writer.append(vec![pack(&payload)]).await.unwrap(), payload) })
        })
        .collect();
    let mut expected = Vec::new();
    for task in tasks {
        expected.push(task.await.unwrap());
    }
    expected.sort();
    assert_eq!(*writer.durable().borrow(), 200);
    writer.close();
    assert_eq!(read_all(dir.path(), 0), (expected, 0));
    assert!(matches!(writer.append(vec![]).await, Err(AppendError::Refused(_))));
}

#[test]
fn a_payload_past_the_limit_is_refused() {
    let long = vec![0; PAYLOAD_BYTES_MAX + 1];
    assert!(Packed::new(Timestamp::default(), 0, &long).is_err());
}

/// What happens to a log.
#[derive(Debug, Clone)]
enum Act {
    Append(Vec<Vec<u8>>),
    TakeBack(Vec<Vec<u8>>),
    Reopen,
    /// Bytes of an unfinished write at the end, and a new start.
    Tear(Vec<u8>),
    Delete(u64),
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..5).prop_map(Act::Append),
        2 => proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..5).prop_map(Act::TakeBack),
        1 => Just(Act::Reopen),
        1 => proptest::collection::vec(any::<u8>(), 0..60).prop_map(Act::Tear),
        1 => (0..40_u64).prop_map(Act::Delete),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_log_is_a_list(acts in proptest::collection::vec(any_act(), 0..12), from in 0..40_usize) {
        let dir = tempfile::tempdir().unwrap();
        let mut model: Vec<Vec<u8>> = Vec::new();
        let (mut appender, _) = Appender::open(dir.path(), &small(), 0).unwrap();
        for act in acts {
            match act {
                Act::Append(payloads) => {
                    append(&mut appender, &payloads).unwrap();
                    model.extend(payloads);
                }
                Act::TakeBack(payloads) => {
                    for payload in &payloads {
                        appender.append(&pack(payload)).unwrap();
                    }
                    appender.take_back().unwrap();
                    // What a change of files had synced stays.
                    let kept = usize::try_from(appender.next_seq).unwrap() - model.len();
                    model.extend(payloads.into_iter().take(kept));
                }
                Act::Reopen => (appender, _) = Appender::open(dir.path(), &small(), 0).unwrap(),
                Act::Tear(bytes) => {
                    let (_, path) = files(dir.path()).unwrap().pop().unwrap();
                    let mut whole = fs::read(&path).unwrap();
                    whole.extend_from_slice(&bytes);
                    fs::write(&path, whole).unwrap();
                    let recovery;
                    (appender, recovery) = Appender::open(dir.path(), &small(), 0).unwrap();
                    prop_assert_eq!(recovery.torn_bytes, bytes.len() as u64);
                }
                Act::Delete(below) => { delete_below(dir.path(), below).unwrap(); }
            }
            prop_assert_eq!(appender.next_seq, model.len() as u64);
        }
        let first = usize::try_from(files(dir.path()).unwrap()[0].0).unwrap();
        let (found, lost) = read_all(dir.path(), from as u64);
        prop_assert_eq!(lost, first.saturating_sub(from).min(if found.is_empty() { 0 } else { usize::MAX }) as u64);
        prop_assert_eq!(found, numbered(&model, from.max(first)));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..300), is_headed in any::<bool>()) {
        let dir = tempfile::tempdir().unwrap();
        if is_headed {
            let header = frame::FileHeader { salt: 1, first: 0 };
            bytes.splice(0..0, header.marker());
            bytes.splice(0..0, header.write());
        }
        fs::write(path_of(dir.path(), 0), bytes).unwrap();
        Reader::new(dir.path(), 0).next(u64::MAX).unwrap();
        Appender::open(dir.path(), &small(), 0).unwrap();
    }
}

/// The number of the damaged file itself was given out again, and opening failed because that file was there.
#[test]
fn a_short_file_with_a_damaged_header_does_not_keep_the_log_from_opening() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(path_of(dir.path(), 0), vec![7; frame::FILE_HEADER_BYTES + 1]).unwrap();
    let (appender, recovery) = Appender::open(dir.path(), &small(), 0).unwrap();
    assert_eq!((appender.next_seq, recovery.bad), (1, 1));
}
