//! Any events through the built-in detections: nothing panics, and their order changes no alert.
#![no_main]

use std::cell::RefCell;
use std::sync::Arc;

use bartizan::alert::draft;
use bartizan::decode::{DecodeLimits, Decoded, Decoder};
use bartizan::detect::engine::{Engine, EngineSettings};
use bartizan::detect::rule::RuleSet;
use bartizan::detect::{pack, sigma};
use bartizan::model::{ClusterId, Event, Origin, PartitionId, Position, SourceId, TenantId, Timestamp};
use bartizan::normalize::normalize;
use libfuzzer_sys::fuzz_target;

thread_local! {
    static RULES: Arc<RuleSet> = Arc::new(sigma::parse(&pack::rules(), &sigma::Settings { lists: pack::lists(), ..Default::default() }).0);
    static DECODER: RefCell<Decoder> = RefCell::new(Decoder::new(DecodeLimits::default(), None));
}

fn alerts(events: &[Event]) -> Vec<String> {
    let mut engine = RULES.with(|rules| Engine::new(Arc::clone(rules), EngineSettings::default()));
    let mut findings = Vec::new();
    for event in events {
        engine.process(std::slice::from_ref(event), &mut findings);
    }
    engine.finish(&mut findings);
    // The last word on each alert counts: totals are absolute.
    let mut last = std::collections::BTreeMap::new();
    for finding in &findings {
        let alert = draft(finding);
        if alert.superseded_by.is_none() {
            last.insert(alert.id, alert.count);
        } else {
            last.remove(&alert.id);
        }
    }
    last.into_iter().map(|(id, count)| format!("{id} {count}")).collect()
}

fuzz_target!(|payload: &[u8]| {
    let mut out = Decoded::default();
    DECODER.with(|decoder| decoder.borrow_mut().decode(payload, &mut out));
    let origin = Arc::new(Origin::of("fuzz", Timestamp::from_nanos(0)));
    let mut events: Vec<Event> = out.records.drain(..).map(|record| normalize(record, &origin, Position(0))).collect();
    // What dedupe would drop.
    let mut seen = std::collections::BTreeSet::new();
    events.retain(|event| seen.insert(event.id));
    let forwards = alerts(&events);
    events.reverse();
    assert_eq!(alerts(&events), forwards);
});
