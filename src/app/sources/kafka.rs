//! A source of kind `kafka`, by its keys.

use std::path::PathBuf;

use crate::clock::Clock;
use crate::config::{SaslName, SourceSettings, StartName};
use crate::model::{Checkpoint, SourceId};
use crate::ports::Source;
use crate::source::kafka::{KafkaSettings, KafkaSource, Mechanism, Sasl, Start, Tls};

/// Opens it, to go on from the checkpoint.
pub(super) fn open(settings: &SourceSettings, checkpoint: &Checkpoint, clock: &Clock) -> anyhow::Result<Box<dyn Source>> {
    Ok(Box::new(KafkaSource::open(read(settings)?, checkpoint, clock.clone())?))
}

fn read(settings: &SourceSettings) -> anyhow::Result<KafkaSettings> {
    let (brokers, topics) = (settings.brokers.as_deref().unwrap_or_default(), settings.topics.as_deref().unwrap_or_default());
    let mut kafka = KafkaSettings::new(SourceId::from(settings.name.as_str()), brokers, topics);
    if let Some(cluster) = &settings.cluster {
        kafka.cluster = cluster.clone();
    }
    kafka.cluster_pattern = settings.cluster_pattern.as_deref().map(regex::Regex::new).transpose()?;
    if let Some(group) = &settings.group {
        kafka.group.clone_from(group);
    }
    kafka.instance.clone_from(&settings.instance);
    kafka.start = match settings.start {
        Some(StartName::End) => Start::Latest,
        Some(StartName::Beginning) | None => Start::Earliest,
    };
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let (ca, cert, key) = (path(&settings.tls_ca), path(&settings.tls_cert), path(&settings.tls_key));
    kafka.tls = Tls { is_on: settings.tls.unwrap_or(false), ca, cert, key };
    let shown = settings.sasl.zip(settings.username.clone()).zip(settings.password.as_ref());
    kafka.sasl = shown.map(|((sasl, username), password)| Sasl {
        mechanism: match sasl {
            SaslName::Plain => Mechanism::Plain,
            SaslName::ScramSha256 => Mechanism::ScramSha256,
            SaslName::ScramSha512 => Mechanism::ScramSha512,
        },
        username,
        password: password.expose().to_owned(),
    });
    if let Some(bytes) = settings.message_bytes_max {
        kafka.message_bytes_max = usize::try_from(bytes)?;
    }
    kafka.check_crcs = settings.check_crcs.unwrap_or(true);
    Ok(kafka)
}
