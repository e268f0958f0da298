use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
const NOW_S: i64 = 1_767_225_600;

fn install_provider() {
    // A second call finds it installed.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// A receiver that answers every connection with these bytes after a pause; what it was sent is kept.
async fn receiver(answer: Vec<u8>, pause: Patience) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (answer, kept) = (answer.clone(), Arc::clone(&kept));
            tokio::spawn(async move {
                let mut request = Vec::new();
                let mut buffer = [0; 4096];
                loop {
                    let text = String::from_utf8_lossy(&request).into_owned();
                    let length =
                        text.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ").and_then(|n| n.parse::<usize>().ok()));
                    if let Some((_, body)) = text.split_once("\r\n\r\n").filter(|(_, body)| body.len() >= length.unwrap_or(0)) {
                        assert_eq!(body.len(), length.unwrap());
                        kept.lock().unwrap().push(text);
                        break;
                    }
                    match stream.read(&mut buffer).await {
                        Ok(0) | Err(_) => return,
                        Ok(read) => request.extend_from_slice(&buffer[..read]),
                    }
                }
                tokio::time::sleep(pause).await;
                // The sender may have gone by now.
                let _ = stream.write_all(&answer).await;
            });
        }
    });
    (url, seen)
}

fn webhook(url: &str, secrets: &[&str]) -> Webhook {
    install_provider();
    let mut settings = WebhookSettings::new(url, secrets.iter().map(|secret| secret.parse().unwrap()).collect());
    settings.allow_http = true;
    settings.addresses.allow_private = true;
    settings.timeout = Patience::from_millis(1_500);
    Webhook::build(settings).unwrap()
}

fn notification() -> Notification {
    Notification { id: "0102.3".into(), body: r#"{"type":"alert.opened","data":{"title":"é"}}"#.into() }
}

/// HMAC as RFC 2104 writes it, so that the check shares nothing with what signs.
fn hmac(key: &[u8], message: &[u8]) -> String {
    let pad = |with: u8| -> Vec<u8> { (0..64).map(|at| key.get(at).copied().unwrap_or(0) ^ with).collect() };
    let inner = Sha256::digest([pad(0x36), message.to_vec()].concat());
    STANDARD.encode(Sha256::digest([pad(0x5c), inner.to_vec()].concat()))
}

async fn attempt(url: &str) -> Delivery {
    webhook(url, &[SECRET]).deliver(&notification(), Timestamp::from_seconds(NOW_S)).await
}

/// One attempt at a receiver that answers so; the outcome in a word, and how many requests came.
async fn check(answer: impl Into<Vec<u8>>, pause: Patience) -> (String, usize) {
    let (url, seen) = receiver(answer.into(), pause).await;
    let outcome = match attempt(&url).await {
        Delivery::Done => "done".to_owned(),
        Delivery::Later { retry_after_s, .. } => format!("later {retry_after_s:?}"),
        Delivery::Refused { .. } => "refused".into(),
        Delivery::Gone { .. } => "gone".into(),
    };
    let requests = seen.lock().unwrap().len();
    (outcome, requests)
}

#[tokio::test]
async fn answers_mean_what_the_table_says() {
    let answer = |status: &str, headers: &str| format!("HTTP/1.1 {status}\r\n{headers}content-length: 0\r\nconnection: close\r\n\r\n").into_bytes();
    let target = "location: http://169.254.169.254/latest/meta-data/\r\n";
    let huge = [b"HTTP/1.1 200 OK\r\ncontent-length: 10000000\r\n\r\n".to_vec(), vec![b'x'; 10_000_000]].concat();
    let table = [
        (answer("200 OK", ""), "done"),
        (answer("204 No Content", ""), "done"),
        (answer("301 Moved", target), "later None"),
        (answer("302 Found", target), "later None"),
        (answer("307 Temporary Redirect", target), "later None"),
        (answer("308 Permanent Redirect", target), "later None"),
        (answer("400 Bad Request", ""), "later None"),
        (answer("410 Gone", ""), "gone"),
        (answer("429 Too Many", "retry-after: 7\r\n"), "later Some(7)"),
        (answer("429 Too Many", "retry-after: Thu, 01 Jan 2026 00:02:00 GMT\r\n"), "later Some(120)"),
        (answer("429 Too Many", "retry-after: Thu, 01 Jan 1970 00:02:00 GMT\r\n"), "later None"),
        (answer("429 Too Many", "retry-after: 99999999999999999999999999\r\n"), "later Some(18446744073709551615)"),
        (answer("503 Unavailable", "retry-after: soon\r\n"), "later None"),
        (answer("500 Oh", "retry-after: 7\r\n"), "later None"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nthen reset".to_vec(), "done"),
        (huge, "done"),
        (b"no http at all\r\n\r\n".to_vec(), "later None"),
        (Vec::new(), "later None"),
    ];
    for (bytes, expected) in table {
        let shown = String::from_utf8_lossy(&bytes).chars().take(120).collect::<String>();
        assert_eq!(check(bytes, Patience::ZERO).await, (expected.to_owned(), 1), "{shown}");
    }
    let slow = check(answer("200 OK", ""), Patience::from_secs(5)).await;
    assert_eq!(slow, ("later None".to_owned(), 1), "an answer after the timeout is none");
}

#[tokio::test]
async fn a_target_that_is_down_is_tried_later() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook?token=canary", listener.local_addr().unwrap());
    drop(listener);
    let Delivery::Later { why, .. } = attempt(&url).await else { panic!("not later") };
    assert!(!why.contains("canary") && !why.contains("127.0.0.1:"), "{why}");
    let named = webhook("http://localhost:9000/", &[SECRET]);
    assert!(!format!("{named:?}").contains("AAECAw"));
}

#[tokio::test]
async fn requests_are_signed() {
    let (url, seen) = receiver(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec(), Patience::ZERO).await;
    let old = format!("whsec_{}", STANDARD.encode([9; 32]));
    let sender = webhook(&url, &[SECRET, &old]);
    for later in [0, 60] {
        assert_eq!(sender.deliver(&notification(), Timestamp::from_seconds(NOW_S + later)).await, Delivery::Done);
    }
    // The connection may be kept, so requests come apart or together.
    let text = seen.lock().unwrap().join("\n");
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).unwrap().trim().to_owned();
    assert!(body.starts_with(&notification().body));
    assert_eq!(
        (header("webhook-id"), header("webhook-timestamp"), header("content-type")),
        ("0102.3".into(), NOW_S.to_string(), "application/json".into())
    );
    let signed = format!("0102.3.{NOW_S}.{}", notification().body);
    let key = STANDARD.decode(SECRET.trim_start_matches("whsec_")).unwrap();
    let expected = format!("v1,{} v1,{}", hmac(&key, signed.as_bytes()), hmac(&[9; 32], signed.as_bytes()));
    assert_eq!(header("webhook-signature"), expected);
    // The check itself is right: it gives the specification's test vector.
    let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let vector = hmac(&key, br#"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}"#);
    assert_eq!(vector, "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[tokio::test]
async fn names_that_lead_inside_are_not_connected_to() {
    install_provider();
    let (url, seen) = receiver(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec(), Patience::ZERO).await;
    let mut settings = WebhookSettings::new(url.replace("127.0.0.1", "localhost"), vec![SECRET.parse().unwrap()]);
    settings.allow_http = true;
    let Delivery::Later { why, .. } = Webhook::build(settings).unwrap().deliver(&notification(), Timestamp::from_seconds(NOW_S)).await else {
        panic!("not later")
    };
    assert!(why.contains("is not public"), "{why}");
    assert!(seen.lock().unwrap().is_empty());
}

#[test]
fn urls_are_checked() {
    install_provider();
    let kind = |url: &str, allow_http: bool| {
        let mut settings = WebhookSettings::new(url, vec![SECRET.parse().unwrap()]);
        settings.allow_http = allow_http;
        match Webhook::build(settings) {
            Ok(_) => "ok",
            Err(WebhookError::Url(_)) => "url",
            Err(WebhookError::UserInfo) => "userinfo",
            Err(WebhookError::Scheme(_)) => "scheme",
            Err(WebhookError::Port(_)) => "port",
            Err(WebhookError::Address { .. }) => "address",
            Err(_) => "other",
        }
    };
    let table = [
        ("https://hooks.example.com/x", "ok"),
        ("https://hooks.example.com:8443/x", "ok"),
        ("http://hooks.example.com/", "scheme"),
        ("ftp://a/", "scheme"),
        ("file:///etc/passwd", "scheme"),
        ("https://a:b@example.com/", "userinfo"),
        ("https://a@example.com/", "userinfo"),
        ("https://example.com:22/", "port"),
        ("nonsense", "url"),
        ("https://", "url"),
        ("https://127.0.0.1/", "address"),
        ("https://127.1/", "address"),
        ("https://2130706433/", "address"),
        ("https://0x7f000001/", "address"),
        ("https://0177.0.0.1/", "address"),
        ("https://0/", "address"),
        ("https://[::1]/", "address"),
        ("https://[::ffff:127.0.0.1]/", "address"),
        ("https://[0:0:0:0:0:ffff:7f00:1]/", "address"),
        ("https://169.254.169.254/latest", "address"),
        ("https://0xa9fea9fe/", "address"),
        ("https://１６９.254.169.254/", "address"),
        ("https://169。254。169。254/", "address"),
        ("https://[64:ff9b::a9fe:a9fe]/", "address"),
        ("https://192.168.1.1./", "address"),
        ("https://10.0.0.1#@example.com/", "address"),
        ("https://8.8.8.8/", "ok"),
    ];
    for (url, expected) in table {
        assert_eq!(kind(url, false), expected, "{url}");
    }
    assert_eq!((kind("http://hooks.example.com/", true), kind("gopher://a/", true)), ("ok", "scheme"));
    assert!(matches!(Webhook::build(WebhookSettings::new("https://example.com/", Vec::new())), Err(WebhookError::Secrets(0))));
}
