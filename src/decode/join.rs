//! Records that come in parts, one run of parts a stream.

use super::Decoded;
use crate::model::{RejectReason, Timestamp};

/// Parts that wait for their last.
#[derive(Debug)]
pub(super) struct Run {
    stream: u8,
    pub(super) text: Vec<u8>,
    /// Of the first part in the payload.
    pub(super) offset: u64,
    /// Of all parts with what is around them.
    pub(super) bytes: u64,
    pub(super) at: Option<Timestamp>,
    /// The text was longer than a record may be, and is gone.
    pub(super) is_too_long: bool,
}

/// The runs that are open: at most one a stream, of which there are four.
#[derive(Debug, Default)]
pub(super) struct Parts(Vec<Run>);

/// A part as it stands in the payload.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'p> {
    pub(super) stream: u8,
    pub(super) text: &'p [u8],
    pub(super) offset: u64,
    pub(super) bytes: usize,
    pub(super) at: Option<Timestamp>,
}

impl Parts {
    /// Whether a stream's line has begun.
    pub(super) fn is_open(&self, stream: u8) -> bool {
        self.0.iter().any(|run| run.stream == stream)
    }

    /// Whether no stream's line has begun.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Goes on with a stream's line, or begins one. `text_max` is the most that is kept of a line.
    pub(super) fn add(&mut self, part: Part<'_>, text_max: usize) {
        let at = self.0.iter().position(|run| run.stream == part.stream).unwrap_or_else(|| {
            let (offset, at) = (part.offset, part.at);
            self.0.push(Run { stream: part.stream, text: Vec::new(), offset, bytes: 0, at, is_too_long: false });
            self.0.len() - 1
        });
        let Some(run) = self.0.get_mut(at) else { return };
        run.bytes += part.bytes as u64;
        run.is_too_long |= run.text.len() + part.text.len() > text_max;
        if run.is_too_long {
            run.text = Vec::new();
        } else {
            run.text.extend_from_slice(part.text);
        }
    }

    /// A stream's line, which is whole now.
    pub(super) fn take(&mut self, stream: u8) -> Option<Run> {
        let at = self.0.iter().position(|run| run.stream == stream)?;
        Some(self.0.remove(at))
    }

    /// Nothing follows: what is still open is lost.
    pub(super) fn finish(&self, out: &mut Decoded) {
        for run in &self.0 {
            out.reject(run.offset, run.bytes, RejectReason::BadJson, "a record in parts of which the last is missing");
        }
    }
}
