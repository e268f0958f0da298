//! Clocks that are wrong, of producers and our own: honest producers miss nothing, and timers keep right.

use super::*;
use crate::detect::rule::{Comparison, CorrelationKind, Rule};
use crate::detect::sample::{TEN, correlation, event, received, set, simple};
use crate::model::Timestamp;

const SECOND: i64 = 1_000_000_000;
const HOUR: i64 = 3_600;
const YEAR: i64 = 365 * 24 * HOUR;
const LATENESS: Duration = Duration::minutes(10);

/// Three `exec` of a pod in 60 s, fewer than two `shell` of a pod in 60 s, and both within 60 s.
fn rules() -> Arc<RuleSet> {
    let mut rules: Vec<Rule> = ["exec", "shell"].iter().map(|what| simple(what, &[&format!("what: {what}")])).collect();
    rules.push(correlation("three", CorrelationKind::EventCount, &[0], &["pod"], 60, &[(Comparison::Gte, 3.0)]));
    rules.push(correlation("few", CorrelationKind::EventCount, &[1], &["pod"], 60, &[(Comparison::Lt, 2.0)]));
    rules.push(correlation("both", CorrelationKind::TemporalOrdered, &[0, 1], &["pod"], 60, &[]));
    set(rules)
}

/// What a pod does at a time by its own clock, in seconds after ten, received by ours at another.
fn of(pod: &str, what: &str, at: i64, received_at: i64) -> Event {
    let json = format!(r#"{{"what":"{what}","pod":"{pod}"}}"#);
    received(event(&format!("{pod}{what}{at}/{received_at}"), at * SECOND, &json), received_at)
}

/// Two honest pods do the same thing every other minute for half an hour: three `exec`, then one `shell`.
fn honest(turn: i64) -> Vec<Event> {
    let now = turn * 120;
    let one = |pod: &'static str| [(0, "exec"), (5, "exec"), (10, "exec"), (15, "shell")].map(|(s, what)| of(pod, what, now + s, now + s));
    one("a").into_iter().chain(one("b")).collect()
}

/// The last word on what is told of honest pods: rule, pod, first second, count.
fn told(out: &[Finding]) -> Vec<String> {
    let mut last: BTreeMap<_, &Finding> = BTreeMap::new();
    out.iter().for_each(|finding| {
        last.insert(finding.id, finding);
    });
    let is_honest = |finding: &&&Finding| finding.superseded_by.is_none() && ["a", "b"].contains(&finding.group[0].1.as_deref().unwrap());
    let show = |finding: &&Finding| {
        format!("{} {} {} x{}", finding.rule.id, finding.group[0].1.as_deref().unwrap(), (finding.first.nanos() - TEN) / SECOND, finding.count)
    };
    let mut told: Vec<String> = last.values().filter(is_honest).map(show).collect();
    told.sort();
    told
}

/// Runs half an hour of honest pods with what `wrong` adds each time, and what `watermark` makes of the time in seconds.
fn run(wrong: impl Fn(i64) -> Vec<Event>, watermark: impl Fn(i64) -> i64) -> (Vec<String>, EngineStats) {
    let mut engine = Engine::new(rules(), EngineSettings::default());
    let mut out = Vec::new();
    for turn in 0..15 {
        let mut events = wrong(turn);
        events.extend(honest(turn));
        for event in events {
            engine.process(std::slice::from_ref(&event), &mut out);
        }
        let time = Timestamp::from_nanos(TEN + watermark(turn * 120 + 15) * SECOND);
        engine.advance(&Watermarks::everywhere(time, LATENESS), &mut out);
    }
    let end = Timestamp::from_nanos(TEN + 10 * HOUR * SECOND);
    engine.advance(&Watermarks::everywhere(end, LATENESS), &mut out);
    (told(&out), engine.stats())
}

#[test]
fn producers_with_wrong_clocks_cost_the_honest_nothing() {
    let (expected, _) = run(|_| Vec::new(), |now| now);
    assert_eq!(expected.len(), 6, "{expected:?}");
    for (skew, clamped, late) in [(YEAR, true, false), (-YEAR, false, true), (HOUR, true, false), (-HOUR, false, true)] {
        // The wrong clock is another pod's, and then that of one more source of the same pods.
        for pod in ["c", "a"] {
            let wrong = |turn: i64| {
                let now = turn * 120 + 1;
                let event = |what| of(pod, what, now + skew, now);
                if pod == "c" { vec![event("exec"), event("shell")] } else { vec![event("other")] }
            };
            let (found, stats) = run(wrong, |now| now);
            assert_eq!(found, expected, "{pod} {skew}");
            if pod == "c" {
                assert_eq!((stats.clamped > 0, stats.late > 0), (clamped, late), "{pod} {skew}");
            }
        }
    }
}

#[test]
fn an_event_of_a_fast_clock_counts_when_it_was_received_and_says_so() {
    for skew in [HOUR, YEAR] {
        let mut engine = Engine::new(rules(), EngineSettings::default());
        let mut out = Vec::new();
        let events = [of("a", "exec", 0, 0), of("a", "exec", 10 + skew, 10), of("a", "exec", 20, 20)];
        events.iter().for_each(|event| engine.process(std::slice::from_ref(event), &mut out));
        assert_eq!(told(&out), ["three a 0 x3"]);
        assert_eq!(out.last().map(|finding| finding.evidence_gaps.len()), Some(1));
    }
}

#[test]
fn a_slow_clock_is_late_and_what_is_past_all_memory_is_asked_for_from_the_store() {
    let mut engine = Engine::new(rules(), EngineSettings::default());
    let mut out = Vec::new();
    engine.process(&[of("a", "exec", 2 * HOUR, 2 * HOUR)], &mut out);
    engine.advance(&Watermarks::everywhere(Timestamp::from_nanos(TEN + 2 * HOUR * SECOND), LATENESS), &mut out);
    // An hour behind: late, and still in memory. A year: the store has to say.
    engine.process(&[of("a", "exec", HOUR, 2 * HOUR)], &mut out);
    assert_eq!((engine.stats().late, engine.rechecks(usize::MAX).len()), (1, 0));
    engine.process(&[of("a", "exec", 2 * HOUR - YEAR, 2 * HOUR)], &mut out);
    assert_eq!((engine.stats().late, engine.rechecks(usize::MAX).len()), (2, 2));
}

#[test]
fn a_leap_second_is_no_gap() {
    // `:60` counts as the second before it, so that what comes after does not go back in time.
    let time = |text: &str| Timestamp::parse(text).unwrap();
    let (before, leap, after) = (time("2016-12-31T23:59:59.5Z"), time("2016-12-31T23:59:60.5Z"), time("2017-01-01T00:00:01Z"));
    assert!(before <= leap && leap < after);
    let mut engine = Engine::new(rules(), EngineSettings::default());
    let mut out = Vec::new();
    for (number, time) in [before, leap, after].into_iter().enumerate() {
        let mut event = of("a", "exec", i64::try_from(number).unwrap(), 0);
        event.time = time;
        engine.process(&[event], &mut out);
    }
    assert_eq!(out.iter().map(|finding| finding.count).collect::<Vec<u64>>(), [3]);
}

#[test]
fn our_clock_that_jumps_moves_no_timer() {
    let (expected, _) = run(|_| Vec::new(), |now| now);
    // Time is that of events: what we think the time is says only when an event is ahead of it, and when a source is idle. A clock that is
    // set back stands still for the engine: `clock` sees to that.
    for jump in [24 * HOUR, -240] {
        let mut engine = Engine::new(rules(), EngineSettings::default());
        let mut out = Vec::new();
        for turn in 0..15 {
            for event in honest(turn) {
                let ours = (event.time.nanos() - TEN) / SECOND + if turn > 7 { jump } else { 0 };
                engine.process(&[received(event, ours)], &mut out);
            }
            let now = Timestamp::from_nanos(TEN + (turn * 120 + 15) * SECOND);
            engine.advance(&Watermarks::everywhere(now, LATENESS), &mut out);
        }
        let end = Timestamp::from_nanos(TEN + 10 * HOUR * SECOND);
        engine.advance(&Watermarks::everywhere(end, LATENESS), &mut out);
        assert_eq!(told(&out), expected, "{jump}");
    }
}
