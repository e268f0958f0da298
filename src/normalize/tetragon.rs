//! Tetragon's events: `process_exec`, `process_kprobe` and their kin, each a member around a process, its parent and what it did.

use std::sync::LazyLock;

use super::identity::{Place, act_of, whole_id};
use super::policy::push_lower;
use super::slots::{Gathered, Table, slots, table, table_under};
use super::{Head, entities, instant, object};
use crate::model::{Doc, Facts, Field, Path};

/// The members that events have.
pub(super) const SIGN: &str = "process_exec|process_exit|process_kprobe|process_tracepoint|process_uprobe|process_usdt|process_lsm|process_loader|\
                               process_throttle|process_connect|process_accept|process_close|process_listen|process_dns";

slots!(Slot {
    Binary "process binary";
    Arguments "process arguments";
    Pid "process pid";
    Uid "process uid";
    Tty "process tty";
    Started "process start_time";
    Docker "process docker";
    Namespace "process pod namespace";
    Pod "process pod name";
    PodUid "process pod uid";
    Workload "process pod workload";
    WorkloadKind "process pod workload_kind";
    ContainerId "process pod container id";
    Container "process pod container name";
    Image "process pod container image name";
    ParentBinary "parent binary";
    Function "function_name|event";
    Policy "policy_name";
    Action "action";
    Message "message";
    Tags "tags";
    File "args file_arg path|args path_arg path|args linux_binprm_arg path|path";
    SrcIp "source_ip|args sock_arg saddr|args skb_arg saddr|args sockaddr_arg saddr";
    DstIp "destination_ip|args sock_arg daddr|args skb_arg daddr";
    DstPort "destination_port|args sock_arg dport|args skb_arg dport";
    Protocol "protocol|args sock_arg protocol|args skb_arg protocol";
    DstNames "destination_names";
});

slots!(Top {
    Time "time";
    Node "node_name";
});

static TABLE: LazyLock<Table<Slot>> = LazyLock::new(|| table_under(&SIGN.split('|').collect::<Vec<_>>(), Slot::ROWS));
static TOP: LazyLock<Table<Top>> = LazyLock::new(|| table(Top::ROWS));
static MEMBERS: LazyLock<Vec<Path>> = LazyLock::new(|| SIGN.split('|').map(|member| Path::of([member])).collect());

/// What Tetragon does to a process it stops.
const STOPPING: &[&str] = &["KPROBE_ACTION_SIGKILL", "KPROBE_ACTION_OVERRIDE", "KPROBE_ACTION_SIGNAL", "KPROBE_ACTION_NOTIFYENFORCER"];
/// What stands for an action that is none.
const NO_ACTIONS: &[&str] = &["KPROBE_ACTION_POST", "KPROBE_ACTION_UNKNOWN"];

pub(super) fn read(doc: &Doc, place: &Place<'_>, facts: &mut Facts) -> Head {
    let (fields, top) = (Gathered::gather(doc, &TABLE), Gathered::gather(doc, &TOP));
    if let Some(member) = doc.containers().iter().find(|container| MEMBERS.contains(&container.path)) {
        facts.push_text(Field::EventAction, doc.container_key(member));
    }
    fields.alias_first(Slot::Function, Field::EventAction, facts);
    object::push_node(top.text(Top::Node), facts);
    process_facts(&fields, facts);
    pod_facts(&fields, facts);
    net_facts(&fields, facts);
    for (slot, field) in [(Slot::File, Field::FilePath), (Slot::Tags, Field::PolicyCategory)] {
        fields.alias(slot, field, facts);
    }
    fields.alias_first(Slot::Policy, Field::PolicyName, facts);
    fields.alias_first(Slot::Message, Field::Message, facts);
    let action = fields.text(Slot::Action);
    if let Some(action) = action.filter(|action| !NO_ACTIONS.contains(action)) {
        push_lower(Field::PolicyResult, Some(action.strip_prefix("KPROBE_ACTION_").unwrap_or(action)), facts);
    }
    let time = top.text(Top::Time).or_else(|| fields.text(Slot::Started)).and_then(instant::read);
    let id = whole_id(doc, place, time);
    let is_stopped = action.is_some_and(|action| STOPPING.contains(&action));
    Head { id, act: act_of(id), time, outcome: if is_stopped { "failure" } else { "unknown" }, count: 1, is_truncated: fields.is_cut() }
}

fn process_facts(fields: &Gathered<'_>, facts: &mut Facts) {
    for (slot, field) in [(Slot::Binary, Field::ProcessExecutable), (Slot::Pid, Field::ProcessPid), (Slot::Uid, Field::ProcessUserUid)] {
        fields.alias_first(slot, field, facts);
    }
    if let Some(binary) = fields.text(Slot::Binary) {
        facts.push_text(Field::ProcessName, base_name(binary));
        match fields.text(Slot::Arguments) {
            Some(arguments) => facts.push_text(Field::ProcessCommandLine, &format!("{binary} {arguments}")),
            None => fields.alias_first(Slot::Binary, Field::ProcessCommandLine, facts),
        }
    }
    if let Some(binary) = fields.text(Slot::ParentBinary) {
        facts.push_text(Field::ProcessParentName, base_name(binary));
        fields.alias_first(Slot::ParentBinary, Field::ProcessParentExecutable, facts);
    }
    if fields.has(Slot::Tty) {
        facts.push_bool(Field::ProcessTty, fields.text(Slot::Tty).is_some_and(|tty| tty != "0"));
    }
}

fn pod_facts(fields: &Gathered<'_>, facts: &mut Facts) {
    let (namespace, pod) = (fields.text(Slot::Namespace), fields.text(Slot::Pod));
    let rows = [
        (Slot::Namespace, Field::K8sNamespace),
        (Slot::Pod, Field::K8sPod),
        (Slot::PodUid, Field::K8sPodUid),
        (Slot::Container, Field::K8sContainer),
    ];
    for (slot, field) in rows {
        fields.alias_first(slot, field, facts);
    }
    entities::pod(namespace, pod, facts);
    object::push_container_id(fields.text(Slot::ContainerId).or_else(|| fields.text(Slot::Docker)), facts);
    object::push_image(fields.text(Slot::Image), facts);
    // A pod on its own is called a workload too.
    let kind = fields.text(Slot::WorkloadKind).filter(|kind| *kind != "Pod");
    if let (Some(workload), Some(kind)) = (fields.text(Slot::Workload), kind) {
        let spelled = format!("{}/{workload}", kind.to_ascii_lowercase());
        facts.push_text(Field::K8sWorkload, &spelled);
        entities::workload(namespace, Some(&spelled), facts);
    }
}

fn net_facts(fields: &Gathered<'_>, facts: &mut Facts) {
    for (slot, field) in [(Slot::SrcIp, Field::SrcIp), (Slot::DstIp, Field::DstIp)] {
        if let Some(ip) = fields.text(slot).filter(|ip| entities::is_ip(ip)) {
            facts.push_text(field, ip);
            entities::ip(Some(ip), facts);
        }
    }
    if let Some(port) = fields.text(Slot::DstPort).and_then(|port| port.parse::<u16>().ok()).filter(|port| *port > 0) {
        facts.push_number(Field::DstPort, i64::from(port));
    }
    if let Some(protocol) = fields.text(Slot::Protocol) {
        push_lower(Field::NetProtocol, Some(protocol.strip_prefix("IPPROTO_").unwrap_or(protocol)), facts);
    }
    for name in fields.texts(Slot::DstNames) {
        facts.push_text(Field::DstNames, name.strip_suffix('.').unwrap_or(name));
    }
}

/// The last segment of a path.
pub(super) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
