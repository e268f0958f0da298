//! Rules, sources, the ledger and tokens.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::ask::Id;
use super::{Api, BacktestRequest, Problem, RulesError};
use crate::model::{ClusterId, SourceId};
use crate::store::tokens::{NewToken, Scope, TokenError};

/// After so long another run over the past has most likely ended.
const BACKTEST_RETRY_S: u64 = 5;

/// The rules in force.
pub(super) async fn rules(State(api): State<Api>) -> Json<Value> {
    Json(json!({"rules": api.service.rules().as_ref(), "next_cursor": null}))
}

/// One rule by its id, whether it can fire on what was seen, and for how many events it could not be decided.
pub(super) async fn rule(State(api): State<Api>, Id(id): Id) -> Result<Json<Value>, Problem> {
    let rules = api.service.rules();
    let found = rules.iter().find(|rule| rule.get("id").and_then(Value::as_str) == Some(id.as_str()));
    let mut found = found.cloned().ok_or_else(|| Problem::not_found("there is no rule of this id"))?;
    found["blind"] = api.service.blind(&id);
    found["unknown"] = api.service.unknown(&id).into();
    Ok(Json(found))
}

/// Reads the rules anew.
pub(super) async fn reload(State(api): State<Api>) -> Result<Json<Value>, Problem> {
    api.service.reload().await.map(Json).map_err(Problem::from)
}

/// Runs rules over the stored past.
pub(super) async fn backtest(State(api): State<Api>, asked: Result<Json<BacktestRequest>, JsonRejection>) -> Result<Json<Value>, Problem> {
    api.service.backtest(asked?.0).await.map(Json).map_err(Problem::from)
}

impl From<RulesError> for Problem {
    fn from(error: RulesError) -> Self {
        match error {
            RulesError::Refused(why) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_rules", why),
            RulesError::Busy => Self::busy(BACKTEST_RETRY_S),
            RulesError::Unavailable(why) => Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", why),
        }
    }
}

/// Sources, with what they have brought.
pub(super) async fn sources(State(api): State<Api>) -> Json<Value> {
    Json(api.service.sources())
}

/// What is kept, and for how long.
pub(super) async fn store(State(api): State<Api>) -> Result<Json<Value>, Problem> {
    Ok(Json(api.service.kept().await?))
}

/// Tokens, without their secrets.
pub(super) async fn tokens(State(api): State<Api>) -> Json<Value> {
    Json(json!({"tokens": api.catalog.tokens().list(), "next_cursor": null}))
}

/// What a token is to be.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    name: String,
    scope: Scope,
    cluster: Option<ClusterId>,
    source: Option<SourceId>,
    /// Kinds that may be pushed with it; empty: any.
    #[serde(default)]
    kinds: Vec<String>,
}

/// Makes a token.
pub(super) async fn create_token(State(api): State<Api>, asked: Result<Json<Asked>, JsonRejection>) -> Result<(StatusCode, Json<Value>), Problem> {
    let Asked { name, scope, cluster, source, kinds } = asked?.0;
    let made = api.catalog.tokens().create(NewToken { name, scope, cluster, source, kinds, expires: None }).await;
    let (token, plaintext) = made.map_err(|error| match error {
        TokenError::Store(error) => Problem::internal(&error),
        other => Problem::bad_request("bad_token", other.to_string()),
    })?;
    Ok((StatusCode::CREATED, Json(json!({"token": token, "secret": plaintext.reveal()}))))
}

/// Revokes a token.
pub(super) async fn revoke_token(State(api): State<Api>, Id(id): Id) -> Result<Json<Value>, Problem> {
    if api.catalog.tokens().revoke(&id).await? { Ok(Json(json!({"revoked": id}))) } else { Err(Problem::not_found("there is no token of this id")) }
}
