//! Raw records in compressed blocks, appended to one file.
//!
//! A block is a header of 24 bytes (format, dictionary, two bytes of nothing, compressed length, plain length, records, CRC-32 of what
//! precedes it and of the body, all little-endian) and a zstd frame. Plain, it holds the names that its records have (their number, then each
//! after its length), five columns of numbers, an entry a record (which names; position, offset and time of receipt, each as a step from the
//! record before; length of the text), and the texts. So what is alike stands side by side, and what recurs is written once a block.

use std::collections::{HashMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use zstd::bulk::Decompressor;
use zstd::dict::DecoderDictionary;
use zstd::zstd_safe::{CParameter, DictAttachPref};

use crate::model::{Event, Position, Timestamp};
use crate::ports::StoreError;

use super::manifest::{io_error, sync_dir, write_durably};
use super::record::{self, Names, StoredRecord};
use super::varint;

const FORMAT: u8 = 2;
const HEADER_BYTES: usize = 24;
/// A block is closed once it has so many plain bytes.
const BLOCK_BYTES: usize = 32 << 10;
/// A block is closed once it has so many records; a slot fits in [`SLOT_BITS`].
const BLOCK_RECORDS_MAX: usize = 1000;
const SLOT_BITS: u32 = 10;
/// Plain length past which a header is taken for damage.
const PLAIN_BYTES_MAX: usize = 64 << 20;
/// Numbers of a record that are told as steps.
const STEPPED: usize = 3;
const LEVEL: i32 = 3;
const DICT_BYTES: usize = 256 << 10;
/// Dictionaries that stay in memory for reading, of all parts together: at 280 KiB each.
const DICTS_KEPT: usize = 64;
/// Records and bytes seen before a dictionary is trained.
const SAMPLES: usize = 6000;
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

/// The dictionaries that were read last, whatever reads by them: a search over a year of parts is not to keep them all.
static KEPT: Mutex<VecDeque<Arc<DecoderDictionary<'static>>>> = Mutex::new(VecDeque::new());

/// The file of blocks of a part.
pub(super) fn file_in(dir: &Path) -> PathBuf {
    dir.join("raw.blk")
}

/// Gives another folder the blocks and dictionaries of a part, by the same files.
pub(super) fn link(from: &Path, to: &Path) -> Result<(), StoreError> {
    let files = [file_in(from), dict_path(from, 1), dict_path(from, 2)];
    for file in files.iter().filter(|file| file.exists()) {
        let name = to.join(file.file_name().unwrap_or_default());
        std::fs::hard_link(file, &name).map_err(|error| io_error("link", &name, error))?;
    }
    sync_dir(to)
}

/// Reads blocks. Cheap to share.
pub(super) struct RawReader {
    dir: PathBuf,
    file: File,
    dicts: Mutex<HashMap<u8, Weak<DecoderDictionary<'static>>>>,
}

impl RawReader {
    pub(super) fn open(dir: &Path) -> Result<Self, StoreError> {
        let path = file_in(dir);
        let file = File::open(&path).map_err(|error| io_error("open", &path, error))?;
        Ok(Self { dir: dir.to_owned(), file, dicts: Mutex::default() })
    }

    fn damaged(&self, offset: u64, why: &str) -> StoreError {
        StoreError::Damaged { what: format!("`{}` at byte {offset}", file_in(&self.dir).display()), why: why.to_owned() }
    }

    fn dict(&self, number: u8) -> Result<Arc<DecoderDictionary<'static>>, StoreError> {
        let mut dicts = self.dicts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(dict) = dicts.get(&number).and_then(Weak::upgrade) {
            return Ok(dict);
        }
        let path = dict_path(&self.dir, number);
        let bytes = std::fs::read(&path).map_err(|error| io_error("read", &path, error))?;
        let dict = Arc::new(DecoderDictionary::try_copy(&bytes).map_err(|error| io_error("use", &path, error))?);
        dicts.insert(number, Arc::downgrade(&dict));
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back(dict.clone());
        if kept.len() > DICTS_KEPT {
            kept.pop_front();
        }
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
            number => {
                let dict = self.dict(number)?;
                Decompressor::with_prepared_dictionary(dict.as_ref()).and_then(|mut made| made.decompress(&body, plain_len))
            }
        };
        let plain = plain.map_err(|_| self.damaged(offset, "the block does not decompress"))?;
        let block = Block::index(plain, records).ok_or_else(|| self.damaged(offset, "the records do not fill the block"))?;
        Ok((block, offset + (HEADER_BYTES + body_len) as u64))
    }

    /// Length of all blocks that are whole. A last one that a crash tore ends with the file.
    pub(super) fn whole_len(&self) -> Result<u64, StoreError> {
        let end = self.file.metadata().map_err(|error| io_error("read", &file_in(&self.dir), error))?.len();
        let (mut offset, mut header) = (0, [0; HEADER_BYTES]);
        while offset + HEADER_BYTES as u64 <= end {
            self.file.read_exact_at(&mut header, offset).map_err(|_| self.damaged(offset, "the block's header can not be read"))?;
            let body = header.get(4..8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes);
            if offset + HEADER_BYTES as u64 + u64::from(body) > end {
                break;
            }
            offset = self.block(offset)?.1;
        }
        Ok(offset)
    }

    /// Every record below a length of the file, in order; nothing for one that is not what was written.
    pub(super) fn each(&self, upto: u64, mut to: impl FnMut(Loc, Option<StoredRecord>)) -> Result<(), StoreError> {
        let mut offset = 0;
        while offset < upto {
            let (block, after) = self.block(offset)?;
            for slot in 0..block.heads.len() {
                to(Loc::new(offset, slot), block.slot(slot));
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
    names: Vec<Option<Names>>,
    heads: Vec<Head>,
}

/// What the columns tell of a record.
#[derive(Debug, Clone, Copy, Default)]
struct Head {
    names: u64,
    /// Position, offset, time of receipt in nanoseconds.
    numbers: [u64; STEPPED],
    /// Of the text, within the block: where it begins, and its length.
    start: usize,
    len: usize,
}

impl Block {
    fn index(plain: Vec<u8>, records: usize) -> Option<Self> {
        if records > BLOCK_RECORDS_MAX {
            return None;
        }
        let mut reader = varint::Reader(&plain);
        let mut names = Vec::new();
        for _ in 0..reader.number()? {
            let len = usize::try_from(reader.number()?).ok()?;
            names.push(record::read_names(reader.bytes(len)?));
        }
        let mut heads = vec![Head::default(); records];
        for head in &mut heads {
            head.names = reader.number()?;
        }
        for at in 0..STEPPED {
            let mut before = 0;
            for head in &mut heads {
                before = reader.step(before)?;
                head.numbers[at] = before;
            }
        }
        for head in &mut heads {
            head.len = usize::try_from(reader.number()?).ok()?;
        }
        let mut at = plain.len() - reader.0.len();
        for head in &mut heads {
            head.start = at;
            at = at.checked_add(head.len)?;
        }
        (at == plain.len()).then_some(Self { plain, names, heads })
    }

    fn slot(&self, slot: usize) -> Option<StoredRecord> {
        let head = self.heads.get(slot)?;
        let names = self.names.get(usize::try_from(head.names).ok()?)?.as_ref()?;
        let text = std::str::from_utf8(self.plain.get(head.start..head.start + head.len)?).ok()?;
        let [position, offset, received] = head.numbers;
        Some(names.record(Position(position), offset, Timestamp::from_nanos(received.cast_signed()), text))
    }

    /// The record at a place in this block.
    pub(super) fn record(&self, loc: Loc) -> Option<StoredRecord> {
        self.slot(loc.slot())
    }
}

/// A block that is being filled.
#[derive(Default)]
struct Open {
    /// Each after its length.
    names: Vec<u8>,
    /// Where those names lie.
    known: Vec<std::ops::Range<usize>>,
    /// Names, position, offset, time of receipt, length.
    columns: [Vec<u8>; STEPPED + 2],
    last: [u64; STEPPED],
    texts: Vec<u8>,
    records: usize,
    /// Names of the event that is being taken in.
    own: Vec<u8>,
}

impl Open {
    fn is_full(&self) -> bool {
        self.names.len() + self.texts.len() >= BLOCK_BYTES || self.records >= BLOCK_RECORDS_MAX
    }

    fn push(&mut self, event: &Event) {
        self.own.clear();
        record::write_names(event, &mut self.own);
        let known = self.known.iter().rposition(|at| self.names.get(at.clone()) == Some(self.own.as_slice()));
        let names = known.unwrap_or_else(|| {
            varint::write(self.own.len() as u64, &mut self.names);
            let start = self.names.len();
            self.names.extend_from_slice(&self.own);
            self.known.push(start..self.names.len());
            self.known.len() - 1
        });
        varint::write(names as u64, &mut self.columns[0]);
        let numbers = [event.position.0, event.offset, event.origin.received.nanos().cast_unsigned()];
        for (at, number) in numbers.into_iter().enumerate() {
            varint::write_step(self.last[at], number, &mut self.columns[at + 1]);
        }
        self.last = numbers;
        let text = event.doc.text().as_bytes();
        varint::write(text.len() as u64, &mut self.columns[STEPPED + 1]);
        self.texts.extend_from_slice(text);
        self.records += 1;
    }

    /// What the block holds, plain.
    fn write(&self, to: &mut Vec<u8>) {
        varint::write(self.known.len() as u64, to);
        to.extend_from_slice(&self.names);
        self.columns.iter().for_each(|column| to.extend_from_slice(column));
        to.extend_from_slice(&self.texts);
    }

    fn clear(&mut self) {
        self.names.clear();
        self.known.clear();
        self.columns.iter_mut().for_each(Vec::clear);
        self.last = [0; STEPPED];
        self.texts.clear();
        self.records = 0;
    }
}

/// Appends blocks. What is past the length of the last commit is cut off when the part is opened again.
pub(super) struct RawWriter {
    dir: PathBuf,
    file: File,
    /// Length of the file with all closed blocks.
    len: u64,
    open: Open,
    plain: Vec<u8>,
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
        let path = file_in(dir);
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
            inherit_dict(&from, &dict_path(dir, 1))?;
        }
        let dict = newest_dict(dir).map(|(number, _)| number).unwrap_or_default();
        let compressor = compressor(dir, dict)?;
        let samples = (dict < 2).then(Samples::default);
        Ok(Self { dir: dir.to_owned(), file, len, open: Open::default(), plain: Vec::with_capacity(2 * BLOCK_BYTES), dict, compressor, samples })
    }

    /// Takes an event in and tells where it will be.
    pub(super) fn push(&mut self, event: &Event) -> Result<Loc, StoreError> {
        if self.open.is_full() {
            self.seal()?;
        }
        let loc = Loc::new(self.len, self.open.records);
        self.open.push(event);
        let text = event.doc.text().as_bytes();
        if let Some(samples) = &mut self.samples
            && samples.bytes.len() + text.len() <= SAMPLE_BYTES_MAX
        {
            samples.bytes.extend_from_slice(text);
            samples.sizes.push(text.len());
        }
        Ok(loc)
    }

    /// Closes the open block and makes all of the file durable. Gives its length.
    pub(super) fn sync(&mut self) -> Result<u64, StoreError> {
        self.seal()?;
        self.file.sync_data().map_err(|error| io_error("sync", &file_in(&self.dir), error))?;
        Ok(self.len)
    }

    fn seal(&mut self) -> Result<(), StoreError> {
        if self.open.records == 0 {
            return Ok(());
        }
        self.plain.clear();
        self.open.write(&mut self.plain);
        let path = file_in(&self.dir);
        let body = self.compressor.compress(&self.plain).map_err(|error| io_error("compress a block of", &path, error))?;
        let mut header = [0_u8; HEADER_BYTES];
        header[0] = FORMAT;
        header[1] = self.dict;
        for (at, value) in [(4, body.len()), (8, self.plain.len()), (12, self.open.records)] {
            header[at..at + 4].copy_from_slice(&u32::try_from(value).expect("a block is at most a few records past its bound").to_le_bytes());
        }
        let sum = checksum(&header, &body);
        header[16..20].copy_from_slice(&sum.to_le_bytes());
        let mut block = header.to_vec();
        block.extend_from_slice(&body);
        self.file.write_all(&block).map_err(|error| io_error("write", &path, error))?;
        self.len += block.len() as u64;
        self.open.clear();
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
    let made = zstd::bulk::Compressor::with_dictionary(LEVEL, &bytes).and_then(|mut made| {
        // By itself it copies the dictionary's tables for every block of more than 16 KiB.
        made.set_parameter(CParameter::ForceAttachDict(DictAttachPref::ForceAttach))?;
        Ok(made)
    });
    made.map_err(|error| io_error("use the dictionary", &path, error))
}

/// The same file under one more name, where the disk can do that.
fn inherit_dict(from: &Path, to: &Path) -> Result<(), StoreError> {
    if std::fs::hard_link(from, to).is_ok() {
        return to.parent().map_or(Ok(()), sync_dir);
    }
    let bytes = std::fs::read(from).map_err(|error| io_error("read", from, error))?;
    write_durably(to, &bytes)
}
