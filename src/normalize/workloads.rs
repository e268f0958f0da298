//! Which containers may speak for the systems of the cluster. A pod prints what it likes: without this, a line of its output could pass for the
//! API server's word.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use crate::model::{Emitter, Kind, Kinds};

/// What a container can not claim unless it is listed: the kinds that stand for another system's word.
const GUARDED: &[Kind] = &[Kind::K8sAudit, Kind::Falco, Kind::Flow, Kind::CloudAudit, Kind::SourceHealth];

/// Who is listed where the config says nothing: the usual installations.
const DEFAULT: &[&str] = &[
    "kube-system/kube-apiserver-*: k8s_audit",
    "falco/*: falco",
    "falco-system/*: falco",
    "kube-system/falco-*: falco",
    "kube-system/cilium-*: flow",
    "kube-system/hubble-*: flow",
    "cilium/*: flow",
    "cilium-system/*: flow",
];

static BUILT_IN: LazyLock<Workloads> =
    LazyLock::new(|| Workloads(DEFAULT.iter().map(|line| line.parse().expect("a test reads the built-in lines")).collect()));

/// A line of the list: `NAMESPACE/POD: KIND, KIND`, with `*` for any run of characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    namespace: String,
    pod: String,
    kinds: Kinds,
}

/// Why a line is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadWorkload(String);

impl fmt::Display for BadWorkload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadWorkload {}

impl FromStr for Workload {
    type Err = BadWorkload;

    fn from_str(line: &str) -> Result<Self, BadWorkload> {
        let bad = |why: String| BadWorkload(format!("{why}: write `NAMESPACE/POD: KIND`, such as `falco/*: falco`"));
        let (who, kinds) = line.split_once(':').ok_or_else(|| bad("a colon is missing".to_owned()))?;
        let (namespace, pod) = who.trim().split_once('/').ok_or_else(|| bad("a slash is missing".to_owned()))?;
        if namespace.is_empty() || pod.is_empty() {
            return Err(bad("the namespace or the pod is missing".to_owned()));
        }
        let kind = |name: &str| Kind::by_name(name.trim()).ok_or_else(|| bad(format!("`{}` is no kind of event", name.trim().escape_debug())));
        let kinds = kinds.split(',').map(kind).collect::<Result<Kinds, _>>()?;
        Ok(Self { namespace: namespace.to_owned(), pod: pod.to_owned(), kinds })
    }
}

/// The list in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workloads(Vec<Workload>);

impl Default for Workloads {
    fn default() -> Self {
        BUILT_IN.clone()
    }
}

impl FromIterator<Workload> for Workloads {
    fn from_iter<T: IntoIterator<Item = Workload>>(lines: T) -> Self {
        Self(lines.into_iter().collect())
    }
}

impl Workloads {
    /// Whether this container's output may count as of this kind.
    pub fn allow(&self, emitter: &Emitter, kind: Kind) -> bool {
        let speaks = |line: &Workload| line.kinds.allow(kind) && is_like(&emitter.namespace, &line.namespace) && is_like(&emitter.pod, &line.pod);
        !GUARDED.contains(&kind) || self.0.iter().any(speaks)
    }
}

/// Whether a text fits a pattern in which `*` is any run of characters.
fn is_like(text: &str, pattern: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return text == pattern };
    let Some(mut text) = text.strip_prefix(head) else { return false };
    let mut parts = rest.split('*');
    let Some(tail) = parts.next_back() else { return true };
    for part in parts {
        let Some((_, after)) = text.split_once(part) else { return false };
        text = after;
    }
    text.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[&str], namespace: &str, pod: &str, kind: Kind, expected: bool) {
        let workloads = lines.iter().map(|line| line.parse().unwrap()).collect::<Workloads>();
        let emitter = Emitter { namespace: namespace.to_owned(), pod: pod.to_owned(), container: String::new() };
        assert_eq!(workloads.allow(&emitter, kind), expected, "{lines:?} {namespace}/{pod} {}", kind.name());
    }

    #[test]
    fn only_who_is_listed_speaks_for_another() {
        check(DEFAULT, "kube-system", "kube-apiserver-m1", Kind::K8sAudit, true);
        check(DEFAULT, "kube-system", "kube-apiserver-m1", Kind::Falco, false);
        check(DEFAULT, "shop", "kube-apiserver-m1", Kind::K8sAudit, false);
        check(DEFAULT, "falco", "falco-x7k2p", Kind::Falco, true);
        check(DEFAULT, "shop", "web-0", Kind::Falco, false);
        check(DEFAULT, "shop", "web-0", Kind::Policy, true);
        check(DEFAULT, "shop", "web-0", Kind::Other, true);
        check(DEFAULT, "", "", Kind::Flow, false);
        check(DEFAULT, "kube-system", "cilium-x7k2p", Kind::SourceHealth, true);
        check(DEFAULT, "kube-system", "kube-apiserver-m1", Kind::SourceHealth, false);
        check(DEFAULT, "shop", "web-0", Kind::SourceHealth, false);
        check(&["*/audit-*-log-*: k8s_audit, flow"], "any", "audit-a-log-b", Kind::Flow, true);
        check(&["*/audit-*-log-*: k8s_audit, flow"], "any", "audit-log-b", Kind::Flow, false);
        check(&["a*/b: falco"], "abc", "b", Kind::Falco, true);
        check(&["a*a/b: falco"], "a", "b", Kind::Falco, false);
        check(&[], "falco", "falco-1", Kind::Falco, false);
    }

    #[test]
    fn a_bad_line_says_what_would_be_right() {
        for (line, why) in [("falco", "a colon"), ("falco: falco", "a slash"), ("/x: falco", "is missing"), ("a/b: audit", "`audit` is no kind")] {
            let error = line.parse::<Workload>().unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("NAMESPACE/POD: KIND"), "{error}");
        }
    }
}
