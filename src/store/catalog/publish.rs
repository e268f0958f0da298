//! Publishing: alerts and their outbox rows in one transaction, so that neither can be without the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use crate::alert;
use crate::model::{Alert, AlertId, Change, Finding, Level, Timestamp};
use crate::ports::{AlertStore, StoreError};

use super::super::outbox;
use super::{Catalog, Changed, Stored, engine, load, to_sql};

#[async_trait]
impl AlertStore for Catalog {
    async fn publish(&self, findings: &[Finding]) -> Result<Vec<(Alert, Change)>, StoreError> {
        let what = || format!("publish {} alerts", findings.len());
        let now = self.clock.now();
        let mut tx = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(|cause| engine(what(), cause))?;
        let mut told = Vec::with_capacity(findings.len());
        let mut changes = Vec::new();
        let mut apart = Vec::new();
        let mut queue = outbox::Queue::open(&mut tx).await?;
        for finding in findings {
            let (stored, change) = publish_one(&mut tx, finding, now).await?;
            if let Some(kind) = alert::message_type(change) {
                let targets = self.routes.targets(&stored.alert);
                let body = outbox::message(kind, now, &stored.alert);
                if crate::defect::is("outbox-outside") {
                    apart.push((stored.clone(), targets, body));
                } else {
                    queue.push(&mut tx, &stored, &targets, &body, now).await?;
                }
            }
            told.push((stored.alert.clone(), change));
            if change != Change::None {
                changes.push(Arc::new(Changed { stored, change }));
            }
        }
        if changes.is_empty() {
            return tx.rollback().await.map(|()| told).map_err(|cause| engine(what(), cause));
        }
        tx.commit().await.map_err(|cause| engine(what(), cause))?;
        if !apart.is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            let mut tx = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(|cause| engine(what(), cause))?;
            for (stored, targets, body) in apart {
                queue.push(&mut tx, &stored, &targets, &body, now).await?;
            }
            tx.commit().await.map_err(|cause| engine(what(), cause))?;
        }
        if queue.pushed() {
            self.wake.send_modify(|count| *count = count.wrapping_add(1));
        }
        for changed in changes {
            // It fails where nobody listens, and then nobody misses it.
            let _ = self.stream.send(changed);
        }
        Ok(told)
    }
}

async fn publish_one(tx: &mut SqliteConnection, finding: &Finding, now: Timestamp) -> Result<(Stored, Change), StoreError> {
    let old = load(&mut *tx, finding.id).await?;
    let (alert, change) = alert::apply(old.as_ref().map(|old| old.alert.clone()), finding);
    let stored = match &old {
        Some(old) if change == Change::None => return Ok((old.clone(), change)),
        Some(old) => Stored { alert, version: old.version.saturating_add(1), opened: old.opened, changed: now },
        None => Stored { alert, version: 1, opened: now, changed: now },
    };
    write(tx, &stored).await?;
    write_lookups(tx, old.as_ref().map(|old| &old.alert), &stored.alert).await?;
    Ok((stored, change))
}

/// Writes the alert's row.
pub(super) async fn write(tx: &mut SqliteConnection, stored: &Stored) -> Result<(), StoreError> {
    let alert = &stored.alert;
    let what = || format!("write alert `{}`", alert.id);
    let body = serde_json::to_string(alert).map_err(|cause| StoreError::Engine { what: what(), source: Box::new(cause) })?;
    let sql = "INSERT INTO alerts (id, tenant, cluster, rule, level, status, first_seen, last_seen, opened_at, changed_at, version, body) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
        ON CONFLICT (id) DO UPDATE SET rule = excluded.rule, level = excluded.level, status = excluded.status, first_seen = excluded.first_seen, \
        last_seen = excluded.last_seen, changed_at = excluded.changed_at, version = excluded.version, body = excluded.body";
    sqlx::query(sql)
        .bind(alert.id.to_string())
        .bind(alert.tenant.as_str().to_owned())
        .bind(alert.cluster.as_str().to_owned())
        .bind(alert.rule.id.clone())
        .bind(level_rank(alert.rule.level))
        .bind(alert.status.name())
        .bind(alert.first_seen.nanos())
        .bind(alert.last_seen.nanos())
        .bind(stored.opened.nanos())
        .bind(stored.changed.nanos())
        .bind(to_sql(stored.version))
        .bind(body)
        .execute(tx)
        .await
        .map_err(|cause| engine(what(), cause))?;
    Ok(())
}

/// 0 for informational to 4 for critical: the order in which lists compare levels.
pub(super) fn level_rank(level: Level) -> i64 {
    match level {
        Level::Informational => 0,
        Level::Low => 1,
        Level::Medium => 2,
        Level::High => 3,
        Level::Critical => 4,
    }
}

/// Writes what changed in the tables that find alerts by event and by entity.
async fn write_lookups(tx: &mut SqliteConnection, old: Option<&Alert>, new: &Alert) -> Result<(), StoreError> {
    let events = |alert: &Alert| -> BTreeMap<String, Option<i64>> {
        let named = alert.events.iter().map(|event| (event.to_string(), None));
        // Steps come last: they know the time.
        named.chain(alert.steps.iter().map(|step| (step.event.to_string(), Some(step.time.nanos())))).collect()
    };
    let entities = |alert: &Alert| -> BTreeMap<String, Option<i64>> { alert.entities.iter().map(|entity| (entity.clone(), None)).collect() };
    let (before, after) = (old.map(events).unwrap_or_default(), events(new));
    write_difference(tx, new.id, &EVENTS, &before, &after).await?;
    let (before, after) = (old.map(entities).unwrap_or_default(), entities(new));
    write_difference(tx, new.id, &ENTITIES, &before, &after).await
}

struct Lookup {
    insert: &'static str,
    delete: &'static str,
    with_time: bool,
}

const EVENTS: Lookup = Lookup {
    insert: "INSERT INTO alert_events (alert_id, event_id, time) ",
    delete: "DELETE FROM alert_events WHERE alert_id = $1 AND event_id = $2",
    with_time: true,
};
const ENTITIES: Lookup = Lookup {
    insert: "INSERT INTO alert_entities (alert_id, entity) ",
    delete: "DELETE FROM alert_entities WHERE alert_id = $1 AND entity = $2",
    with_time: false,
};

/// A key may come, go, or get another time; the lists are short (at most 120), so what goes is deleted one by one.
async fn write_difference(
    tx: &mut SqliteConnection,
    id: AlertId,
    table: &Lookup,
    before: &BTreeMap<String, Option<i64>>,
    after: &BTreeMap<String, Option<i64>>,
) -> Result<(), StoreError> {
    let failed = |cause| engine(format!("write what alert `{id}` is about"), cause);
    for (key, _) in before.iter().filter(|(key, time)| after.get(*key) != Some(time)) {
        sqlx::query(table.delete).bind(id.to_string()).bind(key.clone()).execute(&mut *tx).await.map_err(failed)?;
    }
    let added: Vec<_> = after.iter().filter(|(key, time)| before.get(*key) != Some(time)).collect();
    if added.is_empty() {
        return Ok(());
    }
    let mut query = QueryBuilder::<Sqlite>::new(table.insert);
    query.push_values(added, |mut row, (key, time)| {
        row.push_bind(id.to_string()).push_bind(key.clone());
        if table.with_time {
            row.push_bind(*time);
        }
    });
    query.build().execute(tx).await.map_err(failed)?;
    Ok(())
}
