//! Secrets that can be told by where they stand: data of Secret objects, values of fields and variables that are named for secrets.

use std::sync::{Arc, LazyLock};

use aho_corasick::{AhoCorasick, AhoCorasickKind};
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
/// Bytes of a key that is looked at: the longest name with all its hyphens.
const KEY_BYTES_MAX: usize = 24;
/// Bytes of a name that is looked at.
const NAME_BYTES_MAX: usize = 128;
/// How near a sibling is looked for, in leaves.
const SIBLINGS_MAX: usize = 8;
/// Objects of kind Secret that one record may hold.
const BASES_MAX: usize = 64;
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Parts of names, without regard to case.
static PARTS: LazyLock<AhoCorasick> = LazyLock::new(|| {
    AhoCorasick::builder().ascii_case_insensitive(true).kind(Some(AhoCorasickKind::DFA)).build(NAME_PARTS).expect("a few words fit an automaton")
});
static RESOURCE: LazyLock<Path> = LazyLock::new(|| Path::of(["objectRef", "resource"]));
static CALLED: LazyLock<Path> = LazyLock::new(|| Path::of(["protoPayload", "resourceName"]));

/// Names of members whose values are masked besides those that are known to hold secrets, whatever the values are and whatever is in them. Case,
/// `_`, `-` and spaces do not count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names(Arc<HashSet<Box<[u8]>>>);

impl Names {
    /// These. One longer than 128 bytes names nothing.
    pub fn new<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let mut buffer = [0; NAME_BYTES_MAX];
        let fitting = names.into_iter().filter(|name| (1..=NAME_BYTES_MAX).contains(&name.len()));
        Self(Arc::new(fitting.map(|name| Box::from(plain_into(name, &mut buffer))).collect()))
    }

    fn has(&self, key: &str) -> bool {
        key.len() <= NAME_BYTES_MAX && self.0.contains(plain_into(key, &mut [0; NAME_BYTES_MAX]))
    }

    /// Whether a leaf stands under one of them, or in what does.
    fn cover(&self, doc: &Doc, leaf: &Leaf) -> bool {
        if self.0.is_empty() {
            return false;
        }
        if self.has(doc.key(leaf)) {
            return true;
        }
        let mut at = leaf.parent;
        while let Some(container) = doc.containers().get(at as usize) {
            if self.has(doc.container_key(container)) {
                return true;
            }
            if container.parent == at {
                return false;
            }
            at = container.parent;
        }
        false
    }
}

/// What the key of a leaf says of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyRole {
    None,
    /// A text under it is a secret.
    Secret,
    /// A sibling has the name that tells.
    Value,
    /// Its text says whether the record is about Secrets.
    Calls,
}

/// The role of a leaf's key. It is the same for every leaf of that path.
pub(super) fn role(doc: &Doc, leaf: &Leaf, names: &Names) -> KeyRole {
    let key = doc.key(leaf);
    match class_of_key(key) {
        Some(_) => KeyRole::Secret,
        None if leaf.path == *CALLED => KeyRole::Calls,
        None if names.cover(doc, leaf) => KeyRole::Secret,
        None if key == "value" => KeyRole::Value,
        None => KeyRole::None,
    }
}

/// Whether a text looks like an object or a list as a whole.
pub(super) fn is_json(text: &str) -> bool {
    // Most texts begin like a word.
    if text.as_bytes().first().is_none_or(u8::is_ascii_alphanumeric) {
        return false;
    }
    let text = text.trim_ascii();
    matches!((text.as_bytes().first(), text.as_bytes().last()), (Some(b'{'), Some(b'}')) | (Some(b'['), Some(b']')))
}

/// By byte: whether the name of a flag for a secret can begin with it, after `--`.
pub(super) fn flag_starts() -> [bool; 256] {
    let mut starts = [false; 256];
    let firsts = KEYS.iter().filter_map(|(key, _)| key.bytes().next()).flat_map(|first| [first, first.to_ascii_uppercase()]);
    for first in firsts.chain((0..=255).filter(|byte| is_separator(*byte))) {
        starts[usize::from(first)] = true;
    }
    starts
}

/// Paths below which every value is a Secret's data. Of the leaves those have to be given whose text has the word in it.
pub(super) fn hidden_paths(doc: &Doc, kind: Kind, leaves: impl Iterator<Item = usize>) -> HashSet<Path> {
    let mut bases: Vec<Path> = Vec::new();
    let mut hidden = HashSet::new();
    let (mut is_of_secrets, mut is_called) = (false, false);
    for leaf in leaves.filter_map(|at| doc.leaves().get(at)).filter(|leaf| leaf.kind == LeafKind::Text) {
        let text = doc.value(leaf).text;
        is_of_secrets |= leaf.path == *RESOURCE && text.eq_ignore_ascii_case("secrets");
        is_called |= leaf.path == *CALLED && text.split('/').any(|part| part == "secrets");
        if matches!(text, "Secret" | "SecretList") && doc.key(leaf) == "kind" && bases.len() < BASES_MAX {
            bases.extend(doc.containers().get(leaf.parent as usize).map(|parent| parent.path));
        }
    }
    if kind == Kind::K8sAudit && is_of_secrets && doc.text_at(*RESOURCE).is_some_and(|resource| resource.eq_ignore_ascii_case("secrets")) {
        let request = Path::of(["requestObject"]);
        bases.extend([request, Path::of(["responseObject"])]);
        // Values of a JSON patch; a body that is a mere text or was cut whole.
        hidden.extend([request.child("value")]);
    }
    // GKE's audit entries have the same bodies elsewhere, and name what they are about in one text.
    if kind == Kind::K8sAudit && is_called {
        let called = Path::of(["protoPayload"]);
        let request = called.child("request");
        bases.extend([request, called.child("response")]);
        hidden.extend([request.child("value")]);
    }
    for base in bases {
        for object in [base, base.child("items"), base.child("object")] {
            let annotations = object.child("metadata").child("annotations");
            hidden.extend([object.child("data"), object.child("stringData"), annotations.child(LAST_APPLIED)]);
        }
    }
    hidden
}

/// Whether a leaf lies at one of the paths or below.
pub(super) fn is_under(doc: &Doc, leaf: &Leaf, hidden: &HashSet<Path>) -> bool {
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

/// A secret by the name of its field, its variable or its flag.
pub(super) fn named(doc: &Doc, at: usize, leaf: &Leaf, names: &Names) -> Option<Class> {
    match leaf.kind {
        LeafKind::Text => named_as(doc, at, leaf, doc.value(leaf).text, names),
        // What the configuration names goes whatever it is.
        _ => names.cover(doc, leaf).then_some(Class::Configured),
    }
}

/// As [`named`], if its value were this text.
pub(super) fn named_as(doc: &Doc, at: usize, leaf: &Leaf, text: &str, names: &Names) -> Option<Class> {
    if text.starts_with(MARK) {
        return None;
    }
    let key = doc.key(leaf);
    if let Some(class) = class_of_key(key) {
        return Some(class);
    }
    if names.cover(doc, leaf) {
        return Some(Class::Configured);
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
    let is_plain =
        text.is_empty() || text.starts_with('/') || text.starts_with("$(") || text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if is_plain || matches!(text, "true" | "false") {
        return None;
    }
    let from = at.saturating_sub(SIBLINGS_MAX);
    let near = doc.leaves().get(from..(at + SIBLINGS_MAX).min(doc.leaves().len()))?;
    let name = near.iter().find(|other| other.parent == leaf.parent && matches!(doc.key(other), "name" | "key" | "path"))?;
    is_secret_name(doc.value(name).text).then_some(Class::Credential)
}

/// The class of what stands under a key that is named for secrets.
pub(super) fn class_of_key(key: &str) -> Option<Class> {
    if !(5..=KEY_BYTES_MAX).contains(&key.len()) || !key.is_ascii() {
        return None;
    }
    let mut plain = [0; KEY_BYTES_MAX];
    let plain = plain_into(key, &mut plain);
    KEYS.iter().find(|(known, _)| known.as_bytes() == plain).map(|(_, class)| *class)
}

/// A name in lower case and without separators. It fits the buffer.
fn plain_into<'b>(name: &str, buffer: &'b mut [u8]) -> &'b [u8] {
    let mut len = 0;
    for (to, byte) in buffer.iter_mut().zip(name.bytes().filter(|byte| !is_separator(*byte))) {
        *to = byte.to_ascii_lowercase();
        len += 1;
    }
    buffer.get(..len).unwrap_or_default()
}

/// What may stand between the words of a name.
fn is_separator(byte: u8) -> bool {
    matches!(byte, b'_' | b'-' | b' ')
}

/// Of a variable, a header, or the last segment of a patch's path.
fn is_secret_name(name: &str) -> bool {
    // What was taken out of a name says nothing: the name as it came has been judged.
    if name.contains(MARK) {
        return false;
    }
    let name = name.rsplit('/').next().unwrap_or(name);
    let mut plain = [0; NAME_BYTES_MAX];
    if name.len() > plain.len() {
        return false;
    }
    let plain = plain_into(name, &mut plain);
    plain.ends_with(b"authorization") || PARTS.is_match(plain) && !NAME_ENDS.iter().any(|end| plain.ends_with(end.as_bytes()))
}
