//! Kyverno's own log in JSON: what its webhooks and engine say of a policy. Keys have dots.

use std::sync::LazyLock;

use super::Head;
use super::actor::Actor;
use super::identity::{Place, act_of, whole_id};
use super::instant;
use super::object::Object;
use super::slots::{Gathered, Table, slots, table_spelled};
use crate::model::{Doc, Facts, Field};

slots!(Slot {
    Time "ts|time|timestamp";
    Logger "logger";
    Message "msg|message";
    Error "err|error";
    Policy "policy.name|policy";
    Rule "rule.name|rule";
    Action "action|validationFailureAction";
    Kind "new.kind|kind|resource.kind";
    Namespace "new.namespace|namespace|resource.namespace";
    Name "new.name|name|resource.name";
    User "user.username|username";
    Operation "operation";
});

static TABLE: LazyLock<Table<Slot>> = LazyLock::new(|| table_spelled(Slot::ROWS));

pub(super) fn read(doc: &Doc, place: &Place<'_>, facts: &mut Facts) -> Head {
    let fields = Gathered::gather(doc, &TABLE);
    let rows = [(Slot::Policy, Field::PolicyName), (Slot::Rule, Field::PolicyRule), (Slot::Logger, Field::EventAction)];
    for (slot, field) in rows {
        fields.alias_first(slot, field, facts);
    }
    fields.alias_first(Slot::Message, Field::Message, facts);
    fields.alias_first(Slot::Error, Field::Message, facts);
    facts.push_text(Field::PolicyEngine, "kyverno");
    let said = fields.text(Slot::Message).unwrap_or_default().to_ascii_lowercase();
    let is_any = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let outcome = if is_any(&["fail", "denied", "block", "violat"]) {
        "failure"
    } else if is_any(&["pass", "succe"]) {
        "success"
    } else {
        "unknown"
    };
    match outcome {
        "failure" => facts.push_text(Field::PolicyResult, "fail"),
        "success" => facts.push_text(Field::PolicyResult, "pass"),
        _ => {}
    }
    if let Some(operation) = fields.text(Slot::Operation) {
        facts.push_text(Field::K8sVerb, &operation.to_ascii_lowercase());
    }
    if let Some(user) = fields.text(Slot::User) {
        Actor::of(user).push_facts(user, facts);
    }
    let object =
        Object { kind: fields.text(Slot::Kind), namespace: fields.text(Slot::Namespace), name: fields.text(Slot::Name), ..Object::default() };
    object.push(facts);
    let time = fields.text(Slot::Time).and_then(instant::read);
    let id = whole_id(doc, place, time);
    Head { id, act: act_of(id), time, outcome, count: 1, is_truncated: fields.is_cut() }
}
