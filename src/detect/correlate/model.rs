//! The alerts of a set of acts by brute force: what any order, delay and repetition must come to.
//!
//! Nothing here is shared with the engine but the words: windows are looked for one by one in the whole set.

use std::collections::BTreeMap;

use crate::detect::rule::{Comparison, CorrelationKind};
use crate::model::{ActId, Duration, EventId, Timestamp};

pub(super) const SECOND: i64 = 1_000_000_000;

/// Rules wanted and not wanted, by position; any of these will do.
pub(super) type Ways = Vec<(Vec<u16>, Vec<u16>)>;

/// A rule that takes tenths, so that sums are whole.
#[derive(Debug, Clone)]
pub(super) struct Spec {
    pub(super) name: &'static str,
    /// `None`: a single rule.
    pub(super) kind: Option<CorrelationKind>,
    /// Rules below by their place in the list; the first are single ones.
    pub(super) rules: Vec<usize>,
    pub(super) by: Vec<&'static str>,
    /// Seconds.
    pub(super) span: i64,
    pub(super) bounds: Vec<(Comparison, f64)>,
    pub(super) percentile: i64,
    /// The condition.
    pub(super) ways: Ways,
}

/// What counts once: an act that matched a rule, or an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) time: i64,
    pub(super) id: EventId,
    pub(super) act: ActId,
    pub(super) rule: u16,
    pub(super) values: BTreeMap<&'static str, String>,
    pub(super) texts: Vec<&'static str>,
    /// Numbers among the texts, in tenths.
    pub(super) tenths: Vec<i64>,
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) events: Vec<(i64, EventId)>,
}

impl Row {
    fn key(&self) -> (i64, EventId, u16) {
        (self.time, self.id, self.rule)
    }
}

/// An alert that must be there in the end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Told {
    pub(super) group: Vec<(&'static str, Option<String>)>,
    pub(super) bucket: i64,
    pub(super) anchor: i64,
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) count: usize,
    pub(super) events: Vec<(i64, EventId)>,
}

fn is_temporal(spec: &Spec) -> bool {
    matches!(spec.kind, Some(CorrelationKind::Temporal | CorrelationKind::TemporalOrdered))
}

/// The alerts of one rule, of everything that matched below it. Buckets are so many seconds long.
pub(super) fn alerts(spec: &Spec, rows: &[Row], bucket: i64) -> Vec<Told> {
    let mut groups: BTreeMap<Vec<(&'static str, Option<String>)>, Vec<Row>> = BTreeMap::new();
    for row in rows {
        let key: Vec<_> = spec.by.iter().map(|name| (*name, row.values.get(name).cloned())).collect();
        let takes_numbers = matches!(
            spec.kind,
            Some(CorrelationKind::ValueSum | CorrelationKind::ValueAvg | CorrelationKind::ValuePercentile | CorrelationKind::ValueMedian)
        );
        let is_whole = spec.kind.is_none() || key.iter().all(|(_, value)| value.is_some());
        if is_whole && (!takes_numbers || !row.tenths.is_empty()) {
            groups.entry(key).or_default().push(row.clone());
        }
    }
    let of_group = |(group, rows)| of_group(spec, group, rows, bucket);
    groups.into_iter().flat_map(of_group).collect()
}

fn of_group(spec: &Spec, group: Vec<(&'static str, Option<String>)>, mut rows: Vec<Row>, bucket: i64) -> Vec<Told> {
    rows.sort_by_key(Row::key);
    let mut kept: Vec<Row> = Vec::new();
    for row in rows {
        if !kept.iter().any(|known| known.act == row.act && (!is_temporal(spec) || known.rule == row.rule)) {
            kept.push(row);
        }
    }
    let span = spec.span * SECOND;
    let mut alerts: Vec<(i64, i64, Vec<Row>)> = Vec::new();
    for (end, window) in windows(spec, &kept) {
        let absorbs = alerts.last().is_some_and(|(start, ..)| end - span < start + bucket * SECOND);
        if !absorbs {
            alerts.push((Timestamp::from_nanos(end).bucket(Duration::seconds(bucket)).nanos(), end, Vec::new()));
        }
        let (_, _, rows) = alerts.last_mut().unwrap();
        for row in window {
            if !rows.contains(&row) {
                rows.push(row);
            }
        }
    }
    let told = alerts.into_iter().map(|(bucket, anchor, rows)| {
        let mut acts: Vec<ActId> = rows.iter().map(|row| row.act).collect();
        acts.sort_unstable();
        acts.dedup();
        let mut events: Vec<(i64, EventId)> = rows.iter().flat_map(|row| row.events.iter().copied()).collect();
        events.sort_unstable();
        events.dedup();
        Told {
            group: group.clone(),
            bucket,
            anchor,
            first: rows.iter().map(|row| row.first).min().unwrap(),
            last: rows.iter().map(|row| row.last).max().unwrap(),
            count: acts.len(),
            events,
        }
    });
    told.collect()
}

/// Windows that qualify: when they end, and what is in them, in order of ends.
fn windows(spec: &Spec, rows: &[Row]) -> Vec<(i64, Vec<Row>)> {
    let Some(kind) = spec.kind else { return rows.iter().map(|row| (row.time, vec![row.clone()])).collect() };
    let is_lower = |op: Comparison| matches!(op, Comparison::Gt | Comparison::Gte);
    let is_whole = matches!(kind, CorrelationKind::ValueAvg | CorrelationKind::ValuePercentile | CorrelationKind::ValueMedian)
        || !spec.bounds.iter().all(|(op, _)| is_lower(*op));
    if is_whole {
        return whole(spec, rows);
    }
    if spec.ways.iter().any(|(_, unwanted)| !unwanted.is_empty()) {
        return absence(spec, rows);
    }
    let span = spec.span * SECOND;
    let held = |end: &Row| -> Vec<Row> { rows.iter().filter(|row| row.time > end.time - span && row.key() <= end.key()).cloned().collect() };
    rows.iter().map(|end| (end.time, held(end))).filter(|(end, window)| holds(spec, window, Some(*end))).collect()
}

fn whole(spec: &Spec, rows: &[Row]) -> Vec<(i64, Vec<Row>)> {
    let mut found = Vec::new();
    let mut from = i64::MIN;
    while let Some(first) = rows.iter().find(|row| row.time >= from) {
        let end = first.time + spec.span * SECOND;
        let window: Vec<Row> = rows.iter().filter(|row| row.time >= first.time && row.time < end).cloned().collect();
        if holds(spec, &window, None) {
            found.push((end, window));
        }
        from = end;
    }
    found
}

/// Whether what is in a window is what the rule asks for. A chain must end at `end`, if that is given.
fn holds(spec: &Spec, window: &[Row], end: Option<i64>) -> bool {
    let tenths: Vec<i64> = window.iter().flat_map(|row| row.tenths.iter().copied()).collect();
    let distinct = |mut of: Vec<&str>| {
        of.sort_unstable();
        of.dedup();
        of.len() as i64
    };
    let rules: Vec<String> = window.iter().map(|row| row.rule.to_string()).collect();
    // A fraction, so that nothing is rounded.
    let (above, below) = match spec.kind.unwrap() {
        CorrelationKind::EventCount => (window.len() as i64, 1),
        CorrelationKind::ValueCount => (distinct(window.iter().flat_map(|row| row.texts.iter().copied()).collect()), 1),
        CorrelationKind::ValueSum => (tenths.iter().sum(), 10),
        CorrelationKind::ValueAvg => (tenths.iter().sum(), 10 * tenths.len() as i64),
        CorrelationKind::ValuePercentile => percentile(tenths, spec.percentile),
        CorrelationKind::ValueMedian => percentile(tenths, 50),
        CorrelationKind::Temporal if !spec.ways.is_empty() => {
            return spec.ways.iter().any(|(wanted, _)| wanted.iter().all(|rule| window.iter().any(|row| row.rule == *rule)));
        }
        CorrelationKind::Temporal if spec.bounds.is_empty() => {
            return distinct(rules.iter().map(String::as_str).collect()) == spec.rules.len() as i64;
        }
        CorrelationKind::Temporal => (distinct(rules.iter().map(String::as_str).collect()), 1),
        CorrelationKind::TemporalOrdered => {
            let all: Vec<u16> = (0..spec.rules.len() as u16).collect();
            let stands = |wanted: &[u16]| chain(window, wanted, i64::MIN, &mut Vec::new(), end);
            if !spec.ways.is_empty() {
                return spec.ways.iter().any(|(wanted, _)| stands(wanted));
            }
            if spec.bounds.is_empty() {
                return stands(&all);
            }
            let parts = (1..1_u16 << all.len()).map(|part| all.iter().copied().filter(|rule| part >> rule & 1 == 1).collect::<Vec<u16>>());
            (parts.filter(|wanted| stands(wanted)).map(|wanted| wanted.len()).max().unwrap_or(0) as i64, 1)
        }
    };
    // Bounds are whole tenths.
    spec.bounds.iter().all(|(op, bound)| op.holds((above * 10) as f64, (bound * 10.0).round() * below as f64))
}

fn percentile(mut tenths: Vec<i64>, wanted: i64) -> (i64, i64) {
    tenths.sort_unstable();
    let rank = (tenths.len() as i64 - 1) * wanted;
    let (place, part) = ((rank / 100) as usize, rank % 100);
    let above = tenths.get(place + 1).copied().unwrap_or(tenths[place]);
    (tenths[place] * (100 - part) + above * part, 1000)
}

/// Whether these rules can follow one another, each by an event of its own, the last at `end`.
fn chain(rows: &[Row], wanted: &[u16], after: i64, used: &mut Vec<EventId>, end: Option<i64>) -> bool {
    let Some((rule, rest)) = wanted.split_first() else { return end.is_none_or(|end| after == end) };
    rows.iter().any(|row| {
        if row.rule != *rule || row.time < after || used.contains(&row.id) {
            return false;
        }
        used.push(row.id);
        let found = chain(rows, rest, row.time, used, end);
        used.pop();
        found
    })
}

fn absence(spec: &Spec, rows: &[Row]) -> Vec<(i64, Vec<Row>)> {
    let span = spec.span * SECOND;
    let is_ordered = spec.kind == Some(CorrelationKind::TemporalOrdered);
    let mut instants: Vec<i64> = rows.iter().map(|row| row.time).collect();
    instants.dedup();
    let qualifies = |now: i64| {
        spec.ways.iter().any(|(wanted, unwanted)| {
            // The latest time at which what is wanted can begin.
            let begins = instants.iter().copied().filter(|start| *start > now - span && *start <= now).filter(|start| {
                let held: Vec<Row> = rows.iter().filter(|row| row.time >= *start && row.time <= now).cloned().collect();
                if is_ordered {
                    return chain(&held, wanted, i64::MIN, &mut Vec::new(), Some(now));
                }
                wanted.iter().all(|rule| held.iter().any(|row| row.rule == *rule))
                    && rows.iter().any(|row| row.time == now && wanted.contains(&row.rule))
            });
            let Some(start) = begins.max() else { return false };
            unwanted.iter().all(|rule| {
                let is_there = |from: i64, to: i64| rows.iter().any(|row| row.rule == *rule && row.time >= from && row.time <= to);
                let (opens, closes) = (now - span + 1, start + span - 1);
                !if !is_ordered {
                    is_there(opens, closes)
                } else if wanted.iter().all(|other| rule < other) {
                    is_there(opens, start)
                } else if wanted.iter().all(|other| rule > other) {
                    is_there(now, closes)
                } else {
                    is_there(start, now)
                }
            })
        })
    };
    let held = |now: i64| rows.iter().filter(|row| row.time > now - span && row.time <= now).cloned().collect();
    instants.iter().copied().filter(|now| qualifies(*now)).map(|now| (now, held(now))).collect()
}
