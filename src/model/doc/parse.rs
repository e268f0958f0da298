//! The only parse there is: iterative, bounded, one pass over the bytes.

use std::borrow::Cow;
use std::fmt;

use super::scan::{blank, literal, number_end, skip_value, string_end};
use super::unescape::unescape;
use super::{Container, Doc, Leaf, LeafKind, Path, SIDE, Span};

/// What one record may have. Past a limit the record is kept and the rest of its leaves is left out ([`Doc::is_cut`]).
#[derive(Debug, Clone)]
pub struct Limits {
    /// Nesting; deeper values become one raw leaf each.
    pub depth_max: usize,
    /// Leaves and containers.
    pub leaves_max: usize,
    /// Bytes of a key; longer ones are cut.
    pub key_bytes_max: usize,
    /// Bytes of a record; longer ones are no record.
    pub record_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth_max: 64, leaves_max: 10_000, key_bytes_max: 512, record_bytes_max: 4 << 20 }
    }
}

/// Where and how a text is not JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// Offset in bytes.
    pub at: usize,
    pub what: &'static str,
}

impl ParseError {
    pub(super) fn at(at: usize, what: &'static str) -> Self {
        Self { at, what }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.at)
    }
}

impl std::error::Error for ParseError {}

/// Parses records. Holds buffers that are reused from record to record; one per thread.
#[derive(Debug, Default)]
pub struct Parser {
    limits: Limits,
    leaves: Vec<Leaf>,
    containers: Vec<Container>,
    items: Vec<u32>,
    side: Vec<u8>,
    stack: Vec<Open>,
    is_cut: bool,
}

/// A container that is open.
#[derive(Debug, Clone, Copy)]
struct Open {
    index: u32,
    /// The array element that its members belong to: the current one of an array, the one an object lies in.
    item: u32,
    /// The element that the container itself lies in.
    outer: u32,
    path: Path,
    key: Span,
    is_array: bool,
}

/// What the parser expects next.
enum Next {
    Value,
    /// After a value: a comma or the end of the container.
    Tail,
    /// After `{` or a comma in an object; a closing brace is right only after `{`.
    Key {
        may_close: bool,
    },
}

impl Parser {
    /// With these limits.
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Parses one record that fills the bytes. A member `lift` of the record is transparent: its members count as the record's own.
    /// Bytes that are not UTF-8 become U+FFFD.
    ///
    /// # Errors
    /// Where the bytes are not one JSON value, or longer than the limit.
    pub fn parse(&mut self, bytes: &[u8], lift: Option<&str>) -> Result<Doc, ParseError> {
        if bytes.len() > self.limits.record_bytes_max {
            return Err(ParseError::at(0, "the record is longer than the limit"));
        }
        let (doc, end) = self.parse_prefix(bytes, lift)?;
        if blank(bytes, end) != bytes.len() {
            return Err(ParseError::at(end, "text follows the record"));
        }
        Ok(doc)
    }

    /// Parses the record that starts here, and tells where it ends; what follows is not looked at.
    ///
    /// # Errors
    /// Where the bytes are not JSON. An error at the very end of the bytes says that more of them may help.
    pub fn parse_prefix(&mut self, bytes: &[u8], lift: Option<&str>) -> Result<(Doc, usize), ParseError> {
        let end = self.run(bytes, lift)?;
        let record = bytes.get(..end).unwrap_or_default();
        if let Ok(text) = simdutf8::basic::from_utf8(record) {
            return Ok((self.doc(text.into(), false), end));
        }
        // The replacement characters move what follows, so the positions are taken again from the text that is kept.
        let text: Box<str> = String::from_utf8_lossy(record).into();
        self.run(text.as_bytes(), lift)?;
        Ok((self.doc(text, true), end))
    }

    fn doc(&self, text: Box<str>, is_lossy: bool) -> Doc {
        Doc {
            text,
            side: String::from_utf8_lossy(&self.side).into(),
            leaves: self.leaves.clone(),
            containers: self.containers.clone(),
            items: self.items.clone(),
            is_cut: self.is_cut,
            is_lossy,
        }
    }

    fn clear(&mut self) {
        self.leaves.clear();
        self.containers.clear();
        self.items.clear();
        self.items.push(0);
        self.side.clear();
        self.stack.clear();
        self.is_cut = false;
    }

    fn run(&mut self, bytes: &[u8], lift: Option<&str>) -> Result<usize, ParseError> {
        self.clear();
        let lift = lift.map(str::as_bytes);
        let mut at = 0;
        let mut next = Next::Value;
        let mut key = Span::default();
        let mut path = Path::ROOT;
        loop {
            at = blank(bytes, at);
            match next {
                Next::Value => {
                    let (after, opened) = self.value(bytes, at, key, path)?;
                    at = after;
                    next = match opened {
                        Some(true) => {
                            (key, path) = self.enter_element();
                            Next::Value
                        }
                        Some(false) => Next::Key { may_close: true },
                        None if self.stack.is_empty() => return Ok(at),
                        None => Next::Tail,
                    };
                }
                Next::Key { may_close } => {
                    if may_close && bytes.get(at) == Some(&b'}') {
                        at = self.close(at);
                        next = Next::Tail;
                        if self.stack.is_empty() {
                            return Ok(at);
                        }
                    } else {
                        (key, path, at) = self.key(bytes, at, lift)?;
                        next = Next::Value;
                    }
                }
                Next::Tail => {
                    let is_array = self.stack.last().is_some_and(|top| top.is_array);
                    match (bytes.get(at), is_array) {
                        (Some(b','), true) => {
                            (key, path) = self.enter_element();
                            at += 1;
                            next = Next::Value;
                        }
                        (Some(b','), false) => {
                            at += 1;
                            next = Next::Key { may_close: false };
                        }
                        (Some(b'}'), false) | (Some(b']'), true) => {
                            at = self.close(at);
                            if self.stack.is_empty() {
                                return Ok(at);
                            }
                        }
                        (Some(_), _) => return Err(ParseError::at(at, "a comma or the end of the object or list is missing")),
                        (None, _) => return Err(ParseError::at(at, "the text ends within an object or list")),
                    }
                }
            }
        }
    }

    /// A new array element begins: it has the array's own key and path.
    fn enter_element(&mut self) -> (Span, Path) {
        let Some(top) = self.stack.last_mut() else { return (Span::default(), Path::ROOT) };
        top.item = narrow(self.items.len());
        self.items.push(top.outer);
        (top.key, top.path)
    }

    fn close(&mut self, at: usize) -> usize {
        if let Some(top) = self.stack.pop().and_then(|top| self.containers.get_mut(top.index as usize)) {
            top.value.len = narrow(at + 1).saturating_sub(top.value.start);
        }
        at + 1
    }

    #[inline]
    fn key(&mut self, bytes: &[u8], at: usize, lift: Option<&[u8]>) -> Result<(Span, Path, usize), ParseError> {
        if bytes.get(at) != Some(&b'"') {
            return Err(ParseError::at(at, "a key in quotes is missing"));
        }
        let (end, has_escape) = string_end(bytes, at + 1)?;
        let mut span = self.string(bytes, at + 1, end, has_escape)?;
        if span.len as usize > self.limits.key_bytes_max {
            let text = self.slice(bytes, span);
            let is_inside = |at: &usize| text.get(*at).is_some_and(|byte| byte & 0xc0 == 0x80);
            let cut = (0..=self.limits.key_bytes_max).rev().find(|at| !is_inside(at)).unwrap_or_default();
            span.len = narrow(cut);
            self.is_cut = true;
        }
        let text = self.slice(bytes, span);
        let parent = self.stack.last().map_or(Path::ROOT, |top| top.path);
        let is_lifted = self.stack.len() == 1 && lift == Some(text);
        let path = if is_lifted { Path::ROOT } else { parent.child_of_bytes(text) };
        let after = blank(bytes, end + 1);
        if bytes.get(after) != Some(&b':') {
            return Err(ParseError::at(after, "a colon is missing"));
        }
        Ok((span, path, after + 1))
    }

    fn slice<'a>(&'a self, bytes: &'a [u8], span: Span) -> &'a [u8] {
        let start = (span.start & !SIDE) as usize;
        let text = if span.start & SIDE == 0 { bytes } else { self.side.as_slice() };
        text.get(start..start + span.len as usize).unwrap_or_default()
    }

    /// Reads the value here. Tells where it ends and, if it opened a container, whether that is a list.
    fn value(&mut self, bytes: &[u8], at: usize, key: Span, path: Path) -> Result<(usize, Option<bool>), ParseError> {
        let (kind, value, end) = match bytes.get(at) {
            Some(open @ (b'{' | b'[')) => return self.open(bytes, at, *open == b'[', key, path),
            Some(b'"') => {
                let (end, has_escape) = string_end(bytes, at + 1)?;
                (LeafKind::Text, self.string(bytes, at + 1, end, has_escape)?, end + 1)
            }
            Some(b'-' | b'0'..=b'9') => {
                let end = number_end(bytes, at)?;
                (LeafKind::Number, span(at, end), end)
            }
            Some(b't' | b'f' | b'n') => {
                let (kind, end) = literal(bytes, at)?;
                (kind, span(at, end), end)
            }
            Some(_) => return Err(ParseError::at(at, "no value starts like this")),
            None => return Err(ParseError::at(at, "a value is missing")),
        };
        self.leaf(kind, key, value, path, at);
        Ok((end, None))
    }

    fn open(&mut self, bytes: &[u8], at: usize, is_array: bool, key: Span, path: Path) -> Result<(usize, Option<bool>), ParseError> {
        let inner = blank(bytes, at + 1);
        if is_array && bytes.get(inner) == Some(&b']') {
            self.leaf(LeafKind::EmptyArray, key, span(at, inner + 1), path, at);
            return Ok((inner + 1, None));
        }
        let is_record = self.stack.is_empty();
        if !is_record && !is_array && bytes.get(inner) == Some(&b'}') {
            self.leaf(LeafKind::EmptyObject, key, span(at, inner + 1), path, at);
            return Ok((inner + 1, None));
        }
        if self.stack.len() >= self.limits.depth_max || self.is_full() {
            let end = skip_value(bytes, at)?;
            self.is_cut = true;
            self.leaf(LeafKind::Raw, key, span(at, end), path, at);
            return Ok((end, None));
        }
        let index = narrow(self.containers.len());
        let (parent, item) = self.stack.last().map_or((index, 0), |top| (top.index, top.item));
        self.containers.push(Container { path, parent, item, is_array, key, value: span(at, at) });
        self.stack.push(Open { index, item, outer: item, path, key, is_array });
        Ok((at + 1, Some(is_array)))
    }

    fn is_full(&self) -> bool {
        self.leaves.len() + self.containers.len() >= self.limits.leaves_max
    }

    fn leaf(&mut self, kind: LeafKind, key: Span, value: Span, path: Path, at: usize) {
        if self.is_full() {
            self.is_cut = true;
            return;
        }
        let (parent, item) = self.stack.last().map_or((0, 0), |top| (top.index, top.item));
        self.leaves.push(Leaf { path, parent, item, kind, key, value, json_start: narrow(at) });
    }

    /// The span of a string's text: in the record, or unescaped in the side buffer.
    fn string(&mut self, bytes: &[u8], from: usize, to: usize, has_escape: bool) -> Result<Span, ParseError> {
        if !has_escape {
            return Ok(span(from, to));
        }
        let start = self.side.len();
        let escaped = bytes.get(from..to).unwrap_or_default();
        unescape(escaped, &mut self.side).map_err(|error| ParseError { at: from + error.at, ..error })?;
        Ok(Span { start: narrow(start) | SIDE, len: narrow(self.side.len() - start) })
    }
}

fn narrow(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX >> 1)
}

fn span(from: usize, to: usize) -> Span {
    Span { start: narrow(from), len: narrow(to - from) }
}

/// The text of a JSON string, quotes and escapes undone; what is not UTF-8 becomes U+FFFD. `None` if this is no whole JSON string.
pub fn json_text(value: &[u8]) -> Option<Cow<'_, str>> {
    let inner = value.strip_prefix(b"\"")?;
    let (end, has_escape) = string_end(inner, 0).ok().filter(|(end, _)| end + 1 == inner.len())?;
    let inner = inner.get(..end)?;
    if !has_escape {
        return Some(String::from_utf8_lossy(inner));
    }
    let mut out = Vec::new();
    unescape(inner, &mut out).ok()?;
    let text = String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    Some(Cow::Owned(text))
}
