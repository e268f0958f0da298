//! A restart anywhere changes nothing: the journal brings the windows back as they were.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::detect::rule::{Body, Comparison, Condition, CorrelationKind, Piece, Rule, Template};
use crate::detect::sample::{correlation, event, of_act, simple};
use crate::model::{AlertId, JournalPiece};

const SECOND: i64 = 1_000_000_000;

/// A correlation of every kind, and a single rule, over three silent ones.
fn rules(least: f64) -> Arc<RuleSet> {
    let mut rules: Vec<Rule> = ["r0: 1", "r1: 1", "r2: 1"].iter().enumerate().map(|(at, spec)| simple(&format!("r{at}"), &[spec])).collect();
    rules.iter_mut().for_each(|rule| rule.is_silent = true);
    let gte = [(Comparison::Gte, least)];
    for (at, (kind, referred, bounds)) in [
        (CorrelationKind::EventCount, &[0, 1][..], &gte[..]),
        (CorrelationKind::ValueCount, &[0], &gte),
        (CorrelationKind::Temporal, &[0, 1, 2], &[]),
        (CorrelationKind::TemporalOrdered, &[0, 1], &[]),
        (CorrelationKind::EventCount, &[0], &[(Comparison::Lt, least)]),
        (CorrelationKind::ValueSum, &[0, 1], &gte),
        (CorrelationKind::ValueMedian, &[0, 1], &gte),
        // Conditions and chains: by their places in the set.
        (CorrelationKind::Temporal, &[0, 1], &[]),
        (CorrelationKind::EventCount, &[3, 10], &gte),
        (CorrelationKind::TemporalOrdered, &[9, 11], &[]),
    ]
    .into_iter()
    .enumerate()
    {
        let mut rule = correlation(&format!("c{at}"), kind, referred, &["u"], 60, bounds);
        rule.extras.group_window = Some(Duration::seconds(100));
        rule.extras.title = Some(Template(vec![Piece::Text("by ".to_owned()), Piece::Field(FieldRef::parse("v").unwrap())]));
        if let Body::Correlation(body) = &mut rule.body {
            body.count_fields = vec![FieldRef::parse("v").unwrap()];
            if at == 7 {
                let not = Condition::Not(Box::new(Condition::Selection(1)));
                body.condition = Some(Condition::And(vec![Condition::Selection(0), not]));
            }
        }
        rules.push(rule);
    }
    let mut single = simple("s", &["r2: 1"]);
    single.extras.group_by = Some(vec![FieldRef::parse("u").unwrap(), FieldRef::parse("absent").unwrap()]);
    single.extras.group_window = Some(Duration::seconds(100));
    rules.push(single);
    Arc::new(RuleSet { rules })
}

fn engine(rules: &Arc<RuleSet>) -> Engine {
    let settings = EngineSettings { keeps_journal: true, ..EngineSettings::default() };
    Engine::new(Arc::clone(rules), settings)
}

/// Seconds after 10:00, the rules it matches (bits), its act, a value, and how late it comes.
type Short = (i64, u8, u8, u8, i64);

fn events(shorts: &[Short]) -> Vec<Event> {
    let mut arriving: Vec<(i64, Event)> = Vec::new();
    for (number, (at, bits, act, value, delay)) in shorts.iter().enumerate() {
        let user = if value % 2 == 0 { "alice" } else { "bob" };
        let json = format!(r#"{{"r0":{},"r1":{},"r2":{},"u":"{user}","v":"{value}"}}"#, bits & 1, bits >> 1 & 1, bits >> 2 & 1);
        arriving.push((at * 20 + delay, of_act(event(&format!("e{number}"), at * 20 * SECOND, &json), *act)));
    }
    arriving.sort_by_key(|(arrival, event)| (*arrival, event.id));
    arriving.into_iter().map(|(_, event)| event).collect()
}

fn feed(engine: &mut Engine, batch: &[Event], out: &mut Vec<Finding>) {
    engine.process(batch, out);
    let latest = batch.iter().map(|event| event.time).max().unwrap();
    engine.advance(&Watermarks::everywhere(latest, Duration::seconds(120)), out);
}

/// An engine made of what is on disk.
fn restored(rules: &Arc<RuleSet>, pieces: &[JournalPiece]) -> Engine {
    let mut engine = engine(rules);
    let mut restore = engine.restore();
    for piece in pieces {
        restore.piece(&piece.bytes).unwrap();
    }
    let cold = restore.finish();
    assert_eq!(cold.is_empty(), !pieces.is_empty(), "{cold:?}");
    engine
}

fn keep(pieces: &mut Vec<JournalPiece>, piece: JournalPiece) {
    if piece.is_whole {
        pieces.clear();
    }
    if !piece.bytes.is_empty() {
        pieces.push(piece);
    }
}

fn last_words(out: Vec<Finding>) -> BTreeMap<AlertId, String> {
    out.into_iter().map(|finding| (finding.id, format!("{finding:?}"))).collect()
}

fn whole(engine: &mut Engine) -> JournalPiece {
    engine.journal.as_mut().unwrap().begin_anew();
    engine.take_journal().unwrap()
}

/// At each batch: whether it is followed by a checkpoint, and whether the process dies after it.
fn check(shorts: &[Short], size: usize, fates: &[(bool, bool)], least: f64) -> Result<(), TestCaseError> {
    let (rules, events) = (rules(least), events(shorts));
    let mut straight = engine(&rules);
    prop_assert_eq!(straight.refused(), &[]);
    let mut expected = Vec::new();
    events.chunks(size).for_each(|batch| feed(&mut straight, batch, &mut expected));
    let mut engine = engine(&rules);
    let (mut out, mut pieces, mut since) = (Vec::new(), Vec::new(), Vec::new());
    for (batch, (is_checkpoint, dies)) in events.chunks(size).zip(fates.iter().cycle()) {
        feed(&mut engine, batch, &mut out);
        since.push(batch);
        if *is_checkpoint {
            keep(&mut pieces, engine.take_journal().unwrap());
            since.clear();
        }
        if *dies && !pieces.is_empty() {
            engine = restored(&rules, &pieces);
            pieces.clear();
            keep(&mut pieces, engine.take_journal().unwrap());
            since.iter().for_each(|batch| feed(&mut engine, batch, &mut out));
        }
    }
    prop_assert_eq!(last_words(out), last_words(expected));
    let written = whole(&mut engine);
    prop_assert_eq!(whole(&mut restored(&rules, std::slice::from_ref(&written))), written);
    Ok(())
}

fn shorts() -> impl Strategy<Value = Vec<Short>> {
    prop::collection::vec((0_i64..60, 1_u8..8, 0_u8..60, 0_u8..5, 0_i64..120), 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_restart_anywhere_changes_nothing(
        shorts in shorts(),
        size in 1_usize..9,
        fates in prop::collection::vec((any::<bool>(), any::<bool>()), 1..12),
        least in 1_u8..5,
    ) {
        check(&shorts, size, &fates, f64::from(least))?;
    }

    #[test]
    fn any_damage_is_refused_and_leaves_a_new_engine(shorts in shorts(), at in any::<prop::sample::Index>(), bit in 0_u8..8, cut in any::<bool>()) {
        let rules = rules(2.0);
        let mut known = engine(&rules);
        feed(&mut known, &events(&shorts), &mut Vec::new());
        let mut bytes = whole(&mut known).bytes;
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] ^= 1 << bit }
        let mut engine = engine(&rules);
        prop_assert!(engine.restore().piece(&bytes).is_err());
        prop_assert_eq!(engine.stats().groups_live, 0);
    }

    /// Whatever stands under a check that holds, it is read or refused, and never more is read than there is.
    #[test]
    fn random_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), shorts in shorts(), at in any::<prop::sample::Index>()) {
        let rules = rules(2.0);
        let mut known = engine(&rules);
        feed(&mut known, &events(&shorts), &mut Vec::new());
        let mut piece = whole(&mut known).bytes;
        piece.truncate(at.index(piece.len() - 8) + 1);
        piece.extend(&bytes);
        let mut hasher = blake3::Hasher::new();
        hasher.update(&piece);
        piece.extend(&hasher.finalize().as_bytes()[..8]);
        let mut engine = engine(&rules);
        let is_read = engine.restore().piece(&piece).is_ok();
        let mut out = Vec::new();
        feed(&mut engine, &events(&shorts), &mut out);
        prop_assert!(is_read || engine.stats().groups_live > 0 || out.is_empty());
        let mut fresh = engine_of(&rules);
        prop_assert!(fresh.restore().piece(&bytes).is_err());
    }
}

fn engine_of(rules: &Arc<RuleSet>) -> Engine {
    engine(rules)
}

#[test]
fn deltas_are_short_and_from_time_to_time_a_whole_stands_for_all() {
    let rules = rules(3.0);
    let mut engine = engine(&rules);
    let mut kinds = Vec::new();
    for number in 0..40_i64 {
        let value = "x".repeat(60_000);
        let json = format!(r#"{{"r0":1,"u":"{number}{value}","v":"{value}"}}"#);
        engine.process(&[event(&format!("e{number}"), number * 400 * SECOND, &json)], &mut Vec::new());
        let now = Timestamp::from_nanos(crate::detect::sample::TEN + number * 400 * SECOND);
        engine.advance(&Watermarks::everywhere(now, Duration::seconds(120)), &mut Vec::new());
        kinds.push(engine.take_journal().unwrap().is_whole);
    }
    assert!(kinds[0] && !kinds[1], "{kinds:?}");
    assert!(engine.take_journal().unwrap().bytes.is_empty());
}

/// A set with the timespan of one rule changed, or none, under other numbers.
fn changed(before: &RuleSet, which: &str) -> Arc<RuleSet> {
    let mut after = before.clone();
    after.rules.insert(0, simple("new", &["x: 1"]));
    for rule in &mut after.rules {
        if let Body::Correlation(body) = &mut rule.body {
            body.rules.iter_mut().for_each(|at| *at += 1);
            if rule.header.id == which {
                body.timespan = Duration::seconds(61);
            }
        }
    }
    Arc::new(after)
}

#[test]
fn windows_go_over_to_the_next_set_and_what_changed_is_filled_from_the_past() {
    let before = rules(5.0);
    let shorts: Vec<Short> = (0..5).map(|n| (0, 3, n, n * 2, 0)).collect();
    let all = events(&shorts);
    let (past, last) = all.split_at(4);
    let of = |out: &[Finding], id: &str| out.iter().filter(|finding| finding.rule.id == id).map(|finding| finding.count).collect::<Vec<u64>>();
    for (changes, warms, expected) in [("", false, [5, 5]), ("c0", true, [5, 5]), ("c0", false, [0, 5])] {
        let mut old = engine(&before);
        let mut out = Vec::new();
        feed(&mut old, past, &mut out);
        assert_eq!((of(&out, "c0"), of(&out, "c1")), (vec![], vec![]));
        let mut next = Engine::new(changed(&before, changes), old.settings().clone());
        let cold = next.cold_beside(&old);
        // What a chain stands on is filled together with it.
        let expected_cold = if changes.is_empty() { vec!["new"] } else { vec!["new", "c0", "c6", "c7", "c8", "c9"] };
        assert_eq!(cold.ids(), expected_cold);
        if warms {
            next.warm(&cold, past, &mut Vec::new());
        }
        next.warmed(&cold, &Watermarks::default());
        next.adopt(&mut old);
        assert!(next.take_journal().unwrap().is_whole);
        feed(&mut next, last, &mut out);
        let found = [of(&out, "c0").last().copied().unwrap_or_default(), of(&out, "c1").last().copied().unwrap_or_default()];
        assert_eq!(found, expected, "{changes} {warms}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// To change to a set that means the same changes nothing, wherever it comes.
    #[test]
    fn a_swap_anywhere_changes_nothing(shorts in shorts(), size in 1_usize..9, swaps in prop::collection::vec(any::<bool>(), 1..12)) {
        let (rules, events) = (rules(2.0), events(&shorts));
        let mut straight = engine(&rules);
        let (mut expected, mut out) = (Vec::new(), Vec::new());
        events.chunks(size).for_each(|batch| feed(&mut straight, batch, &mut expected));
        let mut engine = engine(&rules);
        for (batch, swap) in events.chunks(size).zip(swaps.iter().cycle()) {
            feed(&mut engine, batch, &mut out);
            if *swap {
                let mut next = Engine::new(Arc::clone(&rules), engine.settings().clone());
                prop_assert!(next.cold_beside(&engine).is_empty());
                next.adopt(&mut engine);
                engine = next;
            }
        }
        prop_assert_eq!(last_words(out), last_words(expected));
    }
}

/// What can not be decided counts on when rules change, and of the past that fills windows none is counted.
#[test]
fn unknown_events_count_on_with_the_next_set() {
    let bodies = |ids: &[&str]| Arc::new(RuleSet { rules: ids.iter().map(|id| simple(id, &["responseObject.kind: x"])).collect() });
    let some = |count: i64| -> Vec<Event> {
        (0..count).map(|at| event(&format!("e{at}"), at * SECOND, r#"{"level":"Metadata","stage":"ResponseComplete","verb":"get"}"#)).collect()
    };
    let mut old = engine(&bodies(&["a", "b"]));
    feed(&mut old, &some(3), &mut Vec::new());
    let mut next = engine(&bodies(&["c", "b"]));
    let cold = next.cold_beside(&old);
    next.warm(&cold, &some(5), &mut Vec::new());
    assert_eq!(next.unknown_by_rule(), BTreeMap::new());
    next.watch(&cold, &some(2), &mut Vec::new());
    next.adopt(&mut old);
    assert_eq!(next.unknown_by_rule(), BTreeMap::from([("b", 3)]));
    feed(&mut next, &some(1), &mut Vec::new());
    assert_eq!(next.unknown_by_rule(), BTreeMap::from([("b", 4), ("c", 1)]));
    assert_eq!(next.stats().unknown, [1, 4]);
}

#[test]
fn a_rule_that_changed_is_cold_and_the_others_are_not() {
    let before = rules(3.0);
    let mut engine = engine(&before);
    feed(&mut engine, &events(&[(1, 7, 1, 0, 0), (2, 7, 2, 2, 0)]), &mut Vec::new());
    let piece = engine.take_journal().unwrap();
    let mut after = Arc::unwrap_or_clone(before);
    after.rules.insert(0, simple("new", &["x: 1"]));
    for rule in &mut after.rules {
        if let Body::Correlation(body) = &mut rule.body {
            body.rules.iter_mut().for_each(|at| *at += 1);
            if rule.header.id == "c1" {
                body.timespan = Duration::hours(5);
            }
        }
    }
    let mut engine = engine_of(&Arc::new(after));
    let mut restore = engine.restore();
    restore.piece(&piece.bytes).unwrap();
    let cold = restore.finish();
    assert_eq!(cold.ids(), ["new", "c1"]);
    assert_eq!(cold.reach(), Duration::seconds(10 * 3600 + 100));
}
