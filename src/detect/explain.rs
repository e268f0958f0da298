//! What a rule reads and compiles to, in words.

use std::fmt::Write as _;

use super::rule::{Body, Condition, CorrelationKind, LogSource, Rule, RuleSet};

/// Tells of one rule. `compiled` is what the matcher says of a single rule.
pub(super) fn explain(set: &RuleSet, rule: &Rule, refused: Option<&str>, compiled: Option<String>) -> String {
    let mut out = format!("{} ({})\n{}:{}\n", rule.header.title, rule.header.id, rule.file, rule.line);
    match &rule.logsource {
        LogSource::Any => out.push_str("events: of any kind\n"),
        LogSource::Kind(kind) => {
            let _ = writeln!(out, "events: {}", kind.name());
        }
        LogSource::NotApplicable(source) => {
            let _ = writeln!(out, "not applicable: log source {source}");
        }
    }
    if let Some(reason) = refused {
        let _ = writeln!(out, "not run: {reason}");
    }
    if rule.is_silent {
        out.push_str("raises no alert of its own: correlations refer to it\n");
    }
    if let Body::Single(detection) = &rule.body {
        for filter in &detection.filters {
            let _ = writeln!(out, "filter: {} ({}:{})", filter.title, filter.file, filter.line);
        }
    }
    if let Body::Correlation(correlation) = &rule.body {
        let _ = writeln!(out, "{:?} over {} s of", correlation.kind, correlation.timespan.0 / 1_000_000_000);
        for (position, at) in correlation.rules.iter().enumerate() {
            let id = set.rules.get(*at).map_or("?", |rule| rule.header.id.as_str());
            let fields: Vec<&str> = correlation.group_by.iter().filter_map(|field| Some(field.fields.get(position)?.name())).collect();
            let _ = writeln!(out, "  {id} by {}", if fields.is_empty() { "cluster".to_owned() } else { fields.join(", ") });
        }
        for (op, bound) in &correlation.bounds {
            let _ = writeln!(out, "  {op:?} {bound}");
        }
        if let Some(condition) = &correlation.condition {
            let id = |position: usize| correlation.rules.get(position).and_then(|at| set.rules.get(*at)).map_or("?", |rule| rule.header.id.as_str());
            let _ = writeln!(out, "  {}", spelled(condition, &id));
        }
        if correlation.kind == CorrelationKind::ValuePercentile {
            let _ = writeln!(out, "  of percentile {}", correlation.percentile);
        }
        for field in &correlation.count_fields {
            let _ = writeln!(out, "  counts {}", field.name());
        }
    }
    out.push_str(compiled.as_deref().unwrap_or_default());
    out
}

/// A condition over rules, in full brackets.
fn spelled<'i>(condition: &Condition, id: &dyn Fn(usize) -> &'i str) -> String {
    let each = |of: &[Condition], by: &str| of.iter().map(|inner| spelled(inner, id)).collect::<Vec<String>>().join(by);
    match condition {
        Condition::Selection(position) => id(*position).to_owned(),
        Condition::Not(inner) => format!("not {}", spelled(inner, id)),
        Condition::And(of) => format!("({})", each(of, " and ")),
        Condition::Or(of) => format!("({})", each(of, " or ")),
        Condition::AtLeast(count, of) => format!("{count} of ({})", each(of, ", ")),
    }
}
