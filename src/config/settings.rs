//! The sections, as data. What a key means stands once, here, and goes into the JSON Schema; its default stands in `default.toml`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DropSettings, NotifierSettings, RouteSettings, SourceSettings};
use crate::model::{ClusterId, Level};

/// The whole configuration, checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "bartizan.toml")]
pub struct Config {
    pub server: ServerSettings,
    pub store: StoreSettings,
    pub log: LogSettings,
    pub detect: DetectSettings,
    pub redact: RedactSettings,
    pub enrich: EnrichSettings,
    /// Where events come from.
    #[serde(default, rename = "source", skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceSettings>,
    /// What is judged and then not stored.
    #[serde(default, rename = "drop", skip_serializing_if = "Vec::is_empty")]
    pub drops: Vec<DropSettings>,
    /// Where alerts go.
    #[serde(default, rename = "notifier", skip_serializing_if = "Vec::is_empty")]
    pub notifiers: Vec<NotifierSettings>,
    /// Which alerts go where.
    #[serde(default, rename = "route", skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<RouteSettings>,
}

/// `[server]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerSettings {
    /// Address and port of the API.
    #[schemars(with = "String", extend("format" = "socket-address"))]
    pub listen: SocketAddr,
    /// Further host names by which a caller may address the service while no token is made.
    pub hosts: Vec<String>,
    /// Connections at one time. Past it new ones wait.
    #[schemars(range(min = 1))]
    pub connections_max: u32,
    /// Longest body of a push, in bytes on the wire. Past it the answer is 413.
    #[schemars(range(min = 1, max = 1_073_741_824))]
    pub body_bytes_max: u64,
    /// Bytes of pushed bodies held at one time. Past it the answer is 429, before the body is read.
    #[schemars(range(min = 1, max = 274_877_906_944_u64))]
    pub bodies_in_flight_bytes_max: u64,
    /// Searches one caller may have running. Past it the answer is 429.
    #[schemars(range(min = 1))]
    pub searches_per_principal_max: u32,
    /// How long running requests may take to end on shutdown, in seconds.
    pub drain_s: u32,
    /// With it the service speaks TLS only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSettings>,
}

/// `[server.tls]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// PEM file with the certificate and its chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert: Option<PathBuf>,
    /// PEM file with the private key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// PEM file with the authorities whose client certificates are looked at. Nobody has to show one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<PathBuf>,
    /// What client certificates mean; one that is not named has no rights.
    #[serde(default, rename = "client", skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<ClientSettings>,
}

/// `[[server.tls.client]]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClientSettings {
    /// What comments and logs name it.
    #[schemars(extend("format" = "name"))]
    pub name: String,
    /// The certificate's whole subject, in its own order: `CN=api-1, O=ops`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// One of its alternative names, with the kind: `dns:`, `uri:`, `email:` or `ip:` before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub san: Option<String>,
    /// The cluster that events pushed with it are of.
    #[schemars(with = "Option<String>", extend("format" = "cluster"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterId>,
    /// The configured source that events pushed with it come by.
    #[schemars(extend("format" = "name"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The kinds that may be pushed with it; empty: any.
    pub kinds: Vec<String>,
    pub scope: ScopeName,
}

/// What who shows a credential may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ScopeName {
    #[default]
    Ingest,
    Admin,
}

/// `[store]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreSettings {
    /// The data directory.
    #[schemars(extend("format" = "not-empty"))]
    pub path: PathBuf,
    /// Events become searchable and durable in the store at least this often, in seconds.
    #[schemars(range(min = 1, max = 3600))]
    pub flush_every_s: u32,
    /// Bytes of the disk that stay free: below it nothing is taken in, and pushes are answered 503. Unset: a twentieth of the disk, at most 1 GiB.
    #[schemars(range(max = 1_099_511_627_776_u64))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_reserve_bytes: Option<u64>,
    /// Days that events are kept; what is older goes, an hour of arrival at a time. Unset: for ever. PCI DSS asks for 365.
    #[schemars(range(min = 1, max = 36500))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_days: Option<u32>,
    /// Bytes on disk that events may take; past it those that came first go. Unset: as many as there is room for.
    #[schemars(range(min = 1_048_576_u64))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_max: Option<u64>,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    pub format: LogFormat,
    /// A level, or levels by target.
    #[schemars(extend("format" = "log-filter"))]
    pub level: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

/// `[detect]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DetectSettings {
    /// Files and folders with rules. Any entry replaces the built-in detections.
    pub rules: Vec<PathBuf>,
    /// Ids of rules that do not run.
    pub disable: Vec<String>,
    /// Severity by rule id.
    #[schemars(with = "BTreeMap<String, LevelName>")]
    pub level: BTreeMap<String, Level>,
    /// Named lists that rules refer to.
    pub lists: BTreeMap<String, Vec<String>>,
    /// A source of which nothing has come for so many seconds is said to be silent, in an event of kind `source_health`; 0: none ever is.
    pub silent_after_s: u32,
    /// What the windows of all rules may take in memory, in bytes, about. Past it groups that got least far towards their bound go; the store is asked when
    /// that matters.
    #[schemars(range(min = 1_048_576, max = 1_099_511_627_776_u64))]
    pub state_bytes_max: u64,
    /// Fields that rules name in another vocabulary, and what they are here.
    pub fields: BTreeMap<String, String>,
}

/// Severity, in Sigma's words.
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used: the nouns know nothing of schemas")]
pub(super) enum LevelName {
    Informational,
    Low,
    Medium,
    High,
    Critical,
}

/// `[redact]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedactSettings {
    /// Names of members whose values are masked, besides those that are known to hold secrets: whatever the values are and whatever is in them. Case,
    /// `_`, `-` and spaces do not count.
    pub keys: Vec<String>,
}

/// `[enrich]`. Nothing can be set yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnrichSettings {}
