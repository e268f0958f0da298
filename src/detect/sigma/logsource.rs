//! Which events a rule is for, by its `logsource`.

use super::diagnostic::{Scope, suggest};
use super::yaml::Node;
use crate::detect::rule::LogSource;
use crate::model::Kind;

const KEYS: [&str; 4] = ["category", "product", "service", "definition"];

/// A log source as written, in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Written {
    product: Option<String>,
    category: Option<String>,
    service: Option<String>,
}

impl Written {
    /// Whether everything that this one says, the other says too.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let is_same = |own: &Option<String>, theirs: &Option<String>| own.is_none() || own == theirs;
        is_same(&self.product, &other.product) && is_same(&self.category, &other.category) && is_same(&self.service, &other.service)
    }

    /// Whether it is Kubernetes' own log.
    pub(super) fn is_kubernetes(&self) -> bool {
        self.product.as_deref() == Some("kubernetes")
    }
}

/// Reads a log source: which events are meant, and what was written. `None` in the rule is every kind.
pub(super) fn read(scope: &mut Scope<'_>, node: Option<&Node>) -> Option<(LogSource, Written)> {
    let Some(node) = node else { return Some((LogSource::Any, Written::default())) };
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
    let written = Written { product: product.clone(), category: category.clone(), service: service.clone() };
    let source = match product.as_deref() {
        Some("kubernetes") if is_audit => LogSource::Kind(Kind::K8sAudit),
        Some("falco") => LogSource::Kind(Kind::Falco),
        Some("cilium" | "hubble") => LogSource::Kind(Kind::Flow),
        Some("bartizan") => LogSource::Any,
        None if service.is_none() && category.is_none() => LogSource::Any,
        _ => {
            let shown = [("product", product), ("category", category), ("service", service)];
            let shown: Vec<String> = shown.into_iter().filter_map(|(key, value)| Some(format!("{key}: {}", value?))).collect();
            LogSource::NotApplicable(shown.join(", "))
        }
    };
    Some((source, written))
}
