//! Yandex Audit Trails: what was done to the cloud itself, in both key cases.

use super::sniff::{Shape, Want, sign};
use crate::model::{EnvelopeKind, Kind};

const TRAIL: Shape = Shape { all: &[], any: &[], kind: Kind::CloudAudit, envelope: EnvelopeKind::YandexAuditTrails, lift: None };
const EVENT_TYPE: Want = Want::Text("yandex.cloud.audit.");

pub(super) const SHAPES: &[Shape] =
    &[Shape { all: &[sign("event_type", EVENT_TYPE)], ..TRAIL }, Shape { all: &[sign("eventType", EVENT_TYPE)], ..TRAIL }];
