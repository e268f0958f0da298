//! Payloads of units with lengths in front: OpenTelemetry's protobuf, and what its file exporter writes.

use super::{Reader, Step};
use crate::decode::open::Opening;
use crate::decode::otlp_proto::{self, Form, Unit};
use crate::decode::{Core, Decoded};
use crate::model::{EnvelopeKind, RejectReason};

impl Reader {
    /// Reads the next unit. Where there is none, all that follows is one reject: no other can be found.
    pub(super) fn unit(&mut self, core: &mut Core, window: &[u8], at: usize, is_last: bool, out: &mut Decoded) -> Step {
        let bytes = window.get(at..).unwrap_or_default();
        let (start, end) = match self.form.unit(bytes, core.limits.envelope_bytes_max) {
            Unit::Whole(start, end) => (start, end),
            Unit::Cut if !is_last => return Step::Wait,
            Unit::Cut | Unit::None => {
                self.records_max = Some(0);
                return self.bad(window, at, at, RejectReason::Binary, "no further part of OpenTelemetry data can be read");
            }
        };
        let (offset, len, content) = (self.base + at as u64, end as u64, bytes.get(start..end).unwrap_or_default());
        let mut opening = Opening::new(core, out, &self.around, Some(EnvelopeKind::Otlp), offset);
        if self.form == Form::Framed {
            opening.bytes(content);
        } else {
            otlp_proto::resource_logs(content, &mut opening);
        }
        match opening.end() {
            Ok(_) => out.bytes_records += len,
            Err(reason) => out.reject(offset, len, reason, "an envelope (otlp) in which nothing is known"),
        }
        Step::To(at + end)
    }
}
