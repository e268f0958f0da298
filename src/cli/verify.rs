//! `verify`: the conservation ledger, and the integrity of the store and of the evidence in it.

use std::io::IsTerminal;

use indicatif::ProgressBar;
use serde_json::json;

use super::args::{Format, VerifyArgs};
use super::output::printable;
use super::{Exit, Failure, service};
use crate::app::verify::{self, Report};
use crate::clock::Clock;

/// Runs the command.
pub(super) fn run(args: &VerifyArgs) -> anyhow::Result<Exit> {
    let config = service::config(args.config.as_deref())?;
    let path = config.store.path.clone();
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    let moving = bar.clone();
    let each = move |records| moving.set_message(format!("{records} records read"));
    let report = service::block_on(async move {
        let unreadable =
            |error: anyhow::Error| Failure { exit: Exit::Unreadable, message: format!("cannot read the store in `{}`: {error:#}", path.display()) };
        Ok(verify::run(&path, &Clock::System, each).await.map_err(unreadable)?)
    })?;
    bar.finish_and_clear();
    match args.output {
        Format::Table => table(&report),
        Format::Json | Format::Ndjson => println!("{}", serde_json::to_string(&shown(&report))?),
    }
    Ok(if report.parts.problems_total == 0 { Exit::Done } else { Exit::Found })
}

fn shown(report: &Report) -> serde_json::Value {
    let parts = &report.parts;
    let sources = report.sources.iter().map(|(source, tally)| {
        let remainder = i64::try_from(tally.remainder()).unwrap_or(i64::MAX);
        json!({"source": source, "counts": tally, "remainder": remainder, "stored": parts.by_source.get(source).copied().unwrap_or_default()})
    });
    json!({
        "parts": parts.parts, "records": parts.records, "bytes": parts.bytes, "minutes": report.minutes,
        "sources": sources.collect::<Vec<_>>(), "problems": parts.problems, "problems_total": parts.problems_total,
    })
}

fn table(report: &Report) {
    println!(
        "{:<20} {:>12} {:>12} {:>10} {:>10} {:>8} {:>8} {:>9} {:>12}",
        "source", "received", "indexed", "duplicate", "quarantine", "refused", "dropped", "remainder", "in the store"
    );
    for (source, tally) in &report.sources {
        let stored = report.parts.by_source.get(source).copied().unwrap_or_default();
        let name = printable(&source.0);
        println!(
            "{name:<20} {:>12} {:>12} {:>10} {:>10} {:>8} {:>8} {:>9} {stored:>12}",
            tally.records,
            tally.events,
            tally.duplicates,
            tally.rejects,
            tally.refused,
            tally.dropped,
            tally.remainder()
        );
    }
    let parts = &report.parts;
    println!("{} parts, {} records, {} bytes of blocks, {} minutes of sources", parts.parts, parts.records, parts.bytes, report.minutes);
    for problem in &parts.problems {
        println!("problem: {}", printable(problem));
    }
    match parts.problems_total {
        0 => println!("everything adds up"),
        count => println!("{count} problems"),
    }
}
