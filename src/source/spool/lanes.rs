//! Lanes of the spool: each source that pushes has one, as far as there are any, so that one that floods waits for itself and delays no other.
//!
//! All lanes share the files and the syncs; a frame says in its flags whose lane it is in. Each is read from a position of its own, and takes its turn in the
//! flow beside all other sources. What lane a source has is decided anew with every start: only order within a lane counts, and any lane will do.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::model::{Checkpoint, PartitionId, SourceId};

use super::PARTITION;

/// Lanes. The first is that of every source that finds no other, and of frames of the first builds.
pub(super) const LANES: usize = 8;

/// What is known of the lanes while the service runs.
#[derive(Debug)]
pub(super) struct Lanes {
    of: Mutex<BTreeMap<SourceId, usize>>,
    lanes: [Lane; LANES],
}

#[derive(Debug, Default)]
struct Lane {
    /// Frames may come in it.
    is_used: AtomicBool,
    /// Every frame of the lane below this number was handed over.
    scanned: AtomicU64,
    /// The number after the last that was handed over.
    handed: AtomicU64,
    /// Bytes on disk that were not handed over, of pushes since the start.
    waiting: AtomicU64,
}

impl Lanes {
    pub(super) fn new() -> Self {
        let lanes: [Lane; LANES] = Default::default();
        // Whoever finds no lane of its own is in this one.
        lanes[0].is_used.store(true, Ordering::SeqCst);
        Self { of: Mutex::default(), lanes }
    }

    /// The lane of a source. Its first push finds it one.
    pub(super) fn lane_of(&self, source: &SourceId) -> usize {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = of.get(source) {
            return *lane;
        }
        let lane = of.len() + 1;
        if lane >= LANES {
            return 0;
        }
        of.insert(source.clone(), lane);
        if let Some(lane) = self.lanes.get(lane) {
            lane.is_used.store(true, Ordering::SeqCst);
        }
        lane
    }

    #[cfg(test)]
    pub(super) fn use_for_test(&self, lane: usize) {
        self.lanes[lane].is_used.store(true, Ordering::SeqCst);
    }

    /// Whether any source of this process is in it.
    pub(super) fn is_used(&self, lane: usize) -> bool {
        self.lanes.get(lane).is_some_and(|lane| lane.is_used.load(Ordering::SeqCst))
    }

    /// A push of so many bytes is durable.
    pub(super) fn came(&self, lane: usize, bytes: u64) {
        if let Some(lane) = self.lanes.get(lane) {
            lane.waiting.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// Bytes of a lane that wait.
    pub(super) fn waiting(&self, lane: usize) -> u64 {
        self.lanes.get(lane).map_or(0, |lane| lane.waiting.load(Ordering::Relaxed))
    }

    /// A frame of the lane was handed over.
    pub(super) fn handed(&self, lane: usize, seq: u64, bytes: u64) {
        if let Some(lane) = self.lanes.get(lane) {
            lane.handed.store(seq + 1, Ordering::SeqCst);
            lane.scanned.store(seq + 1, Ordering::SeqCst);
            // What came before the start was not counted when it came.
            let _ = lane.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |known| Some(known.saturating_sub(bytes)));
        }
    }

    /// There is nothing more of the lane below this number.
    pub(super) fn scanned(&self, lane: usize, below: u64) {
        if let Some(lane) = self.lanes.get(lane) {
            lane.scanned.fetch_max(below, Ordering::SeqCst);
        }
    }

    /// Below this number every frame is durable in the store. A lane that has been read up to somewhere, and of which all that was handed over is durable,
    /// holds nothing back before there.
    pub(super) fn done(&self, upto: &Checkpoint) -> u64 {
        let done = |(at, lane): (usize, &Lane)| {
            // In this order: what is handed over between the two is above what was scanned.
            let scanned = lane.scanned.load(Ordering::SeqCst);
            let durable = position(upto, at);
            if lane.handed.load(Ordering::SeqCst) <= durable { scanned.max(durable) } else { durable }
        };
        self.lanes.iter().enumerate().map(done).min().unwrap_or_default()
    }
}

/// The partition of a lane.
pub(super) fn partition(lane: usize) -> PartitionId {
    PartitionId(format!("{PARTITION}/{lane}").into())
}

/// Where reading a lane goes on. Frames of the first builds were of one partition.
pub(super) fn position(from: &Checkpoint, lane: usize) -> u64 {
    from.get(&partition(lane)).max(from.get(&PartitionId::from(PARTITION))).0
}

/// Below this number no frame is to be written again.
pub(super) fn highest(from: &Checkpoint) -> u64 {
    (0..LANES).map(|lane| position(from, lane)).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Position;

    #[test]
    fn files_go_when_no_lane_needs_them() {
        let lanes = Lanes::new();
        let (a, b) = (lanes.lane_of(&SourceId::from("a")), lanes.lane_of(&SourceId::from("b")));
        assert_eq!((a, b, lanes.lane_of(&SourceId::from("a"))), (1, 2, 1));
        let mut upto = Checkpoint::default();
        // Everybody has looked up to 10; a's frame 4 and b's frame 7 were handed over.
        lanes.handed(a, 4, 1);
        lanes.handed(b, 7, 1);
        (0..LANES).for_each(|lane| lanes.scanned(lane, 10));
        assert_eq!(lanes.done(&upto), 0, "nothing is durable");
        upto.advance(&partition(a), Position(5));
        assert_eq!(lanes.done(&upto), 0, "b's is not");
        upto.advance(&partition(b), Position(8));
        assert_eq!(lanes.done(&upto), 10, "what was looked at and is nobody's goes too");
        lanes.handed(b, 12, 1);
        assert_eq!(lanes.done(&upto), 8);
    }

    #[test]
    fn sources_past_the_last_lane_share_the_first() {
        let lanes = Lanes::new();
        for source in 1..LANES {
            assert_eq!(lanes.lane_of(&SourceId::from(source.to_string().as_str())), source);
        }
        assert_eq!(lanes.lane_of(&SourceId::from("one more")), 0);
        assert!((0..LANES).all(|lane| lanes.is_used(lane)));
    }
}
