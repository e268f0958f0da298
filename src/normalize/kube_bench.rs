//! kube-bench: the checks of a node against the CIS benchmark, all in one record. It says neither when nor on which node. Facts are
//! those of the checks that did not pass, if there are any.

use std::sync::LazyLock;

use super::Head;
use super::identity::{Place, act_of, whole_id};
use super::policy::{gather_failing, push_lower, results_outcome};
use super::slots::{Table, slots, table};
use crate::model::{Doc, Facts, Field};

slots!(Slot {
    Benchmark "Controls text|text";
    Section "Controls tests desc|tests desc";
    Number "Controls tests results test_number|tests results test_number";
    Status "Controls tests results status|tests results status";
    Text "Controls tests results test_desc|tests results test_desc";
});

static TABLE: LazyLock<Table<Slot>> = LazyLock::new(|| table(Slot::ROWS));

pub(super) fn read(doc: &Doc, place: &Place<'_>, facts: &mut Facts) -> Head {
    let fields = gather_failing(doc, &TABLE, Slot::Status);
    for (slot, field) in [(Slot::Benchmark, Field::PolicyName), (Slot::Section, Field::PolicyCategory), (Slot::Number, Field::PolicyRule)] {
        fields.alias(slot, field, facts);
    }
    facts.push_text(Field::PolicyEngine, "kube-bench");
    for status in fields.texts(Slot::Status) {
        push_lower(Field::PolicyResult, Some(status), facts);
    }
    let outcome = results_outcome(fields.texts(Slot::Status));
    // What passed says nothing to people.
    if outcome != "success" {
        fields.alias(Slot::Text, Field::Message, facts);
    }
    let id = whole_id(doc, place, None);
    Head { id, act: act_of(id), time: None, outcome, count: 1, is_truncated: fields.is_cut() }
}
