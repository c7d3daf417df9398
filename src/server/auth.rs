//! Who is calling: the only place that decides it. An endpoint names one of these types in its signature, and is
//! protected by that.

pub mod client;
pub mod credentials;
pub mod device;
pub mod password;
pub mod secrets;
pub mod sessions;
pub mod tenant;
pub mod throttle;

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use tokio::sync::OnceCell;

use self::client::{address, user_agent};
use self::sessions::Session;
use self::tenant::Tenant;
use super::audit::By;
use super::keys::{self, Found};
use super::log;
use super::page_user;
use super::state::AppState;
use super::teams;
use super::usage::Use;
use crate::error::AppError;
use crate::model::employees::OwnerId;
use crate::model::keys::{Access, KeyFacts, Needs, Scope};
use crate::model::teams::TeamId;
use crate::model::users::User;

/// Whoever is behind a request to the API: a session or a key, either will do, and `user()` is the same for both.
///
/// An endpoint that names this alone states no scope, so a key that is limited to scopes or to a team is refused there; by
/// [`With`] it states one. A key that may only read is refused for every method but GET, HEAD and OPTIONS.
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
            Some(key) if !key.access.allows_unstated(parts.method.is_safe()) => {
                Err(AppError::ScopeMissing(String::new()))
            }
            _ => Ok(()),
        };
        Ok(identify(parts, state, check).await?.0)
    }
}

/// A caller who may do what needs the scope `S`, and whose data the endpoint works on: their own, or, under a path with
/// `{team}`, the team's. A key that is limited to a team reaches that team's and nothing else.
///
/// A request that carries a key is decided by the key alone; its cookie is not looked at. A key that may only read is
/// refused for every method but GET, HEAD and OPTIONS.
#[derive(Clone, Debug)]
pub struct With<S> {
    /// Who calls.
    pub caller: Caller,
    /// Whose data they work on.
    pub owner: OwnerId,
    team: Option<TeamId>,
    scope: PhantomData<S>,
}

impl<S> With<S> {
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

impl<S: Needs> FromRequestParts<AppState> for With<S> {
    type Rejection = AppError;

    /// # Errors
    /// Each refusal of 401, 400 `credentials_ambiguous`, 403 `scope_missing` and `team_mismatch`, 429 and 404 that the list
    /// of errors has.
    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, AppError> {
        let (caller, (owner, team)) = identify(parts, state, async |caller, parts| {
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
    /// As [`With`], and 403 `superuser_required`.
    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, AppError> {
        let check = async |caller: Caller, _: &mut Parts| {
            let whole = caller.key().is_none_or(|key| key.access == Access::Full && key.team_id.is_none());
            if caller.user().superuser && whole { Ok(()) } else { Err(AppError::SuperuserRequired) }
        };
        Ok(Self(identify(parts, state, check).await?.0))
    }
}

/// A caller whom the endpoint tells only about themselves: any session, and any valid key, whatever it leaves out.
#[derive(Clone, Debug)]
pub(super) struct Known(pub Caller);

impl FromRequestParts<AppState> for Known {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, AppError> {
        Ok(Self(identify(parts, state, async |_, _| Ok(())).await?.0))
    }
}

/// The same for a key that has the scope `S`.
#[derive(Clone, Debug)]
pub(super) struct KnownWith<S>(pub Caller, pub PhantomData<S>);

impl<S: Needs> FromRequestParts<AppState> for KnownWith<S> {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, AppError> {
        let check = async |caller: Caller, parts: &mut Parts| caller.check_scope(S::SCOPE, parts);
        Ok(Self(identify(parts, state, check).await?.0, PhantomData))
    }
}

/// Finds out who calls, and asks `check` whether they may. Every request with a known key is counted, let through or not.
pub(super) async fn identify<T>(
    parts: &mut Parts,
    state: &AppState,
    check: impl AsyncFnOnce(Caller, &mut Parts) -> Result<T, AppError>,
) -> Result<(Caller, T), AppError> {
    let Some(presented) = credentials::key(&parts.headers, state.config.api_key_header.as_ref())? else {
        let session = session_of(parts, state).await?.ok_or(AppError::CredentialsMissing)?;
        let caller = Caller::Session(session);
        let allowed = check(caller.clone(), parts).await;
        return allowed.inspect_err(|_| log::name_user(caller.user())).map(|checked| (caller, checked));
    };
    let (now, from) = (state.now(), address(&parts.extensions));
    let Some(found) = keys::authenticate(state, &presented, (from, now)).await? else {
        log::name_key(presented.prefix());
        state.usage.note_failure(from, now)?;
        return Err(AppError::KeyUnknown);
    };
    let Found { user, key, standing, rate } = found;
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
        log::name_user(caller.user());
        log::name_key(&key.prefix);
    }
    allowed.map(|checked| (caller, checked))
}

/// Whether a page of another origin made this request, by `Sec-Fetch-Site`, or in a browser without it by `Origin`. `origin` is
/// the public address of this server. Programs send neither header.
pub(super) fn comes_from_elsewhere(headers: &HeaderMap, origin: &str) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("not text"));
    match (text(HeaderName::from_static("sec-fetch-site")), text(header::ORIGIN)) {
        (Some(site), _) => !matches!(site, "same-origin" | "none"),
        (None, Some(sent)) => {
            let authority = sent.split_once("://").map(|(_, authority)| authority);
            sent != origin && authority != text(header::HOST)
        }
        (None, None) => false,
    }
}

/// The session behind a call of a server function, and the state. A key will not do: it never manages keys or accounts.
///
/// # Errors
/// [`AppError::CredentialsMissing`] without a live session, [`AppError::SessionRequired`] beside a key.
pub async fn signed_in() -> Result<(AppState, Session), AppError> {
    let (state, session) = visitor().await?;
    Ok((state, session.ok_or(AppError::CredentialsMissing)?))
}

/// The same, where the password was entered lately.
///
/// # Errors
/// As [`signed_in`], and as [`Session::check_confirmed`].
pub async fn confirmed() -> Result<(AppState, Session), AppError> {
    let (state, session) = signed_in().await?;
    session.check_confirmed(state.now())?;
    Ok((state, session))
}

/// A session, and whose data the page is about: the user's own, or those of a team by its slug.
///
/// # Errors
/// As [`signed_in`], and [`AppError::NotFound`] for a team that the user is not in.
pub async fn signed_in_for(team: Option<&str>) -> Result<(AppState, Tenant), AppError> {
    let (state, session) = signed_in().await?;
    let team = match team {
        Some(slug) => Some(teams::find(&state.db, &session.user.id, slug).await?.team.id),
        None => None,
    };
    let owner = team.as_ref().map_or_else(|| OwnerId::from(&session.user.id), OwnerId::from);
    Ok((state, Tenant { owner, team, caller: Caller::Session(session) }))
}

/// The session of a superuser. For everybody else nothing is there.
///
/// # Errors
/// [`AppError::NotFound`].
pub async fn admin() -> Result<(AppState, Session), AppError> {
    let (state, session) = visitor().await?;
    Ok((state, session.filter(|session| session.user.superuser).ok_or(AppError::NotFound)?))
}

/// The same, where the password was entered lately.
///
/// # Errors
/// As [`admin`], and as [`Session::check_confirmed`].
pub async fn confirmed_admin() -> Result<(AppState, Session), AppError> {
    let (state, session) = admin().await?;
    session.check_confirmed(state.now())?;
    Ok((state, session))
}

/// The session behind a call of a server function, where it is no error to have none.
///
/// # Errors
/// [`AppError::SessionRequired`] with a key, [`AppError::AccountChanged`] from a page of somebody else, and if the database
/// does not answer.
pub async fn visitor() -> Result<(AppState, Option<Session>), AppError> {
    let (state, parts) = super::request()?;
    let session = visitor_of(&state, &parts).await?;
    Ok((state, session))
}

/// The session behind a request for a page, if it has one.
///
/// # Errors
/// As [`visitor`].
pub async fn visitor_of(state: &AppState, parts: &Parts) -> Result<Option<Session>, AppError> {
    let session = any_visitor_of(state, parts).await?;
    if let Some(session) = &session {
        page_user::check(&parts.extensions, &session.user.id)?;
    }
    Ok(session)
}

/// Like [`visitor_of`], from a page of any account: to sign a browser out.
///
/// # Errors
/// [`AppError::SessionRequired`] with a key, and if the database does not answer.
pub async fn any_visitor_of(state: &AppState, parts: &Parts) -> Result<Option<Session>, AppError> {
    if credentials::has_key_on_page(&parts.headers, state.config.api_key_header.as_ref()) {
        return Err(AppError::SessionRequired);
    }
    session_of(parts, state).await
}

/// Remembers the session for the time of one request, so that a page with several parts looks it up once.
#[derive(Clone, Debug, Default)]
pub struct SessionMemo(Arc<OnceCell<Option<Session>>>);

impl SessionMemo {
    /// Of a session that is known already.
    #[must_use]
    pub fn of(session: Session) -> Self {
        Self(Arc::new(OnceCell::new_with(Some(Some(session)))))
    }
}

async fn session_of(parts: &Parts, state: &AppState) -> Result<Option<Session>, AppError> {
    let find = || sessions::find(&state.db, &state.config, parts, state.now());
    match parts.extensions.get::<SessionMemo>() {
        Some(memo) => memo.0.get_or_try_init(find).await.cloned(),
        None => find().await,
    }
}

/// Who asks for a change by the API: for the audit.
pub(super) fn by(caller: &Caller, parts: &Parts, state: &AppState) -> By {
    By::user(caller.user(), address(&parts.extensions), state.now())
}
