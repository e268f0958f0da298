//! Public rules, where they are at hand: what is read, and what is refused for which reason, to the file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::*;
use crate::detect::matcher::Matcher;

/// What comes of a folder.
struct Folder {
    name: &'static str,
    files: usize,
    rules: usize,
    /// Errors by code.
    errors: &'static [(&'static str, usize)],
}

const FOLDERS: [Folder; 10] = [
    Folder { name: "rules", files: 3_141, rules: 3_141, errors: &[] },
    Folder { name: "rules-threat-hunting", files: 140, rules: 140, errors: &[] },
    // Lists of one's own hosts.
    Folder { name: "rules-emerging-threats", files: 473, rules: 471, errors: &[("unknown-placeholder", 2)] },
    Folder { name: "rules-compliance", files: 3, rules: 3, errors: &[] },
    // Nothing can be said of these without the lists they are about.
    Folder { name: "rules-placeholder", files: 23, rules: 0, errors: &[("unknown-placeholder", 33)] },
    Folder { name: "deprecated", files: 172, rules: 167, errors: &[("old-aggregation", 1), ("unknown-placeholder", 8), ("unsupported-status", 1)] },
    // 83 files say of themselves that they cannot be used, three of them after an `action`, at which reading ends. Most ask for what Sigma
    // has no more (counting, `near`, `timeframe`) or never had (prose for a condition). Four have another status, and nothing in them that
    // the specification lacks: they load.
    Folder {
        name: "unsupported",
        files: 87,
        rules: 4,
        errors: &[("bad-condition", 3), ("old-aggregation", 56), ("unsupported-action", 8), ("unsupported-status", 80)],
    },
    // The remark is no reason to refuse one: ten count or have a `timeframe`, and two without an id have the same title.
    Folder { name: "correlation/mdecrevoisier-legacy-string-field", files: 22, rules: 11, errors: &[("duplicate-id", 1), ("old-aggregation", 10)] },
    // One rule in two taxonomies, with one id.
    Folder { name: "spec-examples/rules", files: 2, rules: 1, errors: &[("duplicate-id", 1)] },
    // The rules that they name come with no specification.
    Folder { name: "spec-examples/filter", files: 2, rules: 0, errors: &[("unknown-rule", 4)] },
];

pub(super) fn root() -> Option<PathBuf> {
    ["../shared/sigma", "../../shared/sigma"].iter().map(|near| Path::new(env!("CARGO_MANIFEST_DIR")).join(near)).find(|path| path.is_dir())
}

/// Every rule file below a folder, in order.
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

/// The text as it is, but for the folder of this machine.
fn shown(problem: &Diagnostic, root: &Path) -> String {
    problem.to_string().replace(&*root.to_string_lossy(), "")
}

fn check(root: &Path, folder: &Folder) {
    let mut all = Vec::new();
    files(&root.join(folder.name), &mut all);
    let settings = Settings::default();
    let (set, problems) = parse(&all, &settings);
    // What is read must also be what the engine can run.
    let (everywhere, _) = parse(&all, &Settings { any_logsource: true, ..settings });
    assert_eq!(Matcher::new(&everywhere).1, [], "{}", folder.name);
    let errors: Vec<&Diagnostic> = problems.iter().filter(|problem| problem.severity == Severity::Error).collect();
    let mut codes = BTreeMap::new();
    for problem in &errors {
        *codes.entry(problem.code).or_insert(0) += 1;
        assert!(problem.line > 0 && problem.column > 0, "{problem}");
    }
    let listing: Vec<String> = errors.iter().map(|problem| shown(problem, root)).collect();
    assert_eq!((all.len(), set.rules.len()), (folder.files, folder.rules), "{}: {listing:#?}", folder.name);
    assert_eq!(codes, folder.errors.iter().copied().collect(), "{}: {listing:#?}", folder.name);
    // A file that gives no rule says why.
    let read: std::collections::BTreeSet<&str> =
        set.rules.iter().map(|rule| &*rule.file).chain(errors.iter().map(|problem| &*problem.file)).collect();
    assert_eq!(read.len(), all.len(), "{}", folder.name);
}

#[test]
fn public_rules_are_read() {
    let Some(root) = root() else {
        println!("no public rules at hand: nothing is tested");
        return;
    };
    for folder in &FOLDERS {
        check(&root, folder);
    }
}

#[test]
fn legacy_remarks_are_warned_of() {
    let Some(root) = root() else { return };
    let mut all = Vec::new();
    files(&root.join("correlation/mdecrevoisier-legacy-string-field"), &mut all);
    let (_, problems) = parse(&all, &Settings::default());
    let warned = problems.iter().filter(|problem| problem.code == "legacy-correlation" && problem.severity == Severity::Warning).count();
    assert_eq!(warned, all.len());
}

#[test]
fn the_specifications_filters_work_on_the_rules_they_name() {
    let Some(root) = root() else { return };
    for (name, source, user) in [
        ("filter_1.yml", "{product: windows, category: process_creation}", "User"),
        ("filter_ecs.yml", "{category: network, service: dns}", "dns.question.name"),
    ] {
        let mut all = vec![(Arc::from(name), std::fs::read_to_string(root.join("spec-examples/filter").join(name)).unwrap())];
        for id in ["6f3e2987-db24-4c78-a860-b4f4095a7095", "df0841c0-9846-4e9f-ad8a-7df91571771b"] {
            let rule = format!("title: t\nid: {id}\nlevel: low\nlogsource: {source}\ndetection: {{s: {{{user}: '*'}}, condition: s}}\n");
            all.push((Arc::from(id), rule));
        }
        let (set, problems) = parse(&all, &Settings::default());
        assert_eq!(problems, [], "{name}");
        let filters: Vec<usize> = set
            .rules
            .iter()
            .map(|rule| match &rule.body {
                crate::detect::rule::Body::Single(detection) => detection.filters.len(),
                crate::detect::rule::Body::Correlation(_) => 0,
            })
            .collect();
        assert_eq!(filters, [1, 1], "{name}");
    }
}
