//! Server-side rendering of pages.

use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use leptos::nonce::Nonce;
use leptos::prelude::{IntoView, Owner, provide_context};
use leptos::reactive::computed::ScopedFuture;

use super::error_response::{error_page, render};
use super::middleware::security_headers;
use crate::app::shell;
use crate::error::AppError;
use crate::pages::{Page, PageData};
use crate::server::auth::{self, origin};
use crate::server::denial_log::log_denied;
use crate::server::request_context::{self, ErrorFormat};
use crate::server::state::AppState;

/// Responds to a request from a page that was rendered for another account.
pub fn account_changed(state: &AppState, parts: &Parts) -> Response {
    let error = AppError::AccountChanged;
    let format = request_context::error_format();
    if format != ErrorFormat::Page {
        return render(state, &error, format);
    }
    let page = origin::referrer(&parts.headers).filter(|_| origin::is_same_site(&state.config, &parts.headers));
    let back = page.map(|page| origin::return_path(page.path(), page.query()));
    error_page(state, &error, back)
}

/// Renders a page without streaming: a streamed response commits to 200 before a guard can redirect.
pub fn render_page(state: &AppState, data: PageData) -> Response {
    let error = matches!(data.page, Page::NotFound).then_some(&AppError::NotFound);
    html_response(state, error, || shell(&state.site.options, &state.site.version, data))
}

/// Runs a server function for a request to another path.
pub fn with_leptos_context<F: Future>(state: AppState, parts: Parts, call: F) -> impl Future<Output = F::Output> {
    Owner::new().with(|| {
        provide_context(state);
        provide_context(parts);
        ScopedFuture::new(call)
    })
}

/// Responds with a document, and with the status and headers of an error where it shows one. The document and its content
/// security policy share a nonce.
pub fn html_response<V: IntoView>(state: &AppState, error: Option<&AppError>, view: impl FnOnce() -> V) -> Response {
    let nonce = Nonce::from_value(auth::random::make_nonce());
    let policy = security_headers::page_policy(&nonce, &state.config);
    let html = Owner::new().with(|| {
        provide_context(nonce);
        provide_context(request_context::theme());
        view().to_html()
    });
    let status = error.map_or(StatusCode::OK, AppError::status);
    let mut response = (status, Html(format!("<!DOCTYPE html>{html}"))).into_response();
    if let Some(policy) = policy {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    if let Some(error) = error {
        log_denied(state, error);
        if let Some(seconds) = error.retry_after() {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
    }
    response
}
