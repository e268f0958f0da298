use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use super::*;
use crate::codec::Codec;
use crate::detect::engine::{Engine, EngineSettings};
use crate::model::{ClusterId, EventId, Form, Kinds, Origin, PartitionId, SourceId, TenantId, Timestamp};
use crate::pipeline::WorkerSettings;

/// A source that always has the next envelope ready, so many times.
struct Busy(u64);

#[async_trait]
impl Source for Busy {
    fn id(&self) -> SourceId {
        SourceId::from("busy")
    }

    async fn next(&mut self) -> Result<Option<Envelope>, SourceError> {
        if self.0 == 0 {
            return Ok(None);
        }
        self.0 -= 1;
        let origin = Origin {
            tenant: TenantId::default(),
            cluster: ClusterId::default(),
            source: self.id(),
            partition: PartitionId::from("busy"),
            object: "busy".into(),
            received: Timestamp::default(),
        };
        let record = format!(r#"{{"auditID":"{}","verb":"get","stage":"ResponseComplete"}}"#, self.0);
        let payloads = vec![(Position(self.0), record.into_bytes())];
        let upto = Position(1_000 - self.0);
        Ok(Some(Envelope { origin: Arc::new(origin), kinds: Kinds::ALL, upto, form: Form::Whole, is_last: false, payloads, rejects: Vec::new() }))
    }

    async fn commit(&mut self, _upto: &Checkpoint) -> Result<(), SourceError> {
        Ok(())
    }
}

/// Counts what it is asked to do.
#[derive(Default)]
struct Counting {
    events: AtomicUsize,
    flushes: AtomicUsize,
}

#[async_trait]
impl EventStore for Counting {
    async fn checkpoint(&self) -> Result<Checkpoint, StoreError> {
        Ok(Checkpoint::default())
    }

    async fn contains(&self, ids: &[(EventId, Timestamp)]) -> Result<Vec<bool>, StoreError> {
        Ok(vec![false; ids.len()])
    }

    async fn append(&self, events: &[Event]) -> Result<(), StoreError> {
        self.events.fetch_add(events.len(), Ordering::Relaxed);
        Ok(())
    }

    async fn flush(&self, _upto: &Checkpoint) -> Result<(), StoreError> {
        self.flushes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[async_trait]
impl AlertStore for Counting {
    async fn publish(&self, _findings: &[Finding]) -> Result<Vec<(Alert, Change)>, StoreError> {
        Ok(Vec::new())
    }
}

/// Envelopes through a flow: how many events were stored, in how many flushes.
fn check(envelopes: u64, settings: FlowSettings) -> (usize, usize) {
    let (store, ledger) = (Arc::new(Counting::default()), Arc::new(Ledger::default()));
    let engine = Engine::new(Arc::default(), EngineSettings::default());
    let worker = Worker::new(engine, Arc::clone(&ledger), Arc::new(Codec), WorkerSettings::default());
    let flow = Flow::new(worker, store.clone(), store.clone(), ledger, Clock::simulated(Timestamp::default()), settings);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (_stop, stopped) = watch::channel(false);
    runtime.block_on(flow.run(vec![Box::new(Busy(envelopes))], stopped)).unwrap();
    (store.events.load(Ordering::Relaxed), store.flushes.load(Ordering::Relaxed))
}

#[test]
fn a_queue_that_is_never_empty_is_flushed_when_due() {
    let (events, flushes) = check(300, FlowSettings { flush_every: StdDuration::ZERO, ..FlowSettings::default() });
    assert_eq!(events, 300);
    assert!(flushes > 100, "flushed {flushes} times");
}

#[test]
fn many_events_are_flushed_before_they_are_due() {
    let settings = FlowSettings { flush_every: StdDuration::from_secs(3600), flush_events_max: 100, ..FlowSettings::default() };
    assert_eq!(check(300, settings), (300, 3));
}
