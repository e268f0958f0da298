//! The demo is not scripted: take a rule away, and its alert goes while the others stay.

use std::collections::BTreeSet;
use std::sync::Arc;

use bartizan::app::rules::settings;
use bartizan::cli::demo::posts;
use bartizan::detect::pack;
use bartizan::detect::sigma;
use bartizan::model::{Alert, Timestamp};

use crate::reading::Reading;

/// The alerts of the demo's events with these rules.
fn alerts(rules: &[(Arc<str>, String)]) -> Vec<Alert> {
    let (rules, _) = sigma::parse(rules, &settings(None, false));
    let now = Timestamp::parse("2026-01-01T12:20:00Z").unwrap();
    let mut reading = Reading::of(&Arc::new(rules));
    let events: Vec<_> = posts(now).into_iter().flat_map(|post| reading.read(post.body.as_bytes())).collect();
    assert_eq!(reading.counts().tally.rejects, 0);
    reading.alerts(&events)
}

fn ids(alerts: &[Alert]) -> BTreeSet<String> {
    alerts.iter().map(|alert| alert.rule.id.clone()).collect()
}

#[test]
fn each_alert_goes_with_its_rule_and_no_other() {
    let rules = pack::rules();
    let all = ids(&alerts(&rules));
    assert!(all.len() >= 4, "{all:?}");
    let mut checked = 0;
    for (file, text) in &rules {
        let own: BTreeSet<String> = all.iter().filter(|id| text.contains(&format!("id: {id}\n"))).cloned().collect();
        if own.is_empty() {
            continue;
        }
        let others: Vec<_> = rules.iter().filter(|(other, _)| other != file).cloned().collect();
        assert_eq!(ids(&alerts(&others)), &all - &own, "without {file}");
        checked += 1;
    }
    assert_eq!(checked, all.len());
}

#[test]
fn one_alert_joins_all_three_sources_and_names_the_user() {
    let alerts = alerts(&pack::rules());
    let story = alerts.iter().find(|alert| alert.rule.title == "Who ran that shell, and where it went").unwrap();
    assert_eq!(story.title, "mallory@corp.example opened a shell in shop/orders-7d9c6b5f4-k2x8p, which then reached 169.254.169.254");
    for entity in ["user:mallory@corp.example", "pod:shop/orders-7d9c6b5f4-k2x8p", "ip:203.0.113.77"] {
        assert!(story.entities.iter().any(|known| known == entity), "{entity} in {:?}", story.entities);
    }
    let steps: BTreeSet<&str> = story.steps.iter().map(|step| step.rule.as_str()).collect();
    assert_eq!(steps.len(), 3);
}
