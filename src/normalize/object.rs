//! The Kubernetes object that a policy result, finding or event is about, as facts.

use super::entities;
use super::slots::{Gathered, Slot};
use crate::model::{Facts, Field};

/// Kinds that are workloads, as `k8s.workload` spells them.
const WORKLOADS: &[&str] = &["deployment", "daemonset", "statefulset", "replicaset", "replicationcontroller", "job", "cronjob"];

/// Objects of one record that become facts. Past it the record is flagged as truncated.
const OBJECTS_MAX: usize = 256;

/// What a record says of an object; what it does not say is none or empty.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Object<'a> {
    /// `v1`, `apps/v1`.
    pub(super) api_version: Option<&'a str>,
    /// In singular, as objects have it: `Pod`.
    pub(super) kind: Option<&'a str>,
    pub(super) namespace: Option<&'a str>,
    pub(super) name: Option<&'a str>,
    pub(super) uid: Option<&'a str>,
}

impl Object<'_> {
    /// Adds its facts and the entity it is. May be called for any number of objects.
    pub(super) fn push(&self, facts: &mut Facts) {
        let said = |text: Option<&'_ str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        let (namespace, name, kind) = (said(self.namespace), said(self.name), said(self.kind).map(|kind| kind.to_ascii_lowercase()));
        let mut fact = |field: Field, text: Option<&str>| {
            if let Some(text) = text {
                facts.push_text(field, text);
            }
        };
        fact(Field::K8sNamespace, namespace.as_deref());
        fact(Field::K8sName, name.as_deref());
        let Some(kind) = kind else { return };
        fact(Field::K8sResource, Some(&plural(&kind)));
        if let Some(version) = self.api_version.filter(|version| !version.is_empty()) {
            fact(Field::K8sApiGroup, Some(version.split_once('/').map_or("", |(group, _)| group)));
        }
        let Some(name) = name.as_deref() else { return };
        match kind.as_str() {
            "pod" => {
                fact(Field::K8sPod, Some(name));
                fact(Field::K8sPodUid, said(self.uid).as_deref());
                entities::pod(namespace.as_deref(), Some(name), facts);
            }
            "node" => {
                fact(Field::K8sNode, Some(name));
                entities::node(Some(name), facts);
            }
            "namespace" => fact(Field::K8sNamespace, Some(name)),
            "serviceaccount" => {
                fact(Field::K8sServiceAccount, Some(name));
                entities::service_account(namespace.as_deref(), Some(name), facts);
            }
            workload if WORKLOADS.contains(&workload) => {
                let spelled = format!("{workload}/{name}");
                fact(Field::K8sWorkload, Some(&spelled));
                entities::workload(namespace.as_deref(), Some(&spelled), facts);
            }
            _ => {}
        }
    }
}

/// Adds every object of a record: those whose members (API version, kind, namespace, name, uid) are in these slots and stand in one JSON object.
/// Says whether there were more than are read.
pub(super) fn push_each<S: Slot>(fields: &Gathered<'_>, [api_version, kind, namespace, name, uid]: [S; 5], facts: &mut Facts) -> bool {
    for (leaf, kind) in fields.each(kind).take(OBJECTS_MAX) {
        let beside = |slot: S| fields.each(slot).find(|(other, _)| other.parent == leaf.parent).map(|(_, text)| text);
        let object =
            Object { api_version: beside(api_version), kind: Some(kind), namespace: beside(namespace), name: beside(name), uid: beside(uid) };
        object.push(facts);
    }
    fields.each(kind).nth(OBJECTS_MAX).is_some()
}

/// The resource of a kind in lower case: `networkpolicies`.
fn plural(kind: &str) -> String {
    match kind {
        "endpoints" => kind.to_owned(),
        _ if kind.ends_with('s') => format!("{kind}es"),
        _ => match kind.strip_suffix('y') {
            Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{stem}ies"),
            _ => format!("{kind}s"),
        },
    }
}

/// `k8s.node` and its entity; Hubble writes `cluster/node`.
pub(super) fn push_node(name: Option<&str>, facts: &mut Facts) {
    if let Some(node) = name.map(|name| name.rsplit('/').next().unwrap_or(name)).filter(|name| !name.is_empty()) {
        facts.push_text(Field::K8sNode, node);
        entities::node(Some(node), facts);
    }
}

/// `k8s.container_id`: 12 digits, without the runtime in front.
pub(super) fn push_container_id(id: Option<&str>, facts: &mut Facts) {
    if let Some(id) = id.map(|id| id.rsplit("//").next().unwrap_or(id)).filter(|id| !id.is_empty()) {
        facts.push_text(Field::K8sContainerId, id.get(..12).unwrap_or(id));
    }
}

/// `k8s.image` and its entity.
pub(super) fn push_image(image: Option<&str>, facts: &mut Facts) {
    if let Some(image) = image.filter(|image| !image.is_empty()) {
        facts.push_text(Field::K8sImage, image);
        entities::image(Some(image), facts);
    }
}

#[cfg(test)]
mod tests {
    use super::plural;

    #[test]
    fn kinds_have_plurals() {
        for (kind, expected) in
            [("pod", "pods"), ("ingress", "ingresses"), ("networkpolicy", "networkpolicies"), ("gateway", "gateways"), ("endpoints", "endpoints")]
        {
            assert_eq!(plural(kind), expected);
        }
    }
}
