//! The session of a request, looked up once.

use std::sync::Arc;

use axum::http::request::Parts;
use tokio::sync::OnceCell;

use super::sessions;
use super::sessions::Session;
use crate::error::AppError;
use crate::server::metrics::labels::Credential;
use crate::server::request_context;
use crate::server::state::AppState;

/// Caches the session for one request, because several guards and parts of a page need it.
#[derive(Clone, Debug, Default)]
pub struct SessionMemo(Arc<OnceCell<Option<Session>>>);

impl SessionMemo {
    /// Holds a session that is already known.
    pub fn with(session: Session) -> Self {
        Self(Arc::new(OnceCell::new_with(Some(Some(session)))))
    }

    /// Returns the email address of the user, if the session was looked up and there is one.
    pub fn email(&self) -> Option<&str> {
        Some(&self.0.get()?.as_ref()?.user.email)
    }
}

/// Returns the live session of a request, from its [`SessionMemo`] if it has one.
pub(super) async fn find_session(parts: &Parts, state: &AppState) -> Result<Option<Session>, AppError> {
    let find = || sessions::find(&state.db, &state.config, parts, state.now());
    let session = match parts.extensions.get::<SessionMemo>() {
        Some(memo) => memo.0.get_or_try_init(find).await.cloned(),
        None => find().await,
    }?;
    if session.is_some() {
        request_context::set_credential(Credential::Session);
    }
    Ok(session)
}
