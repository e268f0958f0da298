//! The tests beside a rule (`<rule>.test.yml`, CONTRACTS 2): events, when they happen, and what must come of it.

mod part;
#[cfg(test)]
mod tests;

use std::fmt;

pub use self::part::{Part, part};

use super::sigma::yaml::{self, CASES_BYTES_MAX, Entry, Node, Yaml};
use crate::model::{Duration, Kind, Level, Timestamp, write_json_string};

/// 2026-01-01T00:00:00Z, which `+0s` stands for, in seconds since 1970.
const START_SECONDS: i64 = 1_767_225_600;

/// Events of one test.
const EVENTS_MAX: usize = 1_000;

/// What a test expects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expect {
    /// Alerts that stand at the end; `None` is one or more.
    pub alerts: Option<usize>,
    /// Of the first alert: acts that contribute.
    pub count: Option<u64>,
    pub title: Option<String>,
    pub level: Option<String>,
    /// Group fields and their values.
    pub group: Vec<(String, String)>,
}

/// One test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    pub name: String,
    /// Line in the file of tests.
    pub line: usize,
    /// Each event's JSON, in the order given.
    pub records: Vec<Vec<u8>>,
    pub expect: Expect,
}

/// What is wrong with a file of tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadCases {
    pub line: usize,
    pub message: String,
}

impl fmt::Display for BadCases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

fn bad<T>(node: &Node, message: impl Into<String>) -> Result<T, BadCases> {
    Err(BadCases { line: node.at.line, message: message.into() })
}

/// Reads a file of tests. `file` gives the bytes behind a `file: path` event.
pub fn read(text: &str, mut file: impl FnMut(&str) -> Result<Vec<u8>, String>) -> Result<Vec<Case>, BadCases> {
    let node = yaml::parse(text, 0, CASES_BYTES_MAX).map_err(|broken| BadCases { line: broken.at.line, message: broken.message })?;
    let Some(node) = node else { return Ok(Vec::new()) };
    let Some(tests) = node.get("tests") else { return bad(&node, "`tests:`, a list, is missing") };
    let Yaml::List(tests) = &tests.value else { return bad(tests, "`tests` is a list") };
    tests.iter().map(|test| case(test, &mut file)).collect()
}

fn case(node: &Node, file: &mut impl FnMut(&str) -> Result<Vec<u8>, String>) -> Result<Case, BadCases> {
    let Some(entries) = node.entries() else { return bad(node, "a test is a map with `name`, `events`, `at` and `expect`") };
    if let Some(odd) = entries.iter().find(|entry| !["name", "events", "at", "expect"].contains(&entry.key.as_str())) {
        return Err(BadCases { line: odd.at.line, message: format!("unknown key `{}`: name, events, at and expect are known", odd.key) });
    }
    let name = node.get("name").and_then(Node::text).unwrap_or("unnamed").to_owned();
    let Some(events) = node.get("events") else { return bad(node, format!("test `{name}` has no `events`")) };
    let Yaml::List(events) = &events.value else { return bad(events, "`events` is a list") };
    if events.len() > EVENTS_MAX {
        return bad(node, format!("more than {EVENTS_MAX} events"));
    }
    let times = times(node, events.len())?;
    let mut records = Vec::with_capacity(events.len());
    for (at, event) in events.iter().enumerate() {
        if let Some(path) = event.get("file").and_then(Node::text).filter(|_| event.entries().is_some_and(|entries| entries.len() == 1)) {
            records.push(file(path).map_err(|why| BadCases { line: event.at.line, message: why })?);
        } else {
            records.push(record(event, at, times.get(at).copied().unwrap_or_else(|| Timestamp::from_seconds(START_SECONDS)))?);
        }
    }
    Ok(Case { name, line: node.at.line, records, expect: expect(node)? })
}

fn times(node: &Node, events: usize) -> Result<Vec<Timestamp>, BadCases> {
    let Some(at) = node.get("at") else { return Ok(Vec::new()) };
    let Yaml::List(list) = &at.value else { return bad(at, "`at` is a list of offsets such as \"+30s\"") };
    if list.len() != events {
        return bad(at, format!("`at` has {} times for {events} events", list.len()));
    }
    list.iter()
        .map(|item| {
            let text = item.spelled().unwrap_or_default();
            moment(text)
                .ok_or_else(|| BadCases { line: item.at.line, message: format!("`{text}` is no time: \"+90s\", \"+1m30s\", \"-5s\" or RFC 3339 is") })
        })
        .collect()
}

/// An offset from the start (`+1h2m3s`, `-5s`, `+250ms`), or a time as RFC 3339.
fn moment(text: &str) -> Option<Timestamp> {
    let start = Timestamp::from_seconds(START_SECONDS);
    let (sign, mut rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return Timestamp::parse(text),
    };
    let mut nanos = 0_i64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at_checked(digits)?;
        let unit = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at_checked(unit)?;
        let scale = match unit {
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "d" => 86_400_000_000_000,
            _ => return None,
        };
        nanos = nanos.checked_add(number.parse::<i64>().ok()?.checked_mul(scale)?)?;
        rest = tail;
    }
    Some(start.plus(Duration(sign * nanos)))
}

fn expect(node: &Node) -> Result<Expect, BadCases> {
    let Some(expect) = node.get("expect") else { return bad(node, "`expect` is missing: hit, miss or a map") };
    match (expect.text(), expect.entries()) {
        (Some("hit"), _) => Ok(Expect::default()),
        (Some("miss"), _) => Ok(Expect { alerts: Some(0), ..Expect::default() }),
        (None, Some(entries)) => {
            let mut out = Expect::default();
            for entry in entries {
                expect_one(entry, &mut out)?;
            }
            Ok(out)
        }
        _ => bad(expect, "`expect` is hit, miss or a map of alerts, count, group, title and level"),
    }
}

/// One thing that is expected. A number that is none would expect nothing, so it is an error.
fn expect_one(entry: &Entry, out: &mut Expect) -> Result<(), BadCases> {
    let value = &entry.value;
    let text = value.spelled().unwrap_or_default();
    match entry.key.as_str() {
        "alerts" => match text.parse() {
            Ok(alerts) => out.alerts = Some(alerts),
            Err(_) => return bad(value, "`alerts` is a number of alerts"),
        },
        "count" => match text.parse() {
            Ok(count) => out.count = Some(count),
            Err(_) => return bad(value, "`count` is a number of acts"),
        },
        "title" if !text.is_empty() => out.title = Some(text.to_owned()),
        "title" => return bad(value, "`title` is the text of the alert's title"),
        "level" => match text.parse::<Level>() {
            Ok(level) => out.level = Some(level.name().to_owned()),
            Err(message) => return bad(value, message),
        },
        "group" => {
            let Some(fields) = value.entries() else { return bad(value, "`group` is a map of fields and their values") };
            out.group = fields.iter().map(|field| (field.key.clone(), field.value.spelled().unwrap_or_default().to_owned())).collect();
        }
        key => {
            return Err(BadCases { line: entry.at.line, message: format!("unknown key `{key}`: alerts, count, title, level and group are known") });
        }
    }
    Ok(())
}

/// Members of an object, in order, as JSON texts.
type Members = Vec<(String, String)>;

fn members(node: &Node) -> Members {
    node.entries().unwrap_or_default().iter().map(|entry| (entry.key.clone(), json(&entry.value))).collect()
}

fn add(members: &mut Members, key: &str, value: String) {
    if !members.iter().any(|(known, _)| known == key) {
        members.push((key.to_owned(), value));
    }
}

fn object(members: &Members) -> String {
    let mut to = String::from("{");
    for (at, (key, value)) in members.iter().enumerate() {
        if at > 0 {
            to.push(',');
        }
        write_json_string(key, &mut to);
        to.push(':');
        to.push_str(value);
    }
    to.push('}');
    to
}

fn json(node: &Node) -> String {
    match &node.value {
        Yaml::Null => "null".to_owned(),
        Yaml::Bool(value) => value.to_string(),
        Yaml::Number(spelled, value) => {
            if spelled.parse::<i64>().is_ok() {
                spelled.clone()
            } else {
                value.to_string()
            }
        }
        Yaml::Text { text, .. } => quoted(text),
        Yaml::List(items) => format!("[{}]", items.iter().map(json).collect::<Vec<_>>().join(",")),
        Yaml::Map(_) => object(&members(node)),
    }
}

fn quoted(text: &str) -> String {
    let mut to = String::new();
    write_json_string(text, &mut to);
    to
}

/// An event's JSON, with what makes it recognisable and its time where it has none of its own.
fn record(node: &Node, at: usize, time: Timestamp) -> Result<Vec<u8>, BadCases> {
    let Some(entries) = node.entries() else { return bad(node, "an event is a map, or `file: path`") };
    let has = |key: &str| entries.iter().any(|entry| entry.key == key);
    let forced = node.get("kind").and_then(Node::text).and_then(Kind::by_name);
    let mut members: Members = members(node);
    if forced.is_some() {
        members.retain(|(key, _)| key != "kind");
    }
    let time = quoted(&time.to_string());
    let is_flow = forced == Some(Kind::Flow) || (forced.is_none() && (has("flow") || has("verdict")));
    let is_falco = forced == Some(Kind::Falco) || (forced.is_none() && has("rule") && (has("priority") || has("output_fields")));
    if is_flow {
        let mut flow = node.get("flow").map_or_else(|| members.clone(), self::members);
        add(&mut flow, "time", time.clone());
        add(&mut flow, "uuid", quoted(&format!("test-{at}")));
        let mut wrapper = vec![("flow".to_owned(), object(&flow))];
        if node.get("flow").is_some() {
            members.into_iter().filter(|(key, _)| key != "flow").for_each(|(key, value)| add(&mut wrapper, &key, value));
        }
        add(&mut wrapper, "time", time);
        return Ok(object(&wrapper).into_bytes());
    }
    if is_falco {
        add(&mut members, "output", quoted("test"));
        add(&mut members, "priority", quoted("Notice"));
        add(&mut members, "rule", quoted("test"));
        add(&mut members, "source", quoted("syscall"));
        add(&mut members, "output_fields", "{}".to_owned());
        add(&mut members, "hostname", quoted(&format!("test-{at}")));
        add(&mut members, "time", time);
        return Ok(object(&members).into_bytes());
    }
    // A policy report, a finding, an object's event: recognised by what it has, with a time of its own.
    let is_other = |key: &str, own: &str| node.get(key).and_then(Node::text).is_some_and(|text| !text.starts_with(own));
    if forced.map_or_else(|| is_other("kind", "Event") || is_other("apiVersion", "audit.k8s.io"), |kind| kind != Kind::K8sAudit) {
        return Ok(object(&members).into_bytes());
    }
    add(&mut members, "kind", quoted("Event"));
    add(&mut members, "apiVersion", quoted("audit.k8s.io/v1"));
    add(&mut members, "level", quoted("RequestResponse"));
    add(&mut members, "auditID", quoted(&format!("test-{at}")));
    add(&mut members, "stage", quoted("ResponseComplete"));
    add(&mut members, "requestURI", quoted("/test"));
    add(&mut members, "requestReceivedTimestamp", time.clone());
    add(&mut members, "stageTimestamp", time);
    Ok(object(&members).into_bytes())
}
