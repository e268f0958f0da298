//! Hubble: `GetFlowsResponse` and `ExportEvent` around a flow, and what older versions and loggers leave of them. A field mask can take
//! everything away but the member itself.

use super::sniff::{Shape, Sign, Want, sign};
use crate::model::{EnvelopeKind, Kind};

const WRAPPED: Shape = Shape { all: &[], any: &[], kind: Kind::Other, envelope: EnvelopeKind::Hubble, lift: None };
const ENDS: &[Sign] = &[sign("IP", Want::Object), sign("l4", Want::Object), sign("source", Want::Object)];

pub(super) const SHAPES: &[Shape] = &[
    Shape { all: &[sign("flow", Want::Object)], kind: Kind::Flow, lift: Some("flow"), ..WRAPPED },
    Shape { all: &[sign("lost_events", Want::Object)], kind: Kind::SourceHealth, ..WRAPPED },
    Shape { all: &[sign("node_status", Want::Object)], kind: Kind::SourceHealth, ..WRAPPED },
    Shape { all: &[sign("agent_event", Want::Object)], ..WRAPPED },
    Shape { all: &[sign("debug_event", Want::Object)], ..WRAPPED },
    Shape { all: &[sign("verdict", Want::Text(""))], any: ENDS, kind: Kind::Flow, envelope: EnvelopeKind::Native, lift: None },
    Shape { all: &[sign("num_events_lost", Want::Any), sign("source", Want::Text(""))], kind: Kind::SourceHealth, ..WRAPPED },
];
