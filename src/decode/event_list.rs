//! A Kubernetes list: `{"kind":"EventList","items":[..]}`, the body of the audit webhook. Its items are read one by one, so a list is never held
//! whole. What has `items` that are no objects is a record like any other.

use super::sniff::{Shape, Want, sign};
use crate::model::{EnvelopeKind, Kind};

pub(super) const SHAPES: &[Shape] =
    &[Shape { all: &[sign("items", Want::Objects)], any: &[], kind: Kind::Other, envelope: EnvelopeKind::EventList, lift: None }];
