//! Pushes: the API server's audit webhook, Falco, anything.

use axum::Extension;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};

use super::auth::Caller;
use super::{Api, Problem, PushError, Receipt};

/// Takes a body in. 200 only once it is durable; what can not be read in it is counted, and does not make the sender repeat the rest.
pub(super) async fn push(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Receipt>, Problem> {
    let body = body?;
    // Compression is told by content; the header only has to be one that we could have meant.
    let encoding = headers.get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?").trim().to_ascii_lowercase());
    if let Some(odd) = encoding.filter(|encoding| !["identity", "gzip", "zstd", ""].contains(&encoding.as_str())) {
        let detail = format!("content-encoding `{}` is not read: identity, gzip and zstd are", odd.escape_debug());
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_encoding", detail));
    }
    let (cluster, source) = caller.0.map_or((None, None), |principal| (principal.cluster, principal.source));
    match api.ingest.push(body.to_vec(), cluster, source).await {
        Ok(receipt) => Ok(Json(receipt)),
        Err(PushError::Busy { retry_after_s }) => {
            Err(Problem { retry_after_s: Some(retry_after_s), ..Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "not taken: try again") })
        }
        Err(PushError::Unavailable(why)) => {
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", format!("nothing can be made durable: {why}")))
        }
    }
}
