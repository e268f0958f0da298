//! Search over events.

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ask::{Id, limit};
use super::auth::Caller;
use super::format::{Asked, AskedBeside, Format};
use super::{Api, Problem};
use crate::model::{Duration, Event, EventId, FieldRef, Timestamp};
use crate::query;
use crate::store::search::LIMIT_MAX;
use crate::store::{Bucket, Budget, Hit, SearchAnswer, SearchError, SearchRequest, Searcher, Total};

/// Events on a page, unless asked otherwise.
pub(super) const LIMIT_DEFAULT: usize = 100;
/// Values of one field in an aggregation, unless asked otherwise, and at most.
const TOP_SIZE_DEFAULT: usize = 10;
const TOP_SIZE_MAX: usize = 1_000;

/// What a search asks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Search {
    #[serde(default)]
    query: String,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    limit: Option<i64>,
    cursor: Option<String>,
    format: Option<Format>,
    #[serde(default)]
    explain: bool,
}

impl Search {
    fn request(self) -> Result<SearchRequest, Problem> {
        let text = if self.query.trim().is_empty() { "*" } else { self.query.as_str() };
        let mut request = SearchRequest::new(query::parse(text)?);
        (request.from, request.to, request.cursor) = (self.from, self.to, self.cursor);
        request.limit = limit("limit", self.limit, LIMIT_DEFAULT, &(0..=LIMIT_MAX))?;
        Ok(request)
    }
}

/// Ends a search when nobody waits for it any more: the caller went away, or the request took too long.
struct CancelOnDrop(Budget);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Runs a search off the runtime, if it is the caller's turn. It keeps its turn until it has really ended.
pub(super) async fn off_runtime<T: Send + 'static>(
    api: &Api,
    caller: &Caller,
    work: impl FnOnce(&Searcher, Budget) -> Result<T, SearchError> + Send + 'static,
) -> Result<T, Problem> {
    let turn = api.turns.take(caller.key())?;
    let budget = Budget::within(api.limits.search);
    let _cancel = CancelOnDrop(budget.clone());
    let searcher = api.searcher.clone();
    let done = tokio::task::spawn_blocking(move || {
        let result = work(&searcher, budget);
        drop(turn);
        result
    });
    done.await.map_err(|error| Problem::internal(&error))?.map_err(Problem::from)
}

/// JSON that is written already.
pub(super) fn json_text(text: String) -> Response {
    let mut answer = text.into_response();
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// How an answer came about: the query as it was understood, and what was done in each part.
fn explanation(query: &query::Query, answer: &SearchAnswer) -> Value {
    json!({"query": query.to_string(), "parts": answer.steps, "parts_skipped": answer.skipped})
}

fn write_events<'e>(events: impl Iterator<Item = &'e Event>, format: Format, to: &mut String) {
    to.push_str("{\"events\":[");
    for (at, event) in events.enumerate() {
        if at > 0 {
            to.push(',');
        }
        format.write_event(event, to);
    }
    to.push(']');
}

/// A page as the contract has it.
pub(super) fn page(answer: &SearchAnswer, format: Format, explain: Option<&Value>, took_ms: u128) -> Response {
    let mut text = String::new();
    write_events(answer.events.iter().map(|hit: &Hit| &hit.event), format, &mut text);
    let cursor = serde_json::to_string(&answer.next_cursor).unwrap_or_default();
    let Total { value, exact } = answer.total;
    text.push_str(&format!(
        ",\"total\":{{\"value\":{value},\"exact\":{exact}}},\"next_cursor\":{cursor},\"partial\":{},\"took_ms\":{took_ms}",
        answer.partial
    ));
    if let Some(explain) = explain {
        text.push_str(&format!(",\"explain\":{explain}"));
    }
    text.push('}');
    json_text(text)
}

async fn search(api: &Api, caller: &Caller, asked: Search) -> Result<Response, Problem> {
    let (format, is_explained) = (asked.format.unwrap_or_default(), asked.explain);
    find(api, caller, asked.request()?, format, is_explained).await
}

/// One page of a request.
pub(super) async fn find(api: &Api, caller: &Caller, request: SearchRequest, format: Format, is_explained: bool) -> Result<Response, Problem> {
    let started = tokio::time::Instant::now();
    let (query, is_count) = (is_explained.then(|| request.query.clone()), request.limit == 0);
    let answer = off_runtime(api, caller, move |searcher, budget| {
        let mut answer = searcher.search(&SearchRequest { budget, ..request })?;
        // Of a count alone nothing else could say that it is not sure.
        answer.partial |= is_count && !answer.total.exact;
        Ok(answer)
    });
    let answer = answer.await?;
    let explain = query.map(|query| explanation(&query, &answer));
    Ok(page(&answer, format, explain.as_ref(), started.elapsed().as_millis()))
}

/// By parameters of the URL.
pub(super) async fn search_by_url(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    asked: Result<Query<Search>, QueryRejection>,
) -> Result<Response, Problem> {
    search(&api, &caller, asked?.0).await
}

/// By a JSON body; the format may stand in the URL.
pub(super) async fn search_by_body(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    beside: Result<Query<AskedBeside>, QueryRejection>,
    asked: Result<Json<Search>, JsonRejection>,
) -> Result<Response, Problem> {
    let mut asked = asked?.0;
    asked.format = asked.format.or(beside?.0.format);
    search(&api, &caller, asked).await
}

/// The event of an id.
pub(super) async fn event(api: &Api, caller: &Caller, id: &str) -> Result<Hit, Problem> {
    let id: EventId = id.parse().map_err(|error: crate::model::BadId| Problem::bad_request("bad_id", error.to_string()))?;
    let hit = off_runtime(api, caller, move |searcher, _| searcher.get(&id)).await?;
    hit.ok_or_else(|| Problem::not_found(format!("there is no event {id}")))
}

/// One event by its id.
pub(super) async fn one(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let format = asked?.0.format;
    let hit = event(&api, &caller, &id).await?;
    let mut text = String::new();
    format.write_event(&hit.event, &mut text);
    Ok(json_text(text))
}

/// One level of an aggregation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct By {
    time: Option<String>,
    field: Option<String>,
    size: Option<i64>,
    stats: Option<String>,
}

/// What an aggregation asks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Aggregate {
    #[serde(default)]
    query: String,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    by: Vec<By>,
}

/// A length of time: `30s`, `5m`, `1h`, `1d`.
pub(super) fn step(text: &str) -> Result<Duration, Problem> {
    let bad = || Problem::bad_request("bad_step", format!("`{}` is no step of time: 30s, 5m, 1h and 1d are", text.escape_debug()));
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(bad)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(bad()),
    };
    let number: i64 = number.parse().ok().filter(|number| (1..=1_000_000).contains(number)).ok_or_else(bad)?;
    Ok(Duration::seconds(number * seconds))
}

fn bucket(by: &By) -> Result<Bucket, Problem> {
    let field = |name: &str| FieldRef::parse(name).map_err(|why| Problem::bad_request("bad_field", why));
    match (&by.time, &by.field, &by.stats, by.size) {
        (Some(text), None, None, None) => Ok(Bucket::Time(step(text)?)),
        (None, Some(name), None, size) => {
            Ok(Bucket::Field { field: field(name)?, size: limit("size", size, TOP_SIZE_DEFAULT, &(1..=TOP_SIZE_MAX))? })
        }
        (None, None, Some(name), None) => Ok(Bucket::Stats { field: field(name)? }),
        _ => {
            let why = "each level is `{\"time\": \"1h\"}`, `{\"field\": …, \"size\": 10}` or `{\"stats\": …}`";
            Err(Problem::bad_request("bad_aggregation", why))
        }
    }
}

/// Histograms and top values.
pub(super) async fn aggregate(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    asked: Result<Json<Aggregate>, JsonRejection>,
) -> Result<Response, Problem> {
    let asked = asked?.0;
    let by = asked.by.iter().map(bucket).collect::<Result<Vec<_>, _>>()?;
    let request = Search { query: asked.query, from: asked.from, to: asked.to, limit: None, cursor: None, format: None, explain: false }.request()?;
    let grouped = off_runtime(&api, &caller, move |searcher, budget| searcher.aggregate(&SearchRequest { budget, ..request }, &by)).await?;
    Ok(Json(grouped).into_response())
}

/// Names of fields.
pub(super) async fn fields(State(api): State<Api>, Extension(caller): Extension<Caller>) -> Result<Response, Problem> {
    let (fields, partial) = off_runtime(&api, &caller, |searcher, budget| searcher.fields(&budget)).await?;
    Ok(Json(json!({"fields": fields, "partial": partial})).into_response())
}
