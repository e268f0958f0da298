//! Signatures of Standard Webhooks: HMAC-SHA256 over `id.timestamp.body`.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

const PREFIX: &str = "whsec_";
/// Secrets are written with and without padding.
const PADDED_OR_NOT: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A signing key. It is shown nowhere: neither by `Debug` nor by an error.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(Vec<u8>);

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(..)")
    }
}

impl FromStr for SigningSecret {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let key =
            text.trim().strip_prefix(PREFIX).and_then(|encoded| PADDED_OR_NOT.decode(encoded).ok()).filter(|key| KEY_BYTES.contains(&key.len()));
        key.map(Self).ok_or_else(|| "this is no signing secret: `whsec_` and the base64 of 24 to 64 bytes is".to_owned())
    }
}

/// The value of `webhook-signature`: one `v1,` signature a secret, apart by blanks, so that a receiver may know either during a rotation.
pub fn signatures(secrets: &[SigningSecret], id: &str, timestamp_s: i64, body: &str) -> String {
    let sign = |secret: &SigningSecret| {
        let mut mac = Hmac::<Sha256>::new_from_slice(&secret.0).expect("HMAC takes a key of any length");
        mac.update(format!("{id}.{timestamp_s}.").as_bytes());
        mac.update(body.as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    };
    secrets.iter().map(sign).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secret of the test vector that the reference libraries of Standard Webhooks share.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn signs_as_the_specification_does() {
        let secret: SigningSecret = SECRET.parse().unwrap();
        let (id, at, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signatures(std::slice::from_ref(&secret), id, at, body), expected);
        let other: SigningSecret = format!("whsec_{}", STANDARD.encode([1; 32])).parse().unwrap();
        let both = signatures(&[other, secret], id, at, body);
        assert!(both.ends_with(&format!(" {expected}")) && both.matches("v1,").count() == 2);
    }

    #[test]
    fn secrets_are_checked_and_never_shown() {
        let of = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
        for (text, ok) in [(of(23), false), (of(24), true), (of(64), true), (of(65), false), ("whsec_".into(), false), ("whsec_!".into(), false)] {
            assert_eq!(text.parse::<SigningSecret>().is_ok(), ok, "{text}");
        }
        let refused = SECRET.trim_start_matches("whsec_").parse::<SigningSecret>().unwrap_err();
        assert!(!refused.contains("MfKQ"));
        let (padded, bare) = (of(25), of(25).trim_end_matches('=').to_owned());
        assert_eq!(padded.parse::<SigningSecret>(), bare.parse());
        assert_eq!(format!("{:?}", padded.parse::<SigningSecret>()), "Ok(SigningSecret(..))");
    }
}
