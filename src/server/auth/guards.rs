//! Guards of pages and server functions: each returns the session, or the error that refuses the request.

use std::sync::Arc;

use axum::http::request::Parts;
use tokio::sync::OnceCell;

use super::extract::Caller;
use super::sessions::Session;
use super::tenant::Tenant;
use super::{api_key_header, page_user, sessions};
use crate::error::AppError;
use crate::model::employees::OwnerId;
use crate::server::leptos_context::state_and_parts;
use crate::server::state::AppState;
use crate::server::teams;

/// The session behind a call of a server function, and the state. A key will not do: it never manages keys or accounts.
///
/// # Errors
/// [`AppError::CredentialsMissing`] without a live session, [`AppError::SessionRequired`] beside a key.
pub async fn signed_in() -> Result<(AppState, Session), AppError> {
    let (state, session) = optional_session().await?;
    Ok((state, session.ok_or(AppError::CredentialsMissing)?))
}

/// The same, where the password was entered lately.
///
/// # Errors
/// As [`signed_in`], and as [`Session::check_recent_auth`].
pub async fn require_recent_auth() -> Result<(AppState, Session), AppError> {
    let (state, session) = signed_in().await?;
    session.check_recent_auth(state.now())?;
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
pub async fn superuser() -> Result<(AppState, Session), AppError> {
    let (state, session) = optional_session().await?;
    Ok((state, session.filter(|session| session.user.superuser).ok_or(AppError::NotFound)?))
}

/// The same, where the password was entered lately.
///
/// # Errors
/// As [`superuser`], and as [`Session::check_recent_auth`].
pub async fn require_recent_superuser_auth() -> Result<(AppState, Session), AppError> {
    let (state, session) = superuser().await?;
    session.check_recent_auth(state.now())?;
    Ok((state, session))
}

/// The session behind a call of a server function, where it is no error to have none.
///
/// # Errors
/// [`AppError::SessionRequired`] with a key, [`AppError::AccountChanged`] from a page of somebody else, and if the database
/// does not answer.
pub async fn optional_session() -> Result<(AppState, Option<Session>), AppError> {
    let (state, parts) = state_and_parts()?;
    let session = session_from_parts(&state, &parts).await?;
    Ok((state, session))
}

/// The session behind a request for a page, if it has one.
///
/// # Errors
/// As [`optional_session`].
pub async fn session_from_parts(state: &AppState, parts: &Parts) -> Result<Option<Session>, AppError> {
    let session = any_session_from_parts(state, parts).await?;
    if let Some(session) = &session {
        page_user::check(&parts.extensions, &session.user.id)?;
    }
    Ok(session)
}

/// Like [`session_from_parts`], from a page of any account: to sign a browser out.
///
/// # Errors
/// [`AppError::SessionRequired`] with a key, and if the database does not answer.
pub async fn any_session_from_parts(state: &AppState, parts: &Parts) -> Result<Option<Session>, AppError> {
    if api_key_header::is_present_on_page(&parts.headers, state.config.api_key_header.as_ref()) {
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

pub(super) async fn session_of(parts: &Parts, state: &AppState) -> Result<Option<Session>, AppError> {
    let find = || sessions::find(&state.db, &state.config, parts, state.now());
    match parts.extensions.get::<SessionMemo>() {
        Some(memo) => memo.0.get_or_try_init(find).await.cloned(),
        None => find().await,
    }
}
