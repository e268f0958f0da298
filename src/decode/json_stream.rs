//! A stream of JSON values, whatever parts them: lines, commas, brackets, nothing. One reader serves whole payloads and pieces.
//!
//! It works on a window of the payload and says how much of it is done with; the rest comes again with more behind it. What it decides
//! depends on the bytes alone and never on where a window ended.

mod lines;
mod units;

use super::join::Parts;
use super::open::{Around, Opening};
use super::otlp_proto::Form;
use super::prefix;
use super::resync::{Found, Resync};
use super::sniff::{Shape, Verdict, Wrapper, blank};
use super::{Core, Decoded, QUARANTINED_BYTES_MAX, cri, gcp, shipper};
use crate::model::{Doc, EnvelopeKind, Kind, Magic, ParseError, Record, RejectReason, Wrapped, skip_value};

/// Bytes that may be read again after bad values before every byte counts: each bad value is read up to its error and then, for lines, once more.
const REREAD_BYTES_FREE: u64 = 32 << 20;

/// Bytes of an empty object in a field, as it stands or as a text.
const EMPTY_BYTES_MAX: usize = 4;

/// Bytes of a record that are read to know it, past which the next is parsed first.
const TELLS_LATE_BYTES: usize = 128;

/// A list that is open around the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frame {
    Array,
    /// In the `items` of an object.
    Items,
    /// In that object, after its `items`.
    Tail,
}

/// What comes next of a window.
enum Step {
    /// It is done with up to here.
    To(usize),
    /// More bytes are needed.
    Wait,
}

/// Reads one payload.
#[derive(Debug)]
pub(super) struct Reader {
    frames: Vec<Frame>,
    /// Offset of the window in the payload.
    base: u64,
    /// Where the current line starts, as an offset in the payload.
    line: u64,
    resync: Option<Resync>,
    reread_bytes: u64,
    /// What starts before this offset is read again after it was part of something bad: only what is known counts as a record there.
    suspect_upto: u64,
    is_started: bool,
    /// What is around the record that comes next, once a text in front of it has been taken off.
    prefixed: Option<Around>,
    /// Lines that came in parts, of which the last is still missing.
    parts: Parts,
    form: Form,
    /// The envelopes around this reader's payload.
    around: Around,
    records_max: Option<usize>,
    ends_in_reject: bool,
}

impl Reader {
    /// For a payload. `records_max` is the length of the list of records at which reading stops.
    pub(super) fn new(records_max: Option<usize>) -> Self {
        Self {
            frames: Vec::new(),
            base: 0,
            line: 0,
            resync: None,
            reread_bytes: 0,
            suspect_upto: 0,
            is_started: false,
            prefixed: None,
            parts: Parts::default(),
            form: Form::Text,
            around: Around::NONE,
            records_max,
            ends_in_reject: false,
        }
    }

    /// For the rest of a payload, from between two records of it on.
    pub(super) fn at(offset: u64) -> Self {
        Self { base: offset, line: offset, is_started: offset > 0, ..Self::new(None) }
    }

    /// Whether a line begins here, and nothing is open that it belongs to. Within a line what was bad is told by where the line began.
    pub(super) fn is_between(&self) -> bool {
        let is_plain = self.is_started && self.form == Form::Text && self.records_max.is_none();
        let is_open = !self.frames.is_empty() || self.resync.is_some() || self.prefixed.is_some() || !self.parts.is_empty();
        is_plain && !is_open && self.suspect_upto <= self.base && self.line == self.base
    }

    /// For a payload within envelopes, which stands there whole.
    pub(super) fn within(around: Around, records_max: usize) -> Self {
        Self { around, is_started: true, ..Self::new(Some(records_max)) }
    }

    /// Offset of the next window in the payload.
    pub(super) fn offset(&self) -> u64 {
        self.base
    }

    /// Reads what can be read of a window and tells how much of it is done with: all of it, if it is the last.
    pub(super) fn run(&mut self, core: &mut Core, window: &[u8], is_last: bool, out: &mut Decoded) -> usize {
        let mut at = 0;
        if !self.is_started {
            if window.len() < Magic::BYTES && !is_last {
                return 0;
            }
            let Some(form) = Form::of(window, is_last, core.limits.envelope_bytes_max) else { return 0 };
            self.form = form;
            self.is_started = true;
            self.refuse_foreign(window);
        }
        loop {
            if let Some(resync) = self.resync.take() {
                let start = usize::try_from(resync.offset.saturating_sub(self.base)).unwrap_or(at);
                let from = if resync.bytes.is_empty() { start.min(at) } else { at };
                match self.skip(&resync, window, at, is_last) {
                    Found::At(end) => {
                        let len = self.base + end as u64 - resync.offset;
                        self.ends_in_reject = true;
                        out.reject_range(resync, len, window.get(from..end).unwrap_or_default());
                        at = end;
                    }
                    Found::NotBefore(end) => {
                        self.resync = Some(resync.with(window.get(from..end).unwrap_or_default(), QUARANTINED_BYTES_MAX));
                        at = end;
                        break;
                    }
                }
            }
            let start = if self.form == Form::Text { self.separators(window, at) } else { at };
            out.bytes_separators += (start - at) as u64;
            at = start;
            if at == window.len() {
                break;
            }
            let ended_in_reject = self.ends_in_reject;
            match self.step(core, window, at, is_last, out) {
                Step::To(next) => at = next,
                Step::Wait => {
                    // Nothing was decided: what waits may turn out to be a separator.
                    self.ends_in_reject = ended_in_reject;
                    break;
                }
            }
        }
        self.base += at as u64;
        out.bytes_total += if self.around.depth == 0 { at as u64 } else { 0 };
        at
    }

    /// Nothing follows: a list that is still open has been cut.
    pub(super) fn finish(&self, out: &mut Decoded) {
        self.parts.finish(out);
        if !self.frames.is_empty() && !self.ends_in_reject {
            out.reject(self.base, 0, RejectReason::BadJson, "the text ends within a list of records");
        }
    }

    /// Bytes of a foreign format are one reject up to their end.
    fn refuse_foreign(&mut self, window: &[u8]) {
        let (reason, detail) = match Magic::of(window) {
            Magic::Plain => return,
            Magic::Compressed(how) => (RejectReason::UnsupportedCompression, format!("{how:?} that nothing here expands")),
            Magic::Unsupported(name) => (RejectReason::UnsupportedCompression, format!("{name} is not read")),
            Magic::Binary(name) => (RejectReason::Binary, format!("a file of type {name}")),
        };
        self.resync = Some(Resync::new(self.base, 0, reason, detail));
        self.records_max = Some(0);
    }

    fn skip(&self, resync: &Resync, window: &[u8], from: usize, is_last: bool) -> Found {
        match self.records_max {
            Some(0) if is_last => Found::At(window.len()),
            Some(0) => Found::NotBefore(window.len()),
            _ => resync.find(window, from, is_last),
        }
    }

    /// Past what parts records. Remembers where the line starts.
    fn separators(&mut self, window: &[u8], mut at: usize) -> usize {
        loop {
            match window.get(at) {
                Some(b'\n' | b'\r') => {
                    self.line = self.base + at as u64 + 1;
                    self.prefixed = None;
                }
                Some(b' ' | b'\t' | b',' | 0x1e) => {}
                Some(b':') if self.frames.last() == Some(&Frame::Tail) => {}
                Some(0xef) if window.get(at..at + 3) == Some(b"\xef\xbb\xbf") => at += 2,
                _ => return at,
            }
            at += 1;
        }
    }

    fn step(&mut self, core: &mut Core, window: &[u8], at: usize, is_last: bool, out: &mut Decoded) -> Step {
        self.ends_in_reject = false;
        if self.records_max.is_some_and(|max| max != 0 && out.records.len() >= max) {
            self.records_max = Some(0);
            return self.bad(window, at, at, RejectReason::TooLong, "the payload has more records than the limit");
        }
        if self.form != Form::Text {
            return self.unit(core, window, at, is_last, out);
        }
        let record_max = core.limits.record.record_bytes_max;
        let rest = window.get(at..).unwrap_or_default();
        let value = rest.get(..record_max.min(rest.len())).unwrap_or_default();
        let open = self.frames.last().copied();
        let taken = match (rest.first(), open) {
            (Some(b']'), Some(Frame::Array)) => self.close(None, out),
            (Some(b']'), Some(Frame::Items)) => self.close(Some(Frame::Tail), out),
            (Some(b'}'), Some(Frame::Tail)) => self.close(None, out),
            (_, Some(Frame::Tail)) => match skip_value(value, 0) {
                // A number may go on.
                Ok(len) if len == rest.len() && !is_last => return Step::Wait,
                skipped => skipped.inspect(|len| out.bytes_separators += *len as u64),
            },
            (Some(b'{'), _) => return self.object(core, window, at, is_last, out),
            (Some(b'['), _) => match value.get(blank(value, 1)) {
                Some(b'{' | b'[' | b'"' | b']') => return self.enter(core, window, at, 1, Frame::Array, out),
                Some(_) => self.scalar(core, rest, is_last, at, out),
                None => Err(ParseError { at: value.len(), what: "the text ends within a list" }),
            },
            (Some(0xef), _) if rest.len() < 3 && !is_last => return Step::Wait,
            _ => {
                let is_line = is_last || rest.len() >= prefix::BYTES_MAX || rest.contains(&b'\n');
                if !is_line {
                    return Step::Wait;
                }
                if let Some(step) = prefix::of(rest).and_then(|prefix| self.behind(core, &prefix, window, at, is_last, out)) {
                    return step;
                }
                self.scalar(core, rest, is_last, at, out)
            }
        };
        match taken {
            Ok(len) => Step::To(at + len),
            Err(error) => self.fail(&error, value, window, at, record_max, is_last),
        }
    }

    fn close(&mut self, then: Option<Frame>, out: &mut Decoded) -> Result<usize, ParseError> {
        self.frames.pop();
        self.frames.extend(then);
        out.bytes_separators += 1;
        Ok(1)
    }

    fn enter(&mut self, core: &Core, window: &[u8], at: usize, len: usize, frame: Frame, out: &mut Decoded) -> Step {
        if self.frames.len() >= core.limits.lists_max {
            return self.bad(window, at, at, RejectReason::TooDeep, "lists are nested deeper than the limit");
        }
        self.frames.push(frame);
        out.bytes_separators += len as u64;
        Step::To(at + len)
    }

    fn object(&mut self, core: &mut Core, window: &[u8], at: usize, is_last: bool, out: &mut Decoded) -> Step {
        let record_max = core.limits.record.record_bytes_max;
        let rest = window.get(at..).unwrap_or_default();
        let value = rest.get(..record_max.min(rest.len())).unwrap_or_default();
        let offset = self.base + at as u64;
        if core.tells_late
            && let Some((shape, doc, end)) = Self::parsed_first(core, value)
        {
            return self.take(doc, (shape.kind, shape.envelope), value, at, end, out);
        }
        core.tells_late = false;
        let verdict = match core.sniffer.sniff(value) {
            Ok(verdict) => verdict,
            Err(error) => return self.fail_behind(core, &error, window, at, is_last, out),
        };
        match verdict {
            Verdict::Record { shape, read } => {
                core.tells_late = read > TELLS_LATE_BYTES && shape.lift.is_none();
                self.record(core, (shape.kind, shape.envelope, shape.lift), window, at, is_last, out)
            }
            Verdict::Wrapper(wrapper) => {
                let whole = rest.get(..core.limits.envelope_bytes_max.min(rest.len())).unwrap_or_default();
                match skip_value(whole, 0) {
                    Ok(end) => self.wrapper(core, wrapper, whole.get(..end).unwrap_or_default(), at, out),
                    Err(error) => self.fail(&error, whole, window, at, core.limits.envelope_bytes_max, is_last),
                }
            }
            Verdict::List { inner } => self.enter(core, window, at, inner, Frame::Items, out),
            Verdict::Empty { end } => {
                out.reject(offset, end as u64, RejectReason::Control, "an empty object");
                Step::To(at + end)
            }
            Verdict::Unknown { end, carried } => {
                let object = value.get(..end).unwrap_or_default();
                if carried.is_empty() && shipper::is_bulk_action(object) {
                    out.reject(offset, end as u64, RejectReason::Control, "an action line of a bulk request");
                    return Step::To(at + end);
                }
                let docker = if carried.is_empty() { None } else { cri::docker(object) };
                if let Some(line) = docker.as_ref().filter(|line| line.is_start() || self.parts.is_open(line.stream)) {
                    self.docker_part(core, line, at, end, out);
                    return Step::To(at + end);
                }
                let mut opening = Opening::new(core, out, self.around(), docker.as_ref().map(|_| EnvelopeKind::Cri), offset);
                let envelope = docker.map_or(EnvelopeKind::Native, |_| EnvelopeKind::Cri);
                shipper::open(object, &carried, value, &mut opening);
                match opening.end() {
                    Ok(_) => out.bytes_records += end as u64,
                    Err(RejectReason::TooDeep) => out.reject(offset, end as u64, RejectReason::TooDeep, "envelopes are nested deeper than the limit"),
                    // A heartbeat that something carries; an empty object in a field says nothing of the rest.
                    Err(RejectReason::Control) if carried.iter().any(|(_, range)| range.len() > EMPTY_BYTES_MAX) => {
                        out.reject(offset, end as u64, RejectReason::Control, "a control message");
                    }
                    // What is only part of a record is none: of what an envelope carries, or of a damaged range.
                    Err(_) if self.around.depth > 0 || offset < self.suspect_upto => {
                        out.reject(offset, end as u64, RejectReason::UnknownShape, "an object of no known shape");
                    }
                    Err(_) => return self.record(core, (Kind::Other, envelope, None), window, at, is_last, out),
                }
                Step::To(at + end)
            }
        }
    }

    /// Parses the record at `at`.
    fn record(
        &mut self,
        core: &mut Core,
        told: (Kind, EnvelopeKind, Option<&str>),
        window: &[u8],
        at: usize,
        is_last: bool,
        out: &mut Decoded,
    ) -> Step {
        let (kind, envelope, lift) = told;
        let record_max = core.limits.record.record_bytes_max;
        let rest = window.get(at..).unwrap_or_default();
        let value = rest.get(..record_max.min(rest.len())).unwrap_or_default();
        match core.parser.parse_prefix(value, lift) {
            Ok((doc, end)) => self.take(doc, (kind, envelope), value, at, end, out),
            Err(error) => self.fail_behind(core, &error, window, at, is_last, out),
        }
    }

    /// An object that is likely to be a record, as those before it are, parsed before it is known to be one. `None`: it is looked at as any other.
    fn parsed_first(core: &mut Core, value: &[u8]) -> Option<(&'static Shape, Doc, usize)> {
        let (doc, end) = core.parser.parse_prefix(value, None).ok().filter(|(doc, _)| !doc.is_cut() && !doc.is_lossy())?;
        core.sniffer.record(value, &doc).map(|shape| (shape, doc, end))
    }

    /// Takes a record that has been parsed: `value` begins with it.
    fn take(&self, doc: Doc, told: (Kind, EnvelopeKind), value: &[u8], at: usize, end: usize, out: &mut Decoded) -> Step {
        let (kind, envelope) = told;
        out.bytes_records += end as u64;
        let is_entry = envelope == EnvelopeKind::GcpLogging;
        let (envelope, mut wrapped) = self.envelope(envelope, &doc);
        let kind = if is_entry { gcp::audit_entry(&doc, value.get(..end).unwrap_or_default(), &mut wrapped) } else { kind };
        out.records.push(Record { doc, kind, envelope, offset: self.base + at as u64, wrapped });
        Step::To(at + end)
    }

    /// Opens an envelope. One in which nothing is known counts as a whole.
    fn wrapper(&self, core: &mut Core, wrapper: &Wrapper, value: &[u8], at: usize, out: &mut Decoded) -> Step {
        let (offset, len) = (self.base + at as u64, value.len() as u64);
        let mut opening = Opening::new(core, out, self.around(), Some(wrapper.kind), offset);
        (wrapper.open)(value, &mut opening);
        let said = opening.said();
        match opening.end() {
            Ok(_) => out.bytes_records += len,
            Err(RejectReason::UnknownShape | RejectReason::NotARecord)
                if wrapper.is_record && self.other(core, value, wrapper.kind, offset, &said, out) =>
            {
                out.bytes_records += len;
            }
            Err(RejectReason::Control) => out.reject(offset, len, RejectReason::Control, "a control message"),
            Err(reason) => out.reject(offset, len, reason, format!("an envelope ({}) in which nothing is known", wrapper.kind.name())),
        }
        Step::To(at + value.len())
    }

    /// An object of which nothing is known, as a record of kind `other`.
    fn other(&self, core: &mut Core, value: &[u8], kind: EnvelopeKind, offset: u64, said: &Wrapped, out: &mut Decoded) -> bool {
        let Ok((doc, _)) = core.parser.parse_prefix(value, None) else { return false };
        out.records.push(Record { doc, kind: Kind::Other, envelope: self.around().kind.unwrap_or(kind), offset, wrapped: said.clone() });
        true
    }

    /// The envelope of a record, and what it says.
    fn envelope(&self, of_shape: EnvelopeKind, doc: &Doc) -> (EnvelopeKind, Wrapped) {
        let is_item = self.frames.contains(&Frame::Items);
        let around = self.around();
        let envelope = match (around.kind, of_shape) {
            (Some(kind), _) => kind,
            (None, EnvelopeKind::Native) if around.depth > 0 || self.prefixed.is_some() => EnvelopeKind::Carrier,
            (None, EnvelopeKind::Native) if is_item => EnvelopeKind::EventList,
            (None, envelope) => envelope,
        };
        (envelope, around.wrapped_with(doc))
    }

    /// A value that is no object, on its own, at the start of these bytes: a string may carry a record.
    fn scalar(&mut self, core: &mut Core, rest: &[u8], is_last: bool, at: usize, out: &mut Decoded) -> Result<usize, ParseError> {
        let record_max = core.limits.record.record_bytes_max;
        let value = rest.get(..record_max.min(rest.len())).unwrap_or_default();
        let end = skip_value(value, 0)?;
        // What ends a value that is as long as one may be stands behind it.
        let seen = rest.get(..(record_max + 1).min(rest.len())).unwrap_or_default();
        let after = end + seen.iter().skip(end).position(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(seen.len() - end);
        match seen.get(after) {
            Some(b',' | b']' | b'\n' | b'\r' | 0x1e) => {}
            None if is_last && seen.len() == rest.len() || seen.len() > record_max => {}
            None => return Err(ParseError { at: value.len(), what: "the text ends within a value" }),
            Some(_) => return Err(ParseError { at: after.min(value.len()), what: "text follows a value on its line" }),
        }
        let offset = self.base + at as u64;
        let value = value.get(..end).unwrap_or_default();
        let mut opening = Opening::new(core, out, self.around(), None, offset);
        let is_carried = match shipper::timed(value) {
            Some((time, record)) => {
                opening.at(Some(time));
                opening.value(record) || opening.other(record)
            }
            None => value.first() == Some(&b'"') && opening.value(value),
        };
        if is_carried {
            out.bytes_records += end as u64;
        } else {
            out.reject(offset, end as u64, RejectReason::NotARecord, "a value that is no object");
        }
        Ok(end)
    }

    /// What an error in the value at `at` means: more is needed, or it is bad.
    fn fail(&mut self, error: &ParseError, value: &[u8], window: &[u8], at: usize, record_max: usize, is_last: bool) -> Step {
        let is_end = error.at >= value.len();
        if is_end && window.len() - at <= record_max && !is_last {
            return Step::Wait;
        }
        if is_end && value.len() == record_max {
            return self.bad(window, at, at + value.len(), RejectReason::TooLong, "a record longer than the limit");
        }
        let reason = match value.first() {
            Some(0..0x20 | 0x7f) => RejectReason::Binary,
            Some(b'{' | b'"') => RejectReason::BadJson,
            _ => RejectReason::NotJson,
        };
        self.bad(window, at, at + error.at, reason, error.what)
    }

    /// A bad range begins at `at`; it was read as far as `upto`. Lines within are tried on their own, as long as that does not add up to more
    /// than reading everything twice.
    fn bad(&mut self, window: &[u8], at: usize, upto: usize, reason: RejectReason, what: &str) -> Step {
        let offset = self.base + at as u64;
        let column = usize::try_from(offset - self.line.min(offset)).unwrap_or(usize::MAX);
        self.resync = Some(Resync::new(offset, column, reason, what.to_owned()));
        self.suspect_upto = self.suspect_upto.max(self.base + upto as u64);
        self.reread_bytes += (upto - at) as u64;
        if self.reread_bytes > offset + REREAD_BYTES_FREE {
            self.reread_bytes -= (upto - at) as u64;
            return Step::To(upto.min(window.len()));
        }
        Step::To(at)
    }
}
