use std::collections::HashSet;
use std::path::Path as FilePath;

use crate::clock::Clock;
use crate::model::{Checkpoint, Duration, EnvelopeKind, Field, FieldRef, Kind, Origin, Parser, PartitionId, Position};
use crate::query::{self, Bound, ValueTest, Wild, WildPart};
use crate::store::{EventLog, LogSettings, StoredRecord};

use super::*;

/// A small normaliser: every member `x` of the record's `f` is the normalised field of that name.
struct Plain;

const FIELDS: &[(&str, Field)] = &[
    ("verb", Field::K8sVerb),
    ("user", Field::ActorUserName),
    ("ip", Field::SrcIp),
    ("port", Field::DstPort),
    ("message", Field::Message),
    ("entity", Field::Entity),
];

impl Restore for Plain {
    fn restore(&self, stored: &StoredRecord) -> Option<Event> {
        let doc = Parser::default().parse(stored.text.as_bytes(), None).ok()?;
        let mut facts = crate::model::Facts::default();
        for (at, leaf) in doc.leaves().iter().enumerate() {
            if let Some((_, field)) = FIELDS.iter().find(|(key, _)| doc.key(leaf) == *key) {
                facts.push_leaf(*field, at);
            }
        }
        let time = Timestamp::from_nanos(doc.text_at(crate::model::Path::of(["t"]))?.parse().ok()?);
        facts.push_text(Field::EventId, &EventId::of(blake3::Hasher::new().update(stored.text.as_bytes())).to_string());
        facts.push_text(Field::EventTime, &time.to_string());
        facts.push_text(Field::EventKind, stored.kind.name());
        facts.seal();
        let origin = Arc::new(Origin {
            tenant: stored.tenant.clone(),
            cluster: stored.cluster.clone(),
            source: stored.source.as_str().into(),
            partition: stored.partition.as_str().into(),
            object: stored.object.as_str().into(),
            received: stored.received,
        });
        let id = EventId::of(blake3::Hasher::new().update(stored.text.as_bytes()));
        let (kind, envelope, position, offset) = (stored.kind, stored.envelope, stored.position, stored.offset);
        let (tenant, cluster, act) = (stored.tenant.clone(), stored.cluster.clone(), Default::default());
        Some(Event { id, act, kind, envelope, tenant, cluster, time, origin, position, offset, wrapped: stored.wrapped.clone(), facts, doc })
    }
}

fn event(text: &str) -> Event {
    let stored = StoredRecord {
        kind: Kind::Other,
        is_forged: false,
        envelope: EnvelopeKind::Native,
        tenant: Default::default(),
        cluster: Default::default(),
        source: "s".to_owned(),
        partition: "p".to_owned(),
        object: "o".to_owned(),
        position: Position(7),
        offset: 3,
        wrapped: Default::default(),
        received: Timestamp::from_seconds(1),
        text: text.to_owned(),
    };
    Plain.restore(&stored).expect("the test's record is one")
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % n as u64).unwrap_or_default()
    }

    fn of<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

const VERBS: &[&str] = &["get", "GET", "list", "create", "delete", "null"];
const USERS: &[&str] = &["alice", "Bob", "system:node:n1", "sa:prod/builder", "Ünal", "ÜNAL"];
const MESSAGES: &[&str] = &["shell opened in Web-0", "opened a shell", "nothing to see, move on", "web 0", "80"];
const IPS: &[&str] = &["10.0.0.1", "10.1.2.3", "192.168.0.7", "fe80::1", "none"];

const UIDS: &[&str] =
    &["9a189e4c-4d8f-f136-f007-bbbf3fd94dc5", "JTI=015B96E0-8a63-5b50-bc22-d554c311b5c8", "JTI=none", "0a615ea8bfaedaca68b6a26cf16521fd380146f4"];
const TIMES: &[&str] = &["2026-11-20T00:00:26.067027Z", "2026-11-20T00:00:59Z", "2026-11-20T00:01:00+01:00", "2026-11-20"];
const URIS: &[&str] = &["/api/v1/pods?limit=500&x=a1b", "/api/v1/pods?limit=7&x=a22b", "/api/v2/pods?watch=true", "/healthz", "/a?x=#&y=1"];

fn random_event(random: &mut Random, number: usize) -> Event {
    let long = "Long".repeat(random.below(2) * 100);
    let null = random.of(&["null", "true", "1.5", "\"x\"", "[]", "{}", "[1,null,\"a.b\"]"]);
    event(&format!(
        r#"{{"t":{},"n":{number},"verb":"{}","user":["{}","{}"],"ip":"{}","port":{},"message":"{}","entity":["user:{}"],"o":{{"a.b":"{long}v{}","c":{null}}},"resourceVersion":"{}","uid":"{}","at":"{}","requestURI":"{}"}}"#,
        1_000_000_000 * random.below(40),
        random.of(VERBS),
        random.of(USERS),
        random.of(USERS),
        random.of(IPS),
        random.below(100),
        random.of(MESSAGES),
        random.of(USERS),
        random.below(3),
        random.below(5),
        random.of(UIDS),
        random.of(TIMES),
        random.of(URIS),
    ))
}

fn wild(pattern: &str) -> Wild {
    let mut parts = Vec::new();
    for c in pattern.to_lowercase().chars() {
        match (c, parts.last_mut()) {
            ('*', _) => parts.push(WildPart::Many),
            ('?', _) => parts.push(WildPart::One),
            (c, Some(WildPart::Text(text))) => text.push(c),
            (c, _) => parts.push(WildPart::Text(c.to_string())),
        }
    }
    Wild { parts }
}

fn field(name: &str, test: ValueTest) -> Query {
    Query::Field { field: FieldRef::parse(name).expect("a test's field is known"), test }
}

fn random_query(random: &mut Random, depth: usize) -> Query {
    const NAMES: &[&str] = &[
        "k8s.verb",
        "actor.user.name",
        "verb",
        "user",
        "o.a.b",
        "o.c",
        "message",
        "dst.port",
        "src.ip",
        "resourceVersion",
        "absent",
        "entity",
        "event.kind",
        "uid",
        "at",
        "requestURI",
    ];
    const PATTERNS: &[&str] = &[
        "get",
        "al*",
        "*o*",
        "b?b",
        "*",
        "ünal",
        "system:node:n1",
        "v1",
        "*v2",
        "long*",
        "l?n*v?",
        "null",
        "1",
        "a.b",
        "x",
        "3",
        "80",
        "9a18*",
        "jti=*",
        "jti=015b*",
        "*4d8f*",
        "*zz*",
        "9a189e4c-4d8f-f136-f007-bbbf3fd94dc5",
        "jti=015b96e0-8A63-5b50-bc22-d554c311b5c8",
        "2026-11-20t00:00:59z",
        "2026-11-20t00:00:2*",
        "2026-11-20",
        "*:59*",
        "/api/*",
        "/api/v1/pods?limit=500&x=a1b",
        "*limit*",
        "*limit=5*",
        "*=?&*",
        "*x=a?b",
        "*a22b",
        "*#*",
        "/api/v1/pods*x=a*b",
        "*2*b",
        "/api/v2/pods\u{0}",
        "*watch=true",
    ];
    let (names, patterns) = (NAMES, PATTERNS);
    match random.below(if depth > 3 { 6 } else { 10 }) {
        0 | 1 => field(random.of(names), ValueTest::Wild(wild(random.of(patterns)))),
        2 => field(random.of(names), ValueTest::Exists),
        3 => {
            let low = [Bound::Open, Bound::Inclusive("20".to_owned()), Bound::Exclusive("b".to_owned()), Bound::Exclusive("1".to_owned())];
            let high = [Bound::Open, Bound::Inclusive("70".to_owned()), Bound::Exclusive("p".to_owned())];
            field(random.of(names), ValueTest::Range { low: low[random.below(4)].clone(), high: high[random.below(3)].clone() })
        }
        4 => match random.below(3) {
            0 => field("src.ip", ValueTest::Cidr { net: "10.0.0.0".parse().unwrap(), bits: [0, 8, 16, 32][random.below(4)] }),
            1 => Query::Phrase(random.of(&["shell opened", "opened a", "web 0", "in web", "0"]).to_owned()),
            _ => {
                let low = Bound::Inclusive("1970-01-01T00:00:10Z".to_owned());
                field("event.time", ValueTest::Range { low, high: Bound::Exclusive("1970-01-01T00:00:30Z".to_owned()) })
            }
        },
        5 => Query::Word(wild(random.of(&["shell", "web", "alice", "user:bob", "open*", "*e*", "80", "other"]))),
        6 | 7 => Query::And((0..random.below(4)).map(|_| random_query(random, depth + 1)).collect()),
        8 => Query::Or((0..random.below(4)).map(|_| random_query(random, depth + 1)).collect()),
        _ => Query::Not(Box::new(random_query(random, depth + 1))),
    }
}

fn open(path: &FilePath, clock: &Clock) -> EventLog {
    EventLog::open(LogSettings { part_events_max: 120, ..LogSettings::at(path) }, clock.clone(), Arc::new(Plain)).expect("the log opens")
}

fn upto(position: u64) -> Checkpoint {
    let mut checkpoint = Checkpoint::default();
    checkpoint.advance(&PartitionId::from("p"), Position(position));
    checkpoint
}

fn clock() -> Clock {
    Clock::simulated(Timestamp::from_seconds(0))
}

/// All pages of a query, by id.
fn pages(searcher: &Searcher, query: &Query, limit: usize) -> Vec<(i64, EventId)> {
    let mut request = SearchRequest { limit, ..SearchRequest::new(query.clone()) };
    let mut found = Vec::new();
    loop {
        let answer = searcher.search(&request).expect("a search of sound data answers");
        assert!(!answer.partial && answer.total.exact, "{query:?}");
        found.extend(answer.events.iter().map(|hit| (hit.time.nanos(), hit.id)));
        request.cursor = answer.next_cursor;
        if request.cursor.is_none() {
            assert_eq!(answer.total.value, found.len() as u64, "{query:?}");
            assert_eq!(uncounted(searcher, query, limit), found, "{query:?}");
            return found;
        }
    }
}

/// As [`pages`], without counting.
fn uncounted(searcher: &Searcher, query: &Query, limit: usize) -> Vec<(i64, EventId)> {
    let mut request = SearchRequest { limit, is_counted: false, ..SearchRequest::new(query.clone()) };
    let mut found = Vec::new();
    loop {
        let answer = searcher.search(&request).expect("a search of sound data answers");
        found.extend(answer.events.iter().map(|hit| (hit.time.nanos(), hit.id)));
        request.cursor = answer.next_cursor;
        if request.cursor.is_none() {
            return found;
        }
    }
}

fn scan(events: &[Event], query: &Query) -> Vec<(i64, EventId)> {
    let mut found: Vec<_> = events.iter().filter(|e| query::matches(query, e)).map(|e| (e.time.nanos(), e.id)).collect();
    found.sort_by_key(|(time, id)| (std::cmp::Reverse(*time), *id));
    found
}

#[test]
fn a_search_answers_what_a_scan_would() {
    let dir = tempfile::tempdir().unwrap();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let events: Vec<Event> = (0..400).map(|n| random_event(&mut random, n)).collect();
    let log = open(dir.path(), &clock());
    for batch in events.chunks(37) {
        log.append_blocking(batch).unwrap();
        log.flush_blocking(&upto(1)).unwrap();
    }
    let mut check = |searcher: &Searcher| {
        for _ in 0..150 {
            let query = random_query(&mut random, 0);
            let limit = [1000, 23][random.below(2)];
            assert_eq!(pages(searcher, &query, limit), scan(&events, &query), "{query:#?}");
        }
    };
    check(&log.searcher());
    log.settle();
    check(&log.searcher());
    check(&EventLog::open_read_only(dir.path(), Arc::new(Plain)).unwrap());
}

#[test]
fn what_was_not_flushed_comes_again_and_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock();
    let mut random = Random(77);
    let events: Vec<Event> = (0..600).map(|n| random_event(&mut random, n)).collect();
    let mut next = 0_usize;
    while next < events.len() {
        let log = open(dir.path(), &clock);
        let checkpoint = log.writer_checkpoint();
        next = usize::try_from(checkpoint.get(&PartitionId::from("p")).0).unwrap();
        for _ in 0..=random.below(3) {
            let end = (next + 1 + random.below(60)).min(events.len());
            // A source that was not told how far it got repeats itself.
            log.append_blocking(&events[next.saturating_sub(random.below(20))..end]).unwrap();
            if random.below(3) == 0 {
                break;
            }
            next = end;
            log.flush_blocking(&upto(next as u64)).unwrap();
        }
        if random.below(3) == 0 {
            clock.advance(Duration::hours(1));
        }
        drop(log);
        spoil(dir.path(), &mut random);
    }
    let log = open(dir.path(), &clock);
    assert_eq!(pages(&log.searcher(), &Query::All, 50), scan(&events, &Query::All));
    let before = log.counts().stored;
    log.append_blocking(&events).unwrap();
    assert_eq!((log.counts().stored, log.counts().duplicates), (before, 600));
    for event in events.iter().step_by(97) {
        let hit = log.searcher().get(&event.id).unwrap().expect("it is stored");
        assert_eq!(hit.event.doc.text(), event.doc.text());
    }
}

/// What a crash can leave: bytes past the last commit, a log of ids that is too short, files half written.
fn spoil(path: &FilePath, random: &mut Random) {
    use std::io::Write;
    for entry in std::fs::read_dir(path.join("parts")).unwrap() {
        let dir = entry.unwrap().path();
        for name in ["raw.blk", "ids.log"] {
            if let Ok(mut file) = std::fs::File::options().append(true).open(dir.join(name)) {
                file.write_all(&vec![0xff; random.below(5000)]).unwrap();
            }
        }
        if random.below(2) == 0 {
            let _ = std::fs::remove_file(dir.join("ids.tab"));
            let _ = std::fs::remove_file(dir.join("ids.log"));
        }
        std::fs::write(dir.join("manifest.json.tmp"), b"{").unwrap();
    }
}

#[test]
fn hostile_events_are_kept_and_found() {
    let dir = tempfile::tempdir().unwrap();
    let labels: Vec<String> = (0..5000).map(|n| format!(r#""label-{n}":"value-{n}""#)).collect();
    let token = "Z".repeat(70_000);
    let events = [
        event(&format!(r#"{{"t":1,"big":"{token}"}}"#)),
        event(&format!(r#"{{"t":2,"labels":{{{}}},"last":"yes"}}"#, labels.join(","))),
        event(&format!(r#"{{"t":3,"deep":{}1{}}}"#, r#"{"a":"#.repeat(500), "}".repeat(500))),
        event(&format!(r#"{{"t":4,"message":"{} needle"}}"#, "word ".repeat(20_000))),
        event("{\"t\":5,\"odd\\u001f\\u001b\\u0000key\":\"a\\u0000b\\u001bc\"}"),
        event(r#"{"t":6,"":"","..":"dots"}"#),
    ];
    let log = open(dir.path(), &clock());
    log.append_blocking(&events).unwrap();
    log.flush_blocking(&upto(1)).unwrap();
    let queries = [
        field("big", ValueTest::Wild(wild(&token))),
        field("big", ValueTest::Wild(wild("zz*"))),
        field("labels.label-4999", ValueTest::Wild(wild("value-4999"))),
        field("last", ValueTest::Exists),
        field("deep.a", ValueTest::Exists),
        Query::Word(wild("needle")),
        field("odd\u{1f}\u{1b}\0key", ValueTest::Wild(wild("a\0b\u{1b}c"))),
        field("odd\u{1f}\u{1b}\0key", ValueTest::Wild(wild("a*c"))),
        field("..", ValueTest::Wild(wild("dots"))),
        Query::Not(Box::new(field("last", ValueTest::Exists))),
    ];
    for query in queries {
        assert_eq!(pages(&log.searcher(), &query, 100), scan(&events, &query), "{:.200}", format!("{query:?}"));
    }
    assert!(!scan(&events, &Query::Word(wild("needle"))).is_empty());
}

#[test]
fn groups_count_every_event_once_a_value() {
    let dir = tempfile::tempdir().unwrap();
    let mut random = Random(5);
    let events: Vec<Event> = (0..300).map(|n| random_event(&mut random, n)).collect();
    let log = open(dir.path(), &clock());
    for batch in events.chunks(50) {
        log.append_blocking(batch).unwrap();
        log.flush_blocking(&upto(1)).unwrap();
    }
    let by = [Bucket::Time(Duration::seconds(10)), Bucket::Field { field: FieldRef::Fact(Field::ActorUserName), size: 100 }];
    let Grouped { buckets: groups, total, partial, .. } = log.searcher().aggregate(&SearchRequest::new(Query::All), &by).unwrap();
    assert_eq!((total, partial, groups.len()), (Total { value: 300, exact: true }, false, 4));
    for group in &groups {
        let start = Timestamp::parse(&group.key).unwrap();
        let inside: Vec<&Event> = events.iter().filter(|e| e.time.bucket(Duration::seconds(10)) == start).collect();
        assert_eq!(group.count, inside.len() as u64);
        for value in &group.buckets {
            let name = value.key.to_lowercase();
            let expected = inside.iter().filter(|e| e.facts_of(Field::ActorUserName).iter().any(|v| v.to_lowercase() == name)).count();
            assert_eq!(value.count, expected as u64, "{}", value.key);
        }
    }
    let names: HashSet<String> = log.searcher().fields(&Budget::default()).unwrap().0.into_iter().map(|field| field.name).collect();
    assert!(["k8s.verb", "o.a.b", "message"].iter().all(|name| names.contains(*name)), "{names:?}");
}

#[test]
fn values_that_share_a_term_are_counted_from_the_events() {
    let dir = tempfile::tempdir().unwrap();
    let mut random = Random(11);
    let events: Vec<Event> = (0..300).map(|n| random_event(&mut random, n)).collect();
    let log = open(dir.path(), &clock());
    log.append_blocking(&events).unwrap();
    log.flush_blocking(&upto(1)).unwrap();
    let request = SearchRequest::new(field("verb", ValueTest::Wild(wild("*e*"))));
    for name in ["uid", "at", "requestURI", "resourceVersion", "user", "actor.user.name", "o.a.b"] {
        let by = FieldRef::parse(name).unwrap();
        let mut expected = std::collections::BTreeMap::<String, u64>::new();
        for event in events.iter().filter(|event| query::matches(&request.query, event)) {
            let mut own = std::collections::BTreeSet::new();
            event.each(&by, |value| {
                own.insert(value.text.to_lowercase());
            });
            own.into_iter().for_each(|value| *expected.entry(value).or_default() += 1);
        }
        let stats = log.searcher().aggregate(&request, &[Bucket::Stats { field: by.clone() }]).unwrap();
        let told = stats.stats.map(|stats| (stats.cardinality, stats.count));
        assert_eq!((told, stats.partial), (Some((expected.len() as u64, expected.values().sum())), false), "{name}");
        let Grouped { buckets: groups, partial, .. } = log.searcher().aggregate(&request, &[Bucket::Field { field: by, size: 100 }]).unwrap();
        let found = groups.into_iter().map(|group| (group.key.to_lowercase(), group.count)).collect();
        assert_eq!((expected, false), (found, partial), "{name}");
    }
}

#[test]
fn a_name_parted_in_very_many_ways_is_not_remembered() {
    // `a.a.a...` as one key, as two keys, ...: one field, and a path for each.
    let parted = |ways: std::ops::Range<u32>| {
        let object = |way: u32| {
            let keys = (0..15).fold("\"a".to_owned(), |text, at| text + if way >> at & 1 == 1 { "\":{\"a" } else { ".a" });
            format!("{{{keys}\":1{}}}", "}".repeat(way.count_ones() as usize))
        };
        event(&format!(r#"{{"t":1,"l":[{}]}}"#, ways.map(object).collect::<Vec<_>>().join(",")))
    };
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), &clock());
    let events: Vec<Event> = (0..32).map(|n| parted(n * 750..(n + 1) * 750)).collect();
    let mut indexer = crate::store::index::Indexer::default();
    for event in &events {
        indexer.push(event, crate::store::raw::Loc(0));
    }
    assert!(indexer.known_paths() > 20_000, "{}", indexer.known_paths());
    indexer.forget_if_many(true);
    assert_eq!(indexer.known_paths(), 0);
    log.append_blocking(&events).unwrap();
    log.flush_blocking(&upto(1)).unwrap();
    let name = format!("l.{}", vec!["a"; 16].join("."));
    assert_eq!(log.searcher().count(&SearchRequest::new(field(&name, ValueTest::Exists))).unwrap().value, 32);
}

#[test]
fn one_writer_and_no_other_format() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), &clock());
    let again = EventLog::open(LogSettings::at(dir.path()), clock(), Arc::new(Plain));
    assert!(matches!(again, Err(StoreError::Held { holder, .. }) if holder.contains(&std::process::id().to_string())));
    drop(log);
    let with = |format: &str| {
        std::fs::write(dir.path().join("format_version"), format).unwrap();
        EventLog::open(LogSettings::at(dir.path()), clock(), Arc::new(Plain))
    };
    assert!(matches!(with("4"), Err(StoreError::Newer { found: 4, .. })));
    assert!(matches!(with("1"), Err(StoreError::Older { found: 1, .. })));
    let request = SearchRequest { cursor: Some("00".repeat(28)), ..SearchRequest::new(Query::All) };
    let searcher = Searcher::new(Arc::new(arc_swap::ArcSwap::from_pointee(Vec::new())), Arc::new(Plain));
    assert!(matches!(searcher.search(&request), Err(SearchError::BadCursor)));
}

#[test]
fn a_part_opens_without_the_list_of_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let mut random = Random(3);
    let events: Vec<Event> = (0..10).map(|n| random_event(&mut random, n)).collect();
    let log = open(dir.path(), &clock());
    log.append_blocking(&events).unwrap();
    log.flush_blocking(&upto(1)).unwrap();
    drop(log);
    let part = std::fs::read_dir(dir.path().join("parts")).unwrap().next().unwrap().unwrap().path();
    for damaged in [&b"[\"meta.js"[..], b""] {
        std::fs::write(part.join(".managed.json"), damaged).unwrap();
        let log = open(dir.path(), &clock());
        assert_eq!(log.searcher().count(&SearchRequest::new(Query::All)).unwrap().value, 10, "{damaged:?}");
    }
}
