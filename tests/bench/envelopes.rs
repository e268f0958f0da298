//! What is wrapped around records: for each envelope, lines that hold so many of them as one delivery does.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Records of one delivery, where an envelope holds more than one.
const BATCH: usize = 100;

/// An envelope: its name, whether only audit events come in it, and a delivery of these records, a line or more.
pub(crate) struct Wrap {
    pub(crate) name: &'static str,
    pub(crate) is_audit: bool,
    wrap: fn(&[&str]) -> String,
}

impl Wrap {
    /// These records in their deliveries, as lines.
    pub(crate) fn all(&self, records: &[&str]) -> String {
        records.chunks(BATCH).map(|batch| (self.wrap)(batch).trim_end().to_owned() + "\n").collect()
    }
}

/// A JSON string.
fn text(of: &str) -> String {
    Value::from(of).to_string()
}

/// What `each` makes of the records, parted by commas.
fn list(records: &[&str], each: impl Fn(&str) -> String) -> String {
    records.iter().map(|record| each(record)).collect::<Vec<_>>().join(",")
}

/// What `each` makes of the records, a line each.
fn lines(records: &[&str], each: impl Fn(&str) -> String) -> String {
    records.iter().map(|record| each(record) + "\n").collect()
}

fn cloudwatch(records: &[&str]) -> String {
    let events = list(records, |record| {
        format!(r#"{{"id":"39000000000000000000000000000000000000000000000000000001","timestamp":1767225600000,"message":{}}}"#, text(record))
    });
    format!(
        r#"{{"messageType":"DATA_MESSAGE","owner":"123456789012","logGroup":"/aws/eks/prod/cluster","logStream":"kube-apiserver-audit-0a","subscriptionFilters":["all"],"logEvents":[{events}]}}"#
    )
}

/// What GKE writes of a request.
fn gke(record: &str) -> String {
    let event: Value = serde_json::from_str(record).unwrap();
    let reference = &event["objectRef"];
    let of = |key: &str| reference[key].as_str().unwrap_or_default();
    let method = format!("io.k8s.core.v1.{}.{}", of("resource"), event["verb"].as_str().unwrap_or_default());
    let name = format!("core/v1/namespaces/{}/{}/{}", of("namespace"), of("resource"), of("name"));
    let mut payload = json!({"@type": "type.googleapis.com/google.cloud.audit.AuditLog", "serviceName": "k8s.io", "methodName": method, "resourceName": name,
        "authenticationInfo": {"principalEmail": event["user"]["username"]}, "authorizationInfo": [{"granted": true, "permission": method, "resource": name}],
        "requestMetadata": {"callerIp": event["sourceIPs"][0], "callerSuppliedUserAgent": event["userAgent"]}, "status": {}});
    for (from, to) in [("requestObject", "request"), ("responseObject", "response")] {
        if let Some(body) = event.get(from) {
            payload[to] = body.clone();
            payload[to]["@type"] = "core.k8s.io/v1.Pod".into();
        }
    }
    json!({"insertId": event["auditID"], "logName": "projects/p/logs/cloudaudit.googleapis.com%2Factivity", "labels": event["annotations"],
        "operation": {"id": event["auditID"], "producer": "k8s.io", "first": true, "last": true}, "protoPayload": payload, "receiveTimestamp": event["stageTimestamp"],
        "resource": {"type": "k8s_cluster", "labels": {"cluster_name": "prod", "location": "europe-west1", "project_id": "p"}}, "severity": "NOTICE",
        "timestamp": event["requestReceivedTimestamp"]})
    .to_string()
}

fn aks(record: &str) -> String {
    format!(
        r#"{{"category":"kube-audit","operationName":"Microsoft.ContainerService/managedClusters/diagnosticLogs/Read","time":"2026-01-01T00:00:00.2Z","resourceId":"/SUBSCRIPTIONS/S/RESOURCEGROUPS/G/PROVIDERS/MICROSOFT.CONTAINERSERVICE/MANAGEDCLUSTERS/PROD","properties":{{"log":{},"stream":"stdout","pod":"kube-apiserver-0","containerID":"c"}}}}"#,
        text(record)
    )
}

fn trigger(records: &[&str]) -> String {
    let messages = list(records, |record| {
        format!(
            r#"{{"resource":{{"type":"managed-kubernetes.cluster","id":"prod"}},"timestamp":"2026-01-01 00:00:00.200000001 +0000 UTC","level":"INFO","json_payload":{record}}}"#
        )
    });
    format!(
        r#"{{"messages":[{{"event_metadata":{{"event_id":"e","event_type":"yandex.cloud.events.serverless.triggers.LoggingMessageBatch"}},"details":{{"messages":[{messages}]}}}}]}}"#
    )
}

fn audit_trails(record: &str) -> String {
    format!(
        r#"{{"event_id":"e","event_source":"k8s","event_type":"yandex.cloud.audit.k8s.apiserver.ApiServerCreate","event_time":"2026-01-01T00:00:00.2Z","event_status":"DONE","authentication":{{"authenticated":true,"subject_type":"USER_ACCOUNT","subject_id":"aje"}},"details":{{"cluster_id":"prod","native_api_server_event":{record}}}}}"#
    )
}

fn otlp(records: &[&str]) -> String {
    let records = list(records, |record| format!(r#"{{"observedTimeUnixNano":"1767225600200000000","body":{{"stringValue":{}}}}}"#, text(record)));
    format!(r#"{{"resourceLogs":[{{"resource":{{"attributes":[]}},"scopeLogs":[{{"scope":{{}},"logRecords":[{records}]}}]}}]}}"#)
}

/// Every envelope that is measured; what binary ones hold is in none.
pub(crate) const WRAPS: &[Wrap] = &[
    Wrap { name: "native", is_audit: false, wrap: |records| lines(records, str::to_owned) },
    Wrap {
        name: "event list",
        is_audit: true,
        wrap: |records| format!(r#"{{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{{}},"items":[{}]}}"#, records.join(",")),
    },
    Wrap { name: "EKS", is_audit: true, wrap: cloudwatch },
    Wrap {
        name: "EKS by Firehose",
        is_audit: true,
        wrap: |records| format!(r#"{{"requestId":"r","timestamp":1767225600000,"records":[{{"data":"{}"}}]}}"#, STANDARD.encode(cloudwatch(records))),
    },
    Wrap { name: "GKE", is_audit: true, wrap: |records| lines(records, gke) },
    Wrap { name: "AKS", is_audit: true, wrap: |records| format!(r#"{{"records":[{}]}}"#, list(records, aks)) },
    Wrap { name: "Yandex trigger", is_audit: false, wrap: trigger },
    Wrap {
        name: "Yandex Data Streams",
        is_audit: false,
        wrap: |records| {
            lines(records, |record| {
                format!(
                    r#"{{"uid":"u","resource":{{"type":"managed-kubernetes.cluster","id":"prod"}},"timestamp":"2026-01-01T00:00:00.2Z","ingestedAt":"2026-01-01T00:00:00.3Z","level":"INFO","jsonPayload":{record}}}"#
                )
            })
        },
    },
    Wrap { name: "Yandex Audit Trails", is_audit: true, wrap: |records| format!("[{}]", list(records, audit_trails)) },
    Wrap {
        name: "fluent-bit",
        is_audit: false,
        wrap: |records| lines(records, |record| format!(r#"{{"date":1767225600.2,"log":{},"stream":"stdout"}}"#, text(record))),
    },
    Wrap {
        name: "fluent-bit, merged",
        is_audit: false,
        wrap: |records| lines(records, |record| record.replacen('{', r#"{"date":1767225600.2,"log_processed":true,"#, 1)),
    },
    Wrap { name: "fluentd", is_audit: false, wrap: |records| lines(records, |record| format!("2026-01-01T00:00:00+00:00\tkube.audit\t{record}")) },
    Wrap {
        name: "vector",
        is_audit: false,
        wrap: |records| {
            let records = list(records, |record| {
                format!(
                    r#"{{"file":"/var/log/audit.log","host":"m1","message":{},"source_type":"file","timestamp":"2026-01-01T00:00:00.2Z"}}"#,
                    text(record)
                )
            });
            format!("[{records}]")
        },
    },
    Wrap {
        name: "filebeat",
        is_audit: false,
        wrap: |records| {
            lines(records, |record| {
                format!(
                    r#"{{"@timestamp":"2026-01-01T00:00:00.200Z","@metadata":{{"beat":"filebeat"}},"message":{},"log":{{"file":{{"path":"/var/log/audit.log"}},"offset":7}},"ecs":{{"version":"8.0.0"}}}}"#,
                    text(record)
                )
            })
        },
    },
    Wrap { name: "OpenTelemetry", is_audit: false, wrap: otlp },
    Wrap {
        name: "Splunk's collector",
        is_audit: false,
        wrap: |records| {
            lines(records, |record| format!(r#"{{"time":1767225600.2,"host":"m1","source":"audit","sourcetype":"kube:audit","event":{record}}}"#))
        },
    },
    Wrap {
        name: "syslog",
        is_audit: false,
        wrap: |records| lines(records, |record| format!("<134>1 2026-01-01T00:00:00.2Z m1 audit - - - {record}")),
    },
    Wrap {
        name: "container runtime",
        is_audit: false,
        wrap: |records| lines(records, |record| format!("2026-01-01T00:00:00.200000001Z stdout F {record}")),
    },
];
