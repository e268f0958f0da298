//! Who may call what. Decided before the body is read, without touching the disk.

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::clients::Certified;
use super::receivers::Dialect;
use super::routes::{Access, ROUTES, Route};
use super::{Api, Problem, body};
use crate::store::tokens::{Principal, Scope};

/// Who called, for handlers.
#[derive(Debug, Clone)]
pub(super) struct Caller(pub(super) Option<Principal>);

impl Caller {
    /// As comments and logs name him.
    pub(super) fn name(&self) -> String {
        self.0.as_ref().map_or_else(|| "local".to_owned(), |principal| principal.name.clone())
    }

    /// By what limits on one caller count: his token, or loopback as a whole.
    pub(super) fn key(&self) -> &str {
        self.0.as_ref().map_or("loopback", |principal| principal.token_id.as_str())
    }
}

/// Lets a request through to its route, or answers in its place.
pub(super) async fn guard(State(api): State<Api>, path: MatchedPath, mut request: Request, next: Next) -> Response {
    let route = route(request.method(), path.as_str());
    let admitted = admit(&api, route, &request).inspect_err(|_| turned_away(&api, route));
    let admitted = admitted.and_then(|caller| match too_large(&api, route, &request) {
        Some(problem) => {
            refused(&api, route, &caller);
            Err(problem)
        }
        None => Ok(caller),
    });
    match admitted {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => route.map_or(Dialect::Own, |route| route.dialect).refused(problem, request.headers(), api.now_ms()),
    }
}

/// A push of nobody known is lost unless its sender is set up anew: it is counted, and told of.
fn turned_away(api: &Api, route: Option<&Route>) {
    if route.is_some_and(|route| route.kinds.is_some()) {
        api.ingest.turn_away();
    }
}

/// A push that is refused before any of it is read.
fn refused(api: &Api, route: Option<&Route>, caller: &Caller) {
    if route.is_some_and(|route| route.kinds.is_some()) {
        api.ingest.refuse(caller.0.as_ref().and_then(|principal| principal.source.clone()));
    }
}

/// The request says itself that its body is past the limit: nothing of it is read then.
fn too_large(api: &Api, route: Option<&Route>, request: &Request) -> Option<Problem> {
    let is_push = route.is_some_and(|route| route.kinds.is_some());
    let bytes_max = if is_push { api.limits.body_bytes_max } else { api.limits.request_bytes_max };
    let said = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    said.filter(|bytes| *bytes > bytes_max as u64).map(|_| body::too_large(bytes_max))
}

/// A route that is not in the table is nobody's.
fn route(method: &Method, path: &str) -> Option<&'static Route> {
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    ROUTES.iter().find(|route| route.method == method && route.path == path)
}

fn admit(api: &Api, route: Option<&Route>, request: &Request) -> Result<Caller, Problem> {
    let Some(Route { access, dialect, .. }) = route else {
        return Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this route has no such method"));
    };
    if *access == Access::Open {
        return Ok(Caller(None));
    }
    let tokens = api.catalog.tokens();
    if api.is_loopback && !tokens.any() {
        return local(api, request);
    }
    // A token that is shown counts, and it alone.
    let certified = request.extensions().get::<Certified>();
    let principal = match dialect.token(request.headers(), request.uri()) {
        Some(token) => tokens.verify(token),
        None => certified.and_then(|certified| certified.principal.as_deref().cloned()),
    };
    match (principal, access) {
        (None, _) if certified.is_some_and(|certified| certified.is_shown && certified.principal.is_none()) => {
            let detail = "no `[[server.tls.client]]` names this certificate, and no valid token came with it";
            Err(Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail))
        }
        (None, _) => Err(Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "a valid token is needed: `Authorization: Bearer …`")),
        (Some(principal), Access::Ingest) => Ok(Caller(Some(principal))),
        (Some(principal), _) if principal.scope == Scope::Admin => Ok(Caller(Some(principal))),
        (Some(_), _) => Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", "who shows this token or certificate may only push events")),
    }
}

/// On loopback without tokens everybody on the machine is admin, but no page in his browser. Such a request carries the `Origin` of
/// another place, or addresses us by a name that only DNS made ours: in `Host`, in HTTP/2's `:authority`, or in an absolute URI. Every
/// one that is there must be ours, and one must be there.
fn local(api: &Api, request: &Request) -> Result<Caller, Problem> {
    let foreign = || {
        Problem::new(
            StatusCode::FORBIDDEN,
            "foreign_origin",
            "without a token, only callers of this machine are served: `bartizan token create` makes one",
        )
    };
    let headers = request.headers();
    let host = headers.get(header::HOST).map(|host| host.to_str().unwrap_or_default());
    let authority = request.uri().authority().map(axum::http::uri::Authority::as_str);
    let addressed: Vec<&str> = host.into_iter().chain(authority).collect();
    if addressed.is_empty() || !addressed.iter().all(|name| is_ours(api, name)) {
        return Err(foreign());
    }
    if let Some(origin) = headers.get(header::ORIGIN) {
        // Another port is another place: some other program of this machine serves pages there.
        let place = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, place)| place);
        if !place.is_some_and(|place| addressed.iter().all(|name| name.eq_ignore_ascii_case(place))) {
            return Err(foreign());
        }
    }
    if headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site" || site == "same-site") {
        return Err(foreign());
    }
    Ok(Caller(None))
}

fn is_ours(api: &Api, host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    ["localhost", "127.0.0.1", "::1"].contains(&name) || api.hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
}
