//! A server of S3 and SQS for the tests: keeps every key as it is, lists in any order, and misbehaves by script.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// Nothing: the request before the one that goes wrong.
    Not,
    Status(u16, &'static str),
    /// 503 SlowDown, to be asked again after so many seconds.
    SlowDown(u64),
    /// No answer for so long.
    Hang(Duration),
    /// The connection breaks after so many bytes of the body.
    Reset(usize),
    /// The body ends after so many bytes, as its length says.
    Short(usize),
    /// The body has so many bytes more than were asked for.
    Long(usize),
    /// Other content, under its own etag, whatever was asked for.
    Other,
    /// The listing as it was when `Shelf::old` was kept.
    Stale,
    /// The token of the page is not known.
    Token,
}

/// In which order objects are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Order {
    #[default]
    Bytes,
    Backwards,
    /// Folder by folder, and after a key that is a folder as well its content is left out.
    Folders,
}

/// Content that is made as it is read: of an offset, so many bytes.
pub(crate) type Made = Arc<dyn Fn(Range<u64>) -> Vec<u8> + Send + Sync>;

#[derive(Clone)]
enum Content {
    Bytes(Bytes),
    Made(u64, Made),
}

/// An object.
#[derive(Clone)]
pub(crate) struct Stored {
    content: Content,
    pub(crate) etag: String,
    /// Seconds since 1970.
    pub(crate) modified_s: i64,
}

impl Stored {
    pub(crate) fn len(&self) -> u64 {
        match &self.content {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Made(len, _) => *len,
        }
    }

    fn read(&self, range: Range<u64>) -> Vec<u8> {
        match &self.content {
            Content::Bytes(bytes) => bytes[range.start as usize..range.end as usize].to_vec(),
            Content::Made(_, made) => made(range),
        }
    }
}

/// Everything the server has and was asked for.
#[derive(Default)]
pub(crate) struct Shelf {
    pub(crate) objects: BTreeMap<String, Stored>,
    /// What a stale listing shows.
    pub(crate) old: BTreeMap<String, Stored>,
    /// Listed, but not there.
    pub(crate) ghosts: Vec<String>,
    /// By key; `""` is the listing, `"queue"` the queue.
    pub(crate) faults: BTreeMap<String, VecDeque<Fault>>,
    pub(crate) page: usize,
    pub(crate) order: Order,
    pub(crate) knows_no_ranges: bool,
    /// Requests for objects, by key.
    pub(crate) gets: BTreeMap<String, u32>,
    /// Bytes of bodies that were sent.
    pub(crate) sent: u64,
    pub(crate) lists: u32,
    /// Every method that was asked for, with what was asked of the queue.
    pub(crate) methods: BTreeSet<String>,
    /// Messages by number, and until when each is hidden.
    pub(crate) messages: BTreeMap<u64, (String, tokio::time::Instant)>,
    sent_messages: u64,
    /// How long a message is hidden once it was given out.
    pub(crate) visibility: Duration,
}

#[derive(Clone)]
pub(crate) struct FakeS3 {
    pub(crate) shelf: Arc<Mutex<Shelf>>,
    pub(crate) endpoint: String,
}

/// 2026-01-01.
pub(crate) const MODIFIED_S: i64 = 1_767_225_600;

impl FakeS3 {
    pub(crate) async fn start() -> Self {
        let shelf = Arc::new(Mutex::new(Shelf { page: 7, visibility: Duration::from_secs(30), ..Shelf::default() }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shelf));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { shelf, endpoint }
    }

    pub(crate) fn put(&self, key: &str, body: &str) {
        self.put_at(key, body.as_bytes().to_vec(), MODIFIED_S);
    }

    pub(crate) fn put_at(&self, key: &str, body: Vec<u8>, modified_s: i64) {
        let etag = format!("\"{}\"", blake3::hash(&body).to_hex().get(..32).unwrap_or_default());
        self.shelf.lock().unwrap().objects.insert(key.to_owned(), Stored { content: Content::Bytes(body.into()), etag, modified_s });
    }

    /// An object of any size.
    pub(crate) fn put_made(&self, key: &str, len: u64, made: Made) {
        let stored = Stored { content: Content::Made(len, made), etag: format!("\"made-{len}\""), modified_s: MODIFIED_S };
        self.shelf.lock().unwrap().objects.insert(key.to_owned(), stored);
    }

    pub(crate) fn fault(&self, key: &str, faults: impl IntoIterator<Item = Fault>) {
        self.shelf.lock().unwrap().faults.entry(key.to_owned()).or_default().extend(faults);
    }

    pub(crate) fn queue(&self) -> String {
        format!("{}/000000000000/queue", self.endpoint)
    }

    pub(crate) fn notify(&self, body: &str) {
        let mut shelf = self.shelf.lock().unwrap();
        let number = shelf.sent_messages;
        shelf.sent_messages += 1;
        shelf.messages.insert(number, (body.to_owned(), tokio::time::Instant::now()));
    }
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

/// As AWS writes keys in listings and notifications: a blank is a plus.
pub(crate) fn encode(key: &str) -> String {
    let mut text = String::new();
    for byte in key.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'*' => text.push(char::from(byte)),
            b' ' => text.push('+'),
            _ => write!(text, "%{byte:02X}").unwrap(),
        }
    }
    text
}

fn error(status: u16, code: &str) -> Response {
    let body = format!("<Error><Code>{code}</Code><Message>by script</Message></Error>");
    (StatusCode::from_u16(status).unwrap(), body).into_response()
}

async fn answer(State(shelf): State<Arc<Mutex<Shelf>>>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    assert!(headers.contains_key(header::AUTHORIZATION), "requests are signed");
    let target = headers.get("x-amz-target").map(|target| target.to_str().unwrap().to_owned());
    let key = if target.is_some() { "queue".to_owned() } else { uri.path().strip_prefix("/logs/").map(decode).unwrap_or_default() };
    let fault = {
        let mut shelf = shelf.lock().unwrap();
        shelf.methods.insert(target.clone().map_or_else(|| method.to_string(), |target| format!("{method} {target}")));
        match (key.is_empty(), &target) {
            (true, _) => shelf.lists += 1,
            (false, None) => *shelf.gets.entry(key.clone()).or_default() += 1,
            _ => {}
        }
        shelf.faults.get_mut(&key).and_then(VecDeque::pop_front)
    };
    match fault {
        Some(Fault::Status(status, code)) => return error(status, code),
        Some(Fault::SlowDown(after_s)) => {
            let mut answer = error(503, "SlowDown");
            answer.headers_mut().insert(header::RETRY_AFTER, after_s.into());
            return answer;
        }
        Some(Fault::Hang(time)) => tokio::time::sleep(time).await,
        Some(Fault::Token) if uri.query().is_some_and(|query| query.contains("continuation-token")) => return error(400, "InvalidArgument"),
        _ => {}
    }
    if let Some(target) = target {
        let answer = queue(&mut shelf.lock().unwrap(), &target, &body);
        if answer == "{}" && target.ends_with("ReceiveMessage") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        return answer.into_response();
    }
    let mut shelf = shelf.lock().unwrap();
    if key.is_empty() { list(&shelf, uri.query().unwrap_or_default(), fault).into_response() } else { give(&mut shelf, &key, &headers, fault) }
}

fn queue(shelf: &mut Shelf, target: &str, body: &[u8]) -> String {
    let request: serde_json::Value = serde_json::from_slice(body).unwrap();
    let now = tokio::time::Instant::now();
    match target {
        "AmazonSQS.ReceiveMessage" => {
            let until = now + shelf.visibility;
            let seen = shelf.messages.iter_mut().filter(|(_, (_, hidden))| *hidden <= now).take(10);
            let messages: Vec<_> = seen
                .map(|(number, (body, hidden))| {
                    *hidden = until;
                    serde_json::json!({"MessageId": number.to_string(), "ReceiptHandle": number.to_string(), "Body": body})
                })
                .collect();
            if messages.is_empty() { "{}".to_owned() } else { serde_json::json!({"Messages": messages}).to_string() }
        }
        "AmazonSQS.DeleteMessage" => {
            shelf.messages.remove(&request["ReceiptHandle"].as_str().unwrap().parse().unwrap());
            "{}".to_owned()
        }
        other => panic!("{other} is asked of the queue"),
    }
}

fn list(shelf: &Shelf, query: &str, fault: Option<Fault>) -> String {
    let parameter = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).map(decode);
    assert_eq!(parameter("list-type").as_deref(), Some("2"), "{query}");
    assert_eq!(parameter("encoding-type").as_deref(), Some("url"), "{query}");
    let prefix = parameter("prefix").unwrap_or_default();
    let objects = if let Some(Fault::Stale) = fault { &shelf.old } else { &shelf.objects };
    let mut keys: Vec<&String> = objects.keys().chain(&shelf.ghosts).filter(|key| key.starts_with(&prefix)).collect();
    let folders = |key: &&String| key.split('/').map(str::to_owned).collect::<Vec<_>>();
    match shelf.order {
        Order::Bytes => keys.sort(),
        Order::Backwards => keys.sort_by(|a, b| b.cmp(a)),
        Order::Folders => keys.sort_by_key(folders),
    }
    if let Some(after) = parameter("start-after") {
        keys.retain(|key| match shelf.order {
            Order::Folders => folders(key) > folders(&&after) && !key.starts_with(&format!("{after}/")),
            Order::Bytes | Order::Backwards => **key > after,
        });
    }
    // A token is the last key of the page before.
    let start = parameter("continuation-token").map_or(0, |token| keys.iter().position(|key| encode(key) == token).map_or(0, |at| at + 1));
    let size = parameter("max-keys").map_or(shelf.page, |max| max.parse::<usize>().unwrap().min(shelf.page));
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><EncodingType>url</EncodingType>".to_owned();
    let mut page = keys.iter().skip(start).take(size);
    for key in page.clone() {
        let (etag, len, modified_s) =
            objects.get(*key).map_or(("\"ghost\"", 5, MODIFIED_S), |object| (&object.etag, object.len(), object.modified_s));
        let modified = chrono::DateTime::from_timestamp(modified_s, 0).unwrap().format("%Y-%m-%dT%H:%M:%S.000Z");
        let etag = etag.replace('"', "&quot;");
        let key = encode(key);
        write!(text, "<Contents><Key>{key}</Key><LastModified>{modified}</LastModified><ETag>{etag}</ETag><Size>{len}</Size><StorageClass>MOON_BASE</StorageClass></Contents>").unwrap();
    }
    match page.next_back().filter(|_| start + size < keys.len()) {
        Some(last) => {
            let token = encode(last);
            write!(text, "<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>").unwrap();
        }
        None => text += "<IsTruncated>false</IsTruncated>",
    }
    text + "</ListBucketResult>"
}

fn give(shelf: &mut Shelf, key: &str, headers: &HeaderMap, fault: Option<Fault>) -> Response {
    let Some(object) = shelf.objects.get(key).cloned() else { return error(404, "NoSuchKey") };
    if headers.get(header::IF_MATCH).is_some_and(|wanted| wanted.to_str().unwrap() != object.etag && !matches!(fault, Some(Fault::Other))) {
        return error(412, "PreconditionFailed");
    }
    let len = object.len();
    let asked = headers.get(header::RANGE).filter(|_| !shelf.knows_no_ranges).and_then(|range| {
        let (start, end) = range.to_str().unwrap().strip_prefix("bytes=")?.split_once('-')?;
        let start: u64 = start.parse().unwrap();
        Some(start..end.parse::<u64>().map_or(len, |end| (end + 1).min(len)))
    });
    let range = asked.clone().unwrap_or(0..len);
    if range.start >= len && len > 0 {
        return error(416, "InvalidRange");
    }
    let mut body = object.read(range.clone());
    let mut etag = object.etag.clone();
    let mut promised = body.len();
    let mut breaks = false;
    match fault {
        Some(Fault::Reset(at)) => {
            body.truncate(at);
            breaks = true;
        }
        Some(Fault::Short(at)) => {
            body.truncate(at);
            promised = body.len();
        }
        Some(Fault::Long(by)) => {
            body.extend(vec![b'x'; by]);
            promised = body.len();
        }
        Some(Fault::Other) => {
            body.fill(b'?');
            etag = "\"other\"".to_owned();
        }
        _ => {}
    }
    shelf.sent += body.len() as u64;
    let mut answer = Response::builder().header(header::ETAG, etag).header(header::CONTENT_LENGTH, promised);
    if asked.is_some() {
        answer = answer.status(StatusCode::PARTIAL_CONTENT).header(header::CONTENT_RANGE, format!("bytes {}-{}/{len}", range.start, range.end - 1));
    }
    if !breaks {
        return answer.body(Body::from(body)).unwrap();
    }
    // What goes before is flushed, so that it arrives.
    let pieces = futures_util::stream::unfold(Some(body), |body| async move {
        match body {
            Some(body) if !body.is_empty() => Some((Ok(Bytes::from(body)), Some(Vec::new()))),
            Some(_) => {
                tokio::time::sleep(Duration::from_millis(2)).await;
                Some((Err(std::io::Error::other("broken off by script")), None))
            }
            None => None,
        }
    });
    answer.body(Body::from_stream(pieces)).unwrap()
}
