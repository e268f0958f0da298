//! The running service: sources into stores, alerts out, the API in front, until it is told to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration as StdDuration;

use anyhow::Context;
use async_trait::async_trait;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, mpsc, watch};

use super::build::{self, Stores};
use super::kit::{self, Kit};
use super::push::Door;
use super::reload::{ReadSettings, Reloader};
use super::shown;
use crate::api::server::{self, ServerLimits};
use crate::api::tls::Tls;
use crate::api::{Api, BacktestRequest, Held, Ingest, Limits, PushError, Receipt, RulesError, Sender, Service, tls};
use crate::clock::Clock;
use crate::config::{Config, SourceSettings};
use crate::deliver::worker::{Note, Worker as Courier, WorkerSettings as CourierSettings};
use crate::model::{Alert, Change, MinuteRow, SourceId};
use crate::pipeline::{Flow, Ledger, Roster, Tail, View};
use crate::ports::{EventStore, Outbox, Source, StoreError, Tailed, Tells};
use crate::source::spool::{self, Spool, SpoolError};
use crate::store::catalog::Catalog;
use crate::store::space::Space;
use crate::store::tokens::{NewToken, Scope};
use crate::store::{EventLog, Keep};

/// How often tokens made by another process are looked for.
const TOKENS_EVERY: StdDuration = StdDuration::from_secs(2);

/// Seconds after which a sender may come back to a full disk.
const NO_ROOM_RETRY_S: u64 = 5;

/// A service that listens and has not begun to run.
pub struct Served {
    pub address: SocketAddr,
    pub is_tls: bool,
    kit: Kit,
    listener: TcpListener,
    acceptor: Option<Tls>,
    api: Api,
    flow: Flow,
    sources: Vec<Box<dyn Source>>,
    courier: Courier,
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
        Some((cert, key)) => {
            let client_ca = config.server.tls.as_ref().and_then(|tls| tls.client_ca.as_deref());
            Some(Tls { config: tls::load(cert, key, client_ca).map_err(anyhow::Error::msg)?, clients: Arc::new(build::clients(config)) })
        }
        None => None,
    };
    let targets = build::targets(config)?;
    let (rules, mut broken) = build::rule_set(config)?;
    let stores = Stores::open(config, clock).await?;
    let checkpoint = stores.events.checkpoint().await?;
    let kit = Kit {
        spool: Spool::open(&config.store.path.join("spool"), &checkpoint, spool::BYTES_MAX)?,
        space: Arc::new(Space::new(&config.store.path, config.store.disk_reserve_bytes)),
        ledger: Arc::new(Ledger::new(build::drops(config)?.names())),
        roster: Arc::new(Roster::new(clock.clone())),
        view: watch::Sender::default(),
        tail: Arc::default(),
        config: config.clone(),
        clock: clock.clone(),
        stores,
        on_change,
    };
    let searcher = kit.stores.events.searcher();
    let flow = kit.flow(&rules).await?;
    let refused = flow.refused();
    broken.extend(refused);
    let sources = kit.sources().await?;
    let listener = TcpListener::bind(config.server.listen).await.with_context(|| format!("cannot listen on {}", config.server.listen))?;
    let address = listener.local_addr()?;
    first_token(&kit.stores.catalog, address).await?;
    let door = Door::new(kit.spool.clone(), Arc::clone(&kit.space), Arc::clone(&kit.ledger), clock.clone(), build::masked(config));
    let reloader = Arc::new(Reloader::new(settings, flow.swapper(), searcher.clone(), &rules, broken));
    let state = Arc::new(State {
        door: door.clone(),
        ledger: Arc::clone(&kit.ledger),
        space: Arc::clone(&kit.space),
        sources: config.sources.clone(),
        reloader: Arc::clone(&reloader),
        catalog: Arc::clone(&kit.stores.catalog),
        roster: Arc::clone(&kit.roster),
        view: kit.view.subscribe(),
        tail: Arc::clone(&kit.tail),
        events: Arc::clone(&kit.stores.events),
        keep: build::keep(config),
    });
    let limits = Limits {
        body_bytes_max: usize::try_from(config.server.body_bytes_max).unwrap_or(usize::MAX),
        bodies_in_flight_bytes_max: usize::try_from(config.server.bodies_in_flight_bytes_max).unwrap_or(usize::MAX),
        searches_per_principal_max: config.server.searches_per_principal_max as usize,
        ..Limits::default()
    };
    // Who names certificates asks for credentials, wherever it listens.
    let is_open = address.ip().is_loopback() && acceptor.as_ref().is_none_or(|tls| tls.clients.0.is_empty());
    let api = Api::new(searcher, Arc::clone(&kit.stores.catalog), state.clone(), state, is_open, config.server.hosts.clone(), limits);
    let outbox: Arc<dyn Outbox> = Arc::clone(&kit.stores.catalog) as Arc<dyn Outbox>;
    let courier = Courier::new(outbox, targets, clock.clone(), CourierSettings::default(), note);
    let limits = ServerLimits {
        connections_max: config.server.connections_max as usize,
        drain: StdDuration::from_secs(u64::from(config.server.drain_s)),
        ..ServerLimits::default()
    };
    Ok(Served { address, is_tls: acceptor.is_some(), kit, listener, acceptor, api, flow, sources, courier, limits, reloader })
}

/// Off loopback nothing answers without a token: the first start there makes one and shows it once.
async fn first_token(catalog: &Catalog, address: SocketAddr) -> anyhow::Result<()> {
    if address.ip().is_loopback() || catalog.tokens().any() {
        return Ok(());
    }
    let new = NewToken { name: "first start".to_owned(), scope: Scope::Admin, cluster: None, source: None, kinds: Vec::new(), expires: None };
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
    /// What tells how each source is, by its name.
    pub fn tells(&self) -> Vec<(SourceId, Arc<dyn Tells>)> {
        self.sources.iter().map(|source| (source.id(), source.tells())).collect()
    }

    /// Runs until `stop`, then drains: no push is taken any more, and what was taken becomes durable.
    pub async fn run(self, stop: watch::Receiver<bool>) -> anyhow::Result<()> {
        let Self { kit, listener, acceptor, api, flow, sources, courier, limits, reloader, .. } = self;
        let tokens = tokio::spawn(watch_tokens(Arc::clone(&kit.stores.catalog), stop.clone()));
        let space = tokio::spawn(kit::watch_space(Arc::clone(&kit.space), stop.clone()));
        let server = tokio::spawn(server::serve(listener, acceptor, api.router(), limits, stop.clone()));
        let courier = tokio::spawn(courier.run(stop.clone()));
        let retained = tokio::spawn(kit::retain(Arc::clone(&kit.stores.events), build::keep(&kit.config), stop.clone()));
        let watches = tokio::spawn(end_watches(Arc::clone(&kit.tail), stop.clone()));
        let flowed = keep_flowing(&kit, &reloader, flow, sources, stop).await;
        if flowed.is_ok() {
            drop(tokio::join!(server, courier, tokens, space, watches, retained));
        }
        let Kit { stores, spool, .. } = kit;
        tokio::task::spawn_blocking(move || spool.close()).await?;
        let events = Arc::clone(&stores.events);
        tokio::task::spawn_blocking(move || events.settle()).await?;
        stores.catalog.close().await;
        flowed
    }
}

/// Runs the flow, and another one after it whenever it ended because the disk was full. Any other failure of the store is final: what is on the disk is
/// settled by a restart.
async fn keep_flowing(
    kit: &Kit,
    reloader: &Reloader,
    mut flow: Flow,
    mut sources: Vec<Box<dyn Source>>,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    loop {
        match flow.run(sources, stop.clone()).await {
            Ok(_) => return Ok(()),
            Err(error) if kit::is_no_room(&error, &kit.space) => {
                tracing::error!(error = format!("{:#}", anyhow::Error::new(error)), "the disk is full: the store goes back to its last commit");
            }
            Err(error) => return Err(error.into()),
        }
        (flow, sources) = loop {
            if !kit.go_back(&mut stop).await {
                // What was not durable is told to nobody, and comes again after the next start.
                return Ok(());
            }
            let next = async { anyhow::Ok((kit.flow(&reloader.rules()).await?, kit.sources().await?)) };
            match next.await {
                Ok(next) => break next,
                Err(error) => {
                    tracing::error!(error = format!("{error:#}"), "cannot go on yet");
                    kit.note_unopened(&error);
                }
            }
        };
        reloader.follow(flow.swapper());
        tracing::info!("the store takes in again");
    }
}

/// Ends every live tail when the service stops: a connection is drained once its answer has ended.
async fn end_watches(tail: Arc<Tail>, mut stop: watch::Receiver<bool>) {
    // Without anybody who could say so, it stops as well.
    let _ = stop.wait_for(|stop| *stop).await;
    tail.close();
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
    space: Arc<Space>,
    sources: Vec<SourceSettings>,
    reloader: Arc<Reloader>,
    catalog: Arc<Catalog>,
    roster: Arc<Roster>,
    view: watch::Receiver<Arc<View>>,
    tail: Arc<Tail>,
    events: Arc<EventLog>,
    keep: Keep,
}

#[async_trait]
impl Ingest for State {
    fn admit(&self, source: Option<&SourceId>) -> Result<(), PushError> {
        self.door.admit(source).map_err(refusal)
    }

    fn refuse(&self, source: Option<SourceId>) {
        self.door.refuse(source);
    }

    fn turn_away(&self) {
        self.ledger.turn_away();
    }

    async fn push(&self, body: Held, sender: Sender) -> Result<Receipt, PushError> {
        let taken = self.door.push(body, sender).await.map_err(refusal)?;
        Ok(Receipt { accepted: taken.accepted, rejected: taken.rejected })
    }
}

fn refusal(error: SpoolError) -> PushError {
    match error {
        SpoolError::Busy => PushError::Busy { retry_after_s: 1 },
        SpoolError::NoRoom => PushError::Busy { retry_after_s: NO_ROOM_RETRY_S },
        SpoolError::Failed(error) => PushError::Unavailable(error.to_string()),
    }
}

#[async_trait]
impl Service for State {
    fn ready(&self) -> Result<(), String> {
        if self.space.is_low() {
            return Err("the disk is full: nothing is taken in until there is room".to_owned());
        }
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

    async fn kept(&self) -> Result<Value, StoreError> {
        let events = Arc::clone(&self.events);
        let (kept, purged) = tokio::task::spawn_blocking(move || events.kept())
            .await
            .map_err(|error| StoreError::Io { what: "look at the parts".to_owned(), source: std::io::Error::other(error) })??;
        Ok(shown::kept(&kept, &purged, &self.keep, self.space.room()))
    }

    fn tail(&self) -> Option<broadcast::Receiver<Arc<Tailed>>> {
        self.tail.watch()
    }

    async fn metrics(&self) -> String {
        let view = Arc::clone(&self.view.borrow());
        super::metrics::render(&self.ledger, &self.roster, self.space.room(), &self.catalog, &view, self.reloader.counts()).await
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
