//! OCSF output, held to the schema itself: its sources are compiled, and every event that the program makes of real records is checked.
//!
//! The schema stands beside the shared recordings. Where they are not, these tests say so and pass.

mod check;
mod rich;
mod schema;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock};

use bartizan::model::{EnvelopeKind, Event, Field, Kind, Limits, Origin, Parser, Position, Record, Timestamp};
use bartizan::normalize::normalize;
use bartizan::ocsf;
use serde_json::{Value, json};

use crate::cli::fixtures;
use crate::service::{PROGRAM, Service, client, json as answer, until};
use rich::RICH;
use schema::Schema;

static SCHEMA: LazyLock<Option<Schema>> = LazyLock::new(|| {
    let folder = fixtures()?.join("ocsf");
    let mut archives = std::fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    archives.find(|path| path.to_string_lossy().ends_with(".tar.zst")).map(|path| Schema::compile(&path))
});

/// The schema and the recordings, or word that they are not here.
fn given() -> Option<(&'static Schema, PathBuf)> {
    let given = SCHEMA.as_ref().zip(fixtures());
    if given.is_none() {
        eprintln!("skipped: the OCSF schema is not here");
    }
    given
}

/// Events by class and activity, and what is wrong with any.
#[derive(Debug, Default)]
struct Tally {
    counts: BTreeMap<String, usize>,
    faults: BTreeMap<String, (usize, String)>,
}

impl Tally {
    fn add(&mut self, schema: &Schema, line: &str) {
        let event: Value = serde_json::from_str(line).unwrap();
        *self.counts.entry(event["class_name"].as_str().unwrap_or("?").to_owned()).or_default() += 1;
        let mut faults = check::faults(schema, &event);
        empties(&event, "", &mut faults);
        for fault in faults {
            self.faults.entry(format!("{}: {fault}", event["class_name"])).or_insert_with(|| (0, line.chars().take(2000).collect())).0 += 1;
        }
    }

    #[track_caller]
    fn finish(&self, what: &str) {
        let mut report = String::new();
        for (fault, (count, line)) in self.faults.iter().take(20) {
            writeln!(report, "{count} x {fault}\n    {line}").unwrap();
        }
        eprintln!("{what}: {:?}, {} kinds of fault", self.counts, self.faults.len());
        assert!(self.faults.is_empty(), "{report}");
        assert!(!self.counts.is_empty(), "{what}: no events");
    }
}

/// Nothing empty or null is written, also where the schema takes anything.
fn empties(value: &Value, at: &str, to: &mut Vec<String>) {
    match value {
        Value::Null => to.push(format!("{at}: null")),
        Value::String(text) if text.is_empty() => to.push(format!("{at}: empty text")),
        Value::Array(list) if list.is_empty() => to.push(format!("{at}: empty list")),
        Value::Object(members) if members.is_empty() => to.push(format!("{at}: empty object")),
        Value::Array(list) => list.iter().for_each(|element| empties(element, at, to)),
        Value::Object(members) => members.iter().for_each(|(key, member)| empties(member, &format!("{at}.{key}"), to)),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What the program prints, line by line.
fn lines(args: &[&str], paths: &[PathBuf]) -> Vec<String> {
    let output = Command::new(PROGRAM).args(args).args(paths).output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// The event of a record of this kind, with these facts besides.
fn event_of(kind: Kind, record: &str, more: &[(Field, &str)]) -> Event {
    let doc = Parser::new(Limits::default()).parse(record.as_bytes(), (kind == Kind::Flow).then_some("flow")).unwrap();
    let origin = Arc::new(Origin::of("test", Timestamp::from_seconds(1_767_225_600)));
    let mut event = normalize(Record { doc, kind, envelope: EnvelopeKind::Native, offset: 0, wrapped: Default::default() }, &origin, Position(0));
    more.iter().for_each(|(field, text)| event.facts.push_text(*field, text));
    event
}

/// The OCSF form of an event.
fn written(event: &Event) -> String {
    let mut line = String::new();
    ocsf::write_event(event, &mut line);
    line
}

fn event(kind: Kind, record: &str) -> String {
    written(&event_of(kind, record, &[]))
}

#[test]
fn events_of_our_own_are_valid() {
    let Some((schema, _)) = given() else { return };
    let mut tally = Tally::default();
    let story = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/demo");
    lines(&["decode", "--format", "ocsf"], std::slice::from_ref(&story)).iter().for_each(|line| tally.add(schema, line));
    lines(&["scan", "--output", "ndjson", "--format", "ocsf"], &[story]).iter().for_each(|line| tally.add(schema, line));
    tally.finish("the demo's story");
}

#[test]
fn recorded_events_are_valid() {
    let Some((schema, fixtures)) = given() else { return };
    for folder in ["k8s-audit", "falco", "hubble", "shippers"] {
        let mut tally = Tally::default();
        lines(&["decode", "--format", "ocsf"], &[fixtures.join(folder)]).iter().for_each(|line| tally.add(schema, line));
        tally.finish(folder);
    }
}

#[test]
fn alerts_are_valid() {
    let Some((schema, fixtures)) = given() else { return };
    let mut tally = Tally::default();
    let paths = ["k8s-audit/recorded/acts", "k8s-audit/falco-traces", "falco", "hubble"].map(|folder| fixtures.join(folder));
    lines(&["scan", "--output", "ndjson", "--format", "ocsf"], &paths).iter().for_each(|line| tally.add(schema, line));
    tally.finish("alerts");
}

/// Whatever kind a record is taken for, what comes of it is valid.
#[test]
fn records_of_other_systems_are_valid() {
    let Some((schema, fixtures)) = given() else { return };
    let mut tally = Tally::default();
    for folder in ["osquery", "kubearmor", "tetragon", "policy-report", "trivy", "kube-bench", "falco"] {
        for path in files(&fixtures.join(folder)) {
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            let whole = serde_json::from_str::<Value>(&text).is_ok().then_some(text.as_str());
            let records: Vec<&str> = whole.map_or_else(|| text.lines().filter(|line| line.starts_with('{')).collect(), |whole| vec![whole]);
            for record in records.into_iter().filter(|record| serde_json::from_str::<Value>(record).is_ok_and(|value| value.is_object())) {
                Kind::ALL.into_iter().for_each(|kind| tally.add(schema, &event(kind, record)));
            }
        }
    }
    tally.finish("every kind of every record");
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// Any member may be missing, empty or of an odd type.
#[test]
fn masked_and_odd_records_are_valid() {
    let Some((schema, _)) = given() else { return };
    let mut tally = Tally::default();
    for (kind, record) in RICH {
        let whole: Value = serde_json::from_str(record).unwrap();
        tally.add(schema, &event(*kind, record));
        let mut pointers = Vec::new();
        places(&whole, "", &mut pointers);
        for pointer in &pointers {
            for odd in [
                json!(null),
                json!(""),
                json!([]),
                json!({}),
                json!("x"),
                json!(-1),
                json!(1e300),
                json!(true),
                json!([{"a": ["", "b"]}]),
                json!("\u{202e}\u{1b}[2J"),
            ] {
                let mut masked = whole.clone();
                *masked.pointer_mut(pointer).unwrap() = odd;
                let event = event_of(*kind, &masked.to_string(), &[]);
                let line = written(&event);
                tally.add(schema, &line);
                nothing_is_lost(&event, &line);
            }
        }
    }
    tally.finish("masked and odd records");
}

/// Facts that the schema has other words for.
const REWORDED: &[Field] = &[
    Field::EventTime,
    Field::EventIngested,
    Field::EventOutcome,
    Field::EventCount,
    Field::EventTruncated,
    Field::NetVerdict,
    Field::NetDirection,
    Field::NetIsReply,
    Field::K8sImage,
];

/// Every value of every other fact stands somewhere in the event, beside the record itself.
fn nothing_is_lost(event: &Event, line: &str) {
    fn gather(value: &Value, to: &mut Vec<String>) {
        match value {
            Value::Object(members) => members.iter().filter(|(key, _)| *key != "raw_data").for_each(|(_, member)| gather(member, to)),
            Value::Array(list) => list.iter().for_each(|element| gather(element, to)),
            Value::String(text) => to.push(text.clone()),
            other => to.push(other.to_string()),
        }
    }
    let mut texts = Vec::new();
    gather(&serde_json::from_str(line).unwrap(), &mut texts);
    for (field, value) in event.facts.iter(&event.doc) {
        let is_there = texts.iter().any(|text| text == value.text) || value.text.is_empty() || value.text == "null" || value.text == "1e300";
        assert!(is_there || REWORDED.contains(&field), "{} = {} is lost: {line}", field.name(), value.text);
    }
}

/// What the kinds have that no record here gives yet.
#[test]
fn files_and_clouds_are_valid() {
    let Some((schema, _)) = given() else { return };
    let mut tally = Tally::default();
    let cloud = &[(Field::CloudProvider, "gcp"), (Field::CloudAccount, "p1")][..];
    for (kind, record) in RICH {
        tally.add(schema, &written(&event_of(*kind, record, cloud)));
    }
    let file = (Field::FilePath, "/etc/shadow");
    for more in [
        &[file][..],
        &[file, (Field::ProcessUserName, "root")],
        &[file, (Field::ActorUserName, "alice"), (Field::K8sNode, "n1")],
        &[(Field::FilePath, "/")],
    ] {
        for action in ["CREATED", "MOVED_TO", "frobbed"] {
            let event = event_of(Kind::Fim, &json!({"columns": {"action": action}, "time": "2026-01-01T00:00:00Z"}).to_string(), more);
            let line = written(&event);
            nothing_is_lost(&event, &line);
            tally.add(schema, &line);
        }
    }
    tally.finish("files and clouds");
}

/// What the events say, with or without the schema at hand.
#[test]
fn events_say_what_the_records_do() {
    let facts = [(Field::FilePath, "/etc/shadow")];
    let file = written(&event_of(Kind::Fim, r#"{"columns": {"action": "DELETED"}, "time": "2026-01-01T00:00:00Z"}"#, &facts));
    let of = |at: usize| event(RICH[at].0, RICH[at].1);
    for (line, pointer, expected) in [
        (of(0), "/type_uid", json!(600_304)),
        (of(0), "/type_name", json!("API Activity: Delete")),
        (of(0), "/time", json!(1_767_225_600_500_i64)),
        (of(0), "/status_id", json!(2)),
        (of(0), "/status_code", json!("403")),
        (of(0), "/actor/user/name", json!("bob")),
        (of(0), "/src_endpoint/ip", json!("10.0.0.1")),
        (of(0), "/http_request/x_forwarded_for", json!(["203.0.113.9"])),
        (of(0), "/resources/0/type", json!("secrets")),
        (of(0), "/unmapped/actor/impersonator", json!("alice")),
        (of(0), "/unmapped/cluster", json!("default")),
        (of(0), "/raw_data", json!(RICH[0].1)),
        (of(0), "/metadata/original_event_uid", json!("a")),
        (of(1), "/type_uid", json!(600_301)),
        (of(1), "/api/operation", json!("google.iam.admin.v1.CreateServiceAccountKey")),
        (of(2), "/type_uid", json!(200_401)),
        (of(2), "/severity", json!("Critical")),
        (of(2), "/device/hostname", json!("n1")),
        (of(2), "/finding_info/attacks/1/tactic/uid", json!("TA0002")),
        (of(2), "/evidences/0/process/cmd_line", json!("sh -i")),
        (of(2), "/evidences/0/dst_endpoint", json!({"ip": "203.0.113.9", "port": 443})),
        (of(2), "/evidences/0/container/image/uid", json!("sha256:aa")),
        (of(3), "/type_uid", json!(400_105)),
        (of(3), "/disposition", json!("Dropped")),
        (of(3), "/policy/name", json!("deny")),
        (of(3), "/connection_info/protocol_ver_id", json!(6)),
        (of(3), "/dst_endpoint/hostname", json!("x.example")),
        (of(4), "/type_uid", json!(400_302)),
        (of(4), "/answers/1", json!({"rdata": "fd00::9", "type": "AAAA"})),
        (of(5), "/type_uid", json!(400_299)),
        (of(5), "/activity_name", json!("BREW")),
        (of(5), "/http_response/code", json!(418)),
        (of(6), "/type_uid", json!(200_201)),
        (of(7), "/type_uid", json!(200_301)),
        (of(7), "/compliance/status", json!("skip")),
        (file.clone(), "/type_uid", json!(100_104)),
        (file, "/file/name", json!("shadow")),
        (event(Kind::Other, r#"{"a": 1}"#), "/type_uid", json!(0)),
    ] {
        let event: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(event.pointer(pointer), Some(&expected), "{pointer}: {line}");
        assert_eq!(event["metadata"]["uid"], event["unmapped"]["event"]["id"]);
    }
}

/// The service answers in OCSF where it is asked to.
#[test]
fn the_service_answers_in_ocsf() {
    let dir = tempfile::tempdir().unwrap();
    let service = Service::start(&dir.path().join("data"), "");
    let (runtime, client) = client();
    let events = [0, 2, 3].map(|at: usize| RICH[at].1).join("\n");
    runtime.block_on(async {
        let url = |path: &str| format!("{}{path}", service.url);
        let exec = include_str!("../../src/cli/demo/falco.ndjson");
        let pushed = answer(client.post(url("/ingest/auto")).body(format!("{events}\n{exec}"))).await;
        assert_eq!(pushed.0, 200, "{}", pushed.1);
        let found = until(&client, &url("/api/v1/events/search?format=ocsf"), |found| found["total"]["value"].as_u64() >= Some(4)).await;
        let by_body = answer(client.post(url("/api/v1/events/search")).json(&json!({"format": "ocsf", "query": "event.kind:flow"}))).await.1;
        assert_eq!(by_body["events"][0]["class_uid"], 4001);
        let id = by_body["events"][0]["metadata"]["uid"].as_str().unwrap();
        let one = answer(client.get(url(&format!("/api/v1/events/{id}?format=ocsf")))).await.1;
        assert_eq!(one, by_body["events"][0]);
        let alerts =
            until(&client, &url("/api/v1/alerts?format=ocsf"), |alerts| alerts["alerts"].as_array().is_some_and(|list| !list.is_empty())).await;
        let id = alerts["alerts"][0]["finding_info"]["uid"].as_str().unwrap();
        let alert = url(&format!("/api/v1/alerts/{id}"));
        assert_eq!(answer(client.post(format!("{alert}/comments")).json(&json!({"text": "seen"}))).await.0, 201);
        let one = answer(client.get(format!("{alert}?format=ocsf"))).await.1;
        assert_eq!(one["notes"][0]["comment"], "seen");
        let behind = answer(client.get(format!("{alert}/events?format=ocsf"))).await.1;
        assert_eq!(behind["events"][0]["metadata"]["product"]["name"], "bartizan");
        let Some((schema, _)) = given() else { return };
        let mut tally = Tally::default();
        for value in [&found["events"], &alerts["alerts"], &json!([one]), &behind["events"]].into_iter().flat_map(|list| list.as_array().unwrap()) {
            tally.add(schema, &value.to_string());
        }
        tally.finish("answers of the service");
    });
}

/// Pointers to every member of a value.
fn places(value: &Value, at: &str, to: &mut Vec<String>) {
    let mut go = |key: &str, member: &Value| {
        let place = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
        to.push(place.clone());
        places(member, &place, to);
    };
    match value {
        Value::Object(members) => members.iter().for_each(|(key, member)| go(key, member)),
        Value::Array(list) => list.iter().enumerate().for_each(|(index, member)| go(&index.to_string(), member)),
        _ => {}
    }
}

/// A valid event with one thing made wrong, and what the check says to that.
#[test]
fn the_check_finds_what_is_wrong() {
    let Some((schema, _)) = given() else { return };
    let (audit, falco, flow, dns, http, cve) = (&RICH[0], &RICH[2], &RICH[3], &RICH[4], &RICH[5], &RICH[6]);
    for ((kind, record), pointer, value, expected) in [
        (audit, "/type_uid", json!(600_301), "type_uid: 600301 should be 600304"),
        (audit, "/category_uid", json!(2), "category_uid: 2 should be 6"),
        (audit, "/class_uid", json!(6999), "class_uid: no class 6999"),
        (audit, "/severity_id", Value::Null, "severity_id: required and missing"),
        (audit, "/severity_id", json!(42), "severity_id: 42 is not in the enumeration"),
        (audit, "/severity", json!("Low"), "severity_id: 1 is `Informational`, not `Low`"),
        (audit, "/activity_name", json!("Create"), "activity_id: 4 is `Delete`, not `Create`"),
        (audit, "/time", json!("2026-01-01T00:00:00Z"), "time: \"2026-01-01T00:00:00Z\" is no timestamp_t"),
        (audit, "/metadata/version", json!("1.0.0"), "metadata.version: \"1.0.0\" should be"),
        (audit, "/metadata/product", Value::Null, "metadata.product: required and missing"),
        (audit, "/verb", json!("get"), "verb: unknown attribute of api_activity"),
        (audit, "/actor/user/nick", json!("al"), "actor.user.nick: unknown attribute of user"),
        (audit, "/actor", json!({"idp": {"name": "x"}}), "actor: at least one of process, user"),
        (audit, "/api/operation", Value::Null, "api.operation: required and missing"),
        (audit, "/src_endpoint/ip", json!("example.com"), "src_endpoint.ip: `example.com` is no ip_t"),
        (audit, "/resources", json!({}), "resources: should be a list"),
        (audit, "/http_response/code", json!("403"), "http_response.code: \"403\" is no integer_t"),
        (audit, "/device", json!({"type_id": 1}), "device: only with profile host"),
        (audit, "/observables/0/name", json!("actor.user.nick"), "does not have the value"),
        (audit, "/observables/0/type_id", json!(7777), "observables[0]: no type 7777"),
        (falco, "/evidences/0", json!({"name": "x"}), "evidences[0]: at least one of actor, api"),
        (falco, "/evidences/0/process/pid", Value::Null, "evidences[0].process: at least one of pid, uid, cpid"),
        (falco, "/finding_info/uid", json!(""), "finding_info.uid: empty"),
        (falco, "/device/type_id", Value::Null, "device.type_id: required and missing"),
        (falco, "/finding_info/analytic/type_id", Value::Null, "finding_info.analytic.type_id: required and missing"),
        (flow, "/dst_endpoint/port", json!(70_000), "dst_endpoint.port: 70000 is out of range"),
        (flow, "/connection_info/direction_id", Value::Null, "connection_info.direction_id: required and missing"),
        (flow, "/metadata/profiles", Value::Null, "action_id: only with profile security_control"),
        (dns, "/rcode", Value::Null, "rcode_id: 99 without `rcode`"),
        (http, "/http_request/http_method", json!("BREW"), "http_request.http_method: \"BREW\" is not in the enumeration"),
        (cve, "/vulnerabilities/0/cwe", json!({"uid": "1"}), "vulnerabilities[0]: just one of advisory, cve, cwe"),
        (cve, "/comment", json!("x"), "comment: deprecated"),
    ] {
        let mut event: Value = serde_json::from_str(&event(*kind, record)).unwrap();
        assert_eq!(check::faults(schema, &event), [""; 0], "{kind:?}");
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        match (event.pointer_mut(parent).unwrap(), key.parse::<usize>()) {
            (Value::Array(list), Ok(index)) => list[index] = value,
            (Value::Object(members), _) if value.is_null() => drop(members.remove(key)),
            (Value::Object(members), _) => drop(members.insert(key.to_owned(), value)),
            _ => panic!("{pointer} is not there"),
        }
        let faults = check::faults(schema, &event);
        assert!(faults.iter().any(|fault| fault.contains(expected)), "{pointer}: {expected}: {faults:?}");
    }
}
