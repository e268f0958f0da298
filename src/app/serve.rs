//! The running service: sources into stores, alerts out, the API in front, until it is told to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration as StdDuration;

use anyhow::Context;
use async_trait::async_trait;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use super::build::{self, Stores};
use super::push::Door;
use super::reload::{ReadSettings, Reloader};
use super::shown;
use crate::api::server::{self, ServerLimits};
use crate::api::{Api, BacktestRequest, Held, Ingest, Limits, PushError, Receipt, RulesError, Sender, Service, tls};
use crate::clock::Clock;
use crate::config::{Config, SourceSettings};
use crate::deliver::worker::{Note, Worker as Courier, WorkerSettings as CourierSettings};
use crate::model::{Alert, Change, MinuteRow, SourceId};
use crate::pipeline::{Ledger, Roster, View};
use crate::ports::{EventStore, Outbox, Source};
use crate::source::spool::{self, Spool, SpoolError};
use crate::store::catalog::Catalog;
use crate::store::tokens::{NewToken, Scope};

/// How often tokens made by another process are looked for.
const TOKENS_EVERY: StdDuration = StdDuration::from_secs(2);

/// A service that listens and has not begun to run.
pub struct Served {
    pub address: SocketAddr,
    pub is_tls: bool,
    stores: Stores,
    listener: TcpListener,
    acceptor: Option<Arc<rustls::ServerConfig>>,
    api: Api,
    flow: crate::pipeline::Flow,
    sources: Vec<Box<dyn Source>>,
    courier: Courier,
    spool: Spool,
    /// What reads the rules anew.
    pub reloader: Arc<Reloader>,
    /// How connections are held; free to be changed before it runs.
    pub limits: ServerLimits,
}

impl std::fmt::Debug for Served {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Served").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Opens everything that the configuration asks for. `settings` is asked when rules are to be read anew; `on_change` hears of every alert that
/// somebody is to hear of.
pub async fn open(
    config: &Config,
    clock: &Clock,
    settings: ReadSettings,
    on_change: Option<mpsc::Sender<(Alert, Change)>>,
) -> anyhow::Result<Served> {
    build::install_tls();
    let acceptor = match config.server.tls.as_ref().and_then(|tls| tls.cert.as_ref().zip(tls.key.as_ref())) {
        Some((cert, key)) => Some(tls::load(cert, key).map_err(anyhow::Error::msg)?),
        None => None,
    };
    let targets = build::targets(config)?;
    let (rules, mut broken) = build::rule_set(config)?;
    let stores = Stores::open(config, clock).await?;
    let ledger = Arc::new(Ledger::new(build::drops(config)?.names()));
    ledger.resume(stores.events.ledger());
    let checkpoint = stores.events.checkpoint().await?;
    let spool = Spool::open(&config.store.path.join("spool"), &checkpoint, spool::BYTES_MAX)?;
    let searcher = stores.events.searcher();
    let worker = {
        let (config, rules, ledger, events, now) = (config.clone(), Arc::clone(&rules), Arc::clone(&ledger), Arc::clone(&stores.events), clock.now());
        tokio::task::spawn_blocking(move || build::serving(&config, &rules, &ledger, &events, now)).await??
    };
    let refused = worker.engine().refused().iter().filter_map(|refused| rules.rules.get(refused.rule));
    broken.extend(refused.map(|rule| rule.header.id.clone()));
    let roster = Arc::new(Roster::new(clock.clone()));
    let mut flow = build::flow(config, &stores, worker, &ledger, clock).with_roster(Arc::clone(&roster));
    if let Some(to) = on_change {
        flow = flow.on_change(to);
    }
    let mut sources: Vec<Box<dyn Source>> = vec![Box::new(spool.source(&checkpoint).context("cannot read the spool")?)];
    for settings in config.sources.iter().filter(|source| source.kind != "push") {
        sources.push(super::sources::open(settings, &config.store.path, &checkpoint, clock).await?);
    }
    let listener = TcpListener::bind(config.server.listen).await.with_context(|| format!("cannot listen on {}", config.server.listen))?;
    let address = listener.local_addr()?;
    first_token(&stores.catalog, address).await?;
    let door = Door::new(spool.clone(), Arc::clone(&ledger), clock.clone(), build::masked(config));
    let reloader = Arc::new(Reloader::new(settings, flow.swapper(), searcher.clone(), &rules, broken));
    let state = Arc::new(State {
        door: door.clone(),
        ledger,
        sources: config.sources.clone(),
        reloader: Arc::clone(&reloader),
        catalog: Arc::clone(&stores.catalog),
        roster: Arc::clone(&roster),
        view: flow.view(),
    });
    let limits = Limits {
        body_bytes_max: usize::try_from(config.server.body_bytes_max).unwrap_or(usize::MAX),
        bodies_in_flight_bytes_max: usize::try_from(config.server.bodies_in_flight_bytes_max).unwrap_or(usize::MAX),
        searches_per_principal_max: config.server.searches_per_principal_max as usize,
        ..Limits::default()
    };
    let api = Api::new(searcher, Arc::clone(&stores.catalog), state.clone(), state, address.ip().is_loopback(), config.server.hosts.clone(), limits);
    let outbox: Arc<dyn Outbox> = Arc::clone(&stores.catalog) as Arc<dyn Outbox>;
    let courier = Courier::new(outbox, targets, clock.clone(), CourierSettings::default(), note);
    let limits = ServerLimits {
        connections_max: config.server.connections_max as usize,
        drain: StdDuration::from_secs(u64::from(config.server.drain_s)),
        ..ServerLimits::default()
    };
    Ok(Served { address, is_tls: acceptor.is_some(), stores, listener, acceptor, api, flow, sources, courier, spool, limits, reloader })
}

/// Off loopback nothing answers without a token: the first start there makes one and shows it once.
async fn first_token(catalog: &Catalog, address: SocketAddr) -> anyhow::Result<()> {
    if address.ip().is_loopback() || catalog.tokens().any() {
        return Ok(());
    }
    let new = NewToken { name: "first start".to_owned(), scope: Scope::Admin, cluster: None, source: None, expires: None };
    let (_, plaintext) = catalog.tokens().create(new).await?;
    eprintln!("an admin token was made; it is shown this once: {}", plaintext.reveal());
    Ok(())
}

fn note(note: Note) {
    match note {
        Note::Disabled { target, why, given_up } => tracing::error!(target_name = %target, %why, given_up, "notifier is gone"),
        Note::Dead { target, id, why } => tracing::error!(target_name = %target, %id, %why, "notification given up"),
        Note::Failing { target, why } => tracing::warn!(target_name = %target, %why, "notifier fails"),
        Note::Recovered { target } => tracing::info!(target_name = %target, "notifier answers again"),
        Note::Outbox { target, error } => tracing::error!(target_name = %target, %error, "cannot use the outbox"),
    }
}

impl Served {
    /// Runs until `stop`, then drains: no push is taken any more, and what was taken becomes durable.
    pub async fn run(self, stop: watch::Receiver<bool>) -> anyhow::Result<()> {
        let Self { stores, listener, acceptor, api, flow, sources, courier, spool, limits, .. } = self;
        let tokens = tokio::spawn(watch_tokens(Arc::clone(&stores.catalog), stop.clone()));
        let server = tokio::spawn(server::serve(listener, acceptor, api.router(), limits, stop.clone()));
        let courier = tokio::spawn(courier.run(stop.clone()));
        let flowed = flow.run(sources, stop).await;
        if flowed.is_ok() {
            drop(tokio::join!(server, courier, tokens));
        }
        tokio::task::spawn_blocking(move || spool.close()).await?;
        let events = Arc::clone(&stores.events);
        tokio::task::spawn_blocking(move || events.settle()).await?;
        stores.catalog.close().await;
        flowed?;
        Ok(())
    }
}

/// Learns of tokens that the command line made or revoked beside the running service.
async fn watch_tokens(catalog: Arc<Catalog>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(TOKENS_EVERY) => {}
        }
        if let Err(error) = catalog.tokens().reload().await {
            tracing::warn!(%error, "cannot look for new tokens");
        }
    }
}

struct State {
    door: Door,
    ledger: Arc<Ledger>,
    sources: Vec<SourceSettings>,
    reloader: Arc<Reloader>,
    catalog: Arc<Catalog>,
    roster: Arc<Roster>,
    view: watch::Receiver<Arc<View>>,
}

#[async_trait]
impl Ingest for State {
    fn admit(&self) -> Result<(), PushError> {
        self.door.admit().map_err(refusal)
    }

    fn refuse(&self, source: Option<SourceId>) {
        self.door.refuse(source);
    }

    async fn push(&self, body: Held, sender: Sender) -> Result<Receipt, PushError> {
        let taken = self.door.push(body, sender).await.map_err(refusal)?;
        Ok(Receipt { accepted: taken.accepted, rejected: taken.rejected })
    }
}

fn refusal(error: SpoolError) -> PushError {
    match error {
        SpoolError::Busy => PushError::Busy { retry_after_s: 1 },
        SpoolError::Failed(error) => PushError::Unavailable(error.to_string()),
    }
}

#[async_trait]
impl Service for State {
    fn ready(&self) -> Result<(), String> {
        self.door.failure().map_or(Ok(()), |why| Err(format!("the spool has failed: {why}")))
    }

    fn sources(&self) -> Value {
        shown::sources(&self.sources, &self.ledger.counts(), &self.roster, &self.view.borrow())
    }

    fn ledger(&self) -> Value {
        shown::ledger(&self.ledger.counts())
    }

    fn open_minutes(&self) -> Vec<MinuteRow> {
        self.ledger.open_minutes()
    }

    async fn metrics(&self) -> String {
        let view = Arc::clone(&self.view.borrow());
        super::metrics::render(&self.ledger, &self.roster, &self.catalog, &view, self.reloader.counts()).await
    }

    fn rules(&self) -> Arc<Vec<Value>> {
        self.reloader.shown()
    }

    fn blind(&self, rule: &str) -> Value {
        let view = self.view.borrow();
        view.blind.get(rule).map_or(Value::Null, |(fields, events)| serde_json::json!({"fields": fields, "since_events": events}))
    }

    fn unknown(&self, rule: &str) -> u64 {
        self.view.borrow().unknown.get(rule).copied().unwrap_or_default()
    }

    async fn reload(&self) -> Result<Value, RulesError> {
        self.reloader.reload().await
    }

    async fn backtest(&self, asked: BacktestRequest) -> Result<Value, RulesError> {
        self.reloader.backtest(asked).await
    }
}
