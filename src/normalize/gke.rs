//! Cloud audit entries: Google's `LogEntry` with a `protoPayload`, and what other clouds have in common with it. Calls to a cluster's API server are
//! Kubernetes audit (`gke_audit`).

use std::sync::LazyLock;

use super::actor::Actor;
use super::identity::{Identity, Place, act_of, position_id};
use super::slots::{Gathered, Table, slots, table};
use super::{Head, entities};
use crate::model::{Doc, Facts, Field, Timestamp};

slots!(Slot {
    InsertId "insertId";
    LogName "logName";
    Time "timestamp|eventTime";
    Method "protoPayload methodName|methodName|eventName";
    User "protoPayload authenticationInfo principalEmail|authenticationInfo principalEmail|userIdentity arn";
    CallerIp "protoPayload requestMetadata callerIp|requestMetadata callerIp|sourceIPAddress";
    Agent "protoPayload requestMetadata callerSuppliedUserAgent|requestMetadata callerSuppliedUserAgent|userAgent";
    StatusCode "protoPayload status code|status code";
    StatusMessage "protoPayload status message|status message|errorMessage";
    Project "resource labels project_id|recipientAccountId";
    EventId "eventID";
});

static TABLE: LazyLock<Table<Slot>> = LazyLock::new(|| table(Slot::ROWS));

pub(super) fn read(doc: &Doc, place: &Place<'_>, facts: &mut Facts) -> Head {
    let fields = Gathered::gather(doc, &TABLE);
    if let Some(name) = fields.text(Slot::User) {
        fields.alias_first(Slot::User, Field::ActorUserName, facts);
        let actor = Actor::of(name);
        facts.push_text(Field::ActorUserType, actor.type_name());
        actor.push_entity(facts);
    }
    fields.alias_first(Slot::Agent, Field::ActorUserAgent, facts);
    fields.alias_first(Slot::Project, Field::CloudAccount, facts);
    fields.alias_first(Slot::StatusMessage, Field::Message, facts);
    if let Some(ip) = fields.text(Slot::CallerIp).filter(|ip| entities::is_ip(ip)) {
        facts.push_text(Field::SrcIp, ip);
        facts.push_text(Field::SrcIps, ip);
        entities::ip(Some(ip), facts);
    }
    let time = fields.text(Slot::Time).and_then(Timestamp::parse);
    let unique = fields.text(Slot::InsertId).or_else(|| fields.text(Slot::EventId));
    let id = match (time, unique) {
        (None, None) => position_id(place),
        _ => {
            let mut id = Identity::event(place);
            id.time(fields.text(Slot::Time));
            id.optional(unique);
            id.optional(fields.text(Slot::LogName));
            if unique.is_none() {
                id.leaves(doc, "", &[]);
            }
            id.event_id()
        }
    };
    // A google.rpc code, not an HTTP status: 0 is left out by its writer.
    let outcome = match fields.text(Slot::StatusCode) {
        Some("0") => "success",
        Some(_) => "failure",
        None => "unknown",
    };
    Head { id, act: act_of(id), time, outcome, count: 1, is_truncated: fields.is_cut() }
}
