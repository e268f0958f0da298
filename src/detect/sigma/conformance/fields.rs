//! Keywords, conditions and the names of fields.

use super::Row::Matches;
use super::Rows;

pub(super) const ROWS: Rows = &[
    (
        "keywords list = OR over the event",
        Matches(
            "s: [mimikatz, sekurlsa]\n  condition: s",
            &[r#"{"a":{"b":"run MIMIKATZ now"}}"#, r#"{"a":["x","sekurlsa::"]}"#],
            &[r#"{"a":"mimi katz"}"#],
        ),
    ),
    ("keywords: not in keys", Matches("s: [mimikatz]\n  condition: s", &[r#"{"a":"mimikatz"}"#], &[r#"{"mimikatz":"a"}"#])),
    ("keywords '|all'", Matches("s: {'|all': [foo, bar]}\n  condition: s", &[r#"{"a":"foo","b":"bar"}"#], &[r#"{"a":"foo"}"#])),
    ("keyword wildcard", Matches("s: ['foo*bar']\n  condition: s", &[r#"{"a":"x foo and bar y"}"#], &[r#"{"a":"bar foo"}"#])),
    (
        "condition: and/or/not/brackets",
        Matches(
            "a: {a: 1}\n  b: {b: 1}\n  c: {c: 1}\n  condition: (a or b) and not c",
            &[r#"{"a":1}"#, r#"{"b":1}"#],
            &[r#"{"a":1,"c":1}"#, r#"{"c":1}"#, "{}"],
        ),
    ),
    (
        "condition: precedence not>and>or",
        Matches(
            "a: {a: 1}\n  b: {b: 1}\n  c: {c: 1}\n  condition: a or b and not c",
            &[r#"{"a":1,"c":1}"#, r#"{"b":1}"#],
            &[r#"{"b":1,"c":1}"#, "{}"],
        ),
    ),
    (
        "condition: upper-case operators",
        Matches("a: {a: 1}\n  b: {b: 1}\n  condition: a AND NOT b OR b AND a", &[r#"{"a":1}"#, r#"{"a":1,"b":1}"#], &[r#"{"b":1}"#]),
    ),
    (
        "condition: 1 of pattern*",
        Matches("sel_a: {a: 1}\n  sel_b: {b: 1}\n  other: {c: 1}\n  condition: 1 of sel_*", &[r#"{"a":1}"#, r#"{"b":1}"#], &[r#"{"c":1}"#]),
    ),
    (
        "condition: all of pattern*",
        Matches("sel_a: {a: 1}\n  sel_b: {b: 1}\n  other: {c: 1}\n  condition: all of sel_*", &[r#"{"a":1,"b":1}"#], &[r#"{"a":1,"c":1}"#]),
    ),
    (
        "condition: 2 of pattern*",
        Matches(
            "sel_a: {a: 1}\n  sel_b: {b: 1}\n  sel_c: {c: 1}\n  condition: 2 of sel_*",
            &[r#"{"a":1,"c":1}"#, r#"{"a":1,"b":1,"c":1}"#],
            &[r#"{"a":1}"#],
        ),
    ),
    ("condition: 1 of them skips _names", Matches("a: {a: 1}\n  _b: {b: 1}\n  condition: 1 of them", &[r#"{"a":1}"#], &[r#"{"b":1}"#])),
    ("condition: all of them", Matches("a: {a: 1}\n  b: {b: 1}\n  condition: all of them", &[r#"{"a":1,"b":1}"#], &[r#"{"a":1}"#])),
    ("condition: list = OR", Matches("a: {a: 1}\n  b: {b: 1}\n  condition: [a, b]", &[r#"{"a":1}"#, r#"{"b":1}"#], &["{}"])),
    ("field: nested by dots", Matches("s: {a.b.c: x}\n  condition: s", &[r#"{"a":{"b":{"c":"x"}}}"#], &[r#"{"a":{"c":"x"}}"#])),
    ("field: flat dotted key", Matches("s: {a.b.c: x}\n  condition: s", &[r#"{"a.b.c":"x"}"#], &[r#"{"c":"x"}"#])),
    (
        "field: dotted key inside an object (K8s annotations/labels)",
        Matches(
            "s: {metadata.labels.app.kubernetes.io/name: x}\n  condition: s",
            &[r#"{"metadata":{"labels":{"app.kubernetes.io/name":"x"}}}"#],
            &[r#"{"metadata":{"labels":{"name":"x"}}}"#],
        ),
    ),
    ("field: array of scalars, any member", Matches("s: {a.b: x}\n  condition: s", &[r#"{"a":{"b":["y","x"]}}"#], &[r#"{"a":{"b":["y"]}}"#])),
    ("field: array of objects, any member", Matches("s: {a.b: x}\n  condition: s", &[r#"{"a":[{"b":"y"},{"b":"x"}]}"#], &[r#"{"a":[{"c":"x"}]}"#])),
    (
        "field: array of arrays of objects",
        Matches("s: {a.b: x}\n  condition: s", &[r#"{"a":[[{"b":"y"}],[{"b":"x"}]]}"#], &[r#"{"a":[[{"b":"y"}]]}"#]),
    ),
    (
        "field: name with spaces / special characters",
        Matches("s: {'a b-(c)/d@e': x}\n  condition: s", &[r#"{"a b-(c)/d@e":"x"}"#], &[r#"{"a b":"x"}"#]),
    ),
    ("field name is case-sensitive", Matches("s: {Field: x}\n  condition: s", &[r#"{"Field":"x"}"#], &[r#"{"field":"x"}"#, r#"{"FIELD":"x"}"#])),
    (
        "duplicate-free: one rule, many selections one match",
        Matches("a: {a: 1}\n  b: {b: 1}\n  c: [x]\n  condition: 1 of them", &[r#"{"a":1,"b":1,"c":"x"}"#], &["{}"]),
    ),
];
