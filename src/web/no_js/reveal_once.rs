//! Creating and rotating a key. The response shows the key, this once: as data for the program of the page, which puts it into a
//! dialog, and as a document without JavaScript.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::{Form, FormRejection};

use super::error_cookie::{self, NoJsError};
use super::reauth::{self, Pending};
use crate::error::AppError;
use crate::model::fields::FieldErrors;
use crate::model::keys::{KeyForm, KeyId, NewKey, RotateForm};
use crate::model::link::link;
use crate::pages::keys;
use crate::pages::keys::reveal::{NewKeyDocument, NewKeyLinks};
use crate::server::db::retry;
use crate::server::leptos_context::accepts_wire;
use crate::server::state::AppState;
use crate::web::ssr::{html_response, with_leptos_context};
use crate::web::wire::Wire;

/// Handles the form "Create API key". There is no redirect, because the key would have to be stored on the way.
pub async fn create_key(
    State(state): State<AppState>,
    parts: Parts,
    form: Result<Form<KeyForm>, FormRejection>,
) -> Response {
    let for_user = form.as_ref().is_ok_and(|form| !form.owner.is_empty());
    let page = if for_user { "/admin/keys" } else { "/profile" };
    let links = NewKeyLinks { form: format!("{page}?create="), page };
    show_once(state, parts, form.map(|Form(form)| move || keys::create_key(form.clone())), links).await
}

/// Handles the form "Rotate".
pub async fn rotate_key(
    State(state): State<AppState>,
    parts: Parts,
    form: Result<Form<RotateForm>, FormRejection>,
) -> Response {
    let id = form.as_ref().map(|form| form.id.clone()).unwrap_or_default();
    let form_link = format!("/profile?rotate={}", if KeyId::parse(&id).is_some() { &id } else { "" });
    let links = NewKeyLinks { form: form_link, page: "/profile" };
    show_once(state, parts, form.map(|Form(form)| move || keys::rotate_key(form.clone())), links).await
}

async fn show_once<F: Future<Output = Result<NewKey, AppError>>>(
    state: AppState,
    parts: Parts,
    call: Result<impl Fn() -> F, FormRejection>,
    links: NewKeyLinks,
) -> Response {
    let (origin, stylesheet) = (state.config.origin(), state.site.stylesheet());
    let pending: Option<Pending> = parts.extensions.get().cloned();
    let page = links.form.clone();
    let is_document = !accepts_wire(&parts.headers);
    let made = match call {
        Ok(call) => with_leptos_context(state.clone(), parts, retry::repeat(call, Result::is_err)).await,
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(AppError::ContentTooLarge),
        Err(_) => Err(FieldErrors::whole("The form was not complete. Reload the page and fill it in again.").into()),
    };
    if !is_document {
        return match made {
            Ok(new) => Wire(new).into_response(),
            Err(error) => error.into_response(),
        };
    }
    match made {
        Err(AppError::CredentialsMissing) => {
            return Redirect::to(&link("/sign-in", [("next", links.form.as_str())])).into_response();
        }
        Err(AppError::ReauthenticationRequired) => return reauth::password_page(&state, pending.as_ref()),
        _ => {}
    }
    let refusal = made.as_ref().err().cloned();
    let mut response = html_response(&state, refusal.as_ref(), || NewKeyDocument(made, origin, stylesheet, links));
    // For "Back to the form".
    if let Some((error, pending)) = refusal.zip(pending) {
        error_cookie::set(&state.config, &mut response, NoJsError::new(&error, &page, &pending.form));
    }
    response
}
