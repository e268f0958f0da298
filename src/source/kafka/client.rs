//! The client's own settings: what librdkafka is told.

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};

use super::{KafkaSettings, Mechanism};

/// Bytes of messages that wait within the client, in KiB. Past it nothing more is asked for.
const QUEUED_KIB_MAX: u32 = 32 << 10;

/// Bytes of one answer of a broker. A single batch that is larger comes all the same.
const FETCH_BYTES_MAX: u32 = 16 << 20;

/// Bytes of one answer past which the connection is cut: longer than any message that may be taken ([`super::MESSAGE_BYTES_MAX`]). It bounds what zstd expands to as well.
const RECEIVE_BYTES_MAX: u32 = (256 << 20) + (1 << 20);

/// How often the client tells its figures, in milliseconds.
const FIGURES_EVERY_MS: u32 = 5_000;

/// How often new topics and partitions are looked for, in milliseconds.
const METADATA_EVERY_MS: u32 = 30_000;

/// How often the poll may stay away before the group takes our partitions, in milliseconds. It never does for longer than it takes to hand over.
const POLL_EVERY_MS_MAX: u32 = 300_000;

/// Without a word for so long a member is dead, in milliseconds. Who comes in its place, as after a crash, waits for so long.
const SESSION_MS: u32 = 10_000;

/// What holds for every client of a source.
fn common(settings: &KafkaSettings) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", settings.brokers.join(","));
    config.set("client.id", format!("bartizan-{}", settings.source));
    config.set("security.protocol", protocol(settings));
    if settings.tls.is_on {
        let tls = &settings.tls;
        config.set("ssl.ca.location", tls.ca.as_deref().unwrap_or("probe"));
        config.extend(tls.cert.iter().map(|path| ("ssl.certificate.location".to_owned(), path.clone())));
        config.extend(tls.key.iter().map(|path| ("ssl.key.location".to_owned(), path.clone())));
    }
    if let Some(sasl) = &settings.sasl {
        config.set("sasl.mechanism", sasl.mechanism.name());
        config.set("sasl.username", &sasl.username);
        config.set("sasl.password", &sasl.password);
    }
    config.set("enable.auto.commit", "false").set("enable.auto.offset.store", "false");
    config.set("isolation.level", "read_committed").set("check.crcs", settings.check_crcs.to_string());
    // Where reading begins is always said; a position that is not in the log is for us to judge.
    config.set("auto.offset.reset", "error").set("allow.auto.create.topics", "false");
    config.set("receive.message.max.bytes", RECEIVE_BYTES_MAX.to_string());
    config.set("fetch.max.bytes", FETCH_BYTES_MAX.to_string());
    config.set("queued.max.messages.kbytes", QUEUED_KIB_MAX.to_string());
    config.set("socket.keepalive.enable", "true").set("log.connection.close", "false");
    config.set("reconnect.backoff.max.ms", "10000");
    config.set_log_level(RDKafkaLogLevel::Info);
    config
}

/// The member of the group.
pub(super) fn member(settings: &KafkaSettings) -> ClientConfig {
    let mut config = common(settings);
    config.set("group.id", &settings.group);
    config.extend(settings.instance.iter().map(|instance| ("group.instance.id".to_owned(), instance.clone())));
    config.set("partition.assignment.strategy", "range,roundrobin");
    config.set("session.timeout.ms", SESSION_MS.to_string());
    config.set("max.poll.interval.ms", POLL_EVERY_MS_MAX.to_string());
    config.set("topic.metadata.refresh.interval.ms", METADATA_EVERY_MS.to_string());
    config.set("metadata.max.age.ms", (3 * METADATA_EVERY_MS).to_string());
    config.set("statistics.interval.ms", FIGURES_EVERY_MS.to_string());
    config.extend(settings.more.iter().cloned());
    config
}

/// One that looks at single partitions beside the member. Its group has no members and no offsets.
pub(super) fn looker(settings: &KafkaSettings) -> ClientConfig {
    let mut config = common(settings);
    config.set("group.id", format!("{}-look", settings.group)).set("enable.partition.eof", "true");
    config
}

fn protocol(settings: &KafkaSettings) -> &'static str {
    match (settings.tls.is_on, settings.sasl.is_some()) {
        (false, false) => "plaintext",
        (true, false) => "ssl",
        (false, true) => "sasl_plaintext",
        (true, true) => "sasl_ssl",
    }
}

impl Mechanism {
    /// As Kafka names it.
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}
