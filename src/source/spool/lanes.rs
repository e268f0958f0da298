//! Lanes of the spool: each source that pushes has one, as far as there are any, so that one that floods waits for itself and delays no other.
//!
//! All lanes share the files and the syncs; a frame says in its flags whose lane it is in. Each is read from a position of its own, and takes its turn in the
//! flow beside all other sources. What lane a source has is decided anew with every start: only order within a lane counts, and any lane will do.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::{Checkpoint, PartitionId, SourceId};

use super::PARTITION;

/// Lanes. The first is that of every source that finds no other, and of frames of the first builds.
pub const LANES: usize = 8;

/// What is known of the lanes while the service runs.
#[derive(Debug)]
pub(super) struct Lanes {
    of: Mutex<BTreeMap<SourceId, usize>>,
    lanes: [Lane; LANES],
    /// That of the readers of now.
    progress: Mutex<Arc<Progress>>,
}

#[derive(Debug, Default)]
struct Lane {
    /// Frames may come in it.
    is_used: AtomicBool,
    /// Bytes on disk that were not handed over, of pushes since the start.
    waiting: AtomicU64,
}

/// How far the readers of one flow are. A flow that begins anew at an earlier checkpoint has one of its own, so that a reader of the flow before, which
/// may be at work still, says nothing of it.
#[derive(Debug, Default)]
pub(super) struct Progress([Read; LANES]);

#[derive(Debug, Default)]
struct Read {
    /// Every frame of the lane below this number was handed over.
    scanned: AtomicU64,
    /// The number after the last that was handed over.
    handed: AtomicU64,
}

impl Progress {
    /// A frame of the lane is handed over.
    pub(super) fn handed(&self, lane: usize, seq: u64) {
        if let Some(read) = self.0.get(lane) {
            read.handed.store(seq + 1, Ordering::SeqCst);
            read.scanned.store(seq + 1, Ordering::SeqCst);
        }
    }

    /// There is nothing more of the lane below this number.
    pub(super) fn scanned(&self, lane: usize, below: u64) {
        if let Some(read) = self.0.get(lane) {
            read.scanned.fetch_max(below, Ordering::SeqCst);
        }
    }

    /// Below this number every frame is durable in the store. A lane that has been read up to somewhere, and of which all that was handed over is durable,
    /// holds nothing back before there.
    pub(super) fn done(&self, upto: &Checkpoint) -> u64 {
        let done = |(at, read): (usize, &Read)| {
            // In this order: what is handed over between the two is above what was scanned.
            let scanned = read.scanned.load(Ordering::SeqCst);
            let durable = position(upto, at);
            if read.handed.load(Ordering::SeqCst) <= durable { scanned.max(durable) } else { durable }
        };
        self.0.iter().enumerate().map(done).min().unwrap_or_default()
    }
}

impl Lanes {
    pub(super) fn new() -> Self {
        let lanes: [Lane; LANES] = Default::default();
        // Whoever finds no lane of its own is in this one.
        lanes[0].is_used.store(true, Ordering::SeqCst);
        Self { of: Mutex::default(), lanes, progress: Mutex::default() }
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

    /// So many bytes of a lane were handed over.
    pub(super) fn went(&self, lane: usize, bytes: u64) {
        if let Some(lane) = self.lanes.get(lane) {
            // What came before the start was not counted when it came.
            let _ = lane.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |known| Some(known.saturating_sub(bytes)));
        }
    }

    /// The readers of a new flow begin.
    pub(super) fn begin(&self) -> Arc<Progress> {
        let progress = Arc::new(Progress::default());
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&progress);
        progress
    }

    /// As [`Progress::done`], of the readers of now.
    pub(super) fn done(&self, upto: &Checkpoint) -> u64 {
        let progress = Arc::clone(&self.progress.lock().unwrap_or_else(PoisonError::into_inner));
        progress.done(upto)
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
        let (readers, mut upto) = (lanes.begin(), Checkpoint::default());
        // Everybody has looked up to 10; a's frame 4 and b's frame 7 were handed over.
        readers.handed(a, 4);
        readers.handed(b, 7);
        (0..LANES).for_each(|lane| readers.scanned(lane, 10));
        assert_eq!(lanes.done(&upto), 0, "nothing is durable");
        upto.advance(&partition(a), Position(5));
        assert_eq!(lanes.done(&upto), 0, "b's is not");
        upto.advance(&partition(b), Position(8));
        assert_eq!(lanes.done(&upto), 10, "what was looked at and is nobody's goes too");
        readers.handed(b, 12);
        assert_eq!(lanes.done(&upto), 8);
    }

    #[test]
    fn a_reader_of_the_flow_before_says_nothing_of_this_one() {
        let lanes = Lanes::new();
        let old = lanes.begin();
        (0..LANES).for_each(|lane| old.scanned(lane, 4));
        let new = lanes.begin();
        new.handed(1, 5);
        // It is at work still, and far ahead.
        old.handed(1, 99);
        (0..LANES).for_each(|lane| old.scanned(lane, 200));
        let mut upto = Checkpoint::default();
        (0..LANES).for_each(|lane| upto.advance(&partition(lane), Position(6)));
        assert_eq!(lanes.done(&upto), 6, "what this flow has not read yet is not done");
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
