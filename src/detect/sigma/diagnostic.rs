//! What is wrong with a rule, where, and what would be right.

use std::fmt;
use std::sync::Arc;

use super::Settings;
use super::yaml::Mark;
use crate::model::{FieldRef, distance};

/// Problems shown of one document; a file that is no rule at all has no end of them.
const PER_DOCUMENT_MAX: usize = 40;

/// Bytes of a field's name.
const FIELD_BYTES_MAX: usize = 512;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The rule is refused.
    Error,
    /// The rule runs, and may not do what its author means.
    Warning,
    /// Worth knowing.
    Note,
}

impl Severity {
    /// As it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    pub file: Arc<str>,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// Id of the rule, else its title.
    pub rule: Option<String>,
    /// A stable name of the problem.
    pub code: &'static str,
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}[{}]: {}", self.file, self.line, self.column, self.severity.name(), self.code, self.message)?;
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

/// What reading one document needs: the settings, and where problems go.
#[derive(Debug)]
pub(super) struct Scope<'a> {
    pub(super) settings: &'a Settings,
    pub(super) file: Arc<str>,
    pub(super) rule: Option<String>,
    /// The rule is for systems that are not read here: names under reserved roots are its own.
    pub(super) is_foreign: bool,
    /// The rule is for Kubernetes, of whose events some rules write names that none has.
    pub(super) has_aliases: bool,
    pub(super) errors: usize,
    /// The lists whose elements are looked at, from the outermost: names are those of the innermost's elements.
    pub(super) within: Vec<String>,
    shown: usize,
    out: &'a mut Vec<Diagnostic>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(settings: &'a Settings, file: &Arc<str>, out: &'a mut Vec<Diagnostic>) -> Self {
        Self { settings, file: Arc::clone(file), rule: None, is_foreign: false, has_aliases: false, errors: 0, within: Vec::new(), shown: 0, out }
    }

    /// Records a problem that refuses the rule. An empty help is none.
    pub(super) fn error(&mut self, at: Mark, code: &'static str, message: impl Into<String>, help: impl Into<String>) {
        self.errors += 1;
        self.push(Severity::Error, at, code, message.into(), help.into());
    }

    /// Records a problem that the rule survives.
    pub(super) fn warning(&mut self, at: Mark, code: &'static str, message: impl Into<String>, help: impl Into<String>) {
        self.push(Severity::Warning, at, code, message.into(), help.into());
    }

    /// Records something worth knowing.
    pub(super) fn note(&mut self, at: Mark, code: &'static str, message: impl Into<String>, help: impl Into<String>) {
        self.push(Severity::Note, at, code, message.into(), help.into());
    }

    fn push(&mut self, severity: Severity, at: Mark, code: &'static str, message: String, help: String) {
        self.shown += 1;
        if self.shown > PER_DOCUMENT_MAX {
            return;
        }
        let help = Some(help).filter(|help| !help.is_empty());
        let (file, rule) = (Arc::clone(&self.file), self.rule.clone());
        self.out.push(Diagnostic { severity, file, line: at.line, column: at.column, rule, code, message, help });
    }

    /// The field of this name, by way of the mappings in the settings.
    pub(super) fn field(&mut self, at: Mark, name: &str) -> Option<FieldRef> {
        if name.len() > FIELD_BYTES_MAX {
            self.error(at, "field-too-long", format!("a field name of {} bytes; {FIELD_BYTES_MAX} are read", name.len()), "");
            return None;
        }
        if let Some(list) = self.within.last() {
            let full = if name == "." { format!("raw.{list}") } else { format!("raw.{list}.{name}") };
            return FieldRef::parse(&full).ok();
        }
        let mapped = self.settings.field_mappings.get(name).map_or(name, String::as_str);
        match FieldRef::parse(mapped) {
            Ok(field) => Some(field),
            Err(_) if self.is_foreign && !mapped.is_empty() => FieldRef::parse(&format!("raw.{mapped}")).ok(),
            Err(message) => {
                self.error(at, "unknown-field", message, "");
                None
            }
        }
    }
}

/// The known name closest in spelling, if any is close.
pub(super) fn closest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let name = name.to_lowercase();
    known
        .into_iter()
        .map(|known| (distance(&name, &known.to_lowercase()), known))
        .filter(|(distance, known)| *distance <= known.chars().count().max(3) / 3)
        .min()
        .map(|(_, known)| known)
}

/// Help for an unknown name: the nearest, else all of them.
pub(super) fn suggest(name: &str, known: &[&str]) -> String {
    match closest(name, known.iter().copied()) {
        Some(known) => format!("did you mean `{known}`?"),
        None => format!("known are {}", known.join(", ")),
    }
}
