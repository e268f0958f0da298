//! Rules read anew while the service runs: all of them, or none.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration as StdDuration;

use arc_swap::ArcSwap;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::backtest::{self, Asked};
use super::{rules, windows};
use crate::api::{BacktestRequest, RulesError};
use crate::config::DetectSettings;
use crate::detect::engine::Engine;
use crate::detect::rule::{LogSource, RuleSet};
use crate::detect::sigma::{self, Severity};
use crate::pipeline::{SwapError, Swapper};
use crate::store::{Budget, SearchError, Searcher};

/// Problems that a refusal tells.
const TOLD_MAX: usize = 10;

/// Events that a request may have rules run over, the newest first, and for how long.
const EVENTS_MAX: usize = 200_000;
const BACKTEST_MAX: StdDuration = StdDuration::from_secs(20);

/// Reads the settings of detection, from wherever they come.
pub type ReadSettings = Box<dyn Fn() -> anyhow::Result<DetectSettings> + Send + Sync>;

/// What changes the rules, and what they are now.
pub struct Reloader {
    settings: ReadSettings,
    swapper: ArcSwap<Swapper>,
    searcher: Searcher,
    shown: ArcSwap<Vec<Value>>,
    /// Files and rules that can not be used in the set that runs: these do not speak against the next one.
    broken: Mutex<BTreeSet<String>>,
    /// One run over the past at a time, whether its caller waits for it or not.
    past: Arc<tokio::sync::Semaphore>,
    /// One change at a time.
    turn: tokio::sync::Mutex<()>,
    done: AtomicU64,
    refused: AtomicU64,
}

impl std::fmt::Debug for Reloader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reloader").finish_non_exhaustive()
    }
}

impl Reloader {
    /// Over a flow that runs these rules, of which this is broken.
    pub fn new(settings: ReadSettings, swapper: Swapper, searcher: Searcher, running: &RuleSet, broken: BTreeSet<String>) -> Self {
        Self {
            settings,
            swapper: ArcSwap::from_pointee(swapper),
            searcher,
            shown: ArcSwap::from_pointee(described(running)),
            broken: Mutex::new(broken),
            past: Arc::new(tokio::sync::Semaphore::new(1)),
            turn: tokio::sync::Mutex::new(()),
            done: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// The rules in force, as the API shows them.
    pub fn shown(&self) -> Arc<Vec<Value>> {
        self.shown.load_full()
    }

    /// The rules in force.
    pub fn rules(&self) -> Arc<RuleSet> {
        self.swapper.load().rules()
    }

    /// Another flow has taken the place of the one before, with its rules.
    pub fn follow(&self, swapper: Swapper) {
        self.swapper.store(Arc::new(swapper));
    }

    /// Changes made and refused since the start.
    pub fn counts(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed))
    }

    /// Reads configuration and rules anew and puts them in force.
    ///
    /// # Errors
    /// When anything can not be read or run that is not broken in the running set as well: that one goes on.
    pub async fn reload(self: &Arc<Self>) -> Result<Value, RulesError> {
        let _turn = self.turn.lock().await;
        let own = Arc::clone(self);
        let result = tokio::task::spawn_blocking(move || own.run()).await.unwrap_or_else(|error| Err(RulesError::Unavailable(error.to_string())));
        match &result {
            Ok(told) => {
                self.done.fetch_add(1, Ordering::Relaxed);
                tracing::info!(%told, "rules read anew");
            }
            Err(error) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%error, "cannot change the rules: those that run go on");
            }
        }
        result
    }

    /// Runs rules over the stored past, beside those in force.
    ///
    /// # Errors
    /// When they can not be read or run, or the past can not.
    pub async fn backtest(self: &Arc<Self>, asked: BacktestRequest) -> Result<Value, RulesError> {
        let own = Arc::clone(self);
        let Ok(turn) = Arc::clone(&self.past).try_acquire_owned() else { return Err(RulesError::Busy) };
        let run = tokio::task::spawn_blocking(move || {
            let done = own.run_over(&asked);
            drop(turn);
            done
        });
        run.await.unwrap_or_else(|error| Err(RulesError::Unavailable(error.to_string())))
    }

    fn run_over(&self, asked: &BacktestRequest) -> Result<Value, RulesError> {
        let running = self.rules();
        let tested = match &asked.rules {
            None => Arc::clone(&running),
            Some(text) => {
                let detect = (self.settings)().map_err(|error| RulesError::Refused(format!("{error:#}")))?;
                let (set, diagnostics) = sigma::parse(&[("request".into(), text.clone())], &rules::settings(Some(&detect), false));
                let mut errors = diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
                if let Some(error) = errors.next() {
                    return Err(RulesError::Refused(error.to_string()));
                }
                Arc::new(set)
            }
        };
        let asked = Asked { from: asked.from, to: asked.to, events_max: EVENTS_MAX, budget: Budget::within(BACKTEST_MAX) };
        let done = backtest::run(&self.searcher, &tested, &running, &asked);
        let done = done.map_err(|error| RulesError::Unavailable(format!("cannot read the past: {error}")))?;
        serde_json::to_value(done).map_err(|error| RulesError::Unavailable(error.to_string()))
    }

    fn run(&self) -> Result<Value, RulesError> {
        let started = Instant::now();
        let refuse = |error: anyhow::Error| RulesError::Refused(format!("{error:#}"));
        let detect = (self.settings)().map_err(refuse)?;
        let (set, diagnostics) = rules::load(&detect).map_err(refuse)?;
        let errors = diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
        let mut problems: Vec<(String, String)> = errors.map(|error| (error.file.as_ref().to_owned(), error.to_string())).collect();
        let set = Arc::new(set);
        let swapper = self.swapper.load_full();
        let engine = Engine::new(Arc::clone(&set), swapper.settings());
        problems.extend(engine.refused().iter().filter_map(|refused| {
            let id = &set.rules.get(refused.rule)?.header.id;
            Some((id.clone(), format!("rule {id}: {}", refused.reason)))
        }));
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        let new: Vec<&str> = problems.iter().filter(|(what, _)| !broken.contains(what)).map(|(_, why)| why.as_str()).collect();
        if !new.is_empty() {
            let more = new.len().saturating_sub(TOLD_MAX);
            let told = new.iter().take(TOLD_MAX).copied().collect::<Vec<_>>().join("; ");
            return Err(RulesError::Refused(if more > 0 { format!("{told}; and {more} more") } else { told }));
        }
        if set.rules.len() == engine.refused().len() {
            return Err(RulesError::Refused("no rule can be run".to_owned()));
        }
        let mut taken = 0;
        let (cold, swapped) = swapper
            .swap(engine, |cold, lateness, each| -> Result<(), SearchError> {
                if let Some(latest) = windows::latest(&self.searcher)? {
                    taken = windows::replay(&self.searcher, latest.minus(cold.reach()).minus(lateness), each)?;
                }
                Ok(())
            })
            .map_err(|error| match error {
                SwapError::Ended => RulesError::Unavailable(error.to_string()),
                SwapError::Past(error) => RulesError::Unavailable(format!("cannot read the past of new rules: {error}")),
            })?;
        *broken = problems.into_iter().map(|(what, _)| what).collect();
        self.shown.store(Arc::new(described(&set)));
        Ok(json!({
            "rules": set.rules.len(), "filled": cold.ids(), "filled_with_events": taken, "alerts": swapped.findings,
            "pause_ms": swapped.pause.as_secs_f64() * 1e3, "took_ms": started.elapsed().as_secs_f64() * 1e3,
        }))
    }
}

/// Rules as the API shows them.
fn described(rules: &RuleSet) -> Vec<Value> {
    let shown = rules.rules.iter().filter(|rule| !rule.is_silent).map(|rule| {
        let mut value = serde_json::to_value(rule.header.as_ref()).unwrap_or_default();
        value["description"] = rule.description.clone().into();
        value["falsepositives"] = rule.false_positives.clone().into();
        value["references"] = rule.references.clone().into();
        value["file"] = rule.file.as_ref().into();
        value["logsource"] = match &rule.logsource {
            LogSource::Any => "any".into(),
            LogSource::Kind(kind) => kind.name().into(),
            LogSource::NotApplicable(text) => format!("not applicable: {text}").into(),
        };
        value
    });
    shown.collect()
}
