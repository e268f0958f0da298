//! Fields in which log shippers carry a record: as an object, or as a string of JSON.

/// In the order in which they are tried.
pub(super) const FIELDS: &[&str] = &[
    "log",
    "message",
    "msg",
    "event",
    "json_payload",
    "jsonPayload",
    "kubernetes.audit",
    "json",
    "payload",
    "body",
    "_raw",
    "log_processed",
    "_source",
    "line",
];

/// The rank of a carrier field; lower is tried first.
pub(super) fn rank(key: &[u8]) -> Option<usize> {
    FIELDS.iter().position(|field| field.as_bytes() == key)
}
