//! Alerts, their outbox and the API tokens in one SQLite file: `<store.path>/bartizan.db`.
//!
//! What a promise rests on is committed with `synchronous=FULL`: with less, a power cut takes back transactions that were acknowledged. Checkpoints are
//! not here: they become durable with the events.
//!
//! One connection writes, so writers queue in order instead of meeting SQLite's busy answer; a few read. All SQL is such that PostgreSQL takes it too.

mod ledger;
mod list;
mod publish;
#[cfg(test)]
pub(in crate::store) mod tests;
mod triage;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlx::Connection as _;
use sqlx::SqlitePool;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tokio::sync::{broadcast, watch};

use crate::clock::Clock;
use crate::model::{Alert, AlertId, Change, Timestamp};
use crate::ports::StoreError;

use super::outbox::Routes;
use super::tokens::Tokens;

pub use ledger::MinutesAsked;
pub use list::{AlertFilter, AlertPage, Cursor, PAGE_DEFAULT, PAGE_MAX};
pub use triage::{COMMENT_BYTES_MAX, COMMENTS_MAX, Comment, Patch, PatchError};

/// The file of the database in the data dir.
pub const FILE: &str = "bartizan.db";
/// The format of the database that this build writes. It rises when an older build could no longer read what a newer one wrote.
pub const FORMAT_VERSION: u32 = 1;

const READERS_MAX: u32 = 4;
const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);
/// Changes that a slow subscriber may lag behind before it misses some.
const STREAM_CHANGES_MAX: usize = 1_024;

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// An alert as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub alert: Alert,
    /// Counts the changes of the alert, from 1. It is the alert's `ETag`.
    pub version: u64,
    /// When it was first published, and when it last changed, by our clock.
    pub opened: Timestamp,
    pub changed: Timestamp,
}

/// One change, as the alert stream tells it.
#[derive(Debug, Clone)]
pub struct Changed {
    pub stored: Stored,
    pub change: Change,
}

/// The database of alerts, outbox and tokens.
#[derive(Debug)]
pub struct Catalog {
    pub(super) writer: SqlitePool,
    pub(super) reader: SqlitePool,
    pub(super) clock: Clock,
    routes: Routes,
    tokens: Tokens,
    /// Rises whenever the outbox has something new to do.
    pub(super) wake: watch::Sender<u64>,
    stream: broadcast::Sender<Arc<Changed>>,
}

impl Catalog {
    /// Opens the database in the data dir, making and migrating it as needed. A database of a newer version is left as it is.
    pub async fn open(dir: &Path, clock: Clock, routes: Routes) -> Result<Self, StoreError> {
        let file = dir.join(FILE);
        let options = SqliteConnectOptions::new()
            .filename(&file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let cannot_open = |cause| engine(format!("open `{}`", file.display()), cause);
        let pool = SqlitePoolOptions::new().max_connections(1).before_acquire(|connection, _| {
            // SQLite ends a transaction by itself where the disk is full, which the driver does not see: a connection that it takes for being in one
            // would refuse every transaction to come.
            let is_free = !connection.is_in_transaction();
            Box::pin(async move { Ok(is_free) })
        });
        let writer = pool.connect_with(options).await.map_err(cannot_open)?;
        migrate(&writer, &file).await?;
        let reader = readers(&file).await?;
        let tokens = Tokens::load(writer.clone(), clock.clone()).await?;
        let (wake, _) = watch::channel(0);
        let (stream, _) = broadcast::channel(STREAM_CHANGES_MAX);
        Ok(Self { writer, reader, clock, routes, tokens, wake, stream })
    }

    /// Opens the database for reading only, beside a running service. What would change it fails.
    pub async fn open_read_only(dir: &Path, clock: Clock) -> Result<Self, StoreError> {
        let file = dir.join(FILE);
        let reader = readers(&file).await?;
        check_format(&reader, &file).await?;
        let tokens = Tokens::load(reader.clone(), clock.clone()).await?;
        let (wake, _) = watch::channel(0);
        let (stream, _) = broadcast::channel(1);
        Ok(Self { writer: reader.clone(), reader, clock, routes: Routes::none(), tokens, wake, stream })
    }

    /// The clock by which it goes.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The API tokens.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// Every change from now on, as it is committed. A subscriber that lags by more than 1,024 changes is told that it missed some.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Changed>> {
        self.stream.subscribe()
    }

    /// Writes the log back into the database file and closes all connections.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }

    /// Copies the whole database, consistent as of now, to a file that does not exist yet.
    pub async fn backup(&self, to: &Path) -> Result<(), StoreError> {
        let what = || format!("copy the database to `{}`", to.display());
        let name = to.to_str().ok_or_else(|| StoreError::Damaged { what: what(), why: "the path is not UTF-8".into() })?;
        sqlx::query("VACUUM INTO $1").bind(name.to_owned()).execute(&self.writer).await.map_err(|cause| engine(what(), cause))?;
        Ok(())
    }
}

async fn readers(file: &Path) -> Result<SqlitePool, StoreError> {
    let options = SqliteConnectOptions::new().filename(file).read_only(true).create_if_missing(false).busy_timeout(BUSY_TIMEOUT);
    let pool = SqlitePoolOptions::new().max_connections(READERS_MAX).connect_with(options).await;
    pool.map_err(|cause| engine(format!("open `{}` for reading", file.display()), cause))
}

async fn migrate(pool: &SqlitePool, file: &Path) -> Result<(), StoreError> {
    let tables: Option<String> = sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'meta'")
        .fetch_optional(pool)
        .await
        .map_err(|cause| engine(format!("read `{}`", file.display()), cause))?;
    if tables.is_some() {
        check_format(pool, file).await?;
    }
    let what = file.display().to_string();
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
    let number = |version: i64| u32::try_from(version).unwrap_or(u32::MAX);
    match MIGRATIONS.run(pool).await {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(found)) => Err(StoreError::Newer { what, found: number(found), known: number(known) }),
        Err(MigrateError::VersionMismatch(found)) => {
            Err(StoreError::Damaged { what, why: format!("migration {found} is not the one that was applied") })
        }
        Err(cause) => Err(StoreError::Engine { what: format!("migrate `{what}`"), source: Box::new(cause) }),
    }
}

async fn check_format(pool: &SqlitePool, file: &Path) -> Result<(), StoreError> {
    let what = file.display().to_string();
    let value: Option<String> = sqlx::query_scalar("SELECT value FROM meta WHERE name = 'format_version'")
        .fetch_optional(pool)
        .await
        .map_err(|cause| engine(format!("read the format of `{what}`"), cause))?;
    match value.as_deref().map(str::parse::<u32>) {
        Some(Ok(found)) if found > FORMAT_VERSION => Err(StoreError::Newer { what, found, known: FORMAT_VERSION }),
        Some(Ok(_)) => Ok(()),
        Some(Err(_)) | None => Err(StoreError::Damaged { what, why: "it names no format version".into() }),
    }
}

/// Where the database of a data dir lies.
pub fn file_in(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

pub(super) fn engine(what: impl Into<String>, cause: sqlx::Error) -> StoreError {
    StoreError::Engine { what: what.into(), source: Box::new(cause) }
}

/// Counters are stored as signed 64 bits, which is what SQL has.
pub(super) fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn from_sql(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// The columns of [`Stored`], in the order in which [`StoredRow`] reads them.
const STORED_COLUMNS: &str = "tenant, body, version, opened_at, changed_at";
type StoredRow = (String, String, i64, i64, i64);

fn stored(row: StoredRow) -> Result<Stored, StoreError> {
    let (tenant, body, version, opened, changed) = row;
    let damaged = |why: String| StoreError::Damaged { what: "a stored alert".into(), why };
    let mut alert: Alert = serde_json::from_str(&body).map_err(|cause| damaged(cause.to_string()))?;
    alert.tenant = tenant.parse().map_err(damaged)?;
    Ok(Stored { alert, version: from_sql(version), opened: Timestamp::from_nanos(opened), changed: Timestamp::from_nanos(changed) })
}

async fn load<'a>(from: impl sqlx::SqliteExecutor<'a>, id: AlertId) -> Result<Option<Stored>, StoreError> {
    let row: Option<StoredRow> = sqlx::query_as("SELECT tenant, body, version, opened_at, changed_at FROM alerts WHERE id = $1")
        .bind(id.to_string())
        .fetch_optional(from)
        .await
        .map_err(|cause| engine(format!("read alert `{id}`"), cause))?;
    row.map(stored).transpose()
}
