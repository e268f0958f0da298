//! Against a real S3 server, and a real queue: `tests/live/up --only "s3 sqs" cargo test --test it live_`, or with servers of one's own
//! `LIVE=1 BARTIZAN_LIVE_S3='ENDPOINT KEY SECRET REGION' BARTIZAN_LIVE_SQS=URL cargo test --test it live_`.

use std::path::Path;

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, RequestChecksumCalculation};
use aws_sdk_s3::primitives::ByteStream;

use crate::service::{Service, client, json, setting, until};
use crate::windows::{self, push, reads};

/// Objects of the ordinary live run; `BARTIZAN_OBJECTS=2000` is the full one.
const OBJECTS: usize = 400;
const EVENTS_EACH: usize = 25;
/// Events of an object of the flood.
const FLOOD_EACH: usize = 2_000;

/// Where the server is and how it is spoken to.
struct Server {
    endpoint: String,
    key: String,
    secret: String,
    region: String,
}

/// The server under test, or `None` with a word on why not.
fn server() -> Option<Server> {
    let live = setting("LIVE").is_some_and(|live| live == "1");
    let words = setting("BARTIZAN_LIVE_S3").filter(|_| live)?;
    let mut words = words.split_whitespace().map(str::to_owned);
    Some(Server { endpoint: words.next()?, key: words.next()?, secret: words.next()?, region: words.next()? })
}

/// One object: so many lines, some with `:` in the key's name as exporters write them.
fn object(n: usize, events: usize) -> (String, String) {
    let line = |event: usize| {
        format!(
            r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"{n:08x}-0000-4000-8000-{event:012x}","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/shop/pods/p{event}","verb":"get","user":{{"username":"alice"}},"objectRef":{{"resource":"pods","namespace":"shop","name":"p{event}","apiVersion":"v1"}},"responseStatus":{{"code":200}},"requestReceivedTimestamp":"2026-01-01T00:00:00.{event:06}Z","stageTimestamp":"2026-01-01T00:00:01.{event:06}Z"}}"#
        )
    };
    let lines: Vec<String> = (0..events).map(line).collect();
    (format!("AUDIT/cat1/2026-01-01-00:{:02}:{:02}-{n:05}", n / 60 % 60, n % 60), lines.join("\n"))
}

impl Server {
    fn client(&self) -> aws_sdk_s3::Client {
        let credentials = Credentials::new(&self.key, &self.secret, None, None, "test");
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(self.region.clone()))
            .endpoint_url(&self.endpoint)
            .force_path_style(true)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .credentials_provider(credentials);
        aws_sdk_s3::Client::from_conf(config.build())
    }
}

async fn fill(server: &Server, bucket: &str, objects: usize, events: usize) {
    let client = server.client();
    client.create_bucket().bucket(bucket).send().await.unwrap();
    for n in 0..objects {
        let (key, body) = object(n, events);
        client.put_object().bucket(bucket).key(key).body(ByteStream::from(body.into_bytes())).send().await.unwrap();
    }
}

/// The tables of a source that reads the bucket.
fn config(server: &Server, bucket: &str, dir: &Path) -> String {
    let file = |name: &str, text: &str| {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    format!(
        "[[source]]\nname = \"bucket\"\nkind = \"s3\"\nbucket = \"{bucket}\"\nprefix = \"AUDIT/\"\nendpoint = \"{}\"\nregion = \"{}\"\npath_style = true\naccess_key = \"file:{}\"\nsecret_key = \"file:{}\"\n",
        server.endpoint,
        server.region,
        file("key", &server.key),
        file("secret", &server.secret),
    )
}

#[test]
fn live_a_bucket_is_read_once_over_two_kills() {
    let Some(server) = server() else {
        eprintln!("skipped: needs LIVE=1 and BARTIZAN_LIVE_S3");
        return;
    };
    let objects = setting("BARTIZAN_OBJECTS").and_then(|objects| objects.parse().ok()).unwrap_or(OBJECTS);
    let events = objects * EVENTS_EACH;
    let dir = tempfile::tempdir().unwrap();
    let (runtime, client) = client();
    runtime.block_on(async {
        let bucket = format!("bartizan-{}", std::process::id());
        fill(&server, &bucket, objects, EVENTS_EACH).await;
        let (data, config) = (dir.path().join("data"), config(&server, &bucket, dir.path()));
        let found = |service: &Service| format!("{}/api/v1/events/search?limit=0", service.url);
        for part in [8, 2] {
            let service = Service::start(&data, &config);
            let seen = until(&client, &found(&service), |answer| answer["total"]["value"].as_u64() >= Some((events / part) as u64)).await;
            service.kill();
            let seen = seen["total"]["value"].as_u64().unwrap();
            eprintln!("killed with {seen} of {events} events visible");
            assert!(seen < events as u64, "killed while it pulls");
        }
        let service = Service::start(&data, &config);
        until(&client, &found(&service), |answer| answer["total"]["value"] == events).await;
        // Nothing comes twice by reading on.
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
        let total = json(client.get(found(&service))).await.1;
        assert_eq!(total["total"]["value"], events);
        for n in [0, objects / 2, objects - 1] {
            let one = format!("{}/api/v1/events/search?limit=0&query=auditID:{n:08x}*", service.url);
            assert_eq!(json(client.get(one)).await.1["total"]["value"], EVENTS_EACH, "object {n}");
        }
        service.kill();
    });
}

/// Objects of a wave of the queue's test.
const WAVE: usize = 60;

async fn put(server: &Server, bucket: &str, numbers: std::ops::Range<usize>, queue: &aws_sdk_sqs::Client, url: &str) {
    let client = server.client();
    for n in numbers {
        let (key, body) = object(n, EVENTS_EACH);
        client.put_object().bucket(bucket).key(&key).body(ByteStream::from(body.into_bytes())).send().await.unwrap();
        let record = serde_json::json!({"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": bucket}, "object": {"key": crate::fake_s3::encode(&key)}}});
        let body = serde_json::json!({ "Records": [record] }).to_string();
        queue.send_message().queue_url(url).message_body(body).send().await.unwrap();
    }
}

#[test]
fn live_a_queue_names_objects_at_once_over_two_kills() {
    let Some((server, queue)) = server().zip(setting("BARTIZAN_LIVE_SQS")) else {
        eprintln!("skipped: needs LIVE=1, BARTIZAN_LIVE_S3 and BARTIZAN_LIVE_SQS");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let (runtime, client) = client();
    runtime.block_on(async {
        let bucket = format!("bartizan-queue-{}", std::process::id());
        fill(&server, &bucket, WAVE, EVENTS_EACH).await;
        let credentials = Credentials::new("key", "secret", None, None, "test");
        let settings = aws_sdk_sqs::Config::builder().behavior_version(aws_sdk_sqs::config::BehaviorVersion::latest());
        let settings = settings.region(aws_sdk_sqs::config::Region::new("us-east-1")).endpoint_url(queue.trim()).credentials_provider(credentials);
        let queue = aws_sdk_sqs::Client::from_conf(settings.build());
        let url = queue.create_queue().queue_name(&bucket).send().await.unwrap().queue_url.unwrap();
        // No poll comes in the time of this test: only a start sweeps.
        let config = format!("{}poll_s = 3600\nqueue = \"{url}\"\n", config(&server, &bucket, dir.path()));
        let data = dir.path().join("data");
        let found = |service: &Service| format!("{}/api/v1/events/search?limit=0", service.url);
        let mut objects = WAVE;
        for is_killed in [true, true, false] {
            let service = Service::start(&data, &config);
            until(&client, &found(&service), |answer| answer["total"]["value"] == objects * EVENTS_EACH).await;
            let started = tokio::time::Instant::now();
            put(&server, &bucket, objects..objects + WAVE, &queue, &url).await;
            objects += WAVE;
            if !is_killed {
                until(&client, &found(&service), |answer| answer["total"]["value"] == objects * EVENTS_EACH).await;
                eprintln!("{WAVE} objects were found by the queue within {:.1} s of the first", started.elapsed().as_secs_f64());
            }
            service.kill();
        }
        let service = Service::start(&data, &config);
        until(&client, &found(&service), |answer| answer["total"]["value"] == objects * EVENTS_EACH).await;
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
        assert_eq!(json(client.get(found(&service))).await.1["total"]["value"], objects * EVENTS_EACH);
        service.kill();
    });
}

#[test]
fn live_a_flood_in_a_bucket_delays_no_other_source() {
    let Some(server) = server() else {
        eprintln!("skipped: needs LIVE=1 and BARTIZAN_LIVE_S3");
        return;
    };
    let objects = setting("BARTIZAN_OBJECTS").and_then(|objects| objects.parse().ok()).unwrap_or(OBJECTS) / 10;
    let dir = tempfile::tempdir().unwrap();
    let (runtime, client) = client();
    runtime.block_on(async {
        let bucket = format!("bartizan-flood-{}", std::process::id());
        fill(&server, &bucket, objects, FLOOD_EACH).await;
        let config = format!("{}{}", windows::config(dir.path(), windows::RULES), config(&server, &bucket, dir.path()));
        let service = Service::start(&dir.path().join("data"), &config);
        let found = format!("{}/api/v1/events/search?limit=0&query=actor.user.name:alice", service.url);
        until(&client, &found, |answer| answer["total"]["value"].as_u64() > Some(0)).await;
        let fives = |answer: &serde_json::Value, user: &str| windows::alerts_of(answer, user).iter().filter(|alert| alert["count"] == 5).count();
        let mut delays: Vec<f64> = Vec::new();
        let flooded = loop {
            let user = format!("user{}", delays.len());
            push(&client, &service, reads(&user, 0..5)).await;
            let start = tokio::time::Instant::now();
            until(&client, &format!("{}/api/v1/alerts?limit=1000&entity=user:{user}", service.url), |answer| fives(answer, &user) == 2).await;
            delays.push(start.elapsed().as_secs_f64());
            let flooded = json(client.get(&found)).await.1["total"]["value"].as_u64().unwrap();
            if flooded == (objects * FLOOD_EACH) as u64 || delays.len() == 300 {
                break flooded;
            }
        };
        delays.sort_by(f64::total_cmp);
        let at = |share: usize| delays[(delays.len() * share).div_ceil(100) - 1];
        eprintln!("{} pushes beside {flooded} events of the flood: {:.2} s until the alert in the middle, {:.2} s p99", delays.len(), at(50), at(99));
        // A debug build under load is slower: the figure is for a release build.
        assert!(at(50) < 10.0, "{delays:?}");
        service.kill();
    });
}
