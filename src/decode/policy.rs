//! Policy engines: Policy Reporter's single results in both key cases, report objects, and the logs of Gatekeeper and Kyverno.

use super::open::Opening;
use super::sniff::{Shape, Sign, Want, Wrapper, sign};
use crate::model::{EnvelopeKind, Kind};

const POLICY: Shape = Shape { all: &[], any: &[], kind: Kind::Policy, envelope: EnvelopeKind::Native, lift: None };
const REPORTS: &[Sign] = &[sign("kind", Want::Text("PolicyReport\"")), sign("kind", Want::Text("ClusterPolicyReport\""))];
const OPEN_REPORTS: &[Sign] = &[sign("kind", Want::Text("Report\"")), sign("kind", Want::Text("ClusterReport\""))];
const KYVERNO: &[Sign] = &[sign("policy.name", Want::Text("")), sign("policy", Want::Text("")), sign("rule.name", Want::Text(""))];

pub(super) const SHAPES: &[Shape] = &[
    Shape { all: &[sign("policy", Want::Text("")), sign("status", Want::Text("")), sign("resource", Want::Object)], ..POLICY },
    Shape { all: &[sign("Policy", Want::Text("")), sign("Status", Want::Text("")), sign("Resource", Want::Object)], ..POLICY },
    Shape { all: &[sign("apiVersion", Want::Text("wgpolicyk8s.io"))], any: REPORTS, ..POLICY },
    Shape { all: &[sign("apiVersion", Want::Text("openreports.io"))], any: OPEN_REPORTS, ..POLICY },
    Shape { all: &[sign("event_type", Want::Text("violation")), sign("constraint_name", Want::Text(""))], ..POLICY },
    Shape { all: &[sign("eventType", Want::Text("violation")), sign("resourceKind", Want::Text(""))], ..POLICY },
    Shape { all: &[sign("logger", Want::Text("webhooks."))], any: KYVERNO, ..POLICY },
    Shape { all: &[sign("logger", Want::Text("engine."))], any: KYVERNO, ..POLICY },
    Shape { all: &[sign("logger", Want::Text("Engine"))], any: KYVERNO, ..POLICY },
];

pub(super) const ENVELOPES: &[Wrapper] = &[Wrapper {
    all: &[sign("event", Want::Text("heartbeat\"")), sign("time", Want::Text(""))],
    any: &[],
    kind: EnvelopeKind::Carrier,
    is_record: false,
    open: heartbeat,
}];

/// Policy Reporter's sign of life, with whatever parameters it was given beside.
fn heartbeat(_: &[u8], opening: &mut Opening<'_>) {
    opening.control();
}
