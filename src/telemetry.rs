//! Logs. They go to stderr, so that results alone are on stdout; no log line holds a body, a token or a raw event.

use std::io::IsTerminal as _;

use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How log lines look, and which there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogOptions {
    pub is_json: bool,
    /// A level, or levels by target: `info,bartizan::source=debug`.
    pub level: String,
    /// How often `-v` was given: once is debug, twice is trace, of this program only.
    pub verbose: u8,
    pub has_color: bool,
}

/// Whether a text is a level or a list of levels by target.
///
/// # Errors
/// What is wrong, as a sentence that follows the name of the key.
pub fn check_level(text: &str) -> Result<(), String> {
    EnvFilter::builder()
        .parse(text)
        .map(drop)
        .map_err(|_| "must be a level (error, warn, info, debug, trace) or levels by target: `info,bartizan=debug`".to_owned())
}

fn filter(options: &LogOptions) -> EnvFilter {
    let extra = match options.verbose {
        0 => "",
        1 => ",bartizan=debug",
        _ => ",bartizan=trace",
    };
    EnvFilter::builder().parse_lossy(format!("{}{extra}", options.level))
}

/// Starts logging to stderr. Called once; later calls change nothing.
pub fn init(options: &LogOptions) {
    let base = tracing_subscriber::registry().with(filter(options));
    let done = if options.is_json {
        base.with(fmt::layer().json().flatten_event(true).with_writer(std::io::stderr)).try_init()
    } else {
        let has_color = options.has_color && std::io::stderr().is_terminal();
        base.with(fmt::layer().with_ansi(has_color).with_writer(std::io::stderr)).try_init()
    };
    drop(done); // A test that has a subscriber of its own keeps it.
}
