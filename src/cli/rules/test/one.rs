//! One test: its events go through a worker of their own, and what comes of them is held against what is expected.

use std::sync::Arc;

use crate::alert::draft;
use crate::codec::Codec;
use crate::decode::keep;
use crate::detect::cases::{Case, Expect, Part};
use crate::detect::engine::{Engine, EngineSettings};
use crate::detect::sight;
use crate::model::{Alert, Envelope, EnvelopeKind, Event, Form, Kind, Limits, Origin, Parser, Position, Record, Status, Timestamp, Wrapped};
use crate::pipeline::{Ledger, Worker, WorkerSettings};

/// What came of a test.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// How it differs from what is expected.
    pub(super) problem: Option<String>,
    /// Of a test that failed: what matched, and what did not and why.
    pub(super) why: Vec<String>,
    pub(super) alerts: Vec<Alert>,
}

/// Runs a test over these rules.
pub(super) fn run(part: &Part, case: &Case) -> Outcome {
    let (alerts, events, rejects) = replay(part, case);
    let problem = if rejects > 0 { Some(format!("{rejects} of its events can not be read")) } else { differs(&alerts, &case.expect) };
    let mut why = Vec::new();
    if problem.is_some() {
        why.extend(alerts.iter().flat_map(told));
        why.extend(sight::tell(&part.rules, &events));
    }
    Outcome { problem, why, alerts }
}

/// The alerts that stand after the records of a test, its events, and how many records could not be read.
fn replay(part: &Part, case: &Case) -> (Vec<Alert>, Vec<Event>, u64) {
    let engine = Engine::new(Arc::clone(&part.rules), EngineSettings { is_finite: true, ..EngineSettings::default() });
    let ledger = Arc::new(Ledger::default());
    let mut worker = Worker::new(engine, Arc::clone(&ledger), Arc::new(Codec), WorkerSettings::default());
    let origin = Arc::new(Origin::of("test", Timestamp::default()));
    let (mut findings, mut events) = (Vec::new(), Vec::new());
    for (at, record) in (0..).zip(&case.records) {
        let (form, payload) = own_word(record).map_or_else(|| (Form::Whole, record.clone()), |kept| (Form::Kept, kept));
        let batch = worker.decode(&Envelope { form, ..Envelope::of(Arc::clone(&origin), vec![(Position(at), payload)]) });
        findings.extend(worker.detect(&batch.events));
        events.extend(batch.events);
    }
    findings.extend(worker.finish());
    let alerts = findings.iter().map(draft).filter(|alert| alert.status != Status::Superseded && part.own.contains(&alert.rule.id));
    (alerts.collect(), events, ledger.total().tally.rejects)
}

/// A record of kind `source_health`, as the spool keeps it: no other way in can claim to be this program's own word.
fn own_word(record: &[u8]) -> Option<Vec<u8>> {
    if !record.starts_with(br#"{"source_health":"#) {
        return None;
    }
    let doc = Parser::new(Limits::default()).parse(record, None).ok()?;
    let wrapped = Wrapped { is_own: true, ..Wrapped::default() };
    let mut kept = Vec::new();
    keep(&Record { doc, kind: Kind::SourceHealth, envelope: EnvelopeKind::Native, offset: 0, wrapped }, &mut kept);
    Some(kept)
}

/// How alerts differ from what is expected.
fn differs(alerts: &[Alert], expect: &Expect) -> Option<String> {
    let Expect { alerts: wanted, count, title, level, group } = expect;
    match wanted {
        Some(wanted) if *wanted != alerts.len() => return Some(format!("expected {wanted} alerts, got {}", alerts.len())),
        None if alerts.is_empty() => return Some("expected a hit, got none".to_owned()),
        _ => {}
    }
    let first = alerts.first()?;
    if count.is_some_and(|count| count != first.count) {
        return Some(format!("expected a count of {}, got {}", count.unwrap_or_default(), first.count));
    }
    if title.as_ref().is_some_and(|title| *title != first.title) {
        return Some(format!("expected the title `{}`, got `{}`", title.as_deref().unwrap_or_default(), first.title));
    }
    if level.as_ref().is_some_and(|level| *level != first.rule.level.name()) {
        return Some(format!("expected level {}, got {}", level.as_deref().unwrap_or_default(), first.rule.level));
    }
    let odd = group.iter().find(|(field, value)| first.group.get(field).and_then(|found| found.as_str()).unwrap_or_default() != value);
    odd.map(|(field, value)| format!("expected group {field}={value}, got {:?}", first.group.get(field)))
}

/// An alert, and a line for each of its steps.
fn told(alert: &Alert) -> Vec<String> {
    let mut lines = vec![format!("alert `{}`, count {}, level {}", alert.title, alert.count, alert.rule.level)];
    for step in &alert.steps {
        let matched: Vec<String> = step.matched.iter().map(|found| format!("`{}`: {} is {:?}", found.selection, found.field, found.value)).collect();
        lines.push(format!("  at {} by {}: {}", step.time, step.rule, matched.join(", ")));
    }
    lines
}
