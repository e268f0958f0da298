//! What has led readers of such records astray, one test an item: `payloads` tests what is in them, `buckets` where they lie.

mod buckets;
mod payloads;
mod records;

use std::io::Write;

use base64::Engine as _;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::reading::outcome;

/// Who, in what was wrapped how; what was cut.
const WHO: &str = "event.kind actor.user.name";

#[track_caller]
fn check(payload: impl AsRef<[u8]>, fields: &str, expected: &str) {
    let payload = payload.as_ref();
    assert_eq!(outcome(&[payload], fields), expected, "{}", String::from_utf8_lossy(&payload[..payload.len().min(600)]));
}

/// An audit event of a user's.
fn audit(user: &str) -> Value {
    json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "RequestResponse", "auditID": format!("id-{user}"), "stage": "ResponseComplete",
        "requestURI": "/api/v1/namespaces/shop/pods/web-0", "verb": "get", "user": {"username": user, "groups": ["ops", "system:authenticated"]}, "sourceIPs": ["203.0.113.7"],
        "userAgent": "kubectl/v1.36.0 (linux/amd64)", "objectRef": {"resource": "pods", "namespace": "shop", "name": "web-0", "apiVersion": "v1"},
        "responseStatus": {"metadata": {}, "code": 200}, "requestReceivedTimestamp": "2026-01-01T00:00:00.000001Z", "stageTimestamp": "2026-01-01T00:00:00.100000Z"})
}

/// The same, with some of its members changed.
fn changed(user: &str, members: Value) -> Value {
    let mut event = audit(user);
    event.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    event
}

fn falco(members: Value) -> Value {
    let mut alert = json!({"hostname": "node-1", "output": "a shell was spawned", "priority": "Notice", "rule": "Terminal shell in container", "source": "syscall", "tags": [],
        "time": "2026-01-01T00:00:00.5Z", "output_fields": {"evt.time": 1_767_225_600_500_000_000_i64, "k8s.ns.name": "shop", "k8s.pod.name": "web-0"}});
    alert.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    alert
}

fn flow(members: Value) -> Value {
    let mut flow = json!({"time": "2026-01-01T00:00:00.5Z", "verdict": "FORWARDED", "IP": {"source": "10.0.0.1", "destination": "10.0.0.2", "ipVersion": "IPv4"},
        "l4": {"TCP": {"source_port": 40_000, "destination_port": 443}}, "source": {"identity": 7, "namespace": "shop", "pod_name": "web-0"},
        "destination": {"identity": 8, "namespace": "pay", "pod_name": "api-0"}, "Type": "L3_L4", "node_name": "prod-eu/node-1", "traffic_direction": "EGRESS"});
    flow.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    flow
}

fn cloudwatch(stream: &str, message: &str) -> Value {
    json!({"messageType": "DATA_MESSAGE", "owner": "123456789012", "logGroup": "/aws/eks/books/cluster", "logStream": stream, "subscriptionFilters": ["all"],
        "logEvents": [{"id": "1", "timestamp": 1_767_225_600_123_i64, "message": message}]})
}

fn azure(category: &str, log: &str) -> Value {
    json!({"category": category, "operationName": "Microsoft.ContainerService/managedClusters/diagnosticLogs/Read", "time": "2026-01-01T00:00:00.5Z",
        "resourceId": "/SUBSCRIPTIONS/S/RESOURCEGROUPS/G/PROVIDERS/MICROSOFT.CONTAINERSERVICE/MANAGEDCLUSTERS/BOOKS",
        "properties": {"log": log, "stream": "stdout", "pod": "kube-apiserver-0", "containerID": "c"}})
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
