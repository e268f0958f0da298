//! One run: an oracle, what stands around the program, its plan, and the senders.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::feeds::{self, Feed};
use super::oracle::{Around, Oracle, Verdict};
use super::plan::Plan;
use super::present;
use crate::service::{Service, setting};

/// Between two batches of one sender in the ordinary run, in milliseconds; `BARTIZAN_PAUSE_MS` sets it.
const PAUSE_MS: u64 = 1_000;

/// A number that the environment may set.
pub(crate) fn count(name: &str, ordinary: u64) -> u64 {
    setting(name).and_then(|text| text.parse().ok()).unwrap_or(ordinary)
}

/// A runtime that serves the rig's own servers and senders at once.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    bartizan::app::build::install_tls();
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

pub(crate) struct Run {
    pub(crate) oracle: Arc<Oracle>,
    pub(crate) around: Around,
    pub(crate) plan: Plan,
    pub(crate) client: reqwest::Client,
    senders: Vec<tokio::task::JoinHandle<()>>,
}

impl Run {
    /// Nothing is sent yet. Files of the rig go into `dir`, the program's data into `data`. The seed is `BARTIZAN_SEED`, so that a failure can be seen again.
    pub(crate) async fn new(dir: &Path, data: &Path) -> Self {
        let around = Around::start(dir).await;
        let plan = Plan::new(data, &around.config(dir));
        Self { oracle: Oracle::new(count("BARTIZAN_SEED", 1)), around, plan, client: feeds::client(), senders: Vec::new() }
    }

    /// Every way in begins to send.
    pub(crate) fn send_all(&mut self) {
        let feeds = feeds::all(&self.around);
        self.send(feeds);
    }

    /// These begin to send.
    pub(crate) fn send(&mut self, feeds: Vec<Box<dyn Feed>>) {
        let pause = Duration::from_millis(count("BARTIZAN_PAUSE_MS", PAUSE_MS));
        self.senders.extend(feeds.into_iter().map(|feed| tokio::spawn(feeds::drive(Arc::clone(&self.oracle), feed, pause))));
    }

    /// Starts the program and tells the senders where it is.
    pub(crate) fn up(&self) -> Result<Service, String> {
        let process = self.plan.start()?;
        self.oracle.url.send_replace(Some(process.url.clone()));
        Ok(process)
    }

    /// Senders wait from now on.
    pub(crate) fn down(&self) {
        self.oracle.url.send_replace(None);
    }

    pub(crate) fn acked(&self) -> u64 {
        self.oracle.acked.load(Ordering::Relaxed)
    }

    /// Senders end, and all of it is checked against what this process says.
    pub(crate) async fn check(&mut self, process: &Service) -> Result<Verdict, String> {
        self.oracle.end();
        for sender in self.senders.drain(..) {
            sender.await.unwrap();
        }
        present::check(&self.client, &process.url, &self.oracle, &self.around).await
    }

    /// The data folder and what the program has logged, for whoever looks into it: under `BARTIZAN_KEEP`, if that is set.
    fn keep(&self, what: &str, process: &Service) {
        let Some(dir) = setting("BARTIZAN_KEEP").map(|dir| Path::new(&dir).join(format!("{what}-{}", process.id()))) else { return };
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("log"), process.said()).unwrap();
        let copied = Command::new("cp").arg("-r").arg(&self.plan.data).arg(&dir).status();
        eprintln!("{what}: kept in {}: {copied:?}", dir.display());
    }

    /// As [`Run::check`]; fails with all that is wrong, and prints the figures in any case.
    pub(crate) async fn prove(&mut self, process: &Service, what: &str) -> Verdict {
        let verdict = self.check(process).await.unwrap_or_else(|why| panic!("{what}: {why}\n{}", process.said()));
        eprintln!("{what}: {}\n{what}: {}", verdict.line(), self.oracle.sometimes.line());
        let mut wrong = verdict.wrong();
        // Beside the service, as anybody may: what the store says of itself tells a loss before it from one in it.
        wrong.extend(self.plan.verify().err());
        if !wrong.is_empty() {
            self.keep(what, process);
        }
        assert!(wrong.is_empty(), "{what}: {}", wrong.join("\n"));
        verdict
    }
}
