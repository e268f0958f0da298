//! Audit-IDs that come with different requests. The id is the client's word (a header), so one who wants to hide a request can send that of another:
//! here nothing is identified by it alone, and that somebody tries is worth an alert.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use crate::model::{ActId, ClusterId, Event, FieldRef, Kind, TenantId};

/// Ids that are remembered, each in the place that its hash names: an id that comes again after another took its place is not noticed.
const PLACES: usize = 1 << 15;

/// The ids that came last.
#[derive(Debug)]
pub struct Reuse {
    hasher: RandomState,
    places: Box<[(u64, ActId)]>,
    field: Option<FieldRef>,
}

impl Default for Reuse {
    fn default() -> Self {
        Self {
            hasher: RandomState::default(),
            places: vec![(0, ActId::default()); PLACES].into_boxed_slice(),
            field: FieldRef::parse("auditID").ok(),
        }
    }
}

impl Reuse {
    /// Looks at an event; says whose it is, if its id came with another request before. The stages of one request are one.
    pub fn look<'e>(&mut self, event: &'e Event) -> Option<(&'e TenantId, &'e ClusterId)> {
        if event.kind != Kind::K8sAudit {
            return None;
        }
        let id = event.first(self.field.as_ref()?)?;
        let hash = self.hasher.hash_one((event.tenant.as_str(), event.cluster.as_str(), id.text)) | 1;
        let place = self.places.get_mut(hash as usize / 2 % PLACES)?;
        let (known, act) = std::mem::replace(place, (hash, event.act));
        (known == hash && act != event.act).then_some((&event.tenant, &event.cluster))
    }
}
