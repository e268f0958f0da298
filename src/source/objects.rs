//! What was found in a bucket: the order in which objects are read, durable before any of them is.
//!
//! A bucket has no order to go on from: keys come late and anywhere in the listing. So every object version gets a number when it is
//! first listed, and number, key and etag are durable in a log of our own before it is read. Objects are handed over in the order of
//! numbers, and the store's checkpoint holds one position a source: what is below it was read, exactly once, however many objects there are.
//! The table of what is known is derived from that log. If the log is lost, everything is found, numbered and read again; ids make that harmless.
//!
//! Of each key it is known besides how much of its last version was read, and what its last bytes were. So a version that goes on where
//! the last one ended is told from one that replaced it.

mod known;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration as StdDuration;

use serde::{Deserialize, Serialize};

use crate::model::{Duration, Position, Timestamp};
use crate::segment::{AppendError, Options, Packed, Reader, Writer};
pub use known::Known;
use known::{KeyId, Keys};

/// Keys that one source may know: about 42 bytes each in memory. Past it the source stops with an error.
pub const OBJECTS_MAX: usize = 20_000_000;

/// Between two attempts to write while the disk is full.
const FULL_WAIT: StdDuration = StdDuration::from_secs(1);

/// How long the log may still be held by the source that had it before.
const HOLD_WAIT: StdDuration = StdDuration::from_millis(20);
const HOLD_TRIES: u32 = 500;

/// Objects of one frame of the log: a page of a listing.
const FRAME_OBJECTS_MAX: usize = 1_000;

/// Bits of a position that count bytes within an object.
const OFFSET_BITS: u32 = 35;

/// The position at so many bytes of the object of this number. Positions before objects could be gone on with within were the numbers
/// alone: they are all less than any of these.
pub fn position(number: u64, offset: u64) -> Position {
    Position(((number + 1) << OFFSET_BITS) | offset.min((1 << OFFSET_BITS) - 1))
}

/// The number and offset that a position stands for.
pub fn place(position: Position) -> (u64, u64) {
    match position.0 >> OFFSET_BITS {
        0 => (position.0, 0),
        number => (number - 1, position.0 & ((1 << OFFSET_BITS) - 1)),
    }
}

/// One version of an object, as listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    pub key: String,
    /// As the server spells it, quotes included.
    pub etag: String,
    pub bytes: u64,
    /// When it was written, by the server's clock; 0 if it does not say.
    #[serde(default)]
    pub modified_s: i64,
}

impl Object {
    fn key_id(&self, bucket: &str) -> KeyId {
        let mut id = [0; 16];
        hash(&[bucket, &self.key]).fill(&mut id);
        id
    }

    fn version(&self) -> u64 {
        let mut eight = [0; 8];
        hash(&[&self.key, &self.etag]).fill(&mut eight);
        u64::from_le_bytes(eight)
    }

    /// As the position of its records: the same for all versions of a key, so that a record which two of them have is one.
    pub fn place(&self, bucket: &str) -> Position {
        let mut eight = [0; 8];
        hash(&[bucket, &self.key]).fill(&mut eight);
        Position(u64::from_le_bytes(eight))
    }
}

fn hash(parts: &[&str]) -> blake3::OutputReader {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize_xof()
}

/// An object that waits to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    pub number: u64,
    pub object: Object,
    /// What was read of the version before.
    pub before: Option<Known>,
    /// The records up to this offset, after decompression, are durable.
    pub from: u64,
}

/// A frame of the log. What was read stands before what was found, and counts before it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Page {
    bucket: String,
    /// The number of the first that was found; the others follow.
    first: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    read: Vec<(u64, KeyId, Known)>,
    found: Vec<Object>,
    /// Not read after all: to be found again if they are listed again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    again: Vec<Object>,
    /// The numbers of those, and what is known of their keys without them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    without: Vec<(u64, Option<Known>)>,
}

/// The objects of one bucket.
#[derive(Debug)]
pub struct Objects {
    bucket: String,
    keys: Keys,
    /// How often each version was tried that could not be read, and until when it is left alone.
    tries: HashMap<(KeyId, u64), (u32, Timestamp)>,
    /// Found and not yet handed over, by number.
    pending: VecDeque<Pending>,
    pending_bytes: u64,
    next_number: u64,
    /// Read and not yet in the log.
    read: Vec<(u64, KeyId, Known)>,
    log: Writer,
    objects_max: usize,
    /// Let go after the log: who opens it next waits for that.
    _held: File,
}

impl Objects {
    /// Opens the log in this folder. Everything below the position `done` was read and is durable in the store.
    ///
    /// # Errors
    /// When the log can not be opened or read.
    pub fn open(dir: &Path, bucket: &str, done: Position) -> io::Result<Self> {
        let held = hold(dir)?;
        let (log, recovery) = Writer::open(dir, Options::default(), 0)?;
        let done = place(done);
        let mut objects = Self {
            bucket: bucket.to_owned(),
            keys: Keys::default(),
            tries: HashMap::new(),
            pending: VecDeque::new(),
            pending_bytes: 0,
            // A number in the middle of whose object reading stopped is not given to another.
            next_number: done.0 + u64::from(done.1 > 0),
            read: Vec::new(),
            log,
            objects_max: OBJECTS_MAX,
            _held: held,
        };
        let mut pages = Reader::new(dir, recovery.first);
        while let Some(frame) = pages.next(recovery.next)? {
            match serde_json::from_slice::<Page>(&frame.payload) {
                Ok(page) => objects.replay(page, done),
                // What it named is found again.
                Err(error) => tracing::warn!(error = %error, "cannot read a page of the list of objects"),
            }
        }
        if pages.lost() + pages.bad() > 0 {
            tracing::warn!(lost = pages.lost(), damaged = pages.bad(), "the list of objects is damaged: some objects are read again");
        }
        Ok(objects)
    }

    fn replay(&mut self, page: Page, done: (u64, u64)) {
        for (_, key, known) in page.read.into_iter().filter(|(number, ..)| *number < done.0) {
            // What was read and is not durable is read again.
            self.mark(key, known);
        }
        let mut without = page.without.into_iter();
        for object in page.again {
            let key = object.key_id(&page.bucket);
            let (number, known) = without.next().unwrap_or_default();
            self.forget(key, &object, known.filter(|_| number < done.0));
            self.tries.entry((key, object.version())).or_default().0 += 1;
            self.pending.retain(|pending| pending.object != object);
        }
        for (number, object) in (page.first..).zip(page.found) {
            self.next_number = self.next_number.max(number.saturating_add(1));
            let key = object.key_id(&page.bucket);
            let before = self.keys.get(&key);
            self.keys.set(key, Some(Known { version: object.version(), ..Known::default() }));
            // What waited in another bucket can not be read here.
            if number >= done.0 && page.bucket == self.bucket {
                let from = if number == done.0 { done.1 } else { 0 };
                self.pending_bytes += object.bytes;
                self.pending.push_back(Pending { number, object, before: before.filter(|before| before.print != 0), from });
            }
        }
    }

    fn mark(&mut self, key: KeyId, known: Known) {
        if self.keys.get(&key).is_some_and(|now| now.version == known.version) {
            self.keys.set(key, Some(known));
        }
    }

    /// A version was not read after all: what was known before it holds, unless a later one was found meanwhile.
    fn forget(&mut self, key: KeyId, object: &Object, before: Option<Known>) {
        if self.keys.get(&key).is_some_and(|now| now.version == object.version()) {
            self.keys.set(key, before);
        }
    }

    /// Keys that are known.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.keys.len() == 0
    }

    /// Found and not yet taken.
    pub fn pending(&self) -> &VecDeque<Pending> {
        &self.pending
    }

    /// The bytes of those.
    pub fn pending_bytes(&self) -> u64 {
        self.pending_bytes
    }

    /// Takes in what was listed. What is new gets a number and waits; returns how much that is. Durable when this returns.
    ///
    /// # Errors
    /// When the log can not be written, or there are more keys than the limit.
    pub async fn find(&mut self, listed: Vec<Object>, now: Timestamp) -> Result<usize, AppendError> {
        let mut new = Vec::new();
        let mut seen = HashSet::new();
        for object in listed {
            let (key, version) = (object.key_id(&self.bucket), object.version());
            let is_due = self.tries.is_empty() || self.tries.get(&(key, version)).is_none_or(|(_, not_before)| *not_before <= now);
            if is_due && self.keys.get(&key).is_none_or(|known| known.version != version) && seen.insert((key, version)) {
                new.push(object);
            }
        }
        if self.keys.len() + new.len() > self.objects_max {
            return Err(AppendError::Refused(format!("more than {} objects: narrow the prefix", self.objects_max)));
        }
        let count = new.len();
        while !new.is_empty() {
            let rest = new.split_off(new.len().min(FRAME_OBJECTS_MAX));
            let read = std::mem::take(&mut self.read);
            let page = Page { bucket: self.bucket.clone(), first: self.next_number, read, found: new, ..Page::default() };
            self.append(&page, now).await?;
            for object in page.found {
                let key = object.key_id(&self.bucket);
                let before = self.keys.get(&key);
                self.keys.set(key, Some(Known { version: object.version(), ..Known::default() }));
                self.pending_bytes += object.bytes;
                self.pending.push_back(Pending { number: self.next_number, object, before: before.filter(|before| before.print != 0), from: 0 });
                self.next_number += 1;
            }
            new = rest;
        }
        Ok(count)
    }

    /// The next object to read.
    pub fn take(&mut self) -> Option<Pending> {
        let pending = self.pending.pop_front()?;
        self.pending_bytes -= pending.object.bytes;
        Some(pending)
    }

    /// So much was read of this one; without a print, nothing that a later version could be told by. Goes into the log with [`Objects::save`], which comes
    /// before the end of the object is handed over: else a later version is read whole after a crash, and not told to have replaced it.
    pub fn read(&mut self, pending: &Pending, bytes: u64, print: u64) {
        let (key, version) = (pending.object.key_id(&self.bucket), pending.object.version());
        let known = Known { version, bytes, print };
        self.tries.remove(&(key, version));
        self.mark(key, known);
        self.read.push((pending.number, key, known));
    }

    /// Writes down what was read so far.
    ///
    /// # Errors
    /// When the log can not be written.
    pub async fn save(&mut self, now: Timestamp) -> Result<(), AppendError> {
        if self.read.is_empty() {
            return Ok(());
        }
        let page = Page { bucket: self.bucket.clone(), read: std::mem::take(&mut self.read), ..Page::default() };
        self.append(&page, now).await
    }

    /// This one could not be read, or not further than its `before` says: it counts as new when it is listed again, not sooner than after a wait. Durable when this returns.
    ///
    /// # Errors
    /// When the log can not be written.
    pub async fn again(&mut self, pending: Pending, now: Timestamp, wait: Duration) -> Result<(), AppendError> {
        let Pending { number, object, before, .. } = pending;
        let (key, version) = (object.key_id(&self.bucket), object.version());
        let page = Page { bucket: self.bucket.clone(), again: vec![object], without: vec![(number, before)], ..Page::default() };
        self.append(&page, now).await?;
        for object in &page.again {
            self.forget(key, object, before);
        }
        let (tries, not_before) = self.tries.entry((key, version)).or_default();
        *tries += 1;
        *not_before = now.plus(wait);
        Ok(())
    }

    /// How often this one could not be read.
    pub fn tries(&self, object: &Object) -> u32 {
        self.tries.get(&(object.key_id(&self.bucket), object.version())).map_or(0, |(tries, _)| *tries)
    }

    /// Waits for room on the disk, if that is what is missing: what is to be written down can not be left out.
    async fn append(&self, page: &Page, now: Timestamp) -> Result<(), AppendError> {
        let bytes = serde_json::to_vec(page).map_err(|error| AppendError::Refused(error.to_string()))?;
        loop {
            let packed = Packed::new(now, 0, &bytes).map_err(|error| AppendError::Refused(error.to_string()))?;
            match self.log.append(vec![packed]).await {
                Err(AppendError::Full | AppendError::Busy) => tokio::time::sleep(FULL_WAIT).await,
                ended => return ended.map(drop),
            }
        }
    }
}

/// One at a time has the log: a source that was dropped may need a moment to end.
fn hold(dir: &Path) -> io::Result<File> {
    std::fs::create_dir_all(dir)?;
    let file = File::options().create(true).truncate(false).write(true).open(dir.join("lock"))?;
    for _ in 0..HOLD_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::WouldBlock) => std::thread::sleep(HOLD_WAIT),
            Err(std::fs::TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::new(io::ErrorKind::ResourceBusy, "another source has it open"))
}
