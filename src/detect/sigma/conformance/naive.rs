//! Array scopes against a plain reading of the record as a tree.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Map, Value};

use crate::detect::matcher::Matcher;
use crate::detect::sample::event;
use crate::detect::sigma::{Settings, parse};

/// What is asked of an element, as YAML and as a plain function.
type Ask = (&'static str, fn(&Value) -> bool);

const ASKS: [Ask; 8] = [
    ("a: x", |element| is(element, &["a"], "x")),
    ("a: x, b: y", |element| is(element, &["a"], "x") && is(element, &["b"], "y")),
    ("a|exists: true", |element| !at(element, &["a"]).is_empty()),
    ("a: null, b: x", |element| is_null(element, &["a"]) && is(element, &["b"], "x")),
    ("a|neq: x", |element| !is(element, &["a"], "x")),
    (".: x", |element| is(element, &[], "x")),
    ("a.b: x", |element| is(element, &["a", "b"], "x")),
    ("a: x, 'b[any]': {a: y}", |element| {
        is(element, &["a"], "x") && at(element, &["b"]).into_iter().flat_map(lists).flatten().any(|inner| is(inner, &["a"], "y"))
    }),
];

/// The values at a path; lists on the way are looked through.
fn at<'v>(value: &'v Value, keys: &[&str]) -> Vec<&'v Value> {
    match (keys, value) {
        ([], value) => vec![value],
        (_, Value::Array(list)) => list.iter().flat_map(|value| at(value, keys)).collect(),
        ([key, rest @ ..], Value::Object(map)) => map.get(*key).map(|value| at(value, rest)).unwrap_or_default(),
        _ => Vec::new(),
    }
}

fn scalars(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(list) => list.iter().flat_map(scalars).collect(),
        Value::Object(_) => Vec::new(),
        scalar => vec![scalar],
    }
}

fn is(element: &Value, keys: &[&str], text: &str) -> bool {
    at(element, keys).into_iter().flat_map(scalars).any(|value| value.as_str() == Some(text))
}

fn is_null(element: &Value, keys: &[&str]) -> bool {
    let found = at(element, keys);
    found.is_empty() || found.into_iter().flat_map(scalars).any(Value::is_null)
}

/// Every list in a value that is one, with the elements that are no lists themselves.
fn lists(value: &Value) -> Vec<Vec<&Value>> {
    let Value::Array(list) = value else { return Vec::new() };
    let own = list.iter().filter(|element| !element.is_array()).collect();
    std::iter::once(own).chain(list.iter().flat_map(lists)).collect()
}

fn expected(record: &Value, each: &str, ask: fn(&Value) -> bool) -> bool {
    let lists: Vec<Vec<&Value>> = at(record, &["p", "c"]).into_iter().flat_map(lists).collect();
    let mut elements = lists.iter().flatten();
    match each {
        "any" => elements.any(|element| ask(element)),
        "none" => !elements.any(|element| ask(element)),
        "all_or_empty" => elements.all(|element| ask(element)),
        "all" => lists.iter().flatten().count() > 0 && elements.all(|element| ask(element)),
        index => lists.iter().any(|list| list.get(index.parse::<usize>().unwrap()).is_some_and(|element| ask(element))),
    }
}

fn value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![Just(Value::Null), Just(Value::from("x")), Just(Value::from("y")), Just(Value::from(1))];
    scalar.prop_recursive(5, 40, 4, |inner| {
        let member = (prop_oneof![Just("a"), Just("b"), Just("c")], inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::Array),
            prop::collection::vec(member, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>())),
        ]
    })
}

/// A record with the list at `p.c`, mostly.
fn record() -> impl Strategy<Value = Value> {
    let list = prop_oneof![3 => prop::collection::vec(value(), 0..5).prop_map(Value::Array), 1 => value()];
    prop_oneof![
        3 => list.clone().prop_map(|list| serde_json::json!({"p": {"c": list}})),
        1 => (list.clone(), list).prop_map(|(one, two)| serde_json::json!({"p": [{"c": one}, {"c": two, "a": "x"}]})),
        1 => value().prop_map(|value| serde_json::json!({ "p": value })),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn scopes_are_what_a_plain_reading_says(record in record()) {
        for each in ["any", "all", "all_or_empty", "none", "0", "1"] {
            for (yaml, ask) in ASKS {
                let yaml = yaml.replace(".:", "'.':");
                let rule = format!("title: t\nid: a\nlevel: low\ndetection: {{s: {{'p.c[{each}]': {{{yaml}}}}}, condition: s}}\n");
                let (rules, problems) = parse(&[(Arc::from("r.yml"), rule)], &Settings::default());
                prop_assert!(problems.is_empty(), "{:?}", problems);
                let (mut matcher, _) = Matcher::new(&rules);
                let mut found = Vec::new();
                matcher.find(&event("e", 0, &record.to_string()), &mut found);
                prop_assert_eq!(!found.is_empty(), expected(&record, each, ask), "[{}] {} {}", each, yaml, record);
            }
        }
    }
}
