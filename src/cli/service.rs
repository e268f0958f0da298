//! What commands that work on a store share: the configuration, the runtime, and how failures of opening end.

use std::future::Future;
use std::path::Path;

use super::{Exit, Failure};
use crate::config::Config;
use crate::ports::StoreError;
use crate::telemetry::{self, LogOptions};

/// The effective configuration; every problem in one report.
#[expect(clippy::disallowed_methods, reason = "the one place that hands the environment to the configuration")]
pub(super) fn config(path: Option<&Path>) -> anyhow::Result<Config> {
    Config::load(path, |name| std::env::var(name).ok()).map_err(|report| Failure::usage(report.to_string()).into())
}

/// Starts logging as the configuration and the command line say.
pub(super) fn start_logging(config: &Config, format: Option<super::args::LogFormat>, verbose: u8, no_color: bool) {
    let is_json = format.map_or(config.log.format == crate::config::LogFormat::Json, |format| format == super::args::LogFormat::Json);
    telemetry::init(&LogOptions { is_json, level: config.log.level.clone(), verbose, has_color: !no_color });
}

/// Runs to the end on a runtime of its own.
pub(super) fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    crate::app::build::install_tls();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(work);
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    result.map_err(held_is_usage)
}

/// A store that another process holds, or that a newer version wrote, is the caller's to sort out.
fn held_is_usage(error: anyhow::Error) -> anyhow::Error {
    let is_usage = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<StoreError>())
        .any(|cause| matches!(cause, StoreError::Held { .. } | StoreError::Newer { .. } | StoreError::Older { .. }));
    if is_usage { Failure { exit: Exit::Usage, message: format!("{error:#}") }.into() } else { error }
}
