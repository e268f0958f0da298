use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::model::{ClusterId, EnvelopeKind, Kinds, Limits, Parser, PartitionId, SourceId, TenantId, Wrapped};

fn origin() -> Arc<Origin> {
    Arc::new(Origin {
        tenant: TenantId::default(),
        cluster: ClusterId::default(),
        source: SourceId::from("test"),
        partition: PartitionId::from("p"),
        object: Arc::from("o"),
        received: Timestamp::parse("2026-01-01T00:00:00Z").unwrap(),
    })
}

fn record(json: &str, kind: Kind) -> Record {
    let lift = (kind == Kind::Flow).then_some("flow");
    Record {
        doc: Parser::new(Limits::default()).parse(json.as_bytes(), lift).unwrap(),
        kind,
        envelope: EnvelopeKind::Native,
        offset: 0,
        wrapped: Wrapped::default(),
    }
}

fn event(json: &str, kind: Kind) -> Event {
    normalize(record(json, kind), &origin(), Position(7))
}

/// Facts as `name=value`, without those that every event has.
fn check(kind: Kind, json: &str, expected: &str) {
    let event = event(json, kind);
    let shown: Vec<String> = event
        .facts
        .iter(&event.doc)
        .filter(|(field, _)| !field.name().starts_with("event.") && *field != Field::Cluster)
        .map(|(field, value)| format!("{}={}", field.name(), value.text))
        .collect();
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(shown, expected, "{json}");
}

/// Some facts of the event, joined.
fn facts(kind: Kind, json: &str, fields: &[Field]) -> String {
    let event = event(json, kind);
    fields.iter().map(|field| event.facts_of(*field).join(",")).collect::<Vec<_>>().join(" | ")
}

#[test]
fn an_exec_tells_who_where_and_what() {
    check(
        Kind::K8sAudit,
        r#"{"stage":"ResponseStarted","auditID":"a","requestURI":"/api/v1/namespaces/prod/pods/web-0/exec?command=cat&command=%2Fetc%2Fpasswd&container=app","verb":"get",
            "user":{"username":"alice","groups":["ops"],"extra":{"authentication.kubernetes.io/credential-id":["X509SHA256=1"]}},"sourceIPs":["1.2.3.4","10.0.0.9"],
            "objectRef":{"resource":"pods","namespace":"prod","name":"web-0","subresource":"exec"},"responseStatus":{"code":101}}"#,
        "actor.user.name=alice
        actor.user.type=human
        actor.user.groups=ops
        actor.credential_id=X509SHA256=1
        src.ip=10.0.0.9
        src.ips=1.2.3.4
        src.ips=10.0.0.9
        k8s.namespace=prod
        k8s.pod=web-0
        k8s.container=app
        k8s.resource=pods
        k8s.subresource=exec
        k8s.api_group=
        k8s.name=web-0
        k8s.verb=get
        exec.command=cat /etc/passwd
        http.path=/api/v1/namespaces/prod/pods/web-0/exec
        http.status=101
        entity=user:alice
        entity=ip:10.0.0.9
        entity=pod:prod/web-0",
    );
}

#[test]
fn actors_have_types() {
    let check = |user: &str, expected: &str| {
        let json = format!("{{\"verb\":\"get\",{user}}}");
        let fields = [Field::ActorUserName, Field::ActorUserType, Field::ActorImpersonator, Field::Entity];
        assert_eq!(facts(Kind::K8sAudit, &json, &fields), expected, "{user}");
    };
    check(r#""user":{"username":"system:serviceaccount:prod:builder"}"#, "system:serviceaccount:prod:builder | service_account |  | sa:prod/builder");
    check(r#""user":{"username":"system:node:n1"}"#, "system:node:n1 | node |  | node:n1");
    check(r#""user":{"username":"system:anonymous"}"#, "system:anonymous | anonymous |  | user:system:anonymous");
    check(r#""user":{"username":"system:kube-scheduler"}"#, "system:kube-scheduler | system |  | user:system:kube-scheduler");
    check(r#""user":{"username":"a"},"impersonatedUser":{"username":"b"}"#, "b | human | a | user:b,user:a");
    check(r#""user":{},"responseStatus":{"code":401}"#, " | anonymous |  | ");
    check(r#""user":{},"responseStatus":{"code":200}"#, " |  |  | ");
    check(r#""user":3,"objectRef":"pods","sourceIPs":{"a":1}"#, " |  |  | ");
}

#[test]
fn outcomes_come_from_the_code() {
    for (code, expected) in [
        ("101", "success"),
        ("201", "success"),
        ("304", "success"),
        ("\"403\"", "failure"),
        ("201.0", "success"),
        ("\"404.0\"", "failure"),
        ("404.5", "unknown"),
        ("500", "failure"),
        ("null", "unknown"),
        ("[]", "unknown"),
    ] {
        let json = format!("{{\"verb\":\"get\",\"responseStatus\":{{\"code\":{code}}}}}");
        assert_eq!(facts(Kind::K8sAudit, &json, &[Field::EventOutcome]), expected, "{code}");
    }
}

#[test]
fn numbers_that_protobuf_wrote() {
    let audit = |code: &str, user: &str| {
        format!(
            r#"{{"auditID":"a","stageTimestamp":"2026-01-01T00:00:00Z","verb":"create","objectRef":{{"resource":"pods","name":"p"}},"responseStatus":{{"code":{code}}},"requestObject":{{"spec":{{"containers":[{{"image":"x","securityContext":{{"runAsUser":{user}}}}}]}}}}}}"#
        )
    };
    let plain = audit("201", "0");
    for same in [audit("201.0", "0.0"), audit("\"201\"", "0")] {
        check_same(Kind::K8sAudit, &plain, &same, (true, true));
        assert_eq!(facts(Kind::K8sAudit, &same, &[Field::HttpStatus, Field::PodRunAsRoot]), "201 | true", "{same}");
    }
    check_same(Kind::K8sAudit, &plain, &audit("200.0", "0"), (false, false));
}

#[test]
fn a_role_of_the_cloud_stands_behind_its_user() {
    let user = r#"{"username":"kubernetes-admin","groups":["system:masters"],"extra":{"accessKeyId":["ASIA1"],"arn":["arn:aws:sts::1:assumed-role/r/olga"],"canonicalArn":["arn:aws:iam::1:role/r"],"sessionName":["olga"]}}"#;
    let json = format!(r#"{{"verb":"get","user":{user}}}"#);
    let fields = [Field::ActorUserName, Field::ActorUserCloudId, Field::ActorCredentialId];
    assert_eq!(facts(Kind::K8sAudit, &json, &fields), "kubernetes-admin | arn:aws:sts::1:assumed-role/r/olga | ASIA1");
}

const POD: &[Field] = &[
    Field::PodPrivileged,
    Field::PodHostPid,
    Field::PodHostPaths,
    Field::PodCapabilities,
    Field::PodImages,
    Field::PodCommands,
    Field::PodRunAsRoot,
    Field::K8sWorkload,
];

fn write(verb: &str, resource: &str, name: &str, request: &str) -> String {
    format!(r#"{{"verb":"{verb}","objectRef":{{"resource":"{resource}","namespace":"prod","name":"{name}"}},"requestObject":{request}}}"#)
}

#[test]
fn pod_specs_are_found_wherever_they_sit() {
    let spec = r#"{"hostPID":true,"volumes":[{"hostPath":{"path":"/etc"}}],"securityContext":{"runAsUser":0},
        "initContainers":[{"image":"i","command":["sh","-c"],"args":["id"],"securityContext":{"runAsUser":5}}],
        "containers":[{"image":"a","securityContext":{"privileged":true,"capabilities":{"add":["CAP_SYS_ADMIN","net_raw"]}}},{"image":"b","command":["x"]}]}"#;
    let expected = |workload: &str| format!("true | true | /etc | SYS_ADMIN,NET_RAW | i,a,b | sh -c id,x | true | {workload}");
    let check = |resource: &str, object: String, workload: &str| {
        assert_eq!(facts(Kind::K8sAudit, &write("create", resource, "w", &object), POD), expected(workload), "{resource}");
    };
    check("pods", format!(r#"{{"spec":{spec}}}"#), "");
    check("deployments", format!(r#"{{"spec":{{"template":{{"spec":{spec}}}}}}}"#), "deployment/w");
    check("cronjobs", format!(r#"{{"spec":{{"jobTemplate":{{"spec":{{"template":{{"spec":{spec}}}}}}}}}}}"#), "cronjob/w");
    check("podtemplates", format!(r#"{{"template":{{"spec":{spec}}}}}"#), "podtemplate/w");
    let silent = " |  |  |  |  |  |  | ";
    assert_eq!(facts(Kind::K8sAudit, &write("get", "pods", "w", &format!(r#"{{"spec":{spec}}}"#)), POD), silent);
    assert_eq!(facts(Kind::K8sAudit, &write("create", "widgets", "w", &format!(r#"{{"spec":{spec}}}"#)), POD), silent);
}

#[test]
fn json_patches_count_as_what_they_write() {
    let check = |operations: &str, expected: &str| {
        let shown =
            facts(Kind::K8sAudit, &write("patch", "deployments", "w", operations), &[Field::PodPrivileged, Field::PodImages, Field::PodCapabilities]);
        assert_eq!(shown, expected, "{operations}");
    };
    check(r#"[{"op":"add","path":"/spec/template/spec/containers/0/securityContext","value":{"privileged":true}}]"#, "true |  | ");
    check(r#"[{"op":"replace","path":"/spec/template/spec/containers/0/securityContext/privileged","value":true}]"#, "true |  | ");
    check(r#"[{"op":"add","path":"/spec/template/spec/containers/-","value":{"image":"evil"}}]"#, " | evil | ");
    check(r#"[{"op":"add","path":"/spec/template/spec/containers/0/securityContext/capabilities/add","value":["SYS_ADMIN"]}]"#, " |  | SYS_ADMIN");
    check(r#"[{"op":"test","path":"/spec/template/spec/containers/0/image","value":"evil"}]"#, " |  | ");
    check(r#"[{"op":"add","path":"/metadata/labels/a~1b","value":"x"},{"op":"add","value":{"privileged":true}}]"#, " |  | ");
}

#[test]
fn bindings_and_roles() {
    let fields = [Field::RbacRole, Field::RbacSubjects, Field::RbacVerbs, Field::RbacResources];
    let binding = r#"{"roleRef":{"name":"cluster-admin"},"subjects":[{"kind":"User","name":"eve"},{"kind":"Group","name":"ops"},{"kind":"ServiceAccount","name":"b","namespace":"prod"}]}"#;
    let shown = facts(Kind::K8sAudit, &write("create", "clusterrolebindings", "x", binding), &fields);
    assert_eq!(shown, "cluster-admin | user:eve,group:ops,sa:prod/b |  | ");
    let role = r#"{"rules":[{"verbs":["*"],"resources":["secrets","pods/exec"],"apiGroups":[""]}]}"#;
    assert_eq!(facts(Kind::K8sAudit, &write("create", "clusterroles", "x", role), &fields), "x |  | * | secrets,pods/exec");
    let patch = r#"[{"op":"add","path":"/subjects/-","value":{"kind":"User","name":"eve"}}]"#;
    assert_eq!(facts(Kind::K8sAudit, &write("patch", "rolebindings", "x", patch), &fields), " | user:eve |  | ");
}

#[test]
fn generated_names_come_from_the_response() {
    let json = r#"{"verb":"create","requestURI":"/api/v1/namespaces/prod/pods","objectRef":{"resource":"pods","namespace":"prod"},
        "requestObject":{"metadata":{"generateName":"web-5d-","labels":{"pod-template-hash":"5d"},"ownerReferences":[{"kind":"ReplicaSet","name":"web-5d"}]},"spec":{}},
        "responseObject":{"metadata":{"name":"web-5d-x","uid":"u1"}}}"#;
    assert_eq!(facts(Kind::K8sAudit, json, &[Field::K8sPod, Field::K8sPodUid, Field::K8sWorkload]), "web-5d-x | u1 | deployment/web");
}

#[test]
fn debug_containers_have_commands() {
    let json = r#"{"verb":"patch","objectRef":{"resource":"pods","subresource":"ephemeralcontainers","namespace":"p","name":"w"},
        "requestObject":{"spec":{"ephemeralContainers":[{"name":"debugger","image":"busybox","command":["sh"],"args":["-c","id"]}]}}}"#;
    assert_eq!(facts(Kind::K8sAudit, json, &[Field::ExecCommand, Field::K8sContainer, Field::PodImages]), "sh -c id | debugger | busybox");
}

#[test]
fn denials_name_their_policy() {
    let check = |message: &str, expected: &str| {
        let json = format!(r#"{{"verb":"create","responseStatus":{{"code":403,"message":{message}}}}}"#);
        assert_eq!(facts(Kind::K8sAudit, &json, &[Field::PolicyName, Field::PolicyRule, Field::PolicyResult]), expected);
    };
    check(r#""admission webhook \"validate.kyverno.svc-fail\" denied the request: no""#, "validate.kyverno.svc-fail |  | deny");
    check(r#""pods \"a\" is forbidden: violates PodSecurity \"restricted:latest\": privileged""#, "PodSecurity | restricted:latest | deny");
    check(r#""pods is forbidden""#, " |  | ");
}

const FALCO: &[Field] = &[
    Field::PolicyRule,
    Field::K8sNamespace,
    Field::K8sPod,
    Field::K8sContainerId,
    Field::K8sImage,
    Field::ProcessTty,
    Field::FilePath,
    Field::DstIp,
];

#[test]
fn falco_fields_flat_nested_or_only_in_the_text() {
    let check = |fields: &str, expected: &str| {
        let json = format!(r#"{{"rule":"R","priority":"Warning","time":"2026-01-01T00:00:00Z",{fields}}}"#);
        assert_eq!(facts(Kind::Falco, &json, FALCO), expected, "{fields}");
    };
    check(
        r#""output_fields":{"k8s.ns.name":"prod","k8s.pod.name":"w","container.id":"ee97d9c4186f00","container.image.repository":"a","container.image.tag":"1","proc.tty":34816,"fd.name":"/etc/shadow"}"#,
        "R | prod | w | ee97d9c4186f | a:1 | true | /etc/shadow | ",
    );
    check(r#""output_fields":{"k8s":{"ns":{"name":"prod"},"pod":{"name":"w"}},"proc":{"tty":0}}"#, "R | prod | w |  |  | false |  | ");
    check(r#""output":"x (k8s.ns=prod k8s.pod=w)","output_fields":{"k8s.ns.name":null}"#, "R | prod | w |  |  |  |  | ");
    check(r#""output":"sh k8s.ns=evil (k8s.ns=prod k8s.pod=w)","output_fields":{}"#, "R |  | w |  |  |  |  | ");
    check(r#""output_fields":{"fd.name":"10.0.0.1:5000->1.2.3.4:443","container.id":"host"}"#, "R |  |  |  |  |  |  | 1.2.3.4");
    check(r#""output_fields":3"#, "R |  |  |  |  |  |  | ");
}

#[test]
fn a_flow_has_two_ends_and_an_observed_one() {
    check(
        Kind::Flow,
        r#"{"flow":{"time":"2026-01-01T00:00:00Z","verdict":"DROPPED","drop_reason_desc":"POLICY_DENIED","IP":{"source":"10.0.0.1","destination":"10.0.0.2"},
            "l4":{"TCP":{"source_port":1,"destination_port":80}},"source":{"namespace":"a","pod_name":"x","workloads":[{"name":"web","kind":"Deployment"}]},
            "destination":{"labels":["reserved:world"]},"destination_names":["api.example."],"traffic_direction":"EGRESS","Summary":"TCP SYN"},"node_name":"c/n1"}"#,
        "src.ip=10.0.0.1
        src.ips=10.0.0.1
        src.pod=x
        src.workload=deployment/web
        src.namespace=a
        dst.ip=10.0.0.2
        dst.port=80
        dst.names=api.example
        net.protocol=tcp
        net.direction=egress
        net.verdict=dropped
        net.drop_reason=policy_denied
        k8s.namespace=a
        k8s.pod=x
        k8s.node=n1
        k8s.workload=deployment/web
        message=TCP SYN
        entity=pod:a/x
        entity=workload:a/deployment/web
        entity=node:n1
        entity=ip:10.0.0.1
        entity=ip:10.0.0.2",
    );
    let fields = [Field::DnsQuery, Field::DnsRcode, Field::HttpPath, Field::NetProtocol, Field::EventCount, Field::NetIsReply];
    let l7 = r#"{"l4":{"UDP":{}},"l7":{"dns":{"query":"a.b.","rcode":3}},"aggregate":{"ingress_flow_count":2,"egress_flow_count":"3"}}"#;
    assert_eq!(facts(Kind::Flow, l7, &fields), "a.b | 3 |  | udp | 5 | ");
    assert_eq!(facts(Kind::Flow, r#"{"l7":{"http":{"url":"http://h/p?q"}},"is_reply":false}"#, &fields), " |  | /p |  | 1 | false");
}

/// Whether two records are one event, and one act.
fn check_same(kind: Kind, a: &str, b: &str, expected: (bool, bool)) {
    let (first, second) = (event(a, kind), event(b, kind));
    assert_eq!((first.id == second.id, first.act == second.act), expected, "{a} {b}");
}

#[test]
fn identity_is_that_of_the_header() {
    let audit = |stage: &str, code: &str, time: &str, body: &str| {
        format!(
            r#"{{"auditID":"a","stage":"{stage}","requestReceivedTimestamp":"{time}","verb":"get","responseStatus":{{"code":{code}}},"requestObject":{body}}}"#
        )
    };
    let base = audit("ResponseComplete", "403", "2026-01-01T00:00:00.100000Z", "{}");
    check_same(Kind::K8sAudit, &base, &audit("ResponseComplete", "\"403\"", "2026-01-01T03:00:00.1+03:00", "{\"a\":1}"), (true, true));
    check_same(Kind::K8sAudit, &base, &audit("ResponseStarted", "403", "2026-01-01T00:00:00.1Z", "{}"), (false, true));
    check_same(Kind::K8sAudit, &base, &audit("ResponseComplete", "403", "2026-01-01T00:00:00.2Z", "{}"), (false, false));
    let falco = |time: &str, rest: &str| format!(r#"{{"rule":"R","time":"{time}",{rest}}}"#);
    let first = falco("2026-01-01T00:00:00.120Z", r#""uuid":"1","output_fields":{"a.b":1,"c":"d"}"#);
    check_same(Kind::Falco, &first, &falco("2026-01-01T00:00:00.12Z", r#""output_fields":{"c":"d","a":{"b":1}},"uuid":"2""#), (true, true));
    check_same(Kind::Falco, &first, &falco("2026-01-01T00:00:00.12Z", r#""output_fields":{"c":"e","a.b":1}"#), (false, false));
    let flow = |uuid: &str, time: &str, kind: u8| {
        format!(
            r#"{{"uuid":"{uuid}","time":"{time}","verdict":"DROPPED","IP":{{"source":"1.1.1.1","destination":"2.2.2.2"}},"l4":{{"TCP":{{"source_port":1,"destination_port":2}}}},"event_type":{{"type":{kind}}}}}"#
        )
    };
    check_same(Kind::Flow, &flow("a", "2026-01-01T00:00:00.0101Z", 1), &flow("b", "2026-01-01T00:00:00.0102Z", 5), (false, true));
    check_same(Kind::Flow, &flow("a", "2026-01-01T00:00:00Z", 1), &flow("a", "2026-01-01T00:00:00Z", 1), (true, true));
    let at = |position| normalize(record(r#"{"verb":"get"}"#, Kind::K8sAudit), &origin(), Position(position)).id;
    assert!(at(1) == at(1) && at(1) != at(2));
    // Of one envelope all stand at one place.
    check_same(Kind::Other, r#"{"text":"a"}"#, r#"{"text":"b"}"#, (false, false));
}

#[test]
fn a_kind_that_the_source_may_not_carry_is_flagged() {
    let normalizer = Normalizer::new(Settings { kinds: Kinds::only(Kind::Falco), ..Settings::default() });
    let event = normalizer.normalize(record(r#"{"verb":"get"}"#, Kind::K8sAudit), &origin(), Position(0));
    assert_eq!((event.kind, event.fact(Field::EventForgedKind), event.fact(Field::K8sVerb)), (Kind::Other, Some("true"), None));
}

/// Random JSON out of keys that mean something and values of any type.
fn any_json() -> impl Strategy<Value = String> {
    let keys = "verb|user|username|objectRef|resource|requestObject|spec|template|containers|securityContext|value|path|op|data|kind|subjects|name|\
                sourceIPs|requestURI|responseStatus|code|annotations|output_fields|k8s.pod.name|fd.name|time|flow|IP|source|l4|TCP|aggregate|stringData|token|items";
    let keys: Vec<String> = keys.split('|').map(str::to_owned).collect();
    let texts = [
        "pods",
        "secrets",
        "Secret",
        "create",
        "patch",
        "/spec/containers/0",
        "éé%",
        "?command=%",
        "2026-01-01T00:00:00Z",
        "",
        "4111 1111 1111 1111",
        "eyJaaaaaaaa.bbbbbbbbb.c",
    ];
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("{}".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        prop::sample::select(texts.to_vec()).prop_map(|text| format!("{text:?}"))
    ];
    leaf.prop_recursive(6, 60, 6, move |inner| {
        let member = (prop::sample::select(keys.clone()), inner.clone()).prop_map(|(key, value)| format!("{key:?}:{value}"));
        prop_oneof![
            prop::collection::vec(member, 1..6).prop_map(|members| format!("{{{}}}", members.join(","))),
            prop::collection::vec(inner, 0..4).prop_map(|elements| format!("[{}]", elements.join(",")))
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_read_the_same_twice(json in any_json()) {
        for kind in Kind::ALL {
            let mut redactor = Redactor::default();
            let mut parser = Parser::default();
            let once = redactor.redact(record(&json, kind), &mut parser);
            let text = once.doc.text().to_owned();
            let first = normalize(once, &origin(), Position(1));
            let again = redactor.redact(record(&text, kind), &mut parser);
            prop_assert_eq!(again.doc.text(), text.as_str());
            let second = normalize(again, &origin(), Position(1));
            prop_assert_eq!((first.id, first.act), (second.id, second.act));
            let (mut a, mut b) = (String::new(), String::new());
            first.write_json(&mut a);
            second.write_json(&mut b);
            prop_assert_eq!(a, b);
        }
    }
}

/// Real samples, where they are at hand: each line is redacted, read, and read again from the redacted text.
#[test]
fn shared_samples_are_read_the_same_twice() {
    let roots = ["/../shared/fixtures", "/../../shared/fixtures"].map(|tail| format!("{}{tail}", env!("CARGO_MANIFEST_DIR")));
    let Some(root) = roots.iter().find(|root| std::path::Path::new(root).is_dir()) else {
        println!("no shared samples here: nothing checked");
        return;
    };
    let folders = [
        ("k8s-audit/recorded/acts", Kind::K8sAudit),
        ("k8s-audit/falco-traces", Kind::K8sAudit),
        ("k8s-audit/falco-psp", Kind::K8sAudit),
        ("falco", Kind::Falco),
        ("hubble", Kind::Flow),
        ("shippers/hubble", Kind::Flow),
    ];
    let mut parser = Parser::new(Limits::default());
    let mut redactor = Redactor::default();
    for (folder, kind) in folders {
        let (mut lines, mut values, mut ids) = (0, 0, std::collections::BTreeSet::new());
        let mut files: Vec<_> = std::fs::read_dir(format!("{root}/{folder}")).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        files.sort();
        for text in files.iter().filter_map(|file| std::fs::read_to_string(file).ok()) {
            for line in text.lines().filter(|line| line.starts_with('{')) {
                let Ok(doc) = parser.parse(line.as_bytes(), (kind == Kind::Flow).then_some("flow")) else { continue };
                let redacted =
                    redactor.redact(Record { doc, kind, envelope: EnvelopeKind::Native, offset: 0, wrapped: Wrapped::default() }, &mut parser);
                let stored = redacted.doc.text().to_owned();
                let first = normalize(redacted, &origin(), Position(lines));
                let second = normalize(record(&stored, kind), &origin(), Position(lines));
                assert_eq!((first.id, first.act), (second.id, second.act), "{folder}");
                values += first.facts.iter(&first.doc).count();
                lines += 1;
                ids.insert(first.id);
            }
        }
        println!("{folder}: {lines} records, {} ids, {values} facts", ids.len());
    }
    println!("redacted: {:?}", redactor.counts());
}

#[test]
fn what_a_record_lacks_is_told() {
    let check = |envelope: EnvelopeKind, json: &str, expected: &str| {
        let event = normalize(Record { envelope, ..record(json, Kind::K8sAudit) }, &origin(), Position(7));
        assert_eq!(event.facts_of(Field::EventIncomplete).join(" "), expected, "{json}");
        assert_eq!(event.fact(Field::EventTimeAssumed).is_some(), expected.contains("time"), "{json}");
    };
    let whole = r#"{"apiVersion":"audit.k8s.io/v1","auditID":"a","stage":"Panic","stageTimestamp":"2026-01-01T00:00:00Z","verb":"get"}"#;
    check(EnvelopeKind::Native, whole, "");
    let old = r#"{"apiVersion":"audit.k8s.io/v1beta1","auditID":"a","stage":"Panic","timestamp":"2026-01-01T00:00:00Z"}"#;
    check(EnvelopeKind::Native, old, "");
    check(EnvelopeKind::EventList, r#"{"auditID":"a","stage":"Panic","requestReceivedTimestamp":"2026-01-01T00:00:00Z"}"#, "");
    check(EnvelopeKind::Native, r#"{"auditID":"a","verb":"get"}"#, "stage time apiVersion");
    check(
        EnvelopeKind::Native,
        r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","verb":"get","objectRef":{"resource":"pods"}}"#,
        "auditID stage time",
    );
}
