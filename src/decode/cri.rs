//! Log files of container runtimes: `<time> stdout|stderr P|F <text>`, and docker's `{"log":"..","stream":"..","time":".."}`. A long line
//! comes in parts; only the last of them is marked `F`, or ends in a line break.

use std::borrow::Cow;

use super::members::{each_member, text_of};
use super::prefix::{self, Behind, Prefix};
use super::when::when;
use crate::model::{EnvelopeKind, Timestamp, json_text, skip_value};

/// The streams of a container, told apart from those of a docker file.
const STREAMS: &[(&[u8], u8)] = &[(b"stdout ", 0), (b"stderr ", 1)];
const DOCKER: u8 = 2;

/// `<time> stdout F {..}`. Tags may follow the first, after colons; old runtimes had none.
pub(super) fn prefix(line: &[u8]) -> Option<Prefix> {
    let (at, start) = prefix::time(line, b' ')?;
    let rest = line.get(start..)?;
    let (name, stream) = STREAMS.iter().find(|(name, _)| rest.starts_with(name))?;
    let rest = rest.get(name.len()..)?;
    let tag = rest.get(..memchr::memchr(b' ', rest).unwrap_or(rest.len()))?;
    let (tag_len, is_last) = match tag.split(|byte| *byte == b':').next() {
        Some(b"P") => ((tag.len() + 1).min(rest.len()), false),
        Some(b"F") => ((tag.len() + 1).min(rest.len()), true),
        _ if prefix::is_value(rest) => (0, true),
        _ => return None,
    };
    let len = start + name.len() + tag_len;
    let behind = Behind::Part { stream: *stream, is_last, is_value: line.get(len..).is_some_and(prefix::is_value) };
    Some(Prefix { len, kind: Some(EnvelopeKind::Cri), at, emitter: None, behind })
}

/// Of a line or an object that a container runtime wrote: the stream that it goes on with, and whether more of its line follows. `None`: it stands for itself.
/// `is_open` says whether a line of a stream has begun.
pub fn part_of(written: &[u8], is_open: impl Fn(u8) -> bool) -> Option<(u8, bool)> {
    if written.first() == Some(&b'{') {
        let line = docker(written)?;
        return (line.is_start() || is_open(line.stream)).then(|| (line.stream, !line.is_last()));
    }
    match prefix(written)?.behind {
        Behind::Part { stream, is_last, .. } => Some((stream, !is_last)),
        _ => None,
    }
}

/// A line of docker's json-file log.
#[derive(Debug)]
pub(super) struct DockerLine<'v> {
    pub(super) stream: u8,
    pub(super) text: Cow<'v, str>,
    pub(super) at: Option<Timestamp>,
}

impl DockerLine<'_> {
    /// Whether it ends its line.
    pub(super) fn is_last(&self) -> bool {
        self.text.ends_with('\n')
    }

    /// Whether this is the first part of a longer record.
    pub(super) fn is_start(&self) -> bool {
        let text = self.text.as_bytes();
        !self.is_last() && prefix::is_value(text) && skip_value(text, 0).is_err_and(|error| error.at >= text.len())
    }
}

/// The line that an object is, if it has docker's members and no others.
pub(super) fn docker(object: &[u8]) -> Option<DockerLine<'_>> {
    let (mut log, mut stream, mut time, mut is_foreign) = (None, None, None, false);
    each_member(object, |key, value| {
        match key {
            b"log" => log = Some(value),
            b"stream" => stream = Some(value),
            b"time" => time = Some(value),
            b"attrs" => {}
            _ => is_foreign = true,
        }
        !is_foreign
    });
    let (log, time) = (log?, text_of(time?)?);
    let stream = DOCKER + u8::from(stream? == b"\"stderr\"");
    (!is_foreign).then_some(DockerLine { stream, text: json_text(log)?, at: when(&time) })
}
