//! Detection Finding (2004) of a Falco alert: the rule, and as evidence what it saw of process, file, traffic and API call.

use super::UNKNOWN;
use super::attack;
use super::class::{self, Choice, DETECTION_FINDING, FINDING_CREATED, FINDING_NEW, OTHER, RULE};
use super::draft::{Draft, Shape, json};
use super::object::Object;
use crate::model::{Field, Value};

/// Facts of a process, and what each is called in evidence that is not a process of the schema.
const PROCESS: &[(Field, &str)] = &[
    (Field::ProcessName, "name"),
    (Field::ProcessCommandLine, "command_line"),
    (Field::ProcessExecutable, "executable"),
    (Field::ProcessParentName, "parent_name"),
    (Field::ProcessUserName, "user_name"),
    (Field::ProcessTty, "tty"),
];

pub(super) fn falco<'e>(draft: &mut Draft<'e>) -> Shape<'e> {
    let rule = draft.take(Field::PolicyRule).unwrap_or(UNKNOWN);
    let mut info = info(draft, rule);
    info.put("data_sources", draft.native("source").map(|source| vec![source]));
    info.put("attacks", attack::list(draft.natives("tags")));
    let severity = draft.peek(Field::PolicySeverity).map_or(class::NOT_KNOWN, class::severity);
    let mut shape = created(&DETECTION_FINDING, severity, info);
    shape.body.put("is_alert", true);
    shape.body.put("evidences", evidences(draft));
    // Falco's own word for the machine that it runs on stands in where its rule prints no node.
    let mut device = node(draft);
    if device.is_empty() && draft.native("hostname").is_some() {
        device.put("hostname", draft.native("hostname"));
        device.choose("type", (1, "Server"));
    }
    shape.body.put("device", device);
    shape.body.put("resources", pod(draft).map(|pod| vec![pod]));
    shape
}

/// A finding just made, about what `info` says.
pub(super) fn created<'e>(class: &'static class::Class, severity: Choice<'e>, info: Object) -> Shape<'e> {
    let mut body = Object::with("finding_info", info);
    body.choose("status", FINDING_NEW);
    let mut shape = Shape::new(class, FINDING_CREATED, body);
    shape.severity = severity;
    shape
}

/// What was found, by which rule.
pub(super) fn info(draft: &Draft<'_>, title: &str) -> Object {
    let mut info = Object::with("uid", draft.event.id.to_string());
    info.put("title", title);
    info.put("desc", draft.peek(Field::Message));
    let mut analytic = Object::with("name", title);
    analytic.choose("type", RULE);
    info.put("analytic", analytic);
    info
}

/// The node, as the device that it is.
pub(super) fn node(draft: &mut Draft<'_>) -> Object {
    match draft.take(Field::K8sNode) {
        Some(name) => {
            let mut node = Object::with("hostname", name);
            node.choose("type", (1, "Server"));
            node
        }
        None => Object::default(),
    }
}

/// The pod that is affected.
pub(super) fn pod(draft: &mut Draft<'_>) -> Option<Object> {
    let mut pod = Object::with("name", draft.take(Field::K8sPod)?);
    pod.put("uid", draft.take(Field::K8sPodUid));
    pod.put("type", "pod");
    pod.put("namespace", draft.take(Field::K8sNamespace));
    pod.choose("role", (3, "Affected"));
    Some(pod)
}

/// A file by its path.
pub(super) fn file(path: &str) -> Object {
    let name = path.rsplit('/').find(|part| !part.is_empty()).unwrap_or(path);
    let mut file = Object::with("name", name);
    file.put("path", path);
    file.choose("type", class::NOT_KNOWN);
    file
}

fn evidences(draft: &mut Draft<'_>) -> Vec<Object> {
    let mut seen = Object::default();
    match draft.take_number(Field::ProcessPid) {
        Some(pid) => seen.put("process", process(draft, pid)),
        // The schema's process has an id; without one the facts stand as data.
        None => seen.put("data", Object::with("process", process_data(draft))),
    }
    if let Some(path) = draft.take(Field::FilePath) {
        seen.put("file", file(path));
    }
    let (from, to) = (draft.endpoint(Field::SrcIp, None, Field::SrcPod), draft.take_port(Field::DstPort));
    seen.put("src_endpoint", from);
    // A port alone is no endpoint.
    let mut to = draft.endpoint(Field::DstIp, to, Field::DstPod);
    if !to.has("ip") && !to.has("name") && !to.is_empty() {
        to.put("name", UNKNOWN);
    }
    seen.put("dst_endpoint", to);
    if draft.peek(Field::ActorUserName).is_some() {
        seen.put("actor", draft.actor());
    }
    if let Some(verb) = draft.take(Field::K8sVerb) {
        seen.put("api", Object::with("operation", verb));
    }
    if seen.is_empty() {
        return Vec::new();
    }
    seen.put("container", container(draft));
    vec![seen]
}

fn process(draft: &mut Draft<'_>, pid: i64) -> Object {
    let mut process = Object::with("pid", pid);
    process.put("name", draft.take(Field::ProcessName));
    process.put("cmd_line", draft.take(Field::ProcessCommandLine));
    process.put("path", draft.take(Field::ProcessExecutable));
    process.put("user", Object::with("name", draft.take(Field::ProcessUserName)));
    process
}

fn process_data(draft: &mut Draft<'_>) -> Object {
    let mut data = Object::default();
    for (field, name) in PROCESS {
        let value: Option<Value<'_>> = draft.event.facts.values(&draft.event.doc, *field).next();
        if let Some(value) = value.filter(|_| draft.take(*field).is_some()) {
            data.put(name, json(*field, value));
        }
    }
    data
}

fn container(draft: &mut Draft<'_>) -> Object {
    let mut container = Object::default();
    container.put("name", draft.take(Field::K8sContainer));
    container.put("uid", draft.take(Field::K8sContainerId));
    // The schema's image has an id, which only a reference by digest gives.
    if !container.is_empty() && draft.peek(Field::K8sImage).is_some_and(|image| image.contains('@')) {
        let image = draft.take(Field::K8sImage).unwrap_or_default();
        let (name, digest) = image.split_once('@').unwrap_or((image, image));
        let mut image = Object::with("uid", if digest.is_empty() { UNKNOWN } else { digest });
        image.put("name", name);
        container.put("image", image);
    }
    container
}

/// What a check came to, in its own word where the schema has none.
pub(super) fn check_status(word: &str) -> Choice<'_> {
    match word {
        "pass" | "passed" | "ok" | "allow" | "allowed" => (1, "Pass"),
        "warn" | "warning" | "audit" => (2, "Warning"),
        "fail" | "failed" | "deny" | "denied" | "block" | "blocked" => (3, "Fail"),
        word => (OTHER, word),
    }
}
