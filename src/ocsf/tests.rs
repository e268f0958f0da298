//! The tables of words; what whole events say is in `tests/it/ocsf.rs`, which holds them to the schema too.

use serde_json::{Value, json};

use super::object::Object;
use super::*;
use crate::model::Field;

#[test]
fn verbs_and_calls() {
    for (name, expected) in [
        ("create", (1, "Create")),
        ("get", (2, "Read")),
        ("list", (2, "Read")),
        ("watch", (2, "Read")),
        ("update", (3, "Update")),
        ("patch", (3, "Update")),
        ("delete", (4, "Delete")),
        ("deletecollection", (4, "Delete")),
        ("connect", (99, "connect")),
        ("impersonate", (99, "impersonate")),
        ("google.iam.admin.v1.CreateServiceAccountKey", (1, "Create")),
        ("DescribeInstances", (2, "Read")),
        ("yandex.cloud.audit.iam.DeleteAccessKey", (4, "Delete")),
        ("storage.objects.get", (2, "Read")),
        ("Éa", (99, "Éa")),
    ] {
        assert_eq!(api::activity(name), expected, "{name}");
    }
}

#[test]
fn attacks() {
    for (tag, expected) in [
        ("attack.t1609", json!({"technique": {"uid": "T1609"}})),
        ("T1059.004", json!({"technique": {"uid": "T1059"}, "sub_technique": {"uid": "T1059.004"}})),
        ("attack.privilege-escalation", json!({"tactic": {"uid": "TA0004", "name": "Privilege Escalation"}})),
        ("mitre_execution", json!({"tactic": {"uid": "TA0002", "name": "Execution"}})),
        ("execution", Value::Null),
        ("t12345", Value::Null),
        ("attack.t1059.4", Value::Null),
        ("attack.", Value::Null),
        ("", Value::Null),
    ] {
        let got = attack::list(std::iter::once(tag)).into_iter().next().map_or(Value::Null, Value::from);
        assert_eq!(got, expected, "{tag}");
    }
}

#[test]
fn what_is_empty_is_left_out() {
    let mut object = Object::with("a", "");
    object.put("b", Value::Null);
    object.put("c", Vec::<String>::new());
    object.put("d", Object::default());
    object.put_at("e.f", None::<&str>);
    object.put_at("g.h", 0);
    object.put_at("g.i", false);
    let mut text = String::new();
    write::object(object, &mut text);
    assert_eq!(text, r#"{"g":{"h":0,"i":false}}"#);
}

#[test]
fn nothing_moves_a_terminal() {
    let mut text = String::new();
    write::object(Object::with("a", "\u{1b}[2J\u{202e}\u{9b}é\"\n"), &mut text);
    assert_eq!(text, r#"{"a":"\u001b[2J\u202e\u009bé\"\n"}"#);
}

/// Else one fact would hide another under `unmapped`.
#[test]
fn no_field_lies_within_another() {
    for field in Field::ALL {
        let inside = format!("{}.", field.name());
        assert!(!Field::ALL.iter().any(|other| other.name().starts_with(&inside)), "{}", field.name());
    }
}
