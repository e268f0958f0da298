//! Public correlations, where they are at hand: each file with the rules that it names runs, or is refused for its own fault.

use std::sync::Arc;

use super::corpus::{files, root};
use super::*;
use crate::detect::engine::{Engine, EngineSettings};
use crate::detect::rule::Body;

/// A folder, its files, and its correlations that run.
const FOLDERS: [(&str, usize, usize); 3] = [
    ("correlation", 27, 30),
    ("spec-examples/correlation", 8, 8),
    // Of the others one is a rule, one a filter, one only a list of references.
    ("spec-examples/from-text", 10, 8),
];

/// What is said of a file besides that rules have no level or id: by the end of its path.
const SAID: [(&str, &[&str]); 4] = [
    // An example of references alone.
    ("sigma-correlation-rules-specification-01.yml", &["missing-type", "missing-timespan"]),
    // The specification names no percentile in its example: the median is taken.
    ("sigma-correlation-rules-specification-11.yml", &["missing-percentile"]),
    ("value_percentile.yml", &["missing-percentile"]),
    // A filter for a rule that is not there: what stands for it here is of no such log source.
    ("sigma-filters-specification-01.yml", &["unmatched-logsource", "unmatched-logsource"]),
];

/// A rule of this name and id.
fn named(name: &str) -> String {
    format!("title: t\nid: {name}\nname: {name}\nlevel: low\nlogsource: {{product: elsewhere}}\ndetection: {{s: {{f: a}}, condition: s}}\n")
}

/// The correlations of one file that run, and the problems that are left once the rules are there that it names.
fn check(file: &(Arc<str>, String)) -> (usize, Vec<&'static str>) {
    let settings = Settings { any_logsource: true, ..Settings::default() };
    let mut all = vec![file.clone()];
    let (_, problems) = parse(&all, &settings);
    let missing = problems.iter().filter(|problem| problem.code == "unknown-rule").filter_map(|problem| problem.message.split('`').nth(1));
    all.extend(missing.map(|name| (Arc::from(name), named(name))));
    let (set, problems) = parse(&all, &settings);
    let engine = Engine::new(Arc::new(set), EngineSettings::default());
    assert_eq!(engine.refused(), [], "{}", file.0);
    let correlations = engine.rules().rules.iter().filter(|rule| matches!(rule.body, Body::Correlation(_))).count();
    (correlations, problems.iter().map(|problem| problem.code).collect())
}

#[test]
fn public_correlations_run() {
    let Some(root) = root() else {
        println!("no public rules at hand: nothing is tested");
        return;
    };
    for (folder, file_count, correlation_count) in FOLDERS {
        let mut all = Vec::new();
        files(&root.join(folder), &mut all);
        // Remarks that are no correlations are held against the whole folder elsewhere.
        all.retain(|(file, _)| !file.contains("legacy-string-field"));
        let mut found = 0;
        for file in &all {
            let (correlations, mut problems) = check(file);
            found += correlations;
            problems.retain(|code| !["missing-level", "missing-id"].contains(code));
            let said = SAID.iter().find(|(name, _)| file.0.ends_with(name)).map_or([].as_slice(), |(_, said)| said);
            assert_eq!(problems, said, "{}", file.0);
        }
        assert_eq!((all.len(), found), (file_count, correlation_count), "{folder}");
    }
}
