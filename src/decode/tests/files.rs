//! What clouds deliver, in files as a bucket or a queue has them: `tests/fixtures/envelopes`.

use super::clouds::said;
use super::*;

/// A file, and what comes of it: equal outcomes in a row are counted.
fn check(file: &str, expected: &[&str]) {
    let path = format!("{}/tests/fixtures/envelopes/{file}", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(&path).unwrap();
    let mut shown: Vec<(usize, String)> = Vec::new();
    for outcome in said(&whole(&bytes, DecodeLimits::default())) {
        let outcome = outcome.split(" at ").next().unwrap().to_owned() + if outcome.ends_with(" cut") { " cut" } else { "" };
        match shown.last_mut().filter(|(_, last)| *last == outcome) {
            Some((count, _)) => *count += 1,
            None => shown.push((1, outcome)),
        }
    }
    let shown: Vec<String> = shown.into_iter().map(|(count, outcome)| format!("{count} {outcome}")).collect();
    assert_eq!(shown, expected, "{file}");
    let in_pieces = pieces(&bytes, &[1000, 7, 64], DecodeLimits::default());
    assert_eq!(show(&in_pieces), show(&whole(&bytes, DecodeLimits::default())), "{file} in pieces");
}

#[test]
fn aws() {
    const EKS: &str = "2 k8s_audit/cloudwatch books aws 210987654321";
    const CUT: &str = "1 k8s_audit/cloudwatch books aws 210987654321 cut";
    check("aws/subscription.json", &[EKS, CUT]);
    check("aws/subscriptions-unparted.json", &[EKS, CUT, EKS, CUT, "1 !control"]);
    // What looks like an audit event in another stream is opened, so that it is redacted like one, and has nobody's word.
    check("aws/authenticator.json", &["1 other/cloudwatch books aws 210987654321 /", "1 k8s_audit/cloudwatch books aws 210987654321 /"]);
    check(
        "aws/insights.json",
        &[
            "1 falco/cloudwatch books aws 210987654321 falco/falco-x7k2p",
            "1 other/cloudwatch books aws 210987654321 books/till-0",
            "1 other/cloudwatch books aws 210987654321 /",
        ],
    );
    check("aws/look-alike-group.json", &["1 k8s_audit/cloudwatch aws 210987654321 /"]);
    check("aws/firehose-request.json", &[EKS, CUT, "2 other/carrier", "1 !control"]);
    check("aws/firehose-transform.json", &["2 k8s_audit/carrier"]);
    check("aws/kinesis.json", &[EKS, CUT]);
    check("aws/queue.json", &["1 k8s_audit/carrier", "1 other/carrier"]);
    check("aws/topics.json", &["1 k8s_audit/carrier"]);
    check("aws/cloudtrail.json", &["1 other/carrier"]);
    check("aws/export.txt", &["2 k8s_audit/carrier", "1 !not_json"]);
    check("aws/empty.json", &["2 !control"]);
}

#[test]
fn azure() {
    const AKS: &str = "k8s_audit/azure_diagnostics books azure 0ab1c2d3-0000-4000-8000-00000000b00c";
    check("azure/event-hub.json", &[&format!("3 {AKS}"), &format!("1 {AKS}").replace("k8s_audit", "other")]);
    check("azure/blob-lines.json", &[&format!("1 {AKS}"), &format!("1 {AKS} cut")]);
    check("azure/vault.json", &["1 other/azure_diagnostics azure 0ab1c2d3-0000-4000-8000-00000000b00c"]);
    check("azure/empty.json", &["1 !control"]);
}

#[test]
fn google() {
    const CALL: &str = "1 k8s_audit/gcp_logging books gcp books-prod";
    const PRINTED: &str = "1 other/gcp_logging books gcp books-prod books/till-0";
    check(
        "gcp/entries.ndjson",
        &[
            CALL,
            "1 cloud_audit/gcp_logging books gcp books-prod",
            "1 falco/gcp_logging books gcp books-prod falco/falco-x7k2p",
            "1 flow/gcp_logging books gcp books-prod kube-system/hubble-relay-1",
            &PRINTED.replace('1', "2"),
        ],
    );
    check("gcp/read.json", &[CALL, PRINTED]);
    check("gcp/renamed.json", &[CALL]);
    check("gcp/push.json", &[CALL]);
    check("gcp/push-unknown.json", &["1 other/gcp_logging"]);
    check("gcp/pull.json", &[CALL, PRINTED]);
    check("gcp/pull-lines.json", &[CALL, "1 cloud_audit/gcp_logging books gcp books-prod"]);
    check("gcp/empty.json", &["1 !control"]);
}

#[test]
fn yandex() {
    const MASTER: &str = "k8s_audit/yandex_logging catbooks0001 yandex";
    const TRAIL: &str = "k8s_audit/yandex_audit_trails catbooks0001 yandex b1gbooks";
    check("yandex/trigger.json", &[&format!("2 {MASTER}"), "1 other/yandex_logging catbooks0001 yandex"]);
    check("yandex/trigger-queue.json", &["1 k8s_audit/yandex_logging", "1 other/yandex_logging", "1 k8s_audit/yandex_logging"]);
    check("yandex/export.ndjson", &[&format!("2 {MASTER}"), "1 other/yandex_logging yandex", "1 k8s_audit/native"]);
    check("yandex/read.json", &[&format!("2 {MASTER}")]);
    check("yandex/stream.json", &["1 k8s_audit/carrier", &format!("1 {MASTER}")]);
    check("yandex/trail.json", &[&format!("2 {TRAIL}"), &format!("1 {TRAIL}").replace("k8s_audit", "other")]);
    check("yandex/trail-in-log.json", &[&format!("1 {TRAIL}").replace("audit_trails", "logging")]);
    check("yandex/empty.json", &["1 !control"]);
}
