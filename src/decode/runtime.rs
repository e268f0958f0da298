//! Runtime sensors besides Falco: Tetragon (one member, named for what happened) and KubeArmor (alerts of its policies, and its logs).

use super::sniff::{Shape, Want, sign};
use crate::model::{EnvelopeKind, Kind};

const RUNTIME: Shape = Shape { all: &[], any: &[], kind: Kind::Other, envelope: EnvelopeKind::Native, lift: None };

pub(super) const SHAPES: &[Shape] = &[
    Shape { all: &[sign("process_*", Want::Object)], ..RUNTIME },
    Shape { all: &[sign("PolicyName", Want::Text("")), sign("Operation", Want::Text(""))], kind: Kind::Policy, ..RUNTIME },
    Shape { all: &[sign("Type", Want::Text("ContainerLog\"")), sign("Operation", Want::Text(""))], ..RUNTIME },
    Shape { all: &[sign("Type", Want::Text("HostLog\"")), sign("Operation", Want::Text(""))], ..RUNTIME },
];
