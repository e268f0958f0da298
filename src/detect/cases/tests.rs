use super::*;

/// The records and expectation of one test, or what is wrong.
fn check(text: &str, expected: &str) {
    let shown = match read(text, |path| Err(format!("cannot read `{path}`"))) {
        Err(error) => error.to_string(),
        Ok(cases) => cases
            .iter()
            .map(|case| {
                format!(
                    "{}: {} {:?}",
                    case.name,
                    case.records.iter().map(|record| String::from_utf8_lossy(record).into_owned()).collect::<Vec<_>>().join(" "),
                    case.expect.alerts
                )
            })
            .collect(),
    };
    assert_eq!(shown, expected);
}

#[test]
fn events_become_recognisable() {
    check(
        "tests:\n  - name: a\n    events: [{verb: get, responseStatus: {code: 200}}]\n    at: [\"+1m30s\"]\n    expect: miss\n",
        r#"a: {"verb":"get","responseStatus":{"code":200},"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"RequestResponse","auditID":"test-0","stage":"ResponseComplete","requestURI":"/test","requestReceivedTimestamp":"2026-01-01T00:01:30Z","stageTimestamp":"2026-01-01T00:01:30Z"} Some(0)"#,
    );
    check(
        "tests:\n  - name: f\n    events: [{kind: falco, rule: x}, {flow: {verdict: DROPPED}}]\n    at: [\"+0s\", \"-5s\"]\n    expect: hit\n",
        r#"f: {"rule":"x","output":"test","priority":"Notice","source":"syscall","output_fields":{},"hostname":"test-0","time":"2026-01-01T00:00:00Z"} {"flow":{"verdict":"DROPPED","time":"2025-12-31T23:59:55Z","uuid":"test-1"},"time":"2025-12-31T23:59:55Z"} None"#,
    );
}

#[test]
fn what_is_wrong_has_a_line() {
    check(
        "tests:\n  - name: a\n    events: [{verb: get}]\n    at: [soon]\n    expect: hit\n",
        "line 4: `soon` is no time: \"+90s\", \"+1m30s\", \"-5s\" or RFC 3339 is",
    );
    check("tests:\n  - name: a\n    events: [{verb: get}]\n    at: [\"+0s\", \"+1s\"]\n    expect: hit\n", "line 4: `at` has 2 times for 1 events");
    check(
        "tests:\n  - name: a\n    events: []\n    expect: maybe\n",
        "line 4: `expect` is hit, miss or a map of alerts, count, group, title and level",
    );
    check("tests:\n  - name: a\n    events: [{file: x.json}]\n    expect: hit\n", "line 3: cannot read `x.json`");
}

#[test]
fn other_kinds_are_left_as_they_are() {
    check(
        "tests:\n  - name: o\n    events: [{kind: policy, a: 1}, {kind: PolicyReport, apiVersion: wgpolicyk8s.io/v1}, {kind: Event, apiVersion: v1, reason: x}]\n    expect: hit\n",
        r#"o: {"a":1} {"kind":"PolicyReport","apiVersion":"wgpolicyk8s.io/v1"} {"kind":"Event","apiVersion":"v1","reason":"x"} None"#,
    );
}

#[test]
fn an_expectation_that_says_nothing_is_refused() {
    for (expect, expected) in [
        ("{alerts: one}", "line 4: `alerts` is a number of alerts"),
        ("{alerts: 1, count: -1}", "line 4: `count` is a number of acts"),
        ("{level: hihg}", "line 4: `hihg` is no level: informational, low, medium, high and critical are"),
        ("{title: }", "line 4: `title` is the text of the alert's title"),
        ("{group: x}", "line 4: `group` is a map of fields and their values"),
        ("{cuont: 1}", "line 4: unknown key `cuont`: alerts, count, title, level and group are known"),
    ] {
        check(&format!("tests:\n  - name: a\n    events: []\n    expect: {expect}\n"), expected);
    }
    check("tests:\n  - name: a\n    file: x\n    events: []\n    expect: hit\n", "line 3: unknown key `file`: name, events, at and expect are known");
    check(
        "tests:\n  - name: a\n    events: [{}]\n    at: ['+']\n    expect: hit\n",
        "line 4: `+` is no time: \"+90s\", \"+1m30s\", \"-5s\" or RFC 3339 is",
    );
}
