//! The service tells of rules that can not fire on what it sees.

use serde_json::json;

use crate::service::{Service, client, until};
use crate::windows::{config, push, reads};

/// The id of a rule of this digit.
fn uuid(id: char) -> String {
    "11111111-1111-4111-8111-111111111111".replace('1', &id.to_string())
}

fn rule(id: char, source: &str, item: &str) -> String {
    let uuid = uuid(id);
    format!("---\ntitle: r{id}\nid: {uuid}\nlogsource: {{{source}}}\ndetection: {{s: {{{item}}}, condition: s}}\nlevel: low\n")
}

#[test]
fn a_rule_without_its_field_is_told_to_be_blind() {
    let dir = tempfile::tempdir().unwrap();
    let audit = "product: kubernetes, service: audit";
    let rules = [('1', audit, "objectref.resource"), ('2', audit, "verb"), ('3', "product: falco", "output_fields.proc.name")];
    let rules = rules.map(|(id, source, field)| rule(id, source, &format!("{field}: never"))).concat();
    let service = Service::start(&dir.path().join("data"), &config(dir.path(), &rules));
    let (runtime, client) = client();
    runtime.block_on(async {
        push(&client, &service, reads("alice", 0..3)).await;
        let url = |id: char| format!("{}/api/v1/rules/{}", service.url, uuid(id));
        let blind = until(&client, &url('1'), |rule| rule["blind"]["since_events"] == 3).await;
        assert_eq!(blind["blind"], json!({"fields": ["objectref.resource"], "since_events": 3}));
        assert_eq!(blind["unknown"], 0);
        // One has its field, and of the kind of the other nothing came.
        for id in ['2', '3'] {
            let rule = until(&client, &url(id), |_| true).await;
            assert_eq!((&rule["title"], &rule["blind"]), (&json!(format!("r{id}")), &json!(null)));
        }
    });
}

#[test]
fn events_without_the_body_that_a_rule_asks_for_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let rules = [('1', "responseObject.kind: never"), ('2', "verb: get"), ('3', "verb: never")];
    let rules = rules.map(|(id, item)| rule(id, "product: kubernetes, service: audit", item)).concat();
    let service = Service::start(&dir.path().join("data"), &config(dir.path(), &rules));
    let (runtime, client) = client();
    runtime.block_on(async {
        push(&client, &service, reads("alice", 0..3)).await;
        let url = |id: char| format!("{}/api/v1/rules/{}", service.url, uuid(id));
        for (id, expected) in [('1', 3), ('2', 0), ('3', 0)] {
            until(&client, &url(id), |rule| rule["unknown"] == expected).await;
        }
        let metrics = client.get(format!("{}/metrics", service.url)).send().await.unwrap().text().await.unwrap();
        let told: Vec<&str> = metrics
            .lines()
            .filter(|line| ["bartizan_rule_matches_total", "bartizan_rule_unknown_total"].iter().any(|name| line.starts_with(name)))
            .collect();
        assert_eq!(
            told,
            [
                r#"bartizan_rule_matches_total{rule="22222222-2222-4222-8222-222222222222"} 3"#,
                r#"bartizan_rule_unknown_total{rule="11111111-1111-4111-8111-111111111111"} 3"#,
            ]
        );
    });
}
