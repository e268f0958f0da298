//! kube-bench: the checks of a node against the CIS benchmark, all in one record. It says neither when nor on which node.

use std::sync::LazyLock;

use super::Head;
use super::identity::{Place, act_of, whole_id};
use super::policy::{push_lower, results_outcome};
use super::slots::{Gathered, Table, slots, table};
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
    let fields = Gathered::gather(doc, &TABLE);
    for (slot, field) in [(Slot::Benchmark, Field::PolicyName), (Slot::Section, Field::PolicyCategory), (Slot::Number, Field::PolicyRule)] {
        fields.alias(slot, field, facts);
    }
    facts.push_text(Field::PolicyEngine, "kube-bench");
    for status in fields.texts(Slot::Status) {
        push_lower(Field::PolicyResult, Some(status), facts);
    }
    // What passed says nothing to people.
    let mut statuses = fields.each(Slot::Status);
    let mut status = statuses.next();
    let texts: Vec<usize> = fields.indices(Slot::Text).collect();
    for at in texts {
        let Some(leaf) = doc.leaves().get(at) else { continue };
        while status.is_some_and(|(other, _)| other.parent < leaf.parent) {
            status = statuses.next();
        }
        if status.is_none_or(|(other, text)| other.parent != leaf.parent || text != "PASS") {
            facts.push_leaf(Field::Message, at);
        }
    }
    let id = whole_id(doc, place, None);
    Head { id, act: act_of(id), time: None, outcome: results_outcome(fields.texts(Slot::Status)), count: 1, is_truncated: fields.is_cut() }
}
