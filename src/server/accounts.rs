//! Signing up, in and out: where accounts, sessions and cookies meet.

use axum::http::header;
use secrecy::SecretString;

use super::auth::{self, sessions};
use super::config::Signup;
use super::state::AppState;
use super::users::{self, NewUser};
use crate::error::AppError;
use crate::model::fields::FieldErrors;
use crate::model::users::{Email, User};

/// The longest user agent that is kept, in characters.
const USER_AGENT_MAX: usize = 200;

/// Makes an account, signs it in, and goes on to `next`.
///
/// # Errors
/// [`AppError::Invalid`] if the address or the password will not do, or accounts are made by an administrator only.
pub async fn sign_up(email: String, password: SecretString, next: Option<String>) -> Result<(), AppError> {
    let (state, _) = super::request()?;
    if state.config.signup == Signup::Closed {
        let sentence = "Nobody can sign up here by themselves. Ask an administrator for an account.";
        return Err(FieldErrors::whole(sentence).into());
    }
    let email = Email::parse(&email).map_err(|sentence| FieldErrors::one("email", sentence))?;
    let new = NewUser { email, name: String::new(), superuser: false, password };
    let user = users::create(&state.db, &state.passwords, new, state.now()).await?;
    begin_session(&state, &user, next.as_deref()).await
}

/// Signs in, and goes on to `next`.
///
/// # Errors
/// [`AppError::Invalid`] if email and password do not belong together.
pub async fn sign_in(email: String, password: SecretString, next: Option<String>) -> Result<(), AppError> {
    let (state, _) = super::request()?;
    let user = users::sign_in(&state.db, &state.passwords, &email, password).await?;
    begin_session(&state, &user, next.as_deref()).await
}

/// Ends the session of the request, if it has one, and goes to the first page.
///
/// # Errors
/// If the database does not answer: then the session goes on, and the browser keeps its cookie.
pub async fn sign_out() -> Result<(), AppError> {
    let (state, session) = auth::visitor().await?;
    if let Some(session) = session {
        sessions::end(&state.db, &session.user.id, &session.id).await?;
    }
    super::answer_with(header::SET_COOKIE, &sessions::no_cookie(&state.config));
    leptos_axum::redirect("/");
    Ok(())
}

/// A session that was there before ends: a new sign-in has a new one (ASVS 5.0, 7.2.4).
async fn begin_session(state: &AppState, user: &User, next: Option<&str>) -> Result<(), AppError> {
    let (_, parts) = super::request()?;
    if let Some(old) = sessions::find(&state.db, &state.config, &parts.headers, state.now()).await? {
        sessions::end(&state.db, &old.user.id, &old.id).await?;
    }
    let agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let agent: String = agent.chars().take(USER_AGENT_MAX).collect();
    let secret = sessions::create(&state.db, &user.id, &agent, state.now()).await?;
    super::answer_with(header::SET_COOKIE, &sessions::cookie(&state.config, &secret));
    leptos_axum::redirect(own_path(next).unwrap_or("/profile"));
    Ok(())
}

/// A path of this site, and nothing that a browser could take for another's.
fn own_path(next: Option<&str>) -> Option<&str> {
    next.filter(|path| {
        let ours = path.starts_with('/') && !path.starts_with("//") && !path.starts_with("/\\");
        ours && path.bytes().all(|b| b.is_ascii_graphic())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_signing_in_one_stays_on_this_site() {
        assert_eq!(own_path(Some("/employees?page=2")), Some("/employees?page=2"));
        for other in
            ["", "profile", "//evil.example", "/\\evil.example", "https://evil.example", "/a\r\nb", "/\t/evil.example"]
        {
            assert_eq!(own_path(Some(other)), None, "{other:?}");
        }
    }
}
