//! JSON that a log service has cut: what is whole of it, closed.

/// Nesting past which nothing is saved.
const DEPTH_MAX: usize = 64;

/// How log services mark what they cut.
const MARKS: &[&str] = &["[Truncated...]", "...TRUNCATED", "[truncated]"];

/// The text up to its last whole member or element, with what is open closed. `None` if it is not cut, or nothing of it is whole.
pub(super) fn salvage(text: &str) -> Option<String> {
    let text = text.trim_end();
    let text = MARKS.iter().find_map(|mark| text.strip_suffix(mark)).unwrap_or(text);
    let (_, whole) = walk(text)?;
    let whole = text.get(..whole?)?;
    let (open, _) = walk(whole)?;
    Some(open.iter().rev().fold(whole.to_owned(), |mut closed, byte| {
        closed.push(char::from(*byte));
        closed
    }))
}

/// What is still open at the end of a text, and where its last whole member ends. `None` if nothing is open or the brackets do not fit.
fn walk(text: &str) -> Option<(Vec<u8>, Option<usize>)> {
    let (mut open, mut whole) = (Vec::new(), None);
    let (mut is_text, mut is_escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        if is_text {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = true,
                b'"' => is_text = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => is_text = true,
            b'{' | b'[' => {
                if open.len() == DEPTH_MAX {
                    break;
                }
                open.push(if byte == b'{' { b'}' } else { b']' });
            }
            b'}' | b']' => {
                if open.pop() != Some(byte) {
                    return None;
                }
                if open.is_empty() {
                    return None;
                }
                whole = Some(at + 1);
            }
            b',' => whole = Some(at),
            _ => {}
        }
    }
    (!open.is_empty()).then_some((open, whole))
}

#[cfg(test)]
mod tests {
    use super::salvage;

    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(salvage(text).as_deref(), expected, "{text}");
        if let Some(closed) = expected {
            serde_json::from_str::<serde::de::IgnoredAny>(closed).unwrap();
        }
    }

    #[test]
    fn what_is_whole_is_kept_and_closed() {
        check(r#"{"a":1,"b":{"c":[1,2],"d":"long te[Truncated...]"#, Some(r#"{"a":1,"b":{"c":[1,2]}}"#));
        check(r#"{"a":1,"b":{"c":[1,{"x":2}"#, Some(r#"{"a":1,"b":{"c":[1,{"x":2}]}}"#));
        check(r#"{"a":1,"b":"x,y"#, Some(r#"{"a":1}"#));
        check(r#"{"a":"\",{"#, None);
        check(r#"{"a":1}"#, None);
        check(r#"{"a":tru"#, None);
        check("plain, text", None);
        check("", None);
    }
}
