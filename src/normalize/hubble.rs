//! Hubble flows: `cilium/cilium:api/v1/flow/flow.proto` as JSON. Every field may be missing (field masks); the wrapper `flow` is transparent.

use std::sync::LazyLock;

use super::identity::{Identity, Place, act_of, position_id};
use super::slots::{Gathered, Table, slots, table};
use super::{Head, entities, uri};
use crate::model::{ActId, Doc, EventId, Facts, Field, Path, Timestamp};

slots!(Slot {
    Time "time";
    Uuid "uuid";
    Verdict "verdict";
    DropReason "drop_reason_desc";
    DropCode "drop_reason";
    SrcIp "IP source";
    DstIp "IP destination";
    Encrypted "IP encrypted";
    SrcPort "l4 TCP source_port|l4 UDP source_port|l4 SCTP source_port";
    DstPort "l4 TCP destination_port|l4 UDP destination_port|l4 SCTP destination_port";
    SrcNamespace "source namespace";
    SrcPod "source pod_name";
    SrcKind "source workloads kind";
    SrcWorkload "source workloads name";
    SrcLabels "source labels";
    DstNamespace "destination namespace";
    DstPod "destination pod_name";
    DstKind "destination workloads kind";
    DstWorkload "destination workloads name";
    DstLabels "destination labels";
    DstNames "destination_names";
    Node "node_name";
    Direction "traffic_direction";
    IsReply "is_reply";
    EventType "event_type type";
    EventSubType "event_type sub_type";
    ObservationPoint "trace_observation_point";
    DnsQuery "l7 dns query";
    DnsRcode "l7 dns rcode";
    HttpMethod "l7 http method";
    HttpUrl "l7 http url";
    HttpCode "l7 http code";
    L7Type "l7 type";
    Counts "aggregate ingress_flow_count|aggregate egress_flow_count|aggregate unknown_direction_flow_count";
    Denied "egress_denied_by name|ingress_denied_by name";
    Allowed "egress_allowed_by name|ingress_allowed_by name";
    Summary "Summary";
});

static TABLE: LazyLock<Table<Slot>> = LazyLock::new(|| table(Slot::ROWS));
static PROTOCOLS: LazyLock<[(Path, &'static str); 7]> = LazyLock::new(|| {
    [("TCP", "tcp"), ("UDP", "udp"), ("SCTP", "sctp"), ("ICMPv4", "icmp"), ("ICMPv6", "icmp"), ("VRRP", "vrrp"), ("IGMP", "igmp")]
        .map(|(key, name)| (Path::of(["l4", key]), name))
});

/// Drop reasons by number, for agents too old to write the text.
const DROP_REASONS: &[(&str, &str)] = &[
    ("132", "invalid_source_ip"),
    ("133", "policy_denied"),
    ("171", "invalid_identity"),
    ("172", "unknown_sender"),
    ("177", "denied_by_lb_src_range_check"),
    ("181", "policy_deny"),
    ("189", "auth_required"),
    ("194", "no_egress_gateway"),
    ("195", "unencrypted_traffic"),
];
/// Cilium's own label for the service account of an endpoint.
const ACCOUNT_LABEL: &str = "k8s:io.cilium.k8s.policy.serviceaccount=";
/// Records of one denied connection attempt that lie in one such span of time are one act.
const DENIAL_SPAN_MS: i64 = 100;

/// One end of a flow.
struct End<'d> {
    namespace: Option<&'d str>,
    pod: Option<&'d str>,
    workload: Option<String>,
    account: Option<&'d str>,
}

pub(super) fn read(doc: &Doc, place: &Place<'_>, facts: &mut Facts) -> Head {
    let flow = Gathered::gather(doc, &TABLE);
    let verdict = flow.text(Slot::Verdict);
    let source = End::of(&flow, [Slot::SrcNamespace, Slot::SrcPod, Slot::SrcKind, Slot::SrcWorkload, Slot::SrcLabels]);
    let target = End::of(&flow, [Slot::DstNamespace, Slot::DstPod, Slot::DstKind, Slot::DstWorkload, Slot::DstLabels]);
    source.push([Field::SrcNamespace, Field::SrcPod, Field::SrcWorkload], facts);
    target.push([Field::DstNamespace, Field::DstPod, Field::DstWorkload], facts);
    let is_ingress = flow.text(Slot::Direction) == Some("INGRESS");
    let observed = if is_ingress { &target } else { &source };
    observed.push([Field::K8sNamespace, Field::K8sPod, Field::K8sWorkload], facts);
    if let Some(account) = observed.account {
        facts.push_text(Field::K8sServiceAccount, account);
    }
    if let Some(node) = flow.text(Slot::Node).map(|name| name.rsplit('/').next().unwrap_or(name)).filter(|name| !name.is_empty()) {
        facts.push_text(Field::K8sNode, node);
        entities::node(Some(node), facts);
    }
    net_facts(doc, &flow, verdict, facts);
    l7_facts(&flow, facts);
    flow.alias_first(Slot::Summary, Field::Message, facts);
    let time = flow.text(Slot::Time).and_then(Timestamp::parse);
    let (id, act) = identity(doc, &flow, place, time);
    let counts: i64 = flow.texts(Slot::Counts).filter_map(|count| count.parse::<i64>().ok()).filter(|count| *count > 0).fold(0, i64::saturating_add);
    Head {
        id,
        act,
        time,
        outcome: match verdict {
            Some(verdict) if verdict.eq_ignore_ascii_case("forwarded") => "success",
            Some(verdict) if verdict.eq_ignore_ascii_case("dropped") || verdict.eq_ignore_ascii_case("error") => "failure",
            _ => "unknown",
        },
        count: counts.max(1),
        is_truncated: flow.is_cut(),
    }
}

impl<'d> End<'d> {
    fn of(flow: &Gathered<'d>, [namespace, pod, kind, workload, labels]: [Slot; 5]) -> Self {
        let named = flow.each(workload).find(|(_, name)| !name.is_empty());
        let workload = named.map(|(leaf, name)| {
            let kind = flow.each(kind).find(|(other, _)| other.parent == leaf.parent).map_or("workload", |(_, kind)| kind);
            format!("{}/{name}", kind.to_ascii_lowercase())
        });
        let account = flow.texts(labels).find_map(|label| label.strip_prefix(ACCOUNT_LABEL)).filter(|name| !name.is_empty());
        Self { namespace: flow.text(namespace), pod: flow.text(pod), workload, account }
    }

    fn push(&self, [namespace, pod, workload]: [Field; 3], facts: &mut Facts) {
        for (field, text) in [(namespace, self.namespace), (pod, self.pod), (workload, self.workload.as_deref())] {
            if let Some(text) = text {
                facts.push_text(field, text);
            }
        }
        entities::pod(self.namespace, self.pod, facts);
        entities::workload(self.namespace, self.workload.as_deref(), facts);
        entities::service_account(self.namespace, self.account, facts);
    }
}

fn net_facts(doc: &Doc, flow: &Gathered<'_>, verdict: Option<&str>, facts: &mut Facts) {
    flow.alias_first(Slot::SrcIp, Field::SrcIp, facts);
    flow.alias_first(Slot::SrcIp, Field::SrcIps, facts);
    flow.alias_first(Slot::DstIp, Field::DstIp, facts);
    flow.alias_first(Slot::DstPort, Field::DstPort, facts);
    flow.alias_first(Slot::IsReply, Field::NetIsReply, facts);
    flow.alias_first(Slot::Encrypted, Field::NetEncrypted, facts);
    for slot in [Slot::SrcIp, Slot::DstIp] {
        entities::ip(flow.text(slot), facts);
    }
    for name in flow.texts(Slot::DstNames) {
        facts.push_text(Field::DstNames, name.strip_suffix('.').unwrap_or(name));
    }
    if let Some(protocol) = protocol(doc) {
        facts.push_text(Field::NetProtocol, protocol);
    }
    match flow.text(Slot::Direction) {
        Some("INGRESS") => facts.push_text(Field::NetDirection, "ingress"),
        Some("EGRESS") => facts.push_text(Field::NetDirection, "egress"),
        _ => {}
    }
    if let Some(verdict) = verdict {
        facts.push_lower(Field::NetVerdict, verdict);
    }
    let reason = flow.text(Slot::DropReason).map(str::to_ascii_lowercase);
    let by_number = || {
        let number = flow.text(Slot::DropCode)?;
        DROP_REASONS.iter().find(|(known, _)| *known == number).map(|(_, reason)| (*reason).to_owned())
    };
    if let Some(reason) = reason.filter(|reason| reason != "drop_reason_unknown").or_else(by_number) {
        facts.push_text(Field::NetDropReason, &reason);
    }
    for (slot, result) in [(Slot::Denied, "deny"), (Slot::Allowed, "allow")] {
        for policy in flow.texts(slot).filter(|policy| !policy.is_empty()) {
            facts.push_text(Field::PolicyName, policy);
            facts.push_text(Field::PolicyResult, result);
        }
    }
}

/// The member of `l4`, with or without members of its own.
fn protocol(doc: &Doc) -> Option<&'static str> {
    let named = |path: Path| PROTOCOLS.iter().find(|(known, _)| *known == path).map(|(_, name)| *name);
    doc.containers().iter().find_map(|container| named(container.path)).or_else(|| doc.leaves().iter().find_map(|leaf| named(leaf.path)))
}

fn l7_facts(flow: &Gathered<'_>, facts: &mut Facts) {
    if let Some(query) = flow.text(Slot::DnsQuery) {
        facts.push_text(Field::DnsQuery, query.strip_suffix('.').unwrap_or(query));
        // An answer without a code was answered without error: the code 0 is left out.
        match flow.text(Slot::DnsRcode) {
            Some(_) => flow.alias_first(Slot::DnsRcode, Field::DnsRcode, facts),
            None if flow.text(Slot::L7Type) == Some("RESPONSE") => facts.push_number(Field::DnsRcode, 0),
            None => {}
        }
    }
    flow.alias_first(Slot::HttpMethod, Field::HttpMethod, facts);
    if flow.text(Slot::HttpCode) != Some("0") {
        flow.alias_first(Slot::HttpCode, Field::HttpStatus, facts);
    }
    if let Some(url) = flow.text(Slot::HttpUrl) {
        facts.push_text(Field::HttpPath, uri::url_path(url));
    }
}

/// The flow's uuid, else its header. Without addresses the header says too little, and the whole record goes in.
///
/// A denied connection attempt gives two records (`event_type` 1, the drop, and 5, the policy's verdict) a few microseconds apart, with uuids of their
/// own: two events, but one act, by cluster, ends, ports, verdict and the tenth of a second. Across its border they stay two, so a rule can
/// fire twice, never not at all.
fn identity(doc: &Doc, flow: &Gathered<'_>, place: &Place<'_>, time: Option<Timestamp>) -> (EventId, ActId) {
    let mut id = Identity::event(place);
    let tuple = [Slot::SrcIp, Slot::SrcPort, Slot::DstIp, Slot::DstPort];
    let id = match (flow.text(Slot::Uuid), time) {
        (Some(uuid), _) => {
            id.part(uuid);
            id.event_id()
        }
        (None, Some(time)) => {
            id.number(time.nanos());
            id.optional(flow.text(Slot::Node));
            id.optional(protocol(doc));
            let header = [Slot::Verdict, Slot::EventType, Slot::EventSubType, Slot::ObservationPoint, Slot::Direction, Slot::IsReply];
            for slot in tuple.into_iter().chain(header) {
                id.optional(flow.text(slot));
            }
            if flow.text(Slot::SrcIp).is_none() || flow.text(Slot::DstIp).is_none() || flow.has(Slot::Counts) {
                id.leaves(doc, "", &[]);
            }
            id.event_id()
        }
        (None, None) => position_id(place),
    };
    let is_denied = flow.text(Slot::Verdict) == Some("DROPPED") && tuple.into_iter().all(|slot| flow.has(slot)) && !flow.has(Slot::Counts);
    match time.filter(|_| is_denied) {
        Some(time) => {
            let mut act = Identity::act(place);
            act.number(time.millis().div_euclid(DENIAL_SPAN_MS));
            act.optional(protocol(doc));
            for slot in tuple {
                act.optional(flow.text(slot));
            }
            act.optional(flow.text(Slot::Verdict));
            (id, act.act_id())
        }
        None => (id, act_of(id)),
    }
}
