//! Secrets that can be told by where they stand: data of Secret objects, values of fields and variables that are named for secrets.

use hashbrown::HashSet;

use super::{Class, MARK};
use crate::model::{Doc, Kind, Leaf, LeafKind, Path};

/// Keys whose text is a secret, in lower case and without `_` and `-`.
const KEYS: &[(&str, Class)] = &[
    ("token", Class::Token),
    ("accesstoken", Class::Token),
    ("refreshtoken", Class::Token),
    ("idtoken", Class::Token),
    ("authtoken", Class::Token),
    ("sessiontoken", Class::Token),
    ("bearertoken", Class::Token),
    ("password", Class::Credential),
    ("passwd", Class::Credential),
    ("passphrase", Class::Credential),
    ("clientsecret", Class::Credential),
    ("clientkeydata", Class::Credential),
    ("secretkey", Class::Credential),
    ("secretaccesskey", Class::Credential),
    ("awssecretaccesskey", Class::Credential),
    ("privatekey", Class::Credential),
    ("apikey", Class::Credential),
];
/// Parts of the names of variables that hold secrets.
const NAME_PARTS: &[&str] = &["password", "passwd", "passphrase", "secret", "token", "apikey", "privatekey", "accesskey", "cookie"];
/// Ends of names that only point at a secret, or tell about it.
const NAME_ENDS: &[&str] = &["file", "path", "name", "id", "ttl", "url", "dir", "ref", "type", "enabled", "audience", "issuer"];
/// How near a sibling is looked for, in leaves.
const SIBLINGS_MAX: usize = 8;
/// Objects of kind Secret that one record may hold.
const BASES_MAX: usize = 64;
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The leaves that are secrets as a whole, in order.
pub(super) fn whole_values(doc: &Doc, kind: Kind) -> Vec<(usize, Class)> {
    let hidden = hidden_paths(doc, kind);
    let mut found = Vec::new();
    let leaves = doc.leaves();
    for (at, leaf) in leaves.iter().enumerate() {
        if !matches!(leaf.kind, LeafKind::Text | LeafKind::Number | LeafKind::Raw) {
            continue;
        }
        let class = if !hidden.is_empty() && is_under(doc, leaf, &hidden) { Some(Class::SecretData) } else { named(doc, at, leaf) };
        if let Some(class) = class {
            found.push((at, class));
        }
    }
    found
}

/// Paths below which every value is a Secret's data.
fn hidden_paths(doc: &Doc, kind: Kind) -> HashSet<Path> {
    let mut bases: Vec<Path> = Vec::new();
    let mut hidden = HashSet::new();
    if kind == Kind::K8sAudit && doc.text_at(Path::of(["objectRef", "resource"])).is_some_and(|resource| resource.eq_ignore_ascii_case("secrets")) {
        let request = Path::of(["requestObject"]);
        bases.extend([request, Path::of(["responseObject"])]);
        // Values of a JSON patch; a body that is a mere text or was cut whole.
        hidden.extend([request.child("value")]);
    }
    // GKE's audit entries have the same bodies elsewhere, and name what they are about in one text.
    let called = Path::of(["protoPayload"]);
    if kind == Kind::K8sAudit && doc.text_at(called.child("resourceName")).is_some_and(|name| name.split('/').any(|part| part == "secrets")) {
        let request = called.child("request");
        bases.extend([request, called.child("response")]);
        hidden.extend([request.child("value")]);
    }
    for leaf in doc.leaves() {
        if leaf.kind == LeafKind::Text
            && doc.key(leaf) == "kind"
            && matches!(doc.value(leaf).text, "Secret" | "SecretList")
            && bases.len() < BASES_MAX
        {
            bases.extend(doc.containers().get(leaf.parent as usize).map(|parent| parent.path));
        }
    }
    for base in bases {
        for object in [base, base.child("items"), base.child("object")] {
            let annotations = object.child("metadata").child("annotations");
            hidden.extend([object.child("data"), object.child("stringData"), annotations.child(LAST_APPLIED)]);
        }
    }
    hidden
}

fn is_under(doc: &Doc, leaf: &Leaf, hidden: &HashSet<Path>) -> bool {
    if hidden.contains(&leaf.path) {
        return true;
    }
    let mut at = leaf.parent;
    while let Some(container) = doc.containers().get(at as usize) {
        if hidden.contains(&container.path) {
            return true;
        }
        if container.parent == at {
            return false;
        }
        at = container.parent;
    }
    false
}

fn named(doc: &Doc, at: usize, leaf: &Leaf) -> Option<Class> {
    if leaf.kind == LeafKind::Text { named_as(doc, at, leaf, doc.value(leaf).text) } else { None }
}

/// A secret by the name of its field, its variable or its flag, if its value were this text.
pub(super) fn named_as(doc: &Doc, at: usize, leaf: &Leaf, text: &str) -> Option<Class> {
    if text.starts_with(MARK) {
        return None;
    }
    let key = doc.key(leaf);
    if let Some(class) = class_of_key(key) {
        return Some(class);
    }
    let is_list = doc.containers().get(leaf.parent as usize).is_some_and(|parent| parent.is_array);
    if is_list {
        // `["--password", "hunter2"]`
        let before = at.checked_sub(1).and_then(|at| doc.leaves().get(at)).filter(|before| before.parent == leaf.parent)?;
        let flag = doc.value(before).text.strip_prefix("--")?;
        return class_of_key(flag).filter(|_| !text.starts_with('-'));
    }
    if key != "value" {
        return None;
    }
    let from = at.saturating_sub(SIBLINGS_MAX);
    let near = doc.leaves().get(from..(at + SIBLINGS_MAX).min(doc.leaves().len()))?;
    let name = near.iter().find(|other| other.parent == leaf.parent && matches!(doc.key(other), "name" | "key" | "path"))?;
    let is_plain =
        text.is_empty() || text.starts_with('/') || text.starts_with("$(") || text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    (is_secret_name(doc.value(name).text) && !is_plain && !matches!(text, "true" | "false")).then_some(Class::Credential)
}

/// Lower case, without `_`, `-` and blanks.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).map(|c| c.to_ascii_lowercase()).collect()
}

fn class_of_key(key: &str) -> Option<Class> {
    // The longest name with all its hyphens.
    if !(5..=24).contains(&key.len()) || !key.is_ascii() {
        return None;
    }
    let key = plain(key);
    KEYS.iter().find(|(known, _)| *known == key).map(|(_, class)| *class)
}

/// Of a variable, a header, or the last segment of a patch's path.
fn is_secret_name(name: &str) -> bool {
    let name = name.rsplit('/').next().unwrap_or(name);
    if name.len() > 128 {
        return false;
    }
    let name = plain(name);
    name.ends_with("authorization") || NAME_PARTS.iter().any(|part| name.contains(part)) && !NAME_ENDS.iter().any(|end| name.ends_with(end))
}
