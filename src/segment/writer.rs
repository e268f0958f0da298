//! Writing a log: one thread owns the file, and everybody who appends meanwhile shares its next sync.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::frame::{FILE_HEADER_BYTES, FRAME_HEADER_BYTES, FileHeader, Packed};
use super::reader::{Cursor, Opened};
use super::{Options, files, path_of, sync_dir};

/// Why frames were not appended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Too many wait already: try again later.
    #[error("cannot append to the log: it is busy")]
    Busy,
    /// The disk is full. What was begun is taken back: nothing of it stays, and an append may go well once there is room.
    #[error("cannot append to the log: there is no room on the disk")]
    Full,
    /// Never to be taken.
    #[error("cannot append to the log: {0}")]
    Refused(String),
    /// A write or sync failed: what is on disk is unknown until the next start. No append will be confirmed again.
    #[error("cannot append to the log: it failed before ({0}); restart to go on from what is on disk")]
    Poisoned(String),
}

/// What opening a log found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovery {
    /// The lowest number that may still be there.
    pub first: u64,
    /// The number of the next frame.
    pub next: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Bytes cut off the end: a write that a crash tore.
    pub torn_bytes: u64,
    /// Damaged places in the last file.
    pub bad: u64,
}

struct Job {
    frames: Vec<Packed>,
    done: oneshot::Sender<Result<u64, AppendError>>,
}

/// Appends to a log. Any number of tasks may append at once.
#[derive(Debug)]
pub struct Writer {
    jobs: Mutex<Option<SyncSender<Job>>>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
    durable: watch::Receiver<u64>,
    bytes: Arc<AtomicU64>,
    why_poisoned: Arc<Mutex<Option<String>>>,
}

impl Writer {
    /// Opens a log, making its folder if need be. Numbers go on after what is there, and never below `next_min`.
    pub fn open(dir: &Path, options: Options, next_min: u64) -> io::Result<(Self, Recovery)> {
        let (appender, recovery) = Appender::open(dir, &options, next_min)?;
        let bytes = Arc::new(AtomicU64::new(recovery.bytes));
        let why_poisoned = Arc::new(Mutex::new(None));
        let (jobs, from) = sync_channel(options.queue_max);
        let (durable_to, durable) = watch::channel(recovery.next);
        let group = Group { appender, options, from, durable: durable_to, bytes: Arc::clone(&bytes), why_poisoned: Arc::clone(&why_poisoned) };
        let thread = std::thread::Builder::new().name("segment".to_owned()).spawn(move || group.run())?;
        Ok((Self { jobs: Mutex::new(Some(jobs)), thread: Mutex::new(Some(thread)), durable, bytes, why_poisoned }, recovery))
    }

    /// Appends frames, and returns the number of the first once all are durable. A caller that gives up waiting learns nothing:
    /// they may become durable or not.
    pub async fn append(&self, frames: Vec<Packed>) -> Result<u64, AppendError> {
        let (done, wait) = oneshot::channel();
        let sent = match &*self.jobs.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(jobs) => jobs.try_send(Job { frames, done }),
            None => return Err(AppendError::Refused("it is closed".to_owned())),
        };
        match sent {
            Ok(()) => wait.await.unwrap_or_else(|_| Err(self.poisoned())),
            Err(TrySendError::Full(_)) => Err(AppendError::Busy),
            Err(TrySendError::Disconnected(_)) => Err(self.poisoned()),
        }
    }

    fn poisoned(&self) -> AppendError {
        let why = self.why_poisoned.lock().unwrap_or_else(PoisonError::into_inner).clone();
        AppendError::Poisoned(why.unwrap_or_else(|| "its thread ended".to_owned()))
    }

    /// Why no append will be confirmed again, if so.
    pub fn failure(&self) -> Option<String> {
        self.why_poisoned.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Every frame below this number is durable. Closes when the writer does.
    pub fn durable(&self) -> watch::Receiver<u64> {
        self.durable.clone()
    }

    /// Bytes of all files, as far as the writer knows.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// So many bytes were deleted.
    pub fn freed(&self, bytes: u64) {
        let _ = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |known| Some(known.saturating_sub(bytes)));
    }

    /// Ends the thread once all that waits is durable.
    pub fn close(&self) {
        drop(self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // The thread does not panic; were it to, the log is poisoned and says so.
            let _ = thread.join();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

/// The thread that owns the file.
struct Group {
    appender: Appender,
    options: Options,
    from: Receiver<Job>,
    durable: watch::Sender<u64>,
    bytes: Arc<AtomicU64>,
    why_poisoned: Arc<Mutex<Option<String>>>,
}

impl Group {
    fn run(mut self) {
        let mut synced_at: Option<Instant> = None;
        while let Ok(job) = self.from.recv() {
            let jobs = self.gather(job, synced_at);
            synced_at = Some(Instant::now());
            let Err(error) = self.write(jobs) else { continue };
            if is_no_room(&error) && self.appender.take_back().is_ok() {
                tracing::warn!(dir = %self.appender.dir.display(), "cannot append to the log: there is no room on the disk");
                continue;
            }
            *self.why_poisoned.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
            // Dropping the receiver drops what waits: each caller learns that the log is poisoned.
            return;
        }
    }

    /// All that comes until the window is over, or enough has come.
    fn gather(&self, first: Job, synced_at: Option<Instant>) -> Vec<Job> {
        let size = |job: &Job| job.frames.iter().map(Packed::bytes).sum::<usize>();
        let mut bytes = size(&first);
        let mut jobs = vec![first];
        while bytes < self.options.group_bytes_max {
            let left = synced_at.map(|at| self.options.window.saturating_sub(at.elapsed())).unwrap_or_default();
            let next = if left.is_zero() { self.from.try_recv().map_err(|_| RecvTimeoutError::Timeout) } else { self.from.recv_timeout(left) };
            let Ok(job) = next else { break };
            bytes += size(&job);
            jobs.push(job);
        }
        jobs
    }

    /// Writes and syncs; only then tells anybody.
    fn write(&mut self, jobs: Vec<Job>) -> io::Result<()> {
        let mut told = Vec::with_capacity(jobs.len());
        let written = match self.try_write(jobs, &mut told) {
            Ok(written) => written,
            Err(error) => {
                if is_no_room(&error) {
                    for (done, _) in told {
                        // A caller that gave up waiting needs no answer.
                        let _ = done.send(Err(AppendError::Full));
                    }
                }
                return Err(error);
            }
        };
        self.bytes.fetch_add(written, Ordering::Relaxed);
        self.durable.send_replace(self.appender.next_seq);
        for (done, first) in told {
            // A caller that gave up waiting needs no answer.
            let _ = done.send(Ok(first));
        }
        Ok(())
    }

    /// Writes and syncs; returns the bytes. Everybody who waits is in `told`, whatever comes of it.
    fn try_write(&mut self, jobs: Vec<Job>, told: &mut Vec<(oneshot::Sender<Result<u64, AppendError>>, u64)>) -> io::Result<u64> {
        let mut outcome = Ok(0);
        for job in jobs {
            told.push((job.done, self.appender.next_seq));
            for frame in job.frames {
                if let Ok(written) = &mut outcome {
                    match self.appender.append(&frame) {
                        Ok(bytes) => *written += bytes,
                        Err(error) => outcome = Err(error),
                    }
                }
            }
        }
        let written = outcome?;
        let synced = self.appender.sync();
        if crate::defect::is("fsync-retried") {
            synced.or_else(|_| self.appender.sync())?;
        } else {
            synced?;
        }
        Ok(written)
    }
}

/// Whether more room is all that was missing.
fn is_no_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

/// Writes frames one after the other. Any error is final, but for want of room: then what is not durable can be taken back.
pub(super) struct Appender {
    dir: PathBuf,
    file: File,
    header: FileHeader,
    file_bytes: u64,
    pub(super) next_seq: u64,
    /// Length of the file, and the number of the next frame, as of the last sync.
    synced: (u64, u64),
    segment_bytes_max: u64,
    buffer: Vec<u8>,
    #[cfg(test)]
    pub(super) steps_left: Option<u64>,
}

impl Appender {
    pub(super) fn open(dir: &Path, options: &Options, next_min: u64) -> io::Result<(Self, Recovery)> {
        fs::create_dir_all(dir)?;
        if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            sync_dir(parent)?;
        }
        let mut recovery = Recovery::default();
        let found = files(dir)?;
        let mut reuse = None;
        if let Some((first, path)) = found.last() {
            reuse = recover(*first, path, &mut recovery)?;
            recovery.first = found.first().map_or(0, |(first, _)| *first);
        }
        // A number that a checkpoint covers is never given out again, whatever became of the files.
        let is_behind = recovery.next < next_min;
        recovery.next = recovery.next.max(next_min);
        let next_seq = recovery.next;
        let (file, header, file_bytes) = match reuse.filter(|_| !is_behind) {
            Some(open) => open,
            None => {
                let (file, header) = create(dir, next_seq)?;
                (file, header, FILE_HEADER_BYTES as u64)
            }
        };
        let appender = Self {
            dir: dir.to_owned(),
            file,
            header,
            file_bytes,
            next_seq,
            synced: (file_bytes, next_seq),
            segment_bytes_max: options.segment_bytes_max,
            buffer: Vec::new(),
            #[cfg(test)]
            steps_left: None,
        };
        if found.is_empty() {
            recovery.first = next_seq;
        }
        recovery.bytes = files(dir)?.iter().map(|(_, path)| fs::metadata(path).map(|file| file.len()).unwrap_or_default()).sum();
        Ok((appender, recovery))
    }

    /// Adds a frame and returns the bytes it takes. It is not durable before the next sync.
    pub(super) fn append(&mut self, frame: &Packed) -> io::Result<u64> {
        let mut bytes = frame.bytes() as u64;
        if self.file_bytes + bytes > self.segment_bytes_max && self.file_bytes > FILE_HEADER_BYTES as u64 {
            self.rotate()?;
            bytes += FILE_HEADER_BYTES as u64;
        }
        self.step()?;
        self.buffer.clear();
        frame.write(self.next_seq, self.header, &mut self.buffer);
        self.file.write_all(&self.buffer)?;
        self.file_bytes += self.buffer.len() as u64;
        self.next_seq += 1;
        Ok(bytes)
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.sync()?;
        self.step()?;
        (self.file, self.header) = create(&self.dir, self.next_seq).inspect_err(|_| {
            // The name is to be free for the next try. Where it is not, that try fails.
            let _ = fs::remove_file(path_of(&self.dir, self.next_seq));
        })?;
        self.file_bytes = FILE_HEADER_BYTES as u64;
        self.synced = (self.file_bytes, self.next_seq);
        Ok(())
    }

    /// Cuts off what was written since the last sync, so that writing can go on there: a page that could not be written back is not to be trusted, and
    /// no frame in it was ever confirmed.
    pub(super) fn take_back(&mut self) -> io::Result<()> {
        let (bytes, _) = self.synced;
        self.file.set_len(bytes)?;
        io::Seek::seek(&mut self.file, io::SeekFrom::Start(bytes))?;
        self.file.sync_all()?;
        (self.file_bytes, self.next_seq) = self.synced;
        Ok(())
    }

    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.step()?;
        if !crate::defect::is("no-fsync") {
            self.file.sync_data()?;
        }
        self.synced = (self.file_bytes, self.next_seq);
        Ok(())
    }

    /// Where tests make a call to the disk fail.
    #[cfg(test)]
    fn step(&mut self) -> io::Result<()> {
        match &mut self.steps_left {
            Some(0) => Err(io::Error::other("the test's disk failed")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "tests make it fail")]
    fn step(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A new file, durable with its name before the first frame goes into it.
fn create(dir: &Path, first: u64) -> io::Result<(File, FileHeader)> {
    let salt = getrandom::u32().map_err(|error| io::Error::other(error.to_string()))?;
    let header = FileHeader { salt, first };
    let mut file = OpenOptions::new().write(true).create_new(true).open(path_of(dir, first))?;
    file.write_all(&header.write())?;
    file.sync_all()?;
    sync_dir(dir)?;
    Ok((file, header))
}

/// Finds the end of the last file and cuts what a crash tore. `None`: the file can not be gone on with.
fn recover(first: u64, path: &Path, recovery: &mut Recovery) -> io::Result<Option<(File, FileHeader, u64)>> {
    let bytes = fs::metadata(path)?.len();
    let mut cursor = match Cursor::open(path)? {
        Opened::Good(cursor) => cursor,
        Opened::Bad if bytes <= FILE_HEADER_BYTES as u64 => {
            // The crash came before the file was durable, so no frame in it was ever confirmed.
            fs::remove_file(path)?;
            recovery.torn_bytes = bytes;
            recovery.next = first;
            return Ok(None);
        }
        Opened::Bad => {
            // Its frames can not be told apart any more; no number that it may have used is given out again.
            recovery.bad = 1;
            recovery.next = first.saturating_add((bytes / FRAME_HEADER_BYTES as u64).max(1));
            return Ok(None);
        }
    };
    while cursor.next()?.is_some() {}
    recovery.bad = cursor.bad;
    recovery.next = cursor.next_seq;
    recovery.torn_bytes = bytes.saturating_sub(cursor.at);
    let mut file = OpenOptions::new().write(true).open(path)?;
    if recovery.torn_bytes > 0 {
        file.set_len(cursor.at)?;
    }
    // What was read just now may never have been synced: it counts from here on.
    file.sync_all()?;
    io::Seek::seek(&mut file, io::SeekFrom::Start(cursor.at))?;
    Ok(Some((file, cursor.header(), cursor.at)))
}
