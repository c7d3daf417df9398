//! The guard of the administrators' pages, their searches, and the export of the audit log.

use axum::body::{Body, Bytes};
use axum::extract::rejection::RawFormRejection;
use axum::extract::{RawForm, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use url::form_urlencoded;

use super::page_request::SuperuserPage;
use super::pages::{admin_keys, not_found};
use super::ssr::account_changed;
use crate::error::AppError;
use crate::model::fields::FieldErrors;
use crate::model::redact::{contains_key, redact};
use crate::pages::QueryParams;
use crate::server::audit;
use crate::server::auth::key_format::search_term;
use crate::server::auth::{self, origin};
use crate::server::denial_log::log_denied;
use crate::server::request_context;
use crate::server::state::AppState;

/// Requires a superuser session; anyone else gets 404, whatever the method and the body.
pub async fn require_superuser(state: State<AppState>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match auth::session_from_parts(&state, &parts).await {
        Ok(Some(session)) if session.user.superuser => next.run(Request::from_parts(parts, body)).await,
        Err(error @ AppError::Unavailable) => error.into_response(),
        Err(AppError::AccountChanged) => account_changed(&state, &parts),
        visitor => {
            if let Ok(Some(session)) = visitor {
                request_context::set_user(&session.user);
            }
            log_denied(&state, &AppError::SuperuserRequired);
            not_found(state, parts).await
        }
    }
}

/// Searches `/admin/keys`. A pasted key stays in the body, and the response is the page. Any other search redirects to its
/// address.
pub async fn search_keys(
    State(state): State<AppState>,
    parts: Parts,
    form: Result<RawForm, RawFormRejection>,
) -> Result<Response, AppError> {
    let body = read_form(form)?;
    if !contains_key(&origin::form_field(&body, "search")) {
        return Ok(redirect_to_results(&parts, &body));
    }
    Ok(match SuperuserPage::read(state, parts).await {
        Ok(mut page) => {
            page.0.query = QueryParams(form_urlencoded::parse(&body).into_owned().collect());
            admin_keys(page).await
        }
        Err(rejection) => rejection.into_response(),
    })
}

/// Redirects a search to the URL of its results. The form uses POST because a browser would put a pasted key into the URL; only
/// the key's public prefix gets there.
pub async fn search(parts: Parts, form: Result<RawForm, RawFormRejection>) -> Result<Response, AppError> {
    Ok(redirect_to_results(&parts, &read_form(form)?))
}

fn read_form(form: Result<RawForm, RawFormRejection>) -> Result<Bytes, AppError> {
    match form {
        Ok(RawForm(body)) => Ok(body),
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(AppError::ContentTooLarge),
        Err(_) => Err(FieldErrors::whole("The form was not complete. Reload the page and fill it in again.").into()),
    }
}

fn redirect_to_results(parts: &Parts, body: &[u8]) -> Response {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(
        form_urlencoded::parse(body).map(|(name, value)| (redact(&name).into_owned(), search_term(&value))),
    );
    Redirect::to(&format!("{}?{}", parts.uri.path(), query.finish())).into_response()
}

/// Streams all audit events that match the search.
pub async fn audit_csv(SuperuserPage(page): SuperuserPage) -> Response {
    match audit::csv(page.state.db.clone(), page.query.audit_query()).await {
        Ok(csv) => {
            let kind = (header::CONTENT_TYPE, "text/csv; charset=utf-8");
            let name = (header::CONTENT_DISPOSITION, "attachment; filename=\"audit.csv\"");
            ([kind, name], Body::from_stream(csv)).into_response()
        }
        Err(error) => error.into_response(),
    }
}
