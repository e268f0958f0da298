//! What a flow is made of, so that it can be made again: after the disk was full the store goes back to its last commit, and a new flow goes on from there,
//! as after a restart, while the API in front of it stays up.

use std::sync::Arc;
use std::time::Duration as StdDuration;

use anyhow::Context;
use tokio::sync::{mpsc, watch};

use super::build::{self, Stores};
use crate::clock::Clock;
use crate::config::Config;
use crate::detect::rule::RuleSet;
use crate::model::{Alert, Change, Checkpoint, SourceId};
use crate::pipeline::{Flow, FlowError, Ledger, Roster, Tail, View};
use crate::ports::{EventStore, Source, StoreError};
use crate::source::spool::Spool;
use crate::store::space::Space;
use crate::store::{EventLog, Keep};

/// How often the disk is looked at.
const LOOK_EVERY: StdDuration = StdDuration::from_millis(250);
/// How often it is looked whether something is not to be kept any more.
const RETAIN_EVERY: StdDuration = StdDuration::from_secs(60);
/// Waits between attempts to go on.
const WAIT_MIN: StdDuration = StdDuration::from_secs(1);
const WAIT_MAX: StdDuration = StdDuration::from_secs(8);

/// What outlives a flow.
pub(super) struct Kit {
    pub(super) config: Config,
    pub(super) clock: Clock,
    pub(super) stores: Stores,
    pub(super) spool: Spool,
    pub(super) space: Arc<Space>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) roster: Arc<Roster>,
    pub(super) view: watch::Sender<Arc<View>>,
    pub(super) tail: Arc<Tail>,
    pub(super) on_change: Option<mpsc::Sender<(Alert, Change)>>,
}

impl Kit {
    /// A flow over these rules, from the store's last commit on.
    pub(super) async fn flow(&self, rules: &Arc<RuleSet>) -> anyhow::Result<Flow> {
        self.ledger.resume(self.stores.events.ledger());
        let worker = {
            let (config, rules, ledger, events) = (self.config.clone(), Arc::clone(rules), Arc::clone(&self.ledger), Arc::clone(&self.stores.events));
            let now = self.clock.now();
            tokio::task::spawn_blocking(move || build::serving(&config, &rules, &ledger, &events, now)).await??
        };
        let flow = build::flow(&self.config, &self.stores, worker, &self.ledger, &self.clock);
        let flow = flow
            .with_roster(Arc::clone(&self.roster))
            .with_view(self.view.clone())
            .with_space(Arc::clone(&self.space))
            .with_tail(Arc::clone(&self.tail));
        Ok(match &self.on_change {
            Some(to) => flow.on_change(to.clone()),
            None => flow,
        })
    }

    /// The sources, from the store's last commit on.
    pub(super) async fn sources(&self) -> anyhow::Result<Vec<Box<dyn Source>>> {
        let checkpoint: Checkpoint = self.stores.events.checkpoint().await?;
        let lanes = self.spool.sources(&checkpoint).context("cannot read the spool")?;
        let mut sources: Vec<Box<dyn Source>> = lanes.into_iter().map(|lane| Box::new(lane) as Box<dyn Source>).collect();
        for settings in self.config.sources.iter().filter(|source| source.kind != "push") {
            sources.push(super::sources::open(settings, &self.config.store.path, &checkpoint, &self.clock).await?);
        }
        Ok(sources)
    }

    /// Waits until there is room and brings the store back to its last commit. False when `stop` came first.
    pub(super) async fn go_back(&self, stop: &mut watch::Receiver<bool>) -> bool {
        let mut wait = WAIT_MIN;
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return false,
                () = tokio::time::sleep(wait) => {}
            }
            wait = (wait * 2).min(WAIT_MAX);
            if self.space.is_low() {
                wait = WAIT_MIN;
                continue;
            }
            let events = Arc::clone(&self.stores.events);
            match tokio::task::spawn_blocking(move || events.go_back()).await {
                Ok(Ok(())) => return true,
                Ok(Err(error)) => tracing::error!(error = format!("{:#}", anyhow::Error::new(error)), "cannot go back to the last commit yet"),
                Err(error) => tracing::error!(%error, "cannot go back to the last commit yet"),
            }
        }
    }

    /// A source that could not be opened is told of by the roster; it is not heard of before the next start.
    pub(super) fn note_unopened(&self, error: &anyhow::Error) {
        for source in &self.config.sources {
            self.roster.fail(&SourceId::from(source.name.as_str()), format!("{error:#}"));
        }
    }
}

/// Whether a flow ended for want of room alone, so that it can go on once there is some. Not every library says what the system said to it; where the store
/// failed while the disk was full, that was why.
pub(super) fn is_no_room(error: &FlowError, space: &Space) -> bool {
    let is_low = space.look().is_ok() && space.is_low();
    if is_low && matches!(error, FlowError::Store(StoreError::Io { .. } | StoreError::Engine { .. })) {
        return true;
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        if matches!(kind, Some(std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded | std::io::ErrorKind::FileTooLarge)) {
            return true;
        }
        // SQLite has a word of its own for it.
        if let Some(sqlx::Error::Database(error)) = error.downcast_ref::<sqlx::Error>()
            && error.code().as_deref() == Some("13")
        {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Drops what is not to be kept any more, again and again.
pub(super) async fn retain(events: Arc<EventLog>, keep: Keep, mut stop: watch::Receiver<bool>) {
    if keep == Keep::default() {
        return;
    }
    loop {
        let log = Arc::clone(&events);
        match tokio::task::spawn_blocking(move || log.retain(&keep)).await {
            Ok(Ok(gone)) => {
                for part in gone {
                    let (why, from, to) = (part.why, part.time_min.to_string(), part.time_max.to_string());
                    tracing::info!(
                        part = part.part,
                        ?why,
                        events = part.events,
                        bytes = part.bytes,
                        from,
                        to,
                        "events are dropped: they are not to be kept"
                    );
                }
            }
            Ok(Err(error)) => tracing::error!(error = format!("{:#}", anyhow::Error::new(error)), "cannot drop what is not to be kept"),
            Err(error) => tracing::error!(%error, "cannot drop what is not to be kept"),
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(RETAIN_EVERY) => {}
        }
    }
}

/// Looks at the disk again and again.
pub(super) async fn watch_space(space: Arc<Space>, mut stop: watch::Receiver<bool>) {
    let mut was_low = space.is_low();
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        if let Err(error) = space.look() {
            tracing::debug!(%error, "cannot look at the disk");
        }
        let (is_low, room) = (space.is_low(), space.room());
        if is_low && !was_low {
            tracing::error!(
                free_bytes = room.free_bytes,
                reserve_bytes = room.reserve_bytes,
                "the disk is full: nothing is taken in until there is room"
            );
        } else if was_low && !is_low {
            tracing::info!(free_bytes = room.free_bytes, "there is room on the disk again");
        }
        was_low = is_low;
    }
}
