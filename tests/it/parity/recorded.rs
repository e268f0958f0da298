//! The same record from what real programs wrote: in the recordings of shippers it is the event that the bare record is, with the same facts.
//!
//! A cell is `=` where all facts are the same, `~` where the program itself changed some of them (named here, with the reason), and `.` where the
//! recording has not got the record. Nothing in these tables is wrapped by a test. `BARTIZAN_PARITY=1` prints them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bartizan::model::{Event, Field};
use serde_json::Value;

use crate::reading::{Reading, payloads, shared};
use crate::service::setting;

/// Facts that tell of the way and not of the record.
const OF_THE_WAY: &[Field] = &[Field::EventEnvelope, Field::EventIngested, Field::EventSource];

/// A recording of a program.
struct Column {
    program: &'static str,
    files: &'static [&'static str],
    /// Facts that the program changed, each with the reason below.
    differs: &'static [&'static str],
    why: &'static str,
    /// It has every record.
    is_whole: bool,
    /// Facts may be missing, as the program was told to leave members out; those that are there are the same.
    is_masked: bool,
}

const fn column(program: &'static str, files: &'static [&'static str]) -> Column {
    Column { program, files, differs: &[], why: "", is_whole: true, is_masked: false }
}

const AUDIT: &[Column] = &[
    column("rsyslog omfile", &["rsyslog/traditional-fileformat.log"]),
    column("rsyslog list", &["rsyslog/json-list-template.log"]),
    column("rsyslog mmjsonparse", &["rsyslog/mmjsonparse-all-json.log"]),
    column("rsyslog omelasticsearch", &["rsyslog/omelasticsearch-bulk.body"]),
    column("rsyslog omkafka", &["rsyslog/omkafka-json.kafka.jsonl"]),
    column("syslog-ng format-json", &["syslog-ng/format-json-rfc5424.log"]),
    column("syslog-ng http", &["syslog-ng/http-batch-1.body", "syslog-ng/http-batch-2.body"]),
    Column {
        differs: &["event.truncated", "actor.credential_id", "entity"],
        why: "keys parted at dots, lists joined: flagged, and credential ids are not found again",
        ..column("syslog-ng json-parser", &["syslog-ng/json-parser-format-json.log"])
    },
    column("otel file", &["otel-collector/file-json-raw.json"]),
    column("otel file, parsed", &["otel-collector/file-json-parsed-body.json"]),
    column("otel file, protobuf", &["otel-collector/file-proto-raw.bin"]),
    column("otel http", &["otel-collector/otlphttp-json.http.jsonl"]),
    column("otel kafka", &["otel-collector/kafka-raw.kafka.jsonl"]),
];

const FALCO: &[Column] = &[
    Column {
        differs: &["event.id", "policy.rule"],
        why: "before falcosidekick: no custom field in it, which is part of an alert; it gives some a rule that had none",
        is_whole: false,
        ..column("Falco", &["../falco/alerts.ndjson"])
    },
    column("cloudevents", &["falcosidekick/cloudevents.http.jsonl"]),
    column("elasticsearch", &["falcosidekick/elasticsearch.http.jsonl"]),
    column("kafka", &["falcosidekick/kafka.kafka.jsonl"]),
    column("aws s3", &["falcosidekick/aws-s3.objects.jsonl"]),
    column("syslog", &["falcosidekick/syslog-json.txt"]),
    Column {
        differs: &["cluster", "event.id"],
        why: "a label names the cluster, which is part of the id",
        ..column("loki", &["falcosidekick/loki-json.http.jsonl"])
    },
    Column {
        differs: &["cluster", "event.id", "event.truncated", "exec.command"],
        why: "labels for people: some fields of an alert",
        is_whole: false,
        ..column("alertmanager", &["falcosidekick/alertmanager.http.jsonl"])
    },
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
    Column {
        differs: &["event.id", "entity", "k8s.namespace", "k8s.pod"],
        why: "without a direction the observed end is not known",
        is_masked: true,
        ..column("exporter, masked", &["hubble/exporter-fieldmask-docs.log"])
    },
];

/// The facts of an event: for each field its values, sorted.
fn facts(event: &Event) -> BTreeMap<&'static str, Vec<String>> {
    let mut facts: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    for (field, value) in event.facts.iter(&event.doc).filter(|(field, _)| !OF_THE_WAY.contains(field)) {
        // A time is an instant, with however many zeros it is written.
        let text = if field == Field::EventTime { event.time.nanos().to_string() } else { value.text.to_owned() };
        facts.entry(field.name()).or_default().push(text);
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
fn check(root: &Path, bare: Vec<Vec<u8>>, columns: &[Column], key: fn(&Event) -> String) {
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
            let other: Vec<&str> =
                names.into_iter().filter(|name| wanted.get(name) != got.get(name) && (!column.is_masked || got.contains_key(name))).collect();
            let (known, unknown): (Vec<&str>, Vec<&str>) = other.into_iter().partition(|name| column.differs.contains(name));
            row.push_str(if known.is_empty() && unknown.is_empty() { " =" } else { " ~" });
            for name in unknown {
                problems.push(format!("{}: {}: {name} is {:?} instead of {:?}", column.program, key(event), got.get(name), wanted.get(name)));
            }
        }
        if column.is_whole && !column.is_masked {
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
    assert!(problems.is_empty(), "{}", problems.join("\n"));
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
    check(&root, lines, AUDIT, |event| format!("{} {}", text_at(event, "auditID"), text_at(event, "stage")));
}

#[test]
fn falco_alerts_in_recorded_outputs() {
    let Some(root) = shared() else { return };
    let bare = payloads(&root.join("shippers/falcosidekick/webhook.http.jsonl"));
    // Some test alerts of one moment differ in little else.
    let key = |event: &Event| {
        let facts = [Field::K8sPod, Field::DstIp, Field::PolicySeverity].map(|field| event.fact(field).unwrap_or("-"));
        format!("{} {:.20} {}", event.time.nanos(), text_at(event, "output"), facts.join(" "))
    };
    check(&root, bare, FALCO, key);
}

#[test]
fn flows_in_recorded_outputs() {
    let Some(root) = shared() else { return };
    let bare = payloads(&root.join("shippers/hubble/exporter-full.log"));
    check(&root, bare, HUBBLE, |event| format!("{} {}", event.kind.name(), event.time));
}
