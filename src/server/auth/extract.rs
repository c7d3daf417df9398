//! Axum extractors that authenticate API requests. A handler with one of them in its signature is protected.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;

use super::api_key_header;
use super::client_ip::{client_ip, user_agent};
use super::session_memo::find_session;
use super::sessions::Session;
use super::tenant::Tenant;
use crate::error::AppError;
use crate::model::employees::OwnerId;
use crate::model::keys::{Access, KeyFacts, RequiredScope};
use crate::model::teams::TeamId;
use crate::model::time::Timestamp;
use crate::model::users::User;
use crate::server::audit::Actor;
use crate::server::keys::usage::Use;
use crate::server::keys::{self, KeyRecord};
use crate::server::metrics::labels::{Credential, KeyOutcome};
use crate::server::request_context;
use crate::server::state::AppState;
use crate::server::teams::memberships;

/// Authenticated caller of an API request, by session or by key.
///
/// As an extractor it requires no scope, so keys that are limited to scopes or to a team are denied; use [`Scoped`] for those.
/// A read-only key is denied for every method except GET, HEAD and OPTIONS.
#[derive(Clone, Debug)]
pub enum Caller {
    Session(Session),
    Key { user: Arc<User>, key: Arc<KeyFacts> },
}

impl Caller {
    /// Returns the user that the request acts as.
    pub fn user(&self) -> &User {
        match self {
            Self::Session(session) => &session.user,
            Self::Key { user, .. } => user,
        }
    }

    /// Returns the key of the request, if it has one.
    pub fn key(&self) -> Option<&KeyFacts> {
        match self {
            Self::Session(_) => None,
            Self::Key { key, .. } => Some(key),
        }
    }

    /// Denies a key without the scope that an endpoint requires. A session has every scope of its user.
    fn check<S: RequiredScope>(&self, parts: &Parts) -> Result<(), AppError> {
        match self.key() {
            Some(key) if !S::is_in(&key.access, parts.method.is_safe()) => Err(missing(key, S::NAME)),
            _ => Ok(()),
        }
    }
}

/// Returns the error of a key without a scope; an empty one where only full access is enough.
fn missing(key: &KeyFacts, scope: &str) -> AppError {
    match key.access {
        Access::Api(_) => AppError::ApiMismatch,
        _ => AppError::ScopeMissing(scope.to_owned()),
    }
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, AppError> {
        let check = async |caller: Self, parts: &mut Parts| match caller.key() {
            Some(key) if key.team_id.is_some() => Err(AppError::TeamMismatch),
            Some(key) if !key.access.allows_unscoped(parts.method.is_safe()) => Err(missing(key, "")),
            _ => Ok(()),
        };
        Ok(authenticate(parts, state, check).await?.0)
    }
}

/// Caller with the scope `S`, and the owner of the data: the user, or the team under a path with `{team}`. A key that is
/// limited to a team reaches only that team's data.
///
/// With a key, the key alone decides and the cookie is ignored. A read-only key is denied for every method except GET, HEAD
/// and OPTIONS.
#[derive(Clone, Debug)]
pub struct Scoped<S> {
    pub caller: Caller,
    pub owner: OwnerId,
    team: Option<TeamId>,
    scope: PhantomData<S>,
}

impl<S> Scoped<S> {
    /// Returns the user that the request acts as.
    pub fn user(&self) -> &User {
        self.caller.user()
    }

    /// Returns the owner of the data and the caller.
    pub fn tenant(&self) -> Tenant {
        Tenant { owner: self.owner.clone(), team: self.team.clone(), caller: self.caller.clone() }
    }
}

impl<S: RequiredScope> FromRequestParts<AppState> for Scoped<S> {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, AppError> {
        let (caller, (owner, team)) = authenticate(parts, state, async |caller, parts| {
            caller.check::<S>(parts)?;
            find_owner(&caller, parts, state).await
        })
        .await?;
        Ok(Self { caller, owner, team, scope: PhantomData })
    }
}

/// Returns the owner of the data under this path, and the team if it is one.
async fn find_owner(
    caller: &Caller,
    parts: &mut Parts,
    state: &AppState,
) -> Result<(OwnerId, Option<TeamId>), AppError> {
    let key_team = caller.key().and_then(|key| key.team_id.as_ref());
    let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| AppError::NotFound)?;
    let Some((_, slug)) = params.iter().find(|(name, _)| *name == "team") else {
        return match key_team {
            Some(_) => Err(AppError::TeamMismatch),
            None => Ok((OwnerId::from(&caller.user().id), None)),
        };
    };
    let team = memberships::find(&state.db, &caller.user().id, slug).await?.team;
    if key_team.is_some_and(|key_team| *key_team != team.id) {
        return Err(AppError::TeamMismatch);
    }
    Ok((OwnerId::from(&team.id), Some(team.id)))
}

/// Superuser, by session or by a full-access key. Pegasus calls this `IsAuthenticatedOrHasUserAPIKeySuperUser`.
#[derive(Clone, Debug)]
pub struct Superuser(pub Caller);

impl FromRequestParts<AppState> for Superuser {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, AppError> {
        let check = async |caller: Caller, _: &mut Parts| {
            let unrestricted = caller.key().is_none_or(|key| key.access == Access::Full && key.team_id.is_none());
            if caller.user().superuser && unrestricted { Ok(()) } else { Err(AppError::SuperuserRequired) }
        };
        Ok(Self(authenticate(parts, state, check).await?.0))
    }
}

/// Any session or valid key, whatever its restrictions. For endpoints that only tell callers about themselves.
#[derive(Clone, Debug)]
pub(crate) struct AnyCaller(pub Caller);

impl FromRequestParts<AppState> for AnyCaller {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, AppError> {
        Ok(Self(authenticate(parts, state, async |_, _| Ok(())).await?.0))
    }
}

/// Like [`AnyCaller`], but a key needs the scope `S`.
#[derive(Clone, Debug)]
pub(crate) struct AnyCallerWith<S>(pub Caller, pub PhantomData<S>);

impl<S: RequiredScope> FromRequestParts<AppState> for AnyCallerWith<S> {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, AppError> {
        let check = async |caller: Caller, parts: &mut Parts| caller.check::<S>(parts);
        Ok(Self(authenticate(parts, state, check).await?.0, PhantomData))
    }
}

/// Identifies the caller and runs `check` on it. Counts every request with a known key, denied or not.
pub(crate) async fn authenticate<T>(
    parts: &mut Parts,
    state: &AppState,
    check: impl AsyncFnOnce(Caller, &mut Parts) -> Result<T, AppError>,
) -> Result<(Caller, T), AppError> {
    let now = state.now();
    let record = match find_key(parts, state, now).await {
        Ok(Some(record)) => record,
        // In a box, because it takes most of the future, and few requests of the API have a session.
        Ok(None) => return Box::pin(authenticate_session(parts, state, check)).await,
        Err(error) => {
            note_key_check(state, &Err::<(), _>(&error));
            return Err(error);
        }
    };
    let checked = authenticate_key(parts, state, record, now, check).await;
    note_key_check(state, &checked.as_ref());
    checked
}

/// Returns the key that the request presents; `None` if it presents none.
async fn find_key(parts: &Parts, state: &AppState, now: Timestamp) -> Result<Option<KeyRecord>, AppError> {
    let Some(presented) = api_key_header::extract(&parts.headers, state.config.api_key_header.as_ref())? else {
        return Ok(None);
    };
    let ip = client_ip(&parts.extensions);
    let Some(record) = keys::find_by_secret(state, &presented, ip, now).await? else {
        request_context::set_key(presented.prefix());
        state.usage.note_failure(ip, now)?;
        return Err(AppError::KeyUnknown);
    };
    Ok(Some(record))
}

/// Counts the outcome of a request with a key.
fn note_key_check<T>(state: &AppState, checked: &Result<T, &AppError>) {
    request_context::set_credential(Credential::Key);
    if let Some(metrics) = &state.metrics {
        metrics.count_key_check(KeyOutcome::of(checked.as_ref().err().copied()));
    }
}

async fn authenticate_session<T>(
    parts: &mut Parts,
    state: &AppState,
    check: impl AsyncFnOnce(Caller, &mut Parts) -> Result<T, AppError>,
) -> Result<(Caller, T), AppError> {
    let session = find_session(parts, state).await?.ok_or(AppError::CredentialsMissing)?;
    let caller = Caller::Session(session);
    let checked = check(caller.clone(), parts).await.inspect_err(|_| request_context::set_user(caller.user()))?;
    Ok((caller, checked))
}

async fn authenticate_key<T>(
    parts: &mut Parts,
    state: &AppState,
    record: KeyRecord,
    now: Timestamp,
    check: impl AsyncFnOnce(Caller, &mut Parts) -> Result<T, AppError>,
) -> Result<(Caller, T), AppError> {
    let KeyRecord { user, key, context, rate } = record;
    let caller = Caller::Key { user, key: Arc::clone(&key) };
    let limit = rate.unwrap_or(state.config.key_rate);
    let outcome = async {
        key.validate(context, now).inspect_err(|_| state.usage.note_quota(&key.id, limit, now))?;
        state.usage.admit(&key.id, limit, now)?;
        check(caller.clone(), parts).await
    };
    let outcome = outcome.await;
    // A wrong path or a fault of the server is not the key's fault.
    let denied = matches!(&outcome, Err(error) if error.is_refusal());
    let agent = user_agent(&parts.headers);
    let ip = client_ip(&parts.extensions);
    let used = Use { at: now, ip, agent: &agent, old: context.old_secret_until.is_some() };
    state.usage.count(&key.id, used, !denied);
    if denied {
        request_context::set_user(caller.user());
    }
    if denied || request_context::keeps_key() {
        request_context::set_key(&key.prefix);
    }
    outcome.map(|checked| (caller, checked))
}

/// Returns the caller as the actor of an audit entry.
pub(crate) fn actor(caller: &Caller, parts: &Parts, state: &AppState) -> Actor {
    Actor::user(caller.user(), client_ip(&parts.extensions), state.now())
}
