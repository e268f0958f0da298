//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::model::Level;

/// A Kubernetes SIEM in one binary: audit logs, Falco alerts and Hubble flows in; signed alerts out.
#[derive(Debug, Parser)]
#[command(name = "bartizan", version, max_term_width = 110, after_help = "Start with `bartizan demo`, or scan a log: `bartizan scan audit.log`.")]
pub(super) struct Cli {
    /// Print without colours (also by the variable NO_COLOR).
    #[arg(long, global = true)]
    pub no_color: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Detect in files: decode, normalise, match, correlate; nothing is kept.
    Scan(ScanArgs),
    /// Show what records become: one normalised event a line.
    Decode(DecodeArgs),
    /// Check, list, test and explain detection rules.
    Rules(RulesArgs),
    /// Print shell completions.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write the pages of all commands into a folder.
    Man {
        /// The folder.
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
    },
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Table,
    /// One JSON object a line.
    Ndjson,
    /// One JSON array.
    Json,
}

/// How alerts are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Group {
    /// As the rules say.
    Rule,
    /// One alert for each matching event.
    None,
}

/// Which rules run.
#[derive(Debug, Clone, Args)]
pub(super) struct RuleArgs {
    /// Rules in place of the built-in ones: files or folders of Sigma YAML. May be given more than once; all apply.
    #[arg(long, value_name = "PATH")]
    pub rules: Vec<PathBuf>,
    /// Run rules of every log source on every event, for tests and comparisons.
    #[arg(long)]
    pub any_logsource: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  bartizan scan /var/log/kubernetes/audit.log\n  bartizan scan --output ndjson --fail-on high logs/ falco.json.gz\n  kubectl logs -n falco ds/falco | bartizan scan -")]
pub(super) struct ScanArgs {
    #[command(flatten)]
    pub rules: RuleArgs,
    /// How alerts are printed.
    #[arg(long, value_enum, default_value = "table")]
    pub output: Format,
    /// How alerts are put together.
    #[arg(long, value_enum, default_value = "rule")]
    pub group: Group,
    /// Leave out alerts below this level.
    #[arg(long, value_name = "LEVEL", default_value = "informational")]
    pub level: Level,
    /// End with exit code 1 if an alert of this level or above was found.
    #[arg(long, value_name = "LEVEL")]
    pub fail_on: Option<Level>,
    /// Name of the cluster that the records are of.
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub cluster: String,
    /// Write the ranges that could not be read to this file, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,
    /// Files and folders; `-` is standard input. Any compression and wrapping, told by content.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bartizan decode audit.log | jq 'select(.actor.user.type == \"human\") | .k8s'")]
pub(super) struct DecodeArgs {
    /// How events are printed.
    #[arg(long, value_enum, default_value = "ndjson")]
    pub output: Format,
    /// Name of the cluster that the records are of.
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub cluster: String,
    /// Write the ranges that could not be read to this file, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,
    /// Files and folders; `-` is standard input.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct RulesArgs {
    #[command(subcommand)]
    pub command: RulesCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum RulesCommand {
    /// Parse and lint. Exit code 1 if anything is wrong.
    Check(RulesPathArgs),
    /// List rules with their level, log source and title.
    List(RulesPathArgs),
    /// Run the `.test.yml` beside each rule. Exit code 1 if a test fails.
    Test(RulesPathArgs),
    /// Show what a rule reads and compiles to.
    Explain {
        /// Id or title of the rule.
        rule: String,
        #[command(flatten)]
        rules: RulesPathArgs,
    },
}

#[derive(Debug, Args)]
pub(super) struct RulesPathArgs {
    /// Files and folders of rules; without any, the built-in detections.
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Take rules of every log source.
    #[arg(long)]
    pub any_logsource: bool,
    /// How results are printed.
    #[arg(long, value_enum, default_value = "table")]
    pub output: Format,
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::super::command().debug_assert();
    }
}
