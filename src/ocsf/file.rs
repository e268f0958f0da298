//! File System Activity (1001): what a watcher of files saw. A record that names no file is a Base Event.

use super::UNKNOWN;
use super::class::{Choice, FILE_ACTIVITY, NOT_KNOWN, OTHER};
use super::draft::{Draft, Shape};
use super::finding::{file, node};
use super::object::Object;
use crate::model::Field;

/// Where watchers say what was done.
const ACTIONS: &[&str] = &["columns.action", "action", "operation", "Operation"];

pub(super) fn shape<'e>(draft: &mut Draft<'e>) -> Shape<'e> {
    let Some(path) = draft.take(Field::FilePath) else { return Shape::base() };
    let mut device = node(draft);
    if device.is_empty() {
        device.put("hostname", UNKNOWN);
        device.choose("type", NOT_KNOWN);
    }
    let mut body = Object::with("file", file(path));
    body.put("device", device);
    // Whose process it was says more than that nobody is known.
    let process_user = if draft.peek(Field::ActorUserName).is_none() { draft.take(Field::ProcessUserName) } else { None };
    match process_user {
        Some(name) => body.put("actor", Object::with("user", Object::with("name", name))),
        None => body.put("actor", draft.actor()),
    }
    let action = ACTIONS.iter().find_map(|name| draft.native(name));
    Shape::new(&FILE_ACTIVITY, action.map_or(NOT_KNOWN, activity), body)
}

fn activity(action: &str) -> Choice<'_> {
    match action.to_ascii_lowercase().as_str() {
        "created" | "create" | "added" => (1, "Create"),
        "accessed" | "read" => (2, "Read"),
        "updated" | "update" | "modified" | "write" => (3, "Update"),
        "deleted" | "delete" | "removed" => (4, "Delete"),
        "moved_to" | "moved_from" | "renamed" | "rename" => (5, "Rename"),
        "attributes_modified" => (6, "Set Attributes"),
        "opened" | "open" => (14, "Open"),
        _ => (OTHER, action),
    }
}
