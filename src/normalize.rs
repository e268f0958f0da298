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
//! | policy results | `policy_reporter`, `policy_report`, `gatekeeper`, `kyverno`, `kubearmor`, with `policy` |
//! | file integrity, other osquery results | `osquery` |
//! | findings | `kube_bench`, `trivy` |
//! | Kubernetes Events | `k8s_event` |
//! | cloud audit | `gke`, `yandex` |
//! | what Hubble says of itself, Tetragon, KubeArmor's logs | `hubble_system`, `tetragon`, `kubearmor` |
//! | what this program says of the way here | `source_health` |
//! | anything else | `other` |
//!
//! `dialect` tells which of them reads a record whose kind does not say it; `object` makes facts of the object it is about, `instant` reads its times.

mod actor;
mod audit;
mod body;
mod dialect;
mod entities;
mod falco;
mod gatekeeper;
mod gke;
mod gke_audit;
mod hubble;
mod hubble_system;
mod identity;
mod instant;
mod k8s_event;
mod kube_bench;
mod kubearmor;
mod kyverno;
mod object;
mod osquery;
mod other;
mod patch;
mod policy;
mod policy_report;
mod policy_reporter;
mod redact;
mod slots;
mod source_health;
#[cfg(test)]
mod tests;
mod tetragon;
mod trivy;
mod uri;
mod workloads;
mod yandex;

use std::sync::Arc;

pub use redact::{Class, Edit, Names, RedactCounts, Redactor, apply, edits};
pub use source_health::{SourceHealth, quarantine};
pub use workloads::{BadWorkload, Workload, Workloads};

use crate::model::{ActId, Event, EventId, Facts, Field, Kind, Kinds, Origin, Position, Provider, Record, Timestamp, Wrapping};

/// What a source may carry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Kinds that records of this source may claim. A record of another kind becomes [`Kind::Other`], flagged as forged.
    pub kinds: Kinds,
    /// Containers whose output may count as another system's word.
    pub workloads: Arc<Workloads>,
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
        let emitter = record.wrapped.by.as_ref().and_then(|by| by.emitter.as_ref());
        let speaks = emitter.is_none_or(|emitter| self.settings.workloads.allow(emitter, record.kind));
        let is_forged = !record.wrapped.is_own && (!speaks || !self.settings.kinds.allow(record.kind));
        let kind = if is_forged { Kind::Other } else { record.kind };
        event(record, kind, is_forged, origin, position)
    }
}

/// The event of a record that was an event before, and was judged then: its kind stands, and so does the flag.
pub fn again(record: Record, is_forged: bool, origin: &Arc<Origin>, position: Position) -> Event {
    let kind = record.kind;
    event(record, kind, is_forged, origin, position)
}

fn event(mut record: Record, kind: Kind, is_forged: bool, origin: &Arc<Origin>, position: Position) -> Event {
    if kind == Kind::K8sAudit {
        gke_audit::translate(&mut record.doc);
    }
    let by = record.wrapped.by.as_deref();
    let cluster = by.and_then(|by| by.cluster.as_ref()).unwrap_or(&origin.cluster).clone();
    let place = identity::Place {
        origin,
        cluster: &cluster,
        position,
        offset: record.offset,
        kind,
        envelope: record.envelope,
        at: record.wrapped.at,
        text: record.doc.text(),
    };
    let mut facts = Facts::with_capacity();
    let head = match kind {
        Kind::K8sAudit => audit::read(&record.doc, &place, &mut facts),
        Kind::Falco => falco::read(&record.doc, &place, &mut facts),
        Kind::Flow => hubble::read(&record.doc, &place, &mut facts),
        Kind::Policy | Kind::Fim | Kind::Finding | Kind::CloudAudit | Kind::K8sEvent | Kind::Other | Kind::SourceHealth => {
            dialect::read(&record.doc, &place, &mut facts)
        }
    };
    let time = head.time.or(record.wrapped.at);
    let is_time_assumed = time.is_none();
    let time = time.unwrap_or(origin.received);
    facts.push_shown(Field::EventId, head.id);
    facts.push_text(Field::EventKind, kind.name());
    facts.push_shown(Field::EventTime, time);
    facts.push_shown(Field::EventIngested, origin.received);
    facts.push_text(Field::EventEnvelope, record.envelope.name());
    facts.push_text(Field::EventSource, &origin.source.0);
    facts.push_text(Field::EventOutcome, head.outcome);
    facts.push_number(Field::EventCount, head.count);
    facts.push_text(Field::Cluster, cluster.as_str());
    if let Some(by) = by {
        envelope_facts(by, kind, &mut facts);
    }
    if head.is_truncated || record.wrapped.is_cut || record.doc.is_cut() || record.doc.is_lossy() {
        facts.push_bool(Field::EventTruncated, true);
    }
    for class in redact::hits(record.doc.text()) {
        facts.push_text(Field::RedactHits, class.name());
    }
    if is_forged {
        facts.push_bool(Field::EventForgedKind, true);
    }
    if is_time_assumed {
        facts.push_bool(Field::EventTimeAssumed, true);
    }
    facts.seal();
    Event {
        id: head.id,
        act: head.act,
        kind,
        envelope: record.envelope,
        tenant: origin.tenant.clone(),
        cluster,
        time,
        origin: Arc::clone(origin),
        position,
        offset: record.offset,
        wrapped: record.wrapped,
        facts,
        doc: record.doc,
    }
}

/// What the envelope says and the record does not.
fn envelope_facts(by: &Wrapping, kind: Kind, facts: &mut Facts) {
    let mut push = |field, text: Option<&str>| {
        if let Some(text) = text.filter(|text| !text.is_empty() && !facts.has(field)) {
            facts.push_text(field, text);
        }
    };
    push(Field::CloudProvider, by.provider.map(Provider::name));
    push(Field::CloudAccount, by.account.as_deref());
    // What a container printed is about that container, unless it speaks for another system.
    if let Some(emitter) = by.emitter.as_ref().filter(|emitter| kind == Kind::Other && !emitter.pod.is_empty()) {
        push(Field::K8sNamespace, Some(&emitter.namespace));
        push(Field::K8sPod, Some(&emitter.pod));
        push(Field::K8sContainer, Some(&emitter.container));
        entities::pod(Some(&emitter.namespace), Some(&emitter.pod), facts);
    }
}

/// The event of a record, whatever kind it claims.
pub fn normalize(record: Record, origin: &Arc<Origin>, position: Position) -> Event {
    Normalizer::default().normalize(record, origin, position)
}
