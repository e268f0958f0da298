//! Why a request came to nothing, whether to make it again, and when.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use super::S3Counts;

/// Between two attempts.
const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// What a server may ask to wait for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);
/// Codes by which a server says that it is asked too much.
const SLOW: [&str; 7] =
    ["SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequests", "ServiceUnavailable", "BandwidthLimitExceeded"];
/// Codes of requests that may go well the next time, whatever their status.
const PASSING: [&str; 4] = ["RequestTimeout", "InternalError", "RequestTimeTooSkewed", "OperationAborted"];

/// Why a request came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// No such key.
    #[error("it is not there any more: {0}")]
    Gone(String),
    /// Another version of it stands there by now.
    #[error("it was replaced: {0}")]
    Replaced(String),
    /// The server will not, however often it is asked.
    #[error("refused: {0}")]
    Refused(String),
    /// The next attempt may go well.
    #[error("{0}")]
    Passing(String),
    /// The server is asked too much. It may say how long to wait.
    #[error("{0}")]
    Slow(String, Option<Duration>),
}

impl Failure {
    pub(super) fn of<E>(error: SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let raw = error.raw_response();
        let status = raw.map(|response| response.status().as_u16());
        let after = raw.and_then(|response| response.headers().get("retry-after")).and_then(|seconds| seconds.trim().parse().ok());
        let code = error.code().unwrap_or_default();
        let text = match (error.code(), error.message(), status) {
            (Some(code), Some(message), _) => format!("{code}: {message}"),
            (Some(code), None, _) => code.to_owned(),
            (None, _, Some(status)) if status >= 400 => format!("HTTP status {status}"),
            (None, ..) => DisplayErrorContext(&error).to_string(),
        };
        match status {
            _ if SLOW.contains(&code) => Self::Slow(text, after.map(Duration::from_secs)),
            Some(429 | 503) => Self::Slow(text, after.map(Duration::from_secs)),
            _ if PASSING.contains(&code) => Self::Passing(text),
            _ if code == "NoSuchBucket" => Self::Refused(text),
            Some(404) => Self::Gone(text),
            Some(412) => Self::Replaced(text),
            Some(status) if status >= 500 || status == 408 || status < 300 => Self::Passing(text),
            Some(_) => Self::Refused(text),
            None if matches!(error, SdkError::ConstructionFailure(_)) => Self::Refused(text),
            None => Self::Passing(text),
        }
    }

    fn is_passing(&self) -> bool {
        matches!(self, Self::Passing(_) | Self::Slow(..))
    }
}

/// How fast one server is asked: attempts with waits between them, and a pause before every request while it says that it is too much.
#[derive(Debug)]
pub(super) struct Pace {
    attempts_max: u32,
    backoff: Duration,
    /// Nanoseconds before each request. Doubles when the server complains, and shrinks with each answer.
    pause: AtomicU64,
}

impl Pace {
    pub(super) fn new(attempts_max: u32, backoff: Duration) -> Self {
        Self { attempts_max: attempts_max.max(1), backoff, pause: AtomicU64::new(0) }
    }

    /// Tries until it goes well, can not, or was tried often enough.
    pub(super) async fn persist<T, F>(&self, counts: &S3Counts, attempt: impl Fn() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let mut attempts = self.attempts(counts);
        loop {
            attempts.ready().await;
            match attempt().await {
                Ok(got) => return Ok(attempts.went_well(got)),
                Err(failure) => attempts.failed(failure).await?,
            }
        }
    }

    /// For a request that is made again in another way.
    pub(super) fn attempts<'p>(&'p self, counts: &'p S3Counts) -> Attempts<'p> {
        Attempts { pace: self, counts, tried: 0 }
    }

    fn wait(&self, tried: u32, failure: &Failure) -> Duration {
        let doubled = self.backoff.saturating_mul(1_u32.checked_shl(tried - 1).unwrap_or(u32::MAX)).min(BACKOFF_MAX);
        match failure {
            // Not sooner than it was said.
            Failure::Slow(_, Some(after)) => (*after).min(RETRY_AFTER_MAX) + jittered(self.backoff),
            _ => jittered(doubled),
        }
    }

    fn slow_down(&self) {
        let (least, most) = (nanos(self.backoff / 4), nanos(BACKOFF_MAX));
        let next = |pause: u64| Some((pause * 2).clamp(least, most));
        self.pause.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).ok();
    }

    fn ease(&self) {
        // An eighth less with each answer; what is left of a millisecond is nothing.
        let next = |pause: u64| (pause > 0).then(|| if pause < 1_000_000 { 0 } else { pause - pause / 8 });
        self.pause.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).ok();
    }
}

/// The attempts at one request.
#[derive(Debug)]
pub(super) struct Attempts<'p> {
    pace: &'p Pace,
    counts: &'p S3Counts,
    tried: u32,
}

impl Attempts<'_> {
    /// Waits until the next may begin.
    pub(super) async fn ready(&mut self) {
        let pause = Duration::from_nanos(self.pace.pause.load(Ordering::Relaxed));
        if pause > Duration::ZERO {
            tokio::time::sleep(jittered(pause)).await;
        }
        self.tried += 1;
    }

    pub(super) fn went_well<T>(&self, got: T) -> T {
        self.pace.ease();
        got
    }

    /// There was progress: what fails from here on fails for the first time.
    pub(super) fn renew(&mut self) {
        self.tried = self.tried.min(1);
    }

    /// Waits for the next attempt, if there is to be one; else that was the last failure.
    pub(super) async fn failed(&mut self, failure: Failure) -> Result<(), Failure> {
        if let Failure::Slow(..) = failure {
            S3Counts::add(&self.counts.slowed, 1);
            self.pace.slow_down();
        }
        if !failure.is_passing() || self.tried >= self.pace.attempts_max {
            return Err(failure);
        }
        S3Counts::add(&self.counts.retries, 1);
        tokio::time::sleep(self.pace.wait(self.tried, &failure)).await;
        Ok(())
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Between half and the whole of it, so that many clients do not come back at once.
fn jittered(wait: Duration) -> Duration {
    let share = getrandom::u32().unwrap_or(u32::MAX);
    wait / 2 + (wait / 2).mul_f64(f64::from(share) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_is_asked_too_much_is_asked_more_slowly() {
        let (pace, counts) = (Pace::new(3, Duration::from_millis(400)), S3Counts::default());
        let started = tokio::time::Instant::now();
        let slow = || async { Err::<(), _>(Failure::Slow("SlowDown".to_owned(), Some(Duration::from_secs(5)))) };
        assert!(pace.persist(&counts, slow).await.is_err());
        assert!(started.elapsed() >= Duration::from_secs(10), "two waits as they were asked for: {:?}", started.elapsed());
        assert_eq!(pace.pause.load(Ordering::Relaxed), 400_000_000, "100 ms, doubled twice");
        for _ in 0..60 {
            pace.persist(&counts, || async { Ok(()) }).await.unwrap();
        }
        assert_eq!(pace.pause.load(Ordering::Relaxed), 0);
        assert_eq!((counts.slowed.into_inner(), counts.retries.into_inner()), (3, 2));
    }
}
