//! Gatekeeper's violations: of its log (`constraint_kind`) and of its export channel (`enforcementAction`).
//!
//! A violation that stands is reported again by every audit run. Those of one day are one event, and all of them are one act: the
//! constraint, the object and what is wrong with it. A denied request is an event of its own.

use std::sync::LazyLock;

use super::Head;
use super::actor::Actor;
use super::identity::{Identity, Place, act_of, position_id};
use super::instant;
use super::object::Object;
use super::policy::push_lower;
use super::slots::{Gathered, Table, slots, table};
use crate::model::{ActId, Doc, Duration, EventId, Facts, Field, Timestamp};

slots!(Slot {
    Type "event_type|eventType";
    Time "ts|timestamp|time";
    Run "audit_id|id";
    Message "msg|message";
    Action "constraint_action|enforcementAction";
    Group "constraint_group|group";
    Constraint "constraint_kind|kind";
    ConstraintName "constraint_name|name";
    ConstraintNamespace "constraint_namespace|namespace";
    ApiGroup "resource_group|resourceGroup";
    ApiVersion "resource_api_version|resourceAPIVersion";
    Kind "resource_kind|resourceKind";
    Namespace "resource_namespace|resourceNamespace";
    Name "resource_name|resourceName";
    User "request_username|requestUsername";
});

static TABLE: LazyLock<Table<Slot>> = LazyLock::new(|| table(Slot::ROWS));

/// How long a standing violation is one event.
const STANDING: Duration = Duration::hours(24);

/// What makes two standing violations one.
const HEADER: [Slot; 9] = [
    Slot::Group,
    Slot::Constraint,
    Slot::ConstraintName,
    Slot::ConstraintNamespace,
    Slot::ApiGroup,
    Slot::Kind,
    Slot::Namespace,
    Slot::Name,
    Slot::Message,
];

pub(super) fn read(doc: &Doc, place: &Place<'_>, facts: &mut Facts) -> Head {
    let fields = Gathered::gather(doc, &TABLE);
    fields.alias_first(Slot::Message, Field::Message, facts);
    fields.alias_first(Slot::Type, Field::EventAction, facts);
    fields.alias_first(Slot::ConstraintName, Field::PolicyName, facts);
    fields.alias_first(Slot::Constraint, Field::PolicyRule, facts);
    facts.push_text(Field::PolicyEngine, "gatekeeper");
    facts.push_text(Field::PolicyResult, "fail");
    push_lower(Field::PolicyResult, fields.text(Slot::Action), facts);
    if let Some(user) = fields.text(Slot::User) {
        Actor::of(user).push_facts(user, facts);
    }
    // The log parts group and version, the export channel does not.
    let version = fields.text(Slot::ApiVersion).unwrap_or_default();
    let grouped = fields.text(Slot::ApiGroup).map(|group| format!("{group}/{version}"));
    let object = Object {
        api_version: Some(grouped.as_deref().unwrap_or(version)),
        kind: fields.text(Slot::Kind),
        namespace: fields.text(Slot::Namespace),
        name: fields.text(Slot::Name),
        uid: None,
    };
    object.push(facts);
    let time = fields.text(Slot::Time).or_else(|| fields.text(Slot::Run)).and_then(instant::read);
    let (id, act) = identity(doc, &fields, place, time);
    Head { id, act, time, outcome: "failure", count: 1, is_truncated: fields.is_cut() }
}

fn identity(doc: &Doc, fields: &Gathered<'_>, place: &Place<'_>, time: Option<Timestamp>) -> (EventId, ActId) {
    let is_standing = fields.text(Slot::Type).is_some_and(|kind| kind.ends_with("audited"));
    let Some(time) = time else {
        let id = position_id(place);
        return (id, act_of(id));
    };
    let mut id = Identity::event(place);
    if !is_standing {
        id.number(time.nanos());
        id.leaves(doc, "", &[]);
        return (id.event_id(), act_of(id.event_id()));
    }
    let mut act = Identity::act(place);
    id.number(time.bucket(STANDING).nanos());
    for slot in HEADER {
        id.optional(fields.text(slot));
        act.optional(fields.text(slot));
    }
    (id.event_id(), act.act_id())
}
