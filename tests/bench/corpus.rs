//! What realistic events look like, made from a seed: the mix, sizes and order of a healthy cluster, with bodies where an audit
//! policy logs them. Two runs with one seed see the same bytes.

use std::fmt::Write as _;

/// A small generator of pseudo-random numbers (SplitMix64): fast, and the same everywhere.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// From a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// Small numbers are more frequent: the skew of names in a cluster.
    fn skewed(&mut self, bound: u64) -> u64 {
        let unit = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        ((unit * unit * unit) * bound as f64) as u64
    }

    fn uuid(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        format!("{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}", a >> 32, (a >> 16) & 0xffff, a & 0xfff, b >> 52, b & 0xffff_ffff_ffff)
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len() as u64) as usize]
    }
}

const NAMESPACES: &[&str] =
    &["prod-shop", "staging-shop", "payments", "monitoring", "kube-system", "argocd", "ingress", "ci", "cert-manager", "default"];
const READS: &[(&str, &str)] = &[
    ("", "pods"),
    ("", "secrets"),
    ("", "configmaps"),
    ("", "services"),
    ("", "nodes"),
    ("apps", "deployments"),
    ("discovery.k8s.io", "endpointslices"),
    ("", "events"),
    ("rbac.authorization.k8s.io", "clusterroles"),
];
const PEOPLE: &[&str] = &["alice@corp.example", "bob@corp.example", "carol@corp.example", "dave@corp.example"];
const DISCOVERY: &[&str] =
    &["/api", "/apis", "/apis/apps/v1", "/apis/batch/v1", "/apis/rbac.authorization.k8s.io/v1", "/openapi/v3", "/apis/networking.k8s.io/v1"];

/// 2026-01-01T00:00:00Z, in seconds.
const START_SECONDS: u64 = 1_767_225_600;

fn time(micros: u64) -> String {
    let seconds = START_SECONDS + micros / 1_000_000;
    let day = (seconds - START_SECONDS) / 86_400 % 28 + 1;
    let rest = seconds % 86_400;
    format!("2026-01-{day:02}T{:02}:{:02}:{:02}.{:06}Z", rest / 3600, rest / 60 % 60, rest % 60, micros % 1_000_000)
}

struct Caller {
    name: String,
    groups: &'static str,
    ip: String,
    agent: &'static str,
}

fn caller(random: &mut Random) -> Caller {
    match random.below(100) {
        0..=41 => Caller {
            name: random.pick(PEOPLE).to_owned(),
            groups: "\"developers\",\"system:authenticated\"",
            ip: format!("10.20.0.{}", random.below(40) + 10),
            agent: "kubectl/v1.36.2 (linux/amd64) kubernetes/3c1b2a9",
        },
        42..=70 => {
            let namespace = random.pick(NAMESPACES);
            Caller {
                name: format!("system:serviceaccount:{namespace}:app-{}", random.skewed(40)),
                groups: "\"system:serviceaccounts\",\"system:authenticated\"",
                ip: format!("10.244.{}.{}", random.below(4), random.below(200) + 10),
                agent: "controller/v2.4.1 (linux/amd64) client-go",
            }
        }
        71..=85 => Caller {
            name: format!("system:node:worker-{}", random.below(8)),
            groups: "\"system:nodes\",\"system:authenticated\"",
            ip: format!("10.240.0.{}", random.below(8) + 21),
            agent: "kubelet/v1.36.2 (linux/amd64) kubernetes/3c1b2a9",
        },
        _ => Caller {
            name: random.pick(&["system:kube-scheduler", "system:kube-controller-manager", "system:apiserver"]).to_owned(),
            groups: "\"system:authenticated\"",
            ip: "10.240.0.10".to_owned(),
            agent: "kube-controller-manager/v1.36.2 (linux/amd64) kubernetes/3c1b2a9/leader-election",
        },
    }
}

fn pod_body(random: &mut Random, namespace: &str, name: &str, to: &mut String) {
    let _ = write!(
        to,
        r#"{{"kind":"Pod","apiVersion":"v1","metadata":{{"name":"{name}","namespace":"{namespace}","uid":"{}","resourceVersion":"{}","labels":{{"app.kubernetes.io/name":"web","pod-template-hash":"{:08x}","team":"shop"}},"annotations":{{"checksum/config":"{:016x}"}},"managedFields":[{{"manager":"kube-controller-manager","operation":"Update","apiVersion":"v1","time":"2026-01-01T00:00:00Z","fieldsType":"FieldsV1","fieldsV1":{{"f:metadata":{{"f:labels":{{".":{{}},"f:team":{{}}}}}},"f:spec":{{"f:containers":{{}}}}}}}}]}},"spec":{{"serviceAccountName":"app-{}","nodeName":"worker-{}","containers":["#,
        random.uuid(),
        random.below(9_000_000),
        random.next() as u32,
        random.next(),
        random.skewed(40),
        random.below(8)
    );
    for at in 0..=random.below(2) {
        let _ = write!(
            to,
            r#"{}{{"name":"c{at}","image":"registry.corp.example/shop/web:{}.{}","command":["/bin/web","--listen=:8080"],"env":[{{"name":"LOG","value":"info"}},{{"name":"POD","valueFrom":{{"fieldRef":{{"fieldPath":"metadata.name"}}}}}}],"resources":{{"requests":{{"cpu":"100m","memory":"128Mi"}},"limits":{{"memory":"256Mi"}}}},"securityContext":{{"privileged":false,"runAsNonRoot":true,"capabilities":{{"drop":["ALL"]}}}},"volumeMounts":[{{"name":"token","mountPath":"/var/run/secrets/kubernetes.io/serviceaccount","readOnly":true}}]}}"#,
            if at > 0 { "," } else { "" },
            random.below(9),
            random.below(30)
        );
    }
    to.push_str(r#"],"volumes":[{"name":"token","projected":{"sources":[{"serviceAccountToken":{"expirationSeconds":3607,"path":"token"}}]}}],"restartPolicy":"Always","tolerations":[{"key":"node.kubernetes.io/not-ready","operator":"Exists","effect":"NoExecute","tolerationSeconds":300}]}}"#);
}

/// One audit event as a line, without the line end.
pub(crate) fn audit(random: &mut Random, at: u64, to: &mut String) {
    let who = caller(random);
    let micros = at * 14_700 + random.below(14_000);
    let namespace = random.pick(NAMESPACES);
    let name = format!("web-{:x}-{:05x}", random.skewed(2_000), random.skewed(9_000));
    let (verb, uri, object, code, body) = match random.below(100) {
        0..=44 => ("get", random.pick(DISCOVERY).to_owned(), String::new(), 200, false),
        45..=74 => {
            let (group, resource) = READS[random.below(READS.len() as u64) as usize];
            let verb = random.pick(&["get", "get", "list", "watch"]);
            let path = if group.is_empty() { "/api/v1".to_owned() } else { format!("/apis/{group}/v1") };
            let object = format!(r#","objectRef":{{"resource":"{resource}","namespace":"{namespace}","name":"{name}","apiGroup":"{group}","apiVersion":"v1"}}"#);
            let code = if random.below(40) == 0 { 403 } else { 200 };
            (verb, format!("{path}/namespaces/{namespace}/{resource}/{name}?timeout=32s"), object, code, false)
        }
        75..=84 => (
            "update",
            format!("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/worker-{}", random.below(8)),
            r#","objectRef":{"resource":"leases","namespace":"kube-node-lease","name":"worker-1","apiGroup":"coordination.k8s.io","apiVersion":"v1"}"#.to_owned(),
            200,
            false,
        ),
        _ => {
            let verb = random.pick(&["create", "patch", "update"]);
            let object = format!(r#","objectRef":{{"resource":"pods","namespace":"{namespace}","name":"{name}","apiVersion":"v1"}}"#);
            (verb, format!("/api/v1/namespaces/{namespace}/pods/{name}"), object, if verb == "create" { 201 } else { 200 }, true)
        }
    };
    let _ = write!(
        to,
        r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"{}","auditID":"{}","stage":"ResponseComplete","requestURI":"{uri}","verb":"{verb}","user":{{"username":"{}","groups":[{}],"extra":{{"authentication.kubernetes.io/credential-id":["JTI={}"]}}}},"sourceIPs":["{}"],"userAgent":"{}"{object},"responseStatus":{{"metadata":{{}},"code":{code}}}"#,
        if body { "RequestResponse" } else { "Metadata" },
        random.uuid(),
        who.name,
        who.groups,
        random.uuid(),
        who.ip,
        who.agent
    );
    if body {
        to.push_str(",\"requestObject\":");
        pod_body(random, namespace, &name, to);
        if random.below(2) == 0 {
            to.push_str(",\"responseObject\":");
            pod_body(random, namespace, &name, to);
        }
    }
    let decision = if code == 403 { "forbid" } else { "allow" };
    let _ = write!(
        to,
        r#","requestReceivedTimestamp":"{}","stageTimestamp":"{}","annotations":{{"authorization.k8s.io/decision":"{decision}","authorization.k8s.io/reason":"RBAC: allowed by ClusterRoleBinding \"app\" of ClusterRole \"app\""}}}}"#,
        time(micros),
        time(micros + random.below(30_000))
    );
}

/// One Hubble flow as a line, without the line end.
pub(crate) fn flow(random: &mut Random, at: u64, to: &mut String) {
    let micros = at * 900 + random.below(900);
    let (from, into) = (random.skewed(300), random.skewed(300));
    let verdict = if random.below(50) == 0 { "DROPPED" } else { "FORWARDED" };
    let stamp = time(micros);
    let _ = write!(
        to,
        r#"{{"flow":{{"time":"{stamp}","uuid":"{}","verdict":"{verdict}","ethernet":{{"source":"62:6b:d0:a4:c5:63","destination":"6e:d0:ea:78:fc:0a"}},"IP":{{"source":"10.244.{}.{}","destination":"10.244.{}.{}","ipVersion":"IPv4"}},"l4":{{"TCP":{{"source_port":{},"destination_port":{},"flags":{{"SYN":true}}}}}},"source":{{"ID":{from},"identity":{},"cluster_name":"corp","namespace":"{}","labels":["k8s:app=app-{from}","k8s:io.cilium.k8s.policy.cluster=corp","k8s:io.kubernetes.pod.namespace=shop"],"pod_name":"app-{from}-{:05x}","workloads":[{{"name":"app-{from}","kind":"Deployment"}}]}},"destination":{{"ID":{into},"identity":{},"cluster_name":"corp","namespace":"{}","labels":["k8s:app=app-{into}","k8s:io.cilium.k8s.policy.cluster=corp"],"pod_name":"app-{into}-{:05x}","workloads":[{{"name":"app-{into}","kind":"Deployment"}}]}},"Type":"L3_L4","node_name":"corp/worker-{}","event_type":{{"type":4,"sub_type":3}},"traffic_direction":"EGRESS","trace_observation_point":"TO_ENDPOINT","is_reply":{},"Summary":"TCP Flags: SYN"}},"node_name":"corp/worker-1","time":"{stamp}"}}"#,
        random.uuid(),
        from % 4,
        from % 200 + 10,
        into % 4,
        into % 200 + 10,
        32_768 + random.below(28_000),
        random.pick(&["80", "443", "8080", "5432", "53"]),
        20_000 + from,
        random.pick(NAMESPACES),
        from * 7919,
        20_000 + into,
        random.pick(NAMESPACES),
        into * 7919,
        random.below(8),
        random.below(2) == 0
    );
}

/// One Falco alert as a line, without the line end.
pub(crate) fn falco(random: &mut Random, at: u64, to: &mut String) {
    let stamp = time(at * 30_000_000);
    let pod = random.skewed(300);
    let _ = write!(
        to,
        r#"{{"hostname":"worker-{}","output":"Notice A file below /etc opened (user=root k8s_ns=prod-shop k8s_pod_name=app-{pod})","output_fields":{{"container.id":"{:012x}","container.image.repository":"registry.corp.example/shop/web","evt.time":{},"fd.name":"/etc/hosts","k8s.ns.name":"prod-shop","k8s.pod.name":"app-{pod}","proc.cmdline":"cat /etc/hosts","proc.name":"cat","proc.pname":"sh","user.loginuid":-1,"user.name":"root"}},"priority":"Notice","rule":"Read hosts file","source":"syscall","tags":["container"],"time":"{stamp}"}}"#,
        random.below(8),
        random.next() & 0xffff_ffff_ffff,
        // Nanoseconds since 1970, as Falco writes them: 19 digits, of no card issuer's range.
        1_767_225_600_000_000_000 + at * 60_000_000_000 + random.below(1_000_000_000)
    );
}

/// So many events as NDJSON: audit events, or flows, of which one in two thousand is a Falco alert; or Falco alerts alone.
pub(crate) fn lines(kind: &str, events: u64, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut out = String::with_capacity(events as usize * 1_400);
    for at in 0..events {
        match (kind, random.below(2_000)) {
            ("falco", _) => falco(&mut random, at, &mut out),
            (_, 0) => falco(&mut random, at / 2_000, &mut out),
            ("flow", _) => flow(&mut random, at, &mut out),
            _ => audit(&mut random, at, &mut out),
        }
        out.push('\n');
    }
    out.into_bytes()
}
