//! The Leptos context of the running server function: its request, and what it adds to the response.

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use leptos::prelude::use_context;
use leptos_axum::ResponseOptions;

use super::state::AppState;
use crate::error::AppError;

/// Returns the state and the request of the running server function.
pub fn state_and_parts() -> Result<(AppState, Parts), AppError> {
    use_context::<AppState>().zip(use_context::<Parts>()).ok_or(AppError::Internal)
}

/// Adds a header to the response of the running server function.
pub fn append_header(name: HeaderName, value: &str) {
    if let (Some(response), Ok(value)) = (use_context::<ResponseOptions>(), HeaderValue::from_str(value)) {
        response.append_header(name, value);
    }
}

/// Redirects a browser without JavaScript to the page, which closes the dialog of the form. With JavaScript the browser stays.
pub fn redirect_if_no_js(path: &str) {
    if is_form() {
        leptos_axum::redirect(path);
    }
}

/// Redirects every browser.
pub fn redirect(path: &str) {
    leptos_axum::redirect(path);
}

/// Whether a form called the running server function, without JavaScript.
fn is_form() -> bool {
    use_context::<Parts>().is_some_and(|parts| accepts_html(&parts.headers))
}

/// Whether `Accept` names HTML: a browser loads a page, or sends a form without JavaScript.
#[must_use]
pub fn accepts_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}
