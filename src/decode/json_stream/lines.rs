//! Lines with a text in front of what they carry, and lines that come in parts.

use super::{Reader, Step};
use crate::decode::cri::DockerLine;
use crate::decode::join::{Part, Run};
use crate::decode::members::text_of;
use crate::decode::open::{Around, Opening};
use crate::decode::prefix::{Behind, Prefix, is_value};
use crate::decode::{Core, Decoded};
use crate::model::{EnvelopeKind, ParseError, RejectReason, skip_value};

/// A line, as far as the window goes.
enum Line<'w> {
    Whole(&'w [u8]),
    Cut,
    TooLong,
}

impl<'w> Line<'w> {
    /// The line at the start of the bytes. Its end must lie within the limit.
    fn of(rest: &'w [u8], bytes_max: usize, is_last: bool) -> Self {
        let head = rest.get(..bytes_max.min(rest.len())).unwrap_or_default();
        match memchr::memchr(b'\n', head) {
            Some(end) => Self::Whole(head.get(..end).unwrap_or_default()),
            None if rest.len() >= bytes_max => Self::TooLong,
            None if is_last => Self::Whole(rest),
            None => Self::Cut,
        }
    }
}

impl Reader {
    /// What is around the record that comes next.
    pub(super) fn around(&self) -> &Around {
        self.prefixed.as_ref().unwrap_or(&self.around)
    }

    /// Goes on behind a prefix. `None`: what stands there is nothing that is read.
    pub(super) fn behind(&mut self, core: &mut Core, prefix: &Prefix, window: &[u8], at: usize, is_last: bool, out: &mut Decoded) -> Option<Step> {
        let rest = window.get(at..).unwrap_or_default();
        let is_apart = match prefix.behind {
            Behind::Value => false,
            Behind::Within => true,
            Behind::Part { stream, is_last, is_value } => {
                let is_joined = !is_last || self.parts.is_open(stream);
                if !is_joined && !is_value {
                    return None;
                }
                is_joined
            }
            Behind::Counted { len } if rest.len() < len && !is_last => {
                return Some(if len <= core.limits.record.record_bytes_max { Step::Wait } else { return None });
            }
            Behind::Counted { len } => {
                let len = len.min(rest.len());
                if len > core.limits.record.record_bytes_max {
                    return None;
                }
                out.reject(self.base + at as u64, len as u64, RejectReason::NotJson, "a message that is no JSON");
                return Some(Step::To(at + len));
            }
        };
        if !is_apart {
            self.prefixed = Some(self.around().behind(prefix));
            out.bytes_separators += prefix.len as u64;
            return Some(Step::To(at + prefix.len));
        }
        let bytes_max = core.limits.record.record_bytes_max;
        let line = match Line::of(rest, bytes_max, is_last) {
            Line::Whole(line) => line,
            Line::Cut => return Some(Step::Wait),
            Line::TooLong => return Some(self.bad(window, at, at + bytes_max, RejectReason::TooLong, "a line longer than the limit")),
        };
        let text = line.get(prefix.len..).unwrap_or_default();
        match prefix.behind {
            Behind::Part { stream, is_last, .. } => {
                let part = Part { stream, text, offset: self.base + at as u64, bytes: line.len(), at: prefix.at };
                self.part(core, part, is_last, out);
            }
            _ => self.value_within(core, prefix, text, (self.base + at as u64, line.len()), out),
        }
        Some(Step::To(at + line.len()))
    }

    /// Adds a part of a line, and reads the line with its last.
    fn part(&mut self, core: &mut Core, part: Part<'_>, is_last: bool, out: &mut Decoded) {
        self.parts.add(part, core.limits.record.record_bytes_max);
        if let Some(run) = is_last.then(|| self.parts.take(part.stream)).flatten() {
            self.joined(core, &run, out);
        }
    }

    /// Adds an object of docker's log to the line that it goes on with.
    pub(super) fn docker_part(&mut self, core: &mut Core, line: &DockerLine<'_>, at: usize, len: usize, out: &mut Decoded) {
        let (stream, offset) = (line.stream, self.base + at as u64);
        let part = Part { stream, text: line.text.as_bytes(), offset, bytes: len, at: line.at };
        self.part(core, part, line.is_last(), out);
    }

    /// Reads a line that is whole again.
    fn joined(&self, core: &mut Core, run: &Run, out: &mut Decoded) {
        if run.is_too_long {
            return out.reject(run.offset, run.bytes, RejectReason::TooLong, "a record in parts longer than the limit");
        }
        if !is_value(&run.text) {
            return out.reject(run.offset, run.bytes, RejectReason::NotJson, "a line in parts that is no JSON");
        }
        let mut opening = Opening::new(core, out, self.around(), Some(EnvelopeKind::Cri), run.offset);
        opening.at(run.at);
        let _ = opening.text(&String::from_utf8_lossy(&run.text)) || opening.other(&run.text);
        match opening.end() {
            Ok(_) => out.bytes_records += run.bytes,
            Err(reason) => out.reject(run.offset, run.bytes, reason, "a record in parts in which nothing is known"),
        }
    }

    /// Reads a value with more text behind it. `place` is that of the whole line: offset and length.
    fn value_within(&self, core: &mut Core, prefix: &Prefix, text: &[u8], place: (u64, usize), out: &mut Decoded) {
        let (offset, len) = (place.0, place.1 as u64);
        let mut opening = Opening::new(core, out, self.around(), prefix.kind, offset);
        opening.at(prefix.at);
        match skip_value(text, 0) {
            Ok(end) => {
                let value = text.get(..end).unwrap_or_default();
                opening.value(value) || opening.other(value) || text_of(value).is_some_and(|text| opening.other(text.as_bytes()))
            }
            // The line was cut: so is the text of its value.
            Err(_) if text.first() == Some(&b'"') => opening.value(&[text, b"\""].concat()),
            Err(_) => opening.text(&String::from_utf8_lossy(text)),
        };
        match opening.end() {
            Ok(_) => out.bytes_records += len,
            Err(reason) => out.reject(offset, len, reason, "a line of key=value in which nothing is known"),
        }
    }

    /// What an error in an object means. Behind a prefix the object is one line, and what is whole of it is kept.
    pub(super) fn fail_behind(&mut self, core: &mut Core, error: &ParseError, window: &[u8], at: usize, is_last: bool, out: &mut Decoded) -> Step {
        let bytes_max = core.limits.record.record_bytes_max;
        let rest = window.get(at..).unwrap_or_default();
        let value = rest.get(..bytes_max.min(rest.len())).unwrap_or_default();
        let is_cut = error.at >= value.len() && !is_last && value.len() < bytes_max;
        if self.prefixed.is_none() || is_cut {
            return self.fail(error, value, window, at, bytes_max, is_last);
        }
        let line = match Line::of(rest, bytes_max, is_last) {
            Line::Whole(line) => line,
            Line::Cut => return Step::Wait,
            Line::TooLong => return self.fail(error, value, window, at, bytes_max, is_last),
        };
        let mut opening = Opening::new(core, out, self.around(), None, self.base + at as u64);
        opening.at(self.around().at);
        opening.salvaged(&String::from_utf8_lossy(line));
        match opening.end() {
            Ok(_) => {
                out.bytes_records += line.len() as u64;
                Step::To(at + line.len())
            }
            Err(_) => self.fail(error, value, window, at, bytes_max, is_last),
        }
    }
}
