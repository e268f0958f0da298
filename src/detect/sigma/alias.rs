//! Names that public rules for Kubernetes use and no audit event has, and what stands in their place.
//!
//! Only rules of `product: kubernetes` are read so, and each time is noted. A mapping in the settings goes first, and `raw.<name>` is the name itself.

use super::diagnostic::Scope;
use super::yaml::{Mark, Node};
use crate::detect::rule::{Part, Place, Test};

/// The code of each note that something else is asked than is written.
pub const ALIAS_USED: &str = "alias-used";

/// A name, and the field that is asked instead.
struct Name {
    written: &'static str,
    /// The alias is for these values only, without regard to case; none is any.
    values: &'static [&'static str],
    field: &'static str,
    reason: &'static str,
}

const NAMES: [Name; 8] = [
    Name { written: "hostPath", values: &[], field: "pod.host_paths", reason: "mounts of the node are part of the pod's specification" },
    Name { written: "capabilities", values: &[], field: "pod.capabilities", reason: "capabilities are part of each container's security context" },
    Name { written: "privileged", values: &[], field: "pod.privileged", reason: "it is part of each container's security context" },
    Name { written: "hostNetwork", values: &[], field: "pod.host_network", reason: "it is part of the pod's specification" },
    Name { written: "hostPID", values: &[], field: "pod.host_pid", reason: "it is part of the pod's specification" },
    Name { written: "hostIPC", values: &[], field: "pod.host_ipc", reason: "it is part of the pod's specification" },
    Name { written: "apiGroup", values: &[], field: "k8s.api_group", reason: "the group is part of `objectRef`" },
    Name {
        written: "responseStatus.code",
        values: &["allow", "forbid"],
        field: "annotations.authorization.k8s.io/decision",
        reason: "the code is a number; what the authorizer decided is an annotation",
    },
];

/// The made-up name that leads to this field, whatever its values.
pub(in crate::detect) fn stands_for(field: &str) -> Option<&'static str> {
    NAMES.iter().find(|alias| alias.field == field && alias.values.is_empty()).map(|alias| alias.written)
}

/// A value that a field never has, and the one it has instead.
struct Value {
    fields: [&'static str; 2],
    written: &'static str,
    value: &'static str,
    reason: &'static str,
}

const VALUES: [Value; 1] = [Value {
    fields: ["verb", "k8s.verb"],
    written: "replace",
    value: "update",
    reason: "`replace` is a command of kubectl; its request has the verb `update`",
}];

/// The name of the field that is asked; the one written, if it has no alias.
pub(super) fn name<'n>(scope: &mut Scope<'_>, at: Mark, written: &'n str, values: &[Node]) -> &'n str {
    if !scope.has_aliases || !scope.within.is_empty() || scope.settings.field_mappings.contains_key(written) {
        return written;
    }
    let is_meant = |alias: &Name| {
        let is_known = |node: &Node| node.text().is_some_and(|text| alias.values.iter().any(|known| known.eq_ignore_ascii_case(text)));
        alias.written == written && (alias.values.is_empty() || values.iter().all(is_known))
    };
    let Some(alias) = NAMES.iter().find(|alias| is_meant(alias)) else { return written };
    let message = format!("no audit event has `{written}` as it is asked for here; `{}` is asked instead: {}", alias.field, alias.reason);
    scope.note(at, ALIAS_USED, message, format!("write `{}`", alias.field));
    alias.field
}

/// Puts values that the field has in the place of those it never has.
pub(super) fn values(scope: &mut Scope<'_>, at: Mark, field: &str, tests: &mut [Test]) {
    if !scope.has_aliases || !scope.within.is_empty() {
        return;
    }
    for test in tests {
        let Test::Text { pattern, .. } = test else { continue };
        let (Place::Whole, [Part::Text(text)]) = (pattern.place, pattern.parts.as_mut_slice()) else { continue };
        let is_meant = |alias: &&Value| alias.fields.contains(&field) && alias.written.eq_ignore_ascii_case(text);
        let Some(alias) = VALUES.iter().find(is_meant) else { continue };
        let message = format!("no audit event has the {field} `{text}`; `{}` is asked instead: {}", alias.value, alias.reason);
        alias.value.clone_into(text);
        scope.note(at, ALIAS_USED, message, format!("write `{}`", alias.value));
    }
}
