//! Pushes: the API server's audit webhook, Falco, anything.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;

use super::auth::Caller;
use super::receivers::Dialect;
use super::{Api, Problem, PushError, Receipt, Sender};
use crate::model::Kinds;

/// Takes a body in, and answers as its sender expects. 200 only once it is durable; what can not be read in it is counted, and does not make the sender repeat the rest.
/// What can be refused is refused before the body is read.
pub(super) async fn push(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Extension(kinds): Extension<Kinds>,
    Extension(dialect): Extension<Dialect>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let source = caller.0.as_ref().and_then(|principal| principal.source.clone());
    match take(&api, caller, kinds, &headers, body).await {
        Ok(receipt) => dialect.taken(receipt, &headers, api.now_ms()),
        Err(problem) => {
            api.ingest.refuse(source);
            dialect.refused(problem, &headers, api.now_ms())
        }
    }
}

async fn take(api: &Api, caller: Caller, kinds: Kinds, headers: &HeaderMap, body: Body) -> Result<Receipt, Problem> {
    // Compression is told by content; the header only has to be one that we could have meant.
    let encoding = headers.get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?").trim().to_ascii_lowercase());
    if let Some(odd) = encoding.filter(|encoding| !["identity", "gzip", "zstd", ""].contains(&encoding.as_str())) {
        let detail = format!("content-encoding `{}` is not read: identity, gzip and zstd are", odd.escape_debug());
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_encoding", detail));
    }
    let (cluster, source, bound) = caller.0.map_or((None, None, Kinds::ALL), |principal| (principal.cluster, principal.source, principal.kinds));
    let kinds = kinds.and(bound);
    api.ingest.admit(source.as_ref())?;
    let said = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let body = api.room.read(body, said).await?;
    Ok(api.ingest.push(body, Sender { cluster, source, kinds }).await?)
}

impl From<PushError> for Problem {
    fn from(error: PushError) -> Self {
        let unavailable = |code, detail| Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail);
        match error {
            PushError::Busy { retry_after_s } => {
                Self { retry_after_s: Some(retry_after_s), ..unavailable("busy", "not taken: try again".to_owned()) }
            }
            PushError::Unavailable(why) => unavailable("unavailable", format!("nothing can be made durable: {why}")),
        }
    }
}
