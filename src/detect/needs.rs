//! Fields without which a rule cannot hold.
//!
//! Only what is sure is told: a negated item, `not`, a test for null and one that a field is missing need nothing.

use std::collections::HashSet;

use super::rule::{Body, Comparison, Condition, Correlation, CorrelationKind, Detection, Each, Item, RuleSet, Selection, Test};
use crate::model::FieldRef;

/// Correlations that stand on one another, as far as they are followed.
const DEPTH_MAX: usize = 16;

/// The fields that stand in the way of a rule: of those that are not there, as far as `has` knows, the ones that it cannot do without. It is asked
/// with the index of the single rule that reads the field. Empty: nothing is known to be in the way.
pub(super) fn missing<'r>(set: &'r RuleSet, rule: usize, has: &dyn Fn(usize, &FieldRef) -> bool) -> Vec<&'r FieldRef> {
    let mut known = HashSet::new();
    let fields = rule_lacks(set, rule, has, 0).unwrap_or_default();
    fields.into_iter().filter(|field| known.insert(*field)).collect()
}

/// What is in the way; `None` if the rule may hold.
type Lacks<'r> = Option<Vec<&'r FieldRef>>;

/// Of several, so many of which must hold.
fn enough<'r>(of: impl Iterator<Item = Lacks<'r>>, wanted: usize) -> Lacks<'r> {
    let (mut may_hold, mut fields) = (0, Vec::new());
    for lacks in of {
        match lacks {
            None => may_hold += 1,
            Some(lacking) => fields.extend(lacking),
        }
    }
    (may_hold < wanted).then_some(fields)
}

fn rule_lacks<'r>(set: &'r RuleSet, at: usize, has: &dyn Fn(usize, &FieldRef) -> bool, depth: usize) -> Lacks<'r> {
    if depth > DEPTH_MAX {
        return None;
    }
    match &set.rules.get(at)?.body {
        Body::Single(detection) => {
            let filters = detection.filters.iter().map(|filter| detection_lacks(&filter.detection, &|field| has(at, field)));
            let all = std::iter::once(detection_lacks(detection, &|field| has(at, field))).chain(filters);
            enough(all, 1 + detection.filters.len())
        }
        Body::Correlation(correlation) => {
            let lacks: Vec<Lacks<'r>> = correlation.rules.iter().map(|rule| rule_lacks(set, *rule, has, depth + 1)).collect();
            let holds = may_fire(correlation, &|position| lacks.get(position).is_some_and(Option::is_none));
            (!holds).then(|| lacks.into_iter().flatten().flatten().collect())
        }
    }
}

/// Whether a correlation may fire if only these of the rules that it stands on, by position, ever match.
pub(super) fn may_fire(of: &Correlation, matches: &dyn Fn(usize) -> bool) -> bool {
    if let Some(condition) = &of.condition {
        return may_hold(condition, matches);
    }
    // What asks for few of something may fire for want of it.
    if of.bounds.iter().any(|(op, _)| !matches!(op, Comparison::Gt | Comparison::Gte)) {
        return true;
    }
    let is_temporal = matches!(of.kind, CorrelationKind::Temporal | CorrelationKind::TemporalOrdered);
    let floor = |(op, bound): &(Comparison, f64)| if *op == Comparison::Gt { bound.floor() + 1.0 } else { bound.ceil() };
    let least = match (is_temporal, of.bounds.is_empty()) {
        (true, true) => of.rules.len(),
        (true, false) => of.bounds.iter().map(floor).fold(1.0, f64::max) as usize,
        (false, _) => 1,
    };
    (0..of.rules.len()).filter(|position| matches(*position)).count() >= least
}

/// Whether a condition may hold if only these of what it names ever do.
fn may_hold(of: &Condition, holds: &dyn Fn(usize) -> bool) -> bool {
    match of {
        Condition::Selection(at) => holds(*at),
        Condition::Not(_) => true,
        Condition::And(of) => of.iter().all(|inner| may_hold(inner, holds)),
        Condition::Or(of) => of.iter().any(|inner| may_hold(inner, holds)),
        Condition::AtLeast(count, of) => of.iter().filter(|inner| may_hold(inner, holds)).count() >= *count,
    }
}

fn detection_lacks<'r>(detection: &'r Detection, has: &dyn Fn(&FieldRef) -> bool) -> Lacks<'r> {
    condition_lacks(&detection.condition, detection, has)
}

fn condition_lacks<'r>(condition: &Condition, detection: &'r Detection, has: &dyn Fn(&FieldRef) -> bool) -> Lacks<'r> {
    let each = |of: &[Condition], wanted: usize| {
        let lacks: Vec<Lacks<'r>> = of.iter().map(|inner| condition_lacks(inner, detection, has)).collect();
        enough(lacks.into_iter(), wanted)
    };
    match condition {
        Condition::Selection(at) => selection_lacks(&detection.selections.get(*at)?.1, has),
        Condition::Not(_) => None,
        Condition::And(of) => each(of, of.len()),
        Condition::Or(of) => each(of, 1),
        Condition::AtLeast(count, of) => each(of, *count),
    }
}

fn selection_lacks<'r>(selection: &'r Selection, has: &dyn Fn(&FieldRef) -> bool) -> Lacks<'r> {
    match selection {
        Selection::All(items) => enough(items.iter().map(|item| item_lacks(item, has)), items.len()),
        Selection::Any(of) => enough(of.iter().map(|inner| selection_lacks(inner, has)), 1),
        Selection::Keywords { .. } => None,
    }
}

fn item_lacks<'r>(item: &'r Item, has: &dyn Fn(&FieldRef) -> bool) -> Lacks<'r> {
    if item.negated {
        return None;
    }
    let lacks = item.tests.iter().map(|test| test_lacks(&item.field, test, has));
    enough(lacks, if item.all { item.tests.len() } else { 1 })
}

fn test_lacks<'r>(field: &'r FieldRef, test: &'r Test, has: &dyn Fn(&FieldRef) -> bool) -> Lacks<'r> {
    let needs = |field: &'r FieldRef| (!has(field)).then(|| vec![field]);
    match test {
        Test::Exists(false) | Test::Null => None,
        Test::FieldRef { other, .. } => enough([needs(field), needs(other)].into_iter(), 2),
        Test::Elements(elements) if elements.each == Each::AllOrEmpty => None,
        Test::Elements(elements) => enough([needs(field), detection_lacks(&elements.detection, has)].into_iter(), 2),
        _ => needs(field),
    }
}

/// Every field that a detection reads, in the order written, each once.
pub(super) fn fields(detection: &Detection) -> Vec<&FieldRef> {
    let (mut all, mut known) = (Vec::new(), HashSet::new());
    collect(detection, &mut all);
    all.into_iter().filter(|field| known.insert(*field)).collect()
}

fn collect<'r>(detection: &'r Detection, out: &mut Vec<&'r FieldRef>) {
    detection.selections.iter().for_each(|(_, selection)| collect_selection(selection, out));
    detection.filters.iter().for_each(|filter| collect(&filter.detection, out));
}

fn collect_selection<'r>(selection: &'r Selection, out: &mut Vec<&'r FieldRef>) {
    match selection {
        Selection::All(items) => {
            for item in items {
                out.push(&item.field);
                for test in &item.tests {
                    match test {
                        Test::FieldRef { other, .. } => out.push(other),
                        Test::Elements(elements) => collect(&elements.detection, out),
                        _ => {}
                    }
                }
            }
        }
        Selection::Any(of) => of.iter().for_each(|inner| collect_selection(inner, out)),
        Selection::Keywords { .. } => {}
    }
}
