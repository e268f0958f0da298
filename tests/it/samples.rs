//! Every file of the shared samples: how many events of which kind, out of which envelope, and why the rest is none.
//!
//! `tests/fixtures/samples.expected` has a line a file, with counts alone. `BARTIZAN_BLESS=1 cargo test --test it samples` writes it anew:
//! read the difference before you keep it. `BARTIZAN_SAMPLES=1` reads the large files too, and prints the table.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::reading::{Reading, payloads, shared};
use crate::service::setting;

/// Rejects that may be: in files whose path holds the first, of reasons that are named second, because of the third.
const ALLOWED: &[(&str, &str, &str)] = &[
    (".md", "*", "prose"),
    ("LICENSES/", "*", "prose"),
    (".tsv", "*", "a list of where lines came from"),
    (".yaml", "*", "YAML is not read"),
    (".csv", "*", "CSV is not read"),
    (".headers", "not_json", "headers of recorded requests"),
    ("envelopes/azure-eventhub/webhook-curl.txt", "not_json", "a shell script"),
    ("falco/alerts-text.txt", "not_json", "Falco's output for people"),
    ("shippers/hubble/observe-compact.txt", "not_json", "Hubble's output for people"),
    ("ocsf/ocsf-schema", "binary not_json", "an archive of a schema's sources"),
];

/// Bytes of a file past which it waits for the full run: a debug build takes a minute for them.
const USUAL_BYTES_MAX: u64 = 500 << 10;

/// What one file came to.
#[derive(Debug, Default)]
struct Row {
    payloads: usize,
    events: BTreeMap<String, u64>,
    duplicates: u64,
    rejects: BTreeMap<String, u64>,
}

impl Row {
    fn of(path: &Path) -> Self {
        let mut reading = Reading::new();
        let mut row = Self::default();
        for payload in payloads(path) {
            row.payloads += 1;
            for event in reading.read(&payload) {
                let forged = if crate::reading::facts(&event, "event.forged_kind") == "true" { " forged" } else { "" };
                *row.events.entry(format!("{}/{}{forged}", event.kind.name(), event.envelope.name())).or_default() += 1;
            }
        }
        let counts = reading.counts();
        row.duplicates = counts.tally.duplicates;
        row.rejects =
            counts.rejects_by_reason.into_iter().filter(|(_, count)| *count > 0).map(|(reason, count)| (reason.into_owned(), count)).collect();
        row
    }

    fn show(&self) -> String {
        let mut parts = vec![format!("{} payloads", self.payloads)];
        parts.extend(self.events.iter().map(|(what, count)| format!("{count} {what}")));
        if self.duplicates > 0 {
            parts.push(format!("{} again", self.duplicates));
        }
        parts.extend(self.rejects.iter().map(|(reason, count)| format!("!{count} {reason}")));
        parts.join(", ")
    }

    /// The rejects that nothing allows.
    fn unexplained(&self, name: &str) -> u64 {
        let is_allowed = |reason: &str| {
            ALLOWED.iter().any(|(part, reasons, _)| name.contains(part) && (*reasons == "*" || reasons.split(' ').any(|one| one == reason)))
        };
        self.rejects.iter().filter(|(reason, _)| **reason != "control" && !is_allowed(reason)).map(|(_, count)| count).sum()
    }
}

fn walk(folder: &Path, to: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path, to) } else { to.push(path) }
    }
}

#[test]
fn every_shared_sample_becomes_what_it_says() {
    let Some(root) = shared() else { return };
    let mut files = Vec::new();
    walk(&root, &mut files);
    files.sort();
    let is_full = setting("BARTIZAN_SAMPLES").is_some() || setting("BARTIZAN_BLESS").is_some();
    files.retain(|path| is_full || path.metadata().is_ok_and(|file| file.len() <= USUAL_BYTES_MAX));
    let rows: BTreeMap<String, Row> =
        files.iter().map(|path| (path.strip_prefix(&root).unwrap().to_string_lossy().into_owned(), Row::of(path))).collect();
    let got: String = rows.iter().map(|(name, row)| format!("{name}: {}\n", row.show())).collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/samples.expected");
    if setting("BARTIZAN_BLESS").is_some() {
        std::fs::write(&path, &got).unwrap();
    }
    if setting("BARTIZAN_SAMPLES").is_some() {
        eprint!("{got}");
    }
    let sum = |of: fn(&Row) -> u64| rows.values().map(of).sum::<u64>();
    let unexplained: Vec<String> =
        rows.iter().filter(|(name, row)| row.unexplained(name) > 0).map(|(name, row)| format!("{name}: {}", row.show())).collect();
    eprintln!(
        "{} files, {} payloads: {} events, {} duplicates, {} control messages, {} explained rejects, {} files with unexplained rejects",
        rows.len(),
        sum(|row| row.payloads as u64),
        sum(|row| row.events.values().sum()),
        sum(|row| row.duplicates),
        sum(|row| row.rejects.get("control").copied().unwrap_or_default()),
        sum(|row| row.rejects.iter().filter(|(reason, _)| **reason != "control").map(|(_, count)| count).sum()),
        unexplained.len()
    );
    assert!(unexplained.is_empty(), "{}", unexplained.join("\n"));
    // The samples may have grown or gone since; those that are known are what they were.
    let expected = std::fs::read_to_string(&path).unwrap();
    let mut known = 0;
    for line in expected.lines() {
        let (name, expected) = line.split_once(": ").unwrap();
        let Some(row) = rows.get(name) else { continue };
        assert_eq!(row.show(), expected, "{name}");
        known += 1;
    }
    eprintln!("{known} of them as written down");
}
