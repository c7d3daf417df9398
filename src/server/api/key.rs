//! The caller and the key of a request: who is calling, look at the key, revoke it, rotate it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::Serialize;

use super::body::JsonObject;
use crate::error::AppError;
use crate::model::fields::FieldErrors;
use crate::model::keys::scope::{KeyRotate, ProfileRead};
use crate::model::keys::{KeyFacts, KeyId, KeyName, Scope, grace};
use crate::model::teams::TeamId;
use crate::model::time::Timestamp;
use crate::model::users::{User, UserId};
use crate::server::auth::{Caller, Known, KnownWith, by, credentials};
use crate::server::keys;
use crate::server::state::AppState;

/// Whoever calls.
#[derive(Debug, Serialize)]
pub struct MeBody {
    user: UserBody,
    /// `session` or `api_key`.
    via: &'static str,
    /// The key, if it was one.
    key: Option<KeyBody>,
}

/// A user.
#[derive(Debug, Serialize)]
struct UserBody {
    id: UserId,
    email: String,
    name: String,
}

impl From<User> for UserBody {
    fn from(user: User) -> Self {
        Self { id: user.id, email: user.email, name: user.name }
    }
}

/// What is public of a key.
#[derive(Debug, Serialize)]
pub struct KeyBody {
    id: KeyId,
    name: KeyName,
    prefix: String,
    /// `full`, `read_only`, or the scopes with a space between them.
    access: String,
    /// The scopes that it has.
    scopes: Vec<&'static str>,
    /// The id of the team that it is limited to.
    team: Option<TeamId>,
    created_at: String,
    /// The first instant at which it is refused; never if null.
    expires_at: Option<String>,
}

impl From<&KeyFacts> for KeyBody {
    fn from(key: &KeyFacts) -> Self {
        Self {
            id: key.id.clone(),
            name: key.name.clone(),
            prefix: key.prefix.clone(),
            access: key.access.into(),
            scopes: key.access.scopes().map(Scope::as_str).collect(),
            team: key.team_id.clone(),
            created_at: key.created_at.rfc3339(),
            expires_at: key.expires_at.map(Timestamp::rfc3339),
        }
    }
}

/// A key that was given a new secret.
#[derive(Serialize)]
pub struct RotatedBody {
    /// The key, this once.
    key: String,
    /// What is public of it.
    #[serde(flatten)]
    facts: KeyBody,
    /// Until when the old secret works.
    old_secret_works_until: String,
}

/// `GET /api/v1/me`
pub async fn me(KnownWith(caller, _): KnownWith<ProfileRead>) -> Json<MeBody> {
    let via = if caller.key().is_some() { "api_key" } else { "session" };
    Json(MeBody { key: caller.key().map(KeyBody::from), via, user: caller.user().clone().into() })
}

/// `GET /api/v1/key`
pub async fn show(Known(caller): Known) -> Result<Json<KeyBody>, AppError> {
    Ok(Json(of(&caller)?.1.into()))
}

/// `DELETE /api/v1/key`
pub async fn revoke(State(state): State<AppState>, Known(caller): Known, parts: Parts) -> Result<StatusCode, AppError> {
    let (user, key) = of(&caller)?;
    keys::revoke(&state.db, &user.id, &key.id, &by(&caller, &parts, &state)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/key/rotate`
pub async fn rotate(
    State(state): State<AppState>,
    KnownWith(caller, _): KnownWith<KeyRotate>,
    parts: Parts,
    mut body: JsonObject,
) -> Result<Json<RotatedBody>, AppError> {
    let (user, key) = of(&caller)?;
    let mut errors = FieldErrors::default();
    let asked = body.text("grace").and_then(|raw| raw.map_or(Ok(0), |raw| grace(&raw)));
    let grace = errors.take("grace", asked);
    body.refuse_rest(&[], &mut errors);
    let Some(grace) = grace.filter(|_| errors.is_empty()) else { return Err(errors.into()) };
    let presented = credentials::key(&parts.headers, state.config.api_key_header.as_ref())?;
    let presented = presented.ok_or(AppError::CredentialsMissing)?;
    let by = by(&caller, &parts, &state);
    let made = keys::rotation::rotate_itself(&state, (&user.id, key), (&presented, grace), &by).await?;
    let until = key.expires_at.map_or(by.at.plus(grace), |at| at.min(by.at.plus(grace)));
    Ok(Json(RotatedBody { key: made.key, facts: key.into(), old_secret_works_until: until.rfc3339() }))
}

/// The user and the key of a caller; a session has none.
fn of(caller: &Caller) -> Result<(&User, &KeyFacts), AppError> {
    caller.key().map(|key| (caller.user(), key)).ok_or(AppError::CredentialsMissing)
}
