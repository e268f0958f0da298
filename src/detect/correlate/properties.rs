//! Every type against the model: whatever the order, the batches, the repetitions and the watermarks, the alerts are the same.

use proptest::prelude::*;

use super::model::beside::{self, Delivery, LATENESS, SINGLES, Short, VALUES};
use super::model::{Spec, Ways};
use crate::detect::rule::{Comparison, Condition, CorrelationKind};

/// The conditions of the ways below are written out here, so that nothing is held against itself.
fn conditions() -> Vec<(Condition, Ways)> {
    use Condition::{And, AtLeast, Or, Selection as S};
    let not = |at: usize| Condition::Not(Box::new(S(at)));
    vec![
        (And(vec![Or(vec![S(0), S(1)]), S(2)]), vec![(vec![0, 2], vec![]), (vec![1, 2], vec![])]),
        (AtLeast(2, vec![S(0), S(1), S(2)]), vec![(vec![0, 1], vec![]), (vec![0, 2], vec![]), (vec![1, 2], vec![])]),
        (And(vec![S(0), S(2), not(1)]), vec![(vec![0, 2], vec![1])]),
        (And(vec![S(0), not(1), not(2)]), vec![(vec![0], vec![1, 2])]),
        (And(vec![S(2), not(0)]), vec![(vec![2], vec![0])]),
        (Or(vec![S(1), And(vec![S(0), not(2)])]), vec![(vec![1], vec![]), (vec![0], vec![2])]),
    ]
}

fn spec(kind: CorrelationKind, rules: &[usize], bounds: &[(Comparison, f64)], span: i64) -> Spec {
    Spec {
        name: "",
        kind: Some(kind),
        rules: rules.to_vec(),
        by: vec!["u"],
        span,
        bucket: 100,
        bounds: bounds.to_vec(),
        percentile: 50,
        counted: vec!["v"],
        condition: None,
        ways: Vec::new(),
        is_refused: false,
        is_silent: false,
    }
}

/// Every type, then chains over them. `least` and `span` are what most of them ask for.
fn specs(least: i64, span: i64) -> Vec<Spec> {
    use Comparison::{Eq, Gt, Gte, Lt, Lte, Neq};
    use CorrelationKind as K;
    let n = least as f64;
    let mut specs: Vec<Spec> = Vec::new();
    let mut add = |name: &'static str, kind, rules: &[usize], bounds: &[(Comparison, f64)]| {
        specs.push(Spec { name, ..spec(kind, rules, bounds, span) });
        specs.len() - 1 + SINGLES
    };
    let count = add("count", K::EventCount, &[0, 1], &[(Gte, n)]);
    let fewer = add("fewer", K::EventCount, &[0], &[(Lt, n)]);
    add("count range", K::EventCount, &[0, 2], &[(Gte, 2.0), (Lte, n)]);
    add("count equal", K::EventCount, &[1], &[(Eq, n)]);
    add("count unlike", K::EventCount, &[1], &[(Neq, n)]);
    add("values", K::ValueCount, &[0, 1], &[(Gte, n)]);
    add("values range", K::ValueCount, &[0, 1, 2], &[(Gt, 1.0), (Lt, n + 2.0)]);
    let sum = add("sum", K::ValueSum, &[0, 1], &[(Gte, n * 1.5)]);
    add("sum range", K::ValueSum, &[0], &[(Gt, -2.5), (Lt, n)]);
    add("sum below", K::ValueSum, &[0], &[(Lt, -0.5)]);
    add("average", K::ValueAvg, &[0, 1], &[(Gt, 1.0)]);
    add("average range", K::ValueAvg, &[0, 2], &[(Gte, -1.0), (Lte, n / 2.0)]);
    add("percentile", K::ValuePercentile, &[0, 1], &[(Gte, 2.0)]);
    add("median", K::ValueMedian, &[0, 1], &[(Lte, 1.0)]);
    let all = add("temporal", K::Temporal, &[0, 1, 2], &[]);
    add("temporal two", K::Temporal, &[0, 1, 2], &[(Gte, 2.0)]);
    add("temporal range", K::Temporal, &[0, 1, 2], &[(Gte, 2.0), (Lt, 3.0)]);
    let ordered = add("ordered", K::TemporalOrdered, &[0, 1, 2], &[]);
    add("ordered two", K::TemporalOrdered, &[0, 1, 2], &[(Gte, 2.0)]);
    add("ordered fewer", K::TemporalOrdered, &[0, 1, 2], &[(Lt, 3.0)]);
    let mut absent = Vec::new();
    for (condition, ways) in conditions() {
        for kind in [K::Temporal, K::TemporalOrdered] {
            let name = if kind == K::Temporal { "condition" } else { "ordered condition" };
            let is_absence = ways.iter().any(|(_, unwanted)| !unwanted.is_empty());
            absent.extend(is_absence.then_some(specs.len() + SINGLES));
            let condition = Some(condition.clone());
            specs.push(Spec { name, ways: ways.clone(), condition, ..spec(kind, &[0, 1, 2], &[], span) });
        }
    }
    let mut over = |name: &'static str, kind, rules: &[usize], bounds: &[(Comparison, f64)], by: &[&'static str]| {
        // Alerts have no values but those of their group.
        specs.push(Spec { name, by: by.to_vec(), counted: vec!["u"], ..spec(kind, rules, bounds, span * 2) });
        specs.len() - 1 + SINGLES
    };
    over("counts over", K::EventCount, &[count], &[(Gte, 2.0)], &[]);
    let high = over("then", K::TemporalOrdered, &[count, 2], &[], &["u"]);
    over("users over", K::ValueCount, &[sum, absent[0]], &[(Gte, 2.0)], &[]);
    over("fewer over", K::EventCount, &[absent[1], 0], &[(Lt, 3.0)], &["u"]);
    over("mixed over", K::Temporal, &[fewer, all, ordered], &[(Gte, 2.0)], &["u"]);
    over("high over", K::EventCount, &[high, fewer], &[(Gte, 2.0)], &[]);
    let ways = vec![(vec![0], vec![1])];
    let quiet = Condition::And(vec![Condition::Selection(0), Condition::Not(Box::new(Condition::Selection(1)))]);
    specs.push(Spec { name: "quiet over", ways, condition: Some(quiet), ..spec(K::Temporal, &[sum, all], &[], span) });
    specs
}

/// Events with how long each is on its way, and some of them again.
fn check(delayed: &[(Short, i64)], again: &[(usize, i64)], (batch, behind): (usize, &[i64]), least: i64, span: i64) {
    let shorts: Vec<Short> = delayed.iter().map(|(short, _)| *short).collect();
    let mut arrivals: Vec<(i64, usize)> = delayed.iter().enumerate().map(|(number, (short, delay))| (short.at + delay, number)).collect();
    arrivals.extend(again.iter().map(|(number, delay)| (shorts[number % shorts.len()].at + delay, number % shorts.len())));
    arrivals.sort_unstable();
    let way = |is_finite| Delivery { arrivals: arrivals.clone(), batches: vec![batch], behind: behind.to_vec(), is_finite };
    beside::check(&specs(least, span), &shorts, &[way(false), way(true)]);
}

/// The stages of an act lie within a few seconds.
fn shorts() -> impl Strategy<Value = Vec<(Short, i64)>> {
    let short = (0_i64..80, 1_u8..8, 0_u8..2, 0_usize..7, 0_usize..3, 0..VALUES.len(), 0..LATENESS);
    let delayed = short.prop_map(|(at, rules, stage, user, host, value, delay)| {
        let act = u8::try_from(at).unwrap();
        (Short { at: at * 10 - 100 + i64::from(stage) * 3, rules, act, user, host, value }, delay)
    });
    prop::collection::vec(delayed, 1..40)
}

fn cases(usual: u32) -> ProptestConfig {
    let mut config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    // What PROPTEST_CASES says has been read, if it is there.
    if config.cases == 256 {
        config.cases = usual;
    }
    config
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn every_type_is_what_the_model_says(
        shorts in shorts(),
        again in prop::collection::vec((0_usize..1000, 0..LATENESS), 0..20),
        (batch, behind) in (1_usize..9, prop::collection::vec(0_i64..200, 1..6)),
        (least, is_long) in (1_i64..5, any::<bool>()),
    ) {
        check(&shorts, &again, (batch, &behind), least, if is_long { 150 } else { 60 });
    }
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn any_correlations_are_what_the_model_says(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        super::model::check(&bytes);
    }
}
