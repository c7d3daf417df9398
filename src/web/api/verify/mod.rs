//! Forward authentication: tells a proxy in front of another API who calls, and with what rights.

mod original_request;
mod rejection;
mod requirements;

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use utoipa::openapi::Schema;
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::schema::ArrayBuilder;

use self::original_request::OriginalRequest;
use self::rejection::VerifyRejection;
use self::requirements::{Requirements, is_for_nginx};
use super::openapi::{OperationInput, OperationSpec, parameter, schemas};
use crate::error::AppError;
use crate::model::apis::Api;
use crate::model::fields::FieldErrors;
use crate::model::keys::Access;
use crate::server::apis;
use crate::server::apis::requirement::{ApiRequirement, MAX_REQUIRED_SCOPES};
use crate::server::auth::origin::is_cross_origin;
use crate::server::auth::{Caller, api_key_header, authenticate};
use crate::server::state::AppState;
use crate::server::teams;

/// Path of the endpoint. It ignores `Accept`, which the client meant for another server.
pub const PATH: &str = "/api/v1/verify";

/// Caller of a request that a proxy is about to forward, and the team that the request is for.
pub struct VerifiedCaller {
    caller: Caller,
    /// Slug that `?team=` requires; empty for none.
    team: String,
    /// Scopes of the caller, separated by spaces.
    scopes: String,
}

impl FromRequestParts<AppState> for VerifiedCaller {
    type Rejection = VerifyRejection;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, VerifyRejection> {
        let uri = parts.uri.clone();
        let query = uri.query().unwrap_or_default();
        let requirements = Requirements::parse(query)
            .map_err(|errors| VerifyRejection { error: errors.into(), is_for_nginx: is_for_nginx(query) })?;
        let verified = verify_caller(parts, &requirements, state).await;
        verified.map_err(|error| VerifyRejection { error, is_for_nginx: requirements.is_for_nginx })
    }
}

/// Authenticates the caller of the original request, checks what the query requires, and counts the request for its API.
async fn verify_caller(
    parts: &mut Parts,
    requirements: &Requirements<'_>,
    state: &AppState,
) -> Result<VerifiedCaller, AppError> {
    let original = OriginalRequest::parse(parts, &state.config.trusted_proxies)
        .map_err(|error| FieldErrors::one(error.field, error.message))?;
    let apis = if requirements.apis.is_empty() { Arc::default() } else { apis::current(state).await? };
    let verified = check_caller(parts, requirements, &original, &apis, state).await;
    // A wrong parameter or a fault of the server is no request of a client.
    if verified.as_ref().err().is_none_or(AppError::is_refusal) {
        for api in requirements.apis.counted(&apis) {
            state.usage.of_apis.count(api, state.now(), verified.is_ok());
        }
    }
    let (caller, scopes) = verified.inspect_err(|_| original.log())?;
    Ok(VerifiedCaller { caller, team: requirements.team.clone().into_owned(), scopes })
}

/// A session is accepted for safe same-origin requests only, because the API behind the proxy knows nothing of our protection
/// against forged requests.
async fn check_caller(
    parts: &mut Parts,
    requirements: &Requirements<'_>,
    original: &OriginalRequest,
    apis: &[Api],
    state: &AppState,
) -> Result<(Caller, String), AppError> {
    let accepts_session = original.is_safe && !requirements.denies_sessions;
    if !accepts_session && !api_key_header::is_present(&parts.headers, state.config.api_key_header.as_ref()) {
        return Err(AppError::CredentialsMissing);
    }
    let check = async |caller: Caller, parts: &mut Parts| {
        if caller.key().is_none() && is_cross_origin(&parts.headers, &state.config.origin()) {
            return Err(AppError::CrossOrigin);
        }
        let scopes = check_apis(&caller, &requirements.apis, original.is_safe, apis, state)?;
        check_team(&caller, &requirements.team, state).await?;
        Ok(scopes)
    };
    authenticate(parts, state, check).await
}

/// Rejects a key without a required API or scope, and a read-only key for a request that may change something. Counts the request
/// against the limit of the API. Returns the scopes of the caller.
fn check_apis(
    caller: &Caller,
    required: &ApiRequirement<'_>,
    is_safe: bool,
    apis: &[Api],
    state: &AppState,
) -> Result<String, AppError> {
    let access = caller.key().map(|key| &key.access);
    required.check(access, is_safe, apis)?;
    if access == Some(&Access::ReadOnly) && !is_safe {
        return Err(AppError::ScopeMissing(String::new()));
    }
    if let (Some(key), Some((api, per_minute))) = (caller.key(), required.limit(apis)) {
        state.usage.admit_to_api(&key.id, api, per_minute, state.now())?;
    }
    Ok(required.granted(access.unwrap_or(&Access::Full), apis))
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
        operation.error(AppError::ScopeMissing("billing:invoices".to_owned()));
        operation.error(FieldErrors::one("team", "Name one team.").into());
        let scopes = ArrayBuilder::new().items(schemas::scope()).max_items(Some(MAX_REQUIRED_SCOPES)).build();
        let mut add = |name, about, schema: Schema| {
            operation.parameter(parameter(ParameterIn::Query, name, about, schema));
        };
        add(
            "team",
            "Slug of the team that the request is for. A key that is limited to a team needs it.",
            schemas::slug().into(),
        );
        add(
            "api",
            "Slug of the registered API that the request is for. A key that is limited to one API needs it.",
            schemas::api_slug().into(),
        );
        add("scope", "Scope that the request needs, built-in or registered; repeat it for several.", scopes.into());
        add("session", "`deny` accepts keys only.", schemas::one_of(["deny"]).into());
        add("for", FOR_NGINX, schemas::one_of(["nginx"]).into());
    }
}

/// Headers of the caller, in the order of their values in [`verify`].
static IDENTITY_HEADERS: [HeaderName; 5] = [
    HeaderName::from_static("x-auth-user"),
    HeaderName::from_static("x-auth-email"),
    HeaderName::from_static("x-auth-key"),
    HeaderName::from_static("x-auth-scopes"),
    HeaderName::from_static("x-auth-team"),
];

const FOR_NGINX: &str = "`nginx` answers 403 instead of 400, 429 and 503, with the true status in `X-Auth-Status` and the \
    problem in `X-Auth-Problem`.";

/// Check a key
///
/// For a proxy in front of an API in any language: 200 with the caller in headers, or the error. Accepts any method and any
/// `Accept`. Every header is always present, and empty where there is no value, so that a copy that the client sent never
/// reaches the API. `X-Auth-Scopes` lists what the caller may do: in the API that `?api=` requires, or else in Keyfob's own. A
/// read-only key is judged by the method of the original request: `X-Forwarded-Method` or `X-Original-Method` of a trusted
/// proxy. A session is accepted for safe same-origin requests only.
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
pub async fn verify(VerifiedCaller { caller, team, scopes }: VerifiedCaller) -> HeaderMap {
    let key = caller.key().map_or("", |key| key.id.as_str());
    // Room for the headers that every response gets, too.
    let mut headers = HeaderMap::with_capacity(24);
    let values = [caller.user().id.as_str(), caller.user().email.as_str(), key, scopes.as_str(), team.as_str()];
    for (name, value) in IDENTITY_HEADERS.iter().zip(values) {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap_or(HeaderValue::from_static(""));
        headers.insert(name, value);
    }
    headers
}
