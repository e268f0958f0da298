//! The one field vocabulary: every normalised name, and references to normalised or native fields by text.

use super::Path;

/// What kind of values a field has: decides how the index and comparisons treat it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldType {
    /// Text, matched whole and without regard to case.
    Text,
    /// A whole number.
    Number,
    /// `true` or `false`.
    Bool,
    /// An IP address; CIDR applies.
    Ip,
    /// An RFC 3339 time.
    Time,
    /// Message-like text, also found by its words.
    Words,
}

macro_rules! fields {
    ($($variant:ident $name:literal $kind:ident $doc:literal;)*) => {
        /// A normalised field. The order is that of output: names with a common root stand together.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Field {
            $(#[doc = $doc] $variant,)*
        }

        impl Field {
            /// Every field, in output order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name that rules, search, exceptions, routes and output use.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What its values are.
            pub fn kind(self) -> FieldType {
                match self { $(Self::$variant => FieldType::$kind,)* }
            }

            /// One sentence for completion and documentation.
            pub fn doc(self) -> &'static str {
                match self { $(Self::$variant => $doc,)* }
            }

            /// The field of this exact name.
            pub fn by_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

fields! {
    EventId "event.id" Text "The event's identity, 32 hex digits.";
    EventKind "event.kind" Text "`k8s_audit`, `falco`, `flow` or another kind.";
    EventTime "event.time" Time "When it happened, by the source's clock.";
    EventIngested "event.ingested" Time "When it reached us.";
    EventEnvelope "event.envelope" Text "In what it was wrapped.";
    EventSource "event.source" Text "The configured source that brought it.";
    EventAction "event.action" Text "What its system calls what happened: `process_exec`, `POLICY_UPDATED`, a reason or a type.";
    EventOutcome "event.outcome" Text "`success`, `failure` or `unknown`.";
    EventCount "event.count" Number "How many occurrences one record stands for.";
    EventTruncated "event.truncated" Bool "Something of it was cut, by the source or by a limit.";
    EventForgedKind "event.forged_kind" Bool "It claims a kind that its source may not carry.";
    EventTimeAssumed "event.time_assumed" Bool "It has no time of its own: the time of receipt stands in.";
    EventIncomplete "event.incomplete" Text "What every record of its kind has, and it lacks: `auditID`, `stage`, `time`, `apiVersion`.";
    EventTest "event.test" Bool "The sender made it up to test the way here.";
    RedactHits "redact.hits" Text "What was taken out of it before anything kept it: `secret_data`, `token`, `credential`, `jwt`, `pan`, `configured`.";
    Cluster "cluster" Text "The cluster.";
    CloudProvider "cloud.provider" Text "The cloud it runs in.";
    CloudAccount "cloud.account" Text "The cloud account, folder or project.";
    ActorUserName "actor.user.name" Text "Who acted in effect: the impersonated user where there is one.";
    ActorUserType "actor.user.type" Text "`human`, `service_account`, `node`, `system` or `anonymous`.";
    ActorUserGroups "actor.user.groups" Text "Groups of who acted in effect.";
    ActorUserUid "actor.user.uid" Text "Uid of who acted in effect.";
    ActorUserCloudId "actor.user.cloud_id" Text "The cloud identity behind the user (an ARN, a subject id).";
    ActorImpersonator "actor.impersonator" Text "Who impersonated: the authenticated user.";
    ActorCredentialId "actor.credential_id" Text "Id of the token or certificate.";
    ActorUserAgent "actor.user_agent" Text "The client program, by its own word.";
    SrcIp "src.ip" Ip "The caller's or sender's address that can be trusted.";
    SrcIps "src.ips" Ip "Every address claimed on the way.";
    SrcGeoCountry "src.geo.country" Text "Country of `src.ip`.";
    SrcPod "src.pod" Text "Sending pod.";
    SrcWorkload "src.workload" Text "Workload of the sending pod.";
    SrcNamespace "src.namespace" Text "Namespace of the sender.";
    DstIp "dst.ip" Ip "Where the traffic goes.";
    DstPort "dst.port" Number "To which port.";
    DstNames "dst.names" Text "DNS names of the destination.";
    DstPod "dst.pod" Text "Receiving pod.";
    DstWorkload "dst.workload" Text "Workload of the receiving pod.";
    DstNamespace "dst.namespace" Text "Namespace of the receiver.";
    NetProtocol "net.protocol" Text "`tcp`, `udp`, `icmp`, `sctp`.";
    NetDirection "net.direction" Text "`ingress` or `egress`, seen from the observed end.";
    NetVerdict "net.verdict" Text "`forwarded`, `dropped`, `audit`, `redirected`, `error`.";
    NetDropReason "net.drop_reason" Text "Why it was dropped.";
    NetIsReply "net.is_reply" Bool "Whether it answers an earlier packet; absent where unknown.";
    NetEncrypted "net.encrypted" Bool "Whether it was encrypted on the wire.";
    K8sNamespace "k8s.namespace" Text "Namespace of the object.";
    K8sPod "k8s.pod" Text "The pod, by bare name.";
    K8sPodUid "k8s.pod_uid" Text "Uid of the pod.";
    K8sContainer "k8s.container" Text "The container's name.";
    K8sContainerId "k8s.container_id" Text "The container's id, 12 hex digits.";
    K8sImage "k8s.image" Text "The container's image.";
    K8sNode "k8s.node" Text "The node.";
    K8sWorkload "k8s.workload" Text "The workload, as `deployment/web`.";
    K8sServiceAccount "k8s.service_account" Text "The service account of the object.";
    K8sResource "k8s.resource" Text "The API resource, in plural.";
    K8sSubresource "k8s.subresource" Text "The subresource, such as `exec`.";
    K8sApiGroup "k8s.api_group" Text "The API group; empty for core.";
    K8sName "k8s.name" Text "Name of the object.";
    K8sVerb "k8s.verb" Text "The verb of the request.";
    K8sAuditId "k8s.audit_id" Text "Of an alert on an audit event: the `auditID` of that event.";
    PodPrivileged "pod.privileged" Bool "Any container of the pod spec is privileged.";
    PodHostNetwork "pod.host_network" Bool "The pod shares the node's network.";
    PodHostPid "pod.host_pid" Bool "The pod shares the node's processes.";
    PodHostIpc "pod.host_ipc" Bool "The pod shares the node's IPC.";
    PodHostPaths "pod.host_paths" Text "Paths of the node mounted into the pod.";
    PodCapabilities "pod.capabilities" Text "Capabilities added to any container.";
    PodImages "pod.images" Text "Images of all containers.";
    PodServiceAccount "pod.service_account" Text "The service account the pod runs as.";
    PodCommands "pod.commands" Text "Commands and arguments of all containers, one a container.";
    PodHostPorts "pod.host_ports" Number "Ports opened on the node.";
    PodRunAsRoot "pod.run_as_root" Bool "A container is to run as user 0.";
    PodAllowPrivilegeEscalation "pod.allow_privilege_escalation" Bool "A container may gain privileges.";
    PodProcMount "pod.proc_mount" Text "Requested `/proc` mount types.";
    PodAutomountToken "pod.automount_token" Bool "Whether the token is mounted.";
    RbacRole "rbac.role" Text "The role that is bound, or written, by bare name.";
    RbacSubjects "rbac.subjects" Text "Who is bound: `user:alice`, `group:ops`, `sa:prod/builder`.";
    RbacVerbs "rbac.verbs" Text "Verbs that the role's rules grant.";
    RbacResources "rbac.resources" Text "Resources that the role's rules grant.";
    RbacApiGroups "rbac.api_groups" Text "API groups that the role's rules grant.";
    ExecCommand "exec.command" Text "The command line of an exec, attach or debug session.";
    ProcessName "process.name" Text "Name of the process.";
    ProcessCommandLine "process.command_line" Words "Its command line.";
    ProcessExecutable "process.executable" Text "Path of its program.";
    ProcessPid "process.pid" Number "Its process id.";
    ProcessParentName "process.parent.name" Text "Name of its parent.";
    ProcessParentExecutable "process.parent.executable" Text "Path of its parent's program.";
    ProcessUserName "process.user.name" Text "The system user it runs as.";
    ProcessUserUid "process.user.uid" Text "Number of the system user it runs as.";
    ProcessTty "process.tty" Bool "Whether a terminal is attached.";
    FilePath "file.path" Text "The file concerned.";
    FileAction "file.action" Text "What was done to it: `CREATED`, `UPDATED`, as the sensor spells it.";
    FileHashes "file.hashes" Text "Digests of its content.";
    FileOwner "file.owner" Text "Number of the system user that owns it.";
    FileMode "file.mode" Text "Its permissions, as the sensor spells them.";
    FileSize "file.size" Number "Its size in bytes.";
    PolicyName "policy.name" Text "The policy that decided.";
    PolicyRule "policy.rule" Text "The rule: of a policy engine, or Falco's rule name.";
    PolicyResult "policy.result" Text "What it decided.";
    PolicySeverity "policy.severity" Text "How severe the engine calls it, in lower case.";
    PolicyCategory "policy.category" Text "What the engine files the rule under: a standard, a section, a watch list.";
    PolicyEngine "policy.engine" Text "Who checked: `kyverno`, `gatekeeper`, `trivy`, `kube-bench`.";
    DnsQuery "dns.query" Text "The name asked for, without the last dot.";
    DnsRcode "dns.rcode" Number "The answer's code.";
    HttpMethod "http.method" Text "The HTTP method.";
    HttpPath "http.path" Text "Path of the request, without the query.";
    HttpStatus "http.status" Number "The HTTP status code.";
    Message "message" Words "The record's message for people.";
    Entity "entity" Text "Every entity named: `user:alice`, `pod:prod/web-0`, `ip:10.0.1.2`.";
}

/// First segments that only normalised names have. A native key that collides is reached as `raw.<key>`.
pub const RESERVED_ROOTS: &[&str] = &[
    "event",
    "cluster",
    "cloud",
    "actor",
    "src",
    "dst",
    "net",
    "k8s",
    "pod",
    "rbac",
    "exec",
    "process",
    "file",
    "policy",
    "dns",
    "http",
    "entity",
    "redact",
    "provenance",
    "raw",
];

/// A field that a rule, a query or a template names.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum FieldRef {
    /// A normalised field.
    Fact(Field),
    /// A native field: the paths that its dotted name can mean, since keys may have dots themselves.
    Native {
        /// As written, without `raw.`.
        name: Box<str>,
        paths: Box<[Path]>,
    },
}

/// Paths are hashes of this process: what is shown is the same in every one.
impl std::fmt::Debug for FieldRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fact(field) => f.debug_tuple("Fact").field(field).finish(),
            Self::Native { name, .. } => f.debug_tuple("Native").field(name).finish(),
        }
    }
}

impl FieldRef {
    /// Reads a name. A name under a reserved root that is not in the vocabulary is an error, with the nearest that is.
    pub fn parse(name: &str) -> Result<Self, String> {
        if let Some(field) = Field::by_name(name) {
            return Ok(Self::Fact(field));
        }
        if name.is_empty() {
            return Err("a field name is missing".to_owned());
        }
        if let Some(native) = name.strip_prefix("raw.") {
            return Ok(Self::Native { name: native.into(), paths: Path::spellings(native) });
        }
        let root = name.split('.').next().unwrap_or_default();
        if RESERVED_ROOTS.contains(&root) && name.contains('.') {
            return Err(match nearest(name) {
                Some(known) => format!("unknown field `{name}`: did you mean `{known}`? (a native key of that name is `raw.{name}`)"),
                None => format!("unknown field `{name}` (a native key of that name is `raw.{name}`)"),
            });
        }
        Ok(Self::Native { name: name.into(), paths: Path::spellings(name) })
    }

    /// The name as a user would write it.
    pub fn name(&self) -> &str {
        match self {
            Self::Fact(field) => field.name(),
            Self::Native { name, .. } => name,
        }
    }
}

/// The normalised name that is closest in spelling, if any is close.
pub fn nearest(name: &str) -> Option<&'static str> {
    Field::ALL
        .iter()
        .map(|field| (distance(name, field.name()), field.name()))
        .filter(|(distance, known)| *distance <= known.len().max(6) / 3)
        .min()
        .map(|(_, known)| known)
}

/// Edit distance, bounded by the length of what is compared (names are at most a few dozen bytes).
pub fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let next = (diagonal + usize::from(x != *y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = row[j + 1];
            row[j + 1] = next;
        }
    }
    row[b.len()]
}
