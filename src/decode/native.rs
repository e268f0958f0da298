//! `audit.k8s.io/*` events as the API server writes them. Items of its webhook's list, and old versions, lack `kind` and `apiVersion`.

use super::sniff::{Shape, Want, sign};
use crate::model::{EnvelopeKind, Kind};

const AUDIT: Shape = Shape { all: &[], any: &[], kind: Kind::K8sAudit, envelope: EnvelopeKind::Native, lift: None };

pub(super) const SHAPES: &[Shape] = &[
    Shape { all: &[sign("apiVersion", Want::Text("audit.k8s.io")), sign("kind", Want::Text("Event\""))], ..AUDIT },
    Shape { all: &[sign("auditID", Want::Any)], any: &[sign("verb", Want::Any), sign("stage", Want::Any)], ..AUDIT },
    Shape { all: &[sign("apiVersion", Want::Text("audit.k8s.io"))], any: &[sign("verb", Want::Any), sign("stage", Want::Any)], ..AUDIT },
];
