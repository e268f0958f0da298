//! Connections: accepted up to a limit, with a time limit for each phase, over TLS or not, and drained at the end.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use super::pace::paced;
use super::patient::Patient;
use super::tls::Tls;
use super::{Pace, Problem};

/// How connections are held.
#[derive(Debug, Clone)]
pub struct ServerLimits {
    pub connections_max: usize,
    pub tls_handshake: Duration,
    /// From the connection to the end of the first headers; a client that says nothing is gone by then.
    pub headers: Duration,
    /// Without a byte in either direction; longer than any request takes.
    pub idle: Duration,
    /// How slowly a body may come.
    pub pace: Pace,
    pub request: Duration,
    /// After the stop signal.
    pub drain: Duration,
    pub http2_streams_max: u32,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections_max: 1_000,
            tls_handshake: Duration::from_secs(5),
            headers: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            pace: Pace { idle: Duration::from_secs(10), grace: Duration::from_secs(10), bytes_per_s_min: 1 << 10 },
            request: Duration::from_secs(60),
            drain: Duration::from_secs(5),
            http2_streams_max: 100,
        }
    }
}

/// Serves until `stop`, then lets what is running end.
pub async fn serve(listener: TcpListener, tls: Option<Tls>, router: Router, limits: ServerLimits, mut stop: watch::Receiver<bool>) {
    let router = router.layer(middleware::from_fn_with_state((limits.pace, limits.request), in_time));
    let clients = tls.as_ref().map(|tls| Arc::clone(&tls.clients)).unwrap_or_default();
    let acceptor = tls.map(|tls| TlsAcceptor::from(tls.config));
    let slots = Arc::new(Semaphore::new(limits.connections_max));
    let graceful = GracefulShutdown::new();
    loop {
        let (stream, slot) = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            next = accept(&listener, &slots) => match next {
                Some(next) => next,
                None => continue,
            },
        };
        let (acceptor, router, limits, watcher) = (acceptor.clone(), router.clone(), limits.clone(), graceful.watcher());
        let clients = Arc::clone(&clients);
        tokio::spawn(async move {
            let builder = builder(&limits);
            // How a connection ends is its client's business.
            match acceptor {
                None => {
                    let service = TowerToHyperService::new(router);
                    let stream = Patient::new(stream, limits.headers, limits.idle);
                    drop(watcher.watch(builder.serve_connection(TokioIo::new(stream), service)).await);
                }
                Some(acceptor) => {
                    let Ok(Ok(stream)) = tokio::time::timeout(limits.tls_handshake, acceptor.accept(stream)).await else { return };
                    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
                    let certified = clients.of(shown.map(AsRef::as_ref));
                    let service = TowerToHyperService::new(router.layer(Extension(certified)));
                    let stream = Patient::new(stream, limits.headers, limits.idle);
                    drop(watcher.watch(builder.serve_connection(TokioIo::new(stream), service)).await);
                }
            }
            drop(slot);
        });
    }
    drop(listener);
    drop(tokio::time::timeout(limits.drain, graceful.shutdown()).await);
}

/// One request, which is neither to come too slowly nor to take too long.
async fn in_time(State((pace, longest)): State<(Pace, Duration)>, request: Request, next: Next) -> Response {
    let answer = tokio::time::timeout(longest, next.run(request.map(|body| paced(body, pace))));
    match answer.await {
        Ok(answer) => answer,
        Err(_) => super::harden(Problem::timeout().into_response()).await,
    }
}

async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            drop(stream.set_nodelay(true));
            Some((stream, slot))
        }
        Err(error) => {
            // Out of file descriptors: those in use come back.
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

fn builder(limits: &ServerLimits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.headers).max_buf_size(64 << 10);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(limits.http2_streams_max).keep_alive_interval(Duration::from_secs(20));
    builder
}
