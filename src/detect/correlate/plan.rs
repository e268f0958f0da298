//! What a rule asks of its groups, resolved.

use std::sync::Arc;

use super::chain::OfAlert;
use super::entry::Values;
use super::numbers::NUMBERS_MAX;
use super::ways::{Way, choices, ways};
use crate::detect::fold::{cut, number};
use crate::detect::key::ValueKey;
use crate::detect::matcher::VALUE_BYTES_MAX;
use crate::detect::rule::{Body, Comparison, Correlation, CorrelationKind, Piece, Rule, Template};
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
    Sum,
    Average,
    Percentile,
    Temporal,
    Ordered,
}

/// When windows are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judged {
    /// As entries come: more of them in a window can only speak for it. (A number below nothing can take from a sum: then an alert that
    /// stood on it goes.)
    AtOnce,
    /// Windows stand side by side, and each is judged once it has closed.
    Whole,
    /// Windows end at entries. Each is judged one span later, when what it rules out can come no more.
    Absence,
}

#[derive(Debug)]
pub(super) enum Grouping {
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
    pub(crate) judged: Judged,
    /// What a window must reach, if it is judged at once.
    pub(crate) least: usize,
    /// Entries that a window must hold at least to reach it, if each adds one value.
    pub(crate) entries_least: usize,
    /// What a number must meet.
    pub(crate) bounds: Vec<(Comparison, f64)>,
    /// 0 to 100.
    pub(crate) percentile: f64,
    /// Of temporal kinds: the ways to meet the condition. None where any rules count alike.
    pub(crate) ways: Vec<Way>,
    /// Of ordered ones: the rules of each way, in order.
    pub(crate) chains: Vec<Vec<u16>>,
    pub(crate) title: Option<Template>,
    /// Correlations stand on its alerts.
    pub(crate) is_chained: bool,
    /// Fields whose values are kept, for titles: its own, and those of correlations over it.
    pub(crate) wanted: Vec<FieldRef>,
    pub(super) grouping: Grouping,
    pub(super) count_fields: Vec<FieldRef>,
    /// By position, of rules that are correlations: where their alerts have the group's values, and those that are counted.
    pub(super) chained: Vec<Option<(Vec<OfAlert>, Vec<OfAlert>)>>,
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
                judged: Judged::AtOnce,
                least: 1,
                entries_least: 1,
                bounds: Vec::new(),
                percentile: 0.0,
                ways: Vec::new(),
                chains: Vec::new(),
                wanted: wanted(rule.extras.title.as_ref()),
                title: rule.extras.title.clone(),
                is_chained: false,
                chained: vec![None],
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
            CorrelationKind::ValueSum => PlanKind::Sum,
            CorrelationKind::ValueAvg => PlanKind::Average,
            CorrelationKind::ValuePercentile | CorrelationKind::ValueMedian => PlanKind::Percentile,
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
        let is_temporal = matches!(kind, PlanKind::Temporal | PlanKind::Ordered);
        if !is_temporal && kind != PlanKind::Count && correlation.count_fields.is_empty() {
            return Err(format!("`{}` needs a field to count", correlation.kind.name()));
        }
        if correlation.group_by.iter().any(|field| field.fields.len() != referred) {
            return Err("a group field lacks a field for each referred rule".to_owned());
        }
        if !is_temporal && correlation.bounds.is_empty() {
            return Err("a count needs a condition such as `gte: 3`".to_owned());
        }
        let ways = ways_of(kind, correlation)?;
        let judged = judged(kind, correlation, &ways);
        let least = if is_temporal && correlation.bounds.is_empty() { referred } else { least(&correlation.bounds) };
        Ok(Self {
            header: Arc::clone(&rule.header),
            kind,
            referred,
            span: correlation.timespan.0,
            bucket: rule.extras.group_window.unwrap_or(correlation.timespan.max(Duration::hours(1))).0.max(1),
            judged,
            least,
            entries_least: ways.iter().map(|way| way.wanted.count_ones() as usize).min().unwrap_or(least).max(1),
            bounds: correlation.bounds.clone(),
            percentile: if correlation.kind == CorrelationKind::ValueMedian { 50.0 } else { correlation.percentile },
            chains: if kind == PlanKind::Ordered { ways.iter().map(|way| way.chain().collect()).collect() } else { Vec::new() },
            ways,
            wanted: wanted(rule.extras.title.as_ref()),
            title: rule.extras.title.clone(),
            is_chained: false,
            grouping: Grouping::Needed(correlation.group_by.iter().map(|field| (Arc::clone(&field.name), field.fields.clone())).collect()),
            count_fields: if is_temporal || kind == PlanKind::Count { Vec::new() } else { correlation.count_fields.clone() },
            chained: vec![None; referred],
            key: key.clone(),
        })
    }

    /// Whether windows wait until they have closed.
    pub(crate) fn is_closing(&self) -> bool {
        self.judged != Judged::AtOnce
    }

    /// For how long nothing can be said of a window after its end.
    pub(crate) fn delay(&self) -> i64 {
        if self.judged == Judged::Absence { self.span } else { 0 }
    }

    /// How far back entries are needed to say the same again.
    pub(crate) fn reach(&self) -> i64 {
        self.bucket.saturating_add(self.span.saturating_mul(2)).saturating_add(self.delay())
    }

    pub(super) fn hash(&self, so_far: u64, text: &str) -> u64 {
        self.key.hash(so_far, text)
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
    /// Of kinds that take numbers, the bits of those. `None` if the event lacks a counted field, and so is not counted.
    pub(crate) fn values(&self, event: &Event) -> Option<Values> {
        if self.count_fields.is_empty() {
            return Some(Values::None);
        }
        if matches!(self.kind, PlanKind::Sum | PlanKind::Average | PlanKind::Percentile) {
            return self.numbers(event);
        }
        if let [field] = self.count_fields.as_slice()
            && let Some(only) = only(event, field)
        {
            return Some(Values::One(self.hash(0, only)));
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
            let all = combined.iter().flat_map(|so_far| texts.iter().map(|text| self.hash(*so_far, text)));
            combined = all.take(COMBINATIONS_MAX).collect();
        }
        combined.sort_unstable();
        combined.dedup();
        Some(combined.into())
    }

    fn numbers(&self, event: &Event) -> Option<Values> {
        let field = self.count_fields.first()?;
        let mut numbers = Vec::new();
        event.each(field, |value| {
            let is_number = matches!(value.kind, ValueKind::Number | ValueKind::Text);
            if let Some(number) = number(value.text).filter(|_| is_number && numbers.len() < NUMBERS_MAX) {
                numbers.push(bits(number));
            }
        });
        (!numbers.is_empty()).then(|| numbers.into())
    }

    /// Title without a template.
    pub(crate) fn plain_title(&self) -> &str {
        cut(&self.header.title, 2 * VALUE_BYTES_MAX)
    }
}

/// The bits of a number; nothing has no sign.
pub(super) fn bits(number: f64) -> u64 {
    (number + 0.0).to_bits()
}

fn wanted(title: Option<&Template>) -> Vec<FieldRef> {
    let fields = title.iter().flat_map(|title| &title.0).filter_map(|piece| match piece {
        Piece::Field(field) => Some(field.clone()),
        Piece::Text(_) => None,
    });
    fields.collect()
}

fn is_lower(op: Comparison) -> bool {
    matches!(op, Comparison::Gt | Comparison::Gte)
}

/// How a temporal condition can be met. Where the kinds of rules in a window are only counted there are no ways.
fn ways_of(kind: PlanKind, correlation: &Correlation) -> Result<Vec<Way>, String> {
    let rules = correlation.rules.len();
    let is_counted = !correlation.bounds.is_empty();
    let least = least(&correlation.bounds);
    if matches!(kind, PlanKind::Temporal | PlanKind::Ordered) && is_counted && least > rules {
        return Err(format!("it can never fire: of {rules} rules, {least} are asked for"));
    }
    match (&correlation.condition, kind) {
        (Some(_), PlanKind::Temporal | PlanKind::Ordered) if is_counted => Err("a condition over rules has no bounds beside it".to_owned()),
        (Some(condition), PlanKind::Temporal | PlanKind::Ordered) => ways(condition, rules),
        (Some(_), _) => Err("only temporal correlations have a condition over rules".to_owned()),
        (None, PlanKind::Ordered) if is_counted && correlation.bounds.iter().all(|(op, _)| is_lower(*op)) => choices(least, rules),
        (None, PlanKind::Ordered) => choices(rules, rules),
        (None, _) => Ok(Vec::new()),
    }
}

/// An average or a percentile of a part says nothing of the whole, so those wait for their windows to close, whatever the bound.
fn judged(kind: PlanKind, correlation: &Correlation, ways: &[Way]) -> Judged {
    let is_whole = matches!(kind, PlanKind::Average | PlanKind::Percentile) || correlation.bounds.iter().any(|(op, _)| !is_lower(*op));
    if is_whole {
        Judged::Whole
    } else if ways.iter().any(|way| way.unwanted != 0) {
        Judged::Absence
    } else {
        Judged::AtOnce
    }
}

/// The value of a field that has one.
fn only<'a>(event: &'a Event, field: &FieldRef) -> Option<&'a str> {
    let (mut found, mut is_only) = (None, true);
    event.each(field, |value| {
        if value.kind != ValueKind::Null {
            is_only = found.replace(value.text).is_none();
        }
    });
    found.filter(|_| is_only)
}

/// The smallest count that bounds allow; never 0, since a window holds an entry.
fn least(bounds: &[(Comparison, f64)]) -> usize {
    bounds
        .iter()
        .map(|(op, bound)| match op {
            Comparison::Gt => bound.floor() + 1.0,
            Comparison::Gte | Comparison::Eq => bound.ceil(),
            Comparison::Lt | Comparison::Lte | Comparison::Neq => 1.0,
        })
        .fold(1.0, f64::max) as usize
}
