//! Compression: gzip and zstd, undone with limits, for whole payloads and for files of any size.

#[cfg(test)]
mod tests;
mod whole;

use std::io::{self, BufRead, BufReader, Read};

pub use whole::Inflater;

use crate::model::{Compression, Magic};

/// Bytes of zstd's window, as a power of two: what a frame may make us keep.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Layers of compression around a file.
const NESTING_MAX: usize = 3;

/// Decompressed bytes of one file.
const FILE_BYTES_MAX: u64 = 16 << 30;

/// A reader that undoes whatever compression the bytes themselves show, member after member, as a stream.
/// What is packed in a way that is not read here comes through as it is, for the decoder to tell.
pub fn open(from: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let mut reader: Box<dyn Read + Send> = Box::new(from);
    for _ in 0..NESTING_MAX {
        let mut buffered = BufReader::with_capacity(1 << 16, reader);
        let head = buffered.fill_buf()?;
        match Magic::of(head) {
            Magic::Compressed(how) => reader = layer(how, buffered)?,
            Magic::Plain | Magic::Unsupported | Magic::Binary => {
                reader = Box::new(buffered);
                break;
            }
        }
    }
    Ok(Box::new(reader.take(FILE_BYTES_MAX)))
}

fn layer(how: Compression, from: impl BufRead + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    Ok(match how {
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(from)),
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(from)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            Box::new(decoder)
        }
    })
}
