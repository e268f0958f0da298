//! What matches, as a table: an item, events that must match and events that must not.

use super::*;
use crate::detect::rule::{Condition, Place, Selection};
use crate::detect::sample::{event, item, pattern, set, simple, single, with};
use crate::model::Field;

fn hits(rule: crate::detect::rule::Rule, json: &str) -> bool {
    let (mut matcher, refused) = Matcher::new(&set(vec![rule]));
    assert_eq!(refused, [], "{json}");
    let mut out = Vec::new();
    matcher.find(&event("e", 0, json), &mut out);
    !out.is_empty()
}

fn check(items: &str, yes: &[&str], no: &[&str]) {
    let items: Vec<&str> = items.split(" && ").collect();
    for json in yes {
        assert!(hits(simple("r", &items), json), "{items:?} must match {json}");
    }
    for json in no {
        assert!(!hits(simple("r", &items), json), "{items:?} must not match {json}");
    }
}

#[test]
fn values_match_whole_and_without_case() {
    check("verb: CREATE", &[r#"{"verb":"create"}"#, r#"{"verb":"Create"}"#], &[r#"{"verb":"creates"}"#, r#"{"Verb":"create"}"#, "{}"]);
    check("name: ÄPFEL", &[r#"{"name":"äpfel"}"#], &[r#"{"name":"apfel"}"#]);
    check("name: kelvin", &[r#"{"name":"\u212aelvin"}"#], &[]);
    check("code: 403", &[r#"{"code":403}"#, r#"{"code":"403"}"#], &[r#"{"code":4030}"#]);
    check("flag: true", &[r#"{"flag":true}"#, r#"{"flag":"True"}"#], &[r#"{"flag":false}"#]);
    check("name: ", &[r#"{"name":""}"#], &[r#"{"name":"a"}"#, "{}"]);
    check("verb: get, list", &[r#"{"verb":"get"}"#, r#"{"verb":"list"}"#], &[r#"{"verb":"watch"}"#]);
    check("verb: get && name: x", &[r#"{"verb":"get","name":"x"}"#], &[r#"{"verb":"get"}"#]);
}

#[test]
fn wildcards_and_places() {
    check("uri: /api/*/secrets", &[r#"{"uri":"/API/v1\n/secrets"}"#], &[r#"{"uri":"/api/v1/secrets/x"}"#, r#"{"uri":"/api/secrets"}"#]);
    check("name: a?c", &[r#"{"name":"aéc"}"#, r#"{"name":"ABC"}"#], &[r#"{"name":"ac"}"#, r#"{"name":"abbc"}"#]);
    check("name: ??", &[r#"{"name":"äö"}"#], &[r#"{"name":"a"}"#]);
    check(
        "name: *",
        &[r#"{"name":""}"#, r#"{"name":1}"#, r#"{"name":{"a":1}}"#],
        &[r#"{"name":null}"#, "{}", r#"{"name":[]}"#, r#"{"name":[null]}"#],
    );
    check("name|contains: sECRet", &[r#"{"name":"my-Secrets"}"#], &[r#"{"name":"sec-ret"}"#]);
    check("name|startswith: my", &[r#"{"name":"MY-x"}"#], &[r#"{"name":"x-my"}"#]);
    check("name|endswith: Ü", &[r#"{"name":"xü"}"#], &[r#"{"name":"üx"}"#]);
    check("name|contains: a*b", &[r#"{"name":"xxAyyBzz"}"#], &[r#"{"name":"ba"}"#]);
    check("name|contains|all: foo, bar", &[r#"{"name":"bar foo"}"#, r#"{"name":["foo","bar"]}"#], &[r#"{"name":"foo"}"#]);
    check("name|contains|cased: Foo", &[r#"{"name":"aFoo"}"#], &[r#"{"name":"afoo"}"#]);
    check("name|cased: Foo", &[r#"{"name":"Foo"}"#, r#"{"name":["foo","Foo"]}"#], &[r#"{"name":"foo"}"#]);
    check("name|cased: F?o", &[r#"{"name":"Foo"}"#], &[r#"{"name":"foo"}"#]);
}

#[test]
fn null_exists_and_not() {
    check("name|null", &["{}", r#"{"name":null}"#, r#"{"name":["a",null]}"#], &[r#"{"name":"null"}"#, r#"{"name":{"a":1}}"#, r#"{"name":{}}"#]);
    check("name|exists: true", &[r#"{"name":null}"#, r#"{"name":{}}"#, r#"{"name":{"a":1}}"#, r#"{"name":[]}"#], &["{}"]);
    check("name|exists: false", &["{}"], &[r#"{"name":null}"#, r#"{"name":"x"}"#, r#"{"name":{"b":{"c":1}}}"#]);
    check("name|neq: x", &["{}", r#"{"name":"y"}"#], &[r#"{"name":"x"}"#, r#"{"name":["y","x"]}"#]);
    check("verb: get && name|contains|neq: kube, system", &[r#"{"verb":"get","name":"web"}"#], &[r#"{"verb":"get","name":"kube-x"}"#]);
}

#[test]
fn fields() {
    check("objectRef.resource: pods", &[r#"{"objectRef":{"resource":"pods"}}"#, r#"{"objectRef.resource":"pods"}"#], &[r#"{"resource":"pods"}"#]);
    let dotted = r#"{"annotations":{"authorization.k8s.io/decision":"allow"}}"#;
    check("annotations.authorization.k8s.io/decision: allow", &[dotted], &[r#"{"annotations":{"decision":"allow"}}"#]);
    check("spec.containers.image|startswith: evil", &[r#"{"spec":{"containers":[{"image":"a"},{"image":"evil/x"}]}}"#], &[]);
    check("a.b: x", &[r#"{"a":[[{"b":"y"}],[{"b":"x"}]]}"#], &[r#"{"a":[["x"]]}"#]);
    check("a field: x", &[r#"{"a field":"x"}"#], &[]);
}

#[test]
fn facts_are_fields() {
    let (mut matcher, _) = Matcher::new(&set(vec![simple("r", &["actor.user.name: Alice"])]));
    let mut out = Vec::new();
    matcher.find(&with(event("e", 0, "{}"), Field::ActorUserName, "alice"), &mut out);
    assert_eq!(out, [0]);
    matcher.find(&with(event("e", 0, r#"{"actor":{"user":{"name":"alice"}}}"#), Field::ActorUserName, "bob"), &mut out);
    assert_eq!(out, [] as [u32; 0]);
}

#[test]
fn numbers_networks_and_expressions() {
    check(
        "code|gte: 400",
        &[r#"{"code":400}"#, r#"{"code":"403.5"}"#],
        &[r#"{"code":399}"#, r#"{"code":"inf"}"#, r#"{"code":"x"}"#, r#"{"code":null}"#],
    );
    check("code|lt: 10", &[r#"{"code":-1}"#, r#"{"code":[50,9]}"#], &[r#"{"code":10}"#]);
    check("code|num: 1", &[r#"{"code":1.0}"#, r#"{"code":"1"}"#], &[r#"{"code":2}"#]);
    check(
        "sourceIPs|cidr: 10.0.0.0/8",
        &[r#"{"sourceIPs":["1.2.3.4","10.9.9.9"]}"#, r#"{"sourceIPs":"::ffff:10.0.0.1"}"#],
        &[r#"{"sourceIPs":["11.0.0.1"]}"#],
    );
    check("ip|cidr: 2001:db8::/32", &[r#"{"ip":"2001:DB8::1"}"#], &[r#"{"ip":"2001:db9::1"}"#, r#"{"ip":"10.0.0.1"}"#]);
    check("ip|cidr: 0.0.0.0/0", &[r#"{"ip":"1.1.1.1"}"#], &[r#"{"ip":"::1"}"#, r#"{"ip":"x"}"#]);
    check("cmd|re: curl\\s+http", &[r#"{"cmd":"x curl  http://"}"#], &[r#"{"cmd":"CURL http"}"#, r#"{"cmd":"curlhttp"}"#]);
    check("cmd|re|i: CURL", &[r#"{"cmd":"curl"}"#], &[]);
    check("cmd|re|m: ^b$", &[r#"{"cmd":"a\nb\nc"}"#], &[r#"{"cmd":"abc"}"#]);
    check("cmd|re|s: a.b", &[r#"{"cmd":"a\nb"}"#], &[]);
    check("cmd|re: a.b", &[r#"{"cmd":"axb"}"#], &[r#"{"cmd":"a\nb"}"#]);
    check("cmd|re: ab?c|xyz", &[r#"{"cmd":"ac"}"#, r#"{"cmd":"xyz"}"#], &[r#"{"cmd":"ab"}"#]);
    check("a|fieldref: b", &[r#"{"a":"X","b":"x"}"#, r#"{"a":["1","2"],"b":["3","2"]}"#], &[r#"{"a":"x","b":"y"}"#, r#"{"a":null,"b":null}"#]);
    check("a|fieldref|startswith: b", &[r#"{"a":"abc","b":"AB"}"#], &[r#"{"a":"ab","b":"abc"}"#]);
    check("a|fieldref|neq: b", &[r#"{"a":"x","b":"y"}"#], &[r#"{"a":"x","b":"x"}"#]);
}

#[test]
fn a_path_with_two_names_is_read_by_both() {
    let rules = set(vec![simple("a", &["verb: get"]), simple("b", &["raw.verb: get"])]);
    let (mut matcher, _) = Matcher::new(&rules);
    let mut out = Vec::new();
    matcher.find(&event("e", 0, r#"{"verb":"get"}"#), &mut out);
    assert_eq!(out, [0, 1]);
}

#[test]
fn keywords() {
    let word = |words: &[&str], all| Selection::Keywords { words: words.iter().map(|word| pattern(word, Place::Whole)).collect(), all };
    let check = |words: &[&str], all, json: &str, expected| {
        assert_eq!(hits(single("r", vec![word(words, all)], Condition::Selection(0)), json), expected, "{words:?} {json}");
    };
    check(&["curl", "wget"], false, r#"{"a":{"b":["x","run WGET now"]}}"#, true);
    check(&["curl"], false, r#"{"curl":"x"}"#, false);
    check(&["curl", "wget"], true, r#"{"a":"curl","b":"wget"}"#, true);
    check(&["curl", "wget"], true, r#"{"a":"curl"}"#, false);
    check(&["c*l"], false, r#"{"a":"my cuuurl"}"#, true);
    check(&["443"], false, r#"{"port":443}"#, true);
}

#[test]
fn conditions() {
    let items = ["a: x", "b: x", "c: x"].map(|spec| Selection::All(vec![item(spec)]));
    let pick = Condition::Selection;
    let check = |condition: Condition, json: &str, expected| {
        assert_eq!(hits(single("r", items.to_vec(), condition.clone()), json), expected, "{condition:?} {json}");
    };
    let and_not = Condition::And(vec![pick(0), Condition::Not(Box::new(pick(1)))]);
    check(and_not.clone(), r#"{"a":"x"}"#, true);
    check(and_not, r#"{"a":"x","b":"x"}"#, false);
    check(Condition::Not(Box::new(pick(0))), "{}", true);
    check(Condition::Not(Box::new(Condition::Not(Box::new(pick(0))))), r#"{"a":"x"}"#, true);
    check(Condition::AtLeast(2, vec![pick(0), pick(1), pick(2)]), r#"{"a":"x","c":"x"}"#, true);
    check(Condition::AtLeast(2, vec![pick(0), pick(1), pick(2)]), r#"{"c":"x"}"#, false);
    check(Condition::Or(vec![pick(0), Condition::Not(Box::new(pick(1)))]), "{}", true);
    let deep = (0..100).fold(pick(0), |inner, _| Condition::And(vec![inner, pick(1)]));
    let (_, refused) = Matcher::new(&set(vec![single("r", items.to_vec(), deep)]));
    assert_eq!(refused.len(), 1);
}

#[test]
fn bad_tests_are_refused_with_their_place() {
    let reason = |spec: &str| Matcher::new(&set(vec![simple("r", &[spec])])).1.remove(0).reason;
    assert_eq!(reason("ip|cidr: 10.0.0.0/99"), "selection `s0`: field `ip`: `10.0.0.0/99` is no network such as 10.0.0.0/8");
    assert!(reason("a|re: (?=x)").starts_with("selection `s0`: field `a`: "));
}

#[test]
fn evidence_names_selection_field_and_value() {
    let rule = single(
        "r",
        vec![
            Selection::All(vec![item("verb: get, create"), item("objectRef.name|contains: secret"), item("x|neq: y")]),
            Selection::All(vec![item("user: bob")]),
            Selection::Keywords { words: vec![pattern("token", Place::Whole)], all: false },
        ],
        Condition::Or(vec![Condition::Selection(0), Condition::Selection(1), Condition::Selection(2)]),
    );
    let (mut matcher, _) = Matcher::new(&set(vec![rule]));
    let event = event("e", 0, r#"{"verb":"create","objectRef":{"name":["a","my-Secret"],"deep":{"k":"a token"}}}"#);
    let mut out = Vec::new();
    matcher.find(&event, &mut out);
    let shown: Vec<String> = matcher.evidence(&event, 0).into_iter().map(|m| format!("{} {}={}", m.selection, m.field, m.value)).collect();
    assert_eq!(shown, ["s0 verb=create", "s0 objectRef.name=my-Secret", "s2 objectRef.deep.k=a token"]);
}

#[test]
fn only_reached_rules_are_evaluated_and_learning_changes_nothing() {
    let mut rules: Vec<_> = (0..200).map(|at| simple(&format!("r{at}"), &["verb: get", &format!("name: n{at}")])).collect();
    rules.push(simple("not", &["verb|neq: get"]));
    let (mut matcher, _) = Matcher::new(&set(rules));
    assert_eq!(matcher.always().collect::<Vec<_>>(), [200]);
    let mut out = Vec::new();
    for at in 0..3_000 {
        matcher.find(&event("e", 0, &format!(r#"{{"verb":"get","name":"n{}"}}"#, at % 400)), &mut out);
        let expected: Vec<u32> = if at % 400 < 200 { vec![at % 400] } else { Vec::new() };
        assert_eq!(out, expected);
    }
    assert!(matcher.evaluations() < 3_000 * 2 + 600 * 200, "{}", matcher.evaluations());
    assert!(
        matcher.explain(3).is_some_and(|told| told.access.iter().any(|access| access.field == "name" && access.test == "is \"n3\"")),
        "{:?}",
        matcher.explain(3)
    );
}

/// Each rule asks for two things, of which traffic first has one and then the other: what was rare leads to all of them.
#[test]
fn a_turn_of_traffic_is_noticed() {
    let rules: Vec<_> = (0..200).map(|at| simple(&format!("r{at}"), &["verb: delete", "resource: pods", &format!("name|neq: n{at}")])).collect();
    let (mut matcher, _) = Matcher::new(&set(rules));
    let mut out = Vec::new();
    let mut run = |events: u32, json: &str| {
        let before = matcher.evaluations();
        (0..events).for_each(|_| matcher.find(&event("e", 0, json), &mut out));
        matcher.evaluations() - before
    };
    run(100_000, r#"{"verb":"get","resource":"pods","name":"n"}"#);
    let after = run(20_000, r#"{"verb":"delete","resource":"jobs","name":"n"}"#);
    assert!(after <= 200 * 128 * 3, "{after} evaluations until it was noticed");
    assert_eq!(run(10_000, r#"{"verb":"delete","resource":"jobs","name":"n"}"#), 0);
    // Whoever turns it back and forth has the choice made anew now and then only.
    let mut chosen = std::collections::BTreeSet::new();
    for _ in 0..40 {
        for json in [r#"{"verb":"get","resource":"pods","name":"n"}"#, r#"{"verb":"delete","resource":"jobs","name":"n"}"#] {
            (0..512).for_each(|_| matcher.find(&event("e", 0, json), &mut out));
            chosen.insert(matcher.learning.chosen_at);
        }
    }
    assert!(chosen.len() <= 40 * 1_024 / 4_096 + 4, "{chosen:?}");
}
