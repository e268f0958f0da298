//! Looking into JSON that is not parsed: the members of an object, the elements of a list, the text of a string. Each call is one pass over
//! the value, by brackets and quotes alone.

use std::borrow::Cow;

use super::sniff::blank;
use crate::model::{json_text, skip_value};

/// The values of these members of an object, as JSON; of members with one name the first counts.
pub(super) fn members<'v, const N: usize>(object: &'v [u8], keys: [&str; N]) -> [Option<&'v [u8]>; N] {
    let mut found = [None; N];
    let mut missing = N;
    each_member(object, |key, value| {
        if let Some(at) = keys.iter().position(|wanted| wanted.as_bytes() == key)
            && let Some(slot) = found.get_mut(at).filter(|slot| slot.is_none())
        {
            *slot = Some(value);
            missing -= 1;
        }
        missing > 0
    });
    found
}

/// The value at a path of members.
pub(super) fn member<'v>(object: &'v [u8], path: &[&str]) -> Option<&'v [u8]> {
    path.iter().try_fold(object, |value, key| members(value, [*key])[0])
}

/// The text of the string at a path of members; a number's as it is spelled.
pub(super) fn text<'v>(object: &'v [u8], path: &[&str]) -> Option<Cow<'v, str>> {
    text_of(member(object, path)?)
}

/// The text of a string, or of a number as it is spelled. An empty string is none.
pub(super) fn text_of(value: &[u8]) -> Option<Cow<'_, str>> {
    match value.first()? {
        b'"' => json_text(value),
        b'-' | b'0'..=b'9' => Some(String::from_utf8_lossy(value)),
        _ => None,
    }
    .filter(|text| !text.is_empty())
}

/// Calls `each` with every key, as it is spelled between its quotes, and its value, until it says `false` or the object ends or breaks off.
pub(super) fn each_member<'v>(object: &'v [u8], mut each: impl FnMut(&'v [u8], &'v [u8]) -> bool) {
    let mut at = blank(object, 0) + 1;
    if object.get(at - 1) != Some(&b'{') {
        return;
    }
    loop {
        at = blank(object, at);
        let Some(key_end) = object.get(at).filter(|byte| **byte == b'"').and_then(|_| skip_value(object, at).ok()) else { return };
        let colon = blank(object, key_end);
        let start = blank(object, colon + 1);
        let (Some(b':'), Ok(end)) = (object.get(colon), skip_value(object, start)) else { return };
        let (Some(key), Some(value)) = (object.get(at + 1..key_end - 1), object.get(start..end)) else { return };
        if !each(key, value) {
            return;
        }
        at = blank(object, end);
        if object.get(at) != Some(&b',') {
            return;
        }
        at += 1;
    }
}

/// The elements of a list, up to where it ends or breaks off.
#[derive(Debug, Clone)]
pub(super) struct Elements<'v> {
    list: &'v [u8],
    at: usize,
}

pub(super) fn elements(list: &[u8]) -> Elements<'_> {
    let at = match list.get(blank(list, 0)) {
        Some(b'[') => blank(list, 0) + 1,
        _ => list.len(),
    };
    Elements { list, at }
}

impl<'v> Iterator for Elements<'v> {
    type Item = &'v [u8];

    fn next(&mut self) -> Option<&'v [u8]> {
        let list = self.list;
        let start = blank(list, self.at);
        let end = skip_value(list, start).ok()?;
        let element = list.get(start..end)?;
        let after = blank(list, end);
        // A comma, or the end.
        self.at = if list.get(after) == Some(&b',') { after + 1 } else { list.len() };
        Some(element)
    }
}

/// Appends a JSON string.
pub(super) fn put_text(text: &str, out: &mut Vec<u8>) {
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(out, text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: &str) {
        let mut shown = Vec::new();
        each_member(value.as_bytes(), |key, value| {
            shown.push(format!("{}={}", String::from_utf8_lossy(key), String::from_utf8_lossy(value)));
            true
        });
        shown.extend(elements(value.as_bytes()).map(|element| String::from_utf8_lossy(element).into_owned()));
        assert_eq!(shown.join(" "), expected, "{value}");
    }

    #[test]
    fn members_and_elements_are_found_as_far_as_they_go() {
        check(r#" {"a": 1 ,"b":{"c":[2]},"d":"x,y"}"#, r#"a=1 b={"c":[2]} d="x,y""#);
        check(r#"{"a":1,"b":{"c":"#, "a=1");
        check(r#"{"a" 1}"#, "");
        check("{}", "");
        check(r#"[1, {"a":[2]} ,"x"]"#, r#"1 {"a":[2]} "x""#);
        check(r#"[1,2"#, "1 2");
        check("[]", "");
        check("7", "");
    }

    #[test]
    fn a_path_leads_to_a_text() {
        let object = br#"{"a":{"b":"x\"y","n":12},"a":{"b":"second"},"e":""}"#;
        assert_eq!(text(object, &["a", "b"]).as_deref(), Some("x\"y"));
        assert_eq!(text(object, &["a", "n"]).as_deref(), Some("12"));
        assert_eq!(text(object, &["e"]), None);
        assert_eq!(text(object, &["a"]), None);
        assert_eq!(text(object, &["z", "b"]), None);
    }
}
