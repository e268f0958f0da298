//! osquery's result log: one change (`columns`), a whole result (`snapshot`), or the changes of one run (`diffResults`). Rows with a
//! `target_path` are those of file integrity monitoring; the name of the query is the user's and tells nothing.

use super::sniff::{Shape, Sign, Want, sign};
use crate::model::{EnvelopeKind, Kind};

const ROWS: Shape = Shape { all: &[], any: &[], kind: Kind::Other, envelope: EnvelopeKind::Native, lift: None };
const FILES: &[Sign] = &[
    sign("columns", Want::Says("\"target_path\"")),
    sign("snapshot", Want::Says("\"target_path\"")),
    sign("diffResults", Want::Says("\"target_path\"")),
];
const ANY: &[Sign] = &[sign("columns", Want::Object), sign("snapshot", Want::List), sign("diffResults", Want::Object)];

pub(super) const SHAPES: &[Shape] = &[
    Shape { all: &[sign("name", Want::Text(""))], any: FILES, kind: Kind::Fim, ..ROWS },
    Shape { all: &[sign("name", Want::Text(""))], any: ANY, ..ROWS },
];
