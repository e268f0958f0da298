//! Counters and latencies in the OpenMetrics format. Every label has a bounded set of values.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::model::{Kind, Level, RejectReason};

/// Sources that have a label of their own; further ones are counted together as `other`.
pub const METRIC_LABELS_MAX: usize = 256;

type Labels = Vec<(&'static str, String)>;
type Counters = Family<Labels, Counter>;
type Gauges = Family<Labels, Gauge>;
type Latencies = Family<Labels, Histogram, fn() -> Histogram>;

/// From 0.5 ms to 16 s.
fn latency() -> Histogram {
    Histogram::new(exponential_buckets(0.0005, 2.0, 16))
}

/// Everything that is measured. Shared; each method is a few atomic steps.
pub struct Metrics {
    registry: Registry,
    records: Counters,
    rejects: Counters,
    events: Counters,
    alerts: Counters,
    spool: Latencies,
    commit: Latencies,
    requests: Counters,
    request_seconds: Latencies,
    connections: Gauge,
    outbox_pending: Gauge,
    lag: Gauges,
    sources: Mutex<BTreeSet<String>>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("bartizan");
        let new = || Latencies::new_with_constructor(latency);
        let metrics = Self {
            records: Counters::default(),
            rejects: Counters::default(),
            events: Counters::default(),
            alerts: Counters::default(),
            spool: new(),
            commit: new(),
            requests: Counters::default(),
            request_seconds: new(),
            connections: Gauge::default(),
            outbox_pending: Gauge::default(),
            lag: Gauges::default(),
            sources: Mutex::default(),
            registry: Registry::default(),
        };
        registry.register("records", "Records by how they ended", metrics.records.clone());
        registry.register("rejects", "Input that became no event, by reason", metrics.rejects.clone());
        registry.register("events", "Events stored, by kind", metrics.events.clone());
        registry.register("alerts", "Alerts opened, by level", metrics.alerts.clone());
        registry.register("spool_seconds", "Time until a push is durable", metrics.spool.clone());
        registry.register("commit_seconds", "Time of a flush of the store", metrics.commit.clone());
        registry.register("http_requests", "Requests answered, by route and status", metrics.requests.clone());
        registry.register("http_request_seconds", "Time to answer, by route", metrics.request_seconds.clone());
        registry.register("http_connections", "Open connections", metrics.connections.clone());
        registry.register("outbox_pending", "Notifications that wait for delivery", metrics.outbox_pending.clone());
        registry.register("source_lag_seconds", "Age of the newest event of a source", metrics.lag.clone());
        let build = Counters::default();
        registry.register("build", "Always 1; the label is the version", build.clone());
        build.get_or_create(&vec![("version", env!("CARGO_PKG_VERSION").to_owned())]).inc();
        Self { registry, ..metrics }
    }
}

impl Metrics {
    /// The label of a source: its name, as long as there are not too many.
    fn source(&self, name: &str) -> String {
        let mut known = self.sources.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if known.contains(name) || known.len() < METRIC_LABELS_MAX {
            known.insert(name.to_owned());
            return name.to_owned();
        }
        "other".to_owned()
    }

    /// Records of a source that ended in this outcome: `indexed`, `duplicate`, `quarantined`, `refused`, `dropped`.
    pub fn records(&self, source: &str, outcome: &'static str, count: u64) {
        self.records.get_or_create(&vec![("source", self.source(source)), ("outcome", outcome.to_owned())]).inc_by(count);
    }

    /// Input that became no event.
    pub fn rejects(&self, reason: RejectReason, count: u64) {
        self.rejects.get_or_create(&vec![("reason", reason.name().to_owned())]).inc_by(count);
    }

    /// Events stored.
    pub fn events(&self, kind: Kind, count: u64) {
        self.events.get_or_create(&vec![("kind", kind.name().to_owned())]).inc_by(count);
    }

    /// An alert opened.
    pub fn alert(&self, level: Level) {
        self.alerts.get_or_create(&vec![("level", level.name().to_owned())]).inc();
    }

    /// How long a push took until it was durable.
    pub fn spooled(&self, took: Duration) {
        self.spool.get_or_create(&Vec::new()).observe(took.as_secs_f64());
    }

    /// How long a flush of the store took.
    pub fn committed(&self, took: Duration) {
        self.commit.get_or_create(&Vec::new()).observe(took.as_secs_f64());
    }

    /// A request answered. The route is the pattern it matched, never the path that was sent.
    pub fn request(&self, route: &str, status: u16, took: Duration) {
        self.requests.get_or_create(&vec![("route", route.to_owned()), ("status", status.to_string())]).inc();
        self.request_seconds.get_or_create(&vec![("route", route.to_owned())]).observe(took.as_secs_f64());
    }

    /// A connection opened (`1`) or closed (`-1`).
    pub fn connections(&self, change: i64) {
        self.connections.inc_by(change);
    }

    /// Notifications that wait.
    pub fn outbox_pending(&self, count: u64) {
        self.outbox_pending.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Age of the newest event of a source, in seconds.
    pub fn lag(&self, source: &str, seconds: i64) {
        self.lag.get_or_create(&vec![("source", self.source(source))]).set(seconds);
    }

    /// Everything, in the OpenMetrics text format.
    pub fn render(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a string takes every write");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_stand_under_their_contract_names_and_labels_are_bounded() {
        let metrics = Metrics::default();
        for source in 0..2 * METRIC_LABELS_MAX {
            metrics.records(&format!("s{source:03}"), "indexed", 1);
        }
        metrics.request("/healthz", 200, Duration::from_millis(1));
        let text = metrics.render();
        assert!(text.contains("bartizan_records_total{source=\"s000\",outcome=\"indexed\"} 1"), "{text}");
        assert!(text.contains("bartizan_records_total{source=\"other\",outcome=\"indexed\"} 256"), "{text}");
        assert!(text.contains("bartizan_http_requests_total{route=\"/healthz\",status=\"200\"} 1"), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }
}
