//! E7 and E27: requests that no client sends, over sockets of their own. Each is answered with an error or cut off, and the service serves on.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::{audit, gzip};
use crate::service::{Service, client, json as ask, until};

/// What comes back before the connection ends, or for some seconds if it does not; whether it ended.
fn send(address: SocketAddr, bytes: &[u8]) -> (String, bool) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    // Who is cut off in the middle can not write on.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let ended = stream.read_to_end(&mut answer);
    let is_open = ended.is_err_and(|error| matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut));
    (String::from_utf8_lossy(&answer).into_owned(), !is_open)
}

fn post(headers: &str, body: &[u8]) -> Vec<u8> {
    [format!("POST /ingest/auto HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n{headers}\r\n").as_bytes(), body].concat()
}

/// Name, bytes, and the statuses that may come back; none of them: the connection ends without an answer.
fn abuses() -> Vec<(&'static str, Vec<u8>, &'static [u16])> {
    let good = audit("smuggled", "");
    let length = good.len();
    let smuggled = format!("0\r\n\r\nPOST /ingest/auto HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {length}\r\n\r\n{good}");
    vec![
        ("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03hello".to_vec(), &[400]),
        ("HTTP/0.9", b"GET /\r\n\r\n".to_vec(), &[400]),
        ("HTTP/9.9", b"GET / HTTP/9.9\r\nhost: 127.0.0.1\r\n\r\n".to_vec(), &[400]),
        ("a header with NUL", b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\na: b\0c\r\nconnection: close\r\n\r\n".to_vec(), &[400]),
        ("a header over two lines", b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\na: b\r\n c\r\nconnection: close\r\n\r\n".to_vec(), &[400]),
        (
            "a header of 1 MiB",
            [b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\na: ".to_vec(), vec![b'x'; 1 << 20], b"\r\n\r\n".to_vec()].concat(),
            &[431, 400],
        ),
        ("1,000 headers", format!("GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n{}\r\n", "a: b\r\n".repeat(1_000)).into_bytes(), &[431, 400]),
        ("a path of 100 KiB", format!("GET /{} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n", "a".repeat(100 << 10)).into_bytes(), &[414, 431, 400]),
        ("two lengths", post(&format!("content-length: {length}\r\ncontent-length: 5\r\n"), good.as_bytes()), &[400]),
        ("a length that is none", post("content-length: 5, 5x\r\n", b"hello"), &[400]),
        ("a length below nothing", post("content-length: -1\r\n", b"hello"), &[400]),
        ("a length past the limit", post("content-length: 99999999999\r\n", b"hello"), &[413]),
        ("a length of 2^64", post("content-length: 18446744073709551616\r\n", b"hello"), &[400, 413]),
        // The chunks count, and the connection ends: what follows them is no request.
        (
            "chunks and a length",
            [b"POST /ingest/auto HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n", smuggled.as_bytes()]
                .concat(),
            &[200, 400],
        ),
        ("a coding that is not chunked", post("transfer-encoding: identity\r\n", good.as_bytes()), &[400]),
        ("a chunk of a bad size", post("transfer-encoding: chunked\r\n", b"zz\r\nhello\r\n0\r\n\r\n"), &[400]),
        ("a chunk of 2^64", post("transfer-encoding: chunked\r\n", b"ffffffffffffffffff\r\nhello\r\n0\r\n\r\n"), &[400]),
        ("says gzip, is none (E7)", post(&format!("content-encoding: gzip\r\ncontent-length: {length}\r\n"), good.as_bytes()), &[200, 400, 415]),
        ("says nothing, is gzip (E7)", post(&format!("content-length: {}\r\n", gzip(good.as_bytes()).len()), &gzip(good.as_bytes())), &[200]),
        (
            "says a coding that nobody knows (E7)",
            post(&format!("content-encoding: br\r\ncontent-length: {length}\r\n"), good.as_bytes()),
            &[200, 415],
        ),
        ("another host", b"GET /api/v1/alerts HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n".to_vec(), &[400, 403, 421]),
        ("CONNECT", b"CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\nconnection: close\r\n\r\n".to_vec(), &[400, 403, 404, 405, 421]),
        ("dots in the path", b"GET /api/v1/../../etc/passwd HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n".to_vec(), &[400, 401, 404]),
        ("h2: a frame of 16 MiB", h2(&[frame(0xff_ffff, 0, 0, 1)]), &[]),
        (
            "h2: 5,000 continuations",
            h2(&[frame(1, 1, 0, 1), vec![0x82], frame(1, 9, 0, 1).into_iter().chain([0x82]).collect::<Vec<u8>>().repeat(5_000)]),
            &[],
        ),
        (
            "h2: 20,000 streams opened and reset",
            h2(&[(0..20_000_u32)
                .flat_map(|n| [frame(1, 1, 5, 2 * n + 1), vec![0x82], frame(4, 3, 0, 2 * n + 1), vec![0, 0, 0, 8]].concat())
                .collect()]),
            &[],
        ),
        ("h2: 50,000 pings, and away", h2(&[[frame(8, 6, 0, 0), vec![0; 8]].concat().repeat(50_000), frame(8, 7, 0, 0), vec![0; 8]]), &[]),
    ]
}

/// The head of a frame: length, type, flags, stream.
fn frame(length: u32, kind: u8, flags: u8, stream: u32) -> Vec<u8> {
    [&length.to_be_bytes()[1..], &[kind, flags], &stream.to_be_bytes()].concat()
}

fn h2(frames: &[Vec<u8>]) -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(0, 4, 0, 0), frames.concat()].concat()
}

#[test]
fn abused_doors_stay_shut_and_the_house_stands() {
    let dir = tempfile::tempdir().unwrap();
    let service = Service::start(&dir.path().join("data"), "");
    let address: SocketAddr = service.url.strip_prefix("http://").unwrap().parse().unwrap();
    let is_shown = crate::service::setting("BARTIZAN_HOSTILE").is_some();
    let mut problems = Vec::new();
    for (name, bytes, expected) in abuses() {
        let started = Instant::now();
        let (answer, is_ended) = send(address, &bytes);
        let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse::<u16>().ok());
        if is_shown {
            eprintln!(
                "{name:<40} {:>9} bytes  {:<8} {:>6} ms",
                bytes.len(),
                status.map_or("cut off".to_owned(), |status| status.to_string()),
                started.elapsed().as_millis()
            );
        }
        if answer.matches("HTTP/1.1 ").count() > 1 {
            problems.push(format!("{name}: more than one answer"));
        }
        let is_right = if expected.is_empty() { is_ended } else { status.is_some_and(|status| expected.contains(&status)) };
        if !is_right {
            problems.push(format!("{name}: {status:?}, ended {is_ended}: {:.200}", answer));
        }
        let (_, health) = send(address, b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n");
        assert!(health, "{name}: nobody answers any more");
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    // Nothing of what was smuggled came in: only what was said openly.
    let (runtime, client) = client();
    runtime.block_on(async {
        let (status, receipt) = ask(client.post(format!("{}/ingest/auto", service.url)).body(audit("after", ""))).await;
        assert_eq!((status, &receipt["accepted"]), (200, &json!(1)));
        until(&client, &format!("{}/api/v1/events/search?limit=0&query=auditID:after", service.url), |answer| answer["total"]["value"] == 1).await;
    });
    service.kill();
}

#[test]
fn tls_that_is_none_or_never_ends_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let (cert, key) = (dir.path().join("tls.crt"), dir.path().join("tls.key"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let service = Service::start(&dir.path().join("data"), &format!("[server.tls]\ncert = {cert:?}\nkey = {key:?}\n"));
    let address: SocketAddr = service.url.strip_prefix("https://").unwrap().parse().unwrap();
    let clients: Vec<(&str, Vec<u8>)> = vec![
        ("plain HTTP", b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".to_vec()),
        ("half a greeting", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
        ("a record of a length that lies", [b"\x16\x03\x01\xff\xff".to_vec(), vec![0; 70_000]].concat()),
        ("SSL 3", b"\x16\x03\x00\x00\x2f\x01\x00\x00\x2b\x03\x00".iter().copied().chain([0; 40]).collect()),
        ("alerts alone", b"\x15\x03\x03\x00\x02\x01\x00".repeat(1_000)),
        ("nothing", Vec::new()),
    ];
    let clients = Arc::new(clients);
    let threads: Vec<_> = (0..clients.len())
        .map(|at| {
            let clients = Arc::clone(&clients);
            std::thread::spawn(move || (clients[at].0, send(address, &clients[at].1)))
        })
        .collect();
    for thread in threads {
        let (name, (answer, is_ended)) = thread.join().unwrap();
        assert!(is_ended && !answer.starts_with("HTTP/"), "{name}: ended {is_ended}, {answer:?}");
    }
    let (runtime, _) = client();
    let root = reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap();
    runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([root]).build().unwrap();
        assert_eq!(client.get(format!("{}/healthz", service.url)).send().await.unwrap().status().as_u16(), 200);
    });
    service.kill();
}
