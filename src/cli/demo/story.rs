//! The attack: its events, put into the recent past, and what to say of an alert.

use crate::cli::output::printable;
use crate::model::{Alert, Duration, Timestamp};

const AUDIT: &str = include_str!("audit.json");
const FALCO: &str = include_str!("falco.ndjson");
const FLOWS: &str = include_str!("flows.ndjson");

/// The story ends this long before now.
const ENDED_BEFORE: Duration = Duration::minutes(6);

/// Values shown of a step.
const VALUES_SHOWN_MAX: usize = 3;

/// One request to the demo's own ingest.
#[derive(Debug, Clone)]
pub struct Post {
    pub what: &'static str,
    pub path: &'static str,
    pub body: String,
}

/// The three sources' accounts, as their programs would send them, told as of `now`.
pub fn posts(now: Timestamp) -> Vec<Post> {
    let start = now.minus(ENDED_BEFORE);
    vec![
        Post { what: "the API server's audit webhook sends what it saw", path: "/ingest/k8s-audit", body: dated(AUDIT, start) },
        Post { what: "Falco sends what it saw in the containers", path: "/ingest/falco", body: dated(FALCO, start) },
        Post { what: "Hubble's flows arrive", path: "/ingest/hubble", body: dated(FLOWS, start) },
    ]
}

/// Every `"@12.5"` becomes the time that is so many seconds after the start.
fn dated(text: &str, start: Timestamp) -> String {
    let mut to = String::with_capacity(text.len() + 1_024);
    let mut pieces = text.split("\"@");
    to.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let (offset, rest) = piece.split_once('"').unwrap_or((piece, ""));
        let millis = offset.parse::<f64>().map_or(0, |seconds| (seconds * 1_000.0) as i64);
        let micros = Timestamp::from_nanos(start.nanos() / 1_000_000 * 1_000_000).plus(Duration(millis * 1_000_000));
        to.push_str(&format!("\"{}\"", Timestamp::from_nanos(micros.nanos())));
        to.push_str(rest);
    }
    to
}

/// How an alert is known: the first event of each of its steps, with the values that matched.
pub(super) fn explain(alert: &Alert) {
    let mut shown: Vec<(&str, usize)> = Vec::new();
    for step in &alert.steps {
        if let Some((_, more)) = shown.iter_mut().find(|(rule, _)| *rule == step.rule) {
            *more += 1;
            continue;
        }
        shown.push((&step.rule, 0));
        let values: Vec<String> = step.matched.iter().take(VALUES_SHOWN_MAX).map(|matched| format!("{}={}", matched.field, matched.value)).collect();
        println!("{:13}   {}  {}", "", step.time, printable(&values.join("  ")));
    }
    let more: usize = shown.iter().map(|(_, more)| more).sum();
    if more > 0 {
        println!("{:13}   … and {more} more like these", "");
    }
}

/// How many different rules an alert joins.
pub(super) fn breadth(alert: &Alert) -> usize {
    let mut rules: Vec<&str> = alert.steps.iter().map(|step| step.rule.as_str()).collect();
    rules.sort_unstable();
    rules.dedup();
    rules.len() * 10 + alert.entities.len()
}
