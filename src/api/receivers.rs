//! The dialects of senders that expect more of a push than a status: where they put the token, and what answer they read.
//!
//! OpenTelemetry's OTLP/HTTP, Splunk's HTTP Event Collector, Amazon Data Firehose's HTTP endpoint, Google Pub/Sub's push. What they send is
//! told by its bytes like any other payload; nothing here reads a body.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::{Problem, Receipt};

/// How a route speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// This project's own: a bearer token, a receipt as JSON, a problem as RFC 9457 has it.
    Own,
    /// A bearer token; the answer is an `ExportLogsServiceResponse` in the encoding of the request.
    Otlp,
    /// `Authorization: Splunk TOKEN`, and answers of text and code.
    SplunkHec,
    /// The token is the access key; every answer repeats the request's id.
    Firehose,
    /// Any success acknowledges. It can send no header of ours, so the token may stand in the URL.
    PubSub,
}

const FIREHOSE_KEY: HeaderName = HeaderName::from_static("x-amz-firehose-access-key");
const FIREHOSE_ID: HeaderName = HeaderName::from_static("x-amz-firehose-request-id");
const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

impl Dialect {
    /// The token that the sender shows.
    pub(super) fn token<'r>(self, headers: &'r HeaderMap, uri: &'r Uri) -> Option<&'r str> {
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let scheme = |wanted: &str| {
            let (scheme, token) = text(&header::AUTHORIZATION)?.split_once(' ')?;
            scheme.eq_ignore_ascii_case(wanted).then(|| token.trim())
        };
        let bearer = scheme("bearer");
        match self {
            Self::Own | Self::Otlp => bearer,
            Self::SplunkHec => scheme("splunk").or(bearer),
            Self::Firehose => text(&FIREHOSE_KEY).or(bearer),
            Self::PubSub => bearer.or_else(|| uri.query()?.split('&').find_map(|pair| pair.strip_prefix("token="))),
        }
    }

    /// What is said once everything that could be read is durable.
    pub(super) fn taken(self, receipt: Receipt, request: &HeaderMap, now_ms: i64) -> Response {
        match self {
            Self::Own => axum::Json(receipt).into_response(),
            Self::Otlp => otlp(receipt.rejected, request),
            Self::SplunkHec => said(StatusCode::OK, JSON, r#"{"text":"Success","code":0}"#.to_owned()),
            Self::Firehose => said(StatusCode::OK, JSON, firehose(request, now_ms, None)),
            Self::PubSub => StatusCode::NO_CONTENT.into_response(),
        }
    }

    /// What is said when nothing was taken. The status is the problem's own, since that is what a sender decides by.
    pub(super) fn refused(self, problem: Problem, request: &HeaderMap, now_ms: i64) -> Response {
        let body = match self {
            Self::Own | Self::Otlp | Self::PubSub => return problem.into_response(),
            Self::SplunkHec => {
                let (text, code) = match problem.status {
                    StatusCode::UNAUTHORIZED => ("Token is required", 2),
                    StatusCode::FORBIDDEN => ("Invalid token", 4),
                    StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => ("Server is busy", 9),
                    StatusCode::INTERNAL_SERVER_ERROR => ("Internal server error", 8),
                    _ => (problem.detail.as_str(), 6),
                };
                serde_json::json!({"text": text, "code": code}).to_string()
            }
            Self::Firehose => firehose(request, now_ms, Some(&problem.detail)),
        };
        // The problem's answer has the headers that go with its status; only the body is spelled otherwise.
        let mut answer = problem.into_response();
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
        answer.headers_mut().remove(header::CONTENT_LENGTH);
        *answer.body_mut() = body.into();
        answer
    }
}

fn said(status: StatusCode, media: &'static str, body: impl Into<axum::body::Body>) -> Response {
    (status, [(header::CONTENT_TYPE, media)], body.into()).into_response()
}

fn firehose(request: &HeaderMap, now_ms: i64, error: Option<&str>) -> String {
    let id = request.get(FIREHOSE_ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
    let mut answer = serde_json::json!({"requestId": id, "timestamp": now_ms});
    if let Some(error) = error {
        answer["errorMessage"] = error.into();
    }
    answer.to_string()
}

/// `ExportLogsServiceResponse`, empty unless something was left out: then it tells how much, which no sender repeats.
fn otlp(rejected: u64, request: &HeaderMap) -> Response {
    const WHY: &str = "what could not be read was counted and left out";
    let is_json = request.get(header::CONTENT_TYPE).is_some_and(|media| media.as_bytes().starts_with(JSON.as_bytes()));
    match (is_json, rejected) {
        (true, 0) => said(StatusCode::OK, JSON, "{}"),
        (true, _) => {
            // 64-bit numbers are strings in protobuf's JSON.
            let partial = serde_json::json!({"partialSuccess": {"rejectedLogRecords": rejected.to_string(), "errorMessage": WHY}});
            said(StatusCode::OK, JSON, partial.to_string())
        }
        (false, 0) => said(StatusCode::OK, PROTOBUF, Vec::new()),
        (false, _) => {
            // partial_success (1) of rejected_log_records (1) and error_message (2).
            let mut partial = vec![0x08];
            varint(rejected, &mut partial);
            partial.push(0x12);
            varint(WHY.len() as u64, &mut partial);
            partial.extend_from_slice(WHY.as_bytes());
            let mut body = vec![0x0a];
            varint(partial.len() as u64, &mut body);
            body.extend_from_slice(&partial);
            said(StatusCode::OK, PROTOBUF, body)
        }
    }
}

fn varint(mut number: u64, to: &mut Vec<u8>) {
    while number >= 0x80 {
        to.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}
