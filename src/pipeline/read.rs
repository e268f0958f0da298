//! Reading: a task a source. The only stage that watches the stop signal: it closes the tap, and the water runs out.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::roster::{Roster, State};
use super::turns::Way;
use crate::model::Checkpoint;
use crate::ports::{Source, SourceError};

/// Waits between attempts at a source that fails for the moment.
const BACKOFF_S_MAX: u64 = 60;

/// Reads a source until it ends, stops or fails for good. Commits to it whatever has become durable.
pub(super) async fn read(
    mut source: Box<dyn Source>,
    roster: Arc<Roster>,
    to: Way,
    mut durable: watch::Receiver<Checkpoint>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), SourceError> {
    let mut failures = 0_u32;
    let id = source.id();
    roster.enter(&id, source.tells());
    let ended = loop {
        if *stop.borrow() {
            break Ok(());
        }
        tokio::select! {
            biased;
            _ = stop.changed() => {}
            changed = durable.changed() => {
                if changed.is_ok() {
                    commit(source.as_mut(), &mut durable).await;
                }
            }
            next = source.next() => match next {
                Ok(Some(envelope)) => {
                    failures = 0;
                    roster.read(&id);
                    if !to.send(envelope).await {
                        break Ok(());
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) if error.is_transient() => {
                    let wait_s = 1_u64.checked_shl(failures.min(6)).unwrap_or(BACKOFF_S_MAX).min(BACKOFF_S_MAX);
                    failures = failures.saturating_add(1);
                    tracing::warn!(source = %id, error = %chain(&error), wait_s, "cannot read source");
                    roster.turn(&id, State::Failing, Some(chain(&error)));
                    tokio::select! {
                        _ = stop.changed() => {}
                        () = tokio::time::sleep(Duration::from_secs(wait_s)) => {}
                    }
                }
                Err(error) => break Err(error),
            },
        }
    };
    match &ended {
        Ok(()) => roster.turn(&id, State::Ended, None),
        Err(error) => {
            tracing::error!(source = %id, error = %chain(error), "cannot read source any more: the others go on");
            roster.turn(&id, State::Failed, Some(chain(error)));
        }
    }
    // What was read is still on its way: stay to hear that it is durable, until the flow is over.
    drop(to);
    while durable.changed().await.is_ok() {
        commit(source.as_mut(), &mut durable).await;
    }
    ended
}

async fn commit(source: &mut dyn Source, durable: &mut watch::Receiver<Checkpoint>) {
    let upto = durable.borrow_and_update().clone();
    if let Err(error) = source.commit(&upto).await {
        tracing::warn!(source = %source.id(), error = %chain(&error), "cannot commit to source");
    }
}

/// An error with its causes, on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
