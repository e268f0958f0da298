//! Rules changed while the service runs: nothing is lost, nothing is missed, and what is broken changes nothing.

use std::process::Command;

use serde_json::Value;

use crate::service::{Service, client, json, setting, until};
use crate::windows::{config, push, reads};

/// Changes in the ordinary run; `BARTIZAN_RELOADS=1000 cargo test --release --test it reload -- --nocapture` makes more.
const RELOADS: usize = 20;

/// Events of the past that a changed rule is to find in the store.
const SEEN: usize = 4;

const READ: &str = "title: A read\nid: 11111111-1111-4111-8111-111111111111\nname: a_read\nlogsource: {product: kubernetes, service: audit}\ndetection: {s: {verb: get}, condition: s}\nlevel: low\n";

/// The rules of this change: one stays as it is, one has another text, one means something else each time.
fn rules(change: usize) -> String {
    let count = |id: char, title: &str, span: usize| {
        let id: String =
            format!("{0}-{1}-4{2}-8{2}-{3}", id.to_string().repeat(8), id.to_string().repeat(4), id.to_string().repeat(3), id.to_string().repeat(12));
        format!(
            "---\ntitle: {title}\nid: {id}\ncorrelation: {{type: event_count, rules: [a_read], group-by: [actor.user.name], timespan: {span}m, condition: {{gte: 5}}}}\nlevel: high\n"
        )
    };
    format!(
        "{READ}{}# {change}\n{}{}",
        count('2', "Five reads", 10),
        count('3', &format!("Five reads, told {change} times"), 10),
        count('4', "Five reads again", 10 + change % 7)
    )
}

async fn reload(client: &reqwest::Client, service: &Service) -> (u16, Value) {
    json(client.post(format!("{}/api/v1/rules/reload", service.url))).await
}

/// Ids of the rules by which this user has an alert of five.
fn fives(answer: &Value, user: &str) -> Vec<String> {
    let list = answer["alerts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of_user = list.iter().filter(|alert| alert["group"]["actor.user.name"] == user && alert["count"] == 5);
    of_user.filter_map(|alert| alert["rule"]["id"].as_str()).filter(|id| !id.starts_with('1')).map(str::to_owned).collect()
}

#[test]
fn a_change_under_load_loses_and_misses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (data, more) = (dir.path().join("data"), config(dir.path(), &rules(0)));
    let reloads = setting("BARTIZAN_RELOADS").and_then(|reloads| reloads.parse().ok()).unwrap_or(RELOADS);
    let (runtime, client) = client();
    runtime.block_on(async {
        let service = Service::start(&data, &more);
        let mut pauses: Vec<f64> = Vec::new();
        for change in 1..=reloads {
            let user = format!("user{change}");
            push(&client, &service, reads(&user, 0..SEEN)).await;
            let is_broken = change.is_multiple_of(10);
            let text = if is_broken { "title: [".to_owned() } else { rules(change) };
            std::fs::write(dir.path().join("rules.yml"), text).unwrap();
            // The fifth comes before, while or after the rules change.
            let ((status, answer), ()) = tokio::join!(reload(&client, &service), push(&client, &service, reads(&user, SEEN..SEEN + 1)));
            if is_broken {
                assert_eq!((status, answer["code"].as_str()), (422, Some("bad_rules")), "{answer}");
            } else {
                assert_eq!(status, 200, "{answer}");
                pauses.push(answer["pause_ms"].as_f64().unwrap());
                assert!(answer["filled"].as_array().unwrap().len() <= 1, "{answer}");
            }
        }
        for change in 1..=reloads {
            let user = format!("user{change}");
            let alerts = format!("{}/api/v1/alerts?limit=1000&entity=user:{user}", service.url);
            until(&client, &alerts, |answer| fives(answer, &user).len() == 3).await;
        }
        let all = format!("{}/api/v1/events/search?limit=0", service.url);
        until(&client, &all, |answer| answer["total"]["value"] == reloads * (SEEN + 1)).await;
        let (_, shown) = json(client.get(format!("{}/api/v1/rules", service.url))).await;
        let last = reloads - usize::from(reloads.is_multiple_of(10));
        assert!(shown.to_string().contains(&format!("told {last} times")), "{shown}");
        let metrics = client.get(format!("{}/metrics", service.url)).send().await.unwrap().text().await.unwrap();
        assert!(metrics.contains(&format!("bartizan_rule_reloads_total{{outcome=\"refused\"}} {}", reloads / 10)), "{metrics}");
        pauses.sort_by(f64::total_cmp);
        let at = |share: f64| pauses[((pauses.len() - 1) as f64 * share) as usize];
        println!("{reloads} changes; the flow stood still for {:.2} ms at the median, {:.2} at p99, {:.2} at most", at(0.5), at(0.99), at(1.0));
    });
}

#[test]
fn a_hangup_reads_the_rules_anew_and_a_configuration_that_can_not_be_read_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (data, more) = (dir.path().join("data"), config(dir.path(), &rules(0)));
    let (runtime, client) = client();
    runtime.block_on(async {
        let service = Service::start(&data, &more);
        std::fs::write(dir.path().join("rules.yml"), rules(7)).unwrap();
        assert!(Command::new("kill").args(["-HUP", &service.id().to_string()]).status().unwrap().success());
        let shown = format!("{}/api/v1/rules", service.url);
        until(&client, &shown, |answer| answer.to_string().contains("told 7 times")).await;
        std::fs::write(data.with_extension("toml"), "[detect\n").unwrap();
        let (status, answer) = reload(&client, &service).await;
        assert_eq!((status, answer["code"].as_str()), (422, Some("bad_rules")), "{answer}");
        let (_, answer) = json(client.get(&shown)).await;
        assert!(answer.to_string().contains("told 7 times"));
    });
}
