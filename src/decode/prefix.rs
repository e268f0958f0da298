//! Text in front of what a line carries: container runtimes, CloudWatch's export, fluentd's file output, syslog, logfmt.

use super::emitter::emitter_of_path;
use super::{cri, logfmt, syslog};
use crate::model::{Emitter, EnvelopeKind, Timestamp};

/// Bytes of a line that hold any known prefix.
pub(super) const BYTES_MAX: usize = 4096;

/// Tells a prefix by a line's first bytes.
type Tell = fn(&[u8]) -> Option<Prefix>;

/// Every prefix. The first that fits wins; each is given a line's first bytes.
const PREFIXES: &[Tell] = &[cri::prefix, export, fluentd, syslog::prefix, logfmt::prefix];

/// What stands in front of something to be read.
#[derive(Debug, Default)]
pub(super) struct Prefix {
    /// Its length in bytes.
    pub(super) len: usize,
    pub(super) kind: Option<EnvelopeKind>,
    pub(super) at: Option<Timestamp>,
    pub(super) emitter: Option<Emitter>,
    pub(super) behind: Behind,
}

/// What stands behind a prefix.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behind {
    /// An object or list.
    #[default]
    Value,
    /// A line, or part of one, that a container printed.
    Part { stream: u8, is_last: bool, is_value: bool },
    /// A value with more text behind it on its line.
    Within,
    /// Nothing to read; the prefix says how long the whole is, in bytes from its own start.
    Counted { len: usize },
}

/// The prefix that a text starts with.
pub(super) fn of(text: &[u8]) -> Option<Prefix> {
    let head = text.get(..BYTES_MAX.min(text.len())).unwrap_or_default();
    let end = memchr::memchr2(b'\n', b'\r', head).unwrap_or(head.len());
    let line = head.get(..end).unwrap_or_default();
    PREFIXES.iter().find_map(|prefix| prefix(line))
}

/// Whether an object or list starts here.
pub(super) fn is_value(text: &[u8]) -> bool {
    matches!(text.first(), Some(b'{' | b'['))
}

/// `<time> {..}`: CloudWatch's export task, and container logs without a stream.
fn export(line: &[u8]) -> Option<Prefix> {
    let (at, len) = time(line, b' ')?;
    is_value(line.get(len..)?).then_some(Prefix { len, at, ..Prefix::default() })
}

/// `<time>\t<tag>\t{..}`; the tag may be the path of the container's log, with dots.
fn fluentd(line: &[u8]) -> Option<Prefix> {
    let (at, start) = time(line, b'\t')?;
    let rest = line.get(start..)?;
    let tag = rest.get(..memchr::memchr(b'\t', rest)?)?;
    let len = start + tag.len() + 1;
    let emitter = std::str::from_utf8(tag).ok().and_then(emitter_of_path);
    is_value(line.get(len..)?).then_some(Prefix { len, at, emitter, ..Prefix::default() })
}

/// The RFC 3339 time at the start of a line, and where what follows this byte after it starts. The time itself may be out of range.
pub(super) fn time(line: &[u8], then: u8) -> Option<(Option<Timestamp>, usize)> {
    let len = memchr::memchr(then, line.get(..line.len().min(40))?)?;
    let text = line.get(..len)?;
    is_time(text).then(|| (std::str::from_utf8(text).ok().and_then(Timestamp::parse), len + 1))
}

/// Whether this looks like RFC 3339: `2026-01-01T00:00:00`, and what may follow the seconds.
fn is_time(text: &[u8]) -> bool {
    const SHAPE: &[u8] = b"0000-00-00T00:00:00";
    let fits = |(byte, shape): (&u8, &u8)| if *shape == b'0' { byte.is_ascii_digit() } else { byte == shape };
    text.len() > SHAPE.len()
        && text.iter().zip(SHAPE).all(fits)
        && text.iter().skip(SHAPE.len()).all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'Z' | b'+' | b'-' | b':'))
}
