//! Secrets in text that is nearly JSON: cut, damaged, with words around it, or within strings of strings. Told by the names before colons; nothing
//! has to be whole.

use std::ops::Range;

use memchr::memmem;

use super::secrets::class_of_key;
use super::{Class, MARK};

/// Strings within strings that are gone into.
const STRINGS_MAX: usize = 8;
/// Members of a Secret that hold its data, as its last configuration does.
const DATA: &[&str] = &["data", "stringData", "kubectl.kubernetes.io/last-applied-configuration"];

/// What the name before a colon says of the value after it.
#[derive(Debug, Clone, Copy, Default)]
struct Key {
    class: Option<Class>,
    is_data: bool,
}

/// Whether a text tells of Secrets.
pub(super) fn is_of_secrets(text: &str) -> bool {
    ["\"Secret", "\"secrets"].iter().any(|word| memmem::find(text.as_bytes(), word.as_bytes()).is_some())
}

/// Reports values that are secrets by the name before them and, if the text is of Secrets, all data of objects.
pub(super) fn find(text: &str, is_of_secrets: bool, mut to: impl FnMut(Range<usize>, Class)) {
    let bytes = text.as_bytes();
    let (mut at, mut depth, mut hidden, mut key) = (0, 0_usize, None, None::<Key>);
    // Ends of the strings that are gone into: the first byte of what closes each.
    let mut ends: Vec<(usize, usize)> = Vec::new();
    while let Some(byte) = bytes.get(at) {
        if let Some((_, after)) = ends.pop_if(|(end, _)| at >= *end) {
            at = after.max(at);
            continue;
        }
        match byte {
            b'{' | b'[' => {
                depth += 1;
                if hidden.is_none() && key.is_some_and(|key| key.is_data || key.class.is_some()) {
                    hidden = Some((depth, key.and_then(|key| key.class).unwrap_or(Class::SecretData)));
                }
                key = None;
            }
            b'}' | b']' => {
                hidden = hidden.filter(|(from, _)| *from != depth);
                depth = depth.saturating_sub(1);
                key = None;
            }
            b',' => key = None,
            b'"' | b'\\' => {
                let Some(string) = Quoted::at(bytes, at) else {
                    // No quote follows the backslashes: none of them begins a string.
                    at += escapes_at(bytes, at).max(1);
                    continue;
                };
                let content = text.get(string.content.clone()).unwrap_or_default();
                if string.is_key {
                    let is_data = is_of_secrets && DATA.contains(&content);
                    key = Some(Key { class: class_of_key(content), is_data });
                    at = string.after;
                    continue;
                }
                let class = key.take().and_then(|key| key.class.or(key.is_data.then_some(Class::SecretData))).or(hidden.map(|(_, class)| class));
                let has_more = memmem::find(content.as_bytes(), b"\\\"").is_some();
                match class {
                    Some(class) if !content.is_empty() && !content.starts_with(MARK) => to(string.content, class),
                    None if has_more && ends.len() < STRINGS_MAX => {
                        ends.push((string.content.end, string.after));
                        at = string.content.start;
                        continue;
                    }
                    _ => {}
                }
                at = string.after;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
}

/// A string in quotes that have as many backslashes before them at its end as at its start.
#[derive(Debug)]
struct Quoted {
    content: Range<usize>,
    after: usize,
    /// A colon follows.
    is_key: bool,
}

impl Quoted {
    /// The string that starts here, at its quote or the backslashes before that. One that does not end goes to the end of the string around it, or
    /// of the text.
    fn at(bytes: &[u8], at: usize) -> Option<Self> {
        let level = escapes_at(bytes, at);
        if bytes.get(at + level) != Some(&b'"') {
            return None;
        }
        let start = at + level + 1;
        let mut from = start;
        let (end, after) = loop {
            let Some(quote) = bytes.get(from..).and_then(|rest| memchr::memchr(b'"', rest)).map(|quote| from + quote) else {
                break (bytes.len(), bytes.len());
            };
            let before = bytes.get(start..quote).unwrap_or_default().iter().rev().take_while(|byte| **byte == b'\\').count();
            match before.cmp(&level) {
                std::cmp::Ordering::Equal => break (quote - level, quote + 1),
                // The string around it ends here.
                std::cmp::Ordering::Less => break (quote - before, quote - before),
                std::cmp::Ordering::Greater => from = quote + 1,
            }
        };
        let gap = bytes.get(after..).map_or(0, |rest| rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count());
        let is_key = bytes.get(after + gap) == Some(&b':');
        Some(Self { content: start..end, after: if is_key { after + gap + 1 } else { after }, is_key })
    }
}

fn escapes_at(bytes: &[u8], at: usize) -> usize {
    bytes.get(at..).map_or(0, |rest| rest.iter().take_while(|byte| **byte == b'\\').count())
}
