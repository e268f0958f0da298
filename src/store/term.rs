//! How a value becomes a term of the index.
//!
//! There is one term field. A term is a mark (normalised fact, native leaf, word), the field's name, a separator and the value in
//! lower case, so the terms of one field stand together: a prefix, a pattern, a range or "exists" is a walk over a part of the
//! dictionary. A value that is long or odd becomes its start, a mark and a hash: found whole by its hash, else by checking the event.

use std::borrow::Cow;

/// Mark of a normalised field's terms.
pub(super) const FACT: char = '=';
/// Mark of a native field's terms.
pub(super) const NATIVE: char = '.';
/// Mark of the words of a message-like field.
pub(super) const WORD: char = ':';
/// Between the field and the value.
const SEPARATOR: char = '\u{1f}';
/// The character after the separator: the end of a field's terms.
const AFTER_SEPARATOR: char = '\u{20}';
/// Before the hash of a value that was cut. Values that have this character are written in this form too, so the form is unambiguous.
const CUT: char = '\u{1b}';
/// Between the terms of one event on their way to the index.
pub(super) const BREAK: char = '\0';
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

/// Lower case, character by character: no context, so a part of a text folds as the text does.
pub(super) fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        if text.bytes().any(|b| b.is_ascii_uppercase()) { Cow::Owned(text.to_ascii_lowercase()) } else { Cow::Borrowed(text) }
    } else {
        Cow::Owned(text.chars().flat_map(char::to_lowercase).collect())
    }
}

/// What all terms of a field begin with.
pub(super) fn write_field(mark: char, name: &str, to: &mut String) {
    to.push(mark);
    if name.len() > NAME_BYTES_MAX || name.contains([SEPARATOR, CUT, BREAK]) {
        to.push(CUT);
        to.push_str(&blake3::hash(name.as_bytes()).to_hex());
    } else {
        to.push_str(name);
    }
    to.push(SEPARATOR);
}

/// What all terms of a field begin with.
pub(super) fn field(mark: char, name: &str) -> String {
    let mut prefix = String::with_capacity(name.len() + 8);
    write_field(mark, name, &mut prefix);
    prefix
}

/// The first text after all terms that begin with this field.
pub(super) fn end_of(field: &str) -> String {
    let mut end = field.strip_suffix(SEPARATOR).unwrap_or(field).to_owned();
    end.push(AFTER_SEPARATOR);
    end
}

/// Splits a term into its field (mark included, separator not) and its value.
pub(super) fn split(term: &str) -> Option<(&str, &str)> {
    term.split_once(SEPARATOR)
}

/// Appends the value of a term.
pub(super) fn write_value(value: &str, to: &mut String) {
    let folded = fold(value);
    if folded.len() <= VALUE_BYTES_MAX && !folded.contains([BREAK, CUT]) {
        to.push_str(&folded);
        return;
    }
    let mut kept = 0;
    for c in folded.chars().take_while(|c| *c != BREAK && *c != CUT) {
        if kept + c.len_utf8() > VALUE_KEPT_BYTES {
            break;
        }
        kept += c.len_utf8();
        to.push(c);
    }
    to.push(CUT);
    to.push_str(blake3::hash(folded.as_bytes()).to_hex().get(..32).unwrap_or_default());
}

/// Appends the value that stands for "there is a value, and it is not indexed".
pub(super) fn write_unlisted(to: &mut String) {
    to.push_str(UNLISTED);
}

/// Whether it is the value that stands for values that are not indexed.
pub(super) fn is_unlisted_value(value: &str) -> bool {
    value == UNLISTED
}

/// Whether a term's value is not the whole value.
pub(super) fn is_cut(value: &str) -> bool {
    value.contains(CUT)
}

/// Last keys whose values are unique and that nobody searches by value. They would be most of the dictionary; such a value is found by
/// checking the events that have the field.
const UNLISTED_KEYS: &[&str] = &[
    "resourceVersion",
    "renewTime",
    "acquireTime",
    "lastTransitionTime",
    "lastHeartbeatTime",
    "lastProbeTime",
    "lastUpdateTime",
    "managedFields",
    "pod-template-hash",
    "requestReceivedTimestamp",
    "stageTimestamp",
    "creationTimestamp",
    "node-uid",
    "credential-id",
    "requestURI",
    "uuid",
    "trace_id",
    "evt.time",
    "evt.time.iso8601",
];

/// Whether the values of this native field stay out of the dictionary.
pub(super) fn is_unlisted(path: &str) -> bool {
    let is_key = |key: &&str| path.strip_suffix(*key).is_some_and(|rest| rest.is_empty() || rest.ends_with(['.', '/']));
    UNLISTED_KEYS.iter().any(is_key) || path == "time" || path.contains("managedFields.") || path.contains("checksum/")
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
        check("a\0b", 1 + 33, true);
        check("a\u{1b}b", 1 + 33, true);
    }
}
