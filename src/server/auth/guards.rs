//! Guards of pages and server functions. Each returns the session, or the error that denies the request.

use axum::http::request::Parts;

use super::extract::Caller;
use super::session_memo::find_session;
use super::sessions::Session;
use super::tenant::Tenant;
use super::{api_key_header, page_user};
use crate::error::AppError;
use crate::model::employees::OwnerId;
use crate::server::leptos_context::state_and_parts;
use crate::server::metrics::labels::Credential;
use crate::server::request_context;
use crate::server::state::AppState;
use crate::server::teams::memberships;

/// Requires a session in a server function. A key is rejected, because keys never manage keys or accounts.
///
/// # Errors
/// [`AppError::CredentialsMissing`] without a live session, [`AppError::SessionRequired`] with a key.
pub async fn signed_in() -> Result<(AppState, Session), AppError> {
    let (state, session) = optional_session().await?;
    Ok((state, session.ok_or(AppError::CredentialsMissing)?))
}

/// Like [`signed_in`], but requires recent re-authentication.
pub async fn require_recent_auth() -> Result<(AppState, Session), AppError> {
    let (state, session) = signed_in().await?;
    session.check_recent_auth(state.now())?;
    Ok((state, session))
}

/// Requires a session, and selects the data of the user or of a team by its slug.
///
/// # Errors
/// As [`signed_in`], and [`AppError::NotFound`] for a team that the user is not in.
pub async fn signed_in_for(team: Option<&str>) -> Result<(AppState, Tenant), AppError> {
    let (state, session) = signed_in().await?;
    let tenant = tenant(&state, session, team).await?;
    Ok((state, tenant))
}

/// Returns the tenant of a page: the user, or a team by its slug.
///
/// # Errors
/// [`AppError::NotFound`] for a team that the user is not in.
pub async fn tenant(state: &AppState, session: Session, team: Option<&str>) -> Result<Tenant, AppError> {
    let team = match team {
        Some(slug) => Some(memberships::find(&state.db, &session.user.id, slug).await?.team.id),
        None => None,
    };
    let owner = team.as_ref().map_or_else(|| OwnerId::from(&session.user.id), OwnerId::from);
    Ok(Tenant { owner, team, caller: Caller::Session(session) })
}

/// Requires a superuser session; anyone else gets 404.
pub async fn superuser() -> Result<(AppState, Session), AppError> {
    let (state, session) = optional_session().await?;
    Ok((state, session.filter(|session| session.user.superuser).ok_or(AppError::NotFound)?))
}

/// Like [`superuser`], but requires recent re-authentication.
pub async fn require_recent_superuser_auth() -> Result<(AppState, Session), AppError> {
    let (state, session) = superuser().await?;
    session.check_recent_auth(state.now())?;
    Ok((state, session))
}

/// Returns the session in a server function, if there is one.
///
/// # Errors
/// [`AppError::SessionRequired`] with a key, [`AppError::AccountChanged`] from a page of another account.
pub async fn optional_session() -> Result<(AppState, Option<Session>), AppError> {
    let (state, parts) = state_and_parts()?;
    let session = session_from_parts(&state, &parts).await?;
    Ok((state, session))
}

/// Like [`optional_session`], outside a server function.
pub async fn session_from_parts(state: &AppState, parts: &Parts) -> Result<Option<Session>, AppError> {
    let session = any_session_from_parts(state, parts).await?;
    if let Some(session) = &session {
        page_user::check(&parts.extensions, &session.user.id)?;
    }
    Ok(session)
}

/// Like [`session_from_parts`], but accepts a page of another account, so that every page can sign out.
pub async fn any_session_from_parts(state: &AppState, parts: &Parts) -> Result<Option<Session>, AppError> {
    if api_key_header::is_present_on_page(&parts.headers, state.config.api_key_header.as_ref()) {
        request_context::set_credential(Credential::Key);
        return Err(AppError::SessionRequired);
    }
    find_session(parts, state).await
}
