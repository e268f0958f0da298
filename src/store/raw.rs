//! Raw records in compressed blocks, appended to one file.
//!
//! A block is a header of 24 bytes (format, dictionary, three zero-able bytes, compressed length, plain length, records, CRC-32 of what
//! precedes it and of the body, all little-endian) and a zstd frame. Plain, it holds the records, each after its length.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::ports::StoreError;

use super::manifest::{io_error, write_durably};

const FORMAT: u8 = 1;
const HEADER_BYTES: usize = 24;
/// A block is closed once it has so many plain bytes.
const BLOCK_BYTES: usize = 16 << 10;
/// A block is closed once it has so many records; a slot fits in [`SLOT_BITS`].
const BLOCK_RECORDS_MAX: usize = 1000;
const SLOT_BITS: u32 = 10;
/// Plain length past which a header is taken for damage.
const PLAIN_BYTES_MAX: usize = 64 << 20;
const LEVEL: i32 = 3;
const DICT_BYTES: usize = 112 << 10;
/// Records and bytes seen before a dictionary is trained.
const SAMPLES: usize = 3000;
const SAMPLE_BYTES_MIN: usize = 2 << 20;
const SAMPLE_BYTES_MAX: usize = 12 << 20;

/// Where a record is: the block's offset in the file and the slot within the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Loc(pub(super) u64);

impl Loc {
    fn new(offset: u64, slot: usize) -> Self {
        Self(offset << SLOT_BITS | slot as u64)
    }

    pub(super) fn block(self) -> u64 {
        self.0 >> SLOT_BITS
    }

    fn slot(self) -> usize {
        usize::try_from(self.0 & ((1 << SLOT_BITS) - 1)).unwrap_or_default()
    }
}

fn dict_path(dir: &Path, number: u8) -> PathBuf {
    dir.join(format!("dict-{number}.zstd"))
}

/// Reads blocks. Cheap to share.
pub(super) struct RawReader {
    dir: PathBuf,
    file: File,
    dicts: Mutex<HashMap<u8, Arc<Vec<u8>>>>,
}

impl RawReader {
    pub(super) fn open(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join("raw.blk");
        let file = File::open(&path).map_err(|error| io_error("open", &path, error))?;
        Ok(Self { dir: dir.to_owned(), file, dicts: Mutex::default() })
    }

    fn damaged(&self, offset: u64, why: &str) -> StoreError {
        StoreError::Damaged { what: format!("`{}` at byte {offset}", self.dir.join("raw.blk").display()), why: why.to_owned() }
    }

    fn dict(&self, number: u8) -> Result<Arc<Vec<u8>>, StoreError> {
        let mut dicts = self.dicts.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(dict) = dicts.get(&number) {
            return Ok(dict.clone());
        }
        let path = dict_path(&self.dir, number);
        let dict = Arc::new(std::fs::read(&path).map_err(|error| io_error("read", &path, error))?);
        dicts.insert(number, dict.clone());
        Ok(dict)
    }

    /// The block at this offset, and the offset after it.
    pub(super) fn block(&self, offset: u64) -> Result<(Block, u64), StoreError> {
        let mut header = [0; HEADER_BYTES];
        self.file.read_exact_at(&mut header, offset).map_err(|_| self.damaged(offset, "the file ends within a block's header"))?;
        let number = |at: usize| header.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes);
        let (body_len, plain_len, records, sum) = (number(4) as usize, number(8) as usize, number(12) as usize, number(16));
        if header[0] != FORMAT || plain_len > PLAIN_BYTES_MAX || body_len > PLAIN_BYTES_MAX {
            return Err(self.damaged(offset, "no block begins here"));
        }
        let mut body = vec![0; body_len];
        self.file.read_exact_at(&mut body, offset + HEADER_BYTES as u64).map_err(|_| self.damaged(offset, "the file ends within a block"))?;
        if checksum(&header, &body) != sum {
            return Err(self.damaged(offset, "the checksum is wrong"));
        }
        let plain = match header[1] {
            0 => zstd::bulk::decompress(&body, plain_len),
            dict => zstd::bulk::Decompressor::with_dictionary(&self.dict(dict)?).and_then(|mut d| d.decompress(&body, plain_len)),
        };
        let plain = plain.map_err(|_| self.damaged(offset, "the block does not decompress"))?;
        let block = Block::index(plain, records).ok_or_else(|| self.damaged(offset, "the records do not fill the block"))?;
        Ok((block, offset + (HEADER_BYTES + body_len) as u64))
    }

    /// Every record below a length of the file, in order.
    pub(super) fn each(&self, upto: u64, mut to: impl FnMut(Loc, &[u8])) -> Result<(), StoreError> {
        let mut offset = 0;
        while offset < upto {
            let (block, after) = self.block(offset)?;
            for slot in 0..block.ends.len() {
                if let Some(record) = block.slot(slot) {
                    to(Loc::new(offset, slot), record);
                }
            }
            offset = after;
        }
        Ok(())
    }
}

fn checksum(header: &[u8; HEADER_BYTES], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&header[..16]);
    hasher.update(body);
    hasher.finalize()
}

/// A decompressed block.
pub(super) struct Block {
    plain: Vec<u8>,
    ends: Vec<(u32, u32)>,
}

impl Block {
    fn index(plain: Vec<u8>, records: usize) -> Option<Self> {
        let mut ends = Vec::with_capacity(records.min(BLOCK_RECORDS_MAX));
        let mut at = 0_usize;
        for _ in 0..records {
            let len = u32::from_le_bytes(plain.get(at..at + 4)?.try_into().ok()?);
            let end = (at + 4).checked_add(len as usize).filter(|end| *end <= plain.len())?;
            ends.push((u32::try_from(at + 4).ok()?, u32::try_from(end).ok()?));
            at = end;
        }
        (at == plain.len()).then_some(Self { plain, ends })
    }

    fn slot(&self, slot: usize) -> Option<&[u8]> {
        let (start, end) = *self.ends.get(slot)?;
        self.plain.get(start as usize..end as usize)
    }

    /// The record at a place in this block.
    pub(super) fn record(&self, loc: Loc) -> Option<&[u8]> {
        self.slot(loc.slot())
    }
}

/// Appends blocks. What is past the length of the last commit is cut off when the part is opened again.
pub(super) struct RawWriter {
    dir: PathBuf,
    file: File,
    /// Length of the file with all closed blocks.
    len: u64,
    plain: Vec<u8>,
    records: usize,
    dict: u8,
    compressor: zstd::bulk::Compressor<'static>,
    samples: Option<Samples>,
}

#[derive(Default)]
struct Samples {
    bytes: Vec<u8>,
    sizes: Vec<usize>,
}

impl RawWriter {
    /// Opens the file and cuts it to `len`. A dictionary of an earlier part is a good start for a new one.
    pub(super) fn open(dir: &Path, len: u64, inherit: Option<&Path>) -> Result<Self, StoreError> {
        let path = dir.join("raw.blk");
        let error = |what: &'static str| {
            let path = path.clone();
            move |error| io_error(what, &path, error)
        };
        let file = OpenOptions::new().create(true).read(true).append(true).open(&path).map_err(error("open"))?;
        let found = file.metadata().map_err(error("read"))?.len();
        if found < len {
            return Err(StoreError::Damaged { what: format!("`{}`", path.display()), why: format!("it has {found} bytes and {len} were committed") });
        }
        if found > len {
            file.set_len(len).map_err(error("cut"))?;
        }
        file.sync_all().map_err(error("sync"))?;
        if let Some(newest) = inherit.and_then(newest_dict)
            && newest_dict(dir).is_none()
            && let Some((_, from)) = Some(newest)
        {
            let bytes = std::fs::read(&from).map_err(|error| io_error("read", &from, error))?;
            write_durably(&dict_path(dir, 1), &bytes)?;
        }
        let dict = newest_dict(dir).map(|(number, _)| number).unwrap_or_default();
        let compressor = compressor(dir, dict)?;
        let samples = (dict < 2).then(Samples::default);
        Ok(Self { dir: dir.to_owned(), file, len, plain: Vec::with_capacity(2 * BLOCK_BYTES), records: 0, dict, compressor, samples })
    }

    /// Takes a record in and tells where it will be.
    pub(super) fn push(&mut self, record: &[u8]) -> Result<Loc, StoreError> {
        if self.plain.len() >= BLOCK_BYTES || self.records >= BLOCK_RECORDS_MAX {
            self.seal()?;
        }
        let loc = Loc::new(self.len, self.records);
        let len = u32::try_from(record.len()).expect("a record is at most 4 MiB and its names are short");
        self.plain.extend_from_slice(&len.to_le_bytes());
        self.plain.extend_from_slice(record);
        self.records += 1;
        if let Some(samples) = &mut self.samples
            && samples.bytes.len() + record.len() <= SAMPLE_BYTES_MAX
        {
            samples.bytes.extend_from_slice(record);
            samples.sizes.push(record.len());
        }
        Ok(loc)
    }

    /// Closes the open block and makes all of the file durable. Gives its length.
    pub(super) fn sync(&mut self) -> Result<u64, StoreError> {
        self.seal()?;
        self.file.sync_data().map_err(|error| io_error("sync", &self.dir.join("raw.blk"), error))?;
        Ok(self.len)
    }

    fn seal(&mut self) -> Result<(), StoreError> {
        if self.records == 0 {
            return Ok(());
        }
        let path = self.dir.join("raw.blk");
        let body = self.compressor.compress(&self.plain).map_err(|error| io_error("compress a block of", &path, error))?;
        let mut header = [0_u8; HEADER_BYTES];
        header[0] = FORMAT;
        header[1] = self.dict;
        for (at, value) in [(4, body.len()), (8, self.plain.len()), (12, self.records)] {
            header[at..at + 4].copy_from_slice(&u32::try_from(value).expect("a block is at most a few records past 16 KiB").to_le_bytes());
        }
        let sum = checksum(&header, &body);
        header[16..20].copy_from_slice(&sum.to_le_bytes());
        let mut block = header.to_vec();
        block.extend_from_slice(&body);
        self.file.write_all(&block).map_err(|error| io_error("write", &path, error))?;
        self.len += block.len() as u64;
        self.plain.clear();
        self.records = 0;
        self.train()
    }

    /// Trains a dictionary once enough has been seen. A failed training only costs size.
    fn train(&mut self) -> Result<(), StoreError> {
        let is_ready = self.samples.as_ref().is_some_and(|s| s.sizes.len() >= SAMPLES && s.bytes.len() >= SAMPLE_BYTES_MIN);
        if !is_ready {
            return Ok(());
        }
        let Some(samples) = self.samples.take() else { return Ok(()) };
        if let Ok(dict) = zstd::dict::from_continuous(&samples.bytes, &samples.sizes, DICT_BYTES) {
            write_durably(&dict_path(&self.dir, 2), &dict)?;
            self.dict = 2;
            self.compressor = compressor(&self.dir, 2)?;
        }
        Ok(())
    }
}

fn newest_dict(dir: &Path) -> Option<(u8, PathBuf)> {
    [2, 1].into_iter().map(|number| (number, dict_path(dir, number))).find(|(_, path)| path.exists())
}

fn compressor(dir: &Path, dict: u8) -> Result<zstd::bulk::Compressor<'static>, StoreError> {
    let path = dict_path(dir, dict);
    let bytes = if dict == 0 { Vec::new() } else { std::fs::read(&path).map_err(|error| io_error("read", &path, error))? };
    zstd::bulk::Compressor::with_dictionary(LEVEL, &bytes).map_err(|error| io_error("use the dictionary", &path, error))
}
