//! Signing up, in and out, and entering the password again: where accounts, sessions and cookies meet.

use axum::http::request::Parts;
use axum::http::{HeaderName, header};
use secrecy::SecretString;

use super::client_ip::{client_ip, user_agent};
use super::device_cookie;
use super::login_throttle::{LoginAttempt, LoginScope};
use super::origin;
use super::password::{Whose as Hashed, check_not_too_long};
use super::sessions;
use super::sessions::Session;
use crate::error::AppError;
use crate::model::audit::Action;
use crate::model::fields::FieldErrors;
use crate::model::redact::contains_key;
use crate::model::users::{Email, User, browser_name};
use crate::server::audit;
use crate::server::audit::{Actor, AuditTarget};
use crate::server::auth;
use crate::server::config::Signup;
use crate::server::request_context;
use crate::server::state::AppState;
use crate::server::users;
use crate::server::users::{NewUser, Verified};

/// Makes an account, signs it in, and goes on to `next`.
///
/// # Errors
/// [`AppError::Invalid`] if the address or the password will not do, or accounts are made by an administrator only;
/// [`AppError::TooManyTries`] if too many come from one address.
pub async fn sign_up(email: String, password: SecretString, next: Option<String>) -> Result<(), AppError> {
    let (state, parts) = crate::server::leptos_context::state_and_parts()?;
    origin::check_https(&state.config, &parts.headers)?;
    if state.config.signup == Signup::Closed {
        let sentence = "Nobody can sign up here by themselves. Ask an administrator for an account.";
        return Err(FieldErrors::whole(sentence).into());
    }
    let email = Email::parse(&email).map_err(|sentence| FieldErrors::one("email", sentence))?;
    let (from, now) = (client_ip(&parts.extensions), state.now());
    state.login_throttle.admit_sign_up(from, state.config.sign_in_rate, now)?;
    let by = Actor { user: None, name: email.as_str().to_owned(), ip: audit::text(from), at: now };
    let new = NewUser { email, name: String::new(), superuser: false, password };
    let verified = users::create(&state.db, &state.passwords, new, &by).await?;
    begin_session(&state, &verified, None, next.as_deref()).await
}

/// Signs in, and goes on to `next`. An unknown address, a wrong password and a disabled account are one answer, take the same
/// time, and make the next try wait alike.
///
/// # Errors
/// [`AppError::Invalid`] if email and password do not belong together; [`AppError::TooManyTries`] if that was so too often, of
/// this address or on this account: then the password is not looked at.
pub async fn sign_in(email: String, password: SecretString, next: Option<String>) -> Result<(), AppError> {
    let (state, parts) = crate::server::leptos_context::state_and_parts()?;
    origin::check_https(&state.config, &parts.headers)?;
    let from = client_ip(&parts.extensions);
    let outcome = match check(&state, &parts, (&email, password)).await {
        Ok((verified, attempt)) => begin_session(&state, &verified, Some(attempt), next.as_deref()).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(()) => {
            state.login_throttle.give_back_sign_in(from);
            Ok(())
        }
        Err(error) => {
            // Not on which account: what was typed there may be a password.
            match &error {
                AppError::Invalid(_) => {
                    request_context::current_span()
                        .in_scope(|| tracing::info!(from = audit::text(from), "a sign-in failed"));
                }
                AppError::TooManyTries { .. } => {}
                _ => state.login_throttle.give_back_sign_in(from),
            }
            Err(error)
        }
    }
}

/// The one answer to an unknown address, a wrong password and a disabled account.
fn wrong() -> AppError {
    FieldErrors::whole("The email address or the password is wrong.").into()
}

/// Checks email and password, unless it is to wait.
async fn check(
    state: &AppState,
    parts: &Parts,
    (email, password): (&str, SecretString),
) -> Result<(Verified, LoginAttempt), AppError> {
    let (from, now) = (client_ip(&parts.extensions), state.now());
    check_not_too_long(&password, "password")?;
    state.login_throttle.admit_sign_in(from, state.config.sign_in_rate, now)?;
    let found = users::find_to_sign_in(&state.db, email).await?;
    let known = |(user, hash): &(User, String)| device_cookie::find(&state.config, &parts.headers, (&user.id, hash));
    let browser = found.as_ref().and_then(known);
    // An address can be typed in several forms; what fails by one of them counts for all.
    let typed = Email::to_find(email).map_or_else(|_| email.to_owned(), |email| email.as_str().to_owned());
    let account = found.as_ref().map_or(typed, |(user, _)| user.email.clone());
    let whose = browser.as_deref().map_or(LoginScope::Strangers(&account), LoginScope::Browser);
    let user = found.as_ref().map(|(user, _)| &user.id);
    let by = Actor { user: None, name: String::new(), ip: audit::text(from), at: now };
    let known = user.filter(|_| browser.is_some()).map(Hashed::User);
    let turn = state.passwords.turn(known.unwrap_or(Hashed::Account(email)), now)?;
    let attempt = LoginAttempt::begin(&state.db, (whose, user), &by).await?;
    match users::sign_in(&turn, found, password).await {
        Ok(Some(verified)) => Ok((verified, attempt)),
        Ok(None) => Err(wrong()),
        Err(error) => {
            attempt.take_back(&state.db).await;
            Err(error)
        }
    }
}

/// Changes the password of whoever is signed in. The browser stays one that the account knows.
///
/// # Errors
/// As [`users::change_password`].
pub async fn change_password(
    state: &AppState,
    session: &Session,
    (current, new): (SecretString, SecretString),
) -> Result<(), AppError> {
    let change = (current, new, state.now());
    let (secret, hash) = users::change_password(&state.db, &state.passwords, session, change).await?;
    crate::server::leptos_context::append_header(header::SET_COOKIE, &sessions::cookie(&state.config, &secret));
    know_browser(state, &session.user, &hash);
    Ok(())
}

fn know_browser(state: &AppState, user: &User, password_hash: &str) {
    if let Some(cookie) = device_cookie::cookie(&state.config, &user.id, password_hash) {
        crate::server::leptos_context::append_header(header::SET_COOKIE, &cookie);
    }
}

/// Ends the session of the request, if it has one, and goes to the first page.
///
/// # Errors
/// If the database does not answer: then the session goes on, and the browser keeps its cookie.
pub async fn sign_out() -> Result<(), AppError> {
    let (state, parts) = crate::server::leptos_context::state_and_parts()?;
    if let Some(session) = auth::any_session_from_parts(&state, &parts).await? {
        let mut tx = state.db.begin().await?;
        sessions::end(&mut tx, &session.id, &session.by(state.now())).await?;
        tx.commit().await?;
    }
    crate::server::leptos_context::append_header(header::SET_COOKIE, &sessions::no_cookie(&state.config));
    // Nor does the browser keep what it showed, as for the button "Back".
    crate::server::leptos_context::append_header(HeaderName::from_static("clear-site-data"), "\"cache\", \"storage\"");
    leptos_axum::redirect("/");
    Ok(())
}

/// Begins a session for the password that was checked, and only for that one: a password that was changed in the meantime
/// begins none. A session that was there before ends: a new sign-in has a new one (ASVS 5.0, 7.2.4).
async fn begin_session(
    state: &AppState,
    verified: &Verified,
    attempt: Option<LoginAttempt>,
    next: Option<&str>,
) -> Result<(), AppError> {
    let (_, parts) = crate::server::leptos_context::state_and_parts()?;
    let user = &verified.user;
    let by = Actor::user(user, client_ip(&parts.extensions), state.now());
    let old = sessions::find(&state.db, &state.config, &parts, by.at).await?;
    let agent = user_agent(&parts.headers);
    let mut tx = state.db.begin().await?;
    let hash = verified.lock(&mut tx).await?.ok_or_else(wrong)?;
    if let Some(old) = old {
        sessions::end(&mut tx, &old.id, &old.by(by.at)).await?;
    }
    if let Some(attempt) = attempt {
        attempt.succeed(&mut tx, (&user.id, &user.email)).await?;
    }
    let secret = sessions::create(&mut tx, &user.id, &agent, &by).await?;
    let detail = browser_name(&agent);
    let about = AuditTarget { user: Some(&user.id), subject: &user.email, detail, ..AuditTarget::default() };
    audit::record(&mut tx, &by, Action::SessionBegin, about).await?;
    tx.commit().await?;
    crate::server::leptos_context::append_header(header::SET_COOKIE, &sessions::cookie(&state.config, &secret));
    know_browser(state, user, &hash);
    leptos_axum::redirect(own_path(next).unwrap_or("/profile"));
    Ok(())
}

/// Takes the password of whoever is signed in once more: for [`sessions::CONFIRMED`] from now on it is not asked for.
///
/// # Errors
/// As [`confirm`].
pub async fn confirm_here(state: &AppState, session: &Session, password: SecretString) -> Result<(), AppError> {
    let cookie = confirm(state, session, password).await?;
    crate::server::leptos_context::append_header(header::SET_COOKIE, &cookie);
    Ok(())
}

/// The same outside a server function: gives the session's new cookie.
///
/// # Errors
/// [`AppError::Invalid`] at `password` if it is wrong, [`AppError::TooManyTries`] if it was so too often;
/// [`AppError::CredentialsMissing`] if the session has ended.
pub async fn confirm(state: &AppState, session: &Session, password: SecretString) -> Result<String, AppError> {
    check_not_too_long(&password, "password")?;
    let turn = state.passwords.turn(Hashed::User(&session.user.id), state.now())?;
    let wrong = || FieldErrors::one("password", "This is not your password.");
    let checked = users::check_password(&state.db, &turn, session, (password, state.now())).await?;
    let verified = checked.ok_or_else(wrong)?;
    let by = session.by(state.now());
    let mut tx = session.begin(&state.db).await?;
    if !users::has_password_hash(&mut tx, &session.user.id, &verified).await? {
        return Err(wrong().into());
    }
    let secret = sessions::confirm(&mut tx, session, by.at).await?;
    let about = AuditTarget { user: Some(&session.user.id), subject: &session.user.email, ..AuditTarget::default() };
    audit::record(&mut tx, &by, Action::SessionConfirm, about).await?;
    tx.commit().await?;
    Ok(sessions::cookie(&state.config, &secret))
}

/// A path of this site without a key in it, and nothing that a browser could take for another's.
pub fn own_path(next: Option<&str>) -> Option<&str> {
    next.filter(|path| {
        let ours = path.starts_with('/') && !path.starts_with("//") && !path.starts_with("/\\");
        ours && path.bytes().all(|b| b.is_ascii_graphic()) && !contains_key(path)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use url::Url;

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

    // `make fuzz` runs these for long.
    proptest! {
        #[test]
        fn what_is_let_through_is_on_this_site_for_every_browser(
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
        fn every_path_of_this_site_is_let_through(path in "/[a-z0-9-]{1,12}(/[a-z0-9-]{1,12}){0,3}(\\?[a-z]{1,5}=[a-z0-9%]{0,9})?") {
            prop_assert_eq!(own_path(Some(&path)), Some(path.as_str()));
        }
    }
}
