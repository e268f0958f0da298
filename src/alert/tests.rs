use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::model::{AlertId, ClusterId, Level, Match, RuleHeader, RuleType, TenantId, Timestamp};

fn header() -> RuleHeader {
    RuleHeader {
        id: "shell".into(),
        title: "Shell in a pod".into(),
        author: None,
        level: Level::High,
        tags: vec!["attack.t1609".into()],
        kind: RuleType::Single,
        runbook: None,
    }
}

fn event(number: u64) -> EventId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    EventId(bytes)
}

fn step(at: i64, number: u64) -> Step {
    let matched = vec![Match { selection: "selection".into(), field: "verb".into(), value: "create".into() }];
    Step { rule: "shell".into(), event: event(number), time: Timestamp::from_seconds(at), matched }
}

/// A finding over the events of these numbers, each at the second of its number.
fn finding(events: &[u64], superseded_by: Option<u8>) -> Finding {
    let first = events.iter().min().copied().unwrap_or(0);
    let seconds = |number: u64| Timestamp::from_seconds(i64::try_from(number).unwrap());
    Finding {
        id: AlertId([7; 16]),
        rule: Arc::new(header()),
        tenant: TenantId::default(),
        cluster: ClusterId::default(),
        group: vec![(Arc::from("k8s.pod"), Some(Arc::from("web-0"))), (Arc::from("k8s.namespace"), None)],
        title: format!("alice opened a shell, first in {first}"),
        first: seconds(first),
        last: seconds(events.iter().max().copied().unwrap_or(0)),
        count: u64::try_from(events.len()).unwrap(),
        events: events.iter().map(|number| event(*number)).collect(),
        entities: events.iter().map(|number| format!("pod:prod/web-{}", number % 3)).chain(["user:alice".to_owned()]).collect(),
        steps: events.iter().map(|number| step(i64::try_from(*number).unwrap(), *number)).collect(),
        late: events.contains(&1),
        evidence_gaps: Vec::new(),
        superseded_by: superseded_by.map(|byte| AlertId([byte; 16])),
        is_new: false,
    }
}

/// Publishes each step in turn. `1,2` is a finding over these events, `>9` the same with a successor, `!` one that was not there before, `ack`, `close`, `open` what a person does.
fn check(story: &str) -> String {
    let mut alert: Option<Alert> = None;
    let mut told = Vec::new();
    for word in story.split_whitespace() {
        let status = match word {
            "ack" => Some(Status::Acknowledged),
            "close" => Some(Status::Closed),
            "open" => Some(Status::Open),
            _ => None,
        };
        if let Some(status) = status {
            match triage(alert.clone().unwrap(), status) {
                Ok(changed) => alert = Some(changed),
                Err(_) => told.push("refused".to_owned()),
            }
            continue;
        }
        let (word, is_new) = word.strip_suffix('!').map_or((word, false), |word| (word, true));
        let (events, successor) = word.split_once('>').map_or((word, None), |(events, successor)| (events, Some(successor.parse().unwrap())));
        let events: Vec<u64> = events.split(',').map(|number| number.parse().unwrap()).collect();
        let finding = Finding { is_new, ..finding(&events, successor) };
        let (changed, change) = apply(alert.take(), &finding);
        told.push(format!("{change:?}").to_lowercase());
        alert = Some(changed);
    }
    let alert = alert.unwrap();
    format!("{}: {} x{} events {}", told.join(" "), alert.status.name(), alert.count, alert.events.len())
}

#[test]
fn an_alert_lives() {
    let table = [
        ("1", "opened: open x1 events 1"),
        ("1 1", "opened none: open x1 events 1"),
        ("1 1,2", "opened updated: open x2 events 2"),
        ("1,2,3 1,2", "opened none: open x3 events 3"),
        ("1 ack 1", "opened none: acknowledged x1 events 1"),
        ("1 ack 1,2", "opened updated: acknowledged x2 events 2"),
        ("1 close 1", "opened none: closed x1 events 1"),
        ("1,2 close 1", "opened none: closed x2 events 2"),
        ("1 close 1,2", "opened reopened: open x2 events 2"),
        ("1 close 1,2 close 1,2,3", "opened reopened reopened: open x3 events 3"),
        ("1 close open 1", "opened none: open x1 events 1"),
        ("1 1>9", "opened superseded: superseded x1 events 1"),
        ("1 1>9 1>9", "opened superseded none: superseded x1 events 1"),
        ("1 1>9 1,2", "opened superseded updated: superseded x2 events 2"),
        ("1 close 1>9", "opened superseded: superseded x1 events 1"),
        ("1>9", "superseded: superseded x1 events 1"),
        ("1>9 1", "superseded none: superseded x1 events 1"),
        ("1! 1>9 1!", "opened superseded reopened: open x1 events 1"),
        ("1! 1>9 1! 1>9 1", "opened superseded reopened superseded none: superseded x1 events 1"),
        ("1! close 1!", "opened none: closed x1 events 1"),
        ("1>9 close", "superseded refused: superseded x1 events 1"),
    ];
    for (story, expected) in table {
        assert_eq!(check(story), expected, "{story}");
    }
}

#[test]
fn only_opening_reopening_and_superseding_notify() {
    let told = [Change::Opened, Change::Reopened, Change::Superseded, Change::Updated, Change::None].map(message_type);
    assert_eq!(told, [Some("alert.opened"), Some("alert.reopened"), Some("alert.superseded"), None, None]);
    assert_eq!(triage(draft(&finding(&[1], None)), Status::Superseded), Err(BadStatus::NotForPeople));
}

#[test]
fn a_draft_has_the_shape_of_the_contract() {
    let text = serde_json::to_value(draft(&finding(&[3, 5], None))).unwrap();
    assert_eq!(text["group"], serde_json::json!({"k8s.namespace": null, "k8s.pod": "web-0"}));
    assert_eq!(text["entities"], serde_json::json!(["user:alice", "pod:prod/web-0", "pod:prod/web-2"]));
    assert_eq!(text["rule"]["type"], "single");
    assert_eq!(text["first_seen"], "1970-01-01T00:00:03Z");
    assert!(text.get("superseded_by").is_none() && text.get("tenant").is_none());
}

#[test]
fn lists_are_bounded() {
    let alert = draft(&finding(&(0..500).collect::<Vec<_>>(), None));
    assert_eq!((alert.count, alert.events.len(), alert.steps.len()), (500, EVENTS_MAX, STEPS_MAX));
    let mut many = finding(&[1], None);
    many.entities = (0..1_000).map(|number| format!("ip:10.0.0.{number}")).collect();
    assert_eq!(draft(&many).entities.len(), ENTITIES_MAX);
}

#[test]
fn a_cut_alert_fits_and_stays_json() {
    let hostile = "\u{1}\"\\é漢".repeat(200);
    let mut wide = draft(&finding(&(0..500).collect::<Vec<_>>(), Some(4)));
    let small = cut(&wide, BYTES_MAX);
    assert!(small.len() <= BYTES_MAX && !small.contains("\"cut\""), "100 events and 20 steps fit as they are");
    for step in &mut wide.steps {
        step.matched = vec![Match { selection: "s".into(), field: "f".into(), value: hostile.clone() }; 3];
    }
    let evidence_cut: Value = serde_json::from_str(&cut(&wide, BYTES_MAX)).unwrap();
    assert_eq!((&evidence_cut["cut"], &evidence_cut["title"]), (&Value::Bool(true), &Value::from(wide.title.clone())));
    assert!(!evidence_cut["steps"].as_array().unwrap().is_empty());
    for text in [&mut wide.title, &mut wide.rule.id, &mut wide.rule.title] {
        text.clone_from(&hostile);
    }
    (wide.rule.author, wide.rule.runbook) = (Some(hostile.clone()), Some(hostile.clone()));
    wide.rule.tags = vec![hostile.clone(); 100];
    wide.entities = vec![hostile.clone(); 100];
    wide.evidence_gaps = vec![hostile.clone(); 20];
    wide.group = (0..50).map(|number| (format!("{number}{hostile}"), Value::from(hostile.clone()))).collect();
    for bytes_max in [0, BYTES_MIN, 10_000, BYTES_MAX, 100_000, 1_000_000] {
        let text = cut(&wide, bytes_max);
        assert!(text.len() <= bytes_max.max(BYTES_MIN), "{} of {bytes_max}", text.len());
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["id"], "07070707070707070707070707070707");
        assert_eq!(cut(&wide, bytes_max), text, "the same bytes again");
    }
}

fn arbitrary_finding() -> impl Strategy<Value = Finding> {
    (proptest::collection::btree_set(0_u64..60, 1..40), proptest::option::weighted(0.1, 1_u8..4), 0_usize..3).prop_map(|(events, successor, gaps)| {
        let mut finding = finding(&events.into_iter().collect::<Vec<_>>(), successor);
        finding.evidence_gaps = (0..gaps).map(|gap| format!("gap {gap}")).collect();
        finding
    })
}

fn publish(findings: &[Finding]) -> Alert {
    findings.iter().fold(None, |alert, finding| Some(apply(alert, finding).0)).unwrap()
}

proptest! {
    #[test]
    fn any_order_ends_in_the_same_alert(
        (findings, shuffled) in proptest::collection::vec(arbitrary_finding(), 1..8).prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle()))
    ) {
        let told = serde_json::to_string(&publish(&findings)).unwrap();
        prop_assert_eq!(&told, &serde_json::to_string(&publish(&shuffled)).unwrap());
        // Twice is once, and whole replays are too.
        let again: Vec<Finding> = findings.iter().chain(&shuffled).cloned().collect();
        prop_assert_eq!(&told, &serde_json::to_string(&publish(&again)).unwrap());
        let alert = publish(&findings);
        for finding in &findings {
            prop_assert_eq!(apply(Some(alert.clone()), finding).1, Change::None);
            prop_assert!(finding.count <= alert.count && alert.first_seen <= finding.first);
        }
        let longest = findings.iter().map(|finding| finding.count).max().unwrap();
        prop_assert_eq!(alert.count, longest);
    }
}
