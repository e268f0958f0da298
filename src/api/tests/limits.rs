//! What is refused, and when: before it is read where that can be.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::BoxError;
use axum::body::Bytes;
use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

use super::*;
use crate::api::server::{ServerLimits, serve};
use crate::model::Kind;

/// Remembers who pushed; full when told so.
#[derive(Default)]
struct Remembering {
    is_full: AtomicBool,
    senders: Mutex<Vec<Sender>>,
    refused: AtomicU64,
    turned_away: AtomicU64,
}

#[async_trait]
impl Ingest for Remembering {
    fn admit(&self, _: Option<&crate::model::SourceId>) -> Result<(), PushError> {
        if self.is_full.load(Ordering::Relaxed) { Err(PushError::Busy { retry_after_s: 7 }) } else { Ok(()) }
    }

    fn refuse(&self, _: Option<crate::model::SourceId>) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    fn turn_away(&self) {
        self.turned_away.fetch_add(1, Ordering::Relaxed);
    }

    async fn push(&self, body: Held, sender: Sender) -> Result<Receipt, PushError> {
        self.senders.lock().unwrap().push(sender);
        Ok(Receipt { accepted: body.as_ref().len() as u64, rejected: 0 })
    }
}

async fn fixture(limits: Limits) -> (Fixture, Arc<Remembering>) {
    let mut fixture = Fixture::new(true).await;
    let ingest = Arc::new(Remembering::default());
    let Api { searcher, catalog, .. } = fixture.api.clone();
    fixture.api = Api::new(searcher, catalog, Arc::clone(&ingest) as Arc<dyn Ingest>, Arc::new(Nothing), true, Vec::new(), limits);
    (fixture, ingest)
}

/// A push whose body must not be asked for a single byte.
fn unread(path: &str, said: Option<usize>) -> Request<Body> {
    let body =
        Body::from_stream(futures_util::stream::poll_fn(|_| -> std::task::Poll<Option<Result<Bytes, BoxError>>> { panic!("the body was read") }));
    let request = Request::builder().method("POST").uri(path).header("host", "127.0.0.1");
    said.iter().fold(request, |request, said| request.header("content-length", *said)).body(body).unwrap()
}

async fn answer(fixture: &Fixture, request: Request<Body>) -> (u16, String, Option<String>) {
    let answer = fixture.api.clone().router().oneshot(request).await.unwrap();
    let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    (answer.status().as_u16(), header("content-type").unwrap_or_default(), header("retry-after"))
}

#[tokio::test]
async fn what_there_is_no_room_for_is_refused_unread() {
    let limits = Limits { body_bytes_max: 100, bodies_in_flight_bytes_max: 150, ..Limits::default() };
    let (fixture, ingest) = fixture(limits).await;
    let problem = "application/problem+json".to_owned();
    assert_eq!(answer(&fixture, unread("/ingest/auto", Some(101))).await, (413, problem.clone(), None));
    // One body is on its way and stands still.
    let (go, wait) = oneshot::channel::<()>();
    let first = futures_util::stream::once(async { Ok::<_, BoxError>(Bytes::from(vec![b'1'; 60])) });
    let rest = futures_util::stream::once(async move { wait.await.map(|()| Bytes::from(vec![b'2'; 40])).map_err(BoxError::from) });
    let slow = Request::builder().method("POST").uri("/ingest/auto").header("host", "127.0.0.1").header("content-length", 100);
    let slow = slow.body(Body::from_stream(first.chain(rest))).unwrap();
    let running = tokio::spawn(fixture.api.clone().router().oneshot(slow));
    while fixture.api.room.is_free(150) {
        tokio::task::yield_now().await;
    }
    let (status, kind, retry) = answer(&fixture, unread("/ingest/auto", Some(60))).await;
    assert_eq!((status, kind, retry.is_some()), (429, problem.clone(), true));
    go.send(()).unwrap();
    assert_eq!(running.await.unwrap().unwrap().status().as_u16(), 200);
    assert!(fixture.api.room.is_free(150), "the room of a body is free again");
    ingest.is_full.store(true, Ordering::Relaxed);
    assert_eq!(answer(&fixture, unread("/ingest/auto", None)).await, (503, problem.clone(), Some("7".to_owned())));
    assert_eq!(ingest.refused.load(Ordering::Relaxed), 3, "each is counted: too long, no room, not taken");
    // From here on tokens count.
    let new = NewToken { name: "a".to_owned(), scope: Scope::Ingest, cluster: None, source: None, kinds: Vec::new(), expires: None };
    fixture.api.catalog.tokens().create(new).await.unwrap();
    assert_eq!(answer(&fixture, unread("/ingest/auto", None)).await, (401, problem.clone(), None));
    assert_eq!(answer(&fixture, unread("/api/v1/events/search", None)).await, (401, problem, None));
    assert_eq!((ingest.refused.load(Ordering::Relaxed), ingest.turned_away.load(Ordering::Relaxed)), (3, 1), "of pushes alone");
}

#[tokio::test]
async fn a_route_binds_what_it_may_carry() {
    let (fixture, ingest) = fixture(Limits::default()).await;
    for (path, allowed, refused) in [
        ("/ingest/k8s-audit", Some(Kind::K8sAudit), Some(Kind::Falco)),
        ("/ingest/falco", Some(Kind::Falco), Some(Kind::K8sAudit)),
        ("/ingest/hubble", Some(Kind::Flow), Some(Kind::K8sAudit)),
        ("/ingest/auto", Some(Kind::Policy), None),
    ] {
        assert!(fixture.ask(&format!("POST {path}"), &[], "{}").await.starts_with("200"));
        let kinds = ingest.senders.lock().unwrap().pop().unwrap().kinds;
        assert!(allowed.is_none_or(|kind| kinds.allow(kind)) && !refused.is_some_and(|kind| kinds.allow(kind)), "{path}");
    }
}

#[tokio::test]
async fn searches_have_turns_and_an_end() {
    let (busy, _) = fixture(Limits { searches_per_principal_max: 0, ..Limits::default() }).await;
    for line in ["GET /api/v1/events/search", "GET /api/v1/fields", "GET /api/v1/events/00000000000000000000000000000000"] {
        assert_eq!(busy.ask(line, &[], "").await, "429 busy", "{line}");
    }
    for (line, bad) in [("GET /api/v1/alerts?limit=5000", true), ("GET /api/v1/alerts?limit=-1", true), ("GET /api/v1/alerts?limit=1000", false)] {
        assert_eq!(busy.ask(line, &[], "").await == "400 bad_limit", bad, "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_too_slowly_hears_why() {
    let (fixture, _) = fixture(Limits::default()).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let pace = Pace { idle: Duration::from_millis(100), grace: Duration::from_secs(5), bytes_per_s_min: 1 };
    let serving = tokio::spawn(serve(listener, None, fixture.api.clone().router(), ServerLimits { pace, ..ServerLimits::default() }, stopped));
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    client.write_all(b"POST /ingest/auto HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 10\r\n\r\n{").await.unwrap();
    let mut said = vec![0; 4096];
    let len = client.read(&mut said).await.unwrap();
    let said = String::from_utf8_lossy(&said[..len]).into_owned();
    assert!(said.starts_with("HTTP/1.1 408") && said.contains("application/problem+json"), "{said}");
    stop.send(true).unwrap();
    serving.await.unwrap();
}
