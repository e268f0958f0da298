//! Detection Finding (2004) of an alert: the rule, whom and what it names, and the steps of the story as evidence.

use serde_json::Value;

use super::attack;
use super::class::{self, Choice, DETECTION_FINDING, OTHER, RULE};
use super::draft::{head, is_ip, metadata};
use super::object::Object;
use super::observable;
use crate::model::{Alert, Level, Status, Step};

/// What has become of an alert: activity and status.
fn life(status: Status) -> (Choice<'static>, Choice<'static>) {
    match status {
        Status::Open => ((1, "Create"), (1, "New")),
        Status::Acknowledged => ((2, "Update"), (2, "In Progress")),
        Status::Closed => ((3, "Close"), (4, "Resolved")),
        Status::Superseded => ((3, "Close"), (OTHER, "superseded")),
    }
}

/// Severities as Sigma names them are the schema's own.
fn severity(level: Level) -> Choice<'static> {
    class::severity(level.name())
}

pub(super) fn finding(alert: &Alert) -> Object {
    let (activity, status) = life(alert.status);
    let mut out = head(&DETECTION_FINDING, activity, severity(alert.rule.level));
    out.put("time", alert.first_seen.millis());
    out.put("start_time", alert.first_seen.millis());
    out.put("end_time", alert.last_seen.millis());
    out.put("message", alert.title.as_str());
    out.put("count", alert.count);
    out.choose("status", status);
    out.put("is_alert", matches!(alert.status, Status::Open | Status::Acknowledged));
    out.put("finding_info", info(alert));
    out.put("resources", alert.entities.iter().filter_map(|entity| resource(entity)).collect::<Vec<_>>());
    out.put("evidences", alert.steps.iter().map(evidence).collect::<Vec<_>>());
    out.put("remediation", Object::with("desc", alert.rule.runbook.as_deref()));
    let mut metadata = metadata(&alert.id.to_string(), alert.tenant.as_str());
    metadata.put("log_name", "alert");
    out.put("metadata", metadata);
    out.put("observables", observable::list(&out));
    out.put("unmapped", unmapped(alert));
    out
}

fn info(alert: &Alert) -> Object {
    let mut info = Object::with("uid", alert.id.to_string());
    info.put("title", alert.title.as_str());
    info.put("first_seen_time", alert.first_seen.millis());
    info.put("last_seen_time", alert.last_seen.millis());
    let mut analytic = Object::with("uid", alert.rule.id.as_str());
    analytic.put("name", alert.rule.title.as_str());
    analytic.choose("type", RULE);
    info.put("analytic", analytic);
    info.put("attacks", attack::list(alert.rule.tags.iter().map(String::as_str)));
    info.put("related_events", alert.events.iter().map(|id| Object::with("uid", id.to_string())).collect::<Vec<_>>());
    info.put("related_events_count", alert.count);
    info
}

/// An entity such as `pod:prod/web-0`; the whole of it is its id.
fn resource(entity: &str) -> Option<Object> {
    let (kind, name) = entity.split_once(':').filter(|(kind, name)| !kind.is_empty() && !name.is_empty())?;
    let mut resource = Object::with("uid", entity);
    resource.put("type", kind);
    match name.split_once('/').filter(|_| matches!(kind, "pod" | "sa" | "workload")) {
        Some((namespace, name)) => {
            resource.put("namespace", namespace);
            resource.put("name", name);
        }
        None => resource.put("name", name),
    }
    if kind == "ip" && is_ip(name) {
        resource.put("ip", name);
    }
    resource.choose("role", if matches!(kind, "user" | "sa") { (2, "Actor") } else { (3, "Affected") });
    Some(resource)
}

/// One step of the story: which values made which rule match.
fn evidence(step: &Step) -> Object {
    let mut data = Object::with("rule", step.rule.as_str());
    data.put("time", step.time.to_string());
    let matched = step.matched.iter().map(|found| {
        let mut matched = Object::with("selection", found.selection.as_str());
        matched.put("field", found.field.as_str());
        matched.put("value", found.value.as_str());
        matched
    });
    data.put("matched", matched.filter(|matched| !matched.is_empty()).collect::<Vec<_>>());
    let mut evidence = Object::with("uid", step.event.to_string());
    evidence.put("data", data);
    evidence
}

fn unmapped(alert: &Alert) -> Object {
    let mut rest = Object::with("cluster", alert.cluster.as_str());
    let mut group = Object::default();
    for (field, value) in &alert.group {
        group.put(field, value.clone());
    }
    rest.put("group", group);
    rest.put("entity", alert.entities.clone());
    rest.put("status", alert.status.name());
    rest.put_at("rule.type", serde_json::to_value(alert.rule.kind).unwrap_or_default());
    rest.put_at("rule.author", alert.rule.author.as_deref());
    rest.put_at("rule.tags", Value::from(alert.rule.tags.clone()));
    rest.put("late", alert.late);
    rest.put("evidence_gaps", alert.evidence_gaps.clone());
    rest.put("superseded_by", alert.superseded_by.map(|id| id.to_string()));
    rest
}
