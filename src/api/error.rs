//! One error: RFC 9457 `application/problem+json` with a stable `code`.

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::pace::TooSlow;
use crate::ports::StoreError;
use crate::query::QueryError;
use crate::store::SearchError;

/// What went wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub status: StatusCode,
    /// Stable: programs hold on to it.
    pub code: &'static str,
    /// What exactly, for a person.
    pub detail: String,
    /// Position of the character in the query that is wrong.
    pub at: Option<usize>,
    pub retry_after_s: Option<u64>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), at: None, retry_after_s: None }
    }

    pub(super) fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    pub(super) fn busy(retry_after_s: u64) -> Self {
        Self { retry_after_s: Some(retry_after_s), ..Self::new(StatusCode::TOO_MANY_REQUESTS, "busy", "too much at one time: try again") }
    }

    /// A request that took longer than any may.
    pub(super) fn timeout() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", "the request took too long")
    }

    /// Why a body could not be read or understood.
    pub(super) fn of_body(error: &(dyn std::error::Error + 'static), status: StatusCode, detail: &str) -> Self {
        if TooSlow::is_cause_of(error) {
            return Self::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", TooSlow.to_string());
        }
        let code = if status == StatusCode::PAYLOAD_TOO_LARGE { "body_too_large" } else { "bad_body" };
        Self::new(status, code, detail)
    }

    /// The fault is ours: logged here, once, and not told to the caller.
    pub(super) fn internal(error: &dyn std::error::Error) -> Self {
        tracing::error!(%error, "cannot answer a request");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the service failed; its log says why")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("error");
        let mut body =
            serde_json::json!({"type": "about:blank", "title": title, "status": self.status.as_u16(), "code": self.code, "detail": self.detail});
        if let Some(at) = self.at {
            body["at"] = at.into();
        }
        let mut answer = (self.status, body.to_string()).into_response();
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_s {
            answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        answer
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        Self { at: Some(error.at), ..Self::bad_request("bad_query", error.to_string()) }
    }
}

impl From<SearchError> for Problem {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::BadCursor => Self::bad_request("bad_cursor", error.to_string()),
            SearchError::BadRequest(why) => Self::bad_request("bad_request", why),
            SearchError::Store(error) => Self::internal(&error),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::internal(&error)
    }
}

impl From<JsonRejection> for Problem {
    fn from(error: JsonRejection) -> Self {
        Self::of_body(&error, error.status(), &error.body_text())
    }
}

impl From<QueryRejection> for Problem {
    fn from(error: QueryRejection) -> Self {
        Self::new(error.status(), "bad_parameter", error.body_text())
    }
}
