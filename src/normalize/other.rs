//! Records of no known system: what most have in common becomes facts, the rest is reached by native names.

use std::sync::LazyLock;

use super::identity::{Place, act_of, whole_id};
use super::object::Object;
use super::slots::{Gathered, Table, slots, table};
use super::{Head, instant, object};
use crate::model::{Doc, Facts, Field};

slots!(Slot {
    Time "time|timestamp|Timestamp|@timestamp|ts|eventTime|event_time|creationTimestamp|metadata creationTimestamp";
    Message "message|Message|msg|log";
    Node "node_name|kubernetes host|kubernetes node name|kubernetes pod_node_name";
    ApiVersion "apiVersion";
    Kind "kind";
    Namespace "metadata namespace";
    Name "metadata name";
    Uid "metadata uid";
    PodNamespace "kubernetes namespace_name|kubernetes pod_namespace|kubernetes namespace";
    Pod "kubernetes pod_name|kubernetes pod name";
    Container "kubernetes container_name|kubernetes container name";
});

static TABLE: LazyLock<Table<Slot>> = LazyLock::new(|| table(Slot::ROWS));

pub(super) fn read(doc: &Doc, place: &Place<'_>, facts: &mut Facts) -> Head {
    let fields = Gathered::gather(doc, &TABLE);
    let time = fields.texts(Slot::Time).find_map(instant::read);
    fields.alias_first(Slot::Message, Field::Message, facts);
    object::push_node(fields.text(Slot::Node), facts);
    let object = match fields.text(Slot::Pod) {
        Some(pod) => Object { kind: Some("Pod"), namespace: fields.text(Slot::PodNamespace), name: Some(pod), ..Object::default() },
        None => Object {
            api_version: fields.text(Slot::ApiVersion),
            kind: fields.text(Slot::Kind).filter(|_| fields.has(Slot::Name)),
            namespace: fields.text(Slot::Namespace),
            name: fields.text(Slot::Name),
            uid: fields.text(Slot::Uid),
        },
    };
    object.push(facts);
    fields.alias_first(Slot::Container, Field::K8sContainer, facts);
    let id = whole_id(doc, place, time);
    Head { id, act: act_of(id), time, outcome: "unknown", count: 1, is_truncated: fields.is_cut() }
}
