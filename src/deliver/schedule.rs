//! When a message is tried again: the schedule that Standard Webhooks recommends, with jitter that a restart does not change.

use crate::model::{Duration, Timestamp};

/// Seconds after the first, second, ... attempt; the last holds for all that follow.
const WAITS_S: [i64; 8] = [1, 5, 15, 30, 60, 120, 300, 900];
/// After so long a message is given up.
pub const GIVE_UP_AFTER: Duration = Duration::hours(75);
/// The longest that a receiver can have us wait with `Retry-After`.
pub const RETRY_AFTER_S_MAX: u64 = 3_600;

/// How long to wait after this attempt (from 1): 80 to 120 percent of the schedule, always the same for one message and attempt.
pub fn wait(id: &str, attempt: u32) -> Duration {
    let index = usize::try_from(attempt.max(1) - 1).unwrap_or(usize::MAX);
    let seconds = WAITS_S.get(index).or(WAITS_S.last()).copied().unwrap_or(900);
    let mut hasher = blake3::Hasher::new();
    hasher.update(id.as_bytes()).update(&attempt.to_le_bytes());
    let [low, high, ..] = *hasher.finalize().as_bytes();
    let permille = 800 + i64::from(u16::from_le_bytes([low, high])) * 400 / i64::from(u16::MAX);
    Duration(Duration::seconds(seconds).0 / 1_000 * permille)
}

/// When to try again after an attempt that failed at `failed`; `None` when the message is to be given up.
pub fn next_attempt(id: &str, attempt: u32, created: Timestamp, failed: Timestamp, retry_after_s: Option<u64>) -> Option<Timestamp> {
    let asked = Duration::seconds(i64::try_from(retry_after_s.unwrap_or(0).min(RETRY_AFTER_S_MAX)).unwrap_or(0));
    let at = failed.plus(wait(id, attempt).max(asked));
    (at.since(created) <= GIVE_UP_AFTER).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_follow_the_schedule_within_a_fifth() {
        for (attempt, seconds) in [(1, 1), (2, 5), (3, 15), (4, 30), (5, 60), (6, 120), (7, 300), (8, 900), (9, 900), (u32::MAX, 900), (0, 1)] {
            for id in ["a.1", "b.7", "ffffffffffffffffffffffffffffffff.12"] {
                let wait = wait(id, attempt).0;
                let whole = Duration::seconds(seconds).0;
                assert!((whole * 8 / 10..=whole * 12 / 10).contains(&wait), "{id} {attempt}: {wait}");
                assert_eq!(super::wait(id, attempt).0, wait);
            }
        }
        assert_ne!(wait("a.1", 8), wait("b.1", 8), "targets that went down together do not come back together");
    }

    #[test]
    fn gives_up_after_75_hours_and_heeds_retry_after_up_to_an_hour() {
        let created = Timestamp::from_seconds(1_000_000);
        let mut now = created;
        let mut attempts = 1;
        while let Some(at) = next_attempt("a.1", attempts, created, now, None) {
            assert!(at > now);
            (now, attempts) = (at, attempts + 1);
        }
        assert!(now.since(created) > Duration::hours(74) && (290..330).contains(&attempts), "{attempts} attempts over {:?}", now.since(created));
        for (asked, seconds) in [(Some(120), 120), (Some(u64::MAX), 3_600)] {
            assert_eq!(next_attempt("a.1", 1, created, created, asked), Some(created.plus(Duration::seconds(seconds))));
        }
        assert_eq!(next_attempt("a.1", 1, created, created, Some(0)), Some(created.plus(wait("a.1", 1))));
    }
}
