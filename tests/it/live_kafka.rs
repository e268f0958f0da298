//! Against a real broker, which the tests start, kill and damage: `LIVE=1 BARTIZAN_LIVE_KAFKA=DIR cargo test --features scale --test it live_kafka`, where
//! DIR is a folder for `tests/live/kafka`.

mod broker;
mod faults;

use std::path::Path;

use serde_json::Value;

use self::broker::Broker;
use crate::service::{Service, client, json, setting, until};

/// Messages of the ordinary run; `BARTIZAN_MESSAGES=100000` is the full one.
const MESSAGES: usize = 4_000;

/// One audit event by number.
fn audit(n: usize) -> String {
    format!(
        r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"{n:08x}-0000-4000-8000-000000000000","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/shop/pods/p{n}","verb":"get","user":{{"username":"alice"}},"objectRef":{{"resource":"pods","namespace":"shop","name":"p{n}","apiVersion":"v1"}},"responseStatus":{{"code":200}},"requestReceivedTimestamp":"2026-01-01T00:00:00.000000Z","stageTimestamp":"2026-01-01T00:00:01.000000Z"}}"#
    )
}

/// The table of one source.
fn source(name: &str, broker: &str, topics: &str, more: &str) -> String {
    format!(
        "[[source]]\nname = \"{name}\"\nkind = \"kafka\"\ncluster = \"{name}\"\ngroup = \"{name}\"\nbrokers = [\"{broker}\"]\ntopics = [{topics}]\n{more}\n"
    )
}

fn count_url(service: &Service, query: &str) -> String {
    format!("{}/api/v1/events/search?limit=0&query={}", service.url, query.replace(' ', "%20"))
}

/// Waits until so many events are found, and that there are no more of them.
async fn exactly(client: &reqwest::Client, service: &Service, query: &str, expected: usize) {
    let url = count_url(service, query);
    until(client, &url, |answer| answer["total"]["value"].as_u64() >= Some(expected as u64)).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(json(client.get(&url)).await.1["total"]["value"], expected, "{query}");
}

/// What the service says of a source.
async fn told(client: &reqwest::Client, service: &Service, name: &str) -> Value {
    let all = json(client.get(format!("{}/api/v1/sources", service.url))).await.1;
    all["sources"].as_array().unwrap().iter().find(|source| source["name"] == name).cloned().unwrap_or_default()
}

/// Waits until what a source tells is right.
async fn until_told(client: &reqwest::Client, service: &Service, name: &str, is_right: impl Fn(&Value) -> bool) -> Value {
    let find = |all: &Value| all["sources"].as_array().and_then(|all| all.iter().find(|source| source["name"] == name).cloned()).unwrap_or_default();
    find(&until(client, &format!("{}/api/v1/sources", service.url), |all| is_right(&find(all))).await)
}

/// Runs a case against a broker of its own, or says why not.
fn live(name: &str, case: impl AsyncFn(&Broker, &reqwest::Client, &Path)) {
    let asked = setting("LIVE").is_some_and(|live| live == "1");
    let Some(dir) = setting("BARTIZAN_LIVE_KAFKA").filter(|_| asked) else {
        eprintln!("skipped: needs LIVE=1 and BARTIZAN_LIVE_KAFKA");
        return;
    };
    let (runtime, client) = client();
    let dir = tempfile::Builder::new().prefix(name).tempdir_in(dir).unwrap();
    let broker = Broker::start(&dir.path().join("broker"));
    runtime.block_on(case(&broker, &client, dir.path()));
}

#[test]
fn live_kafka_every_way_in_and_every_compression() {
    live("ways", async |broker, client, dir| {
        broker.topic("audit", 3).await;
        let mut n = 0;
        for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
            broker.produce("audit", n..n + 200, &[("compression.type", codec)]);
            n += 200;
        }
        // Of three transactions the middle one is taken back: its messages stand in the log and are none.
        for (begin, is_kept) in [(n, true), (n + 50, false), (n + 100, true), (n + 150, false)] {
            broker.transaction("audit", begin..begin + 50, is_kept);
        }
        let password = dir.join("password");
        std::fs::write(&password, &broker.password).unwrap();
        let shown = |mechanism: &str| {
            let (user, password, ca) = (&broker.user, password.display(), &broker.ca);
            format!("tls = true\ntls_ca = \"{ca}\"\nsasl = \"{mechanism}\"\nusername = \"{user}\"\npassword = \"file:{password}\"")
        };
        let mut config = source("clear", &broker.plain, "\"audit\"", "");
        for mechanism in ["plain", "scram-sha-256", "scram-sha-512"] {
            config += &source(mechanism, &broker.sasl, "\"^aud.*\"", &shown(mechanism));
        }
        let wrong = dir.join("wrong");
        std::fs::write(&wrong, "wrong").unwrap();
        config += &source("wrong", &broker.sasl, "\"audit\"", &shown("plain").replace(&password.display().to_string(), &wrong.display().to_string()));
        config += &source("no-ca", &broker.sasl, "\"audit\"", "tls = true");
        config += &source("missing", &broker.plain, "\"no-such-topic\"", "");
        let service = Service::start(&dir.join("data"), &config);
        for name in ["clear", "plain", "scram-sha-256", "scram-sha-512"] {
            exactly(client, &service, &format!("cluster:{name}"), n + 100).await;
            // Marks of transactions and what was taken back are behind us as well.
            let told = until_told(client, &service, name, |told| told["lag"]["amount"] == 0).await;
            assert_eq!(
                (&told["problem"], &told["own_counts"]["partitions"], &told["last_object"]),
                (&Value::Null, &3.into(), &"audit".into()),
                "{told}"
            );
        }
        for (name, problem) in [("wrong", "refuse the credentials"), ("no-ca", "no TLS session"), ("missing", "no such topic")] {
            until_told(client, &service, name, |told| told["problem"].as_str().is_some_and(|said| said.contains(problem))).await;
        }
        assert!(!service.said().contains(&broker.password), "the password is said nowhere");
        let complaints = service.said().lines().filter(|line| line.contains("refuse the credentials")).count();
        assert!(complaints <= 3, "{complaints} lines of one trouble");
        service.kill();
    });
}

#[test]
fn live_kafka_kills_of_the_service_and_the_broker_lose_and_repeat_nothing() {
    live("kills", async |broker, client, dir| {
        let messages = setting("BARTIZAN_MESSAGES").and_then(|messages| messages.parse().ok()).unwrap_or(MESSAGES);
        broker.topic("audit", 4).await;
        broker.produce("audit", 0..messages / 2, &[]);
        let (data, config) = (dir.join("data"), source("kafka", &broker.plain, "\"audit\"", ""));
        for part in [16, 8] {
            let service = Service::start(&data, &config);
            let seen =
                until(client, &count_url(&service, "cluster:kafka"), |answer| answer["total"]["value"].as_u64() >= Some((messages / part) as u64))
                    .await;
            service.kill();
            eprintln!("the service is killed with {} of {messages} events visible", seen["total"]["value"]);
        }
        let service = Service::start(&data, &config);
        until(client, &count_url(&service, "cluster:kafka"), |answer| answer["total"]["value"].as_u64() >= Some((messages / 4) as u64)).await;
        broker.kill();
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        until_told(client, &service, "kafka", |told| told["problem"].as_str().is_some_and(|said| said.contains("no broker can be reached"))).await;
        broker.again();
        broker.produce("audit", messages / 2..messages, &[]);
        exactly(client, &service, "cluster:kafka", messages).await;
        let told = until_told(client, &service, "kafka", |told| told["lag"]["amount"] == 0 && told["problem"].is_null()).await;
        assert_eq!(told["upstream_lost"], 0, "{told}");
        service.kill();
        // What the group was told is what is durable: for tools that look at its lag.
        let service = Service::start(&data, &config);
        exactly(client, &service, "cluster:kafka", messages).await;
        until_told(client, &service, "kafka", |told| told["own_counts"]["partitions"] == 4).await;
        assert_eq!(told_twice(&told), 0);
        service.kill();
        let committed = broker.committed("kafka", "audit", 4);
        assert_eq!(usize::try_from(committed).unwrap(), messages);
    });
}

/// Records that came although they were there already.
fn told_twice(told: &Value) -> u64 {
    told["counts"]["duplicates"].as_u64().unwrap_or_default()
}

#[test]
fn live_kafka_what_is_lost_or_replaced_while_nobody_reads_is_said() {
    live("losses", async |broker, client, dir| {
        broker.topic("cut", 2).await;
        broker.topic("made-anew", 1).await;
        broker.topic("grows", 1).await;
        broker.produce("cut", 0..100, &[]);
        broker.produce("made-anew", 100..200, &[]);
        broker.produce("grows", 200..300, &[]);
        let (data, config) = (dir.join("data"), source("kafka", &broker.plain, "\"cut\", \"made-anew\", \"grows\"", "instance = \"one\""));
        let service = Service::start(&data, &config);
        exactly(client, &service, "cluster:kafka event.kind:k8s_audit", 300).await;
        until_told(client, &service, "kafka", |told| told["lag"]["amount"] == 0).await;
        service.kill();
        // 60 more in each partition, of which the first 40 are deleted before they are read.
        broker.produce("cut", 300..420, &[]);
        broker.delete_records("cut", 2, 90).await;
        broker.delete_topic("made-anew").await;
        broker.topic("made-anew", 1).await;
        broker.produce("made-anew", 420..450, &[]);
        broker.partitions("grows", 3).await;
        broker.produce("grows", 450..510, &[]);
        let service = Service::start(&data, &config);
        exactly(client, &service, "cluster:kafka event.kind:k8s_audit", 300 + 40 + 30 + 60).await;
        exactly(client, &service, "event.kind:source_health event.action:gap", 2).await;
        exactly(client, &service, "event.kind:source_health event.action:recreated", 1).await;
        let told = until_told(client, &service, "kafka", |told| told["lag"]["amount"] == 0).await;
        assert_eq!((&told["upstream_lost"], &told["own_counts"]["partitions"]), (&80.into(), &6.into()), "{told}");
        service.kill();
        // It is found out once, and what comes next is read.
        broker.produce("made-anew", 510..520, &[]);
        let service = Service::start(&data, &config);
        exactly(client, &service, "cluster:kafka event.kind:k8s_audit", 440).await;
        exactly(client, &service, "event.kind:source_health", 3).await;
        service.kill();
    });
}

#[test]
fn live_kafka_a_damaged_batch_and_a_very_large_message_hold_nothing_up() {
    live("damage", async |broker, client, dir| {
        broker.topic("audit", 2).await;
        // One batch each, and the middle one is damaged where it lies.
        for begin in [0, 100, 200] {
            broker.produce_to("audit", 0, begin..begin + 100, &[("compression.type", "lz4"), ("linger.ms", "500")]);
        }
        broker.stop();
        broker.damage("audit", 0, 1);
        broker.again();
        broker.produce_to("audit", 1, 300..400, &[]);
        let large = format!(r#"{{"note":"{}"}}"#, "x".repeat(100 << 20));
        broker.send("audit", 1, &large);
        broker.produce_to("audit", 1, 400..410, &[]);
        let service = Service::start(&dir.join("data"), &source("kafka", &broker.plain, "\"audit\"", "message_bytes_max = 50000000"));
        exactly(client, &service, "cluster:kafka event.kind:k8s_audit", 200 + 110).await;
        exactly(client, &service, "event.kind:source_health event.action:gap", 1).await;
        exactly(client, &service, "event.kind:source_health event.action:too_long", 1).await;
        let told = told(client, &service, "kafka").await;
        assert_eq!(told["upstream_lost"], 100, "{told}");
        // The last batch of a log is damaged as well: it is skipped once something stands after it.
        service.kill();
        broker.produce_to("audit", 0, 500..600, &[("compression.type", "zstd"), ("linger.ms", "500")]);
        broker.stop();
        broker.damage("audit", 0, 3);
        broker.again();
        let service = Service::start(&dir.join("data"), &source("kafka", &broker.plain, "\"audit\"", "message_bytes_max = 50000000"));
        until_told(client, &service, "kafka", |told| told["problem"].as_str().is_some_and(|said| said.contains("a batch is damaged"))).await;
        broker.produce_to("audit", 0, 600..610, &[]);
        exactly(client, &service, "event.kind:source_health event.action:gap", 2).await;
        exactly(client, &service, "cluster:kafka event.kind:k8s_audit", 320).await;
        service.kill();
    });
}
