//! `rules`: check, list, test, explain and backtest; and loading them for every other command.

mod backtest;
mod on;
mod test;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::{Format, RulesArgs, RulesCommand, RulesPathArgs};
use super::output::{self, Screen, printable};
use super::{Exit, Failure};
use crate::app;
use crate::detect::engine::{Engine, EngineSettings};
use crate::detect::rule::{LogSource, RuleSet};
use crate::detect::sigma::{self, Diagnostic, Settings, Severity};

/// Rules as file names and texts.
fn texts(paths: &[PathBuf]) -> anyhow::Result<Vec<(Arc<str>, String)>> {
    app::rules::texts(paths).map_err(|error| Failure::usage(format!("{error:#}")).into())
}

/// Settings with the built-in lists.
fn settings(any_logsource: bool) -> Settings {
    app::rules::settings(None, any_logsource)
}

/// Rules ready to run. Broken ones are named on standard error and left out, unless none is left.
pub(super) fn load(paths: &[PathBuf], any_logsource: bool) -> anyhow::Result<RuleSet> {
    read(paths, any_logsource).map(|(rules, _)| rules)
}

/// The same, and what is to be said of them.
fn read(paths: &[PathBuf], any_logsource: bool) -> anyhow::Result<(RuleSet, Vec<Diagnostic>)> {
    let (rules, diagnostics) = sigma::parse(&texts(paths)?, &settings(any_logsource));
    for diagnostic in diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error) {
        eprintln!("{}", printable(&diagnostic.to_string()));
    }
    if rules.rules.is_empty() {
        return Err(Failure::usage("no rule can be run").into());
    }
    Ok((rules, diagnostics))
}

/// Runs the command.
pub(super) fn run(args: &RulesArgs, screen: &Screen) -> anyhow::Result<Exit> {
    match &args.command {
        RulesCommand::Check { rules, on } => check(rules, &on.on),
        RulesCommand::List(args) => list(args, screen),
        RulesCommand::Test(args) => test::run(args),
        RulesCommand::Backtest(args) => backtest::run(args, screen),
        RulesCommand::Explain { rule, rules, on } => explain(rule, rules, &on.on),
    }
}

fn check(args: &RulesPathArgs, on: &[PathBuf]) -> anyhow::Result<Exit> {
    let (rules, mut diagnostics) = sigma::parse(&texts(&args.paths)?, &settings(args.any_logsource));
    diagnostics.extend(sigma::lint(&rules));
    let total = rules.rules.len();
    let rules = Arc::new(rules);
    let engine = Engine::new(Arc::clone(&rules), EngineSettings::default());
    let seen = if on.is_empty() { None } else { Some(on::look(&rules, &[], on)?.0) };
    let tally = seen.map(|sight| {
        let (found, tally) = sight.problems();
        diagnostics.extend(found);
        (tally, sight.events())
    });
    match args.output {
        Format::Table => {
            for diagnostic in &diagnostics {
                println!("{}", printable(&diagnostic.to_string()));
            }
        }
        Format::Ndjson | Format::Json => output::json(diagnostics.iter().map(line), args.output == Format::Json)?,
    }
    for refused in engine.refused() {
        println!("rule {}: cannot be run: {}", printable(&refused.rule.to_string()), printable(&refused.reason));
    }
    let of = |severity| diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count();
    let errors = of(Severity::Error) + engine.refused().len();
    eprintln!("{total} rules: {errors} errors, {} warnings, {} notes", of(Severity::Warning), of(Severity::Note));
    if let Some((tally, events)) = tally {
        eprintln!(
            "on {events} events: {} rules match, {} are blind, {} never held, {} have no events",
            tally.matched, tally.blind, tally.never_held, tally.no_events
        );
    }
    Ok(if errors + of(Severity::Warning) > 0 { Exit::Found } else { Exit::Done })
}

fn line(diagnostic: &Diagnostic) -> String {
    serde_json::json!({
        "severity": diagnostic.severity.name(), "file": diagnostic.file.as_ref(), "line": diagnostic.line, "column": diagnostic.column,
        "rule": diagnostic.rule, "code": diagnostic.code, "message": diagnostic.message, "help": diagnostic.help,
    })
    .to_string()
}

fn list(args: &RulesPathArgs, screen: &Screen) -> anyhow::Result<Exit> {
    let rules = load(&args.paths, args.any_logsource)?;
    let source = |logsource: &LogSource| match logsource {
        LogSource::Any => "any".to_owned(),
        LogSource::Kind(kind) => kind.name().to_owned(),
        LogSource::NotApplicable(text) => format!("not applicable: {text}"),
    };
    if args.output == Format::Table {
        for rule in rules.rules.iter().filter(|rule| !rule.is_silent) {
            println!(
                "{} {:<16} {:<12} {}",
                screen.level(rule.header.level),
                format!("{:?}", rule.header.kind),
                source(&rule.logsource),
                printable(&rule.header.title)
            );
        }
    } else {
        let lines = rules.rules.iter().map(|rule| {
            let mut value = serde_json::to_value(rule.header.as_ref()).unwrap_or_default();
            value["logsource"] = source(&rule.logsource).into();
            value["file"] = rule.file.as_ref().into();
            value["silent"] = rule.is_silent.into();
            value.to_string()
        });
        output::json(lines, args.output == Format::Json)?;
    }
    eprintln!("{} rules, {} of them only steps of correlations", rules.rules.len(), rules.rules.iter().filter(|rule| rule.is_silent).count());
    Ok(Exit::Done)
}

fn explain(which: &str, args: &RulesPathArgs, on: &[PathBuf]) -> anyhow::Result<Exit> {
    let (rules, diagnostics) = read(&args.paths, args.any_logsource)?;
    let stem = |file: &str| Path::new(file).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let found: Vec<usize> = rules
        .rules
        .iter()
        .enumerate()
        .filter(|(_, rule)| {
            rule.header.id == which
                || rule.header.title.eq_ignore_ascii_case(which)
                || rule.name.as_deref() == Some(which)
                || stem(&rule.file).as_deref() == Some(which)
        })
        .map(|(at, _)| at)
        .collect();
    if found.is_empty() {
        return Err(Failure::usage(format!("no rule has the id, title, name or file name `{which}`: `bartizan rules list` shows them")).into());
    }
    let rules = Arc::new(rules);
    let looked = if on.is_empty() { None } else { Some(on::look(&rules, &found, on)?) };
    let engine = Engine::new(Arc::clone(&rules), EngineSettings::default());
    let engine = looked.as_ref().map_or(&engine, |(_, run)| run.worker.engine());
    let told = found.iter().filter_map(|at| Some((engine.explain(*at)?, looked.as_ref().and_then(|(sight, _)| sight.seen(*at)))));
    // Names and values that the rule writes and that stand for others.
    let aliases = |rule: &str| -> Vec<&str> {
        let used = |diagnostic: &&Diagnostic| diagnostic.code == sigma::ALIAS_USED && diagnostic.rule.as_deref() == Some(rule);
        diagnostics.iter().filter(used).map(|diagnostic| diagnostic.message.as_str()).collect()
    };
    if args.output == Format::Table {
        for (explanation, seen) in told {
            println!("{}", printable(&explanation.to_string()));
            aliases(&explanation.id).iter().for_each(|alias| println!("{}", printable(alias)));
            if let Some(seen) = seen {
                println!("{}", printable(&seen.to_string()));
            }
        }
    } else {
        let lines = told.map(|(explanation, seen)| {
            let aliases = aliases(&explanation.id);
            let mut value = serde_json::to_value(&explanation).unwrap_or_default();
            value["aliases"] = aliases.into();
            value["seen"] = serde_json::to_value(seen).unwrap_or_default();
            value.to_string()
        });
        output::json(lines, args.output == Format::Json)?;
    }
    Ok(Exit::Done)
}
