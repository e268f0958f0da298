//! The commands (CONTRACTS 1): one file each. Results go to standard output, everything else to standard error.

mod args;
mod config;
mod decode;
pub mod demo;
mod ingest;
mod man;
mod output;
mod progress;
mod reindex;
mod rules;
mod scan;
mod search;
mod serve;
mod service;
mod token;
mod verify;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Cli, Command};

/// How a command ended, as its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Done, and found what was asked for.
    Found = 1,
    /// The command line, the configuration or the rules are wrong.
    Usage = 2,
    /// Input that can not be read at all.
    Unreadable = 3,
    /// The fault is here.
    Internal = 70,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A failure that names its exit code.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub exit: Exit,
    pub message: String,
}

impl Failure {
    /// A fault of the caller's: wrong usage, configuration or rules.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: message.into() }
    }

    /// Nothing of the input could be read.
    pub fn unreadable(message: impl Into<String>) -> Self {
        Self { exit: Exit::Unreadable, message: message.into() }
    }
}

/// The command line's definition, for completions, the manual and tests.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let is_help = !error.use_stderr();
            // A closed pipe behind `--help` is nobody's fault.
            let _ = error.print();
            return if is_help { Exit::Done } else { Exit::Usage }.into();
        }
    };
    let screen = output::Screen::new(cli.no_color);
    let result = match cli.command {
        Command::Scan(args) => scan::run(&args, &screen),
        Command::Decode(args) => decode::run(&args, &screen),
        Command::Demo(args) => demo::run(&args, &screen),
        Command::Serve(args) => serve::run(&args, cli.log_format, cli.verbose, cli.no_color),
        Command::Ingest(args) => ingest::run(&args),
        Command::Search(args) => search::run(&args, &screen),
        Command::Rules(args) => rules::run(&args, &screen),
        Command::Config(args) => config::run(&args),
        Command::Token(args) => token::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Reindex(args) => reindex::run(&args),
        Command::Completions { shell } => man::completions(shell),
        Command::Man { to } => man::pages(to.as_deref()),
    };
    match result {
        Ok(exit) => exit.into(),
        Err(error) => report(&error).into(),
    }
}

fn report(error: &anyhow::Error) -> Exit {
    if error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>()).any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe) {
        return Exit::Done;
    }
    eprintln!("error: {}", output::printable(&format!("{error:#}")));
    error.downcast_ref::<Failure>().map_or(Exit::Internal, |failure| failure.exit)
}
