//! How a value becomes a term of the index.
//!
//! There is one term field. A term is a mark (normalised fact, native leaf, both, word), the field's name, a separator and the value in
//! lower case, so the terms of one field stand together: a prefix, a pattern, a range or "exists" is a walk over a part of the
//! dictionary. A value that is long or odd becomes its start, a mark and a hash: found whole by its hash, else by checking the event.
//!
//! **Lean values.** What is unique to nearly every event would be most of the dictionary. So of native values an identifier (a UUID, 32 hex
//! digits and more, whatever stands before them) becomes one of 4,096 hashes, a time its ten minutes, and of a request's query string the
//! numbers go. Such a term stands for many values; an event that has it is looked at.

use std::borrow::Cow;

use crate::model::Field;

/// Mark of a normalised field's terms.
pub(super) const FACT: char = '=';
/// Mark of a native field's terms.
pub(super) const NATIVE: char = '.';
/// Mark of values that are facts and a native leaf at once; the names follow, with [`AND`] between facts and [`ALSO`] before the leaf's.
pub(super) const BOTH: char = '*';
/// Mark of the words of a message-like field.
pub(super) const WORD: char = ':';
/// Between facts.
const AND: char = ',';
/// Between the facts and the native name of a field that is marked [`BOTH`].
pub(super) const ALSO: char = '\u{1e}';
/// Between the field and the value.
const SEPARATOR: char = '\u{1f}';
/// The character after the separator: the end of a field's terms.
const AFTER_SEPARATOR: char = '\u{20}';
/// Before the hash of a value that was cut. Values that have this character are written in this form too, so the form is unambiguous.
pub(super) const CUT: char = '\u{1b}';
/// Ends a value of which the digits of the query string were taken out.
const SKETCH: char = '\u{1a}';
/// The term of an event that has more terms than the limit.
pub(super) const OVERFULL: &str = "!overfull";
/// Value of a field whose values are not indexed: it only says that there is one.
const UNLISTED: &str = "\u{1b}";
/// Longer values are cut, in bytes.
const VALUE_BYTES_MAX: usize = 256;
/// What is kept of a value that is cut, in bytes.
const VALUE_KEPT_BYTES: usize = 240;
/// Longer names are replaced by their hash, in bytes.
const NAME_BYTES_MAX: usize = 1024;
/// Bytes of a hash that is the whole of what a term says of a cut value, in hex digits.
const HASH_DIGITS: usize = 32;
/// What may stand before an identifier that is hashed, in bytes.
pub(super) const LEAN_HEAD_MAX: usize = 32;
/// Hex digits of the hash of an identifier.
const LEAN_DIGITS: usize = 3;
/// Bytes of a time down to its ten minutes.
const TIME_BYTES: usize = "2026-01-01t00:0".len();

/// Lower case, character by character: no context, so a part of a text folds as the text does.
pub(super) fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        if text.bytes().any(|b| b.is_ascii_uppercase()) { Cow::Owned(text.to_ascii_lowercase()) } else { Cow::Borrowed(text) }
    } else {
        Cow::Owned(text.chars().flat_map(char::to_lowercase).collect())
    }
}

fn write_name(name: &str, to: &mut String) {
    if name.len() > NAME_BYTES_MAX || name.contains([SEPARATOR, CUT, ALSO]) {
        to.push(CUT);
        to.push_str(&blake3::hash(name.as_bytes()).to_hex());
    } else {
        to.push_str(name);
    }
}

/// What all terms of a field begin with.
pub(super) fn write_field(mark: char, name: &str, to: &mut String) {
    to.push(mark);
    write_name(name, to);
    to.push(SEPARATOR);
}

/// What all terms of a field begin with.
pub(super) fn field(mark: char, name: &str) -> String {
    let mut prefix = String::with_capacity(name.len() + 8);
    write_field(mark, name, &mut prefix);
    prefix
}

/// What all terms begin with that are values of these facts and of this native field.
pub(super) fn both(facts: impl Iterator<Item = Field>, native: &str) -> String {
    let mut prefix = BOTH.to_string();
    for (at, fact) in facts.enumerate() {
        if at > 0 {
            prefix.push(AND);
        }
        prefix.push_str(fact.name());
    }
    prefix.push(ALSO);
    write_name(native, &mut prefix);
    prefix.push(SEPARATOR);
    prefix
}

/// The facts and the native name, as it is written, of a field that is marked [`BOTH`].
pub(super) fn names_of_both(field: &str) -> Option<(Vec<Field>, &str)> {
    let (facts, native) = field.strip_prefix(BOTH)?.strip_suffix(SEPARATOR)?.split_once(ALSO)?;
    Some((facts.split(AND).map(Field::by_name).collect::<Option<_>>()?, native))
}

/// The native name as a field's terms write it.
pub(super) fn written(native: &str) -> String {
    let mut name = String::with_capacity(native.len());
    write_name(native, &mut name);
    name
}

/// The first text after all terms that begin with this field.
pub(super) fn end_of(field: &str) -> String {
    let mut end = field.strip_suffix(SEPARATOR).unwrap_or(field).to_owned();
    end.push(AFTER_SEPARATOR);
    end
}

/// What this term and all others of its field begin with.
pub(super) fn prefix_of(term: &str) -> Option<&str> {
    term.split_inclusive(SEPARATOR).next().filter(|prefix| prefix.ends_with(SEPARATOR))
}

/// What the terms of a field begin with, from what [`split`] calls the field.
pub(super) fn closed(field: &str) -> String {
    format!("{field}{SEPARATOR}")
}

/// Splits a term into its field (mark included, separator not) and its value.
pub(super) fn split(term: &str) -> Option<(&str, &str)> {
    term.split_once(SEPARATOR)
}

/// Appends the value of a term.
pub(super) fn write_value(value: &str, to: &mut String) {
    write_folded(&fold(value), to);
}

/// Appends a value in lower case, as a term has it.
fn write_folded(folded: &str, to: &mut String) {
    if folded.len() <= VALUE_BYTES_MAX && !folded.contains([CUT, SKETCH]) {
        to.push_str(folded);
        return;
    }
    let mut kept = 0;
    for c in folded.chars().take_while(|c| ![CUT, SKETCH].contains(c)) {
        if kept + c.len_utf8() > VALUE_KEPT_BYTES {
            break;
        }
        kept += c.len_utf8();
        to.push(c);
    }
    to.push(CUT);
    to.push_str(blake3::hash(folded.as_bytes()).to_hex().get(..HASH_DIGITS).unwrap_or_default());
}

/// How the values of a field become terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Whole,
    /// Some terms stand for many values.
    Lean,
    /// Lean, and query strings are without their numbers.
    Uri,
    /// All that there is to tell is that the field has a value.
    Unlisted,
}

impl Form {
    /// Of a fact: lean where nearly every event has another value.
    pub(super) fn of_fact(fact: Field) -> Self {
        if matches!(fact, Field::K8sAuditId | Field::ActorCredentialId) { Self::Lean } else { Self::Whole }
    }

    /// Of values that are all of these facts and a native leaf at once; none if the facts have different forms.
    pub(super) fn of_both(mut facts: impl Iterator<Item = Field>) -> Option<Self> {
        let form = Self::of_fact(facts.next()?);
        facts.all(|fact| Self::of_fact(fact) == form).then_some(form)
    }

    /// Of a native field.
    pub(super) fn of_native(path: &str) -> Self {
        if is_unlisted(path) {
            Self::Unlisted
        } else if path.strip_suffix("requestURI").is_some_and(|rest| rest.is_empty() || rest.ends_with('.')) {
            Self::Uri
        } else {
            Self::Lean
        }
    }

    /// Appends the value of a term.
    pub(super) fn write(self, value: &str, to: &mut String) {
        match self {
            Self::Whole => write_value(value, to),
            Self::Lean => write_lean(value, false, to),
            Self::Uri => write_lean(value, true, to),
            Self::Unlisted => to.push_str(UNLISTED),
        }
    }

    /// Whether the term of a value stands for others as well.
    pub(super) fn is_shared(self, value: &str) -> bool {
        let mut term = String::new();
        self.write(value, &mut term);
        is_shared(&term)
    }
}

/// The terms of a field of the index.
#[derive(Debug, Clone)]
pub(super) struct TermRange<'a> {
    /// What they begin with.
    pub(super) prefix: Cow<'a, str>,
    pub(super) form: Form,
}

fn write_lean(value: &str, is_uri: bool, to: &mut String) {
    if is_time(value.as_bytes()) {
        to.extend(value.chars().take(TIME_BYTES).map(|c| c.to_ascii_lowercase()));
        to.push(CUT);
        return;
    }
    let folded = fold(value);
    match lean(&folded) {
        Some(head) => {
            to.push_str(head);
            to.push(CUT);
            to.push_str(blake3::hash(folded.as_bytes()).to_hex().get(..LEAN_DIGITS).unwrap_or_default());
        }
        None if is_uri => write_uri(&folded, to),
        None => write_folded(&folded, to),
    }
}

/// What stands before the identifier that a value in lower case ends with, if it is one of those that are unique to nearly every event.
fn lean(folded: &str) -> Option<&str> {
    let bytes = folded.as_bytes();
    if bytes.len() < HASH_DIGITS || bytes.len() > LEAN_HEAD_MAX + VALUE_KEPT_BYTES / 2 {
        return None;
    }
    let digits = bytes.iter().rev().take_while(|b| b.is_ascii_hexdigit()).count();
    let len = if digits >= HASH_DIGITS {
        digits
    } else if digits >= 12 && is_uuid(bytes.last_chunk::<36>()?) {
        36
    } else {
        return None;
    };
    let head = folded.get(..bytes.len() - len)?;
    let is_plain = head.len() <= LEAN_HEAD_MAX && !head.contains([CUT, SKETCH]);
    is_plain.then_some(head)
}

/// `2026-01-01t00:00:00`, a fraction or none, and an offset or `z`, in either case.
fn is_time(text: &[u8]) -> bool {
    let is_of = |b: &u8, pattern: u8| if pattern == b'0' { b.is_ascii_digit() } else { b.to_ascii_lowercase() == pattern };
    let Some((head, tail)) = text.split_at_checked("2026-01-01t00:00:00".len()) else { return false };
    head.iter().zip(b"0000-00-00t00:00:00").all(|(b, pattern)| is_of(b, *pattern))
        && (1..=16).contains(&tail.len())
        && tail.iter().all(|b| b.is_ascii_digit() || b".zZ+-:".contains(b))
}

fn is_uuid(bytes: &[u8; 36]) -> bool {
    bytes.iter().enumerate().all(|(at, b)| if matches!(at, 8 | 13 | 18 | 23) { *b == b'-' } else { b.is_ascii_hexdigit() })
}

/// A request's path as it is, and its query string without numbers.
fn write_uri(folded: &str, to: &mut String) {
    let Some((path, query)) = folded.split_once('?').filter(|(_, query)| query.bytes().any(|b| b.is_ascii_digit())) else {
        return write_folded(folded, to);
    };
    if folded.len() > VALUE_BYTES_MAX || folded.contains([CUT, SKETCH]) {
        return write_folded(folded, to);
    }
    to.push_str(path);
    to.push('?');
    push_sketch(query, to);
    to.push(SKETCH);
}

/// Appends a text in which every run of digits is one `#`.
fn push_sketch(text: &str, to: &mut String) {
    let mut was_digit = false;
    for c in text.chars() {
        let is_digit = c.is_ascii_digit();
        match (is_digit, was_digit) {
            (true, true) => {}
            (true, false) => to.push('#'),
            (false, _) => to.push(c),
        }
        was_digit = is_digit;
    }
}

/// The value without the mark that says that it is a sketch, and without the digits that are left; nothing if it is none.
pub(super) fn sketch_of(value: &str) -> Option<String> {
    let text = value.strip_suffix(SKETCH)?;
    let mut sketch = String::with_capacity(text.len());
    push_sketch(text, &mut sketch);
    Some(sketch)
}

/// Text of a pattern that stands next to placeholders on the sides that are given, as a sketch would have it: what is left is there in
/// every sketch of a value that fits.
pub(super) fn sketch_of_part(text: &str, is_open_before: bool, is_open_after: bool) -> String {
    let text = if is_open_before { text.trim_start_matches(|c: char| c.is_ascii_digit()) } else { text };
    let text = if is_open_after { text.trim_end_matches(|c: char| c.is_ascii_digit()) } else { text };
    let mut sketch = String::with_capacity(text.len());
    push_sketch(text, &mut sketch);
    sketch
}

/// Whether a term's value is not the whole value.
pub(super) fn is_cut(value: &str) -> bool {
    value.contains([CUT, SKETCH])
}

/// Whether several values share the term.
pub(super) fn is_shared(value: &str) -> bool {
    value.ends_with(SKETCH) || value.split_once(CUT).is_some_and(|(_, hash)| hash.len() != HASH_DIGITS)
}

/// What is known of the values that share a term: all of them begin like this, and then have only digits and marks of times and
/// identifiers. Nothing, if they may be anything.
pub(super) fn head_of_shared(value: &str) -> Option<&str> {
    let (head, hash) = value.split_once(CUT)?;
    (value != UNLISTED && hash.len() != HASH_DIGITS).then_some(head)
}

/// Last keys whose values are unique, that nobody searches by value, and whose form does not tell it. Such a value is found by checking the
/// events that have the field.
const UNLISTED_KEYS: &[&str] = &["resourceVersion", "managedFields", "pod-template-hash", "evt.time", "evt.time.iso8601"];

/// Whether the values of this native field stay out of the dictionary.
fn is_unlisted(path: &str) -> bool {
    let is_key = |key: &&str| path.strip_suffix(*key).is_some_and(|rest| rest.is_empty() || rest.ends_with(['.', '/']));
    UNLISTED_KEYS.iter().any(is_key) || path.contains("managedFields.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected_len: usize, expected_cut: bool) {
        let mut to = String::new();
        write_value(value, &mut to);
        assert_eq!((to.len(), is_cut(&to)), (expected_len, expected_cut), "{value:.40}");
    }

    #[test]
    fn long_and_odd_values_are_hashed() {
        check("Alice", 5, false);
        check(&"a".repeat(256), 256, false);
        check(&"a".repeat(257), 240 + 33, true);
        check(&"é".repeat(200), 240 + 33, true);
        check("a\0b", 3, false);
        check("a\u{1b}b", 1 + 33, true);
    }

    #[test]
    fn lean_values_share_terms() {
        let term = |value: &str, is_uri: bool| {
            let mut to = String::new();
            write_lean(value, is_uri, &mut to);
            to
        };
        let id = term("9A189e4c-4d8f-f136-f007-bbbf3fd94dc5", false);
        assert_eq!((id.len(), is_cut(&id), is_shared(&id)), (4, true, true));
        assert_eq!(term("JTI=015b96e0-8a63-5b50-bc22-d554c311b5c8", false).strip_prefix("jti=").map(str::len), Some(4));
        assert_eq!(term(&format!("containerd://{}", "0f".repeat(32)), false).strip_prefix("containerd://").map(str::len), Some(4));
        assert_eq!(term("2026-11-20T00:00:26.067027Z", false), "2026-11-20t00:0\u{1b}");
        assert_eq!(term("2026-11-20T00:00:26+02:00", false), "2026-11-20t00:0\u{1b}");
        for plain in ["2026-11-20", "2026-11-20T00:00:26 and more", "web-9a189e4c-4d8f", "9a189e4c-4d8f-f136-f007-bbbf3fd94dcx"] {
            assert_eq!(term(plain, false), fold(plain), "it stays as it is");
        }
        assert_eq!(term("/api/v1/pods9?a=12&b=x3", true), "/api/v1/pods9?a=#&b=x#\u{1a}");
        assert_eq!(term("/api/v1/pods9?watch=true", true), "/api/v1/pods9?watch=true");
        assert!(!is_shared(&{
            let mut long = String::new();
            write_value(&"a".repeat(300), &mut long);
            long
        }));
    }
}
