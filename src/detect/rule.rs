//! What a rule says, out of its YAML and with its names resolved. The engine compiles this; nothing else reads YAML.

use std::sync::Arc;

use crate::model::{Duration, FieldRef, Kind, RuleHeader, RuleType, TimePart};

/// A rule with everything an engine and a lint need.
#[derive(Debug, Clone)]
pub struct Rule {
    pub header: Arc<RuleHeader>,
    /// Sigma's `name`, by which correlations may refer to it.
    pub name: Option<String>,
    pub description: Option<String>,
    pub references: Vec<String>,
    pub false_positives: Vec<String>,
    pub status: Option<String>,
    /// Where it was read: file, and the line its document starts at.
    pub file: Arc<str>,
    pub line: usize,
    pub logsource: LogSource,
    pub body: Body,
    pub extras: Extras,
    /// The rule is only referred to by correlations and raises no alert of its own (a correlation refers to it without `generate: true`).
    pub is_silent: bool,
}

/// Which events a rule is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogSource {
    /// Events of any kind.
    Any,
    /// Events of one kind.
    Kind(Kind),
    /// For systems that are not read here: loaded, listed, never run. The text is the log source as written.
    NotApplicable(String),
}

/// What stands under `bartizan:` in a rule.
#[derive(Debug, Clone, Default)]
pub struct Extras {
    /// Template over field names: `{actor.user.name} opened a shell`.
    pub title: Option<Template>,
    pub group_by: Option<Vec<FieldRef>>,
    pub group_window: Option<Duration>,
}

/// A title: text and fields, in turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(pub Vec<Piece>);

/// A piece of a title.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    /// Filled from the earliest contributing event that has the field.
    Field(FieldRef),
}

/// How a rule decides.
#[derive(Debug, Clone)]
pub enum Body {
    Single(Detection),
    Correlation(Correlation),
}

/// Selections, and the condition over them.
#[derive(Debug, Clone)]
pub struct Detection {
    pub selections: Vec<(String, Selection)>,
    /// `1 of x*` and its kin are expanded; indices are into `selections`.
    pub condition: Condition,
    /// What filters ask besides; each must hold.
    pub filters: Vec<Arc<Filter>>,
}

/// A condition that holds besides those of the rules it names, which share it.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Its id, else its name, else its title.
    pub id: String,
    pub title: String,
    pub file: Arc<str>,
    /// The line its document starts at.
    pub line: usize,
    pub detection: Detection,
}

/// A boolean expression over selections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    Selection(usize),
    Not(Box<Condition>),
    And(Vec<Condition>),
    Or(Vec<Condition>),
    /// At least so many of them.
    AtLeast(usize, Vec<Condition>),
}

impl Condition {
    /// Hands out every index that it names, as often as it does.
    pub(crate) fn each(&self, index: &mut dyn FnMut(usize)) {
        match self {
            Self::Selection(at) => index(*at),
            Self::Not(inner) => inner.each(index),
            Self::And(of) | Self::Or(of) | Self::AtLeast(_, of) => of.iter().for_each(|inner| inner.each(index)),
        }
    }
}

/// What a selection asks of an event.
#[derive(Debug, Clone)]
pub enum Selection {
    /// A map: every item holds.
    All(Vec<Item>),
    /// A list of maps: any holds.
    Any(Vec<Selection>),
    /// A list of words: any is found in a string value of the event (or all of them).
    Keywords { words: Vec<Pattern>, all: bool },
}

/// A field and what its values must be.
#[derive(Debug, Clone)]
pub struct Item {
    pub field: FieldRef,
    /// Tests on values of the field: a value is any element of a list.
    pub tests: Vec<Test>,
    /// Every test must hold (`|all`), each by any value; else one is enough.
    pub all: bool,
    /// Turns the item round (`|neq`): no test holds for any value.
    pub negated: bool,
}

/// A test of one value.
#[derive(Debug, Clone)]
pub enum Test {
    /// Text with wildcards, placed by the modifiers; number and boolean values match the text that spells them.
    Text {
        pattern: Pattern,
        cased: bool,
    },
    /// Comparison with a number; text that spells a number counts.
    Number {
        op: Comparison,
        value: f64,
    },
    /// Comparison of a part of the time that the value is, in UTC.
    Time {
        part: TimePart,
        op: Comparison,
        value: f64,
    },
    Regex {
        pattern: String,
        ignore_case: bool,
        multi_line: bool,
        dot_all: bool,
    },
    Cidr {
        text: String,
    },
    /// The field exists (whatever its value) or not.
    Exists(bool),
    /// Null or missing.
    Null,
    /// Equal to the value of another field.
    FieldRef {
        other: FieldRef,
        place: Place,
        cased: bool,
    },
    /// The field is a list, and its elements are looked at one by one.
    Elements(Box<Elements>),
}

/// What must hold of elements of a list. Its fields are named from the record down, and mean those of the element.
#[derive(Debug, Clone)]
pub struct Elements {
    pub each: Each,
    /// Without filters, keywords and comparisons of fields.
    pub detection: Detection,
}

/// Of which elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Each {
    /// At least one.
    Any,
    /// Every one, of at least one.
    All,
    /// Every one; also of none, or of no list.
    AllOrEmpty,
    /// The one at this place, from 0.
    At(usize),
}

/// Where in a value a pattern stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    Whole,
    Start,
    End,
    Anywhere,
}

impl Place {
    /// As it stands before the text, for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Whole => "is",
            Self::Start => "starts with",
            Self::End => "ends with",
            Self::Anywhere => "contains",
        }
    }
}

/// Order of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Comparison {
    Lt,
    Lte,
    Gt,
    Gte,
    Eq,
    Neq,
}

impl Comparison {
    /// As it is written between numbers.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Lt => "<",
            Self::Lte => "<=",
            Self::Gt => ">",
            Self::Gte => ">=",
            Self::Eq => "=",
            Self::Neq => "!=",
        }
    }

    /// Whether `left op right`.
    pub fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Lt => left < right,
            Self::Lte => left <= right,
            Self::Gt => left > right,
            Self::Gte => left >= right,
            Self::Eq => left == right,
            Self::Neq => left != right,
        }
    }
}

/// Literal text and wildcards. A place other than `Whole` is the same as wildcards at the ends.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    pub parts: Vec<Part>,
    pub place: Place,
}

/// A part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Part {
    Text(String),
    /// `*`: any number of characters.
    Many,
    /// `?`: one character.
    One,
}

/// A correlation of other rules' matches.
#[derive(Debug, Clone)]
pub struct Correlation {
    pub kind: CorrelationKind,
    /// Indices into [`RuleSet::rules`], in the order written.
    pub rules: Vec<usize>,
    pub group_by: Vec<GroupField>,
    pub timespan: Duration,
    /// Bounds on the count or the number; all must hold. `temporal` without one means every referred rule.
    pub bounds: Vec<(Comparison, f64)>,
    /// Of `value_count`: the fields whose distinct values are counted. Of the other `value_` types: the field whose numbers are taken.
    pub count_fields: Vec<FieldRef>,
    /// Of `value_percentile`: which one, 0 to 100.
    pub percentile: f64,
    /// Of temporal types, in place of bounds: an expression over [`Correlation::rules`], by position.
    pub condition: Option<Condition>,
}

/// The correlation's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CorrelationKind {
    EventCount,
    ValueCount,
    ValueSum,
    ValueAvg,
    ValuePercentile,
    /// The percentile 50.
    ValueMedian,
    Temporal,
    TemporalOrdered,
}

impl CorrelationKind {
    /// As Sigma writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::EventCount => "event_count",
            Self::ValueCount => "value_count",
            Self::ValueSum => "value_sum",
            Self::ValueAvg => "value_avg",
            Self::ValuePercentile => "value_percentile",
            Self::ValueMedian => "value_median",
            Self::Temporal => "temporal",
            Self::TemporalOrdered => "temporal_ordered",
        }
    }

    /// What alerts say of it.
    pub fn rule_type(self) -> RuleType {
        match self {
            Self::EventCount => RuleType::EventCount,
            Self::ValueCount => RuleType::ValueCount,
            Self::ValueSum => RuleType::ValueSum,
            Self::ValueAvg => RuleType::ValueAvg,
            Self::ValuePercentile => RuleType::ValuePercentile,
            Self::ValueMedian => RuleType::ValueMedian,
            Self::Temporal => RuleType::Temporal,
            Self::TemporalOrdered => RuleType::TemporalOrdered,
        }
    }
}

/// A field to group by. With an alias each referred rule has a field of its own.
#[derive(Debug, Clone)]
pub struct GroupField {
    /// As written in `group-by`.
    pub name: Arc<str>,
    /// For each of [`Correlation::rules`].
    pub fields: Vec<FieldRef>,
}

/// All rules in force, references resolved.
#[derive(Debug, Clone, Default)]
pub struct RuleSet {
    pub rules: Vec<Rule>,
}
