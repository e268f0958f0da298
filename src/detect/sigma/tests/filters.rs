//! Filters: which rules they work on, what comes of their events, and what is wrong with them.

use super::*;
use crate::detect::matcher::Matcher;
use crate::detect::sample::event;

const RULES: &str = "\
title: one
id: a
name: first
level: low
logsource: {product: kubernetes, service: audit}
detection: {s: {verb: [create, delete]}, condition: s}
---
title: two
id: b
level: low
logsource: {product: kubernetes, service: audit}
detection: {s: {verb: create}, condition: s}
---
title: three
id: c
level: low
logsource: {product: bartizan}
detection: {s: {verb: create}, condition: s}
---
title: all of them
id: d
level: low
correlation: {type: event_count, rules: [a], group-by: [user], timespan: 5m, condition: {gte: 2}}
";

const CREATE: &str = r#"{"verb":"create","user":"adm_x"}"#;
const CREATE_OTHER: &str = r#"{"verb":"create","user":"bob"}"#;

fn with(filter: &str) -> (RuleSet, Vec<Diagnostic>) {
    with_settings(filter, &Settings::default())
}

fn with_settings(filter: &str, settings: &Settings) -> (RuleSet, Vec<Diagnostic>) {
    parse(&[(Arc::from("r.yml"), RULES.to_owned()), (Arc::from("f.yml"), filter.to_owned())], settings)
}

/// Ids of the rules that an event matches under a filter.
fn check(filter: &str, json: &str, expected: &str) {
    let (set, problems) = with(filter);
    assert_eq!(show_problems(&problems), "", "{filter}");
    assert_eq!(matches(&set, json), expected, "{filter} {json}");
}

fn matches(set: &RuleSet, json: &str) -> String {
    let (mut matcher, refused) = Matcher::new(set);
    assert!(refused.is_empty(), "{refused:?}");
    let mut found = Vec::new();
    matcher.find(&event("e", 0, json), &mut found);
    found.iter().map(|at| set.rules[*at as usize].header.id.as_str()).collect::<Vec<_>>().join(" ")
}

fn filter(rules: &str, condition: &str) -> String {
    format!(
        "title: admins\nid: f\nlogsource: {{product: kubernetes, service: audit}}\nfilter:\n  rules: {rules}\n  selection: {{user|startswith: adm_}}\n  condition: {condition}\n"
    )
}

#[test]
fn the_condition_holds_besides_the_rules_own() {
    check(&filter("[a]", "selection"), CREATE, "a b c");
    check(&filter("[a]", "selection"), CREATE_OTHER, "b c");
    check(&filter("[a]", "not selection"), CREATE, "b c");
    check(&filter("[a]", "not selection"), CREATE_OTHER, "a b c");
    check(&filter("[first, b]", "not selection"), CREATE, "c");
    check(&filter("first", "not selection"), CREATE, "b c");
    check(&filter("any", "not selection"), CREATE, "c");
    check(&filter("[any]", "not selection"), CREATE, "c");
    check(&filter("[a]", "not selection").replace("service: audit", ""), CREATE, "b c");
}

#[test]
fn two_filters_both_hold() {
    let second = filter("[b]", "selection").replace("id: f", "id: g").replace("adm_", "bob");
    let both = format!("{}---\n{second}", filter("any", "not selection"));
    check(&both, CREATE, "c");
    check(&both, CREATE_OTHER, "a b c");
    check(&both, r#"{"verb":"create","user":"eve"}"#, "a c");
}

#[test]
fn a_filter_is_one_node_for_all_its_rules() {
    let (set, _) = with(&filter("any", "not selection"));
    let filters: Vec<_> = set
        .rules
        .iter()
        .filter_map(|rule| match &rule.body {
            Body::Single(detection) => Some(&detection.filters),
            Body::Correlation(_) => None,
        })
        .flatten()
        .collect();
    assert_eq!(filters.len(), 2);
    assert!(Arc::ptr_eq(filters[0], filters[1]));
    assert_eq!((filters[0].id.as_str(), &*filters[0].file, filters[0].line), ("f", "f.yml", 1));
}

#[test]
fn what_is_wrong_has_its_place() {
    let check = |filter: &str, expected: &str| {
        let (set, problems) = with(filter);
        let shown: Vec<String> =
            problems.iter().map(|p| format!("{}:{} {} {}: {}", p.line, p.column, p.severity.name(), p.code, p.message)).collect();
        assert_eq!(shown.join("\n"), expected, "{filter}");
        // Whatever is wrong with a filter, rules run.
        assert_eq!(set.rules.len(), 4);
        set
    };
    let set = check(&filter("[a, nope]", "not selection"), "5:14 error unknown-rule: no rule has the id or name `nope`");
    assert_eq!(matches(&set, CREATE), "a b c", "a filter is refused whole");
    check(&filter("[d]", "selection"), "5:11 error filtered-correlation: `d` is a correlation, and a filter works on events");
    check(
        &filter("[a, c]", "selection"),
        "5:14 warning unmatched-logsource: rule `c` is for another log source than the filter, which does nothing to it",
    );
    check(&filter("[a, first]", "selection"), "5:14 warning repeated-value: `first` is a rule that stands in the list already");
    check(&filter("[]", "selection"), "5:10 error bad-value: a filter names 1 to 10000 rules, and this one 0");
    check(&filter("[[a]]", "selection"), "5:11 error bad-value: a rule is a list; an id or name is wanted");
    check(&filter("[a]", "not selektion"), "7:18 error bad-condition: no selection is called `selektion`");
    check(&filter("[a]", "selection").replace("startswith", "begins"), "6:15 error unknown-modifier: unknown modifier `begins`");
    check(&filter("[a]", "selection").replace("  rules: [a]\n", ""), "5:3 error missing-rules: the filter does not say of which rules");
    check(&filter("[a]", "selection").replace("  condition: selection\n", ""), "5:3 error missing-condition: the filter has no condition");
    let set = check(
        &filter("[a]", "not selection").replace("id: f\n", "id: f\nstatus: unsupported\n"),
        "3:9 error unsupported-status: the rule says of itself that it cannot be used in its current state",
    );
    assert_eq!(matches(&set, CREATE), "a b c");
    check(
        &filter("any", "selection").replace("kubernetes", "windows"),
        "1:1 warning unused-filter: no rule has a log source that the filter fits: it does nothing",
    );
    check(
        &filter("[a]", "selection").replace("logsource: {product: kubernetes, service: audit}\n", ""),
        "1:1 warning missing-logsource: the filter has no log source: rules of every log source fit",
    );
    check(
        &filter("[a]", "selection").replace("filter:", "detection: {s: {f: a}, condition: s}\nfilter:"),
        "4:12 error two-bodies: a document is a filter or a rule, not both",
    );
}

#[test]
fn a_filter_can_be_switched_off() {
    for (text, id) in [(filter("any", "not selection"), "f"), (filter("any", "not selection").replace("id: f\n", ""), "admins")] {
        let (set, problems) = with_settings(&text, &Settings { disable: vec![id.to_owned()], ..Settings::default() });
        assert_eq!(show_problems(&problems), "", "{id}");
        assert_eq!(matches(&set, CREATE), "a b c");
    }
}
