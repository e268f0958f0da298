//! `rules backtest`: rules over the stored past, beside the rules in force. Works beside a running service.

use std::sync::Arc;

use super::super::args::{BacktestArgs, Format};
use super::super::output::{self, Screen, printable};
use super::super::{Exit, Failure, search, service};
use crate::app::Restorer;
use crate::app::backtest::{self, Asked, Backtest, Difference, EVENTS_MAX};
use crate::app::rules;
use crate::detect::rule::RuleSet;
use crate::detect::sigma::{self, Severity};
use crate::store::{Budget, EventLog};

/// How long a run may take; it can be interrupted at any time.
const RUN_MAX: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

/// Runs the command.
pub(super) fn run(args: &BacktestArgs, screen: &Screen) -> anyhow::Result<Exit> {
    let config = service::config(args.config.as_deref())?;
    let (from, to) = (search::time(args.from.as_deref())?, search::time(args.to.as_deref())?);
    let running = set(rules::load(&config.detect).map_err(usage)?);
    let tested = if args.paths.is_empty() {
        Arc::clone(&running)
    } else {
        set(sigma::parse(&rules::texts(&args.paths).map_err(usage)?, &rules::settings(Some(&config.detect), false)))
    };
    if tested.rules.is_empty() {
        return Err(Failure::usage("no rule can be run").into());
    }
    let searcher = EventLog::open_read_only(&config.store.path, Arc::new(Restorer)).map_err(|error| Failure {
        exit: Exit::Unreadable,
        message: format!("cannot open the store in `{}`: {error}", config.store.path.display()),
    })?;
    let asked = Asked { from, to, events_max: args.events_max.min(EVENTS_MAX), budget: Budget::within(RUN_MAX) };
    let done = backtest::run(&searcher, &tested, &running, &asked)?;
    match args.output {
        Format::Table => table(&done, screen),
        Format::Ndjson => output::json(done.rules.iter().map(|row| serde_json::to_string(row).unwrap_or_default()), false)?,
        Format::Json => println!("{}", serde_json::to_string(&done).unwrap_or_default()),
    }
    report(&done);
    Ok(Exit::Done)
}

fn usage(error: anyhow::Error) -> anyhow::Error {
    Failure::usage(format!("{error:#}")).into()
}

/// Broken rules are named on standard error and left out.
fn set((rules, diagnostics): (RuleSet, Vec<sigma::Diagnostic>)) -> Arc<RuleSet> {
    for diagnostic in diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error) {
        eprintln!("{}", printable(&diagnostic.to_string()));
    }
    Arc::new(rules)
}

fn table(done: &Backtest, screen: &Screen) {
    for row in done.rules.iter().filter(|row| row.alerts + row.gone > 0) {
        let how = if row.is_known { format!("{} new, {} gone, {} same", row.new, row.gone, row.same) } else { "no rule in force".to_owned() };
        println!("{} {:>6} alerts  {:<32} {}", screen.level(row.level), row.alerts, how, printable(&row.title));
        for line in row.listed.iter().filter(|line| line.difference != Difference::Same) {
            let sign = if line.difference == Difference::New { '+' } else { '-' };
            println!("{:13} {sign} {}  {}  x{}", "", line.first_seen, printable(&line.title), line.count);
        }
    }
}

fn report(done: &Backtest) {
    for refused in &done.refused {
        eprintln!("warning: cannot be run: {}", printable(refused));
    }
    let span = done.first.zip(done.last).map_or(String::new(), |(first, last)| format!(" from {first} to {last}"));
    let silent = done.rules.iter().filter(|row| row.alerts + row.gone == 0).count();
    let alerts: usize = done.rules.iter().map(|row| row.alerts).sum();
    eprintln!("{} events{span}: {alerts} alerts of {} rules, {silent} of them without any", done.events, done.rules.len());
    if done.partial {
        eprintln!("warning: there are more events: the oldest were left out");
    }
    if done.entries_dropped > 0 {
        eprintln!("warning: {} matches had to go for want of room: counts may be too low", done.entries_dropped);
    }
}
