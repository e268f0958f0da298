//! The sources that the configuration names.

#[cfg(feature = "scale")]
mod kafka;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::clock::Clock;
use crate::config::{SourceSettings, StartName};
use crate::model::{Checkpoint, SourceId};
use crate::ports::Source;
use crate::source::s3::{S3Settings, S3Source};
use crate::source::tail::{Paths, Start, TailSettings, TailSource};

/// Opens one source, to go on from the checkpoint. What it keeps besides lies in `data`.
pub(super) async fn open(settings: &SourceSettings, data: &Path, checkpoint: &Checkpoint, clock: &Clock) -> anyhow::Result<Box<dyn Source>> {
    match settings.kind.as_str() {
        "s3" => {
            let dir = data.join("sources").join(&settings.name);
            std::fs::create_dir_all(&dir).with_context(|| format!("cannot create `{}`", dir.display()))?;
            Ok(Box::new(S3Source::open(s3(settings)?, &dir, checkpoint, clock.clone()).await?))
        }
        "file" => Ok(Box::new(TailSource::start(files(settings)?, checkpoint, clock.clone()).context("cannot start to read files")?)),
        #[cfg(feature = "scale")]
        "kafka" => kafka::open(settings, checkpoint, clock),
        kind => bail!("source `{}`: kind `{kind}` does not run in this version", settings.name),
    }
}

fn files(settings: &SourceSettings) -> anyhow::Result<TailSettings> {
    let paths = Paths::parse(&settings.all_paths(), settings.exclude.as_deref().unwrap_or_default()).map_err(anyhow::Error::msg)?;
    let mut files = TailSettings::new(SourceId::from(settings.name.as_str()), paths);
    if let Some(cluster) = &settings.cluster {
        files.cluster = cluster.clone();
    }
    files.cluster_pattern = settings.cluster_pattern.as_deref().map(regex::Regex::new).transpose()?;
    files.start = match settings.start {
        None | Some(StartName::Beginning) => Start::Beginning,
        Some(StartName::End) => Start::End,
    };
    if let Some(seconds) = settings.poll_s {
        files.poll = Duration::from_secs(u64::from(seconds));
    }
    Ok(files)
}

fn s3(settings: &SourceSettings) -> anyhow::Result<S3Settings> {
    let mut s3 = S3Settings::new(SourceId::from(settings.name.as_str()), settings.bucket.as_deref().unwrap_or_default());
    if let Some(cluster) = &settings.cluster {
        s3.cluster = cluster.clone();
    }
    s3.cluster_pattern = settings.cluster_pattern.as_deref().map(regex::Regex::new).transpose()?;
    s3.prefix = settings.prefix.clone().unwrap_or_default();
    s3.endpoint.clone_from(&settings.endpoint);
    s3.region.clone_from(&settings.region);
    s3.profile.clone_from(&settings.profile);
    s3.queue.clone_from(&settings.queue);
    s3.path_style = settings.path_style.unwrap_or(false);
    s3.keys = settings
        .access_key
        .as_ref()
        .zip(settings.secret_key.as_ref())
        .map(|(access, secret)| (access.expose().to_owned(), secret.expose().to_owned()));
    if let Some(seconds) = settings.poll_s {
        s3.poll = Duration::from_secs(u64::from(seconds));
    }
    if let Some(seconds) = settings.sweep_s {
        s3.sweep = Duration::from_secs(u64::from(seconds));
    }
    Ok(s3)
}
