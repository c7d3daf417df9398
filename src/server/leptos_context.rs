//! The Leptos context of the running server function: its request, and what it adds to the response.

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use leptos::prelude::use_context;
use leptos_axum::ResponseOptions;

use super::state::AppState;
use crate::error::AppError;

/// The state and the request of the server function that is running.
///
/// # Errors
/// [`AppError::Internal`] outside one.
pub fn state_and_parts() -> Result<(AppState, Parts), AppError> {
    use_context::<AppState>().zip(use_context::<Parts>()).ok_or(AppError::Internal)
}

/// Adds a header to the answer of the server function that is running.
pub fn append_header(name: HeaderName, value: &str) {
    if let (Some(response), Ok(value)) = (use_context::<ResponseOptions>(), HeaderValue::from_str(value)) {
        response.append_header(name, value);
    }
}

/// Where a browser without JavaScript goes from the form that it sent: to the page itself, without the dialog that the
/// form stood in. A browser with JavaScript stays where it is.
pub fn redirect_if_no_js(path: &str) {
    if is_form() {
        leptos_axum::redirect(path);
    }
}

/// Where every browser goes from the form that it sent.
pub fn redirect(path: &str) {
    leptos_axum::redirect(path);
}

/// Whether the server function that is running was called by a form, without JavaScript.
fn is_form() -> bool {
    use_context::<Parts>().is_some_and(|parts| accepts_html(&parts.headers))
}

/// Whether `Accept` names HTML: a browser loads a page, or sends a form without JavaScript.
#[must_use]
pub fn accepts_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}
