//! What an envelope says of a record goes with it: over the spool, into the store, and back.

use serde_json::{Value, json};

use crate::service::{Service, client, json as ask, until};

fn audit(user: &str) -> String {
    json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "auditID": user, "stage": "ResponseComplete", "requestURI": "/api/v1/namespaces/shop/secrets",
        "verb": "list", "user": {"username": user}, "objectRef": {"resource": "secrets", "namespace": "shop", "apiVersion": "v1"}, "responseStatus": {"code": 200},
        "requestReceivedTimestamp": "2026-01-01T00:00:00.000001Z", "stageTimestamp": "2026-01-01T00:00:00.000002Z"})
    .to_string()
}

fn cloudwatch(user: &str) -> String {
    let event = json!({"id": "1", "timestamp": 1_767_225_600_000_i64, "message": audit(user)});
    json!({"messageType": "DATA_MESSAGE", "owner": "123456789012", "logGroup": "/aws/eks/prod-eu/cluster", "logStream": "kube-apiserver-audit-0a", "logEvents": [event]}).to_string()
}

fn printed_by(namespace: &str, pod: &str, user: &str) -> String {
    json!({"log": audit(user), "stream": "stdout", "kubernetes": {"namespace_name": namespace, "pod_name": pod, "container_name": "main"}})
        .to_string()
}

/// The one event with this text in it.
fn event_of(answer: &Value) -> &Value {
    assert_eq!(answer["total"]["value"], 1, "{answer}");
    &answer["events"][0]
}

#[test]
fn what_envelopes_say_is_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let (runtime, client) = client();
    runtime.block_on(async {
        let mut service = Service::start(&dir.path().join("data"), "");
        let bodies = [cloudwatch("alice"), printed_by("kube-system", "kube-apiserver-m1", "bob"), printed_by("shop", "web-0", "mallory")];
        let (status, receipt) = ask(client.post(format!("{}/ingest/auto", service.url)).body(bodies.join("\n"))).await;
        assert_eq!((status, &receipt["accepted"]), (200, &json!(3)));
        // As it is just after, and as it is read from the store after a restart.
        for round in 0..2 {
            until(&client, &format!("{}/api/v1/events/search?limit=0", service.url), |answer| answer["total"]["value"] == 3).await;
            let search = |query: &str| ask(client.get(format!("{}/api/v1/events/search?query={query}", service.url)));
            let (_, answer) = search("alice AND cluster:prod-eu AND cloud.account:123456789012").await;
            let alice = event_of(&answer);
            assert_eq!(
                (&alice["event"]["kind"], &alice["event"]["envelope"], &alice["cloud"]["provider"]),
                (&json!("k8s_audit"), &json!("cloudwatch"), &json!("aws"))
            );
            assert_eq!(alice["provenance"]["stream"], "/aws/eks/prod-eu/cluster:kube-apiserver-audit-0a");
            let (_, answer) = search("actor.user.name:bob").await;
            assert_eq!((&event_of(&answer)["event"]["kind"], &event_of(&answer)["cluster"]), (&json!("k8s_audit"), &json!("default")));
            let (_, answer) = search("event.forged_kind:true AND k8s.pod:web-0").await;
            let forged = event_of(&answer);
            assert_eq!((&forged["event"]["kind"], &forged["event"]["forged_kind"]), (&json!("other"), &json!(true)));
            assert_eq!(forged["provenance"]["emitter"], "shop/web-0/main");
            assert_eq!(search("event.kind:k8s_audit AND mallory").await.1["total"]["value"], 0);
            if round == 0 {
                service.kill();
                service = Service::start(&dir.path().join("data"), "");
            }
        }
        service.kill();
    });
}
