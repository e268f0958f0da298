//! A log on disk: append-only files of frames that are checked, numbered and durable before anybody is told so.
//!
//! ```text
//! <first number>.seg = magic "BZSEGMNT", format_version u32, salt u32, first number u64, crc32 of these
//! frame              = marker u32, length u32, crc32, number u64, received i64, flags u32, payload (zstd)
//! ```
//!
//! All numbers are little-endian. Marker and checksums depend on the salt of the file, so nobody who chooses a payload can
//! write a frame into it. Frames are numbered without gaps within a file. What a crash tore off at the end is cut when the log is
//! opened; a bad frame in the middle is skipped and counted. A write or sync that failed is never tried again: the log is poisoned.
//! Where only room was missing, what is not durable is cut off and the next append may go well.

mod frame;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use frame::{Frame, Packed};
pub use reader::Reader;
pub use writer::{AppendError, Recovery, Writer};

/// Bytes of a payload before compression. A longer one is refused.
pub const PAYLOAD_BYTES_MAX: usize = 128 << 20;

/// How a log is written.
#[derive(Debug, Clone)]
pub struct Options {
    /// Bytes of a file, past which the next one is begun. A single longer frame has a file of its own.
    pub segment_bytes_max: u64,
    /// Time between the starts of two syncs: what comes meanwhile shares the second. The first never waits.
    pub window: Duration,
    /// Bytes that share one sync.
    pub group_bytes_max: usize,
    /// Appends that wait. Past it an append is refused as busy.
    pub queue_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes_max: 64 << 20, window: Duration::from_millis(5), group_bytes_max: 1 << 20, queue_max: 4096 }
    }
}

/// The files of a log with the first number of each, in order.
fn files(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let is_segment = path.extension().is_some_and(|extension| extension == "seg");
        if let Some(first) = path.file_stem().and_then(|stem| stem.to_str()).filter(|_| is_segment).and_then(|stem| stem.parse().ok()) {
            found.push((first, path));
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn path_of(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.seg"))
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Deletes the files that have only frames below this number, but never the last: it carries the numbering on.
/// Returns the bytes that became free. Call it once everything below is durable elsewhere.
pub fn delete_below(dir: &Path, below: u64) -> io::Result<u64> {
    let files = files(dir)?;
    let mut freed = 0;
    for pair in files.windows(2) {
        let [(_, path), (next, _)] = pair else { continue };
        if *next > below {
            break;
        }
        let bytes = fs::metadata(path).map(|file| file.len()).unwrap_or_default();
        fs::remove_file(path)?;
        freed += bytes;
    }
    if freed > 0 {
        sync_dir(dir)?;
    }
    Ok(freed)
}
