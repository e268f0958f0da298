//! Takes secrets and card numbers out of a record before anything keeps it.
//!
//! What is found becomes edits on the record's own text, so the rest stays byte for byte, and key names stay for rules to see. It is
//! idempotent: redacted text has nothing left to redact. Keys themselves are not looked at. One scan of a record's text tells which of its leaves
//! are worth a look (`suspects`): in most records none, or a few.

mod encoded;

mod look;
mod loose;
mod pan;
mod parted;
mod scan;
mod secrets;
mod signs;
mod suspects;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem;

use crate::model::{Doc, Kind, Limits, Parser, Path, Record};
use look::Look;
use scan::Match;
pub use secrets::Names;
#[cfg(test)]
use suspects::Suspect;
use suspects::Suspects;

/// What was taken out. The set is closed, so counts by class are bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Data of a Secret object.
    SecretData,
    /// A token in a field made for tokens.
    Token,
    /// A password, key or other credential in text.
    Credential,
    /// A JSON web token, wherever it stands.
    Jwt,
    /// A payment card number.
    Pan,
    /// What stands under a name of the configuration.
    Configured,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 6] = [Self::SecretData, Self::Token, Self::Credential, Self::Jwt, Self::Pan, Self::Configured];

    /// As metrics and the replacement text name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::SecretData => "secret_data",
            Self::Token => "token",
            Self::Credential => "credential",
            Self::Jwt => "jwt",
            Self::Pan => "pan",
            Self::Configured => "configured",
        }
    }

    /// What stands in the place of the secret.
    pub fn replacement(self) -> &'static str {
        match self {
            Self::SecretData => "[redacted:secret_data]",
            Self::Token => "[redacted:token]",
            Self::Credential => "[redacted:credential]",
            Self::Jwt => "[redacted:jwt]",
            Self::Pan => "[redacted:pan]",
            Self::Configured => "[redacted:configured]",
        }
    }
}

/// How every replacement begins; a value that begins so is redacted already.
const MARK: &str = "[redacted:";
/// Leaves that are looked at in a record past the usual limits: then the cut part must be seen too.
const LEAVES_OF_CUT_MAX: usize = 1 << 20;

/// One change of a record's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Bytes of [`Doc::text`]: one JSON value.
    pub range: Range<usize>,
    /// The JSON string in its place.
    pub json: String,
    /// What was found in it, once a find.
    pub classes: Vec<Class>,
}

/// How often each class was redacted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RedactCounts([u64; Class::ALL.len()]);

impl RedactCounts {
    /// Of one class.
    pub fn get(&self, class: Class) -> u64 {
        self.0[class as usize]
    }

    /// Of all classes.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    fn add(&mut self, class: Class) {
        self.0[class as usize] += 1;
    }
}

/// Redacts records and counts what it takes out. One per thread.
#[derive(Debug, Default)]
pub struct Redactor {
    counts: RedactCounts,
    suspects: Suspects,
    names: Names,
    /// Of JSON within texts.
    parser: Parser,
}

impl Redactor {
    /// Masks what stands under these names, too.
    pub fn new(names: Names) -> Self {
        Self { suspects: Suspects::new(names.clone()), names, ..Self::default() }
    }

    /// What has been taken out so far.
    pub fn counts(&self) -> RedactCounts {
        self.counts
    }

    /// Every change to make, in the order of the text, without overlaps.
    fn edits(&mut self, doc: &Doc, kind: Kind) -> Vec<Edit> {
        if doc.is_cut() {
            let limits = Limits { leaves_max: LEAVES_OF_CUT_MAX, record_bytes_max: doc.text().len(), ..Limits::default() };
            if let Ok(whole) = Parser::new(limits).parse(doc.text().as_bytes(), lifted(doc)) {
                return self.edits_of(&whole, kind);
            }
        }
        self.edits_of(doc, kind)
    }

    fn edits_of(&mut self, doc: &Doc, kind: Kind) -> Vec<Edit> {
        Look::new(&self.names, &mut self.parser).edits(doc, kind, self.suspects.of(doc))
    }

    /// The record without its secrets. It is parsed again only if something was found.
    pub fn redact(&mut self, record: Record, parser: &mut Parser) -> Record {
        let edits = self.edits(&record.doc, record.kind);
        if edits.is_empty() {
            return record;
        }
        let text = apply(record.doc.text(), &edits);
        for class in edits.iter().flat_map(|edit| &edit.classes) {
            self.counts.add(*class);
        }
        let parsed = parser.parse(text.as_bytes(), lifted(&record.doc)).or_else(|_| {
            // Replacements can be longer than what they replace: past the limit on records there is room for them.
            let record_bytes_max = text.len();
            Parser::new(Limits { record_bytes_max, ..parser.limits().clone() }).parse(text.as_bytes(), lifted(&record.doc))
        });
        match parsed {
            Ok(doc) => Record { doc, ..record },
            // An edit replaces one JSON value by another, so this is never reached; if it were, no secret may go on.
            Err(_) => Record { doc: Parser::default().parse(b"{}", None).unwrap_or_default(), ..record },
        }
    }
}

/// The member that was transparent when the record was parsed.
fn lifted(doc: &Doc) -> Option<&str> {
    let lifted = doc.containers().iter().skip(1).find(|container| container.path == Path::ROOT && container.parent == 0);
    lifted.filter(|_| doc.containers().first().is_some_and(|record| !record.is_array)).map(|container| doc.container_key(container))
}

/// Every change that redaction makes, in the order of the text, without overlaps.
pub fn edits(doc: &Doc, kind: Kind) -> Vec<Edit> {
    Redactor::default().edits(doc, kind)
}

/// The text with the edits made.
pub fn apply(text: &str, edits: &[Edit]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for edit in edits {
        out.push_str(text.get(from..edit.range.start).unwrap_or_default());
        out.push_str(&edit.json);
        from = edit.range.end;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}

/// What was taken out of a text, by the marks that it left, each class once.
pub(super) fn hits(text: &str) -> impl Iterator<Item = Class> {
    static FINDER: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(MARK));
    let mut is_there = [false; Class::ALL.len()];
    for at in FINDER.find_iter(text.as_bytes()) {
        let marked = text.get(at + MARK.len()..).unwrap_or_default();
        let class = Class::ALL.into_iter().find(|class| marked.strip_prefix(class.name()).is_some_and(|rest| rest.starts_with(']')));
        if let Some(class) = class {
            is_there[class as usize] = true;
        }
    }
    Class::ALL.into_iter().filter(move |class| is_there[*class as usize])
}

/// What could be kept of a text that could not be read. What said that it is a Secret may be missing, so data is taken for one's.
pub(super) fn mask_damaged(text: &str) -> Cow<'_, str> {
    let found = scan::find_loose(text, true);
    if found.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(rewrite(text, &found)) }
}

/// A text without the secrets that can be told by its content alone.
pub(super) fn mask(text: &str) -> Cow<'_, str> {
    let found = scan::find(text);
    if found.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(rewrite(text, &found)) }
}

fn rewrite(text: &str, found: &[Match]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for found in found {
        out.push_str(text.get(from..found.range.start).unwrap_or_default());
        out.push_str(found.class.replacement());
        from = found.range.end;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}
