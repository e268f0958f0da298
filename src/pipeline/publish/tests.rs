use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use super::*;
use crate::codec::Codec;
use crate::detect::engine::{Engine, EngineSettings};
use crate::detect::sigma;
use crate::model::{ClusterId, EventId, Finding, Origin, PartitionId, SourceId, TenantId, Timestamp};
use crate::pipeline::{DropRule, Drops, WorkerSettings};
use crate::query;

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
        Ok(Some(Envelope { payloads, ..Envelope::empty(Arc::new(origin), upto) }))
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

    async fn flush(&self, _commit: &Commit<'_>) -> Result<(), StoreError> {
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
    let (store, _) = run(envelopes, settings, Engine::new(Arc::default(), EngineSettings::default()), Vec::new());
    (store.events.load(Ordering::Relaxed), store.flushes.load(Ordering::Relaxed))
}

fn run(envelopes: u64, settings: FlowSettings, engine: Engine, drops: Vec<DropRule>) -> (Arc<Counting>, Arc<Ledger>) {
    let drops = Drops::new(drops);
    let (store, ledger) = (Arc::new(Counting::default()), Arc::new(Ledger::new(drops.names())));
    let worker = Worker::new(engine, Arc::clone(&ledger), Arc::new(Codec), WorkerSettings { drops, ..WorkerSettings::default() });
    let flow = Flow::new(worker, store.clone(), store.clone(), Arc::clone(&ledger), Clock::simulated(Timestamp::default()), settings);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (_stop, stopped) = watch::channel(false);
    runtime.block_on(flow.run(vec![Box::new(Busy(envelopes))], stopped)).unwrap();
    (store, ledger)
}

#[test]
fn a_queue_that_is_never_empty_is_flushed_when_due() {
    let (events, flushes) = check(300, FlowSettings { flush_every: StdDuration::ZERO, ..FlowSettings::default() });
    assert_eq!(events, 300);
    // Without the clock it would be flushed once, at the end. How often it is depends on what a flush costs here and now.
    assert!(flushes > 3, "flushed {flushes} times");
}

#[test]
fn many_events_are_flushed_before_they_are_due() {
    let settings = FlowSettings { flush_every: StdDuration::from_secs(3600), flush_events_max: 100 };
    assert_eq!(check(300, settings), (300, 3));
}

#[test]
fn what_is_dropped_is_judged_and_counted_and_no_evidence_goes() {
    let rule = "title: T\nid: 11111111-1111-4111-8111-111111111111\nlogsource: {product: kubernetes, service: audit}\ndetection: {s: {auditID: ['7', '13']}, condition: s}\nlevel: low\n";
    let check = |query: &str, keep_one_in: u32| {
        let (rules, problems) = sigma::parse(&[("t.yml".into(), rule.to_owned())], &sigma::Settings::default());
        assert!(problems.iter().all(|problem| problem.severity != sigma::Severity::Error), "{problems:?}");
        let engine = Engine::new(Arc::new(rules), EngineSettings::default());
        let drop = DropRule { name: "gets".into(), query: query::parse(query).unwrap(), keep_one_in };
        let (store, ledger) = run(100, FlowSettings::default(), engine, vec![drop]);
        let total = ledger.total();
        assert_eq!((total.tally.records, total.remainder()), (100, 0));
        assert_eq!(total.tally.dropped, total.dropped_by_rule.get("gets").copied().unwrap_or_default());
        (store.events.load(Ordering::Relaxed), total.tally.dropped)
    };
    assert_eq!(check("verb:get", 0), (2, 98), "the two that a rule matched stay");
    assert_eq!(check("verb:list", 0), (100, 0));
    assert_eq!(check("verb:get", 1), (100, 0), "one of one is a sample of all");
    let (stored, dropped) = check("verb:get", 4);
    assert!((15..45).contains(&stored) && stored as u64 + dropped == 100, "{stored}");
}
