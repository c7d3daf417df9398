//! Axum extractors that authenticate a request to the API. A handler that names one in its signature is protected.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;

use super::api_key_header;
use super::client_ip::{client_ip, user_agent};
use super::guards::session_of;
use super::sessions::Session;
use super::tenant::Tenant;
use crate::error::AppError;
use crate::model::employees::OwnerId;
use crate::model::keys::{Access, KeyFacts, RequiredScope, Scope};
use crate::model::teams::TeamId;
use crate::model::users::User;
use crate::server::audit::Actor;
use crate::server::keys::usage::Use;
use crate::server::keys::{self, KeyRecord};
use crate::server::request_context;
use crate::server::state::AppState;
use crate::server::teams;

/// Whoever is behind a request to the API: a session or a key, either will do, and `user()` is the same for both.
///
/// An endpoint that names this alone states no scope, so a key that is limited to scopes or to a team is refused there; by
/// [`Scoped`] it states one. A key that may only read is refused for every method but GET, HEAD and OPTIONS.
#[derive(Clone, Debug)]
pub enum Caller {
    /// Signed in with a browser.
    Session(Session),
    /// With a key of this user.
    Key {
        /// Whose key it is.
        user: Arc<User>,
        /// The key.
        key: Arc<KeyFacts>,
    },
}

impl Caller {
    /// The user that the request acts as.
    #[must_use]
    pub fn user(&self) -> &User {
        match self {
            Self::Session(session) => &session.user,
            Self::Key { user, .. } => user,
        }
    }

    /// The key, if it came with one.
    #[must_use]
    pub fn key(&self) -> Option<&KeyFacts> {
        match self {
            Self::Session(_) => None,
            Self::Key { key, .. } => Some(key),
        }
    }

    /// Refuses a key that leaves a scope out; a session has all that its user has.
    fn check_scope(&self, needed: Scope, parts: &Parts) -> Result<(), AppError> {
        match self.key() {
            Some(key) if !key.access.allows(needed, parts.method.is_safe()) => {
                Err(AppError::ScopeMissing(needed.as_str().to_owned()))
            }
            _ => Ok(()),
        }
    }
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = AppError;

    /// # Errors
    /// Each refusal of 401, 400 `credentials_ambiguous`, 403 `scope_missing` and `team_mismatch`, and 429 that the list of
    /// errors has.
    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, AppError> {
        let check = async |caller: Self, parts: &mut Parts| match caller.key() {
            Some(key) if key.team_id.is_some() => Err(AppError::TeamMismatch),
            Some(key) if !key.access.allows_unscoped(parts.method.is_safe()) => {
                Err(AppError::ScopeMissing(String::new()))
            }
            _ => Ok(()),
        };
        Ok(authenticate(parts, state, check).await?.0)
    }
}

/// A caller who may do what needs the scope `S`, and whose data the endpoint works on: their own, or, under a path with
/// `{team}`, the team's. A key that is limited to a team reaches that team's and nothing else.
///
/// A request that carries a key is decided by the key alone; its cookie is not looked at. A key that may only read is
/// refused for every method but GET, HEAD and OPTIONS.
#[derive(Clone, Debug)]
pub struct Scoped<S> {
    /// Who calls.
    pub caller: Caller,
    /// Whose data they work on.
    pub owner: OwnerId,
    team: Option<TeamId>,
    scope: PhantomData<S>,
}

impl<S> Scoped<S> {
    /// The user that the request acts as.
    #[must_use]
    pub fn user(&self) -> &User {
        self.caller.user()
    }

    /// Whose data they work on, and in whose name.
    #[must_use]
    pub fn tenant(&self) -> Tenant {
        Tenant { owner: self.owner.clone(), team: self.team.clone(), caller: self.caller.clone() }
    }
}

impl<S: RequiredScope> FromRequestParts<AppState> for Scoped<S> {
    type Rejection = AppError;

    /// # Errors
    /// Each refusal of 401, 400 `credentials_ambiguous`, 403 `scope_missing` and `team_mismatch`, 429 and 404 that the list
    /// of errors has.
    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, AppError> {
        let (caller, (owner, team)) = authenticate(parts, state, async |caller, parts| {
            caller.check_scope(S::SCOPE, parts)?;
            owner(&caller, parts, state).await
        })
        .await?;
        Ok(Self { caller, owner, team, scope: PhantomData })
    }
}

/// Whose data a path is about; and the team, if it is one's.
async fn owner(caller: &Caller, parts: &mut Parts, state: &AppState) -> Result<(OwnerId, Option<TeamId>), AppError> {
    let limit = caller.key().and_then(|key| key.team_id.as_ref());
    let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| AppError::NotFound)?;
    let Some((_, slug)) = params.iter().find(|(name, _)| *name == "team") else {
        let own = || (OwnerId::from(&caller.user().id), None);
        return if limit.is_some() { Err(AppError::TeamMismatch) } else { Ok(own()) };
    };
    let team = teams::find(&state.db, &caller.user().id, slug).await?.team;
    if limit.is_some_and(|limit| *limit != team.id) {
        return Err(AppError::TeamMismatch);
    }
    Ok((OwnerId::from(&team.id), Some(team.id)))
}

/// A superuser, by a session or by a key of full access: the counterpart of Pegasus's
/// `IsAuthenticatedOrHasUserAPIKeySuperUser`.
#[derive(Clone, Debug)]
pub struct Superuser(pub Caller);

impl FromRequestParts<AppState> for Superuser {
    type Rejection = AppError;

    /// # Errors
    /// As [`Scoped`], and 403 `superuser_required`.
    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, AppError> {
        let check = async |caller: Caller, _: &mut Parts| {
            let whole = caller.key().is_none_or(|key| key.access == Access::Full && key.team_id.is_none());
            if caller.user().superuser && whole { Ok(()) } else { Err(AppError::SuperuserRequired) }
        };
        Ok(Self(authenticate(parts, state, check).await?.0))
    }
}

/// A caller whom the endpoint tells only about themselves: any session, and any valid key, whatever it leaves out.
#[derive(Clone, Debug)]
pub(crate) struct AnyCaller(pub Caller);

impl FromRequestParts<AppState> for AnyCaller {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, AppError> {
        Ok(Self(authenticate(parts, state, async |_, _| Ok(())).await?.0))
    }
}

/// The same for a key that has the scope `S`.
#[derive(Clone, Debug)]
pub(crate) struct AnyCallerWith<S>(pub Caller, pub PhantomData<S>);

impl<S: RequiredScope> FromRequestParts<AppState> for AnyCallerWith<S> {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, AppError> {
        let check = async |caller: Caller, parts: &mut Parts| caller.check_scope(S::SCOPE, parts);
        Ok(Self(authenticate(parts, state, check).await?.0, PhantomData))
    }
}

/// Finds out who calls, and asks `check` whether they may. Every request with a known key is counted, let through or not.
pub(crate) async fn authenticate<T>(
    parts: &mut Parts,
    state: &AppState,
    check: impl AsyncFnOnce(Caller, &mut Parts) -> Result<T, AppError>,
) -> Result<(Caller, T), AppError> {
    let Some(presented) = api_key_header::extract(&parts.headers, state.config.api_key_header.as_ref())? else {
        let session = session_of(parts, state).await?.ok_or(AppError::CredentialsMissing)?;
        let caller = Caller::Session(session);
        let allowed = check(caller.clone(), parts).await;
        return allowed.inspect_err(|_| request_context::set_user(caller.user())).map(|checked| (caller, checked));
    };
    let (now, from) = (state.now(), client_ip(&parts.extensions));
    let Some(found) = keys::find_by_secret(state, &presented, (from, now)).await? else {
        request_context::set_key(presented.prefix());
        state.usage.note_failure(from, now)?;
        return Err(AppError::KeyUnknown);
    };
    let KeyRecord { user, key, standing, rate } = found;
    let caller = Caller::Key { user, key: Arc::clone(&key) };
    let limit = rate.unwrap_or(state.config.key_rate);
    let allowed = async {
        key.validate(standing, now)?;
        state.usage.admit(&key.id, limit, now)?;
        check(caller.clone(), parts).await
    };
    let allowed = allowed.await;
    // What is refused for its path or for a fault of ours does not count against the key.
    let refused = matches!(&allowed, Err(error) if error.is_refusal());
    let agent = user_agent(&parts.headers);
    let used = Use { at: now, ip: from, agent: &agent, old: standing.old_secret_until.is_some() };
    state.usage.count(&key.id, used, !refused);
    if refused {
        request_context::set_user(caller.user());
        request_context::set_key(&key.prefix);
    }
    allowed.map(|checked| (caller, checked))
}

/// Who asks for a change by the API: for the audit.
pub(crate) fn by(caller: &Caller, parts: &Parts, state: &AppState) -> Actor {
    Actor::user(caller.user(), client_ip(&parts.extensions), state.now())
}
