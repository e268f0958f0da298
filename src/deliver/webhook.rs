//! Standard Webhooks: a signed POST, a short patience, and no trust in what comes back.
//!
//! Success is 2xx only. A redirect is never followed, a proxy from the environment never used, and at most 64 KiB of an answer are read.

#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::time::Duration as Patience;

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};

use crate::model::Timestamp;
use crate::ports::{Delivery, Notification, Notifier};

use super::address::{AddressPolicy, GuardedResolver, Refused};
use super::sign::{SigningSecret, signatures};

/// What one attempt may take, answer included.
pub const TIMEOUT: Patience = Patience::from_secs(15);
const CONNECT_TIMEOUT: Patience = Patience::from_secs(5);
/// Bytes of an answer that are read at most.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;
const SECRETS_MAX: usize = 4;

/// A webhook, as configured.
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    pub url: String,
    /// Each signs; during a rotation there are two.
    pub secrets: Vec<SigningSecret>,
    /// Plain `http` too. Whoever listens on the way reads the alerts.
    pub allow_http: bool,
    pub addresses: AddressPolicy,
    /// What one attempt may take.
    pub timeout: Patience,
}

impl WebhookSettings {
    /// With the defaults: https, public addresses, 15 s.
    pub fn new(url: impl Into<String>, secrets: Vec<SigningSecret>) -> Self {
        Self { url: url.into(), secrets, allow_http: false, addresses: AddressPolicy::default(), timeout: TIMEOUT }
    }
}

/// Why a webhook cannot be built. Never names more of the URL than its host: paths of webhooks are secrets.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    #[error("the webhook's url cannot be read: {0}")]
    Url(String),
    #[error("the webhook's url has a user or password in it; sign with `secret` instead")]
    UserInfo,
    #[error("the webhook's url is `{0}`, not https; set `allow_http = true` if the network is trusted")]
    Scheme(String),
    #[error("the webhook's url names port {0}: 80, 443 and 1024 and above can be")]
    Port(u16),
    #[error("cannot send webhooks to `{host}`")]
    Address { host: String, source: Refused },
    #[error("a webhook has 1 to {SECRETS_MAX} secrets, this one has {0}")]
    Secrets(usize),
    #[error("cannot set up TLS: no crypto provider is installed in this process")]
    Provider,
    #[error("cannot set up the HTTP client")]
    Client(#[source] reqwest::Error),
}

/// A target that takes Standard Webhooks.
#[derive(Debug)]
pub struct Webhook {
    url: Url,
    secrets: Vec<SigningSecret>,
    client: Client,
}

impl Webhook {
    /// Checks the settings and builds the client. Connects nowhere.
    pub fn build(settings: WebhookSettings) -> Result<Self, WebhookError> {
        let url = check_url(&settings)?;
        if settings.secrets.is_empty() || settings.secrets.len() > SECRETS_MAX {
            return Err(WebhookError::Secrets(settings.secrets.len()));
        }
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(WebhookError::Provider);
        }
        let client = Client::builder()
            .user_agent(concat!("bartizan/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .https_only(!settings.allow_http)
            .connect_timeout(CONNECT_TIMEOUT.min(settings.timeout))
            .timeout(settings.timeout)
            .dns_resolver(GuardedResolver(settings.addresses))
            .build()
            .map_err(WebhookError::Client)?;
        Ok(Self { url, secrets: settings.secrets, client })
    }
}

fn check_url(settings: &WebhookSettings) -> Result<Url, WebhookError> {
    let url = Url::parse(&settings.url).map_err(|cause| WebhookError::Url(cause.to_string()))?;
    match url.scheme() {
        "https" => {}
        "http" if settings.allow_http => {}
        other => return Err(WebhookError::Scheme(other.chars().take(16).collect())),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(WebhookError::UserInfo);
    }
    if let Some(port) = url.port().filter(|port| *port < 1024 && !matches!(port, 80 | 443)) {
        return Err(WebhookError::Port(port));
    }
    let host = url.host_str().ok_or_else(|| WebhookError::Url("it names no host".into()))?;
    // A literal address never comes by the resolver, so it is checked here; names are checked whenever they are resolved.
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = literal.parse::<IpAddr>() {
        settings.addresses.check(address).map_err(|source| WebhookError::Address { host: host.to_owned(), source })?;
    }
    Ok(url)
}

#[async_trait]
impl Notifier for Webhook {
    async fn deliver(&self, notification: &Notification, now: Timestamp) -> Delivery {
        let at = now.nanos().div_euclid(1_000_000_000);
        let sent = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &notification.id)
            .header("webhook-timestamp", at)
            .header("webhook-signature", signatures(&self.secrets, &notification.id, at, &notification.body))
            .body(notification.body.clone())
            .send()
            .await;
        match sent {
            Ok(answer) => {
                let delivery = judge(answer.status(), answer.headers(), now);
                drain(answer).await;
                delivery
            }
            Err(cause) => Delivery::Later { why: explain(cause), retry_after_s: None },
        }
    }
}

/// What an answer means, by its status alone.
fn judge(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Delivery {
    let why = format!("the target answered {}", status.as_u16());
    if status.is_success() {
        return Delivery::Done;
    }
    match status {
        StatusCode::GONE => Delivery::Gone { why },
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Delivery::Later { why, retry_after_s: retry_after(headers, now) },
        _ if status.is_redirection() => Delivery::Later { why: format!("{why}: redirects are not followed"), retry_after_s: None },
        _ => Delivery::Later { why, retry_after_s: None },
    }
}

/// Seconds, or the time until a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<u64> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(text.parse().unwrap_or(u64::MAX));
    }
    let date = chrono::DateTime::parse_from_rfc2822(text).ok()?;
    u64::try_from(date.timestamp().saturating_sub(now.nanos().div_euclid(1_000_000_000))).ok()
}

/// Reads a short answer to its end, so that the connection can be used again; a long one is dropped with its connection.
async fn drain(mut answer: Response) {
    let mut read = 0;
    while let Ok(Some(chunk)) = answer.chunk().await {
        read += chunk.len();
        if read > ANSWER_BYTES_MAX {
            return;
        }
    }
}

/// The causes in a row, without the URL.
fn explain(cause: reqwest::Error) -> String {
    let cause = cause.without_url();
    let mut text = cause.to_string();
    let mut source = std::error::Error::source(&cause);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}
