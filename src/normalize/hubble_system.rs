//! What Hubble says besides flows: events that were lost, the state of nodes, and what its agents did. Older versions write lost events bare.

use std::sync::LazyLock;

use super::identity::{Place, act_of, whole_id};
use super::slots::{Gathered, Table, slots, table};
use super::{Head, entities, instant, object};
use crate::model::{Doc, Facts, Field, Path};

slots!(Slot {
    Time "time";
    Node "node_name";
    NodeNames "node_status node_names";
    Lost "lost_events num_events_lost|num_events_lost";
    Type "agent_event type|debug_event type|node_status state_change|lost_events source|source";
    Message "node_status message|debug_event message|agent_event unknown notification|agent_event agent_start message";
    Namespace "agent_event endpoint_update namespace|agent_event ipcache_update namespace|debug_event source namespace";
    Pod "agent_event endpoint_update pod_name|agent_event ipcache_update pod_name|debug_event source pod_name";
    Cidr "agent_event ipcache_update cidr";
    PolicyLabels "agent_event policy_update labels";
});

/// The members that tell what it is.
const MEMBERS: [&str; 4] = ["lost_events", "node_status", "agent_event", "debug_event"];
/// Cilium's label for the name of a policy.
const POLICY_LABEL: &str = "k8s:io.cilium.k8s.policy.name=";

static TABLE: LazyLock<Table<Slot>> = LazyLock::new(|| table(Slot::ROWS));
static PATHS: LazyLock<[Path; 4]> = LazyLock::new(|| MEMBERS.map(|member| Path::of([member])));

pub(super) fn read(doc: &Doc, place: &Place<'_>, facts: &mut Facts) -> Head {
    let fields = Gathered::gather(doc, &TABLE);
    let is_there = |path: Path| doc.containers().iter().any(|container| container.path == path) || doc.leaves().iter().any(|leaf| leaf.path == path);
    let member = PATHS.iter().zip(MEMBERS).find(|(path, _)| is_there(**path)).map_or("lost_events", |(_, member)| member);
    facts.push_text(Field::EventAction, member);
    fields.alias_first(Slot::Type, Field::EventAction, facts);
    fields.alias_first(Slot::Message, Field::Message, facts);
    object::push_node(fields.text(Slot::Node), facts);
    for node in fields.texts(Slot::NodeNames) {
        object::push_node(Some(node), facts);
    }
    fields.alias_first(Slot::Namespace, Field::K8sNamespace, facts);
    fields.alias_first(Slot::Pod, Field::K8sPod, facts);
    entities::pod(fields.text(Slot::Namespace), fields.text(Slot::Pod), facts);
    for policy in fields.texts(Slot::PolicyLabels).filter_map(|label| label.strip_prefix(POLICY_LABEL)) {
        facts.push_text(Field::PolicyName, policy);
    }
    // One address of a pod: what ties it to flows of that time.
    if let Some(ip) = fields.text(Slot::Cidr).and_then(|cidr| cidr.strip_suffix("/32").or_else(|| cidr.strip_suffix("/128"))) {
        entities::ip(Some(ip), facts);
    }
    let time = fields.text(Slot::Time).and_then(instant::read);
    let id = whole_id(doc, place, time);
    // Unsigned 64 bits in its source.
    let lost = fields.text(Slot::Lost).and_then(|count| count.parse::<u64>().ok()).map(|count| i64::try_from(count).unwrap_or(i64::MAX));
    let outcome = match fields.text(Slot::Type) {
        Some("NODE_ERROR" | "NODE_UNAVAILABLE" | "ENDPOINT_REGENERATE_FAILURE") => "failure",
        Some("NODE_CONNECTED" | "ENDPOINT_REGENERATE_SUCCESS") => "success",
        _ => "unknown",
    };
    Head { id, act: act_of(id), time, outcome, count: lost.unwrap_or(1).max(1), is_truncated: fields.is_cut() }
}
