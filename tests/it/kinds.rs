//! Samples of every system, each record with what it becomes: `tests/fixtures/kinds/NAME.ndjson` and `NAME.expected`, a line for a line.
//!
//! `BARTIZAN_BLESS=1 cargo test --test it kinds` writes the expectations anew: read the difference before you keep it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use bartizan::codec::Codec;
use bartizan::decode::{DecodeLimits, Decoded, Decoder};
use bartizan::model::{Event, Field, Kind, Origin, Position, Timestamp};
use bartizan::normalize::normalize;

use crate::service::setting;

/// Facts that every event has.
const COMMON: &[Field] =
    &[Field::EventId, Field::EventKind, Field::EventTime, Field::EventIngested, Field::EventEnvelope, Field::EventSource, Field::Cluster];

fn events(bytes: &[u8]) -> (Vec<Event>, Decoded) {
    let origin = Arc::new(Origin::of("test", Timestamp::parse("2026-01-01T12:00:00Z").unwrap()));
    let mut out = Decoded::default();
    Decoder::new(DecodeLimits::default(), Some(Arc::new(Codec))).decode(bytes, &mut out);
    let events = out.records.drain(..).map(|record| normalize(record, &origin, Position(0))).collect();
    (events, out)
}

/// A line: kind, time, and the facts.
fn show(line: &str) -> String {
    let (events, out) = events(line.as_bytes());
    let mut shown = String::new();
    for event in &events {
        let _ = write!(shown, "{} {}", event.kind.name(), event.time);
        for (field, value) in event.facts.iter(&event.doc).filter(|(field, _)| !COMMON.contains(field)) {
            let _ = write!(shown, " {}={:?}", field.name(), value.text);
        }
    }
    for reject in &out.rejects {
        let _ = write!(shown, "!{}", reject.reason);
    }
    shown
}

fn files() -> Vec<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/kinds");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "ndjson"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_sample_becomes_what_it_says() {
    let mut kinds = BTreeSet::new();
    for path in files() {
        let text = std::fs::read_to_string(&path).unwrap();
        let got: String = text.lines().map(|line| show(line) + "\n").collect();
        kinds.extend(got.lines().filter_map(|line| line.split(' ').next().map(str::to_owned)));
        let expected = path.with_extension("expected");
        if setting("BARTIZAN_BLESS").is_some() {
            std::fs::write(&expected, &got).unwrap();
        }
        let expected = std::fs::read_to_string(&expected).unwrap();
        for (at, (got, expected)) in got.lines().zip(expected.lines()).enumerate() {
            assert_eq!(got, expected, "{} line {}", path.display(), at + 1);
        }
        assert_eq!(got.lines().count(), expected.lines().count(), "{}", path.display());
    }
    for kind in [Kind::Policy, Kind::Fim, Kind::Finding, Kind::CloudAudit, Kind::K8sEvent, Kind::Other] {
        assert!(kinds.contains(kind.name()), "no sample of {}", kind.name());
    }
}

#[test]
fn one_thing_told_twice_is_one_event_and_each_is_the_same_again() {
    let (mut ids, mut repeats) = (BTreeSet::new(), 0);
    for path in files() {
        let text = std::fs::read_to_string(&path).unwrap();
        for line in text.lines() {
            let (first, second) = (events(line.as_bytes()).0, events(line.as_bytes()).0);
            for (first, second) in first.iter().zip(&second) {
                assert_eq!(first.id, second.id);
                repeats += usize::from(!ids.insert(first.id));
            }
        }
    }
    // What stands at every audit of Gatekeeper's; one result in both key cases of Policy Reporter.
    assert_eq!(repeats, 2);
}
