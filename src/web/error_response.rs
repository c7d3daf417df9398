//! The one `IntoResponse` for [`AppError`]: renders the final body in the form that the client reads, and logs a denial.

use std::fmt::Write as _;

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::api::problem::{PROBLEM_JSON, Problem};
use super::middleware::rate_limit_headers;
use super::ssr::html_response;
use super::wire::Wire;
use crate::error::AppError;
use crate::pages::home::FailureDocument;
use crate::server::denial_log::log_denied;
use crate::server::request_context::{self, ErrorFormat};
use crate::server::state::AppState;

tokio::task_local! {
    static STATE: AppState;
}

/// Runs a future in which errors become responses: pages and problems need the settings of the server.
pub fn with_state<F: Future>(state: AppState, answer: F) -> impl Future<Output = F::Output> {
    STATE.scope(state, answer)
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        let rendered = STATE.try_with(|state| {
            log_denied(state, &self);
            render(state, &self, request_context::error_format())
        });
        // Outside of a request, such as in a test of a handler.
        rendered.unwrap_or_else(|_| (self.status(), self.detail()).into_response())
    }
}

impl AppError {
    /// Returns the HTTP status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.code().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// Renders an error. Nothing may store the response.
pub fn render(state: &AppState, error: &AppError, format: ErrorFormat) -> Response {
    let mut response = match format {
        ErrorFormat::Page => error_page(state, error, None),
        ErrorFormat::ServerFunction => server_function_error(error),
        ErrorFormat::Wire => wire_error(error),
        ErrorFormat::Problem => problem(state, error),
    };
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Renders a page that says what went wrong and links to the page `back`.
pub fn error_page(state: &AppState, error: &AppError, back: Option<String>) -> Response {
    let id = request_context::id().as_str().to_owned();
    html_response(state, Some(error), || FailureDocument(error.clone(), id, state.site.stylesheet(), back))
}

/// Renders the error as Leptos does for a server function.
fn server_function_error(error: &AppError) -> Response {
    let mut response = (error.status(), Json(error)).into_response();
    set_retry_after(response.headers_mut(), error);
    response
}

/// Renders the error as the program of a page decodes it.
fn wire_error(error: &AppError) -> Response {
    let mut response = (error.status(), Wire(error)).into_response();
    set_retry_after(response.headers_mut(), error);
    response
}

/// Renders problem details with the headers that belong to the status.
fn problem(state: &AppState, error: &AppError) -> Response {
    let id = request_context::id();
    let body = Problem::new(&state.config.origin(), id.as_str(), error);
    let mut response = (error.status(), Json(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    add_challenges(headers, error);
    rate_limit_headers::add_exceeded(headers, error);
    set_retry_after(headers, error);
    response
}

/// Returns the problem of an error of the running request as JSON on one line; `None` outside of a request.
pub fn problem_text(error: &AppError) -> Option<String> {
    let id = request_context::id();
    let render = |state: &AppState| serde_json::to_string(&Problem::new(&state.config.origin(), id.as_str(), error));
    STATE.try_with(render).ok()?.ok()
}

pub(super) fn set_retry_after(headers: &mut HeaderMap, error: &AppError) {
    if let Some(seconds) = error.retry_after() {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
}

/// Adds `WWW-Authenticate` (RFC 9110, 15.5.2; RFC 6750, 3.1).
fn add_challenges(headers: &mut HeaderMap, error: &AppError) {
    let mut challenge = |value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.append(header::WWW_AUTHENTICATE, value);
        }
    };
    if error.status() == StatusCode::UNAUTHORIZED {
        // Without a key there is no error code.
        let is_missing = *error == AppError::CredentialsMissing;
        challenge("Api-Key realm=\"api\"");
        challenge(if is_missing { "Bearer realm=\"api\"" } else { "Bearer realm=\"api\", error=\"invalid_token\"" });
    }
    if let AppError::ScopeMissing(scope) = error {
        let mut bearer = String::from("Bearer realm=\"api\", error=\"insufficient_scope\"");
        if !scope.is_empty() {
            let _ = write!(bearer, ", scope=\"{scope}\"");
        }
        challenge(&bearer);
    }
}

/// Answers a method that no handler of a path takes. The router adds `Allow`, which is all that `OPTIONS` asks for.
pub async fn method_not_allowed(method: Method) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    AppError::MethodNotAllowed.into_response()
}
