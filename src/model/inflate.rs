//! What compressed input is, and the limits under which it is expanded. The expanding itself is in `codec`; the pure core only knows the trait.

use super::RejectReason;

/// Compression that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// RFC 1952, any number of members.
    Gzip,
    /// RFC 8878, any number of frames.
    Zstd,
}

/// How far compressed input may expand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InflateLimits {
    /// Bytes that come out. Past it the rest is a bomb.
    pub decoded_bytes_max: u64,
    /// Bytes out for each byte in, asked once `ratio_free_bytes` have come out.
    pub ratio_max: u64,
    /// Bytes that may come out whatever the ratio.
    pub ratio_free_bytes: u64,
    /// Compression within compression.
    pub nesting_max: usize,
    /// The largest zstd window, as a power of two: what a frame can make us allocate.
    pub zstd_window_log_max: u32,
}

impl Default for InflateLimits {
    /// For a payload held in memory.
    fn default() -> Self {
        Self { decoded_bytes_max: 128 << 20, ratio_max: 200, ratio_free_bytes: 1 << 20, nesting_max: 3, zstd_window_log_max: 23 }
    }
}

impl InflateLimits {
    /// For a file or object that is read as a stream.
    pub fn streamed() -> Self {
        Self { decoded_bytes_max: 16 << 30, ..Self::default() }
    }

    /// Bytes that may come out of so many bytes that came in.
    pub fn allowed_bytes(&self, bytes_in: u64) -> u64 {
        self.decoded_bytes_max.min(self.ratio_free_bytes.max(bytes_in.saturating_mul(self.ratio_max)))
    }
}

/// Expands one layer of compression.
pub trait Inflate: Send + Sync + std::fmt::Debug {
    /// Appends what comes out to `out`. On an error, what could be read before it has been appended.
    ///
    /// # Errors
    /// [`RejectReason::Bomb`] past a limit, [`RejectReason::BadCompression`] where the bytes are damaged or cut.
    fn inflate(&self, how: Compression, input: &[u8], limits: &InflateLimits, out: &mut Vec<u8>) -> Result<(), RejectReason>;
}

/// What the first bytes of an input say it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Magic {
    /// Nothing that is known: text, as far as one can tell.
    Plain,
    Compressed(Compression),
    /// Compressed, or a columnar file, of a kind that is not read; its name.
    Unsupported(&'static str),
    /// A program, an archive or a picture; its name.
    Binary(&'static str),
}

/// Every known beginning. Compression comes first, as it is what is asked for most.
const MAGICS: &[(&[u8], Magic)] = &[
    (b"\x1f\x8b", Magic::Compressed(Compression::Gzip)),
    (b"\x28\xb5\x2f\xfd", Magic::Compressed(Compression::Zstd)),
    (b"\xff\x06\x00\x00sNaPpY", Magic::Unsupported("snappy")),
    (b"\x82SNAPPY\x00", Magic::Unsupported("snappy")),
    (b"\x04\x22\x4d\x18", Magic::Unsupported("lz4")),
    (b"\xfd7zXZ\x00", Magic::Unsupported("xz")),
    (b"BZh", Magic::Unsupported("bzip2")),
    (b"\x78\x9c", Magic::Unsupported("zlib")),
    (b"\x78\xda", Magic::Unsupported("zlib")),
    (b"\x78\x01", Magic::Unsupported("zlib")),
    (b"PK\x03\x04", Magic::Unsupported("zip")),
    (b"PK\x05\x06", Magic::Unsupported("zip")),
    (b"7z\xbc\xaf\x27\x1c", Magic::Unsupported("7z")),
    (b"PAR1", Magic::Unsupported("parquet")),
    (b"ARROW1", Magic::Unsupported("arrow")),
    (b"Obj\x01", Magic::Unsupported("avro")),
    (b"ORC\n", Magic::Unsupported("orc")),
    (b"\x7fELF", Magic::Binary("elf")),
    (b"MZ\x90\x00", Magic::Binary("pe")),
    (b"\xfe\xed\xfa\xce", Magic::Binary("mach-o")),
    (b"\xfe\xed\xfa\xcf", Magic::Binary("mach-o")),
    (b"\xce\xfa\xed\xfe", Magic::Binary("mach-o")),
    (b"\xcf\xfa\xed\xfe", Magic::Binary("mach-o")),
    (b"\xca\xfe\xba\xbe", Magic::Binary("java class")),
    (b"\x00asm", Magic::Binary("wasm")),
    (b"\x89PNG", Magic::Binary("png")),
    (b"\xff\xd8\xff", Magic::Binary("jpeg")),
    (b"GIF8", Magic::Binary("gif")),
    (b"%PDF-", Magic::Binary("pdf")),
    (b"SQLite format 3", Magic::Binary("sqlite")),
    (b"!<arch>", Magic::Binary("archive")),
];

impl Magic {
    /// Bytes that settle the matter.
    pub const BYTES: usize = 16;

    /// Tells by the first [`Magic::BYTES`] bytes.
    pub fn of(head: &[u8]) -> Self {
        if matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]) {
            return Self::Compressed(Compression::Zstd); // A skippable frame, which may come first.
        }
        MAGICS.iter().find(|(magic, _)| head.starts_with(magic)).map_or(Self::Plain, |(_, what)| *what)
    }
}
