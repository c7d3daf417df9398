//! One-time reset links: `/reset-password`, and the form with which an administrator makes one.
//!
//! The token of a link is in its query, so that it works without JavaScript. The first response moves it into a cookie and redirects
//! to the bare path: the address that the browser shows, keeps in its history and could send as `Referer` has no token
//! (OWASP Forgot Password Cheat Sheet). The server's log has no queries.

use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum_extra::extract::{Form, FormRejection};
use secrecy::ExposeSecret;
use serde::Deserialize;

use super::error_response::error_page;
use super::no_js::reauth;
use super::page_request::{PublicPage, SuperuserPage};
use super::ssr::html_response;
use crate::error::AppError;
use crate::model::fields::FieldErrors;
use crate::pages::reset_password::{NewResetLink, ResetLinkDocument, ResetPasswordDocument};
use crate::server::auth::own_account::{find_reset, reset_cookie, reset_password};
use crate::server::db::retry;
use crate::server::state::AppState;
use crate::server::users::resets;

const PATH: &str = "/reset-password";

/// Shows the form of the link in the browser's cookie, or takes a link that was opened.
pub async fn show(PublicPage { state, query, parts, .. }: PublicPage) -> Response {
    let response = match query.get(resets::TOKEN) {
        Some(token) => redirect(PATH, &reset_cookie(&state.config, &token)),
        None => match find_reset(&state, &parts).await {
            Ok(found) => document(&state, found.map(|open| open.user.email), None),
            Err(error) => error_page(&state, &error, None),
        },
    };
    without_referrer(&state, response)
}

/// The form for a new password.
#[derive(Deserialize)]
pub struct NewPasswordForm {
    new: String,
}

/// Sets the password. It signs nobody in: the person signs in with the new password.
pub async fn submit(
    State(state): State<AppState>,
    parts: Parts,
    form: Result<Form<NewPasswordForm>, FormRejection>,
) -> Response {
    let response = match form {
        Ok(Form(NewPasswordForm { new })) => set_password(&state, &parts, new).await,
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            error_page(&state, &AppError::ContentTooLarge, None)
        }
        Err(_) => refused(&state, None, &FieldErrors::whole("The form was not complete. Open the link again.").into()),
    };
    without_referrer(&state, response)
}

async fn set_password(state: &AppState, parts: &Parts, new: String) -> Response {
    let unusable = || refused(state, None, &FieldErrors::whole("The reset link doesn't work.").into());
    let open = match find_reset(state, parts).await {
        Ok(Some(open)) => open,
        Ok(None) => return unusable(),
        Err(error) => return error_page(state, &error, None),
    };
    let email = open.user.email.clone();
    match reset_password(state, parts, open, new.into()).await {
        Ok(true) => redirect("/sign-in?done=reset", &reset_cookie(&state.config, "")),
        Ok(false) => unusable(),
        Err(error @ AppError::Invalid(_)) => refused(state, Some(email), &error),
        Err(error) => error_page(state, &error, None),
    }
}

fn document(state: &AppState, email: Option<String>, error: Option<&AppError>) -> Response {
    html_response(state, error, || ResetPasswordDocument(email, error.cloned(), state.site.stylesheet()))
}

fn refused(state: &AppState, email: Option<String>, error: &AppError) -> Response {
    document(state, email, Some(error))
}

fn redirect(path: &'static str, cookie: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, path), (header::SET_COOKIE, cookie)]).into_response()
}

/// Keeps the address of a response out of `Referer`. With this policy, browsers send `Origin: null` with the form and
/// `Sec-Fetch-Site` only over https and on loopback; over plain http, the form would be rejected as another site's.
fn without_referrer(state: &AppState, mut response: Response) -> Response {
    if response.status().is_redirection() || state.config.is_trustworthy() {
        response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    }
    response
}

/// The form of an administrator: the id of a user.
#[derive(Deserialize)]
pub struct ResetLinkForm {
    id: String,
}

/// Makes a link and shows it, this once. There is no redirect, because the link would have to be stored on the way.
pub async fn create_link(
    State(state): State<AppState>,
    parts: Parts,
    form: Result<Form<ResetLinkForm>, FormRejection>,
) -> Response {
    let pending = parts.extensions.get().cloned();
    let session = match SuperuserPage::read(state.clone(), parts).await {
        Ok(SuperuserPage(page)) => page.session,
        Err(rejection) => return rejection.into_response(),
    };
    if session.check_recent_auth(state.now()).is_err() {
        return reauth::password_page(&state, pending.as_ref());
    }
    let id = form.map(|Form(form)| form.id).unwrap_or_default();
    let create = || resets::create_link_as_superuser(&state, &session, &id);
    let made = retry::repeat(create, Result::is_err).await;
    let error = made.as_ref().err().cloned();
    let made = made.map(|link| NewResetLink {
        email: link.email,
        url: link.url.expose_secret().to_owned(),
        expires_at: link.expires_at,
    });
    html_response(&state, error.as_ref(), || ResetLinkDocument(made, state.site.stylesheet()))
}
