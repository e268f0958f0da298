//! How slowly a body may come: hyper waits for ever for a client that drips.

use std::error::Error;
use std::fmt;

use axum::BoxError;
use axum::body::{Body, BodyDataStream, Bytes};
use futures_util::{StreamExt, stream};
use tokio::time::{Duration, Instant, timeout_at};

/// The slowest that a body may be.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Between two pieces.
    pub idle: Duration,
    /// Before the rate counts.
    pub grace: Duration,
    /// Bytes a second after that, on average from the end of the grace on.
    pub bytes_per_s_min: u32,
}

/// The body came too slowly, and is not waited for any longer.
#[derive(Debug)]
pub(super) struct TooSlow;

impl fmt::Display for TooSlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body comes too slowly")
    }
}

impl Error for TooSlow {}

impl TooSlow {
    /// Whether this is what is at the bottom of an error.
    pub(super) fn is_cause_of(error: &(dyn Error + 'static)) -> bool {
        let mut at = Some(error);
        while let Some(error) = at {
            if error.is::<Self>() {
                return true;
            }
            at = error.source();
        }
        false
    }
}

struct Paced {
    pieces: BodyDataStream,
    pace: Pace,
    /// When it was first waited for: how long a request stood in a queue of ours is not its client's doing.
    since: Option<Instant>,
    bytes: u64,
}

impl Paced {
    /// When the next piece must be here: in time after the last one, and before all of them would be slower than the rate.
    fn due(&mut self) -> Instant {
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        let earned = Duration::from_millis(self.bytes.saturating_mul(1_000) / u64::from(self.pace.bytes_per_s_min.max(1)));
        (now + self.pace.idle).min(since + self.pace.grace + earned)
    }

    async fn next(&mut self) -> Option<Result<Bytes, BoxError>> {
        let due = self.due();
        match timeout_at(due, self.pieces.next()).await {
            Ok(piece) => piece.map(|piece| {
                let piece = piece.map_err(axum::Error::into_inner)?;
                self.bytes += piece.len() as u64;
                Ok(piece)
            }),
            Err(_) => Some(Err(TooSlow.into())),
        }
    }
}

/// The same body, which fails with [`TooSlow`] when it comes more slowly than this.
pub(super) fn paced(body: Body, pace: Pace) -> Body {
    let paced = Paced { pieces: body.into_data_stream(), pace, since: None, bytes: 0 };
    // Nothing is read after an error.
    Body::from_stream(stream::unfold(Some(paced), |paced| async {
        let mut paced = paced?;
        let piece = paced.next().await?;
        let next = piece.is_ok().then_some(paced);
        Some((piece, next))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How far a body gets that sends pieces of so many bytes every so many seconds.
    async fn check(bytes: usize, every_s: u64, pieces: usize) -> Result<usize, bool> {
        let pace = Pace { idle: Duration::from_secs(10), grace: Duration::from_secs(20), bytes_per_s_min: 100 };
        let body = Body::from_stream(stream::iter(0..pieces).then(move |_| async move {
            tokio::time::sleep(Duration::from_secs(every_s)).await;
            Ok::<_, BoxError>(Bytes::from(vec![b'x'; bytes]))
        }));
        axum::body::to_bytes(paced(body, pace), usize::MAX).await.map(|bytes| bytes.len()).map_err(|error| TooSlow::is_cause_of(&error))
    }

    #[tokio::test(start_paused = true)]
    async fn who_drips_is_not_waited_for() {
        for (bytes, every_s, pieces, expected) in [
            (1, 0, 50_000, Ok(50_000)),
            (1, 1, 15, Ok(15)),
            (1, 1, 60, Err(true)),
            (1, 9, 2, Ok(2)),
            (1, 9, 3, Err(true)),
            (100, 1, 1_000, Ok(100_000)),
            (90, 1, 1_000, Err(true)),
            (100_000, 11, 1, Err(true)),
        ] {
            assert_eq!(check(bytes, every_s, pieces).await, expected, "{bytes} bytes every {every_s} s, {pieces} times");
        }
    }
}
