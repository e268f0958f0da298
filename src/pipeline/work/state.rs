//! What the worker takes along over a restart: its engine's journal, and what it has heard of its sources.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Heard, Worker};
use crate::detect::engine::Cold;
use crate::model::{ClusterId, Duration, Event, JournalPiece, Origin, PartitionId, SourceId, TenantId, Timestamp};
use crate::pipeline::hearing::Reached;

/// How old the memory of sources on disk may be. What it lacks holds time back a little longer after a crash, and no more.
const MEMORY_EVERY: Duration = Duration::seconds(30);

/// What was heard, as it is written.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Memory {
    sources: Vec<Source>,
    reached: Vec<Reached>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Source {
    source: SourceId,
    tenant: TenantId,
    cluster: ClusterId,
    partition: PartitionId,
    object: String,
    /// Nanoseconds since 1970.
    at: i64,
    received: i64,
    is_silent: bool,
}

impl Worker {
    /// What the engine's windows took in since the last time, and from time to time what was heard, for the next flush; `None` if the engine keeps
    /// no journal.
    pub fn take_journal(&mut self, now: Timestamp) -> Option<JournalPiece> {
        let mut piece = self.engine.take_journal()?;
        let is_due = self.remembered.is_none_or(|before| now.since(before) >= MEMORY_EVERY || now < before);
        if piece.is_whole || is_due {
            piece.memory = self.memory();
            self.remembered = Some(now);
        }
        Some(piece)
    }

    fn memory(&self) -> Vec<u8> {
        let source = |(source, heard): (&SourceId, &Heard)| Source {
            source: source.clone(),
            tenant: heard.origin.tenant.clone(),
            cluster: heard.origin.cluster.clone(),
            partition: heard.origin.partition.clone(),
            object: heard.origin.object.as_ref().to_owned(),
            at: heard.at.nanos(),
            received: heard.origin.received.nanos(),
            is_silent: heard.is_silent,
        };
        let memory = Memory { sources: self.heard.iter().map(source).collect(), reached: self.hearing.reached() };
        // Names and numbers are always JSON.
        serde_json::to_vec(&memory).unwrap_or_default()
    }

    /// Remembers what was heard before a restart. What can not be read is not remembered.
    pub fn remember(&mut self, memory: &[u8]) {
        let Ok(memory) = serde_json::from_slice::<Memory>(memory) else { return };
        for known in memory.sources {
            let origin = Origin {
                tenant: known.tenant,
                cluster: known.cluster,
                source: known.source.clone(),
                partition: known.partition,
                object: Arc::from(known.object),
                received: Timestamp::from_nanos(known.received),
            };
            let heard = Heard { at: Timestamp::from_nanos(known.at), origin: Arc::new(origin), is_silent: known.is_silent };
            self.heard.insert(known.source, heard);
        }
        self.hearing.bring_back(memory.reached);
    }

    /// Fills the windows of these rules with events that the store had before; they raise nothing.
    pub fn warm(&mut self, cold: &Cold, events: &[Event]) {
        self.hear(events);
        for healthy in events.split(|event| self.guard.as_ref().is_some_and(|guard| guard.is_condemned(&event.id))) {
            self.engine.warm(cold, healthy, &mut Vec::new());
        }
    }

    /// The windows of these rules are full: what had closed by now raises nothing.
    pub fn warmed(&mut self, cold: &Cold, now: Timestamp) {
        let watermarks = self.hearing.watermarks(now, self.settings.idle_after, &self.settings.lateness);
        self.engine.warmed(cold, &watermarks);
    }

    /// The most that an event of any source may be late.
    pub fn lateness_max(&self) -> Duration {
        let named = self.settings.lateness.values().copied().max().unwrap_or_default();
        named.max(crate::pipeline::hearing::LATENESS)
    }
}
