//! A small YAML tree that knows where everything stands. It never follows an alias, so what it builds is no larger than what was written.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, Tag};

/// Bytes of one document. The longest public rule, a list of thousands of hashes, has 295 KB.
pub const DOCUMENT_BYTES_MAX: usize = 512 << 10;

/// Bytes of the tests beside a rule, which may hold whole pod specs.
pub(in crate::detect) const CASES_BYTES_MAX: usize = 1 << 20;

/// Maps and lists within each other.
pub const DEPTH_MAX: usize = 32;

/// A place in a file; both count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(in crate::detect) struct Mark {
    pub(in crate::detect) line: usize,
    pub(in crate::detect) column: usize,
}

/// A value and where it starts.
#[derive(Debug, Clone)]
pub(in crate::detect) struct Node {
    pub(in crate::detect) at: Mark,
    pub(in crate::detect) value: Yaml,
}

/// A value by YAML 1.2's core schema: quoted scalars are text whatever they spell.
#[derive(Debug, Clone)]
pub(in crate::detect) enum Yaml {
    Null,
    Bool(bool),
    /// As written, and what it is.
    Number(String, f64),
    /// `offset` is the column of the first character counted from the node's, where the text stands in one line as it is.
    Text {
        text: String,
        offset: Option<usize>,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key of a map, and its value.
#[derive(Debug, Clone)]
pub(in crate::detect) struct Entry {
    pub(in crate::detect) key: String,
    pub(in crate::detect) at: Mark,
    pub(in crate::detect) value: Node,
}

/// Why a document could not be read.
#[derive(Debug, Clone)]
pub(in crate::detect) struct Broken {
    pub(in crate::detect) at: Mark,
    pub(in crate::detect) message: String,
    pub(in crate::detect) help: &'static str,
}

impl Node {
    /// What the value is, for messages.
    pub(in crate::detect) fn kind(&self) -> &'static str {
        match self.value {
            Yaml::Null => "null",
            Yaml::Bool(_) => "a boolean",
            Yaml::Number(..) => "a number",
            Yaml::Text { .. } => "text",
            Yaml::List(_) => "a list",
            Yaml::Map(_) => "a map",
        }
    }

    /// The text of a string.
    pub(in crate::detect) fn text(&self) -> Option<&str> {
        match &self.value {
            Yaml::Text { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The text that spells a scalar; none for null.
    pub(in crate::detect) fn spelled(&self) -> Option<&str> {
        match &self.value {
            Yaml::Text { text, .. } | Yaml::Number(text, _) => Some(text),
            Yaml::Bool(true) => Some("true"),
            Yaml::Bool(false) => Some("false"),
            Yaml::Null | Yaml::List(_) | Yaml::Map(_) => None,
        }
    }

    /// The entries of a map.
    pub(in crate::detect) fn entries(&self) -> Option<&[Entry]> {
        match &self.value {
            Yaml::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The value of a key of a map.
    pub(in crate::detect) fn get(&self, key: &str) -> Option<&Node> {
        self.entries()?.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }
}

/// Cuts a file at its document markers, so that a document that is broken leaves the others alone. Gives the number of lines
/// before each, and its text; documents of nothing but comments are left out.
pub(in crate::detect) fn documents(text: &str) -> Vec<(usize, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut found = Vec::new();
    let (mut start, mut start_line, mut at, mut has_content) = (0, 0, 0, false);
    for (line, content) in text.split_inclusive('\n').enumerate() {
        let bare = content.trim_end();
        let is_marker = bare == "---" || content.starts_with("--- ") || content.starts_with("---\t");
        if is_marker {
            if has_content {
                found.push((start_line, text.get(start..at).unwrap_or_default()));
            }
            (start, start_line, has_content) = (at, line, false);
        }
        let rest = if is_marker { bare.get(3..).unwrap_or_default().trim_start() } else { bare.trim_start() };
        has_content |= !(rest.is_empty() || rest.starts_with('#') || rest == "..." || (content.starts_with('%') && !has_content));
        at += content.len();
    }
    if has_content {
        found.push((start_line, text.get(start..).unwrap_or_default()));
    }
    found
}

/// A map or list that is being read.
#[derive(Debug)]
struct Open {
    at: Mark,
    value: Building,
}

#[derive(Debug)]
enum Building {
    List(Vec<Node>),
    Map(Vec<Entry>, Option<(String, Mark)>),
}

/// Reads one document. `lines_before` is added to every line.
pub(in crate::detect) fn parse(text: &str, lines_before: usize, bytes_max: usize) -> Result<Option<Node>, Broken> {
    let mark = |marker: &Marker| Mark { line: marker.line() + lines_before, column: marker.col() + 1 };
    if text.len() > bytes_max {
        let message = format!("the document has {} bytes; {bytes_max} are read", text.len());
        return Err(Broken {
            at: Mark { line: lines_before + 1, column: 1 },
            message,
            help: "split it at lines of `---`, or keep long lists in the settings",
        });
    }
    let mut open: Vec<Open> = Vec::new();
    let mut root = None;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| Broken {
            at: mark(error.marker()),
            message: format!("no valid YAML: {}", error.info()),
            help: "check indentation and quotes here and in the line above",
        })?;
        let at = mark(&span.start);
        let done = match event {
            Event::Scalar(text, style, anchor, tag) => {
                refuse(anchor, at)?;
                Some(Node { at, value: scalar(&text, style, tag.as_deref(), span, at)? })
            }
            Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag) if anchor > 0 || tag.is_some() => {
                refuse(anchor, at)?;
                return Err(Broken { at, message: "tags of maps and lists are not read".to_owned(), help: "leave the tag out" });
            }
            Event::SequenceStart(..) => {
                open.push(Open { at, value: Building::List(Vec::new()) });
                None
            }
            Event::MappingStart(..) => {
                open.push(Open { at, value: Building::Map(Vec::new(), None) });
                None
            }
            Event::SequenceEnd | Event::MappingEnd => open.pop().map(close),
            Event::Alias(_) => return refuse(1, at).map(|()| None),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => None,
        };
        if open.len() > DEPTH_MAX {
            return Err(Broken { at, message: format!("nested deeper than {DEPTH_MAX}"), help: "no rule needs that" });
        }
        let Some(node) = done else { continue };
        match open.last_mut() {
            Some(parent) => add(parent, node)?,
            None if root.is_none() => root = Some(node),
            None => {
                return Err(Broken {
                    at: node.at,
                    message: "a second document without `---` before it".to_owned(),
                    help: "write a line of `---` between rules",
                });
            }
        }
    }
    Ok(root)
}

fn refuse(anchor: usize, at: Mark) -> Result<(), Broken> {
    if anchor == 0 {
        return Ok(());
    }
    Err(Broken {
        at,
        message: "anchors and aliases are not read".to_owned(),
        help: "write the value out where it is needed; text that starts with `*` or `&` needs quotes",
    })
}

fn close(open: Open) -> Node {
    let value = match open.value {
        Building::List(nodes) => Yaml::List(nodes),
        Building::Map(entries, _) => Yaml::Map(entries),
    };
    Node { at: open.at, value }
}

fn add(parent: &mut Open, node: Node) -> Result<(), Broken> {
    match &mut parent.value {
        Building::List(nodes) => nodes.push(node),
        Building::Map(entries, key @ None) => {
            let Some(name) = node.spelled() else {
                return Err(Broken {
                    at: node.at,
                    message: format!("a key is {}; it must be text", node.kind()),
                    help: "put quotes around values that start with `{` or `[`",
                });
            };
            if entries.iter().any(|entry| entry.key == name) {
                let help = "give the values as a list, or put one of them into a selection of its own";
                return Err(Broken { at: node.at, message: format!("key `{}` is given twice", name.escape_debug()), help });
            }
            *key = Some((name.to_owned(), node.at));
        }
        Building::Map(entries, key) => {
            if let Some((key, at)) = key.take() {
                entries.push(Entry { key, at, value: node });
            }
        }
    }
    Ok(())
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>, span: Span, at: Mark) -> Result<Yaml, Broken> {
    let is_one_line = span.start.line() == span.end.line();
    let offset = match style {
        ScalarStyle::Plain if is_one_line => Some(0),
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted if is_one_line => Some(1),
        _ => None,
    };
    let as_text = || Yaml::Text { text: text.to_owned(), offset };
    match tag {
        None => {}
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => return Ok(as_text()),
        Some(tag) => {
            let help = "leave it out; quotes make text, and bare numbers are numbers";
            return Err(Broken { at, message: format!("tag `{tag}` is not read"), help });
        }
    }
    if style != ScalarStyle::Plain {
        return Ok(as_text());
    }
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Yaml::Null,
        "true" | "True" | "TRUE" => Yaml::Bool(true),
        "false" | "False" | "FALSE" => Yaml::Bool(false),
        _ => number(text).map_or_else(as_text, |number| Yaml::Number(text.to_owned(), number)),
    })
}

/// A number by the core schema. Infinities and NaN are text here: nothing can be compared with them.
fn number(text: &str) -> Option<f64> {
    let radix = |digits: &str, radix| u64::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with('+'));
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16).map(|number| number as f64);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8).map(|number| number as f64);
    }
    let is_number_like =
        text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) && text.bytes().any(|b| b.is_ascii_digit());
    text.parse::<f64>().ok().filter(|number| is_number_like && number.is_finite())
}

#[cfg(test)]
mod tests;
