//! What happened around an event.

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query as Parameters, State};
use axum::response::Response;
use serde::Deserialize;

use super::ask::{Id, limit};
use super::auth::Caller;
use super::events::{LIMIT_DEFAULT, event, find, step};
use super::format::Format;
use super::{Api, Problem};
use crate::model::{Duration, Event, Field, FieldRef};
use crate::query::{CLAUSES_MAX, Query, ValueTest, Wild};
use crate::store::SearchRequest;
use crate::store::search::LIMIT_MAX;

/// How long before and after an event its surroundings are, unless asked otherwise, and at most.
const AROUND_DEFAULT: &str = "5m";
const AROUND_MAX: Duration = Duration::hours(24);

/// What the surroundings of an event are taken to be.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Around {
    /// So long before it and after it.
    within: Option<String>,
    #[serde(default)]
    by: AroundBy,
    limit: Option<i64>,
    cursor: Option<String>,
    #[serde(default)]
    format: Format,
}

/// What surrounding events have in common with the one in the middle.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum AroundBy {
    /// An entity: the user, the pod, the address.
    #[default]
    Entity,
    /// Only the cluster.
    Cluster,
}

impl AroundBy {
    /// The query for what an event has of it.
    fn query(self, event: &Event) -> Query {
        let is = |field: Field, value: &str| Query::Field { field: FieldRef::Fact(field), test: ValueTest::Wild(Wild::literal(value)) };
        let cluster = event.fact(Field::Cluster).map(|cluster| is(Field::Cluster, cluster));
        let entities: Vec<_> = event.facts_of(Field::Entity).iter().take(CLAUSES_MAX).map(|entity| is(Field::Entity, entity)).collect();
        let entities = matches!(self, Self::Entity).then_some(Query::Or(entities));
        Query::And(cluster.into_iter().chain(entities).collect())
    }
}

/// What happened around an event: to the same entities, or in the same cluster.
pub(super) async fn around(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
    asked: Result<Parameters<Around>, QueryRejection>,
) -> Result<Response, Problem> {
    let asked = asked?.0;
    let within = step(asked.within.as_deref().unwrap_or(AROUND_DEFAULT))?;
    if within > AROUND_MAX {
        return Err(Problem::bad_request("bad_step", "`within` is at most 1d"));
    }
    let limit = limit("limit", asked.limit, LIMIT_DEFAULT, &(1..=LIMIT_MAX))?;
    let hit = event(&api, &caller, &id).await?;
    let request = SearchRequest {
        from: Some(hit.time.minus(within)),
        to: Some(hit.time.plus(within).plus(Duration(1))),
        limit,
        cursor: asked.cursor,
        ..SearchRequest::new(asked.by.query(&hit.event))
    };
    find(&api, &caller, request, asked.format, false).await
}
