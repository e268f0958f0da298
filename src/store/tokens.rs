//! API tokens: made once, shown once, kept as a hash. They are checked in memory, so a flood of bad tokens costs no disk.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use sqlx::SqlitePool;
use subtle::ConstantTimeEq;

use crate::clock::Clock;
use crate::model::{ClusterId, Kind, Kinds, SourceId, Timestamp};
use crate::ports::StoreError;

use super::catalog::engine;

/// Tokens that can exist, revoked ones included.
pub const TOKENS_MAX: usize = 10_000;
const PREFIX: &str = "brt_";
const ID_BYTES: usize = 6;
const SECRET_BYTES: usize = 32;
const SECRET_CHARS: usize = 43;
const NAME_BYTES_MAX: usize = 200;

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Push events in, and nothing else.
    Ingest,
    /// Everything.
    Admin,
}

impl Scope {
    /// As it is stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Scope {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = [Self::Ingest, Self::Admin].into_iter().find(|scope| scope.name() == text);
        known.ok_or_else(|| format!("`{}` is no scope: ingest and admin are", text.escape_debug()))
    }
}

/// What a new token is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    pub name: String,
    pub scope: Scope,
    /// The cluster and the source that everything pushed with it belongs to; a payload cannot say otherwise.
    pub cluster: Option<ClusterId>,
    pub source: Option<SourceId>,
    /// The kinds that may be pushed with it, by their names; what else comes is kept as `other`. Empty: any.
    pub kinds: Vec<String>,
    pub expires: Option<Timestamp>,
}

/// A token without its secret.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Token {
    pub id: String,
    pub name: String,
    pub scope: Scope,
    pub cluster: Option<ClusterId>,
    pub source: Option<SourceId>,
    pub kinds: Vec<String>,
    pub created: Timestamp,
    pub expires: Option<Timestamp>,
    pub revoked: Option<Timestamp>,
}

/// A token's plaintext, which exists only while it is shown.
#[derive(Clone)]
pub struct Plaintext(String);

impl Plaintext {
    /// The text to show, once.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Plaintext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plaintext(..)")
    }
}

/// Who a valid token stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    pub token_id: String,
    pub name: String,
    pub scope: Scope,
    pub cluster: Option<ClusterId>,
    pub source: Option<SourceId>,
    /// What it may push.
    pub kinds: Kinds,
}

/// Why no token was made.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("a token's name has 1 to {NAME_BYTES_MAX} bytes without control characters")]
    Name,
    #[error("`{}` is no kind of event: {}", .0.escape_debug(), Kind::ALL.map(Kind::name).join(", "))]
    Kind(String),
    #[error("there are {TOKENS_MAX} tokens, and no more fit")]
    Full,
    #[error("cannot draw random bytes: {0}")]
    Random(getrandom::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

type Hash = [u8; 32];

/// All tokens, in memory and in the database.
#[derive(Debug)]
pub struct Tokens {
    pool: SqlitePool,
    clock: Clock,
    known: RwLock<BTreeMap<String, (Token, Hash)>>,
}

impl Tokens {
    pub(super) async fn load(pool: SqlitePool, clock: Clock) -> Result<Self, StoreError> {
        type Row = (String, String, String, Option<String>, Option<String>, String, i64, Option<i64>, Option<i64>, String);
        let sql = "SELECT id, name, scope, cluster, source, hash, created_at, expires_at, revoked_at, kinds FROM tokens";
        let rows: Vec<Row> = sqlx::query_as(sql).fetch_all(&pool).await.map_err(|cause| engine("read tokens", cause))?;
        let mut known = BTreeMap::new();
        for (id, name, scope, cluster, source, hash, created, expires, revoked, kinds) in rows {
            let damaged = |why: String| StoreError::Damaged { what: format!("token `{id}`"), why };
            let time = Timestamp::from_nanos;
            let token = Token {
                id: id.clone(),
                name,
                scope: scope.parse().map_err(damaged)?,
                cluster: cluster.map(|text| text.parse()).transpose().map_err(damaged)?,
                source: source.as_deref().map(SourceId::from),
                kinds: kinds.split(' ').filter(|kind| !kind.is_empty()).map(str::to_owned).collect(),
                created: time(created),
                expires: expires.map(time),
                revoked: revoked.map(time),
            };
            let hash = from_hex(&hash).ok_or_else(|| damaged("its hash is not 64 hex digits".into()))?;
            known.insert(id.clone(), (token, hash));
        }
        Ok(Self { pool, clock, known: RwLock::new(known) })
    }

    /// Reads all tokens again: another process may have made or revoked some.
    pub async fn reload(&self) -> Result<(), StoreError> {
        let fresh = Self::load(self.pool.clone(), self.clock.clone()).await?;
        *self.write() = fresh.known.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(())
    }

    /// Makes a token: `brt_<id>_<43 characters>`. The plaintext is kept nowhere.
    pub async fn create(&self, new: NewToken) -> Result<(Token, Plaintext), TokenError> {
        if new.name.is_empty() || new.name.len() > NAME_BYTES_MAX || new.name.chars().any(char::is_control) {
            return Err(TokenError::Name);
        }
        if let Some(unknown) = new.kinds.iter().find(|kind| Kind::by_name(kind).is_none()) {
            return Err(TokenError::Kind(unknown.clone()));
        }
        if self.read().len() >= TOKENS_MAX {
            return Err(TokenError::Full);
        }
        let (mut id, mut secret) = ([0; ID_BYTES], [0; SECRET_BYTES]);
        getrandom::fill(&mut id).map_err(TokenError::Random)?;
        getrandom::fill(&mut secret).map_err(TokenError::Random)?;
        let (id, secret) = (to_hex(&id), URL_SAFE_NO_PAD.encode(secret));
        let NewToken { name, scope, cluster, source, kinds, expires } = new;
        let token = Token { id: id.clone(), name, scope, cluster, source, kinds, created: self.clock.now(), expires, revoked: None };
        let hash: Hash = Sha256::digest(secret.as_bytes()).into();
        let sql =
            "INSERT INTO tokens (id, name, scope, cluster, source, hash, created_at, expires_at, kinds) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        sqlx::query(sql)
            .bind(id.clone())
            .bind(token.name.clone())
            .bind(scope.name())
            .bind(token.cluster.as_ref().map(|cluster| cluster.as_str().to_owned()))
            .bind(token.source.as_ref().map(|source| source.0.to_string()))
            .bind(to_hex(&hash))
            .bind(token.created.nanos())
            .bind(expires.map(Timestamp::nanos))
            .bind(token.kinds.join(" "))
            .execute(&self.pool)
            .await
            .map_err(|cause| engine("write a token", cause))?;
        let plaintext = Plaintext(format!("{PREFIX}{id}_{secret}"));
        self.write().insert(id, (token.clone(), hash));
        Ok((token, plaintext))
    }

    /// Revokes a token, at once. Says whether there was one to revoke.
    pub async fn revoke(&self, id: &str) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let revoked = sqlx::query("UPDATE tokens SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL")
            .bind(now.nanos())
            .bind(id.to_owned())
            .execute(&self.pool)
            .await
            .map_err(|cause| engine(format!("revoke token `{}`", id.escape_debug()), cause))?;
        if let Some((token, _)) = self.write().get_mut(id) {
            token.revoked = token.revoked.or(Some(now));
        }
        Ok(revoked.rows_affected() == 1)
    }

    /// Every token ever made, by id.
    pub fn list(&self) -> Vec<Token> {
        self.read().values().map(|(token, _)| token.clone()).collect()
    }

    /// Whether any token was ever made: from then on callers must show one. Revoking the last does not open the door again.
    pub fn any(&self) -> bool {
        !self.read().is_empty()
    }

    /// Who this token stands for; `None` for anything that is not a token, is revoked, or has expired. Takes as long for a wrong secret as for a right one.
    pub fn verify(&self, token: &str) -> Option<Principal> {
        let (id, secret) = token.strip_prefix(PREFIX)?.split_once('_')?;
        if id.len() != ID_BYTES * 2 || secret.len() != SECRET_CHARS {
            return None;
        }
        let shown: Hash = Sha256::digest(secret.as_bytes()).into();
        let known = self.read();
        let entry = known.get(id);
        let equal = shown.ct_eq(entry.map_or(&[0; 32], |(_, hash)| hash));
        let (token, _) = entry.filter(|_| bool::from(equal))?;
        let now = self.clock.now();
        if token.revoked.is_some() || token.expires.is_some_and(|expires| expires <= now) {
            return None;
        }
        let Token { id, name, scope, cluster, source, .. } = token.clone();
        let kinds = kinds_of(&token.kinds);
        Some(Principal { token_id: id, name, scope, cluster, source, kinds })
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<String, (Token, Hash)>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<String, (Token, Hash)>> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The kinds of these names; all of them, if there are none.
pub fn kinds_of(names: &[String]) -> Kinds {
    if names.is_empty() { Kinds::ALL } else { names.iter().filter_map(|name| Kind::by_name(name)).collect() }
}

fn to_hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn from_hex(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != hash.len() || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in hash.iter_mut().zip(pairs) {
        let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(hash)
}
