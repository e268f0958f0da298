//! A connection that does not wait for ever: hyper times out headers, but not a client that sends nothing, or half of a preface.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// Bytes by which the protocol is told (HTTP/2's preface).
const PREFACE_BYTES: usize = 24;

/// Fails a read that has waited too long: for the first bytes, `first` in all; after them, `idle` each.
pub(super) struct Patient<T> {
    inner: T,
    alarm: Pin<Box<Sleep>>,
    idle: Duration,
    seen: usize,
}

impl<T> Patient<T> {
    pub(super) fn new(inner: T, first: Duration, idle: Duration) -> Self {
        Self { inner, alarm: Box::pin(sleep(first)), idle, seen: 0 }
    }

    fn put_off(&mut self) {
        let next = Instant::now() + self.idle;
        self.alarm.as_mut().reset(next);
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Patient<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match Pin::new(&mut self.inner).poll_read(cx, buf) {
            Poll::Ready(outcome) => {
                self.seen += buf.filled().len() - before;
                if self.seen >= PREFACE_BYTES {
                    self.put_off();
                }
                Poll::Ready(outcome)
            }
            Poll::Pending => match self.alarm.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
                Poll::Pending => Poll::Pending,
            },
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Patient<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write(cx, buf);
        if let Poll::Ready(Ok(_)) = outcome {
            self.put_off();
        }
        outcome
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
