//! What is to be judged from the store is asked for after a restart as before it, until its answer is said to be saved.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::detect::rule::{Comparison, CorrelationKind};
use crate::detect::sample::{TEN, correlation, event, set, simple};
use crate::model::JournalPiece;

const SECOND: i64 = 1_000_000_000;

/// One of each: at once, and judged when closed; `first` stands before them.
fn rules(first: Option<&str>) -> Arc<RuleSet> {
    let mut rules: Vec<_> = first.map(|id| simple(id, &["x: 1"])).into_iter().chain([simple("r0", &["r0: 1"])]).collect();
    let below = [rules.len() - 1];
    rules.push(correlation("three", CorrelationKind::EventCount, &below, &["u"], 60, &[(Comparison::Gte, 3.0)]));
    rules.push(correlation("few", CorrelationKind::EventCount, &below, &["u"], 60, &[(Comparison::Lt, 2.0)]));
    set(rules)
}

fn engine(rules: Arc<RuleSet>) -> Engine {
    let mut settings = EngineSettings { keeps_journal: true, ..EngineSettings::default() };
    settings.limits.groups_max = 3;
    Engine::new(rules, settings)
}

/// By rule and group: the spans that are owed.
type Told = BTreeMap<String, Vec<String>>;

fn told(engine: &Engine) -> Told {
    let mut told = Told::new();
    for key in engine.rechecks.all_owed() {
        let mut spans: Vec<String> = engine.rechecks.spans(&key).iter().map(|span| format!("{span:?}")).collect();
        spans.sort();
        told.insert(format!("{} {:?}", engine.rules.rules[key.0].header.id, key.3), spans);
    }
    told
}

fn restored(rules: Arc<RuleSet>, pieces: &[JournalPiece]) -> Engine {
    let mut engine = engine(rules);
    let mut restore = engine.restore();
    pieces.iter().for_each(|piece| restore.piece(&piece.bytes).unwrap());
    restore.finish();
    engine
}

/// Seconds after 10:00, and whose.
type Short = (i64, u8);

/// What happens between two batches: how many rechecks are taken, which of those that were are answered (counted around), and whether there is a checkpoint.
type Between = (usize, Vec<usize>, bool);

fn feed(engine: &mut Engine, number: usize, batch: &[Short]) {
    let of = |(at, (second, user)): (usize, &Short)| event(&format!("{number} {at}"), second * SECOND, &format!(r#"{{"r0":1,"u":"u{user}"}}"#));
    let events: Vec<Event> = batch.iter().enumerate().map(of).collect();
    engine.process(&events, &mut Vec::new());
    let now = Timestamp::from_nanos(TEN + i64::try_from(number).unwrap() * 6 * 3600 * SECOND);
    engine.advance(&Watermarks::everywhere(now, Duration::seconds(60)), &mut Vec::new());
}

fn keep(pieces: &mut Vec<JournalPiece>, piece: JournalPiece) {
    if piece.is_whole {
        pieces.clear();
    }
    if !piece.bytes.is_empty() {
        pieces.push(piece);
    }
}

fn check(batches: &[(Vec<Short>, Between)]) -> Result<usize, TestCaseError> {
    let mut engine = engine(rules(None));
    let (mut pieces, mut open, mut owed) = (Vec::new(), Vec::new(), 0);
    keep(&mut pieces, engine.take_journal().unwrap());
    for (number, (batch, (takes, answers, is_checkpoint))) in batches.iter().enumerate() {
        feed(&mut engine, number, batch);
        open.extend(engine.rechecks(*takes).into_iter().map(|recheck| recheck.number));
        for answer in answers {
            if !open.is_empty() {
                engine.answered(&[open.swap_remove(answer % open.len())]);
            }
        }
        if *is_checkpoint {
            keep(&mut pieces, engine.take_journal().unwrap());
            let expected = told(&engine);
            owed += expected.len();
            // Killed here: everything waits, in another set of rules as well.
            prop_assert_eq!(&told(&restored(rules(None), &pieces)), &expected);
            let mut again = restored(rules(Some("new")), &pieces);
            prop_assert_eq!(&told(&again), &expected);
            let spans = expected.values().map(Vec::len).sum::<usize>();
            prop_assert_eq!((again.stats().rechecks_waiting, again.rechecks(usize::MAX).len()), (spans, spans));
            // What is asked again is owed still, and the first piece that is written says so.
            let whole = again.take_journal().unwrap();
            prop_assert!(whole.is_whole);
            prop_assert_eq!(&told(&restored(rules(None), &[whole])), &expected);
        }
    }
    engine.answered(&open);
    let left: Vec<u64> = engine.rechecks(usize::MAX).into_iter().map(|recheck| recheck.number).collect();
    engine.answered(&left);
    keep(&mut pieces, engine.take_journal().unwrap());
    prop_assert_eq!(told(&restored(rules(None), &pieces)), Told::new());
    Ok(owed)
}

fn batches() -> impl Strategy<Value = Vec<(Vec<Short>, Between)>> {
    let shorts = prop::collection::vec((0_i64..48 * 3600, 0_u8..6), 0..8);
    let between = (0_usize..4, prop::collection::vec(0_usize..100, 0..3), any::<bool>());
    prop::collection::vec((shorts, between), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_kill_anywhere_loses_no_recheck(batches in batches()) {
        check(&batches)?;
    }
}

#[test]
fn what_was_taken_is_asked_again_until_its_answer_is_saved() {
    // Of two who come late, one is answered: by the next checkpoint only the other is owed.
    let late = |takes: usize, answers: usize| {
        vec![(vec![], (0, vec![], true)), (vec![], (0, vec![], true)), (vec![(5, 1), (5, 2)], (takes, vec![0; answers], true))]
    };
    for (takes, answers, expected) in [(0, 0, 4), (2, 0, 4), (4, 0, 4), (4, 1, 3), (4, 4, 0)] {
        assert_eq!(check(&late(takes, answers)).unwrap(), expected, "{takes} taken, {answers} answered");
    }
}

#[test]
fn what_was_taken_goes_over_to_the_next_set() {
    let mut old = engine(rules(None));
    (0..3).for_each(|number| feed(&mut old, number, if number == 2 { &[(5, 1)] } else { &[] }));
    let taken = old.rechecks(usize::MAX);
    assert_eq!(taken.len(), 2);
    let mut next = engine(rules(Some("new")));
    next.adopt(&mut old);
    let whole = next.take_journal().unwrap();
    assert_eq!(told(&restored(rules(None), std::slice::from_ref(&whole))).len(), 2);
    next.answered(&[taken[0].number]);
    let pieces = [whole, next.take_journal().unwrap()];
    let told = told(&restored(rules(None), &pieces));
    assert_eq!(told.keys().map(|key| key.starts_with(&taken[1].rule.id)).collect::<Vec<_>>(), [true]);
}

#[test]
fn journals_of_the_version_before_are_read() {
    let mut known = engine(rules(None));
    feed(&mut known, 0, &[(5, 1), (6, 1)]);
    let piece = known.take_journal().unwrap().bytes;
    for (version, is_read) in [(2, false), (3, true), (4, true), (5, false)] {
        let (mut bytes, check) = (piece.clone(), piece.len() - 8);
        bytes[0] = version;
        bytes.truncate(check);
        let mut hasher = blake3::Hasher::new();
        hasher.update(&bytes);
        bytes.extend(&hasher.finalize().as_bytes()[..8]);
        let mut engine = engine(rules(None));
        assert_eq!(engine.restore().piece(&bytes).is_ok(), is_read, "{version}");
        assert_eq!(engine.stats().groups_live, if is_read { known.stats().groups_live } else { 0 });
    }
}
