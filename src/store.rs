//! Where events and alerts are kept.
//!
//! Events lie in parts, one an hour of ingest: an index of terms, and the raw records in compressed blocks, committed
//! together with the checkpoint of their sources. What the index holds is enough to find any event; what an event *is* comes
//! from its raw record alone, so the index can be rebuilt and the facts can be drawn anew.
//!
//! Alerts, their outbox and tokens lie in the catalog, an SQL database beside the parts.

pub mod catalog;
mod event_log;
mod folder;
mod ids;
mod index;
mod inverted;
mod journal;
mod manifest;
pub mod outbox;
mod part;
mod raw;
mod record;
pub mod reindex;
mod retain;
pub mod search;
mod segment;
pub mod space;
mod term;
pub mod tokens;
mod varint;
pub mod verify;

pub use event_log::{AppendCounts, EventLog, LogSettings};
pub use journal::JournalPieces;
pub use manifest::{Manifest, Stats};
pub use record::{Restore, StoredRecord};
pub use retain::{Keep, Kept, Purged, PurgedPart, Why};
pub use search::{Bucket, Budget, FieldInfo, Group, Grouped, Hit, SearchAnswer, SearchError, SearchRequest, Searcher, Step, Total};
