//! `demo`: a running service, fed over its own HTTP ingest with one attack that three sources tell.
//!
//! Nothing is scripted but the events: what fires is what the rules find in them.

mod story;

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration as StdDuration;

use anyhow::{Context, bail};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

pub use story::{Post, posts};

use super::args::DemoArgs;
use super::output::{Screen, printable};
use super::serve::until_told;
use super::{Exit, service};
use crate::app::serve;
use crate::clock::Clock;
use crate::model::{Alert, Change, Level};

/// Alerts come within this of the last post, or not at all.
const QUIET: StdDuration = StdDuration::from_millis(1_500);

/// The story is over by then in any case.
const PATIENCE: StdDuration = StdDuration::from_secs(15);

/// Runs the command.
pub(super) fn run(args: &DemoArgs, screen: &Screen) -> anyhow::Result<Exit> {
    let mut config = service::config(None)?;
    let folder = tempfile::tempdir().context("cannot make a folder for the demo")?;
    config.store.path = args.data_dir.clone().unwrap_or_else(|| folder.path().to_owned());
    config.sources.clear();
    config.notifiers.clear();
    config.routes.clear();
    config.server.tls = None;
    "warn".clone_into(&mut config.log.level);
    service::start_logging(&config, None, 0, true);
    service::block_on(async {
        let (to, mut alerts) = mpsc::channel(256);
        config.server.listen = free(args.listen).await?;
        let detect = config.detect.clone();
        let served = serve::open(&config, &Clock::System, Box::new(move || Ok(detect.clone())), Some(to)).await?;
        let url = format!("http://{}", served.address);
        println!("bartizan is running at {url}; its data is in {}", place(args.data_dir.as_ref()));
        let (tell, stop) = watch::channel(false);
        let running = tokio::spawn(served.run(stop));
        let told = tell_story(&url, &mut alerts, screen).await;
        if told.is_ok() && std::io::stdout().is_terminal() {
            println!("\nStill serving. Ctrl-C ends the demo.");
            let mut end = until_told();
            // Both ends of waiting mean the same.
            drop(end.wait_for(|end| *end).await);
        }
        tell.send_replace(true);
        alerts.close();
        running.await??;
        told
    })?;
    Ok(Exit::Done)
}

fn place(data_dir: Option<&PathBuf>) -> String {
    data_dir.map_or_else(|| "a folder that goes with it".to_owned(), |dir| dir.display().to_string())
}

/// The asked address, or any port beside it if somebody has that.
async fn free(asked: SocketAddr) -> anyhow::Result<SocketAddr> {
    if tokio::net::TcpListener::bind(asked).await.is_ok() || asked.port() == 0 {
        return Ok(asked);
    }
    let any = SocketAddr::new(asked.ip(), 0);
    eprintln!("{asked} is taken; another port will do");
    Ok(any)
}

async fn tell_story(url: &str, alerts: &mut mpsc::Receiver<(Alert, Change)>, screen: &Screen) -> anyhow::Result<()> {
    let client = reqwest::Client::builder().no_proxy().timeout(StdDuration::from_secs(10)).build()?;
    let started = Instant::now();
    let mut seen: Vec<Alert> = Vec::new();
    for post in posts(Clock::System.now()) {
        println!("\n-> {} to POST {}", post.what, post.path);
        let answer =
            client.post(format!("{url}{}", post.path)).body(post.body).send().await.with_context(|| format!("cannot post to {}", post.path))?;
        if !answer.status().is_success() {
            bail!("{} answered {}", post.path, answer.status());
        }
        listen(alerts, &mut seen, screen, started).await?;
    }
    conclude(&seen, url, started.elapsed());
    Ok(())
}

/// Prints alerts as they come, until it has been quiet for a while.
async fn listen(alerts: &mut mpsc::Receiver<(Alert, Change)>, seen: &mut Vec<Alert>, screen: &Screen, started: Instant) -> anyhow::Result<()> {
    while started.elapsed() < PATIENCE {
        match tokio::time::timeout(QUIET, alerts.recv()).await {
            Ok(Some((alert, Change::Opened | Change::Reopened))) => {
                screen.alerts(std::slice::from_ref(&alert))?;
                story::explain(&alert);
                seen.push(alert);
            }
            Ok(Some(_)) => {}
            Ok(None) => bail!("the service ended early"),
            Err(_) => break,
        }
    }
    Ok(())
}

fn conclude(seen: &[Alert], url: &str, took: StdDuration) {
    let mut rules: Vec<&str> = seen.iter().map(|alert| alert.rule.id.as_str()).collect();
    rules.sort_unstable();
    rules.dedup();
    println!("\n{} alerts of {} rules in {:.1} s.", seen.len(), rules.len(), took.as_secs_f64());
    let widest = seen.iter().filter(|alert| alert.rule.level == Level::Critical).max_by_key(|alert| story::breadth(alert));
    if let Some(alert) = widest {
        println!("\nThe one to read first: {}", printable(&alert.title));
        println!("  curl -s {url}/api/v1/alerts/{}            # the alert, step by step", alert.id);
        println!("  curl -s {url}/api/v1/alerts/{}/events     # the records behind it", alert.id);
    }
    println!("\nTry next:");
    println!("  curl -s '{url}/api/v1/alerts?level=high'");
    println!("  bartizan search --url {url} --output table 'actor.user.name:mallory* AND event.outcome:failure'");
    println!("  bartizan search --url {url} --count 'entity:\"pod:shop/node-helper\"'");
    println!("  bartizan rules explain shell-story                # what a rule reads");
    println!("  bartizan scan /var/log/kubernetes/audit.log       # your own logs");
}
