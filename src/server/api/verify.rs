//! The check alone, for whoever stands in front of an API in any language: who calls, and with what rights.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::model::keys::{Access, Scope};
use crate::server::auth::Known;

/// Check a key
///
/// The check alone, for a proxy in front of an API in any language: 200 with who calls in headers, or the refusal. Takes
/// any method. Every valid key will do, whatever it leaves out; look at `X-Auth-Scopes`.
#[utoipa::path(
    get,
    path = "/api/v1/verify",
    operation_id = "verify",
    tag = "key",
    responses((status = 200, description = "Who calls.", headers(
        ("X-Auth-User" = String, description = "The id of the user."),
        ("X-Auth-Key" = String, description = "The id of the key; not there for a session."),
        ("X-Auth-Scopes" = String, description = "The scopes that the caller has, with a space between them."),
    )))
)]
pub async fn verify(Known(caller): Known) -> HeaderMap {
    let access = caller.key().map_or(Access::Full, |key| key.access);
    let scopes: Vec<_> = access.scopes().map(Scope::as_str).collect();
    let key = caller.key().map(|key| key.id.to_string());
    let told = [
        ("x-auth-user", Some(caller.user().id.to_string())),
        ("x-auth-key", key),
        ("x-auth-scopes", Some(scopes.join(" "))),
    ];
    let header = |(name, value): (&'static str, Option<String>)| {
        Some((HeaderName::from_static(name), HeaderValue::try_from(value?).ok()?))
    };
    told.into_iter().filter_map(header).collect()
}
