//! Trivy: reports of its operator and of Starboard, whole or in a webhook's body, and the JSON of the command for an image, a folder or a cluster.
//! Of checks, facts are those that did not pass, if there are any.

use std::sync::LazyLock;

use super::Head;
use super::identity::{Identity, Place, act_of, whole_id};
use super::instant;
use super::object::{self, Object};
use super::policy::{gather_failing, push_lower};
use super::slots::{Gathered, Table, slots, table_under};
use crate::model::{Doc, Facts, Field};

slots!(Slot {
    Verb "verb";
    ReportKind "kind";
    Updated "report updateTimestamp|status updateTimestamp";
    Created "metadata creationTimestamp|CreatedAt";
    Uid "metadata uid";
    Version "metadata resourceVersion";
    ObjectKind "metadata labels trivy-operator.resource.kind|metadata labels starboard.resource.kind";
    ObjectName "metadata labels trivy-operator.resource.name|metadata labels starboard.resource.name|metadata annotations trivy-operator.resource.name";
    ObjectNamespace "metadata labels trivy-operator.resource.namespace|metadata labels starboard.resource.namespace|metadata namespace";
    Container "metadata labels trivy-operator.container.name|metadata labels starboard.container.name";
    Server "report registry server";
    Repository "report artifact repository";
    Tag "report artifact tag";
    Digest "report artifact digest";
    Vulnerability "report vulnerabilities vulnerabilityID|Results Vulnerabilities VulnerabilityID";
    Secret "report secrets ruleID|Results Secrets RuleID";
    Check "report checks checkID|Results Misconfigurations ID|spec compliance controls id|status detailReport results id|status summaryReport controlCheck id";
    Severity "report vulnerabilities severity|report secrets severity|report checks severity|Results Vulnerabilities Severity|Results Secrets Severity|Results Misconfigurations Severity|spec compliance controls severity";
    Status "report checks success|Results Misconfigurations Status";
    Failures "status summary failCount";
    Title "report vulnerabilities title|report secrets title|report checks title|report checks messages|Results Vulnerabilities Title|Results Secrets Title|Results Misconfigurations Title|spec compliance title";
    Artifact "ArtifactName";
    ArtifactType "ArtifactType";
    Images "Metadata RepoTags";
    Kind "Kind";
    Name "Name";
    Namespace "Namespace";
    ApiVersion "ApiVersion";
    NoUid "UID";
});

/// Where a report stands: alone, in a webhook's body, or as one of those of a cluster.
const UNDER: &[&str] = &["", "operatorObject", "Vulnerabilities", "Misconfigurations", "Resources"];

static TABLE: LazyLock<Table<Slot>> = LazyLock::new(|| table_under(UNDER, Slot::ROWS));

pub(super) fn read(doc: &Doc, place: &Place<'_>, facts: &mut Facts) -> Head {
    let fields = gather_failing(doc, &TABLE, Slot::Status);
    facts.push_text(Field::PolicyEngine, "trivy");
    fields.alias_first(Slot::Verb, Field::EventAction, facts);
    fields.alias_first(Slot::ReportKind, Field::PolicyName, facts);
    fields.alias_first(Slot::Container, Field::K8sContainer, facts);
    for slot in [Slot::Vulnerability, Slot::Secret, Slot::Check] {
        fields.alias(slot, Field::PolicyRule, facts);
    }
    fields.alias(Slot::Title, Field::Message, facts);
    for severity in fields.texts(Slot::Severity) {
        push_lower(Field::PolicySeverity, Some(severity), facts);
    }
    let outcome = outcome(&fields);
    facts.push_text(Field::PolicyResult, if outcome == "failure" { "fail" } else { "pass" });
    images(&fields, facts);
    let object = Object {
        kind: fields.text(Slot::ObjectKind),
        namespace: fields.text(Slot::ObjectNamespace),
        name: fields.text(Slot::ObjectName),
        ..Object::default()
    };
    object.push(facts);
    let is_cut = object::push_each(&fields, [Slot::ApiVersion, Slot::Kind, Slot::Namespace, Slot::Name, Slot::NoUid], facts);
    let time = [Slot::Updated, Slot::Created].into_iter().find_map(|slot| fields.text(slot).and_then(instant::read));
    let id = match (fields.text(Slot::Uid), fields.text(Slot::Version)) {
        (Some(uid), Some(version)) => {
            let mut id = Identity::event(place);
            id.part(uid);
            id.part(version);
            id.optional(fields.text(Slot::Verb));
            id.event_id()
        }
        _ => whole_id(doc, place, time),
    };
    Head { id, act: act_of(id), time, outcome, count: 1, is_truncated: is_cut || fields.is_cut() }
}

/// A vulnerability, a secret or a check that failed is a failure; a report without any is a success.
fn outcome(fields: &Gathered<'_>) -> &'static str {
    let is_failed = fields.has(Slot::Vulnerability)
        || fields.has(Slot::Secret)
        || fields.texts(Slot::Status).any(|status| status == "false" || status.eq_ignore_ascii_case("fail"))
        || fields.texts(Slot::Failures).any(|count| count != "0");
    if is_failed { "failure" } else { "success" }
}

fn images(fields: &Gathered<'_>, facts: &mut Facts) {
    if let Some(repository) = fields.text(Slot::Repository) {
        let server = fields.text(Slot::Server).map(|server| format!("{server}/")).unwrap_or_default();
        let version = match (fields.text(Slot::Tag), fields.text(Slot::Digest)) {
            (Some(tag), _) => format!(":{tag}"),
            (None, Some(digest)) => format!("@{digest}"),
            (None, None) => String::new(),
        };
        object::push_image(Some(&format!("{server}{repository}{version}")), facts);
    }
    if fields.text(Slot::ArtifactType) == Some("container_image") {
        object::push_image(fields.text(Slot::Artifact), facts);
    }
    for image in fields.texts(Slot::Images) {
        object::push_image(Some(image), facts);
    }
}
