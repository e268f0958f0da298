//! `scan`: detections over files, with nothing kept. The end of the input closes all windows.

use std::sync::Arc;

use super::args::{Format, Group, ScanArgs};
use super::decode::Run;
use super::output::{self, Screen};
use super::{Exit, rules};
use crate::alert::draft;
use crate::detect::engine::{Engine, EngineSettings};
use crate::model::{Alert, Finding, Status};

/// Runs the command.
pub(super) fn run(args: &ScanArgs, screen: &Screen) -> anyhow::Result<Exit> {
    args.format.check(args.output)?;
    let rules = rules::load(&args.rules.rules, args.rules.any_logsource)?;
    let engine = Engine::new(Arc::new(rules), EngineSettings { is_finite: true, per_event: args.group == Group::None, ..EngineSettings::default() });
    for refused in engine.refused() {
        eprintln!("warning: rule {} is not run: {}", refused.rule, refused.reason);
    }
    let mut run = Run::new(engine);
    let mut findings: Vec<Finding> = Vec::new();
    run.over(&args.paths, &args.cluster, |worker, events| {
        findings.extend(worker.detect(&events));
        Ok(())
    })?;
    findings.extend(run.worker.finish());
    let mut alerts: Vec<Alert> =
        findings.iter().map(draft).filter(|alert| alert.status != Status::Superseded && alert.rule.level >= args.level).collect();
    alerts.sort_by_key(|alert| (alert.first_seen, alert.id));
    match args.output {
        Format::Table => screen.alerts(&alerts)?,
        Format::Ndjson | Format::Json => {
            output::json(alerts.iter().map(|alert| args.format.alert(alert)), args.output == Format::Json)?;
        }
    }
    let exit = run.report(args.rejects.as_deref())?;
    let by_level: Vec<String> = crate::model::Level::ALL
        .iter()
        .rev()
        .map(|level| (level, alerts.iter().filter(|alert| alert.rule.level == *level).count()))
        .filter(|(_, count)| *count > 0)
        .map(|(level, count)| format!("{count} {level}"))
        .collect();
    eprintln!("{} alerts{}{}", alerts.len(), if by_level.is_empty() { "" } else { ": " }, by_level.join(", "));
    let is_found = args.fail_on.is_some_and(|level| alerts.iter().any(|alert| alert.rule.level >= level));
    Ok(if is_found { Exit::Found } else { exit })
}
