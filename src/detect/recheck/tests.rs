use super::*;
use crate::detect::engine::{Engine, EngineSettings};
use crate::detect::rule::{Comparison, CorrelationKind};
use crate::detect::sample::{TEN, correlation, event, set, simple};
use crate::detect::watermark::Watermarks;
use crate::model::{AlertId, Event, Finding};

const SECOND: i64 = 1_000_000_000;
const LATENESS: Duration = Duration::minutes(10);

/// `r0` alone, three of them in 60 s, fewer than two in 60 s, and `r0` then `r1` in 60 s, each by `u`.
fn rules() -> Arc<RuleSet> {
    let mut rules: Vec<Rule> = ["r0", "r1"].iter().map(|name| simple(name, &[&format!("{name}: 1")])).collect();
    rules.push(correlation("three", CorrelationKind::EventCount, &[0], &["u"], 60, &[(Comparison::Gte, 3.0)]));
    rules.push(correlation("few", CorrelationKind::EventCount, &[1], &["u"], 60, &[(Comparison::Lt, 2.0)]));
    rules.push(correlation("ordered", CorrelationKind::TemporalOrdered, &[0, 1], &["u"], 60, &[]));
    set(rules)
}

/// `r0@SECONDS` or `r1@SECONDS`, by alice; after a slash, another user.
fn at(spec: &str) -> Event {
    let (what, user) = spec.split_once('/').unwrap_or((spec, "alice"));
    let (rule, seconds) = what.split_once('@').unwrap();
    event(spec, seconds.parse::<i64>().unwrap() * SECOND, &format!(r#"{{"{rule}":1,"u":"{user}"}}"#))
}

fn show(finding: &Finding) -> String {
    let span = (finding.first.nanos() - TEN) / SECOND;
    let late = if finding.late { " late" } else { "" };
    let user = finding.group[0].1.as_deref().unwrap_or_default();
    format!("{} {user} {span}s x{}{late}", finding.rule.id, finding.count)
}

fn alive(out: &[Finding]) -> Vec<String> {
    let mut last: BTreeMap<AlertId, &Finding> = BTreeMap::new();
    out.iter().for_each(|finding| {
        last.insert(finding.id, finding);
    });
    let mut shown: Vec<String> = last.values().filter(|finding| finding.superseded_by.is_none()).map(|finding| show(finding)).collect();
    shown.sort();
    shown
}

/// Events on time, then time goes on a day, then late ones. What the engine itself says, and what it says once the rechecks are answered out of all
/// events; the same in another order of arrival.
fn check(on_time: &[&str], late: &[&str], asked: &[&str], expected: &[&str]) {
    let mut engine = Engine::new(rules(), EngineSettings::default());
    let mut out = Vec::new();
    let (on_time, late): (Vec<Event>, Vec<Event>) = (on_time.iter().map(|spec| at(spec)).collect(), late.iter().map(|spec| at(spec)).collect());
    engine.process(&on_time, &mut out);
    engine.advance(&Watermarks::everywhere(Timestamp::from_nanos(TEN + 86_400 * SECOND), LATENESS), &mut out);
    let before = alive(&out);
    engine.process(&late, &mut out);
    engine.advance(&Watermarks::everywhere(Timestamp::from_nanos(TEN + 90_000 * SECOND), LATENESS), &mut out);
    assert_eq!(alive(&out), before, "what is too late changes nothing in memory");
    let rechecks = engine.rechecks(usize::MAX);
    let seconds = |time: Timestamp| (time.nanos() - TEN) / SECOND;
    let told = rechecks.iter().map(|recheck| {
        format!("{} {} {}..{}", recheck.rule.id, recheck.group[0].1.as_deref().unwrap_or_default(), seconds(recheck.from), seconds(recheck.to))
    });
    assert_eq!(told.collect::<Vec<_>>(), asked);
    for recheck in rechecks {
        let case = Case::new(engine.rules(), &recheck.rule.id).unwrap();
        let mut retrial = Retrial::new(&case, recheck, &EngineSettings::default(), 1);
        for events in late.chunks(2).chain(on_time.chunks(2)) {
            retrial.take(events.to_vec());
        }
        let verdict = retrial.finish();
        assert!(verdict.is_settled);
        out.extend(verdict.findings);
    }
    assert_eq!(alive(&out), expected);
    assert!(engine.rechecks(usize::MAX).is_empty());
}

#[test]
fn late_events_are_judged_with_those_around_them() {
    check(&["r0@0", "r0@10"], &["r0@5"], &["three alice 5..5", "ordered alice 5..5"], &["three alice 0s x3 late"]);
    check(&[], &["r0@0", "r0@10", "r0@20"], &["three alice 0..20", "ordered alice 0..20"], &["three alice 0s x3 late"]);
    check(&["r0@0", "r0@10"], &["r0@5/bob"], &["three bob 5..5", "ordered bob 5..5"], &[]);
}

#[test]
fn an_alert_that_was_right_before_stays_and_is_not_told_again() {
    check(&["r0@0", "r0@10", "r0@20"], &["r0@300"], &["three alice 300..300", "ordered alice 300..300"], &["three alice 0s x3"]);
    check(&["r0@0", "r0@10", "r0@20"], &["r0@30"], &["three alice 30..30", "ordered alice 30..30"], &["three alice 0s x4 late"]);
}

#[test]
fn a_late_event_that_moves_an_anchor_supersedes() {
    // The anchor moves from the bucket of 11:00 into that of 10:00.
    let on_time = ["r0@3590", "r0@3602", "r0@3604", "r0@3620"];
    check(&on_time, &["r0@3580", "r0@3585"], &["three alice 3580..3585", "ordered alice 3580..3585"], &["three alice 3580s x6 late"]);
}

#[test]
fn a_window_with_too_few_is_withdrawn_or_found() {
    let asked = ["few alice 10..10", "ordered alice 10..10"];
    check(&["r1@0"], &["r1@10"], &asked, &[]);
    check(&[], &["r1@10"], &asked, &["few alice 10s x1 late"]);
    check(&["r0@0"], &["r1@10"], &asked, &["few alice 10s x1 late", "ordered alice 0s x2 late"]);
}

#[test]
fn what_is_late_but_still_in_memory_is_worked_in_there() {
    let mut engine = Engine::new(rules(), EngineSettings::default());
    let mut out = Vec::new();
    engine.process(&[at("r0@0"), at("r0@10")], &mut out);
    engine.advance(&Watermarks::everywhere(Timestamp::from_nanos(TEN + 2000 * SECOND), LATENESS), &mut out);
    engine.process(&[at("r0@5")], &mut out);
    assert_eq!(alive(&out), ["three alice 0s x3 late"]);
    assert!(engine.rechecks(usize::MAX).is_empty());
}

#[test]
fn neighbours_are_joined_and_what_has_no_room_is_counted() {
    let ask = |user: &str, from: i64, id: u8| Ask {
        key: (0, TenantId::default(), ClusterId::default(), vec![(Arc::from("u"), Some(Arc::from(user)))]),
        from,
        to: from,
        reach: 10,
        late: Some(EventId([id; 16])),
    };
    let header = crate::detect::sample::header("r", crate::model::RuleType::Single);
    let mut rechecks = Rechecks::default();
    for (user, from) in [("alice", 0), ("alice", 8), ("bob", 5), ("alice", 30), ("alice", -9)] {
        rechecks.ask(ask(user, from, 1));
    }
    let taken = rechecks.take(usize::MAX, |_| Some((Arc::clone(&header), Timestamp::default())));
    let told: Vec<String> = taken
        .iter()
        .map(|recheck| {
            let user = recheck.group[0].1.as_deref().unwrap_or_default();
            format!("{user} {}..{} {}", recheck.from.nanos(), recheck.to.nanos(), recheck.late.len())
        })
        .collect();
    assert_eq!(told, ["alice -9..8 4", "alice 30..30 4", "bob 5..5 1"]);
    for number in 0..RECHECKS_MAX + 7 {
        rechecks.ask(ask(&format!("u{number}"), 0, 1));
    }
    assert_eq!((rechecks.len(), rechecks.overflowed), (RECHECKS_MAX, 7));
    let mut rechecks = Rechecks::default();
    (0..=LATE_EVENTS_MAX).for_each(|number| rechecks.ask(ask("alice", 0, u8::try_from(number % 256).unwrap())));
    let taken = rechecks.take(1, |_| Some((Arc::clone(&header), Timestamp::default())));
    assert!(taken[0].late.is_empty(), "more than are named: none is");
}

#[test]
fn what_stands_on_late_alerts_is_judged_again_too() {
    let mut rules: Vec<Rule> = vec![simple("r0", &["r0: 1"])];
    rules.push(correlation("two", CorrelationKind::EventCount, &[0], &["u"], 60, &[(Comparison::Gte, 2.0)]));
    rules.push(correlation("users", CorrelationKind::ValueCount, &[1], &[], 600, &[(Comparison::Gte, 2.0)]));
    if let Body::Correlation(body) = &mut rules[2].body {
        body.count_fields = vec![FieldRef::parse("u").unwrap()];
    }
    let mut engine = Engine::new(set(rules), EngineSettings::default());
    let known = ["r0@0", "r0@10", "r0@100/bob"].map(at);
    engine.process(&known, &mut Vec::new());
    engine.advance(&Watermarks::everywhere(Timestamp::from_nanos(TEN + 86_400 * SECOND), LATENESS), &mut Vec::new());
    let late = at("r0@90/bob");
    engine.process(std::slice::from_ref(&late), &mut Vec::new());
    let rechecks = engine.rechecks(usize::MAX);
    let [recheck] = rechecks.as_slice() else { panic!("{rechecks:?}") };
    assert_eq!((recheck.rule.id.as_str(), recheck.group.len()), ("users", 0));
    let case = Case::new(engine.rules(), "users").unwrap();
    let mut retrial = Retrial::new(&case, recheck.clone(), &EngineSettings::default(), 1);
    retrial.take(known.into_iter().chain([late]).collect());
    let told: Vec<String> =
        retrial.finish().findings.iter().map(|finding| format!("{} x{} {}", finding.rule.id, finding.count, finding.late)).collect();
    assert_eq!(told, ["users x2 true"]);
}
