//! A small S3 server for the tests: lists and gives out objects, and misbehaves by script.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    /// Nothing: the request before the one that goes wrong.
    Not,
    Status(u16, &'static str),
    /// The body breaks off in the middle.
    Short,
    /// The connection closes without an answer's body, under a length that promises one.
    Reset,
}

#[derive(Debug, Default)]
pub(super) struct Shelf {
    pub(super) objects: BTreeMap<String, Vec<u8>>,
    /// Listed, but not there.
    pub(super) ghosts: Vec<String>,
    /// By key; `""` is the listing.
    pub(super) faults: BTreeMap<String, VecDeque<Fault>>,
    pub(super) page: usize,
    /// Objects are listed from the last to the first.
    pub(super) is_backwards: bool,
    /// Requests for objects, by key.
    pub(super) gets: BTreeMap<String, u32>,
    pub(super) lists: u32,
    /// Every method that was asked for.
    pub(super) methods: BTreeSet<String>,
}

#[derive(Debug, Clone)]
pub(super) struct FakeS3 {
    pub(super) shelf: Arc<Mutex<Shelf>>,
    pub(super) endpoint: String,
}

impl FakeS3 {
    pub(super) async fn start() -> Self {
        let shelf = Arc::new(Mutex::new(Shelf { page: 7, ..Shelf::default() }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shelf));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { shelf, endpoint }
    }

    pub(super) fn put(&self, key: &str, body: &str) {
        self.shelf.lock().unwrap().objects.insert(key.to_owned(), body.as_bytes().to_vec());
    }

    pub(super) fn fault(&self, key: &str, faults: impl IntoIterator<Item = Fault>) {
        self.shelf.lock().unwrap().faults.entry(key.to_owned()).or_default().extend(faults);
    }
}

fn etag(body: &[u8]) -> String {
    format!("\"{}\"", blake3::hash(body).to_hex().get(..32).unwrap_or_default())
}

/// `%41` to `A`; a plus is a plus in a path, and is never sent in a query by the client.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut decoded, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let hex = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok());
        decoded.push(hex.unwrap_or(bytes[at]));
        at += if hex.is_some() { 3 } else { 1 };
    }
    String::from_utf8(decoded).unwrap()
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

async fn answer(State(shelf): State<Arc<Mutex<Shelf>>>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let mut shelf = shelf.lock().unwrap();
    shelf.methods.insert(method.to_string());
    let path = uri.path();
    assert!(headers.contains_key(header::AUTHORIZATION), "requests are signed");
    let key = path.strip_prefix("/logs/").map(decode).unwrap_or_default();
    if key.is_empty() {
        shelf.lists += 1;
    } else {
        *shelf.gets.entry(key.clone()).or_default() += 1;
    }
    let fault = shelf.faults.get_mut(&key).and_then(VecDeque::pop_front);
    if let Some(Fault::Status(status, code)) = fault {
        let body = format!("<Error><Code>{code}</Code><Message>by script</Message></Error>");
        return (StatusCode::from_u16(status).unwrap(), body).into_response();
    }
    if key.is_empty() { list(&shelf, uri.query().unwrap_or_default()).into_response() } else { give(&shelf, &key, &headers, fault) }
}

fn list(shelf: &Shelf, query: &str) -> String {
    let parameter = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).map(decode);
    assert_eq!(parameter("list-type").as_deref(), Some("2"), "{query}");
    let prefix = parameter("prefix").unwrap_or_default();
    let from: usize = parameter("continuation-token").map_or(0, |token| token.parse().unwrap());
    let mut keys: Vec<&String> = shelf.objects.keys().chain(&shelf.ghosts).filter(|key| key.starts_with(&prefix)).collect();
    if shelf.is_backwards {
        keys.reverse();
    }
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">".to_owned();
    for key in keys.iter().skip(from).take(shelf.page) {
        let body = shelf.objects.get(*key).cloned().unwrap_or_else(|| b"ghost".to_vec());
        text += &format!(
            "<Contents><Key>{}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>{}</ETag><Size>{}</Size><StorageClass>MOON_BASE</StorageClass></Contents>",
            xml(key),
            etag(&body).replace('"', "&quot;"),
            body.len()
        );
    }
    let next = from + shelf.page;
    if next < keys.len() {
        text += &format!("<IsTruncated>true</IsTruncated><NextContinuationToken>{next}</NextContinuationToken>");
    } else {
        text += "<IsTruncated>false</IsTruncated>";
    }
    text + "</ListBucketResult>"
}

fn give(shelf: &Shelf, key: &str, headers: &HeaderMap, fault: Option<Fault>) -> Response {
    let Some(body) = shelf.objects.get(key) else {
        return (StatusCode::NOT_FOUND, "<Error><Code>NoSuchKey</Code><Message>no</Message></Error>").into_response();
    };
    let etag = etag(body);
    if headers.get(header::IF_MATCH).is_some_and(|wanted| wanted.to_str().unwrap() != etag) {
        return (StatusCode::PRECONDITION_FAILED, "<Error><Code>PreconditionFailed</Code><Message>no</Message></Error>").into_response();
    }
    let head = [(header::ETAG, etag), (header::CONTENT_LENGTH, body.len().to_string())];
    let sent = match fault {
        Some(Fault::Short) => Bytes::copy_from_slice(&body[..body.len() / 2]),
        Some(Fault::Reset) => Bytes::new(),
        Some(Fault::Not | Fault::Status(..)) | None => return (head, body.clone()).into_response(),
    };
    let pieces = [Ok(sent), Err(std::io::Error::other("broken off by script"))];
    (head, Body::from_stream(futures_util::stream::iter(pieces))).into_response()
}
