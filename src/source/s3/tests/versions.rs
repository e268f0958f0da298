//! A key whose content changes: it goes on, or it is replaced.

use super::*;

/// Puts one body after the other under a key, and says what each poll gave.
async fn check(bodies: &[&[u8]], expected: &[&str]) {
    let server = FakeS3::start().await;
    let (dir, mut checkpoint) = (tempfile::tempdir().unwrap(), Checkpoint::default());
    let mut got = Vec::new();
    for body in bodies {
        server.put_at("k", body.to_vec(), 0);
        let run = run(settings(&server.endpoint), dir.path(), &mut checkpoint, 9).await;
        let read: Vec<&str> = run.read.iter().map(|(_, text)| text.as_str()).collect();
        let notice = run.notices.first().map_or("", |notice| notice.split_once(':').unwrap().0);
        got.push(format!("{}{notice}", read.join("|")).replace('\n', "/"));
    }
    assert_eq!(got, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_go_on_are_read_from_where_they_ended() {
    check(&[b"{1}\n", b"{1}\n{2}\n", b"{1}\n{2}\n{3}\n"], &["{1}/", "{2}/", "{3}/"]).await;
    // The last line may have been half of one.
    check(&[b"{1}\n{2", b"{1}\n{2}\n{3}"], &["{1}/{2", "{2}/{3}"]).await;
    check(&[b"{1}", b"{1}\n{2}"], &["{1}", "{1}/{2}"]).await;
    check(&[b"", b"{1}\n"], &["", "{1}/"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_lines_is_read_again_whole_and_is_not_replaced() {
    check(&[b"one\n", b"one\ntwo\n"], &["one/", "one/two/"]).await;
    check(&[b"[{1},\n", b"[{1},\n{2}]"], &["[{1},/", "[{1},/{2}]"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_replaced_is_told_and_read_again() {
    check(&[b"{1}\n{2}\n", b"{1}\n"], &["{1}/{2}/", "{1}/overwritten"]).await;
    check(&[b"{1}", b"{2}"], &["{1}", "{2}overwritten"]).await;
    check(&[b"{1}\n{2}\n", b"{0}\n{2}\n{3}\n"], &["{1}/{2}/", "{0}/{2}/{3}/overwritten"]).await;
    // And back: it is there, and was not what was read last.
    check(&[b"{1}", b"{2}", b"{1}"], &["{1}", "{2}overwritten", "{1}overwritten"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_content_written_again_is_not_replaced() {
    let server = FakeS3::start().await;
    let (dir, mut checkpoint) = (tempfile::tempdir().unwrap(), Checkpoint::default());
    server.put("k", "{1}\n{2}\n");
    run(settings(&server.endpoint), dir.path(), &mut checkpoint, 9).await;
    server.shelf.lock().unwrap().objects.get_mut("k").unwrap().etag = "\"in-parts-2\"".to_owned();
    let again = run(settings(&server.endpoint), dir.path(), &mut checkpoint, 9).await;
    assert_eq!((again.read.len(), again.notices.len(), again.count(|c| &c.reread)), (0, 0, 8));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_and_is_not_durable_is_read_whole_in_its_next_version() {
    let server = FakeS3::start().await;
    let dir = tempfile::tempdir().unwrap();
    server.put("k", "{1}\n");
    let first = run(settings(&server.endpoint), dir.path(), &mut Checkpoint::default(), 9).await;
    server.put("k", "{1}\n{2}\n");
    // The first line came, and then all was lost: the version that had it is gone as well.
    let mut checkpoint = Checkpoint::default();
    let second = run(S3Settings { polls_max: Some(2), ..settings(&server.endpoint) }, dir.path(), &mut checkpoint, 9).await;
    assert_eq!((first.read.len(), second.read), (1, vec![("k".to_owned(), "{1}\n{2}\n".to_owned())]));
    assert!(second.notices.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_of_before_changes_nothing() {
    let server = FakeS3::start().await;
    let (dir, mut checkpoint) = (tempfile::tempdir().unwrap(), Checkpoint::default());
    server.put("k", "{1}\n");
    run(settings(&server.endpoint), dir.path(), &mut checkpoint, 9).await;
    let old = server.shelf.lock().unwrap().objects.clone();
    server.shelf.lock().unwrap().old = old;
    server.put("k", "{1}\n{2}\n");
    server.put("new", "{3}");
    server.fault("", [Fault::Not, Fault::Stale, Fault::Stale]);
    let run = run(S3Settings { polls_max: Some(5), ..settings(&server.endpoint) }, dir.path(), &mut checkpoint, 20).await;
    assert_eq!(run.read, [("k".to_owned(), "{2}\n".to_owned()), ("new".to_owned(), "{3}".to_owned())]);
    assert!(run.notices.is_empty() && run.rejects.is_empty());
}
