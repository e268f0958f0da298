//! Room on the disk that the store lies on. Before it runs out nothing new is taken in, so that what was taken can become durable and searches, alerts
//! and their delivery go on.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

/// The usual reserve: a twentieth of the disk, at most this many bytes.
const RESERVE_BYTES_MAX: u64 = 1 << 30;

/// What was seen last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Room {
    /// Bytes that may still be written.
    pub free_bytes: u64,
    pub disk_bytes: u64,
    /// Below it nothing is taken in.
    pub reserve_bytes: u64,
}

/// The disk under a directory.
#[derive(Debug)]
pub struct Space {
    path: PathBuf,
    reserve: Option<u64>,
    room: watch::Sender<Room>,
    is_low: watch::Sender<bool>,
    /// How often it became low.
    times: AtomicU64,
}

impl Space {
    /// Under this directory, with so many bytes in reserve; `None`: the usual reserve.
    pub fn new(path: &Path, reserve: Option<u64>) -> Self {
        let space =
            Self { path: path.to_owned(), reserve, room: watch::Sender::default(), is_low: watch::Sender::new(false), times: AtomicU64::new(0) };
        // What can not be looked at now is looked at again soon.
        let _ = space.look();
        space
    }

    /// Looks anew. Room counts as back once a quarter more than the reserve is free.
    ///
    /// # Errors
    /// When the system does not tell: what was known stays.
    pub fn look(&self) -> io::Result<Room> {
        let stat = rustix::fs::statvfs(&self.path)?;
        let disk_bytes = stat.f_blocks.saturating_mul(stat.f_frsize);
        let free_bytes = stat.f_bavail.saturating_mul(stat.f_frsize);
        let room = Room { free_bytes, disk_bytes, reserve_bytes: self.reserve.unwrap_or((disk_bytes / 20).min(RESERVE_BYTES_MAX)) };
        self.room.send_replace(room);
        self.is_low.send_if_modified(|is_low| {
            let needed = if *is_low { room.reserve_bytes + room.reserve_bytes / 4 } else { room.reserve_bytes };
            let now = free_bytes < needed;
            if now && !*is_low {
                self.times.fetch_add(1, Ordering::Relaxed);
            }
            std::mem::replace(is_low, now) != now
        });
        Ok(room)
    }

    /// What was seen last.
    pub fn room(&self) -> Room {
        *self.room.borrow()
    }

    /// Whether too little is free to take anything in.
    pub fn is_low(&self) -> bool {
        *self.is_low.borrow()
    }

    /// Hears when that changes.
    pub fn watch_low(&self) -> watch::Receiver<bool> {
        self.is_low.subscribe()
    }

    /// How often it has become low.
    pub fn times_low(&self) -> u64 {
        self.times.load(Ordering::Relaxed)
    }
}

/// Whether the disk under a directory is down to its usual reserve.
pub(super) fn is_full(path: &Path) -> bool {
    Space::new(path, None).is_low()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_larger_than_the_disk_is_always_low_and_none_never() {
        let dir = tempfile::tempdir().unwrap();
        let space = Space::new(dir.path(), Some(u64::MAX / 2));
        assert!(space.is_low() && space.room().disk_bytes > 0);
        assert!(space.look().is_ok() && space.times_low() == 1, "it is low once, however often it is looked at");
        let space = Space::new(dir.path(), Some(0));
        assert_eq!((space.is_low(), space.times_low()), (false, 0));
        let room = Space::new(dir.path(), None).room();
        assert!(room.reserve_bytes > 0 && room.reserve_bytes <= RESERVE_BYTES_MAX);
    }
}
