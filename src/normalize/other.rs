//! Records of the other systems: policy results, findings, Kubernetes events, what Hubble says of itself. What they have in common becomes facts;
//! the rest is reached by native names.

use std::sync::LazyLock;

use super::identity::{Identity, Place, act_of, position_id};
use super::slots::{Gathered, Table, slots, table};
use super::{Head, entities};
use crate::model::{Doc, Facts, Field, Kind, Timestamp};

slots!(Slot {
    Time "time|timestamp|Timestamp|creationTimestamp|eventTime|lastTimestamp|firstTimestamp|ts|event_time|@timestamp|metadata creationTimestamp";
    Node "node_name|source host|host";
    NodeNames "node_status node_names";
    Lost "lost_events num_events_lost";
    Count "count|series count";
    Policy "policy|Policy|constraint_name";
    Rule "rule|Rule|constraint_kind";
    Result "status|Status|constraint_action|enforcementAction";
    Severity "severity|Severity|priority|Priority";
    Message "message|Message|msg|note|node_status message|debug_event message";
    Namespace "resource namespace|Resource Namespace|resource_namespace|resourceNamespace|involvedObject namespace|regarding namespace|metadata namespace|agent_event endpoint_update namespace|agent_event ipcache_update namespace|process_exec process pod namespace|process_kprobe process pod namespace|NamespaceName";
    Kind "resource kind|Resource Kind|resource_kind|resourceKind|involvedObject kind|regarding kind";
    Name "resource name|Resource Name|resource_name|resourceName|involvedObject name|regarding name";
    Pod "agent_event endpoint_update pod_name|agent_event ipcache_update pod_name|process_exec process pod name|process_kprobe process pod name|PodName";
    ProcessBinary "process_exec process binary|process_kprobe process binary|ProcessName";
    Requester "request_username";
});

static TABLE: LazyLock<Table<Slot>> = LazyLock::new(|| table(Slot::ROWS));

pub(super) fn read(doc: &Doc, place: &Place<'_>, facts: &mut Facts) -> Head {
    let fields = Gathered::gather(doc, &TABLE);
    let time = fields.texts(Slot::Time).find_map(read_time);
    fields.alias_first(Slot::Message, Field::Message, facts);
    if let Some(node) = fields.text(Slot::Node).map(|name| name.rsplit('/').next().unwrap_or(name)).filter(|name| !name.is_empty()) {
        facts.push_text(Field::K8sNode, node);
        entities::node(Some(node), facts);
    }
    for node in fields.texts(Slot::NodeNames) {
        entities::node(Some(node.rsplit('/').next().unwrap_or(node)), facts);
    }
    if matches!(place.kind, Kind::Policy | Kind::Finding) {
        fields.alias_first(Slot::Policy, Field::PolicyName, facts);
        fields.alias_first(Slot::Rule, Field::PolicyRule, facts);
        for (slot, field) in [(Slot::Result, Field::PolicyResult), (Slot::Severity, Field::PolicySeverity)] {
            if let Some(text) = fields.text(slot) {
                facts.push_lower(field, text);
            }
        }
    }
    fields.alias_first(Slot::Requester, Field::ActorUserName, facts);
    fields.alias_first(Slot::ProcessBinary, Field::ProcessExecutable, facts);
    object_facts(&fields, facts);
    let id = match time {
        // Nothing is known of its header: the whole record identifies it, at its time.
        Some(time) => {
            let mut id = Identity::event(place);
            id.number(time.nanos());
            id.leaves(doc, "", &["uuid"]);
            id.event_id()
        }
        None => position_id(place),
    };
    let counted = fields.text(Slot::Lost).or_else(|| fields.text(Slot::Count).filter(|_| place.kind == Kind::K8sEvent));
    Head {
        id,
        act: act_of(id),
        time,
        outcome: "unknown",
        count: counted.and_then(|count| count.parse().ok()).filter(|count: &i64| *count > 0).unwrap_or(1),
        is_truncated: fields.is_cut(),
    }
}

fn object_facts(fields: &Gathered<'_>, facts: &mut Facts) {
    let namespace = fields.text(Slot::Namespace);
    fields.alias_first(Slot::Namespace, Field::K8sNamespace, facts);
    fields.alias_first(Slot::Name, Field::K8sName, facts);
    let name = fields.text(Slot::Name);
    let pod = match (fields.text(Slot::Pod), fields.text(Slot::Kind), name) {
        (Some(pod), ..) | (None, Some("Pod"), Some(pod)) => Some(pod),
        _ => None,
    };
    if let Some(pod) = pod {
        facts.push_text(Field::K8sPod, pod);
        entities::pod(namespace, Some(pod), facts);
        return;
    }
    match (fields.text(Slot::Kind).map(str::to_ascii_lowercase).as_deref(), name) {
        (Some("node"), Some(name)) => {
            facts.push_text(Field::K8sNode, name);
            entities::node(Some(name), facts);
        }
        (Some(kind @ ("deployment" | "daemonset" | "statefulset" | "replicaset" | "job" | "cronjob")), Some(name)) => {
            let spelled = format!("{kind}/{name}");
            facts.push_text(Field::K8sWorkload, &spelled);
            entities::workload(namespace, Some(&spelled), facts);
        }
        _ => {}
    }
}

/// RFC 3339 and its kin, or seconds since 1970 with a fraction.
fn read_time(text: &str) -> Option<Timestamp> {
    if let Some(time) = Timestamp::parse(text) {
        return Some(time);
    }
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = seconds.parse().ok().filter(|seconds| (100_000_000..100_000_000_000).contains(seconds))?;
    let nanos = fraction.bytes().take(9).try_fold((0_i64, 1_000_000_000_i64), |(sum, unit), byte| {
        byte.is_ascii_digit().then(|| (sum + i64::from(byte - b'0') * (unit / 10), unit / 10))
    })?;
    Some(Timestamp::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos.0)))
}
