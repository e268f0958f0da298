//! The public Sigma rules for the Kubernetes audit log, where they are at hand: each finds what it is for in records as an API server writes them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bartizan::detect::sigma::{self, Severity};
use serde_json::{Value, json};

use crate::reading::Reading;

/// A rule's file without what all have in common, a request that it finds, one that it does not, and how many made-up names it has.
struct Row {
    name: &'static str,
    hit: Value,
    miss: Value,
    aliases: usize,
}

/// What was asked for: `verb group/resource[/subresource] namespace/name`.
fn request(what: &str, body: Value, code: u16) -> Value {
    let parts: Vec<&str> = what.split(' ').collect();
    let (group, resource) = parts[1].split_once('/').unwrap();
    let (resource, subresource) = resource.split_once('/').map_or((resource, None), |(resource, below)| (resource, Some(below)));
    let (namespace, name) = parts[2].split_once('/').unwrap();
    let mut object = json!({"resource": resource, "namespace": namespace, "name": name, "apiVersion": "v1"});
    if !group.is_empty() {
        object["apiGroup"] = json!(group);
    }
    if let Some(subresource) = subresource {
        object["subresource"] = json!(subresource);
    }
    let mut record = json!({
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "RequestResponse", "auditID": what, "stage": "ResponseComplete",
        "requestURI": format!("/api/v1/namespaces/{namespace}/{resource}/{name}"), "verb": parts[0],
        "user": {"username": "alice", "groups": ["system:authenticated"]}, "sourceIPs": ["10.0.0.1"], "userAgent": "kubectl/v1.30.0",
        "objectRef": object, "responseStatus": {"metadata": {}, "code": code},
        "requestReceivedTimestamp": "2026-01-01T00:00:00.000000Z", "stageTimestamp": "2026-01-01T00:00:00.100000Z",
        "annotations": {"authorization.k8s.io/decision": if code == 403 { "forbid" } else { "allow" }},
    });
    if !body.is_null() {
        record["requestObject"] = body;
    }
    record
}

fn plain(what: &str) -> Value {
    request(what, Value::Null, 200)
}

fn pod(container: &Value, volumes: &Value) -> Value {
    json!({"kind": "Pod", "spec": {"containers": [{"name": "web", "image": "nginx"}, container], "volumes": volumes}})
}

fn with(mut record: Value, key: &str, value: &str) -> Value {
    record[key] = json!(value);
    record
}

fn rows() -> Vec<Row> {
    let row = |name, hit, miss, aliases| Row { name, hit, miss, aliases };
    let host = json!([{"name": "root", "hostPath": {"path": "/"}}]);
    let capable = json!({"name": "x", "image": "y", "securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}});
    let plain_pod = pod(&json!({"name": "x"}), &json!([{"name": "v", "emptyDir": {}}]));
    let create_pod = |body: Value| request("create /pods shop/p", body, 201);
    vec![
        row(
            "change_admission_controller",
            plain("update admissionregistration.k8s.io/mutatingwebhookconfigurations /x"),
            plain("get admissionregistration.k8s.io/mutatingwebhookconfigurations /x"),
            1,
        ),
        row("cronjob_modification", plain("create batch/cronjobs shop/x"), plain("list batch/cronjobs shop/"), 1),
        row("deployment_deleted", plain("delete apps/deployments shop/x"), plain("delete apps/statefulsets shop/x"), 0),
        row("events_deleted", plain("delete /events shop/x"), plain("get /events shop/x"), 0),
        row("exec_into_container", plain("create /pods/exec shop/p"), plain("create /pods/log shop/p"), 0),
        row("hostpath_mount", create_pod(pod(&json!({"name": "x"}), &host)), create_pod(plain_pod.clone()), 1),
        row("pod_in_system_namespace", plain("create /pods kube-system/p"), plain("create /pods shop/p"), 0),
        row(
            "potential_enumeration_activity",
            with(plain("get /pods shop/p"), "requestURI", "/api/v1/namespaces/shop/pods/p/exec?command=%2Fbin%2Fbash"),
            with(request("get /pods shop/p", Value::Null, 403), "requestURI", "/api/v1/namespaces/shop/pods/p/exec?command=%2Fbin%2Fbash"),
            1,
        ),
        row("privileged_pod_creation", create_pod(pod(&capable, &json!([]))), create_pod(plain_pod), 1),
        row(
            "rbac_permisions_listing",
            plain("create authorization.k8s.io/selfsubjectrulesreviews /"),
            plain("create authorization.k8s.io/selfsubjectaccessreviews /"),
            1,
        ),
        row(
            "rolebinding_modification",
            plain("patch rbac.authorization.k8s.io/clusterrolebindings /x"),
            plain("get rbac.authorization.k8s.io/clusterrolebindings /x"),
            1,
        ),
        row("secrets_enumeration", plain("list /secrets shop/"), plain("list /configmaps shop/"), 0),
        row("secrets_modified_or_deleted", plain("update /secrets shop/s"), plain("get /secrets shop/s"), 1),
        row("serviceaccount_creation", plain("create /serviceaccounts shop/s"), plain("get /serviceaccounts shop/s"), 0),
        row("sidecar_injection", plain("patch apps/deployments shop/x"), plain("patch apps/daemonsets shop/x"), 1),
        row(
            "unauthorized_unauthenticated_actions",
            request("get /secrets shop/s", Value::Null, 403),
            request("get /secrets shop/s", Value::Null, 404),
            0,
        ),
    ]
}

/// How often the rule of a file matches a record.
fn matches(text: &str, record: &Value) -> u64 {
    let (rules, _) = sigma::parse(&[(Arc::from("r.yml"), text.to_owned())], &sigma::Settings::default());
    let mut reading = Reading::of(&Arc::new(rules));
    let events = reading.read(record.to_string().as_bytes());
    reading.matches(&events)
}

fn folder() -> Option<PathBuf> {
    let below = "sigma/rules/application/kubernetes/audit";
    ["../shared", "../../shared"].iter().map(|near| Path::new(env!("CARGO_MANIFEST_DIR")).join(near).join(below)).find(|path| path.is_dir())
}

#[test]
fn every_public_audit_rule_works() {
    let Some(folder) = folder() else {
        println!("no public rules at hand: nothing is tested");
        return;
    };
    let rows = rows();
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), rows.len());
    for row in rows {
        let text = std::fs::read_to_string(folder.join(format!("kubernetes_audit_{}.yml", row.name))).unwrap();
        let (rules, problems) = sigma::parse(&[(Arc::from(row.name), text.clone())], &sigma::Settings::default());
        assert_eq!(rules.rules.len(), 1, "{}: {problems:?}", row.name);
        assert!(problems.iter().all(|problem| problem.severity == Severity::Note), "{}: {problems:?}", row.name);
        assert_eq!(problems.len(), row.aliases, "{}: {problems:?}", row.name);
        assert_eq!(matches(&text, &row.hit), 1, "{}: {}", row.name, row.hit);
        assert_eq!(matches(&text, &row.miss), 0, "{}: {}", row.name, row.miss);
    }
}

#[test]
fn a_patch_is_answered_by_the_normalised_names() {
    let rule = |field: &str| {
        format!(
            "title: t\nid: a\nlevel: low\nlogsource: {{product: kubernetes, service: audit}}\ndetection:\n  s: {{verb: patch, {field}: true}}\n  condition: s\n"
        )
    };
    let body = "requestObject.spec.template.spec.containers.securityContext.privileged";
    let operations = json!([{"op": "add", "path": "/spec/template/spec/containers/0/securityContext", "value": {"privileged": true}}]);
    let merge = json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "securityContext": {"privileged": true}}]}}}});
    let patch = |body: Value| request("patch apps/deployments shop/web", body, 200);
    // A strategic merge patch has the object's own paths; of a list of operations only the normalised names know what it writes.
    assert_eq!(matches(&rule("pod.privileged"), &patch(operations.clone())), 1);
    assert_eq!(matches(&rule("pod.privileged"), &patch(merge.clone())), 1);
    assert_eq!(matches(&rule(body), &patch(merge)), 1);
    assert_eq!(matches(&rule(body), &patch(operations)), 0);
}
