//! Identities: 128-bit hashes written as 32 hex digits, and the short names of tenants and clusters.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadId(pub String);

impl fmt::Display for BadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not an id: 32 hex digits are", self.0)
    }
}

impl std::error::Error for BadId {}

macro_rules! hash_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// The first 16 bytes of what a BLAKE3 hasher has taken in.
            pub fn of(hasher: &blake3::Hasher) -> Self {
                let mut bytes = [0; 16];
                hasher.finalize_xof().fill(&mut bytes);
                Self(bytes)
            }

            /// The first 16 bytes of the BLAKE3 hash of these.
            pub fn of_bytes(bytes: &[u8]) -> Self {
                let (first, _) = blake3::hash(bytes).as_bytes().split_first_chunk().map(|(first, rest)| (*first, rest)).unwrap_or_default();
                Self(first)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut digits = [0; 32];
                for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
                    pair.copy_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
                }
                f.write_str(std::str::from_utf8(&digits).unwrap_or_default())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                let bad = || BadId(text.chars().take(64).collect());
                let digits = text.as_bytes();
                if digits.len() != 32 {
                    return Err(bad());
                }
                let mut bytes = [0; 16];
                for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
                    let nibble = |at: usize| char::from(pair[at]).to_digit(16);
                    let (Some(high), Some(low)) = (nibble(0), nibble(1)) else { return Err(bad()) };
                    *byte = u8::try_from(high * 16 + low).map_err(|_| bad())?;
                }
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

hash_id!(
    /// One event, however often and by whatever way it comes.
    EventId
);
hash_id!(
    /// One act: what a caller did once, told by one or more events (the stages of an audit record).
    ActId
);
hash_id!(
    /// One alert: tenant, cluster, rule, group and bucket.
    AlertId
);

macro_rules! name_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// As text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;
            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }

        impl FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                let ok = !text.is_empty() && text.len() <= 253 && !text.chars().any(char::is_control);
                if ok { Ok(Self(Arc::from(text))) } else { Err(format!("`{}` is no name: 1 to 253 bytes without control characters are", text.escape_debug())) }
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.as_ref().to_owned()
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self(Arc::from("default"))
            }
        }
    };
}

name_id!(
    /// Whose data it is.
    TenantId
);
name_id!(
    /// Which cluster an event speaks of; `default` when nobody names one.
    ClusterId
);
