use super::*;

fn object(key: &str, etag: &str) -> Object {
    Object { key: key.to_owned(), etag: etag.to_owned(), bytes: 1, modified_s: 0 }
}

fn drain(objects: &mut Objects) -> Vec<(u64, String)> {
    std::iter::from_fn(|| objects.take()).map(|pending| (pending.number, pending.object.key)).collect()
}

fn open(dir: &Path, bucket: &str, done: u64) -> Objects {
    Objects::open(dir, bucket, position(done, 0)).unwrap()
}

#[tokio::test]
async fn each_version_is_found_once_whatever_the_order_and_the_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let mut objects = open(dir.path(), "b", 0);
    assert_eq!(objects.find(vec![object("z", "1"), object("a", "1"), object("z", "1")], Timestamp::default()).await, Ok(2));
    assert_eq!(objects.find(vec![object("a", "1"), object("a", "2"), object("0", "1")], Timestamp::default()).await, Ok(2));
    assert_eq!((objects.pending_bytes(), objects.pending().len(), objects.len()), (4, 4, 3));
    assert_eq!(drain(&mut objects), [(0, "z".into()), (1, "a".into()), (2, "a".into()), (3, "0".into())]);
    drop(objects);
    let mut objects = open(dir.path(), "b", 2);
    assert_eq!(drain(&mut objects), [(2, "a".into()), (3, "0".into())]);
    assert_eq!(objects.find(vec![object("a", "2"), object("new", "1")], Timestamp::default()).await, Ok(1));
    assert_eq!(drain(&mut objects), [(4, "new".into())]);
    drop(objects);
    let mut objects = open(dir.path(), "other", 5);
    assert_eq!(objects.find(vec![object("a", "2")], Timestamp::default()).await, Ok(1));
    assert_eq!(drain(&mut objects), [(5, "a".into())]);
}

#[tokio::test]
async fn what_could_not_be_read_is_found_again_even_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut objects = open(dir.path(), "b", 0);
    objects.find(vec![object("a", "1"), object("b", "1")], Timestamp::default()).await.unwrap();
    let first = objects.take().unwrap();
    drain(&mut objects);
    objects.again(first, Timestamp::default(), Duration::seconds(9)).await.unwrap();
    assert_eq!(objects.find(vec![object("a", "1")], Timestamp::default()).await, Ok(0));
    drop(objects);
    let mut objects = open(dir.path(), "b", 0);
    assert_eq!(drain(&mut objects), [(1, "b".into())]);
    assert_eq!(objects.tries(&object("a", "1")), 1);
    assert_eq!(objects.find(vec![object("a", "1"), object("b", "1")], Timestamp::default()).await, Ok(1));
    assert_eq!(drain(&mut objects), [(2, "a".into())]);
}

#[tokio::test]
async fn a_lost_list_gives_no_number_twice_and_the_limit_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut objects = open(dir.path(), "b", 7);
    objects.find(vec![object("a", "1")], Timestamp::default()).await.unwrap();
    assert_eq!(drain(&mut objects), [(7, "a".into())]);
    objects.objects_max = 1;
    let error = objects.find(vec![object("b", "1")], Timestamp::default()).await.unwrap_err();
    assert!(error.to_string().contains("more than 1 objects"), "{error}");
    // In the middle of an object: what is found now is another one.
    let lost = tempfile::tempdir().unwrap();
    let mut objects = Objects::open(lost.path(), "b", position(7, 100)).unwrap();
    objects.find(vec![object("a", "1")], Timestamp::default()).await.unwrap();
    assert_eq!(objects.take().map(|pending| (pending.number, pending.from)), Some((8, 0)));
}

#[tokio::test]
async fn an_object_is_gone_on_with_where_reading_stopped() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path(), "b", 0).find(vec![object("a", "1"), object("b", "1"), object("c", "1")], Timestamp::default()).await.unwrap();
    let froms = |done| {
        let mut objects = Objects::open(dir.path(), "b", done).unwrap();
        std::iter::from_fn(|| objects.take()).map(|pending| (pending.number, pending.from)).collect::<Vec<_>>()
    };
    assert_eq!(froms(position(1, 0)), [(1, 0), (2, 0)]);
    assert_eq!(froms(position(1, 5 << 30)), [(1, 5 << 30), (2, 0)]);
    // As positions were before.
    assert_eq!(froms(Position(2)), [(2, 0)]);
    for (number, offset) in [(0, 0), (0, 1), (1, 0), (1 << 28, 16 << 30)] {
        assert_eq!(place(position(number, offset)), (number, offset));
    }
    assert!(position(0, 16 << 30) < position(1, 0));
}

#[tokio::test]
async fn what_was_read_of_the_version_before_is_known_once_it_is_durable() {
    let dir = tempfile::tempdir().unwrap();
    let mut objects = open(dir.path(), "b", 0);
    let read = Known { version: object("a", "1").version(), bytes: 1, print: 6 };
    objects.find(vec![object("a", "1"), object("c", "1")], Timestamp::default()).await.unwrap();
    let first = objects.take().unwrap();
    objects.find(vec![object("c", "2")], Timestamp::default()).await.unwrap();
    assert_eq!(first.before, None);
    objects.read(&first, 1, 6);
    objects.find(vec![object("a", "2")], Timestamp::default()).await.unwrap();
    let befores =
        |objects: &mut Objects| std::iter::from_fn(|| objects.take()).map(|p| (p.object.key + &p.object.etag, p.before)).collect::<Vec<_>>();
    // Of what was never read nothing is known.
    assert_eq!(befores(&mut objects), [("c1".to_owned(), None), ("c2".to_owned(), None), ("a2".to_owned(), Some(read))]);
    drop(objects);
    // It was read, but that is not durable: it is read again, and the next version is not a mere rest.
    assert_eq!(befores(&mut open(dir.path(), "b", 0)).last(), Some(&("a2".to_owned(), None)));
    let mut objects = open(dir.path(), "b", 1);
    let last = std::iter::from_fn(|| objects.take()).last().unwrap();
    assert_eq!((last.before, last.number), (Some(read), 3));
    // A version that was not read gives way to what was known before it.
    objects.again(last, Timestamp::default(), Duration::seconds(0)).await.unwrap();
    objects.find(vec![object("a", "3")], Timestamp::default()).await.unwrap();
    assert_eq!(objects.take().unwrap().before, Some(read));
    objects.save(Timestamp::default()).await.unwrap();
}
