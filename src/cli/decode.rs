//! `decode`: what records become, one normalised event a line. `Run` serves `scan` too.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};

use super::args::{DecodeArgs, Format};
use super::output::{Screen, printable};
use super::{Exit, Failure};
use crate::clock::Clock;
use crate::codec::Codec;
use crate::detect::engine::Engine;
use crate::model::{ClusterId, Event, SourceId, TenantId};
use crate::pipeline::{Ledger, Outcome, Worker, WorkerSettings};
use crate::source::file::{Pieces, Problem, Whose, walk};

/// Rejects named in a report on standard error; a file takes all of them.
const REJECTS_SHOWN_MAX: usize = 20;

/// One pass over files without a store.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) worker: Worker,
    pub(super) ledger: Arc<Ledger>,
    problems: Arc<Mutex<Vec<Problem>>>,
    inputs: usize,
}

impl Run {
    /// With this engine.
    pub(super) fn new(engine: Engine) -> Self {
        let ledger = Arc::new(Ledger::default());
        let settings = WorkerSettings { rejects_kept_max: 1_000_000, ..WorkerSettings::default() };
        let worker = Worker::new(engine, Arc::clone(&ledger), Arc::new(Codec), settings);
        Self { worker, ledger, problems: Arc::default(), inputs: 0 }
    }

    /// Reads everything under the paths and hands over events, a batch at a time.
    pub(super) fn over(
        &mut self,
        paths: &[PathBuf],
        cluster: &str,
        mut each: impl FnMut(&mut Worker, Vec<Event>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let cluster: ClusterId = cluster.parse().map_err(Failure::usage)?;
        let (inputs, problems) = walk(paths);
        self.inputs = inputs.len();
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).extend(problems);
        let source = SourceId::from("scan");
        let whose = Whose { source: source.clone(), tenant: TenantId::default(), cluster, received: Clock::System.now() };
        let progress = progress();
        for envelope in Pieces::new(inputs, whose, Arc::clone(&self.problems)) {
            progress.inc(envelope.payloads.iter().map(|(_, payload)| payload.len() as u64).sum());
            progress.set_message(printable(&envelope.origin.object));
            let mut batches = vec![self.worker.decode(&envelope)];
            if envelope.is_last {
                batches.extend(self.worker.end(&envelope.origin.partition));
            }
            for batch in batches {
                for event in &batch.events {
                    self.ledger.end(&source, Outcome::Event(event.kind), 1);
                }
                each(&mut self.worker, batch.events)?;
            }
        }
        progress.finish_and_clear();
        Ok(())
    }

    /// Says on standard error what was read and what was not, and how that is to end.
    pub(super) fn report(&self, rejects_to: Option<&Path>) -> anyhow::Result<Exit> {
        let problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        for problem in problems.iter() {
            eprintln!("warning: {}: {}", printable(&problem.path), printable(&problem.why));
        }
        let total = self.ledger.total();
        let by_kind: Vec<String> = total.events_by_kind.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        eprintln!(
            "{} records of {} bytes in {} files: {} events ({}), {} duplicates, {} rejects",
            total.tally.records,
            total.tally.bytes,
            self.inputs,
            total.tally.events,
            by_kind.join(", "),
            total.tally.duplicates,
            total.tally.rejects
        );
        if total.tally.rejects > 0 {
            let reasons: Vec<String> = total.rejects_by_reason.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
            eprintln!("rejects: {}", reasons.join(", "));
        }
        self.write_rejects(rejects_to)?;
        let nothing_read = self.inputs == 0 || (total.tally.records == 0 && problems.len() >= self.inputs);
        if nothing_read && !problems.is_empty() {
            return Err(Failure::unreadable("nothing of the input could be read").into());
        }
        Ok(Exit::Done)
    }

    fn write_rejects(&self, to: Option<&Path>) -> anyhow::Result<()> {
        let rejects = self.worker.rejects();
        let Some(path) = to else {
            for (origin, reject) in rejects.iter().take(REJECTS_SHOWN_MAX) {
                eprintln!(
                    "  {} at byte {} (+{}): {}: {}",
                    printable(&origin.object),
                    reject.offset,
                    reject.len,
                    reject.reason,
                    printable(&reject.detail)
                );
            }
            if rejects.len() > REJECTS_SHOWN_MAX {
                eprintln!("  … and {} more: `--rejects FILE` writes them all", rejects.len() - REJECTS_SHOWN_MAX);
            }
            return Ok(());
        };
        let mut lines = String::new();
        for (origin, reject) in rejects {
            let line = serde_json::json!({"object": origin.object.as_ref(), "offset": reject.offset, "len": reject.len, "reason": reject.reason, "detail": reject.detail});
            lines.push_str(&line.to_string());
            lines.push('\n');
        }
        std::fs::write(path, lines).with_context(|| format!("cannot write rejects to `{}`", path.display()))
    }
}

/// Bytes read so far and the file at hand, on a terminal; nothing in a pipe.
fn progress() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {bytes} ({bytes_per_sec})  {wide_msg}") {
        bar.set_style(style);
    }
    bar
}

/// Runs the command.
pub(super) fn run(args: &DecodeArgs, _screen: &Screen) -> anyhow::Result<Exit> {
    args.format.check(args.output)?;
    let mut run = Run::new(Engine::new(Arc::default(), crate::detect::engine::EngineSettings::default()));
    let mut out = io::BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let mut line = String::new();
    let mut is_first = true;
    if args.output == Format::Json {
        out.write_all(b"[")?;
    }
    run.over(&args.paths, &args.cluster, |_, events| {
        for event in events {
            line.clear();
            match args.output {
                Format::Json if !is_first => line.push_str(",\n"),
                Format::Json | Format::Ndjson => {}
                Format::Table => {
                    let who = event.fact(crate::model::Field::ActorUserName).or(event.fact(crate::model::Field::PolicyRule)).unwrap_or("-");
                    line.push_str(&printable(&format!(
                        "{:<30} {:<10} {:<8} {who}  {}",
                        event.time.to_string(),
                        event.kind.name(),
                        event.fact(crate::model::Field::EventOutcome).unwrap_or("-"),
                        event.facts_of(crate::model::Field::Entity).join(" ")
                    )));
                }
            }
            is_first = false;
            if args.output != Format::Table {
                args.format.write_event(&event, &mut line);
            }
            if args.output != Format::Json {
                line.push('\n');
            }
            out.write_all(line.as_bytes())?;
        }
        Ok(())
    })?;
    if args.output == Format::Json {
        out.write_all(b"]\n")?;
    }
    out.flush()?;
    run.report(args.rejects.as_deref())
}
