//! The Leptos context of the running server function: its request, and what it adds to the response.

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use leptos::prelude::use_context;
use leptos_axum::ResponseOptions;

use super::state::AppState;
use crate::error::AppError;
use crate::model::wire;

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

/// Shows a page after a change: a browser without JavaScript is redirected, the program of the page opens it in place.
pub fn redirect(path: &str) {
    leptos_axum::redirect(path);
}

/// Whether the program of a page asks: for the data of a page, or for the answer to a form.
#[must_use]
pub fn accepts_wire(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).is_some_and(|accept| accept == wire::MEDIA_TYPE)
}

/// Whether `Accept` names HTML: a browser loads a page, or sends a form without JavaScript.
#[must_use]
pub fn accepts_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}
