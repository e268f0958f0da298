//! What the envelope of a record says about it: often the only place that names the cluster, the account or the container.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{ClusterId, Timestamp};

/// A cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    Aws,
    Azure,
    Gcp,
    Yandex,
}

impl Provider {
    /// As `cloud.provider` shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Azure => "azure",
            Self::Gcp => "gcp",
            Self::Yandex => "yandex",
        }
    }
}

/// The container that printed a record: it can print what it likes, so not every kind is taken from everyone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emitter {
    pub namespace: String,
    pub pod: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub container: String,
}

/// What an envelope says of all records in it. Nothing here is the record's own word.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Wrapping {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<Provider>,
    /// Account, project, subscription or folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Log group and stream, log name or category, as the provider spells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emitter: Option<Emitter>,
}

impl Wrapping {
    /// Takes over what an inner envelope says: the nearer one knows better. What a named container printed is its own word, so nothing in it
    /// says anything of another container, cluster or account.
    pub fn refine(&mut self, inner: &Self) {
        if self.emitter.as_ref().is_some_and(|emitter| !emitter.pod.is_empty()) {
            return;
        }
        let Self { cluster, provider, account, stream, emitter } = inner;
        self.cluster = cluster.clone().or(self.cluster.take());
        self.provider = provider.or(self.provider);
        self.account = account.clone().or(self.account.take());
        self.stream = stream.clone().or(self.stream.take());
        self.emitter = emitter.clone().or(self.emitter.take());
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// How a record was wrapped: what its envelopes say of it and what they did to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Wrapped {
    /// Shared by the records of one envelope.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Arc<Wrapping>>,
    /// The envelope's time for the record, for one that has none of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The envelope cut the record's text; what stands here was saved from it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_cut: bool,
    /// This program wrote the record itself: nothing that came in says so.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_own: bool,
}

impl Wrapped {
    /// Whether there is nothing to keep.
    pub fn is_empty(&self) -> bool {
        self.by.is_none() && self.at.is_none() && !self.is_cut && !self.is_own
    }
}
