//! kube-bench: one object with all `Controls`, or one a group of controls.

use super::sniff::{Shape, Want, sign};
use crate::model::{EnvelopeKind, Kind};

const FINDING: Shape = Shape { all: &[], any: &[], kind: Kind::Finding, envelope: EnvelopeKind::Native, lift: None };

pub(super) const SHAPES: &[Shape] = &[
    Shape { all: &[sign("Controls", Want::List)], ..FINDING },
    Shape { all: &[sign("node_type", Want::Text("")), sign("tests", Want::List)], ..FINDING },
];
