//! Identity: what makes two records one event, and two events one act (CONTRACTS 2).
//!
//! Ids are BLAKE3 over length-prefixed parts. A path's hash never goes in (it changes from process to process), nor the source, the
//! envelope or the body; times go in as instants, so that digits and zones do not matter.

use std::ops::Range;
use std::sync::Arc;

use crate::model::{ActId, ClusterId, Doc, EnvelopeKind, EventId, Kind, Origin, Position, Timestamp};

/// Where a record stands and whose it is.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub(super) origin: &'a Arc<Origin>,
    pub(super) cluster: &'a ClusterId,
    pub(super) position: Position,
    pub(super) offset: u64,
    pub(super) kind: Kind,
    pub(super) envelope: EnvelopeKind,
    /// The envelope's time for it.
    pub(super) at: Option<Timestamp>,
    /// The record itself: those of one envelope stand at one place.
    pub(super) text: &'a str,
}

/// Bytes that the identity of most records stays below.
const PARTS_BYTES: usize = 512;

/// Takes in the parts of an identity. They are hashed together at the end: most are short.
#[derive(Debug)]
pub(super) struct Identity(Vec<u8>);

impl Identity {
    /// For an event: by tenant, cluster and kind.
    pub(super) fn event(place: &Place<'_>) -> Self {
        Self::new("bartizan event 1", place)
    }

    /// For an act.
    pub(super) fn act(place: &Place<'_>) -> Self {
        Self::new("bartizan act 1", place)
    }

    /// The act that these parts identify, and the identity of an event of it, which needs what the act does not tell alone.
    pub(super) fn and_event(mut self) -> (ActId, Self) {
        let act = self.act_id();
        self.0.clear();
        self.part("bartizan event of an act 1");
        self.0.extend_from_slice(&act.0);
        (act, self)
    }

    fn new(domain: &str, place: &Place<'_>) -> Self {
        let mut identity = Self(Vec::with_capacity(PARTS_BYTES));
        identity.part(domain);
        identity.part(place.origin.tenant.as_str());
        identity.part(place.cluster.as_str());
        identity.part(place.kind.name());
        identity
    }

    /// A text.
    pub(super) fn part(&mut self, text: &str) {
        self.0.push(1);
        self.0.extend_from_slice(&(text.len() as u64).to_le_bytes());
        self.0.extend_from_slice(text.as_bytes());
    }

    /// A text, or the lack of it.
    pub(super) fn optional(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.part(text),
            None => self.0.push(0),
        }
    }

    /// A list of texts, with its length.
    pub(super) fn list<'t>(&mut self, texts: impl Iterator<Item = &'t str>) {
        let mut count = 0_u64;
        for text in texts {
            self.part(text);
            count += 1;
        }
        self.number(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// A number.
    pub(super) fn number(&mut self, number: i64) {
        self.0.push(2);
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    /// A time, as an instant; as text if it is none.
    pub(super) fn time(&mut self, text: Option<&str>) {
        self.read_time(text, text.and_then(Timestamp::parse));
    }

    /// As [`Identity::time`], for a text that has been read.
    pub(super) fn read_time(&mut self, text: Option<&str>, time: Option<Timestamp>) {
        match time {
            Some(time) => self.number(time.nanos()),
            None => self.optional(text),
        }
    }

    /// The leaves under a dotted prefix (all, if it is empty), in the order of their paths: that of the keys does not matter.
    pub(super) fn leaves(&mut self, doc: &Doc, prefix: &str, without: &[&str]) {
        let mut paths = String::with_capacity(1 << 10);
        let mut rows: Vec<(Range<usize>, &str)> = Vec::with_capacity(32);
        // Where the path of the object stands that the last leaf lay in: most leaves lie beside another.
        let mut object: Option<(u32, Range<usize>)> = None;
        for leaf in doc.leaves() {
            let start = paths.len();
            match &object {
                Some((parent, path)) if *parent == leaf.parent => {
                    paths.extend_from_within(path.clone());
                    paths.push_str(doc.key(leaf));
                }
                // Directly in the record the key is the path.
                _ if leaf.parent == 0 && !doc.key(leaf).starts_with(prefix) && !doc.containers().first().is_some_and(|record| record.is_array) => {
                    continue;
                }
                _ => {
                    doc.write_path(leaf, &mut paths);
                    let is_member = doc.containers().get(leaf.parent as usize).is_some_and(|parent| !parent.is_array);
                    let end = paths.len() - if is_member { doc.key(leaf).len() } else { 0 };
                    object = is_member.then_some((leaf.parent, start..end));
                }
            }
            let path = paths.get(start..).unwrap_or_default();
            if path.starts_with(prefix) && !without.contains(&path) {
                rows.push((start..paths.len(), doc.value(leaf).text));
            } else {
                paths.truncate(start);
                object = None;
            }
        }
        let path = |range: &Range<usize>| paths.get(range.clone()).unwrap_or_default();
        rows.sort_by(|a, b| path(&a.0).cmp(path(&b.0)));
        for (range, text) in &rows {
            self.part(path(range));
            self.part(text);
        }
        self.number(i64::try_from(rows.len()).unwrap_or(i64::MAX));
    }

    pub(super) fn event_id(&self) -> EventId {
        EventId::of_bytes(&self.0)
    }

    pub(super) fn act_id(&self) -> ActId {
        ActId::of_bytes(&self.0)
    }
}

/// The id of a record that has neither a server's time nor a uuid: where it stands.
pub(super) fn position_id(place: &Place<'_>) -> EventId {
    let mut identity = Identity::new("bartizan position 1", place);
    identity.part(&place.origin.source.0);
    identity.part(&place.origin.partition.0);
    identity.part(&place.origin.object);
    identity.number(i64::from_le_bytes(place.position.0.to_le_bytes()));
    identity.number(i64::from_le_bytes(place.offset.to_le_bytes()));
    identity.part(place.text);
    identity.event_id()
}

/// The id of a record of whose header nothing is known: the whole of it identifies it, at its time. A uuid that a shipper adds does not count.
pub(super) fn whole_id(doc: &Doc, place: &Place<'_>, time: Option<Timestamp>) -> EventId {
    let Some(time) = time else { return position_id(place) };
    let mut identity = Identity::event(place);
    identity.number(time.nanos());
    identity.leaves(doc, "", &["uuid"]);
    identity.event_id()
}

/// The act of an event that is one of its own.
pub(super) fn act_of(id: EventId) -> ActId {
    ActId(id.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Parser;

    fn check(json: &str, prefix: &str, without: &[&str]) {
        let doc = Parser::default().parse(json.as_bytes(), Some("flow")).unwrap();
        let mut rows: Vec<(String, &str)> = doc.leaves().iter().map(|leaf| (path(&doc, leaf), doc.value(leaf).text)).collect();
        rows.retain(|(path, _)| path.starts_with(prefix) && !without.contains(&path.as_str()));
        rows.sort_by(|a, b| a.0.cmp(&b.0));
        let (mut found, mut expected) = (Identity(Vec::new()), Identity(Vec::new()));
        found.leaves(&doc, prefix, without);
        for (path, text) in &rows {
            expected.part(path);
            expected.part(text);
        }
        expected.number(i64::try_from(rows.len()).unwrap());
        assert_eq!(found.0, expected.0, "{json} below `{prefix}`: {rows:?}");
    }

    fn path(doc: &Doc, leaf: &crate::model::Leaf) -> String {
        let mut path = String::new();
        doc.write_path(leaf, &mut path);
        path
    }

    #[test]
    fn leaves_go_in_by_their_paths() {
        for json in [
            r#"{"z":1,"a":{"c":[1,{"x":2,"y":3},4],"b":"t"},"a":{"d":{}},"":{"":5,"k":6},"e":[]}"#,
            r#"{"output_fields":{"uuid":"u","b.c":1,"a":null,"n":{"x":1}},"output_fields.q":2,"rule":"r","uuid":"u"}"#,
            r#"{"flow":{"a":1,"b":{"c":2,"d":3}},"time":"t","b":{"e":4}}"#,
            r#"[1,{"a":2,"b":3},[4]]"#,
            "7",
        ] {
            for (prefix, without) in
                [("", [].as_slice()), ("", &["uuid"]), ("output_fields.", &["output_fields.uuid"]), ("a.", &["a.c"]), ("b.", &[])]
            {
                check(json, prefix, without);
            }
        }
    }
}
