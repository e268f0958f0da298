//! The bytes of headers and frames.

use std::io::{self, Read};

use crate::model::Timestamp;

use super::PAYLOAD_BYTES_MAX;

/// Of files that this build writes, and the highest it reads.
pub(super) const FORMAT_VERSION: u32 = 1;

const MAGIC: &[u8; 8] = b"BZSEGMNT";
pub(super) const FILE_HEADER_BYTES: usize = 28;
pub(super) const FRAME_HEADER_BYTES: usize = 32;

/// Bytes of a compressed payload: what zstd makes of the longest one that does not compress.
pub(super) const STORED_BYTES_MAX: usize = PAYLOAD_BYTES_MAX + (PAYLOAD_BYTES_MAX >> 7) + 1024;

/// Level of zstd: the writer must keep up, and what stands here is soon deleted.
const ZSTD_LEVEL: i32 = 1;

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its number.
    pub seq: u64,
    /// When it reached us.
    pub received: Timestamp,
    /// Free for the owner of the log.
    pub flags: u32,
    /// As appended.
    pub payload: Vec<u8>,
}

/// What the header of a file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileHeader {
    pub(super) salt: u32,
    pub(super) first: u64,
}

/// How the start of a file reads.
pub(super) enum Opening {
    Good(FileHeader),
    /// Cut or damaged.
    Bad,
    /// Of a newer build.
    Newer(u32),
}

impl FileHeader {
    pub(super) fn write(self) -> [u8; FILE_HEADER_BYTES] {
        let mut bytes = [0; FILE_HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.salt.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..24]);
        bytes[24..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(super) fn read(bytes: &[u8; FILE_HEADER_BYTES]) -> Opening {
        if &bytes[..8] != MAGIC || crc32fast::hash(&bytes[..24]) != u32_at(bytes, 24) {
            return Opening::Bad;
        }
        match u32_at(bytes, 8) {
            version if version > FORMAT_VERSION => Opening::Newer(version),
            _ => Opening::Good(Self { salt: u32_at(bytes, 12), first: u64_at(bytes, 16) }),
        }
    }

    /// Starts every frame of the file.
    pub(super) fn marker(self) -> [u8; 4] {
        (self.salt.rotate_left(16) ^ 0x9e37_79b9).to_le_bytes()
    }
}

/// The header of a frame, read but not yet checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct FrameHeader {
    pub(super) stored_bytes: usize,
    crc: u32,
    pub(super) seq: u64,
    received: i64,
    pub(super) flags: u32,
}

impl FrameHeader {
    /// `None` if no frame of this file starts so.
    pub(super) fn read(bytes: &[u8; FRAME_HEADER_BYTES], file: FileHeader) -> Option<Self> {
        let stored_bytes = u32_at(bytes, 4) as usize;
        let received = u64_at(bytes, 20).cast_signed();
        let header = Self { stored_bytes, crc: u32_at(bytes, 8), seq: u64_at(bytes, 12), received, flags: u32_at(bytes, 28) };
        (bytes[..4] == file.marker() && stored_bytes <= STORED_BYTES_MAX).then_some(header)
    }

    /// Whether header and payload are as they were written.
    pub(super) fn is_intact(&self, stored: &[u8], file: FileHeader) -> bool {
        checksum(file, self.seq, self.received, self.flags, stored) == self.crc
    }

    /// The frame; an error if the payload, though as written, does not unpack.
    pub(super) fn unpack(&self, stored: &[u8]) -> io::Result<Frame> {
        let mut payload = Vec::with_capacity(stored.len().saturating_mul(4).min(1 << 20));
        let mut from = zstd::stream::read::Decoder::with_buffer(stored)?.take(PAYLOAD_BYTES_MAX as u64 + 1);
        from.read_to_end(&mut payload)?;
        Ok(Frame { seq: self.seq, received: Timestamp::from_nanos(self.received), flags: self.flags, payload })
    }
}

/// A frame that waits for its number, compressed.
#[derive(Debug)]
pub struct Packed {
    received: Timestamp,
    flags: u32,
    stored: Vec<u8>,
}

impl Packed {
    /// Compresses a payload, which takes its time: call it off the runtime.
    ///
    /// # Errors
    /// When the payload is longer than [`PAYLOAD_BYTES_MAX`].
    pub fn new(received: Timestamp, flags: u32, payload: &[u8]) -> io::Result<Self> {
        if payload.len() > PAYLOAD_BYTES_MAX {
            let why = format!("a payload of {} bytes is longer than the limit of {PAYLOAD_BYTES_MAX}", payload.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        Ok(Self { received, flags, stored: zstd::bulk::compress(payload, ZSTD_LEVEL)? })
    }

    /// Bytes in the file.
    pub fn bytes(&self) -> usize {
        FRAME_HEADER_BYTES + self.stored.len()
    }

    pub(super) fn write(&self, seq: u64, file: FileHeader, to: &mut Vec<u8>) {
        let received = self.received.nanos();
        to.extend_from_slice(&file.marker());
        to.extend_from_slice(&u32::try_from(self.stored.len()).expect("a stored payload is far below 4 GiB").to_le_bytes());
        to.extend_from_slice(&checksum(file, seq, received, self.flags, &self.stored).to_le_bytes());
        to.extend_from_slice(&seq.to_le_bytes());
        to.extend_from_slice(&received.to_le_bytes());
        to.extend_from_slice(&self.flags.to_le_bytes());
        to.extend_from_slice(&self.stored);
    }
}

fn checksum(file: FileHeader, seq: u64, received: i64, flags: u32, stored: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&file.salt.to_le_bytes());
    hasher.update(&(stored.len() as u64).to_le_bytes());
    hasher.update(&seq.to_le_bytes());
    hasher.update(&received.to_le_bytes());
    hasher.update(&flags.to_le_bytes());
    hasher.update(stored);
    hasher.finalize()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut four = [0; 4];
    four.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(four)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(eight)
}
