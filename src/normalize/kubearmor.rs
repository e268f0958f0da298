//! KubeArmor: alerts on what its policies block or audit, and its logs of what containers and hosts do.

use std::sync::LazyLock;

use super::identity::{Place, act_of, whole_id};
use super::policy::push_lower;
use super::slots::{Gathered, Table, slots, table};
use super::tetragon::base_name;
use super::{Head, entities, instant, object};
use crate::model::{Doc, Facts, Field};

slots!(Slot {
    Updated "UpdatedTime";
    Time "Timestamp";
    Host "HostName";
    Namespace "NamespaceName";
    Pod "PodName";
    OwnerKind "Owner Ref";
    OwnerName "Owner Name";
    ContainerId "ContainerID";
    Container "ContainerName";
    Image "ContainerImage";
    HostPid "HostPID";
    Pid "PID";
    Uid "UID";
    Process "ProcessName";
    Parent "ParentProcessName";
    Policy "PolicyName";
    Severity "Severity";
    Tags "ATags";
    Type "Type";
    Source "Source";
    Operation "Operation";
    Resource "Resource";
    Data "Data";
    Message "Message";
    Action "Action";
    Result "Result";
    Enforcer "Enforcer";
    SrcIp "EventData SourceIP";
    DstIp "EventData DestinationIP";
    DstPort "EventData DestinationPort";
    Protocol "EventData Protocol";
});

static TABLE: LazyLock<Table<Slot>> = LazyLock::new(|| table(Slot::ROWS));

pub(super) fn read(doc: &Doc, place: &Place<'_>, facts: &mut Facts) -> Head {
    let fields = Gathered::gather(doc, &TABLE);
    let rows = [
        (Slot::Operation, Field::EventAction),
        (Slot::Namespace, Field::K8sNamespace),
        (Slot::Pod, Field::K8sPod),
        (Slot::Container, Field::K8sContainer),
        (if fields.has(Slot::HostPid) { Slot::HostPid } else { Slot::Pid }, Field::ProcessPid),
        (Slot::Uid, Field::ProcessUserUid),
        (Slot::Policy, Field::PolicyName),
        (Slot::Severity, Field::PolicySeverity),
    ];
    for (slot, field) in rows {
        fields.alias_first(slot, field, facts);
    }
    fields.alias(Slot::Tags, Field::PolicyCategory, facts);
    // Alerts without a message of their policy's have what was done.
    fields.alias_first(if fields.has(Slot::Message) { Slot::Message } else { Slot::Data }, Field::Message, facts);
    facts.push_text(Field::PolicyEngine, "kubearmor");
    push_lower(Field::PolicyResult, fields.text(Slot::Action), facts);
    object::push_node(fields.text(Slot::Host), facts);
    object::push_container_id(fields.text(Slot::ContainerId), facts);
    object::push_image(fields.text(Slot::Image), facts);
    let namespace = fields.text(Slot::Namespace);
    entities::pod(namespace, fields.text(Slot::Pod), facts);
    if let (Some(kind), Some(name)) = (fields.text(Slot::OwnerKind), fields.text(Slot::OwnerName)) {
        let spelled = format!("{}/{name}", kind.to_ascii_lowercase());
        facts.push_text(Field::K8sWorkload, &spelled);
        entities::workload(namespace, Some(&spelled), facts);
    }
    done_facts(&fields, facts);
    let time = [Slot::Updated, Slot::Time].into_iter().find_map(|slot| fields.text(slot).and_then(instant::read));
    let id = whole_id(doc, place, time);
    let outcome = match fields.text(Slot::Result) {
        Some("Passed") => "success",
        Some(_) => "failure",
        None => "unknown",
    };
    Head { id, act: act_of(id), time, outcome, count: 1, is_truncated: fields.is_cut() }
}

/// What was done, by whom: `Resource` is a command line, a path or words about a socket, as the operation has it; `Source` is what did it.
fn done_facts(fields: &Gathered<'_>, facts: &mut Facts) {
    let (operation, resource) = (fields.text(Slot::Operation), fields.text(Slot::Resource));
    let command = if operation == Some("Process") { Slot::Resource } else { Slot::Source };
    fields.alias_first(command, Field::ProcessCommandLine, facts);
    let started = fields.text(command).and_then(|line| line.split(' ').next());
    if let Some(executable) = fields.text(Slot::Process).or(started) {
        facts.push_text(Field::ProcessExecutable, executable);
        facts.push_text(Field::ProcessName, base_name(executable));
    }
    let parent = fields.text(Slot::Parent).or_else(|| fields.text(Slot::Source).filter(|_| operation == Some("Process")));
    if let Some(parent) = parent.and_then(|line| line.split(' ').next()) {
        facts.push_text(Field::ProcessParentName, base_name(parent));
        facts.push_text(Field::ProcessParentExecutable, parent);
    }
    match (operation, resource) {
        (Some("File" | "Syscall"), Some(path)) if path.starts_with('/') => fields.alias_first(Slot::Resource, Field::FilePath, facts),
        (Some("Network" | "NetworkFirewall"), Some(words)) => net_facts(words, facts),
        _ => {}
    }
    for (slot, field) in [(Slot::SrcIp, Field::SrcIp), (Slot::DstIp, Field::DstIp)] {
        if let Some(ip) = fields.text(slot).filter(|ip| entities::is_ip(ip)) {
            facts.push_text(field, ip);
            entities::ip(Some(ip), facts);
        }
    }
    if let Some(port) = fields.text(Slot::DstPort).and_then(|port| port.parse::<u16>().ok()) {
        facts.push_number(Field::DstPort, i64::from(port));
    }
    push_lower(Field::NetProtocol, fields.text(Slot::Protocol), facts);
}

/// `remoteip=1.2.3.4 port=443 protocol=TCP`, or a name that was asked for.
fn net_facts(words: &str, facts: &mut Facts) {
    if !words.contains('=') && words.contains('.') {
        facts.push_text(Field::DnsQuery, words.strip_suffix('.').unwrap_or(words));
        return;
    }
    for (key, value) in words.split(' ').filter_map(|word| word.split_once('=')) {
        match key {
            "remoteip" | "remote_ip" if entities::is_ip(value) => {
                facts.push_text(Field::DstIp, value);
                entities::ip(Some(value), facts);
            }
            "port" => {
                if let Ok(port) = value.parse::<u16>() {
                    facts.push_number(Field::DstPort, i64::from(port));
                }
            }
            "protocol" if value.bytes().all(|byte| byte.is_ascii_alphabetic()) => push_lower(Field::NetProtocol, Some(value), facts),
            _ => {}
        }
    }
}
