//! Who is calling: the only place that decides it. An endpoint names one of these types in its signature, and is
//! protected by that.

pub mod credentials;
pub mod password;
pub mod secrets;
pub mod sessions;

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use tokio::sync::OnceCell;

use self::sessions::Session;
use super::keys;
use super::state::AppState;
use crate::error::AppError;
use crate::model::keys::{Access, KeyFacts};
use crate::model::users::User;

/// Whoever is behind a request to the API: a session or a key, either will do, and `user()` is the same for both.
///
/// A request that carries a key is decided by the key alone; its cookie is not looked at. A key that may only read is
/// refused here for every method but GET, HEAD and OPTIONS, so that no endpoint can forget it.
#[derive(Clone, Debug)]
pub enum Caller {
    /// Signed in with a browser.
    Session(User),
    /// With a key of this user.
    Key {
        /// Whose key it is.
        user: User,
        /// The key.
        key: KeyFacts,
    },
}

impl Caller {
    /// The user that the request acts as.
    #[must_use]
    pub const fn user(&self) -> &User {
        match self {
            Self::Session(user) | Self::Key { user, .. } => user,
        }
    }
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = AppError;

    /// # Errors
    /// Each refusal of 401, 400 `credentials_ambiguous` and 403 `scope_missing` that the list of errors has.
    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, AppError> {
        let Some(presented) = credentials::key(&parts.headers, state.config.api_key_header.as_ref())? else {
            let session = session_of(parts, state).await?;
            return session.map(|session| Self::Session(session.user)).ok_or(AppError::CredentialsMissing);
        };
        let (user, key) = keys::authenticate(&state.db, &presented, state.now()).await?;
        if key.access == Access::ReadOnly && !parts.method.is_safe() {
            return Err(AppError::ScopeMissing("employees:write".to_owned()));
        }
        Ok(Self::Key { user, key })
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

/// The same, where it is no error to have no session.
///
/// # Errors
/// [`AppError::SessionRequired`] beside a key, and if the database does not answer.
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
    if credentials::has_key(&parts.headers, state.config.api_key_header.as_ref()) {
        return Err(AppError::SessionRequired);
    }
    session_of(parts, state).await
}

/// Remembers the session for the time of one request, so that a page with several parts looks it up once.
#[derive(Clone, Debug, Default)]
pub struct SessionMemo(Arc<OnceCell<Option<Session>>>);

async fn session_of(parts: &Parts, state: &AppState) -> Result<Option<Session>, AppError> {
    let find = || sessions::find(&state.db, &state.config, &parts.headers, state.now());
    match parts.extensions.get::<SessionMemo>() {
        Some(memo) => memo.0.get_or_try_init(find).await.cloned(),
        None => find().await,
    }
}
