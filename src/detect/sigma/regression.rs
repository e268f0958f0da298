//! The events that the authors of public rules recorded for them, where they are at hand: each must match its rule.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::corpus::{files, root};
use super::*;
use crate::detect::matcher::Matcher;
use crate::detect::sample::event;
use crate::model::{Doc, Limits, Parser, Path as DocPath, skip_value, write_json_string};

/// Defender writes blanks into names that rules spell without.
const NAMES: [(&str, &str); 2] = [("SourceName", "Source Name"), ("ThreatName", "Threat Name")];

/// An event of Windows as rules name its fields: what stands in `System` and `EventData`, side by side.
fn flat(doc: &Doc) -> String {
    let inner = |name: &str| {
        let path = DocPath::of(["Event", name]);
        let found = doc.containers().iter().find(|container| container.path == path && !container.is_array);
        found.map(|container| doc.container_text(container).trim().trim_start_matches('{').trim_end_matches('}').trim().to_owned())
    };
    let parts: Vec<String> = ["System", "EventData", "UserData"].into_iter().filter_map(inner).filter(|text| !text.is_empty()).collect();
    format!("{{{}}}", parts.join(","))
}

/// Every event of a file: objects one after another.
fn events(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut parser = Parser::new(Limits::default());
    let mut rest = text.trim_start();
    while let Ok(end) = skip_value(rest.as_bytes(), 0) {
        let (value, behind) = rest.split_at(end);
        found.push(flat(&parser.parse(value.as_bytes(), None).unwrap()));
        rest = behind.trim_start();
    }
    assert!(rest.is_empty(), "{rest:?}");
    found
}

/// What was recorded for a rule: events of Windows, or a line of text.
fn records(folder: &Path, id: &str) -> Vec<String> {
    let read = |extension: &str| std::fs::read_to_string(folder.join(format!("{id}.{extension}"))).ok();
    if let Some(line) = read("raw") {
        let mut record = String::from("{\"message\":");
        write_json_string(line.trim(), &mut record);
        record.push('}');
        return vec![record];
    }
    read("json").or_else(|| read("jsoncls")).map(|text| events(&text)).unwrap_or_default()
}

fn infos(folder: &Path, to: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            infos(&path, to);
        } else if path.file_name().is_some_and(|name| name == "info.yml") {
            to.push(path);
        }
    }
}

#[test]
fn recorded_events_match_their_rules() {
    let Some(root) = root() else {
        println!("no public rules at hand: nothing is tested");
        return;
    };
    let mut all = Vec::new();
    for folder in ["rules", "rules-threat-hunting", "rules-emerging-threats"] {
        files(&root.join(folder), &mut all);
    }
    let field_mappings = NAMES.map(|(rule, event)| (rule.to_owned(), event.to_owned())).into();
    let (set, _) = parse(&all, &Settings { any_logsource: true, field_mappings, ..Settings::default() });
    let (mut matcher, refused) = Matcher::new(&set);
    assert!(refused.is_empty(), "{refused:?}");
    let index: BTreeMap<&str, u32> = (0..).zip(&set.rules).map(|(at, rule)| (rule.header.id.as_str(), at)).collect();
    let mut paths = Vec::new();
    infos(&root.join("regression"), &mut paths);
    paths.sort();
    let (mut missed, mut held, mut found) = (Vec::new(), 0, Vec::new());
    for path in &paths {
        let info = std::fs::read_to_string(path).unwrap();
        let id = info.lines().find_map(|line| line.trim().strip_prefix("- id: ")).unwrap().trim().to_owned();
        let folder = path.parent().unwrap();
        let records = records(folder, &id);
        let Some(rule) = index.get(id.as_str()) else {
            missed.push(format!("{id}: no such rule"));
            continue;
        };
        let matches = records.iter().any(|json| {
            matcher.find(&event("e", 0, json), &mut found);
            found.contains(rule)
        });
        held += usize::from(matches);
        if !matches {
            missed.push(format!("{id} {}", folder.display()));
        }
    }
    println!("{held} of {} recorded events match", paths.len());
    assert!(missed.is_empty(), "{missed:#?}");
    assert_eq!(held, paths.len());
    assert!(held >= 98, "{held}");
}
