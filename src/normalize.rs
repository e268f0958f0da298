//! A record in any dialect becomes an [`Event`]: one identity, one time, and the normalised facts of the field vocabulary.
//!
//! It reads the [`crate::model::Doc`] and never parses again; it never changes the record. Secrets are taken out before, by [`Redactor`], so that
//! identity and facts are those of the redacted text and come out the same when that text is read again.
//!
//! | kind | file |
//! |---|---|
//! | Kubernetes audit | `audit`, with `uri`, `body` (pod specs, RBAC) and `patch` (JSON patches) |
//! | Falco | `falco` |
//! | Hubble flows | `hubble` |
//! | everything else | `other`, with `gke` |

mod actor;
mod audit;
mod body;
mod entities;
mod falco;
mod gke;
mod hubble;
mod identity;
mod other;
mod patch;
mod redact;
mod slots;
#[cfg(test)]
mod tests;
mod uri;

use std::sync::Arc;

pub use redact::{Class, Edit, RedactCounts, Redactor, apply, edits};

use crate::model::{ActId, Event, EventId, Facts, Field, Kind, Origin, Position, Record, Timestamp};

/// What a source may carry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Kinds that records of this source may claim; empty allows all. A record of another kind becomes [`Kind::Other`], flagged as forged.
    pub kinds: Vec<Kind>,
}

/// Makes events of records. Cheap to make; its tables are shared by all.
#[derive(Debug, Clone, Default)]
pub struct Normalizer {
    settings: Settings,
}

/// What the part for one kind finds out besides the facts.
#[derive(Debug)]
struct Head {
    id: EventId,
    act: ActId,
    /// None: the record has no time of its own.
    time: Option<Timestamp>,
    outcome: &'static str,
    count: i64,
    /// The source says it cut the record, or a limit here did.
    is_truncated: bool,
}

impl Normalizer {
    /// For a source with these settings.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// The event of a record. Never fails: what a record lacks, or has in an odd type, gives no fact.
    pub fn normalize(&self, record: Record, origin: &Arc<Origin>, position: Position) -> Event {
        let is_forged = !self.settings.kinds.is_empty() && !self.settings.kinds.contains(&record.kind) && record.kind != Kind::Other;
        let kind = if is_forged { Kind::Other } else { record.kind };
        let place = identity::Place { origin, position, offset: record.offset, kind };
        let mut facts = Facts::with_capacity();
        let head = match kind {
            Kind::K8sAudit => audit::read(&record.doc, &place, &mut facts),
            Kind::Falco => falco::read(&record.doc, &place, &mut facts),
            Kind::Flow => hubble::read(&record.doc, &place, &mut facts),
            Kind::CloudAudit => gke::read(&record.doc, &place, &mut facts),
            Kind::Policy | Kind::Fim | Kind::Finding | Kind::K8sEvent | Kind::Other => other::read(&record.doc, &place, &mut facts),
        };
        let time = head.time.unwrap_or(origin.received);
        facts.push_shown(Field::EventId, head.id);
        facts.push_text(Field::EventKind, kind.name());
        facts.push_shown(Field::EventTime, time);
        facts.push_shown(Field::EventIngested, origin.received);
        facts.push_text(Field::EventEnvelope, record.envelope.name());
        facts.push_text(Field::EventSource, &origin.source.0);
        facts.push_text(Field::EventOutcome, head.outcome);
        facts.push_number(Field::EventCount, head.count);
        facts.push_text(Field::Cluster, origin.cluster.as_str());
        if head.is_truncated || record.doc.is_cut() || record.doc.is_lossy() {
            facts.push_bool(Field::EventTruncated, true);
        }
        if is_forged {
            facts.push_bool(Field::EventForgedKind, true);
        }
        if head.time.is_none() {
            facts.push_bool(Field::EventTimeAssumed, true);
        }
        facts.seal();
        Event {
            id: head.id,
            act: head.act,
            kind,
            envelope: record.envelope,
            tenant: origin.tenant.clone(),
            cluster: origin.cluster.clone(),
            time,
            origin: Arc::clone(origin),
            position,
            offset: record.offset,
            facts,
            doc: record.doc,
        }
    }
}

/// The event of a record, whatever kind it claims.
pub fn normalize(record: Record, origin: &Arc<Origin>, position: Position) -> Event {
    Normalizer::default().normalize(record, origin, position)
}
