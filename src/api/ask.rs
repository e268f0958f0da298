//! What handlers read of a request besides its body, with a problem for what can not be read.

use std::ops::RangeInclusive;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use super::Problem;

/// The id in the path, as text.
#[derive(Debug)]
pub(super) struct Id(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, state).await;
        path.map(|Path(id)| Self(id)).map_err(|error| Problem::new(error.status(), "bad_id", error.body_text()))
    }
}

/// A number of entries that was asked for, or the usual one. What is out of range is refused, never bent.
pub(super) fn limit(name: &'static str, asked: Option<i64>, usual: usize, range: &RangeInclusive<usize>) -> Result<usize, Problem> {
    let Some(asked) = asked else { return Ok(usual) };
    usize::try_from(asked).ok().filter(|asked| range.contains(asked)).ok_or_else(|| {
        let detail = format!("`{name}` is from {} to {}, not {asked}", range.start(), range.end());
        Problem::bad_request("bad_limit", detail)
    })
}
