//! `[[source]]`, `[[drop]]`, `[[notifier]]`, `[[route]]`, and the tables of their kinds.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Secret;
use super::settings::LevelName;
use crate::model::{ClusterId, Level};

/// Where events come from.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SourceSettings {
    /// Unique; events name it as `event.source`.
    #[schemars(extend("format" = "name"))]
    pub name: String,
    /// `s3`, `kafka`, `file` or `push`.
    pub kind: String,
    /// The cluster it speaks for.
    #[schemars(with = "Option<String>", extend("format" = "cluster"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterId>,
    /// A regular expression whose first group finds the cluster in the object key, path or topic.
    #[schemars(extend("format" = "pattern"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_pattern: Option<String>,
    /// The kinds it may carry; empty: any.
    pub kinds: Vec<String>,
    /// How much older than the latest event of this source one may be without being late, in seconds. Rules wait for it, and keep state for so long.
    #[schemars(range(max = 604_800))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lateness_s: Option<u32>,
    /// Containers whose output counts as audit, Falco or flow: `NAMESPACE/POD: KIND`. Unset: the usual installations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workloads: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// Only objects whose key starts so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// URL of a storage that is not AWS.
    #[schemars(extend("format" = "http-url"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The bucket stands in the path of the URL, not in its host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_style: Option<bool>,
    /// Which part of AWS's shared files holds; unset: what its environment says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    #[schemars(with = "Option<String>", extend("format" = "secret"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key: Option<Secret>,
    #[schemars(with = "Option<String>", extend("format" = "secret"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_key: Option<Secret>,
    /// URL of a queue of SQS's kind that is told of new objects. Only makes it quicker: the bucket is listed all the same.
    #[schemars(extend("format" = "http-url"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// How often the whole prefix is listed, in seconds; between that only what is likely to be new is.
    #[schemars(range(min = 1, max = 86_400))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sweep_s: Option<u32>,
    /// `host:port`, each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub brokers: Option<Vec<String>>,
    /// Names, or patterns that begin with `^`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topics: Option<Vec<String>>,
    /// The consumer group.
    #[schemars(extend("format" = "not-empty"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Which member of the group this is, over restarts; unset: a new one every time.
    #[schemars(extend("format" = "name"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Whether the brokers speak TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<bool>,
    /// PEM file with the certificates that the brokers' are checked against; unset: those of the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_ca: Option<PathBuf>,
    /// PEM file with a client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cert: Option<PathBuf>,
    /// PEM file with its private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
    /// How a user and a password are shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sasl: Option<SaslName>,
    #[schemars(extend("format" = "not-empty"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    #[schemars(with = "Option<String>", extend("format" = "secret"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// Longest message, in bytes. A longer one is a counted reject.
    #[schemars(range(min = 1_024, max = 268_435_456))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_bytes_max: Option<u32>,
    /// Whether checksums of batches are looked at. Yandex Data Streams makes none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check_crcs: Option<bool>,
    /// A file, folder or pattern, as one of `paths`.
    #[schemars(extend("format" = "not-empty"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Files, folders with all that is in them, and patterns: `*` is anything but `/`, `**` anything, `?` one character.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paths: Option<Vec<String>>,
    /// Patterns of what is left out. One without a `/` is held against the name of a file alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude: Option<Vec<String>>,
    /// Where reading starts in files that are there when the source is first run, and in partitions that were never read: at their `beginning` or their `end`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<StartName>,
    /// How often to look for what is new, in seconds.
    #[schemars(range(min = 1, max = 86_400))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub poll_s: Option<u32>,
}

impl SourceSettings {
    /// Everything that a source of files reads.
    pub fn all_paths(&self) -> Vec<String> {
        self.path.iter().chain(self.paths.iter().flatten()).cloned().collect()
    }
}

/// Where in a file or a log reading starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StartName {
    Beginning,
    End,
}

/// Mechanisms of SASL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SaslName {
    #[serde(rename = "plain")]
    Plain,
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
    #[serde(rename = "scram-sha-512")]
    ScramSha512,
}

/// Where alerts go.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NotifierSettings {
    /// Unique; routes name it.
    #[schemars(extend("format" = "name"))]
    pub name: String,
    /// `webhook`.
    pub kind: String,
    #[schemars(extend("format" = "http-url"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Signs what is sent: `whsec_` and base64, or any text.
    #[schemars(with = "Option<String>", extend("format" = "secret"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// Whether the address may be a private or loopback one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_private: Option<bool>,
    /// How long one attempt may take, in seconds.
    #[schemars(range(min = 1, max = 300))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u32>,
}

/// Which alerts go where.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RouteSettings {
    /// A query; empty: every alert.
    #[serde(rename = "match")]
    pub query: String,
    /// Names of notifiers.
    pub notifiers: Vec<String>,
    /// The mildest level that goes.
    #[schemars(with = "Option<LevelName>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level_min: Option<Level>,
}

/// Events that rules judge and the store does not keep. What any rule matched is kept all the same.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DropSettings {
    /// Unique; counters name it.
    pub name: String,
    /// Which events, in the query language.
    pub query: String,
    /// Keeps one of so many as a sample, the same ones on every run; 0 keeps none.
    pub keep_one_in: u32,
}

/// What one kind of an array of tables knows.
#[derive(Debug)]
pub(super) struct KindRow {
    pub(super) name: &'static str,
    /// Keys it must have.
    pub(super) required: &'static [&'static str],
    /// Keys it may have, besides those common to all.
    pub(super) optional: &'static [&'static str],
    /// The feature it needs and whether this build has it.
    pub(super) feature: Option<(&'static str, bool)>,
}

/// Keys that every source may have.
pub(super) const SOURCE_COMMON: &[&str] = &["name", "kind", "cluster", "cluster_pattern", "kinds", "lateness_s", "workloads"];

/// Every kind of source. To add one: a line here, and its defaults in `default.toml`.
pub(super) const SOURCE_KINDS: &[KindRow] = &[
    KindRow {
        name: "s3",
        required: &["bucket"],
        optional: &["prefix", "endpoint", "region", "path_style", "profile", "access_key", "secret_key", "queue", "poll_s", "sweep_s"],
        feature: None,
    },
    KindRow {
        name: "kafka",
        required: &["brokers", "topics"],
        optional: &[
            "group",
            "instance",
            "start",
            "tls",
            "tls_ca",
            "tls_cert",
            "tls_key",
            "sasl",
            "username",
            "password",
            "message_bytes_max",
            "check_crcs",
        ],
        feature: Some(("scale", cfg!(feature = "scale"))),
    },
    KindRow { name: "file", required: &[], optional: &["path", "paths", "exclude", "start", "poll_s"], feature: None },
    KindRow { name: "push", required: &[], optional: &[], feature: None },
];

/// Keys that every notifier may have.
pub(super) const NOTIFIER_COMMON: &[&str] = &["name", "kind"];

/// Every kind of notifier.
pub(super) const NOTIFIER_KINDS: &[KindRow] =
    &[KindRow { name: "webhook", required: &["url", "secret"], optional: &["allow_private", "timeout_s"], feature: None }];
