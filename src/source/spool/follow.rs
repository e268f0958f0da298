//! A thread that reads one lane ahead of the flow.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use super::lanes::{Lanes, Progress};
use super::{PARTITION, Spool, envelope};
use crate::model::Envelope;
use crate::ports::SourceError;
use crate::segment::{Frame, Reader};

pub(super) struct Follower {
    lane: usize,
    dir: PathBuf,
    reader: Reader,
    durable: watch::Receiver<u64>,
    lanes: Arc<Lanes>,
    progress: Arc<Progress>,
    /// Frames below this number were there when the process began.
    begins: u64,
    lost_before: u64,
}

impl Follower {
    pub(super) fn new(spool: &Spool, progress: &Arc<Progress>, lane: usize, from: u64) -> Self {
        let (dir, durable, lanes) = (spool.dir.clone(), spool.writer.durable(), Arc::clone(&spool.lanes));
        let progress = Arc::clone(progress);
        Self { lane, reader: Reader::new(&dir, from), dir, durable, lanes, progress, begins: spool.begins, lost_before: 0 }
    }

    /// Hands over frame after frame, and waits for more, until nobody takes them.
    pub(super) fn run(mut self, to: &mpsc::Sender<Result<Envelope, SourceError>>, runtime: &Handle) {
        loop {
            let below = *self.durable.borrow_and_update();
            // Asked after the number: a lane is used before the first frame comes in it.
            if !self.lanes.is_used(self.lane) && self.reader.position() >= self.begins {
                self.reader = Reader::new(&self.dir, below);
            }
            let sent = match self.next(below) {
                Ok(Some((frame, bytes, lost))) => {
                    let seq = frame.seq;
                    // Told of before it is handed over: until it is durable nothing of it may go.
                    self.progress.handed(self.lane, seq);
                    self.lanes.went(self.lane, bytes);
                    to.blocking_send(Ok(envelope(frame, lost, self.lane)))
                }
                Ok(None) => {
                    self.progress.scanned(self.lane, below);
                    let durable = &mut self.durable;
                    let waited = runtime.block_on(async {
                        tokio::select! {
                            changed = durable.changed() => changed.is_ok(),
                            () = to.closed() => false,
                        }
                    });
                    if !waited {
                        return;
                    }
                    continue;
                }
                Err(error) => {
                    let error = SourceError::Read { what: PARTITION.to_owned(), source: Box::new(error) };
                    drop(to.blocking_send(Err(error)));
                    return;
                }
            };
            if sent.is_err() {
                return;
            }
        }
    }

    /// The next frame of the lane, with its bytes on disk, and how many were lost to damage before it. Whose those were nobody knows: the first lane says so.
    fn next(&mut self, below: u64) -> std::io::Result<Option<(Frame, u64, u64)>> {
        let lane = u32::try_from(self.lane).unwrap_or(u32::MAX);
        let Some((frame, bytes)) = self.reader.next_of(below, |flags| flags == lane)? else { return Ok(None) };
        let lost = self.reader.lost() - self.lost_before;
        self.lost_before = self.reader.lost();
        Ok(Some((frame, bytes, if self.lane == 0 { lost } else { 0 })))
    }
}
