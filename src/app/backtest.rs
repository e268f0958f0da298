//! Rules over the stored past: what they would have raised, beside what the rules in force raise over the same events.
//!
//! Both run as a finite replay, so both tell of the same events, whatever has been raised and closed since. Nothing is written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration as StdDuration;

use serde::Serialize;

use crate::alert::draft;
use crate::detect::engine::{Engine, EngineSettings};
use crate::detect::rule::RuleSet;
use crate::model::{Alert, AlertId, Event, Finding, Level, Timestamp};
use crate::query::Query;
use crate::store::search::LIMIT_MAX;
use crate::store::{Budget, SearchError, SearchRequest, Searcher};

/// Events that are run over at most, the newest first.
pub const EVENTS_MAX: usize = 1_000_000;

/// Alerts that are listed by rule and kind of difference; the rest is counted.
pub const LISTED_MAX: usize = 20;

/// How long one page of the past may take.
const PAGE_MAX: StdDuration = StdDuration::from_secs(60);

/// Over what, and for how long.
#[derive(Debug)]
pub struct Asked {
    /// Earliest event time, included.
    pub from: Option<Timestamp>,
    /// Latest event time, not included.
    pub to: Option<Timestamp>,
    /// Events at most, up to [`EVENTS_MAX`].
    pub events_max: usize,
    /// Ends the run early: what came until then is judged.
    pub budget: Budget,
}

/// How an alert differs from what the rules in force raise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// They raise none of this id.
    New,
    /// They raise it, and the tested rule does not.
    Gone,
    /// Both do.
    Same,
}

/// One alert, in short.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    pub difference: Difference,
    pub id: AlertId,
    pub title: String,
    pub count: u64,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    pub group: serde_json::Map<String, serde_json::Value>,
}

/// What came of one rule.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    pub id: String,
    pub title: String,
    pub level: Level,
    /// Whether a rule of this id is in force.
    pub is_known: bool,
    /// Alerts of the tested rule.
    pub alerts: usize,
    pub new: usize,
    pub gone: usize,
    pub same: usize,
    /// New ones, then those that are gone, then the same: at most [`LISTED_MAX`] of each.
    pub listed: Vec<Line>,
}

/// What came of all.
#[derive(Debug, Clone, Serialize)]
pub struct Backtest {
    pub events: usize,
    /// The earliest and latest event time that was run over.
    pub first: Option<Timestamp>,
    pub last: Option<Timestamp>,
    /// There are more events than could be run over: the oldest were left out.
    pub partial: bool,
    /// Entries that had to go for want of room: counts may be too low.
    pub entries_dropped: u64,
    pub rules: Vec<Row>,
    /// Rules that can not be run, with the reason.
    pub refused: Vec<String>,
}

/// Runs rules over the past, and those of the rules in force that have the same ids. Blocks.
///
/// # Errors
/// When the store can not be read.
pub fn run(searcher: &Searcher, tested: &Arc<RuleSet>, running: &RuleSet, asked: &Asked) -> Result<Backtest, SearchError> {
    let settings = || EngineSettings { is_finite: true, ..EngineSettings::default() };
    let mut after = Engine::new(Arc::clone(tested), settings());
    let mut before = Engine::new(Arc::new(only(running, tested)), settings());
    let mut past = Past { events: 0, first: None, last: None };
    let partial = replay(searcher, asked, &mut |events| {
        past.note(events);
        // A finite replay raises nothing before its end.
        after.process(events, &mut Vec::new());
        before.process(events, &mut Vec::new());
    })?;
    let entries_dropped = after.stats().entries_dropped + before.stats().entries_dropped;
    let (new, old) = (alerts(&mut after), alerts(&mut before));
    let known: BTreeSet<&str> = running.rules.iter().map(|rule| rule.header.id.as_str()).collect();
    let refused = after.refused().iter().filter_map(|refused| Some(format!("{}: {}", tested.rules.get(refused.rule)?.header.id, refused.reason)));
    let none = BTreeMap::new();
    let row = |id: &str, title: &str, level: Level| {
        let (new, old) = (new.get(id).unwrap_or(&none), old.get(id).unwrap_or(&none));
        row((id, title, level), known.contains(id), new, old)
    };
    let raising = tested.rules.iter().filter(|rule| !rule.is_silent);
    let rules = raising.map(|rule| row(&rule.header.id, &rule.header.title, rule.header.level)).collect();
    Ok(Backtest { events: past.events, first: past.first, last: past.last, partial, entries_dropped, rules, refused: refused.collect() })
}

struct Past {
    events: usize,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

impl Past {
    fn note(&mut self, events: &[Event]) {
        let times = || events.iter().map(|event| event.time);
        self.events += events.len();
        self.first = self.first.into_iter().chain(times()).min();
        self.last = self.last.into_iter().chain(times()).max();
    }
}

/// Of the rules in force, those that raise alerts under an id of a tested rule; the others only as steps of theirs.
fn only(running: &RuleSet, tested: &RuleSet) -> RuleSet {
    let ids: BTreeSet<&str> = tested.rules.iter().filter(|rule| !rule.is_silent).map(|rule| rule.header.id.as_str()).collect();
    let mut set = running.clone();
    for rule in &mut set.rules {
        rule.is_silent |= !ids.contains(rule.header.id.as_str());
    }
    set
}

/// Gives the events, the latest first. Returns whether there are more.
fn replay(searcher: &Searcher, asked: &Asked, each: &mut dyn FnMut(&[Event])) -> Result<bool, SearchError> {
    let mut request = SearchRequest { limit: LIMIT_MAX, is_counted: false, from: asked.from, to: asked.to, ..SearchRequest::new(Query::All) };
    let mut left = asked.events_max.min(EVENTS_MAX);
    loop {
        if left == 0 || asked.budget.is_spent() {
            return Ok(true);
        }
        request.limit = left.min(LIMIT_MAX);
        request.budget = Budget::within(PAGE_MAX);
        let page = searcher.search(&request)?;
        let events: Vec<Event> = page.events.into_iter().map(|hit| hit.event).collect();
        left = left.saturating_sub(events.len());
        each(&events);
        match page.next_cursor {
            Some(cursor) => request.cursor = Some(cursor),
            None => return Ok(page.partial),
        }
    }
}

/// The last word on each alert that stands, by rule.
fn alerts(engine: &mut Engine) -> BTreeMap<String, BTreeMap<AlertId, Finding>> {
    let mut found = Vec::new();
    engine.finish(&mut found);
    let mut by_rule: BTreeMap<String, BTreeMap<AlertId, Finding>> = BTreeMap::new();
    for finding in found {
        let of_rule = by_rule.entry(finding.rule.id.clone()).or_default();
        match finding.superseded_by {
            Some(_) => drop(of_rule.remove(&finding.id)),
            None => drop(of_rule.insert(finding.id, finding)),
        }
    }
    by_rule
}

fn row((id, title, level): (&str, &str, Level), is_known: bool, new: &BTreeMap<AlertId, Finding>, old: &BTreeMap<AlertId, Finding>) -> Row {
    let mut by_kind: BTreeMap<Difference, Vec<&Finding>> = BTreeMap::new();
    for (id, finding) in new {
        by_kind.entry(if old.contains_key(id) { Difference::Same } else { Difference::New }).or_default().push(finding);
    }
    by_kind.entry(Difference::Gone).or_default().extend(old.iter().filter(|(id, _)| !new.contains_key(id)).map(|(_, finding)| finding));
    let count = |kind: Difference| by_kind.get(&kind).map_or(0, Vec::len);
    let counts = (count(Difference::New), count(Difference::Gone), count(Difference::Same));
    let mut listed = Vec::new();
    for (difference, mut findings) in by_kind {
        findings.sort_by_key(|finding| (finding.first, finding.id));
        listed.extend(findings.into_iter().take(LISTED_MAX).map(|finding| line(difference, draft(finding))));
    }
    let (new_count, gone, same) = counts;
    Row { id: id.to_owned(), title: title.to_owned(), level, is_known, alerts: new.len(), new: new_count, gone, same, listed }
}

fn line(difference: Difference, alert: Alert) -> Line {
    let Alert { id, title, count, first_seen, last_seen, group, .. } = alert;
    Line { difference, id, title, count, first_seen, last_seen, group }
}
