use super::*;
use crate::detect::rule::{Comparison, Condition, CorrelationKind, Rule, Selection};
use crate::detect::sample::{correlation, event, item, set, simple, single, with};
use crate::model::Field;

fn look(rules: Vec<Rule>, events: &[&str]) -> Sight {
    let mut sight = Sight::new(set(rules), &[]);
    for (at, json) in (0..).zip(events) {
        sight.see(&event(&format!("e{at}"), at, json));
    }
    sight
}

/// How a rule stands to these events, and the reasons.
#[track_caller]
fn check(rule: Rule, events: &[&str], standing: Standing, reasons: &[&str]) {
    let seen = look(vec![rule], events).seen(0).unwrap();
    let told: Vec<String> = seen.reasons.iter().map(ToString::to_string).collect();
    assert_eq!((seen.standing, told), (standing, reasons.iter().map(|reason| (*reason).to_owned()).collect()));
}

const EVENTS: &[&str] = &[
    r#"{"verb":"get","objectRef":{"resource":"pods"},"user":{"username":"alice"}}"#,
    r#"{"verb":"get","objectRef":{"resource":"secrets"},"user":{"username":"bob"}}"#,
    r#"{"verb":"list","objectRef":{"resource":"pods"},"user":{"username":"bob"}}"#,
];

#[test]
fn why_a_rule_never_held() {
    check(simple("r", &["verb: get", "objectRef.resource: pods"]), EVENTS, Standing::Matched, &[]);
    check(simple("r", &["verb: get"]), &[], Standing::NoEvents, &[]);
    check(
        simple("r", &["verb: get", "objectref.resource: pods"]),
        EVENTS,
        Standing::Blind,
        &[r#"`s0`: objectref.resource is "pods": no event has the field; near it are objectRef.resource"#],
    );
    check(
        simple("r", &["verb: create, update", "objectRef.resource: pods"]),
        EVENTS,
        Standing::NeverHeld,
        &[r#"`s0`: verb is "create" or is "update" never held; its values: "get" 2, "list" 1"#],
    );
    check(
        simple("r", &["verb: list", "objectRef.resource: secrets"]),
        EVENTS,
        Standing::NotTogether,
        &["`s0`: each part of it held some time, never enough of them at once"],
    );
    // What is not there is what a negated item, a test for null and one that a field is missing want.
    for absent in ["name|neq: x", "name|null: ", "name|exists: false"] {
        check(simple("r", &["verb: get", absent]), EVENTS, Standing::Matched, &[]);
    }
    check(
        simple("r", &["verb|null: "]),
        EVENTS,
        Standing::NeverHeld,
        &[r#"`s0`: verb is null or missing never held; its values: "get" 2, "list" 1"#],
    );
}

#[test]
fn why_a_condition_never_held() {
    let selections = ["verb: get", "verb: create", "usr: x", "user.username|exists: true"].map(|spec| Selection::All(vec![item(spec)]));
    let check =
        |condition: Condition, standing: Standing, reasons: &[&str]| check(single("r", selections.to_vec(), condition), EVENTS, standing, reasons);
    let pick = Condition::Selection;
    let not = |at| Condition::Not(Box::new(pick(at)));
    let usr = r#"`s2`: usr is "x": no event has the field"#;
    let create = r#"`s1`: verb is "create" never held; its values: "get" 2, "list" 1"#;
    check(Condition::And(vec![pick(0), not(3)]), Standing::NeverHeld, &["not `s3`: it always held"]);
    check(Condition::And(vec![pick(0), pick(2)]), Standing::Blind, &[usr]);
    check(Condition::Or(vec![pick(1), pick(2)]), Standing::NeverHeld, &[create, usr]);
    check(Condition::Or(vec![pick(0), pick(2)]), Standing::Matched, &[]);
    check(Condition::AtLeast(2, vec![pick(0), pick(1), pick(2)]), Standing::NeverHeld, &[create, usr]);
    check(Condition::AtLeast(3, vec![pick(0), pick(2), pick(3)]), Standing::Blind, &[usr]);
    check(Condition::And(vec![pick(0), not(2)]), Standing::Matched, &[]);
}

#[test]
fn pieces_and_fields_are_counted() {
    let seen = look(vec![simple("r", &["verb: get, list", "name|neq: x"])], EVENTS).seen(0).unwrap();
    let pieces: Vec<String> = seen.pieces.iter().map(|piece| format!("{} {} {}", piece.depth, piece.text, piece.held)).collect();
    assert_eq!(pieces, [r#"0 s0 3"#, r#"1 verb is "get" or is "list" 3"#, r#"2 is "get" 2"#, r#"2 is "list" 1"#, r#"1 not name is "x" 3"#]);
    let fields: Vec<String> = seen.fields.iter().map(|field| format!("{} {} {}", field.name, field.events, field.is_needed)).collect();
    assert_eq!(fields, ["verb 3 true", "name 0 false"]);
    assert!(seen.to_string().starts_with("title of r: matches (3 events of its kind, 3 matched)\n"), "{seen}");
}

#[test]
fn events_that_lack_what_is_asked_for_are_counted_as_unknown() {
    let check = |item: &str, level: &str, expected: &str| {
        let json = format!(r#"{{"level":"{level}","verb":"create"}}"#);
        let events = [with(event("e", 0, &json), Field::K8sVerb, "create"), event("f", 1, r#"{"level":"RequestResponse","verb":"get"}"#)];
        let mut sight = Sight::new(set(vec![simple("r", &["verb: create", item])]), &[]);
        events.iter().for_each(|event| sight.see(event));
        assert_eq!(sight.seen(0).unwrap().to_string().lines().next(), Some(expected), "{item} {level}");
    };
    let never = "title of r: never matched: something it needs never held (2 events of its kind, 0 matched)";
    let blind = "title of r: blind: a field it needs was never there (2 events of its kind, 0 matched";
    check("requestObject.a: x", "Metadata", &format!("{blind}, unknown for 1)"));
    check("responseObject.a: x", "Request", &format!("{blind}, unknown for 1)"));
    check("requestObject.a: x", "Request", &format!("{blind})"));
    check("level: x", "Metadata", never);
}

#[test]
fn correlations_stand_on_their_steps() {
    let check = |kind: CorrelationKind, bounds: &[(Comparison, f64)], standing: Standing| {
        let steps = [simple("a", &["verb: get"]), simple("b", &["usr: x"]), simple("c", &["verb: create"])];
        let rules = steps.into_iter().chain([correlation("all", kind, &[0, 1, 2], &[], 60, bounds)]).collect();
        assert_eq!(look(rules, EVENTS).seen(3).unwrap().standing, standing, "{kind:?} {bounds:?}");
    };
    check(CorrelationKind::Temporal, &[], Standing::Blind);
    check(CorrelationKind::TemporalOrdered, &[], Standing::Blind);
    check(CorrelationKind::Temporal, &[(Comparison::Gte, 2.0)], Standing::NeverHeld);
    check(CorrelationKind::EventCount, &[(Comparison::Gte, 2.0)], Standing::Matched);
    check(CorrelationKind::EventCount, &[(Comparison::Lt, 2.0)], Standing::Matched);
}

#[test]
fn an_expression_over_rules_counts_as_it_is_written() {
    let check = |condition: Condition, standing: Standing| {
        let steps = [simple("a", &["verb: get"]), simple("b", &["usr: x"]), simple("c", &["verb: create"])];
        let mut rule = correlation("all", CorrelationKind::Temporal, &[0, 1, 2], &[], 60, &[]);
        if let Body::Correlation(correlation) = &mut rule.body {
            correlation.condition = Some(condition.clone());
        }
        assert_eq!(look(steps.into_iter().chain([rule]).collect(), EVENTS).seen(3).unwrap().standing, standing, "{condition:?}");
    };
    let pick = Condition::Selection;
    check(Condition::And(vec![pick(0), pick(1)]), Standing::Blind);
    check(Condition::And(vec![pick(0), Condition::Not(Box::new(pick(1)))]), Standing::Matched);
    check(Condition::Or(vec![pick(0), pick(1)]), Standing::Matched);
    check(Condition::And(vec![pick(0), pick(2)]), Standing::NeverHeld);
}

#[test]
fn why_not_this_event() {
    let sight = &mut look(vec![simple("r", &["verb: create", "objectref.resource: pods"])], EVENTS);
    let why = sight.why_not(0, &event("e", 0, EVENTS[0]));
    assert_eq!(
        why,
        [
            r#"`s0`: verb is "create": it is "get""#,
            r#"`s0`: objectref.resource is "pods": the event has no such field; near it are objectRef.resource"#
        ]
    );
    let hit = event("e", 0, r#"{"verb":"create","objectref":{"resource":"pods"}}"#);
    assert_eq!(sight.why_not(0, &hit), Vec::<String>::new());
}

#[test]
fn problems_are_told_as_diagnostics() {
    let steps = [simple("a", &["verb: get"]), simple("b", &["objectref.resource: pods"]), simple("c", &["verb: create"])];
    let ordered = correlation("ordered", CorrelationKind::TemporalOrdered, &[0, 1], &[], 60, &[]);
    let count = correlation("count", CorrelationKind::EventCount, &[2], &[], 60, &[(Comparison::Gte, 2.0)]);
    let (found, tally) = look(steps.into_iter().chain([ordered, count]).collect(), EVENTS).problems();
    let told: Vec<String> = found.iter().map(|problem| format!("{} {}", problem.rule.as_deref().unwrap_or_default(), problem)).collect();
    let near = "\n  help: near `objectref.resource` are objectRef.resource";
    assert_eq!(
        told,
        [
            format!("b test.yml:1:1: warning[blind-rule]: `title of b` cannot fire: none of 3 events of its kind has objectref.resource{near}"),
            r#"c test.yml:1:1: note[never-held]: `title of c` never matched: `s0`: verb is "create" never held; its values: "get" 2, "list" 1"#.to_owned(),
            format!("ordered test.yml:1:1: warning[blind-rule]: `title of ordered` cannot fire: none of 3 events of its kind has objectref.resource{near}"),
            "count test.yml:1:1: note[never-held]: `title of count`: of the rules it stands on, `title of c` never matched: something it needs never held"
                .to_owned(),
        ]
    );
    assert_eq!(tally, Tally { matched: 1, blind: 2, never_held: 2, no_events: 0 });
}

#[test]
fn events_are_told_of_one_by_one() {
    let rules =
        vec![simple("a", &["verb: get"]), correlation("count", CorrelationKind::EventCount, &[0], &["user.username"], 60, &[(Comparison::Gte, 2.0)])];
    let mut events: Vec<_> = (0..).zip(EVENTS).map(|(at, json)| event("e", at, json)).collect();
    events.push(event("e", 9, r#"{"verb":"get"}"#));
    assert_eq!(
        tell(&set(rules), &events),
        [
            "event 1 matches `title of a`, for `title of count` in the group user.username=alice",
            "event 2 matches `title of a`, for `title of count` in the group user.username=bob",
            r#"event 3 does not match `title of a`: `s0`: verb is "get": it is "list""#,
            "event 4 matches `title of a`, for `title of count` in the group user.username=(missing: it does not count)",
        ]
    );
}
