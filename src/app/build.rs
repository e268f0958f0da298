//! Opening what the service owns: the event log, the catalog, the rules and their engine, the targets of alerts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration as StdDuration;

use anyhow::{Context, bail};

use super::restore::Restorer;
use super::{rules, windows};
use crate::api::clients::{Client, Clients};
use crate::clock::Clock;
use crate::codec::Codec;
use crate::config::{ClientSettings, Config, DropSettings, NotifierSettings, ScopeName};
use crate::deliver::worker::Target;
use crate::deliver::{AddressPolicy, SigningSecret, Webhook, WebhookSettings};
use crate::detect::engine::{Engine, EngineSettings, Limits};
use crate::detect::rule::RuleSet;
use crate::detect::sigma::Severity;
use crate::model::{Alert, Duration, Kind, Kinds, Level, SourceId, Timestamp};
use crate::normalize::{Names, Workloads};
use crate::pipeline::{DropRule, Drops, Flow, FlowSettings, Guard, Ledger, Worker, WorkerSettings};
use crate::query;
use crate::store::catalog::Catalog;
use crate::store::outbox::Routes;
use crate::store::tokens::{Principal, Scope, kinds_of};
use crate::store::{EventLog, Keep, LogSettings};

/// Installs the one TLS provider. Called by everything that may speak TLS; later calls change nothing.
pub fn install_tls() {
    // An error says that one is installed already.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
}

/// What holds events and alerts.
#[derive(Debug)]
pub struct Stores {
    pub events: Arc<EventLog>,
    pub catalog: Arc<Catalog>,
}

impl Stores {
    /// Opens both for writing. Fails if another process holds them.
    pub async fn open(config: &Config, clock: &Clock) -> anyhow::Result<Self> {
        let path = config.store.path.clone();
        std::fs::create_dir_all(&path).with_context(|| format!("cannot create the data directory `{}`", path.display()))?;
        let (settings, log_clock) = (LogSettings::at(path.clone()), clock.clone());
        let events = tokio::task::spawn_blocking(move || EventLog::open(settings, log_clock, Arc::new(Restorer))).await??;
        let catalog = Catalog::open(&path, clock.clone(), routes(config)?).await?;
        Ok(Self { events: Arc::new(events), catalog: Arc::new(catalog) })
    }
}

/// Which alerts go to which notifiers.
fn routes(config: &Config) -> anyhow::Result<Routes> {
    if config.routes.is_empty() {
        return Ok(Routes::medium_and_above(config.notifiers.iter().map(|notifier| notifier.name.clone()).collect()));
    }
    if let Some(route) = config.routes.iter().find(|route| !route.query.is_empty()) {
        bail!("a [[route]] has `match = {:?}`: routes by query are not in this version; `level_min` is", route.query);
    }
    let table: Vec<(Level, Vec<String>)> =
        config.routes.iter().map(|route| (route.level_min.unwrap_or(Level::Medium), route.notifiers.clone())).collect();
    Ok(Routes::by(move |alert: &Alert| {
        let mut targets: Vec<String> =
            table.iter().filter(|(level, _)| alert.rule.level >= *level).flat_map(|(_, targets)| targets.clone()).collect();
        targets.sort();
        targets.dedup();
        targets
    }))
}

/// The targets of alerts.
pub fn targets(config: &Config) -> anyhow::Result<Vec<Target>> {
    config.notifiers.iter().map(|notifier| target(notifier).with_context(|| format!("cannot set up notifier `{}`", notifier.name))).collect()
}

fn target(notifier: &NotifierSettings) -> anyhow::Result<Target> {
    let secret: SigningSecret =
        notifier.secret.as_ref().map(|secret| secret.expose()).unwrap_or_default().parse().map_err(|why| anyhow::anyhow!("its secret: {why}"))?;
    let mut settings = WebhookSettings::new(notifier.url.clone().unwrap_or_default(), vec![secret]);
    let allow_private = notifier.allow_private.unwrap_or(false);
    settings.addresses = AddressPolicy { allow_private, ..AddressPolicy::default() };
    settings.allow_http = allow_private;
    if let Some(seconds) = notifier.timeout_s {
        settings.timeout = StdDuration::from_secs(u64::from(seconds));
    }
    Ok(Target { name: notifier.name.clone(), notifier: Arc::new(Webhook::build(settings)?) })
}

/// The rules in force, and the files of which some are left out: broken ones are logged.
pub fn rule_set(config: &Config) -> anyhow::Result<(Arc<RuleSet>, BTreeSet<String>)> {
    let mut broken = BTreeSet::new();
    let (rules, diagnostics) = rules::load(&config.detect)?;
    for diagnostic in diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error) {
        tracing::error!(file = %diagnostic.file, line = diagnostic.line, problem = %diagnostic.message, "cannot use rule");
        broken.insert(diagnostic.file.as_ref().to_owned());
    }
    if rules.rules.is_empty() {
        bail!("no rule can be run: see `bartizan rules check`");
    }
    Ok((Arc::new(rules), broken))
}

/// What is left out of the store.
pub fn drops(config: &Config) -> anyhow::Result<Drops> {
    let one = |drop: &DropSettings| {
        let query = query::parse(&drop.query).with_context(|| format!("cannot read the query of drop `{}`", drop.name))?;
        Ok(DropRule { name: drop.name.as_str().into(), query, keep_one_in: drop.keep_one_in })
    };
    Ok(Drops::new(config.drops.iter().map(one).collect::<anyhow::Result<_>>()?))
}

/// What the configuration wants masked besides what is known to be secret.
pub fn masked(config: &Config) -> Names {
    Names::new(config.redact.keys.iter().map(String::as_str))
}

/// A worker of a finite replay, with an engine over these rules.
pub fn replaying(config: &Config, rules: &Arc<RuleSet>, ledger: &Arc<Ledger>) -> anyhow::Result<Worker> {
    worker(config, engine(rules, EngineSettings { is_finite: true, limits: limits(config), ..EngineSettings::default() }), ledger)
}

/// A worker of a running service, with an engine over these rules, its windows as the last checkpoint left them. Blocks.
pub fn serving(config: &Config, rules: &Arc<RuleSet>, ledger: &Arc<Ledger>, past: &EventLog, now: Timestamp) -> anyhow::Result<Worker> {
    let engine = engine(rules, EngineSettings { keeps_journal: true, limits: limits(config), ..EngineSettings::default() });
    let guard = Guard::open(&config.store.path.join("guard")).inspect_err(|error| tracing::warn!(%error, "cannot guard detection")).ok();
    windows::bring_back(engine, past, now, |engine| Ok(worker(config, engine, ledger)?.guarded_by(guard)))
}

fn limits(config: &Config) -> Limits {
    Limits { state_bytes_max: usize::try_from(config.detect.state_bytes_max).unwrap_or(usize::MAX), ..Limits::default() }
}

fn engine(rules: &Arc<RuleSet>, settings: EngineSettings) -> Engine {
    let engine = Engine::new(Arc::clone(rules), settings);
    for refused in engine.refused() {
        let id = rules.rules.get(refused.rule).map(|rule| rule.header.id.as_str()).unwrap_or_default();
        tracing::error!(rule.id = %id, problem = %refused.reason, "cannot run rule");
    }
    engine
}

fn worker(config: &Config, engine: Engine, ledger: &Arc<Ledger>) -> anyhow::Result<Worker> {
    let mut kinds = BTreeMap::new();
    for source in config.sources.iter().filter(|source| !source.kinds.is_empty()) {
        let allowed: Kinds = source.kinds.iter().filter_map(|kind| Kind::by_name(kind)).collect();
        kinds.insert(SourceId::from(source.name.as_str()), allowed);
    }
    let mut workloads = BTreeMap::new();
    for source in config.sources.iter() {
        if let Some(lines) = &source.workloads {
            let listed = lines.iter().map(|line| line.parse()).collect::<Result<Workloads, _>>()?;
            workloads.insert(SourceId::from(source.name.as_str()), Arc::new(listed));
        }
    }
    let lateness =
        config.sources.iter().filter_map(|source| Some((SourceId::from(source.name.as_str()), Duration::seconds(i64::from(source.lateness_s?)))));
    let lateness = lateness.collect();
    let silent_after = if engine.is_finite() { Duration::seconds(0) } else { Duration::seconds(i64::from(config.detect.silent_after_s)) };
    let settings = WorkerSettings {
        kinds,
        workloads,
        lateness,
        masked: masked(config),
        drops: drops(config)?,
        tells_health: true,
        silent_after,
        expected: config.sources.iter().map(|source| SourceId::from(source.name.as_str())).collect(),
        has_past: true,
        ..WorkerSettings::default()
    };
    Ok(Worker::new(engine, Arc::clone(ledger), Arc::new(Codec), settings))
}

/// The flow over the stores.
pub fn flow(config: &Config, stores: &Stores, worker: Worker, ledger: &Arc<Ledger>, clock: &Clock) -> Flow {
    let settings = FlowSettings { flush_every: StdDuration::from_secs(u64::from(config.store.flush_every_s)), ..FlowSettings::default() };
    let (events, alerts) = (Arc::clone(&stores.events), Arc::clone(&stores.catalog));
    let past = events.searcher();
    let minutes = Arc::clone(&stores.catalog);
    Flow::new(worker, events, alerts, Arc::clone(ledger), clock.clone(), settings).recheck_from(past).keep_minutes_in(minutes)
}

/// How long events are kept.
pub fn keep(config: &Config) -> Keep {
    Keep { age: config.store.keep_days.map(|days| Duration::hours(24 * i64::from(days))), bytes: config.store.bytes_max }
}

/// What client certificates mean.
pub fn clients(config: &Config) -> Clients {
    let client = |client: &ClientSettings| Client {
        subject: client.subject.clone(),
        san: client.san.clone(),
        principal: Principal {
            token_id: format!("certificate:{}", client.name),
            name: client.name.clone(),
            scope: match client.scope {
                ScopeName::Ingest => Scope::Ingest,
                ScopeName::Admin => Scope::Admin,
            },
            cluster: client.cluster.clone(),
            source: client.source.as_deref().map(SourceId::from),
            kinds: kinds_of(&client.kinds),
        },
    };
    Clients(config.server.tls.iter().flat_map(|tls| &tls.clients).map(client).collect())
}
