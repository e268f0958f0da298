//! Beyond the table: array scopes, as they are proposed for the specification.

use super::Row::{Matches, Rejected};
use super::{Rows, check};

const ROWS: Rows = &[
    (
        "any: every condition holds of the same element",
        Matches(
            "s: {'c[any]': {protocol: TCP, ip|cidr: 10.0.0.0/8}}\n  condition: s",
            &[r#"{"c":[{"protocol":"udp","ip":"10.0.0.1"},{"protocol":"tcp","ip":"10.0.0.2"}]}"#],
            &[
                r#"{"c":[{"protocol":"tcp","ip":"1.1.1.1"},{"protocol":"udp","ip":"10.0.0.2"}]}"#,
                r#"{"c":[]}"#,
                r#"{"c":{"protocol":"tcp","ip":"10.0.0.1"}}"#,
                "{}",
            ],
        ),
    ),
    ("without a scope: of any elements", Matches("s: {c.a: 1, c.b: 2}\n  condition: s", &[r#"{"c":[{"a":1,"b":1},{"a":2,"b":2}]}"#], &[])),
    (
        "all: of every element, and there is one",
        Matches(
            "s: {'c[all]': {p: x}}\n  condition: s",
            &[r#"{"c":[{"p":"x"},{"p":"X"}]}"#],
            &[r#"{"c":[{"p":"x"},{"p":"y"}]}"#, r#"{"c":[{"p":"x"},{}]}"#, r#"{"c":[]}"#, "{}"],
        ),
    ),
    (
        "all_or_empty",
        Matches(
            "s: {'c[all_or_empty]': {p: x}}\n  condition: s",
            &[r#"{"c":[{"p":"x"}]}"#, r#"{"c":[]}"#, "{}"],
            &[r#"{"c":[{"p":"x"},{"p":"y"}]}"#],
        ),
    ),
    (
        "none",
        Matches(
            "s: {'c[none]': {p: x, q: y}}\n  condition: s",
            &["{}", r#"{"c":[]}"#, r#"{"c":[{"p":"x"},{"q":"y"}]}"#],
            &[r#"{"c":[{"p":"z"},{"p":"x","q":"y"}]}"#],
        ),
    ),
    (
        "a place",
        Matches(
            "s: {'args[0]|endswith': sh, 'args[1]': '-c'}\n  condition: s",
            &[r#"{"args":["/bin/sh","-c","x"]}"#],
            &[r#"{"args":["-c","/bin/sh"]}"#, r#"{"args":["/bin/sh"]}"#],
        ),
    ),
    (
        "dots behind a selector",
        Matches(
            "s: {'spec.containers[all].image|startswith': good/}\n  condition: s",
            &[r#"{"spec":{"containers":[{"image":"good/a"},{"image":"good/b"}]}}"#],
            &[r#"{"spec":{"containers":[{"image":"good/a"},{"image":"bad/b"}]}}"#],
        ),
    ),
    (
        "elements that are no maps",
        Matches(
            "s: {'g[all]|startswith': 'system:'}\n  condition: s",
            &[r#"{"g":["system:a","system:b"]}"#],
            &[r#"{"g":["system:a","dev"]}"#, r#"{"g":"system:a"}"#],
        ),
    ),
    (
        "a dot is the element itself",
        Matches("s: {'g[any]': {'.|startswith': a, '.|endswith': z}}\n  condition: s", &[r#"{"g":["b","a-z"]}"#], &[r#"{"g":["a-b","b-z"]}"#]),
    ),
    (
        "scopes within scopes",
        Matches(
            "s: {'c[any]': {name: web, 'ports[any]': {port: 22, proto: tcp}}}\n  condition: s",
            &[r#"{"c":[{"name":"db","ports":[]},{"name":"web","ports":[{"port":80,"proto":"tcp"},{"port":22,"proto":"tcp"}]}]}"#],
            &[
                r#"{"c":[{"name":"db","ports":[{"port":22,"proto":"tcp"}]},{"name":"web","ports":[{"port":80,"proto":"tcp"}]}]}"#,
                r#"{"c":[{"name":"web","ports":[{"port":22,"proto":"udp"},{"port":80,"proto":"tcp"}]}]}"#,
            ],
        ),
    ),
    (
        "selectors one behind another",
        Matches("s: {'c[all].p[any]': 22}\n  condition: s", &[r#"{"c":[{"p":[1,22]},{"p":[22]}]}"#], &[r#"{"c":[{"p":[1,22]},{"p":[1]}]}"#]),
    ),
    (
        "a list of maps is OR, of one element",
        Matches("s: {'c[all]': [{a: 1, b: 2}, {d: 3}]}\n  condition: s", &[r#"{"c":[{"a":1,"b":2},{"d":3}]}"#], &[r#"{"c":[{"a":1},{"d":3}]}"#]),
    ),
    (
        "selections and a condition below",
        Matches(
            "s: {'c[any]': {x: {a: 1}, y: {b: 2}, condition: x and not y}}\n  condition: s",
            &[r#"{"c":[{"a":1,"b":2},{"a":1}]}"#],
            &[r#"{"c":[{"a":1,"b":2}]}"#, r#"{"c":[{"b":3}]}"#],
        ),
    ),
    (
        "what is missing in an element",
        Matches(
            "s: {'c[any]': {a: 1, b: null, d|exists: false, e|neq: x}}\n  condition: s",
            &[r#"{"c":[{"a":1,"e":"x"},{"a":1,"b":null}]}"#],
            &[r#"{"c":[{"a":1,"b":2},{"a":1,"d":0},{"a":1,"e":"x"},{"b":null}]}"#],
        ),
    ),
    (
        "objects are there, and are values",
        Matches(
            "s: {'c[any]': {a|exists: true, b: '*', n: 1}}\n  condition: s",
            &[r#"{"c":[{"a":{},"b":{"x":{"y":1}},"n":1}]}"#, r#"{"c":[{"a":null,"b":[1],"n":1}]}"#],
            &[r#"{"c":[{"a":1,"n":1},{"b":1,"n":1}]}"#, r#"{"c":[{"a":1,"b":null,"n":1}]}"#],
        ),
    ),
    (
        "lists within lists: the innermost elements",
        Matches("s: {'c[any]': {a: 1, b: 2}}\n  condition: s", &[r#"{"c":[[{"a":1}],[{"a":1,"b":2}]]}"#], &[r#"{"c":[[{"a":1},{"b":2}]]}"#]),
    ),
    (
        "every kind of test",
        Matches(
            "s: {'c[any]': {a|re|i: '^X', b|cased: Yy, d|gte: 5, e: 'm*n', f|hour: 3, g|windash|contains: ' -a'}}\n  condition: s",
            &[r#"{"c":[{"a":"xx","b":"Yy","d":7,"e":"mon","f":"2026-01-01T03:00:00Z","g":"x /a"}]}"#],
            &[r#"{"c":[{"a":"xx","b":"yy","d":7,"e":"mon","f":"2026-01-01T03:00:00Z","g":"x /a"}]}"#],
        ),
    ),
    (
        "a bracket that is part of a name",
        Matches(
            r"s: {'c\[any\]': 1}
  condition: s",
            &[r#"{"c[any]":1}"#],
            &[r#"{"c":[1]}"#],
        ),
    ),
    ("no such scope", Rejected("s: {'c[some]': 1}\n  condition: s", "bad-array-scope")),
    ("never closed", Rejected("s: {'c[any': 1}\n  condition: s", "bad-array-scope")),
    ("a place out of reach", Rejected("s: {'c[10000]': 1}\n  condition: s", "bad-array-scope")),
    ("a place from the end", Rejected("s: {'c[-1]': 1}\n  condition: s", "bad-array-scope")),
    ("something behind a selector", Rejected("s: {'c[any]x': 1}\n  condition: s", "bad-array-scope")),
    ("a modifier of a map", Rejected("s: {'c[any]|contains': {a: 1}}\n  condition: s", "bad-array-scope")),
    ("a normalised field", Rejected("s: {'pod.images[any]': a}\n  condition: s", "bad-array-scope")),
    ("words of an element", Rejected("s: {'c[any]': {'|all': [a, b]}}\n  condition: s", "bad-keywords")),
    ("another field of an element", Rejected("s: {'c[any]': {a|fieldref: b}}\n  condition: s", "bad-array-scope")),
    ("an empty map", Rejected("s: {'c[any]': {}}\n  condition: s", "empty-selection")),
    ("nine deep", Rejected("s: {'c[any].c[any].c[any].c[any].c[any].c[any].c[any].c[any].c[any]': 1}\n  condition: s", "bad-array-scope")),
];

#[test]
fn array_scopes_look_at_one_element() {
    for (name, row) in ROWS {
        check(name, *row);
    }
}

#[test]
fn evidence_is_the_element() {
    let (text, json) = ("s: {'c[any]': {a: 1, b: 2}}\n  condition: s", r#"{"c":[{"a":1},{"a":1,"b":2}]}"#);
    let rule = format!("title: t\nid: a\nlevel: low\ndetection:\n  {text}\n");
    let (rules, _) = super::parse(&[("r.yml".into(), rule)], &super::Settings::default());
    let (mut matcher, _) = super::Matcher::new(&rules);
    let event = super::event("e", 0, json);
    matcher.find(&event, &mut Vec::new());
    let shown: Vec<String> = matcher.evidence(&event, 0).into_iter().map(|found| format!("{}={}", found.field, found.value)).collect();
    assert_eq!(shown, [r#"c={"a":1,"b":2}"#]);
    assert_eq!(matcher.always().count(), 0, "an element's tests lead to the rule");
}
