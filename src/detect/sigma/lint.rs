//! Rules that run and could be better: what a reviewer would say of them.

use super::{Diagnostic, Severity};
use crate::detect::rule::{Body, Condition, CorrelationKind, Detection, Item, Rule, RuleSet, Selection, Test};
use crate::model::FieldRef;

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
    if !rule.is_silent && rule.extras.title.is_none() {
        report.warn("no-title-template", "alerts will not say who did it to what", "bartizan: {title: \"{actor.user.name} …\"}");
    }
}

/// `attack.t1609`, `attack.t1059.004`.
fn is_technique(tag: &str) -> bool {
    let Some(number) = tag.strip_prefix("attack.t") else { return false };
    number.len() >= 4 && number.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

fn single(report: &mut Report<'_>, detection: &Detection) {
    let mut used = vec![false; detection.selections.len()];
    mark(&detection.condition, &mut used);
    for ((name, _), _) in detection.selections.iter().zip(&used).filter(|(_, used)| !**used) {
        report.warn("unused-selection", format!("the condition never asks for `{name}`"), "name it in the condition, or take it out");
    }
    if !asks_for_something(&detection.condition) {
        report.warn(
            "only-negations",
            "the rule matches by what is missing alone, so it is evaluated on every event",
            "add a selection that must hold",
        );
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

/// Whether some selection has to hold.
fn asks_for_something(condition: &Condition) -> bool {
    match condition {
        Condition::Selection(_) => true,
        Condition::Not(_) => false,
        Condition::And(all) => all.iter().any(asks_for_something),
        Condition::Or(all) | Condition::AtLeast(_, all) => all.iter().all(asks_for_something),
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
        Test::Text { pattern, .. } => pattern
            .parts
            .iter()
            .map(|part| if let crate::detect::rule::Part::Text(text) = part { Some(text.to_lowercase()) } else { None })
            .collect::<Option<String>>(),
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::detect::sigma::{Settings, parse};

    /// The codes of what is said of a rule whose head is complete.
    fn check(detection: &str, expected: &[&str]) {
        let text = format!(
            "title: t\nid: 00000000-0000-4000-8000-000000000000\nstatus: stable\ndescription: d\ntags: [attack.t1609]\nfalsepositives: [x]\nlevel: low\nlogsource: {{product: kubernetes, service: audit}}\nbartizan: {{title: \"{{actor.user.name}}\"}}\ndetection:\n{detection}"
        );
        let (rules, errors) = parse(&[(Arc::from("r.yml"), text)], &Settings::default());
        assert!(errors.is_empty(), "{errors:?}");
        let codes: Vec<&str> = lint(&rules).iter().map(|diagnostic| diagnostic.code).collect();
        assert_eq!(codes, expected, "{detection}");
    }

    #[test]
    fn what_a_reviewer_would_say() {
        check("  a: {verb: get}\n  condition: a\n", &[]);
        check("  a: {verb: get}\n  b: {verb: list}\n  condition: a\n", &["unused-selection"]);
        check("  a: {verb: get}\n  condition: not a\n", &["only-negations"]);
        check("  a: {verb: create, objectRef.subresource: exec}\n  condition: a\n", &["exec-verb"]);
        check("  a: {verb: [get, create], objectRef.subresource: exec}\n  condition: a\n", &[]);
    }

    #[test]
    fn a_head_without_its_parts() {
        let text = "title: t\nid: 00000000-0000-4000-8000-000000000000\nlogsource: {product: kubernetes, service: audit}\ndetection:\n  a: {verb: get}\n  condition: a\n";
        let (rules, _) = parse(&[(Arc::from("r.yml"), text.to_owned())], &Settings::default());
        let codes: Vec<&str> = lint(&rules).iter().map(|diagnostic| diagnostic.code).collect();
        assert_eq!(codes, ["no-description", "no-falsepositives", "no-technique", "no-title-template"]);
    }

    #[test]
    fn the_built_in_pack_leaves_nothing_to_say() {
        let settings = Settings { lists: crate::detect::pack::lists(), ..Settings::default() };
        let (rules, errors) = parse(&crate::detect::pack::rules(), &settings);
        let said: Vec<String> = errors.iter().chain(&lint(&rules)).map(ToString::to_string).collect();
        assert!(said.is_empty(), "{}", said.join("\n"));
    }
}
