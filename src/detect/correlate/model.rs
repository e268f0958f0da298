//! The alerts of a set of acts by brute force: what any order, delay and repetition must come to.
//!
//! Nothing here is shared with the engine but the words: windows are looked for one by one in the whole set.

pub(super) mod beside;
mod draw;

use std::collections::BTreeMap;

use crate::detect::draw::Draw;
use crate::detect::rule::{Comparison, Condition, CorrelationKind};
use crate::model::{ActId, Duration, EventId, Timestamp};

pub(super) const SECOND: i64 = 1_000_000_000;

/// Rules wanted and not wanted, by position; any of these will do.
pub(super) type Ways = Vec<(Vec<u16>, Vec<u16>)>;

/// A correlation that takes tenths, so that sums are whole; or a single rule.
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
    /// Seconds.
    pub(super) bucket: i64,
    pub(super) bounds: Vec<(Comparison, f64)>,
    pub(super) percentile: i64,
    /// Fields whose values are counted, or whose numbers are taken.
    pub(super) counted: Vec<&'static str>,
    pub(super) condition: Option<Condition>,
    /// What the condition comes to.
    pub(super) ways: Ways,
    /// The engine has to refuse it.
    pub(super) is_refused: bool,
    /// It raises no alert of its own.
    pub(super) is_silent: bool,
}

/// What counts once: an act that matched a rule, or an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) time: i64,
    pub(super) id: EventId,
    pub(super) act: ActId,
    pub(super) rule: u16,
    pub(super) values: BTreeMap<&'static str, String>,
    /// Values that count, each once.
    pub(super) texts: Vec<String>,
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

/// Draws rules, events and ways for these to come in from the bytes, and asserts that the engine tells what is told here.
///
/// # Panics
/// If they do not agree: that is what it is for.
pub fn check(bytes: &[u8]) {
    let mut draw = Draw::new(bytes);
    let specs = draw::specs(&mut draw);
    let (shorts, deliveries) = draw::deliveries(&mut draw);
    beside::check(&specs, &shorts, &deliveries);
}

/// The alerts of one rule, of everything that matched below it.
pub(super) fn alerts(spec: &Spec, rows: &[Row]) -> Vec<Told> {
    let mut groups: BTreeMap<Vec<(&'static str, Option<String>)>, Vec<Row>> = BTreeMap::new();
    for row in rows {
        let key: Vec<_> = spec.by.iter().map(|name| (*name, row.values.get(name).cloned())).collect();
        let takes_numbers = matches!(
            spec.kind,
            Some(CorrelationKind::ValueSum | CorrelationKind::ValueAvg | CorrelationKind::ValuePercentile | CorrelationKind::ValueMedian)
        );
        let is_whole = spec.kind.is_none() || key.iter().all(|(_, value)| value.is_some());
        let lacks = (takes_numbers && row.tenths.is_empty()) || (spec.kind == Some(CorrelationKind::ValueCount) && row.texts.is_empty());
        if is_whole && !lacks {
            groups.entry(key).or_default().push(row.clone());
        }
    }
    groups.into_iter().flat_map(|(group, rows)| of_group(spec, &group, rows)).collect()
}

fn of_group(spec: &Spec, group: &[(&'static str, Option<String>)], mut rows: Vec<Row>) -> Vec<Told> {
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
        match alerts.last_mut() {
            Some((start, _, rows)) if end - span < *start + spec.bucket * SECOND => {
                for row in window {
                    if !rows.contains(&row) {
                        rows.push(row);
                    }
                }
            }
            _ => alerts.push((Timestamp::from_nanos(end).bucket(Duration::seconds(spec.bucket)).nanos(), end, window)),
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
            group: group.to_vec(),
            bucket,
            anchor,
            first: rows.iter().map(|row| row.first).min().unwrap_or(i64::MAX),
            last: rows.iter().map(|row| row.last).max().unwrap_or(i64::MIN),
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
    let Some(kind) = spec.kind else { return true };
    // A fraction, so that nothing is rounded.
    let (above, below) = match kind {
        CorrelationKind::EventCount => (window.len() as i64, 1),
        CorrelationKind::ValueCount => (distinct(window.iter().flat_map(|row| row.texts.iter().map(String::as_str)).collect()), 1),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// By type: how many rules were drawn that can be run and raise alerts, and how many of them did.
    #[test]
    fn what_is_drawn_fires_and_does_not() {
        let mut state = 7_u64;
        let mut drawn: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for _ in 0..2_000 {
            let mut byte = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 33) as u8
            };
            let bytes: Vec<u8> = (0..400).map(|_| byte()).collect();
            let mut draw = Draw::new(&bytes);
            let specs = draw::specs(&mut draw);
            let events = beside::events(&draw::deliveries(&mut draw).0);
            let expected = beside::expected(&specs, &events);
            for (at, spec) in specs.iter().enumerate().filter(|(_, spec)| !spec.is_refused && !spec.is_silent) {
                let id = format!("c{} {}", at + beside::SINGLES, spec.name);
                let is_absence = spec.ways.iter().any(|(_, unwanted)| !unwanted.is_empty());
                let is_over = spec.rules.iter().any(|rule| *rule >= beside::SINGLES);
                let kind = spec.kind.map_or("", CorrelationKind::name);
                let classes = [Some(kind), is_absence.then_some("absence"), is_over.then_some("chain")];
                for class in classes.into_iter().flatten() {
                    let (of, fired) = drawn.entry(class).or_default();
                    *of += 1;
                    *fired += usize::from(expected.keys().any(|(rule, _)| *rule == id));
                }
            }
        }
        assert_eq!(drawn.len(), 10, "{drawn:?}");
        for (class, (of, fired)) in &drawn {
            assert!(*of >= 100 && fired * 10 > *of && fired * 10 < of * 9, "{class}: {fired} of {of}: {drawn:?}");
        }
    }
}
