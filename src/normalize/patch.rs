//! JSON patches: an operation's value counts as if it stood at the operation's path, so one table serves objects and patches.

use crate::model::{Doc, Leaf, Path};

/// Operations of one patch that are read. Past it the rest gives no facts.
const OPERATIONS_MAX: usize = 256;
/// Segments of an operation's path that are read.
const SEGMENTS_MAX: usize = 32;

/// Calls `to` with the index of each leaf under a value of the patch, and the path it would have in the object.
/// `root` is the key that has the list of operations (`requestObject`).
pub(super) fn rebase(doc: &Doc, root: &str, mut to: impl FnMut(usize, Path)) {
    let list = Path::of([root]);
    let (op_path, path_path, value_path) = (list.child("op"), list.child("path"), list.child("value"));
    let mut operations: Vec<(u32, Path)> = Vec::new();
    let mut tests: Vec<u32> = Vec::new();
    for leaf in doc.leaves() {
        if leaf.path == path_path && operations.len() < OPERATIONS_MAX {
            operations.push((leaf.parent, target(list, doc.value(leaf).text)));
        } else if leaf.path == op_path && doc.value(leaf).text == "test" && tests.len() < OPERATIONS_MAX {
            tests.push(leaf.parent);
        }
    }
    operations.retain(|(operation, _)| !tests.contains(operation));
    if operations.is_empty() {
        return;
    }
    for (at, leaf) in doc.leaves().iter().enumerate() {
        if let Some((keys, operation)) = keys_below(doc, leaf, value_path)
            && let Some((_, base)) = operations.iter().find(|(known, _)| *known == operation)
        {
            to(at, keys.iter().rev().fold(*base, |path, key| path.child(key)));
        }
    }
}

/// The path of a JSON pointer below the root; list positions are transparent, as in a document.
fn target(root: Path, pointer: &str) -> Path {
    pointer.split('/').skip(1).take(SEGMENTS_MAX).fold(root, |path, segment| {
        let is_position = segment == "-" || (!segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit()));
        if is_position { path } else { path.child(&segment.replace("~1", "/").replace("~0", "~")) }
    })
}

/// The keys from the operation's value down to the leaf, the last first, and the operation's container. None: the leaf lies elsewhere.
fn keys_below<'d>(doc: &'d Doc, leaf: &Leaf, value: Path) -> Option<(Vec<&'d str>, u32)> {
    let is_element = |parent: u32| doc.containers().get(parent as usize).is_some_and(|parent| parent.is_array);
    let mut keys = Vec::new();
    let (mut path, mut key, mut parent) = (leaf.path, doc.key(leaf), leaf.parent);
    loop {
        let parent_container = doc.containers().get(parent as usize)?;
        if path == value && parent_container.path != value {
            return Some((keys, parent));
        }
        if !is_element(parent) {
            keys.push(key);
        }
        if parent_container.parent == parent {
            return None;
        }
        (path, key, parent) = (parent_container.path, doc.container_key(parent_container), parent_container.parent);
    }
}
