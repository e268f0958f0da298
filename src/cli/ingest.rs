//! `ingest`: the whole pipeline over files into the store, done once everything is durable.

use super::args::IngestArgs;
use super::output::printable;
use super::{Exit, Failure, service};
use crate::app;
use crate::clock::Clock;

/// Runs the command.
pub(super) fn run(args: &IngestArgs) -> anyhow::Result<Exit> {
    let config = service::config(args.config.as_deref())?;
    service::start_logging(&config, None, 0, true);
    let cluster = args.cluster.parse().map_err(Failure::usage)?;
    let done = service::block_on(app::ingest(&config, &Clock::System, &args.paths, cluster))?;
    for problem in &done.problems {
        eprintln!("warning: {}: {}", printable(&problem.path), printable(&problem.why));
    }
    let counts = &done.counts;
    let seconds = done.took.0 as f64 / 1e9;
    println!(
        "{} events, {} bytes, {} rejects, {} duplicates, {} alerts in {seconds:.1} s ({} files)",
        counts.tally.events, counts.tally.bytes, counts.tally.rejects, counts.tally.duplicates, done.alerts, done.files
    );
    if counts.tally.dropped > 0 {
        eprintln!(
            "dropped: {}",
            counts.dropped_by_rule.iter().map(|(rule, count)| format!("{} {count}", printable(rule))).collect::<Vec<_>>().join(", ")
        );
    }
    if counts.tally.rejects > 0 {
        let reasons: Vec<String> = counts.rejects_by_reason.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        eprintln!("rejects: {}", reasons.join(", "));
    }
    if counts.remainder() != 0 {
        eprintln!("error: the ledger does not add up: {} records have no outcome", counts.remainder());
        return Ok(Exit::Internal);
    }
    if done.files == 0 || (counts.tally.records == 0 && !done.problems.is_empty()) {
        return Err(Failure::unreadable("nothing of the input could be read").into());
    }
    Ok(Exit::Done)
}
