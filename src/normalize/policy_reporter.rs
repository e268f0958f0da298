//! Policy Reporter's results, one a record, in the key case of 2.16 and before or that of today.

use std::sync::LazyLock;

use super::Head;
use super::identity::{Identity, Place, act_of, position_id};
use super::instant;
use super::object::Object;
use super::policy::{push_lower, result_outcome};
use super::slots::{Gathered, Table, slots, table};
use crate::model::{Doc, Facts, Field};

slots!(Slot {
    Message "message|Message";
    Policy "policy|Policy";
    Rule "rule|Rule";
    Status "status|Status";
    Severity "severity|Severity";
    Priority "priority|Priority";
    Category "category|Category";
    Source "source|Source";
    Time "creationTimestamp|CreationTimestamp|timestamp|Timestamp";
    ApiVersion "resource apiVersion|Resource APIVersion";
    Kind "resource kind|Resource Kind";
    Name "resource name|Resource Name";
    Namespace "resource namespace|Resource Namespace";
    Uid "resource uid|Resource UID";
});

static TABLE: LazyLock<Table<Slot>> = LazyLock::new(|| table(Slot::ROWS));

/// What makes two results one, besides their time.
const HEADER: [Slot; 10] =
    [Slot::Policy, Slot::Rule, Slot::Status, Slot::Source, Slot::ApiVersion, Slot::Kind, Slot::Namespace, Slot::Name, Slot::Uid, Slot::Message];

pub(super) fn read(doc: &Doc, place: &Place<'_>, facts: &mut Facts) -> Head {
    let fields = Gathered::gather(doc, &TABLE);
    let rows = [
        (Slot::Message, Field::Message),
        (Slot::Policy, Field::PolicyName),
        (Slot::Rule, Field::PolicyRule),
        (Slot::Category, Field::PolicyCategory),
        (Slot::Source, Field::PolicyEngine),
    ];
    for (slot, field) in rows {
        fields.alias_first(slot, field, facts);
    }
    push_lower(Field::PolicyResult, fields.text(Slot::Status), facts);
    push_lower(Field::PolicySeverity, fields.text(Slot::Severity).or_else(|| fields.text(Slot::Priority)), facts);
    let object = Object {
        api_version: fields.text(Slot::ApiVersion),
        kind: fields.text(Slot::Kind),
        namespace: fields.text(Slot::Namespace),
        name: fields.text(Slot::Name),
        uid: fields.text(Slot::Uid),
    };
    object.push(facts);
    // A result without a time says 1970, which is none.
    let time = fields.text(Slot::Time).and_then(instant::read);
    let id = match time {
        Some(time) => {
            let mut id = Identity::event(place);
            id.number(time.nanos());
            for slot in HEADER {
                id.optional(fields.text(slot));
            }
            id.event_id()
        }
        None => position_id(place),
    };
    Head { id, act: act_of(id), time, outcome: result_outcome(fields.text(Slot::Status)), count: 1, is_truncated: fields.is_cut() }
}
