//! One finite replay of files into the store.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::build::{self, Stores};
use crate::clock::Clock;
use crate::config::Config;
use crate::model::{ClusterId, Counts, Duration, SourceId, TenantId};
use crate::pipeline::Ledger;
use crate::source::file::{FileSource, Pieces, Problem, Whose, walk};

/// What a replay has done.
#[derive(Debug, Clone)]
pub struct Ingested {
    pub counts: Counts,
    /// Alerts opened or reopened.
    pub alerts: u64,
    pub took: Duration,
    pub problems: Vec<Problem>,
    pub files: usize,
}

/// Reads everything under the paths into the store. When it returns, all of it is durable.
pub async fn ingest(config: &Config, clock: &Clock, paths: &[PathBuf], cluster: ClusterId) -> anyhow::Result<Ingested> {
    let started = clock.now();
    let stores = Stores::open(config, clock).await?;
    let (rules, _) = build::rule_set(config)?;
    let ledger = Arc::new(Ledger::new(build::drops(config)?.names()));
    ledger.resume(stores.events.ledger());
    let worker = build::replaying(config, &rules, &ledger)?;
    let (inputs, found) = walk(paths);
    let files = inputs.len();
    let problems = Arc::new(Mutex::new(found));
    let whose = Whose { source: SourceId::from("ingest"), tenant: TenantId::default(), cluster, received: started };
    let source = FileSource::start(Pieces::new(inputs, whose, Arc::clone(&problems)));
    let (_stop, stop) = watch::channel(false);
    let summary = build::flow(config, &stores, worker, &ledger, clock).run(vec![Box::new(source)], stop).await?;
    let events = Arc::clone(&stores.events);
    tokio::task::spawn_blocking(move || events.settle()).await?;
    stores.catalog.close().await;
    let problems = problems.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(Ingested { counts: ledger.total_here(), alerts: summary.alerts_opened, took: clock.now().since(started), problems, files })
}
