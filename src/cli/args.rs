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
    /// How log lines look (the configuration says so otherwise).
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// Log more; twice for still more.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Detect in files: decode, normalise, match, correlate; nothing is kept.
    Scan(ScanArgs),
    /// Show what records become: one normalised event a line.
    Decode(DecodeArgs),
    /// Show what this does: a running service, and one attack told by three sources.
    Demo(DemoArgs),
    /// Run the service.
    Serve(ServeArgs),
    /// Read files into the store: the whole pipeline, done once everything is durable.
    Ingest(IngestArgs),
    /// Search a store or a server.
    Search(SearchArgs),
    /// Check, list, test and explain detection rules.
    Rules(RulesArgs),
    /// Check, print or describe the configuration.
    Config(ConfigArgs),
    /// Make, list and revoke API tokens.
    Token(TokenArgs),
    /// Whether everything that came is accounted for, and the store is what it was. Works beside a running service.
    Verify(VerifyArgs),
    /// Make the index anew from the stored records, where it is lost or damaged. The service must not run.
    Reindex(ReindexArgs),
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

/// Whose names events and alerts have. Only JSON asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Schema {
    /// The program's own: normalised fields, provenance, the native record.
    Bartizan,
    /// The Open Cybersecurity Schema Framework's.
    Ocsf,
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
#[command(
    after_help = "Examples:\n  bartizan scan /var/log/kubernetes/audit.log\n  bartizan scan --output ndjson --fail-on high logs/ falco.json.gz\n  kubectl logs -n falco ds/falco | bartizan scan -"
)]
pub(super) struct ScanArgs {
    #[command(flatten)]
    pub rules: RuleArgs,
    /// How alerts are printed.
    #[arg(long, value_enum, default_value = "table")]
    pub output: Format,
    /// Whose names alerts have.
    #[arg(long, value_enum, default_value = "bartizan")]
    pub format: Schema,
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
#[command(
    after_help = "Examples:\n  bartizan decode audit.log | jq 'select(.actor.user.type == \"human\") | .k8s'\n  bartizan decode --format ocsf audit.log falco.json.gz flows.ndjson"
)]
pub(super) struct DecodeArgs {
    /// How events are printed.
    #[arg(long, value_enum, default_value = "ndjson")]
    pub output: Format,
    /// Whose names events have.
    #[arg(long, value_enum, default_value = "bartizan")]
    pub format: Schema,
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

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Keep the data here; without it nothing is left behind.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where to listen.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7117")]
    pub listen: std::net::SocketAddr,
}

#[derive(Debug, Args)]
#[command(after_help = "Without a file: an embedded store in ./data, loopback only.")]
pub(super) struct ServeArgs {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Listen here instead of where the configuration says.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<std::net::SocketAddr>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bartizan ingest /var/log/kubernetes && bartizan search 'k8s.subresource:exec'")]
pub(super) struct IngestArgs {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Name of the cluster that the records are of.
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub cluster: String,
    /// Files and folders; `-` is standard input.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bartizan search 'k8s.resource:secrets AND NOT actor.user.name:system\\:*' --count\n  bartizan search --from 2026-01-01T00:00:00Z 'src.ip:203.0.113.0/24' --output table"
)]
pub(super) struct SearchArgs {
    /// The configuration file, which says where the store is.
    #[arg(short, long, value_name = "FILE", conflicts_with = "url")]
    pub config: Option<PathBuf>,
    /// Ask this server instead of the store on disk.
    #[arg(long, value_name = "URL", env = "BARTIZAN_URL")]
    pub url: Option<String>,
    /// Token for the server.
    #[arg(long, value_name = "TOKEN", env = "BARTIZAN_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Earliest event time, RFC 3339.
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Latest event time, RFC 3339, not included.
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// Events at most, the newest first.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
    /// Print only how many there are.
    #[arg(long)]
    pub count: bool,
    /// How events are printed.
    #[arg(long, value_enum, default_value = "ndjson")]
    pub output: Format,
    /// Whose names events have.
    #[arg(long, value_enum, default_value = "bartizan")]
    pub format: Schema,
    /// What to look for; `*` is everything.
    #[arg(value_name = "QUERY", default_value = "*")]
    pub query: String,
}

#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    pub command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Every problem in one report.
    Check {
        /// The configuration file.
        #[arg(short, long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// The effective configuration, with defaults, without secrets.
    Print {
        /// The configuration file.
        #[arg(short, long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// The JSON Schema of the file.
    Schema,
}

#[derive(Debug, Args)]
#[command(after_help = "Exit code 0: everything adds up; 1: something does not, and is named.")]
pub(super) struct VerifyArgs {
    /// The configuration file, which says where the store is.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How the report is printed.
    #[arg(long, value_enum, default_value = "table")]
    pub output: Format,
}

#[derive(Debug, Args)]
#[command(
    after_help = "A part whose records are damaged stays as it is. Exit code 0: every index is whole; 1: something can not be had back, and is named;\n2: the store is in use, or of another version; 3: it can not be read."
)]
pub(super) struct ReindexArgs {
    /// The configuration file, which says where the store is.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Every part, also those with whose index nothing is wrong.
    #[arg(long)]
    pub all: bool,
    /// How the report is printed.
    #[arg(long, value_enum, default_value = "table")]
    pub output: Format,
}

#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    /// The configuration file, which says where the store is.
    #[arg(short, long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    #[command(subcommand)]
    pub command: TokenCommand,
}

/// What a token lets its bearer do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum TokenScope {
    /// Push events, and nothing else.
    Ingest,
    /// Everything.
    Admin,
}

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token; it is printed once.
    Create {
        /// What it is for.
        #[arg(long)]
        name: String,
        /// What its bearer may do.
        #[arg(long, value_enum, default_value = "ingest")]
        scope: TokenScope,
        /// The cluster that events pushed with it are of.
        #[arg(long, value_name = "NAME")]
        cluster: Option<String>,
        /// The configured source that events pushed with it come by.
        #[arg(long, value_name = "NAME")]
        source: Option<String>,
        /// The kinds that may be pushed with it; what else comes is kept as `other`, flagged. Without it: any.
        #[arg(long, value_name = "KIND", value_delimiter = ',')]
        kinds: Vec<String>,
    },
    /// List tokens, without what was shown once.
    List {
        /// How tokens are printed.
        #[arg(long, value_enum, default_value = "table")]
        output: Format,
    },
    /// End a token.
    Revoke {
        /// Its id.
        id: String,
    },
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bartizan rules check my-rules/\n  bartizan rules test my-rules/\n  bartizan rules explain shell-story --on audit.log falco.json\n  bartizan rules check my-rules/ --on /var/log/kubernetes"
)]
pub(super) struct RulesArgs {
    #[command(subcommand)]
    pub command: RulesCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum RulesCommand {
    /// Parse and lint. Exit code 1 if anything is wrong. With logs, tell which rules can not fire on them.
    Check {
        #[command(flatten)]
        rules: RulesPathArgs,
        #[command(flatten)]
        on: OnArgs,
    },
    /// List rules with their level, log source and title.
    List(RulesPathArgs),
    /// Run the `.test.yml` beside each rule. Exit code 1 if a test fails.
    Test(RulesPathArgs),
    /// Run rules over the stored past, and show what differs from the rules in force.
    Backtest(BacktestArgs),
    /// Show what a rule reads and compiles to. With logs, tell what of it holds there, and why it does not fire.
    Explain {
        /// Id, title, name or file name of the rule.
        rule: String,
        #[command(flatten)]
        rules: RulesPathArgs,
        #[command(flatten)]
        on: OnArgs,
    },
}

/// Logs to hold rules against.
#[derive(Debug, Args)]
pub(super) struct OnArgs {
    /// Logs to hold the rules against: files and folders, `-` is standard input. It takes all that comes after it, so it goes last.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub on: Vec<PathBuf>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Works beside a running service, and writes nothing.\n\nExamples:\n  bartizan rules backtest new-rule.yml --from 2026-01-01T00:00:00Z\n  bartizan rules backtest -c bartizan.toml --output json rules/"
)]
pub(super) struct BacktestArgs {
    /// Files and folders of rules; without any, the rules in force.
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// The configuration file, which says where the store is and which rules are in force.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Earliest event time, RFC 3339.
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Latest event time, RFC 3339, not included.
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// Events at most, the newest first.
    #[arg(long, value_name = "N", default_value_t = crate::app::backtest::EVENTS_MAX)]
    pub events_max: usize,
    /// How the result is printed: one JSON object a rule, or one of all.
    #[arg(long, value_enum, default_value = "table")]
    pub output: Format,
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
