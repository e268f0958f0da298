//! Kubernetes Events: `v1` (`involvedObject`) and `events.k8s.io` (`regarding`).

use std::sync::LazyLock;

use super::Head;
use super::identity::{Identity, Place, act_of, whole_id};
use super::instant;
use super::object::{self, Object};
use super::slots::{Gathered, Table, slots, table};
use crate::model::{Doc, Facts, Field};

slots!(Slot {
    Uid "metadata uid";
    Version "metadata resourceVersion";
    Series "series lastObservedTime";
    Last "lastTimestamp|deprecatedLastTimestamp";
    Time "eventTime";
    First "firstTimestamp|deprecatedFirstTimestamp";
    Created "metadata creationTimestamp";
    SeriesCount "series count";
    Count "count|deprecatedCount";
    Reason "reason";
    Message "message|note";
    Host "source host|deprecatedSource host";
    ApiVersion "involvedObject apiVersion|regarding apiVersion";
    Kind "involvedObject kind|regarding kind";
    Namespace "involvedObject namespace|regarding namespace";
    Name "involvedObject name|regarding name";
    ObjectUid "involvedObject uid|regarding uid";
    FieldPath "involvedObject fieldPath|regarding fieldPath";
});

static TABLE: LazyLock<Table<Slot>> = LazyLock::new(|| table(Slot::ROWS));

pub(super) fn read(doc: &Doc, place: &Place<'_>, facts: &mut Facts) -> Head {
    let fields = Gathered::gather(doc, &TABLE);
    fields.alias_first(Slot::Message, Field::Message, facts);
    fields.alias_first(Slot::Reason, Field::EventAction, facts);
    let object = Object {
        api_version: fields.text(Slot::ApiVersion),
        kind: fields.text(Slot::Kind),
        namespace: fields.text(Slot::Namespace),
        name: fields.text(Slot::Name),
        uid: fields.text(Slot::ObjectUid),
    };
    object.push(facts);
    // `spec.containers{web}`
    let container = fields.text(Slot::FieldPath).and_then(|path| path.split_once('{')).and_then(|(_, rest)| rest.strip_suffix('}'));
    if let Some(container) = container.filter(|name| !name.is_empty()) {
        facts.push_text(Field::K8sContainer, container);
    }
    object::push_node(fields.text(Slot::Host), facts);
    let times = [Slot::Series, Slot::Last, Slot::Time, Slot::First, Slot::Created];
    let time = times.into_iter().find_map(|slot| fields.text(slot).and_then(instant::read));
    let counted = fields.text(Slot::SeriesCount).or_else(|| fields.text(Slot::Count));
    // One object is written again with each repetition.
    let id = match (fields.text(Slot::Uid), fields.text(Slot::Version)) {
        (Some(uid), Some(version)) => {
            let mut id = Identity::event(place);
            id.part(uid);
            id.part(version);
            id.event_id()
        }
        _ => whole_id(doc, place, time),
    };
    Head {
        id,
        act: act_of(id),
        time,
        outcome: "unknown",
        count: counted.and_then(|count| count.parse().ok()).filter(|count: &i64| *count > 0).unwrap_or(1),
        is_truncated: fields.is_cut(),
    }
}
