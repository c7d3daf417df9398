//! Signing up, in and out, and re-authentication: where users, sessions and cookies meet.

use std::net::IpAddr;

use axum::http::request::Parts;
use axum::http::{HeaderName, header};
use secrecy::SecretString;

use super::client_ip::{client_ip, user_agent};
use super::login_attempt::{LoginAttempt, LoginScope};
use super::password::{SlotOwner, check_max_length};
use super::sessions::Session;
use super::{device_cookie, guards, origin, sessions};
use crate::error::AppError;
use crate::model::audit::Action;
use crate::model::fields::FieldErrors;
use crate::model::redact::contains_key;
use crate::model::users::{Email, User, browser_name};
use crate::server::audit;
use crate::server::audit::{Actor, AuditTarget};
use crate::server::config::Signup;
use crate::server::leptos_context::{append_header, state_and_parts};
use crate::server::request_context;
use crate::server::state::AppState;
use crate::server::users;
use crate::server::users::{NewUser, Verified};

/// Creates a user, signs in, and redirects to `next`.
///
/// # Errors
/// [`AppError::Invalid`] if a field is wrong or sign-up is closed; [`AppError::RateLimited`] for too many sign-ups from one
/// address.
pub async fn sign_up(email: String, password: SecretString, next: Option<String>) -> Result<(), AppError> {
    let (state, parts) = state_and_parts()?;
    origin::check_https(&state.config, &parts.headers)?;
    if state.config.signup == Signup::Closed {
        return Err(FieldErrors::whole("Sign-up is closed. Ask an administrator for an account.").into());
    }
    let email = Email::parse(&email).map_err(|sentence| FieldErrors::one("email", sentence))?;
    let (ip, now) = (client_ip(&parts.extensions), state.now());
    state.login_throttle.acquire_sign_up(ip, state.config.sign_in_rate, now)?;
    let by = Actor { user: None, name: email.as_str().to_owned(), ip: audit::text(ip), at: now };
    let new = NewUser { email, name: String::new(), superuser: false, password };
    let verified = users::create(&state.db, &state.passwords, new, &by).await?;
    begin_session(&state, &verified, None, next.as_deref()).await
}

/// Signs in and redirects to `next`. An unknown address, a wrong password and a disabled account get the same answer in the
/// same time, and the same delay.
///
/// # Errors
/// [`AppError::Invalid`] if email and password don't match; [`AppError::RateLimited`] after too many failures of this address
/// or account, without a password check.
pub async fn sign_in(email: String, password: SecretString, next: Option<String>) -> Result<(), AppError> {
    let (state, parts) = state_and_parts()?;
    origin::check_https(&state.config, &parts.headers)?;
    let ip = client_ip(&parts.extensions);
    let outcome = match verify_credentials(&state, &parts, &email, password).await {
        Ok((verified, attempt)) => begin_session(&state, &verified, Some(attempt), next.as_deref()).await,
        Err(error) => Err(error),
    };
    match &outcome {
        Err(AppError::Invalid(_)) => log_failed_sign_in(ip),
        Err(AppError::RateLimited { .. }) => {}
        _ => state.login_throttle.release_sign_in(ip),
    }
    outcome
}

/// Logs a failed sign-in without the typed address, which can be a password.
fn log_failed_sign_in(ip: Option<IpAddr>) {
    request_context::current_span().in_scope(|| tracing::info!(from = audit::text(ip), "sign-in failed"));
}

/// Returns the one answer to an unknown address, a wrong password and a disabled account.
fn wrong_credentials() -> AppError {
    FieldErrors::whole("The email address or the password is wrong.").into()
}

/// Checks email and password, unless the attempt is throttled.
async fn verify_credentials(
    state: &AppState,
    parts: &Parts,
    typed_email: &str,
    password: SecretString,
) -> Result<(Verified, LoginAttempt), AppError> {
    let (ip, now) = (client_ip(&parts.extensions), state.now());
    check_max_length(&password, "password")?;
    state.login_throttle.acquire_sign_in(ip, state.config.sign_in_rate, now)?;
    let candidate = users::find_sign_in_candidate(&state.db, typed_email).await?;
    let user = candidate.as_ref().map(|candidate| &candidate.user);
    let device = candidate.as_ref().and_then(|candidate| {
        device_cookie::verify(&state.config, &parts.headers, &candidate.user.id, &candidate.password_hash)
    });
    // All forms of one address share their failures.
    let email = match user {
        Some(user) => user.email.clone(),
        None => Email::to_find(typed_email).map_or_else(|_| typed_email.to_owned(), |email| email.as_str().to_owned()),
    };
    let scope = device.as_deref().map_or(LoginScope::Strangers(&email), LoginScope::Browser);
    let user = user.map(|user| &user.id);
    let owner = user.filter(|_| device.is_some()).map_or(SlotOwner::Email(typed_email), SlotOwner::User);
    let slot = state.passwords.take_slot(owner, now)?;
    let by = Actor { user: None, name: String::new(), ip: audit::text(ip), at: now };
    let attempt = LoginAttempt::begin(&state.db, scope, user, &by).await?;
    match users::verify_password(&state.db, &slot, candidate, password).await {
        Ok(Some(verified)) => Ok((verified, attempt)),
        Ok(None) => Err(wrong_credentials()),
        Err(error) => {
            attempt.cancel(&state.db).await;
            Err(error)
        }
    }
}

/// Changes the password of the signed-in user, and renews the session and device cookies.
pub async fn change_password(
    state: &AppState,
    session: &Session,
    current: SecretString,
    new: SecretString,
) -> Result<(), AppError> {
    let changed = users::change_password(&state.db, &state.passwords, session, current, new, state.now()).await?;
    append_header(header::SET_COOKIE, &sessions::cookie(&state.config, &changed.session_secret));
    set_device_cookie(state, &session.user, &changed.password_hash);
    Ok(())
}

fn set_device_cookie(state: &AppState, user: &User, password_hash: &str) {
    if let Some(cookie) = device_cookie::create(&state.config, &user.id, password_hash) {
        append_header(header::SET_COOKIE, &cookie);
    }
}

/// Ends the session of the request, if it has one, and redirects to the home page. If the database is unavailable, the session
/// and its cookie stay.
pub async fn sign_out() -> Result<(), AppError> {
    let (state, parts) = state_and_parts()?;
    if let Some(session) = guards::any_session_from_parts(&state, &parts).await? {
        let mut tx = state.db.begin().await?;
        sessions::end(&mut tx, &session.id, &session.actor(state.now())).await?;
        tx.commit().await?;
    }
    append_header(header::SET_COOKIE, &sessions::removal_cookie(&state.config));
    // Clears the cached pages, so that Back shows none of them.
    append_header(HeaderName::from_static("clear-site-data"), "\"cache\", \"storage\"");
    leptos_axum::redirect("/");
    Ok(())
}

/// Begins a session for the password that was checked; fails if the password changed meanwhile. Ends the browser's earlier
/// session, because each sign-in gets a new one (ASVS 5.0, 7.2.4).
async fn begin_session(
    state: &AppState,
    verified: &Verified,
    attempt: Option<LoginAttempt>,
    next: Option<&str>,
) -> Result<(), AppError> {
    let (_, parts) = state_and_parts()?;
    let user = &verified.user;
    let by = Actor::user(user, client_ip(&parts.extensions), state.now());
    let earlier = sessions::find(&state.db, &state.config, &parts, by.at).await?;
    let agent = user_agent(&parts.headers);
    let mut tx = state.db.begin().await?;
    let hash = verified.lock(&mut tx).await?.ok_or_else(wrong_credentials)?;
    if let Some(earlier) = earlier {
        sessions::end(&mut tx, &earlier.id, &earlier.actor(by.at)).await?;
    }
    if let Some(attempt) = attempt {
        attempt.succeed(&mut tx, &user.id, &user.email).await?;
    }
    let secret = sessions::create(&mut tx, &user.id, &agent, &by).await?;
    let detail = browser_name(&agent);
    let target = AuditTarget { user: Some(&user.id), subject: &user.email, detail, ..AuditTarget::default() };
    audit::record(&mut tx, &by, Action::SessionBegin, target).await?;
    tx.commit().await?;
    append_header(header::SET_COOKIE, &sessions::cookie(&state.config, &secret));
    set_device_cookie(state, user, &hash);
    leptos_axum::redirect(own_path(next).unwrap_or("/profile"));
    Ok(())
}

/// Re-authenticates the signed-in user for [`sessions::REAUTH_WINDOW`], and sets the session's new cookie.
pub async fn reauthenticate(state: &AppState, session: &Session, password: SecretString) -> Result<(), AppError> {
    let cookie = reauthentication_cookie(state, session, password).await?;
    append_header(header::SET_COOKIE, &cookie);
    Ok(())
}

/// Like [`reauthenticate`], but returns the cookie, for requests outside a server function.
///
/// # Errors
/// [`AppError::Invalid`] at `password` if it is wrong, [`AppError::RateLimited`] after too many wrong ones,
/// [`AppError::CredentialsMissing`] if the session has ended.
pub async fn reauthentication_cookie(
    state: &AppState,
    session: &Session,
    password: SecretString,
) -> Result<String, AppError> {
    check_max_length(&password, "password")?;
    let slot = state.passwords.take_slot(SlotOwner::User(&session.user.id), state.now())?;
    let wrong = || FieldErrors::one("password", users::WRONG_PASSWORD);
    let checked = users::check_password(&state.db, &slot, session, password, state.now()).await?;
    let hash = checked.ok_or_else(wrong)?;
    let by = session.actor(state.now());
    let mut tx = session.begin(&state.db).await?;
    if !users::has_password_hash(&mut tx, &session.user.id, &hash).await? {
        return Err(wrong().into());
    }
    let secret = sessions::renew(&mut tx, session, by.at).await?;
    let target = AuditTarget { user: Some(&session.user.id), subject: &session.user.email, ..AuditTarget::default() };
    audit::record(&mut tx, &by, Action::SessionConfirm, target).await?;
    tx.commit().await?;
    Ok(sessions::cookie(&state.config, &secret))
}

/// Returns `next` if it is a path of this site for every browser and contains no key.
pub fn own_path(next: Option<&str>) -> Option<&str> {
    next.filter(|path| {
        let is_local = path.starts_with('/') && !path.starts_with("//") && !path.starts_with("/\\");
        is_local && path.bytes().all(|b| b.is_ascii_graphic()) && !contains_key(path)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use url::Url;

    use super::*;

    #[test]
    fn only_paths_of_this_site_are_followed() {
        assert_eq!(own_path(Some("/employees?page=2")), Some("/employees?page=2"));
        for other in
            ["", "profile", "//evil.example", "/\\evil.example", "https://evil.example", "/a\r\nb", "/\t/evil.example"]
        {
            assert_eq!(own_path(Some(other)), None, "{other:?}");
        }
    }

    // `make fuzz` runs these with many more cases.
    proptest! {
        #[test]
        fn accepted_path_is_on_this_site_in_every_browser(
            raw in r"/?(/|[\\\\/.@:?#%&\t\r\n ]|[!-~]|\PC|http|https|evil\.example|%2f|%5c|javascript){0,12}"
        ) {
            for here in ["http://localhost:8000/sign-in?next=x", "https://keys.example.com/fn/sign_in"] {
                let here = Url::parse(here).unwrap();
                if let Some(path) = own_path(Some(&raw)) {
                    let there = here.join(path).unwrap();
                    prop_assert_eq!((there.origin(), there.username()), (here.origin(), ""));
                }
            }
        }

        #[test]
        fn every_path_of_this_site_is_accepted(path in "/[a-z0-9-]{1,12}(/[a-z0-9-]{1,12}){0,3}(\\?[a-z]{1,5}=[a-z0-9%]{0,9})?") {
            prop_assert_eq!(own_path(Some(&path)), Some(path.as_str()));
        }
    }
}
