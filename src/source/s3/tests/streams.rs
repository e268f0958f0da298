//! Objects larger than what is read at once.

use std::io::Write;

use super::*;

/// Lines of so many bytes together, at least; each its own.
fn lines(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 100);
    for n in 0.. {
        if text.len() >= bytes {
            break;
        }
        text.push_str(&format!("{{\"n\":{n},\"pad\":\"{}\"}}\n", "x".repeat(n % 900)));
    }
    text
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn sent(server: &FakeS3) -> u64 {
    std::mem::take(&mut server.shelf.lock().unwrap().sent)
}

/// Pieces are JSON lines here: whatever one run gave and the next went on with.
fn joined(runs: &[&Run]) -> String {
    runs.iter().flat_map(|run| &run.read).map(|(_, text)| text.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_object_is_read_in_ranges_and_what_breaks_off_is_not_read_again() {
    let server = FakeS3::start().await;
    let text = lines(13 << 20);
    server.put("big", &text);
    server.put("small", "{}");
    server.fault("big", [Fault::Reset(1), Fault::Reset(1_000_000), Fault::Short(77), Fault::Status(500, ""), Fault::Not, Fault::Reset(3 << 20)]);
    let (dir, mut checkpoint) = (tempfile::tempdir().unwrap(), Checkpoint::default());
    let first = run(settings(&server.endpoint), dir.path(), &mut checkpoint, 100).await;
    assert!(first.read == [("big".to_owned(), text.clone()), ("small".to_owned(), "{}".to_owned())]);
    assert_eq!((first.count(|c| &c.reread), first.count(|c| &c.read), first.count(|c| &c.retries)), (0, 2, 5));
    assert_eq!(sent(&server), text.len() as u64 + 2, "each byte came once");
    let again = run(settings(&server.endpoint), dir.path(), &mut checkpoint, 100).await;
    assert_eq!((again.read.len(), sent(&server)), (0, 0));
    // A server that knows no ranges gives all of it each time.
    server.shelf.lock().unwrap().knows_no_ranges = true;
    server.fault("big", [Fault::Reset(100)]);
    let (dir, mut checkpoint) = (tempfile::tempdir().unwrap(), Checkpoint::default());
    let plain = run(settings(&server.endpoint), dir.path(), &mut checkpoint, 100).await;
    assert!(joined(&[&plain]) == format!("{text}{{}}"));
    assert!(plain.count(|c| &c.reread) > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_within_an_object_goes_on_there() {
    let text = lines(11 << 20);
    for (body, is_packed) in [(text.clone().into_bytes(), false), (gzip(text.as_bytes()), true)] {
        for stop in [1, 2, 5, 9] {
            let server = FakeS3::start().await;
            server.put_at("big", body.clone(), 0);
            let (dir, mut checkpoint) = (tempfile::tempdir().unwrap(), Checkpoint::default());
            let first = run(settings(&server.endpoint), dir.path(), &mut checkpoint, stop).await;
            let (_, at) = place(checkpoint.get(&PartitionId::from("s3/bucket")));
            assert!(at > 0 && at == joined(&[&first]).len() as u64);
            sent(&server);
            let second = run(settings(&server.endpoint), dir.path(), &mut checkpoint, 100).await;
            assert!(joined(&[&first, &second]) == text, "{stop} {is_packed}");
            let rest = if is_packed { body.len() as u64 } else { body.len() as u64 - at };
            assert!(second.count(|c| &c.bytes) <= rest + 16, "what is not compressed is not read again");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_objects_expand_in_pieces_and_damage_ends_them() {
    let server = FakeS3::start().await;
    let text = lines(9 << 20);
    let packed = gzip(text.as_bytes());
    let mut cut = packed.clone();
    cut.truncate(6 << 20);
    server.put_at("a/whole", packed, 0);
    server.put_at("b/cut", cut, 0);
    server.fault("a/whole", [Fault::Reset(9), Fault::Not, Fault::Reset(70_000)]);
    let (dir, mut checkpoint) = (tempfile::tempdir().unwrap(), Checkpoint::default());
    let run = run(settings(&server.endpoint), dir.path(), &mut checkpoint, 100).await;
    assert!(run.read[0] == ("a/whole".to_owned(), text.clone()));
    let (key, part) = &run.read[1];
    assert!(key == "b/cut" && part.len() > 5 << 20 && text.starts_with(part.as_str()));
    assert_eq!(run.rejects, [RejectReason::BadCompression]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_grows_while_it_is_read_gives_each_line_once() {
    let server = FakeS3::start().await;
    let text = lines(24 << 20);
    let half = text.get(..20 << 20).unwrap().to_owned();
    server.put("growing", &half);
    let (dir, mut checkpoint) = (tempfile::tempdir().unwrap(), Checkpoint::default());
    let clock = Clock::simulated(Timestamp::default());
    let twice = S3Settings { polls_max: Some(2), ..settings(&server.endpoint) };
    let run = run_on(&clock, twice, dir.path(), &mut checkpoint, 100, |number| {
        if number == 3 {
            server.put("growing", &text);
        }
    })
    .await;
    assert!(joined(&[&run]) == text);
    assert_eq!((run.notices.len(), run.rejects.len(), run.count(|c| &c.vanished), run.count(|c| &c.grown)), (0, 0, 1, 1));
    assert!(run.count(|c| &c.reread) <= 64 << 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_goes_away_or_fails_while_it_is_read() {
    let server = FakeS3::start().await;
    let text = lines(24 << 20);
    server.put("going", &text);
    let (dir, mut checkpoint) = (tempfile::tempdir().unwrap(), Checkpoint::default());
    let clock = Clock::simulated(Timestamp::default());
    let going = run_on(&clock, settings(&server.endpoint), dir.path(), &mut checkpoint, 100, |number| {
        if number == 2 {
            server.shelf.lock().unwrap().objects.clear();
        }
    })
    .await;
    assert!(going.notices.len() == 1 && going.notices[0].starts_with("gap: object `going` went away while it was read: "), "{:?}", going.notices);
    assert!(text.starts_with(&joined(&[&going])));
    server.put("failing", &text);
    server.fault("failing", [Fault::Not, Fault::Not, Fault::Not].into_iter().chain([Fault::Status(500, ""); 6]));
    let failing = run(S3Settings { polls_max: Some(3), ..settings(&server.endpoint) }, dir.path(), &mut checkpoint, 100).await;
    assert!(joined(&[&failing]) == text, "the rest is read by the next listing");
    assert_eq!((failing.count(|c| &c.failed), failing.notices.len()), (1, 0));
    assert!(failing.count(|c| &c.reread) <= 64 << 10);
}
