//! Rules that run and could be better: what a reviewer would say of them.

use super::diagnostic::closest;
use super::{Diagnostic, Severity};
use crate::detect::rule::{
    Body, Comparison, Condition, CorrelationKind, Detection, Each, Item, LogSource, Part, Piece, Rule, RuleSet, Selection, Test,
};
use crate::model::{FieldRef, Kind};

#[cfg(test)]
mod tests;

/// Tactics as ATT&CK's tags spell them; the last two are those of its version 19.
const TACTICS: [&str; 16] = [
    "reconnaissance",
    "resource-development",
    "initial-access",
    "execution",
    "persistence",
    "privilege-escalation",
    "defense-evasion",
    "credential-access",
    "discovery",
    "lateral-movement",
    "collection",
    "command-and-control",
    "exfiltration",
    "impact",
    "stealth",
    "defense-impairment",
];

/// What stands at the top of an audit event (`audit.k8s.io/v1`, and what its older versions and GKE's dialect add).
const AUDIT_ROOTS: [&str; 26] = [
    "annotations",
    "apiVersion",
    "auditID",
    "authenticationMetadata",
    "impersonatedUser",
    "insertId",
    "kind",
    "labels",
    "level",
    "logName",
    "metadata",
    "objectRef",
    "protoPayload",
    "requestObject",
    "requestReceivedTimestamp",
    "requestURI",
    "resource",
    "responseObject",
    "responseStatus",
    "sourceIPs",
    "stage",
    "stageTimestamp",
    "timestamp",
    "user",
    "userAgent",
    "verb",
];

/// Subresources that current clients reach by GET over `WebSocket`, and older ones by POST.
const UPGRADED: [&str; 4] = ["exec", "attach", "portforward", "proxy"];

/// What could be better in each rule, in the order of the rules.
pub fn lint(rules: &RuleSet) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    for rule in &rules.rules {
        let mut report = Report { rule, out: &mut out };
        head(&mut report);
        match &rule.body {
            Body::Single(detection) => single(&mut report, detection),
            Body::Correlation(correlation) => {
                if correlation.group_by.is_empty() && correlation.kind != CorrelationKind::ValueCount {
                    report.warn(
                        "no-group",
                        "the correlation groups by nothing: unrelated events of everybody count together",
                        "group-by: [actor.user.name]",
                    );
                }
                if is_impossible(&correlation.bounds) {
                    report.warn("impossible-bounds", "no count meets every bound of the condition", "a lower and a higher bound: {gte: 3, lt: 10}");
                }
            }
        }
    }
    out
}

struct Report<'a> {
    rule: &'a Rule,
    out: &'a mut Vec<Diagnostic>,
}

impl Report<'_> {
    fn warn(&mut self, code: &'static str, message: impl Into<String>, help: &str) {
        self.out.push(Diagnostic {
            severity: Severity::Warning,
            file: self.rule.file.clone(),
            line: self.rule.line,
            column: 1,
            rule: Some(self.rule.header.id.clone()),
            code,
            message: message.into(),
            help: Some(help.to_owned()),
        });
    }
}

fn head(report: &mut Report<'_>) {
    let rule = report.rule;
    if rule.description.as_deref().is_none_or(|text| text.trim().is_empty()) {
        report.warn("no-description", "the rule does not say what it means", "description: what happened, and why it matters");
    }
    if rule.false_positives.is_empty() {
        report.warn("no-falsepositives", "the rule does not say when it is wrong", "falsepositives: [what ordinary work looks like this]");
    }
    if !rule.header.tags.iter().any(|tag| is_technique(tag)) {
        report.warn("no-technique", "the rule has no ATT&CK technique", "tags: [attack.t1609]");
    }
    for tag in rule.header.tags.iter().filter(|tag| tag.starts_with("attack.") && !is_attack(tag)) {
        report.warn(
            "bad-tag",
            format!("`{}` is no tactic, technique, group or software of ATT&CK", tag.escape_debug()),
            "attack.credential-access, attack.t1552.007",
        );
    }
    if rule.status.is_none() {
        report.warn("no-status", "the rule does not say how far it can be trusted", "status: experimental, test or stable");
    }
    let names_a_field = rule.extras.title.as_ref().is_some_and(|title| title.0.iter().any(|piece| matches!(piece, Piece::Field(_))));
    if !rule.is_silent && !names_a_field {
        report.warn("no-title-template", "alerts will not say who did it to what", "bartizan: {title: \"{actor.user.name} …\"}");
    }
}

/// `attack.t1609`, `attack.t1059.004`.
fn is_technique(tag: &str) -> bool {
    let Some(number) = tag.strip_prefix("attack.t") else { return false };
    let (technique, part) = number.split_once('.').map_or((number, None), |(technique, part)| (technique, Some(part)));
    is_number(technique, 4) && part.is_none_or(|part| is_number(part, 3))
}

fn is_number(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| b.is_ascii_digit())
}

/// A tag as Sigma's appendix has it: a tactic, technique, group (`g0016`), software (`s0154`), data source or mitigation.
fn is_attack(tag: &str) -> bool {
    let name = tag.strip_prefix("attack.").unwrap_or_default();
    is_technique(tag)
        || TACTICS.contains(&name)
        || ["g", "s", "m", "ta", "ds"].iter().any(|prefix| name.strip_prefix(prefix).is_some_and(|number| is_number(number, 4)))
}

/// Whether no whole number meets every bound. Looking beside each bound is enough.
fn is_impossible(bounds: &[(Comparison, f64)]) -> bool {
    let holds = |count: f64| count >= 0.0 && bounds.iter().all(|(op, bound)| op.holds(count, *bound));
    let spread = bounds.len() as f64 + 1.0;
    !bounds.is_empty() && !bounds.iter().any(|(_, bound)| (0..=2 * bounds.len() + 2).any(|step| holds(bound - spread + step as f64)))
}

fn single(report: &mut Report<'_>, detection: &Detection) {
    let mut used = vec![false; detection.selections.len()];
    mark(&detection.condition, &mut used);
    for ((name, _), _) in detection.selections.iter().zip(&used).filter(|(_, used)| !**used) {
        report.warn("unused-selection", format!("the condition never asks for `{name}`"), "name it in the condition, or take it out");
    }
    let asks: Vec<bool> = detection.selections.iter().map(|(_, selection)| is_positive(selection)).collect();
    if !asks_for_something(&detection.condition, &asks) {
        report.warn(
            "only-negations",
            "the rule matches by what is missing alone, so it is evaluated on every event",
            "add a selection that must hold",
        );
    }
    if report.rule.logsource == LogSource::Kind(Kind::K8sAudit) {
        strange_fields(report, detection);
    }
    for (name, selection) in &detection.selections {
        if is_blind_to_websockets(selection) {
            let message = format!(
                "`{name}` asks for the verb `create` on a subresource that current clients reach by `get`: it misses every modern kubectl exec"
            );
            report.warn("exec-verb", message, "k8s.verb: [get, create]");
        }
    }
}

fn mark(condition: &Condition, used: &mut [bool]) {
    match condition {
        Condition::Selection(at) => {
            if let Some(used) = used.get_mut(*at) {
                *used = true;
            }
        }
        Condition::Not(inner) => mark(inner, used),
        Condition::And(all) | Condition::Or(all) | Condition::AtLeast(_, all) => all.iter().for_each(|inner| mark(inner, used)),
    }
}

/// Whether some selection that asks for something has to hold.
fn asks_for_something(condition: &Condition, asks: &[bool]) -> bool {
    match condition {
        Condition::Selection(at) => asks.get(*at).copied().unwrap_or_default(),
        Condition::Not(_) => false,
        Condition::And(all) => all.iter().any(|inner| asks_for_something(inner, asks)),
        Condition::Or(all) => all.iter().all(|inner| asks_for_something(inner, asks)),
        Condition::AtLeast(count, all) => {
            // If fewer than `count` can hold by what is missing, one that asks for something must.
            all.iter().filter(|inner| !asks_for_something(inner, asks)).count() < *count
        }
    }
}

/// Whether a selection needs a field to be there.
fn is_positive(selection: &Selection) -> bool {
    let is_absence = |test: &Test| match test {
        Test::Null | Test::Exists(false) => true,
        Test::Elements(elements) => elements.each == Each::AllOrEmpty,
        _ => false,
    };
    match selection {
        Selection::Keywords { .. } => true,
        Selection::Any(of) => of.iter().all(is_positive),
        Selection::All(items) => items.iter().any(|item| !item.negated && !item.tests.iter().any(is_absence)),
    }
}

/// Native fields of a rule for the audit log that no audit event has.
fn strange_fields(report: &mut Report<'_>, detection: &Detection) {
    fn walk<'s>(selection: &'s Selection, to: &mut Vec<&'s str>) {
        match selection {
            Selection::Any(of) => of.iter().for_each(|inner| walk(inner, to)),
            Selection::Keywords { .. } => {}
            Selection::All(items) => to.extend(items.iter().filter_map(|item| match &item.field {
                FieldRef::Native { name, .. } => Some(&**name),
                FieldRef::Fact(_) => None,
            })),
        }
    }
    let mut names = Vec::new();
    detection.selections.iter().for_each(|(_, selection)| walk(selection, &mut names));
    names.sort_unstable();
    names.dedup();
    for name in names {
        let root = name.split('.').next().unwrap_or_default();
        if !AUDIT_ROOTS.contains(&root) {
            let help = match closest(root, AUDIT_ROOTS) {
                Some(near) => format!("did you mean `{near}`? See also the normalised names: k8s.*, pod.*, rbac.*"),
                None => "fields of bodies are below requestObject; the normalised names are k8s.*, pod.*, rbac.*".to_owned(),
            };
            report.warn("strange-field", format!("no audit event has a field `{}`", name.escape_debug()), &help);
        }
    }
}

/// The literals that an item accepts, if it is about this field.
fn literals(item: &Item, names: [&str; 2]) -> Option<Vec<String>> {
    let name = match &item.field {
        FieldRef::Fact(field) => field.name(),
        FieldRef::Native { name, .. } => name,
    };
    if !names.contains(&name) || item.negated {
        return None;
    }
    let text = |test: &Test| match test {
        Test::Text { pattern, .. } => {
            pattern.parts.iter().map(|part| if let Part::Text(text) = part { Some(text.to_lowercase()) } else { None }).collect::<Option<String>>()
        }
        _ => None,
    };
    Some(item.tests.iter().filter_map(text).collect())
}

fn is_blind_to_websockets(selection: &Selection) -> bool {
    match selection {
        Selection::Any(inner) => inner.iter().any(is_blind_to_websockets),
        Selection::Keywords { .. } => false,
        Selection::All(items) => {
            let verbs: Vec<String> = items.iter().filter_map(|item| literals(item, ["verb", "k8s.verb"])).flatten().collect();
            let subresources: Vec<String> =
                items.iter().filter_map(|item| literals(item, ["objectRef.subresource", "k8s.subresource"])).flatten().collect();
            verbs.iter().any(|verb| verb == "create")
                && !verbs.iter().any(|verb| verb == "get")
                && subresources.iter().any(|name| UPGRADED.contains(&name.as_str()))
        }
    }
}
