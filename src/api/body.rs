//! The bodies of pushes: read within one budget for all of them, taken before the first byte where the length is said, else as it grows.

use std::sync::Arc;

use axum::body::Body;
use axum::http::StatusCode;
use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Problem;

/// Seconds after which a sender may come back to a full service.
const RETRY_AFTER_S: u64 = 1;

/// A body that was read, with its share of the budget.
#[derive(Debug)]
pub struct Held {
    bytes: Vec<u8>,
    _share: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// What all bodies share.
#[derive(Debug, Clone)]
pub(super) struct Room {
    free: Arc<Semaphore>,
    body_bytes_max: usize,
}

impl Room {
    /// For so many bytes in all, and in one body.
    pub(super) fn new(bytes_max: usize, body_bytes_max: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(bytes_max.min(Semaphore::MAX_PERMITS))), body_bytes_max }
    }

    /// Whether so many bytes are free.
    #[cfg(test)]
    pub(super) fn is_free(&self, bytes: usize) -> bool {
        self.free.available_permits() >= bytes
    }

    fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Problem> {
        let bytes = u32::try_from(bytes).map_err(|_| too_large(self.body_bytes_max))?;
        Arc::clone(&self.free).try_acquire_many_owned(bytes).map_err(|_| Problem::busy(RETRY_AFTER_S))
    }

    /// Reads a body that said to be so long, if it did. Refuses it unread where there is no room for it.
    pub(super) async fn read(&self, body: Body, said: Option<usize>) -> Result<Held, Problem> {
        let said = said.unwrap_or_default();
        if said > self.body_bytes_max {
            return Err(too_large(self.body_bytes_max));
        }
        let mut share = self.take(said)?;
        let mut bytes = Vec::with_capacity(said);
        let mut pieces = body.into_data_stream();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| Problem::of_body(&error, StatusCode::BAD_REQUEST, "the body broke off"))?;
            let len = bytes.len() + piece.len();
            if len > self.body_bytes_max {
                return Err(too_large(self.body_bytes_max));
            }
            if let more @ 1.. = len.saturating_sub(share.num_permits()) {
                share.merge(self.take(more)?);
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(Held { bytes, _share: share })
    }
}

/// More than a route takes.
pub(super) fn too_large(bytes_max: usize) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", format!("the body is longer than the {bytes_max} bytes that this route takes"))
}
