//! The ports between the flow and the adapters. Called once a batch, so boxing a future costs nothing that counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;

use crate::model::{
    Alert, Change, Checkpoint, Duration, Envelope, Event, EventId, Finding, JournalPiece, LedgerPage, MinuteRow, PartitionId, SourceId, Timestamp,
};

/// What a source could not do.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("cannot read `{what}`")]
    Read { what: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("cannot reach `{what}`")]
    Reach { what: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("cannot go on from the checkpoint of partition `{partition}`: {why}")]
    Gap { partition: PartitionId, why: String },
}

impl SourceError {
    /// Whether trying again can help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Reach { .. })
    }
}

/// What a store could not do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot {what}")]
    Io { what: String, source: std::io::Error },
    #[error("cannot {what}")]
    Engine { what: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("the data in {what} is damaged: {why}")]
    Damaged { what: String, why: String },
    #[error("{what} is held by another process ({holder})")]
    Held { what: String, holder: String },
    #[error("{what} was written by a newer version (format {found}, this build reads up to {known})")]
    Newer { what: String, found: u32, known: u32 },
    #[error("{what} was written by an earlier version (format {found}, this build reads {known}): read the sources into a new folder (`store.path`)")]
    Older { what: String, found: u32, known: u32 },
}

/// How a source is, as it tells it itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// What is wrong for the moment, and what to do about it; `None`: nothing is.
    pub problem: Option<String>,
    /// What is known to wait there and was not handed over yet; `None`: it can not be known.
    pub lag: Option<Lag>,
    /// The object, file or topic that was handed over last.
    pub last_object: Option<String>,
    /// Counters since the start, by names of the source's kind: a fixed, small set.
    pub counts: BTreeMap<&'static str, u64>,
}

/// How far a source is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Lag {
    pub amount: u64,
    pub unit: LagUnit,
    /// How long ago the oldest of it came to be, in seconds, where that is known.
    pub seconds: Option<u64>,
}

/// What a lag is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LagUnit {
    Bytes,
    Objects,
    Records,
}

impl LagUnit {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Objects => "objects",
            Self::Records => "records",
        }
    }
}

/// Tells how a source is: at any time, from anywhere, beside the task that reads it. Never waits.
pub trait Tells: Send + Sync {
    fn condition(&self) -> Condition;
}

/// Has nothing to tell.
#[derive(Debug, Clone, Copy, Default)]
pub struct Untold;

impl Tells for Untold {
    fn condition(&self) -> Condition {
        Condition::default()
    }
}

/// A log that is read from a checkpoint: a spool, a bucket, a topic, files.
#[async_trait]
pub trait Source: Send {
    /// Its configured name.
    fn id(&self) -> SourceId;

    /// What tells how it is.
    fn tells(&self) -> Arc<dyn Tells> {
        Arc::new(Untold)
    }

    /// The next payloads, or `None` when a finite source has ended. Cancel-safe: an envelope that was not returned is returned by the next call.
    async fn next(&mut self) -> Result<Option<Envelope>, SourceError>;

    /// Everything below the checkpoint is durable in the store: the source may forget it.
    async fn commit(&mut self, upto: &Checkpoint) -> Result<(), SourceError>;
}

/// Where events and checkpoints become durable together.
#[async_trait]
pub trait EventStore: Send + Sync {
    /// How far every partition is durable.
    async fn checkpoint(&self) -> Result<Checkpoint, StoreError>;

    /// Whether each id is stored already (flushed or not). The times narrow down where to look.
    async fn contains(&self, ids: &[(EventId, Timestamp)]) -> Result<Vec<bool>, StoreError>;

    /// Takes events in. They are searchable and durable after the next flush.
    async fn append(&self, events: &[Event]) -> Result<(), StoreError>;

    /// Makes everything appended durable together with the checkpoint and what belongs to it: all or none.
    async fn flush(&self, commit: &Commit<'_>) -> Result<(), StoreError>;
}

/// What became durable with one flush, for who watches.
#[derive(Debug, Clone, Default)]
pub struct Tailed {
    pub events: Vec<Event>,
    /// Events besides, which are not shown.
    pub skipped: u64,
}

/// What becomes durable together with events.
#[derive(Debug, Clone, Copy)]
pub struct Commit<'a> {
    /// How far every partition is durable then.
    pub upto: &'a Checkpoint,
    /// What the engine made of it. Without a piece, no journal tells the state of the engine at this checkpoint.
    pub journal: Option<&'a JournalPiece>,
    /// What was counted up to here.
    pub ledger: &'a LedgerPage,
}

/// Where the minutes of the ledger are kept for good.
#[async_trait]
pub trait LedgerStore: Send + Sync {
    /// Keeps these rows, whatever stood in their places.
    async fn keep(&self, rows: &[MinuteRow]) -> Result<(), StoreError>;
}

/// Where alerts live.
#[async_trait]
pub trait AlertStore: Send + Sync {
    /// Opens, bumps, reopens or supersedes alerts by id and fills the outbox, in one transaction. Idempotent: totals are absolute.
    async fn publish(&self, findings: &[Finding]) -> Result<Vec<(Alert, Change)>, StoreError>;
}

/// How a delivery ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    Done,
    /// Try again, not sooner than after so many seconds if the receiver said so.
    Later {
        why: String,
        retry_after_s: Option<u64>,
    },
    /// It will never be taken.
    Refused {
        why: String,
    },
    /// The target is gone for good: nothing more is to be sent there.
    Gone {
        why: String,
    },
}

/// One message that waits in the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The alert's id, a dot and the number of the change: the same over retries and restarts.
    pub id: String,
    /// The JSON body.
    pub body: String,
}

/// A target that alerts are delivered to.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// One attempt, at this time.
    async fn deliver(&self, notification: &Notification, now: Timestamp) -> Delivery;
}

/// A message taken from the outbox for one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leased {
    pub notification: Notification,
    pub target: String,
    /// This attempt's number, from 1. It was counted when the lease was taken, so an attempt that ends in a crash counts too.
    pub attempt: u32,
    pub created: Timestamp,
}

/// Where notifications wait until they are delivered.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// The next message for a target that is due, nobody else's until the lease ends. Messages come in the order of their changes; one that waits
    /// for a later attempt holds back the later messages of its own alert only.
    async fn lease(&self, target: &str, now: Timestamp, until: Timestamp) -> Result<Option<Leased>, StoreError>;

    /// When the next message of a target comes due; `None` if none waits.
    async fn next_due(&self, target: &str) -> Result<Option<Timestamp>, StoreError>;

    /// It was delivered.
    async fn done(&self, leased: &Leased) -> Result<(), StoreError>;

    /// It is to be tried again at `at`.
    async fn retry(&self, leased: &Leased, at: Timestamp, why: &str) -> Result<(), StoreError>;

    /// It is given up. It stays listed.
    async fn dead(&self, leased: &Leased, why: &str) -> Result<(), StoreError>;

    /// The target is gone: it takes no more messages, and those that wait are given up. Says how many.
    async fn disable(&self, target: &str, why: &str, now: Timestamp) -> Result<u64, StoreError>;

    /// The target is back: what waits for it comes due now, but no message sooner than `spacing` after its last attempt.
    async fn hasten(&self, target: &str, now: Timestamp, spacing: Duration) -> Result<(), StoreError>;

    /// Changes whenever a message was added or came due.
    fn changes(&self) -> tokio::sync::watch::Receiver<u64>;
}
