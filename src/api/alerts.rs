//! Alerts and their triage.

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::Value;

use super::ask::{Id, limit};
use super::auth::Caller;
use super::events::{off_runtime, page};
use super::format::{Asked, Format};
use super::{Api, Problem};
use crate::model::{AlertId, Level, Status, Timestamp};
use crate::store::catalog::{AlertFilter, PAGE_DEFAULT, PAGE_MAX, Patch, PatchError, Stored};
use crate::store::{SearchAnswer, Total};

/// Which alerts to list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct List {
    status: Option<Status>,
    level: Option<Level>,
    rule: Option<String>,
    entity: Option<String>,
    cluster: Option<crate::model::ClusterId>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    limit: Option<i64>,
    cursor: Option<String>,
    #[serde(default)]
    format: Format,
}

fn id(text: &str) -> Result<AlertId, Problem> {
    text.parse().map_err(|error: crate::model::BadId| Problem::bad_request("bad_id", error.to_string()))
}

fn answer(stored: &Stored, body: &Value) -> Response {
    let mut answer = Json(body).into_response();
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", stored.version)) {
        answer.headers_mut().insert(header::ETAG, tag);
    }
    answer
}

/// Alerts, the last seen first.
pub(super) async fn list(State(api): State<Api>, asked: Result<Query<List>, QueryRejection>) -> Result<Json<Value>, Problem> {
    let asked = asked?.0;
    let after = asked.cursor.as_deref().map(str::parse).transpose().map_err(|why: String| Problem::bad_request("bad_cursor", why))?;
    let filter = AlertFilter {
        status: asked.status,
        level_min: asked.level,
        rule: asked.rule,
        entity: asked.entity,
        cluster: asked.cluster,
        from: asked.from,
        to: asked.to,
        ..AlertFilter::default()
    };
    let limit = limit("limit", asked.limit, PAGE_DEFAULT, &(1..=PAGE_MAX))?;
    let page = api.catalog.list(&filter, after, limit).await?;
    let next = page.next.map(|cursor| cursor.to_string());
    let alerts: Vec<Value> = page.alerts.iter().map(|stored| asked.format.alert(&stored.alert)).collect();
    Ok(Json(serde_json::json!({"alerts": alerts, "next_cursor": next})))
}

async fn stored(api: &Api, text: &str) -> Result<Stored, Problem> {
    let id = id(text)?;
    api.catalog.get(id).await?.ok_or_else(|| Problem::not_found(format!("there is no alert {id}")))
}

/// One alert, with its comments.
pub(super) async fn one(State(api): State<Api>, Id(text): Id, asked: Result<Query<Asked>, QueryRejection>) -> Result<Response, Problem> {
    let format = asked?.0.format;
    let stored = stored(&api, &text).await?;
    let mut body = format.alert(&stored.alert);
    format.add_comments(&api.catalog.comments(stored.alert.id).await?, &mut body);
    Ok(answer(&stored, &body))
}

/// A change of an alert.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Changes {
    status: Option<Status>,
    comment: Option<String>,
}

impl From<PatchError> for Problem {
    fn from(error: PatchError) -> Self {
        match &error {
            PatchError::Unknown(_) => Self::not_found(error.to_string()),
            PatchError::Conflict { .. } => Self::new(StatusCode::PRECONDITION_FAILED, "changed_meanwhile", error.to_string()),
            PatchError::Store(error) => Self::internal(error),
            _ => Self::bad_request("bad_change", error.to_string()),
        }
    }
}

/// Changes the status, adds a comment, or both.
pub(super) async fn patch(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Id(text): Id,
    headers: HeaderMap,
    asked: Result<Json<Changes>, JsonRejection>,
) -> Result<Response, Problem> {
    let asked = asked?.0;
    if asked.status.is_none() && asked.comment.is_none() {
        return Err(Problem::bad_request("nothing_to_change", "`status`, `comment` or both are to be given"));
    }
    let if_match = match headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok()) {
        None | Some("*") => None,
        Some(tag) => Some(tag.trim_matches('"').parse().map_err(|_| Problem::bad_request("bad_etag", "`If-Match` is the ETag of an answer"))?),
    };
    let stored = api.catalog.patch(id(&text)?, &Patch { who: caller.name(), status: asked.status, comment: asked.comment, if_match }).await?;
    Ok(answer(&stored, &Format::Bartizan.alert(&stored.alert)))
}

/// A comment.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewComment {
    text: String,
}

/// Adds a comment.
pub(super) async fn comment(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Id(text): Id,
    asked: Result<Json<NewComment>, JsonRejection>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let id = id(&text)?;
    api.catalog.patch(id, &Patch { who: caller.name(), comment: Some(asked?.0.text), ..Patch::default() }).await?;
    let comments = api.catalog.comments(id).await?;
    Ok((StatusCode::CREATED, Json(serde_json::json!({"comments": comments}))))
}

/// The events behind an alert, the earliest first.
pub(super) async fn events(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Id(text): Id,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let format = asked?.0.format;
    let ids = stored(&api, &text).await?.alert.events;
    let mut hits = off_runtime(&api, &caller, move |searcher, _| ids.iter().map(|id| searcher.get(id)).collect::<Result<Vec<_>, _>>()).await?;
    hits.retain(Option::is_some);
    let mut events: Vec<_> = hits.into_iter().flatten().collect();
    events.sort_by_key(|hit| (hit.time, hit.id));
    let total = Total { value: events.len() as u64, exact: true };
    Ok(page(&SearchAnswer { events, total, next_cursor: None, partial: false, steps: Vec::new(), skipped: 0 }, format, None, 0))
}
