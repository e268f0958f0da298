//! Yandex Audit Trails, in snake case as trails write it or in camel case as its API does: what was done to the cloud and its clusters.

use std::sync::LazyLock;

use super::actor::Actor;
use super::identity::{Identity, Place, act_of, whole_id};
use super::slots::{Gathered, Table, slots, table};
use super::{Head, entities, instant};
use crate::model::{Doc, Facts, Field};

slots!(Slot {
    EventId "event_id|eventId";
    Type "event_type|eventType";
    Time "event_time|eventTime";
    Status "event_status|eventStatus";
    IsAuthenticated "authentication authenticated";
    IsAuthorized "authorization authorized";
    SubjectType "authentication subject_type|authentication subjectType";
    SubjectId "authentication subject_id|authentication subjectId";
    SubjectName "authentication subject_name|authentication subjectName";
    TokenId "authentication token_info iam_token_id|authentication tokenInfo iamTokenId";
    Impersonator "authentication token_info impersonator_name|authentication tokenInfo impersonatorName|authentication token_info impersonator_id|authentication tokenInfo impersonatorId";
    RemoteAddress "request_metadata remote_address|requestMetadata remoteAddress";
    Agent "request_metadata user_agent|requestMetadata userAgent";
    PathType "resource_metadata path resource_type|resourceMetadata path resourceType";
    PathId "resource_metadata path resource_id|resourceMetadata path resourceId";
    PathName "resource_metadata path resource_name|resourceMetadata path resourceName";
    ErrorCode "error code";
    ErrorMessage "error message";
});

static TABLE: LazyLock<Table<Slot>> = LazyLock::new(|| table(Slot::ROWS));

/// Levels of the path that hold resources and are none themselves, the innermost first.
const ACCOUNTS: [&str; 2] = ["resource-manager.folder", "resource-manager.cloud"];

pub(super) fn read(doc: &Doc, place: &Place<'_>, facts: &mut Facts) -> Head {
    let fields = Gathered::gather(doc, &TABLE);
    fields.alias_first(Slot::Type, Field::EventAction, facts);
    fields.alias_first(Slot::ErrorMessage, Field::Message, facts);
    facts.push_text(Field::CloudProvider, "yandex");
    actor_facts(&fields, facts);
    // Calls from within the cloud have a word here.
    if let Some(ip) = fields.text(Slot::RemoteAddress).filter(|text| entities::is_ip(text)) {
        facts.push_text(Field::SrcIp, ip);
        facts.push_text(Field::SrcIps, ip);
        entities::ip(Some(ip), facts);
    }
    resource_facts(&fields, facts);
    let time = fields.text(Slot::Time).and_then(instant::read);
    let id = match fields.text(Slot::EventId) {
        Some(unique) => {
            let mut id = Identity::event(place);
            id.part(unique);
            id.time(fields.text(Slot::Time));
            id.optional(fields.text(Slot::Type));
            // An operation that takes long is told twice.
            id.optional(fields.text(Slot::Status));
            id.event_id()
        }
        None => whole_id(doc, place, time),
    };
    Head { id, act: act_of(id), time, outcome: outcome(&fields), count: 1, is_truncated: fields.is_cut() }
}

fn actor_facts(fields: &Gathered<'_>, facts: &mut Facts) {
    let (name, kind) = (fields.text(Slot::SubjectName).or_else(|| fields.text(Slot::SubjectId)), fields.text(Slot::SubjectType));
    if let Some(name) = name {
        facts.push_text(Field::ActorUserName, name);
        facts.push_text(
            Field::ActorUserType,
            match kind {
                Some("SERVICE_ACCOUNT") => "service_account",
                Some("SYSTEM") => "system",
                Some("ANONYMOUS_ACCOUNT" | "ANONYMOUS") => "anonymous",
                _ => Actor::of(name).type_name(),
            },
        );
        Actor::of(name).push_entity(facts);
    } else if fields.text(Slot::IsAuthenticated) == Some("false") {
        facts.push_text(Field::ActorUserType, "anonymous");
    }
    let rows = [
        (Slot::SubjectId, Field::ActorUserCloudId),
        (Slot::TokenId, Field::ActorCredentialId),
        (Slot::Impersonator, Field::ActorImpersonator),
        (Slot::Agent, Field::ActorUserAgent),
    ];
    for (slot, field) in rows {
        fields.alias_first(slot, field, facts);
    }
}

/// The path from the organization down to what was touched.
fn resource_facts(fields: &Gathered<'_>, facts: &mut Facts) {
    let beside = |slot: Slot, parent: u32| fields.each(slot).find(|(leaf, text)| leaf.parent == parent && !text.is_empty()).map(|(_, text)| text);
    let account = ACCOUNTS.iter().find_map(|account| fields.each(Slot::PathType).find(|(_, kind)| kind == account));
    if let Some(id) = account.and_then(|(leaf, _)| beside(Slot::PathId, leaf.parent)) {
        facts.push_text(Field::CloudAccount, id);
    }
    let Some((leaf, kind)) = fields.each(Slot::PathType).last() else { return };
    facts.push_text(Field::K8sResource, kind);
    if let Some(name) = beside(Slot::PathName, leaf.parent).or_else(|| beside(Slot::PathId, leaf.parent)) {
        facts.push_text(Field::K8sName, name);
    }
}

fn outcome(fields: &Gathered<'_>) -> &'static str {
    let is_refused = [Slot::IsAuthenticated, Slot::IsAuthorized].into_iter().any(|slot| fields.text(slot) == Some("false"));
    let is_error = fields.has(Slot::ErrorMessage) || fields.text(Slot::ErrorCode).is_some_and(|code| code != "0");
    match fields.text(Slot::Status) {
        Some("ERROR" | "CANCELLED") => "failure",
        _ if is_refused || is_error => "failure",
        Some("DONE" | "STARTED" | "COMPLETED") => "success",
        _ => "unknown",
    }
}
