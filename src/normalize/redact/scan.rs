//! Secrets that can be told by the text around them: tokens, keys, passwords after their names, userinfo of URLs, card numbers.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use super::{Class, MARK, encoded, loose, pan, parted};

/// A part of a text that must go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) range: Range<usize>,
    pub(super) class: Class,
}

/// What a marker announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marker {
    Jwt,
    Pem,
    Bearer,
    Basic,
    /// A name that a secret follows.
    Name(Class),
    Url,
    EncodedUrl,
}

/// Found without regard to case. Of two that match at one place the longer counts.
const MARKERS: &[(&str, Marker)] = &[
    ("eyj", Marker::Jwt),
    ("-----begin", Marker::Pem),
    ("bearer", Marker::Bearer),
    ("basic", Marker::Basic),
    ("password", Marker::Name(Class::Credential)),
    ("passwd", Marker::Name(Class::Credential)),
    ("passphrase", Marker::Name(Class::Credential)),
    ("secret_access_key", Marker::Name(Class::Credential)),
    ("secret-access-key", Marker::Name(Class::Credential)),
    ("secretaccesskey", Marker::Name(Class::Credential)),
    ("client_secret", Marker::Name(Class::Credential)),
    ("client-secret", Marker::Name(Class::Credential)),
    ("clientsecret", Marker::Name(Class::Credential)),
    ("api_key", Marker::Name(Class::Credential)),
    ("api-key", Marker::Name(Class::Credential)),
    ("apikey", Marker::Name(Class::Credential)),
    ("secret_key", Marker::Name(Class::Credential)),
    ("secret-key", Marker::Name(Class::Credential)),
    ("private_key", Marker::Name(Class::Credential)),
    ("private-key", Marker::Name(Class::Credential)),
    ("access_token", Marker::Name(Class::Token)),
    ("refresh_token", Marker::Name(Class::Token)),
    ("auth_token", Marker::Name(Class::Token)),
    ("session_token", Marker::Name(Class::Token)),
    ("--token", Marker::Name(Class::Token)),
    ("token=", Marker::Name(Class::Token)),
    ("://", Marker::Url),
    ("%3a%2f%2f", Marker::EncodedUrl),
];

/// What ends the authority of a URL.
pub(super) const AUTHORITY_ENDS: &[char] = &[' ', '/', '"', '\'', '?', '#', '\\', ',', '<', '>', '\n', '\t'];

static FINDER: LazyLock<AhoCorasick> = LazyLock::new(|| {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::LeftmostLongest)
        .kind(Some(AhoCorasickKind::DFA))
        .build(MARKERS.iter().map(|(text, _)| text))
        .expect("a few dozen short literals fit an automaton")
});

/// The parts to take out of a text that may be damaged JSON, or have some in it.
pub(super) fn find_loose(text: &str, is_of_secrets: bool) -> Vec<Match> {
    let mut found = Vec::new();
    loose::find(text, is_of_secrets, |range, class| found.push(Match { range, class }));
    find_and(text, found)
}

/// The parts to take out, in order and without overlaps.
pub(super) fn find(text: &str) -> Vec<Match> {
    find_and(text, Vec::new())
}

fn find_and(text: &str, mut found: Vec<Match>) -> Vec<Match> {
    for hit in FINDER.find_iter(text) {
        let Some((_, marker)) = MARKERS.get(hit.pattern().as_usize()) else { continue };
        let secret = match marker {
            Marker::Jwt => jwt(text, hit.start()).map(|range| (range, Class::Jwt)),
            Marker::Pem => pem(text, hit.end()).map(|range| (range, Class::Credential)),
            Marker::Bearer => bearer(text, hit.end()).map(|range| (range, Class::Token)),
            Marker::Basic => basic(text, hit.start(), hit.end()).map(|range| (range, Class::Credential)),
            Marker::Name(class) => named(text, hit.start(), hit.end()).map(|range| (range, *class)),
            Marker::Url => userinfo(text, hit.end(), AUTHORITY_ENDS, "@", ":").map(|range| (range, Class::Credential)),
            Marker::EncodedUrl => encoded_userinfo(text, hit.end()).map(|range| (range, Class::Credential)),
        };
        found.extend(secret.filter(|(range, _)| !range.is_empty()).map(|(range, class)| Match { range, class }));
    }
    if text.len() >= 13 {
        pan::find(text, |range| found.push(Match { range, class: Class::Pan }));
        parted::find(text, |range| found.push(Match { range, class: Class::Pan }));
        encoded::find(text, |range| found.push(Match { range, class: Class::Pan }));
    }
    found.sort_by_key(|found| (found.range.start, std::cmp::Reverse(found.range.end)));
    let mut end = 0;
    found.retain(|found| {
        let is_free = found.range.start >= end;
        end = end.max(found.range.end);
        is_free
    });
    found
}

/// Bytes from here on that are of a kind.
fn run(text: &str, from: usize, is_kind: impl Fn(u8) -> bool) -> usize {
    text.as_bytes().get(from..).map_or(0, |rest| rest.iter().take_while(|byte| is_kind(**byte)).count())
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// `eyJ….….…`; the signature may be missing.
fn jwt(text: &str, start: usize) -> Option<Range<usize>> {
    if !text.get(start..)?.starts_with("eyJ") {
        return None;
    }
    let mut at = start;
    for _ in 0..2 {
        let length = run(text, at, is_base64url);
        at += length;
        if length < 8 || text.as_bytes().get(at) != Some(&b'.') {
            return None;
        }
        at += 1;
    }
    at += run(text, at, |byte| is_base64url(byte) || byte == b'.');
    Some(start..at)
}

/// What stands between the lines of a private key in PEM.
fn pem(text: &str, from: usize) -> Option<Range<usize>> {
    let rest = text.get(from..)?;
    let header = rest.find("-----").filter(|end| *end < 64)?;
    if !rest.get(..header)?.to_ascii_uppercase().contains("PRIVATE KEY") {
        return None;
    }
    let start = from + header + 5;
    let body = text.get(start..)?;
    let end = body.find("-----").unwrap_or(body.len());
    let is_done = body.get(..end)?.trim_start().starts_with(MARK);
    (!is_done).then_some(start..start + end)
}

fn bearer(text: &str, from: usize) -> Option<Range<usize>> {
    let rest = text.get(from..)?;
    let start = from + ["%20", " ", "+", ":", "="].iter().find(|gap| rest.starts_with(**gap)).map(|gap| gap.len())?;
    let length = run(text, start, |byte| is_base64url(byte) || matches!(byte, b'.' | b'~' | b'+' | b'/' | b'='));
    let token = text.get(start..start + length)?;
    // A word of a sentence is shorter, or has no digit.
    (length >= 16 && token.bytes().any(|byte| byte.is_ascii_digit())).then_some(start..start + length)
}

fn basic(text: &str, hit: usize, from: usize) -> Option<Range<usize>> {
    let rest = text.get(from..)?;
    let start = from + ["%20", " ", "+"].iter().find(|gap| rest.starts_with(**gap)).map(|gap| gap.len())?;
    let before = text.as_bytes().get(hit.saturating_sub(24)..hit)?.to_ascii_lowercase();
    if !before.windows(13).any(|word| word == b"authorization") {
        return None;
    }
    let length = run(text, start, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='));
    (length >= 4).then_some(start..start + length)
}

/// The value after a name: `name=value`, `name: value`, `"name":"value"`, `--name value`.
fn named(text: &str, hit: usize, end: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let is_assigned = bytes.get(end - 1) == Some(&b'=');
    let mut at = end;
    let mut is_quoted_name = false;
    if !is_assigned {
        while let Some(b'"' | b'\'' | b'\\') = bytes.get(at) {
            at += 1;
            is_quoted_name = true;
        }
        let gap = run(text, at, |byte| byte == b' ');
        let rest = text.get(at + gap..)?;
        let sign = ["=", ":", "%3D", "%3d"].iter().find(|sign| rest.starts_with(**sign)).map(|sign| sign.len());
        // A scheme's colon is no assignment.
        let sign = sign.filter(|_| !rest.starts_with("://"));
        match sign {
            Some(length) => at += gap + length,
            None if !is_quoted_name && is_flag(bytes, hit) => {
                let rest = text.get(end..)?;
                let gap = ["&command=", " ", "\0"].iter().find(|gap| rest.starts_with(**gap)).map(|gap| gap.len())?;
                at = end + gap;
                if bytes.get(at) == Some(&b'-') {
                    return None;
                }
            }
            None => return None,
        }
    }
    at += run(text, at, |byte| byte == b' ');
    let quotes = run(text, at, |byte| matches!(byte, b'"' | b'\'' | b'\\'));
    let start = at + quotes;
    let rest = text.get(start..)?;
    let length = match bytes.get(start.wrapping_sub(1)).filter(|_| quotes > 0) {
        Some(quote) => quoted_end(rest, *quote),
        None => rest.find(|c: char| c.is_whitespace() || matches!(c, '&' | ',' | ';' | '"' | '\'' | ')' | '}' | '\\' | '\0')).unwrap_or(rest.len()),
    };
    let value = rest.get(..length)?;
    let is_no_secret =
        value.starts_with(MARK) || value.starts_with("$(") || value.starts_with("${") || matches!(value, "null" | "true" | "false" | "<nil>");
    (!is_no_secret).then_some(start..start + length)
}

/// Where a quoted value ends: at the quote, or at the backslash that escapes it one level up.
fn quoted_end(rest: &str, quote: u8) -> usize {
    let end = rest.find(char::from(quote)).unwrap_or(rest.len());
    let escapes = rest.as_bytes().get(..end).map_or(0, |value| value.iter().rev().take_while(|byte| **byte == b'\\').count());
    end - escapes
}

/// Whether the name is that of a command-line flag: its word begins with a hyphen.
fn is_flag(bytes: &[u8], hit: usize) -> bool {
    let word = bytes.get(..hit).map_or(0, |before| before.iter().rev().take(48).take_while(|byte| is_base64url(**byte)).count());
    bytes.get(hit - word) == Some(&b'-')
}

fn userinfo(text: &str, from: usize, ends: &[char], at_sign: &str, colon: &str) -> Option<Range<usize>> {
    let rest = text.get(from..)?;
    let authority = rest.get(..rest.find(ends).unwrap_or(rest.len()))?;
    userinfo_of(authority, at_sign, colon).map(|range| from + range.start..from + range.end)
}

/// As it stands in the query of a request URI.
fn encoded_userinfo(text: &str, from: usize) -> Option<Range<usize>> {
    let rest = text.get(from..)?;
    let end = rest.find(['&', ' ', '"']).unwrap_or(rest.len());
    let end = ["%2F", "%2f", "%3F", "%3f"].iter().filter_map(|slash| rest.find(slash)).fold(end, usize::min);
    userinfo_of(rest.get(..end)?, "%40", "%3A").map(|range| from + range.start..from + range.end)
}

fn userinfo_of(authority: &str, at_sign: &str, colon: &str) -> Option<Range<usize>> {
    let (userinfo, _) = authority.rsplit_once(at_sign)?;
    let start = match userinfo.find(colon) {
        Some(at) => at + colon.len(),
        // A user alone is a name, unless it is long enough for a token.
        None if userinfo.len() >= 20 => 0,
        None => return None,
    };
    let secret = userinfo.get(start..)?;
    (!secret.starts_with(MARK)).then_some(start..userinfo.len())
}
