//! The file for containers: it parses, every service has a profile of its own or none, and nothing listens beyond loopback.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser};

/// All scalars of a document with their paths: keys and places in lists, joined by dots.
fn leaves(text: &str) -> BTreeMap<String, String> {
    // Each open node: the key or place that comes next, and whether it is a list.
    let mut open: Vec<(Option<String>, Option<usize>)> = Vec::new();
    let mut found = BTreeMap::new();
    for event in Parser::new_from_str(text) {
        let (event, _) = event.unwrap();
        let value = match event {
            Event::Scalar(value, ..) => Some(value.into_owned()),
            Event::MappingStart(..) | Event::SequenceStart(..) => {
                open.push((None, matches!(event, Event::SequenceStart(..)).then_some(0)));
                continue;
            }
            Event::MappingEnd | Event::SequenceEnd => {
                open.pop();
                None
            }
            _ => continue,
        };
        let Some(last) = open.len().checked_sub(1) else { continue };
        let is_key = value.is_some() && open[last].1.is_none() && open[last].0.is_none();
        if is_key {
            open[last].0 = value;
            continue;
        }
        if let Some(value) = value {
            let path: Vec<String> = open.iter().map(|(key, at)| key.clone().or(at.map(|at| at.to_string())).unwrap_or_default()).collect();
            found.insert(path.join("."), value);
        }
        match &mut open[last] {
            (_, Some(at)) => *at += 1,
            (key, None) => *key = None,
        }
    }
    found
}

#[test]
fn it_parses_and_listens_on_loopback_alone() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docker-compose.yml")).unwrap();
    let leaves = leaves(&text);
    for (service, profile) in [("bartizan", None), ("bucket", Some("bucket")), ("queue", Some("queue")), ("kafka", Some("kafka"))] {
        assert!(leaves.contains_key(&format!("services.{service}.image")), "{service}: {leaves:#?}");
        assert_eq!(leaves.get(&format!("services.{service}.profiles.0")).map(String::as_str), profile, "{service}");
    }
    let ports: Vec<&String> = leaves.iter().filter(|(path, _)| path.contains(".ports.")).map(|(_, port)| port).collect();
    assert_eq!(ports.len(), 4);
    assert!(ports.iter().all(|port| port.starts_with("127.0.0.1:")), "{ports:?}");
}
