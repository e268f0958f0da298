//! What was found in a bucket: the order in which objects are read, durable before any of them is.
//!
//! A bucket has no order to go on from: keys come late and anywhere in the listing. So every object version gets a number when it is
//! first listed, and number, key and etag are durable in a log of our own before it is read. Objects are handed over in the order of
//! numbers, and the store's checkpoint holds one number a source: what is below it was read, exactly once, however many objects there are.
//! The table of what is known is derived from that log. If the log is lost, everything is found, numbered and read again; ids make that harmless.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::model::{Duration, Timestamp};
use crate::segment::{AppendError, Options, Packed, Reader, Writer};

/// Object versions that one source may know: 16 bytes each in memory. Past it the source stops with an error.
pub const OBJECTS_MAX: usize = 20_000_000;

/// Objects of one frame of the log: a page of a listing.
const FRAME_OBJECTS_MAX: usize = 1_000;

/// One version of an object, as listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    pub key: String,
    /// As the server spells it, quotes included.
    pub etag: String,
    pub bytes: u64,
}

/// Names a version: key and etag, hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VersionId([u8; 16]);

impl VersionId {
    /// As a position: tells the versions of a key apart.
    pub fn short(self) -> u64 {
        let mut eight = [0; 8];
        eight.copy_from_slice(&self.0[..8]);
        u64::from_le_bytes(eight)
    }
}

impl Object {
    /// The name of this version in this bucket.
    pub fn version(&self, bucket: &str) -> VersionId {
        let mut hasher = blake3::Hasher::new();
        for part in [bucket, &self.key, &self.etag] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        let mut id = [0; 16];
        hasher.finalize_xof().fill(&mut id);
        VersionId(id)
    }
}

/// A frame of the log.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Page {
    bucket: String,
    /// The number of the first that was found; the others follow.
    first: u64,
    found: Vec<Object>,
    /// Not read after all: to be found again if they are listed again.
    again: Vec<Object>,
}

/// The objects of one bucket.
#[derive(Debug)]
pub struct Objects {
    bucket: String,
    known: HashSet<VersionId>,
    /// How often each was tried that could not be read, and until when it is left alone.
    tries: HashMap<VersionId, (u32, Timestamp)>,
    /// Found and not yet handed over, by number.
    pending: VecDeque<(u64, Object)>,
    next_number: u64,
    log: Writer,
    objects_max: usize,
}

impl Objects {
    /// Opens the log in this folder. Everything below the number `done` was read and is durable in the store.
    pub fn open(dir: &Path, bucket: &str, done: u64) -> io::Result<Self> {
        let (log, recovery) = Writer::open(dir, Options::default(), 0)?;
        let mut objects = Self {
            bucket: bucket.to_owned(),
            known: HashSet::new(),
            tries: HashMap::new(),
            pending: VecDeque::new(),
            next_number: done,
            log,
            objects_max: OBJECTS_MAX,
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

    fn replay(&mut self, page: Page, done: u64) {
        for object in &page.again {
            let version = object.version(&page.bucket);
            self.known.remove(&version);
            self.tries.entry(version).or_default().0 += 1;
            self.pending.retain(|(_, pending)| pending != object);
        }
        for (number, object) in (page.first..).zip(page.found) {
            self.next_number = self.next_number.max(number.saturating_add(1));
            self.known.insert(object.version(&page.bucket));
            // What waited in another bucket can not be read here.
            if number >= done && page.bucket == self.bucket {
                self.pending.push_back((number, object));
            }
        }
    }

    /// Object versions that are known.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Takes in what was listed. What is new gets a number and waits; returns how much that is. Durable when this returns.
    pub async fn find(&mut self, listed: Vec<Object>, now: Timestamp) -> Result<usize, AppendError> {
        let mut new = Vec::new();
        let mut seen = HashSet::new();
        for object in listed {
            let version = object.version(&self.bucket);
            let is_due = self.tries.get(&version).is_none_or(|(_, not_before)| *not_before <= now);
            if is_due && !self.known.contains(&version) && seen.insert(version) {
                new.push(object);
            }
        }
        if self.known.len() + new.len() > self.objects_max {
            return Err(AppendError::Refused(format!("more than {} objects: narrow the prefix", self.objects_max)));
        }
        let count = new.len();
        while !new.is_empty() {
            let rest = new.split_off(new.len().min(FRAME_OBJECTS_MAX));
            let page = Page { bucket: self.bucket.clone(), first: self.next_number, found: new, again: Vec::new() };
            self.append(&page, now).await?;
            for object in page.found {
                self.known.insert(object.version(&self.bucket));
                self.pending.push_back((self.next_number, object));
                self.next_number += 1;
            }
            new = rest;
        }
        Ok(count)
    }

    /// The next object to read, with its number.
    pub fn take(&mut self) -> Option<(u64, Object)> {
        self.pending.pop_front()
    }

    /// This one could not be read: it counts as new when it is listed again, not sooner than after a wait. Durable when this returns.
    pub async fn again(&mut self, object: Object, now: Timestamp, wait: Duration) -> Result<(), AppendError> {
        let version = object.version(&self.bucket);
        let page = Page { bucket: self.bucket.clone(), again: vec![object], ..Page::default() };
        self.append(&page, now).await?;
        self.known.remove(&version);
        let (tries, not_before) = self.tries.entry(version).or_default();
        *tries += 1;
        *not_before = now.plus(wait);
        Ok(())
    }

    /// How often this one could not be read.
    pub fn tries(&self, object: &Object) -> u32 {
        self.tries.get(&object.version(&self.bucket)).map_or(0, |(tries, _)| *tries)
    }

    async fn append(&self, page: &Page, now: Timestamp) -> Result<(), AppendError> {
        let bytes = serde_json::to_vec(page).map_err(|error| AppendError::Refused(error.to_string()))?;
        let packed = Packed::new(now, 0, &bytes).map_err(|error| AppendError::Refused(error.to_string()))?;
        self.log.append(vec![packed]).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(key: &str, etag: &str) -> Object {
        Object { key: key.to_owned(), etag: etag.to_owned(), bytes: 1 }
    }

    fn drain(objects: &mut Objects) -> Vec<(u64, String)> {
        std::iter::from_fn(|| objects.take()).map(|(number, object)| (number, object.key)).collect()
    }

    #[tokio::test]
    async fn each_version_is_found_once_whatever_the_order_and_the_restarts() {
        let dir = tempfile::tempdir().unwrap();
        let now = Timestamp::default();
        let mut objects = Objects::open(dir.path(), "b", 0).unwrap();
        assert_eq!(objects.find(vec![object("z", "1"), object("a", "1"), object("z", "1")], now).await, Ok(2));
        assert_eq!(objects.find(vec![object("a", "1"), object("a", "2"), object("0", "1")], now).await, Ok(2));
        assert_eq!(drain(&mut objects), [(0, "z".into()), (1, "a".into()), (2, "a".into()), (3, "0".into())]);
        drop(objects);
        let mut objects = Objects::open(dir.path(), "b", 2).unwrap();
        assert_eq!(drain(&mut objects), [(2, "a".into()), (3, "0".into())]);
        assert_eq!(objects.find(vec![object("a", "2"), object("new", "1")], now).await, Ok(1));
        assert_eq!(drain(&mut objects), [(4, "new".into())]);
        drop(objects);
        let mut objects = Objects::open(dir.path(), "other", 5).unwrap();
        assert_eq!(objects.find(vec![object("a", "2")], now).await, Ok(1));
        assert_eq!(drain(&mut objects), [(5, "a".into())]);
    }

    #[tokio::test]
    async fn what_could_not_be_read_is_found_again_even_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let now = Timestamp::default();
        let mut objects = Objects::open(dir.path(), "b", 0).unwrap();
        objects.find(vec![object("a", "1"), object("b", "1")], now).await.unwrap();
        drain(&mut objects);
        objects.again(object("a", "1"), now, Duration::seconds(9)).await.unwrap();
        assert_eq!(objects.find(vec![object("a", "1")], now).await, Ok(0));
        drop(objects);
        let mut objects = Objects::open(dir.path(), "b", 0).unwrap();
        assert_eq!(drain(&mut objects), [(1, "b".into())]);
        assert_eq!(objects.tries(&object("a", "1")), 1);
        assert_eq!(objects.find(vec![object("a", "1"), object("b", "1")], now).await, Ok(1));
        assert_eq!(drain(&mut objects), [(2, "a".into())]);
    }

    #[tokio::test]
    async fn a_lost_list_gives_no_number_twice_and_the_limit_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let now = Timestamp::default();
        let mut objects = Objects::open(dir.path(), "b", 7).unwrap();
        objects.find(vec![object("a", "1")], now).await.unwrap();
        assert_eq!(drain(&mut objects), [(7, "a".into())]);
        objects.objects_max = 1;
        let error = objects.find(vec![object("b", "1")], now).await.unwrap_err();
        assert!(error.to_string().contains("more than 1 objects"), "{error}");
    }
}
