//! API Activity (6003): who asked an API for what, and what it answered.

use super::UNKNOWN;
use super::class::{API_ACTIVITY, Choice, NOT_KNOWN, OTHER};
use super::draft::{Draft, Shape, is_ip};
use super::object::Object;
use crate::model::{Field, Kind};

const CREATE: Choice<'static> = (1, "Create");
const READ: Choice<'static> = (2, "Read");
const UPDATE: Choice<'static> = (3, "Update");
const DELETE: Choice<'static> = (4, "Delete");
/// Where cloud audit entries name the call.
const METHODS: &[&str] = &["protoPayload.methodName", "methodName", "eventName", "event_type"];
/// Where they name the service that was called.
const SERVICES: &[&str] = &["protoPayload.serviceName", "serviceName", "eventSource"];
/// Words that the name of a call begins or ends with, and what they ask for.
const WORDS: &[(&str, Choice<'static>)] = &[
    ("create", CREATE),
    ("insert", CREATE),
    ("add", CREATE),
    ("run", CREATE),
    ("get", READ),
    ("list", READ),
    ("watch", READ),
    ("describe", READ),
    ("head", READ),
    ("read", READ),
    ("lookup", READ),
    ("search", READ),
    ("update", UPDATE),
    ("patch", UPDATE),
    ("set", UPDATE),
    ("put", UPDATE),
    ("modify", UPDATE),
    ("delete", DELETE),
    ("deletecollection", DELETE),
    ("remove", DELETE),
    ("terminate", DELETE),
];

pub(super) fn shape<'e>(draft: &mut Draft<'e>) -> Shape<'e> {
    let is_audit = draft.event.kind == Kind::K8sAudit;
    let verb = draft.take(Field::K8sVerb);
    let method = METHODS.iter().find_map(|name| draft.native(name)).filter(|_| !is_audit);
    let operation = method.or(verb);
    let mut body = Object::default();
    body.put("message", draft.peek(Field::Message).map_or_else(|| sentence(draft), str::to_owned));
    body.put("api", api(draft, operation, is_audit));
    body.put("actor", draft.actor());
    body.put("src_endpoint", source(draft));
    body.put("http_request", request(draft));
    if let Some(code) = draft.take_number(Field::HttpStatus) {
        body.put("http_response", Object::with("code", code));
        body.put("status_code", code.to_string());
    }
    body.put("status_detail", draft.peek(Field::Message).filter(|_| draft.peek(Field::EventOutcome) == Some("failure")));
    body.put("resources", resource(draft).map(|resource| vec![resource]));
    Shape::new(&API_ACTIVITY, verb.or(operation).map_or(NOT_KNOWN, activity), body)
}

/// What a verb, or a call's name such as `iam.CreateUser`, asks for.
pub(super) fn activity(name: &str) -> Choice<'_> {
    let last = name.rsplit(['.', '/', ':']).next().unwrap_or(name);
    let end = last.char_indices().skip(1).find(|(_, c)| c.is_uppercase() || *c == '_').map_or(last.len(), |(at, _)| at);
    let word = last.get(..end).unwrap_or(last).to_ascii_lowercase();
    WORDS.iter().find(|(known, _)| *known == word).map_or((OTHER, name), |(_, choice)| *choice)
}

/// `alice get pods/exec prod/web-0`, for people.
fn sentence(draft: &Draft<'_>) -> String {
    let object = [Field::K8sNamespace, Field::K8sName].into_iter().filter_map(|field| draft.peek(field)).collect::<Vec<_>>().join("/");
    let kind = kind(draft);
    let asked = kind.as_deref().or(draft.peek(Field::HttpPath));
    let parts = [draft.peek(Field::ActorUserName), draft.peek(Field::K8sVerb), asked, Some(object.as_str())];
    parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// `pods`, or `pods/exec`.
fn kind(draft: &Draft<'_>) -> Option<String> {
    let resource = draft.peek(Field::K8sResource)?;
    Some(draft.peek(Field::K8sSubresource).map_or_else(|| resource.to_owned(), |sub| format!("{resource}/{sub}")))
}

fn api(draft: &mut Draft<'_>, operation: Option<&str>, is_audit: bool) -> Object {
    let mut api = Object::with("operation", operation.unwrap_or(UNKNOWN));
    api.put("group", Object::with("name", draft.take(Field::K8sApiGroup)));
    if is_audit {
        api.put("version", draft.native("objectRef.apiVersion"));
        api.put("service", Object::with("name", "kube-apiserver"));
        api.put("request", Object::with("uid", draft.native("auditID")));
        let mut response = Object::default();
        response.put("code", draft.peek(Field::HttpStatus).and_then(|code| code.parse::<i64>().ok()));
        response.put("error", draft.native("responseStatus.reason"));
        response.put("message", draft.peek(Field::Message));
        api.put("response", response);
    } else {
        api.put("service", Object::with("name", SERVICES.iter().find_map(|name| draft.native(name))));
    }
    api
}

fn source(draft: &mut Draft<'_>) -> Object {
    let mut source = Object::with("ip", draft.take_ip(Field::SrcIp));
    if source.is_empty() {
        source.put("name", UNKNOWN);
    }
    source
}

fn request(draft: &mut Draft<'_>) -> Object {
    let mut request = Object::with("url", Object::with("path", draft.take(Field::HttpPath)));
    request.put("user_agent", draft.take(Field::ActorUserAgent));
    let trusted = draft.peek(Field::SrcIp);
    let claimed: Vec<&str> = draft.take_all(Field::SrcIps).into_iter().filter(|ip| Some(*ip) != trusted && is_ip(ip)).collect();
    request.put("x_forwarded_for", claimed);
    request
}

/// The object of the call. A collection has no name: the path that was asked for is its id.
fn resource(draft: &mut Draft<'_>) -> Option<Object> {
    let mut resource = Object::with("name", draft.peek(Field::K8sName));
    resource.put("uid", draft.native("objectRef.uid"));
    if resource.is_empty() {
        let object = draft.native("protoPayload.resourceName");
        resource.put("uid", object.or_else(|| draft.peek(Field::HttpPath).filter(|_| draft.peek(Field::K8sResource).is_some())));
    }
    if resource.is_empty() {
        return None;
    }
    resource.put("type", kind(draft));
    for field in [Field::K8sName, Field::K8sResource, Field::K8sSubresource] {
        draft.take(field);
    }
    resource.put("namespace", draft.take(Field::K8sNamespace));
    resource.choose("role", (1, "Target"));
    Some(resource)
}
