//! Falco alerts, bare or through falcosidekick. `output_fields` is flat with dots in its keys, or (un-flattened by a shipper) nested.

use std::sync::LazyLock;

use super::actor::Actor;
use super::identity::{Identity, Place, act_of, position_id};
use super::slots::{Gathered, Slot as _, Table, slots, table_spelled};
use super::{Head, entities, uri};
use crate::model::{Doc, Facts, Field, Timestamp};

slots!(Slot {
    Time "time";
    Hostname "hostname";
    Rule "rule|Rule";
    Priority "priority";
    Output "output";
    EventTime "output_fields.evt.time";
    EventHost "output_fields.evt.hostname";
    Node "output_fields.k8s.node.name";
    Namespace "output_fields.k8s.ns.name";
    Pod "output_fields.k8s.pod.name";
    PodUid "output_fields.k8s.pod.uid|output_fields.k8s.pod.id";
    ServiceAccount "output_fields.k8s.sa.name";
    ContainerId "output_fields.container.id";
    ContainerName "output_fields.container.name";
    Repository "output_fields.container.image.repository";
    Tag "output_fields.container.image.tag";
    Image "output_fields.container.image";
    ProcessName "output_fields.proc.name";
    CommandLine "output_fields.proc.cmdline";
    Executable "output_fields.proc.exepath";
    Pid "output_fields.proc.pid";
    ParentName "output_fields.proc.pname";
    Tty "output_fields.proc.tty";
    ProcessUser "output_fields.user.name";
    FdName "output_fields.fd.name";
    FdType "output_fields.fd.type";
    FsPath "output_fields.fs.path.name";
    ServerIp "output_fields.fd.sip|output_fields.fd.rip";
    ServerPort "output_fields.fd.sport|output_fields.fd.rport";
    ClientIp "output_fields.fd.cip";
    Protocol "output_fields.fd.l4proto";
    AuditId "output_fields.ka.auditid";
    AuditUser "output_fields.ka.user.name";
    AuditEffective "output_fields.ka.impuser.name";
    AuditVerb "output_fields.ka.verb";
    AuditResource "output_fields.ka.target.resource";
    AuditSubresource "output_fields.ka.target.subresource";
    AuditName "output_fields.ka.target.name";
    AuditNamespace "output_fields.ka.target.namespace";
    AuditCode "output_fields.ka.response.code";
    AuditUri "output_fields.ka.uri";
    AuditAgent "output_fields.ka.useragent";
    AuditCommand "output_fields.ka.uri.param[command]";
});

static TABLE: LazyLock<Table<Slot>> = LazyLock::new(|| table_spelled(Slot::ROWS));

/// The rule of the alerts that falcosidekick sends to try its outputs.
const TEST_RULE: &str = "Test rule";

/// Fields that are the native value as it is.
const ALIASES: &[(Slot, Field)] = &[
    (Slot::Rule, Field::PolicyRule),
    (Slot::Output, Field::Message),
    (Slot::ProcessName, Field::ProcessName),
    (Slot::CommandLine, Field::ProcessCommandLine),
    (Slot::Executable, Field::ProcessExecutable),
    (Slot::Pid, Field::ProcessPid),
    (Slot::ParentName, Field::ProcessParentName),
    (Slot::ProcessUser, Field::ProcessUserName),
    (Slot::PodUid, Field::K8sPodUid),
    (Slot::ServiceAccount, Field::K8sServiceAccount),
    (Slot::ContainerName, Field::K8sContainer),
];

/// Aliases of alerts on audit events (the `k8saudit` plugins).
const AUDIT_ALIASES: &[(Slot, Field)] = &[
    (Slot::AuditId, Field::K8sAuditId),
    (Slot::AuditVerb, Field::K8sVerb),
    (Slot::AuditResource, Field::K8sResource),
    (Slot::AuditSubresource, Field::K8sSubresource),
    (Slot::AuditName, Field::K8sName),
    (Slot::AuditNamespace, Field::K8sNamespace),
    (Slot::AuditCode, Field::HttpStatus),
    (Slot::AuditAgent, Field::ActorUserAgent),
    (Slot::AuditCommand, Field::ExecCommand),
];

pub(super) fn read(doc: &Doc, place: &Place<'_>, facts: &mut Facts) -> Head {
    let fields = Fields(Gathered::gather(doc, &TABLE));
    for (slot, field) in ALIASES {
        fields.alias(*slot, *field, facts);
    }
    if let Some(priority) = fields.text(Slot::Priority) {
        facts.push_lower(Field::PolicySeverity, priority);
    }
    if let Some(tty) = fields.text(Slot::Tty) {
        facts.push_bool(Field::ProcessTty, tty != "0" && tty != "false");
    }
    if fields.text(Slot::Rule) == Some(TEST_RULE) {
        facts.push_bool(Field::EventTest, true);
    }
    place_facts(&fields, facts);
    file_and_net_facts(&fields, facts);
    audit_facts(&fields, facts);
    let code = fields.text(Slot::AuditCode).and_then(|code| code.parse::<u16>().ok());
    let time = fields.text(Slot::Time).and_then(parse_time).or_else(|| fields.text(Slot::EventTime).and_then(from_epoch));
    // Log services take the time out of the record and say it themselves.
    let id = match time.or(place.at) {
        Some(time) => {
            let mut id = Identity::event(place);
            id.number(time.nanos());
            id.optional(fields.0.text(Slot::Hostname));
            id.optional(fields.0.text(Slot::Rule));
            id.leaves(doc, "output_fields.", &["output_fields.uuid"]);
            id.event_id()
        }
        None => position_id(place),
    };
    Head {
        id,
        act: act_of(id),
        time,
        outcome: match code {
            Some(100..=399) => "success",
            Some(400..) => "failure",
            _ => "unknown",
        },
        count: 1,
        is_truncated: fields.0.is_cut() || fields.text(Slot::CommandLine).is_some_and(|text| text.ends_with("[...]")),
    }
}

/// The gathered fields; Falco writes `<NA>` where it has no value.
struct Fields<'d>(Gathered<'d>);

impl<'d> Fields<'d> {
    fn text(&self, slot: Slot) -> Option<&'d str> {
        self.0.text(slot).filter(|text| *text != "<NA>")
    }

    fn alias(&self, slot: Slot, field: Field, facts: &mut Facts) {
        debug_assert!(slot.index() < Slot::ROWS.len());
        if self.text(slot).is_some() {
            self.0.alias_first(slot, field, facts);
        }
    }
}

/// Where it ran.
fn place_facts(fields: &Fields<'_>, facts: &mut Facts) {
    let output = fields.text(Slot::Output).unwrap_or_default();
    let namespace = fields.text(Slot::Namespace).or_else(|| said(output, &["k8s.ns=", "k8s_ns=", "k8s_ns_name="]));
    let pod = fields.text(Slot::Pod).or_else(|| said(output, &["k8s.pod=", "k8s_pod_name=", "k8s_pod="]));
    if let Some(namespace) = namespace {
        facts.push_text(Field::K8sNamespace, namespace);
    }
    if let Some(pod) = pod {
        facts.push_text(Field::K8sPod, pod);
    }
    entities::pod(namespace, pod, facts);
    entities::service_account(namespace, fields.text(Slot::ServiceAccount), facts);
    if let Some(node) = fields.text(Slot::Node).or_else(|| fields.text(Slot::EventHost)) {
        facts.push_text(Field::K8sNode, node);
        entities::node(Some(node), facts);
    }
    // What is not in a container has the id `host`.
    if let Some(id) = fields.text(Slot::ContainerId).filter(|id| *id != "host") {
        let id = id.rsplit("//").next().unwrap_or(id);
        facts.push_text(Field::K8sContainerId, id.get(..12).unwrap_or(id));
    }
    let (image, tag) = match (fields.text(Slot::Repository), fields.text(Slot::Tag)) {
        (Some(repository), tag) => (Some(repository), tag),
        (None, _) => (fields.text(Slot::Image), None),
    };
    if let Some(image) = image {
        let (colon, tag) = tag.map_or(("", ""), |tag| (":", tag));
        facts.push_joined(Field::K8sImage, &[image, colon, tag]);
        facts.push_joined(Field::Entity, &["image:", image, colon, tag]);
    }
}

/// A value in the alert's text. A command line in that text is the attacker's to write: where a name stands twice with different values, it says nothing.
fn said<'t>(output: &'t str, names: &[&str]) -> Option<&'t str> {
    let mut found: Option<&str> = None;
    for word in output.split([' ', '(', ')', ',']) {
        let Some(value) = names.iter().find_map(|name| word.strip_prefix(name)) else { continue };
        if value.is_empty() || value == "<NA>" || value == "null" {
            continue;
        }
        if found.is_some_and(|known| known != value) {
            return None;
        }
        found = Some(value);
    }
    found
}

fn file_and_net_facts(fields: &Fields<'_>, facts: &mut Facts) {
    let name = fields.text(Slot::FdName);
    let (mut client, mut server, mut port) = (fields.text(Slot::ClientIp), fields.text(Slot::ServerIp), fields.text(Slot::ServerPort));
    match name.and_then(|name| name.split_once("->")) {
        Some((from, to)) => {
            let (ip, to_port) = address(to);
            server = server.or(ip);
            port = port.or(to_port);
            client = client.or(address(from).0);
        }
        None => {
            let is_file =
                fields.text(Slot::FdType).map_or_else(|| name.is_some_and(|name| name.starts_with('/')), |kind| matches!(kind, "file" | "directory"));
            if is_file && name.is_some() {
                fields.alias(Slot::FdName, Field::FilePath, facts);
            } else {
                fields.alias(Slot::FsPath, Field::FilePath, facts);
            }
        }
    }
    for (ip, field) in [(client, Field::SrcIp), (server, Field::DstIp)] {
        if let Some(ip) = ip.filter(|ip| entities::is_ip(ip)) {
            facts.push_text(field, ip);
            entities::known_ip(ip, facts);
        }
    }
    if let Some(port) = port.and_then(|port| port.parse::<u16>().ok()) {
        facts.push_number(Field::DstPort, i64::from(port));
    }
    if let Some(protocol) = fields.text(Slot::Protocol) {
        facts.push_lower(Field::NetProtocol, protocol);
    }
}

/// `10.0.0.1:443`, or `fe80::1:443` as Falco writes it: the last colon parts the port.
fn address(text: &str) -> (Option<&str>, Option<&str>) {
    match text.rsplit_once(':') {
        Some((ip, port)) => (Some(ip.trim_start_matches('[').trim_end_matches(']')), Some(port)),
        None => (Some(text), None),
    }
}

/// An alert on an audit event tells who asked for what. It stays an event of its own, of its own kind. Its `k8s.audit_id` is the `auditID` of
/// the audit event it is about: a search for `k8s.audit_id:X or auditID:X` has both, and a correlation ties them by an alias of the two.
/// Since the caller may choose that id, it ties and does not identify. Audit events have no such fact: the same unique text would stand in
/// the index twice.
fn audit_facts(fields: &Fields<'_>, facts: &mut Facts) {
    let Some(user) = fields.text(Slot::AuditUser) else { return };
    for (slot, field) in AUDIT_ALIASES {
        fields.alias(*slot, *field, facts);
    }
    let effective = fields.text(Slot::AuditEffective);
    let actor = Actor::of(effective.unwrap_or(user));
    facts.push_text(Field::ActorUserName, effective.unwrap_or(user));
    facts.push_text(Field::ActorUserType, actor.type_name());
    actor.push_entity(facts);
    if effective.is_some() {
        facts.push_text(Field::ActorImpersonator, user);
        Actor::of(user).push_entity(facts);
    }
    if let Some(text) = fields.text(Slot::AuditUri) {
        facts.push_text(Field::HttpPath, uri::path(text));
    }
    if fields.text(Slot::AuditResource) == Some("pods")
        && let Some(pod) = fields.text(Slot::AuditName)
    {
        facts.push_text(Field::K8sPod, pod);
        entities::pod(fields.text(Slot::AuditNamespace), Some(pod), facts);
    }
}

/// RFC 3339; also with rubbish after the `Z`, as some examples have it.
fn parse_time(text: &str) -> Option<Timestamp> {
    Timestamp::parse(text).or_else(|| Timestamp::parse(text.get(..=text.find('Z')?)?))
}

/// A number of nanoseconds, microseconds, milliseconds or seconds, told apart by size.
fn from_epoch(text: &str) -> Option<Timestamp> {
    let number: i64 = text.parse().ok().filter(|number| *number > 0)?;
    let scale = match number {
        100_000_000_000_000_000.. => 1,
        100_000_000_000_000.. => 1_000,
        100_000_000_000.. => 1_000_000,
        _ => 1_000_000_000,
    };
    Some(Timestamp::from_nanos(number.saturating_mul(scale)))
}
