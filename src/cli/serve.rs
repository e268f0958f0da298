//! `serve`: the service, until Ctrl-C or SIGTERM.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::args::ServeArgs;
use super::{Exit, service};
use crate::app::reload::Reloader;
use crate::app::serve;
use crate::clock::Clock;

/// Runs the command.
pub(super) fn run(args: &ServeArgs, log_format: Option<super::args::LogFormat>, verbose: u8, no_color: bool) -> anyhow::Result<Exit> {
    let mut config = service::config(args.config.as_deref())?;
    if let Some(listen) = args.listen {
        config.server.listen = listen;
    }
    service::start_logging(&config, log_format, verbose, no_color);
    let path = args.config.clone();
    service::block_on(async move {
        let settings = Box::new(move || service::config(path.as_deref()).map(|config| config.detect));
        let served = serve::open(&config, &Clock::System, settings, None).await?;
        // Heard from here on: until it is, a hangup ends the process.
        match signal(SignalKind::hangup()) {
            Ok(hangup) => drop(tokio::spawn(reload_when_told(hangup, Arc::clone(&served.reloader)))),
            Err(error) => tracing::error!(%error, "cannot hear SIGHUP"),
        }
        let scheme = if served.is_tls { "https" } else { "http" };
        tracing::info!(url = %format!("{scheme}://{}", served.address), data = %config.store.path.display(), "serving");
        if !served.is_tls && !served.address.ip().is_loopback() {
            tracing::warn!("tokens and logs travel in the clear: set [server.tls], or put TLS in front");
        }
        let stop = until_told();
        tokio::spawn(super::progress::show(served.tells(), stop.clone()));
        served.run(stop).await
    })?;
    Ok(Exit::Done)
}

/// Reads the rules anew with every SIGHUP. What comes of it is logged.
async fn reload_when_told(mut hangup: Signal, reloader: Arc<Reloader>) {
    while hangup.recv().await.is_some() {
        // It has been logged.
        let _ = reloader.reload().await;
    }
}

/// Becomes true with Ctrl-C or SIGTERM.
pub(super) fn until_told() -> watch::Receiver<bool> {
    let (tell, stop) = watch::channel(false);
    tokio::spawn(async move {
        let mut term = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(term) => term,
            Err(error) => return tracing::error!(%error, "cannot hear SIGTERM"),
        };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = term.recv() => {}
        }
        tracing::info!("stopping");
        tell.send_replace(true);
    });
    stop
}
