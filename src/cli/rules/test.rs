//! `rules test`: runs the tests beside each rule through the whole of decode, normalise and detect.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::Exit;
use super::super::args::RulesPathArgs;
use super::super::output::printable;
use super::{settings, texts};
use crate::alert::draft;
use crate::codec::Codec;
use crate::detect::cases::{self, Case, Expect};
use crate::detect::engine::{Engine, EngineSettings};
use crate::detect::pack;
use crate::detect::rule::RuleSet;
use crate::detect::sigma;
use crate::model::{Alert, ClusterId, Envelope, Form, Kinds, Origin, PartitionId, Position, SourceId, Status, TenantId, Timestamp};
use crate::pipeline::{Ledger, Worker, WorkerSettings};

/// What came of the tests of one file.
#[derive(Debug, Default)]
struct Outcome {
    passed: usize,
    failures: Vec<String>,
}

/// Runs the command.
pub(super) fn run(args: &RulesPathArgs) -> anyhow::Result<Exit> {
    let texts = texts(&args.paths)?;
    let mut total = Outcome::default();
    let mut untested = 0;
    for (file, text) in &texts {
        let tests = if args.paths.is_empty() { pack::tests_of(file).map(str::to_owned) } else { beside(file) };
        let Some(tests) = tests else {
            untested += 1;
            continue;
        };
        let outcome = of_file(file, text, &tests, args.any_logsource);
        total.passed += outcome.passed;
        total.failures.extend(outcome.failures);
    }
    for failure in &total.failures {
        println!("{}", printable(failure));
    }
    eprintln!("{} tests passed, {} failed; {untested} of {} files have none", total.passed, total.failures.len(), texts.len());
    Ok(if total.failures.is_empty() { Exit::Done } else { Exit::Found })
}

fn beside(file: &str) -> Option<String> {
    let path = PathBuf::from(file.strip_suffix(".yml").or_else(|| file.strip_suffix(".yaml"))?.to_owned() + ".test.yml");
    fs::read_to_string(path).ok()
}

fn of_file(file: &Arc<str>, text: &str, tests: &str, any_logsource: bool) -> Outcome {
    let mut outcome = Outcome::default();
    let (rules, diagnostics) = sigma::parse(&[(Arc::clone(file), text.to_owned())], &settings(any_logsource));
    outcome.failures.extend(diagnostics.iter().filter(|diagnostic| diagnostic.severity == sigma::Severity::Error).map(ToString::to_string));
    let rules = Arc::new(rules);
    let folder = Path::new(file.as_ref()).parent().map(Path::to_owned).unwrap_or_default();
    let cases = cases::read(tests, |path| fs::read(folder.join(path)).map_err(|error| format!("cannot read `{path}`: {error}")));
    match cases {
        Err(error) => outcome.failures.push(format!("{file}: tests: {error}")),
        Ok(cases) => {
            for case in cases {
                match differs(&rules, &case) {
                    None => outcome.passed += 1,
                    Some(how) => outcome.failures.push(format!("{file}: `{}` (line {} of the tests): {how}", case.name, case.line)),
                }
            }
        }
    }
    outcome
}

/// The alerts that stand after the records of a test.
fn alerts(rules: &Arc<RuleSet>, case: &Case) -> (Vec<Alert>, u64) {
    let engine = Engine::new(Arc::clone(rules), EngineSettings { is_finite: true, ..EngineSettings::default() });
    let ledger = Arc::new(Ledger::default());
    let mut worker = Worker::new(engine, Arc::clone(&ledger), Arc::new(Codec), WorkerSettings::default());
    let origin = Arc::new(Origin {
        tenant: TenantId::default(),
        cluster: ClusterId::default(),
        source: SourceId::from("test"),
        partition: PartitionId::from("test"),
        object: Arc::from("test"),
        received: Timestamp::default(),
    });
    let mut findings = Vec::new();
    for (at, record) in (0..).zip(&case.records) {
        let payloads = vec![(Position(at), record.clone())];
        let envelope = Envelope {
            origin: Arc::clone(&origin),
            kinds: Kinds::ALL,
            upto: Position(at),
            form: Form::Whole,
            is_last: false,
            payloads,
            rejects: Vec::new(),
        };
        let batch = worker.decode(&envelope);
        findings.extend(worker.detect(&batch.events));
    }
    findings.extend(worker.finish());
    let alerts = findings.iter().map(draft).filter(|alert| alert.status != Status::Superseded).collect();
    (alerts, ledger.total().rejects)
}

/// How the outcome of a test differs from what it expects.
fn differs(rules: &Arc<RuleSet>, case: &Case) -> Option<String> {
    let (alerts, rejects) = alerts(rules, case);
    if rejects > 0 {
        return Some(format!("{rejects} of its events can not be read"));
    }
    let Expect { alerts: wanted, count, title, level, group } = &case.expect;
    match wanted {
        Some(wanted) if *wanted != alerts.len() => return Some(format!("expected {wanted} alerts, got {}: {:?}", alerts.len(), titles(&alerts))),
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

fn titles(alerts: &[Alert]) -> Vec<&str> {
    alerts.iter().map(|alert| alert.title.as_str()).collect()
}
