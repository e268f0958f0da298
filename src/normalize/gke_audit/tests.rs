use std::sync::Arc;

use super::super::{Redactor, again, normalize};
use crate::model::{
    ClusterId, EnvelopeKind, Event, FieldRef, Kind, Limits, Origin, Parser, PartitionId, Position, Record, SourceId, TenantId, Timestamp, Wrapped,
};

fn record(json: &str) -> Record {
    let doc = Parser::new(Limits::default()).parse(json.as_bytes(), None).unwrap();
    Record { doc, kind: Kind::K8sAudit, envelope: EnvelopeKind::GcpLogging, offset: 0, wrapped: Wrapped::default() }
}

fn event(json: &str) -> Event {
    let origin = Arc::new(Origin {
        tenant: TenantId::default(),
        cluster: ClusterId::default(),
        source: SourceId::from("test"),
        partition: PartitionId::from("p"),
        object: Arc::from("o"),
        received: Timestamp::parse("2026-01-01T00:00:00Z").unwrap(),
    });
    let record = Redactor::default().redact(record(json), &mut Parser::default());
    let text = record.doc.text().to_owned();
    let event = normalize(record, &origin, Position(7));
    assert_eq!(event.raw(), text);
    // What comes back from the store is the same event.
    let back = again(self::record(&text), false, &origin, Position(7));
    let all = |event: &Event| event.facts.iter(&event.doc).map(|(field, value)| (field, value.text.to_owned())).collect::<Vec<_>>();
    assert_eq!((back.id, back.act, all(&back)), (event.id, event.act, all(&event)));
    event
}

/// Fields, native or normalised, of an entry with these members in its payload, as `name=value,value`.
fn check(method: &str, object: &str, more: &str, expected: &str) {
    let json = format!(
        r#"{{"insertId":"i-1","labels":{{"authorization.k8s.io/decision":"allow"}},"protoPayload":{{"serviceName":"k8s.io","methodName":"{method}","resourceName":"{object}","authenticationInfo":{{"principalEmail":"olga@books.example"}},"requestMetadata":{{"callerIP":"203.0.113.41","callerSuppliedUserAgent":"kubectl"}}{more}}},"timestamp":"2026-05-04T07:11:12.5Z"}}"#
    );
    let event = event(&json);
    for line in expected.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (name, expected) = line.split_once('=').unwrap();
        let mut found = Vec::new();
        event.each(&FieldRef::parse(name).unwrap(), |value| found.push(value.text.to_owned()));
        assert_eq!(found.join(","), expected, "{name} of {json}");
    }
}

#[test]
fn a_pod_is_read_like_any_other() {
    check(
        "io.k8s.core.v1.pods.create",
        "core/v1/namespaces/books/pods/till-9",
        r#","request":{"@type":"core.k8s.io/v1.Pod","metadata":{"name":"till-9"},"spec":{"hostPID":true,"containers":[{"name":"a","image":"x","securityContext":{"privileged":true}}]}},"response":{"@type":"core.k8s.io/v1.Pod","metadata":{"uid":"u-1"}},"status":{}"#,
        "verb=create
        stage=ResponseComplete
        auditID=i-1
        requestURI=/api/v1/namespaces/books/pods/till-9
        stageTimestamp=2026-05-04T07:11:12.5Z
        user.username=olga@books.example
        user.groups=
        sourceIPs=203.0.113.41
        userAgent=kubectl
        objectRef.resource=pods
        objectRef.namespace=books
        objectRef.name=till-9
        objectRef.apiGroup=
        objectRef.apiVersion=v1
        requestObject.spec.hostPID=true
        requestObject.spec.containers.securityContext.privileged=true
        responseObject.metadata.uid=u-1
        annotations.authorization.k8s.io/decision=allow
        responseStatus.code=201
        event.kind=k8s_audit
        event.outcome=success
        actor.user.type=human
        src.ip=203.0.113.41
        pod.privileged=true
        pod.host_pid=true
        k8s.pod=till-9
        http.status=201",
    );
}

#[test]
fn other_objects() {
    check(
        "io.k8s.core.v1.pods.exec.create",
        "core/v1/namespaces/books/pods/till-9/exec",
        r#","request":{"@type":"core.k8s.io/v1.PodExecOptions","command":["cat","/etc/passwd"],"container":"till"}"#,
        "objectRef.subresource=exec
        exec.command=cat /etc/passwd
        k8s.container=till
        responseStatus.code=101",
    );
    check(
        "io.k8s.authorization.rbac.v1.clusterrolebindings.create",
        "rbac.authorization.k8s.io/v1/clusterrolebindings/own",
        r#","request":{"roleRef":{"kind":"ClusterRole","name":"cluster-admin"},"subjects":[{"kind":"User","name":"olga"}]}"#,
        "objectRef.apiGroup=rbac.authorization.k8s.io
        requestURI=/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/own
        rbac.role=cluster-admin
        rbac.subjects=user:olga",
    );
    let namespace = "objectRef.resource=namespaces
        objectRef.name=books
        objectRef.namespace=books";
    check("io.k8s.core.v1.namespaces.delete", "core/v1/namespaces/books", "", &format!("{namespace}\nrequestURI=/api/v1/namespaces/books"));
    check(
        "io.k8s.core.v1.namespaces.finalize.update",
        "core/v1/namespaces/books/finalize",
        "",
        &format!("{namespace}\nobjectRef.subresource=finalize\nrequestURI=/api/v1/namespaces/books/finalize"),
    );
    check(
        "io.k8s.core.v1.secrets.list",
        "core/v1/namespaces/books/secrets",
        r#","response":{"@type":"core.k8s.io/v1.SecretList","items":[{"data":{"p":"aHVudGVyMg=="}}]}"#,
        "objectRef.name=
        k8s.verb=list
        responseObject.items.data.p=[redacted:secret_data]",
    );
    check("io.k8s.get", "healthz", "", "verb=get\nobjectRef.resource=\nobjectRef.apiGroup=\nrequestURI=/healthz");
}

#[test]
fn codes_are_those_of_http() {
    let code = |method: &str, more: &str, expected: &str| {
        let (code, outcome) = expected.split_once(' ').unwrap();
        check(method, "apps/v1/namespaces/books/deployments/till", more, &format!("responseStatus.code={code}\nevent.outcome={outcome}"));
    };
    let (get, create) = ("io.k8s.apps.v1.deployments.get", "io.k8s.apps.v1.deployments.create");
    code(get, "", "200 success");
    code(get, r#","status":{"code":0}"#, "200 success");
    for (rpc, expected) in [(3, 400), (5, 404), (6, 409), (7, 403), (10, 409), (16, 401), (13, 500), (99, 500)] {
        code(get, &format!(r#","status":{{"code":{rpc}}}"#), &format!("{expected} failure"));
    }
    // The answer knows better, if it is one.
    let answer = |kind: &str| format!(r#","status":{{"code":10}},"response":{{{kind}"code":422,"reason":"Invalid"}}"#);
    code(create, &answer(r#""@type":"core.k8s.io/v1.Status","#), "422 failure");
    code(create, &answer(r#""kind":"Status","apiVersion":"v1","#), "422 failure");
    code(create, &answer(""), "422 failure");
    code(create, r#","response":{"@type":"books.example/v1.Till","kind":"Till","code":404}"#, "201 success");
}
