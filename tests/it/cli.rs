//! The command line on real and on bad input: what it prints, and how it ends.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::service::PROGRAM;

fn run(args: &[&str], folder: &Path) -> Output {
    Command::new(PROGRAM).args(args).current_dir(folder).output().unwrap()
}

/// Exit code, and whether standard output and error hold what they should.
#[track_caller]
fn check(args: &[&str], folder: &Path, code: i32, out: &str, err: &str) {
    let output = run(args, folder);
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{args:?}\n{stdout}\n{stderr}");
    assert!(stdout.contains(out), "{args:?} prints {out:?}, not\n{stdout}");
    assert!(stderr.contains(err), "{args:?} says {err:?}, not\n{stderr}");
}

const EXEC: &str = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"a","stage":"ResponseStarted","requestURI":"/api/v1/namespaces/prod/pods/web-0/exec?command=sh","verb":"get","user":{"username":"alice"},"sourceIPs":["10.0.0.1"],"objectRef":{"resource":"pods","subresource":"exec","namespace":"prod","name":"web-0"},"responseStatus":{"code":101},"requestReceivedTimestamp":"2026-01-01T00:00:00Z","stageTimestamp":"2026-01-01T00:00:00Z"}"#;

#[test]
fn scan_and_decode() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
    file("exec.log", EXEC.as_bytes());
    file("empty.log", b"");
    file("half.log", format!("{EXEC}\n{}", &EXEC[..100]).as_bytes());
    file("binary", b"\x7fELF\x02\x01\x01\x00");
    file("deep.json", "[".repeat(100_000).as_bytes());
    check(&["scan", "exec.log"], dir.path(), 0, "alice ran a command in prod/web-0", "1 alerts: 1 medium");
    check(&["scan", "--fail-on", "medium", "exec.log"], dir.path(), 1, "", "");
    check(&["scan", "--fail-on", "high", "exec.log"], dir.path(), 0, "", "");
    check(&["scan", "--output", "ndjson", "--group", "none", "exec.log"], dir.path(), 0, "\"type\":\"single\"", "");
    check(&["scan", "half.log"], dir.path(), 0, "alice", "bad_json");
    check(&["scan", "half.log"], dir.path(), 0, "alice", "1 rejects");
    check(&["scan", "empty.log"], dir.path(), 0, "", "0 events");
    check(&["scan", "binary"], dir.path(), 0, "", "binary");
    check(&["decode", "deep.json"], dir.path(), 0, "", "rejects");
    check(&["scan", "missing.log"], dir.path(), 3, "", "missing.log");
    check(&["scan", "missing.log", "exec.log"], dir.path(), 0, "alice", "missing.log");
    check(&["scan"], dir.path(), 2, "", "Usage");
    check(&["decode", "exec.log"], dir.path(), 0, "\"actor\":{\"user\":{\"name\":\"alice\",\"type\":\"human\"", "1 events");
    check(&["decode", "--format", "ocsf", "exec.log"], dir.path(), 0, "\"class_uid\":6003", "1 events");
    check(&["decode", "--format", "ocsf", "--output", "table", "exec.log"], dir.path(), 2, "", "--output ndjson");
    check(&["scan", "--format", "ocsf", "--output", "ndjson", "exec.log"], dir.path(), 0, "\"type_uid\":200401", "1 alerts");
    check(&["completions", "bash"], dir.path(), 0, "_bartizan", "");
    check(&["man"], dir.path(), 0, ".TH bartizan", "");
}

#[test]
fn rules() {
    let dir = tempfile::tempdir().unwrap();
    check(&["rules", "test"], dir.path(), 0, "", " 0 failed");
    check(&["rules", "list"], dir.path(), 0, "Who ran that shell", "rules");
    check(&["rules", "explain", "shell-story"], dir.path(), 0, "temporal_ordered within 900 s: every one of them", "");
    check(&["rules", "explain", "exec-into-pod", "--output", "json"], dir.path(), 0, "\"asked\":\"indexed\"", "");
    check(&["rules", "explain", "no-such-rule"], dir.path(), 2, "", "rules list");
    std::fs::write(
        dir.path().join("bad.yml"),
        "title: x\nlogsource: {product: kubernetes, service: audit}\ndetection:\n  a:\n    verb|containz: get\n  condition: a\n",
    )
    .unwrap();
    check(&["rules", "check", "bad.yml"], dir.path(), 1, "bad.yml:5", "");
}

#[test]
fn rules_are_tested_together() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    let step = "title: Exec\nid: 6f1d9c1e-0000-4000-8000-000000000001\nname: exec\nlevel: low\nlogsource: {product: kubernetes, service: audit}\ndetection:\n  selection: {verb: get, objectRef.subresource: exec}\n  condition: selection\n";
    let burst = "title: Burst\nid: 6f1d9c1e-0000-4000-8000-000000000002\nlevel: high\ncorrelation:\n  type: event_count\n  rules: [exec]\n  group-by: [user.username]\n  timespan: 1m\n  condition: {gte: 2}\nbartizan: {title: \"{user.username} again\"}\n";
    let exec = |user: &str| format!("{{verb: get, user: {{username: {user}}}, objectRef: {{resource: pods, subresource: exec}}}}");
    let tests = |events: &[String], at: &str, expect: &str| {
        format!("tests:\n  - name: one\n    events: [{}]\n    at: [{at}]\n    expect: {expect}\n", events.join(", "))
    };
    file("step.yml", step);
    file("burst.yml", burst);
    // What only a correlation of another file refers to has tests of its own.
    file("step.test.yml", &tests(&[exec("a")], "+0s", "{alerts: 1, level: low}"));
    file(
        "burst.test.yml",
        &tests(&[exec("a"), exec("a")], "+0s, +59s", "{alerts: 1, count: 2, level: high, title: a again, group: {user.username: a}}"),
    );
    check(&["rules", "test", "."], dir.path(), 0, "", "2 tests passed, 0 failed; 0 of 2 files have none");
    check(&["rules", "test", "step.test.yml"], dir.path(), 0, "", "1 tests passed, 0 failed");
    check(&["rules", "test", "--output", "json", "."], dir.path(), 0, "\"passed\":true", "");
    // Alone it refers to nothing.
    check(&["rules", "test", "burst.yml"], dir.path(), 1, "no rule has the id or name `exec`", "");
    // Too far apart, of two people, and not what it looks for.
    for (events, at, why) in [
        (vec![exec("a"), exec("a")], "+0s, +60s", "event 1 matches `Exec`, for `Burst` in the group user.username=a"),
        (vec![exec("a"), exec("b")], "+0s, +1s", "event 2 matches `Exec`, for `Burst` in the group user.username=b"),
        (vec![exec("a"), "{verb: list}".to_owned()], "+0s, +1s", "event 2 does not match `Exec`: `selection`: verb is \"get\": it is \"list\""),
    ] {
        file("burst.test.yml", &tests(&events, at, "hit"));
        check(&["rules", "test", "."], dir.path(), 1, why, "1 tests passed, 1 failed");
    }
    file("burst.test.yml", &tests(&[exec("a"), exec("a")], "+0s, +1s", "miss"));
    check(&["rules", "test", "."], dir.path(), 1, "`selection`: objectRef.subresource is \"exec\"", "1 failed");
    for (expect, problem) in [
        ("{alerts: 2}", "expected 2 alerts, got 1"),
        ("{count: 3}", "expected a count of 3, got 2"),
        ("{title: x}", "expected the title `x`, got `a again`"),
        ("{level: low}", "expected level low, got high"),
        ("{group: {user.username: b}}", "expected group user.username=b"),
    ] {
        file("burst.test.yml", &tests(&[exec("a"), exec("a")], "+0s, +1s", expect));
        check(&["rules", "test", "."], dir.path(), 1, problem, "1 failed");
    }
    // Events from a file, with the times that they have.
    file("events.json", EXEC);
    file("step.test.yml", "tests:\n  - name: recorded\n    events: [{file: events.json}]\n    expect: {alerts: 1, count: 1}\n");
    file("burst.test.yml", "tests: []\n");
    check(&["rules", "test", "."], dir.path(), 0, "", "1 tests passed, 0 failed");
}

/// Tests whose rule has gone, or has another name, are told of and fail nothing.
#[test]
fn tests_without_a_rule_are_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    let rule = "title: Exec\nid: 6f1d9c1e-0000-4000-8000-000000000001\nlevel: low\nlogsource: {product: kubernetes, service: audit}\ndetection:\n  selection: {verb: get}\n  condition: selection\n";
    file("step.test.yml", "tests:\n  - name: one\n    events: [{verb: get}]\n    expect: hit\n");
    let warning = "step.test.yml:1:1: warning[tests-without-rule]: no rule `step.yml` stands beside these tests, so they are not run\n  help: bring";
    for (name, summary, is_told) in [
        ("steps.yml", "0 tests passed, 0 failed; 1 of 1 files have none", true),
        ("step.yaml", "1 tests passed, 0 failed; 0 of 1 files have none", false),
        ("step.yml", "1 tests passed, 0 failed; 0 of 1 files have none", false),
    ] {
        file(name, rule);
        for path in [".", &*dir.path().to_string_lossy()] {
            check(&["rules", "test", path], dir.path(), 0, "", summary);
            check(&["rules", "test", path], dir.path(), 0, "", if is_told { warning } else { "" });
            let told = run(&["rules", "test", path], dir.path());
            assert_eq!(String::from_utf8_lossy(&told.stderr).contains("tests-without-rule"), is_told, "{name}");
        }
        std::fs::remove_file(dir.path().join(name)).unwrap();
    }
    check(&["rules", "test", "step.test.yml"], dir.path(), 2, "", warning);
}

#[test]
fn rules_held_against_logs() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    file("exec.log", EXEC);
    let head = "logsource: {product: kubernetes, service: audit}\nlevel: low\ndetection:\n  condition: selection\n  selection:\n";
    file("blind.yml", &format!("title: Blind\nid: 6f1d9c1e-0000-4000-8000-000000000001\n{head}    verb: get\n    objectref.resource: pods\n"));
    file("asleep.yml", &format!("title: Asleep\nid: 6f1d9c1e-0000-4000-8000-000000000002\n{head}    verb: create\n"));
    check(&["rules", "explain", "blind", "blind.yml", "--on", "exec.log"], dir.path(), 0, "near it are objectRef.resource", "1 events");
    check(&["rules", "explain", "asleep", "asleep.yml", "--on", "exec.log"], dir.path(), 0, "its values: \"get\" 1", "1 events");
    check(&["rules", "explain", "exec-into-pod", "--on", "exec.log"], dir.path(), 0, "matches (1 events of its kind, 1 matched)", "");
    file("alias.yml", &format!("title: Alias\nid: 6f1d9c1e-0000-4000-8000-000000000003\n{head}    hostPath: /etc\n    responseStatus.code: Allow\n"));
    for said in
        ["no audit event has `hostPath` as it is asked for here; `pod.host_paths` is asked", "`annotations.authorization.k8s.io/decision` is asked"]
    {
        check(&["rules", "explain", "alias", "alias.yml"], dir.path(), 0, said, "");
    }
    check(&["rules", "explain", "alias", "alias.yml", "--output", "json"], dir.path(), 0, "\"aliases\":[\"no audit event has `hostPath`", "");
    let both = ["rules", "check", "blind.yml", "asleep.yml", "--on", "exec.log"];
    check(&both, dir.path(), 1, "blind.yml:1:1: warning[blind-rule]: `Blind` cannot fire", "1 are blind, 1 never held");
    check(&["rules", "check", "--output", "json", "asleep.yml", "--on", "exec.log"], dir.path(), 1, "\"code\":\"never-held\"", "");
    check(&["rules", "check", "--on", "missing.log"], dir.path(), 3, "", "missing.log");
}

#[test]
fn ingest_and_search() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("exec.log"), EXEC).unwrap();
    check(&["search", "*"], dir.path(), 3, "", "cannot open the store");
    check(&["ingest", "exec.log"], dir.path(), 0, "1 events", "");
    check(&["ingest", "exec.log"], dir.path(), 0, "1 duplicates", "");
    check(&["search", "--count", "k8s.subresource:exec"], dir.path(), 0, "1\n", "");
    check(&["search", "verb:get AND (user.username:ALICE OR k8s.pod:nothing)"], dir.path(), 0, "\"name\":\"alice\"", "");
    // A bound that JSON does not spell as a number is text, for the index as for the query language.
    check(&["search", "--count", "responseStatus.code:>=+500"], dir.path(), 0, "1\n", "");
    check(&["search", "--format", "ocsf", "verb:get"], dir.path(), 0, "\"type_name\":\"API Activity: Read\"", "");
    check(&["search", "k8s.podd:x"], dir.path(), 2, "", "did you mean");
    check(&["config", "print"], dir.path(), 0, "listen = \"127.0.0.1:7117\"", "");
    std::fs::write(dir.path().join("bad.toml"), "[server]\nlissten = \"x\"\n").unwrap();
    check(&["config", "check", "--config", "bad.toml"], dir.path(), 2, "", "bad.toml:2");
    check(&["token", "create", "--name", "api", "--scope", "ingest"], dir.path(), 0, "brt_", "shown this once");
    check(&["token", "list"], dir.path(), 0, "api", "");
}

/// The shared recordings, where they are.
pub(crate) fn fixtures() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    ["../shared/fixtures", "../../shared/fixtures"].iter().map(|path| root.join(path)).find(|path| path.is_dir())
}

#[test]
fn recorded_attacks_are_found() {
    let Some(fixtures) = fixtures() else { return println!("skipped: the recordings are not here") };
    let traces = fixtures.join("k8s-audit/falco-traces");
    let output = run(&["scan", "--output", "ndjson", "--level", "medium", traces.to_str().unwrap()], Path::new("/"));
    let alerts = String::from_utf8_lossy(&output.stdout).lines().count();
    assert!(alerts >= 18, "{alerts} alerts");
}
