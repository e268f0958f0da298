//! The only place that asks what time it is. Everything else is told; tests hold the hands of the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::model::{Duration, Timestamp};

/// A source of time.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The machine's.
    System,
    /// Stands still until it is moved.
    Simulated(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at this moment.
    pub fn simulated(at: Timestamp) -> Self {
        Self::Simulated(Arc::new(AtomicI64::new(at.nanos())))
    }

    /// Now.
    #[expect(clippy::disallowed_methods, reason = "the one place that may ask")]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => Timestamp::from_nanos(chrono::Utc::now().timestamp_nanos_opt().unwrap_or(i64::MAX)),
            Self::Simulated(at) => Timestamp::from_nanos(at.load(Ordering::SeqCst)),
        }
    }

    /// Moves a simulated clock forward; the machine's stays as it is.
    pub fn advance(&self, by: Duration) {
        if let Self::Simulated(at) = self {
            at.fetch_add(by.0, Ordering::SeqCst);
        }
    }
}
