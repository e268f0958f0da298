//! Observables: the values of an event that one looks for elsewhere, each with the place where it stands.

use serde_json::{Map, Value};

use super::UNKNOWN;
use super::class::Choice;
use super::object::Object;

/// Observables of one event. Past it the rest is only where it stands.
const OBSERVABLES_MAX: usize = 64;

const HOSTNAME: Choice<'static> = (1, "Hostname");
const IP: Choice<'static> = (2, "IP Address");
const USER_NAME: Choice<'static> = (4, "User Name");
const URL: Choice<'static> = (6, "URL String");
const PROCESS_NAME: Choice<'static> = (9, "Process Name");
const COMMAND_LINE: Choice<'static> = (13, "Command Line");
const USER_AGENT: Choice<'static> = (16, "HTTP User-Agent");
const FILE_PATH: Choice<'static> = (45, "File Path");

/// Places of such values; `[]` is each element of a list.
const PLACES: &[(&str, Choice<'static>)] = &[
    ("actor.user.name", USER_NAME),
    ("src_endpoint.ip", IP),
    ("dst_endpoint.ip", IP),
    ("dst_endpoint.hostname", HOSTNAME),
    ("query.hostname", HOSTNAME),
    ("http_request.user_agent", USER_AGENT),
    ("http_request.url.url_string", URL),
    ("file.path", FILE_PATH),
    ("resources[].ip", IP),
    ("evidences[].actor.user.name", USER_NAME),
    ("evidences[].src_endpoint.ip", IP),
    ("evidences[].dst_endpoint.ip", IP),
    ("evidences[].process.name", PROCESS_NAME),
    ("evidences[].process.cmd_line", COMMAND_LINE),
    ("evidences[].file.path", FILE_PATH),
];

/// The observables of an event, in the order of the table above.
pub(super) fn list(event: &Object) -> Vec<Object> {
    let mut found = Vec::new();
    for (place, choice) in PLACES {
        let Some((list, rest)) = place.split_once("[].") else {
            push(event.members(), place, (*place).to_owned(), *choice, &mut found);
            continue;
        };
        let elements = event.members().get(list).and_then(Value::as_array).into_iter().flatten();
        for (at, element) in elements.enumerate() {
            if let Value::Object(members) = element {
                push(members, rest, format!("{list}[{at}].{rest}"), *choice, &mut found);
            }
        }
    }
    found.truncate(OBSERVABLES_MAX);
    found
}

fn push(members: &Map<String, Value>, path: &str, name: String, choice: Choice<'static>, to: &mut Vec<Object>) {
    let mut segments = path.split('.');
    let first = segments.next().and_then(|key| members.get(key));
    let value = segments.fold(first, |value, key| value.and_then(|value| value.get(key)));
    if let Some(value) = value.and_then(Value::as_str).filter(|value| *value != UNKNOWN) {
        let mut observable = Object::with("name", name);
        observable.choose("type", choice);
        observable.put("value", value);
        to.push(observable);
    }
}
