//! Events and alerts as the Open Cybersecurity Schema Framework has them, for receivers that speak it.
//!
//! | what | class |
//! |---|---|
//! | `k8s_audit`, `cloud_audit` | API Activity (6003); the activity is that of the verb |
//! | `falco` | Detection Finding (2004) |
//! | `flow` | DNS Activity (4003) and HTTP Activity (4002) where the record says what was asked, else Network Activity (4001) |
//! | `fim` | File System Activity (1001) where a file is named |
//! | `policy` | Compliance Finding (2003) |
//! | `finding` | Vulnerability Finding (2002) where a CVE is named, Compliance Finding where a check passed or failed, else Detection Finding |
//! | `k8s_event`, `other`, and what lacks the heart of its class | Base Event (0) |
//! | an alert | Detection Finding |
//!
//! A Falco alert is the finding of a rule, also where it tells of a process: Process Activity would need a process id, which Falco's own rules do
//! not print, and one source would fall into two classes by the wording of its rules. The process stands among the evidences.
//!
//! What a class requires is always there; where the record does not say it, the name is `unknown`. What is empty is left out. Facts without a home in
//! the class, and those that say more than the schema's value for them, stand under `unmapped` by the names of the field vocabulary, with the identity
//! of the event; the native record is `raw_data`.
//! `tests/it/ocsf.rs` holds the output to the schema. Nothing here changes an event; it allocates freely, since only output goes this way.

mod alert;
mod api;
mod attack;
mod class;
mod draft;
mod file;
mod finding;
mod network;
mod object;
mod observable;
#[cfg(test)]
mod tests;
mod verdict;
mod write;

use crate::model::{Alert, Event, Kind};

use draft::{Draft, Shape};

/// Version of the schema that the output follows, as `metadata.version` has it.
pub const VERSION: &str = "1.9.0-dev";

/// What stands where the schema requires a name and the record has none.
const UNKNOWN: &str = "unknown";

/// Appends the event as one line of JSON, without a line end.
pub fn write_event(event: &Event, to: &mut String) {
    let mut draft = Draft::new(event);
    let shape = match event.kind {
        Kind::K8sAudit | Kind::CloudAudit => api::shape(&mut draft),
        Kind::Falco => finding::falco(&mut draft),
        Kind::Flow => network::shape(&mut draft),
        Kind::Fim => file::shape(&mut draft),
        Kind::Policy => verdict::policy(&mut draft),
        Kind::Finding => verdict::finding(&mut draft),
        Kind::K8sEvent | Kind::Other | Kind::SourceHealth => Shape::base(),
    };
    write::object(draft.finish(shape), to);
}

/// Appends the alert as one line of JSON, without a line end.
pub fn write_alert(alert: &Alert, to: &mut String) {
    write::object(alert::finding(alert), to);
}

/// The alert as a value, for an answer that has more around it.
pub fn alert(alert: &Alert) -> serde_json::Value {
    alert::finding(alert).into()
}
