//! One document into a rule whose references are not yet resolved.

use std::sync::Arc;

use super::correlation;
use super::diagnostic::{Scope, closest, suggest};
use super::filter::{self, FilterDraft};
use super::link::Draft;
use super::selection;
use super::text;
use super::yaml::{self, DOCUMENT_BYTES_MAX, Entry, Mark, Node, Yaml};
use super::{logsource, text::TITLE_BYTES_MAX};
use crate::detect::rule::{Body, Extras, LogSource, Rule};
use crate::model::{FieldRef, Level, RuleHeader, RuleType};

/// Fields to group by.
pub(super) const GROUP_FIELDS_MAX: usize = 16;

/// Keys that Sigma names. Others are allowed and ignored, unless they look like one of these.
const KEYS: [&str; 24] = [
    "title",
    "id",
    "name",
    "related",
    "taxonomy",
    "status",
    "description",
    "license",
    "author",
    "references",
    "date",
    "modified",
    "logsource",
    "detection",
    "fields",
    "falsepositives",
    "level",
    "tags",
    "scope",
    "correlation",
    "filter",
    "generate",
    "bartizan",
    "sigma-version",
];

const STATUSES: [&str; 5] = ["stable", "test", "experimental", "deprecated", "unsupported"];

/// What became of a document.
#[derive(Debug)]
pub(super) enum Read {
    Rule(Box<Draft>),
    Filter(Box<FilterDraft>),
    /// Ids and names of what was refused, for those who refer to it.
    Refused(Vec<String>),
    Nothing,
}

/// Reads a document. `is_completed` says that an `action` document stands before it in its file, whose keys it was to have; it is kept up.
pub(super) fn read(scope: &mut Scope<'_>, document: &str, lines_before: usize, is_completed: &mut bool) -> Read {
    let node = match yaml::parse(document, lines_before, DOCUMENT_BYTES_MAX) {
        Ok(Some(node)) if !matches!(node.value, Yaml::Null) => node,
        Ok(_) => return Read::Nothing,
        Err(broken) => {
            scope.error(broken.at, "bad-yaml", broken.message, broken.help);
            return Read::Refused(Vec::new());
        }
    };
    let Some(entries) = node.entries() else {
        scope.error(node.at, "not-a-rule", format!("a rule is a map, and this is {}", node.kind()), "");
        return Read::Refused(Vec::new());
    };
    let names: Vec<String> = ["id", "name"].iter().filter_map(|key| node.get(key)?.spelled().map(str::to_owned)).collect();
    scope.rule = node.get("id").or_else(|| node.get("title")).and_then(Node::spelled).map(str::to_owned);
    if let Some(action) = node.get("action") {
        *is_completed = true;
        scope.error(action.at, "unsupported-action", "`action` documents are no longer part of Sigma", "write each rule out");
        return Read::Refused(names);
    }
    if *is_completed && node.get("title").is_none() {
        let message = "the document was to be completed by an `action` document, which is no longer part of Sigma";
        scope.error(node.at, "unsupported-action", message, "write each rule out");
        return Read::Refused(names);
    }
    if let Some(body) = node.get("filter") {
        return match filter(scope, &node, body, entries) {
            Some(draft) if scope.errors == 0 => Read::Filter(Box::new(draft)),
            _ => Read::Nothing,
        };
    }
    match rule(scope, &node, entries) {
        Some(draft) if scope.errors == 0 => Read::Rule(Box::new(draft)),
        _ => Read::Refused(names),
    }
}

fn filter(scope: &mut Scope<'_>, node: &Node, body: &Node, entries: &[Entry]) -> Option<FilterDraft> {
    keys(scope, entries);
    if let Some(second) = node.get("detection").or_else(|| node.get("correlation")) {
        scope.error(second.at, "two-bodies", "a document is a filter or a rule, not both", "put `---` between them");
        return None;
    }
    let (source, written) = logsource::read(scope, node.get("logsource"))?;
    // Every Kubernetes log is meant where no service is named, so the audit log is.
    scope.is_foreign = matches!(source, LogSource::NotApplicable(_)) && !written.is_kubernetes();
    scope.has_aliases = written.is_kubernetes();
    let title = title(scope, node)?;
    filter::read(scope, node, body, &title, written)
}

fn rule(scope: &mut Scope<'_>, node: &Node, entries: &[Entry]) -> Option<Draft> {
    keys(scope, entries);
    let status = status(scope, node);
    let source = logsource::read(scope, node.get("logsource"));
    scope.is_foreign = matches!(source, Some((LogSource::NotApplicable(_), _)));
    if scope.is_foreign
        && let Some(written) = node.get("logsource")
        && source.as_ref().is_some_and(|(_, written)| written.is_kubernetes())
    {
        scope.warning(written.at, "inapplicable-logsource", "of Kubernetes only the audit log is read", "add `service: audit`");
    }
    scope.has_aliases = source.as_ref().is_some_and(|(_, written)| written.is_kubernetes());
    let title = title(scope, node);
    let level = level(scope, node);
    let extras = node.get("bartizan").map_or_else(|| Some((Extras::default(), None)), |node| extras(scope, node));
    let mut correlation = node.get("correlation");
    if let Some(remark) = correlation.filter(|remark| node.get("detection").is_some() && remark.text().is_some()) {
        let message = "`correlation` is a text beside a detection: a remark, which correlates nothing";
        scope.warning(remark.at, "legacy-correlation", message, "a correlation is a document of its own");
        correlation = None;
    }
    let (body, correlated) = match (node.get("detection"), correlation) {
        (Some(detection), None) => (selection::detection(scope, detection, "detection").map(Body::Single), None),
        (None, Some(correlation)) => match correlation::read(scope, correlation) {
            Some((correlation, unresolved)) => (Some(Body::Correlation(correlation)), Some(unresolved)),
            None => (None, None),
        },
        (Some(_), Some(second)) => {
            scope.error(second.at, "two-bodies", "a document is a detection or a correlation, not both", "put `---` between them");
            return None;
        }
        (None, None) => {
            let help = closest("detection", entries.iter().map(|entry| entry.key.as_str()))
                .map_or_else(String::new, |key| format!("is `{key}` meant to be `detection`?"));
            scope.error(node.at, "missing-detection", "the rule has neither `detection` nor `correlation`", help);
            return None;
        }
    };
    let (title, (extras, runbook), body, (mut source, written)) = (title?, extras?, body?, source?);
    if scope.settings.any_logsource && matches!(source, LogSource::NotApplicable(_)) {
        source = LogSource::Any;
    }
    let name = node.get("name").and_then(Node::spelled).map(str::to_owned);
    let id = id(scope, node, &title, name.as_deref());
    let header = RuleHeader {
        level: scope.settings.levels.get(&id).copied().unwrap_or(level?),
        id,
        title,
        author: joined(node.get("author")),
        tags: list(scope, node, "tags"),
        kind: kind(&body),
        runbook,
    };
    let rule = Rule {
        header: Arc::new(header),
        name,
        description: node.get("description").and_then(Node::spelled).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()),
        references: list(scope, node, "references"),
        false_positives: list(scope, node, "falsepositives"),
        status,
        file: Arc::clone(&scope.file),
        line: node.at.line,
        logsource: source,
        body,
        extras,
        is_silent: false,
    };
    let id_at = node.get("id").map_or(node.at, |node| node.at);
    Some(Draft { rule, at: node.at, id_at, is_foreign: scope.is_foreign, written, unresolved: correlated })
}

fn kind(body: &Body) -> RuleType {
    match body {
        Body::Single(_) => RuleType::Single,
        Body::Correlation(correlation) => correlation.kind.rule_type(),
    }
}

fn keys(scope: &mut Scope<'_>, entries: &[Entry]) {
    for entry in entries.iter().filter(|entry| !KEYS.contains(&entry.key.as_str())) {
        if let Some(known) = closest(&entry.key, KEYS) {
            let message = format!("unknown key `{}` is ignored", entry.key.escape_debug());
            scope.warning(entry.at, "unknown-key", message, format!("did you mean `{known}`?"));
        }
    }
}

fn title(scope: &mut Scope<'_>, node: &Node) -> Option<String> {
    let Some(title) = node.get("title") else {
        scope.error(node.at, "missing-title", "the rule has no title", "add `title:`, a line that says what it finds");
        return None;
    };
    match title.spelled().map(str::trim) {
        Some(text) if !text.is_empty() && text.len() <= TITLE_BYTES_MAX => Some(text.to_owned()),
        _ => {
            scope.error(title.at, "bad-title", format!("a title is text of 1 to {TITLE_BYTES_MAX} bytes"), "");
            None
        }
    }
}

/// The rule's id; without one its name, else a hash of its title, so that its alerts keep their identity.
fn id(scope: &mut Scope<'_>, node: &Node, title: &str, name: Option<&str>) -> String {
    if let Some(id) = node.get("id").and_then(Node::spelled).map(str::trim).filter(|id| !id.is_empty() && id.len() <= 128) {
        return id.to_owned();
    }
    let id = name.map_or_else(
        || {
            let hex: String = blake3::hash(title.as_bytes()).to_hex().chars().take(32).collect();
            [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| hex.get(range).unwrap_or_default().to_owned()).join("-")
        },
        str::to_owned,
    );
    let at = node.get("id").map_or(node.at, |node| node.at);
    scope.warning(at, "missing-id", format!("the rule has no id; `{id}` is used"), "add `id:` with a UUID: an alert's identity hangs on it");
    id
}

fn level(scope: &mut Scope<'_>, node: &Node) -> Option<Level> {
    let Some(level) = node.get("level") else {
        scope.warning(node.at, "missing-level", "the rule has no level; medium is assumed", "add `level:`");
        return Some(Level::Medium);
    };
    let text = level.spelled().unwrap_or_default();
    let read = text.parse::<Level>();
    if read.is_err() {
        let names = Level::ALL.map(Level::name);
        scope.error(level.at, "bad-level", format!("`{}` is no level", text.escape_debug()), suggest(text, &names));
    }
    read.ok()
}

pub(super) fn status(scope: &mut Scope<'_>, node: &Node) -> Option<String> {
    let status = node.get("status")?;
    let text = status.spelled().unwrap_or_default();
    if !STATUSES.contains(&text) {
        scope.warning(status.at, "bad-status", format!("`{}` is no status", text.escape_debug()), suggest(text, &STATUSES));
    }
    if text == "unsupported" {
        let help = "its description may tell what it lacks; once it is whole, give it another status";
        scope.error(status.at, "unsupported-status", "the rule says of itself that it cannot be used in its current state", help);
    }
    Some(text.to_owned())
}

/// A text, or a list of texts with commas between.
fn joined(node: Option<&Node>) -> Option<String> {
    let node = node?;
    let text = match &node.value {
        Yaml::List(nodes) => nodes.iter().filter_map(Node::spelled).collect::<Vec<_>>().join(", "),
        _ => node.spelled()?.to_owned(),
    };
    Some(text).filter(|text| !text.trim().is_empty())
}

fn list(scope: &mut Scope<'_>, node: &Node, key: &str) -> Vec<String> {
    let Some(node) = node.get(key) else { return Vec::new() };
    let nodes = match &node.value {
        Yaml::List(nodes) => nodes.as_slice(),
        Yaml::Null => return Vec::new(),
        _ => std::slice::from_ref(node),
    };
    let mut texts = Vec::with_capacity(nodes.len());
    for node in nodes {
        match node.spelled() {
            Some(text) => texts.push(text.trim().to_owned()),
            None => scope.warning(
                node.at,
                "bad-value",
                format!("an element of {key} is {}; text is wanted", node.kind()),
                "text with `: ` in it needs quotes",
            ),
        }
    }
    texts
}

/// Reads `bartizan:`, and the runbook in it.
fn extras(scope: &mut Scope<'_>, node: &Node) -> Option<(Extras, Option<String>)> {
    const KEYS: [&str; 4] = ["title", "group_by", "group_window", "runbook"];
    let Some(entries) = node.entries() else {
        scope.error(node.at, "bad-extras", format!("`bartizan` is {}; a map is wanted", node.kind()), KEYS.join(", "));
        return None;
    };
    let mut extras = Extras::default();
    let mut runbook = None;
    for entry in entries {
        let value = &entry.value;
        match entry.key.as_str() {
            "title" => extras.title = Some(text::template(scope, value)?),
            "group_by" => extras.group_by = Some(fields(scope, value, "group_by")?),
            "group_window" => extras.group_window = Some(text::timespan_of(scope, value, "group_window")?),
            "runbook" => match value.text().map(str::trim).filter(|text| !text.is_empty()) {
                Some(text) => runbook = Some(text.to_owned()),
                None => scope.error(value.at, "bad-extras", "a runbook is text: an address, or what to do", ""),
            },
            name => scope.error(entry.at, "unknown-key", format!("unknown key `{}` in bartizan", name.escape_debug()), suggest(name, &KEYS)),
        }
    }
    Some((extras, runbook))
}

/// Reads a field or a list of fields.
pub(super) fn fields(scope: &mut Scope<'_>, node: &Node, key: &str) -> Option<Vec<FieldRef>> {
    names(scope, node, key)?.into_iter().map(|(at, name)| scope.field(at, &name)).collect()
}

/// Reads a name or a list of names, each once.
pub(super) fn names(scope: &mut Scope<'_>, node: &Node, key: &str) -> Option<Vec<(Mark, String)>> {
    let nodes = match &node.value {
        Yaml::List(nodes) => nodes.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let mut names: Vec<(Mark, String)> = Vec::with_capacity(nodes.len());
    for node in nodes {
        match node.spelled() {
            Some(name) if names.iter().any(|(_, known)| known == name) => {
                scope.warning(node.at, "repeated-value", format!("`{}` stands in {key} twice", name.escape_debug()), "");
            }
            Some(name) => names.push((node.at, name.to_owned())),
            None => {
                scope.error(node.at, "bad-value", format!("an element of {key} is {}; a name is wanted", node.kind()), "");
                return None;
            }
        }
    }
    if names.len() > GROUP_FIELDS_MAX {
        scope.error(node.at, "too-many-values", format!("{key} has {} names; {GROUP_FIELDS_MAX} are read", names.len()), "");
        return None;
    }
    Some(names)
}
