//! Rules over the stored past, beside a running service: what is new, gone and the same.

use std::process::Command;

use serde_json::{Value, json};

use crate::service::{PROGRAM, Service, client, json as ask, until};
use crate::windows::{config, push, reads};

const READ: &str = "title: A read\nid: 11111111-1111-4111-8111-111111111111\nname: a_read\nlogsource: {product: kubernetes, service: audit}\ndetection: {s: {verb: get}, condition: s}\nlevel: low\n";

/// So many reads by one user, or reads of so many things.
fn rules(least: usize, user: &str) -> String {
    format!(
        "{READ}---\ntitle: Many reads by {user}\nid: 22222222-2222-4222-8222-222222222222\ncorrelation: {{type: event_count, rules: [a_read], group-by: [actor.user.name], timespan: 10m, condition: {{gte: {least}}}}}\nlevel: high\n"
    )
}

/// Alerts, new, gone and same of the rule, and the signs of what is listed.
fn told(done: &Value) -> (u64, u64, u64, u64, usize) {
    let row = done["rules"].as_array().unwrap().iter().find(|row| row["id"].as_str().unwrap().starts_with('2')).unwrap();
    let of = |name: &str| row[name].as_u64().unwrap();
    (of("alerts"), of("new"), of("gone"), of("same"), row["listed"].as_array().unwrap().len())
}

#[test]
fn what_differs_is_told_beside_a_running_service() {
    let dir = tempfile::tempdir().unwrap();
    let (data, more) = (dir.path().join("data"), config(dir.path(), &rules(3, "anybody")));
    let (runtime, client) = client();
    runtime.block_on(async {
        let service = Service::start(&data, &more);
        for (user, count) in [("alice", 5), ("bob", 3), ("carol", 2)] {
            push(&client, &service, reads(user, 0..count)).await;
        }
        let stored = format!("{}/api/v1/events/search?limit=0", service.url);
        until(&client, &stored, |answer| answer["total"]["value"] == 10).await;
        let file = dir.path().join("tested.yml");
        let config = data.with_extension("toml");
        for (least, from, expected, events) in [
            (3, "2026-01-01T00:00:00Z", (2, 0, 0, 2, 2), 10),
            (5, "2026-01-01T00:00:00Z", (1, 0, 1, 1, 2), 10),
            (2, "2026-01-01T00:00:00Z", (3, 1, 0, 2, 3), 10),
            (2, "2026-01-01T00:00:03Z", (1, 1, 0, 0, 1), 2),
        ] {
            let text = rules(least, "anybody");
            std::fs::write(&file, &text).unwrap();
            let mut command = Command::new(PROGRAM);
            command.args(["rules", "backtest", "--output", "json", "--from", from, "-c"]).arg(&config).arg(&file);
            let output = command.output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
            let url = format!("{}/api/v1/rules/backtest", service.url);
            let (status, answered) = ask(client.post(url).json(&json!({"rules": text, "from": from}))).await;
            assert_eq!(status, 200, "{answered}");
            for done in [&printed, &answered] {
                assert_eq!((told(done), done["events"].as_u64(), done["partial"].as_bool()), (expected, Some(events), Some(false)), "{done}");
            }
        }
        let mut command = Command::new(PROGRAM);
        command.args(["rules", "backtest", "--events-max", "4", "-c"]).arg(&config).arg(&file);
        let output = command.output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(out.contains("Many reads by anybody") && err.contains("4 events") && err.contains("there are more events"), "{out}\n{err}");
        let url = format!("{}/api/v1/rules/backtest", service.url);
        let (status, answer) = ask(client.post(url).json(&json!({"rules": "title: ["}))).await;
        assert_eq!((status, answer["code"].as_str()), (422, Some("bad_rules")), "{answer}");
    });
}
