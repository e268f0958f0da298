//! What alerts say of why they are: by step, the selections that matched, on which fields and values.

use std::sync::Arc;

use super::{Engine, EngineSettings};
use crate::detect::sample::{event, with};
use crate::detect::sigma::{self, Settings};
use crate::model::{Event, Field};

/// A rule of `product: kubernetes` with this detection.
fn rule(id: u32, detection: &str) -> String {
    format!(
        "title: r{id}\nid: 00000000-0000-4000-8000-00000000000{id}\nname: r{id}\nlevel: low\nlogsource: {{product: kubernetes, service: audit}}\ndetection:\n{detection}"
    )
}

/// Each step of the alerts that these rules raise for these events.
#[track_caller]
fn check(documents: &[String], events: &[Event], expected: &[&str]) {
    let (rules, diagnostics) = sigma::parse(&[(Arc::from("rules.yml"), documents.join("---\n"))], &Settings::default());
    let errors: Vec<_> = diagnostics.iter().filter(|diagnostic| diagnostic.severity == sigma::Severity::Error).collect();
    assert_eq!(errors, Vec::<&sigma::Diagnostic>::new());
    let mut engine = Engine::new(Arc::new(rules), EngineSettings { is_finite: true, ..EngineSettings::default() });
    let mut out = Vec::new();
    engine.process(events, &mut out);
    engine.finish(&mut out);
    let steps = out.iter().flat_map(|finding| &finding.steps);
    let told: Vec<String> = steps
        .map(|step| {
            let matched: Vec<String> = step.matched.iter().map(|found| format!("{}: {}={}", found.selection, found.field, found.value)).collect();
            format!("{} {}", step.rule.chars().last().unwrap_or_default(), matched.join(", "))
        })
        .collect();
    assert_eq!(told, expected);
}

fn one(detection: &str, json: &str, expected: &[&str]) {
    check(&[rule(1, detection)], &[event("e", 0, json)], expected);
}

#[test]
fn selections_fields_and_values() {
    one("  s: {verb: get, name|contains: [eb, x]}\n  condition: s\n", r#"{"verb":"GET","name":"web-0"}"#, &["1 s: verb=GET, s: name=web-0"]);
    // Of a list the element that matched.
    one("  s: {groups|startswith: 'dev'}\n  condition: s\n", r#"{"groups":["ops","developers"]}"#, &["1 s: groups=developers"]);
    one("  s: {a|all: [x, y]}\n  condition: s\n", r#"{"a":["x","z","y"]}"#, &["1 s: a=x, s: a=y"]);
    one("  s: {code|gte: 400}\n  condition: s\n", r#"{"code":403}"#, &["1 s: code=403"]);
    one("  s: {a|fieldref: b}\n  condition: s\n", r#"{"a":"x","b":"x"}"#, &["1 s: a=x"]);
    // Every selection that matched and was asked for.
    one(
        "  s: {verb: get}\n  t: {name: x}\n  u: {name: y}\n  condition: s and (t or u)\n",
        r#"{"verb":"get","name":"y"}"#,
        &["1 s: verb=get, u: name=y"],
    );
    one("  s_a: {verb: get}\n  s_b: {name: y}\n  condition: 1 of s_*\n", r#"{"verb":"get","name":"y"}"#, &["1 s_a: verb=get, s_b: name=y"]);
}

#[test]
fn of_a_list_of_maps_only_those_that_match() {
    one("  s:\n    - {a: x, b: y}\n    - {c: z}\n  condition: s\n", r#"{"a":"x","b":"other","c":"z"}"#, &["1 s: c=z"]);
    one("  s:\n    - {a: x, b: y}\n    - {c: z}\n  condition: s\n", r#"{"a":"x","b":"y","c":"z"}"#, &["1 s: a=x, s: b=y, s: c=z"]);
}

#[test]
fn words_tell_the_field_they_were_found_in() {
    one("  k: [evil]\n  condition: k\n", r#"{"a":{"b":[{"c":"fine"},{"c":"some evil thing"}]}}"#, &["1 k: a.b.c=some evil thing"]);
    one("  k:\n    '|all': [one, two]\n  condition: k\n", r#"{"a":"one","b":"two"}"#, &["1 k: a=one, k: b=two"]);
}

#[test]
fn elements_are_told_whole() {
    let detection = "  s:\n    spec.containers[any]: {name: web, image|contains: evil}\n  condition: s\n";
    let json = r#"{"spec":{"containers":[{"name":"db","image":"evil"},{"name":"web","image":"evil:1"}]}}"#;
    one(detection, json, &[r#"1 s: spec.containers={"name":"web","image":"evil:1"}"#]);
}

#[test]
fn of_what_is_negated_or_missing_nothing_is_told() {
    one("  s: {verb: get}\n  n: {name: x}\n  condition: s and not n\n", r#"{"verb":"get","name":"y"}"#, &["1 s: verb=get"]);
    one("  s: {verb: get, name|neq: x}\n  condition: s\n", r#"{"verb":"get","name":"y"}"#, &["1 s: verb=get"]);
    one("  s: {verb: get, name: null}\n  condition: s\n", r#"{"verb":"get"}"#, &["1 s: verb=get"]);
    one("  s: {verb: get, name: null}\n  condition: s\n", r#"{"verb":"get","name":null}"#, &["1 s: verb=get, s: name=null"]);
    one("  s: {verb: get, name|exists: false}\n  condition: s\n", r#"{"verb":"get"}"#, &["1 s: verb=get"]);
    one("  n: {name: x}\n  condition: not n\n", r#"{"name":"y"}"#, &["1 "]);
}

#[test]
fn of_filters_what_is_not_negated_is_told() {
    let filtered = |filter: &str, expected: &str| {
        let head = "title: f\nid: 00000000-0000-4000-8000-00000000000f\nlogsource: {product: kubernetes, service: audit}\nfilter:\n  rules: any\n";
        let rules = [rule(1, "  s: {verb: get}\n  condition: s\n"), rule(2, "  s: {verb: never}\n  condition: s\n"), format!("{head}{filter}")];
        check(&rules, &[event("e", 0, r#"{"verb":"get","user":"bob","ip":"10.0.0.1"}"#)], &[expected]);
    };
    filtered("  f: {user: admin}\n  condition: not f\n", "1 s: verb=get");
    filtered("  f: {user: bob}\n  condition: f\n", "1 s: verb=get, f: f: user=bob");
    filtered("  f: {user: bob}\n  g: {ip: 10.9.9.9}\n  condition: f and not g\n", "1 s: verb=get, f: f: user=bob");
    filtered("  f: {user: [x, bob]}\n  g: {ip|cidr: 10.0.0.0/8}\n  condition: 1 of them\n", "1 s: verb=get, f: f: user=bob, f: g: ip=10.0.0.1");
}

#[test]
fn normalised_fields_are_told_by_their_names() {
    let event = with(event("e", 0, r#"{"x":1}"#), Field::K8sVerb, "create");
    check(&[rule(1, "  s: {k8s.verb: create}\n  condition: s\n")], &[event], &["1 s: k8s.verb=create"]);
}

#[test]
fn each_step_of_a_correlation_tells_its_own() {
    let correlation =
        |more: &str| format!("title: c\nid: 00000000-0000-4000-8000-00000000000c\nlevel: low\ncorrelation:\n  group-by: [u]\n  timespan: 1m\n{more}");
    let first = rule(1, "  s: {verb: get}\n  condition: s\n");
    let second = rule(2, "  k: [evil]\n  n: {name: x}\n  condition: k and not n\n");
    let events =
        [event("a", 0, r#"{"verb":"get","u":"a"}"#), event("b", 1, r#"{"note":"evil","u":"a"}"#), event("c", 2, r#"{"verb":"get","u":"a"}"#)];
    let ordered = correlation("  type: temporal_ordered\n  rules: [r1, r2]\n");
    check(&[first.clone(), second.clone(), ordered], &events, &["1 s: verb=get", "2 k: note=evil"]);
    let temporal = correlation("  type: temporal\n  rules: [r1, r2]\n");
    check(&[first.clone(), second, temporal], &events, &["1 s: verb=get", "2 k: note=evil", "1 s: verb=get"]);
    let count = correlation("  type: event_count\n  rules: [r1]\n  condition: {gte: 2}\n");
    check(&[first.clone(), count], &events, &["1 s: verb=get", "1 s: verb=get"]);
    let distinct = correlation("  type: value_count\n  rules: [r1]\n  condition: {gte: 1, field: verb}\n");
    check(&[first, distinct], &events, &["1 s: verb=get", "1 s: verb=get"]);
}
