//! One event on its way out: which of its facts have found a home, what every class has in common, and `unmapped` for the rest.

use std::net::IpAddr;

use serde_json::Value as Json;

use super::class::{self, BASE_EVENT, Choice, Class, INFORMATIONAL, NOT_KNOWN};
use super::object::Object;
use super::{UNKNOWN, VERSION, observable};
use crate::model::{Event, Field, FieldType, Kind, LeafKind, Path, Value, ValueKind};

/// Bytes that the schema allows an address.
const IP_BYTES_MAX: usize = 40;
/// Facts that say what the attributes of every class say.
const COMMON: &[Field] = &[Field::EventTime, Field::EventIngested, Field::EventTruncated, Field::Message];
/// Facts that stand under `unmapped` also where the class has a home for them: what the event is and whom it names.
const IDENTITY: &[Field] = &[Field::EventId, Field::EventKind, Field::Cluster, Field::Entity];

/// What the part for one class makes of an event.
#[derive(Debug)]
pub(super) struct Shape<'e> {
    pub(super) class: &'static Class,
    pub(super) activity: Choice<'e>,
    pub(super) severity: Choice<'e>,
    /// The attributes of that class alone.
    pub(super) body: Object,
    /// Profiles of the schema that the body makes use of.
    pub(super) profiles: Vec<&'static str>,
}

impl<'e> Shape<'e> {
    /// Of this class; informational, as most records are.
    pub(super) fn new(class: &'static Class, activity: Choice<'e>, body: Object) -> Self {
        Self { class, activity, severity: INFORMATIONAL, body, profiles: Vec::new() }
    }

    /// An event of no class.
    pub(super) fn base() -> Self {
        Self::new(&BASE_EVENT, NOT_KNOWN, Object::default())
    }
}

/// An event and which of its facts are used up.
#[derive(Debug)]
pub(super) struct Draft<'e> {
    pub(super) event: &'e Event,
    used: Vec<Field>,
}

impl<'e> Draft<'e> {
    pub(super) fn new(event: &'e Event) -> Self {
        Self { event, used: COMMON.to_vec() }
    }

    /// The first value of a fact, left where it is.
    pub(super) fn peek(&self, field: Field) -> Option<&'e str> {
        self.event.fact(field).filter(|text| !text.is_empty())
    }

    /// The first value of a fact, for an attribute. If there are more, all of them stay under `unmapped` too.
    pub(super) fn take(&mut self, field: Field) -> Option<&'e str> {
        let text = self.peek(field)?;
        if self.event.facts_of(field).len() == 1 {
            self.used.push(field);
        }
        Some(text)
    }

    /// Every value of a fact.
    pub(super) fn take_all(&mut self, field: Field) -> Vec<&'e str> {
        self.used.push(field);
        let mut values = self.event.facts_of(field);
        values.retain(|text| !text.is_empty());
        values
    }

    /// A fact that is a whole number; any other stays under `unmapped`.
    pub(super) fn take_number(&mut self, field: Field) -> Option<i64> {
        let number = self.peek(field)?.parse().ok()?;
        self.take(field).map(|_| number)
    }

    /// A fact that is a port.
    pub(super) fn take_port(&mut self, field: Field) -> Option<u16> {
        let port = self.peek(field)?.parse().ok()?;
        self.take(field).map(|_| port)
    }

    /// A fact that is an address; what is none stays under `unmapped`.
    pub(super) fn take_ip(&mut self, field: Field) -> Option<&'e str> {
        self.peek(field).filter(|text| is_ip(text))?;
        self.take(field)
    }

    /// The first text, number or boolean at a native name that says anything.
    pub(super) fn native(&self, name: &str) -> Option<&'e str> {
        self.natives(name).next()
    }

    /// All of them.
    pub(super) fn natives(&self, name: &str) -> impl Iterator<Item = &'e str> + use<'e> {
        let (paths, doc) = (Path::spellings(name), &self.event.doc);
        let is_scalar = |kind: LeafKind| matches!(kind, LeafKind::Text | LeafKind::Number | LeafKind::True | LeafKind::False);
        let leaves = doc.leaves().iter().filter(move |leaf| is_scalar(leaf.kind) && paths.contains(&leaf.path));
        leaves.map(|leaf| doc.value(leaf).text).filter(|text| !text.is_empty())
    }

    /// An end of traffic: address and port, and a pod's name where one is known.
    pub(super) fn endpoint(&mut self, ip: Field, port: Option<u16>, pod: Field) -> Object {
        let mut end = Object::default();
        end.put("ip", self.take_ip(ip));
        end.put("port", port);
        end.put("name", self.take(pod));
        end
    }

    /// Who acted in effect. Nobody known is the user `unknown`.
    pub(super) fn actor(&mut self) -> Object {
        let mut user = Object::default();
        user.put("uid", self.take(Field::ActorUserUid));
        user.put("uid_alt", self.take(Field::ActorUserCloudId));
        let name = self.take(Field::ActorUserName);
        if name.is_some() || !user.has("uid") {
            user.put("name", name.unwrap_or(UNKNOWN));
        }
        user.choose("type", self.peek(Field::ActorUserType).map_or(NOT_KNOWN, class::user_type));
        let groups: Vec<Object> = self.take_all(Field::ActorUserGroups).into_iter().map(|name| Object::with("name", name)).collect();
        user.put("groups", groups);
        let mut actor = Object::with("user", user);
        actor.put("session", Object::with("credential_uid", self.take(Field::ActorCredentialId)));
        actor
    }

    /// The whole event: what every class has, the body, and the rest.
    pub(super) fn finish(mut self, mut shape: Shape<'e>) -> Object {
        let event = self.event;
        let mut out = head(shape.class, shape.activity, shape.severity);
        out.put("time", event.time.millis());
        out.put("message", self.peek(Field::Message));
        out.put("raw_data", event.raw().as_ref());
        if !shape.body.has("status_id") {
            out.choose("status", self.take(Field::EventOutcome).map_or(NOT_KNOWN, class::status));
        }
        match self.peek(Field::EventCount).and_then(|count| count.parse::<i64>().ok()) {
            Some(count) if count != 1 => out.put("count", self.take(Field::EventCount).map(|_| count)),
            _ => self.used.push(Field::EventCount),
        }
        if let Some(provider) = self.take(Field::CloudProvider) {
            let mut cloud = Object::with("provider", provider);
            cloud.put("account", Object::with("uid", self.take(Field::CloudAccount)));
            out.put("cloud", cloud);
            shape.profiles.push("cloud");
        }
        out.extend(shape.body);
        out.put("metadata", self.metadata(shape.profiles));
        out.put("observables", observable::list(&out));
        out.put("unmapped", self.unmapped());
        out
    }

    fn metadata(&self, profiles: Vec<&'static str>) -> Object {
        let event = self.event;
        let (provider, original_uid) = match event.kind {
            Kind::K8sAudit => (Some("kube-apiserver"), self.native("auditID")),
            Kind::Falco => (Some("falco"), self.native("uuid")),
            Kind::Flow => (Some("hubble"), self.native("uuid")),
            Kind::CloudAudit => (None, self.native("insertId").or_else(|| self.native("event_id")).or_else(|| self.native("eventID"))),
            Kind::Policy | Kind::Fim | Kind::Finding | Kind::K8sEvent | Kind::Other | Kind::SourceHealth => (None, None),
        };
        let mut metadata = self::metadata(&event.id.to_string(), event.tenant.as_str());
        metadata.put("correlation_uid", event.act.to_string());
        metadata.put("original_event_uid", original_uid);
        if self.peek(Field::EventTimeAssumed).is_none() {
            metadata.put("original_time", event.time.to_string());
        }
        metadata.put("logged_time", event.origin.received.millis());
        metadata.put("log_name", event.kind.name());
        metadata.put("log_provider", provider);
        metadata.put("log_source", event.origin.object.as_ref());
        if event.kind == Kind::K8sAudit {
            metadata.put("log_level", self.native("level"));
            metadata.put("log_version", self.native("apiVersion"));
        }
        if self.peek(Field::EventTruncated) == Some("true") {
            metadata.put("is_truncated", true);
        }
        metadata.put("profiles", profiles);
        metadata
    }

    /// The facts that have no other home, and the identity, nested as in the event's own form.
    fn unmapped(&self) -> Object {
        let mut rest = Object::default();
        let mut facts: Vec<(Field, Value<'e>)> = self.event.facts.iter(&self.event.doc).collect();
        facts.sort_by_key(|(field, _)| *field);
        for group in facts.chunk_by(|a, b| a.0 == b.0) {
            let field = group[0].0;
            if self.used.contains(&field) && !IDENTITY.contains(&field) {
                continue;
            }
            let mut values: Vec<Json> = group
                .iter()
                .filter(|(_, value)| value.kind != ValueKind::Null && !value.text.is_empty())
                .map(|(_, value)| json(field, *value))
                .collect();
            match values.pop() {
                Some(only) if values.is_empty() && !field.is_list() => rest.put_at(field.name(), only),
                Some(last) => {
                    values.push(last);
                    rest.put_at(field.name(), values);
                }
                None => {}
            }
        }
        rest.put_at("event.act", self.event.act.to_string());
        rest
    }
}

/// Whether the schema takes it for an address.
pub(super) fn is_ip(text: &str) -> bool {
    text.len() <= IP_BYTES_MAX && text.parse::<IpAddr>().is_ok()
}

/// What classifies an event.
pub(super) fn head(class: &Class, (activity_id, activity): Choice<'_>, severity: Choice<'_>) -> Object {
    let mut out = Object::default();
    out.put("category_uid", class.category.0);
    out.put("category_name", class.category.1);
    out.put("class_uid", class.uid);
    out.put("class_name", class.name);
    out.put("activity_id", activity_id);
    out.put("activity_name", activity);
    out.put("type_uid", class.uid * 100 + activity_id);
    out.put("type_name", format!("{}: {}", class.name, if activity_id == class::OTHER { "Other" } else { activity }));
    out.choose("severity", severity);
    out
}

/// Who wrote it, in which version of the schema, and under which id.
pub(super) fn metadata(uid: &str, tenant: &str) -> Object {
    let mut product = Object::with("name", "bartizan");
    product.put("vendor_name", "bartizan");
    product.put("version", env!("CARGO_PKG_VERSION"));
    let mut metadata = Object::with("version", VERSION);
    metadata.put("product", product);
    metadata.put("uid", uid);
    metadata.put("tenant_uid", tenant);
    metadata
}

/// A value in its own type; a number that its source wrote as a string is a number.
pub(super) fn json(field: Field, value: Value<'_>) -> Json {
    let is_spelled = value.kind == ValueKind::Text
        && field.kind() == FieldType::Number
        && value.text.parse::<i64>().is_ok_and(|number| number.to_string() == value.text);
    match value.kind {
        ValueKind::Number | ValueKind::Bool => serde_json::from_str(value.text).unwrap_or_else(|_| value.text.into()),
        ValueKind::Text if is_spelled => value.text.parse::<i64>().map_or(Json::Null, Json::from),
        ValueKind::Text | ValueKind::Null => value.text.into(),
    }
}
