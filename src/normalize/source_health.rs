//! What this program says of the way here, as records of their own that rules and searches can use: what could not be read (with its bytes: this
//! is the quarantine), what came cut, and who has fallen silent.

use std::fmt::Write as _;
use std::sync::LazyLock;

use super::identity::{Place, act_of, whole_id};
use super::slots::{Gathered, Table, slots, table};
use super::{Head, redact};
use crate::model::{
    Doc, EnvelopeKind, Event, Facts, Field, Kind, Limits, Notice, Parser, Record, Reject, RejectReason, SourceId, Timestamp, Wrapped,
    write_json_string,
};

slots!(Slot {
    Time "source_health time";
    Action "source_health action";
    Reason "source_health reason";
    Detail "source_health detail";
});

static TABLE: LazyLock<Table<Slot>> = LazyLock::new(|| table(Slot::ROWS));

/// Bytes of one such record: the quarantined bytes, each of which JSON may spell with six.
const RECORD_BYTES_MAX: usize = 1 << 20;

/// Unreadable ranges of one payload that become events, which hold their bytes; further ones are counted only.
const QUARANTINED_MAX: usize = 1_000;

/// What could not be read of a payload, as records: the quarantine. What is no event by design is left out.
pub fn quarantine(rejects: &[Reject], parser: &Parser) -> Vec<Record> {
    let unreadable = rejects.iter().filter(|reject| reject.reason != RejectReason::Control).take(QUARANTINED_MAX);
    unreadable.filter_map(|reject| SourceHealth::Unreadable(reject).record(parser)).collect()
}

/// Something that is to be said of a source.
#[derive(Debug, Clone, Copy)]
pub enum SourceHealth<'a> {
    /// A range of input became no event. Its bytes come along.
    Unreadable(&'a Reject),
    /// An event came cut: by the envelope around it.
    Truncated(&'a Event),
    /// An event killed detection, twice: it is stored, and no rule sees it.
    Poison(&'a Event),
    /// What a source noticed.
    Noticed(&'a Notice),
    /// Something has come again of a source that had been silent.
    Back {
        source: &'a SourceId,
        /// When something had come last before.
        since: Timestamp,
        at: Timestamp,
    },
    /// Nothing has come for long.
    Silent {
        source: &'a SourceId,
        /// When something came last.
        since: Timestamp,
    },
}

impl SourceHealth<'_> {
    /// The record, which is still to be redacted like any other.
    pub fn record(self, parser: &Parser) -> Option<Record> {
        let mut text = r#"{"source_health":{"action":""#.to_owned();
        let (mut offset, mut after) = (0, "}".to_owned());
        match self {
            // What its source listed and did not hand out is a gap.
            Self::Unreadable(reject) => {
                offset = reject.offset;
                text.push_str(if reject.reason == RejectReason::Unread { "gap" } else { "unreadable" });
                let _ = write!(text, r#"","reason":"{}","offset":{},"bytes":{},"detail":"#, reject.reason, reject.offset, reject.len);
                write_json_string(&reject.detail, &mut text);
                if !reject.bytes.is_empty() {
                    after = r#"},"text":"#.to_owned();
                    write_json_string(&redact::mask_damaged(&String::from_utf8_lossy(&reject.bytes)), &mut after);
                }
            }
            Self::Truncated(event) => {
                offset = event.offset;
                let _ = write!(text, r#"truncated","reason":"{}","event":"{}","time":"{}""#, event.envelope.name(), event.id, event.time);
            }
            Self::Poison(event) => {
                offset = event.offset;
                let _ = write!(text, r#"poison","reason":"killed_detection","event":"{}","time":"{}""#, event.id, event.time);
            }
            Self::Noticed(notice) => {
                let _ = write!(text, r#"{}","lost":{},"detail":"#, notice.what.name(), notice.lost);
                write_json_string(&notice.detail, &mut text);
            }
            Self::Back { source, since, at } => {
                let _ = write!(text, r#"back","time":"{at}","silent_since":"{since}","source":"#);
                write_json_string(&source.0, &mut text);
            }
            Self::Silent { source, since } => {
                let _ = write!(text, r#"silent","time":"{since}","source":"#);
                write_json_string(&source.0, &mut text);
            }
        }
        text.push_str(&after);
        text.push('}');
        let limits = Limits { record_bytes_max: RECORD_BYTES_MAX, ..parser.limits().clone() };
        let doc = Parser::new(limits).parse(text.as_bytes(), None).ok()?;
        let wrapped = Wrapped { is_own: true, ..Wrapped::default() };
        Some(Record { doc, kind: Kind::SourceHealth, envelope: EnvelopeKind::Native, offset, wrapped })
    }
}

pub(super) fn read(doc: &Doc, place: &Place<'_>, facts: &mut Facts) -> Head {
    let fields = Gathered::gather(doc, &TABLE);
    fields.alias_first(Slot::Action, Field::EventAction, facts);
    fields.alias_first(Slot::Reason, Field::EventAction, facts);
    fields.alias_first(Slot::Detail, Field::Message, facts);
    let time = fields.text(Slot::Time).and_then(Timestamp::parse);
    let id = whole_id(doc, place, time);
    Head { id, act: act_of(id), time, outcome: "failure", count: 1, is_truncated: fields.is_cut() }
}
