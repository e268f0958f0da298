//! What people do with an alert: decide, and say why.

use std::sync::Arc;

use sqlx::SqliteConnection;

use crate::alert::{self, BadStatus};
use crate::model::{AlertId, Change, Status, Timestamp};
use crate::ports::StoreError;

use super::publish::write;
use super::{Catalog, Changed, Stored, engine, from_sql, load};

/// Bytes of one comment, and comments of one alert.
pub const COMMENT_BYTES_MAX: usize = 16 * 1024;
pub const COMMENTS_MAX: i64 = 1_000;

/// A person's change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patch {
    /// Who does it: the name of a token, or `local`.
    pub who: String,
    pub status: Option<Status>,
    pub comment: Option<String>,
    /// The version that the person saw; a newer one is a conflict.
    pub if_match: Option<u64>,
}

/// One comment, or the record of a decision.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Comment {
    pub number: u64,
    pub at: Timestamp,
    pub who: String,
    pub text: String,
    /// The status that was chosen with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum PatchError {
    #[error("there is no alert `{0}`")]
    Unknown(AlertId),
    #[error("the alert has changed: it is at version {found}, not {wanted}")]
    Conflict { found: u64, wanted: u64 },
    #[error(transparent)]
    Status(#[from] BadStatus),
    #[error("a comment has 1 to {COMMENT_BYTES_MAX} bytes, this one has {0}")]
    CommentLength(usize),
    #[error("the alert has {COMMENTS_MAX} comments, and takes no more")]
    CommentsFull,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Catalog {
    /// Changes the status, adds a comment, or both, in one transaction. Notifies nobody.
    pub async fn patch(&self, id: AlertId, patch: &Patch) -> Result<Stored, PatchError> {
        if let Some(text) = patch.comment.as_ref().filter(|text| text.is_empty() || text.len() > COMMENT_BYTES_MAX) {
            return Err(PatchError::CommentLength(text.len()));
        }
        let what = || format!("change alert `{id}`");
        let now = self.clock.now();
        let mut tx = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(|cause| engine(what(), cause))?;
        let old = load(&mut *tx, id).await?.ok_or(PatchError::Unknown(id))?;
        if let Some(wanted) = patch.if_match.filter(|wanted| *wanted != old.version) {
            return Err(PatchError::Conflict { found: old.version, wanted });
        }
        let alert = match patch.status {
            Some(status) => alert::triage(old.alert.clone(), status)?,
            None => old.alert.clone(),
        };
        let decided = alert.status != old.alert.status;
        let new = if decided { Stored { alert, version: old.version.saturating_add(1), changed: now, ..old } } else { old };
        if decided {
            write(&mut tx, &new).await?;
        }
        if decided || patch.comment.is_some() {
            add_comment(&mut tx, id, patch, decided.then_some(new.alert.status), now).await?;
        }
        tx.commit().await.map_err(|cause| engine(what(), cause))?;
        if decided {
            // It fails where nobody listens, and then nobody misses it.
            let _ = self.stream.send(Arc::new(Changed { stored: new.clone(), change: Change::Updated }));
        }
        Ok(new)
    }

    /// The comments and decisions on an alert, oldest first, at most [`COMMENTS_MAX`].
    pub async fn comments(&self, id: AlertId) -> Result<Vec<Comment>, StoreError> {
        let sql = "SELECT number, at, who, body, status FROM alert_comments WHERE alert_id = $1 ORDER BY number LIMIT $2";
        let rows: Vec<(i64, i64, String, String, Option<String>)> = sqlx::query_as(sql)
            .bind(id.to_string())
            .bind(COMMENTS_MAX)
            .fetch_all(&self.reader)
            .await
            .map_err(|cause| engine(format!("read the comments of alert `{id}`"), cause))?;
        let comment = |(number, at, who, text, status)| Comment { number: from_sql(number), at: Timestamp::from_nanos(at), who, text, status };
        Ok(rows.into_iter().map(comment).collect())
    }
}

async fn add_comment(tx: &mut SqliteConnection, id: AlertId, patch: &Patch, status: Option<Status>, now: Timestamp) -> Result<(), PatchError> {
    let failed = |cause| engine(format!("comment on alert `{id}`"), cause);
    let last: Option<i64> = sqlx::query_scalar("SELECT MAX(number) FROM alert_comments WHERE alert_id = $1")
        .bind(id.to_string())
        .fetch_one(&mut *tx)
        .await
        .map_err(failed)?;
    let number = last.unwrap_or(0) + 1;
    if number > COMMENTS_MAX {
        return Err(PatchError::CommentsFull);
    }
    sqlx::query("INSERT INTO alert_comments (alert_id, number, at, who, body, status) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(id.to_string())
        .bind(number)
        .bind(now.nanos())
        .bind(patch.who.clone())
        .bind(patch.comment.clone().unwrap_or_default())
        .bind(status.map(Status::name))
        .execute(tx)
        .await
        .map_err(failed)?;
    Ok(())
}
