//! Counts what goes into the codecs and what comes out, and stops them at the limits.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::Fault;
use crate::model::{InflateLimits, RejectReason};

/// What has been read of the compressed input, shared by its layers.
#[derive(Debug)]
pub(super) struct Wire {
    bytes: AtomicU64,
    has_failed: AtomicBool,
}

impl Wire {
    pub(super) fn of(bytes: u64) -> Self {
        Self { bytes: AtomicU64::new(bytes), has_failed: AtomicBool::new(false) }
    }
}

/// Counts what is read of the input, and remembers that reading failed: such an error is no damage to the data.
pub(super) struct Metered<R> {
    inner: R,
    wire: Arc<Wire>,
}

impl<R> Metered<R> {
    pub(super) fn new(inner: R, wire: Arc<Wire>) -> Self {
        Self { inner, wire }
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let result = self.inner.read(buf);
        match &result {
            Ok(read) => {
                self.wire.bytes.fetch_add(*read as u64, Ordering::Relaxed);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => self.wire.has_failed.store(true, Ordering::Relaxed),
        }
        result
    }
}

/// A layer of compression under the limits. A fault stays: every later read gives it again.
pub(super) struct Bounded<'r> {
    inner: Box<dyn Read + Send + 'r>,
    limits: InflateLimits,
    wire: Arc<Wire>,
    bytes_out: u64,
    fault: Option<Fault>,
}

impl<'r> Bounded<'r> {
    pub(super) fn new(inner: Box<dyn Read + Send + 'r>, limits: InflateLimits, wire: Arc<Wire>) -> Self {
        Self { inner, limits, wire, bytes_out: 0, fault: None }
    }

    /// A layer that is not taken off.
    pub(super) fn refused(fault: Fault) -> Self {
        let mut bounded = Self::new(Box::new(io::empty()), InflateLimits::default(), Arc::new(Wire::of(0)));
        bounded.fault = Some(fault);
        bounded
    }
}

impl Read for Bounded<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if let Some(fault) = self.fault {
            return Err(fault.into());
        }
        let fault = match self.inner.read(buf) {
            Ok(read) => {
                self.bytes_out += read as u64;
                if self.bytes_out <= self.limits.allowed_bytes(self.wire.bytes.load(Ordering::Relaxed)) {
                    return Ok(read);
                }
                Fault(RejectReason::Bomb)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted || self.wire.has_failed.load(Ordering::Relaxed) => return Err(error),
            Err(error) => match super::fault_of(&error) {
                Some(reason) => Fault(reason),
                // zstd has no error kinds; this is its word for a window past the limit.
                None if error.to_string().contains("too much memory") => Fault(RejectReason::Bomb),
                None => Fault(RejectReason::BadCompression),
            },
        };
        self.fault = Some(fault);
        Err(fault.into())
    }
}
