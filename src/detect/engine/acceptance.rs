//! What an engine must get right that others do not: lateness, clocks that run ahead, arrival order, repetition, rules without ids.

use std::sync::Arc;

use super::*;
use crate::detect::rule::{Comparison, CorrelationKind, Piece, Rule, Template};
use crate::detect::sample::{TEN, correlation, event, of_act, received, set, simple, with};
use crate::model::{ClusterId, Field, Timestamp};

const SECOND: i64 = 1_000_000_000;

/// `exec`, `shell` and `egress`, and over them by pod: in order within 5 m, all within 5 m, three in 60 s.
fn rules() -> Arc<RuleSet> {
    let mut rules: Vec<Rule> = ["exec", "shell", "egress"].iter().map(|what| simple(what, &[&format!("what: {what}")])).collect();
    rules.push(correlation("ordered", CorrelationKind::TemporalOrdered, &[0, 1, 2], &["pod"], 300, &[]));
    rules.push(correlation("all", CorrelationKind::Temporal, &[0, 1, 2], &["pod"], 300, &[(Comparison::Gte, 3.0)]));
    rules.push(correlation("count", CorrelationKind::EventCount, &[0, 1, 2], &["pod"], 60, &[(Comparison::Gte, 3.0)]));
    set(rules)
}

fn at(what: &str, seconds: i64) -> Event {
    event(&format!("{what}{seconds}"), seconds * SECOND, &format!(r#"{{"what":"{what}","pod":"web-0"}}"#))
}

/// One by one; each alert that is not superseded in the end: rule, count, and whether it is late.
fn check(events: &[Event], expected: &[&str]) {
    let mut engine = Engine::new(rules(), EngineSettings::default());
    assert_eq!(engine.refused(), []);
    let mut out = Vec::new();
    for event in events {
        engine.process(std::slice::from_ref(event), &mut out);
        engine.advance(&Watermarks::everywhere(event.time.min(event.origin.received), Duration::minutes(10)), &mut out);
    }
    let mut last: BTreeMap<_, &Finding> = BTreeMap::new();
    out.iter().for_each(|finding| {
        last.insert(finding.id, finding);
    });
    let alive = last.values().filter(|finding| finding.superseded_by.is_none());
    let mut told: Vec<String> =
        alive.map(|finding| format!("{} x{}{}", finding.rule.id, finding.count, if finding.late { " late" } else { "" })).collect();
    told.sort();
    assert_eq!(told, expected);
}

// The six rows that the nearest engine fails, each as a test: in order and out of it, an hour late, beside a fast clock, newest first,
// delivered three times, and rules that carry only a name.

#[test]
fn in_order_audit_last_and_reversed() {
    let (exec, shell, egress) = (at("exec", 0), at("shell", 100), at("egress", 200));
    let expected = ["all x3", "ordered x3"];
    check(&[exec.clone(), shell.clone(), egress.clone()], &expected);
    check(&[shell.clone(), egress.clone(), exec.clone()], &expected);
    check(&[egress.clone(), shell.clone(), exec.clone()], &expected);
    check(&[at("shell", 0), at("exec", 100), at("egress", 200)], &["all x3"]);
}

#[test]
fn an_hour_late() {
    let newer = received(at("shell", 3700), 3700);
    check(&[at("shell", 100), at("egress", 200), newer, at("exec", 0)], &["all x3 late", "ordered x3 late"]);
}

#[test]
fn a_clock_two_hours_ahead() {
    check(&[at("exec", 0), at("exec", 10), received(at("shell", 7200), 15), at("exec", 20)], &["count x4"]);
    let with_fast = [at("shell", 0), received(at("egress", 7215), 15), at("shell", 10), at("shell", 20)];
    check(&with_fast, &["count x4"]);
}

#[test]
fn an_alert_says_that_a_clock_ran_ahead() {
    let mut engine = Engine::new(rules(), EngineSettings::default());
    let mut out = Vec::new();
    engine.process(&[at("exec", 0), at("exec", 10), at("exec", 20)], &mut out);
    engine.process(&[received(at("shell", 7200), 15)], &mut out);
    let gaps: Vec<usize> = out.iter().map(|finding| finding.evidence_gaps.len()).collect();
    assert_eq!((gaps, engine.stats().clamped), (vec![0, 1], 1));
}

#[test]
fn newest_first_over_a_longer_span() {
    check(&[at("exec", 80), at("exec", 40), at("exec", 0)], &[]);
}

#[test]
fn delivered_three_times() {
    check(&[at("exec", 0), at("exec", 0), at("exec", 0)], &[]);
    let stages: Vec<Event> = (0..3).map(|at_s| of_act(at("exec", at_s), 7)).collect();
    check(&stages, &[]);
}

#[test]
fn rules_that_carry_only_a_name_correlate() {
    let rule = |what: &str| format!("title: {what}\nname: {what}\ndetection:\n  s: {{what: {what}}}\n  condition: s\n---\n");
    let over = |name: &str, kind: &str, timespan: &str, condition: &str| {
        format!(
            "title: {name}\nname: {name}\ncorrelation:\n  type: {kind}\n  rules: [exec, shell, egress]\n  group-by: [pod]\n  timespan: {timespan}\n{condition}---\n"
        )
    };
    let text: String = ["exec", "shell", "egress"].map(rule).into_iter().collect::<String>()
        + &over("ordered", "temporal_ordered", "5m", "")
        + &over("all", "temporal", "5m", "  condition: {gte: 3}\n")
        + &over("count", "event_count", "60s", "  condition: {gte: 3}\n");
    let (set, problems) = crate::detect::sigma::parse(&[(Arc::from("names.yml"), text)], &crate::detect::sigma::Settings::default());
    assert!(problems.iter().all(|problem| ["missing-id", "missing-level"].contains(&problem.code)), "{problems:?}");
    let mut engine = Engine::new(Arc::new(set), EngineSettings::default());
    let mut out = Vec::new();
    engine.process(&[at("exec", 0), at("shell", 10), at("egress", 20)], &mut out);
    let mut titles: Vec<&str> = out.iter().map(|finding| finding.rule.title.as_str()).collect();
    titles.sort_unstable();
    assert_eq!(titles, ["all", "count", "ordered"]);
}

#[test]
fn within_one_second_order_counts() {
    let nano = |what: &str, nanos: i64| event(what, nanos, &format!(r#"{{"what":"{what}","pod":"web-0"}}"#));
    check(&[nano("exec", 3), nano("shell", 2), nano("egress", 1)], &["all x3", "count x3"]);
    check(&[nano("exec", 1), nano("shell", 2), nano("egress", 3)], &["all x3", "count x3", "ordered x3"]);
    check(&[nano("exec", 1), nano("shell", 1), nano("egress", 1)], &["all x3", "count x3", "ordered x3"]);
}

#[test]
fn each_step_of_an_order_is_another_event() {
    let mut rules: Vec<Rule> = (0..2).map(|at| simple(&format!("r{at}"), &[&format!("r{at}: 1")])).collect();
    rules.push(correlation("ordered", CorrelationKind::TemporalOrdered, &[0, 1], &[], 60, &[]));
    let both = |name: &str| event(name, 0, r#"{"r0":1,"r1":1}"#);
    let mut engine = Engine::new(set(rules), EngineSettings::default());
    let mut out = Vec::new();
    engine.process(&[both("a")], &mut out);
    assert_eq!(out.len(), 0);
    engine.process(&[both("b")], &mut out);
    assert_eq!(out.len(), 1);
}

#[test]
fn an_event_without_the_group_field_is_not_counted() {
    let nameless: Vec<Event> = (0..3).map(|at| event(&format!("e{at}"), at, r#"{"what":"exec"}"#)).collect();
    check(&nameless, &[]);
}

fn story(rule: Rule, settings: EngineSettings, events: &[Event]) -> Vec<Finding> {
    let mut engine = Engine::new(set(vec![rule]), settings);
    let mut out = Vec::new();
    engine.process(events, &mut out);
    engine.finish(&mut out);
    out
}

#[test]
fn a_single_rule_fires_once_an_act_and_tells_the_story() {
    let mut rule = simple("exec", &["what: exec"]);
    rule.extras.title = Some(Template(vec![
        Piece::Field(FieldRef::Fact(Field::ActorUserName)),
        Piece::Text(" in ".to_owned()),
        Piece::Field(FieldRef::Fact(Field::K8sPod)),
    ]));
    let exec =
        |name: &str, at: i64| with(with(event(name, at * SECOND, r#"{"what":"exec"}"#), Field::ActorUserName, "alice"), Field::Entity, "user:alice");
    let events =
        [of_act(exec("stage2", 1), 1), of_act(exec("stage1", 0), 1), with(exec("other", 5), Field::K8sName, "thing"), of_act(exec("late", 7), 2)];
    let out = story(rule.clone(), EngineSettings::default(), &events);
    let told: Vec<String> = out
        .iter()
        .map(|f| {
            let group: Vec<String> = f.group.iter().map(|(name, value)| format!("{name}={}", value.as_deref().unwrap_or("null"))).collect();
            format!(
                "{} | x{} | {} | {:?} | {} events {} steps {}",
                f.title,
                f.count,
                group.join(" "),
                f.entities,
                f.events.len(),
                f.steps.len(),
                f.first
            )
        })
        .collect();
    let null = "cluster=default actor.user.name=alice k8s.namespace=null k8s.pod=null";
    let named = "cluster=default actor.user.name=alice k8s.namespace=null k8s.name=thing";
    assert_eq!(
        told,
        [
            format!("alice in ? | x2 | {null} | [\"user:alice\"] | 2 events 2 steps 2026-01-01T10:00:00Z"),
            format!("alice in ? | x1 | {named} | [\"user:alice\"] | 1 events 1 steps 2026-01-01T10:00:05Z"),
        ]
    );
    assert_eq!(out[0].steps[0].matched[0].value, "exec");
    assert_eq!(story(rule, EngineSettings { per_event: true, ..EngineSettings::default() }, &events).len(), 4);
}

#[test]
fn tenants_and_clusters_do_not_mix() {
    let mut other = at("exec", 1);
    other.cluster = "other".parse::<ClusterId>().unwrap();
    check(&[at("exec", 0), other, at("exec", 2)], &[]);
}

#[test]
fn rules_that_cannot_run_are_listed() {
    let mut rules = vec![simple("a", &["x: 1"]), correlation("c", CorrelationKind::EventCount, &[0], &[], 60, &[(Comparison::Gte, 2.0)])];
    rules.push(correlation("cc", CorrelationKind::EventCount, &[1], &["who"], 60, &[(Comparison::Gte, 2.0)]));
    rules.push(correlation("t", CorrelationKind::Temporal, &[0], &[], 60, &[(Comparison::Gt, 2.0)]));
    rules.push(correlation("o", CorrelationKind::EventCount, &[2, 6], &[], 60, &[(Comparison::Gte, 1.0)]));
    rules.push(correlation("s", CorrelationKind::ValueSum, &[0], &[], 60, &[(Comparison::Gte, 1.0)]));
    rules.push(correlation("me", CorrelationKind::EventCount, &[6], &[], 60, &[(Comparison::Gte, 1.0)]));
    let engine = Engine::new(Arc::new(RuleSet { rules }), EngineSettings::default());
    let told: Vec<String> = engine.refused().iter().map(|refused| format!("{}: {}", refused.rule, refused.reason)).collect();
    assert_eq!(
        told,
        [
            "2: it needs `who` of the alerts of `c`, which does not group by it",
            "3: it can never fire: of 1 rules, 3 are asked for",
            "4: it refers to `cc`, which cannot be run",
            "5: `value_sum` needs a field to count",
            "6: it refers to `me`, which does not come before it"
        ]
    );
    assert!(engine.explain(1).unwrap().to_string().contains("event_count within 60 s: >= 2\n  title of a (a)\n"));
    assert!(engine.explain(2).unwrap().to_string().contains("not run: "));
}

#[test]
fn what_is_unchanged_is_not_put_out_again() {
    let mut engine = Engine::new(rules(), EngineSettings::default());
    let mut out = Vec::new();
    let events = [at("exec", 0), at("exec", 1), at("exec", 2), at("exec", 3)];
    engine.process(&events, &mut out);
    assert_eq!(out.len(), 1);
    engine.process(&events, &mut out);
    engine.advance(&Watermarks::everywhere(Timestamp::from_nanos(TEN + 100 * SECOND), Duration::minutes(10)), &mut out);
    assert_eq!(out.len(), 1);
    engine.process(&[at("exec", -30)], &mut out);
    assert_eq!(out.iter().map(|finding| finding.count).collect::<Vec<_>>(), [4, 5]);
}
