//! Syslog around JSON: the headers of RFC 5424 and RFC 3164 and of rsyslog's file format, with or without a length in front, with or without
//! the `@cee:` cookie; and messages that syslog-ng or journald turned into objects.

use super::members::{members, text_of};
use super::open::Opening;
use super::prefix::{self, Behind, Prefix};
use super::sniff::{Sign, Want, Wrapper, sign};
use super::when::when;
use crate::model::{EnvelopeKind, Timestamp};

/// Words between the time and the message: host, program, process.
const WORDS_MAX: usize = 3;

const NAMES: &[Sign] = &[
    sign("PROGRAM", Want::Text("")),
    sign("FACILITY", Want::Any),
    sign("PRIORITY", Want::Any),
    sign("HOST", Want::Text("")),
    sign("ISODATE", Want::Text("")),
    sign("SYSLOG_IDENTIFIER", Want::Any),
    sign("__REALTIME_TIMESTAMP", Want::Any),
];

pub(super) const ENVELOPES: &[Wrapper] =
    &[Wrapper { all: &[sign("MESSAGE", Want::Text(""))], any: NAMES, kind: EnvelopeKind::Syslog, is_record: true, open: message }];

/// `{"PROGRAM":..,"MESSAGE":"{..}","ISODATE":..}`: syslog-ng's `format-json`, `journalctl -o json`.
fn message(object: &[u8], opening: &mut Opening<'_>) {
    let [message, iso, micros, date] = members(object, ["MESSAGE", "ISODATE", "__REALTIME_TIMESTAMP", "DATE"]);
    opening.at([iso, micros, date].into_iter().flatten().find_map(|value| when(&text_of(value)?)));
    if let Some(message) = message {
        opening.value(message);
    }
}

/// The header in front of a message that is JSON. A message that is none is told only where its length is given.
pub(super) fn prefix(line: &[u8]) -> Option<Prefix> {
    let counted = length(line);
    let start = counted.map_or(0, |(start, _)| start);
    let rest = line.get(start..)?;
    let (pri, version) = priority(rest).map_or((0, false), |(len, is_new)| (len, is_new));
    let header = rest.get(pri..)?;
    let found = if version { new(header) } else { old(header, pri > 0) };
    match (found, counted) {
        (Some((len, at)), _) => Some(Prefix { len: start + pri + len, kind: Some(EnvelopeKind::Syslog), at, ..Prefix::default() }),
        (None, Some((start, len))) if pri > 0 => {
            Some(Prefix { len: start, kind: Some(EnvelopeKind::Syslog), behind: Behind::Counted { len: start + len }, ..Prefix::default() })
        }
        _ => None,
    }
}

/// RFC 6587: `<digits> ` in front of `<`; where the message starts and how long it is.
fn length(line: &[u8]) -> Option<(usize, usize)> {
    let digits = line.iter().take(8).take_while(|byte| byte.is_ascii_digit()).count();
    let len = std::str::from_utf8(line.get(..digits)?).ok()?.parse().ok()?;
    line.get(digits..)?.starts_with(b" <").then_some((digits + 1, len))
}

/// `<34>` or `<34>1 `: its length, and whether the version is there.
fn priority(line: &[u8]) -> Option<(usize, bool)> {
    let rest = line.strip_prefix(b"<")?;
    let digits = rest.iter().take(3).take_while(|byte| byte.is_ascii_digit()).count();
    let after = rest.get(digits..)?.strip_prefix(b">").filter(|_| digits > 0)?;
    let is_new = after.starts_with(b"1 ");
    Some((digits + 2 + 2 * usize::from(is_new), is_new))
}

/// RFC 5424 after its version: time, host, program, process, message id, structured data.
fn new(header: &[u8]) -> Option<(usize, Option<Timestamp>)> {
    let mut at = 0;
    let mut time = None;
    for word in 0..5 {
        let rest = header.get(at..)?;
        let len = memchr::memchr(b' ', rest)?;
        if word == 0 {
            time = std::str::from_utf8(rest.get(..len)?).ok().and_then(Timestamp::parse);
        }
        at += len + 1;
    }
    at += structured(header.get(at..)?)?;
    let rest = header.get(at..)?;
    at += usize::from(rest.first() == Some(&b' '));
    at += if header.get(at..)?.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let (start, _) = json(header, at)?;
    Some((start, time))
}

/// The length of `-` or of `[id name="value"]..`.
fn structured(text: &[u8]) -> Option<usize> {
    if text.first() == Some(&b'-') {
        return Some(1);
    }
    let (mut is_text, mut is_escaped, mut is_open) = (false, false, false);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' if is_open => is_text = !is_text,
            _ if is_text => {}
            b'[' if !is_open => is_open = true,
            b']' if is_open => is_open = false,
            _ if is_open => {}
            _ => return (at > 0).then_some(at),
        }
    }
    None
}

/// RFC 3164 after its priority, and rsyslog's file format, which has none: a time, and up to three words. Without a priority the last word
/// must be a program's, with its colon.
fn old(header: &[u8], has_priority: bool) -> Option<(usize, Option<Timestamp>)> {
    let (time, start) = prefix::time(header, b' ').or_else(|| Some((None, unix_time(header)?))).or(has_priority.then_some((None, 0)))?;
    let (start, is_tagged) = json(header, start)?;
    (has_priority || is_tagged).then_some((start, time))
}

/// `Nov 25 02:35:44 `.
fn unix_time(header: &[u8]) -> Option<usize> {
    const SHAPE: &[u8] = b"Aaa 00 00:00:00 ";
    let fits = |(byte, shape): (&u8, &u8)| match shape {
        b'A' => byte.is_ascii_uppercase(),
        b'a' => byte.is_ascii_lowercase(),
        b'0' => byte.is_ascii_digit() || *byte == b' ',
        _ => byte == shape,
    };
    (header.len() > SHAPE.len() && header.iter().zip(SHAPE).all(fits)).then_some(SHAPE.len())
}

/// Where the JSON starts, past a few words, and whether the last of them ended in a colon.
fn json(header: &[u8], from: usize) -> Option<(usize, bool)> {
    const COOKIE: &[u8] = b"@cee:";
    let mut at = from;
    let mut is_tagged = false;
    for _ in 0..=WORDS_MAX + 1 {
        at += header.get(at..)?.iter().take_while(|byte| **byte == b' ').count();
        let rest = header.get(at..)?;
        if prefix::is_value(rest) {
            return Some((at, is_tagged));
        }
        let word = rest.get(..memchr::memchr(b' ', rest).unwrap_or(rest.len()))?;
        let glued = word.iter().position(|byte| *byte == b'{').filter(|brace| *brace > 0 && word.get(brace - 1) == Some(&b':'));
        if let Some(brace) = glued {
            return Some((at + brace, true));
        }
        is_tagged = word.ends_with(b":") || word == COOKIE;
        at += word.len();
    }
    None
}
