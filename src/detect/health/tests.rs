use super::*;
use crate::detect::sample::{event, of_act};
use crate::model::Event;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn told(health: &mut Health) -> Vec<String> {
    health.take().iter().map(|finding| format!("{} x{} {}..{}", finding.title, finding.count, finding.first, finding.last)).collect()
}

#[test]
fn one_alert_a_subject_and_hour_with_absolute_counts() {
    let mut health = Health::default();
    let skew = |name: &str| Subject::SkewedClock(name.into());
    assert!(health.take().is_empty());
    health.note(Subject::StatePressure, 0, &[], at(10));
    assert!(health.take().is_empty(), "nothing happened");
    health.note(Subject::StatePressure, 2, &[], at(10));
    health.note(Subject::StatePressure, 3, &[], at(20));
    health.note(skew("a"), 1, &[], at(30));
    health.note(skew("b"), 1, &[], at(30));
    let first = health.take();
    assert_eq!(first.len(), 3);
    assert_eq!((first[0].count, first[0].rule.kind, first[0].rule.id.as_str()), (5, RuleType::Health, "health:state-pressure"));
    assert!(health.take().is_empty(), "nothing changed");
    health.note(Subject::StatePressure, 1, &[], at(3599));
    let second = health.take();
    assert_eq!((second[0].id, second[0].count, second[0].first), (first[0].id, 6, at(10)));
    health.note(Subject::StatePressure, 1, &[], at(3600));
    let third = health.take();
    assert!(third[0].id != first[0].id && third[0].count == 1);
    health.note(skew("a"), 1, &[], at(3601));
    assert_eq!(told(&mut health), ["clocks of source a run ahead: 1 events count for their receipt x1 1970-01-01T01:00:01Z..1970-01-01T01:00:01Z"]);
}

#[test]
fn ten_thousand_requests_under_one_audit_id_are_one_alert_and_none_is_lost() {
    let (mut reuse, mut health) = (Reuse::default(), Health::default());
    let json = |id: usize| format!(r#"{{"auditID":"id{id}","verb":"get"}}"#);
    let events: Vec<Event> = (0..10_000).map(|number| event(&format!("e{number}"), number, &json(1))).collect();
    let mut alerts = BTreeMap::new();
    for batch in events.chunks(100) {
        for event in batch {
            if let Some((tenant, cluster)) = reuse.look(event) {
                health.note(Subject::ReusedAuditId(tenant.clone(), cluster.clone()), 1, &[event.id], at(100));
            }
        }
        alerts.extend(health.take().into_iter().map(|finding| (finding.id, (finding.count, finding.events.len()))));
    }
    assert_eq!(alerts.values().collect::<Vec<_>>(), [&(9_999, 100)]);
    // The stages of one request, other ids, other clusters and other kinds are no reuse.
    let mut other = event("o", 0, &json(1));
    other.cluster = "other".parse().unwrap();
    let stages = (0..3).map(|stage| of_act(event(&format!("s{stage}"), stage, &json(2)), 7));
    let singles = (3..2_000).map(|id| event(&format!("n{id}"), 0, &json(id)));
    let mut falco = event("f", 0, &json(1));
    falco.kind = crate::model::Kind::Falco;
    for event in stages.chain(singles).chain([other, falco]) {
        assert!(reuse.look(&event).is_none(), "{}", event.doc.text());
    }
}
