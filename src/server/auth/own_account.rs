//! What a user changes about the own account, where accounts, sessions and cookies meet: the email address, the deletion, and the
//! password by a one-time link.

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use axum_extra::extract::cookie::CookieJar;
use secrecy::SecretString;

use super::client_ip::client_ip;
use super::password::{SlotOwner, check_max_length};
use super::sessions;
use super::sessions::{Session, http_only_cookie};
use crate::error::AppError;
use crate::model::fields::FieldErrors;
use crate::model::users::{Email, User};
use crate::server::audit;
use crate::server::audit::Actor;
use crate::server::config::Config;
use crate::server::leptos_context::append_header;
use crate::server::state::AppState;
use crate::server::users;
use crate::server::users::resets;

/// Time to fill in the form after a link was opened. The link can be opened again.
const RESET_COOKIE_TTL: time::Duration = time::Duration::minutes(30);
/// Length of a token: 256 bits in hex.
const TOKEN_LENGTH: usize = 64;

/// Changes the email address of the signed-in user, and renews the session's cookie. A taken address gets the same answer as at
/// sign-up, so attempts count against the same limit.
///
/// # Errors
/// [`AppError::Invalid`] if a field is wrong, [`AppError::RateLimited`] for too many attempts.
pub async fn change_email(
    state: &AppState,
    session: &Session,
    email: &str,
    password: SecretString,
) -> Result<(), AppError> {
    let email = Email::parse(email).map_err(|sentence| FieldErrors::one("email", sentence))?;
    let verified = verify_password(state, session, password).await?;
    state.login_throttle.acquire_sign_up(session.ip, state.config.sign_in_rate, state.now())?;
    let secret = users::change_own_email(&state.db, session, &verified, &email, state.now()).await?;
    append_header(header::SET_COOKIE, &sessions::cookie(&state.config, &secret));
    Ok(())
}

/// Deletes the account of the signed-in user, and what the browser has stored of it.
///
/// # Errors
/// [`AppError::Invalid`] if the password is wrong, and as [`users::delete_own`].
pub async fn delete(state: &AppState, session: &Session, password: SecretString) -> Result<(), AppError> {
    let verified = verify_password(state, session, password).await?;
    users::delete_own(state, session, &verified).await?;
    append_header(header::SET_COOKIE, &sessions::removal_cookie(&state.config));
    append_header(HeaderName::from_static("clear-site-data"), "\"cache\", \"storage\"");
    Ok(())
}

/// Returns the stored hash if the password is the session user's.
async fn verify_password(state: &AppState, session: &Session, password: SecretString) -> Result<String, AppError> {
    check_max_length(&password, "password")?;
    let slot = state.passwords.take_slot(SlotOwner::User(&session.user.id), state.now())?;
    let checked = users::check_password(&state.db, &slot, session, password, state.now()).await?;
    checked.ok_or_else(|| FieldErrors::one("password", users::WRONG_PASSWORD).into())
}

fn reset_cookie_name(config: &Config) -> &'static str {
    if config.https() { "__Host-keyfob_reset" } else { "keyfob_reset" }
}

/// Returns the `Set-Cookie` value that keeps the token of a link while its form is open. Text that is no token removes it.
pub fn reset_cookie(config: &Config, token: &str) -> String {
    let is_token = token.len() == TOKEN_LENGTH && token.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let (value, max_age) = if is_token { (token, RESET_COOKIE_TTL) } else { ("", time::Duration::ZERO) };
    http_only_cookie(config, reset_cookie_name(config), value.to_owned(), max_age)
}

/// A link that works, and its user.
pub struct OpenReset {
    pub user: User,
    token: SecretString,
}

/// Returns the link in the cookie of a request. Wrong tokens count as failed sign-ins of the client address.
///
/// # Errors
/// [`AppError::RateLimited`] after too many wrong tokens.
pub async fn find_reset(state: &AppState, parts: &Parts) -> Result<Option<OpenReset>, AppError> {
    let Some(token) = token_of(&state.config, &parts.headers) else { return Ok(None) };
    let (ip, now) = (client_ip(&parts.extensions), state.now());
    state.login_throttle.acquire_sign_in(ip, state.config.sign_in_rate, now)?;
    let found = resets::find_by_token(&state.db, &token, now).await;
    if !matches!(found, Ok(None)) {
        state.login_throttle.release_sign_in(ip);
    }
    Ok(found?.map(|user| OpenReset { user, token }))
}

fn token_of(config: &Config, headers: &HeaderMap) -> Option<SecretString> {
    let jar = CookieJar::from_headers(headers);
    let cookie = jar.get(reset_cookie_name(config)).filter(|cookie| cookie.value().len() == TOKEN_LENGTH)?;
    Some(cookie.value().into())
}

/// Sets the password of a link's user, and ends the link and all sessions. Returns false if the link no longer works.
///
/// # Errors
/// [`AppError::Invalid`] at `new` if the password is weak, [`AppError::Unavailable`] if the password queue is full.
pub async fn reset_password(
    state: &AppState,
    parts: &Parts,
    OpenReset { user, token }: OpenReset,
    new: SecretString,
) -> Result<bool, AppError> {
    check_max_length(&new, "new")?;
    let slot = state.passwords.take_slot(SlotOwner::User(&user.id), state.now())?;
    let hash = slot.hash(new, "new", user.email.clone()).await?;
    drop(slot);
    let ip = audit::text(client_ip(&parts.extensions));
    let by = Actor { user: None, name: "a reset link".to_owned(), ip, at: state.now() };
    resets::set_password_by_token(&state.db, &user, &token, &hash, &by).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::config::tests::config;

    #[test]
    fn cookie_keeps_a_token_and_nothing_else() {
        let config = config("https://keys.example.com").unwrap();
        let token = "0123456789abcdef".repeat(4);
        let cookie = reset_cookie(&config, &token);
        assert!(
            cookie.starts_with(&format!("__Host-keyfob_reset={token};")) && cookie.contains("Max-Age=1800"),
            "{cookie}"
        );
        for junk in ["", "abc", &token[1..], &format!("{token}0"), &token.replace('f', "g"), &token.to_uppercase()] {
            let cookie = reset_cookie(&config, junk);
            assert!(cookie.starts_with("__Host-keyfob_reset=;") && cookie.contains("Max-Age=0"), "{junk}: {cookie}");
        }
    }
}
