//! Log shippers: a record in a carrier field, beside what the shipper knows of the container that printed it.

use std::ops::Range;

use super::members::{members, text, text_of};
use super::open::Opening;
use crate::model::{Doc, Emitter, Timestamp, Wrapping};

/// Where shippers write the container: below this member, by these names (fluent-bit and fluentd, vector, filebeat).
const KUBERNETES: &str = "kubernetes";
const NAMESPACES: &[&[&str]] = &[&["namespace_name"], &["pod_namespace"], &["namespace"]];
const PODS: &[&[&str]] = &[&["pod_name"], &["pod", "name"]];
const CONTAINERS: &[&[&str]] = &[&["container_name"], &["container", "name"]];

/// Reads the first carried value that holds a record. `carried` are ranges of `from`, in the order in which they are to be tried.
pub(super) fn open(object: &[u8], carried: &[(usize, Range<usize>)], from: &[u8], opening: &mut Opening<'_>) {
    if carried.is_empty() {
        return;
    }
    let [kubernetes, at, time, timestamp] = members(object, [KUBERNETES, "@timestamp", "time", "timestamp"]);
    if let Some(emitter) = kubernetes.and_then(emitter) {
        opening.says(&Wrapping { emitter: Some(emitter), ..Wrapping::default() });
    }
    opening.at([at, timestamp, time].into_iter().flatten().find_map(|value| Timestamp::parse(&text_of(value)?)));
    for (_, range) in carried {
        if opening.value(from.get(range.clone()).unwrap_or_default()) {
            return;
        }
    }
}

fn emitter(kubernetes: &[u8]) -> Option<Emitter> {
    let one = |paths: &[&[&str]]| paths.iter().find_map(|path| text(kubernetes, path)).map(|name| name.into_owned());
    let emitter = Emitter { namespace: one(NAMESPACES).unwrap_or_default(), pod: one(PODS)?, container: one(CONTAINERS).unwrap_or_default() };
    Some(emitter)
}

/// The container that a shipper wrote beside the members of a record which it merged into its own.
pub(super) fn emitter_beside(doc: &Doc) -> Option<Emitter> {
    let beside = doc.containers().iter().skip(1).filter(|container| container.parent == 0 && !container.is_array);
    let mut named = beside.filter(|container| doc.container_key(container) == KUBERNETES);
    named.find_map(|container| emitter(doc.container_text(container).as_bytes()))
}
