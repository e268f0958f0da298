//! Lists of alerts: newest first, filtered, a page at a time.

use std::fmt;
use std::str::FromStr;

use sqlx::{QueryBuilder, Sqlite};

use crate::model::{AlertId, ClusterId, EventId, Level, Status, TenantId, Timestamp};
use crate::ports::StoreError;

use super::publish::level_rank;
use super::{Catalog, STORED_COLUMNS, Stored, StoredRow, engine, from_sql, load, stored};

/// Alerts on a page, unless asked otherwise, and at most.
pub const PAGE_DEFAULT: usize = 100;
pub const PAGE_MAX: usize = 1_000;

/// Which alerts to list; what is `None` does not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertFilter {
    pub tenant: Option<TenantId>,
    pub status: Option<Status>,
    pub level_min: Option<Level>,
    /// Id of the rule.
    pub rule: Option<String>,
    /// As in the alert's `entities`: `user:alice`.
    pub entity: Option<String>,
    pub event: Option<EventId>,
    pub cluster: Option<ClusterId>,
    /// Alerts last seen at or after, and first seen before.
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
}

/// Where a page ended. Text for clients, who pass it back as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    last_seen: i64,
    id: AlertId,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.last_seen, self.id)
    }
}

impl FromStr for Cursor {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('.').and_then(|(time, id)| Some(Self { last_seen: time.parse().ok()?, id: id.parse().ok()? }));
        parts.ok_or_else(|| "this is no cursor: pass `next_cursor` of the page before as it is".to_owned())
    }
}

/// One page of alerts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertPage {
    pub alerts: Vec<Stored>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<Cursor>,
}

impl Catalog {
    /// The alert of this id.
    pub async fn get(&self, id: AlertId) -> Result<Option<Stored>, StoreError> {
        load(&self.reader, id).await
    }

    /// Alerts by `last_seen`, newest first, at most [`PAGE_MAX`]. One that is seen again between two pages moves to the front.
    pub async fn list(&self, filter: &AlertFilter, after: Option<Cursor>, limit: usize) -> Result<AlertPage, StoreError> {
        let limit = limit.clamp(1, PAGE_MAX);
        let mut query = QueryBuilder::<Sqlite>::new("SELECT ");
        query.push(STORED_COLUMNS).push(" FROM alerts WHERE 1 = 1");
        restrict(&mut query, filter);
        if let Some(cursor) = after {
            query.push(" AND (last_seen < ").push_bind(cursor.last_seen);
            query.push(" OR (last_seen = ").push_bind(cursor.last_seen).push(" AND id < ").push_bind(cursor.id.to_string()).push("))");
        }
        query.push(" ORDER BY last_seen DESC, id DESC LIMIT ").push_bind(i64::try_from(limit + 1).unwrap_or(i64::MAX));
        let rows: Vec<StoredRow> = query.build_query_as().fetch_all(&self.reader).await.map_err(|cause| engine("list alerts", cause))?;
        let mut alerts = rows.into_iter().map(stored).collect::<Result<Vec<_>, _>>()?;
        let more = alerts.len() > limit;
        alerts.truncate(limit);
        let last = alerts.last().filter(|_| more);
        let next = last.map(|stored| Cursor { last_seen: stored.alert.last_seen.nanos(), id: stored.alert.id });
        Ok(AlertPage { alerts, next })
    }

    /// How many alerts of each level pass the filter, mildest level first.
    pub async fn counts_by_level(&self, filter: &AlertFilter) -> Result<Vec<(Level, u64)>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT level, COUNT(*) FROM alerts WHERE 1 = 1");
        restrict(&mut query, filter);
        query.push(" GROUP BY level");
        let rows: Vec<(i64, i64)> = query.build_query_as().fetch_all(&self.reader).await.map_err(|cause| engine("count alerts", cause))?;
        let count = |level: Level| rows.iter().find(|(rank, _)| *rank == level_rank(level)).map_or(0, |(_, count)| from_sql(*count));
        Ok(Level::ALL.into_iter().map(|level| (level, count(level))).collect())
    }
}

fn restrict(query: &mut QueryBuilder<Sqlite>, filter: &AlertFilter) {
    let texts = [
        (" AND tenant = ", filter.tenant.as_ref().map(|tenant| tenant.as_str().to_owned())),
        (" AND status = ", filter.status.map(|status| status.name().to_owned())),
        (" AND rule = ", filter.rule.clone()),
        (" AND cluster = ", filter.cluster.as_ref().map(|cluster| cluster.as_str().to_owned())),
    ];
    for (sql, value) in texts {
        if let Some(value) = value {
            query.push(sql).push_bind(value);
        }
    }
    let numbers = [
        (" AND level >= ", filter.level_min.map(level_rank)),
        (" AND last_seen >= ", filter.from.map(Timestamp::nanos)),
        (" AND first_seen < ", filter.to.map(Timestamp::nanos)),
    ];
    for (sql, value) in numbers {
        if let Some(value) = value {
            query.push(sql).push_bind(value);
        }
    }
    if let Some(entity) = &filter.entity {
        query.push(" AND id IN (SELECT alert_id FROM alert_entities WHERE entity = ").push_bind(entity.clone()).push(")");
    }
    if let Some(event) = filter.event {
        query.push(" AND id IN (SELECT alert_id FROM alert_events WHERE event_id = ").push_bind(event.to_string()).push(")");
    }
}
