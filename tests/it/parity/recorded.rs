//! The same record from what real programs wrote: in the recordings of shippers it is the event that the bare record is, with the same facts.
//!
//! A cell is `=` where all facts are the same, `~` where the wrapper itself says another of them (named below, with the reason), and `.` where the
//! recording has not got the record. Nothing in this table is wrapped by a test. `BARTIZAN_PARITY=1` prints it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bartizan::model::{Event, Field};
use serde_json::Value;

use crate::reading::{Reading, payloads, shared};
use crate::service::setting;

/// Facts that tell of the way and not of the record.
const OF_THE_WAY: &[Field] = &[Field::EventEnvelope, Field::EventIngested, Field::EventSource];

/// A recording: the program, its files, the facts that it changed itself and why, and whether it has all the records.
struct Column {
    program: &'static str,
    files: &'static [&'static str],
    differs: &'static [&'static str],
    why: &'static str,
    is_whole: bool,
}

const fn column(program: &'static str, files: &'static [&'static str]) -> Column {
    Column { program, files, differs: &[], why: "", is_whole: true }
}

const AUDIT: &[Column] = &[
    column("rsyslog omfile", &["rsyslog/traditional-fileformat.log"]),
    column("rsyslog list", &["rsyslog/json-list-template.log"]),
    column("rsyslog mmjsonparse", &["rsyslog/mmjsonparse-all-json.log"]),
    column("rsyslog omelasticsearch", &["rsyslog/omelasticsearch-bulk.body"]),
    column("rsyslog omkafka", &["rsyslog/omkafka-json.kafka.jsonl"]),
    column("syslog-ng format-json", &["syslog-ng/format-json-rfc5424.log"]),
    column("syslog-ng http", &["syslog-ng/http-batch-1.body", "syslog-ng/http-batch-2.body"]),
    column("syslog-ng json-parser", &["syslog-ng/json-parser-format-json.log"]),
    column("otel file", &["otel-collector/file-json-raw.json"]),
    column("otel file, parsed", &["otel-collector/file-json-parsed-body.json"]),
    column("otel file, protobuf", &["otel-collector/file-proto-raw.bin"]),
    column("otel http", &["otel-collector/otlphttp-json.http.jsonl"]),
    column("otel kafka", &["otel-collector/kafka-raw.kafka.jsonl"]),
];

const FALCO: &[Column] = &[
    column("webhook", &["falcosidekick/webhook.http.jsonl"]),
    column("cloudevents", &["falcosidekick/cloudevents.http.jsonl"]),
    column("elasticsearch", &["falcosidekick/elasticsearch.http.jsonl"]),
    column("kafka", &["falcosidekick/kafka.kafka.jsonl"]),
    column("aws s3", &["falcosidekick/aws-s3.objects.jsonl"]),
    column("syslog", &["falcosidekick/syslog-json.txt"]),
    column("loki", &["falcosidekick/loki-json.http.jsonl"]),
    column("alertmanager", &["falcosidekick/alertmanager.http.jsonl"]),
];

const HUBBLE: &[Column] = &[
    column("hubble observe -o jsonpb", &["hubble/observe-jsonpb.json", "hubble/observe-agent-debug-events.json"]),
    Column {
        is_whole: false,
        ..column(
            "GetFlows",
            &[
                "hubble/getflows-marshaljson/00.json",
                "hubble/getflows-marshaljson/04.json",
                "hubble/getflows-marshaljson/08.json",
                "hubble/getflows-marshaljson/12.json",
                "hubble/getflows-marshaljson/16.json",
                "hubble/getflows-marshaljson/20.json",
                "hubble/getflows-marshaljson/22.json",
                "hubble/getflows-marshaljson/23.json",
                "hubble/getflows-marshaljson/24.json",
            ],
        )
    },
    column("exporter, masked", &["hubble/exporter-fieldmask-docs.log"]),
];

/// The facts of an event: for each field its values, sorted.
fn facts(event: &Event) -> BTreeMap<&'static str, Vec<String>> {
    let mut facts: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    for (field, value) in event.facts.iter(&event.doc).filter(|(field, _)| !OF_THE_WAY.contains(field)) {
        facts.entry(field.name()).or_default().push(value.text.to_owned());
    }
    facts.values_mut().for_each(|values| values.sort());
    facts
}

fn read(payloads: impl IntoIterator<Item = Vec<u8>>) -> (Vec<Event>, Reading) {
    let mut reading = Reading::with_rules();
    let events = payloads.into_iter().flat_map(|payload| reading.read(&payload)).collect();
    (events, reading)
}

/// Rule and title of everything that is raised, and how often.
fn raised(reading: Reading, events: &[Event]) -> BTreeSet<String> {
    reading.alerts(events).iter().map(|alert| format!("{} / {} x{}", alert.rule.title, alert.title, alert.count)).collect()
}

/// Holds every column against the bare records; `key` finds a record again whatever became of its id.
fn check(root: &Path, bare: Vec<Vec<u8>>, columns: &[Column], key: fn(&Event) -> String, says_anew: bool) -> (usize, Vec<String>) {
    let (base, reading) = read(bare);
    let native = raised(reading, &base);
    let (mut cells, mut problems) = (0, Vec::new());
    let mut table: Vec<String> = base.iter().map(|event| format!("{:<60.60}", key(event))).collect();
    for column in columns {
        let (events, reading) = read(column.files.iter().flat_map(|file| payloads(&root.join("shippers").join(file))));
        let mut of_key: BTreeMap<String, &Event> = events.iter().map(|event| (key(event), event)).collect();
        of_key.extend(events.iter().map(|event| (event.id.to_string(), event)));
        for (event, row) in base.iter().zip(&mut table) {
            let Some(got) = of_key.get(&event.id.to_string()).or_else(|| of_key.get(&key(event))) else {
                row.push_str(" .");
                if column.is_whole {
                    problems.push(format!("{}: {} is missing", column.program, key(event)));
                }
                continue;
            };
            cells += 1;
            let (wanted, got) = (facts(event), facts(got));
            let names: BTreeSet<&str> = wanted.keys().chain(got.keys()).copied().collect();
            let other: Vec<&str> = names.into_iter().filter(|name| wanted.get(name) != got.get(name)).collect();
            let (known, unknown): (Vec<&str>, Vec<&str>) = other.into_iter().partition(|name| column.differs.contains(name));
            row.push_str(if known.is_empty() && unknown.is_empty() { " =" } else { " ~" });
            for name in unknown {
                problems.push(format!("{}: {}: {name} is {:?} instead of {:?}", column.program, key(event), got.get(name), wanted.get(name)));
            }
        }
        if column.is_whole && says_anew {
            let raised = raised(reading, &events);
            let differences: Vec<&String> = native.symmetric_difference(&raised).collect();
            if !differences.is_empty() {
                problems.push(format!("{}: alerts differ: {differences:?}", column.program));
            }
        }
    }
    if setting("BARTIZAN_PARITY").is_some() {
        for (at, column) in columns.iter().enumerate() {
            eprintln!("{:>width$} {} {}", "|", column.program, column.why, width = 62 + 2 * at);
        }
        eprintln!("{}", table.join("\n"));
    }
    eprintln!("{} records, {} columns, {cells} cells, {} alerts, {} differences", base.len(), columns.len(), native.len(), problems.len());
    (cells, problems)
}

fn text_at(event: &Event, key: &str) -> String {
    event.doc.text_at(bartizan::model::Path::of([key])).unwrap_or_default().to_owned()
}

/// The lines that all the shippers read, as the collector keeps them: a string, unchanged.
fn audit_lines(root: &Path) -> Vec<Vec<u8>> {
    let text = std::fs::read_to_string(root.join("shippers/otel-collector/file-json-raw.json")).unwrap();
    let batch: Value = serde_json::from_str(&text).unwrap();
    let records = batch["resourceLogs"][0]["scopeLogs"][0]["logRecords"].as_array().unwrap();
    records.iter().map(|record| record["body"]["stringValue"].as_str().unwrap().as_bytes().to_vec()).collect()
}

#[test]
fn audit_events_in_recorded_shippers() {
    let Some(root) = shared() else { return };
    let lines = audit_lines(&root);
    assert_eq!(lines.len(), 20);
    let (_, problems) = check(&root, lines, AUDIT, |event| format!("{} {}", text_at(event, "auditID"), text_at(event, "stage")), true);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn falco_alerts_in_recorded_outputs() {
    let Some(root) = shared() else { return };
    let text = std::fs::read_to_string(root.join("falco/alerts.ndjson")).unwrap();
    let originals: Vec<Vec<u8>> = text.lines().step_by(2).map(|line| line.as_bytes().to_vec()).collect();
    let (_, problems) = check(&root, originals, FALCO, |event| format!("{} {}", text_at(event, "rule"), event.time), true);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn flows_in_recorded_outputs() {
    let Some(root) = shared() else { return };
    let bare = payloads(&root.join("shippers/hubble/exporter-full.log"));
    let (_, problems) = check(&root, bare, HUBBLE, |event| format!("{} {}", event.kind.name(), event.time), true);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
