//! From drafts to rules: one rule an id, references into indices, no cycles.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Settings;
use super::correlation::Unresolved;
use super::diagnostic::{Diagnostic, Scope, closest};
use super::logsource::Written;
use super::yaml::Mark;
use crate::detect::rule::{Body, GroupField, Rule};

/// Correlations that stand on one another.
const CHAIN_MAX: usize = 8;

/// A rule whose references are still names.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) rule: Rule,
    pub(super) at: Mark,
    pub(super) id_at: Mark,
    /// It is for systems that are not read here.
    pub(super) is_foreign: bool,
    pub(super) written: Written,
    /// Of correlations.
    pub(super) unresolved: Option<Unresolved>,
}

/// What an id or name leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    One(usize),
    Many,
}

/// Resolves every reference. What cannot be resolved is refused, and so is what refers to it. `filters` are their ids and names.
pub(super) fn resolve(drafts: Vec<Draft>, refused: &[String], filters: &[String], settings: &Settings, out: &mut Vec<Diagnostic>) -> Vec<Rule> {
    let drafts = unique(drafts, settings, out);
    let known = names(&drafts);
    let refused: BTreeSet<&str> = refused.iter().map(String::as_str).collect();
    let referred: Vec<Option<Vec<usize>>> = drafts.iter().map(|draft| references(draft, &known, &refused, settings, out)).collect();
    let is_good = order(&drafts, &referred, settings, out);
    let drafts = groups(drafts, &referred, is_good, settings, out);
    overrides(&drafts, filters, settings, out);
    compact(drafts, &referred, settings)
}

fn scope<'a>(draft: &Draft, settings: &'a Settings, out: &'a mut Vec<Diagnostic>) -> Scope<'a> {
    let mut scope = Scope::new(settings, &draft.rule.file, out);
    scope.rule = Some(draft.rule.header.id.clone());
    scope
}

/// Leaves out rules whose id is taken.
fn unique(drafts: Vec<Draft>, settings: &Settings, out: &mut Vec<Diagnostic>) -> Vec<Draft> {
    let mut first: BTreeMap<String, (Arc<str>, usize)> = BTreeMap::new();
    let mut kept = Vec::with_capacity(drafts.len());
    for draft in drafts {
        if let Some((file, line)) = first.get(&draft.rule.header.id) {
            let message = format!("id `{}` is taken by the rule in {file}, line {line}", draft.rule.header.id);
            scope(&draft, settings, out).error(draft.id_at, "duplicate-id", message, "give this rule an id of its own");
            continue;
        }
        first.insert(draft.rule.header.id.clone(), (Arc::clone(&draft.rule.file), draft.rule.line));
        kept.push(draft);
    }
    kept
}

fn names(drafts: &[Draft]) -> BTreeMap<String, Known> {
    let mut known = BTreeMap::new();
    for (at, draft) in drafts.iter().enumerate() {
        if let Some(name) = &draft.rule.name {
            known.entry(name.clone()).and_modify(|known| *known = Known::Many).or_insert(Known::One(at));
        }
    }
    // An id is unique, so it goes before any name that reads the same.
    for (at, draft) in drafts.iter().enumerate() {
        known.insert(draft.rule.header.id.clone(), Known::One(at));
    }
    known
}

/// The rules that a correlation refers to. `None` if any of them is unknown; empty for a rule that is no correlation.
fn references(
    draft: &Draft,
    known: &BTreeMap<String, Known>,
    refused: &BTreeSet<&str>,
    settings: &Settings,
    out: &mut Vec<Diagnostic>,
) -> Option<Vec<usize>> {
    let Some(unresolved) = &draft.unresolved else { return Some(Vec::new()) };
    let mut rules = Vec::with_capacity(unresolved.rules.len());
    let mut is_good = true;
    let mut scope = scope(draft, settings, out);
    for (at, name) in &unresolved.rules {
        let (code, message, help) = match known.get(name) {
            Some(Known::One(index)) if rules.contains(index) => ("repeated-value", format!("`{name}` is a rule that stands in the list already"), ""),
            Some(Known::One(index)) => {
                rules.push(*index);
                continue;
            }
            Some(Known::Many) => ("ambiguous-rule", format!("several rules are called `{name}`"), "refer to it by id"),
            None if refused.contains(name.as_str()) => ("refused-rule", format!("rule `{name}` is refused itself"), "see the problems of that rule"),
            None => {
                is_good = false;
                let near = closest(name, known.keys().map(String::as_str)).map_or_else(String::new, |near| format!("did you mean `{near}`?"));
                scope.error(*at, "unknown-rule", format!("no rule has the id or name `{}`", name.escape_debug()), near);
                continue;
            }
        };
        is_good = false;
        scope.error(*at, code, message, help);
    }
    is_good.then_some(rules)
}

/// Whether each rule stands on rules that are good, without going round, and not too high.
fn order(drafts: &[Draft], referred: &[Option<Vec<usize>>], settings: &Settings, out: &mut Vec<Diagnostic>) -> Vec<bool> {
    let mut height: Vec<Option<usize>> =
        drafts.iter().zip(referred).map(|(draft, rules)| (draft.unresolved.is_none() && rules.is_some()).then_some(0)).collect();
    // Each pass settles one storey, so there are no more passes than storeys.
    for storey in 1..=CHAIN_MAX {
        let settled: Vec<usize> = (0..drafts.len())
            .filter(|at| height[*at].is_none())
            .filter(|at| referred[*at].as_ref().is_some_and(|rules| rules.iter().all(|rule| height[*rule].is_some())))
            .collect();
        settled.into_iter().for_each(|at| height[at] = Some(storey));
    }
    let mut broken: Vec<bool> = referred.iter().map(Option::is_none).collect();
    for _ in 0..=CHAIN_MAX {
        for at in 0..drafts.len() {
            broken[at] |= referred[at].as_ref().is_some_and(|rules| rules.iter().any(|rule| broken[*rule]));
        }
    }
    for (at, draft) in drafts.iter().enumerate() {
        let (Some(_), None, Some(unresolved)) = (&referred[at], height[at], &draft.unresolved) else { continue };
        let (code, message) = if broken[at] {
            ("refused-rule", "a rule that this correlation refers to is refused itself".to_owned())
        } else {
            ("cycle", format!("correlations refer to one another in a circle, or more than {CHAIN_MAX} deep"))
        };
        let place = unresolved.rules.first().map_or(draft.at, |(at, _)| *at);
        scope(draft, settings, out).error(place, code, message, "a correlation must stand on rules in the end");
    }
    height.into_iter().map(|height| height.is_some()).collect()
}

/// Resolves group fields through the aliases.
fn groups(
    drafts: Vec<Draft>,
    referred: &[Option<Vec<usize>>],
    mut is_good: Vec<bool>,
    settings: &Settings,
    out: &mut Vec<Diagnostic>,
) -> Vec<(Draft, bool)> {
    let headers: Vec<(String, Option<String>)> = drafts.iter().map(|draft| (draft.rule.header.id.clone(), draft.rule.name.clone())).collect();
    let foreign: Vec<bool> = drafts.iter().map(|draft| draft.is_foreign).collect();
    let mut done = Vec::with_capacity(drafts.len());
    for (at, mut draft) in drafts.into_iter().enumerate() {
        if let (true, Some(unresolved), Some(rules)) = (is_good[at], &draft.unresolved, &referred[at]) {
            let mut scope = scope(&draft, settings, out);
            // Over rules of other systems a name under a reserved root is a name of theirs.
            scope.is_foreign = rules.iter().any(|rule| foreign[*rule]);
            match group_fields(&mut scope, unresolved, rules, &headers) {
                Some(fields) => {
                    if let Body::Correlation(correlation) = &mut draft.rule.body {
                        correlation.group_by = fields;
                        correlation.rules.clone_from(rules);
                    }
                }
                None => is_good[at] = false,
            }
        }
        done.push((draft, is_good[at]));
    }
    // A correlation over one that has just been refused goes too.
    for _ in 0..CHAIN_MAX {
        for at in 0..done.len() {
            done[at].1 &= referred[at].as_ref().is_some_and(|rules| rules.iter().all(|rule| done[*rule].1));
        }
    }
    done
}

fn group_fields(scope: &mut Scope<'_>, unresolved: &Unresolved, rules: &[usize], headers: &[(String, Option<String>)]) -> Option<Vec<GroupField>> {
    let is_rule = |rule: usize, written: &str| headers.get(rule).is_some_and(|(id, name)| id == written || name.as_deref() == Some(written));
    for alias in &unresolved.aliases {
        for (at, written, _) in &alias.fields {
            if !rules.iter().any(|rule| is_rule(*rule, written)) {
                let help = format!("rules are {}", unresolved.rules.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>().join(", "));
                scope.error(*at, "unknown-rule", format!("alias `{}` names `{}`, which is not in `rules`", alias.name, written.escape_debug()), help);
            }
        }
        if !unresolved.group_by.iter().any(|(_, name)| *name == alias.name) {
            scope.warning(alias.at, "unused-alias", format!("alias `{}` is not in `group-by`", alias.name), "");
        }
    }
    let mut groups = Vec::with_capacity(unresolved.group_by.len());
    for (at, name) in &unresolved.group_by {
        let mut fields = Vec::with_capacity(rules.len());
        match unresolved.aliases.iter().find(|alias| alias.name == *name) {
            None => fields = vec![scope.field(*at, name)?; rules.len()],
            Some(alias) => {
                for (rule, (_, written)) in rules.iter().zip(&unresolved.rules) {
                    match alias.fields.iter().find(|(_, named, _)| is_rule(*rule, named)) {
                        Some((_, _, field)) => fields.push(field.clone()),
                        None => scope.error(
                            alias.at,
                            "incomplete-alias",
                            format!("alias `{name}` has no field for `{written}`"),
                            "name a field for every rule",
                        ),
                    }
                }
            }
        }
        groups.push(GroupField { name: Arc::from(name.as_str()), fields });
    }
    (scope.errors == 0).then_some(groups)
}

/// Drops what is refused or disabled, and says who is silent.
fn compact(drafts: Vec<(Draft, bool)>, referred: &[Option<Vec<usize>>], settings: &Settings) -> Vec<Rule> {
    let is_disabled = |rule: &Rule| settings.disable.iter().any(|id| *id == rule.header.id || Some(id) == rule.name.as_ref());
    let mut is_wanted: Vec<bool> = drafts.iter().map(|(draft, is_good)| *is_good && !is_disabled(&draft.rule)).collect();
    let (mut is_referred, mut generates) = (vec![false; drafts.len()], vec![false; drafts.len()]);
    for _ in 0..=CHAIN_MAX {
        for (at, (draft, _)) in drafts.iter().enumerate().filter(|(_, (_, is_good))| *is_good) {
            let Some(unresolved) = draft.unresolved.as_ref().filter(|_| is_wanted[at]) else { continue };
            for rule in referred[at].iter().flatten() {
                (is_wanted[*rule], is_referred[*rule]) = (true, true);
                generates[*rule] |= unresolved.generate;
            }
        }
    }
    let mut index = vec![0; drafts.len()];
    let mut next = 0;
    for (at, is_wanted) in is_wanted.iter().enumerate() {
        index[at] = next;
        next += usize::from(*is_wanted);
    }
    let mut rules = Vec::with_capacity(next);
    for (at, (draft, _)) in drafts.into_iter().enumerate().filter(|(at, _)| is_wanted[*at]) {
        let mut rule = draft.rule;
        rule.is_silent = (is_referred[at] && !generates[at]) || is_disabled(&rule);
        if let Body::Correlation(correlation) = &mut rule.body {
            correlation.rules.iter_mut().for_each(|rule| *rule = index[*rule]);
        }
        rules.push(rule);
    }
    rules
}

fn overrides(drafts: &[(Draft, bool)], filters: &[String], settings: &Settings, out: &mut Vec<Diagnostic>) {
    let settings_name: Arc<str> = Arc::from("settings");
    let rules = drafts.iter().flat_map(|(draft, _)| [Some(draft.rule.header.id.as_str()), draft.rule.name.as_deref()]).flatten();
    let known: BTreeSet<&str> = rules.chain(filters.iter().map(String::as_str)).collect();
    for id in settings.disable.iter().chain(settings.levels.keys()).filter(|id| !known.contains(id.as_str())) {
        let mut scope = Scope::new(settings, &settings_name, out);
        let near = closest(id, known.iter().copied()).map_or_else(String::new, |near| format!("did you mean `{near}`?"));
        scope.warning(Mark::default(), "unknown-rule", format!("the settings name rule `{}`, which is not loaded", id.escape_debug()), near);
    }
}
