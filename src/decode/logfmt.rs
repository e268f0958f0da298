//! Lines of `key=value` with a record in one of the values: `time="2026-01-01T00:00:00Z" level=info msg="{\"kind\":..}"`.

use super::members::text_of;
use super::prefix::{Behind, Prefix};
use super::when::when;
use crate::model::{Timestamp, skip_value};

/// Pairs in front of the one that carries a record.
const PAIRS_MAX: usize = 16;

const CARRIERS: &[&[u8]] = &[b"msg", b"message", b"log", b"event", b"audit", b"payload"];
const TIMES: &[&[u8]] = &[b"time", b"ts", b"timestamp", b"t", b"@timestamp"];

/// The pairs up to the value that holds an object or list, or a string that starts like one.
pub(super) fn prefix(line: &[u8]) -> Option<Prefix> {
    let mut at = 0;
    let mut time = None;
    for _ in 0..PAIRS_MAX {
        let rest = line.get(at..)?;
        let key_len = rest.iter().position(|byte| !matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'@'))?;
        let (key, value) = (rest.get(..key_len)?, rest.get(key_len + 1..)?);
        if rest.get(key_len) != Some(&b'=') || key.is_empty() {
            return None;
        }
        let is_record = matches!(value, [b'{' | b'[', ..] | [b'"', b'{' | b'[', ..]);
        if is_record && CARRIERS.contains(&key) {
            return Some(Prefix { len: at + key_len + 1, at: time, behind: Behind::Within, ..Prefix::default() });
        }
        let len = match value.first() {
            Some(b'"') => skip_value(value, 0).ok()?,
            _ => memchr::memchr(b' ', value)?,
        };
        if TIMES.contains(&key) {
            time = time.or_else(|| time_of(value.get(..len)?));
        }
        at += key_len + 1 + len;
        at += line.get(at..)?.iter().take_while(|byte| **byte == b' ').count();
    }
    None
}

fn time_of(value: &[u8]) -> Option<Timestamp> {
    if value.first() == Some(&b'"') { when(&text_of(value)?) } else { when(std::str::from_utf8(value).ok()?) }
}
