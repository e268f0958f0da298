//! The only place that asks what time it is. Everything else is told; tests hold the hands of the clock.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::model::{Duration, Timestamp};

/// How far the machine's clock may be set back and be believed. Past it time goes on from where it stood: what is received would otherwise
/// seem to come from the future, and every producer's clock to run ahead.
const BACK_MAX: Duration = Duration::minutes(5);

/// What the machine's clock said last, and when. There is one machine, so there is one of it.
static LAST: Mutex<Option<(Instant, i64)>> = Mutex::new(None);

/// A source of time.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The machine's, but never far back.
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
            Self::System => {
                let (wall, at) = (chrono::Utc::now().timestamp_nanos_opt().unwrap_or(i64::MAX), Instant::now());
                let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
                let since = last.map(|(then, nanos)| (nanos, i64::try_from(at.saturating_duration_since(then).as_nanos()).unwrap_or(i64::MAX)));
                let now = steady(since, wall);
                *last = Some((at, now));
                Timestamp::from_nanos(now)
            }
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

/// What time it is, by what the clock says, and by what it said last and for how long that is past.
fn steady(last: Option<(i64, i64)>, wall: i64) -> i64 {
    match last.map(|(nanos, elapsed)| nanos.saturating_add(elapsed)) {
        Some(expected) if wall < expected.saturating_sub(BACK_MAX.0) => expected,
        _ => wall,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_a_day_goes_on_from_where_it_stood() {
        let (day, second) = (Duration::hours(24).0, Duration::seconds(1).0);
        let start = 20_000 * day;
        assert_eq!(steady(None, start), start);
        // By so many seconds it is: back a little, back a day, there still, and forward.
        assert_eq!(steady(Some((start, second)), start - 60 * second), start - 60 * second);
        let held = steady(Some((start, second)), start - day);
        assert_eq!(held, start + second);
        assert_eq!(steady(Some((held, 600 * second)), start - day + 600 * second), start + 601 * second);
        assert_eq!(steady(Some((held, second)), start + day), start + day);
        assert!(Clock::System.now() <= Clock::System.now());
    }
}
