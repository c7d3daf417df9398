//! Forward authentication: tells a proxy in front of another API who calls, and with what rights.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use url::form_urlencoded;
use utoipa::openapi::path::ParameterIn;

use super::openapi::{OperationInput, OperationSpec, parameter, schemas};
use crate::error::AppError;
use crate::model::fields::FieldErrors;
use crate::model::keys::{Access, Scope};
use crate::server::auth::origin::is_cross_origin;
use crate::server::auth::{Caller, authenticate};
use crate::server::state::AppState;
use crate::server::teams;

/// Path of the endpoint. It ignores `Accept`, which the client meant for another server.
pub const PATH: &str = "/api/v1/verify";

/// Caller of a request that a proxy is about to forward, and the team that the request is for.
pub struct VerifiedCaller {
    caller: Caller,
    /// Slug that `?team=` requires; empty for none.
    team: String,
}

impl FromRequestParts<AppState> for VerifiedCaller {
    type Rejection = AppError;

    /// Authenticates the caller. A key that is limited to a team needs `?team=`. A session is rejected on every cross-origin
    /// request, because the method of a subrequest says nothing about the original one.
    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, AppError> {
        let team = required_team(parts.uri.query().unwrap_or_default())?;
        let check = async |caller: Caller, parts: &mut Parts| {
            if caller.key().is_none() && is_cross_origin(&parts.headers, &state.config.origin()) {
                return Err(AppError::CrossOrigin);
            }
            check_team(&caller, &team, state).await
        };
        let (caller, ()) = authenticate(parts, state, check).await?;
        Ok(Self { caller, team })
    }
}

/// Returns the slug that the query requires; empty for none.
fn required_team(query: &str) -> Result<String, AppError> {
    let mut teams = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "team");
    let team = teams.next().map(|(_, slug)| slug.into_owned()).unwrap_or_default();
    if teams.next().is_some() {
        return Err(FieldErrors::one("team", "Name one team.").into());
    }
    Ok(team)
}

/// Rejects a caller outside the required team, and a key that is limited to another team.
async fn check_team(caller: &Caller, slug: &str, state: &AppState) -> Result<(), AppError> {
    let limit = caller.key().and_then(|key| key.team_id.as_ref());
    if slug.is_empty() {
        return if limit.is_some() { Err(AppError::TeamMismatch) } else { Ok(()) };
    }
    match teams::find(&state.db, &caller.user().id, slug).await {
        Ok(found) if limit.is_none_or(|limit| *limit == found.team.id) => Ok(()),
        Ok(_) | Err(AppError::NotFound) => Err(AppError::TeamMismatch),
        Err(error) => Err(error),
    }
}

impl OperationInput for VerifiedCaller {
    fn describe(operation: &mut OperationSpec) {
        operation.caller();
        operation.any_accept();
        operation.error(AppError::CrossOrigin);
        operation.error(FieldErrors::one("team", "Name one team.").into());
        let about = "The slug of the team that the request is for. A key that is limited to a team needs it.";
        operation.parameter(parameter(ParameterIn::Query, "team", about, schemas::any_text()));
    }
}

/// Check a key
///
/// For a proxy in front of an API in any language: 200 with the caller in headers, or the error. Accepts any method and any
/// `Accept`. Every header is always present, and empty where there is no value, so that a copy that the client sent never
/// reaches the API. `X-Auth-Scopes` lists what the caller may do.
#[utoipa::path(
    get,
    path = "/api/v1/verify",
    operation_id = "verify",
    tag = "key",
    responses((status = 200, description = "The caller.", headers(
        ("X-Auth-User" = String, description = "Id of the user."),
        ("X-Auth-Email" = String, description = "Email address of the user, in UTF-8."),
        ("X-Auth-Key" = String, description = "Id of the key; empty for a session."),
        ("X-Auth-Scopes" = String, description = "Scopes of the caller, separated by spaces."),
        ("X-Auth-Team" = String, description = "Team that `?team=` requires; empty without it."),
    )))
)]
pub async fn verify(VerifiedCaller { caller, team }: VerifiedCaller) -> HeaderMap {
    let access = caller.key().map_or(Access::Full, |key| key.access);
    let scopes: Vec<_> = access.scopes().map(Scope::as_str).collect();
    let headers = [
        ("x-auth-user", caller.user().id.to_string()),
        ("x-auth-email", caller.user().email.clone()),
        ("x-auth-key", caller.key().map(|key| key.id.to_string()).unwrap_or_default()),
        ("x-auth-scopes", scopes.join(" ")),
        ("x-auth-team", team),
    ];
    let header = |(name, value): (&'static str, String)| {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap_or(HeaderValue::from_static(""));
        (HeaderName::from_static(name), value)
    };
    headers.into_iter().map(header).collect()
}
