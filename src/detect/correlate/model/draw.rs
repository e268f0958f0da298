//! Correlations, events and the ways these come in, drawn from bytes.

use super::beside::{Delivery, LATENESS, SINGLES, Short, VALUES};
use super::{Spec, Ways};
use crate::detect::draw::Draw;
use crate::detect::rule::{Comparison, Condition, CorrelationKind};

/// Correlations of a draw; later ones may stand on earlier ones.
const SPECS_MAX: usize = 4;
/// Rules that one is over.
const RULES_MAX: usize = 3;
const EVENTS_MAX: usize = 24;
/// Nesting of conditions.
const DEPTH_MAX: usize = 2;
/// Acts come at so many times.
const SLOTS: usize = 32;

/// Those with the most to them more often.
const KINDS: [CorrelationKind; 12] = [
    CorrelationKind::EventCount,
    CorrelationKind::ValueCount,
    CorrelationKind::ValueSum,
    CorrelationKind::ValueAvg,
    CorrelationKind::ValuePercentile,
    CorrelationKind::ValueMedian,
    CorrelationKind::Temporal,
    CorrelationKind::Temporal,
    CorrelationKind::Temporal,
    CorrelationKind::TemporalOrdered,
    CorrelationKind::TemporalOrdered,
    CorrelationKind::TemporalOrdered,
];
const OPS: [Comparison; 6] = [Comparison::Gte, Comparison::Gt, Comparison::Lt, Comparison::Lte, Comparison::Eq, Comparison::Neq];
const BYS: [&[&str]; 6] = [&["u"], &[], &["u", "w"], &["w"], &["u"], &[]];
const COUNTED: [&[&str]; 3] = [&["v"], &["u"], &["v", "u"]];
/// Seconds.
const SPANS: [i64; 5] = [60, 10, 30, 150, 600];
/// Seconds.
const BUCKETS: [i64; 3] = [100, 60, 3600];
/// Seconds between times at which acts come.
const STEPS: [i64; 4] = [10, 1, 30, 75];

pub(super) fn specs(draw: &mut Draw<'_>) -> Vec<Spec> {
    let mut specs: Vec<Spec> = Vec::new();
    for _ in 0..=draw.below(SPECS_MAX) {
        let spec = spec(draw, &specs);
        specs.push(spec);
    }
    specs
}

fn spec(draw: &mut Draw<'_>, known: &[Spec]) -> Spec {
    let kind = draw.one(&KINDS);
    let is_temporal = matches!(kind, CorrelationKind::Temporal | CorrelationKind::TemporalOrdered);
    let by = draw.one(&BYS);
    let counted = match kind {
        CorrelationKind::EventCount | CorrelationKind::Temporal | CorrelationKind::TemporalOrdered => [].as_slice(),
        CorrelationKind::ValueCount => draw.one(&COUNTED),
        _ => COUNTED[0],
    };
    let rules = rules(draw, known, by, counted);
    let (mut condition, mut ways, mut bounds) = (None, Ways::new(), Vec::new());
    match draw.below(5) {
        0 if is_temporal => {}
        1..=3 if is_temporal => {
            let mut drawn = over_all(draw, rules.len());
            ways = ways_of(&drawn);
            // Most conditions ask for something.
            if is_unfit(&ways) && draw.below(4) != 1 {
                drawn = Condition::And(vec![Condition::Selection(draw.below(rules.len())), drawn]);
                ways = ways_of(&drawn);
            }
            condition = Some(drawn);
        }
        _ => bounds = draw.some(2, |draw| bound(draw, kind)),
    }
    let is_refused =
        (condition.is_some() && is_unfit(&ways)) || (is_temporal && bounds.iter().any(|(op, bound)| asks_beyond(*op, *bound, rules.len())));
    let settings = draw.below(16);
    Spec {
        name: "drawn",
        kind: Some(kind),
        rules,
        by: by.to_vec(),
        span: draw.one(&SPANS),
        bucket: BUCKETS[settings % 3],
        bounds,
        percentile: draw.one(&[50, 95, 0, 100, 33]),
        counted: counted.to_vec(),
        condition,
        ways,
        is_refused,
        is_silent: settings >= 12,
    }
}

/// Some of the rules that have what is asked of them, each once.
fn rules(draw: &mut Draw<'_>, known: &[Spec], by: &[&'static str], counted: &[&'static str]) -> Vec<usize> {
    let has = |spec: &Spec| !spec.is_refused && by.iter().chain(counted).all(|name| spec.by.contains(name));
    let mut may: Vec<usize> = (0..SINGLES).collect();
    may.extend(known.iter().enumerate().filter(|(_, spec)| has(spec)).map(|(at, _)| at + SINGLES));
    draw.some(RULES_MAX, |draw| may.remove(draw.below(may.len())))
}

fn bound(draw: &mut Draw<'_>, kind: CorrelationKind) -> (Comparison, f64) {
    let op = draw.one(&OPS);
    let bound = match kind {
        CorrelationKind::EventCount | CorrelationKind::ValueCount | CorrelationKind::Temporal | CorrelationKind::TemporalOrdered => {
            [2, 1, 3, 0, 4, 6][draw.below(6)] as f64
        }
        _ => f64::from(i32::try_from(draw.below(101)).unwrap_or_default() - 50) / 10.0,
    };
    (op, bound)
}

/// The condition contradicts itself, or holds where nothing happened.
fn is_unfit(ways: &Ways) -> bool {
    ways.is_empty() || ways.iter().any(|(wanted, _)| wanted.is_empty())
}

/// The bound asks for more rules than there are.
fn asks_beyond(op: Comparison, bound: f64, rules: usize) -> bool {
    match op {
        Comparison::Gt => bound >= rules as f64,
        Comparison::Gte | Comparison::Eq => bound > rules as f64,
        Comparison::Lt | Comparison::Lte | Comparison::Neq => false,
    }
}

/// A condition that names each of so many rules.
fn over_all(draw: &mut Draw<'_>, rules: usize) -> Condition {
    let drawn = condition(draw, rules, 0);
    let mut is_named = vec![false; rules];
    drawn.each(&mut |rule| is_named[rule] = true);
    let left: Vec<usize> = (0..rules).filter(|rule| !is_named[*rule]).collect();
    if left.is_empty() {
        return drawn;
    }
    let mut all = vec![drawn];
    for rule in left {
        let named = Condition::Selection(rule);
        all.push(if draw.below(2) == 1 { Condition::Not(Box::new(named)) } else { named });
    }
    Condition::And(all)
}

fn condition(draw: &mut Draw<'_>, rules: usize, depth: usize) -> Condition {
    let inner = |draw: &mut Draw<'_>| condition(draw, rules, depth + 1);
    match if depth < DEPTH_MAX { draw.below(6) } else { 0 } {
        0 | 1 => Condition::Selection(draw.below(rules)),
        2 => Condition::Not(Box::new(inner(draw))),
        3 => Condition::And(draw.some(2, inner)),
        4 => Condition::Or(draw.some(2, inner)),
        _ => {
            let least = draw.below(2) + 1;
            let of = draw.some(2, inner);
            Condition::AtLeast(least.min(of.len()), of)
        }
    }
}

/// The ways to meet a condition, but for those that contradict themselves and those of which another asks less.
fn ways_of(condition: &Condition) -> Ways {
    let mut ways = apart(condition, true);
    ways.retain(|(wanted, unwanted)| !wanted.iter().any(|rule| unwanted.contains(rule)));
    for (wanted, unwanted) in &mut ways {
        for rules in [wanted, unwanted] {
            rules.sort_unstable();
            rules.dedup();
        }
    }
    ways.sort_unstable();
    ways.dedup();
    let is_within = |small: &[u16], large: &[u16]| small.iter().all(|rule| large.contains(rule));
    let all = ways.clone();
    ways.retain(|way| !all.iter().any(|other| other != way && is_within(&other.0, &way.0) && is_within(&other.1, &way.1)));
    ways
}

/// The ways for a condition to be so.
fn apart(condition: &Condition, so: bool) -> Ways {
    let (of, least) = match condition {
        Condition::Selection(rule) => {
            let rule = vec![u16::try_from(*rule).unwrap_or(u16::MAX)];
            return vec![if so { (rule, Vec::new()) } else { (Vec::new(), rule) }];
        }
        Condition::Not(inner) => return apart(inner, !so),
        Condition::And(of) => (of, of.len()),
        Condition::Or(of) => (of, 1),
        Condition::AtLeast(least, of) => (of, *least),
    };
    // If fewer than so many hold, the others do not.
    let least = if so { least } else { of.len() + 1 - least };
    let each: Vec<Ways> = of.iter().map(|inner| apart(inner, so)).collect();
    let mut ways = Ways::new();
    for part in 0..1_usize << each.len() {
        if part.count_ones() as usize != least {
            continue;
        }
        let mut met: Ways = vec![Default::default()];
        for (_, inner) in each.iter().enumerate().filter(|(at, _)| part >> at & 1 == 1) {
            let joined = |so_far: &(Vec<u16>, Vec<u16>), way: &(Vec<u16>, Vec<u16>)| {
                ([so_far.0.as_slice(), &way.0].concat(), [so_far.1.as_slice(), &way.1].concat())
            };
            met = met.iter().flat_map(|so_far| inner.iter().map(move |way| joined(so_far, way))).collect();
        }
        ways.extend(met);
    }
    ways
}

/// Events, and two ways for them to come in.
pub(super) fn deliveries(draw: &mut Draw<'_>) -> (Vec<Short>, Vec<Delivery>) {
    let mut deliveries: Vec<Delivery> = (0..2).map(|_| delivery(draw)).collect();
    let step = draw.one(&STEPS);
    let events = draw.some(EVENTS_MAX, |draw| {
        let short = short(draw, step);
        let delays: [i64; 3] = std::array::from_fn(|_| draw.below(LATENESS as usize) as i64);
        (short, delays)
    });
    for (number, (short, delays)) in events.iter().enumerate() {
        let (first, second) = (short.at + delays[0], short.at + delays[1]);
        deliveries[0].arrivals.push((first, number));
        deliveries[1].arrivals.push((second, number));
        // Some come again.
        if delays[2] % 4 == 1 {
            let again = &mut deliveries[usize::from(delays[2] % 8 == 1)];
            again.arrivals.push((short.at + delays[2], number));
        }
    }
    deliveries.iter_mut().for_each(|delivery| delivery.arrivals.sort_unstable());
    (events.into_iter().map(|(short, _)| short).collect(), deliveries)
}

fn delivery(draw: &mut Draw<'_>) -> Delivery {
    Delivery {
        arrivals: Vec::new(),
        batches: draw.some(2, |draw| draw.below(8) + 1),
        behind: draw.some(3, |draw| draw.below(250) as i64),
        is_finite: draw.below(4) == 1,
    }
}

fn short(draw: &mut Draw<'_>, step: i64) -> Short {
    let (slot, of_slot) = (draw.below(SLOTS), draw.below(12));
    let (rules, user) = (draw.below(7) + 1, draw.below(36));
    Short {
        at: slot as i64 * step - 100 + [0, 0, 3][of_slot / 4],
        rules: u8::try_from(rules).unwrap_or(1),
        act: u8::try_from(slot * 4 + of_slot % 4).unwrap_or_default(),
        user: [0, 0, 1, 2, 3, 4, 5, 0, 1, 0, 1, 0][user % 12],
        host: user / 12,
        value: draw.below(VALUES.len()),
    }
}
