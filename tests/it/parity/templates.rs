//! The attacks in real records of clouds and shippers: of each only the members named here are changed, which its printed cells say with `+`.

use std::io::{Read, Write};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::{Wrap, check, gke};
use crate::reading::shared;

/// How a real record takes an attack: its file, and the members that are changed in it.
type Template = (&'static str, &'static str, fn(&mut Value, &Value));

const TEMPLATES: &[Template] = &[
    ("EKS subscription", "aws-cloudwatch/subscription-data.json", subscription),
    ("EKS by Lambda", "aws-cloudwatch/lambda-awslogs-gzip-base64.json", |record, event| {
        let packed = STANDARD.decode(record["awslogs"]["data"].as_str().unwrap()).unwrap();
        let mut text = String::new();
        GzDecoder::new(packed.as_slice()).read_to_string(&mut text).unwrap();
        let mut message: Value = serde_json::from_str(&text).unwrap();
        subscription(&mut message, event);
        let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(message.to_string().as_bytes()).unwrap();
        record["awslogs"]["data"] = STANDARD.encode(gzip.finish().unwrap()).into();
    }),
    ("EKS by Firehose", "aws-cloudwatch/firehose-transform-event.json", |record, event| {
        record["records"].as_array_mut().unwrap().truncate(1);
        record["records"][0]["data"] = STANDARD.encode(event.to_string()).into();
    }),
    ("AKS event hub", "azure-eventhub/eventhub-batch.json", |record, event| {
        record["records"].as_array_mut().unwrap().truncate(1);
        diagnostics(&mut record["records"][0], event);
    }),
    ("AKS record", "azure-eventhub/eventhub-single.json", diagnostics),
    ("GKE activity", "gcp-logging/otel-gke-activity.json", |record, event| {
        let said = gke(event);
        for member in ["authenticationInfo", "authorizationInfo", "methodName", "requestMetadata", "resourceName", "request"] {
            record["protoPayload"][member] = said["protoPayload"][member].clone();
        }
        record["resource"]["labels"]["cluster_name"] = "default".into();
        for member in ["timestamp", "labels"] {
            record[member] = said[member].clone();
        }
    }),
    ("Yandex trigger, message", "yandex-logging/logging-trigger-batch.json", |record, event| {
        let message = &mut record["messages"][0]["details"]["messages"][0];
        message["message"] = event.to_string().into();
        message["resource"]["id"] = "default".into();
        message["resource"]["type"] = "managed-kubernetes.cluster".into();
    }),
    ("Yandex trigger, payload", "yandex-logging/logging-trigger-batch.json", |record, event| {
        let message = &mut record["messages"][0]["details"]["messages"][0];
        message["json_payload"] = event.clone();
        message["resource"]["id"] = "default".into();
        message["resource"]["type"] = "managed-kubernetes.cluster".into();
    }),
    ("Yandex Audit Trails", "yandex-logging/audit-trails-data-plane-lockbox.json", |record, event| {
        record["event_source"] = "k8s".into();
        record["event_type"] = "yandex.cloud.audit.k8s.apiserver.ApiServerCreate".into();
        record["event_time"] = "2026-01-01T00:00:00.2Z".into();
        record["details"] = json!({"cluster_id": "default", "native_api_server_event": event});
    }),
    ("fluent-bit, log", "fluent-bit/out/options/options_merge-log-disabled_json.out", |record, event| {
        record[1]["log"] = format!("{event}\n").into();
        printed(record);
    }),
    ("fluent-bit, merged", "fluent-bit/out/options/options_merge-log-enabled_json.out", |record, event| {
        record[1]["log"] = format!("{event}\n").into();
        record[1].as_object_mut().unwrap().remove("text");
        record[1].as_object_mut().unwrap().extend(event.as_object().unwrap().clone());
        printed(record);
    }),
    ("fluent-bit, merged in key", "fluent-bit/out/options/options_merge-log-key_json.out", |record, event| {
        record[1]["log"] = format!("{event}\n").into();
        record[1]["merge-log-key"] = event.clone();
        printed(record);
    }),
    ("docker's file", "fluent-bit/log/core/core_base_fluent-bit.log", |record, event| record["log"] = format!("{event}\n").into()),
];

fn subscription(record: &mut Value, event: &Value) {
    record["logGroup"] = "/aws/eks/default/cluster".into();
    record["logStream"] = "kube-apiserver-audit-0a".into();
    record["logEvents"].as_array_mut().unwrap().truncate(1);
    record["logEvents"][0]["message"] = event.to_string().into();
}

fn diagnostics(record: &mut Value, event: &Value) {
    record["properties"]["log"] = format!("{event}\n").into();
    let resource = record["resourceId"].as_str().unwrap();
    record["resourceId"] = format!("{}/DEFAULT", resource.rsplit_once('/').unwrap().0).into();
}

/// By the API server, which may say what it audits.
fn printed(record: &mut Value) {
    record[1]["kubernetes"]["namespace_name"] = "kube-system".into();
    record[1]["kubernetes"]["pod_name"] = "kube-apiserver-m1".into();
    record[1]["kubernetes"]["container_name"] = "kube-apiserver".into();
}

/// The first value of a file.
fn load(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::Deserializer::from_str(text.trim_start_matches('\u{feff}')).into_iter().next().unwrap().unwrap()
}

#[test]
fn the_same_attack_gives_the_same_alert_in_real_records() {
    let Some(root) = shared() else { return };
    let ways: Vec<(&str, Wrap)> = TEMPLATES
        .iter()
        .map(|(way, file, put)| {
            let record = load(&root.join("envelopes").join(file));
            let wrap = move |event: &Value| {
                let mut record = record.clone();
                put(&mut record, event);
                record.to_string()
            };
            (*way, Box::new(wrap) as Wrap)
        })
        .collect();
    check(&ways, '+');
}
