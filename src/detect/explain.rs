//! What a rule reads, compiles to and makes of its matches: for people, and as JSON.

use std::fmt;

use serde::Serialize;

use super::matcher::{Asked, CompiledTold, body_of};
use super::needs;
use super::rule::{Body, Condition, Correlation, CorrelationKind, Detection, LogSource, Piece, Rule, RuleSet, Selection, Template};
use super::sigma;
use super::words;
use crate::model::{Duration, FieldRef, Timestamp};

/// What is told of a rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    pub id: String,
    pub title: String,
    pub file: String,
    pub line: usize,
    /// Whose events: a kind, `any`, or why it does not apply.
    pub events: String,
    /// Why it is not run.
    pub refused: Option<String>,
    /// It raises no alert of its own: correlations refer to it, or it is switched off.
    pub is_silent: bool,
    /// Of single rules: the condition, over the names of selections.
    pub condition: Option<String>,
    pub fields: Vec<FieldTold>,
    /// Filters in force.
    pub filters: Vec<FilterTold>,
    /// Of single rules that run.
    pub compiled: Option<CompiledTold>,
    pub correlation: Option<CorrelationTold>,
    /// What alerts are grouped by.
    pub group_by: Vec<String>,
    /// How long an alert takes in further matches, in seconds.
    pub group_window_s: i64,
    /// The template of the alert's title.
    pub alert_title: Option<String>,
    /// Up to when it has been judged.
    pub evaluated_up_to: Option<Timestamp>,
}

/// A field that a rule reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldTold {
    pub name: String,
    pub is_normalised: bool,
    /// Of normalised fields: what it means.
    pub meaning: Option<&'static str>,
    /// The made-up name of public rules that leads here.
    pub stands_for: Option<&'static str>,
    /// The body of an audit event that it is read from, `request` or `response`: without it the rule is unknown.
    pub body: Option<&'static str>,
    /// The rule cannot hold without it.
    pub is_needed: bool,
}

/// A filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FilterTold {
    pub id: String,
    pub title: String,
    pub file: String,
    pub line: usize,
    pub condition: String,
}

/// A correlation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CorrelationTold {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub timespan_s: i64,
    pub steps: Vec<StepTold>,
    /// What a window must meet, in words.
    pub condition: String,
}

/// A rule that a correlation stands on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepTold {
    pub id: String,
    pub title: String,
    /// Its fields for the group, in the order of the group.
    pub by: Vec<String>,
}

/// Tells of one rule. `compiled` is what the matcher says of a single rule.
pub(super) fn explain(set: &RuleSet, at: usize, rule: &Rule, refused: Option<&str>, compiled: Option<CompiledTold>) -> Explanation {
    let hour = Duration::hours(1);
    let mut told = Explanation {
        id: rule.header.id.clone(),
        title: rule.header.title.clone(),
        file: rule.file.to_string(),
        line: rule.line,
        events: match &rule.logsource {
            LogSource::Any => "any".to_owned(),
            LogSource::Kind(kind) => kind.name().to_owned(),
            LogSource::NotApplicable(source) => format!("not applicable: log source {source}"),
        },
        refused: refused.map(str::to_owned),
        is_silent: rule.is_silent,
        condition: None,
        fields: Vec::new(),
        filters: Vec::new(),
        compiled,
        correlation: None,
        group_by: Vec::new(),
        group_window_s: seconds(rule.extras.group_window.unwrap_or(hour)),
        alert_title: rule.extras.title.as_ref().map(template),
        evaluated_up_to: None,
    };
    match &rule.body {
        Body::Single(detection) => {
            told.condition = Some(words::condition(detection));
            told.fields = fields(set, at, detection);
            told.filters = detection
                .filters
                .iter()
                .map(|filter| FilterTold {
                    id: filter.id.clone(),
                    title: filter.title.clone(),
                    file: filter.file.to_string(),
                    line: filter.line,
                    condition: words::condition(&filter.detection),
                })
                .collect();
            told.group_by = match &rule.extras.group_by {
                Some(fields) => fields.iter().map(|field| field.name().to_owned()).collect(),
                None => ["cluster", "actor.user.name", "k8s.namespace", "k8s.pod (no pod: k8s.name)"].map(str::to_owned).to_vec(),
            };
        }
        Body::Correlation(correlation) => {
            told.group_window_s = seconds(rule.extras.group_window.unwrap_or(correlation.timespan.max(hour)));
            told.group_by = std::iter::once("cluster".to_owned()).chain(correlation.group_by.iter().map(|field| field.name.to_string())).collect();
            told.group_by.dedup();
            told.correlation = Some(correlated(set, correlation));
        }
    }
    told
}

fn seconds(of: Duration) -> i64 {
    of.0 / 1_000_000_000
}

fn template(of: &Template) -> String {
    of.0.iter()
        .map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Field(field) => format!("{{{}}}", field.name()),
        })
        .collect()
}

fn fields(set: &RuleSet, at: usize, detection: &Detection) -> Vec<FieldTold> {
    let told = |field: &FieldRef| FieldTold {
        name: field.name().to_owned(),
        is_normalised: matches!(field, FieldRef::Fact(_)),
        meaning: if let FieldRef::Fact(field) = field { Some(field.doc()) } else { None },
        stands_for: if let FieldRef::Fact(field) = field { sigma::stands_for(field.name()) } else { None },
        body: body_of(field),
        is_needed: needs::missing(set, at, &|_, other| other != field).contains(&field),
    };
    let mut out: Vec<FieldTold> = needs::fields(detection).into_iter().map(told).collect();
    let selections = detection.selections.iter().chain(detection.filters.iter().flat_map(|filter| &filter.detection.selections));
    if selections.into_iter().any(|(_, selection)| matches!(selection, Selection::Keywords { .. })) {
        out.push(FieldTold { name: "(any value)".to_owned(), is_normalised: false, meaning: None, stands_for: None, body: None, is_needed: false });
    }
    out
}

fn correlated(set: &RuleSet, of: &Correlation) -> CorrelationTold {
    let step = |(position, at): (usize, &usize)| {
        let header = set.rules.get(*at).map(|rule| &rule.header);
        StepTold {
            id: header.map_or_else(String::new, |header| header.id.clone()),
            title: header.map_or_else(String::new, |header| header.title.clone()),
            by: of.group_by.iter().filter_map(|field| Some(field.fields.get(position)?.name().to_owned())).collect(),
        }
    };
    let steps: Vec<StepTold> = of.rules.iter().enumerate().map(step).collect();
    let bounds: Vec<String> = of.bounds.iter().map(|(op, bound)| format!("{} {bound}", op.sign())).collect();
    let counted: Vec<&str> = of.count_fields.iter().map(FieldRef::name).collect();
    let percentile = if of.kind == CorrelationKind::ValuePercentile { format!("percentile {} ", of.percentile) } else { String::new() };
    let condition = match &of.condition {
        Some(condition) => over_steps(condition, &steps),
        None if bounds.is_empty() => "every one of them".to_owned(),
        None if counted.is_empty() => bounds.join(" and "),
        None => format!("{percentile}of {}, {}", counted.join(" with "), bounds.join(" and ")),
    };
    CorrelationTold { kind: of.kind.name(), timespan_s: seconds(of.timespan), steps, condition }
}

fn over_steps(condition: &Condition, steps: &[StepTold]) -> String {
    let name = |at: usize| steps.get(at).map_or_else(String::new, |step| format!("`{}`", step.title));
    words::condition_of(condition, &name)
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({})\n{}:{}\nevents: {}", self.title, self.id, self.file, self.line, self.events)?;
        if let Some(reason) = &self.refused {
            writeln!(f, "not run: {reason}")?;
        }
        if self.is_silent {
            writeln!(f, "raises no alert of its own")?;
        }
        if let Some(condition) = &self.condition {
            writeln!(f, "condition: {condition}")?;
        }
        for filter in &self.filters {
            writeln!(f, "filter: {} ({}:{}): {}", filter.title, filter.file, filter.line, filter.condition)?;
        }
        if let Some(correlation) = &self.correlation {
            writeln!(f, "{} within {} s: {}", correlation.kind, correlation.timespan_s, correlation.condition)?;
            for step in &correlation.steps {
                let by = if step.by.is_empty() { String::new() } else { format!(" by {}", step.by.join(", ")) };
                writeln!(f, "  {} ({}){by}", step.title, step.id)?;
            }
        }
        if !self.fields.is_empty() {
            writeln!(f, "reads")?;
        }
        for field in &self.fields {
            write!(
                f,
                "  {:<34} {:<10} {}",
                field.name,
                if field.is_normalised { "normalised" } else { "native" },
                if field.is_needed { "needed" } else { "      " }
            )?;
            match (field.meaning, field.body) {
                (Some(meaning), None) => write!(f, "  {meaning}")?,
                (meaning, Some(body)) => {
                    write!(f, "  {}{}of the {body} body", meaning.unwrap_or_default(), if meaning.is_some() { " Out " } else { "" })?
                }
                (None, None) => {}
            }
            if let Some(written) = field.stands_for {
                write!(f, " (public rules write `{written}`)")?;
            }
            writeln!(f)?;
        }
        if let Some(compiled) = &self.compiled {
            compile(compiled, f)?;
        }
        if self.fields.iter().any(|field| field.body.is_some()) {
            writeln!(f, "unknown, and counted so, for audit events without the body that it hangs on (by their level, or cut)")?;
        }
        writeln!(f, "alerts: grouped by {} over {} s", self.group_by.join(", "), self.group_window_s)?;
        if let Some(title) = &self.alert_title {
            writeln!(f, "  titled {title}")?;
        }
        if let Some(upto) = self.evaluated_up_to {
            writeln!(f, "evaluated up to {upto}")?;
        }
        Ok(())
    }
}

fn compile(told: &CompiledTold, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let late = told.predicates.iter().filter(|predicate| predicate.asked != Asked::Indexed).count();
    let always = told.predicates.iter().filter(|predicate| predicate.asked == Asked::Always).count();
    writeln!(f, "costs {} conditions, {} tests, {late} of them not indexed, {always} asked always", told.conditions, told.predicates.len())?;
    for predicate in &told.predicates {
        let when = match predicate.asked {
            Asked::Indexed => "",
            Asked::BehindLiterals => "; asked only where its literals are",
            Asked::BehindOthers => "; asked only where what comes first holds",
            Asked::Always => "; asked whenever the rule is",
        };
        writeln!(f, "  {} {} (in {} rules{when})", predicate.field, predicate.test, predicate.rules)?;
    }
    if told.access.is_empty() {
        return writeln!(f, "looked at on every event of its kind: nothing leads to it");
    }
    writeln!(f, "looked at only if one of these holds")?;
    for access in &told.access {
        let observed = access.observed.map_or_else(String::new, |share| format!(", seen in {:.3} % of events", share * 100.0));
        writeln!(f, "  {} {} (expected in {:.0} of a million{observed})", access.field, access.test, access.expected_per_million)?;
    }
    if told.unknown > 0 {
        writeln!(f, "unknown for {} events", told.unknown)?;
    }
    Ok(())
}
