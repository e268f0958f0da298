//! Metrics as `OpenMetrics` text, read from the ledger and the catalog when asked. Labels are sources, kinds, reasons and levels: all bounded.

use std::fmt::Write as _;

use crate::pipeline::{Ledger, Roster, State, View};
use crate::store::catalog::{AlertFilter, Catalog};
use crate::store::space::Room;

fn escape(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Rules that have a time of their own in the metrics, the first in the order of their files.
const RULES_MAX: usize = 5_000;

/// What the engine tells of itself.
fn engine(view: &View, to: &mut String) {
    to.push_str("# TYPE bartizan_rule_evaluated_up_to_seconds gauge\n# UNIT bartizan_rule_evaluated_up_to_seconds seconds\n");
    to.push_str("# HELP bartizan_rule_evaluated_up_to_seconds Event time up to which a rule is judged, in the cluster that is farthest behind.\n");
    for (rule, upto) in view.evaluated_up_to.iter().take(RULES_MAX) {
        let _ = writeln!(to, "bartizan_rule_evaluated_up_to_seconds{{rule=\"{}\"}} {}", escape(rule), upto.millis().div_euclid(1000));
    }
    to.push_str("# TYPE bartizan_rule_matches counter\n# HELP bartizan_rule_matches Events that a rule matched.\n");
    for (rule, count) in view.matches.iter().take(RULES_MAX) {
        let _ = writeln!(to, "bartizan_rule_matches_total{{rule=\"{}\"}} {count}", escape(rule));
    }
    to.push_str("# TYPE bartizan_rule_unknown counter\n");
    to.push_str("# HELP bartizan_rule_unknown Events for which a rule could not be decided: they lack the body that it asks for, or were cut.\n");
    for (rule, count) in view.unknown.iter().take(RULES_MAX) {
        let _ = writeln!(to, "bartizan_rule_unknown_total{{rule=\"{}\"}} {count}", escape(rule));
    }
    to.push_str("# TYPE bartizan_state_bytes gauge\n# UNIT bartizan_state_bytes bytes\n# HELP bartizan_state_bytes What the windows of all rules take in memory, about.\n");
    let _ = writeln!(to, "bartizan_state_bytes {}", view.stats.state_bytes);
    to.push_str(
        "# TYPE bartizan_groups_evicted counter\n# HELP bartizan_groups_evicted Groups that had to go from memory for want of room, by rule.\n",
    );
    for (rule, count) in view.evicted.iter().take(RULES_MAX) {
        let _ = writeln!(to, "bartizan_groups_evicted_total{{rule=\"{}\"}} {count}", escape(rule));
    }
    to.push_str("# TYPE bartizan_late_events counter\n# HELP bartizan_late_events Matching events that came after the lateness of their source.\n");
    let _ = writeln!(to, "bartizan_late_events_total {}", view.stats.late);
    to.push_str("# TYPE bartizan_rechecks counter\n# HELP bartizan_rechecks Groups judged again from the store: they came too late for memory, or had to go from it.\n");
    let (answered, failed) = view.rechecks;
    for (outcome, count) in [("answered", answered), ("failed", failed), ("overflowed", view.stats.rechecks_overflowed)] {
        let _ = writeln!(to, "bartizan_rechecks_total{{outcome=\"{outcome}\"}} {count}");
    }
    to.push_str("# TYPE bartizan_rechecks_waiting gauge\n");
    let _ = writeln!(to, "bartizan_rechecks_waiting {}", view.stats.rechecks_waiting);
    to.push_str("# TYPE bartizan_clock_ahead_events counter\n# HELP bartizan_clock_ahead_events Events that count for their receipt: their clock ran ahead.\n");
    for (source, skew) in &view.skews {
        let _ = writeln!(to, "bartizan_clock_ahead_events_total{{source=\"{}\"}} {}", escape(&source.0), skew.events);
    }
}

/// How sources are.
fn sources(roster: &Roster, view: &View, to: &mut String) {
    let entries = roster.entries();
    to.push_str("# TYPE bartizan_source_up gauge\n# HELP bartizan_source_up 1 while a source can be read.\n");
    for (source, entry) in &entries {
        let is_up = matches!(entry.state, State::Reading | State::Ended) && entry.problem.is_none();
        let _ = writeln!(to, "bartizan_source_up{{source=\"{}\"}} {}", escape(&source.0), u8::from(is_up));
    }
    to.push_str("# TYPE bartizan_source_lag gauge\n# HELP bartizan_source_lag What waits at a source and was not taken in yet.\n");
    for (source, entry) in &entries {
        if let Some(lag) = entry.condition.lag {
            let _ = writeln!(to, "bartizan_source_lag{{source=\"{}\",unit=\"{}\"}} {}", escape(&source.0), lag.unit.name(), lag.amount);
        }
    }
    to.push_str("# TYPE bartizan_source_events counter\n# HELP bartizan_source_events What a source counts of its own, by its name.\n");
    for (source, entry) in &entries {
        for (what, count) in &entry.condition.counts {
            let _ = writeln!(to, "bartizan_source_events_total{{source=\"{}\",what=\"{what}\"}} {count}", escape(&source.0));
        }
    }
    to.push_str("# TYPE bartizan_source_last_event_seconds gauge\n# UNIT bartizan_source_last_event_seconds seconds\n");
    to.push_str("# HELP bartizan_source_last_event_seconds When the latest event of a source came, since 1970.\n");
    for (source, heard) in &view.heard {
        let _ = writeln!(to, "bartizan_source_last_event_seconds{{source=\"{}\"}} {}", escape(&source.0), heard.at.millis().div_euclid(1000));
    }
    to.push_str("# TYPE bartizan_source_silent gauge\n# HELP bartizan_source_silent 1 while nothing has come of a source for longer than it may.\n");
    for (source, heard) in &view.heard {
        let _ = writeln!(to, "bartizan_source_silent{{source=\"{}\"}} {}", escape(&source.0), u8::from(heard.is_silent));
    }
}

/// All metrics.
pub(super) async fn render(ledger: &Ledger, roster: &Roster, room: Room, catalog: &Catalog, view: &View, (reloads, refused): (u64, u64)) -> String {
    let mut to = String::new();
    to.push_str("# TYPE bartizan_records counter\n# HELP bartizan_records Records by how they ended.\n");
    let counts = ledger.counts();
    for (source, counts) in &counts {
        let source = escape(&source.0);
        for (outcome, count) in [
            ("event", counts.tally.events),
            ("duplicate", counts.tally.duplicates),
            ("reject", counts.tally.rejects),
            ("dropped", counts.tally.dropped),
            ("refused", counts.tally.refused),
        ] {
            let _ = writeln!(to, "bartizan_records_total{{source=\"{source}\",outcome=\"{outcome}\"}} {count}");
        }
    }
    to.push_str("# TYPE bartizan_received_bytes counter\n# UNIT bartizan_received_bytes bytes\n");
    for (source, counts) in &counts {
        let _ = writeln!(to, "bartizan_received_bytes_total{{source=\"{}\"}} {}", escape(&source.0), counts.tally.bytes);
    }
    to.push_str("# TYPE bartizan_upstream_lost counter\n# HELP bartizan_upstream_lost Records that are known to be lost before they came here.\n");
    for (source, counts) in &counts {
        let _ = writeln!(to, "bartizan_upstream_lost_total{{source=\"{}\"}} {}", escape(&source.0), counts.tally.upstream_lost);
    }
    to.push_str("# TYPE bartizan_pushes_turned_away counter\n# HELP bartizan_pushes_turned_away Pushes without valid credentials.\n");
    let _ = writeln!(to, "bartizan_pushes_turned_away_total {}", ledger.turned_away());
    sources(roster, view, &mut to);
    to.push_str("# TYPE bartizan_disk_free_bytes gauge\n# UNIT bartizan_disk_free_bytes bytes\n# HELP bartizan_disk_free_bytes Room on the disk of the store.\n");
    let _ = writeln!(to, "bartizan_disk_free_bytes {}", room.free_bytes);
    to.push_str("# TYPE bartizan_disk_reserve_bytes gauge\n# UNIT bartizan_disk_reserve_bytes bytes\n# HELP bartizan_disk_reserve_bytes Below it nothing is taken in.\n");
    let _ = writeln!(to, "bartizan_disk_reserve_bytes {}", room.reserve_bytes);
    let total = ledger.total();
    to.push_str("# TYPE bartizan_events counter\n");
    for (kind, count) in &total.events_by_kind {
        let _ = writeln!(to, "bartizan_events_total{{kind=\"{kind}\"}} {count}");
    }
    to.push_str("# TYPE bartizan_rejects counter\n");
    for (reason, count) in &total.rejects_by_reason {
        let _ = writeln!(to, "bartizan_rejects_total{{reason=\"{reason}\"}} {count}");
    }
    to.push_str("# TYPE bartizan_dropped counter\n# HELP bartizan_dropped Events left out of the store, by drop rule.\n");
    for (rule, count) in &total.dropped_by_rule {
        let _ = writeln!(to, "bartizan_dropped_total{{rule=\"{}\"}} {count}", escape(rule));
    }
    to.push_str("# TYPE bartizan_ledger_remainder gauge\n# HELP bartizan_ledger_remainder Records received and in no outcome yet; 0 when nothing is in flight.\n");
    let _ = writeln!(to, "bartizan_ledger_remainder {}", total.remainder());
    engine(view, &mut to);
    to.push_str("# TYPE bartizan_rule_reloads counter\n# HELP bartizan_rule_reloads Times that rules were read anew, by what came of it.\n");
    let _ = writeln!(to, "bartizan_rule_reloads_total{{outcome=\"done\"}} {reloads}");
    let _ = writeln!(to, "bartizan_rule_reloads_total{{outcome=\"refused\"}} {refused}");
    to.push_str("# TYPE bartizan_alerts gauge\n# HELP bartizan_alerts Alerts in the catalog.\n");
    if let Ok(levels) = catalog.counts_by_level(&AlertFilter::default()).await {
        for (level, count) in levels {
            let _ = writeln!(to, "bartizan_alerts{{level=\"{level}\"}} {count}");
        }
    }
    to.push_str("# EOF\n");
    to
}
