//! What a rig issues. A record is a function of its number, its kind and the seed of the run, so damage and mix-ups show.

use bartizan::model::Timestamp;

/// Events begin here, in seconds since 1970 (2026-01-01), and are [`STEP_NS`] apart.
pub(crate) const START_S: i64 = 1_767_225_600;
pub(crate) const STEP_NS: i64 = 1_000_000;

/// Numbers that share the names which the rules group by.
pub(crate) const BLOCK: u64 = 2_000;

/// Letters of a number as records carry it: no digits, so that nothing takes it for the number of a card.
const LETTERS: usize = 12;
const MARK: &[u8] = b"rig-";

/// The shapes that sources carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Audit,
    Falco,
    Flow,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Audit, Self::Falco, Self::Flow];
}

/// What a record is to the rig's own rules.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Nothing.
    None,
    /// A deletion by this user: five within a second are an alert.
    Delete(String),
    /// A secret read by this user: an alert alone.
    Crown(String),
    /// A shell in this pod, as Falco tells it.
    Shell(String),
    /// An exec into this pod, as the API server tells it: an alert if it follows a shell.
    Exec(String),
}

/// Rules that match the roles.
pub(crate) const RULES: &str = r#"
title: A deletion
id: 11111111-1111-4111-8111-1111111111a1
name: rig_delete
logsource: {product: kubernetes, service: audit}
detection: {s: {verb: delete, objectRef.resource: configmaps}, condition: s}
level: low
---
title: Five deletions
id: 22222222-2222-4222-8222-2222222222a2
correlation: {type: event_count, rules: [rig_delete], group-by: [actor.user.name], timespan: 1s, condition: {gte: 5}}
level: high
---
title: The crown is read
id: 33333333-3333-4333-8333-3333333333a3
logsource: {product: kubernetes, service: audit}
detection: {s: {verb: get, objectRef.resource: secrets, objectRef.name: crown}, condition: s}
level: high
---
title: A shell
id: 44444444-4444-4444-8444-4444444444a4
name: rig_shell
logsource: {product: falco}
detection: {s: {rule: Shell in a container}, condition: s}
level: low
---
title: An exec
id: 55555555-5555-4555-8555-5555555555a5
name: rig_exec
logsource: {product: kubernetes, service: audit}
detection: {s: {verb: create, objectRef.resource: pods, objectRef.subresource: exec}, condition: s}
level: low
---
title: A shell, then an exec
id: 66666666-6666-4666-8666-6666666666a6
correlation: {type: temporal_ordered, rules: [rig_shell, rig_exec], group-by: [k8s.namespace, k8s.pod], timespan: 1s}
level: critical
"#;

/// Draws a number: the same for the same seed, number and purpose.
pub(crate) fn draw(seed: u64, number: u64, purpose: u64) -> u64 {
    let mut z = seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ purpose.rotate_left(32);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn letters(mut number: u64, count: usize) -> String {
    let mut text = vec![b'a'; count];
    for at in (0..count).rev() {
        text[at] = b'a' + (number & 15) as u8;
        number >>= 4;
    }
    String::from_utf8(text).unwrap()
}

/// The number that a record's text carries.
pub(crate) fn number_of(record: &[u8]) -> Option<u64> {
    let at = memchr::memmem::find(record, MARK)? + MARK.len();
    let text = record.get(at..at + LETTERS)?;
    text.iter().try_fold(0, |number, letter| (b'a'..=b'p').contains(letter).then(|| number << 4 | u64::from(letter - b'a')))
}

/// When it happened, in nanoseconds since 1970.
pub(crate) fn time_of(id: u64) -> i64 {
    START_S * 1_000_000_000 + i64::try_from(id).unwrap() * STEP_NS
}

/// The role of a record. Not every block has enough of anything.
pub(crate) fn role(seed: u64, id: u64, kind: Kind) -> Role {
    let block = id / BLOCK;
    let deletes_every = [20, 40, 100, 400][usize::try_from(draw(seed, block, 1) % 4).unwrap()];
    let shells_every = [100, 200, 2_000][usize::try_from(draw(seed, block, 2) % 3).unwrap()];
    match kind {
        Kind::Audit if id % deletes_every == 7 => Role::Delete(format!("counter-{}", letters(block, 6))),
        Kind::Audit if id % 500 == 99 => Role::Crown(format!("spy-{}", letters(block, 6))),
        Kind::Audit if id % shells_every == 66 => Role::Exec(format!("pod-{}", letters(block, 6))),
        Kind::Falco if id % shells_every == 33 => Role::Shell(format!("pod-{}", letters(block, 6))),
        Kind::Audit | Kind::Falco | Kind::Flow => Role::None,
    }
}

/// The record, on one line.
pub(crate) fn record(seed: u64, id: u64, kind: Kind) -> String {
    let mark = format!("rig-{}{}", letters(id, LETTERS), letters(seed, 4));
    let nanos = time_of(id);
    let second = Timestamp::from_seconds(nanos / 1_000_000_000).to_string();
    let time = format!("{}.{:06}Z", second.trim_end_matches('Z'), nanos / 1_000 % 1_000_000);
    let filler: String = (0..4 + draw(seed, id, 3) % 8).map(|n| letters(draw(seed, id, 16 + n), 16)).collect();
    match kind {
        Kind::Audit => audit(&mark, &time, &filler, role(seed, id, kind)),
        Kind::Falco => {
            let (rule, pod) = match role(seed, id, kind) {
                Role::Shell(pod) => ("Shell in a container", pod),
                _ => ("Something seen", "web".to_owned()),
            };
            format!(
                r#"{{"hostname":"node","output":"{filler}","priority":"Notice","rule":"{rule}","source":"syscall","tags":["rig"],"time":"{time}","output_fields":{{"evt.type":"execve","k8s.ns.name":"shop","k8s.pod.name":"{pod}","proc.name":"sh","rig.mark":"{mark}"}}}}"#
            )
        }
        Kind::Flow => format!(
            r#"{{"flow":{{"time":"{time}","uuid":"{mark}","verdict":"FORWARDED","IP":{{"source":"10.0.0.1","destination":"10.0.0.2","ipVersion":"IPv4"}},"l4":{{"TCP":{{"source_port":40000,"destination_port":443}}}},"source":{{"namespace":"shop","pod_name":"web"}},"destination":{{"namespace":"shop","pod_name":"db"}},"Type":"L3_L4","node_name":"node","event_type":{{"type":4}},"traffic_direction":"EGRESS","Summary":"{filler}"}},"node_name":"node","time":"{time}"}}"#
        ),
    }
}

fn audit(mark: &str, time: &str, filler: &str, role: Role) -> String {
    let (user, verb, resource, name, sub) = match role {
        Role::Delete(user) => (user, "delete", "configmaps", "settings".to_owned(), ""),
        Role::Crown(user) => (user, "get", "secrets", "crown".to_owned(), ""),
        Role::Exec(pod) => ("builder".to_owned(), "create", "pods", pod, "exec"),
        Role::None | Role::Shell(_) => ("alice".to_owned(), "get", "pods", "web".to_owned(), ""),
    };
    let (subresource, path) = if sub.is_empty() { (String::new(), String::new()) } else { (format!(r#","subresource":"{sub}""#), format!("/{sub}")) };
    format!(
        r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"{mark}","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/shop/{resource}/{name}{path}","verb":"{verb}","user":{{"username":"{user}","groups":["system:authenticated"]}},"sourceIPs":["10.0.0.1"],"userAgent":"rig","objectRef":{{"resource":"{resource}","namespace":"shop","name":"{name}","apiVersion":"v1"{subresource}}},"responseStatus":{{"code":200}},"requestReceivedTimestamp":"{time}","stageTimestamp":"{time}","annotations":{{"authorization.k8s.io/decision":"allow","rig":"{filler}"}}}}"#
    )
}

#[test]
fn a_record_tells_its_number() {
    for kind in Kind::ALL {
        for id in [0, 15, 16, 1_999, 2_000, 123_456_789] {
            assert_eq!(number_of(record(7, id, kind).as_bytes()), Some(id));
        }
    }
}
