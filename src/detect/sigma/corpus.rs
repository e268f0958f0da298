//! Public rules, where they are at hand: nearly all must be read, and what is refused must be for a reason that is known.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::*;
use crate::detect::matcher::Matcher;

pub(super) fn root() -> Option<PathBuf> {
    ["../shared/sigma", "../../shared/sigma"].iter().map(|near| Path::new(env!("CARGO_MANIFEST_DIR")).join(near)).find(|path| path.is_dir())
}

pub(super) fn files(folder: &Path, to: &mut Vec<(Arc<str>, String)>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            files(&path, to);
        } else if path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml")
            && let Ok(text) = std::fs::read_to_string(&path)
        {
            to.push((Arc::from(path.to_string_lossy()), text));
        }
    }
}

/// Reads a folder: rules read, and errors by code.
fn check(folder: &str, settings: &Settings) -> Option<(usize, BTreeMap<&'static str, usize>)> {
    let Some(root) = root() else {
        println!("no public rules at hand: nothing is tested");
        return None;
    };
    let mut all = Vec::new();
    files(&root.join(folder), &mut all);
    let (set, problems) = parse(&all, settings);
    // What is read must also be what the engine can run.
    let everywhere = Settings { any_logsource: true, ..settings.clone() };
    let (_, refused) = Matcher::new(&parse(&all, &everywhere).0);
    assert!(refused.is_empty(), "{folder}: {refused:?}");
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error);
    let mut codes = BTreeMap::new();
    for problem in errors {
        *codes.entry(problem.code).or_default() += 1;
        println!("{}", problem.to_string().replace(&*root.to_string_lossy(), ""));
    }
    println!("{folder}: {} files, {} rules, {codes:?}", all.len(), set.rules.len());
    Some((set.rules.len(), codes))
}

#[test]
fn public_rules_are_read() {
    let settings = Settings::default();
    let Some((rules, errors)) = check("rules", &settings) else { return };
    assert!(errors.is_empty() && rules > 3_000, "{rules} rules, {errors:?}");
    for folder in ["rules-threat-hunting", "rules-emerging-threats", "rules-compliance", "unsupported", "deprecated", "rules-placeholder"] {
        check(folder, &settings);
    }
    check("correlation", &settings);
    check("spec-examples", &settings);
}
