//! Compression, told by magic bytes: whole payloads for `decode`, and streams for files of any size.
//!
//! What expands past the limits is a bomb; what is damaged or cut ends there. Either way the part before it is read.

mod bounded;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::sync::Arc;

use crate::model::{Compression, Inflate, InflateLimits, Magic, RejectReason};
use bounded::{Bounded, Metered, Wire};

/// Bytes expanded at a time: what a damaged spot can take with it.
const STEP_BYTES: usize = 16 << 10;

/// Why a compressed input could not be read further. Travels within an [`io::Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault(pub RejectReason);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot expand the input further: {}", self.0)
    }
}

impl std::error::Error for Fault {}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        Self::new(io::ErrorKind::InvalidData, fault)
    }
}

/// The reason in an error of [`Expanded`]; `None` where reading itself failed.
pub fn fault_of(error: &io::Error) -> Option<RejectReason> {
    error.get_ref().and_then(|inner| inner.downcast_ref::<Fault>()).map(|fault| fault.0)
}

/// The codecs of this build.
#[derive(Debug, Clone, Copy, Default)]
pub struct Codec;

impl Inflate for Codec {
    fn inflate(&self, how: Compression, input: &[u8], limits: &InflateLimits, out: &mut Vec<u8>) -> Result<(), RejectReason> {
        let wire = Arc::new(Wire::of(input.len() as u64));
        let bad = |error: io::Error| fault_of(&error).unwrap_or(RejectReason::BadCompression);
        let mut bounded = layer(how, input, limits, &wire).map_err(bad)?;
        let mut step = vec![0; STEP_BYTES];
        loop {
            match bounded.read(&mut step).map_err(bad)? {
                0 => return Ok(()),
                read => out.extend_from_slice(&step[..read]),
            }
        }
    }
}

/// One layer of compression taken off.
fn layer<'r>(how: Compression, reader: impl BufRead + Send + 'r, limits: &InflateLimits, wire: &Arc<Wire>) -> io::Result<Bounded<'r>> {
    let inner: Box<dyn Read + Send + 'r> = match how {
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(reader)?;
            decoder.window_log_max(limits.zstd_window_log_max)?;
            Box::new(decoder)
        }
    };
    Ok(Bounded::new(inner, *limits, Arc::clone(wire)))
}

/// A reader of what a compressed input holds. Reads plain input as it is.
pub struct Expanded<'r> {
    inner: Box<dyn BufRead + Send + 'r>,
    layers: usize,
}

impl fmt::Debug for Expanded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expanded").field("layers", &self.layers).finish_non_exhaustive()
    }
}

impl Expanded<'_> {
    /// Layers of compression that were taken off.
    pub fn layers(&self) -> usize {
        self.layers
    }
}

impl Read for Expanded<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buf)
    }
}

/// Looks at the first bytes and expands what is compressed, layer by layer, as it is read. Bombs and damage come as errors of the reader,
/// for [`fault_of`], after everything before them.
///
/// # Errors
/// When the first bytes cannot be read.
pub fn open<'r>(reader: impl Read + Send + 'r, limits: &InflateLimits) -> io::Result<Expanded<'r>> {
    let wire = Arc::new(Wire::of(0));
    let mut inner: Box<dyn BufRead + Send + 'r> = Box::new(BufReader::with_capacity(4 * STEP_BYTES, Metered::new(reader, Arc::clone(&wire))));
    let mut layers = 0;
    loop {
        let head = peek(&mut inner)?;
        let how = Magic::of(&head);
        let whole = Cursor::new(head).chain(inner);
        match how {
            Magic::Compressed(_) if layers == limits.nesting_max => {
                let refused = Bounded::refused(Fault(RejectReason::TooDeep));
                return Ok(Expanded { inner: Box::new(BufReader::new(refused)), layers });
            }
            Magic::Compressed(how) => {
                layers += 1;
                inner = Box::new(BufReader::with_capacity(STEP_BYTES, layer(how, whole, limits, &wire)?));
            }
            _ => return Ok(Expanded { inner: Box::new(whole), layers }),
        }
    }
}

/// The bytes that tell what follows; fewer where the input ends or is damaged.
fn peek(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = vec![0; Magic::BYTES];
    let mut len = 0;
    while let Some(free) = head.get_mut(len..).filter(|free| !free.is_empty()) {
        match reader.read(free) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // It comes again, after the bytes before it.
            Err(error) if fault_of(&error).is_some() => break,
            Err(error) => return Err(error),
        }
    }
    head.truncate(len);
    Ok(head)
}
