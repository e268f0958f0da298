//! Entities as CONTRACTS 2 spells them. [`Facts`] keeps each once.

use std::net::IpAddr;

use crate::model::{Facts, Field};

/// `pod:ns/name`; without a namespace a pod is not named.
pub(super) fn pod(namespace: Option<&str>, name: Option<&str>, facts: &mut Facts) {
    scoped("pod", namespace, name, facts);
}

/// `sa:ns/name`.
pub(super) fn service_account(namespace: Option<&str>, name: Option<&str>, facts: &mut Facts) {
    scoped("sa", namespace, name, facts);
}

/// `workload:ns/kind/name`, from `kind/name`.
pub(super) fn workload(namespace: Option<&str>, workload: Option<&str>, facts: &mut Facts) {
    scoped("workload", namespace, workload, facts);
}

/// `node:n1`.
pub(super) fn node(name: Option<&str>, facts: &mut Facts) {
    plain("node", name, facts);
}

/// `image:...`.
pub(super) fn image(name: Option<&str>, facts: &mut Facts) {
    plain("image", name, facts);
}

/// `ip:10.0.1.2`; what is no address names nothing.
pub(super) fn ip(address: Option<&str>, facts: &mut Facts) {
    plain("ip", address.filter(|text| is_ip(text)), facts);
}

/// As [`ip`], for a text that is known to be an address.
pub(super) fn known_ip(address: &str, facts: &mut Facts) {
    plain("ip", Some(address), facts);
}

/// Whether the text is an IP address.
pub(super) fn is_ip(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

fn scoped(kind: &str, namespace: Option<&str>, name: Option<&str>, facts: &mut Facts) {
    if let (Some(namespace), Some(name)) = (namespace.filter(|text| !text.is_empty()), name.filter(|text| !text.is_empty())) {
        facts.push_joined(Field::Entity, &[kind, ":", namespace, "/", name]);
    }
}

fn plain(kind: &str, name: Option<&str>, facts: &mut Facts) {
    if let Some(name) = name.filter(|text| !text.is_empty()) {
        facts.push_joined(Field::Entity, &[kind, ":", name]);
    }
}
