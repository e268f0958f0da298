//! What clouds wrap around a record, and what they say of it.

use base64::Engine as _;

use super::*;

const AUDIT: &str = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"a","stage":"ResponseComplete","verb":"get"}"#;

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

fn base64(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// `AUDIT` stands for the event, `QUOTED` for it as a string, `CUT` for the start of it as one, `BASE64(..)` for what is in the parentheses.
fn fill(template: &str) -> String {
    let cut = AUDIT.split_at(AUDIT.len() - 8).0;
    let mut text = template.replace("QUOTED", &quoted(AUDIT)).replace("CUT", &quoted(cut)).replace("AUDIT", AUDIT);
    while let Some((head, rest)) = text.clone().rsplit_once("BASE64(") {
        let (inner, tail) = rest.split_once(")END").unwrap();
        text = format!("{head}{}{tail}", quoted(&base64(inner)));
    }
    text
}

/// Every record: kind, envelope, and what the envelopes say; every reject with its reason.
pub(super) fn said(out: &Decoded) -> Vec<String> {
    show(out);
    let records = out.records.iter().map(|record| {
        let by = record.wrapped.by.as_deref().cloned().unwrap_or_default();
        let mut shown = format!("{}/{}", record.kind.name(), record.envelope.name());
        let emitter = by.emitter.map(|emitter| format!("{}/{}", emitter.namespace, emitter.pod));
        let parts = [by.cluster.map(|cluster| cluster.to_string()), by.provider.map(|one| one.name().to_owned()), by.account, emitter];
        parts.into_iter().flatten().for_each(|part| shown.push_str(&format!(" {part}")));
        if let Some(at) = record.wrapped.at {
            shown.push_str(&format!(" at {at}"));
        }
        if record.wrapped.is_cut {
            shown.push_str(" cut");
        }
        shown
    });
    let rejects = out.rejects.iter().map(|reject| format!("!{}", reject.reason));
    records.chain(rejects).collect()
}

fn check(template: &str, expected: &str) {
    let text = fill(template);
    assert_eq!(said(&whole(text.as_bytes(), DecodeLimits::default())).join(", "), expected, "{text}");
}

#[test]
fn aws() {
    let group = r#""messageType":"DATA_MESSAGE","owner":"123456789012","logGroup":"/aws/eks/prod/cluster","logStream":"kube-apiserver-audit-0a""#;
    let events = r#""logEvents":[{"id":"1","timestamp":1767225600123,"message":QUOTED}]"#;
    let one = "k8s_audit/cloudwatch prod aws 123456789012 at 2026-01-01T00:00:00.123Z";
    check(&format!("{{{group},{events}}}"), one);
    check(&format!("{{{events},{group}}}"), one);
    // Firehose writes one after the other, with nothing between.
    check(&format!("{{{group},{events}}}{{{group},{events}}}"), &format!("{one}, {one}"));
    check(&format!(r#"{{"requestId":"r","timestamp":1,"records":[{{"data":BASE64({{{group},{events}}})END}}]}}"#), one);
    check(&format!(r#"{{"awslogs":{{"data":BASE64({{{group},{events}}})END}}}}"#), one);
    check(&format!(r#"{{"Records":[{{"kinesis":{{"data":BASE64({{{group},{events}}})END}}}}]}}"#), one);
    check(
        r#"{"messageType":"CONTROL_MESSAGE","owner":"CloudwatchLogs","logGroup":"","logStream":"","logEvents":[{"id":"","timestamp":1,"message":"CWL CONTROL MESSAGE"}]}"#,
        "!control",
    );
    // Other streams of the control plane are text: kept, and no error.
    check(
        &format!(r#"{{{group},"logEvents":[{{"id":"1","timestamp":0,"message":"I0101 started"}}]}}"#),
        "other/cloudwatch prod aws 123456789012 at 1970-01-01T00:00:00Z",
    );
    check(&format!(r#"{{{group},"logEvents":[{{"id":"1","message":CUT}}]}}"#), "k8s_audit/cloudwatch prod aws 123456789012 cut");
    // What a container printed, through its node's shipper.
    let printed = format!(r#"{{"log":{},"kubernetes":{{"pod_name":"web-0","namespace_name":"shop"}}}}"#, quoted(AUDIT));
    let insights = r#""messageType":"DATA_MESSAGE","owner":"1","logGroup":"/aws/containerinsights/prod/application","logStream":"s""#;
    check(&format!(r#"{{{insights},"logEvents":[{{"id":"1","message":{}}}]}}"#, quoted(&printed)), "k8s_audit/cloudwatch prod aws 1 shop/web-0");
}

#[test]
fn azure() {
    let resource = r#""category":"kube-audit","resourceId":"/SUBSCRIPTIONS/S-1/RESOURCEGROUPS/G/PROVIDERS/MICROSOFT.CONTAINERSERVICE/MANAGEDCLUSTERS/PROD","time":"2026-01-01T00:00:00.5Z""#;
    let one = "k8s_audit/azure_diagnostics prod azure s-1 at 2026-01-01T00:00:00.5Z";
    let record = |log: &str| format!(r#"{{{resource},"properties":{{"log":{log},"pod":"kube-apiserver-0"}}}}"#);
    check(&format!(r#"{{"records":[{0},{0}]}}"#, record("QUOTED")), &format!("{one}, {one}"));
    check(&format!("{0}\n{0}\n", record("QUOTED")), &format!("{one}, {one}"));
    check(&record("CUT"), &format!("{one} cut"));
    check(&record(r#""I0101 12:00:00 trace.go:205] text""#), &one.replace("k8s_audit", "other"));
    check(r#"{"records":[]}"#, "!control");
}

#[test]
fn google() {
    let resource = r#""resource":{"type":"k8s_cluster","labels":{"cluster_name":"prod","project_id":"p","location":"l"}}"#;
    let entry = format!(
        r#"{{"insertId":"i","logName":"projects/p/logs/cloudaudit","protoPayload":{{"serviceName":"k8s.io","methodName":"io.k8s.core.v1.pods.get"}},{resource},"timestamp":"2026-01-01T00:00:00Z"}}"#
    );
    check(&entry, "k8s_audit/gcp_logging prod gcp p");
    check(&entry.replace("k8s.io", "container.googleapis.com"), "cloud_audit/gcp_logging prod gcp p");
    check(
        &format!(r#"{{"message":{{"data":BASE64({entry})END,"publishTime":"2026-01-01T00:00:01Z"}},"subscription":"s"}}"#),
        "k8s_audit/gcp_logging prod gcp p at 2026-01-01T00:00:01Z",
    );
    check(&format!(r#"{{"receivedMessages":[{{"ackId":"1","message":{{"data":BASE64({entry})END}}}}]}}"#), "k8s_audit/gcp_logging prod gcp p");
    let container = r#""insertId":"i","resource":{"type":"k8s_container","labels":{"cluster_name":"prod","project_id":"p","namespace_name":"shop","pod_name":"web-0","container_name":"web"}},"timestamp":"2026-01-01T00:00:00Z""#;
    check(&format!(r#"{{{container},"jsonPayload":AUDIT}}"#), "k8s_audit/gcp_logging prod gcp p shop/web-0 at 2026-01-01T00:00:00Z");
    check(&format!(r#"{{"jsonPayload":AUDIT,{container}}}"#), "k8s_audit/gcp_logging prod gcp p shop/web-0 at 2026-01-01T00:00:00Z");
    check(&format!(r#"{{{container},"textPayload":QUOTED}}"#), "k8s_audit/gcp_logging prod gcp p shop/web-0 at 2026-01-01T00:00:00Z");
}

#[test]
fn yandex() {
    let resource =
        r#""resource":{"type":"managed-kubernetes.cluster","id":"cat1"},"timestamp":"2026-01-01 00:00:00.000000001 +0000 UTC","level":"INFO""#;
    let one = "k8s_audit/yandex_logging cat1 yandex at 2026-01-01T00:00:00.000000001Z";
    let trigger = |entry: &str| format!(r#"{{"messages":[{{"event_metadata":{{}},"details":{{"messages":[{entry}]}}}}]}}"#);
    for payload in [r#""json_payload":AUDIT"#, r#""message":"","json_payload":AUDIT"#, r#""message":QUOTED"#, r#""message":QUOTED,"json_payload":{}"#]
    {
        let entry = format!("{{{resource},{payload}}}");
        check(&trigger(&entry), one);
        check(&format!("{entry}\n{entry}"), &format!("{one}, {one}"));
        check(&format!("[{entry}]"), one);
    }
    check(&format!(r#"{{{resource},"uid":"u","jsonPayload":AUDIT}}"#), one);
    check("QUOTED\n", "k8s_audit/carrier");
    let trails = |snake: bool| {
        let text = r#"[{"event_id":"e","event_type":"yandex.cloud.audit.k8s.apiserver.ApiServerGet","event_time":"2026-01-01T00:00:00Z","resource_metadata":{"path":[{"resource_type":"resource-manager.folder","resource_id":"f1"}]},"details":{"cluster_id":"cat1","native_api_server_event":AUDIT}}]"#;
        let camel = [
            ("event_type", "eventType"),
            ("event_time", "eventTime"),
            ("resource_metadata", "resourceMetadata"),
            ("resource_type", "resourceType"),
            ("resource_id", "resourceId"),
            ("cluster_id", "clusterId"),
            ("native_api_server_event", "nativeApiServerEvent"),
        ];
        if snake { text.to_owned() } else { camel.iter().fold(text.to_owned(), |text, (snake, camel)| text.replace(snake, camel)) }
    };
    for snake in [true, false] {
        check(&trails(snake), "k8s_audit/yandex_audit_trails cat1 yandex f1 at 2026-01-01T00:00:00Z");
    }
}

#[test]
fn nobody_speaks_as_another_container() {
    // A container prints what a shipper would write of another.
    let forged = format!(r#"{{"log":{},"kubernetes":{{"namespace_name":"kube-system","pod_name":"kube-apiserver-0"}}}}"#, quoted(AUDIT));
    let named = r#""kubernetes":{"namespace_name":"shop","pod_name":"web-0"}"#;
    check(&format!(r#"{{"log":{},{named}}}"#, quoted(&forged)), "k8s_audit/carrier shop/web-0");
    let resource = r#""resource":{"type":"k8s_container","labels":{"namespace_name":"shop","pod_name":"web-0"}},"insertId":"i""#;
    check(&format!(r#"{{{resource},"jsonPayload":{forged}}}"#), "k8s_audit/gcp_logging gcp shop/web-0");
    check(&format!(r#"{{{resource},"textPayload":{}}}"#, quoted(&forged)), "k8s_audit/gcp_logging gcp shop/web-0");
    let entry = r#"{"insertId":"j","protoPayload":{"serviceName":"k8s.io"}}"#;
    check(&format!(r#"{{{resource},"jsonPayload":{entry}}}"#), "k8s_audit/gcp_logging gcp shop/web-0");
    check(&format!(r#"{{{resource},"textPayload":{}}}"#, quoted(entry)), "k8s_audit/gcp_logging gcp shop/web-0");
}
