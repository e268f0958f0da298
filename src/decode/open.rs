//! Opening an envelope: what it holds is read by a reader of its own, one level deeper, and what the envelope says goes with every record.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::json_stream::Reader;
use super::members::text_of;
use super::prefix::Prefix;
use super::salvage::salvage;
use super::sniff::blank;
use super::{Core, Decoded, otlp_proto, prefix, shipper};
use crate::model::{Doc, EnvelopeKind, Kind, Magic, Record, RejectReason, Timestamp, Wrapped, Wrapping};

/// How a record got here through the envelopes around it.
#[derive(Debug, Clone)]
pub(super) struct Around {
    /// Envelopes within envelopes.
    pub(super) depth: usize,
    /// The outermost envelope that has a name of its own.
    pub(super) kind: Option<EnvelopeKind>,
    pub(super) by: Option<Arc<Wrapping>>,
    pub(super) at: Option<Timestamp>,
    pub(super) is_cut: bool,
}

impl Around {
    /// No envelope.
    pub(super) const NONE: Self = Self { depth: 0, kind: None, by: None, at: None, is_cut: false };

    /// With a prefix of a line around, too.
    pub(super) fn behind(&self, prefix: &Prefix) -> Self {
        let mut by = self.by.clone();
        if let Some(emitter) = &prefix.emitter {
            let mut all = by.as_deref().cloned().unwrap_or_default();
            all.refine(&Wrapping { emitter: Some(emitter.clone()), ..Wrapping::default() });
            by = Some(Arc::new(all));
        }
        Self { by, kind: self.kind.or(prefix.kind), at: prefix.at.or(self.at), ..*self }
    }

    /// What the envelopes say of a record, and the container that a shipper wrote beside the record's members.
    pub(super) fn wrapped_with(&self, doc: &Doc) -> Wrapped {
        let mut wrapped = self.wrapped();
        if let Some(emitter) = shipper::emitter_beside(doc) {
            let mut by = wrapped.by.as_deref().cloned().unwrap_or_default();
            by.refine(&Wrapping { emitter: Some(emitter), ..Wrapping::default() });
            wrapped.by = Some(by.into());
        }
        wrapped
    }

    pub(super) fn wrapped(&self) -> Wrapped {
        Wrapped { by: self.by.clone(), at: self.at, is_cut: self.is_cut, is_own: false }
    }
}

/// What an envelope hands its content to.
pub(super) struct Opening<'c> {
    core: &'c mut Core,
    out: &'c mut Decoded,
    around: Around,
    /// Offset of the envelope in the payload: that of everything in it.
    offset: u64,
    /// The time of the envelope around this one, for what has none here.
    outer_at: Option<Timestamp>,
    records: usize,
    /// Why something in it could not be read.
    trouble: Option<RejectReason>,
}

impl<'c> Opening<'c> {
    pub(super) fn new(core: &'c mut Core, out: &'c mut Decoded, outer: &Around, kind: Option<EnvelopeKind>, offset: u64) -> Self {
        let kind = outer.kind.or(kind.filter(|kind| *kind != EnvelopeKind::Carrier));
        let around = Around { depth: outer.depth + 1, kind, ..outer.clone() };
        Self { core, out, around, offset, outer_at: outer.at, records: 0, trouble: None }
    }

    /// What the envelope says of everything that is read from now on.
    pub(super) fn says(&mut self, wrapping: &Wrapping) {
        if !wrapping.is_empty() {
            let mut all = self.around.by.as_deref().cloned().unwrap_or_default();
            all.refine(wrapping);
            self.around.by = Some(Arc::new(all));
        }
    }

    /// The envelope's time for what is read from now on.
    pub(super) fn at(&mut self, time: Option<Timestamp>) {
        self.around.at = time.or(self.outer_at);
    }

    /// Whether an envelope has named the container that printed what is read.
    pub(super) fn has_emitter(&self) -> bool {
        self.around.by.as_ref().is_some_and(|by| by.emitter.is_some())
    }

    /// What is said within goes with nothing that is read after it.
    pub(super) fn apart(&mut self, read: impl FnOnce(&mut Self)) {
        let around = self.around.clone();
        read(self);
        self.around = around;
    }

    /// Reads a record that an envelope has changed past putting it back.
    pub(super) fn mangled(&mut self, value: &[u8]) -> bool {
        let was_cut = std::mem::replace(&mut self.around.is_cut, true);
        let found = self.value(value);
        self.around.is_cut = was_cut;
        found
    }

    /// The envelope says itself that what is read from now on was cut.
    pub(super) fn is_cut(&mut self, is_cut: bool) {
        self.around.is_cut = is_cut;
    }

    /// Reads a JSON value: an object or list as it stands, a string by its text. Says whether there was a record in it.
    pub(super) fn value(&mut self, value: &[u8]) -> bool {
        match value.first() {
            Some(b'{' | b'[') => self.read(value),
            Some(b'"') => text_of(value).is_some_and(|text| self.text(&text)),
            _ => false,
        }
    }

    /// Reads text that may be, or start with a known prefix of, JSON. What is cut within is closed and read as far as it goes.
    pub(super) fn text(&mut self, text: &str) -> bool {
        let bytes = text.as_bytes();
        let is_json = matches!(bytes.get(blank(bytes, 0)), Some(b'{' | b'[' | b'"'));
        if !is_json && prefix::of(bytes).is_none() {
            return false;
        }
        if self.read(bytes) {
            return true;
        }
        is_json && self.salvaged(text)
    }

    /// Reads what is whole of JSON that was cut.
    pub(super) fn salvaged(&mut self, text: &str) -> bool {
        salvage(text).is_some_and(|closed| self.mangled(closed.as_bytes()))
    }

    /// Reads what a string has in base64, compressed or not.
    pub(super) fn base64(&mut self, value: &[u8]) -> bool {
        let Some(text) = text_of(value) else { return false };
        let Ok(bytes) = STANDARD.decode(text.trim_end().as_bytes()) else {
            self.trouble = Some(RejectReason::BadJson);
            return false;
        };
        self.bytes(&bytes)
    }

    /// Reads bytes that may be compressed.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> bool {
        let expanded = match (Magic::of(bytes), self.core.inflate.is_some()) {
            (Magic::Compressed(_), true) => {
                let (expanded, fault) = self.core.expand(bytes);
                if let Some((reason, _)) = fault {
                    self.trouble = Some(reason);
                    self.out.reject(self.offset, 0, reason, "within an envelope: compressed data could not be read further");
                }
                Cow::Owned(expanded)
            }
            _ => Cow::Borrowed(bytes),
        };
        if otlp_proto::is_request(&expanded) {
            let before = self.records;
            otlp_proto::request(&expanded, self);
            return self.records > before;
        }
        // An object of which nothing is known says more than the base64 around it.
        self.read(&expanded) || self.is_unknown() && self.other(expanded.trim_ascii())
    }

    fn is_unknown(&self) -> bool {
        matches!(self.trouble, None | Some(RejectReason::UnknownShape | RejectReason::NotARecord))
    }

    /// Nothing is in it by design: a probe, a heartbeat.
    pub(super) fn control(&mut self) {
        self.trouble = Some(RejectReason::Control);
    }

    /// Reads one item of the envelope's list. One in which nothing is known is a record of kind `other` itself; one that can not be read a counted
    /// reject.
    pub(super) fn item(&mut self, item: &[u8], read: impl FnOnce(&mut Self) -> bool) {
        self.item_as(item.len(), read, || Cow::Borrowed(item));
    }

    /// The same for an item of so many bytes that is no JSON, or says little as it stands: `show` is called for one in which nothing is known.
    pub(super) fn item_as<'i>(&mut self, bytes: usize, read: impl FnOnce(&mut Self) -> bool, show: impl FnOnce() -> Cow<'i, [u8]>) {
        self.trouble = None;
        if !read(self) {
            let reason = self.trouble.unwrap_or(RejectReason::UnknownShape);
            let shown = show();
            if self.is_unknown() && self.other(&shown) {
                return;
            }
            let detail = format!("within an envelope: an item of {bytes} bytes in which nothing is known");
            self.out.reject_item(self.offset, reason, detail, &shown);
        }
    }

    /// Takes an object in which nothing is known as a record.
    pub(super) fn other(&mut self, item: &[u8]) -> bool {
        let Some(doc) = (item.first() == Some(&b'{')).then(|| self.core.parser.parse(item, None).ok()).flatten() else { return false };
        let envelope = self.around.kind.unwrap_or(EnvelopeKind::Carrier);
        let wrapped = self.around.wrapped_with(&doc);
        self.out.records.push(Record { doc, kind: Kind::Other, envelope, offset: self.offset, wrapped });
        self.records += 1;
        true
    }

    /// Reads a payload within the envelope.
    fn read(&mut self, payload: &[u8]) -> bool {
        if self.around.depth > self.core.limits.carriers_max {
            self.trouble = Some(RejectReason::TooDeep);
            return false;
        }
        let mut inner = Decoded { rejects_listed_max: self.out.rejects_listed_max, ..Decoded::default() };
        let mut reader = Reader::within(self.around.clone(), self.core.limits.records_max);
        reader.run(self.core, payload, true, &mut inner);
        reader.finish(&mut inner);
        inner.quarantine(0, 0, payload);
        if inner.records.is_empty() {
            let is_control = inner.rejects.iter().all(|reject| reject.reason == RejectReason::Control) && !inner.rejects.is_empty();
            let is_deep = inner.rejects.iter().any(|reject| reject.reason == RejectReason::TooDeep);
            self.trouble = match (is_deep, is_control) {
                (true, _) => Some(RejectReason::TooDeep),
                (_, true) => Some(RejectReason::Control),
                _ => self.trouble.or(Some(RejectReason::UnknownShape)),
            };
            return false;
        }
        self.records += inner.records.len();
        let offset = self.offset;
        self.out.records.extend(inner.records.into_iter().map(|mut record| {
            record.offset = offset;
            record
        }));
        // Their bytes are the envelope's, which counts as read.
        self.out.rejects_unlisted += inner.rejects_unlisted;
        for reject in inner.rejects {
            let detail = if reject.detail.starts_with("within") { reject.detail } else { format!("within an envelope: {}", reject.detail) };
            self.out.reject_item(offset, reject.reason, detail, &reject.bytes);
        }
        true
    }

    /// What the envelope itself has said so far.
    pub(super) fn said(&self) -> Wrapped {
        self.around.wrapped()
    }

    /// How many records came out, or why none did.
    pub(super) fn end(self) -> Result<usize, RejectReason> {
        if self.records > 0 { Ok(self.records) } else { Err(self.trouble.unwrap_or(RejectReason::UnknownShape)) }
    }
}
