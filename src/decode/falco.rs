//! Falco's JSON output, and the capitalised `Rule` that some response engines send. Falco's own metrics have no priority.

use super::sniff::{Shape, Sign, Want, sign};
use crate::model::{EnvelopeKind, Kind};

const FALCO: Shape = Shape { all: &[], any: &[], kind: Kind::Falco, envelope: EnvelopeKind::Native, lift: None };
const OUTPUT: &[Sign] = &[sign("output", Want::Text("")), sign("output_fields", Want::Object)];

pub(super) const SHAPES: &[Shape] = &[
    Shape { all: &[sign("rule", Want::Text("")), sign("priority", Want::Any)], any: OUTPUT, ..FALCO },
    Shape { all: &[sign("Rule", Want::Text("")), sign("priority", Want::Any)], any: OUTPUT, ..FALCO },
    Shape { all: &[sign("rule", Want::Text("")), sign("output_fields", Want::Object)], ..FALCO },
];
