//! Runs Leptos server functions.

use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use leptos::prelude::provide_context;
use leptos::server_fn::axum::get_server_fn_service;
use std::borrow::Cow;

use super::error_response::set_retry_after;
use super::no_js::reauth::{self, Pending};
use super::no_js::{error_cookie, replay};
use super::pages::rerender_sign_in;
use super::ssr::account_changed;
use crate::error::{AppError, LastError};
use crate::model::redact::redact;
use crate::model::wire;
use crate::server::auth::origin;
use crate::server::db::retry;
use crate::server::denial_log::log_denied;
use crate::server::leptos_context::{accepts_html, accepts_wire};
use crate::server::state::AppState;

/// Runs a server function. The body is read first, because Leptos reads any amount.
pub async fn server_function(
    State(state): State<AppState>,
    mut parts: Parts,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let Ok(body) = body else { return AppError::ContentTooLarge.into_response() };
    // Leptos redirects a form without JavaScript to the Referer.
    let form_url = origin::login_form_url(&state.config, &parts.headers, parts.uri.path(), &body);
    let is_here = origin::is_same_site(&state.config, &parts.headers);
    let sent_by = parts.headers.remove(header::REFERER).filter(|_| is_here);
    if let Some(page) = form_url.or(sent_by) {
        parts.headers.insert(header::REFERER, without_keys(page));
    }
    if get_server_fn_service(parts.uri.path(), parts.method.clone()).is_none() {
        return AppError::NotFound.into_response();
    }
    let run = || {
        let request = Request::from_parts(parts.clone(), Body::from(body.clone()));
        let (state, failure) = (state.clone(), LastError::default());
        async {
            let provided = failure.clone();
            let provide = move || {
                provide_context(state.clone());
                provide_context(provided.clone());
            };
            (leptos_axum::handle_server_fns_with_context(provide, request).await.into_response(), failure)
        }
    };
    let is_unavailable = |(_, failure): &(_, LastError)| failure.get() == Some(&AppError::Unavailable);
    let (mut response, failure) = retry::repeat(run, is_unavailable).await;
    if let Some(error) = failure.get() {
        log_denied(&state, error);
    }
    if !accepts_html(&parts.headers) {
        if let Some(error) = failure.get() {
            set_status(&mut response, error);
            if accepts_wire(&parts.headers) {
                response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(wire::MEDIA_TYPE));
                return response.map(|_| Body::from(wire::encode(error)));
            }
        }
        return response;
    }
    let pending = parts.extensions.get::<Pending>();
    match failure.get().zip(pending) {
        Some((AppError::ReauthenticationRequired, pending)) => reauth::password_page(&state, Some(pending)),
        Some((AppError::AccountChanged, _)) => account_changed(&state, &parts),
        Some((error, Pending { form, .. })) => match replay::rerender_form(form, error) {
            Some((uri, form_error, seconds)) => {
                parts.uri = uri;
                parts.extensions.insert(form_error);
                let mut response = rerender_sign_in(state, parts).await;
                *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
                response
            }
            None => error_cookie::keep(&state.config, response, (form, error)),
        },
        None => without_empty_query(response),
    }
}

/// Removes the `?` without a query that Leptos leaves in the address of the page that sent a form.
fn without_empty_query(mut response: Response) -> Response {
    let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    let path = location.and_then(|location| HeaderValue::from_str(location.strip_suffix('?')?).ok());
    if let Some(path) = path {
        response.headers_mut().insert(header::LOCATION, path);
    }
    response
}

/// Removes the secrets of keys from a header value.
fn without_keys(value: HeaderValue) -> HeaderValue {
    let clean = value.to_str().ok().and_then(|text| match redact(text) {
        Cow::Borrowed(_) => None,
        Cow::Owned(clean) => HeaderValue::try_from(clean).ok(),
    });
    clean.unwrap_or(value)
}

/// Sets the status of the error; Leptos answers every failed server function with 500.
fn set_status(response: &mut Response, error: &AppError) {
    *response.status_mut() = error.status();
    set_retry_after(response.headers_mut(), error);
}
