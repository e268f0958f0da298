//! A flood of keys that an attacker makes up, while others go about a slow attack each: all of these are found, and memory stays where it is.
//!
//! In the suite with few keys and little room. With `FLOOD_KEYS_A_MINUTE` set, with so many, and the room that a service has.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::detect::engine::{Engine, EngineSettings, EngineStats};
use crate::detect::recheck::{Case, Recheck, Retrial, WIDTHS};
use crate::detect::rule::{Comparison, CorrelationKind, RuleSet};
use crate::detect::sample::{TEN, correlation, event, set, simple};
use crate::detect::watermark::Watermarks;
use crate::model::{AlertId, Duration, Event, Finding, Timestamp};

const SECOND: i64 = 1_000_000_000;
const MINUTES: i64 = 10;
const ATTACKS: i64 = 100;
const STEPS: i64 = 5;
/// Rechecks that are answered between two batches, as few as a busy service would.
const ANSWERS_MAX: usize = 64;

fn rules() -> Arc<RuleSet> {
    let rules =
        vec![simple("r0", &["r0: 1"]), correlation("five", CorrelationKind::EventCount, &[0], &["u"], 600, &[(Comparison::Gte, STEPS as f64)])];
    set(rules)
}

fn of(user: &str, nanos: i64) -> Event {
    event(&format!("{user} {nanos}"), nanos, &format!(r#"{{"r0":1,"u":"{user}"}}"#))
}

/// What an attack does: one thing every 110 seconds.
fn attack(number: i64) -> Vec<Event> {
    (0..STEPS).map(|step| of(&format!("attack{number}"), (number + step * 110) * SECOND)).collect()
}

/// Engine time in the flood, and what came of it.
struct Run {
    found: BTreeMap<AlertId, Finding>,
    stats: EngineStats,
    bytes_most: usize,
    seconds: f64,
    events: usize,
}

#[expect(clippy::disallowed_methods, reason = "a measurement is of the machine's time")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

/// `a_minute` events of others, each of a key of its own or of one of a few.
fn run(a_minute: i64, state_bytes_max: usize, is_flood: bool) -> Run {
    let mut settings = EngineSettings::default();
    settings.limits.state_bytes_max = state_bytes_max;
    let mut engine = Engine::new(rules(), settings.clone());
    let case = Case::new(engine.rules(), "five").unwrap();
    let mut attacks: Vec<Event> = (0..ATTACKS).flat_map(attack).collect();
    attacks.sort_by_key(|event| event.time);
    let mut attacks = attacks.into_iter().peekable();
    let mut run = Run { found: BTreeMap::new(), stats: EngineStats::default(), bytes_most: 0, seconds: 0.0, events: 0 };
    let a_second = a_minute / 60;
    for second in 0..MINUTES * 60 {
        let key = |number: i64| if is_flood { format!("k{}", second * a_second + number) } else { format!("k{}", number % 1000) };
        let mut events: Vec<Event> = (0..a_second).map(|number| of(&key(number), second * SECOND + number * SECOND / a_second)).collect();
        let end = Timestamp::from_nanos(TEN + (second + 1) * SECOND);
        while let Some(event) = attacks.next_if(|event| event.time < end) {
            events.push(event);
        }
        let mut out = Vec::new();
        let started = now();
        for batch in events.chunks(1000) {
            engine.process(batch, &mut out);
        }
        engine.advance(&Watermarks::everywhere(end, Duration::minutes(10)), &mut out);
        let rechecks = engine.rechecks(ANSWERS_MAX);
        run.seconds += started.elapsed().as_secs_f64();
        run.events += events.len();
        run.bytes_most = run.bytes_most.max(engine.stats().state_bytes);
        rechecks.into_iter().for_each(|recheck| out.extend(answer(&case, recheck, &settings, end)));
        run.found.extend(out.into_iter().map(|finding| (finding.id, finding)));
    }
    run.stats = engine.stats();
    run.found.retain(|_, finding| finding.group[0].1.as_deref().is_some_and(|user| user.starts_with("attack")));
    run
}

/// The store has what came so far; of the flood nobody has done enough to count.
fn answer(case: &Case, recheck: Recheck, settings: &EngineSettings, now: Timestamp) -> Vec<Finding> {
    let user = recheck.group[0].1.clone().unwrap_or_default();
    let Some(number) = user.strip_prefix("attack").and_then(|number| number.parse().ok()) else { return Vec::new() };
    let mut retrial = Retrial::new(case, recheck, settings, WIDTHS[0]);
    retrial.take(attack(number).into_iter().filter(|event| event.time < now).collect());
    retrial.finish().findings
}

fn check(a_minute: i64, state_bytes_max: usize) -> (Run, Run) {
    let (flooded, calm) = (run(a_minute, state_bytes_max, true), run(a_minute, state_bytes_max, false));
    for run in [&flooded, &calm] {
        assert_eq!(run.found.len() as i64, ATTACKS);
        assert!(run.found.values().all(|finding| finding.count as i64 == STEPS));
        assert!(run.bytes_most <= state_bytes_max, "{} bytes", run.bytes_most);
        assert_eq!(run.stats.rechecks_overflowed, 0);
    }
    assert!(flooded.stats.groups_evicted > 0);
    (flooded, calm)
}

#[test]
fn a_flood_of_keys_pushes_out_no_slow_attack() {
    let asked = std::env::vars().find(|(name, _)| name == "FLOOD_KEYS_A_MINUTE").map(|(_, count)| count.parse().unwrap());
    let (a_minute, bytes) = asked.map_or((6_000, 4 << 20), |count| (count, 256 << 20));
    let (flooded, calm) = check(a_minute, bytes);
    let rate = |run: &Run| run.events as f64 / run.seconds;
    if asked.is_some() {
        let share = 100.0 * rate(&flooded) / rate(&calm);
        let resident = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let resident = resident.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default().to_owned();
        println!(
            "{} events at {:.0} a second, {:.0} % of {:.0} over 1,000 keys; {} bytes of state at most; {} groups went; {} rechecks asked, {} left out; {resident}",
            flooded.events,
            rate(&flooded),
            share,
            rate(&calm),
            flooded.bytes_most,
            flooded.stats.groups_evicted,
            flooded.stats.rechecks_asked,
            flooded.stats.rechecks_overflowed,
        );
    }
}

/// At 4 of 5 it stays in memory, and the fifth raises the alert at once.
#[test]
fn what_is_about_to_be_told_goes_last() {
    let mut settings = EngineSettings::default();
    settings.limits.state_bytes_max = 1 << 20;
    let mut engine = Engine::new(rules(), settings);
    let mut out = Vec::new();
    engine.process(&(0..4).map(|at| of("slow", at)).collect::<Vec<_>>(), &mut out);
    for second in 1..100 {
        engine.process(&(0..200).map(|number| of(&format!("k{second}-{number}"), second * SECOND)).collect::<Vec<_>>(), &mut out);
    }
    let stats = engine.stats();
    assert!(stats.groups_evicted > 10_000 && stats.state_bytes <= 1 << 20, "{stats:?}");
    assert_eq!(out.len(), 0);
    engine.process(&[of("slow", 200 * SECOND)], &mut out);
    assert_eq!(out.iter().map(|finding| finding.count).collect::<Vec<_>>(), [5]);
}

/// A rule whose windows must close: what went before that is judged from the store once they have.
#[test]
fn a_window_that_went_before_it_closed_is_judged_from_the_store() {
    let rules = vec![simple("r0", &["r0: 1"]), correlation("few", CorrelationKind::EventCount, &[0], &["u"], 60, &[(Comparison::Lt, 2.0)])];
    let mut settings = EngineSettings::default();
    settings.limits.groups_max = 2;
    let mut engine = Engine::new(set(rules), settings.clone());
    let mut out = Vec::new();
    let events: Vec<Event> = ["a", "b", "c", "d"].iter().zip(0..).map(|(user, at)| of(user, at * SECOND)).collect();
    engine.process(&events, &mut out);
    let at = |seconds: i64| Watermarks::everywhere(Timestamp::from_nanos(TEN + seconds * SECOND), Duration::default());
    engine.advance(&at(59), &mut out);
    assert!(engine.rechecks(usize::MAX).is_empty() && out.is_empty());
    engine.advance(&at(100), &mut out);
    let rechecks = engine.rechecks(usize::MAX);
    assert_eq!((rechecks.len(), out.len()), (2, 2));
    let case = Case::new(engine.rules(), "few").unwrap();
    for recheck in rechecks {
        let mut retrial = Retrial::new(&case, recheck, &settings, WIDTHS[0]);
        retrial.take(events.clone());
        out.extend(retrial.finish().findings);
    }
    let mut users: Vec<&str> = out.iter().map(|finding| finding.group[0].1.as_deref().unwrap()).collect();
    users.sort_unstable();
    assert_eq!(users, ["a", "b", "c", "d"]);
}

/// Over two rules that take more than all may, the larger lets go.
#[test]
fn rules_share_what_all_may_take() {
    let mut rules = vec![simple("r0", &["r0: 1"])];
    for name in ["one", "two", "three"] {
        rules.push(correlation(name, CorrelationKind::EventCount, &[0], &["u"], 600, &[(Comparison::Gte, 5.0)]));
    }
    let mut settings = EngineSettings::default();
    settings.limits.state_bytes_max = 1 << 20;
    let mut engine = Engine::new(set(rules), settings);
    for second in 0..50 {
        engine.process(&(0..100).map(|number| of(&format!("k{second}-{number}"), second * SECOND)).collect::<Vec<_>>(), &mut Vec::new());
    }
    let stats = engine.stats();
    assert!(stats.state_bytes <= 1 << 20 && stats.state_bytes > 1 << 19, "{}", stats.state_bytes);
    assert_eq!(stats.evicted_by_rule.len(), 3, "{:?}", stats.evicted_by_rule);
}
