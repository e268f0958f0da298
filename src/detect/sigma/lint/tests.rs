//! What a reviewer says of rules, as tables.

use std::sync::Arc;

use super::*;
use crate::detect::sigma::{Settings, parse};

/// The codes of what is said of a rule whose head is complete.
fn check(detection: &str, expected: &[&str]) {
    let text = format!(
        "title: t\nid: 00000000-0000-4000-8000-000000000000\nstatus: stable\ndescription: d\ntags: [attack.t1609]\nfalsepositives: [x]\nlevel: low\nlogsource: {{product: kubernetes, service: audit}}\nbartizan: {{title: \"{{actor.user.name}}\"}}\ndetection:\n{detection}"
    );
    let (rules, errors) = parse(&[(Arc::from("r.yml"), text)], &Settings::default());
    assert!(errors.is_empty(), "{errors:?}");
    let codes: Vec<&str> = lint(&rules).iter().map(|diagnostic| diagnostic.code).collect();
    assert_eq!(codes, expected, "{detection}");
}

#[test]
fn what_a_reviewer_would_say() {
    check("  a: {verb: get}\n  condition: a\n", &[]);
    check("  a: {verb: get}\n  b: {verb: list}\n  condition: a\n", &["unused-selection"]);
    check("  a: {verb: get}\n  condition: not a\n", &["only-negations"]);
    check("  a: {verb: null}\n  condition: a\n", &["only-negations"]);
    check("  a: {verb|neq: get}\n  b: {user.uid|exists: false}\n  condition: a or b\n", &["only-negations"]);
    check("  a: {verb|neq: get}\n  b: {verb: x}\n  c: {verb: y}\n  condition: 2 of them\n", &[]);
    check("  a: {verb|neq: get}\n  b: {verb: x}\n  c: {verb: null}\n  condition: 2 of them\n", &["only-negations"]);
    check("  a: {hostPort: x, objectRef.name: y, raw.verb: z}\n  condition: a\n", &["strange-field"]);
    check("  a: {verb: create, objectRef.subresource: exec}\n  condition: a\n", &["exec-verb"]);
    check("  a: {verb: [get, create], objectRef.subresource: exec}\n  condition: a\n", &[]);
}

#[test]
fn a_head_without_its_parts() {
    let text = "title: t\nid: 00000000-0000-4000-8000-000000000000\nlogsource: {product: kubernetes, service: audit}\ndetection:\n  a: {verb: get}\n  condition: a\n";
    let (rules, _) = parse(&[(Arc::from("r.yml"), text.to_owned())], &Settings::default());
    let codes: Vec<&str> = lint(&rules).iter().map(|diagnostic| diagnostic.code).collect();
    assert_eq!(codes, ["no-description", "no-falsepositives", "no-technique", "no-status", "no-title-template"]);
}

#[test]
fn the_built_in_pack_leaves_nothing_to_say() {
    let settings = Settings { lists: crate::detect::pack::lists(), ..Settings::default() };
    let (rules, errors) = parse(&crate::detect::pack::rules(), &settings);
    let said: Vec<String> = errors.iter().chain(&lint(&rules)).map(ToString::to_string).collect();
    assert!(said.is_empty(), "{}", said.join("\n"));
}

#[test]
fn tags_are_those_of_attack() {
    for (tag, expected) in [
        ("attack.t1609", true),
        ("attack.t1059.004", true),
        ("attack.credential-access", true),
        ("attack.stealth", true),
        ("attack.g0016", true),
        ("attack.ta0006", true),
        ("attack.t16", false),
        ("attack.t1059.4", false),
        ("attack.credential_access", false),
        ("attack.T1609", false),
        ("attack.", false),
    ] {
        assert_eq!(is_attack(tag), expected, "{tag}");
    }
}

#[test]
fn bounds_can_be_impossible() {
    use Comparison::{Eq, Gt, Gte, Lt, Lte, Neq};
    for (bounds, expected) in [
        (vec![], false),
        (vec![(Gte, 3.0)], false),
        (vec![(Gte, 3.0), (Lt, 3.0)], true),
        (vec![(Gt, 2.0), (Lt, 4.0)], false),
        (vec![(Gt, 2.0), (Lt, 4.0), (Neq, 3.0)], true),
        (vec![(Lt, 0.0)], true),
        (vec![(Lte, 0.0)], false),
        (vec![(Eq, 2.0), (Eq, 3.0)], true),
        (vec![(Neq, 2.0), (Neq, 3.0)], false),
    ] {
        assert_eq!(is_impossible(&bounds), expected, "{bounds:?}");
    }
}
