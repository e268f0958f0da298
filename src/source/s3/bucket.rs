//! The requests to a bucket: one page of a listing, a range of an object. Only ever GET. Each is made again where that can help.

use std::sync::Arc;
use std::time::Duration;

use aws_config::meta::region::RegionProviderChain;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::EncodingType;

use super::failure::{Failure, Pace};
use super::{S3Counts, S3Settings};
use crate::source::objects::Object;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Where nobody says which.
const REGION: &str = "us-east-1";
/// Bytes of a body that are progress: a body that breaks off again and again is read on for as long as so many come each time.
const PROGRESS_BYTES: usize = 64 << 10;

/// Where a listing begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct From {
    /// Only keys that start so; within the source's own prefix.
    pub(super) prefix: String,
    /// Only keys after this one, in the server's order.
    pub(super) after: Option<String>,
    /// Keys of one page; `None`: as many as the server gives.
    pub(super) page: Option<i32>,
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
    timeout: Duration,
    pace: Arc<Pace>,
    counts: Arc<S3Counts>,
}

/// What all clients of a source share: credentials, region, timeouts.
pub(super) async fn shared(settings: &S3Settings) -> SdkConfig {
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(settings.timeout).build();
    // Attempts are counted here, over the body too, which the client's own retries do not cover.
    let mut shared = aws_config::defaults(BehaviorVersion::latest()).retry_config(RetryConfig::disabled()).timeout_config(timeouts);
    if let Some(profile) = &settings.profile {
        shared = shared.profile_name(profile);
    }
    // Stores that are not AWS take any region, and have none to be asked for.
    let region = settings.region.clone().or_else(|| settings.endpoint.is_some().then(|| REGION.to_owned())).map(Region::new);
    shared = match region {
        Some(region) => shared.region(region),
        None => shared.region(RegionProviderChain::default_provider().or_else(REGION)),
    };
    if let Some((access_key, secret_key)) = &settings.keys {
        shared = shared.credentials_provider(Credentials::new(access_key, secret_key, None, None, "bartizan"));
    }
    shared.load().await
}

impl Bucket {
    /// Sets the client up; asks nothing yet.
    pub(super) fn connect(settings: &S3Settings, shared: &SdkConfig, counts: Arc<S3Counts>) -> Self {
        // Stores that are not AWS refuse checksums that were not asked for, and send none.
        let mut config = aws_sdk_s3::config::Builder::from(shared)
            .force_path_style(settings.path_style)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        if let Some(endpoint) = &settings.endpoint {
            config = config.endpoint_url(endpoint);
        }
        let pace = Arc::new(Pace::new(settings.attempts_max, settings.backoff));
        Self { client: Client::from_conf(config.build()), name: settings.bucket.clone(), timeout: settings.timeout, pace, counts }
    }

    /// A page of the listing: the one at a token, or the first without one.
    pub(super) async fn list(&self, from: &From, token: Option<&str>) -> Result<Listing, Failure> {
        self.pace.persist(&self.counts, || self.list_once(from, token)).await
    }

    async fn list_once(&self, from: &From, token: Option<&str>) -> Result<Listing, Failure> {
        let prefix = Some(from.prefix.clone()).filter(|prefix| !prefix.is_empty());
        // Keys may have bytes that no XML can hold.
        let request = self.client.list_objects_v2().bucket(&self.name).set_prefix(prefix).encoding_type(EncodingType::Url);
        let request = request.set_start_after(from.after.clone()).set_max_keys(from.page).set_continuation_token(token.map(str::to_owned));
        let page = request.send().await.map_err(Failure::of)?;
        let next = page.next_continuation_token().filter(|_| page.is_truncated() == Some(true)).map(str::to_owned);
        if page.is_truncated() == Some(true) && (next.is_none() || next.as_deref() == token) {
            return Err(Failure::Passing("the listing goes on, but the server does not say where".to_owned()));
        }
        let is_encoded = page.encoding_type() == Some(&EncodingType::Url);
        let mut objects = Vec::new();
        for object in page.contents.unwrap_or_default() {
            let bytes = u64::try_from(object.size.unwrap_or_default()).unwrap_or_default();
            // A store without etags: size and time stand in for it.
            let etag = object.e_tag.unwrap_or_else(|| format!("{bytes} {:?}", object.last_modified.map(|time| time.as_nanos())));
            let modified_s = object.last_modified.map_or(0, |time| time.secs());
            let key = object.key.and_then(|key| if is_encoded { decoded(&key) } else { Some(key) });
            match key {
                Some(key) => objects.push(Object { key, etag, bytes, modified_s }),
                None => S3Counts::add(&self.counts.unnamable, 1),
            }
        }
        Ok(Listing { objects, next })
    }

    /// The bytes of this version of an object from `at` on, `len` of them. What came before a body broke off is not asked for again.
    pub(super) async fn get(&self, object: &Object, at: u64, len: u64) -> Result<Vec<u8>, Failure> {
        let mut read = Vec::with_capacity(usize::try_from(len).unwrap_or_default());
        let mut attempts = self.pace.attempts(&self.counts);
        loop {
            attempts.ready().await;
            let before = read.len();
            match self.get_once(object, at, len, &mut read).await {
                Ok(()) => return Ok(attempts.went_well(read)),
                Err(failure) => {
                    if read.len().saturating_sub(before) >= PROGRESS_BYTES {
                        attempts.renew();
                    }
                    attempts.failed(failure).await?;
                }
            }
        }
    }

    async fn get_once(&self, object: &Object, at: u64, len: u64, read: &mut Vec<u8>) -> Result<(), Failure> {
        let from = at + read.len() as u64;
        let end = at + len;
        let etag = Some(object.etag.clone()).filter(|etag| !etag.contains(' '));
        let is_whole = from == 0 && end == object.bytes;
        let range = (!is_whole).then(|| format!("bytes={from}-{}", end - 1));
        let request = self.client.get_object().bucket(&self.name).key(&object.key).set_if_match(etag.clone()).set_range(range);
        let answer = request.send().await.map_err(Failure::of)?;
        // A server may not know conditions.
        if let (Some(wanted), Some(got)) = (&etag, answer.e_tag())
            && wanted.trim_matches('"') != got.trim_matches('"')
        {
            return Err(Failure::Replaced(format!("another version of it, {got}")));
        }
        let start = if is_whole { 0 } else { start_of(&answer, object)? };
        let skip = from.checked_sub(start).ok_or_else(|| Failure::Passing("the server gives another range than it was asked for".to_owned()))?;
        // A server that knows no ranges gives all of it.
        let is_exact = is_whole || answer.content_range.is_some();
        self.read_body(answer.body, skip, end - from, is_exact, read).await
    }

    /// Adds so many bytes of a body to `read`, after those that were not asked for.
    async fn read_body(&self, mut body: ByteStream, mut skip: u64, len: u64, is_exact: bool, read: &mut Vec<u8>) -> Result<(), Failure> {
        let before = read.len();
        loop {
            let got = (read.len() - before) as u64;
            if got == len && !is_exact {
                return Ok(());
            }
            match tokio::time::timeout(self.timeout, body.try_next()).await {
                Ok(Ok(Some(piece))) => {
                    S3Counts::add(&self.counts.bytes, piece.len() as u64);
                    let unasked = usize::try_from(skip).unwrap_or(usize::MAX).min(piece.len());
                    S3Counts::add(&self.counts.reread, unasked as u64);
                    skip -= unasked as u64;
                    let piece = piece.get(unasked..).unwrap_or_default();
                    let room = usize::try_from(len - got).unwrap_or(usize::MAX);
                    if piece.len() > room && is_exact {
                        read.truncate(before);
                        return Err(Failure::Passing(format!("the body is longer than the {len} bytes that were listed")));
                    }
                    read.extend_from_slice(piece.get(..room).unwrap_or(piece));
                }
                Ok(Ok(None)) if got == len => return Ok(()),
                Ok(Ok(None)) => return Err(Failure::Passing(format!("the body ended after {got} of {len} bytes"))),
                // All of it came before that.
                Ok(Err(_)) | Err(_) if got == len => return Ok(()),
                Ok(Err(error)) => return Err(Failure::Passing(format!("the body broke off after {got} of {len} bytes: {error}"))),
                Err(_) => return Err(Failure::Passing(format!("the body stood still after {got} of {len} bytes"))),
            }
        }
    }
}

/// The offset at which a body begins: of a range, or 0 where the server gives all of it.
fn start_of(answer: &GetObjectOutput, object: &Object) -> Result<u64, Failure> {
    let Some(range) = answer.content_range() else { return Ok(0) };
    let text = range.strip_prefix("bytes ").and_then(|range| range.split_once('/'));
    let start = text.and_then(|(range, total)| Some((range.split_once('-')?.0.parse::<u64>().ok()?, total)));
    match start {
        Some((_, total)) if total.parse::<u64>().is_ok_and(|total| total != object.bytes) => {
            Err(Failure::Replaced(format!("another version of it, of {total} bytes and not {}", object.bytes)))
        }
        Some((start, _)) => Ok(start),
        None => Err(Failure::Passing(format!("the server gives a range that can not be read: {range}"))),
    }
}

/// A key as it was before it was written for a listing: `%41` is `A`, and a plus a blank. `None` if that is no text.
pub(super) fn decoded(key: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(key.len());
    let mut rest = key.as_bytes();
    loop {
        rest = match rest {
            [] => return String::from_utf8(bytes).ok(),
            [b'%', high, low, rest @ ..] => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                bytes.push(u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?);
                rest
            }
            [b'+', rest @ ..] => {
                bytes.push(b' ');
                rest
            }
            [byte, rest @ ..] => {
                bytes.push(*byte);
                rest
            }
        };
    }
}

#[cfg(test)]
impl Bucket {
    pub(super) async fn put(&self, key: &str, body: String) {
        self.client.put_object().bucket(&self.name).key(key).body(body.into_bytes().into()).send().await.unwrap();
    }
}
