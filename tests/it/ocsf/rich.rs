//! Records that say much, one of each class and more.

use bartizan::model::Kind;

/// Rich records, one of each class.
pub(super) const RICH: &[(Kind, &str)] = &[
    (
        Kind::K8sAudit,
        r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"a","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/prod/secrets/db","verb":"delete","user":{"username":"alice","uid":"u1","groups":["ops"],"extra":{"authentication.kubernetes.io/credential-id":["JTI=1"]}},"impersonatedUser":{"username":"bob"},"sourceIPs":["203.0.113.9","10.0.0.1"],"userAgent":"kubectl","objectRef":{"resource":"secrets","namespace":"prod","name":"db","apiVersion":"v1"},"responseStatus":{"code":403,"message":"no","reason":"Forbidden"},"requestReceivedTimestamp":"2026-01-01T00:00:00Z","stageTimestamp":"2026-01-01T00:00:00.5Z"}"#,
    ),
    (
        Kind::CloudAudit,
        r#"{"insertId":"i","timestamp":"2026-01-01T00:00:00Z","protoPayload":{"methodName":"google.iam.admin.v1.CreateServiceAccountKey","serviceName":"iam.googleapis.com","resourceName":"projects/p/serviceAccounts/s","authenticationInfo":{"principalEmail":"a@example.com"},"requestMetadata":{"callerIp":"203.0.113.9","callerSuppliedUserAgent":"x"},"status":{"code":7,"message":"no"}},"resource":{"labels":{"project_id":"p"}}}"#,
    ),
    (
        Kind::Falco,
        r#"{"hostname":"n1","output":"A shell","priority":"Critical","rule":"Terminal shell","source":"syscall","tags":["T1059.004","mitre_execution","shell"],"time":"2026-01-01T00:00:00.000000001Z","uuid":"u","output_fields":{"proc.name":"sh","proc.pid":7,"proc.cmdline":"sh -i","proc.exepath":"/bin/sh","proc.pname":"runc","proc.tty":1,"user.name":"root","container.id":"0123456789ab","container.name":"web","container.image.repository":"r.example/web@sha256:aa","k8s.ns.name":"prod","k8s.pod.name":"web-0","fd.name":"10.0.0.1:4000->203.0.113.9:443","fd.l4proto":"tcp"}}"#,
    ),
    (
        Kind::Flow,
        r#"{"time":"2026-01-01T00:00:00Z","verdict":"DROPPED","drop_reason_desc":"POLICY_DENIED","IP":{"source":"fd00::1","destination":"203.0.113.9"},"l4":{"TCP":{"source_port":4000,"destination_port":443,"flags":{"SYN":true}}},"source":{"namespace":"prod","pod_name":"web-0"},"destination":{},"destination_names":["x.example."],"traffic_direction":"EGRESS","is_reply":false,"egress_denied_by":[{"name":"deny"}]}"#,
    ),
    (
        Kind::Flow,
        r#"{"time":"2026-01-01T00:00:00Z","verdict":"FORWARDED","IP":{"source":"10.0.0.1","destination":"10.0.0.2"},"l4":{"UDP":{"source_port":4000,"destination_port":53}},"l7":{"type":"RESPONSE","dns":{"query":"x.example.","ips":["10.0.0.9","fd00::9"],"cnames":["y.example."],"qtypes":["A"],"rcode":77}}}"#,
    ),
    (
        Kind::Flow,
        r#"{"time":"2026-01-01T00:00:00Z","verdict":"REDIRECTED","IP":{"source":"10.0.0.1","destination":"10.0.0.2"},"l7":{"type":"REQUEST","http":{"method":"BREW","url":"http://x/pot?a=b","protocol":"HTTP/1.1","code":418}}}"#,
    ),
    (
        Kind::Finding,
        r#"{"timestamp":"2026-01-01T00:00:00Z","VulnerabilityID":"CVE-2021-44228","Severity":"CRITICAL","resource":{"kind":"Pod","name":"web-0","namespace":"prod"},"message":"log4j"}"#,
    ),
    (
        Kind::Policy,
        r#"{"timestamp":"2026-01-01T00:00:00Z","policy":"p","rule":"r","status":"skip","severity":"6","resource":{"kind":"Deployment","name":"web","namespace":"prod"},"message":"m"}"#,
    ),
];
