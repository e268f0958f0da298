//! A bucket through faults: every object is read, however it is named, whenever it comes and whatever goes wrong, and none twice.
//! `BARTIZAN_OBJECTS=20000` is the full run, `BARTIZAN_LARGE_MIB=3584` the object that no memory holds.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bartizan::clock::Clock;
use bartizan::codec::Codec;
use bartizan::detect::engine::{Engine, EngineSettings};
use bartizan::model::{Checkpoint, Duration as Span, EventId, Position, Timestamp};
use bartizan::pipeline::{Ledger, Worker, WorkerSettings};
use bartizan::ports::Source;
use bartizan::source::s3::{S3Settings, S3Source};

use crate::fake_s3::{FakeS3, Fault, MODIFIED_S, Order, encode};
use crate::service::setting;

/// Objects of the ordinary run.
const OBJECTS: usize = 600;
/// Events of an object when it is put.
const EVENTS_EACH: usize = 4;
/// From one checkpoint to the next, in envelopes.
const FLUSH_EVERY: usize = 20;
/// From one crash to the next, in envelopes, at least; there are two in a small run.
const CRASH_EVERY: usize = 97;

fn size(name: &str, ordinary: usize) -> usize {
    setting(name).and_then(|size| size.parse().ok()).unwrap_or(ordinary)
}

/// Numbers that are the same on every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

fn lines(object: usize, events: std::ops::Range<usize>) -> String {
    let line = |event: usize| {
        format!(
            "{{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",\"level\":\"Metadata\",\"auditID\":\"{object:08x}-{event:08x}\",\"stage\":\"ResponseComplete\",\"requestURI\":\"/api/v1/namespaces/shop/pods/p{event}\",\"verb\":\"get\",\"user\":{{\"username\":\"alice\"}},\"objectRef\":{{\"resource\":\"pods\",\"namespace\":\"shop\",\"name\":\"p{event}\",\"apiVersion\":\"v1\"}},\"responseStatus\":{{\"code\":200}},\"requestReceivedTimestamp\":\"2026-01-01T00:00:00.000001Z\",\"stageTimestamp\":\"2026-01-01T00:00:01.000001Z\"}}\n"
        )
    };
    events.map(line).collect()
}

/// A key as real writers spell them, and as nobody should.
fn key(n: usize) -> String {
    let (hour, minute, second) = (n / 3_600 % 24, n / 60 % 60, n % 60);
    let time = format!("{hour:02}:{minute:02}:{second:02}");
    match n % 12 {
        0 => format!("AUDIT/cat{}/2026-01-01-{time}-x{n:05}", n % 5),
        1 => format!("k8s-cilium-flow-logs//2026-01-01T{time}.{n}Z.json"),
        2 => format!("cloudaudit.googleapis.com/activity/2026/01/01/{time}_S{n}:17673.json"),
        3 => format!("cloudaudit.googleapis.com/activity/2026/01/01/{time}_A{n}:17673.json"),
        4 => format!("FALCO/prod/2026-01-01/2026-01-01T{time}.{n}+03:00.json"),
        5 => format!("{:08x}-4c55-9a6e-{n:012x}", n.wrapping_mul(2_654_435_761) & 0xffff_ffff),
        6 => format!("/leading/{n}"),
        7 => format!("up/../down/./{n}"),
        8 => format!("lines\nand\ttabs/{n}"),
        9 => format!("percent%41%2F+ {n}"),
        10 => format!("long/{}/{n}", "k".repeat(1_024 - 6 - n.to_string().len())),
        _ => format!("ü-日本/&<'>\"/{n}"),
    }
}

fn fault(dice: &mut Dice, len: usize) -> Fault {
    let at = dice.roll(len.max(1) as u64) as usize;
    match dice.roll(11) {
        0 => Fault::Status(500, "InternalError"),
        1 => Fault::SlowDown(0),
        2 => Fault::Hang(Duration::from_millis(400)),
        3 => Fault::Reset(at),
        4 => Fault::Short(at),
        5 => Fault::Long(1),
        6 => Fault::Other,
        7 => Fault::Status(404, "NoSuchKey"),
        8 => Fault::Status(403, "AccessDenied"),
        9 => Fault::Status(429, "TooManyRequests"),
        _ => Fault::Status(400, "RequestTimeout"),
    }
}

/// The program from the bucket to events, with crashes.
struct Rig {
    settings: S3Settings,
    dir: tempfile::TempDir,
    clock: Clock,
    source: Option<S3Source>,
    worker: Worker,
    /// What would be durable, and what has been read beyond it.
    durable: (Checkpoint, BTreeSet<EventId>),
    reached: (Checkpoint, BTreeSet<EventId>),
    envelopes: usize,
    crash_every: usize,
    crashes: usize,
    notices: Vec<String>,
}

fn worker() -> Worker {
    let engine = Engine::new(Arc::default(), EngineSettings::default());
    Worker::new(engine, Arc::new(Ledger::default()), Arc::new(Codec), WorkerSettings::default())
}

impl Rig {
    async fn start(server: &FakeS3, crash_every: usize) -> Self {
        let settings = S3Settings {
            endpoint: Some(server.endpoint.clone()),
            path_style: true,
            keys: Some(("key".to_owned(), "secret".to_owned())),
            queue: Some(server.queue()),
            poll: Duration::from_millis(50),
            backoff: Duration::from_millis(1),
            timeout: Duration::from_millis(300),
            ..S3Settings::new("bucket".into(), "logs")
        };
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::simulated(Timestamp::from_nanos((MODIFIED_S + 24 * 3_600) * 1_000_000_000));
        let durable = (Checkpoint::default(), BTreeSet::new());
        let source = S3Source::open(settings.clone(), dir.path(), &durable.0, clock.clone()).await.unwrap();
        let reached = durable.clone();
        Self {
            settings,
            dir,
            clock,
            source: Some(source),
            worker: worker(),
            durable,
            reached,
            envelopes: 0,
            crash_every,
            crashes: 0,
            notices: Vec::new(),
        }
    }

    /// As the flow does it: what was decoded, and then how far that is.
    async fn step(&mut self) {
        let envelope = match tokio::time::timeout(Duration::from_millis(100), self.source.as_mut().unwrap().next()).await {
            Ok(Ok(envelope)) => envelope.unwrap(),
            Ok(Err(error)) => {
                assert!(error.is_transient(), "{error:?}");
                return;
            }
            // Time goes on, so that what is to be tried later is, and sweeps come.
            Err(_) => return self.clock.advance(Span::minutes(11)),
        };
        let mut batches = vec![self.worker.decode(&envelope)];
        if envelope.is_last {
            batches.extend(self.worker.end(&envelope.origin.partition));
        }
        let upto = self.worker.reached(&envelope);
        for event in batches.iter().flat_map(|batch| &batch.events) {
            self.reached.1.insert(event.id);
        }
        self.notices.extend(envelope.notices.iter().map(|notice| notice.what.name().to_owned()));
        if upto != Position(0) {
            self.reached.0.advance(&envelope.origin.partition, upto);
        }
        self.envelopes += 1;
        if self.envelopes.is_multiple_of(self.crash_every) {
            self.crash().await;
        } else if self.envelopes.is_multiple_of(FLUSH_EVERY) {
            self.durable = self.reached.clone();
        }
    }

    async fn crash(&mut self) {
        self.crashes += 1;
        self.reached = self.durable.clone();
        self.worker = worker();
        drop(self.source.take());
        self.source = S3Source::open(self.settings.clone(), self.dir.path(), &self.durable.0, self.clock.clone()).await.ok();
    }

    /// Goes on until so many events are there.
    async fn until(&mut self, events: usize) {
        let started = tokio::time::Instant::now();
        while self.reached.1.len() < events {
            self.step().await;
            assert!(started.elapsed() < Duration::from_secs(600), "{} of {events} events", self.reached.1.len());
        }
    }
}

fn notify(server: &FakeS3, dice: &mut Dice, key: &str) {
    let record = serde_json::json!({"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "logs"}, "object": {"key": encode(key)}}});
    // Some never come, some twice.
    for _ in 0..dice.roll(3) {
        server.notify(&serde_json::json!({ "Records": [record] }).to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_object_is_read_once_through_all_faults() {
    let objects = size("BARTIZAN_OBJECTS", OBJECTS);
    for order in [Order::Folders, Order::Backwards] {
        through_faults(objects / 2, order).await;
    }
}

async fn through_faults(objects: usize, order: Order) {
    let server = FakeS3::start().await;
    (server.shelf.lock().unwrap().page, server.shelf.lock().unwrap().order) = (50, order);
    let mut dice = Dice(7);
    let mut rig = Rig::start(&server, CRASH_EVERY.max(objects / 10) | 1).await;
    let (mut expected, mut content, mut faults) = (0, 0_u64, 0);
    let waves = 5;
    for wave in 0..waves {
        let old = server.shelf.lock().unwrap().objects.clone();
        server.shelf.lock().unwrap().old = old;
        for n in (0..objects).filter(|n| n * 7 % waves == wave) {
            // Those of later waves are written later, but carry names and, some, times from before.
            let modified_s = MODIFIED_S + if n % 3 == 0 { 0 } else { wave as i64 * 660 };
            let text = lines(n, 0..EVENTS_EACH);
            let text = if n % 2 == 0 { text } else { text.trim_end().to_owned() };
            let body = if n % 10 == 3 { super::traps::gzip(text.as_bytes()) } else { text.into_bytes() };
            (expected, content) = (expected + EVENTS_EACH, content + body.len() as u64);
            if dice.roll(10) == 0 {
                faults += 1;
                server.fault(&key(n), [fault(&mut dice, body.len())]);
            }
            server.put_at(&key(n), body, modified_s);
            notify(&server, &mut dice, &key(n));
        }
        server.put("empty", "");
        let listing = [Fault::Not, Fault::Stale, Fault::Not, Fault::Token, Fault::Status(503, "SlowDown"), Fault::Hang(Duration::from_millis(400))];
        server.fault("", listing);
        rig.until(expected).await;
    }
    // What grows, and what is replaced: all of it has been read by now.
    let (mut overwritten, changed) = (0, (0..objects).filter(|n| n % 10 != 3 && n % 29 == 0));
    for n in changed {
        let (body, new) = if n % 58 == 0 { (lines(n, 100..102), 2) } else { (lines(n, 0..EVENTS_EACH + 3), 3) };
        overwritten += usize::from(n % 58 == 0);
        content += if n % 58 == 0 { body.len() as u64 } else { lines(n, EVENTS_EACH..EVENTS_EACH + 3).len() as u64 };
        server.put_at(&key(n), body.into_bytes(), MODIFIED_S + 3_600);
        expected += new;
    }
    rig.until(expected).await;
    // Nothing more comes.
    for _ in 0..20 {
        rig.step().await;
    }
    assert_eq!(rig.reached.1.len(), expected, "each event once");
    let shelf = server.shelf.lock().unwrap();
    let (sent, methods) = (shelf.sent, shelf.methods.clone());
    let reread = sent.saturating_sub(content);
    let share = reread as f64 * 100.0 / content as f64;
    eprintln!(
        "{objects} objects, {expected} events, {} crashes, {faults} faults of objects, {overwritten} replaced: missed 0, twice 0; {sent} bytes sent of {content}, {share:.2} % again",
        rig.crashes
    );
    // Each is told, and after a crash it may be told again.
    let told = rig.notices.iter().filter(|what| *what == "overwritten").count();
    assert!(told >= overwritten, "{told} of {overwritten} replacements were told");
    assert!(methods.iter().all(|method| method == "GET" || method.starts_with("POST AmazonSQS.")), "{methods:?}");
    // In a small run a crash is a large share.
    assert!(share <= if objects < 2_000 { 30.0 } else { 5.0 }, "{share}");
}

/// A gzip member of stored lines, of which each takes as many bytes as any other.
fn member(n: u64, events: usize) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    encoder.write_all(lines(usize::try_from(n).unwrap(), 0..events).as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
    line.split_whitespace().next().unwrap_or("0").parse::<u64>().unwrap_or(0) >> 10
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_no_memory_holds() {
    const EVENTS: usize = 10;
    let mib = size("BARTIZAN_LARGE_MIB", 12) as u64;
    let len = member(0, EVENTS).len() as u64;
    let members = (mib << 20) / len;
    let server = FakeS3::start().await;
    let made = move |range: std::ops::Range<u64>| {
        let mut bytes = Vec::new();
        for n in range.start / len..range.end.div_ceil(len) {
            let whole = member(n, EVENTS);
            let (from, to) = (range.start.saturating_sub(n * len), (range.end - n * len).min(len));
            bytes.extend_from_slice(&whole[from as usize..to as usize]);
        }
        bytes
    };
    server.put_made("big.gz", members * len, Arc::new(made));
    let settings = S3Settings {
        endpoint: Some(server.endpoint.clone()),
        path_style: true,
        keys: Some(("key".to_owned(), "secret".to_owned())),
        polls_max: Some(1),
        ..S3Settings::new("bucket".into(), "logs")
    };
    let (dir, mut checkpoint) = (tempfile::tempdir().unwrap(), Checkpoint::default());
    let (mut worker, mut events, mut most, mut twice) = (worker(), 0_u64, 0, 0);
    let before = resident_mib();
    let started = tokio::time::Instant::now();
    let mut stop_at = members * EVENTS as u64 / 2;
    let mut source = S3Source::open(settings.clone(), dir.path(), &checkpoint, Clock::System).await.unwrap();
    while let Some(envelope) = source.next().await.unwrap() {
        let batch = worker.decode(&envelope);
        let rest = if envelope.is_last { worker.end(&envelope.origin.partition) } else { None };
        assert!(envelope.rejects.is_empty());
        checkpoint.advance(&envelope.origin.partition, worker.reached(&envelope));
        events += batch.events.len() as u64 + rest.map_or(0, |batch| batch.events.len() as u64);
        worker.flushed();
        most = most.max(resident_mib());
        if events >= stop_at {
            // Half of the way everything is lost but the checkpoint: the rest is gone on with, and no event comes again.
            stop_at = u64::MAX;
            twice += 1;
            drop(source);
            worker = self::worker();
            source = S3Source::open(settings.clone(), dir.path(), &checkpoint, Clock::System).await.unwrap();
        }
    }
    let took = started.elapsed().as_secs_f64();
    eprintln!("{mib} MiB of gzip, {events} events in {took:.1} s, stopped {twice} time: memory grew by {} MiB at most, from {before}", most - before);
    assert_eq!(events, members * EVENTS as u64);
    assert!(most - before <= 256, "{before} {most}");
}
