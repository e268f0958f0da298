//! What is printed: tables for people, JSON for programs. Nothing from a log reaches a terminal unescaped.

use std::io::{self, IsTerminal, Write};

use super::Failure;
use super::args::{Format, Schema};
use crate::model::{Alert, Event, Level};
use crate::ocsf;

/// Characters of a cell; the rest is cut.
const CELL_CHARS_MAX: usize = 110;

/// Where and how results are printed.
#[derive(Debug)]
pub(super) struct Screen {
    has_color: bool,
}

impl Screen {
    /// Colours only on a terminal, and only if nobody minds.
    pub(super) fn new(no_color: bool) -> Self {
        let has_color = !no_color && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && io::stdout().is_terminal();
        Self { has_color }
    }

    /// A level, in its colour.
    pub(super) fn level(&self, level: Level) -> String {
        let code = match level {
            Level::Critical => "1;31",
            Level::High => "31",
            Level::Medium => "33",
            Level::Low => "36",
            Level::Informational => "2",
        };
        if self.has_color { format!("\u{1b}[{code}m{:<13}\u{1b}[0m", level.name()) } else { format!("{:<13}", level.name()) }
    }

    /// Alerts, a line each, with who and what below.
    pub(super) fn alerts(&self, alerts: &[Alert]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        for alert in alerts {
            let times = if alert.count > 1 { format!("  x{}", alert.count) } else { String::new() };
            writeln!(out, "{} {}  {}{times}", self.level(alert.rule.level), alert.first_seen, printable(&cut(&alert.title)))?;
            writeln!(
                out,
                "{:13} {} [{}]",
                "",
                printable(&alert.rule.title),
                printable(&alert.entities.join(" ").chars().take(CELL_CHARS_MAX).collect::<String>())
            )?;
        }
        out.flush()
    }
}

impl Schema {
    /// Whether it goes with this output: a table has names of its own.
    pub(super) fn check(self, output: Format) -> Result<(), Failure> {
        if self == Self::Ocsf && output == Format::Table {
            return Err(Failure::usage("`--format ocsf` is JSON: `--output ndjson` or `--output json` goes with it"));
        }
        Ok(())
    }

    /// Appends an event as JSON.
    pub(super) fn write_event(self, event: &Event, to: &mut String) {
        match self {
            Self::Bartizan => event.write_json(to),
            Self::Ocsf => ocsf::write_event(event, to),
        }
    }

    /// An alert as JSON.
    pub(super) fn alert(self, alert: &Alert) -> String {
        match self {
            Self::Bartizan => serde_json::to_string(alert).unwrap_or_default(),
            Self::Ocsf => {
                let mut text = String::new();
                ocsf::write_alert(alert, &mut text);
                text
            }
        }
    }
}

fn cut(text: &str) -> String {
    if text.chars().count() <= CELL_CHARS_MAX { text.to_owned() } else { text.chars().take(CELL_CHARS_MAX - 1).chain(['…']).collect() }
}

/// The text with every character escaped that could move a cursor or hide itself.
pub(super) fn printable(text: &str) -> String {
    let is_plain =
        |c: char| !c.is_control() && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    text.chars().map(|c| if is_plain(c) || c == '\n' { c.to_string() } else { c.escape_unicode().to_string() }).collect()
}

/// JSON values, as lines or as one array.
pub(super) fn json(values: impl Iterator<Item = String>, is_array: bool) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    if is_array {
        out.write_all(b"[")?;
    }
    for (at, value) in values.enumerate() {
        if is_array && at > 0 {
            out.write_all(b",\n")?;
        }
        out.write_all(value.as_bytes())?;
        if !is_array {
            out.write_all(b"\n")?;
        }
    }
    if is_array {
        out.write_all(b"]\n")?;
    }
    out.flush()
}
