//! Which system wrote a record whose kind does not say it: told by members that only that system has.
//!
//! It is told anew each time a record is read, so that one that comes back from the store is read as it was at first.

use std::sync::LazyLock;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::identity::Place;
use super::{
    Head, falco, gatekeeper, gke, hubble_system, k8s_event, kube_bench, kubearmor, kyverno, osquery, other, policy_report, policy_reporter, tetragon,
};
use super::{source_health, trivy, yandex};
use crate::model::{Doc, Facts, Kind, Path};

type Read = fn(&Doc, &Place<'_>, &mut Facts) -> Head;

/// A system: the kinds its records have, members that they have (each any of those parted by `|`), and how they are read.
struct Dialect {
    kinds: &'static [Kind],
    signs: &'static [&'static str],
    read: Read,
}

const fn dialect(kinds: &'static [Kind], signs: &'static [&'static str], read: Read) -> Dialect {
    Dialect { kinds, signs, read }
}

/// Every system; the first that fits.
const DIALECTS: &[Dialect] = &[
    dialect(&[Kind::Policy], &["apiVersion", "metadata|results"], policy_report::read),
    dialect(&[Kind::Policy], &["constraint_name|enforcementAction", "event_type|eventType"], gatekeeper::read),
    dialect(&[Kind::Policy], &["PolicyName", "Operation"], kubearmor::read),
    dialect(&[Kind::Policy], &["policy|Policy", "status|Status"], policy_reporter::read),
    dialect(&[Kind::Policy], &["logger"], kyverno::read),
    dialect(&[Kind::Finding], &["Controls|tests"], kube_bench::read),
    dialect(&[Kind::Finding], &[], trivy::read),
    dialect(&[Kind::K8sEvent], &[], k8s_event::read),
    dialect(
        &[Kind::CloudAudit],
        &["event_type|eventType", "event_type|event_status|eventStatus|authentication|requestMetadata|resourceMetadata"],
        yandex::read,
    ),
    dialect(&[Kind::CloudAudit], &[], gke::read),
    dialect(&[Kind::Fim], &[], osquery::read),
    dialect(&[Kind::Other], &["name", "columns|snapshot|diffResults"], osquery::read),
    dialect(&[Kind::SourceHealth], &["source_health"], source_health::read),
    dialect(&[Kind::SourceHealth], &["rule|Rule"], falco::read),
    dialect(&[Kind::Other, Kind::SourceHealth], &["lost_events|node_status|agent_event|debug_event|num_events_lost"], hubble_system::read),
    dialect(&[Kind::Other], &[tetragon::SIGN], tetragon::read),
    dialect(&[Kind::Other], &["Type", "Operation", "HostName|HostPID|PodName"], kubearmor::read),
];

static SIGNS: LazyLock<HashMap<Path, u64, FixedState>> = LazyLock::new(|| {
    let mut bits: HashMap<Path, u64, FixedState> = HashMap::default();
    for (bit, sign) in DIALECTS.iter().flat_map(|dialect| dialect.signs).enumerate() {
        for path in sign.split('|') {
            *bits.entry(Path::of(path.split(' '))).or_default() |= 1 << bit;
        }
    }
    bits
});

/// Reads a record of these kinds.
pub(super) fn read(doc: &Doc, place: &Place<'_>, facts: &mut Facts) -> Head {
    let paths = doc.containers().iter().map(|container| container.path).chain(doc.leaves().iter().map(|leaf| leaf.path));
    let seen = paths.fold(0, |seen, path| seen | SIGNS.get(&path).copied().unwrap_or_default());
    let mut bit = 0;
    for dialect in DIALECTS {
        let all = ((1_u64 << dialect.signs.len()) - 1) << bit;
        bit += dialect.signs.len();
        if dialect.kinds.contains(&place.kind) && seen & all == all {
            return (dialect.read)(doc, place, facts);
        }
    }
    other::read(doc, place, facts)
}
