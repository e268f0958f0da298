//! Kubernetes Events, `v1` and `events.k8s.io`, also as exporters write them: with members left out or put in.

use super::sniff::{Shape, Sign, Want, sign};
use crate::model::{EnvelopeKind, Kind};

const EVENT: Shape = Shape { all: &[], any: &[], kind: Kind::K8sEvent, envelope: EnvelopeKind::Native, lift: None };
const TOLD: &[Sign] = &[sign("reason", Want::Text("")), sign("note", Want::Text("")), sign("apiVersion", Want::Text("events.k8s.io"))];

pub(super) const SHAPES: &[Shape] =
    &[Shape { all: &[sign("involvedObject", Want::Object)], ..EVENT }, Shape { all: &[sign("regarding", Want::Object)], any: TOLD, ..EVENT }];
