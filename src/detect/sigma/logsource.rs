//! Which events a rule is for, by its `logsource`.

use super::diagnostic::{Scope, suggest};
use super::yaml::Node;
use crate::detect::rule::LogSource;
use crate::model::Kind;

const KEYS: [&str; 4] = ["category", "product", "service", "definition"];

/// Reads a log source. `None` in the rule is every kind.
pub(super) fn read(scope: &mut Scope<'_>, node: Option<&Node>) -> Option<LogSource> {
    let Some(node) = node else { return Some(LogSource::Any) };
    let Some(entries) = node.entries() else {
        scope.error(node.at, "bad-logsource", format!("`logsource` is {}; a map is wanted", node.kind()), "product, service, category");
        return None;
    };
    for entry in entries.iter().filter(|entry| !KEYS.contains(&entry.key.as_str())) {
        scope.warning(entry.at, "unknown-key", format!("unknown key `{}` in logsource", entry.key.escape_debug()), suggest(&entry.key, &KEYS));
    }
    let read = |key: &str| node.get(key).and_then(Node::spelled).map(|text| text.trim().to_lowercase()).filter(|text| !text.is_empty());
    let (product, service, category) = (read("product"), read("service"), read("category"));
    let is_audit = service.as_deref() == Some("audit") || category.as_deref() == Some("audit");
    Some(match product.as_deref() {
        Some("kubernetes") if is_audit => LogSource::Kind(Kind::K8sAudit),
        Some("falco") => LogSource::Kind(Kind::Falco),
        Some("cilium" | "hubble") => LogSource::Kind(Kind::Flow),
        Some("bartizan") => LogSource::Any,
        None if service.is_none() && category.is_none() => LogSource::Any,
        _ => {
            if product.as_deref() == Some("kubernetes") {
                scope.warning(node.at, "inapplicable-logsource", "of Kubernetes only the audit log is read", "add `service: audit`");
            }
            let written = [("product", product), ("category", category), ("service", service)];
            let written: Vec<String> = written.into_iter().filter_map(|(key, value)| Some(format!("{key}: {}", value?))).collect();
            LogSource::NotApplicable(written.join(", "))
        }
    })
}
