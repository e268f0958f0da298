//! The requests to a bucket: one page of a listing, one object. Each is tried again where that can help.

use std::sync::Arc;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation};
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::primitives::ByteStream;

use super::{S3Counts, S3Settings};
use crate::source::objects::Object;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Until the first byte of an answer.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Between two attempts.
const BACKOFF_MAX: Duration = Duration::from_secs(10);

/// Why a request came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// No such key, or another version of it by now.
    #[error("it is not there any more: {0}")]
    Gone(String),
    /// The server will not, however often it is asked.
    #[error("refused: {0}")]
    Refused(String),
    /// The next attempt may go well.
    #[error("{0}")]
    Passing(String),
}

impl Failure {
    fn of<E>(error: SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let code = error.code().unwrap_or_default();
        let text = match (error.code(), error.message(), status) {
            (Some(code), Some(message), _) => format!("{code}: {message}"),
            (Some(code), None, _) => code.to_owned(),
            (None, _, Some(status)) if status >= 400 => format!("HTTP status {status}"),
            (None, ..) => DisplayErrorContext(&error).to_string(),
        };
        match (code, status) {
            ("RequestTimeout" | "SlowDown" | "InternalError" | "ServiceUnavailable", _) => Self::Passing(text),
            ("NoSuchBucket", _) => Self::Refused(text),
            (_, Some(404 | 412)) => Self::Gone(text),
            (_, Some(status)) if status >= 500 || matches!(status, 408 | 429) || status < 300 => Self::Passing(text),
            (_, Some(_)) => Self::Refused(text),
            (_, None) if matches!(error, SdkError::ConstructionFailure(_)) => Self::Refused(text),
            (_, None) => Self::Passing(text),
        }
    }
}

/// One page of a listing.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) objects: Vec<Object>,
    /// Where the next page starts, if there is one.
    pub(super) next: Option<String>,
}

/// A bucket.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    client: Client,
    name: String,
    prefix: String,
    attempts_max: u32,
    backoff: Duration,
    counts: Arc<S3Counts>,
}

impl Bucket {
    /// Sets the client up; asks nothing yet.
    pub(super) async fn connect(settings: &S3Settings, counts: Arc<S3Counts>) -> Self {
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(READ_TIMEOUT).build();
        let region = settings.region.clone().or_else(|| settings.endpoint.is_some().then(|| "us-east-1".to_owned()));
        // Attempts are counted here, over the body too, which the client's own retries do not cover.
        let mut shared = aws_config::defaults(BehaviorVersion::latest()).retry_config(RetryConfig::disabled()).timeout_config(timeouts);
        if let Some(region) = region {
            shared = shared.region(Region::new(region));
        }
        if let Some((access_key, secret_key)) = &settings.keys {
            shared = shared.credentials_provider(Credentials::new(access_key, secret_key, None, None, "bartizan"));
        }
        let shared = shared.load().await;
        // Stores that are not AWS refuse checksums that were not asked for, and send none.
        let mut config = aws_sdk_s3::config::Builder::from(&shared)
            .force_path_style(settings.path_style)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        if let Some(endpoint) = &settings.endpoint {
            config = config.endpoint_url(endpoint);
        }
        Self {
            client: Client::from_conf(config.build()),
            name: settings.bucket.clone(),
            prefix: settings.prefix.clone(),
            attempts_max: settings.attempts_max.max(1),
            backoff: settings.backoff,
            counts,
        }
    }

    /// Tries until it goes well, can not, or was tried often enough.
    async fn persist<T, F: Future<Output = Result<T, Failure>>>(&self, attempt: impl Fn() -> F) -> Result<T, Failure> {
        let mut tried = 0;
        loop {
            tried += 1;
            match attempt().await {
                Err(Failure::Passing(_)) if tried < self.attempts_max => {
                    S3Counts::add(&self.counts.retries, 1);
                    let wait = self.backoff.saturating_mul(1_u32.checked_shl(tried - 1).unwrap_or(u32::MAX)).min(BACKOFF_MAX);
                    tokio::time::sleep(wait).await;
                }
                ended => return ended,
            }
        }
    }

    /// The page of the listing that starts at a token; the first without one.
    pub(super) async fn list(&self, token: Option<&str>) -> Result<Listing, Failure> {
        let page = self.persist(|| self.list_once(token)).await?;
        let next = page.next_continuation_token().filter(|_| page.is_truncated() == Some(true)).map(str::to_owned);
        if page.is_truncated() == Some(true) && (next.is_none() || next.as_deref() == token) {
            return Err(Failure::Passing("the listing goes on, but the server does not say where".to_owned()));
        }
        let objects = page.contents.unwrap_or_default().into_iter().filter_map(|object| {
            let bytes = u64::try_from(object.size.unwrap_or_default()).unwrap_or_default();
            // A store without etags: size and time stand in for it.
            let etag = object.e_tag.unwrap_or_else(|| format!("{bytes} {:?}", object.last_modified.map(|time| time.as_nanos())));
            object.key.map(|key| Object { key, etag, bytes })
        });
        Ok(Listing { objects: objects.collect(), next })
    }

    async fn list_once(&self, token: Option<&str>) -> Result<ListObjectsV2Output, Failure> {
        let prefix = Some(self.prefix.clone()).filter(|prefix| !prefix.is_empty());
        let request = self.client.list_objects_v2().bucket(&self.name).set_prefix(prefix).set_continuation_token(token.map(str::to_owned));
        if crate::defect::is("start-after-cursor") {
            let kept = crate::defect::keep(None);
            let page = request.set_start_after(kept.clone().filter(|_| token.is_none())).send().await.map_err(Failure::of)?;
            let last = page.contents().last().and_then(|object| object.key().map(str::to_owned));
            crate::defect::keep(last.or(kept));
            return Ok(page);
        }
        request.send().await.map_err(Failure::of)
    }

    /// The bytes of this version of an object.
    pub(super) async fn get(&self, object: &Object) -> Result<Vec<u8>, Failure> {
        self.persist(|| self.get_once(object)).await
    }

    async fn get_once(&self, object: &Object) -> Result<Vec<u8>, Failure> {
        let etag = Some(object.etag.clone()).filter(|etag| !etag.contains(' '));
        let request = self.client.get_object().bucket(&self.name).key(&object.key).set_if_match(etag);
        let answer = request.send().await.map_err(Failure::of)?;
        read_body(answer.body, object.bytes).await
    }
}

#[cfg(test)]
impl Bucket {
    pub(super) async fn put(&self, key: &str, body: String) {
        self.client.put_object().bucket(&self.name).key(key).body(body.into_bytes().into()).send().await.unwrap();
    }
}

/// All bytes of a body that has to have this many.
async fn read_body(mut body: ByteStream, bytes: u64) -> Result<Vec<u8>, Failure> {
    let mut read = Vec::with_capacity(usize::try_from(bytes).unwrap_or_default().min(1 << 20));
    loop {
        match body.try_next().await {
            Ok(Some(piece)) if (read.len() + piece.len()) as u64 > bytes => {
                return Err(Failure::Passing(format!("the body is longer than the {bytes} bytes that were listed")));
            }
            Ok(Some(piece)) => read.extend_from_slice(&piece),
            Ok(None) if read.len() as u64 == bytes => return Ok(read),
            Ok(None) => return Err(Failure::Passing(format!("the body ended after {} of {bytes} bytes", read.len()))),
            Err(error) => return Err(Failure::Passing(format!("the body broke off after {} of {bytes} bytes: {error}", read.len()))),
        }
    }
}
