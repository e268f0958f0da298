//! Events as they become durable, as a stream of server-sent events: each with its id; `skipped` says how many were not shown.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::auth::Caller;
use super::format::Format;
use super::turns::Turn;
use super::{Api, Problem};
use crate::ports::Tailed;
use crate::query::{self, Query as Condition};

/// Events of one flush that a watcher is shown. The rest are counted.
const SHOWN_MAX: usize = 500;

/// How often a line says that the stream is alive: well within the time after which a silent connection is cut.
const ALIVE_EVERY: Duration = Duration::from_secs(15);

/// What a watcher asks for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    #[serde(default)]
    query: String,
    #[serde(default)]
    format: Format,
}

/// One watcher.
struct Watch {
    from: Receiver<Arc<Tailed>>,
    query: Condition,
    format: Format,
    /// Messages that are ready, the next one last.
    ready: Vec<Message>,
    _turn: Turn,
}

impl Watch {
    /// The next message; nothing once the service ends.
    async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = self.ready.pop() {
                return Some(message);
            }
            match self.from.recv().await {
                Ok(tailed) => self.show(&tailed),
                Err(RecvError::Lagged(flushes)) => self.ready.push(skipped(&format!("{{\"flushes\":{flushes}}}"))),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    fn show(&mut self, tailed: &Tailed) {
        let mut left_out = 0_u64;
        for event in tailed.events.iter().filter(|event| query::matches(&self.query, event)) {
            if self.ready.len() >= SHOWN_MAX {
                left_out += 1;
                continue;
            }
            let mut text = String::new();
            self.format.write_event(event, &mut text);
            self.ready.push(Message::default().id(event.id.to_string()).data(text));
        }
        self.ready.reverse();
        // Of those that the flow did not hand on nobody knows whether they match.
        if left_out > 0 || tailed.skipped > 0 {
            self.ready.insert(0, skipped(&format!("{{\"events\":{left_out},\"unknown\":{}}}", tailed.skipped)));
        }
    }
}

fn skipped(what: &str) -> Message {
    Message::default().event("skipped").data(what)
}

/// Shows what comes.
pub(super) async fn tail(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let asked = asked?.0;
    let text = if asked.query.trim().is_empty() { "*" } else { asked.query.as_str() };
    let query = query::parse(text)?;
    let turn = api.watchers.take(caller.key())?;
    let Some(from) = api.service.tail() else {
        return Err(Problem::new(axum::http::StatusCode::SERVICE_UNAVAILABLE, "stopping", "the service is being stopped"));
    };
    let watch = Watch { from, query, format: asked.format, ready: Vec::new(), _turn: turn };
    let messages = stream::unfold(watch, |mut watch| async move { watch.next().await.map(|message| (Ok::<_, Infallible>(message), watch)) });
    Ok(Sse::new(messages).keep_alive(KeepAlive::new().interval(ALIVE_EVERY)).into_response())
}
