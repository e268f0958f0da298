//! The nouns: what passes between stages.
//!
//! Nothing here does IO, reads a clock or knows a source. A record is parsed once into a [`Doc`]; a stage that reads
//! a field asks the `Doc` or the [`Facts`] drawn from it, and nobody builds another tree.

mod alert;
mod calendar;
mod doc;
mod envelope;
mod event;
mod field;
mod finding;
mod ids;
mod inflate;
mod journal;
mod kinds;
pub(crate) mod lanes;
mod ledger;
mod record;
mod reject;
mod render;
mod time;
mod wrapping;

pub use alert::{Alert, AlertKind, AlertRule, Level, Match, Status, Step};
pub use calendar::TimePart;
pub use doc::{Container, Doc, Graft, Leaf, LeafKind, Limits, ParseError, Parser, Path, json_text, skip_value};
pub use envelope::{Checkpoint, Envelope, EnvelopeKind, Form, Notice, Noticed, Origin, PartitionId, Position, SourceId};
pub use event::{Event, Facts, Kind, Value, ValueKind};
pub use field::{Field, FieldRef, FieldType, RESERVED_ROOTS, distance, nearest};
pub use finding::{Change, Finding, GroupKey, RuleHeader, RuleType};
pub use ids::{ActId, AlertId, BadId, ClusterId, EventId, TenantId};
pub use inflate::{Compression, Inflate, InflateLimits, Magic};
pub use journal::JournalPiece;
pub use kinds::Kinds;
pub use ledger::{Counts, LedgerPage, MinuteRow, Tally};
pub use record::Record;
pub use reject::{Reject, RejectReason};
pub use render::{write_compact_json, write_json_string};
pub use time::{Duration, Timestamp};
pub use wrapping::{Emitter, Provider, Wrapped, Wrapping};
