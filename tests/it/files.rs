//! Files that grow and are rotated while the service is killed: every line is found once.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::service::{Service, client, json, setting, until};

/// Kills in the ordinary run; `BARTIZAN_ROUNDS=50 cargo test --test it files` has more.
const ROUNDS: usize = 3;

/// Lines after which a file is rotated.
const LINES_PER_FILE: usize = 300;

fn rounds() -> usize {
    setting("BARTIZAN_ROUNDS").and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS)
}

/// An audit event as an API server writes it.
fn line(n: usize) -> String {
    format!(
        r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"{n:08x}-0000-4000-8000-000000000000","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/shop/pods/p{n}","verb":"get","user":{{"username":"alice","groups":["system:authenticated"]}},"sourceIPs":["10.0.0.1"],"objectRef":{{"resource":"pods","namespace":"shop","name":"p{n}","apiVersion":"v1"}},"responseStatus":{{"code":200}},"requestReceivedTimestamp":"2026-01-01T00:00:00.{:06}Z","stageTimestamp":"2026-01-01T00:00:01.{:06}Z"}}"#,
        n % 1_000_000,
        n % 1_000_000
    ) + "\n"
}

/// Writes lines, some of them in two halves, and rotates as lumberjack does; every third file is compressed.
fn write(dir: &Path, stop: &AtomicBool, written: &AtomicUsize) {
    let path = dir.join("audit.log");
    let open = || OpenOptions::new().create(true).append(true).open(&path).unwrap();
    let mut file = open();
    let mut archive: Option<PathBuf> = None;
    for n in 0.. {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let line = line(n);
        let (first, last) = line.split_at(if n % 7 == 0 { 100 } else { 0 });
        file.write_all(first.as_bytes()).unwrap();
        if n % 50 == 0 {
            std::thread::sleep(Duration::from_millis(20));
        }
        file.write_all(last.as_bytes()).unwrap();
        written.store(n + 1, Ordering::SeqCst);
        if n % LINES_PER_FILE == LINES_PER_FILE - 1 {
            if let Some(path) = archive.take() {
                let to = path.with_extension("gz.tmp");
                let mut encoder = flate2::write::GzEncoder::new(File::create(&to).unwrap(), flate2::Compression::fast());
                io::copy(&mut File::open(&path).unwrap(), &mut encoder).unwrap();
                encoder.finish().unwrap();
                fs::rename(&to, path.with_extension("gz")).unwrap();
                fs::remove_file(&path).unwrap();
            }
            let rotated = dir.join(format!("audit-{n}.log"));
            fs::rename(&path, &rotated).unwrap();
            archive = (n / LINES_PER_FILE % 3 == 2).then_some(rotated);
            file = open();
        }
    }
}

#[test]
fn lines_of_rotated_files_are_found_once_whenever_the_service_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("logs");
    fs::create_dir_all(&logs).unwrap();
    let data = dir.path().join("data");
    let source = format!(
        "[[source]]\nname = \"audit\"\nkind = \"file\"\ncluster_pattern = \"/(logs)/\"\npaths = [{:?}]\nexclude = [\"*.tmp\"]\n",
        logs.join("audit*")
    );
    let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let writer = {
        let (logs, stop, written) = (logs.clone(), Arc::clone(&stop), Arc::clone(&written));
        std::thread::spawn(move || write(&logs, &stop, &written))
    };
    let (runtime, client) = client();
    runtime.block_on(async {
        let mut total = 0;
        for round in 0..rounds() {
            let service = Service::start(&data, &source);
            let found = format!("{}/api/v1/events/search?limit=0&query=event.kind:k8s_audit", service.url);
            until(&client, &found, |answer| answer["total"]["value"].as_u64().unwrap_or(0) > total + 200).await;
            total = json(client.get(&found)).await.1["total"]["value"].as_u64().unwrap();
            tokio::time::sleep(Duration::from_millis(137 * (round as u64 % 9))).await;
            service.kill();
        }
        stop.store(true, Ordering::SeqCst);
        writer.join().unwrap();
        let written = written.load(Ordering::SeqCst) as u64;
        let service = Service::start(&data, &source);
        let count = |query: &str| format!("{}/api/v1/events/search?limit=0&query={query}", service.url);
        until(&client, &count("event.kind:k8s_audit"), |answer| answer["total"]["value"].as_u64().unwrap_or(0) >= written).await;
        // What could come twice would come with the archives, which wait until they are not written to.
        tokio::time::sleep(Duration::from_secs(7)).await;
        let sources = json(client.get(format!("{}/api/v1/sources", service.url))).await.1;
        assert_eq!(json(client.get(count("event.kind:k8s_audit"))).await.1["total"]["value"], written, "{sources}");
        assert_eq!(json(client.get(count("cluster:logs"))).await.1["total"]["value"], written);
        assert_eq!(json(client.get(count("event.kind:other OR event.kind:source_health"))).await.1["total"]["value"], 0);
        let ledger = json(client.get(format!("{}/api/v1/ledger", service.url))).await.1;
        assert_eq!(ledger["sources"][0]["remainder"], 0, "{ledger}");
        println!("{written} lines, {} kills; {sources}", rounds());
    });
}
