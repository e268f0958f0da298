//! Trivy: the reports of its operator (and of Starboard before it), alone, in a webhook's body or listed by kind; and the command's own JSON.

use super::members::{each_member, elements};
use super::open::Opening;
use super::sniff::{Shape, Sign, Want, Wrapper, sign};
use crate::model::{EnvelopeKind, Kind};

const GROUP: &str = "aquasecurity.github.io";
const FINDING: Shape = Shape { all: &[], any: &[], kind: Kind::Finding, envelope: EnvelopeKind::Native, lift: None };
const BODIES: &[Sign] = &[sign("report", Want::Object), sign("status", Want::Object), sign("spec", Want::Object)];
const SCAN: &[Sign] = &[sign("Results", Want::List), sign("ArtifactName", Want::Text("")), sign("Metadata", Want::Object)];
const OF_CLUSTER: &[Sign] = &[sign("Vulnerabilities", Want::List), sign("Misconfigurations", Want::List), sign("Resources", Want::List)];

pub(super) const SHAPES: &[Shape] = &[
    Shape { all: &[sign("apiVersion", Want::Text(GROUP)), sign("metadata", Want::Object)], any: BODIES, ..FINDING },
    Shape { all: &[sign("operatorObject", Want::Object)], ..FINDING },
    Shape { all: &[sign("SchemaVersion", Want::Any)], any: SCAN, ..FINDING },
    Shape { all: &[sign("ClusterName", Want::Text(""))], any: OF_CLUSTER, ..FINDING },
];

pub(super) const ENVELOPES: &[Wrapper] = &[Wrapper {
    all: &[],
    any: &[sign("vulnerabilityreports.aquasecurity.github.io", Want::List), sign("configauditreports.aquasecurity.github.io", Want::List)],
    kind: EnvelopeKind::Carrier,
    is_record: false,
    open: by_kind,
}];

/// Reports in lists, by the plural name of their kind.
fn by_kind(object: &[u8], opening: &mut Opening<'_>) {
    each_member(object, |key, list| {
        if key.ends_with(GROUP.as_bytes()) {
            for report in elements(list) {
                opening.item(report, |opening| opening.value(report));
            }
        }
        true
    });
}
