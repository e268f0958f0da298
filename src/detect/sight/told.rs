//! What is told of a rule after events were seen.

use std::fmt;

use serde::Serialize;

use super::Sight;
use super::outline::{Outline, Piece, What};
use crate::detect::fold::cut;
use crate::detect::needs;
use crate::detect::rule::{Body, Correlation, LogSource};
use crate::model::{Event, FieldRef, Kind, ValueKind};

/// Reasons told of one rule, or of one event.
const REASONS_MAX: usize = 8;
/// Values told of a field.
const VALUES_TOLD_MAX: usize = 5;
/// Bytes of a value of one event.
const VALUE_BYTES_MAX: usize = 80;

/// How a rule stands to what was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It matched; of a correlation: enough of the rules it stands on did.
    Matched,
    /// Each piece that it needs held some time, and never all at once.
    NotTogether,
    /// A piece that it needs never held, though what it reads was there.
    NeverHeld,
    /// A field that it needs was never there: on such events it can never fire.
    Blind,
    /// No event of its kind was seen.
    NoEvents,
    /// Its log source is not read here.
    NotApplicable,
}

/// A piece of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PieceSeen {
    /// 0 for a selection, then what is in it.
    pub depth: usize,
    pub text: String,
    /// Events for which it held.
    pub held: u64,
}

/// A field that a rule reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldSeen {
    pub name: String,
    pub is_normalised: bool,
    /// The rule cannot hold without it.
    pub is_needed: bool,
    /// Events of the rule's kind that have it.
    pub events: u64,
    /// Where none has it: names that are there.
    pub near: Vec<String>,
}

/// Why a rule never held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    pub text: String,
    pub field: Option<String>,
    /// Names that events have in its place.
    pub near: Vec<String>,
    /// The field's most common values, and how often they were there.
    pub values: Vec<(String, u64)>,
}

/// What events have shown of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seen {
    pub rule: String,
    pub title: String,
    pub standing: Standing,
    /// Events of its kind; of a correlation: of the rules it stands on.
    pub events: u64,
    /// Events that it matched; none is told of a correlation.
    pub matched: Option<u64>,
    /// Events for which it could not be decided since they lack what it asks for; none is told of a correlation.
    pub unknown: Option<u64>,
    pub pieces: Vec<PieceSeen>,
    pub fields: Vec<FieldSeen>,
    pub reasons: Vec<Reason>,
    /// Of a correlation: the rules it stands on.
    pub steps: Vec<Seen>,
}

/// What stands in the way of a rule.
struct Block<'o> {
    piece: &'o Piece,
    /// Name of the selection that it is in.
    selection: Option<&'o str>,
    how: How,
}

#[derive(Clone, Copy)]
enum How {
    /// The piece does not hold.
    Not,
    /// What is below it does, and not together.
    Apart,
    /// It holds, and must not.
    Excludes,
}

/// Finds what stands in the way of a piece, where `holds` knows of parts.
fn blocks<'o>(of: &'o Outline, piece: &'o Piece, selection: Option<&'o str>, holds: &dyn Fn(usize) -> bool, out: &mut Vec<Block<'o>>) {
    if holds(piece.part) || out.len() >= REASONS_MAX {
        return;
    }
    let from = out.len();
    match piece.what {
        What::Selection(at) => match of.selections.get(at) {
            Some(own) if own.below.is_empty() => out.push(Block { piece: own, selection: None, how: How::Not }),
            Some(own) => {
                own.below.iter().for_each(|below| blocks(of, below, Some(&own.text), holds, out));
                if out.len() == from {
                    out.push(Block { piece: own, selection: None, how: How::Apart });
                }
            }
            None => {}
        },
        What::Item => out.push(Block { piece, selection, how: How::Not }),
        What::Not => match piece.below.first() {
            Some(below) => {
                let shown = if let What::Selection(at) = below.what { of.selections.get(at) } else { None };
                out.push(Block { piece: shown.unwrap_or(below), selection: None, how: How::Excludes });
            }
            None => out.push(Block { piece, selection, how: How::Not }),
        },
        What::All | What::AtLeast(_) => {
            piece.below.iter().for_each(|below| blocks(of, below, selection, holds, out));
            if out.len() == from {
                let how = if piece.below.is_empty() { How::Not } else { How::Apart };
                out.push(Block { piece, selection, how });
            }
        }
    }
}

impl Sight {
    /// What was seen of a rule; nothing of one that is not looked at.
    pub fn seen(&self, rule: usize) -> Option<Seen> {
        let known = self.set.rules.get(rule)?;
        let mut seen = Seen {
            rule: known.header.id.clone(),
            title: known.header.title.clone(),
            standing: Standing::NotApplicable,
            events: self.of_kind(rule),
            matched: None,
            unknown: None,
            pieces: Vec::new(),
            fields: Vec::new(),
            reasons: Vec::new(),
            steps: Vec::new(),
        };
        match &known.body {
            Body::Single(_) if matches!(known.logsource, LogSource::NotApplicable(_)) => Some(seen),
            Body::Single(_) => {
                self.single(rule, self.outlines.get(rule)?.as_ref()?, &mut seen);
                Some(seen)
            }
            Body::Correlation(correlation) => {
                seen.steps = correlation.rules.iter().map(|step| self.seen(*step)).collect::<Option<_>>()?;
                seen.events = seen.steps.iter().map(|step| step.events).max().unwrap_or_default();
                seen.standing = self.correlated(rule, correlation, &seen.steps);
                Some(seen)
            }
        }
    }

    /// The fields that are in the way of a rule.
    pub(super) fn missing(&self, rule: usize) -> Vec<&FieldRef> {
        let has = |single: usize, field: &FieldRef| {
            let outline = self.outlines.get(single).and_then(Option::as_ref);
            let part = outline.and_then(|outline| outline.fields.iter().find(|(known, _)| known == field));
            // Of a kind that was not seen nothing is known.
            self.of_kind(single) == 0 || part.is_none_or(|(_, part)| self.held[*part] > 0)
        };
        needs::missing(&self.set, rule, &has)
    }

    fn kind(&self, rule: usize) -> Option<Kind> {
        match self.set.rules.get(rule)?.logsource {
            LogSource::Kind(kind) => Some(kind),
            _ => None,
        }
    }

    fn single(&self, rule: usize, outline: &Outline, to: &mut Seen) {
        let kind = self.kind(rule);
        let matched = self.held[outline.root.part];
        to.matched = Some(matched);
        to.unknown = self.matcher.unknown().get(outline.root.part).copied();
        for selection in &outline.selections {
            self.list(selection, 0, &mut to.pieces);
        }
        for (field, part) in &outline.fields {
            let events = self.held[*part];
            let near = if events == 0 && to.events > 0 { self.names.near(field.name(), kind) } else { Vec::new() };
            to.fields.push(FieldSeen {
                name: field.name().to_owned(),
                is_normalised: matches!(field, FieldRef::Fact(_)),
                is_needed: needs::missing(&self.set, rule, &|_, other| other != field).contains(&field),
                events,
                near,
            });
        }
        if matched > 0 || to.events == 0 {
            to.standing = if matched > 0 { Standing::Matched } else { Standing::NoEvents };
            return;
        }
        let mut found = Vec::new();
        blocks(outline, &outline.root, None, &|part| self.held[part] > 0, &mut found);
        to.standing = if !self.missing(rule).is_empty() {
            Standing::Blind
        } else if found.iter().all(|block| matches!(block.how, How::Apart)) {
            Standing::NotTogether
        } else {
            Standing::NeverHeld
        };
        to.reasons = found.iter().map(|block| self.reason(outline, block, kind)).collect();
    }

    fn list(&self, piece: &Piece, depth: usize, to: &mut Vec<PieceSeen>) {
        to.push(PieceSeen { depth, text: piece.text.clone(), held: self.held[piece.part] });
        piece.below.iter().for_each(|below| self.list(below, depth + 1, to));
    }

    fn correlated(&self, rule: usize, correlation: &Correlation, steps: &[Seen]) -> Standing {
        let is = |at: usize, wanted: &[Standing]| steps.get(at).is_some_and(|step| wanted.contains(&step.standing));
        if !self.missing(rule).is_empty() {
            Standing::Blind
        } else if needs::may_fire(correlation, &|at| is(at, &[Standing::Matched])) {
            Standing::Matched
        } else if needs::may_fire(correlation, &|at| is(at, &[Standing::Matched, Standing::NoEvents, Standing::NotApplicable])) {
            Standing::NoEvents
        } else {
            Standing::NeverHeld
        }
    }

    fn reason(&self, outline: &Outline, block: &Block<'_>, kind: Option<Kind>) -> Reason {
        let Block { piece, selection, how } = block;
        let field = piece.field.as_ref().filter(|_| matches!(how, How::Not));
        let is_there = field.is_none_or(|field| outline.fields.iter().any(|(known, part)| known == field && self.held[*part] > 0));
        let within = selection.map_or_else(String::new, |selection| format!("`{selection}`: "));
        let text = match how {
            How::Not if !is_there && !piece.is_negated => format!("{within}{}: no event has the field", piece.text),
            How::Not => format!("{within}{} never held", piece.text),
            How::Apart => format!("{within}`{}`: each part of it held some time, never enough of them at once", piece.text),
            How::Excludes => format!("not `{}`: it always held", piece.text),
        };
        Reason {
            text,
            field: field.map(|field| field.name().to_owned()),
            near: field.filter(|_| !is_there).map_or_else(Vec::new, |field| self.names.near(field.name(), kind)),
            values: field.map_or_else(Vec::new, |field| self.names.common(field, kind, VALUES_TOLD_MAX)),
        }
    }

    /// Why a single rule does not match an event: what is in the way, and what the event has there. Empty: it matches, or is not looked at.
    pub fn why_not(&mut self, rule: usize, event: &Event) -> Vec<String> {
        self.matcher.find(event, &mut self.found);
        let Some(Some(outline)) = self.outlines.get(rule) else { return Vec::new() };
        if self.kind(rule).is_some_and(|kind| kind != event.kind) {
            return vec![format!("it is for {} and the event is {}", self.kind(rule).map_or("any", Kind::name), event.kind.name())];
        }
        let mut found = Vec::new();
        blocks(outline, &outline.root, None, &|part| u32::try_from(part).is_ok_and(|part| self.found.binary_search(&part).is_ok()), &mut found);
        found.iter().map(|block| self.why(block, event)).collect()
    }

    fn why(&self, Block { piece, selection, how }: &Block<'_>, event: &Event) -> String {
        let within = selection.map_or_else(String::new, |selection| format!("`{selection}`: "));
        match (how, &piece.field) {
            (How::Excludes, _) => format!("not `{}`: it holds", piece.text),
            (How::Apart, _) | (How::Not, None) => format!("{within}`{}` does not hold", piece.text),
            (How::Not, Some(field)) => {
                let mut values = Vec::new();
                event.each(field, |value| {
                    if values.len() < VALUES_TOLD_MAX {
                        values.push(if value.kind == ValueKind::Null {
                            "null".to_owned()
                        } else {
                            format!("{:?}", cut(value.text, VALUE_BYTES_MAX))
                        });
                    }
                });
                let near = if values.is_empty() { self.names.near(field.name(), Some(event.kind)) } else { Vec::new() };
                let has = match (values.is_empty(), near.is_empty()) {
                    (false, _) => format!("it is {}", values.join(", ")),
                    (true, true) => "the event has no such field".to_owned(),
                    (true, false) => format!("the event has no such field; near it are {}", near.join(", ")),
                };
                format!("{within}{}: {has}", piece.text)
            }
        }
    }
}

impl Standing {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Matched => "matches",
            Self::NotTogether => "never matched: what it needs was never there at once",
            Self::NeverHeld => "never matched: something it needs never held",
            Self::Blind => "blind: a field it needs was never there",
            Self::NoEvents => "no event of its kind was seen",
            Self::NotApplicable => "not applicable",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        if !self.near.is_empty() {
            write!(f, "; near it are {}", self.near.join(", "))?;
        }
        if !self.values.is_empty() {
            let values: Vec<String> = self.values.iter().map(|(value, count)| format!("{value:?} {count}")).collect();
            write!(f, "; its values: {}", values.join(", "))?;
        }
        Ok(())
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let matched = self.matched.map_or_else(String::new, |matched| format!(", {matched} matched"));
        let unknown = self.unknown.filter(|unknown| *unknown > 0).map_or_else(String::new, |unknown| format!(", unknown for {unknown}"));
        writeln!(f, "{}: {} ({} events of its kind{matched}{unknown})", self.title, self.standing.words(), self.events)?;
        for reason in &self.reasons {
            writeln!(f, "  {reason}")?;
        }
        if !self.pieces.is_empty() && self.events > 0 {
            writeln!(f, "  held for")?;
            for piece in &self.pieces {
                writeln!(f, "  {:>9} {:indent$}{}", piece.held, "", piece.text, indent = piece.depth * 2)?;
            }
            writeln!(f, "  fields were there in")?;
            for field in &self.fields {
                let near = if field.near.is_empty() { String::new() } else { format!("; near it are {}", field.near.join(", ")) };
                let needed = if field.is_needed { "" } else { " (not needed)" };
                writeln!(f, "  {:>9} {}{needed}{near}", field.events, field.name)?;
            }
        }
        for step in &self.steps {
            writeln!(f, "  {}: {}", step.title, step.standing.words())?;
            for reason in &step.reasons {
                writeln!(f, "    {reason}")?;
            }
        }
        Ok(())
    }
}
