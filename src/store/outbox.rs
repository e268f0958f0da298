//! Messages that wait for their targets. A row is written in the transaction of the change that it tells, and the same bytes are sent however often.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::SqliteConnection;
use tokio::sync::watch;

use crate::alert;
use crate::model::{Alert, Duration, Level, Timestamp};
use crate::ports::{Leased, Notification, Outbox, StoreError};

use super::catalog::{Catalog, Stored, engine, from_sql};

/// Rows that one listing shows.
pub const LISTED_MAX: i64 = 1_000;
const ERROR_BYTES_MAX: usize = 500;

type Accept = dyn Fn(&Alert) -> Vec<String> + Send + Sync;

/// Which targets an alert goes to.
#[derive(Clone)]
pub struct Routes(Arc<Accept>);

impl Routes {
    /// As the function says: the names of the targets for an alert.
    pub fn by(accept: impl Fn(&Alert) -> Vec<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(accept))
    }

    /// What holds without any `[[route]]`: medium and above to every target.
    pub fn medium_and_above(targets: Vec<String>) -> Self {
        Self::by(move |alert| if alert.rule.level >= Level::Medium { targets.clone() } else { Vec::new() })
    }

    /// Nobody is told anything.
    pub fn none() -> Self {
        Self::by(|_| Vec::new())
    }

    pub(super) fn targets(&self, alert: &Alert) -> Vec<String> {
        let mut targets = (self.0)(alert);
        targets.sort();
        targets.dedup();
        targets
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Routes")
    }
}

/// The body of a webhook (CONTRACTS 3): type, time of the change, and the alert, cut.
pub fn message(kind: &str, at: Timestamp, alert: &Alert) -> String {
    format!(r#"{{"type":"{kind}","timestamp":"{at}","data":{}}}"#, alert::cut(alert, alert::BYTES_MAX))
}

/// One row, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Queued {
    pub id: String,
    pub target: String,
    pub alert: String,
    /// `waiting`, `done` or `dead`.
    pub state: String,
    pub attempts: u64,
    pub created: Timestamp,
    pub next: Timestamp,
    pub last_error: Option<String>,
}

/// A target that has said it is gone.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct DisabledTarget {
    pub target: String,
    pub since: Timestamp,
    pub why: String,
}

/// Adds rows within one transaction.
#[derive(Debug)]
pub(super) struct Queue {
    next_seq: i64,
    disabled: Vec<String>,
    pushed: bool,
}

impl Queue {
    pub(super) async fn open(tx: &mut SqliteConnection) -> Result<Self, StoreError> {
        let failed = |cause| engine("read the outbox", cause);
        let last: Option<i64> = sqlx::query_scalar("SELECT MAX(seq) FROM outbox").fetch_one(&mut *tx).await.map_err(failed)?;
        let disabled = sqlx::query_scalar("SELECT target FROM disabled_targets").fetch_all(tx).await.map_err(failed)?;
        Ok(Self { next_seq: last.unwrap_or(0).saturating_add(1), disabled, pushed: false })
    }

    pub(super) fn pushed(&self) -> bool {
        self.pushed
    }

    pub(super) async fn push(
        &mut self,
        tx: &mut SqliteConnection,
        stored: &Stored,
        targets: &[String],
        body: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let alert = stored.alert.id.to_string();
        let sql = "INSERT INTO outbox (id, target, seq, alert_id, body, state, attempts, created_at, attempted_at, next_at, lease_until) \
            VALUES ($1, $2, $3, $4, $5, 'waiting', 0, $6, 0, $6, 0) ON CONFLICT (id, target) DO NOTHING";
        for target in targets.iter().filter(|target| !self.disabled.contains(target)) {
            sqlx::query(sql)
                .bind(format!("{alert}.{}", stored.version))
                .bind(target.clone())
                .bind(self.next_seq)
                .bind(alert.clone())
                .bind(body.to_owned())
                .bind(now.nanos())
                .execute(&mut *tx)
                .await
                .map_err(|cause| engine(format!("queue a message for `{target}`"), cause))?;
            self.next_seq += 1;
            self.pushed = true;
        }
        Ok(())
    }
}

type LeaseRow = (String, String, i64, i64);

#[async_trait]
impl Outbox for Catalog {
    async fn lease(&self, target: &str, now: Timestamp, until: Timestamp) -> Result<Option<Leased>, StoreError> {
        let failed = |cause| engine(format!("take a message for `{target}`"), cause);
        let sql = "SELECT o.id, o.body, o.attempts, o.created_at FROM outbox o WHERE o.target = $1 AND o.state = 'waiting' AND o.next_at <= $2 \
            AND o.lease_until <= $2 AND NOT EXISTS (SELECT 1 FROM outbox e WHERE e.target = o.target AND e.alert_id = o.alert_id \
            AND e.state = 'waiting' AND e.seq < o.seq) ORDER BY o.seq LIMIT 1";
        let row: Option<LeaseRow> =
            sqlx::query_as(sql).bind(target.to_owned()).bind(now.nanos()).fetch_optional(&self.reader).await.map_err(failed)?;
        let Some((id, body, attempts, created)) = row else { return Ok(None) };
        // Another worker may have been quicker: the row is ours only if it is still as it was read.
        let sql = "UPDATE outbox SET lease_until = $1, attempts = attempts + 1, attempted_at = $2 \
            WHERE id = $3 AND target = $4 AND state = 'waiting' AND lease_until <= $2 AND attempts = $5";
        let taken = sqlx::query(sql)
            .bind(until.nanos())
            .bind(now.nanos())
            .bind(id.clone())
            .bind(target.to_owned())
            .bind(attempts)
            .execute(&self.writer)
            .await
            .map_err(failed)?;
        let attempt = u32::try_from(attempts.saturating_add(1)).unwrap_or(u32::MAX);
        let leased = Leased { notification: Notification { id, body }, target: target.to_owned(), attempt, created: Timestamp::from_nanos(created) };
        Ok((taken.rows_affected() == 1).then_some(leased))
    }

    async fn next_due(&self, target: &str) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT MIN(CASE WHEN lease_until > next_at THEN lease_until ELSE next_at END) FROM outbox WHERE target = $1 AND state = 'waiting'";
        let due: Option<i64> = sqlx::query_scalar(sql)
            .bind(target.to_owned())
            .fetch_one(&self.reader)
            .await
            .map_err(|cause| engine(format!("read the messages for `{target}`"), cause))?;
        Ok(due.map(Timestamp::from_nanos))
    }

    async fn done(&self, leased: &Leased) -> Result<(), StoreError> {
        self.settle(leased, "done", Timestamp::from_nanos(0), None).await
    }

    async fn retry(&self, leased: &Leased, at: Timestamp, why: &str) -> Result<(), StoreError> {
        self.settle(leased, "waiting", at, Some(why)).await
    }

    async fn dead(&self, leased: &Leased, why: &str) -> Result<(), StoreError> {
        self.settle(leased, "dead", Timestamp::from_nanos(0), Some(why)).await
    }

    async fn disable(&self, target: &str, why: &str, now: Timestamp) -> Result<u64, StoreError> {
        let failed = |cause| engine(format!("disable target `{target}`"), cause);
        let mut tx = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        sqlx::query("INSERT INTO disabled_targets (target, since, why) VALUES ($1, $2, $3) ON CONFLICT (target) DO NOTHING")
            .bind(target.to_owned())
            .bind(now.nanos())
            .bind(shortened(why))
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        let given_up = sqlx::query("UPDATE outbox SET state = 'dead', lease_until = 0, last_error = $1 WHERE target = $2 AND state = 'waiting'")
            .bind(shortened(why))
            .bind(target.to_owned())
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        Ok(given_up.rows_affected())
    }

    async fn hasten(&self, target: &str, now: Timestamp, spacing: Duration) -> Result<(), StoreError> {
        let sql = "UPDATE outbox SET next_at = CASE WHEN attempted_at + $1 > $2 THEN attempted_at + $1 ELSE $2 END \
            WHERE target = $3 AND state = 'waiting' AND next_at > $2 AND next_at > attempted_at + $1";
        sqlx::query(sql)
            .bind(spacing.0)
            .bind(now.nanos())
            .bind(target.to_owned())
            .execute(&self.writer)
            .await
            .map_err(|cause| engine(format!("hasten the messages for `{target}`"), cause))?;
        self.wake.send_modify(|count| *count = count.wrapping_add(1));
        Ok(())
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.wake.subscribe()
    }
}

impl Catalog {
    /// The messages in this state (`waiting`, `done`, `dead`), oldest first, at most [`LISTED_MAX`].
    pub async fn queued(&self, state: &str) -> Result<Vec<Queued>, StoreError> {
        type Row = (String, String, String, String, i64, i64, i64, Option<String>);
        let sql = "SELECT id, target, alert_id, state, attempts, created_at, next_at, last_error FROM outbox WHERE state = $1 ORDER BY seq LIMIT $2";
        let rows: Vec<Row> = sqlx::query_as(sql)
            .bind(state.to_owned())
            .bind(LISTED_MAX)
            .fetch_all(&self.reader)
            .await
            .map_err(|cause| engine("list the outbox", cause))?;
        let time = Timestamp::from_nanos;
        let queued = |(id, target, alert, state, attempts, created, next, last_error)| Queued {
            id,
            target,
            alert,
            state,
            attempts: from_sql(attempts),
            created: time(created),
            next: time(next),
            last_error,
        };
        Ok(rows.into_iter().map(queued).collect())
    }

    /// Targets that have said they are gone.
    pub async fn disabled_targets(&self) -> Result<Vec<DisabledTarget>, StoreError> {
        let rows: Vec<(String, i64, String)> = sqlx::query_as("SELECT target, since, why FROM disabled_targets ORDER BY target")
            .fetch_all(&self.reader)
            .await
            .map_err(|cause| engine("list disabled targets", cause))?;
        Ok(rows.into_iter().map(|(target, since, why)| DisabledTarget { target, since: Timestamp::from_nanos(since), why }).collect())
    }

    /// Takes a target back into service; messages given up stay so until [`Catalog::replay`]. Says whether it was disabled.
    pub async fn enable_target(&self, target: &str) -> Result<bool, StoreError> {
        let sql = "DELETE FROM disabled_targets WHERE target = $1";
        let gone = sqlx::query(sql).bind(target.to_owned()).execute(&self.writer).await;
        Ok(gone.map_err(|cause| engine(format!("enable target `{target}`"), cause))?.rows_affected() == 1)
    }

    /// Sends messages that were given up once more: those for a target created in `[from, to)`. Says how many.
    pub async fn replay(&self, target: &str, from: Timestamp, to: Timestamp) -> Result<u64, StoreError> {
        let sql = "UPDATE outbox SET state = 'waiting', attempts = 0, next_at = $1, created_at = $1, lease_until = 0 \
            WHERE target = $2 AND state = 'dead' AND created_at >= $3 AND created_at < $4";
        let revived = sqlx::query(sql)
            .bind(self.clock.now().nanos())
            .bind(target.to_owned())
            .bind(from.nanos())
            .bind(to.nanos())
            .execute(&self.writer)
            .await
            .map_err(|cause| engine(format!("replay messages for `{target}`"), cause))?;
        self.wake.send_modify(|count| *count = count.wrapping_add(1));
        Ok(revived.rows_affected())
    }

    /// Forgets delivered messages that were created before. Those given up stay.
    pub async fn prune_delivered(&self, before: Timestamp) -> Result<u64, StoreError> {
        let sql = "DELETE FROM outbox WHERE state = 'done' AND created_at < $1";
        let gone = sqlx::query(sql).bind(before.nanos()).execute(&self.writer).await;
        Ok(gone.map_err(|cause| engine("prune the outbox", cause))?.rows_affected())
    }

    async fn settle(&self, leased: &Leased, state: &'static str, next: Timestamp, why: Option<&str>) -> Result<(), StoreError> {
        // Only who still holds the attempt may settle it: after a lapsed lease another attempt may be under way. A delivery counts in any case.
        let sql = "UPDATE outbox SET state = $1, next_at = $2, lease_until = 0, last_error = $3 \
            WHERE id = $4 AND target = $5 AND state = 'waiting' AND (attempts = $6 OR $1 = 'done')";
        sqlx::query(sql)
            .bind(state)
            .bind(next.nanos())
            .bind(why.map(shortened))
            .bind(leased.notification.id.clone())
            .bind(leased.target.clone())
            .bind(i64::from(leased.attempt))
            .execute(&self.writer)
            .await
            .map_err(|cause| engine(format!("settle message `{}` for `{}`", leased.notification.id, leased.target), cause))?;
        Ok(())
    }
}

fn shortened(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).take(ERROR_BYTES_MAX / 4).collect()
}
