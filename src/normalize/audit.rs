//! Kubernetes audit events, `audit.k8s.io/v1` and `v1beta1`: `kubernetes/apiserver:pkg/apis/audit/v1/types.go`.

use std::borrow::Cow;
use std::sync::LazyLock;

use super::actor::Actor;
use super::body::{self, BodySlot};
use super::identity::{Identity, Place, act_of, position_id};
use super::slots::{Gathered, Table, slots, table};
use super::{Head, entities, patch, redact, uri};
use crate::model::{Doc, EnvelopeKind, Facts, Field, LeafKind, Path, Timestamp};

slots!(Slot {
    ApiVersion "apiVersion";
    Verb "verb";
    Uri "requestURI";
    AuditId "auditID";
    Stage "stage";
    Received "requestReceivedTimestamp";
    StageTime "stageTimestamp";
    OldTime "timestamp";
    OldCreated "metadata creationTimestamp";
    UserName "user username";
    UserUid "user uid";
    UserGroups "user groups";
    Credential "user extra authentication.kubernetes.io/credential-id|user extra accessKeyId";
    BoundPod "user extra authentication.kubernetes.io/pod-name";
    BoundNode "user extra authentication.kubernetes.io/node-name";
    CloudId "user extra arn|user extra oid|user extra canonicalArn|user extra principalId|user extra sessionName";
    EffectiveName "impersonatedUser username";
    EffectiveUid "impersonatedUser uid";
    EffectiveGroups "impersonatedUser groups";
    SourceIps "sourceIPs";
    UserAgent "userAgent";
    Resource "objectRef resource";
    Subresource "objectRef subresource";
    Namespace "objectRef namespace";
    ApiGroup "objectRef apiGroup";
    Name "objectRef name";
    Uid "objectRef uid";
    Code "responseStatus code";
    Message "responseStatus message";
    Truncated "annotations audit.k8s.io/truncated";
    Violations "annotations pod-security.kubernetes.io/audit-violations";
    Command "requestObject command";
    Container "requestObject container";
    BindTarget "requestObject target name";
    PatchPath "requestObject path";
});

/// A slot of the event itself, or of one of its bodies.
#[derive(Debug, Clone, Copy)]
enum Any {
    Event(Slot),
    Request(BodySlot),
    Response(BodySlot),
}

static TABLE: LazyLock<Table<Any>> = LazyLock::new(|| {
    let rows: Vec<(Any, &str)> = Slot::ROWS.iter().map(|(slot, paths)| (Any::Event(*slot), *paths)).collect();
    let mut all = table(&rows);
    body::add_paths("requestObject", Any::Request, &mut all);
    body::add_paths("responseObject", Any::Response, &mut all);
    all
});
static REQUEST: LazyLock<Path> = LazyLock::new(|| Path::of(["requestObject"]));
static ANNOTATIONS: LazyLock<Path> = LazyLock::new(|| Path::of(["annotations"]));

/// Resources whose objects hold a pod spec, and the kind they are called by.
const WORKLOADS: &[(&str, &str)] = &[
    ("deployments", "deployment"),
    ("daemonsets", "daemonset"),
    ("statefulsets", "statefulset"),
    ("replicasets", "replicaset"),
    ("replicationcontrollers", "replicationcontroller"),
    ("jobs", "job"),
    ("cronjobs", "cronjob"),
    ("podtemplates", "podtemplate"),
];
const ROLES: &[&str] = &["roles", "clusterroles"];
const BINDINGS: &[&str] = &["rolebindings", "clusterrolebindings"];
/// Subresources that start a session.
const SESSIONS: &[&str] = &["exec", "attach", "portforward"];
/// Bytes of a command line that become a fact.
const COMMAND_BYTES_MAX: usize = 16 << 10;

/// One audit event and what was gathered of it.
struct Audit<'d> {
    doc: &'d Doc,
    event: Gathered<'d>,
    request: Gathered<'d>,
    response: Gathered<'d>,
    /// Annotations of webhooks that failed open: (leaf's text).
    failed_open: Vec<&'d str>,
}

pub(super) fn read(doc: &Doc, place: &Place<'_>, facts: &mut Facts) -> Head {
    let audit = Audit::gather(doc);
    audit.who(facts);
    audit.whence(facts);
    audit.object(facts);
    audit.session(facts);
    audit.bodies(facts);
    audit.policy(facts);
    audit.http(facts);
    let times = Times::of(&audit.event);
    audit.incomplete(place, &times, facts);
    let (id, act) = audit.identity(&times, place);
    Head {
        id,
        act,
        time: times.of_event(),
        outcome: match audit.code() {
            Some(100..=399) => "success",
            Some(400..) => "failure",
            _ => "unknown",
        },
        count: 1,
        is_truncated: audit.event.text(Slot::Truncated) == Some("true")
            || [&audit.event, &audit.request, &audit.response].iter().any(|gathered| gathered.is_cut()),
    }
}

/// A time as it is written, and read.
type Time<'d> = (Option<&'d str>, Option<Timestamp>);

/// The times of an event, each read once.
struct Times<'d> {
    received: Time<'d>,
    stage: Time<'d>,
    old_received: Time<'d>,
    old_stage: Time<'d>,
}

impl<'d> Times<'d> {
    fn of(event: &Gathered<'d>) -> Self {
        let read = |slot: Slot| {
            let text = event.text(slot);
            (text, text.and_then(Timestamp::parse))
        };
        Self { received: read(Slot::Received), stage: read(Slot::StageTime), old_received: read(Slot::OldCreated), old_stage: read(Slot::OldTime) }
    }

    fn received(&self) -> Time<'d> {
        if self.received.0.is_some() { self.received } else { self.old_received }
    }

    fn staged(&self) -> Time<'d> {
        if self.stage.0.is_some() { self.stage } else { self.old_stage }
    }

    fn of_event(&self) -> Option<Timestamp> {
        self.stage.1.or(self.received.1).or(self.old_stage.1).or(self.old_received.1)
    }
}

impl<'d> Audit<'d> {
    fn gather(doc: &'d Doc) -> Self {
        let mut audit =
            Self { doc, event: Gathered::of_many(doc), request: Gathered::new(doc), response: Gathered::new(doc), failed_open: Vec::new() };
        let (table, annotations) = (&*TABLE, *ANNOTATIONS);
        for (at, leaf) in doc.leaves().iter().enumerate() {
            match table.get(leaf.path) {
                Some(Any::Event(slot)) => audit.event.push(slot, at),
                Some(Any::Request(slot)) => audit.request.push(slot, at),
                Some(Any::Response(slot)) => audit.response.push(slot, at),
                None => {
                    let is_annotation = doc.containers().get(leaf.parent as usize).is_some_and(|parent| parent.path == annotations);
                    if is_annotation && doc.key(leaf).starts_with("failed-open.") {
                        audit.failed_open.push(doc.value(leaf).text);
                    }
                }
            }
        }
        if audit.event.has(Slot::PatchPath) && audit.event.text(Slot::Verb) == Some("patch") {
            patch::rebase(doc, "requestObject", |at, path| {
                if let Some(Any::Request(slot)) = TABLE.get(path) {
                    audit.request.push(slot, at);
                }
            });
        }
        audit
    }

    fn resource(&self) -> &'d str {
        self.event.text(Slot::Resource).unwrap_or_default()
    }

    fn subresource(&self) -> &'d str {
        self.event.text(Slot::Subresource).unwrap_or_default()
    }

    fn verb(&self) -> &'d str {
        self.event.text(Slot::Verb).unwrap_or_default()
    }

    /// The HTTP code: a number, a text of digits, or a double, as protobuf writes it.
    fn code(&self) -> Option<u16> {
        let text = self.event.text(Slot::Code)?;
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        whole.parse().ok().filter(|_| part.bytes().all(|digit| digit == b'0'))
    }

    fn who(&self, facts: &mut Facts) {
        let is_impersonated = self.event.text(Slot::EffectiveName).is_some();
        let (name, uid, groups) = if is_impersonated {
            (Slot::EffectiveName, Slot::EffectiveUid, Slot::EffectiveGroups)
        } else {
            (Slot::UserName, Slot::UserUid, Slot::UserGroups)
        };
        self.event.alias_first(name, Field::ActorUserName, facts);
        self.event.alias_first(uid, Field::ActorUserUid, facts);
        self.event.alias(groups, Field::ActorUserGroups, facts);
        self.event.alias_first(Slot::Credential, Field::ActorCredentialId, facts);
        self.event.alias_first(Slot::CloudId, Field::ActorUserCloudId, facts);
        self.event.alias_first(Slot::UserAgent, Field::ActorUserAgent, facts);
        let is_unauthenticated = self.event.texts(groups).any(|group| group == "system:unauthenticated");
        match self.event.text(name).map(Actor::of) {
            Some(actor) => {
                let actor = if is_unauthenticated { Actor::Anonymous } else { actor };
                facts.push_text(Field::ActorUserType, actor.type_name());
                actor.push_entity(facts);
            }
            // Only who was turned away at the door is nobody: other records without a user are incomplete.
            None if self.code() == Some(401) => facts.push_text(Field::ActorUserType, Actor::Anonymous.type_name()),
            None => {}
        }
        if is_impersonated {
            self.event.alias_first(Slot::UserName, Field::ActorImpersonator, facts);
        }
        if let Some(real) = self.event.text(Slot::UserName).map(Actor::of) {
            if is_impersonated {
                real.push_entity(facts);
            }
            // A bound token names the pod it was issued to.
            if let Actor::ServiceAccount { namespace, .. } = real {
                entities::pod(Some(namespace), self.event.text(Slot::BoundPod), facts);
                entities::node(self.event.text(Slot::BoundNode), facts);
            }
        }
    }

    /// All but the last address is what the client says of itself.
    fn whence(&self, facts: &mut Facts) {
        let mut last = None;
        for at in self.event.indices(Slot::SourceIps) {
            let address = self.doc.leaves().get(at).map(|leaf| self.doc.value(leaf).text).filter(|text| entities::is_ip(text));
            if address.is_some() {
                facts.push_leaf(Field::SrcIps, at);
            }
            last = address.map(|address| (at, address));
        }
        if let Some((at, address)) = last {
            facts.push_leaf(Field::SrcIp, at);
            entities::known_ip(address, facts);
        }
    }

    /// The object's name: of a generated one the response tells it.
    fn name(&self) -> Option<Cow<'d, str>> {
        if let Some(name) = self.event.text(Slot::Name) {
            return Some(Cow::Borrowed(name));
        }
        if self.verb() == "create"
            && let Some(name) = self.response.text(BodySlot::Name).or_else(|| self.request.text(BodySlot::Name))
        {
            return Some(Cow::Borrowed(name));
        }
        self.event.text(Slot::Uri).and_then(|text| uri::object_name(text, self.resource())).map(Cow::Owned)
    }

    fn object(&self, facts: &mut Facts) {
        self.event.alias(Slot::Verb, Field::K8sVerb, facts);
        self.event.alias(Slot::Resource, Field::K8sResource, facts);
        self.event.alias_first(Slot::Subresource, Field::K8sSubresource, facts);
        self.event.alias_first(Slot::Namespace, Field::K8sNamespace, facts);
        let resource = self.resource();
        if resource.is_empty() {
            return;
        }
        match self.event.text(Slot::ApiGroup) {
            Some(_) => self.event.alias_first(Slot::ApiGroup, Field::K8sApiGroup, facts),
            None => facts.push_text(Field::K8sApiGroup, ""),
        }
        let name = self.name();
        let name = name.as_deref();
        match self.event.text(Slot::Name) {
            Some(_) => self.event.alias_first(Slot::Name, Field::K8sName, facts),
            None => name.iter().for_each(|name| facts.push_text(Field::K8sName, name)),
        }
        let namespace = self.event.text(Slot::Namespace);
        match (resource, name) {
            ("namespaces", Some(name)) if namespace.is_none() => facts.push_text(Field::K8sNamespace, name),
            ("pods", Some(name)) => {
                facts.push_text(Field::K8sPod, name);
                entities::pod(namespace, Some(name), facts);
                if let Some(uid) = self.event.text(Slot::Uid).or_else(|| self.response.text(BodySlot::Uid).filter(|_| self.subresource().is_empty()))
                {
                    facts.push_text(Field::K8sPodUid, uid);
                }
            }
            ("nodes", Some(name)) => {
                facts.push_text(Field::K8sNode, name);
                entities::node(Some(name), facts);
            }
            ("serviceaccounts", Some(name)) => {
                facts.push_text(Field::K8sServiceAccount, name);
                entities::service_account(namespace, Some(name), facts);
            }
            (_, Some(name)) => {
                if let Some((_, kind)) = WORKLOADS.iter().find(|(known, _)| *known == resource) {
                    let spelled = format!("{kind}/{name}");
                    facts.push_text(Field::K8sWorkload, &spelled);
                    entities::workload(namespace, Some(&spelled), facts);
                }
            }
            (_, None) => {}
        }
        if resource == "pods" && self.subresource() == "binding" && self.event.has(Slot::BindTarget) {
            self.event.alias_first(Slot::BindTarget, Field::K8sNode, facts);
            entities::node(self.event.text(Slot::BindTarget), facts);
        }
    }

    /// Command and container of a session in a pod.
    fn session(&self, facts: &mut Facts) {
        if self.subresource() == "ephemeralcontainers" {
            for command in body::commands(self.doc, &self.request, BodySlot::EphemeralCommand) {
                push_command(&command, facts);
            }
            self.request.alias_first(BodySlot::EphemeralName, Field::K8sContainer, facts);
        }
        if !SESSIONS.contains(&self.subresource()) {
            return;
        }
        let uri = self.event.text(Slot::Uri).unwrap_or_default();
        let mut words: Vec<String> = uri::parameters(uri, "command").collect();
        if words.is_empty() {
            words = self.event.texts(Slot::Command).map(str::to_owned).collect();
        }
        if !words.is_empty() {
            push_command(&words.join(" "), facts);
        }
        match uri::parameters(uri, "container").find(|name| !name.is_empty()) {
            Some(container) => facts.push_text(Field::K8sContainer, &container),
            None => self.event.alias_first(Slot::Container, Field::K8sContainer, facts),
        }
    }

    /// The body that says what was asked for. The response stands in where the request was not logged; what was merely read says nothing.
    fn body(&self) -> Option<&Gathered<'d>> {
        if !matches!(self.verb(), "create" | "update" | "patch") {
            return None;
        }
        let has_request = self.doc.containers().iter().any(|container| container.path == *REQUEST);
        Some(if has_request { &self.request } else { &self.response })
    }

    fn bodies(&self, facts: &mut Facts) {
        let (resource, subresource) = (self.resource(), self.subresource());
        let Some(body) = self.body() else {
            if ROLES.contains(&resource) {
                self.name().iter().for_each(|name| facts.push_text(Field::RbacRole, name));
            }
            return;
        };
        let is_workload = WORKLOADS.iter().any(|(known, _)| *known == resource) && subresource.is_empty();
        let is_pod = resource == "pods" && matches!(subresource, "" | "ephemeralcontainers");
        let namespace = self.event.text(Slot::Namespace);
        if is_pod || is_workload {
            body::pod_facts(self.doc, body, facts);
            if let Some(account) = body.text(BodySlot::ServiceAccount) {
                facts.push_text(Field::K8sServiceAccount, account);
                entities::service_account(namespace, Some(account), facts);
            }
        }
        if is_pod {
            body.alias_first(BodySlot::NodeName, Field::K8sNode, facts);
            entities::node(body.text(BodySlot::NodeName), facts);
            if let Some(owner) = body::owner(body).or_else(|| body::owner(&self.response)) {
                facts.push_text(Field::K8sWorkload, &owner);
                entities::workload(namespace, Some(&owner), facts);
            }
        }
        if ROLES.contains(&resource) {
            body::rbac_facts(body, facts);
            self.name().iter().for_each(|name| facts.push_text(Field::RbacRole, name));
        }
        if BINDINGS.contains(&resource) {
            body::rbac_facts(body, facts);
            // A patch that adds a subject does not name the role; the answer does.
            let role = body.text(BodySlot::RoleRefName).or_else(|| self.response.text(BodySlot::RoleRefName));
            role.iter().for_each(|name| facts.push_text(Field::RbacRole, name));
        }
    }

    /// What admission said: the denial's text is there at every audit level.
    fn policy(&self, facts: &mut Facts) {
        let message = self.event.text(Slot::Message).unwrap_or_default();
        let quoted = |after: &str, quote: char| message.split_once(after).and_then(|(_, rest)| rest.split_once(quote)).map(|(name, _)| name);
        let is_denied = !message.is_empty() && message.contains(" denied ");
        if is_denied && let Some(webhook) = quoted("admission webhook \"", '"') {
            decided(webhook, None, "deny", facts);
        } else if is_denied && let Some(policy) = quoted("ValidatingAdmissionPolicy '", '\'') {
            decided(policy, None, "deny", facts);
        } else if !message.is_empty()
            && let Some(level) = quoted("violates PodSecurity \"", '"')
        {
            decided("PodSecurity", Some(level), "deny", facts);
        } else if self.event.has(Slot::Violations) {
            decided("PodSecurity", None, "audit", facts);
        }
        for webhook in &self.failed_open {
            decided(webhook, None, "failed_open", facts);
        }
    }

    fn http(&self, facts: &mut Facts) {
        let leaf = self.event.each(Slot::Code).next();
        match (self.code(), leaf) {
            (Some(code), Some((leaf, text))) if leaf.kind != LeafKind::Number || text.len() != 3 => facts.push_number(Field::HttpStatus, code.into()),
            _ => self.event.alias(Slot::Code, Field::HttpStatus, facts),
        }
        self.event.alias_first(Slot::Message, Field::Message, facts);
        if let Some(text) = self.event.text(Slot::Uri) {
            facts.push_text(Field::HttpPath, uri::path(text));
        }
    }

    /// What an API server always writes. In a list of events the list has their version.
    fn incomplete(&self, place: &Place<'_>, times: &Times<'_>, facts: &mut Facts) {
        let has_version = place.envelope == EnvelopeKind::EventList || self.event.has(Slot::ApiVersion);
        let has_time = times.received().0.is_some() || times.staged().0.is_some();
        let parts =
            [("auditID", self.event.has(Slot::AuditId)), ("stage", self.event.has(Slot::Stage)), ("time", has_time), ("apiVersion", has_version)];
        parts.into_iter().filter(|(_, has)| !has).for_each(|(name, _)| facts.push_text(Field::EventIncomplete, name));
    }

    fn identity(&self, times: &Times<'_>, place: &Place<'_>) -> (crate::model::EventId, crate::model::ActId) {
        let event = &self.event;
        let (received, received_at) = times.received();
        let (staged, staged_at) = times.staged();
        let audit_id = event.text(Slot::AuditId);
        if received.is_none() && staged.is_none() && audit_id.is_none() {
            let id = position_id(place);
            return (id, act_of(id));
        }
        if crate::defect::is("dedup-on-audit-id") {
            let mut id = Identity::act(place);
            id.optional(audit_id);
            let (act, id) = id.and_event();
            return (id.event_id(), act);
        }
        let mut act = Identity::act(place);
        act.optional(audit_id);
        act.read_time(received, received_at);
        for slot in [Slot::UserName, Slot::Verb, Slot::Uri] {
            act.optional(event.text(slot));
        }
        let (act, mut id) = act.and_event();
        id.optional(event.text(Slot::Stage));
        id.read_time(staged, staged_at);
        id.optional(event.text(Slot::EffectiveName));
        id.list(event.texts(Slot::SourceIps));
        id.optional(self.code().map(|code| code.to_string()).as_deref().or_else(|| event.text(Slot::Code)));
        let id = id.event_id();
        // Without the time of receipt the stages of one request cannot be told from those of another with the same id.
        let is_known = audit_id.is_some() && received.is_some();
        (id, if is_known { act } else { act_of(id) })
    }
}

fn push_command(command: &str, facts: &mut Facts) {
    let cut = command.floor_char_boundary(COMMAND_BYTES_MAX);
    facts.push_text(Field::ExecCommand, &redact::mask(command.get(..cut).unwrap_or_default()));
}

fn decided(policy: &str, rule: Option<&str>, result: &str, facts: &mut Facts) {
    facts.push_text(Field::PolicyName, policy);
    rule.iter().for_each(|rule| facts.push_text(Field::PolicyRule, rule));
    facts.push_text(Field::PolicyResult, result);
}
