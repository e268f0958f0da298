//! A Kubernetes list: `{"kind":"EventList","items":[..]}`, the body of the audit webhook. Its items are read one by one, so a list is never held
//! whole. What has `items` that are no objects is a record like any other, unless it says before them that it is a list of audit events: then what is no
//! object among them costs itself and no event beside it.

use super::sniff::{Shape, Want, sign};
use crate::model::{EnvelopeKind, Kind};

const LIST: Shape = Shape { all: &[], any: &[], kind: Kind::Other, envelope: EnvelopeKind::EventList, lift: None };

pub(super) const SHAPES: &[Shape] = &[
    Shape { all: &[sign("items", Want::Objects)], ..LIST },
    Shape { all: &[sign("kind", Want::Text("EventList\"")), sign("items", Want::List)], ..LIST },
];
