//! Items 8 to 13: what the members of records mean.

use bartizan::model::Path;
use serde_json::{Value, json};

use super::{changed, check, cloudwatch, falco, flow};
use crate::reading::{Reading, alerts, facts};

#[test]
fn trap_08_numbers_past_a_double_and_numbers_that_are_text() {
    let raw = |payload: Value| Reading::new().read(payload.to_string().as_bytes())[0].raw().into_owned();
    assert!(raw(falco(json!({"output_fields": {"evt.time": 1_787_217_303_123_456_789_i64}}))).contains("1787217303123456789"));
    for code in [json!(200), json!("200"), json!(200.0)] {
        check(changed("alice", json!({"responseStatus": {"code": code}})).to_string(), "event.outcome", "success");
    }
    check(changed("alice", json!({"responseStatus": {"code": "403"}})).to_string(), "event.outcome", "failure");
    // Protobuf writes numbers of 64 bits as text.
    let l7 = json!({"Type": "L7", "l7": {"type": "RESPONSE", "latency_ns": "1234567", "http": {"code": 200, "method": "GET", "url": "http://api/pay", "protocol": "HTTP/1.1"}}});
    check(json!({"flow": flow(l7)}).to_string(), "event.kind http.status http.path", "flow 200 /pay");
    let update = json!({"agent_event": {"type": "POLICY_UPDATED", "policy_update": {"labels": ["k8s:a=b"], "revision": "6", "rule_count": "1"}}, "node_name": "n1", "time": "2026-01-01T00:00:00Z"});
    check(update.to_string(), "event.kind event.action event.time", "other agent_event+POLICY_UPDATED 2026-01-01T00:00:00Z");
    let gatekeeper = json!({"level": "info", "ts": 1_767_225_600.307_540_2, "logger": "controller", "msg": "x", "process": "audit", "event_type": "violation_audited", "constraint_kind": "K", "constraint_name": "c",
        "constraint_action": "deny", "resource_kind": "Pod", "resource_namespace": "shop", "resource_name": "web-0"});
    check(gatekeeper.to_string(), "event.kind event.time", "policy 2026-01-01T00:00:00.307540200Z");
    let osquery = json!({"name": "pack_fim_file_events", "hostIdentifier": "n1", "calendarTime": "Tue Sep 30 17:37:30 2014", "unixTime": "1412098650", "epoch": "0", "counter": "1", "numerics": "false", "action": "added",
        "columns": {"target_path": "/etc/passwd", "action": "UPDATED", "size": "1024", "uid": "0", "mode": "0644", "time": "1412098649"}});
    check(osquery.to_string(), "event.kind file.path file.size file.owner", "fim /etc/passwd 1024 0");
}

#[test]
fn trap_09_times_however_they_are_spelled() {
    let fraction = "123456789";
    for digits in 0..=9 {
        let point = if digits == 0 { "" } else { "." };
        let time = format!("2026-01-01T00:00:00{point}{}Z", fraction.split_at(digits).0);
        let expected = bartizan::model::Timestamp::parse(&time).unwrap().to_string();
        check(falco(json!({"time": time})).to_string(), "event.time", &expected);
        check(changed("alice", json!({"stageTimestamp": time})).to_string(), "event.time", &expected);
        check(json!({"flow": flow(json!({"time": time}))}).to_string(), "event.time", &expected);
    }
    for (time, expected) in [
        ("2021-09-02 18:29:17.118082213 +0000 UTC", "2021-09-02T18:29:17.118082213Z"),
        ("2022-11-29 00:09:04.38", "2022-11-29T00:09:04.38Z"),
        ("2026-01-01T03:00:00+03:00", "2026-01-01T00:00:00Z"),
    ] {
        check(falco(json!({"time": time, "output_fields": {}})).to_string(), "event.time event.time_assumed", &format!("{expected} -"));
    }
    let nanos = falco(json!({"time": null, "output_fields": {"evt.time": 1_632_889_070_307_540_123_i64}}));
    let millis = cloudwatch("kube-apiserver-0a", "I0101 started");
    let seconds = json!({"time": 1_767_225_600.25, "host": "m1", "source": "s", "sourcetype": "t", "event": "started"});
    let text = json!({"name": "pack_fim_file_events", "hostIdentifier": "n1", "unixTime": "1412098650", "action": "added", "columns": {"target_path": "/etc/passwd", "action": "UPDATED"}});
    for (payload, expected) in [
        (nanos, "2021-09-29T04:17:50.307540123Z"),
        (millis, "2026-01-01T00:00:00.123Z"),
        (seconds, "2026-01-01T00:00:00.250Z"),
        (text, "2014-09-30T17:37:30Z"),
    ] {
        check(payload.to_string(), "event.time event.time_assumed", &format!("{expected} -"));
    }
    let asctime = json!({"name": "pack_fim_file_events", "hostIdentifier": "n1", "calendarTime": "Tue Sep 30 17:37:30 2014", "action": "added", "columns": {"target_path": "/etc/passwd", "action": "UPDATED"}});
    check(asctime.to_string(), "event.time", "2014-09-30T17:37:30Z");
    let trigger = json!({"messages": [{"event_metadata": {}, "details": {"messages": [{"resource": {"type": "t", "id": "c"}, "timestamp": "2021-09-02 18:29:17.118082213 +0000 UTC", "level": "INFO", "message": "started"}]}}]});
    check(trigger.to_string(), "event.kind event.time", "other 2021-09-02T18:29:17.118082213Z");
}

#[test]
fn trap_10_keys_with_dots_and_slashes_and_any_number_of_them() {
    let event = changed(
        "alice",
        json!({"annotations": {"authorization.k8s.io/decision": "allow", ".": "onedot", "a..b": "two", "": "empty", "x/y/z": "slashes"}}),
    );
    let events = Reading::new().read(event.to_string().as_bytes());
    for query in ["annotations.authorization.k8s.io/decision:allow", "raw.annotations.x/y/z:slashes"] {
        let parsed = bartizan::query::parse(query).unwrap_or_else(|error| panic!("{query}: {error:?}"));
        assert!(bartizan::query::matches(&parsed, &events[0]), "{query}");
    }
    for (key, value) in [(".", "onedot"), ("a..b", "two"), ("", "empty")] {
        assert_eq!(events[0].doc.text_at(Path::of(["annotations", key])), Some(value), "{key:?}");
    }
    // A new key a record: each is found, and what an event is made of does not grow.
    let payload: String = (0..3_000)
        .map(|n| changed(&format!("u{n}"), json!({"annotations": {format!("key-{n}.example/x"): format!("value-{n}")}})).to_string() + "\n")
        .collect();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("keys.log"), payload).unwrap();
    let run = |arguments: &[&str]| {
        let output = std::process::Command::new(crate::service::PROGRAM).args(arguments).current_dir(dir.path()).output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let said = run(&["ingest", "keys.log"]);
    assert!(said.contains("3000 events") && said.contains("0 rejects"), "{said}");
    assert!(run(&["search", "--count", "annotations.key-2999.example/x:value-2999"]).starts_with("1\n"));
}

fn request(user: &str, verb: &str, uri: &str, reference: Value, more: Value) -> String {
    let mut event = changed(user, json!({"verb": verb, "requestURI": uri, "objectRef": reference}));
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    event.to_string()
}

fn titles(payload: &str) -> String {
    alerts(&[payload.as_bytes()]).iter().map(|alert| alert.title.clone()).collect::<Vec<_>>().join("; ")
}

#[test]
fn trap_11_verbs_and_bodies_that_are_not_what_they_seem() {
    let pods = "/api/v1/namespaces/shop/pods";
    let started = json!({"stage": "ResponseStarted", "responseStatus": {"code": 101}});
    for verb in ["get", "create"] {
        let exec = request(
            "alice",
            verb,
            &format!("{pods}/web-0/exec?command=id"),
            json!({"resource": "pods", "subresource": "exec", "namespace": "shop", "name": "web-0"}),
            started.clone(),
        );
        assert!(titles(&exec).contains("alice ran a command in shop/web-0"), "{verb}: {}", titles(&exec));
        check(&exec, "exec.command", "id");
    }
    let generated = request(
        "alice",
        "create",
        pods,
        json!({"resource": "pods", "namespace": "shop", "apiVersion": "v1"}),
        json!({"requestObject": {"metadata": {"generateName": "job-"}}, "responseObject": {"metadata": {"name": "job-x7k2p"}}, "responseStatus": {"code": 201}}),
    );
    check(&generated, "k8s.name k8s.pod", "job-x7k2p job-x7k2p");
    let patch = |body: Value| {
        request(
            "alice",
            "patch",
            &format!("{pods}/web-0"),
            json!({"resource": "pods", "namespace": "shop", "name": "web-0"}),
            json!({"requestObject": body}),
        )
    };
    check(patch(json!([{"op": "add", "path": "/spec/containers/0/securityContext", "value": {"privileged": true}}])), "pod.privileged", "true");
    check(
        patch(json!({"spec": {"ephemeralContainers": [{"name": "d", "image": "busybox", "securityContext": {"privileged": true}}]}})),
        "pod.privileged",
        "true",
    );
    let deleted = request(
        "alice",
        "delete",
        "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies/deny",
        json!({"resource": "networkpolicies", "namespace": "shop", "name": "deny", "apiGroup": "networking.k8s.io"}),
        json!({"requestObject": {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}}),
    );
    check(&deleted, "k8s.verb k8s.resource k8s.name", "delete networkpolicies deny");
    assert!(!titles(&deleted).is_empty(), "a network policy deleted is told, whatever the body's kind");
    let all = request(
        "alice",
        "deletecollection",
        "/api/v1/namespaces/shop/secrets",
        json!({"resource": "secrets", "namespace": "shop", "apiVersion": "v1"}),
        json!({}),
    );
    check(&all, "k8s.verb k8s.resource k8s.namespace k8s.name", "deletecollection secrets shop -");
    let controller = request(
        "system:serviceaccount:kube-system:replicaset-controller",
        "create",
        pods,
        json!({"resource": "pods", "namespace": "shop"}),
        json!({"responseStatus": {"code": 201}}),
    );
    check(&controller, "actor.user.name actor.user.type", "system:serviceaccount:kube-system:replicaset-controller service_account");
}

#[test]
fn trap_12_addresses_that_are_the_clients_word_and_ones_that_are_none() {
    for (ips, expected) in [
        (json!(["10.0.0.1", "203.0.113.7"]), "203.0.113.7 10.0.0.1+203.0.113.7"),
        (json!(["1.1.1.1", "8.8.8.8", "198.51.100.2"]), "198.51.100.2 1.1.1.1+8.8.8.8+198.51.100.2"),
        (json!(["2001:db8::7"]), "2001:db8::7 2001:db8::7"),
        (json!(["::1"]), "::1 ::1"),
        (json!([]), "- -"),
    ] {
        check(changed("alice", json!({"sourceIPs": ips})).to_string(), "src.ip src.ips", expected);
    }
    for (address, expected) in [("cloud.yandex", "-"), ("203.0.113.7", "203.0.113.7"), ("2001:db8::7", "2001:db8::7")] {
        let trail = json!({"event_id": "e", "event_source": "k8s", "event_type": "yandex.cloud.audit.k8s.CreateCluster", "event_time": "2026-01-01T00:00:00Z", "event_status": "DONE",
            "authentication": {"subject_id": "aje", "subject_name": "alice", "subject_type": "USER_ACCOUNT"}, "request_metadata": {"remote_address": address, "user_agent": "Yandex Cloud"}, "details": {"cluster_id": "c"}});
        check(trail.to_string(), "event.kind src.ip", &format!("cloud_audit {expected}"));
    }
}

#[test]
fn trap_13_old_and_new_keys_masks_aggregates_and_nodes() {
    let new = json!({"policy": "require-labels", "rule": "check", "status": "fail", "severity": "high", "message": "no label", "resource": {"apiVersion": "v1", "kind": "Pod", "name": "web-0", "namespace": "shop", "uid": "u"}, "creationTimestamp": "2026-01-01T00:00:00Z", "source": "Kyverno"});
    let old = json!({"Policy": "require-labels", "Rule": "check", "Status": "fail", "Severity": "high", "Message": "no label", "Resource": {"APIVersion": "v1", "Kind": "Pod", "Name": "web-0", "Namespace": "shop", "UID": "u"}, "CreationTimestamp": "2026-01-01T00:00:00Z", "Source": "Kyverno"});
    let mut reading = Reading::new();
    let events = reading.read(format!("{new}\n{old}").as_bytes());
    assert_eq!(
        events.iter().map(|event| facts(event, "event.kind policy.name policy.result k8s.name")).collect::<Vec<_>>(),
        ["policy require-labels fail web-0"]
    );
    assert_eq!(reading.counts().tally.duplicates, 1, "one result in both spellings");
    let shown = |members: Value, fields: &str, expected: &str| {
        check(json!({"flow": flow(members), "node_name": "prod-eu/node-1", "time": "2026-01-01T00:00:00.5Z"}).to_string(), fields, expected)
    };
    shown(json!({"aggregate": {"ingress_flow_count": 3, "egress_flow_count": 4}}), "event.kind event.count", "flow 7");
    shown(json!({"verdict": "AUDIT"}), "net.verdict", "audit");
    shown(json!({}), "net.is_reply k8s.node", "- node-1");
    shown(json!({"is_reply": true}), "net.is_reply", "true");
    check(r#"{"flow":{"verdict":"FORWARDED","source":{"identity":1},"destination":{"identity":2}}}"#, "event.kind net.verdict", "flow forwarded");
    // A pod on the host's network has no name here: it is its node.
    let host = json!({"source": {"identity": 1, "labels": ["reserved:host"]}});
    shown(host, "event.kind src.pod src.namespace src.ip dst.pod", "flow - - 10.0.0.1 api-0");
}
