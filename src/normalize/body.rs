//! Facts of object bodies: pod specs wherever they sit, role rules, subjects, owners.

use hashbrown::HashSet;

use super::entities;
use super::slots::{Gathered, Table, slots};
use crate::model::{Doc, Facts, Field, Leaf, Path};

slots!(BodySlot {
    HostNetwork "hostNetwork";
    HostPid "hostPID";
    HostIpc "hostIPC";
    ServiceAccount "serviceAccountName|serviceAccount";
    AutomountToken "automountServiceAccountToken";
    HostPath "volumes hostPath path";
    NodeName "nodeName";
    PodRunAsUser "securityContext runAsUser";
    Image "containers image|initContainers image|ephemeralContainers image";
    Command "containers command|initContainers command|containers args|initContainers args";
    EphemeralCommand "ephemeralContainers command|ephemeralContainers args";
    EphemeralName "ephemeralContainers name";
    HostPort "containers ports hostPort|initContainers ports hostPort";
    Privileged "containers securityContext privileged|initContainers securityContext privileged|ephemeralContainers securityContext privileged";
    Escalation "containers securityContext allowPrivilegeEscalation|initContainers securityContext allowPrivilegeEscalation|ephemeralContainers securityContext allowPrivilegeEscalation";
    Capability "containers securityContext capabilities add|initContainers securityContext capabilities add|ephemeralContainers securityContext capabilities add";
    ProcMount "containers securityContext procMount|initContainers securityContext procMount|ephemeralContainers securityContext procMount";
    RunAsUser "containers securityContext runAsUser|initContainers securityContext runAsUser|ephemeralContainers securityContext runAsUser";
    RoleRefName "";
    SubjectKind "";
    SubjectName "";
    SubjectNamespace "";
    RuleVerb "";
    RuleResource "";
    RuleApiGroup "";
    OwnerKind "";
    OwnerName "";
    TemplateHash "";
    Name "";
    Uid "";
});

/// Where a pod spec sits in a pod, a workload, a cron job and a pod template.
const SPECS: [&str; 4] = ["spec", "spec template spec", "spec jobTemplate spec template spec", "template spec"];

/// Paths from the top of the object.
const TOP: &[(BodySlot, &str)] = &[
    (BodySlot::RoleRefName, "roleRef name"),
    (BodySlot::SubjectKind, "subjects kind"),
    (BodySlot::SubjectName, "subjects name"),
    (BodySlot::SubjectNamespace, "subjects namespace"),
    (BodySlot::RuleVerb, "rules verbs"),
    (BodySlot::RuleResource, "rules resources"),
    (BodySlot::RuleApiGroup, "rules apiGroups"),
    (BodySlot::OwnerKind, "metadata ownerReferences kind"),
    (BodySlot::OwnerName, "metadata ownerReferences name"),
    (BodySlot::TemplateHash, "metadata labels pod-template-hash"),
    (BodySlot::Name, "metadata name"),
    (BodySlot::Uid, "metadata uid"),
];

/// Adds the paths of a body under one root (`requestObject`) to a table.
pub(super) fn add_paths<S: Copy>(root: &str, slot: impl Fn(BodySlot) -> S, table: &mut Table<S>) {
    for (body, path) in TOP {
        table.insert(Path::of([root].into_iter().chain(path.split(' '))), slot(*body));
    }
    for spec in SPECS {
        for (body, paths) in BodySlot::ROWS.iter().filter(|(_, paths)| !paths.is_empty()) {
            for path in paths.split('|') {
                table.insert(Path::of([root].into_iter().chain(spec.split(' ')).chain(path.split(' '))), slot(*body));
            }
        }
    }
}

/// The facts of a pod spec.
pub(super) fn pod_facts(doc: &Doc, body: &Gathered<'_>, facts: &mut Facts) {
    flag(body, BodySlot::HostNetwork, Field::PodHostNetwork, facts);
    flag(body, BodySlot::HostPid, Field::PodHostPid, facts);
    flag(body, BodySlot::HostIpc, Field::PodHostIpc, facts);
    flag(body, BodySlot::Privileged, Field::PodPrivileged, facts);
    flag(body, BodySlot::Escalation, Field::PodAllowPrivilegeEscalation, facts);
    flag(body, BodySlot::AutomountToken, Field::PodAutomountToken, facts);
    body.alias(BodySlot::HostPort, Field::PodHostPorts, facts);
    for (slot, field) in [
        (BodySlot::HostPath, Field::PodHostPaths),
        (BodySlot::Image, Field::PodImages),
        (BodySlot::ProcMount, Field::PodProcMount),
        (BodySlot::ServiceAccount, Field::PodServiceAccount),
    ] {
        body.texts(slot).filter(|text| !text.is_empty()).for_each(|text| facts.push_text(field, text));
    }
    for capability in body.texts(BodySlot::Capability) {
        let name = capability.to_ascii_uppercase();
        facts.push_text(Field::PodCapabilities, name.strip_prefix("CAP_").unwrap_or(&name));
    }
    for command in commands(doc, body, BodySlot::Command).into_iter().chain(commands(doc, body, BodySlot::EphemeralCommand)) {
        facts.push_text(Field::PodCommands, &command);
    }
    if let Some(is_root) = runs_as_root(doc, body) {
        facts.push_bool(Field::PodRunAsRoot, is_root);
    }
    for image in body.texts(BodySlot::Image) {
        entities::image(Some(image), facts);
    }
}

/// True if any says true, false if all that speak say false, and nothing if none speaks.
fn flag(body: &Gathered<'_>, slot: BodySlot, field: Field, facts: &mut Facts) {
    if body.has(slot) {
        facts.push_bool(field, body.texts(slot).any(|text| text == "true"));
    }
}

/// The object around a leaf: of an element of a list, the one that has the list.
fn object_of(doc: &Doc, leaf: &Leaf) -> u32 {
    match doc.containers().get(leaf.parent as usize) {
        Some(parent) if parent.is_array => parent.parent,
        _ => leaf.parent,
    }
}

/// Commands and arguments, joined by blanks, one a container.
pub(super) fn commands(doc: &Doc, body: &Gathered<'_>, slot: BodySlot) -> Vec<String> {
    let mut found: Vec<(u32, String)> = Vec::new();
    for (leaf, text) in body.each(slot) {
        let object = object_of(doc, leaf);
        match found.last_mut() {
            Some((known, command)) if *known == object => {
                command.push(' ');
                command.push_str(text);
            }
            _ => found.push((object, text.to_owned())),
        }
    }
    found.into_iter().map(|(_, command)| command).collect()
}

/// A container runs as user 0 if it says so, or if the pod does and the container says nothing. None: nobody says anything.
fn runs_as_root(doc: &Doc, body: &Gathered<'_>) -> Option<bool> {
    if !body.has(BodySlot::RunAsUser) && !body.has(BodySlot::PodRunAsUser) {
        return None;
    }
    if body.texts(BodySlot::RunAsUser).any(is_root) {
        return Some(true);
    }
    if !body.texts(BodySlot::PodRunAsUser).any(is_root) {
        return Some(false);
    }
    // The user stands in the container's `securityContext`, the image in the container itself.
    let own: HashSet<u32> =
        body.each(BodySlot::RunAsUser).filter_map(|(leaf, _)| doc.containers().get(leaf.parent as usize)).map(|context| context.parent).collect();
    let mut containers = body.each(BodySlot::Image).map(|(leaf, _)| leaf.parent).peekable();
    Some(containers.peek().is_none() || containers.any(|container| !own.contains(&container)))
}

/// User 0, also as a double, which protobuf makes of numbers.
fn is_root(user: &str) -> bool {
    matches!(user, "0" | "0.0")
}

/// Who is bound and what is granted.
pub(super) fn rbac_facts(body: &Gathered<'_>, facts: &mut Facts) {
    for (slot, field) in
        [(BodySlot::RuleVerb, Field::RbacVerbs), (BodySlot::RuleResource, Field::RbacResources), (BodySlot::RuleApiGroup, Field::RbacApiGroups)]
    {
        body.texts(slot).for_each(|text| facts.push_text(field, text));
    }
    for (leaf, name) in body.each(BodySlot::SubjectName) {
        let sibling = |slot| body.each(slot).find(|(other, _)| other.parent == leaf.parent).map(|(_, text)| text);
        match sibling(BodySlot::SubjectKind) {
            Some("ServiceAccount") => {
                let spelled = format!("sa:{}/{name}", sibling(BodySlot::SubjectNamespace).unwrap_or("default"));
                facts.push_text(Field::RbacSubjects, &spelled);
                facts.push_text(Field::Entity, &spelled);
            }
            Some("Group") => facts.push_joined(Field::RbacSubjects, &["group:", name]),
            _ => {
                facts.push_joined(Field::RbacSubjects, &["user:", name]);
                facts.push_joined(Field::Entity, &["user:", name]);
            }
        }
    }
}

/// The workload that owns a pod, as `deployment/web`. A replica set whose name ends in the pod's template hash belongs to the deployment of the rest.
pub(super) fn owner(body: &Gathered<'_>) -> Option<String> {
    let (kind, name) = (body.text(BodySlot::OwnerKind)?, body.text(BodySlot::OwnerName)?);
    if kind == "ReplicaSet"
        && let Some(hash) = body.text(BodySlot::TemplateHash)
        && let Some(deployment) = name.strip_suffix(hash).and_then(|rest| rest.strip_suffix('-')).filter(|rest| !rest.is_empty())
    {
        return Some(format!("deployment/{deployment}"));
    }
    Some(format!("{}/{name}", kind.to_ascii_lowercase()))
}
