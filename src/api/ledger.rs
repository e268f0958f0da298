//! The conservation ledger: totals by source, and by minute where that is asked for.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ask::limit;
use super::{Api, Problem};
use crate::model::{MinuteRow, SourceId, Timestamp};
use crate::store::catalog::MinutesAsked;

/// Rows of a page, unless asked otherwise, and at most.
const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 10_000;

/// What is asked of the ledger.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    by: Option<By>,
    source: Option<SourceId>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    limit: Option<i64>,
    cursor: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum By {
    Source,
    Minute,
}

/// `GET /api/v1/ledger`
pub(super) async fn ledger(State(api): State<Api>, asked: Result<Query<Asked>, QueryRejection>) -> Result<Json<Value>, Problem> {
    let asked = asked?.0;
    let mut answer = api.service.ledger();
    let by_minute = asked.by == Some(By::Minute);
    if !by_minute && (asked.source.is_some() || asked.from.is_some() || asked.to.is_some() || asked.limit.is_some() || asked.cursor.is_some()) {
        return Err(Problem::bad_request("bad_query", "`source`, `from`, `to`, `limit` and `cursor` ask for minutes: add `by=minute`".to_owned()));
    }
    if by_minute {
        let limit = limit("limit", asked.limit, PAGE_DEFAULT, &(1..=PAGE_MAX))?;
        let after = asked.cursor.as_deref().map(cursor).transpose()?;
        let minutes = MinutesAsked { source: asked.source, from: asked.from, to: asked.to, after, limit: limit + 1 };
        let (rows, next) = page(&api, &minutes, limit).await?;
        answer["minutes"] = rows.iter().map(show).collect();
        answer["next_cursor"] = next.map_or(Value::Null, |row| format!("{}.{}", row.minute, row.source).into());
    }
    Ok(Json(answer))
}

fn cursor(text: &str) -> Result<(i64, SourceId), Problem> {
    let parts = text.split_once('.').and_then(|(minute, source)| Some((minute.parse().ok()?, SourceId::from(source))));
    parts.ok_or_else(|| Problem::bad_request("bad_cursor", "this is no cursor: pass `next_cursor` of the page before as it is".to_owned()))
}

/// The rows of a page, and the last of them if there are more. What stands in the last checkpoint comes before what stands in the table: it is the newer
/// word on the same minute.
async fn page(api: &Api, asked: &MinutesAsked, limit: usize) -> Result<(Vec<MinuteRow>, Option<MinuteRow>), Problem> {
    let open = api.service.open_minutes();
    let mut rows: Vec<MinuteRow> = open.into_iter().filter(|row| asked.takes(row)).collect();
    let kept = api.catalog.minutes(asked).await.map_err(Problem::from)?;
    rows.extend(kept);
    // The sort is stable, so of two rows of one place the open one stays.
    rows.sort_by(|a, b| b.minute.cmp(&a.minute).then_with(|| a.source.cmp(&b.source)));
    rows.dedup_by(|later, first| later.minute == first.minute && later.source == first.source);
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| has_more).cloned();
    Ok((rows, next))
}

fn show(row: &MinuteRow) -> Value {
    let remainder = i64::try_from(row.tally.remainder()).unwrap_or(i64::MAX);
    json!({"minute": Timestamp::from_seconds(row.minute).to_string(), "source": row.source, "counts": row.tally, "remainder": remainder})
}
