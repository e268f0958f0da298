//! What a rule asks of its groups, resolved.

use std::sync::Arc;

use crate::detect::fold::cut;
use crate::detect::key::ValueKey;
use crate::detect::matcher::VALUE_BYTES_MAX;
use crate::detect::rule::{Body, Comparison, Correlation, CorrelationKind, Rule, Template};
use crate::detect::witness::first;
use crate::model::{Duration, Event, Field, FieldRef, RuleHeader, ValueKind};

/// Combinations of values that one event may add to a count over several fields.
const COMBINATIONS_MAX: usize = 100;

/// How entries become windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlanKind {
    Single,
    Count,
    Distinct,
    Temporal,
    Ordered,
}

#[derive(Debug)]
enum Grouping {
    /// `[cluster, actor.user.name, k8s.namespace, k8s.pod]`; where there is no pod, `k8s.name`.
    Usual,
    /// A missing field is a value of its own.
    Fields(Vec<(Arc<str>, FieldRef)>),
    /// A name, and a field for each referred rule. Events that lack one are not counted.
    Needed(Vec<(Arc<str>, Vec<FieldRef>)>),
}

/// A rule that raises alerts.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) header: Arc<RuleHeader>,
    pub(crate) kind: PlanKind,
    /// How many rules it refers to.
    pub(crate) referred: usize,
    /// Nanoseconds; 0 for single rules.
    pub(crate) span: i64,
    /// Nanoseconds.
    pub(crate) bucket: i64,
    /// What a window must reach.
    pub(crate) least: usize,
    /// Bounds that only a closed window can be held against (`lt`, `lte`, `eq`, `neq`); empty if `least` says it all.
    pub(crate) closing: Vec<(Comparison, f64)>,
    pub(crate) title: Option<Template>,
    grouping: Grouping,
    count_fields: Vec<FieldRef>,
    /// Under which the values are counted.
    pub(crate) key: ValueKey,
}

impl Plan {
    /// Of a rule, its values counted under this key. The error says what of it is not supported.
    pub(crate) fn new(rule: &Rule, key: &ValueKey) -> Result<Self, String> {
        let hour = Duration::hours(1);
        match &rule.body {
            Body::Single(_) => Ok(Self {
                header: Arc::clone(&rule.header),
                kind: PlanKind::Single,
                referred: 1,
                span: 0,
                bucket: rule.extras.group_window.unwrap_or(hour).0.max(1),
                least: 1,
                closing: Vec::new(),
                title: rule.extras.title.clone(),
                grouping: match &rule.extras.group_by {
                    None => Grouping::Usual,
                    Some(fields) => Grouping::Fields(fields.iter().map(|field| (Arc::from(field.name()), field.clone())).collect()),
                },
                count_fields: Vec::new(),
                key: key.clone(),
            }),
            Body::Correlation(correlation) => Self::correlation(rule, correlation, key),
        }
    }

    fn correlation(rule: &Rule, correlation: &Correlation, key: &ValueKey) -> Result<Self, String> {
        let kind = match correlation.kind {
            CorrelationKind::EventCount => PlanKind::Count,
            CorrelationKind::ValueCount => PlanKind::Distinct,
            CorrelationKind::Temporal => PlanKind::Temporal,
            CorrelationKind::TemporalOrdered => PlanKind::Ordered,
        };
        let referred = correlation.rules.len();
        if referred == 0 || referred > usize::from(u16::MAX) {
            return Err("a correlation refers to 1 to 65535 rules".to_owned());
        }
        if correlation.timespan.0 <= 0 {
            return Err("the timespan must be longer than nothing".to_owned());
        }
        if kind == PlanKind::Distinct && correlation.count_fields.is_empty() {
            return Err("`value_count` needs a field to count".to_owned());
        }
        if correlation.group_by.iter().any(|field| field.fields.len() != referred) {
            return Err("a group field lacks a field for each referred rule".to_owned());
        }
        let is_temporal = matches!(kind, PlanKind::Temporal | PlanKind::Ordered);
        let is_closing = correlation.bounds.iter().any(|(op, _)| !matches!(op, Comparison::Gt | Comparison::Gte));
        if is_temporal && is_closing {
            return Err("a temporal correlation takes `gt` and `gte` only".to_owned());
        }
        if !is_temporal && correlation.bounds.is_empty() {
            return Err("a count needs a condition such as `gte: 3`".to_owned());
        }
        let least = match (is_temporal, correlation.bounds.is_empty(), kind) {
            (true, true, _) | (_, _, PlanKind::Ordered) => referred,
            _ => least(&correlation.bounds),
        };
        Ok(Self {
            header: Arc::clone(&rule.header),
            kind,
            referred,
            span: correlation.timespan.0,
            bucket: rule.extras.group_window.unwrap_or(correlation.timespan.max(Duration::hours(1))).0.max(1),
            least,
            closing: if is_closing { correlation.bounds.clone() } else { Vec::new() },
            title: rule.extras.title.clone(),
            grouping: Grouping::Needed(correlation.group_by.iter().map(|field| (Arc::clone(&field.name), field.fields.clone())).collect()),
            count_fields: if kind == PlanKind::Distinct { correlation.count_fields.clone() } else { Vec::new() },
            key: key.clone(),
        })
    }

    /// Writes the group that an event falls into, as bytes that are equal for equal groups. False if the event is not counted.
    /// `name` and `value` go to `each` as well: the whole first value of a field, as it is spelled.
    pub(crate) fn group<'a>(&'a self, event: &'a Event, rule: u16, each: &mut dyn FnMut(&Arc<str>, Option<&'a str>)) -> bool {
        match &self.grouping {
            Grouping::Usual => {
                static NAMES: std::sync::LazyLock<[(Field, Arc<str>); 5]> = std::sync::LazyLock::new(|| {
                    [Field::Cluster, Field::ActorUserName, Field::K8sNamespace, Field::K8sPod, Field::K8sName]
                        .map(|field| (field, Arc::from(field.name())))
                });
                let value = |at: usize| first(event, &FieldRef::Fact(NAMES[at].0));
                (0..3).for_each(|at| each(&NAMES[at].1, value(at)));
                match (value(3), value(4)) {
                    (None, Some(name)) => each(&NAMES[4].1, Some(name)),
                    (pod, _) => each(&NAMES[3].1, pod),
                }
                true
            }
            Grouping::Fields(fields) => {
                fields.iter().for_each(|(name, field)| each(name, first(event, field)));
                true
            }
            Grouping::Needed(fields) => fields.iter().all(|(name, fields)| {
                let value = fields.get(usize::from(rule)).and_then(|field| first(event, field));
                if value.is_some() {
                    each(name, value);
                }
                value.is_some()
            }),
        }
    }

    /// Hashes of the values that an event adds to a distinct count: every element of a list, and of several fields every combination.
    /// `None` if the event lacks a counted field, and so is not counted.
    pub(crate) fn values(&self, event: &Event) -> Option<Box<[u64]>> {
        if self.count_fields.is_empty() {
            return Some(Box::default());
        }
        let mut combined: Vec<u64> = vec![0];
        for field in &self.count_fields {
            let mut texts: Vec<&str> = Vec::new();
            event.each(field, |value| {
                if value.kind != ValueKind::Null && texts.len() < COMBINATIONS_MAX {
                    texts.push(value.text);
                }
            });
            if texts.is_empty() {
                texts.push(first(event, field)?);
            }
            let all = combined.iter().flat_map(|so_far| texts.iter().map(|text| self.key.hash(*so_far, text)));
            combined = all.take(COMBINATIONS_MAX).collect();
        }
        combined.sort_unstable();
        combined.dedup();
        Some(combined.into())
    }

    /// Title without a template.
    pub(crate) fn plain_title(&self) -> &str {
        cut(&self.header.title, 2 * VALUE_BYTES_MAX)
    }
}

/// The smallest count that `gt` and `gte` bounds allow; never 0, since a window holds an entry.
fn least(bounds: &[(Comparison, f64)]) -> usize {
    bounds
        .iter()
        .map(|(op, bound)| match op {
            Comparison::Gt => bound.floor() + 1.0,
            _ => bound.ceil(),
        })
        .fold(1.0, f64::max) as usize
}
