//! How much of what stands in a growing file is whole: where it may be cut, so that what is durable never lies past the start of something
//! that is only half there.
//!
//! Whole are a JSON object, over however many lines, and any other line with its end. Lists around records are no records: their brackets
//! at the outermost level become record separators (0x1e), so a list may grow for ever and its elements are read as they come. Lines of a container that come in parts belong together.

use crate::decode::part_of;
use crate::model::{Parser, skip_value};

/// Streams of a container and of docker's files, whose lines may be open at one time.
const STREAMS: usize = 4;

/// What stands behind the last whole thing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Rest {
    #[default]
    Nothing,
    /// A line without its end. It may be whole.
    Line,
    /// Half of an object, or a line of which parts are missing.
    Half,
}

/// Where to cut.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cut {
    /// Bytes that are whole.
    pub(super) upto: usize,
    /// There is something in them besides what parts records.
    pub(super) has_text: bool,
    pub(super) rest: Rest,
}

/// What brackets of lists and bytes of holes become. It parts records and, other than a space, indents nothing.
const SEPARATOR: u8 = 0x1e;

/// Of bytes that begin where something begins. Brackets of lists and bytes of holes are made separators.
pub(super) fn whole(bytes: &mut [u8], parser: &mut Parser) -> Cut {
    let mut cut = Cut::default();
    let mut open = [false; STREAMS];
    let mut at = 0;
    while let Some(byte) = bytes.get(at).copied() {
        let rest = bytes.get(at..).unwrap_or_default();
        let step = match byte {
            b'\n' | b'\r' | b' ' | b'\t' | b',' | SEPARATOR => Step::Past(1),
            // A hole, where the file was cut under a writer that did not notice.
            0 | b']' => Step::Blank,
            b'[' => match rest.iter().skip(1).find(|byte| !byte.is_ascii_whitespace()) {
                Some(b'{' | b'[' | b'"' | b']') => Step::Blank,
                Some(_) => line(rest, &mut open),
                None => Step::Wait(Rest::Half),
            },
            0xef if rest.starts_with(b"\xef\xbb\xbf") => Step::Past(3),
            0xef if rest.len() < 3 => Step::Wait(Rest::Line),
            b'{' => object(rest, parser, &mut open),
            _ => line(rest, &mut open),
        };
        match step {
            Step::Past(len) => at += len,
            Step::Text(len) => {
                at += len;
                cut.has_text = true;
            }
            Step::Blank => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = SEPARATOR;
                }
                at += 1;
            }
            Step::Wait(rest) => {
                cut.rest = rest;
                break;
            }
        }
        if !open.contains(&true) {
            cut.upto = at;
        }
    }
    if open.contains(&true) {
        cut.rest = Rest::Half;
    }
    cut.has_text &= cut.upto > 0;
    cut
}

enum Step {
    /// Over so many bytes that part records.
    Past(usize),
    /// Over something whole.
    Text(usize),
    /// Over a byte that is to be a separator.
    Blank,
    Wait(Rest),
}

fn object(rest: &[u8], parser: &mut Parser, open: &mut [bool; STREAMS]) -> Step {
    match skip_value(rest, 0) {
        Ok(len) => {
            let object = rest.get(..len).unwrap_or_default();
            if object.starts_with(b"{\"log\":") {
                note(object, open);
            }
            Step::Text(len)
        }
        // Only the parser tells a torn line from a value over several lines: behind the one stands something that can not stand there.
        Err(error)
            if error.at >= rest.len()
                && (memchr::memchr(b'\n', rest).is_none() || parser.parse_prefix(rest, None).is_err_and(|error| error.at >= rest.len())) =>
        {
            Step::Wait(Rest::Half)
        }
        Err(_) => line(rest, open),
    }
}

fn line(rest: &[u8], open: &mut [bool; STREAMS]) -> Step {
    match memchr::memchr2(b'\n', b'\r', rest) {
        Some(len) => {
            note(rest.get(..len).unwrap_or_default(), open);
            Step::Text(len + 1)
        }
        None => {
            let value = memchr::memchr(b'{', rest).and_then(|from| rest.get(from..));
            let is_half = value.is_some_and(|value| skip_value(value, 0).is_err_and(|error| error.at >= value.len()));
            Step::Wait(if is_half { Rest::Half } else { Rest::Line })
        }
    }
}

/// Remembers which lines of a container are open.
fn note(written: &[u8], open: &mut [bool; STREAMS]) {
    let is_open = |stream: u8| open.get(usize::from(stream)).copied().unwrap_or_default();
    if let Some((stream, goes_on)) = part_of(written, is_open)
        && let Some(slot) = open.get_mut(usize::from(stream))
    {
        *slot = goes_on;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::Codec;
    use crate::decode::{DecodeLimits, Decoded, Decoder};
    use crate::model::Limits;

    fn check(text: &str, whole_part: &str, rest: Rest) {
        let mut bytes = text.as_bytes().to_vec();
        let cut = whole(&mut bytes, &mut Parser::new(Limits::default()));
        assert_eq!((text.get(..cut.upto).unwrap(), cut.rest), (whole_part, rest), "{text:?}");
    }

    #[test]
    fn what_is_whole() {
        check("", "", Rest::Nothing);
        check("{}\n{}\n", "{}\n{}\n", Rest::Nothing);
        check("{}\n{\"a\":", "{}\n", Rest::Half);
        check("{}{}", "{}{}", Rest::Nothing);
        check("a line\nanother", "a line\n", Rest::Line);
        check("a line\nanother {\"a\":", "a line\n", Rest::Half);
        check("{\n \"a\": [\n  {}\n ]\n}\n{\n \"a\"", "{\n \"a\": [\n  {}\n ]\n}\n", Rest::Half);
        // A list grows: its elements are whole, its end is not waited for.
        check("[\n {\"a\":1},\n {\"b\":2},\n {\"c\"", "[\n {\"a\":1},\n {\"b\":2},\n ", Rest::Half);
        check(" {\"b\":2}\n]\n", " {\"b\":2}\n]\n", Rest::Nothing);
        check("[", "", Rest::Half);
        check("[2026] text\n", "[2026] text\n", Rest::Nothing);
        // A torn line ends where the next begins.
        check("{\"a\":\"x\n{\"b\":1}\n{\"c\"", "{\"a\":\"x\n{\"b\":1}\n", Rest::Half);
        check("{\"a\":[1,\n{\"b\":1}\n{\"c\":2}\n{\"d\"", "{\"a\":[1,\n{\"b\":1}\n{\"c\":2}\n", Rest::Half);
        check("\0\0\0{}\n", "\0\0\0{}\n", Rest::Nothing);
        check("\u{feff}{}\r\n", "\u{feff}{}\r\n", Rest::Nothing);
        // Parts of a line of a container.
        let (first, last) = ("2026-01-01T00:00:00Z stdout P {\"a\":\n", "2026-01-01T00:00:01Z stdout F 1}\n");
        let other = "2026-01-01T00:00:00Z stderr F x\n";
        check(&format!("{other}{first}{other}"), other, Rest::Half);
        check(&format!("{other}{first}{other}{last}"), &format!("{other}{first}{other}{last}"), Rest::Nothing);
        let (first, last) = (
            "{\"log\":\"{\\\"a\\\":\",\"stream\":\"stdout\",\"time\":\"2026-01-01T00:00:00Z\"}\n",
            "{\"log\":\"1}\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-01T00:00:00Z\"}\n",
        );
        check(first, "", Rest::Half);
        check(&format!("{first}{last}"), &format!("{first}{last}"), Rest::Nothing);
    }

    /// Records of all payloads, by their text.
    fn records(payloads: &[&[u8]]) -> Vec<String> {
        let mut decoder = Decoder::new(DecodeLimits::default(), Some(std::sync::Arc::new(Codec)));
        let mut decoded = Decoded::default();
        payloads.iter().for_each(|payload| decoder.decode(payload, &mut decoded));
        decoded.records.iter().map(|record| record.doc.text().to_owned()).collect()
    }

    proptest! {
        /// Wherever a file happens to end as it grows, the same records come as of the whole.
        #[test]
        fn cuts_change_nothing(
            parts in prop::collection::vec(prop::sample::select(vec![
                "{\"verb\":\"get\",\"auditID\":\"1\"}\n", "{\n  \"verb\": \"list\",\n  \"auditID\": \"2\"\n}\n", "[{\"verb\":\"a\",\"auditID\":\"3\"},\n{\"verb\":\"b\",\"auditID\":\"4\"}\n]\n",
                "2026-01-01T00:00:00Z stdout P {\"verb\":\"c\",\n", "2026-01-01T00:00:00Z stdout F \"auditID\":\"5\"}\n", "klog line\n", "{\"verb\":\"d\",\"auditID\":\"6\"}",
            ]), 1..12),
            ends in prop::collection::vec(0_usize..400, 0..8),
        ) {
            let text = parts.concat();
            let mut ends: Vec<usize> = ends.into_iter().map(|end| end.min(text.len())).chain([text.len()]).collect();
            ends.sort_unstable();
            let mut from = 0;
            let mut payloads = Vec::new();
            for end in ends {
                let mut seen = text.as_bytes()[from..end].to_vec();
                let cut = whole(&mut seen, &mut Parser::new(Limits::default()));
                seen.truncate(cut.upto);
                from += cut.upto;
                payloads.push(seen);
            }
            payloads.push(text.as_bytes()[from..].to_vec());
            let payloads: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(records(&payloads), records(&[text.as_bytes()]));
        }
    }
}
