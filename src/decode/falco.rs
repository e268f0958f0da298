//! Falco's JSON output, and the capitalised `Rule` that some response engines send. Falco's own metrics have no priority; they and the events that it
//! had to drop are what it says of itself.

use super::sniff::{Shape, Sign, Want, sign};
use crate::model::{EnvelopeKind, Kind};

const FALCO: Shape = Shape { all: &[], any: &[], kind: Kind::Falco, envelope: EnvelopeKind::Native, lift: None };
const OUTPUT: &[Sign] = &[sign("output", Want::Text("")), sign("output_fields", Want::Object)];

const INTERNAL: Sign = sign("rule", Want::Text("Falco internal"));

pub(super) const SHAPES: &[Shape] = &[
    Shape { all: &[INTERNAL, sign("priority", Want::Any)], any: OUTPUT, kind: Kind::SourceHealth, ..FALCO },
    Shape { all: &[INTERNAL, sign("output_fields", Want::Object)], kind: Kind::SourceHealth, ..FALCO },
    Shape { all: &[sign("rule", Want::Text("")), sign("priority", Want::Any)], any: OUTPUT, ..FALCO },
    Shape { all: &[sign("Rule", Want::Text("")), sign("priority", Want::Any)], any: OUTPUT, ..FALCO },
    Shape { all: &[sign("rule", Want::Text("")), sign("output_fields", Want::Object)], ..FALCO },
];
