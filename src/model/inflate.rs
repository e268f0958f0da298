//! Compression as the pure core sees it: told by magic bytes, undone by whoever it is handed.

use super::RejectReason;

/// A compression that is undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// RFC 1952, any number of members.
    Gzip,
    /// RFC 8878, any number of frames.
    Zstd,
}

/// What the first bytes say of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Magic {
    Plain,
    Compressed(Compression),
    /// Compressed or packed in a way that is not read here.
    Unsupported,
    /// A program, picture or other thing that is no log.
    Binary,
}

impl Magic {
    /// By the first bytes; a few are enough.
    pub fn of(bytes: &[u8]) -> Self {
        const UNSUPPORTED: &[&[u8]] = &[
            b"PK\x03\x04",
            b"PAR1",
            b"ARROW1",
            b"BZh",
            b"\xfd7zXZ\0",
            b"\x04\x22\x4d\x18",
            b"7z\xbc\xaf\x27\x1c",
            b"\xff\x06\0\0sNaPpY",
            b"Obj\x01",
            b"\x82SNAPPY\0",
        ];
        const BINARY: &[&[u8]] =
            &[b"\x7fELF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"%PDF", b"MZ\x90", b"SQLite format 3\0", b"\0asm", b"\xca\xfe\xba\xbe"];
        if bytes.starts_with(b"\x1f\x8b") {
            Self::Compressed(Compression::Gzip)
        } else if bytes.starts_with(b"\x28\xb5\x2f\xfd") {
            Self::Compressed(Compression::Zstd)
        } else if UNSUPPORTED.iter().any(|magic| bytes.starts_with(magic)) {
            Self::Unsupported
        } else if BINARY.iter().any(|magic| bytes.starts_with(magic)) {
            Self::Binary
        } else {
            Self::Plain
        }
    }
}

/// How far a payload may expand.
#[derive(Debug, Clone)]
pub struct InflateLimits {
    /// Decompressed bytes of one payload.
    pub decoded_bytes_max: usize,
    /// Decompressed bytes a compressed one, past the first `ratio_free_bytes`.
    pub ratio_max: usize,
    pub ratio_free_bytes: usize,
    /// Compression within compression.
    pub nesting_max: usize,
}

impl Default for InflateLimits {
    fn default() -> Self {
        Self { decoded_bytes_max: 128 << 20, ratio_max: 200, ratio_free_bytes: 1 << 20, nesting_max: 3 }
    }
}

impl InflateLimits {
    /// Whether so many bytes out of so many in are a bomb.
    pub fn is_bomb(&self, bytes_in: usize, bytes_out: usize) -> bool {
        bytes_out > self.decoded_bytes_max || bytes_out > self.ratio_free_bytes.saturating_add(bytes_in.saturating_mul(self.ratio_max))
    }
}

/// What could be decompressed, and what stopped it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inflated {
    /// Everything up to the damage, if there is any.
    pub bytes: Vec<u8>,
    pub damage: Option<RejectReason>,
}

/// Undoes compression. The pure core is handed one; without it, compressed input is a reject.
pub trait Inflate: Send + Sync {
    /// One layer.
    fn inflate(&self, how: Compression, input: &[u8], limits: &InflateLimits) -> Inflated;
}
