//! The house, held to its own rules: layers, sizes, and what the pure core may depend on.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The layers, lowest first: the modules of each.
const LAYERS: &[&[&str]] = &[
    &["model", "defect"],
    &["decode", "normalize", "dedupe", "query", "enrich", "detect", "alert", "ocsf"],
    &["ports", "clock", "codec", "segment", "telemetry"],
    &["source", "store", "deliver"],
    &["pipeline"],
    &["config", "api"],
    &["app", "cli", "main", "lib"],
];

/// What may be imported besides: `(module, whole layers below, but not)`. Pure stages and the shell base know the nouns only.
const MAY_IMPORT: &[(usize, usize, &[&str])] = &[(0, 0, &[]), (1, 1, &[]), (2, 1, &[]), (3, 3, &[]), (4, 4, &["deliver"]), (5, 5, &[]), (6, 7, &[])];

/// The API is on the same layer as the configuration and knows less: not the flow.
const API_KNOWS_LAYERS: usize = 4;

/// The modules that this one may import, or nothing if no layer has it.
fn allowed(module: &str) -> Option<BTreeSet<&'static str>> {
    let layer = LAYERS.iter().position(|modules| modules.contains(&module))?;
    let (_, below, but) = MAY_IMPORT[layer];
    let below = if module == "api" { API_KNOWS_LAYERS } else { below };
    Some(LAYERS[..below].iter().flat_map(|modules| modules.iter()).copied().filter(|name| !but.contains(name)).collect())
}

/// Lines past which a file has more than one reason to change.
const FILE_LINES_MAX: usize = 500;

/// Crates that do IO, tell the time or run tasks: none may be under the pure core.
const IO_CRATES: &[&str] = &[
    "tokio",
    "mio",
    "socket2",
    "zstd-sys",
    "libz-sys",
    "flate2",
    "hyper",
    "reqwest",
    "rustls",
    "iana-time-zone",
    "getrandom",
    "tempfile",
    "rdkafka",
    "sqlx",
];

fn sources() -> Vec<PathBuf> {
    fn walk(folder: &Path, to: &mut Vec<PathBuf>) {
        let mut entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                walk(&path, to);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                to.push(path);
            }
        }
    }
    let mut to = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut to);
    to
}

/// The top-level module that a file belongs to.
fn module_of(path: &Path) -> String {
    let inside = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    first.strip_suffix(".rs").unwrap_or(&first).to_owned()
}

/// Names of top-level modules that the text refers to by `crate::` or by the package's own name.
fn imports_of(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
        for lead in ["crate::", "bartizan::"] {
            for (at, _) in line.match_indices(lead) {
                let rest = &line[at + lead.len()..];
                let names: Vec<&str> = match rest.strip_prefix('{') {
                    Some(group) => group.split(',').map(str::trim).collect(),
                    None => vec![rest],
                };
                for name in names {
                    let word: String = name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                    if !word.is_empty() {
                        found.insert(word);
                    }
                }
            }
        }
    }
    found
}

#[test]
fn imports_point_down() {
    let mut wrong = Vec::new();
    for path in sources() {
        let module = module_of(&path);
        let Some(allowed) = allowed(&module) else {
            wrong.push(format!("{}: module `{module}` is not in the table of layers", path.display()));
            continue;
        };
        let text = fs::read_to_string(&path).unwrap();
        for import in imports_of(&text) {
            let is_module = LAYERS.iter().any(|modules| modules.contains(&import.as_str()));
            if is_module && import != module && !allowed.contains(import.as_str()) {
                wrong.push(format!("{}: `{module}` may not import `{import}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_are_short() {
    let long: Vec<String> = sources()
        .into_iter()
        .map(|path| (fs::read_to_string(&path).unwrap().lines().count(), path))
        .filter(|(lines, _)| *lines > FILE_LINES_MAX)
        .map(|(lines, path)| format!("{}: {lines} lines", path.display()))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn pure_core_does_no_io() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--no-default-features", "--edges", "normal", "--prefix", "none", "--format", "{p} {f}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    for line in tree.lines() {
        let name = line.split(' ').next().unwrap_or_default();
        assert!(!IO_CRATES.contains(&name), "the pure core depends on `{name}`");
        assert!(!(name == "chrono" && (line.contains("now") || line.contains("clock"))), "the pure core's chrono can tell the time: {line}");
    }
}

#[test]
fn every_detection_has_its_test() {
    fn walk(folder: &Path, missing: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                walk(&path, missing);
            } else if name.ends_with(".yml") && !name.ends_with(".test.yml") && !path.with_file_name(name.replace(".yml", ".test.yml")).exists() {
                missing.push(path.display().to_string());
            }
        }
    }
    let mut missing = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("detections"), &mut missing);
    assert!(missing.is_empty(), "{missing:?}");
}
