//! What could not be read, and why: a value, counted like any other outcome.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why input did not become an event. The set is closed, so metrics keyed by it are bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// Neither JSON nor any text wrapping that is known.
    NotJson,
    /// JSON that breaks off or breaks the grammar.
    BadJson,
    /// JSON of no kind that is known.
    UnknownShape,
    /// A number, string or other scalar where a record should be.
    NotARecord,
    /// Compressed, and the bytes are damaged or cut.
    BadCompression,
    /// Compressed in a way this build does not read.
    UnsupportedCompression,
    /// Expands past the limits: a bomb.
    Bomb,
    /// Longer than the limit on one record.
    TooLong,
    /// Wrapped deeper than the limit.
    TooDeep,
    /// Bytes of a program, an archive or a picture.
    Binary,
    /// A control message, heartbeat or test ping of a shipper: no event, by design.
    Control,
    /// Listed by its source, which then did not hand it out.
    Unread,
}

impl RejectReason {
    /// Every reason, for tables and metrics.
    pub const ALL: [Self; 12] = [
        Self::NotJson,
        Self::BadJson,
        Self::UnknownShape,
        Self::NotARecord,
        Self::BadCompression,
        Self::UnsupportedCompression,
        Self::Bomb,
        Self::TooLong,
        Self::TooDeep,
        Self::Binary,
        Self::Control,
        Self::Unread,
    ];

    /// Whether the bytes are worth keeping: those of a text that something could be learnt from.
    pub fn has_text(self) -> bool {
        matches!(self, Self::NotJson | Self::BadJson | Self::UnknownShape | Self::NotARecord | Self::TooLong | Self::TooDeep)
    }

    /// The stable name used in metrics and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::BadJson => "bad_json",
            Self::UnknownShape => "unknown_shape",
            Self::NotARecord => "not_a_record",
            Self::BadCompression => "bad_compression",
            Self::UnsupportedCompression => "unsupported_compression",
            Self::Bomb => "bomb",
            Self::TooLong => "too_long",
            Self::TooDeep => "too_deep",
            Self::Binary => "binary",
            Self::Control => "control",
            Self::Unread => "unread",
        }
    }
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A range of input that became no event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reject {
    /// Offset in the decompressed payload, in bytes.
    pub offset: u64,
    /// Length of the range, in bytes.
    pub len: u64,
    pub reason: RejectReason,
    /// What exactly is wrong, for a person; holds no input text.
    pub detail: String,
    /// The first bytes of the range, as they came: not redacted. Empty for what holds no text.
    #[serde(skip)]
    pub bytes: Vec<u8>,
}
