//! `reindex`: the index made anew from the stored records.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::ProgressBar;
use serde_json::json;

use super::args::{Format, ReindexArgs};
use super::output::printable;
use super::{Exit, Failure, service};
use crate::app::Restorer;
use crate::ports::StoreError;
use crate::store::reindex::{Reindexed, reindex};

/// Runs the command.
pub(super) fn run(args: &ReindexArgs) -> anyhow::Result<Exit> {
    let config = service::config(args.config.as_deref())?;
    let path = config.store.path.clone();
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    bar.enable_steady_tick(Duration::from_millis(200));
    let done = reindex(&path, args.all, &Restorer, |events| bar.set_message(format!("{events} events")));
    let took = bar.elapsed();
    bar.finish_and_clear();
    let done = done.map_err(|error| {
        let exit = if matches!(error, StoreError::Held { .. } | StoreError::Newer { .. } | StoreError::Older { .. }) {
            Exit::Usage
        } else {
            Exit::Unreadable
        };
        let error = anyhow::Error::from(error);
        Failure { exit, message: format!("cannot make the index of the store in `{}` anew: {error:#}", path.display()) }
    })?;
    match args.output {
        Format::Table => table(&done, took),
        Format::Json | Format::Ndjson => println!("{}", shown(&done, took)),
    }
    Ok(if done.problems.is_empty() { Exit::Done } else { Exit::Found })
}

fn shown(done: &Reindexed, took: Duration) -> serde_json::Value {
    json!({"parts": done.parts, "events": done.events, "whole": done.whole, "problems": done.problems, "seconds": took.as_secs_f64()})
}

fn table(done: &Reindexed, took: Duration) {
    println!("{} parts with {} events were indexed anew in {:.1} s, {} were whole", done.parts, done.events, took.as_secs_f64(), done.whole);
    for problem in &done.problems {
        println!("problem: {}", printable(problem));
    }
}
