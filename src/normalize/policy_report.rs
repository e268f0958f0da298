//! `PolicyReport` and `ClusterPolicyReport` objects (`wgpolicyk8s.io`, `openreports.io`): one record with all results of one report. Where
//! some failed, facts are those of what did not pass; what passed is reached by native names.

use std::sync::LazyLock;

use super::Head;
use super::identity::{Identity, Place, act_of, position_id};
use super::instant;
use super::object::{self, Object};
use super::policy::{gather_failing, push_lower, results_outcome};
use super::slots::{Gathered, Table, slots, table};
use crate::model::{Doc, Facts, Field, Timestamp};

slots!(Slot {
    ReportKind "kind";
    ReportName "metadata name";
    ReportNamespace "metadata namespace";
    ReportUid "metadata uid";
    ReportVersion "metadata resourceVersion";
    Created "metadata creationTimestamp";
    Policy "results policy";
    Rule "results rule";
    Result "results result|results status";
    Severity "results severity";
    Category "results category";
    Source "results source|source";
    Message "results message|results description";
    Seconds "results timestamp seconds";
    Nanos "results timestamp nanos";
    ApiVersion "results resources apiVersion|results subjects apiVersion|scope apiVersion";
    Kind "results resources kind|results subjects kind|scope kind";
    Namespace "results resources namespace|results subjects namespace|scope namespace";
    Name "results resources name|results subjects name|scope name";
    Uid "results resources uid|results subjects uid|scope uid";
});

static TABLE: LazyLock<Table<Slot>> = LazyLock::new(|| table(Slot::ROWS));

pub(super) fn read(doc: &Doc, place: &Place<'_>, facts: &mut Facts) -> Head {
    let fields = gather_failing(doc, &TABLE, Slot::Result);
    for (slot, field) in [(Slot::Policy, Field::PolicyName), (Slot::Rule, Field::PolicyRule), (Slot::Category, Field::PolicyCategory)] {
        for text in fields.texts(slot).filter(|text| !text.is_empty()) {
            facts.push_text(field, text);
        }
    }
    fields.alias(Slot::Message, Field::Message, facts);
    for engine in fields.texts(Slot::Source) {
        facts.push_text(Field::PolicyEngine, engine);
    }
    for (slot, field) in [(Slot::Result, Field::PolicyResult), (Slot::Severity, Field::PolicySeverity)] {
        for text in fields.texts(slot) {
            push_lower(field, Some(text), facts);
        }
    }
    let is_cut = object::push_each(&fields, [Slot::ApiVersion, Slot::Kind, Slot::Namespace, Slot::Name, Slot::Uid], facts);
    Object { namespace: fields.text(Slot::ReportNamespace), ..Object::default() }.push(facts);
    let time = last_result(&fields).or_else(|| fields.text(Slot::Created).and_then(instant::read));
    let (uid, version) = (fields.text(Slot::ReportUid), fields.text(Slot::ReportVersion));
    let id = if time.is_none() && uid.is_none() {
        position_id(place)
    } else {
        let mut id = Identity::event(place);
        for slot in [Slot::ReportKind, Slot::ReportNamespace, Slot::ReportName, Slot::ReportUid, Slot::ReportVersion] {
            id.optional(fields.text(slot));
        }
        if uid.is_none() || version.is_none() {
            id.leaves(doc, "", &[]);
        }
        id.event_id()
    };
    let outcome = results_outcome(fields.texts(Slot::Result));
    Head { id, act: act_of(id), time, outcome, count: 1, is_truncated: is_cut || fields.is_cut() }
}

/// The latest of the results that are told.
fn last_result(fields: &Gathered<'_>) -> Option<Timestamp> {
    let times = fields.each(Slot::Seconds).filter_map(|(leaf, seconds)| {
        let nanos = fields.each(Slot::Nanos).find(|(other, _)| other.parent == leaf.parent);
        instant::of_parts(seconds, nanos.map(|(_, text)| text))
    });
    times.max()
}
