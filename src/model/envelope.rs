//! What a source hands over: payloads, where they came from, and how far reading has got.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{ClusterId, Kinds, Reject, RejectReason, TenantId, Timestamp};

/// The configured name of a source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SourceId(pub Arc<str>);

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for SourceId {
    fn from(name: &str) -> Self {
        Self(Arc::from(name))
    }
}

/// One ordered log within a source: a spool, an object, a topic's partition, a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PartitionId(pub Arc<str>);

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for PartitionId {
    fn from(name: &str) -> Self {
        Self(Arc::from(name))
    }
}

/// How far a partition has been read: the next position, in the source's own unit (bytes, offsets, sequence numbers).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Position(pub u64);

/// How far everything is durable: every position below is covered.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Checkpoint(pub BTreeMap<PartitionId, Position>);

impl Checkpoint {
    /// Moves a partition forward; never back.
    pub fn advance(&mut self, partition: &PartitionId, upto: Position) {
        let slot = self.0.entry(partition.clone()).or_default();
        *slot = (*slot).max(upto);
    }

    /// Takes a partition out that has come to its end.
    pub fn forget(&mut self, partition: &PartitionId) {
        self.0.remove(partition);
    }

    /// The next position to read of a partition.
    pub fn get(&self, partition: &PartitionId) -> Position {
        self.0.get(partition).copied().unwrap_or_default()
    }
}

/// In what a record was wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnvelopeKind {
    /// A record on its own: a line, or a value in a stream or array of values.
    Native,
    /// An item of a Kubernetes `EventList`.
    EventList,
    /// `GetFlowsResponse` or `ExportEvent` around a flow.
    Hubble,
    /// Elsewhere: a carrier whose record sits in a field of it.
    Carrier,
    /// AWS CloudWatch Logs: subscriptions, Lambda, Firehose.
    CloudWatch,
    /// Azure diagnostic logs: Event Hubs and blobs.
    AzureDiagnostics,
    /// Google Cloud Logging's `LogEntry`.
    GcpLogging,
    /// Yandex Cloud Logging: trigger batches and `LogEntry`.
    YandexLogging,
    /// Yandex Audit Trails.
    YandexAuditTrails,
    /// OpenTelemetry logs, as JSON or protobuf.
    Otlp,
    /// Splunk's HTTP Event Collector.
    SplunkHec,
    /// Syslog, RFC 3164 or 5424.
    Syslog,
    /// A container runtime's log file.
    Cri,
}

impl EnvelopeKind {
    /// Every envelope.
    pub const ALL: [Self; 13] = [
        Self::Native,
        Self::EventList,
        Self::Hubble,
        Self::Carrier,
        Self::CloudWatch,
        Self::AzureDiagnostics,
        Self::GcpLogging,
        Self::YandexLogging,
        Self::YandexAuditTrails,
        Self::Otlp,
        Self::SplunkHec,
        Self::Syslog,
        Self::Cri,
    ];

    /// As `event.envelope` shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::EventList => "event_list",
            Self::Hubble => "hubble",
            Self::Carrier => "carrier",
            Self::CloudWatch => "cloudwatch",
            Self::AzureDiagnostics => "azure_diagnostics",
            Self::GcpLogging => "gcp_logging",
            Self::YandexLogging => "yandex_logging",
            Self::YandexAuditTrails => "yandex_audit_trails",
            Self::Otlp => "otlp",
            Self::SplunkHec => "splunk_hec",
            Self::Syslog => "syslog",
            Self::Cri => "cri",
        }
    }
}

/// Where a payload came from. One per payload, shared by its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub tenant: TenantId,
    pub cluster: ClusterId,
    pub source: SourceId,
    pub partition: PartitionId,
    /// The object, file or topic, as the source spells it.
    pub object: Arc<str>,
    /// When it reached us.
    pub received: Timestamp,
}

impl Origin {
    /// Of the default tenant and cluster, with one name for source, partition and object: what is read once, from nowhere in particular.
    pub fn of(name: &str, received: Timestamp) -> Self {
        Self {
            tenant: TenantId::default(),
            cluster: ClusterId::default(),
            source: SourceId::from(name),
            partition: PartitionId::from(name),
            object: Arc::from(name),
            received,
        }
    }
}

/// What the payloads of an envelope are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Each stands for itself.
    Whole,
    /// Each stands for itself, and is a part of a longer log: its position is its place in there, and offsets count from that log's start.
    Span,
    /// Pieces of one stream, which the partition's next envelopes go on with. A stream that begins anew begins at so many bytes. The
    /// position after such an envelope counts bytes: it stands only once they are records, so reading goes on between two of them.
    Piece { at: u64 },
    /// Records as the spool keeps them: decoded and redacted already.
    Kept,
}

/// What one `next()` of a source gives: payloads of one partition, in order, and the position after them.
#[derive(Debug, Clone)]
pub struct Envelope {
    pub origin: Arc<Origin>,
    /// What its payloads may carry, by the way they came; the worker knows besides what their source may carry.
    pub kinds: Kinds,
    pub upto: Position,
    pub form: Form,
    /// The stream of pieces ends with this envelope.
    pub is_last: bool,
    /// Each with its own position.
    pub payloads: Vec<(Position, Vec<u8>)>,
    /// What the source itself could not read, counted like any other.
    pub rejects: Vec<Reject>,
    /// Rejects that were told of before, and are only counted here.
    pub counted: Vec<(RejectReason, u64)>,
    /// What the source has to say of itself.
    pub notices: Vec<Notice>,
    /// Partitions that came to their end and are not heard of again: once this envelope is durable, the checkpoint forgets them.
    pub forgets: Vec<PartitionId>,
}

/// Something that a source noticed. It becomes an event of kind `source_health`, which rules judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub what: Noticed,
    /// Where and why, for people.
    pub detail: String,
    /// Records that are known to be lost, if that is known.
    pub lost: u64,
}

/// What a source can notice. The set is closed: it is `event.action`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Noticed {
    /// Something that should have come was not there to be read: a log that was cut before it was read, an object that was listed.
    Gap,
    /// What had been read was replaced by something else under the same name.
    Overwritten,
    /// A topic, file or bucket is another one than before, under the same name.
    Recreated,
}

impl Noticed {
    /// As `event.action` shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::Overwritten => "overwritten",
            Self::Recreated => "recreated",
        }
    }
}

impl Envelope {
    /// Of payloads that stand each for itself and may carry anything.
    pub fn of(origin: Arc<Origin>, payloads: Vec<(Position, Vec<u8>)>) -> Self {
        let upto = payloads.last().map_or(Position(0), |(position, _)| *position);
        Self { payloads, ..Self::empty(origin, upto) }
    }

    /// Without payloads: it moves a partition's position on, or has only something to say.
    pub fn empty(origin: Arc<Origin>, upto: Position) -> Self {
        let (payloads, rejects, counted, notices, forgets) = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { origin, kinds: Kinds::ALL, upto, form: Form::Whole, is_last: false, payloads, rejects, counted, notices, forgets }
    }
}
