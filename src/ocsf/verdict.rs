//! What policy engines and scanners say: Compliance Finding (2003), Vulnerability Finding (2002), or Detection Finding (2004).

use super::UNKNOWN;
use super::class::{self, COMPLIANCE_FINDING, DETECTION_FINDING, NOT_KNOWN, VULNERABILITY_FINDING};
use super::draft::{Draft, Shape};
use super::finding::{check_status, created, info, node, pod};
use super::object::Object;
use crate::model::Field;

/// Where scanners name a vulnerability.
const VULNERABILITIES: &[&str] =
    &["VulnerabilityID", "vulnerabilityID", "report.vulnerabilities.vulnerabilityID", "Results.Vulnerabilities.VulnerabilityID"];
/// Vulnerabilities that one finding names. Past it the rest is in `raw_data` only.
const VULNERABILITIES_MAX: usize = 1_000;

/// The verdict of a policy engine on one object.
pub(super) fn policy<'e>(draft: &mut Draft<'e>) -> Shape<'e> {
    let (policy, rule) = (draft.take(Field::PolicyName), draft.take(Field::PolicyRule));
    let title = rule.or(policy).unwrap_or(UNKNOWN);
    let severity = draft.peek(Field::PolicySeverity).map_or(NOT_KNOWN, class::severity);
    let mut shape = created(&COMPLIANCE_FINDING, severity, info(draft, title));
    let mut compliance = Object::with("control", title);
    compliance.put("standards", policy.map(|policy| vec![policy]));
    compliance.choose("status", draft.peek(Field::PolicyResult).map_or(NOT_KNOWN, check_status));
    shape.body.put("compliance", compliance);
    about(draft, &mut shape);
    shape
}

/// The result of a scanner.
pub(super) fn finding<'e>(draft: &mut Draft<'e>) -> Shape<'e> {
    let vulnerabilities = vulnerabilities(draft);
    if vulnerabilities.is_empty() && draft.peek(Field::PolicyResult).is_some() {
        return policy(draft);
    }
    let title = draft.take(Field::PolicyRule).or_else(|| draft.take(Field::PolicyName)).unwrap_or(UNKNOWN);
    let severity = draft.peek(Field::PolicySeverity).map_or(NOT_KNOWN, class::severity);
    let class = if vulnerabilities.is_empty() { &DETECTION_FINDING } else { &VULNERABILITY_FINDING };
    let mut shape = created(class, severity, info(draft, title));
    shape.body.put("vulnerabilities", vulnerabilities);
    about(draft, &mut shape);
    shape
}

/// The object that the finding is about.
fn about(draft: &mut Draft<'_>, shape: &mut Shape<'_>) {
    shape.body.put("device", node(draft));
    let resource = pod(draft).or_else(|| {
        let mut resource = Object::with("name", draft.take(Field::K8sName)?);
        resource.put("namespace", draft.take(Field::K8sNamespace));
        resource.choose("role", (3, "Affected"));
        Some(resource)
    });
    shape.body.put("resources", resource.map(|resource| vec![resource]));
}

fn vulnerabilities(draft: &Draft<'_>) -> Vec<Object> {
    let mut named: Vec<&str> = VULNERABILITIES.iter().flat_map(|name| draft.natives(name)).collect();
    named.extend(draft.peek(Field::PolicyRule));
    named.retain(|name| is_cve(name));
    named.sort_unstable();
    named.dedup();
    named.truncate(VULNERABILITIES_MAX);
    named.into_iter().map(|cve| Object::with("cve", Object::with("uid", cve))).collect()
}

/// `CVE-2021-44228`.
fn is_cve(text: &str) -> bool {
    let Some((year, number)) = text.strip_prefix("CVE-").and_then(|rest| rest.split_once('-')) else { return false };
    year.len() == 4 && number.len() >= 4 && [year, number].iter().all(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
}
