//! The look at a record's leaves: what of it has to go, by the place it has and by its text, JSON within texts included.

use std::borrow::Cow;

use super::secrets::{self, Names};
use super::suspects::Suspect;
use super::{Class, Edit, apply, loose, rewrite, scan};
use crate::model::{Doc, Kind, Leaf, LeafKind, Parser, ValueKind, write_json_string};

/// JSON texts within JSON texts that are taken apart; what lies deeper is looked at as text.
const NESTED_MAX: usize = 4;
/// Looks at one text, each at what the one before has left.
const LOOKS_MAX: usize = 8;

/// A look. Within one text it goes one level deeper.
#[derive(Debug)]
pub(super) struct Look<'l> {
    names: &'l Names,
    parser: &'l mut Parser,
    depth: usize,
}

impl<'l> Look<'l> {
    /// With names of the configuration, and a parser for what is within texts.
    pub(super) fn new(names: &'l Names, parser: &'l mut Parser) -> Self {
        Self { names, parser, depth: 0 }
    }

    /// Every change to make, in the order of the text, without overlaps: of the leaves given, which are in order.
    pub(super) fn edits(&mut self, doc: &Doc, kind: Kind, suspects: &[Suspect]) -> Vec<Edit> {
        if suspects.is_empty() {
            return Vec::new();
        }
        let hidden = secrets::hidden_paths(doc, kind, suspects.iter().map(|suspect| suspect.at));
        let (mut edits, mut json_end) = (Vec::new(), 0);
        let mut look = |at: usize, leaf: &Leaf, class: Option<Class>, is_by_text: bool| {
            let range = doc.leaf_range(leaf);
            let instead = if range.start < json_end { None } else { self.instead(doc, at, leaf, class, is_by_text) };
            if let Some((text, classes)) = instead {
                let mut json = String::with_capacity(text.len() + 2);
                write_json_string(&text, &mut json);
                json_end = range.end;
                edits.push(Edit { range, json, classes });
            }
        };
        if hidden.is_empty() {
            for Suspect { at, is_by_text } in suspects {
                if let Some(leaf) = doc.leaves().get(*at).filter(|leaf| has_text(leaf.kind)) {
                    look(*at, leaf, None, *is_by_text);
                }
            }
            return edits;
        }
        // What lies below a hidden path is told by the path alone.
        let mut suspects = suspects.iter().peekable();
        for (at, leaf) in doc.leaves().iter().enumerate().filter(|(_, leaf)| has_text(leaf.kind)) {
            while suspects.next_if(|suspect| suspect.at < at).is_some() {}
            let suspect = suspects.peek().filter(|suspect| suspect.at == at);
            if secrets::is_under(doc, leaf, &hidden) {
                look(at, leaf, Some(Class::SecretData), false);
            } else if let Some(suspect) = suspect {
                look(at, leaf, None, suspect.is_by_text);
            }
        }
        edits
    }

    /// What stands in the place of a leaf's value, if that has to change; `class` is what the object around it says of it.
    fn instead(&mut self, doc: &Doc, at: usize, leaf: &Leaf, class: Option<Class>, is_by_text: bool) -> Option<(Cow<'static, str>, Vec<Class>)> {
        let value = doc.value(leaf);
        if let Some(class) = class.or_else(|| secrets::named(doc, at, leaf, self.names)) {
            let is_done = value.text.is_empty() || value.kind == ValueKind::Text && value.text == class.replacement();
            return (!is_done).then(|| (Cow::Borrowed(class.replacement()), vec![class]));
        }
        if !is_by_text {
            return None;
        }
        // The text of a raw leaf is JSON itself, nested too deep to be taken apart.
        if leaf.kind == LeafKind::Raw {
            let first = scan::find_loose(value.text, loose::is_of_secrets(value.text)).first()?.class;
            return Some((Cow::Borrowed(first.replacement()), vec![first]));
        }
        let (rewritten, classes) = self.content(value.text)?;
        // A number becomes text, and digits become more than digits: as such the value may be a secret by its name, and has to be one now, or the
        // next pass would find it.
        match secrets::named_as(doc, at, leaf, &rewritten, self.names) {
            Some(class) => Some((Cow::Borrowed(class.replacement()), vec![class])),
            None => Some((Cow::Owned(rewritten), classes)),
        }
    }

    /// A text without what can be told by its content, and what that was; nothing, if there is nothing to take out. What is damaged can show more
    /// once a part of it is gone, so it is looked at again.
    fn content(&mut self, text: &str) -> Option<(String, Vec<Class>)> {
        let mut classes = Vec::new();
        let mut now = self.once(text, &mut classes)?;
        // Within a text once: the text around it is looked at again.
        let looks = if self.depth == 0 { LOOKS_MAX } else { 1 };
        for _ in 1..looks {
            let Some(next) = self.once(&now, &mut classes) else { break };
            now = next;
        }
        Some((now, classes))
    }

    fn once(&mut self, text: &str, classes: &mut Vec<Class>) -> Option<String> {
        let (mut now, mut is_whole) = (Cow::Borrowed(text), false);
        if self.depth < NESTED_MAX
            && secrets::is_json(text)
            && let Ok(doc) = self.parser.parse(text.as_bytes(), None)
        {
            is_whole = !doc.is_cut();
            // Whatever it is, it may be what an API server would write.
            let edits = Look { names: self.names, parser: self.parser, depth: self.depth + 1 }.edits(&doc, Kind::K8sAudit, &Suspect::all(&doc));
            if !edits.is_empty() {
                classes.extend(edits.iter().flat_map(|edit| edit.classes.iter().copied()));
                let after = text.get(doc.text().len()..).unwrap_or_default();
                now = Cow::Owned(apply(doc.text(), &edits) + after);
            }
        }
        let found = if is_whole { scan::find(&now) } else { scan::find_loose(&now, loose::is_of_secrets(&now)) };
        if !found.is_empty() {
            classes.extend(found.iter().map(|found| found.class));
            now = Cow::Owned(rewrite(&now, &found));
        }
        match now {
            Cow::Owned(rewritten) => Some(rewritten),
            Cow::Borrowed(_) => None,
        }
    }
}

fn has_text(kind: LeafKind) -> bool {
    matches!(kind, LeafKind::Text | LeafKind::Number | LeafKind::Raw)
}
