//! Log shippers: a record in a carrier field, beside what the shipper knows of the container that printed it.

use std::borrow::Cow;
use std::ops::Range;

use super::emitter::emitter_of_path;
use super::members::{each_member, elements, member, members, text, text_of};
use super::open::Opening;
use super::when::when;
use crate::model::{Doc, Emitter, Timestamp, Wrapping};

/// Where shippers write the container: below this member, by these names (fluent-bit and fluentd, vector, filebeat).
const KUBERNETES: &str = "kubernetes";
const NAMESPACES: &[&[&str]] = &[&["namespace_name"], &["pod_namespace"], &["namespace"]];
const PODS: &[&[&str]] = &[&["pod_name"], &["pod", "name"]];
const CONTAINERS: &[&[&str]] = &[&["container_name"], &["container", "name"]];

/// Members beside `kubernetes` that are tried as records, where a shipper was told a name for them.
const UNNAMED_MAX: usize = 8;

/// What an object without a shape of its own has for a shipper.
#[derive(Debug, Default)]
struct Found<'v> {
    kubernetes: Option<&'v [u8]>,
    time: Option<(usize, &'v [u8])>,
    path: Option<Emitter>,
    objects: Vec<&'v [u8]>,
}

/// Where shippers write the time, the most trustworthy first.
const TIMES: &[&[u8]] = &[b"@timestamp", b"timestamp", b"time", b"date", b"ts"];

impl<'v> Found<'v> {
    fn of(object: &'v [u8]) -> Self {
        let mut found = Self::default();
        each_member(object, |key, value| {
            if let Some(rank) = TIMES.iter().position(|time| *time == key)
                && found.time.is_none_or(|(best, _)| rank < best)
            {
                found.time = Some((rank, value));
            }
            match (key, value.first()) {
                // A record that was merged into the object may have brought one of its own: the shipper's comes last.
                (b"kubernetes", Some(b'{')) => found.kubernetes = Some(value),
                (b"file" | b"path" | b"filename" | b"tag", Some(b'"')) => found.note_path(text_of(value)),
                (b"log", Some(b'{')) => found.note_path(text(value, &["file", "path"])),
                (_, Some(b'{')) if found.objects.len() < UNNAMED_MAX && key != b"event" => found.objects.push(value),
                _ => {}
            }
            true
        });
        found
    }

    fn note_path(&mut self, path: Option<Cow<'_, str>>) {
        self.path = self.path.take().or_else(|| emitter_of_path(&path?));
    }
}

/// Reads the first carried value that holds a record. `carried` are ranges of `from`, in the order in which they are to be tried.
pub(super) fn open(object: &[u8], carried: &[(usize, Range<usize>)], from: &[u8], opening: &mut Opening<'_>) {
    let found = Found::of(object);
    if carried.is_empty() && found.kubernetes.is_none() {
        return;
    }
    let emitter = found.kubernetes.and_then(emitter).or(found.path);
    opening.says(&Wrapping { emitter, ..Wrapping::default() });
    opening.at(found.time.and_then(|(_, time)| when(&text_of(time)?)));
    if let Some(audit) = found.kubernetes.and_then(|kubernetes| member(kubernetes, &["audit"]))
        && opening.value(&with_dots(audit))
    {
        return;
    }
    let carried = carried.iter().map(|(_, range)| from.get(range.clone()).unwrap_or_default());
    if carried.filter(|value| !is_schema(value)).any(|value| opening.value(value)) {
        return;
    }
    if found.kubernetes.is_some() {
        let _ = found.objects.into_iter().any(|value| opening.value(value));
    }
}

/// `[<seconds>,{..}]`, as fluent-bit prints a record.
pub(super) fn timed(list: &[u8]) -> Option<(Timestamp, &[u8])> {
    let mut parts = elements(list);
    let time = parts.next().filter(|time| time.first().is_some_and(u8::is_ascii_digit)).and_then(|time| when(&text_of(time)?))?;
    let record = parts.next().filter(|record| record.first() == Some(&b'{'))?;
    parts.next().is_none().then_some((time, record))
}

/// Whether this is Elastic's `log` or `event`, which say something of a record and hold none.
fn is_schema(value: &[u8]) -> bool {
    members(value, ["file", "offset", "dataset", "module"]).iter().any(Option::is_some)
}

/// The container that an object of a shipper names.
pub(super) fn emitter_in(object: &[u8]) -> Option<Emitter> {
    members(object, [KUBERNETES])[0].and_then(emitter)
}

fn emitter(kubernetes: &[u8]) -> Option<Emitter> {
    let one = |paths: &[&[&str]]| paths.iter().find_map(|path| text(kubernetes, path)).map(|name| name.into_owned());
    let emitter = Emitter { namespace: one(NAMESPACES).unwrap_or_default(), pod: one(PODS)?, container: one(CONTAINERS).unwrap_or_default() };
    Some(emitter)
}

/// The container that a shipper wrote beside the members of a record which it merged into its own. The record may have had a member of that
/// name; the shipper's comes last.
pub(super) fn emitter_beside(doc: &Doc) -> Option<Emitter> {
    let beside = doc.containers().iter().skip(1).filter(|container| container.parent == 0 && !container.is_array);
    let mut named = beside.filter(|container| doc.container_key(container) == KUBERNETES);
    named.next_back().and_then(|container| emitter(doc.container_text(container).as_bytes()))
}

/// An audit event with the dots of its annotations' keys, where Elastic has put underscores: domain names have none.
fn with_dots(audit: &[u8]) -> Cow<'_, [u8]> {
    let [Some(annotations)] = members(audit, ["annotations"]) else { return Cow::Borrowed(audit) };
    let mut is_changed = false;
    let mut out = b"{".to_vec();
    each_member(annotations, |key, value| {
        let key = String::from_utf8_lossy(key);
        let key = match key.split_once('/') {
            Some((domain, name)) if domain.contains('_') => {
                is_changed = true;
                Cow::Owned(format!("{}/{name}", domain.replace('_', ".")))
            }
            _ => key,
        };
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(format!("\"{key}\":").as_bytes());
        out.extend_from_slice(value);
        true
    });
    out.push(b'}');
    if !is_changed {
        return Cow::Borrowed(audit);
    }
    let mut whole = b"{".to_vec();
    each_member(audit, |key, value| {
        if whole.len() > 1 {
            whole.push(b',');
        }
        whole.push(b'"');
        whole.extend_from_slice(key);
        whole.extend_from_slice(b"\":");
        whole.extend_from_slice(if key == b"annotations" { &out } else { value });
        true
    });
    whole.push(b'}');
    Cow::Owned(whole)
}

/// Whether this is an action line of Elasticsearch's bulk format: `{"create":{}}`, `{"index":{"_index":".."}}`.
pub(super) fn is_bulk_action(object: &[u8]) -> bool {
    let (mut count, mut is_action) = (0, false);
    each_member(object, |key, value| {
        count += 1;
        is_action = matches!(key, b"index" | b"create" | b"update" | b"delete") && is_about_index(value);
        is_action && count < 2
    });
    is_action && count == 1
}

fn is_about_index(value: &[u8]) -> bool {
    let mut is_so = value.first() == Some(&b'{');
    each_member(value, |key, _| {
        is_so &= key.starts_with(b"_") || matches!(key, b"routing" | b"pipeline" | b"require_alias" | b"dynamic_templates" | b"retry_on_conflict");
        is_so
    });
    is_so
}
