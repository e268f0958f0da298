//! Correlations: events made before the clock, one base rule, groups by user. The peer reads the same events as values it has parsed.

use std::sync::Arc;

use bartizan::detect::engine::{Engine, EngineSettings};
use bartizan::detect::sigma;
use bartizan::detect::watermark::Watermarks;
use bartizan::model::{ActId, Duration, Event, EventId, Limits, Parser, Timestamp};
use rsigma_eval::event::JsonEvent;
use rsigma_eval::{CorrelationConfig, CorrelationEngine};
use serde_json::{Value, json};

use super::matching::{event, resident_mib};
use super::{cpu_s, median};

/// Events that are made at a time, as many as one envelope brings.
const BATCH: usize = 500;
/// A workload: a correlation, and how many users and addresses take part in how many events of how many seconds.
struct Work {
    name: &'static str,
    correlation: &'static str,
    events: usize,
    users: usize,
    addresses: usize,
    span_s: usize,
    /// How late an event may be without being too late.
    lateness_s: i64,
    /// Whether the peer takes part: it walks the whole window at every event.
    has_peer: bool,
}

const WORKS: [Work; 6] = [
    Work {
        name: "event_count, 100,000 users",
        correlation: "type: event_count\n    rules: [base0]\n    group-by: [user]\n    timespan: 300s\n    condition: {gte: 1000}",
        events: 1_000_000,
        users: 100_000,
        addresses: 1_000_000,
        span_s: 300,
        lateness_s: 60,
        has_peer: true,
    },
    Work {
        name: "event_count, 100,000 users, no lateness",
        correlation: "type: event_count\n    rules: [base0]\n    group-by: [user]\n    timespan: 300s\n    condition: {gte: 1000}",
        events: 1_000_000,
        users: 100_000,
        addresses: 1_000_000,
        span_s: 300,
        lateness_s: 0,
        has_peer: true,
    },
    Work {
        name: "value_count, 100,000 users",
        correlation: "type: value_count\n    rules: [base0]\n    group-by: [user]\n    timespan: 300s\n    condition: {gte: 1000, field: ip}",
        events: 1_000_000,
        users: 100_000,
        addresses: 1_000_000,
        span_s: 300,
        lateness_s: 60,
        has_peer: true,
    },
    Work {
        name: "value_count, 3,000 values a user",
        correlation: "type: value_count\n    rules: [base0]\n    group-by: [user]\n    timespan: 300s\n    condition: {gte: 1000000, field: ip}",
        events: 300_000,
        users: 100,
        addresses: 1_000_000,
        span_s: 300,
        lateness_s: 60,
        has_peer: true,
    },
    // Windows of 200,000 entries, which have to be counted: the bound is as many values as there are.
    Work {
        name: "value_count, 86,000 values a window, 1 user",
        correlation: "type: value_count\n    rules: [base0]\n    group-by: [user]\n    timespan: 300s\n    condition: {gte: 100000, field: ip}",
        events: 600_000,
        users: 1,
        addresses: 100_000,
        span_s: 900,
        lateness_s: 60,
        has_peer: false,
    },
    Work {
        name: "temporal_ordered, 3 rules, 100,000 users",
        correlation: "type: temporal_ordered\n    rules: [base0, base1, base2]\n    group-by: [user]\n    timespan: 300s",
        events: 1_000_000,
        users: 100_000,
        addresses: 1_000_000,
        span_s: 300,
        lateness_s: 60,
        has_peer: true,
    },
];

fn rules(work: &Work) -> String {
    let base = |at: usize| {
        format!(
            "title: Base {at}\nid: base{at}\nname: base{at}\nlogsource:\n    product: bartizan\ndetection:\n    selection:\n        action: act{at}\n    condition: selection\nlevel: low\n---\n"
        )
    };
    format!("{}{}{}title: Many\nid: many\ncorrelation:\n    {}\nlevel: high\n", base(0), base(1), base(2), work.correlation)
}

/// The number of a user or address, and which step: scattered, and the same on every run.
fn draw(at: usize, salt: u64) -> u64 {
    let mut state = (at as u64 ^ salt << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    state = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (state ^ state >> 27).wrapping_mul(0x94d0_49bb_1331_11eb) >> 11
}

fn record(work: &Work, at: usize) -> Value {
    let step = if work.correlation.contains("base1") { 2 - (at * 3 / work.events).min(2) } else { 0 };
    json!({
        "action": format!("act{step}"),
        "user": format!("user{}", draw(at, 1) % work.users as u64),
        "ip": format!("10.{}", draw(at, 2) % work.addresses as u64),
    })
}

fn seconds(work: &Work, at: usize) -> f64 {
    1_767_261_600.0 + at as f64 * work.span_s as f64 / work.events as f64
}

/// No group has to go, as with the peer.
fn unlimited() -> bartizan::detect::engine::Limits {
    bartizan::detect::engine::Limits {
        state_bytes_max: 8 << 30,
        groups_max: 10_000_000,
        entries_per_group_max: 1_000_000,
        entries_per_rule_max: 10_000_000,
    }
}

fn ours(work: &Work) -> (f64, f64) {
    let (set, problems) = sigma::parse(&[(Arc::from("bench"), rules(work))], &sigma::Settings::default());
    assert!(problems.iter().all(|problem| problem.severity != sigma::Severity::Error), "{problems:?}");
    let mut engine = Engine::new(Arc::new(set), EngineSettings { limits: unlimited(), ..EngineSettings::default() });
    let mut parser = Parser::new(Limits::default());
    let (mut spent, mut findings) = (0.0, Vec::new());
    let before = resident_mib();
    for from in (0..work.events).step_by(BATCH) {
        let events: Vec<Event> = (from..from + BATCH)
            .map(|at| {
                let mut event = event();
                let nanos = (seconds(work, at) * 1e6) as i64 * 1000;
                let mut id = [0; 16];
                id[..8].copy_from_slice(&draw(at, 3).to_le_bytes());
                id[8..].copy_from_slice(&draw(at, 4).to_le_bytes());
                (event.id, event.act, event.time) = (EventId(id), ActId(id), Timestamp::from_nanos(nanos));
                Arc::make_mut(&mut event.origin).received = event.time;
                event.doc = parser.parse(record(work, at).to_string().as_bytes(), None).expect("it is JSON");
                event
            })
            .collect();
        let start = cpu_s();
        engine.process(&events, &mut findings);
        if let Some(last) = events.last() {
            engine.advance(&Watermarks::everywhere(last.time, Duration::seconds(work.lateness_s)), &mut findings);
        }
        spent += cpu_s() - start;
    }
    assert!(findings.is_empty(), "nothing fires");
    (work.events as f64 / spent, (resident_mib() - before) * 1024.0 * 1024.0 / work.users as f64)
}

fn theirs(work: &Work) -> (f64, f64) {
    let collection = rsigma_parser::parse_sigma_yaml(&rules(work)).expect("the peer reads the rules");
    let config = CorrelationConfig { max_state_entries: 10_000_000, emit_detections: false, ..CorrelationConfig::default() };
    let mut engine = CorrelationEngine::new(config);
    engine.add_collection(&collection).expect("the peer takes the rules");
    let mut spent = 0.0;
    let before = resident_mib();
    for from in (0..work.events).step_by(BATCH) {
        let events: Vec<Value> = (from..from + BATCH).map(|at| record(work, at)).collect();
        let start = cpu_s();
        for (at, value) in (from..).zip(&events) {
            std::hint::black_box(engine.process_event_at(&JsonEvent::borrow(value), seconds(work, at) as i64));
        }
        spent += cpu_s() - start;
    }
    (work.events as f64 / spent, (resident_mib() - before) * 1024.0 * 1024.0 / work.users as f64)
}

/// Runs every workload whose name has this in it, in so many rounds of which each begins with nothing.
pub fn run(is_alone: bool, rounds: usize, wanted: &str) {
    for work in WORKS.iter().filter(|work| work.name.contains(wanted)) {
        let (mut of_ours, mut of_theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        // Memory is told by the first round, before the allocator keeps what a round has left.
        let mut bytes = (0.0, 0.0);
        for round in 0..rounds {
            let (rate, ours_bytes) = ours(work);
            of_ours.push(rate);
            if !is_alone && work.has_peer {
                let (peer, theirs_bytes) = theirs(work);
                of_theirs.push(peer);
                ratios.push(rate / peer);
                bytes.1 = if round == 0 { theirs_bytes } else { bytes.1 };
            }
            bytes.0 = if round == 0 { ours_bytes } else { bytes.0 };
        }
        println!(
            "{:<42} {:>10.0} events/s, {:>6.0} B a user; peer {:>9.0}, {:>6.0} B; {:.1} x",
            work.name,
            median(of_ours),
            bytes.0,
            median(of_theirs),
            bytes.1,
            median(ratios)
        );
    }
}
